"""What the solvers on stock grids share: which grids are tried, and how each is solved and bracketed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_positive
from mdplab.exact.stock.bracket import StockBracket, bracket, optimise
from mdplab.exact.stock.operator import Rows, StockOperator, kinked
from mdplab.exact.stock.placing import guarded, guarded_stock, lattice_step, stock_range, uniform
from mdplab.models import Functional, SolverFailure, StockMDP
from mdplab.models.functionals import can_optimise

# Numbers in one table (S, K): 160 MB; a handful of them are held at once.
MAX_ENTRIES = 20_000_000
DEFAULT_STOCKS = 401
# Actions are improved once in so many sweeps: a sweep for fixed actions costs a share of 1 / A.
INNER_SWEEPS = 8
# Of the values on a grid that only shows where to put the stocks of another.
ROUGHLY = 1e-5


@dataclass(frozen=True, slots=True)
class GridChoice:
    """What a caller says of the grid; at most one of them."""

    stock_step: float | None
    num_stocks: int | None
    stock_grid: np.ndarray | None

    @classmethod
    def of(cls, stock_step: Any, num_stocks: Any, stock_grid: Any) -> "GridChoice":
        """Checked: ValueError names what is wrong."""
        if sum(given is not None for given in (stock_step, num_stocks, stock_grid)) > 1:
            raise ValueError("stock_step, num_stocks and stock_grid: give at most one of them")
        if stock_step is not None:
            return cls(checked_positive("stock_step", stock_step), None, None)
        if num_stocks is not None:
            count = checked_count("num_stocks", num_stocks)
            if count < 3:
                raise ValueError(f"num_stocks is {count}; expected at least 3")
            return cls(None, count, None)
        return cls(None, None, None if stock_grid is None else _checked_grid(stock_grid))

    @property
    def open(self) -> bool:
        """True if the grid is left to the solver."""
        return self.stock_step is None and self.num_stocks is None and self.stock_grid is None


def _checked_grid(given: Any) -> np.ndarray:
    grid = np.array(given, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 3 or not np.isfinite(grid).all():
        raise ValueError(f"stock_grid has shape {grid.shape}; expected at least 3 finite stocks")
    bad = np.flatnonzero(np.diff(grid) <= 0)
    if bad.size:
        k = int(bad[0])
        raise ValueError(f"stock_grid[{k + 1}] is {grid[k + 1]:g} after {grid[k]:g}; stocks increase strictly")
    if not (grid == 0).any():
        raise ValueError("stock_grid does not hold 0, where the utility has its corner")
    return grid


def require_stationary(problem: StockMDP, f: Functional, rows: Rows, name: str) -> None:
    """ValueError unless stocks on a grid can hold the problem with utility f."""
    if problem.horizon is not None:
        raise ValueError(
            f"horizon is {problem.horizon}; {name} is for an infinite horizon, use mdplab.exact.stock.finite"
        )
    if problem.gamma == 1 and rows.depth is None:
        raise ValueError(
            f"gamma is 1 and the model has cycles off its terminal states, where returns have no bound; {name} needs "
            "gamma < 1, or no cycles, or give the model a horizon and use mdplab.exact.stock.finite"
        )
    verdict = can_optimise(f, problem.gamma, discounted=rows.depth is None)
    if not verdict:
        raise ValueError(f"{name} cannot optimise {f.name}: {verdict.reason}")
    if f.utility is None:
        raise ValueError(f"{name} needs an expected utility; {f.name} is none, use mdplab.exact.stock.finite")
    kinked(f)


def grids(
    choice: GridChoice, rows: Rows, f: Functional, num_states: int, refine: Callable[[StockOperator, int], np.ndarray]
) -> Iterator[np.ndarray]:
    """The grids to try in turn: the caller's one, or finer and finer ones placed by `refine(operator, size)`."""
    if choice.stock_grid is not None:
        yield choice.stock_grid
        return
    _, left, right = kinked(f)
    low, high = stock_range(rows, left, right)
    if choice.stock_step is not None:
        count = (high - low) / choice.stock_step + 2
        if count * num_states > MAX_ENTRIES:
            least = (high - low) / (MAX_ENTRIES / num_states - 2)
            raise SolverFailure(
                f"stock_step {choice.stock_step:g} needs about {count:.3g} stocks on [{low:g}, {high:g}] for "
                f"{num_states} states, more than {MAX_ENTRIES} numbers; a step of {least:.3g} fits"
            )
        multiples = rows.rewards / choice.stock_step
        whole = rows.gamma == 1 and bool(np.all(np.abs(multiples - np.round(multiples)) < 1e-9))
        grid = uniform(low, high, choice.stock_step)
        yield guarded(grid) if whole else grid
        return
    size = choice.num_stocks or DEFAULT_STOCKS
    step = lattice_step(rows)
    if rows.gamma == 1 and step and (high - low) / step * num_states * 3 <= MAX_ENTRIES:
        # All stocks that occur are on the grid: nothing is interpolated.
        yield guarded(uniform(low, high, step))
        return
    # Laws of long play are narrow beside the range: a finer grid shows where they are, and is solved only roughly.
    count = max(2, min(2 * size, MAX_ENTRIES // num_states) - 2)
    yield refine(StockOperator.of(rows, f, uniform(low, high, (high - low) / count)), size)
    while choice.num_stocks is None and 2 * size * num_states <= MAX_ENTRIES:
        size *= 2
        yield refine(StockOperator.of(rows, f, uniform(low, high, (high - low) / (size - 2))), size)


def solve_on(
    op: StockOperator, inner: int, max_iters: int, *, accuracy: float = 1e-10
) -> tuple[np.ndarray, np.ndarray, int]:
    """Values and actions of the interpolated problem, by default to an accuracy far below what its grid allows."""
    scale = float(np.abs(op.grid).max()) * max(abs(op.left), abs(op.right)) + float(np.abs(op.rows.running).max())
    return optimise(op, inner=inner, accuracy=accuracy * (1 - op.rows.gamma + 1e-3) * scale, max_iters=max_iters)


def bracket_on(op: StockOperator, inner: int, max_iters: int, tol: float | None) -> tuple[StockBracket, int]:
    """Values, actions, and their bracket; the sweeps that they took."""
    v, pi, sweeps = solve_on(op, inner, max_iters)
    if op.rows.gamma == 1:
        pi = pi[:, guarded_stock(op.grid)]
    found = bracket(op, v, pi, accuracy=_closing_accuracy(op, tol), max_iters=max_iters)
    return found, sweeps + found.num_iters


def _closing_accuracy(op: StockOperator, tol: float | None) -> float:
    """What the last constant may cost: little beside the error of interpolation, or beside `tol`."""
    slope = max(abs(op.left), abs(op.right))
    wide = 1e-3 * slope * float(op.grid[-1] - op.grid[0]) / len(op.grid)
    return wide if tol is None else min(wide, 0.1 * tol)


def grid_data(op: StockOperator, found: StockBracket) -> dict[str, np.ndarray]:
    """What the referee reads of a bracket: grid, lo, hi; on terminal states f rounded down and up."""
    lo, hi = found.lo.copy(), found.hi.copy()
    lo[op.rows.terminal] = np.nextafter(op.terminal_values, -np.inf)
    hi[op.rows.terminal] = np.nextafter(op.terminal_values, np.inf)
    return {"grid": op.grid, "lo": lo, "hi": hi}


def upward(x: float) -> float:
    """A float above a difference of floats that rounded to x."""
    return float(np.nextafter(x * (1 + 2.0**-50), np.inf))


class Outlook:
    """Sees from the gaps of finer and finer grids that no grid that fits memory will do."""

    def __init__(self, num_states: int) -> None:
        self.num_states = num_states
        self._last: tuple[int, float] | None = None

    def add(self, grid: np.ndarray, gap: float, tol: float) -> bool:
        """True if the rate seen, at best quadratic, does not reach `tol` within twice what fits."""
        size, last = len(grid), self._last
        self._last = (size, gap)
        if last is None or size <= last[0]:
            return False
        rate = np.clip(np.log(last[1] / gap) / np.log(size / last[0]), 0.5, 4.0)
        return size * (gap / tol) ** (1 / rate) * self.num_states > 2 * MAX_ENTRIES


def missed(name: str, gap: float, tol: float, grid: np.ndarray) -> SolverFailure:
    """The failure that says what was reached and which step should do."""
    step = float(np.diff(grid).max())
    # The error is between linear and quadratic in the step: the square root of the ratio is the optimist's answer.
    fine, sure = step * np.sqrt(tol / gap), step * tol / gap
    return SolverFailure(
        f"{name}: certified gap {gap:.3g} with {len(grid)} stocks (largest step {step:.3g}), tol {tol:g}; a step of "
        f"about {fine:.2g} should do where laws are spread out, {sure:.2g} in any case"
    )
