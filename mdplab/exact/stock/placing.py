"""Which stocks to put on the grid: a range that holds what is undecided, and steps that are fine where it matters."""

import numpy as np
from scipy.sparse import csr_array

from mdplab.exact.stock.operator import Rows, StockOperator


def stock_range(rows: Rows, left: float, right: float) -> tuple[float, float]:
    """Stocks outside of which some best policy is known for good, for a utility with these slopes; 0 lies inside.

    Below minus the best return nothing lifts the sum above 0. Above minus the return that can be made sure, a policy
    keeps it above 0, which is best if more is worth nothing (`right = 0`) and nothing else counts; otherwise minus the
    worst return bounds.
    """
    best, safe, worst = rows.extremes()
    live = ~rows.terminal
    low = -best[live].max(initial=0.0)
    high = -(safe if right == 0 and not rows.running.any() else worst)[live].min(initial=0.0)
    size = max(1.0, abs(low), abs(high))
    # A range of no length still takes two stocks.
    return min(low, 0.0), max(high, 0.0, min(low, 0.0) + 1e-3 * size)


def uniform(low: float, high: float, step: float) -> np.ndarray:
    """Multiples of `step` that cover `[low, high]`."""
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return np.arange(first, last + 1) * step


def occupancy(op: StockOperator, pi: np.ndarray, start: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Discounted visits of states and grid stocks from stocks with `weights` (K,); stocks between are split."""
    r, (S, K) = op.rows, op.shape
    row = np.repeat(np.arange(len(r.indptr) - 1), np.diff(r.indptr))
    state, action = np.divmod(row, r.running.shape[1])
    outcome, k = np.nonzero((pi[state] == action[:, None]) & ~r.terminal[state][:, None])
    at, to = state[outcome] * K + k, r.following[outcome] * K
    cell, weight = op.cell[r.kind[outcome], k], op.weight[r.kind[outcome], k]
    p = r.gamma * r.prob[outcome]
    entries = (np.append(p * (1 - weight), p * weight), (np.append(to + cell, to + cell + 1), np.append(at, at)))
    step = csr_array(entries, shape=(S * K, S * K))
    mass, total = np.outer(start, weights).ravel(), np.zeros(S * K)
    for _ in range(1000):
        total += mass
        mass = step @ mass
        if mass.sum() <= 1e-3:
            break
    return total.reshape(S, K)


def graded(op: StockOperator, v: np.ndarray, visits: np.ndarray, num_stocks: int) -> np.ndarray:
    """About `num_stocks` stocks on the range of the grid, as dense as the cube root of visits times curvature.

    That density balances errors of the order of curvature times step squared. A part of the stocks is spread evenly.
    """
    grid, width = op.grid, np.diff(op.grid)
    slopes = np.diff(v, axis=1, prepend=v[:, :1] - op.left, append=v[:, -1:] + op.right)
    slopes[:, 1:-1] /= width
    bends = np.abs(np.diff(slopes, axis=1)) * visits
    bends[op.rows.terminal] = 0.0
    at_node = bends.sum(axis=0)
    # A bend belongs to the cells on both of its sides, and the nodes beyond: the next sweep moves it.
    spread = np.convolve(np.pad(at_node, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    density = np.cbrt(0.5 * (spread[:-1] + spread[1:]) / width)
    mass = density * width
    if mass.sum() <= 0:
        mass = width.copy()
    mass = 0.9 * mass / mass.sum() + 0.1 * width / width.sum()
    levels = np.append(0.0, np.cumsum(mass))
    placed = np.interp(np.linspace(0, levels[-1], max(2, num_stocks - 1)), levels, grid)
    # The utility bends at 0, and so does the value of terminal states: 0 takes the place of the stock next to it.
    near = int(np.abs(placed[1:-1]).argmin()) + 1 if len(placed) > 2 else 0
    if placed[0] < 0 < placed[-1] and len(placed) > 2:
        placed[near] = 0.0
    placed = np.unique(np.append(placed, 0.0))
    return placed[np.append(True, np.diff(placed) > 1e-9 * (placed[-1] - placed[0]))]


def lattice_step(rows: Rows) -> float | None:
    """The largest number of which all rewards are multiples up to rounding; None if there is none of their size."""
    sizes = np.abs(rows.rewards[rows.rewards != 0])
    if not sizes.size:
        return 1.0
    step = float(sizes[0])
    for size in sizes[1:]:
        a, b = float(size), step
        while b > 1e-9 * sizes.max():
            a, b = b, a % b
            b = 0.0 if a - b < 1e-9 * sizes.max() else b
        step = a
    multiples = np.round(sizes / step)
    return step if np.all(np.abs(multiples * step - sizes) <= 1e-9 * sizes) and multiples.max() < 1e6 else None


# Of the step: a power of two keeps lattices of short numbers exact, and slopes over so much are no burden on rounding.
_GUARD = 2.0**-6


def guarded(grid: np.ndarray) -> np.ndarray:
    """A lattice of stocks, each with a close guard on either side.

    Between the stocks of a lattice that play never leaves the best action changes, and bounds that are linear from one
    stock to the next pay for it at both. Guards pay instead.
    """
    near = _GUARD * float(np.diff(grid).min())
    return np.unique(np.concatenate([grid - near, grid, grid + near]))


def guarded_stock(grid: np.ndarray) -> np.ndarray:
    """For each stock the index of the one it guards, its own if it guards none, (K,)."""
    width = np.diff(grid)
    close = width < 2 * _GUARD * width.max()
    left, right = np.append(False, close), np.append(close, False)
    own = np.arange(len(grid))
    return np.where(left & ~right, own - 1, np.where(right & ~left, own + 1, own))
