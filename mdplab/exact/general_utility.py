r"""Exact value, gradient and optimum of a concave utility of the discounted occupancy.

The optimum is a convex program over the flow polytope {lambda >= 0 : sum_a lambda(s, a) = mu(s) + gamma sum lambda P}.
Its certificate is linear: F is concave, so that for every feasible lambda' and r = grad F(lambda)

    F(lambda') <= F(lambda) + <r, lambda'> - <r, lambda> <= F(lambda) + mu . h - <r, lambda>

for any h with h >= r + gamma P h, a bound on the values of the ordinary problem with rewards r. It is written by f's
slopes and conjugates, which makes it true for any slopes, rounded ones too: `mdplab.certify.general_utility` has the
proof. What remains of rounding is added to the gap.
"""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from mdplab.exact.arguments import checked_tol
from mdplab.exact.occupancy_program import conditioned
from mdplab.exact.policy_iteration import policy_iteration
from mdplab.exact.trajectories import check_softmax_arguments
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Certificate, Solution, SolverFailure, Utility, UtilityMDP, occupancy

_U = 2.0**-53


def softmax_occupancy(mdp: MDP, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """lambda, or lambda_H, (..., S, A) of tabular softmax policies with logits theta (..., S, A), from `mdp.mu`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> softmax_occupancy(mdp, np.zeros((1, 2))).tolist(), softmax_occupancy(mdp, np.zeros((1, 2)), horizon=2).tolist()
    ([[1.0, 1.0]], [[0.75, 0.75]])
    """
    check_softmax_arguments(mdp, horizon=horizon)
    P, pi = mdp.dense().P, softmax(np.asarray(theta, dtype=np.float64))
    if horizon is None:
        return occupancy(P, mdp.mu, mdp.gamma, pi)
    moves = np.einsum("...sa,sat->...st", pi, P)
    p = np.broadcast_to(mdp.mu, pi.shape[:-1])
    total = np.zeros(pi.shape[:-1])
    for t in range(horizon):
        total = total + mdp.gamma**t * p
        p = np.einsum("...s,...st->...t", p, moves)
    return total[..., None] * pi


def utility_gradient(mdp: MDP, utility: Utility, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """Gradient (..., S, A) of F(lambda(theta)), or of F(lambda_H(theta)): that of <lambda, r>, r = grad F held fixed.

    Raises
    ------
    ValueError
        No start distribution, an action that is not available, or grad F is not finite (by state and action).

    Notes
    -----
    D pi Adv for the rewards r, or the sum over t of gamma^t p_t pi Adv_t over a horizon.

    Examples
    --------
    >>> from mdplab.models.utility import linear_utility
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> utility_gradient(mdp, linear_utility(mdp.r), np.zeros((1, 2))).tolist()
    [[0.5, -0.5]]
    """
    lam = softmax_occupancy(mdp, theta, horizon=horizon)
    r, pi, P, gamma = utility.gradient(lam), softmax(np.asarray(theta, dtype=np.float64)), mdp.dense().P, mdp.gamma
    moves = np.einsum("...sa,sat->...st", pi, P)
    if horizon is None:
        V = np.linalg.solve(np.eye(mdp.S) - gamma * moves, (pi * r).sum(axis=-1)[..., None])[..., 0]
        return lam * (r + gamma * np.einsum("sat,...t->...sa", P, V) - V[..., None])
    advantages, V = [], np.zeros(pi.shape[:-1])
    for _ in range(horizon):
        Q = r + gamma * np.einsum("sat,...t->...sa", P, V)
        V = (pi * Q).sum(axis=-1)
        advantages.append(Q - V[..., None])
    p, out = np.broadcast_to(mdp.mu, pi.shape[:-1]), np.zeros(pi.shape)
    for t in range(horizon):
        out += gamma**t * p[..., None] * pi * advantages[horizon - 1 - t]
        p = np.einsum("...s,...st->...t", p, moves)
    return out


def maximal_utility(problem: UtilityMDP, *, tol: float = 1e-6) -> Solution:
    """The largest utility of any policy, by a convex program (Clarabel), with a certificate by duality.

    Parameters
    ----------
    problem
        With every action available.
    tol
        The certified gap must be at most this, `> 0`.

    Returns
    -------
    Solution
        `policy` (S, A); `value` (1,), its utility; `certificate.gap` bounds how much more any policy has, and the error
        of the value, with `occupancy` (S, A), `slopes` (K,) and `h` (S,) in `data`, see
        `mdplab.certify.general_utility`; `extras["upper"]` is value + gap.

    Raises
    ------
    ValueError
        Another problem, an action that is missing, or a gradient that is not finite at the optimum found.
    SolverFailure
        Clarabel fails, or the gap exceeds `tol`.

    Examples
    --------
    >>> from mdplab.models.utility import entropy_utility
    >>> mdp = MDP([[[1.0, 0.0], [0.0, 1.0]]] * 2, np.zeros((2, 2)), 0.5, mu=[0.5, 0.5])
    >>> found = maximal_utility(UtilityMDP(mdp, entropy_utility(2, 2, 0.5)))
    >>> bool(abs(found.value[0] - np.log(2)) < 1e-6)
    True
    """
    begin, tol = time.perf_counter(), checked_tol(tol)
    if not isinstance(problem, UtilityMDP):
        raise ValueError(f"problem is a {type(problem).__name__}; expected a UtilityMDP")
    mdp, utility = problem.mdp, problem.utility
    check_softmax_arguments(mdp)
    found, steps = _clarabel(mdp, utility)
    policy = conditioned(found, mdp.actions)
    lam = occupancy(mdp.dense().P, mdp.mu, mdp.gamma, policy)
    bound = duality_gap(problem, lam)
    if bound.gap > tol:
        policy = _polished(mdp, utility, policy)
        lam = occupancy(mdp.dense().P, mdp.mu, mdp.gamma, policy)
        bound = duality_gap(problem, lam)
    gap = bound.gap
    if not gap <= tol:
        raise SolverFailure(f"the duality gap is {gap:.3g}, above tol={tol:g}; Clarabel took {steps} steps")
    value = float(utility.value(lam))
    data = {"occupancy": lam, "slopes": bound.slopes, "h": bound.h}
    certificate = Certificate("general-utility", gap, {"rounding": bound.rounding}, data)
    extras = {"upper": value + gap, "occupancy": lam}
    seconds = time.perf_counter() - begin
    return Solution(np.array([value]), policy, certificate, "maximal_utility", steps, seconds, extras=extras)


@dataclass(frozen=True, eq=False, slots=True)
class DualityGap:
    """No policy has a utility above F(lam) + gap, by slopes (K,) of f and h (S,); `rounding` is a part of the gap."""

    slopes: np.ndarray
    h: np.ndarray
    gap: float
    rounding: float


def duality_gap(problem: UtilityMDP, lam: np.ndarray) -> DualityGap:
    """How far the occupancy lam (S, A) of a policy is from the optimum, by Fenchel duality at its own slopes.

    h (S,) is at least r + gamma P h with r = R + weight M^T slopes, the gradient but for the last digits, which leave
    the referee room for its rounding.
    """
    mdp, utility = problem.mdp, problem.utility
    # Raises where the slopes are not finite.
    r = utility.gradient(lam)
    slopes = _dual_slopes(utility, lam)
    matrix = abs(utility.matrix)
    size = np.abs(utility.reward) + utility.weight * (matrix.T @ np.abs(slopes)).reshape(r.shape)
    entries = np.bincount(matrix.indices, minlength=r.size).reshape(r.shape)
    r = utility.reward + utility.weight * (utility.matrix.T @ slopes).reshape(r.shape)
    # What the referee loses on this sum, twice, and what was lost here.
    r = r + 4 * (entries + 8) * _U * size
    # The certified upper end of the optimal values is an h of this kind.
    scale = max(1.0, float(np.abs(r).max())) / (1 - mdp.gamma)
    h = np.array(policy_iteration(mdp.replace(r=r), tol=1e-8 * scale).certificate.data["hi"])
    conjugate = _conjugate(utility, slopes)
    upper = float(mdp.mu @ h) + utility.weight * float((slopes * utility.shift + conjugate).sum())
    magnitude = float(mdp.mu @ np.abs(h)) + utility.weight * float((np.abs(slopes * utility.shift) + conjugate).sum())
    drop, size = _primal_loss(mdp, utility, lam)
    # Sums over states, pairs and arguments; logarithms and exponentials to 16 units.
    rounding = drop + 4 * (lam.size + slopes.size + 32) * _U * (magnitude + size)
    return DualityGap(slopes, h, max(upper - float(utility.value(lam)), 0.0) + rounding, rounding)


def _dual_slopes(utility: Utility, lam: np.ndarray) -> np.ndarray:
    """Slopes (K,) of f at the arguments, surely below the one at the floor, above which the conjugate is infinite."""
    if utility.kind == "linear":
        return np.zeros(utility.shift.size)
    slopes = utility.slope(utility.arguments(lam))
    if utility.kind == "quadratic" or utility.floor == 0:
        return slopes
    most = float(utility.slope(np.array(utility.floor)))
    return np.minimum(slopes, most - 64 * _U * (2 + abs(most)))


def _conjugate(utility: Utility, slopes: np.ndarray) -> np.ndarray:
    """sup over y of f(y) - s y, entry by entry."""
    if utility.kind == "linear":
        return np.zeros(slopes.size)
    if utility.kind == "quadratic":
        return slopes**2 / 2
    return -np.log(slopes) - 1 if utility.kind == "log" else np.exp(-1 - slopes)


def _primal_loss(mdp: MDP, utility: Utility, lam: np.ndarray) -> tuple[float, float]:
    """What F may lose since lam is rounded, with all that bounding it costs, and the magnitude of its terms."""
    P, gamma = mdp.dense().P, mdp.gamma
    flow = lam.sum(axis=1)
    defect = np.abs(flow - gamma * np.einsum("sa,sat->t", lam, P) - mdp.mu).sum()
    entries = float(np.count_nonzero(P, axis=(0, 1)).max())
    off = defect + 8 * (mdp.A + entries + 32) * _U * (flow.sum() + 1)
    off = off / (1 - gamma * P.sum(axis=2).max())
    size = float((np.abs(utility.reward) * lam).sum())
    drop = off * float(np.abs(utility.reward).max())
    if utility.kind == "linear" or utility.shift.size == 0:
        return 2 * drop, size
    matrix = abs(utility.matrix)
    counts, x = np.diff(matrix.indptr), utility.arguments(lam)
    steepest = matrix.max(axis=1).toarray().ravel() if matrix.nnz else np.zeros(x.size)
    away = steepest * off + 4 * (counts + 32) * _U * (matrix @ lam.ravel() + np.abs(utility.shift))
    # Occupancies are not negative: arguments of such rows neither.
    positive = (utility.matrix.min(axis=1).toarray().ravel() >= 0) & (utility.shift >= 0)
    below = np.where(positive, np.maximum(x - away, 0.0), x - away)
    f, at, above = (utility.f(y) for y in (below, x, x + away))
    drop += utility.weight * float((at - np.minimum(f, above)).sum())
    return 2 * drop, size + utility.weight * float(np.abs(np.stack([at, above])).sum())


def _polished(mdp: MDP, utility: Utility, policy: np.ndarray) -> np.ndarray:
    """A policy of no smaller utility: quasi-Newton ascent in its logits, where interior points leave six digits."""
    from scipy.optimize import minimize

    def loss(logits: np.ndarray) -> tuple[float, np.ndarray]:
        theta = logits.reshape(policy.shape)
        value = float(utility.value(softmax_occupancy(mdp, theta)))
        return -value, -utility_gradient(mdp, utility, theta).ravel()

    # Actions that the program leaves out stay out: at e^-60 they have no gradient to come back by, nor any weight.
    start = np.log(np.maximum(policy, np.exp(-60.0))).ravel()
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-13, "ftol": 0.0, "maxiter": 500})
    return softmax(found.x.reshape(policy.shape))


