r"""Equilibria of matrix and preference games, with duality gaps that the referee recomputes from the answer alone.

The regularised preference game has payoffs `pi . P pi' - tau D(pi || mu) + tau D(pi' || mu)`; with `K` the skew part of
`P`, its unique equilibrium solves `log pi = log mu + K pi / tau + const`. The best response to pi is
`BR(pi) = softmax(log mu + K pi / tau)`, and the duality gap is `2 tau D(pi || BR(pi))`, which has no cancellation.

Certificates:

- kind `"exploitability"`: `gap` bounds `max_p (p . A y) - min_q (x . A q)`; for a preference game `x = y = policy`.
  `data` has `column` for a `MatrixGame`.
- kind `"regularized-gap"`: `data` has `log_policy` and `tau`; `gap` bounds the duality gap of softmax(log_policy), so
  that `D(policy || equilibrium) <= gap / (2 tau)`.

Source: Munos et al. 2023 (Nash-MD), section 3 (regularised game); gap, certificate and the global convergence of the
damped Newton method are derived in the docstrings.
"""

from time import perf_counter

import numpy as np
from scipy.optimize import linprog

from mdplab.exact.arguments import checked_count, checked_positive, checked_tol, require_type
from mdplab.exact.regularized_methods import convex_program, extragradient, newton
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import Certificate, MatrixGame, PreferenceGame, Solution, SolverFailure

_UNIT = 2.0**-53
# The methods of `regularized_nash`, the gap that each reaches, and the most steps that each takes by default.
_METHODS = {
    "newton": (newton, 1e-12, 500),
    "convex": (convex_program, 1e-7, 200),
    "extragradient": (extragradient, 1e-12, 1_000_000),
}


def best_response(game: PreferenceGame, log_pi: np.ndarray, *, tau: float) -> np.ndarray:
    """log of the best response to a policy in the regularised game: log_pi (..., n) -> (..., n), normalised.

    Parameters
    ----------
    game
        With contexts, `log_pi` is (..., m, n).
    log_pi
        Logits of the opponent.
    tau
        Weight of the divergence from `game.mu`, above 0.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> np.exp(best_response(game, np.zeros(2), tau=1e9)).round(6).tolist()
    [0.5, 0.5]
    """
    tau = _temperature(tau)
    return log_softmax(game.log_mu + _payoff(game, softmax(log_pi)) / tau)


def regularized_gap(game: PreferenceGame, log_pi: np.ndarray, *, tau: float) -> np.ndarray:
    r"""Duality gap 2 tau D(pi || BR(pi)) of a policy in the regularised game, per context: (..., n) -> (...).

    Notes
    -----
    For fixed pi, the payoff of p against pi is its maximum minus tau D(p || BR(pi)), and by symmetry the gap is twice
    the distance of pi's own payoff (1/2) from the maximum. With p the equilibrium, the payoff is
    1/2 + tau D(pi || pi*), hence D(pi || pi*) <= D(pi || BR(pi)) = gap / (2 tau).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> round(float(regularized_gap(game, game.log_mu, tau=0.05)), 12)
    0.04704586103
    """
    return 2 * _temperature(tau) * kl_divergence(log_pi, best_response(game, log_pi, tau=tau))


def nash_equilibrium(game: PreferenceGame | MatrixGame, *, tol: float = 1e-9) -> Solution:
    """An equilibrium of a preference game or of a zero-sum matrix game by linear programming (HiGHS).

    Parameters
    ----------
    game
        A `MatrixGame` must be zero-sum.
    tol
        Largest duality gap accepted, above 0.

    Returns
    -------
    Solution
        `policy` of the first player, (n,), or (m, n) with contexts; `value` (1,) or (m,), the first player's; the
        column player's strategy of a `MatrixGame` in `extras["column"]`. `certificate.kind` is "exploitability".

    Raises
    ------
    ValueError
        A general-sum game, or `tol` not above 0.
    SolverFailure
        The certified gap misses `tol`.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
    >>> nash_equilibrium(game).policy.round(12).tolist()
    [0.3, 0.3, 0.4]
    """
    start = perf_counter()
    require_type(game, (PreferenceGame, MatrixGame), "nash_equilibrium")
    tol = checked_tol(tol)
    if isinstance(game, MatrixGame):
        if not game.is_zero_sum:
            raise ValueError("game is general-sum (B is not -A); linear programming needs a zero-sum game")
        x, y = _maximin(game.A), _maximin(-game.A.T)
        upper, lower = game.A @ y, x @ game.A
        allowance = 16 * (sum(game.A.shape) + 4) * _UNIT * float(np.abs(game.A).max())
        gap = float(upper.max() - lower.min()) + allowance
        value, policy, data = np.array([0.5 * (upper.max() + lower.min())]), x, {"column": y}
    else:
        games = game.K.reshape(-1, game.n, game.n)
        found = np.array([_maximin(K) for K in games])
        gap = 2 * float(np.einsum("myz,mz->my", games, found).max()) + 16 * (game.n + 4) * _UNIT
        value, policy, data = np.full(game.m, 0.5), found.reshape(game.P.shape[:-1]), {}
    if not gap <= tol:
        raise SolverFailure(f"linear programming reached a duality gap of {gap:.3g}, tol is {tol:g}")
    certificate = Certificate("exploitability", gap, data=data)
    return Solution(value, policy, certificate, "nash_equilibrium", 1, perf_counter() - start, extras=data)


