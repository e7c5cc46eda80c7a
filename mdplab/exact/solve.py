"""One entry for every problem: choose a solver, say which and why, fall back if it fails."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from mdplab.exact.arguments import checked_tol
from mdplab.exact.bracket import Bracket
from mdplab.exact.discounted import finish, first_value, swept_in_order, swept_policies
from mdplab.exact.objectives import solve_stock
from mdplab.exact.operator import Bellman
from mdplab.exact.policy_iteration import factorised_policies, krylov_policies
from mdplab.models import (
    MDP,
    ConstrainedMDP,
    LinearMDP,
    MarkovGame,
    MatrixGame,
    PerformativeMDP,
    PolymatrixGame,
    PreferenceGame,
    RobustLinearMDP,
    RobustMDP,
    Solution,
    SolverFailure,
    StockMDP,
    UtilityMDP,
)

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
    "constrained_mdp": "mdplab.exact.constrained",
    "nash_equilibrium": "mdplab.exact.games",
    "logit_equilibrium": "mdplab.exact.logit_equilibrium",
    "performatively_stable": "mdplab.exact.performative_stable",
    "maximal_utility": "mdplab.exact.general_utility",
    "strategy_iteration": "mdplab.exact.markov_games",
    "shapley_value_iteration": "mdplab.exact.markov_games",
    "linear_backward_induction": "mdplab.exact.linear",
}
_ROBUST = (
    "residual_conditioned_policy_iteration",
    "partial_policy_iteration",
    "robust_policy_iteration",
    "robust_modified_policy_iteration",
    "robust_value_iteration",
)
_METHODS |= dict.fromkeys(_ROBUST, "mdplab.exact.robust")
# Problems that are no MDP, their solvers (the first by default), and why that one.
_OTHERS = {
    ConstrainedMDP: (("constrained_mdp",), "the solver of a ConstrainedMDP"),
    PreferenceGame: (("nash_equilibrium",), "the solver of a PreferenceGame"),
    MatrixGame: (("nash_equilibrium",), "the solver of a MatrixGame"),
    PerformativeMDP: (("performatively_stable",), "a stable point of a PerformativeMDP with its regularisation"),
    UtilityMDP: (("maximal_utility",), "a concave program over occupancies"),
    PolymatrixGame: (("logit_equilibrium",), "the solver of a PolymatrixGame"),
    LinearMDP: (("linear_backward_induction",), "the problem is linear over a finite horizon"),
    RobustLinearMDP: (("linear_backward_induction",), "one inner problem for each factor and stage"),
    MarkovGame: (("strategy_iteration", "shapley_value_iteration"), "few backups, each a linear program"),
}
_CRITERIA = ("auto", "discounted", "finite-horizon", "total", "average")

# Sweeps of a policy's own rows are cheap; up to this many in all beat a factorisation or a Krylov method.
_FEW_SWEEPS = 300
# Sweeps in order cost a backup each; the second number holds where a factorisation does not fit.
_ORDERED_SWEEPS = (1000, 3000)
# Factors of I - gamma P_pi are taken to fit if they have at most this many entries.
_LU_ENTRIES = 10_000_000


def solve(
    problem: Any, *, tol: float = 1e-6, method: str = "auto", criterion: str = "auto", progress: bool = False
) -> Solution:
    """Solve a decision problem to a certified tolerance.

    Parameters
    ----------
    problem
        An MDP: discounted, over a finite horizon, or undiscounted with termination; a `ConstrainedMDP`; a
        `PreferenceGame`, a zero-sum `MatrixGame` or a `MarkovGame`; a `PolymatrixGame`; a `RobustMDP`; a `LinearMDP`
        or a `RobustLinearMDP`; a `StockMDP` (with more options: `mdplab.exact.objectives.solve_stock`); a
        `PerformativeMDP` that has its regularisation `lam`; a `UtilityMDP`.
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
    if isinstance(problem, StockMDP):
        if criterion != "auto":
            raise ValueError(f"criterion is {criterion!r}; a StockMDP has its objective")
        return solve_stock(problem, tol=tol, method=method)
    if type(problem) in _OTHERS:
        names, reason = _OTHERS[type(problem)]
        if method not in ("auto", *names) or criterion != "auto":
            asked = f"method is {method!r} and criterion {criterion!r}"
            raise ValueError(f"{asked}; a {type(problem).__name__} is solved by {' or '.join(names)}")
        solution = _solver(names[0] if method == "auto" else method)(problem, tol=tol)
        return dataclasses.replace(solution, reason=f"{names[0]}: {reason}") if method == "auto" else solution
    if isinstance(problem, RobustMDP):
        return _solve_robust(problem, tol, method, criterion, progress)
    if not isinstance(problem, MDP):
        expected = (
            "an MDP, a ConstrainedMDP, a RobustMDP, a StockMDP, a UtilityMDP or a preference, matrix, polymatrix or "
            "Markov game"
        )
        raise ValueError(f"problem is a {type(problem).__name__}; expected {expected}")
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion is {criterion!r}; expected one of {list(_CRITERIA)}")
    if method != "auto" and method not in [name for name in _METHODS if name not in _ROBUST]:
        raise ValueError(f"method is {method!r}; expected 'auto' or one of {sorted(_METHODS.keys() - {*_ROBUST})}")
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


