"""The law of the return of a policy on stocks: what a plan on a grid does, with its stock exact or in cells.

An exact stock has too many values to follow, and joining them costs an error in proportion to how far they move. A
policy that knows its stock only by the cell that it lies in, and acts as at the mean over all histories that lead to
that state and cell, has as many values as cells; putting the mean in the place of the money is a conditional
expectation, so what is followed is smaller in the convex order than the law of that policy's return: expectations of
convex functions, and OCVaR, are bounded from below, with an error of the order of the square of the cells.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.stock.operator import Rows
from mdplab.models import FiniteLaw


@dataclass(frozen=True, eq=False, slots=True)
class Realised:
    """A return law within `w_1` distance `error` of the true one, and where the error comes from.

    `merge_error`: atoms of one state whose money was close were put together, and carry on with their mean stock; it
    bounds, in the mean and in money of the first stage, how far `c_t + G_t` is from `gamma^-t (c_0 + G_0)`.
    `tail_error`: what was cut off after `num_steps` decisions.
    """

    law: FiniteLaw
    merge_error: float
    tail_error: float
    num_steps: int

    @property
    def error(self) -> float:
        """Bound of the `w_1` distance."""
        return self.merge_error + self.tail_error


# The decision from which on stocks are known by cells, where so few live that they never are.
NEVER = 2**40


@dataclass(frozen=True, eq=False, slots=True)
class Contracted:
    """A law that is smaller in the convex order than the true one, up to a shift of each atom by at most `error`.

    From decision `merge_from` on, stocks were known by their cells; `num_steps` decisions were followed.
    """

    law: FiniteLaw
    error: float
    merge_from: int
    num_steps: int


def nearest_action(grid: np.ndarray, policy: np.ndarray, state: np.ndarray, stock: np.ndarray) -> np.ndarray:
    """The action of the grid stock nearest to each `stock` (n,), in each `state` (n,), by the table (S, K)."""
    # Midway the lower one, as a referee has it: the laws of the two differ.
    return policy[state, np.searchsorted(0.5 * (grid[:-1] + grid[1:]), stock)]


def realised_law(
    rows: Rows,
    grid: np.ndarray,
    policy: np.ndarray,
    start: np.ndarray,
    c0: float,
    *,
    tol: float,
    max_atoms: int = 20_000,
    max_steps: int = 100_000,
) -> Realised:
    """Propagate the law of state and money from `start` (S,) and stock c0.

    Atoms are merged within rounding, and in wider and wider bins only where more than `max_atoms` would live at once;
    then the law is that of a policy that remembers the bin's mean stock. What is left to come is cut off, at its
    middle, once it is at most `tol / 2` in expectation.
    """
    best, _, worst = rows.extremes()
    state = np.flatnonzero(start > 0)
    money, mass = np.zeros(len(state)), start[state] / start[state].sum()
    done_x, done_p = [], []
    scale = 1.0 + float(np.abs(rows.rewards).max(initial=0.0))
    rounding = 1e-10 * scale
    power, width, merge_error, t = 1.0, rounding, 0.0, 0
    while True:
        ended = rows.terminal[state]
        done_x.append(money[ended])
        done_p.append(mass[ended])
        live = ~ended
        state, money, mass = state[live], money[live], mass[live]
        spread = 0.5 * power * (best - worst)[state]
        if float(mass @ spread) <= 0.5 * tol or t >= max_steps or not state.size:
            break
        with np.errstate(over="ignore"):
            action = nearest_action(grid, policy, state, (c0 + money) / power if power > 0 else (c0 + money) * np.inf)
        state, money, mass = _moved(rows, state, money, mass, action, power)
        merged = _merged(state, money, mass, np.full(len(state), rounding))
        if merged[0].size > max_atoms:
            # What is still to come shrinks: begin with finer bins than the last step's.
            width = max(2 * rounding, width / 8)
            merged = _merged(state, money, mass, width * _by_mass(mass))
            while merged[0].size > max_atoms:
                width *= 2 if merged[0].size > 1.5 * max_atoms else 1.25
                merged = _merged(state, money, mass, width * _by_mass(mass))
        state, money, mass, moved = merged
        merge_error += moved
        power *= rows.gamma
        t += 1
    tail = float(mass @ spread) if state.size else 0.0
    done_x.append(money + 0.5 * power * (best + worst)[state])
    done_p.append(mass)
    law = FiniteLaw.of(np.concatenate(done_x), np.concatenate(done_p), merge=1e-12)
    return Realised(law, merge_error, tail, t)


def contracted_law(
    rows: Rows,
    grid: np.ndarray,
    policy: np.ndarray,
    start: np.ndarray,
    c0: float,
    edges: np.ndarray,
    *,
    tol: float,
    max_atoms: int = 5_000,
) -> Contracted:
    """Propagate the law of state and money from `start` (S,) and stock c0; cells of stocks end at `edges` (n,).

    Stocks are carried exactly up to rounding while no more than `max_atoms` live at once. What is left to come is cut
    off, at its middle, once it is at most `tol` either way.
    """
    best, _, worst = rows.extremes()
    gamma, cells = rows.gamma, len(edges) + 1
    state = np.flatnonzero(start > 0)
    money, mass = np.zeros(len(state)), start[state] / start[state].sum()
    done_x, done_p = [], []
    rounding = 1e-10 * (1.0 + float(np.abs(rows.rewards).max(initial=0.0)))
    power, t, error, merge_from = 1.0, 0, 0.0, None
    while True:
        ended = rows.terminal[state]
        done_x.append(money[ended])
        done_p.append(mass[ended])
        state, money, mass = state[~ended], money[~ended], mass[~ended]
        if not state.size:
            break
        error = 0.5 * power * float((best - worst)[state].max())
        if error <= tol:
            break
        action = nearest_action(grid, policy, state, _stock(c0 + money, gamma, t))
        state, money, mass = _moved(rows, state, money, mass, action, power)
        power *= gamma
        t += 1
        if merge_from is None:
            merged = _merged(state, money, mass, np.full(len(state), rounding))[:3]
            if len(merged[0]) <= max_atoms:
                state, money, mass = merged
                continue
            merge_from = t
        place = state * cells + np.searchsorted(edges, _stock(c0 + money, gamma, t))
        total, sums = np.bincount(place, mass), np.bincount(place, mass * money)
        held = np.flatnonzero(total)
        state, money, mass = held // cells, sums[held] / total[held], total[held]
    done_x.append(money + 0.5 * power * (best + worst)[state])
    done_p.append(mass)
    law = FiniteLaw.of(np.concatenate(done_x), np.concatenate(done_p), merge=1e-12)
    return Contracted(law, error if state.size else 0.0, NEVER if merge_from is None else merge_from, t)


def cell_edges(grid: np.ndarray, gamma: float) -> np.ndarray:
    """Ends of cells, one inside each step of a grid of stocks, and beyond it ever wider ones."""
    # Off the middle: there two actions meet, and at simple fractions stocks of short numbers.
    inside = grid[:-1] + 0.381966 * np.diff(grid)
    # Money that no longer moves has stocks that grow by 1 / gamma: it stays together if its cells do.
    rate = np.log(1 / gamma) if gamma < 1 else 0.1
    rate /= np.ceil(rate / 0.1)
    beyond = np.exp(np.arange(0.0, 35.0, rate))
    ends = max(-grid[0], 1e-3 * np.ptp(grid)), max(grid[-1], 1e-3 * np.ptp(grid))
    return np.concatenate([-1.01 * ends[0] * beyond[::-1], inside, 1.01 * ends[1] * beyond])


def _stock(money: np.ndarray, gamma: float, t: int) -> np.ndarray:
    """What money of the first stage is at t; infinite far away in time."""
    power = gamma ** float(t)
    with np.errstate(over="ignore"):
        return money * gamma ** -float(t) if power > 0 else np.sign(money) * np.inf


def _moved(
    rows: Rows, state: np.ndarray, money: np.ndarray, mass: np.ndarray, action: np.ndarray, power: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms (n,) after a decision: one for each outcome, with rewards that count `power`."""
    row = state * rows.running.shape[1] + action
    counts = rows.indptr[row + 1] - rows.indptr[row]
    ends = np.cumsum(counts)
    entry = np.arange(ends[-1]) - np.repeat(ends - counts - rows.indptr[row], counts)
    money = np.repeat(money, counts) + power * rows.rewards[rows.kind[entry]]
    return rows.following[entry], money, np.repeat(mass, counts) * rows.prob[entry]


def _by_mass(mass: np.ndarray) -> np.ndarray:
    """Powers of 4, larger for lighter atoms: where they end up matters less."""
    return 4.0 ** np.clip(np.floor(-np.log(np.maximum(mass, 1e-300)) / np.log(8.0)), 0, 15)


def _merged(
    state: np.ndarray, money: np.ndarray, mass: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Atoms of one state in one bin put together at their mean; also the mass-weighted distance that they moved.

    `width` (n,) of each atom's bins; only atoms with equal widths share one.
    """
    # Fixed bins: atoms that hardly move stay where they were put together, at no further cost.
    bins = np.round(money / width)
    order = np.lexsort((bins, width, state))
    state, money, mass = state[order], money[order], mass[order]
    bins, width = bins[order], width[order]
    new = np.append(True, (np.diff(state) != 0) | (np.diff(bins) != 0) | (np.diff(width) != 0))
    group = np.cumsum(new) - 1
    total = np.bincount(group, mass)
    first = money[new]
    # Means are taken as offsets from the bin's first atom: sums of large money would round away what is small.
    mean = first + np.bincount(group, mass * (money - first[group])) / np.where(total > 0, total, 1.0)
    return state[new], mean, total, float(mass @ np.abs(money - mean[group]))
