"""Distributional dynamic programming on stocks without a horizon: whole laws on a grid of stocks."""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.stock.bracket import bracket
from mdplab.exact.stock.grid_solver import INNER_SWEEPS, GridChoice, grid_data, require_stationary, solve_on, upward
from mdplab.exact.stock.operator import Rows, StockOperator, kinked
from mdplab.exact.stock.placing import stock_range, uniform
from mdplab.kernels.stock_laws import law_sweep
from mdplab.models import Certificate, Functional, Solution, SolverFailure, StockMDP

# Of one outcome, that may fall outside the returns without anybody asking.
_NO_MASS = 1e-12


def categorical_stock_iteration(
    problem: StockMDP,
    z: Any,
    *,
    method: str = "value",
    stock_step: float | None = None,
    num_stocks: int | None = None,
    stock_grid: Any = None,
    tol: float = 1e-6,
    clip: bool = False,
    max_iters: int = 10_000,
) -> Solution:
    """Distributional value or policy iteration: laws of the return on a grid of stocks, as masses on fixed returns.

    Parameters
    ----------
    problem
        As for `stock_value_iteration`, gamma below 1.
    z : array (M,)
        Returns, evenly spaced and increasing, that hold every return that occurs.
    method : {"value", "policy"}
        Improve the actions in every sweep, or once the laws of the present ones have settled.
    stock_step, num_stocks, stock_grid
        As for `stock_value_iteration`, but even by default, 201 of them.
    tol : float
        Laws have settled once no sweep moves one by more than `tol (1 - gamma) / gamma` in w_1, actions once none
        changes.
    clip
        Put mass outside z on its ends instead of refusing.
    max_iters
        Most sweeps.

    Returns
    -------
    Solution
        Value `(S, K)` within the certificate, of kind `"stock"`, which holds for the policy `(S, K)` at all stocks.
        `extras`: `"grid"`, `"z"`, `"laws"` `(S, K, M)`, `"law_values"` `(S, K)` the utility of stock plus return by
        those laws, `"error_bounds"`: `"stocks"` and `"projection"`, which bound, added up, how far `law_values` are
        from the optimum.

    Raises
    ------
    ValueError
        As `stock_value_iteration`; z is not even, or does not hold the returns (with the lost mass).
    SolverFailure
        Neither laws nor actions settle within `max_iters`: the iterates of distributional value iteration need not
        converge where actions tie; their values do.

    Notes
    -----
    The next stock is rounded to the nearest of the grid, which costs half a cell in the choice of a law and half in its
    evaluation, `slope gamma dc / (1 - gamma)`; projection on z costs `slope dz / 2` a sweep. Actions are compared
    before projection: otherwise its error would enter twice.

    Source
    ------
    Pires et al. (2025), sections 3 and 4.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> problem = StockMDP(MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5), functional("target"))
    >>> answer = categorical_stock_iteration(problem, [0.0, 0.5, 1.0], stock_step=0.5)
    >>> answer.extras["laws"][0, 0].tolist()
    [0.0, 0.0, 1.0]
    """
    start, name = time.perf_counter(), "categorical_stock_iteration"
    require_type(problem, StockMDP, name)
    if not isinstance(problem.objective, Functional):
        raise ValueError(f"objective is {problem.objective.name}; laws are compared by a utility, use static_cvar")
    if method not in ("value", "policy"):
        raise ValueError(f"method is {method!r}; expected 'value' or 'policy'")
    f, rows = problem.objective, Rows.of(problem)
    require_stationary(problem, f, rows, name)
    if problem.gamma == 1 or rows.running.any():
        raise ValueError(f"{name} needs gamma < 1 and no running reward; use stock_value_iteration")
    z, tol, max_iters = _checked_returns(z), checked_tol(tol), checked_count("max_iters", max_iters)
    grid = _even_grid(GridChoice.of(stock_step, num_stocks, stock_grid), rows, f)
    op = StockOperator.of(rows, f, grid)
    eta, values, pi, sweeps, lost = _iterate(op, f, z, method, tol, max_iters)
    if lost > _NO_MASS and not clip:
        raise ValueError(
            f"z ends at {z[0]:g} and {z[-1]:g}: mass {lost:.3g} of an outcome lies outside (or give clip=True)"
        )
    v, _, more = solve_on(op, INNER_SWEEPS, 100_000)
    v_pi, still = v.copy(), np.zeros(op.shape)
    while op.follow(v_pi, pi, still) > 1e-12 * (1 + np.abs(v_pi).max()):
        more += 1
    found = bracket(op, v, pi, accuracy=1e-3 * tol, max_iters=10_000, v_pi=v_pi)
    data = grid_data(op, found)
    gap = upward(float((data["hi"] - data["lo"]).max()))
    slope = max(abs(op.left), abs(op.right))
    bounds = {
        "stocks": slope * rows.gamma * float(np.diff(grid).max()) / (1 - rows.gamma),
        "projection": slope * 0.5 * float(z[1] - z[0]) / (1 - rows.gamma),
    }
    extras = {"grid": grid, "z": z, "laws": eta, "law_values": values, "error_bounds": bounds}
    value = np.clip(0.5 * (data["lo"] + data["hi"]), data["lo"], data["hi"])
    seconds = time.perf_counter() - start
    certificate = Certificate("stock", gap, {"lost_mass": lost}, data)
    return Solution(value, pi, certificate, name, sweeps + more + found.num_iters, seconds, extras=extras)


