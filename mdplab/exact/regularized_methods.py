"""Three ways to the equilibrium of a KL-regularised preference game that share nothing but the equation they solve.

Each takes one context's skew part K (n, n), log mu (n,), the temperature and a limit of steps, and returns logits (n,)
and the steps taken. None is trusted: `mdplab.exact.games.regularized_nash` certifies what they return.
"""

import warnings

import numpy as np

from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import SolverFailure

_UNIT = 2.0**-53


def newton(K: np.ndarray, log_mu: np.ndarray, tau: float, max_iters: int) -> tuple[np.ndarray, int]:
    """Damped Newton steps in logits, until they stall at rounding level."""
    n = log_mu.size
    theta = log_mu.copy()
    pi = softmax(theta)
    phi = -K @ pi / tau
    norm = np.linalg.norm(phi)
    for step in range(max_iters):
        if norm <= _UNIT * n * max(1.0, np.abs(theta).max()):
            return theta, step
        KA = K * pi - np.outer(K @ pi, pi)
        direction = np.linalg.solve(np.eye(n) - KA / tau, phi)
        length = 1.0
        while True:
            trial = theta - length * direction
            pi = softmax(trial)
            phi_trial = trial - log_mu - K @ pi / tau
            norm_trial = np.linalg.norm(phi_trial)
            if norm_trial <= (1 - 1e-4 * length) * norm:
                break
            length /= 2
            if length < 1e-10:
                return theta, step
        theta, phi, norm = trial, phi_trial, norm_trial
    return theta, max_iters


def extragradient(K: np.ndarray, log_mu: np.ndarray, tau: float, max_iters: int) -> tuple[np.ndarray, int]:
    """Mirror steps with a half step, at eta = 1 / (tau + max|K|): D(pi* || pi) shrinks by 1 - eta tau a step.

    Stops when the residual log mu + K pi / tau - log pi, which is constant at the equilibrium, is constant up to
    rounding.
    """
    # max|K| is at least the operator constant of the game.
    eta = 1 / (tau + np.abs(K).max())
    keep, pull = 1 - eta * tau, eta * tau * log_mu
    # Rounding of K pi / tau and of logits, as in `rounding_of_residual`.
    n, log_pi = log_mu.size, log_softmax(log_mu)
    for step in range(max_iters):
        payoff = K @ softmax(log_pi)
        noise = 4 * _UNIT * ((2 * n + 16 + np.ptp(log_pi)) / (2 * tau) + 8 * np.abs(log_mu).max())
        if np.ptp(log_mu + payoff / tau - log_pi) <= noise:
            return log_pi, step
        half = softmax(keep * log_pi + pull + eta * payoff)
        log_pi = log_softmax(keep * log_pi + pull + eta * (K @ half))
    return log_pi, max_iters


def convex_program(K: np.ndarray, log_mu: np.ndarray, tau: float, max_iters: int) -> tuple[np.ndarray, int]:
    """Minimum of half the gap over tau, log sum exp(log mu + K pi / tau) + D(pi || mu), an exponential cone program.

    The minimum is 0. Of the solver's pi and the best response to it, the one of smaller residual is returned: small
    entries of pi have no accurate logarithm, and best responses magnify errors by 1 / tau.
    """
    import cvxpy as cp

    n, mu = log_mu.size, np.exp(log_mu)
    pi = cp.Variable(n)
    objective = cp.log_sum_exp(log_mu + K @ pi / tau) + cp.sum(cp.kl_div(pi, mu))
    program = cp.Problem(cp.Minimize(objective), [cp.sum(pi) == 1])
    with warnings.catch_warnings():
        # A solver that stops short of these tolerances warns; the certificate decides.
        warnings.simplefilter("ignore")
        try:
            program.solve(solver=cp.CLARABEL, max_iter=max_iters, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        except cp.SolverError as error:
            raise SolverFailure(f"Clarabel stopped at n={n}, tau={tau:g}: {error}") from error
    if pi.value is None:
        raise SolverFailure(f"Clarabel stopped at n={n}, tau={tau:g}: {program.status}")
    own = log_softmax(np.log(np.maximum(pi.value, np.finfo(np.float64).tiny)))
    response = log_softmax(log_mu + K @ softmax(own) / tau)
    span = [np.ptp(log_mu + K @ softmax(logits) / tau - logits) for logits in (own, response)]
    return (own, response)[int(np.argmin(span))], int(program.solver_stats.num_iters)
