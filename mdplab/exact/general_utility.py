r"""Exact value, gradient and optimum of a concave utility of the discounted occupancy.

The optimum is a convex program over the flow polytope {lambda >= 0 : sum_a lambda(s, a) = mu(s) + gamma sum lambda P}.
Its certificate is linear: F is concave, so that for every feasible lambda' and r = grad F(lambda)

    F(lambda') <= F(lambda) + <r, lambda'> - <r, lambda> <= F(lambda) + mu . h - <r, lambda>

for any h with h >= r + gamma P h, a bound on the values of the ordinary problem with rewards r. Both sides are exact
arithmetic of the model but for rounding, which is added to the gap.
"""

import time
import warnings

import numpy as np
import scipy.sparse as sp

from mdplab.exact.occupancy_program import conditioned
from mdplab.exact.policy_iteration import policy_iteration
from mdplab.exact.trajectories import check_softmax_arguments
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Certificate, Solution, SolverFailure, occupancy
from mdplab.models.utility import Utility

_U = 2.0**-53


def softmax_occupancy(mdp: MDP, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """lambda, or lambda_H, (..., S, A) of tabular softmax policies with logits theta (..., S, A), from `mdp.mu`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> softmax_occupancy(mdp, np.zeros((1, 2))).tolist(), softmax_occupancy(mdp, np.zeros((1, 2)), horizon=2).tolist()
    ([[1.0, 1.0]], [[0.75, 0.75]])
    """
    check_softmax_arguments(mdp)
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


def maximal_utility(mdp: MDP, utility: Utility, *, tol: float = 1e-6) -> Solution:
    """The largest utility of any policy, by a convex program (Clarabel), with a certificate by duality.

    Parameters
    ----------
    mdp
        Discounted, with a start distribution `mu` and every action available; its rewards are not read.
    utility
        Concave.
    tol
        The certified gap must be at most this, `> 0`.

    Returns
    -------
    Solution
        `policy` (S, A); `value` (1,), its utility; `certificate.gap` bounds how much more any policy has, with `h` (S,)
        and `occupancy` (S, A) in `data`; `extras["upper"]` is value + gap.

    Raises
    ------
    ValueError
        No discount, start distribution or action, or a gradient that is not finite at the optimum found.
    SolverFailure
        Clarabel fails, or the gap exceeds `tol`.

    Examples
    --------
    >>> from mdplab.models.utility import entropy_utility
    >>> mdp = MDP([[[1.0, 0.0], [0.0, 1.0]]] * 2, np.zeros((2, 2)), 0.5, mu=[0.5, 0.5])
    >>> found = maximal_utility(mdp, entropy_utility(2, 2, 0.5))
    >>> bool(abs(found.value[0] - np.log(2)) < 1e-6)
    True
    """
    begin = time.perf_counter()
    check_softmax_arguments(mdp)
    if not mdp.gamma < 1:
        raise ValueError(f"gamma is {mdp.gamma}; the occupancy is finite for gamma below 1")
    found, steps = _clarabel(mdp, utility)
    policy = conditioned(found, mdp.actions)
    lam = occupancy(mdp.dense().P, mdp.mu, mdp.gamma, policy)
    h, gap, rounding = duality_gap(mdp, utility, lam)
    if gap > tol:
        policy = _polished(mdp, utility, policy)
        lam = occupancy(mdp.dense().P, mdp.mu, mdp.gamma, policy)
        h, gap, rounding = duality_gap(mdp, utility, lam)
    if not gap <= tol:
        raise SolverFailure(f"the duality gap is {gap:.3g}, above tol={tol:g}; Clarabel took {steps} steps")
    value = float(utility.value(lam))
    certificate = Certificate("general-utility", gap, {"rounding": rounding}, {"occupancy": lam, "h": h})
    extras = {"upper": value + gap, "occupancy": lam}
    seconds = time.perf_counter() - begin
    return Solution(np.array([value]), policy, certificate, "maximal_utility", steps, seconds, extras=extras)


def duality_gap(mdp: MDP, utility: Utility, lam: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(h, gap, rounding): no occupancy has a utility above F(lam) + gap, lam (S, A) the occupancy of a policy.

    h (S,) is at least r + gamma P h with r = grad F(lam); `rounding` is the part of the gap that allows for rounding.
    """
    r = utility.gradient(lam)
    # The certified upper end of the optimal values is an h of this kind.
    scale = max(1.0, float(np.abs(r).max())) / (1 - mdp.gamma)
    h = np.array(policy_iteration(mdp.replace(r=r), tol=1e-8 * scale).certificate.data["hi"])
    size = float(np.abs(r).max()) / (1 - mdp.gamma)
    rounding = 8 * (mdp.S * mdp.A + 8) * _U * size * (1 + mdp.gamma) / (1 - mdp.gamma)
    gap = float(mdp.mu @ h - (r * lam).sum())
    return h, max(gap, 0.0) + rounding, rounding


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
