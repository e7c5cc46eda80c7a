"""The law of the return of a policy on stocks that carries its stock exactly: what a plan on a grid really does."""

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


def nearest_action(grid: np.ndarray, policy: np.ndarray, state: np.ndarray, stock: np.ndarray) -> np.ndarray:
    """The action of the grid stock nearest to each `stock` (n,), in each `state` (n,), by the table (S, K)."""
    return policy[state, np.searchsorted(0.5 * (grid[:-1] + grid[1:]), stock, side="right")]


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
    A = rows.running.shape[1]
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
        row = state * A + action
        counts = rows.indptr[row + 1] - rows.indptr[row]
        ends = np.cumsum(counts)
        entry = np.arange(ends[-1]) - np.repeat(ends - counts - rows.indptr[row], counts)
        state = rows.following[entry]
        money = np.repeat(money, counts) + power * rows.rewards[rows.kind[entry]]
        mass = np.repeat(mass, counts) * rows.prob[entry]
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
