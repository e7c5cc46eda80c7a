"""Policy iteration, with exact evaluation by sparse or dense LU, or inexact evaluation by a Krylov method."""

import time
import warnings

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from mdplab.exact.arguments import checked_count, checked_tol, require_discounted
from mdplab.exact.bracket import Bracket, failure, settle
from mdplab.exact.discounted import Watch, finish, first_value
from mdplab.exact.operator import UNIT, Bellman
from mdplab.exact.progress import Progress
from mdplab.models import MDP, Solution, SolverFailure


def policy_matrix(one: Bellman):
    """I - gamma P_pi of a one-action operator, CSC or dense."""
    if one.is_sparse:
        return (sp.eye_array(one.S, format="csr") - one.gamma * one.P).tocsc()
    return np.eye(one.S) - one.gamma * one.P


def solve_policy(one: Bellman) -> np.ndarray:
    """Value of a one-action operator by LU, refined once."""
    matrix, rhs = policy_matrix(one), one.r[:, 0]
    try:
        if one.is_sparse:
            solve = spla.splu(matrix).solve
        else:
            factors = scipy.linalg.lu_factor(matrix)

            def solve(b):
                return scipy.linalg.lu_solve(factors, b)

        v = solve(rhs)
        return v + solve(rhs - matrix @ v)
    except (MemoryError, RuntimeError) as error:
        raise SolverFailure(f"LU of I - gamma P_pi failed at S={one.S}, gamma={one.gamma!r}: {error}") from error


def improve(op: Bellman, v: np.ndarray, pi: np.ndarray) -> tuple[np.ndarray, float, float, bool]:
    """T v, its range over v, and whether pi, changed in place, gained; keeps an action unless another is better."""
    out, greedy = np.empty_like(v), np.empty_like(pi)
    low, high = op.backup(v, out, greedy)
    noise = 4 * (op.row_entries + 4) * UNIT * (op.r_size + float(np.abs(v).max()))
    change = (greedy != pi) & (out - v > noise)
    pi[change] = greedy[change]
    return out, low, high, bool(change.any())