def _maximin(A: np.ndarray) -> np.ndarray:
    """A strategy x that maximises min_q (x . A q), rows of A being x's actions."""
    n, k = A.shape
    cost = np.append(np.zeros(n), -1.0)
    rows = np.column_stack([-A.T, np.ones(k)])
    total = np.append(np.ones(n), 0.0)[None]
    bounds = [(0, None)] * n + [(None, None)]
    out = linprog(cost, A_ub=rows, b_ub=np.zeros(k), A_eq=total, b_eq=[1.0], bounds=bounds, method="highs")
    if out.x is None:
        raise SolverFailure(f"HiGHS stopped: {out.message}")
    x = np.maximum(out.x[:n], 0.0)
    return x / x.sum()


def regularized_nash(
    game: PreferenceGame, *, tau: float, tol: float | None = None, max_iters: int | None = None, method: str = "newton"
) -> Solution:
    r"""The equilibrium of the KL-regularised preference game, by one of three independent methods.

    Parameters
    ----------
    game
        Preferences and reference policy.
    tau
        Weight of the divergence from the reference policy, above 0.
    tol
        Largest certified duality gap accepted; by default 1e-12, or 1e-7 for "convex", which at times stops short. A
        method does not stop at `tol` but at rounding level.
    max_iters
        Most steps per context: 500 of Newton, 200 of the cone solver and 10^6 of extragradient by default.
    method : {"newton", "convex", "extragradient"}
        Damped Newton steps in logits; the convex program whose minimum is half the gap, by Clarabel; or extragradient
        mirror steps, about 70 (1 + 1/(2 tau)) of them. The last two are for comparison.

    Returns
    -------
    Solution
        `policy` (n,) or (m, n), `extras["log_policy"]` its logarithm, `value` 1/2 per context. `certificate.kind` is
        "regularized-gap", `gap` the largest over contexts.

    Raises
    ------
    ValueError
        `tau`, `tol` or `max_iters` not above 0, or an unknown method.
    SolverFailure
        The certified gap misses `tol`.

    Notes
    -----
    Newton finds the root of Phi(theta) = theta - log mu - K softmax(theta) / tau, with Jacobian I - K A / tau,
    A = diag(pi) - pi pi^T. K A is similar to a skew matrix on the range of A^(1/2), so its spectrum is imaginary and
    the Jacobian never singular: a stationary point of |Phi|^2 is the root, and Newton with an Armijo search converges
    from everywhere.

    Source
    ------
    The regularised game: Munos et al. 2023, arXiv:2312.00886, section 3. The method: derived here.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> solution = regularized_nash(game, tau=0.5)
    >>> solution.policy.round(10).tolist(), solution.certificate.gap < 1e-25
    ([0.1995597413, 0.3386887961, 0.4617514626], True)
    """
    require_type(game, PreferenceGame, "regularized_nash")
    start, tau = perf_counter(), _temperature(tau)
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(_METHODS)}")
    run, reached, steps_allowed = _METHODS[method]
    tol = checked_tol(reached if tol is None else tol)
    max_iters = checked_count("max_iters", steps_allowed if max_iters is None else max_iters)
    log_mu = game.log_mu.reshape(-1, game.n)
    logits, steps = [], 0
    # Payoffs over a temperature near 0 overflow; the certificate then says that nothing was found.
    with np.errstate(over="ignore", invalid="ignore"):
        for K, reference in zip(game.K.reshape(-1, game.n, game.n), log_mu):
            theta, used = run(K, reference, tau, max_iters)
            logits.append(log_softmax(theta))
            steps += used
        log_policy = np.array(logits).reshape(game.mu.shape)
        gap = float(np.max(gap_bound(game, log_policy, tau=tau)))
    if not gap <= tol:
        raise SolverFailure(f"{method} reached a duality gap of {gap:.3g} in {steps} steps, tol is {tol:g}")
    data = {"log_policy": log_policy, "tau": tau}
    measured = float(np.max(regularized_gap(game, log_policy, tau=tau)))
    certificate = Certificate("regularized-gap", gap, {"gap": measured}, data)
    seconds, extras = perf_counter() - start, {"log_policy": log_policy}
    return Solution(
        np.full(game.m, 0.5), softmax(log_policy), certificate, "regularized_nash", steps, seconds, extras=extras
    )