def _iterate(
    op: StockOperator, f: Functional, z: np.ndarray, method: str, tol: float, max_iters: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, float]:
    """Laws, values, actions, sweeps, and the largest mass outside z."""
    rows, grid, (S, K) = op.rows, op.grid, op.shape
    at_zero, left, right = kinked(f)
    middles = 0.5 * (grid[:-1] + grid[1:])
    near = np.searchsorted(middles, (grid[None, :] + rows.rewards[:, None]) / rows.gamma)
    eta = np.zeros((S, K, len(z)))
    place = np.clip(np.searchsorted(z, 0.0, side="right") - 1, 0, len(z) - 2)
    share = np.clip((0.0 - z[place]) / (z[1] - z[0]), 0.0, 1.0)
    eta[:, :, place], eta[:, :, place + 1] = 1 - share, share
    new, values, pi = eta.copy(), op.first(), op.any_policy()
    model = (rows.indptr, rows.following, rows.prob, rows.kind, rows.rewards, rows.actions, rows.terminal)
    allowed = tol * (1 - rows.gamma) / rows.gamma
    improve, before, lost = True, pi.copy(), 0.0
    for done in range(1, max_iters + 1):
        lost = max(
            lost, law_sweep(*model, grid, near, rows.gamma, at_zero, left, right, z, improve, eta, pi, new, values)
        )
        moved = float(np.abs(np.cumsum(new - eta, axis=2)).sum(axis=2).max()) * (z[1] - z[0])
        eta, new = new, eta
        settled = moved <= allowed
        if method == "value":
            if settled:
                return eta, values, pi, done, lost
        elif improve:
            if settled or (done > 1 and np.array_equal(pi, before)):
                return eta, values, pi, done, lost
            improve, before = False, pi.copy()
        elif settled:
            improve = True
    raise SolverFailure(
        f"categorical_stock_iteration: after {max_iters} sweeps laws still move by {moved:.3g} in w_1, asked for "
        f"{allowed:.3g}; where actions tie they may do so for ever"
    )


def _checked_returns(z: Any) -> np.ndarray:
    z = np.array(z, dtype=np.float64)
    if z.ndim != 1 or len(z) < 2 or not np.isfinite(z).all() or z[1] <= z[0]:
        raise ValueError(f"z has shape {z.shape}; expected at least 2 finite returns, increasing")
    uneven = np.flatnonzero(np.abs(np.diff(z) - (z[-1] - z[0]) / (len(z) - 1)) > 1e-9 * (z[-1] - z[0]))
    if uneven.size:
        k = int(uneven[0])
        raise ValueError(f"z[{k + 1}] - z[{k}] is {z[k + 1] - z[k]:g}; returns are evenly spaced")
    return z


def _even_grid(choice: GridChoice, rows: Rows, f: Functional) -> np.ndarray:
    if choice.stock_grid is not None:
        return choice.stock_grid
    _, left, right = kinked(f)
    low, high = stock_range(rows, left, right)
    return uniform(low, high, choice.stock_step or (high - low) / (choice.num_stocks or 201))
