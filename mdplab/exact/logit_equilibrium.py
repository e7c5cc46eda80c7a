r"""Logit equilibria of polymatrix games by damped Newton steps in stacked logits.

The equilibrium solves log x_i = log mu_i + sum_j A_ij x_j / tau_i + const for every player. The Jacobian has identity
blocks on the diagonal and -A_ij A(x_j) / tau_i off it, A(x) = diag(x) - x x^T. It can be singular where the game is not
certified by the entropic small-gain theorem, and there may be several equilibria: the method then fails, and says so,
or returns one of them. What is returned is certified: no player gains more than `gap` by its best response.

Source: derived; entropic games as in Sharma 2025, arXiv:2512.06791.
"""

from itertools import pairwise
from time import perf_counter

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import Certificate, PolymatrixGame, Solution, SolverFailure

_UNIT = 2.0**-53


def logit_equilibrium(
    game: PolymatrixGame, *, tol: float = 1e-12, max_iters: int = 500, log_x0: np.ndarray | None = None
) -> Solution:
    """An equilibrium of a regularised polymatrix game, with a bound on every player's gain from a best response.

    Parameters
    ----------
    game
        Payoffs, temperatures, references.
    tol
        Largest certified gain accepted; the method does not stop there but at rounding level.
    max_iters
        Newton steps.
    log_x0 : array (sum n_i,), optional
        First logits; those of the references by default.

    Returns
    -------
    Solution
        `policy` (sum n_i,), the players' distributions side by side, `extras["log_policy"]` their logarithms, `value`
        (N,) regularised payoffs. `certificate.kind` is "logit-equilibrium".

    Raises
    ------
    SolverFailure
        The Jacobian became singular, the search stalled, or the certified gap misses `tol`.

    Examples
    --------
    >>> game = PolymatrixGame([[None, [[2.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]], None]], [1.0, 2.0])
    >>> solution = logit_equilibrium(game)
    >>> solution.policy.round(6).tolist(), bool(solution.certificate.gap < 1e-25)
    ([0.648148, 0.351852, 0.536969, 0.463031], True)
    """
    require_type(game, PolymatrixGame, "logit_equilibrium")
    start = perf_counter()
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    log_mu = np.concatenate([np.log(mu) for mu in game.references])
    taus = np.repeat(game.taus, game.sizes)
    theta = log_mu.copy() if log_x0 is None else np.array(log_x0, dtype=np.float64)
    if theta.shape != log_mu.shape or not np.isfinite(theta).all():
        raise ValueError(f"log_x0 has shape {theta.shape} or is not finite; expected ({log_mu.size},) numbers")
    A = game.payoff_matrix()
    # Payoffs over a temperature near 0 overflow; the gain then says that nothing was found.
    with np.errstate(over="ignore", invalid="ignore"):
        theta, num_iters = _newton(game, A, taus, log_mu, theta, max_iters)
        log_policy = np.concatenate([log_softmax(part) for part in game.split(theta)])
        gap, value = _gap_and_value(game, A, log_policy)
    if not gap <= tol:
        raise SolverFailure(
            f"Newton's method stalled after {num_iters} steps at a gain of {gap:.3g} by a best response, tol is {tol:g}"
        )
    certificate = Certificate("logit-equilibrium", gap, data={"log_policy": log_policy})
    policy, extras = _policies(game, log_policy), {"log_policy": log_policy}
    return Solution(value, policy, certificate, "logit_equilibrium", num_iters, perf_counter() - start, extras=extras)


def _policies(game: PolymatrixGame, theta: np.ndarray) -> np.ndarray:
    return np.concatenate([softmax(part) for part in game.split(theta)])


def _newton(game, A, taus, log_mu, theta, max_iters):
    """Logits at which the damped method stalls at rounding level, and the steps taken."""
    starts = np.concatenate([[0], np.cumsum(game.sizes)])
    # Constants in a player's logits mean nothing: they are fixed, lest they count as residual.
    A, theta = A.copy(), theta.copy()
    for a, b in pairwise(starts):
        A[a:b] -= A[a:b].mean(axis=0)
        theta[a:b] += log_mu[a:b].mean() - theta[a:b].mean()

    def residual(logits):
        x = _policies(game, logits)
        return x, logits - log_mu - A @ x / taus

    x, phi = residual(theta)
    norm = np.linalg.norm(phi)
    for step in range(max_iters):
        if norm <= _UNIT * theta.size * max(1.0, np.abs(theta).max()):
            return theta, step
        spread = np.zeros((theta.size, theta.size))
        for a, b in pairwise(starts):
            spread[a:b, a:b] = np.diag(x[a:b]) - np.outer(x[a:b], x[a:b])
        J = np.eye(theta.size) - A @ spread / taus[:, None]
        try:
            direction = np.linalg.solve(J, phi)
        except np.linalg.LinAlgError:
            raise SolverFailure(f"the Jacobian is singular at step {step}, residual {norm:.3g}") from None
        length = 1.0
        while True:
            trial = theta - length * direction
            x_trial, phi_trial = residual(trial)
            norm_trial = np.linalg.norm(phi_trial)
            if norm_trial <= (1 - 1e-4 * length) * norm:
                break
            length /= 2
            if length < 1e-10:
                return theta, step
        theta, x, phi, norm = trial, x_trial, phi_trial, norm_trial
    return theta, max_iters


def _gap_and_value(game: PolymatrixGame, A: np.ndarray, log_policy: np.ndarray) -> tuple[float, np.ndarray]:
    """A bound of every player's gain, tau sp(residual)^2 / 8 with its rounding twice over; and the payoffs."""
    x = _policies(game, log_policy)
    gains, sizes = game.split(A @ x), game.split(np.abs(A) @ x)
    parts = game.split(log_policy)
    widest = max(float(np.ptp(part)) for part in parts)
    # What probabilities and products below 2^-1022 lose; the least gain that is claimed.
    dust = 2.0**-1068
    lost = game.split((np.abs(A).sum(axis=1) + x.size) * dust)
    gap, value = dust, np.empty(game.players)
    for i, (part, pi, gain, mu, tau) in enumerate(zip(parts, game.split(x), gains, game.references, game.taus)):
        r = np.log(mu) + gain / tau - part
        error = (2 * x.size + 32 + widest) * float(sizes[i].max()) / tau
        error += 16 * float(np.abs(np.log(mu)).max() + np.abs(part).max())
        span = float(np.ptp(r)) + 8 * _UNIT * error + 4 * float(lost[i].max()) / tau
        gap = max(gap, tau * span**2 / 8)
        value[i] = pi @ gain - tau * (pi @ (part - np.log(mu)))
    return gap, value