def constant_step_limit(game: PreferenceGame, *, tau: float, weight: float) -> tuple[np.ndarray, float]:
    """Fixed point of Nash-MD with the constant step eta = weight / tau, and the modulus of the iteration there.

    Parameters
    ----------
    game
        A game without contexts.
    tau
        Temperature, above 0.
    weight
        eta tau, in (0, 1).

    Returns
    -------
    (array (n,), float)
        log of softmax(log mu + K m / tau), m the equilibrium at temperature tau / (1 - weight); and the spectral radius
        (1 - weight) sqrt(1 + (eta omega)^2) of the linearised iteration, +-i omega the largest eigenvalue of K A(m).
        Below 1 the policies converge to the fixed point from nearby; above 1 they leave it.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> [round(constant_step_limit(game, tau=tau, weight=0.2)[1], 4) for tau in (0.5, 0.05)]
    [0.802, 1.0044]
    """
    if not 0 < weight < 1:
        raise ValueError(f"weight is {weight}; expected in (0, 1)")
    if game.P.ndim == 3:
        raise ValueError(f"game has {game.m} contexts; the limit is computed for one without")
    m = regularized_nash(game, tau=tau / (1 - weight))
    eigenvalues = np.linalg.eigvals(game.K @ (np.diag(m.policy) - np.outer(m.policy, m.policy)))
    modulus = (1 - weight) * np.sqrt(1 + (weight / tau * np.abs(eigenvalues).max()) ** 2)
    return best_response(game, m.extras["log_policy"], tau=tau), float(modulus)


def gap_bound(game: PreferenceGame, log_pi: np.ndarray, *, tau: float) -> np.ndarray:
    r"""A certain upper bound of the regularised duality gap of softmax(log_pi), rounding included: (..., n) -> (...).

    Notes
    -----
    With x = log mu + K pi / tau - log pi, the gap is 2 tau (log E_pi e^x - E_pi x) <= tau sp(x)^2 / 4 by Hoeffding's
    lemma; the span is inflated by twice the rounding error of x. Near the equilibrium, where x is all rounding,
    nothing sharper can be said.
    """
    tau = _temperature(tau)
    pi = softmax(log_pi)
    x = game.log_mu + _payoff(game, pi) / tau - log_pi
    span = np.ptp(x, axis=-1) + 2 * rounding_of_residual(game, log_pi, tau=tau)
    return 0.25 * tau * span**2


def rounding_of_residual(game: PreferenceGame, log_pi: np.ndarray, *, tau: float) -> np.ndarray:
    """Bound on the rounding error of log mu + K softmax(log_pi) / tau - log_pi, entry by entry: (..., n) -> (...).

    Notes
    -----
    softmax has relative error (n + 4 + range of log_pi) u, the product with |K| <= 1/2 adds n u, the sum the sizes of
    its terms; enlarged so that the referee, who computes in another order, agrees.
    """
    spread = np.ptp(log_pi, axis=-1)
    sizes = np.max(np.abs(game.log_mu), axis=-1) + np.max(np.abs(log_pi), axis=-1)
    return 4 * _UNIT * ((2 * game.n + 16 + spread) / (2 * tau) + 8 * sizes)


def _payoff(game: PreferenceGame, pi: np.ndarray) -> np.ndarray:
    """K pi: (..., n) -> (..., n), context by context."""
    if pi.shape[max(pi.ndim - game.mu.ndim, 0) :] != game.mu.shape:
        raise ValueError(f"log_pi has shape {pi.shape}; its last axes must be {game.mu.shape}")
    return np.matmul(game.K, pi[..., None])[..., 0]


def _temperature(tau: float) -> float:
    return checked_positive("tau", tau)
