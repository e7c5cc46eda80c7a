r"""Regularised occupancies: `max_{d in C(P)} <d, r> - lam |d|_2^2 / 2`, the inner problem of performative learning.

`C(P)` is the flow polytope; terminal states are left out (no flow constraint, `d = 0`), as in the published code.

Certificate, kind `"regularized-occupancy"`: `d` `(S, A)`, `h` `(S,)`, `lam`, `exits` (bool `(S,)`), `value_gap`. With

    xi = mu - A d,      sigma(s, a) = h(s) - gamma P(s, a) h - r(s, a) + lam d(s, a),

kappa the part of sigma that should vanish: sigma where `d > 0`, its negative part elsewhere, and the smallest sigma of
a state without flow. Then, with `delta = |xi|_1 / (1 - gamma max row sum)`,

    |d - d*|_2 <= 2 delta + |kappa|_2 / lam.

Proof. Let pi be the policy of d, at a state without flow the action of smallest sigma, and d'' its occupancy started
from mu: `|d'' - d|_1 <= delta`, as d is the occupancy of pi started from mu - xi. Change r to r'' by what sigma'' =
sigma + lam (d'' - d) lacks: all of it on the support of d'', its negative part elsewhere; |r'' - r|_2 <= |kappa|_2 +
lam delta. For r'' the pair (d'', h) meets the optimality conditions, so d'' is the projection of r'' / lam on C(P),
and projections do not expand. No strict complementarity and no condition number enter.

The value returned is h. It is within `max_s |min_a sigma(s, a)| / (1 - gamma)` of the optimal value function of
`r - lam d`, and that within `lam |d - d*| / (1 - gamma)` of the one at d*: their sum is `value_gap`. A dual vector is
this function only where a state is visited; at the others it is moved there.

Source: the problem is that of Mandal, Triantafyllou, Radanovic (2023), section 3; method and certificate are ours.
"""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_positive, checked_tol, require_discounted
from mdplab.kernels import occupancy
from mdplab.kernels.occupancy import Projection
from mdplab.models import MDP, Certificate, Solution, SolverFailure

_U = 2.0**-53
METHODS = ("newton", "clarabel")
# Newton's method then goes on until rounding stops it: states of tiny flow have their say in h.
FINEST = 1e-16


def regularized_occupancy(
    mdp: MDP,
    lam: float,
    *,
    method: str = "newton",
    tol: float = 1e-8,
    exits: Any = None,
    start: np.ndarray | None = None,
) -> Solution:
    """The occupancy that maximises reward minus `lam / 2` times its squared Euclidean norm.

    Parameters
    ----------
    mdp : MDP
        Discounted, with a start distribution.
    lam : float > 0
        Regularisation.
    method : {"newton", "clarabel"}
        Own dual Newton method, or the interior-point solver Clarabel by cvxpy as ground truth.
    tol : float > 0
        Largest certified distance of the occupancy from the optimal one.
    exits : bool array (S,), optional
        Terminal states to leave out; all terminal states by default.
    start : array (S,), optional
        Dual vector of a similar problem, as in extras `"h"`; for Newton's method.

    Returns
    -------
    Solution
        Value `(S,)` (the optimal value function of `r - lam d`), policy `(S, A)` (uniform without flow), certificate of
        kind `"regularized-occupancy"`, whose gap bounds the distance of extras `occupancy` `(S, A)` from the optimum.

    Raises
    ------
    ValueError
        `lam` or `tol` not positive, no start distribution, exits that are not terminal, an unknown method.
    SolverFailure
        The certificate misses `tol`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> regularized_occupancy(mdp, 1.0).extras["occupancy"].round(9).tolist()
    [[1.5, 0.5]]
    """
    started = time.perf_counter()
    lam, tol = checked_positive("lam", lam), checked_tol(tol)
    mdp, exits = _checked(mdp, exits, "regularized_occupancy")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {list(METHODS)}")
    allowed = mdp.actions & ~exits[:, None]
    if method == "newton":
        start = None if start is None else np.asarray(start, dtype=np.float64) / lam
        found = occupancy.project_flow(
            mdp.P, mdp.mu, mdp.gamma, mdp.r / lam, available=allowed, start=start, tol=FINEST
        )
        d, h, steps = found.d, lam * found.h, found.num_iters
    else:
        d, h, steps = _by_clarabel(mdp, lam, allowed)
    return certified_occupancy(mdp, lam, exits, d, h, method=method, num_iters=steps, tol=tol, started=started)


