"""What a given policy does: its value, the values of actions, and how often it visits each state and action."""

import time
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from mdplab.exact.arguments import checked_count, checked_policy, checked_tol, require_discounted, require_type
from mdplab.exact.bracket import failure, settle
from mdplab.exact.operator import ROW_SUM_TOLERANCE, UNIT, Bellman, freeze
from mdplab.exact.policy_iteration import krylov_policies, policy_matrix, solve_policy
from mdplab.models import MDP, Solution, SolverFailure, check_distribution

# Factors of I - gamma P_pi beyond this many states may need more memory than the model.
_LU_STATES = 20_000


def policy_operator(mdp: MDP, policy: np.ndarray) -> Bellman:
    """T_pi as an operator with one action, for a policy `(S,)` or `(S, A)` that has been checked."""
    op = Bellman.of(mdp)
    if policy.ndim == 1:
        return op.on_policy(policy)
    S, A = mdp.S, mdp.A
    r = np.einsum("sa,sa->s", policy, mdp.r)[:, None]
    if op.is_sparse:
        mix = sp.csr_array((policy.ravel(), np.arange(S * A), np.arange(0, S * A + 1, A)), shape=(S, S * A))
        P = (mix @ op.P).tocsr()
    else:
        P = np.matmul(policy[:, None, :], mdp.P)[:, 0]
    ones = np.ones((S, 1), dtype=bool)
    freeze(*((P.data, P.indices, P.indptr) if op.is_sparse else (P,)), r, ones)
    # Non-negative terms: a sum over actions is off by at most A + 1 roundings of itself. A mean reward may cancel, but
    # is off by as much of max|r|, which is how the bound is used. With the defect of the policy's own row sums in it,
    # the bound holds for the policy as stored and for the policy divided by its row sums.
    off = float(np.abs(policy.sum(axis=1) - 1).max()) + 2 * (A + 2) * UNIT
    return Bellman(P, r, ones, mdp.gamma, 2.1 * ROW_SUM_TOLERANCE, 1.01 * off, op.terminal)


def policy_evaluation(mdp: MDP, policy: Any, *, tol: float = 1e-6, max_iters: int = 10_000) -> Solution:
    """Value of a policy.

    Parameters
    ----------
    mdp
        Discounted model.
    policy
        `(S,)` actions or `(S, A)` probabilities.
    tol
        Certified error, `> 0`.
    max_iters
        Most Krylov solves, where the model is too large to factorise.

    Returns
    -------
    Solution
        Its policy is the one given; certificate of kind `"evaluation"`: `lo <= T_pi lo`, `T_pi hi <= hi` exactly.

    Raises
    ------
    ValueError
        `policy` is not one of `mdp`, or `mdp` is not discounted.
    SolverFailure
        The certified gap misses `tol`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> policy_evaluation(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.9), [[0.5, 0.5]]).value.round(9).tolist()
    [5.0]
    """
    require_discounted(mdp, "policy_evaluation")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    pi = checked_policy(mdp, policy)
    start, one = time.perf_counter(), policy_operator(mdp, pi)
    if one.S > _LU_STATES:
        best, count = krylov_policies(one, tol, max_iters)
    else:
        best, count = settle(one, solve_policy(one), tol), 1
    if best.gap > tol:
        raise failure(one, best, tol, "policy_evaluation", f"{count} solves")
    seconds = time.perf_counter() - start
    return Solution(best.v, pi, best.certificate("evaluation"), "policy_evaluation", count, seconds)


def q_values(mdp: MDP, value: Any) -> np.ndarray:
    """Values of actions r + gamma P value, `(S, A)`; -inf where an action is not available.

    Parameters
    ----------
    mdp
        Any model.
    value
        `(S,)`, the value from the next step on.

    Raises
    ------
    ValueError
        The shape of `value`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> q_values(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), [2.0]).tolist()
    [[1.0, 2.0]]
    """
    require_type(mdp, MDP, "q_values")
    v = np.asarray(value, dtype=np.float64)
    if v.shape != (mdp.S,):
        raise ValueError(f"value has shape {v.shape}, expected ({mdp.S},)")
    op = Bellman.of(mdp)
    return np.where(mdp.actions, mdp.r + mdp.gamma * (op.P @ v).reshape(mdp.S, mdp.A), -np.inf)


