"""Bounds of the entropic risk for all large risk aversions at once, through the best worst case.

`worst[t](s)` is at least the best worst case from (t, s), and a transition is kept if `r + gamma worst[t + 1](s') <=
worst[t](s)`: along such transitions the return stays below it. `far[t](s) >= -(1/b_t) log E [exp(-b_t X); kept]`, the
most that any policy can reach, obeys the entropic recursion without the other transitions. As `X <= worst` on what is
kept, `E exp(-b (X - w)) >= E [exp(-b (X - w)); kept]` only grows with b. See `mdplab.exact.evar` for what follows.
"""

import math
from dataclasses import dataclass

import numpy as np

from mdplab.exact.operator import UNIT
from mdplab.exact.risk import MAX_ENTRIES, StagedRisk
from mdplab.exact.risk_rows import entropic


@dataclass(frozen=True, eq=False, slots=True)
class Worst:
    """`table` (N + 1, S), by how much it leaves each kept transition room, and its least value from the start."""

    table: np.ndarray
    room: float
    floor: float

    @classmethod
    def of(cls, problem: StagedRisk, start: np.ndarray, tol: float) -> "Worst | None":
        """For starts (S,), a fraction of `tol` above the worst case itself; None if too long for memory."""
        rows, gamma, S = problem.rows, problem.mdp.gamma, problem.mdp.S
        if problem.H is not None:
            N, last, weight = problem.H, 0.0, float(problem.H)
        else:
            most = float(rows.reward.max())
            # Nothing is worth more for ever than the largest reward.
            last, weight = (most + 1e-12 * abs(most)) / (1 - gamma), 1 / (1 - gamma)
            N = 1 if gamma == 0 else max(1, math.ceil(math.log(min(1.0, tol / 32 / problem.R)) / math.log(gamma)))
        if (N + 1) * S > MAX_ENTRIES:
            return None
        size = float(np.abs(rows.reward).max()) * (weight + 2)
        # Outcomes that are worth nearly the same count as one.
        room = max(64 * UNIT * size, tol / (64 * weight))
        table = np.full((N + 1, S), last)
        best = np.full(S * problem.mdp.A, -np.inf)
        for t in range(N - 1, -1, -1):
            best[rows.pair] = np.minimum.reduceat(rows.reward + gamma * table[t + 1][rows.to], rows.starts)
            table[t] = best.reshape(S, -1).max(axis=1) + 2 * room
        return cls(table, room, float(table[0][start > 0].min()) + 2 * room)


@dataclass(frozen=True, eq=False, slots=True)
class Far:
    """`hi` (N + 1, S), upper bounds of what is kept at one risk aversion."""

    worst: Worst
    hi: np.ndarray

    @classmethod
    def of(cls, problem: StagedRisk, worst: Worst, beta: float) -> "Far":
        """By backward induction; `beta` above 0."""
        rows, gamma = problem.rows, problem.mdp.gamma
        hi = worst.table.copy()
        q = np.full(problem.mdp.S * problem.mdp.A, -np.inf)
        for t in range(len(hi) - 2, -1, -1):
            b = beta * gamma ** float(t)
            kept = rows.reward + gamma * worst.table[t + 1][rows.to] <= worst.table[t][problem.owner] - worst.room
            x = np.where(kept, rows.reward + gamma * hi[t + 1][rows.to], np.inf)
            low = np.minimum.reduceat(x, rows.starts)
            grown = rows.prob * np.exp(-b * (x - np.repeat(low, rows.counts)))
            q[rows.pair] = low - np.log(np.add.reduceat(grown, rows.starts)) / b
            value = q.reshape(problem.mdp.S, -1).max(axis=1)
            d = float(np.abs(x - value[problem.owner])[kept].max())
            # A referee's rounding is also that of exponentials near 1.
            hi[t] = value + problem.allowance(hi[t + 1], 0.0, t, d) + (4 * problem.n + 256) * UNIT / b
        return cls(worst, hi)

    def upper(self, start: np.ndarray, beta: float, loss: float) -> float:
        """The most that `ERM_b - loss / b` can be for b >= beta, from `start` (S,), with room for a referee."""
        floor = self.worst.floor
        kept = (start > 0) & (self.worst.table[0] <= floor)
        share = start[kept].sum() / start.sum()
        far = entropic(self.hi[0][kept], start[kept], beta) - math.log(share) / beta
        size = abs(floor) + abs(far) + (loss + 2 * len(start) + 8) / beta
        return floor + max(0.0, far - floor - loss / beta) + 64 * UNIT * size
