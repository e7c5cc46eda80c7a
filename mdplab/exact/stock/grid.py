"""Stock-augmented dynamic programming over an infinite horizon: values on a grid of stocks, certified at all stocks."""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.stock.grid_solver import (
    INNER_SWEEPS,
    ROUGHLY,
    GridChoice,
    Outlook,
    bracket_on,
    grid_data,
    grids,
    missed,
    require_stationary,
    solve_on,
    upward,
)
from mdplab.exact.stock.grid_static import static_cvar, static_ocvar
from mdplab.exact.stock.operator import Rows, StockOperator
from mdplab.exact.stock.placing import graded
from mdplab.models import Certificate, Functional, Solution, StockMDP

__all__ = ["static_cvar", "static_ocvar", "stock_policy_iteration", "stock_value_iteration"]


def stock_value_iteration(
    problem: StockMDP,
    *,
    stock_step: float | None = None,
    num_stocks: int | None = None,
    stock_grid: Any = None,
    tol: float | None = None,
    max_iters: int = 100_000,
) -> Solution:
    """Largest expected utility of stock plus return, from every state and stock, without a horizon.

    Parameters
    ----------
    problem
        Objective a utility that is linear on both sides of 0 (`mean`, `target`, `negative_part`, `positive_part`);
        gamma below 1, or 1 without cycles off the terminal states.
    stock_step : float, optional
        Stocks are its multiples, over the range in which anything is undecided.
    num_stocks : int >= 3, optional
        About so many stocks on that range, closer where values bend.
    stock_grid : array (K,), optional
        The stocks themselves, increasing, 0 among them.
    tol : float, optional
        Certified error at every state and stock. With none of the three above the grid is refined until `tol` is met;
        without `tol` it has 401 stocks, and the certificate says what that reached.
    max_iters
        Most sweeps of each phase.

    Returns
    -------
    Solution
        Value `(S, K)`, policy `(S, K)`: with stock c, carried exactly, take the action of the nearest grid stock.
        Certificate of kind `"stock"`; its gap holds at all stocks, on the grid, between and beyond. `extras`: `"grid"`.

    Raises
    ------
    ValueError
        The theory does not cover the objective (with the reason), or a finite horizon (see
        `mdplab.exact.stock.finite`); a grid that is no grid.
    SolverFailure
        The gap misses `tol`; the message says what was reached, and which step should do.

    Source
    ------
    Pires et al. (2025), theorem 6, lemma 12; Bauerle and Ott (2011) for `negative_part`. The bracket is this
    library's: see `mdplab.exact.stock.bracket`.

    Examples
    --------
    Stay for 1, or leave for 0; with stock c, come as close to 0 as possible.

    >>> from mdplab.models import MDP, functional
    >>> P = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> problem = StockMDP(MDP(P, [[1.0, 0.0], [0.0, 0.0]], 0.5), functional("target"))
    >>> answer = stock_value_iteration(problem, stock_step=0.25)
    >>> at = np.searchsorted(answer.extras["grid"], [-2.0, -1.0, 0.0])
    >>> bool(np.all(np.abs(answer.value[0, at]) <= answer.certificate.gap))
    True
    """
    return _solve("stock_value_iteration", problem, 0, stock_step, num_stocks, stock_grid, tol, max_iters)


def stock_policy_iteration(
    problem: StockMDP,
    *,
    stock_step: float | None = None,
    num_stocks: int | None = None,
    stock_grid: Any = None,
    tol: float | None = None,
    max_iters: int = 100_000,
) -> Solution:
    """As `stock_value_iteration`, each policy evaluated by sweeps before it is improved; see there.

    Source
    ------
    Pires et al. (2025), theorem 8.
    """
    return _solve("stock_policy_iteration", problem, -1, stock_step, num_stocks, stock_grid, tol, max_iters)


def _solve(
    name: str,
    problem: StockMDP,
    inner: int,
    stock_step: Any,
    num_stocks: Any,
    stock_grid: Any,
    tol: Any,
    max_iters: int,
) -> Solution:
    start = time.perf_counter()
    require_type(problem, StockMDP, name)
    if not isinstance(problem.objective, Functional):
        raise ValueError(f"objective is {problem.objective.name}; use static_cvar or static_ocvar")
    f, rows = problem.objective, Rows.of(problem)
    require_stationary(problem, f, rows, name)
    choice = GridChoice.of(stock_step, num_stocks, stock_grid)
    tol = None if tol is None else checked_tol(tol)
    max_iters = checked_count("max_iters", max_iters)
    total, hopeless = 0, Outlook(problem.S)

    def refine(even: StockOperator, size: int) -> np.ndarray:
        nonlocal total
        v, _, sweeps = solve_on(even, INNER_SWEEPS, max_iters, accuracy=ROUGHLY)
        total += sweeps
        return graded(even, v, np.ones(even.shape), size)

    for grid in grids(choice, rows, f, problem.S, refine):
        op = StockOperator.of(rows, f, grid)
        found, sweeps = bracket_on(op, inner, max_iters, tol)
        total += sweeps
        if tol is None or found.gap <= tol or hopeless.add(grid, found.gap, tol):
            break
    data = grid_data(op, found)
    lo, hi = data["lo"], data["hi"]
    gap = upward(float((hi - lo).max()))
    if tol is not None and gap > tol:
        raise missed(name, gap, tol, grid)
    value = np.clip(0.5 * (lo + hi), lo, hi)
    seconds = time.perf_counter() - start
    return Solution(value, found.pi, Certificate("stock", gap, {}, data), name, total, seconds, extras={"grid": grid})