def project_flow(mdp: MDP, target: Any, *, exits: Any = None, start: np.ndarray | None = None) -> Projection:
    """The point of the flow polytope of an MDP nearest to `target` (S, A), not certified; see `kernels.occupancy`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> project_flow(mdp, [[9.0, 8.0]]).d.round(9).tolist()
    [[1.5, 0.5]]
    """
    mdp, exits = _checked(mdp, exits, "project_flow")
    target = np.asarray(target, dtype=np.float64)
    if target.shape != mdp.r.shape or not np.isfinite(target).all():
        raise ValueError(
            f"target has shape {target.shape} or an entry that is not finite; expected {mdp.r.shape} numbers"
        )
    allowed = mdp.actions & ~exits[:, None]
    return occupancy.project_flow(mdp.P, mdp.mu, mdp.gamma, target, available=allowed, start=start)


def certified_occupancy(
    mdp: MDP,
    lam: float,
    exits: np.ndarray,
    d: np.ndarray,
    h: np.ndarray,
    *,
    method: str,
    num_iters: int,
    tol: float,
    started: float,
) -> Solution:
    """The solution for `d` (S, A) and dual vector `h` (S,), with its certificate; SolverFailure if it misses `tol`."""
    h = _canonical(mdp, lam, exits, d, h)
    gap, value_gap, residuals = distance_bound(mdp, lam, exits, d, h)
    if not gap <= tol:
        raise SolverFailure(f"{method}: the occupancy is only known to be within {gap:.3g}, tol is {tol:.3g}")
    flow = d.sum(axis=1, keepdims=True)
    seen = flow > 1e-300
    uniform = mdp.actions / mdp.actions.sum(axis=1, keepdims=True)
    policy = np.where(seen, d / np.where(seen, flow, 1.0), uniform)
    data = {"d": d, "h": h, "lam": lam, "exits": exits, "value_gap": value_gap}
    certificate = Certificate("regularized-occupancy", gap, residuals, data)
    extras = {"occupancy": d, "h": h, "objective": float(np.sum(d * mdp.r) - lam / 2 * np.sum(d * d))}
    seconds = time.perf_counter() - started
    return Solution(h, policy, certificate, method, num_iters, seconds, extras=extras)


def distance_bound(
    mdp: MDP, lam: float, exits: np.ndarray, d: np.ndarray, h: np.ndarray
) -> tuple[float, float, dict[str, float]]:
    """Bounds of `|d - d*|_2` and of the error of h as a value, rounding included, and named residuals."""
    S, A = d.shape
    allowed = mdp.actions & ~exits[:, None]
    weight, flow, high = _weight(mdp), d.sum(axis=1), np.abs(h)
    sums = 2 * (S * A + 16) * _U
    delta = _flow_defect(mdp, exits, d, flow, weight)
    # Both products in one pass over P.
    ahead, above = mdp.gamma * (np.array((h, high)) @ mdp.P.reshape(S * A, S).T).reshape(2, S, A)
    regularised = lam * d
    sigma = h[:, None] - ahead - mdp.r + regularised
    slip = 2 * (S + 16) * _U * (high[:, None] + above + np.abs(mdp.r) + regularised)
    off = np.abs(sigma) + slip
    kappa = np.where(allowed, np.where(d > 0, off, np.maximum(0.0, slip - sigma)), 0.0)
    least = np.where(allowed, sigma, np.inf).min(axis=1)
    empty = np.flatnonzero((flow == 0) & ~exits)
    if len(empty):
        kappa[empty] = np.where(sigma[empty] == least[empty, None], off[empty], kappa[empty])
    # The referee's square root is rounded up, to 12 digits and not below 1e-156.
    length = float(np.linalg.norm(kappa)) * (1 + 1e-11) + 1e-150
    gap = (2 * delta + length / lam) * (1 + 2 * sums)
    worst = np.abs(np.where(exits, 0.0, least)) + np.where(allowed, slip, 0.0).max(axis=1)
    value_gap = (float(np.where(exits, 0.0, worst).max(initial=0.0)) + lam * gap) * weight * (1 + 2 * sums)
    return float(gap), float(value_gap), {"flow": delta, "stationarity": length}


def flow_defect(mdp: MDP, exits: np.ndarray, d: np.ndarray) -> float:
    """A bound, rounding included, of the l1 distance of `d` (S, A) from the occupancy of its own policy: delta."""
    return _flow_defect(mdp, exits, d, d.sum(axis=1), _weight(mdp))


