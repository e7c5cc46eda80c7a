"""Objectives beyond the mean: which problem an objective makes of a model, and which solver suits it."""

import dataclasses
from importlib import import_module
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from mdplab.exact.arguments import checked_positive, checked_tol, require_type
from mdplab.models import (
    MDP,
    CVaR,
    CVaRSet,
    EntropicRisk,
    EVaR,
    Functional,
    NestedCVaR,
    Objective,
    OCVaR,
    RobustMDP,
    Solution,
    StockMDP,
    can_optimise,
)

# Solvers of a StockMDP by public name, and the module of each: all reachable stocks, or a grid of stocks.
STOCK_METHODS = {
    "stock_backward_induction": "mdplab.exact.stock.finite",
    "distributional_value_iteration": "mdplab.exact.stock.finite",
    "distributional_policy_iteration": "mdplab.exact.stock.finite",
    "static_cvar_finite": "mdplab.exact.stock.finite_static",
    "static_ocvar_finite": "mdplab.exact.stock.finite_static",
    "stock_value_iteration": "mdplab.exact.stock.grid",
    "stock_policy_iteration": "mdplab.exact.stock.grid",
    "static_cvar": "mdplab.exact.stock",
    "static_ocvar": "mdplab.exact.stock",
}
_ON_A_GRID = {"stock_value_iteration", "stock_policy_iteration", "static_cvar", "static_ocvar"}
_LAWS = "distributional_value_iteration"
_OF_LAWS = {_LAWS, "distributional_policy_iteration"}


def solve_stock(
    problem: StockMDP,
    *,
    tol: float | None = None,
    method: str = "auto",
    stock: float = 0.0,
    stock_step: float | None = None,
    heuristic: bool = False,
) -> Solution:
    """Solve a stock problem: on all reachable stocks if play is bounded, else on a grid of stocks.

    Parameters
    ----------
    problem : StockMDP
    tol : float > 0, optional
        Certified error on a grid; None for what 401 stocks give. Reachable stocks are exact up to rounding.
    method : str
        A key of `STOCK_METHODS`, or `"auto"`.
    stock : float
        Initial stock of a functional; a risk measure chooses its own.
    stock_step : float, optional
        Distance of the grid's stocks; the solver's choice by default.
    heuristic : bool
        Compute what theory does not allow to optimise too; its status is then `"heuristic"`.

    Returns
    -------
    Solution
        See the method in `mdplab.exact.stock`; `reason` says why it was chosen.

    Raises
    ------
    ValueError
        A functional that theory does not allow (unless `heuristic`), with the reason; an unknown method; `stock_step`
        where no grid is used.
    SolverFailure
        The certificate misses `tol`.

    Examples
    --------
    >>> from mdplab.instances import ocvar_randomisation
    >>> solve_stock(ocvar_randomisation()).value.round(6).tolist()
    [1.428571]
    """
    require_type(problem, StockMDP, "solve_stock")
    tol, objective = None if tol is None else checked_tol(tol), problem.objective
    if method not in ("auto", *STOCK_METHODS):
        raise ValueError(f"method is {method!r}; a StockMDP is solved by 'auto' or one of {sorted(STOCK_METHODS)}")
    if not np.isfinite(stock):
        raise ValueError(f"stock is {stock!r}; expected a finite number")
    reason = ""
    if method == "auto":
        method, why = _choice(problem)
        reason = f"{method}: {why}"
    if stock_step is not None and method not in _ON_A_GRID:
        raise ValueError(f"stock_step is {stock_step!r}, but {method} uses all reachable stocks and no grid")
    if method in _OF_LAWS and isinstance(objective, Functional) and not heuristic:
        allowed = can_optimise(objective, problem.gamma, problem.horizon, discounted=False)
        if not allowed:
            raise ValueError(f"{allowed.reason}; heuristic=True (--heuristic of mdplab solve) computes it anyway")
    options: dict[str, Any] = {}
    if method in _ON_A_GRID:
        options = {"tol": tol} | (
            {} if stock_step is None else {"stock_step": checked_positive("stock_step", stock_step)}
        )
    elif isinstance(objective, Functional):
        options["c0"] = stock
    if method in _OF_LAWS:
        options["heuristic"] = heuristic
    solution = getattr(import_module(STOCK_METHODS[method]), method)(problem, **options)
    return dataclasses.replace(solution, reason=reason) if reason else solution