def _solve_robust(problem: RobustMDP, tol: float, method: str, criterion: str, progress: bool) -> Solution:
    if criterion not in ("auto", "discounted"):
        raise ValueError(f"criterion is {criterion!r}; a RobustMDP is discounted")
    if method not in ("auto", *_ROBUST):
        raise ValueError(f"method is {method!r}; a RobustMDP is solved by 'auto' or one of {sorted(_ROBUST)}")
    if method != "auto":
        return _solver(method)(problem, tol=tol, progress=progress)
    return import_module("mdplab.exact.robust.solvers").fastest(problem, tol=tol, progress=progress)


def _solve_discounted(mdp: MDP, tol: float, progress: bool) -> Solution:
    """Sweeps if the chain mixes, or if its states are in a good order, which their own first rounds show; else PI."""
    start, op = time.perf_counter(), Bellman.of(mdp)
    trouble, value = [], None
    for name, reason, method in _plan(op):
        more = {"start_value": value} if method in (factorised_policies, krylov_policies) else {}
        try:
            best, count = method(op, tol, 1_000_000 if method is swept_in_order else 10_000, progress=progress, **more)
        except SolverFailure as error:
            trouble.append(str(error))
            if "least that can be certified" in str(error):
                break
            value = getattr(error, "value", value)
            continue
        return finish(name, best, count, start, reason="; ".join([f"{name}: {reason}", *trouble]))
    raise SolverFailure("; ".join(trouble))


def _plan(op: Bellman) -> Iterator[tuple[str, str, Callable[..., tuple[Bracket, int]]]]:
    """Methods in the order to try, each with its name and why it should do."""
    swept = functools.partial(swept_policies, limit=None, budget=_FEW_SWEEPS)
    yield "modified_policy_iteration", "the chain mixes fast, so that cheap sweeps under few policies suffice", swept
    small = _factorisable(op)
    ordered = functools.partial(swept_in_order, budget=_ORDERED_SWEEPS[not small])
    yield "gauss_seidel", "sweeps in the order of the states carry rewards far", ordered
    if small:
        yield "policy_iteration", "the chain is slow, and its matrix small enough to factorise", factorised_policies
    yield "inexact_policy_iteration", "the chain is slow, and its matrix large to factorise", krylov_policies
    yield "gauss_seidel", "what always converges, however slowly", swept_in_order


def _factorisable(op: Bellman) -> bool:
    """True if LU factors of I - gamma P_pi should fit: dense, or within the bandwidth that Cuthill-McKee finds."""
    if op.S**2 <= _LU_ENTRIES:
        return not op.is_sparse or op.S <= 1000 or _band(op) * op.S <= _LU_ENTRIES
    return op.is_sparse and op.P.nnz <= _LU_ENTRIES and _band(op) * op.S <= _LU_ENTRIES


def _band(op: Bellman) -> int:
    """Bandwidth of the graph of the reward's greedy policy in Cuthill-McKee order: random chains have about S."""
    P = op.on_policy(first_value(op)[1]).P
    P = sp.csr_array((np.ones(P.nnz, dtype=np.int8), P.indices, P.indptr), shape=P.shape)
    graph = (P + P.T).tocsr()
    place = np.empty(op.S, dtype=np.int64)
    place[reverse_cuthill_mckee(graph, symmetric_mode=True)] = np.arange(op.S)
    rows = np.repeat(np.arange(op.S), np.diff(graph.indptr))
    return int(np.abs(place[rows] - place[graph.indices]).max(initial=0))