def _clarabel(mdp: MDP, utility: Utility) -> tuple[np.ndarray, int]:
    """An optimal occupancy (S, A) to interior-point accuracy, and the number of steps."""
    import cvxpy as cp

    n, gamma = mdp.S * mdp.A, mdp.gamma
    x = cp.Variable(n, nonneg=True)
    # In units of the total 1 / (1 - gamma): the solver's tolerances are then relative.
    P = sp.csr_array(mdp.dense().P.reshape(n, mdp.S))
    owner = sp.csr_array((np.ones(n), (np.arange(n) // mdp.A, np.arange(n))), shape=(mdp.S, n))
    constraints = [(owner - gamma * P.T) @ x == (1 - gamma) * mdp.mu]
    scale = 1 / (1 - gamma)
    objective = scale * (utility.reward.reshape(-1) @ x)
    if utility.kind != "linear":
        arguments = scale * (utility.matrix @ x) + utility.shift
        objective = objective + utility.weight * _concave(cp, utility, arguments, constraints)
    program = cp.Problem(cp.Maximize(objective), constraints)
    tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
    loose = dict.fromkeys(("reduced_tol_gap_abs", "reduced_tol_gap_rel"), 1e-6)
    with warnings.catch_warnings():
        # Where the solver calls its answer inaccurate, the duality gap says by how much.
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        program.solve(solver=cp.CLARABEL, **tight, **loose)
    if x.value is None:
        raise SolverFailure(f"Clarabel stopped without an optimum: {program.status}")
    return np.maximum(x.value, 0.0).reshape(mdp.r.shape) * scale, int(program.solver_stats.num_iters or 0)


def _concave(cp, utility: Utility, arguments, constraints: list):
    """sum_k f(x_k); the tangent below the floor by a split x = y - z: max over z >= 0 of f(y) - f'(floor) z is it."""
    if utility.kind == "quadratic":
        return -cp.sum_squares(arguments) / 2
    f = cp.log if utility.kind == "log" else cp.entr
    if utility.floor == 0:
        return cp.sum(f(arguments))
    y, z = cp.Variable(utility.shift.size), cp.Variable(utility.shift.size, nonneg=True)
    constraints += [y - z == arguments, y >= utility.floor]
    slope = 1 / utility.floor if utility.kind == "log" else -np.log(utility.floor) - 1
    return cp.sum(f(y)) - slope * cp.sum(z)