def solve_objective(
    mdp: MDP,
    objective: Objective,
    *,
    start: Any = None,
    tol: float | None = None,
    method: str = "auto",
    stock: float = 0.0,
    stock_step: float | None = None,
    heuristic: bool = False,
) -> tuple[MDP | RobustMDP | StockMDP, Solution]:
    """Solve a model for an objective, and say which problem that is.

    Parameters
    ----------
    mdp : MDP
    objective
        What `mdplab.models.parse_objective` returns.
    start : int or array (S,), optional
        First state or its distribution, the model's `mu` by default; CVaR, OCVaR and EVaR need one.
    tol : float > 0, optional
        Certified error; None for 1e-6, and on a grid of stocks for what 401 of them give.
    method, stock, stock_step, heuristic
        As for `solve_stock`; only where a stock is carried.

    Returns
    -------
    problem
        A `StockMDP` for functionals, CVaR and OCVaR, a `RobustMDP` for the nested CVaR, else the model: what the
        certificate is about.
    Solution

    Raises
    ------
    ValueError
        An objective that does not fit the model; an option that the objective does not have.

    Examples
    --------
    >>> from mdplab.models import parse_objective
    >>> coin = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 1.0, horizon=2)
    >>> for text in ("cvar:0.75", "ocvar:0.75", "evar:0.4"):
    ...     print(solve_objective(coin, parse_objective(text), start=0)[1].value.round(5) + 0.0)
    [-0.33333]
    [0.33333]
    [-1.]
    """
    require_type(mdp, MDP, "an objective")
    if isinstance(objective, Functional | CVaR | OCVaR):
        problem = StockMDP(mdp, objective, start=start)
        options = {"method": method, "stock": stock, "stock_step": stock_step, "heuristic": heuristic}
        return problem, solve_stock(problem, tol=tol, **options)
    if method != "auto" or stock_step is not None:
        name, value = ("method", method) if method != "auto" else ("stock_step", stock_step)
        raise ValueError(f"{name} is {value!r}, but {objective.name} has one method, and no grid of stocks")
    tol = 1e-6 if tol is None else checked_tol(tol)
    if isinstance(objective, EVaR):
        return mdp, import_module("mdplab.exact.evar").evar_dp(mdp, objective.level, start, tol=tol)
    risk = import_module("mdplab.exact.risk")
    if isinstance(objective, EntropicRisk):
        return mdp, risk.entropic_risk_dp(mdp, objective.beta, tol=tol)
    if isinstance(objective, NestedCVaR):
        return RobustMDP(mdp, CVaRSet(objective.tau)), risk.nested_cvar(mdp, objective.tau, tol=tol)
    raise ValueError(f"objective is {objective!r}; expected what parse_objective returns")


def _choice(problem: StockMDP) -> tuple[str, str]:
    """A method and why it suits; ValueError where none does."""
    objective = problem.objective
    if problem.horizon is not None or _always_ends(problem.mdp):
        why = "the horizon is finite" if problem.horizon is not None else "every policy ends within a bounded time"
        why = f"{why}, and all stocks that can be reached are listed"
        if isinstance(objective, Functional):
            # Indifference to mixtures makes it a recursion of numbers; else laws must be carried.
            return "stock_backward_induction" if objective.mixture_indifferent else _LAWS, why
        return "static_cvar_finite" if isinstance(objective, CVaR) else "static_ocvar_finite", why
    if problem.gamma == 1:
        raise ValueError("gamma is 1 and some policy may never end; give a horizon, or gamma below 1")
    why = "the horizon is infinite, and stocks lie on a grid"
    if isinstance(objective, Functional):
        allowed = can_optimise(objective, problem.gamma)
        if not allowed:
            # In money of the first stage every recursion on stocks is exact over a horizon.
            exact, anyway = "a horizon makes it exact", "with a finite horizon heuristic=True computes it anyway"
            raise ValueError(f"{allowed.reason}; {exact if objective.mixture_indifferent else anyway}")
        return "stock_value_iteration", why
    return "static_cvar" if isinstance(objective, CVaR) else "static_ocvar", why


def _always_ends(mdp: MDP) -> bool:
    """True if no policy can cycle among states that are not terminal."""
    P = mdp.P if mdp.is_sparse else sp.csr_array(mdp.P.reshape(-1, mdp.S))
    edges = sp.coo_array(P)
    source, target = edges.coords[0] // mdp.A, edges.coords[1]
    going = ~mdp.terminal[source]
    source, target = source[going], target[going]
    if np.any(source == target):
        return False
    graph = sp.csr_array((np.ones(source.size), (source, target)), shape=(mdp.S, mdp.S))
    return connected_components(graph, connection="strong")[0] == mdp.S
