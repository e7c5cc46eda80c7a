"""One entry for every problem: choose a solver, say which and why, fall back if it fails."""

import dataclasses
import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_tol
from mdplab.exact.discounted import finish, first_value, swept_policies
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

_PROBES = 10
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
    start = time.perf_counter()
    order, reason = _choose(mdp, tol)
    trouble = []
    for k, name in enumerate(order):
        try:
            if name == "modified_policy_iteration" and k == 0:
                best, count = swept_policies(Bellman.of(mdp), tol, 1000, None, budget=_FEW_SWEEPS, progress=progress)
                answer = finish(name, best, count, start)
            else:
                answer = _solver(name)(mdp, tol=tol, progress=progress)
        except SolverFailure as error:
            trouble.append(str(error))
            if "least that can be certified" in str(error):
                break
            continue
        if trouble:
            reason += f"; taken after: {'; '.join(trouble)}"
        return dataclasses.replace(answer, reason=reason, seconds=time.perf_counter() - start)
    raise SolverFailure("; ".join(trouble))


def _choose(mdp: MDP, tol: float) -> tuple[list[str], str]:
    """Methods in the order to try, and why: from how fast the residual's span shrinks under the greedy policy."""
    op = Bellman.of(mdp)
    _, pi = first_value(op)
    ratio, span = _contraction(op, pi)
    target = 0.5 * tol * (1 - mdp.gamma)
    if span <= target:
        sweeps = 0
    elif ratio >= 1:
        sweeps = math.inf
    else:
        sweeps = math.log(target / span) / math.log(ratio) if ratio > 0 else 1
    seen = f"after {_PROBES} sweeps of one policy the span of the residual shrinks by a factor {ratio:.3g} a sweep"
    if mdp.S <= (_LU_SPARSE if mdp.is_sparse else _LU_DENSE):
        slow, size = ["policy_iteration", "inexact_policy_iteration"], "small enough to factorise"
    else:
        slow, size = ["inexact_policy_iteration", "policy_iteration"], "too large to factorise"
    if sweeps <= _FEW_SWEEPS:
        order, why = ["modified_policy_iteration", *slow], "the chain mixes fast, sweeps suffice"
    else:
        order, why = [*slow, "value_iteration"], f"the chain is slow and {size}"
    return order, f"{order[0]}: {seen}; {why}"


def _contraction(op: Bellman, pi: np.ndarray) -> tuple[float, float]:
    """Factor by which the span of the residual shrinks in one of the last sweeps under pi, and the span then."""
    one = op.on_policy(pi)
    v, out, scratch = np.zeros(op.S), np.empty(op.S), np.empty(op.S, dtype=np.int64)
    spans = []
    for _ in range(_PROBES):
        low, high = one.backup(v, out, scratch)
        v, out = out, v
        spans.append(high - low)
        if high - low <= 1e-12 * max(1.0, abs(high)):
            return 0.0, high - low
    # A transient flatters the first sweeps: the slowest of the last three speaks.
    return max(b / a for a, b in zip(spans[-4:], spans[-3:])), spans[-1]
