"""One entry for every problem: choose a solver, say which and why, fall back if it fails."""

import dataclasses
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from mdplab.exact.arguments import checked_tol
from mdplab.exact.discounted import finish, swept_policies
from mdplab.exact.operator import Bellman
from mdplab.models import MDP, Solution, SolverFailure

# Solvers by public name, and the module that holds each; loaded when called, so that one solve pays for one method.
_METHODS = {
    "value_iteration": "mdplab.exact.discounted",
    "gauss_seidel": "mdplab.exact.discounted",
    "modified_policy_iteration": "mdplab.exact.discounted",
    "policy_iteration": "mdplab.exact.policy_iteration",
    "inexact_policy_iteration": "mdplab.exact.policy_iteration",
    "linear_programming": "mdplab.exact.linear_programming",
    "backward_induction": "mdplab.exact.backward_induction",
    "stochastic_shortest_path": "mdplab.exact.stochastic_shortest_path",
    "average_reward": "mdplab.exact.average",
}
_CRITERIA = ("auto", "discounted", "finite-horizon", "total", "average")

# Sweeps of a policy's own rows are cheap; up to this many in all beat a factorisation or a Krylov method.
_FEW_SWEEPS = 300
# States up to which a factorisation of I - gamma P_pi fits in the time of the alternatives.
_LU_DENSE, _LU_SPARSE = 3000, 50_000


def solve(
    problem: Any, *, tol: float = 1e-6, method: str = "auto", criterion: str = "auto", progress: bool = False
) -> Solution:
    """Solve a decision problem to a certified tolerance.

    Parameters
    ----------
    problem
        An MDP: discounted, over a finite horizon, or undiscounted with termination.
    tol
        Certified error, `> 0`.
    method
        A solver's public name, or `"auto"`.
    criterion
        `"average"` for the gain; `"auto"` reads it off the problem (a horizon, else gamma = 1, else discounted).
    progress
        Show a line while a long solve runs.

    Returns
    -------
    Solution
        `method` and `reason` say what was chosen and why.

    Raises
    ------
    ValueError
        An unknown method or criterion, or one that does not fit the problem.
    SolverFailure
        No method certified `tol`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> answer = solve(MDP([[[0.5, 0.5]], [[0.5, 0.5]]], [[1.0], [0.0]], 0.9))
    >>> answer.value.round(6).tolist(), answer.status
    ([5.5, 4.5], 'certified')
    """
    tol = checked_tol(tol)
    if not isinstance(problem, MDP):
        raise ValueError(f"problem is a {type(problem).__name__}; solve takes an MDP")
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion is {criterion!r}; expected one of {list(_CRITERIA)}")
    if method != "auto" and method not in _METHODS:
        raise ValueError(f"method is {method!r}; expected 'auto' or one of {sorted(_METHODS)}")
    if method != "auto":
        return _solver(method)(problem, tol=tol)
    if criterion == "auto":
        criterion = "finite-horizon" if problem.horizon else "total" if problem.gamma == 1 else "discounted"
    single = {
        "finite-horizon": ("backward_induction", "the problem has a horizon"),
        "total": ("stochastic_shortest_path", "gamma is 1 and some states are terminal"),
        "average": ("average_reward", "the average-reward criterion was asked for"),
    }
    if criterion in single:
        name, reason = single[criterion]
        return dataclasses.replace(_solver(name)(problem, tol=tol), reason=reason)
    return _solve_discounted(problem, tol, progress)


def _solver(name: str) -> Callable[..., Solution]:
    return getattr(import_module(_METHODS[name]), name)


def _solve_discounted(mdp: MDP, tol: float, progress: bool) -> Solution:
    """Sweeps if the chain mixes, which their own first rounds show; else a factorisation or a Krylov method."""
    start = time.perf_counter()
    try:
        best, count = swept_policies(Bellman.of(mdp), tol, 1000, None, budget=_FEW_SWEEPS, progress=progress)
        reason = "modified_policy_iteration: the chain mixes fast, so that cheap sweeps under few policies suffice"
        return finish("modified_policy_iteration", best, count, start, reason=reason)
    except SolverFailure as error:
        if "least that can be certified" in str(error):
            raise
        trouble = [str(error)]
    if mdp.S <= (_LU_SPARSE if mdp.is_sparse else _LU_DENSE):
        order, size = ["policy_iteration", "inexact_policy_iteration"], "small enough to factorise"
    else:
        order, size = ["inexact_policy_iteration", "policy_iteration"], "too large to factorise"
    for name in [*order, "value_iteration"]:
        try:
            answer = _solver(name)(mdp, tol=tol, progress=progress)
        except SolverFailure as error:
            trouble.append(str(error))
            if "least that can be certified" in str(error):
                break
            continue
        reason = f"{name}: the chain is slow and {size} ({'; '.join(trouble)})"
        return dataclasses.replace(answer, reason=reason, seconds=time.perf_counter() - start)
    raise SolverFailure("; ".join(trouble))