def occupancy_measure(
    mdp: MDP, policy: Any, *, mu: Any = None, normalised: bool = True, tol: float = 1e-9
) -> np.ndarray:
    """How often a policy is in each state and takes each action.

    Parameters
    ----------
    mdp
        Discounted, or with a horizon.
    policy
        `(S,)` or `(S, A)`; over a horizon also `(H, S)` or `(H, S, A)`, one a stage.
    mu
        Distribution of the initial state `(S,)`; the model's own by default.
    normalised
        True: d, which sums to one: `(1 - gamma) sum_t gamma^t P(s_t = s, a_t = a)`. False: D = d / (1 - gamma), for
        which `mu . V^pi = sum_sa D r`. Over a horizon each stage sums to one, and this argument has no effect.
    tol
        Largest error of D in the l1 norm, relative to its sum.

    Returns
    -------
    array
        `(S, A)`, or `(H, S, A)` over a horizon: probabilities of each stage.

    Raises
    ------
    ValueError
        `policy` or `mu` does not fit the model.
    SolverFailure
        The flow equations hold no better than `tol`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.75, mu=[1.0, 0.0])
    >>> occupancy_measure(mdp, [0, 0])[:, 0].tolist()
    [0.25, 0.75]
    """
    require_type(mdp, MDP, "occupancy_measure")
    mu = mdp.mu if mu is None else check_distribution("mu", mu, mdp.S)
    if mu is None:
        raise ValueError("mu is None and the model has none; occupancy_measure needs an initial distribution")
    if mdp.horizon is not None:
        return _stages(mdp, policy, mu)
    require_discounted(mdp, "occupancy_measure")
    tol = checked_tol(tol)
    pi = checked_policy(mdp, policy)
    one = policy_operator(mdp, pi)
    visits = _solve_flow(one, mu)
    # The l1 norm of (I - gamma P^T)^-1 is 1 / (1 - gamma) at most, and D sums to that much.
    defect = float(np.abs(mu + one.gamma * (one.P.T @ visits) - visits).sum())
    if not defect <= tol:
        raise SolverFailure(
            f"occupancy_measure: the flow equations are off by {defect:.2g} in the l1 norm; tol={tol:g}"
        )
    if normalised:
        visits = (1 - mdp.gamma) * visits
    return visits[:, None] * _probabilities(pi, mdp.A)


def _solve_flow(one: Bellman, mu: np.ndarray) -> np.ndarray:
    """D (S,) with D = mu + gamma P_pi^T D, by LU where it fits, else by BiCGSTAB."""
    if one.S <= _LU_STATES:
        if one.is_sparse:
            return np.maximum(spla.splu(policy_matrix(one)).solve(mu, trans="T"), 0.0)
        return np.maximum(scipy.linalg.solve(policy_matrix(one).T, mu), 0.0)
    flow = spla.LinearOperator(one.P.shape, matvec=lambda x: x - one.gamma * (one.P.T @ x), dtype=np.float64)
    visits, _ = spla.bicgstab(flow, mu, x0=mu / (1 - one.gamma), rtol=1e-13, maxiter=5000)
    return np.maximum(visits, 0.0)


def _stages(mdp: MDP, policy: Any, mu: np.ndarray) -> np.ndarray:
    """Probabilities of (state, action) at each stage of the horizon."""
    H = mdp.horizon
    given = np.asarray(policy)
    staged = given.shape in {(H, mdp.S), (H, mdp.S, mdp.A)} and given.shape != (mdp.S, mdp.A)
    out, at = np.empty((H, mdp.S, mdp.A)), mu
    for t in range(H):
        pi = checked_policy(mdp, given[t] if staged else given)
        out[t] = at[:, None] * _probabilities(pi, mdp.A)
        at = Bellman.of(mdp).P.T @ out[t].ravel()
    return out


def _probabilities(pi: np.ndarray, A: int) -> np.ndarray:
    """A checked policy as (S, A) probabilities."""
    return pi if pi.ndim == 2 else (pi[:, None] == np.arange(A)).astype(np.float64)