def _flow_defect(mdp: MDP, exits: np.ndarray, d: np.ndarray, flow: np.ndarray, weight: float) -> float:
    """The same, of row sums `flow` (S,) and `_weight` known."""
    S, A = d.shape
    into = mdp.gamma * (d.ravel() @ mdp.P.reshape(S * A, S))
    # Twice what the referee allows for the same sums.
    sums = 2 * (S * A + 16) * _U
    xi = np.abs(mdp.mu + into - flow) + sums * (mdp.mu + into + flow)
    return float(np.where(exits, 0.0, xi).sum()) * weight * (1 + sums)


def _weight(mdp: MDP) -> float:
    """`1 / (1 - gamma max row sum)`, rounded up."""
    # A product with ones adds up rows faster than `sum`; the allowance holds for any order of additions.
    rows = float((mdp.P.reshape(-1, mdp.S) @ np.ones(mdp.S)).max()) * (1 + 2 * (mdp.S + 4) * _U)
    return (1 + 64 * _U) / (1 - mdp.gamma * rows * (1 + 8 * _U))


def _checked(mdp: MDP, exits: Any, name: str) -> tuple[MDP, np.ndarray]:
    require_discounted(mdp, name)
    if mdp.mu is None:
        raise ValueError(f"mdp has no start distribution mu, which {name} needs")
    mdp = mdp.dense()
    if exits is None:
        return mdp, mdp.terminal
    exits = np.array(exits, dtype=bool)
    if exits.shape != (mdp.S,):
        raise ValueError(f"exits has shape {exits.shape}, expected ({mdp.S},)")
    bad = np.flatnonzero(exits & ~mdp.terminal)
    if len(bad):
        raise ValueError(f"exits[{bad[0]}] is True, but state {bad[0]} is not terminal")
    return mdp, exits


def _canonical(mdp: MDP, lam: float, exits: np.ndarray, d: np.ndarray, h: np.ndarray) -> np.ndarray:
    """h (S,), moved to the optimal value at states without flow, by policy iteration among them."""
    h = np.where(exits, 0.0, h)
    empty = np.flatnonzero((d.sum(axis=1) == 0) & ~exits)
    if not len(empty):
        return h
    policy = None
    for _ in range(100):
        q = np.where(mdp.actions[empty], mdp.r[empty] + mdp.gamma * (mdp.P[empty] @ h), -np.inf)
        best = q.argmax(axis=1)
        if policy is not None:
            kept = q[np.arange(len(empty)), policy]
            # Actions within rounding of each other are not exchanged for ever.
            best = np.where(q.max(axis=1) > kept + 1e-13 * (1 + np.abs(kept)), best, policy)
            if np.array_equal(best, policy):
                break
        policy = best
        P = mdp.P[empty, policy]
        rest = np.delete(np.arange(mdp.S), empty)
        right = mdp.r[empty, policy] + mdp.gamma * (P[:, rest] @ h[rest])
        h[empty] = np.linalg.solve(np.eye(len(empty)) - mdp.gamma * P[:, empty], right)
    return h


def _by_clarabel(mdp: MDP, lam: float, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """d (S, A), h (S,) and interior-point steps."""
    import cvxpy as cp

    S, A = mdp.r.shape
    pairs = np.flatnonzero(allowed.ravel())
    rows = np.flatnonzero(allowed.any(axis=1))
    matrix = (rows[:, None] == pairs // A) - mdp.gamma * mdp.P.reshape(S * A, S)[pairs][:, rows].T
    x = cp.Variable(len(pairs), nonneg=True)
    balance = matrix @ x == mdp.mu[rows]
    target = mdp.r.ravel()[pairs] / lam
    program = cp.Problem(cp.Minimize(cp.sum_squares(x) / 2 - target @ x), [balance])
    tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-13)
    program.solve(solver=cp.CLARABEL, **tight, **dict.fromkeys(("reduced_tol_gap_abs", "reduced_tol_gap_rel"), 1e-10))
    if x.value is None:
        raise SolverFailure(f"Clarabel stopped without an optimum: {program.status}")
    dual = np.zeros(S)
    dual[rows] = np.asarray(balance.dual_value) * lam
    full = np.zeros(S * A)
    slack = matrix.T @ dual[rows] / lam - target + x.value
    # An interior point has d > 0 everywhere: of a pair and its multiplier the smaller one is the one that vanishes.
    full[pairs] = np.where(x.value > slack, np.maximum(x.value, 0.0), 0.0)
    return full.reshape(S, A), dual, int(program.solver_stats.num_iters or 0)