def policy_iteration(mdp: MDP, *, tol: float = 1e-6, max_iters: int = 1000, progress: bool = False) -> Solution:
    """Optimal value and policy by exact evaluation (sparse LU if the model is CSR, dense LU if not) and improvement.

    Parameters
    ----------
    mdp
        Discounted model.
    tol
        Certified error of the value at every state, and loss of the policy, `> 0`.
    max_iters
        Most improvements.
    progress
        Show a line while a long solve runs.

    Returns
    -------
    Solution
        `num_iters` counts evaluations; certificate of kind `"discounted"`.

    Raises
    ------
    ValueError
        `mdp` is not discounted, or an argument is out of range.
    SolverFailure
        The certified gap misses `tol`, or the factorisation runs out of memory.

    Source
    ------
    Howard (1960); Puterman (1994), section 6.4. An action is kept unless another gains more than rounding, so that ties
    cannot make the policies cycle.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> P = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> policy_iteration(MDP(P, [[0.5, 0.0], [1.0, 1.0]], 0.9)).policy.tolist()
    [1, 0]
    """
    require_discounted(mdp, "policy_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    start, op = time.perf_counter(), Bellman.of(mdp)
    best, count = factorised_policies(op, tol, max_iters, progress=progress)
    return finish("policy_iteration", best, count, start)


def factorised_policies(
    op: Bellman, tol: float, max_iters: int, *, start_value: np.ndarray | None = None, progress: bool = False
) -> tuple[Bracket, int]:
    """The bracket that policy iteration reaches, within `tol`, and its evaluations; else SolverFailure.

    The first policy is greedy for `start_value`, or for the reward.
    """
    watch = Watch(op, tol)
    _, pi = first_value(op)
    if start_value is not None:
        op.backup(start_value, np.empty(op.S), pi)
    with Progress("policy_iteration", tol, progress) as line:
        for i in range(1, max_iters + 1):
            v = solve_policy(op.on_policy(pi))
            out, low, high, gained = improve(op, v, pi)
            line.update(watch.bound(low, high))
            if not gained:
                break
            if watch.ready(low, high, 1.0) and watch.certify(out, low, high):
                return watch.best, i
    best = settle(op, v, tol)
    if best.gap > tol:
        raise failure(op, best, tol, "policy_iteration", f"{i} improvements")
    return best, i


_INNER = {"bicgstab": spla.bicgstab, "gmres": spla.gmres}


def inexact_policy_iteration(
    mdp: MDP, *, tol: float = 1e-6, max_iters: int = 10_000, inner: str = "bicgstab", progress: bool = False
) -> Solution:
    """Optimal value by policy iteration whose evaluations are Krylov solves, each just accurate enough to go on.

    Parameters
    ----------
    mdp, tol, progress
        As for `policy_iteration`.
    max_iters
        Most improvements.
    inner
        `"bicgstab"` or `"gmres"` (restarted after 30 vectors).

    Returns
    -------
    Solution
        `num_iters` counts improvements; certificate of kind `"discounted"`.

    Raises
    ------
    ValueError, SolverFailure
        As for `policy_iteration`.

    Notes
    -----
    An evaluation solves (I - gamma P_pi) d = T v - v for the step d, after its constant part has been taken off
    exactly, to a residual a hundred times below that of the improvement. A Krylov method that breaks down is replaced
    by a sweep.

    Source
    ------
    Gargiani, Liao-McPherson, Zanelli, Lygeros (2022), "Inexact GMRES policy iteration for large-scale Markov decision
    processes"; van der Vorst (1992) for BiCGSTAB.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> inexact_policy_iteration(MDP([[[0.5, 0.5]], [[0.5, 0.5]]], [[1.0], [0.0]], 0.5)).value.round(6).tolist()
    [1.5, 0.5]
    """
    require_discounted(mdp, "inexact_policy_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    if inner not in _INNER:
        raise ValueError(f"inner is {inner!r}; expected one of {sorted(_INNER)}")
    start, op = time.perf_counter(), Bellman.of(mdp)
    best, count = krylov_policies(op, tol, max_iters, inner, progress=progress)
    return finish("inexact_policy_iteration", best, count, start)


def krylov_policies(
    op: Bellman,
    tol: float,
    max_iters: int,
    inner: str = "bicgstab",
    *,
    start_value: np.ndarray | None = None,
    progress: bool = False,
) -> tuple[Bracket, int]:
    """The bracket that inexact policy iteration reaches, within `tol`, and its improvements; else SolverFailure."""
    watch = Watch(op, tol)
    v, pi = first_value(op)
    v = v if start_value is None else start_value.copy()
    out = np.empty_like(v)
    with Progress("inexact_policy_iteration", tol, progress) as line:
        for i in range(1, max_iters + 1):
            low, high = op.backup(v, out, pi)
            line.update(watch.bound(low, high))
            if watch.ready(low, high, 1.0) or i == max_iters:
                if watch.certify(out, low, high):
                    return watch.best, i
                low, high = op.backup(v, out, pi)
            if watch.hopeless:
                break
            v = _krylov_step(op.on_policy(pi), v, np.subtract(out, v, out=out), low, high, inner, tol)
    raise failure(op, watch.best, tol, "inexact_policy_iteration", f"{i} improvements")


def _krylov_step(one: Bellman, v, residual, low, high, inner, tol) -> np.ndarray:
    """v plus an approximate solution of (I - gamma P_pi) d = residual."""
    middle = 0.5 * (low + high)
    residual -= middle
    P, gamma = one.P, one.gamma
    operator = spla.LinearOperator((one.S, one.S), matvec=lambda x: x - gamma * (P @ x), dtype=np.float64)
    options = {"rtol": 0.01, "atol": 1e-3 * tol * (1 - gamma)}
    options |= {"maxiter": 500} if inner == "bicgstab" else {"restart": 30, "maxiter": 20}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        step, _ = _INNER[inner](operator, residual, **options)
    after = residual - operator.matvec(step)
    if not np.isfinite(step).all() or np.abs(after).max() > np.abs(residual).max():
        # One backup always contracts; it is what remains when a Krylov method breaks down.
        return v + residual + middle / (1 - gamma)
    return v + step + middle / (1 - gamma)
