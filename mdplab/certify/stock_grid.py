"""Bounds on all stocks from finitely many: functions that are linear between the stocks of a grid.

Let f be linear on both sides of 0, `f(0) = 0`, with the slopes `left` and `right`, and let V be the supremum over all
policies of `E [sum gamma^t running_t + f(c + G)]` from state s with stock c. As `f(gamma c) = gamma f(c)`,

    (T v)(s, c) = max_a running(s, a) + gamma E v(s', (c + r) / gamma),    v = f on terminal states,

and `V = T V`; `T_pi` for a policy's action. A table `(S, K)` stands for the function that has its values at the
grid's stocks, is linear between them and has the slopes of f outside; on terminal states it is f.

Proof. Let `T h <= h` at every state and real stock. Both h and f have the same slopes outside the grid, so `|h - f|
<= M` for some M. For any policy, also one that depends on history or draws lots, n decisions give `E [sum_{t<n}
gamma^t running_t] + gamma^n E h(s_n, c_n) <= h(s, c)`, where `gamma^n c_n = c + (return of n steps)`. Here `gamma^n E
h(s_n, c_n) >= E f(gamma^n c_n) - gamma^n M -> E f(c + G)`; without cycles off the terminal states it is that as soon
as all have terminated, whatever gamma is. So `V <= h`. With `h <= T_pi h` the inequalities turn round: `h <= V^pi`,
for the policy that carries its exact stock and takes the action of the nearest grid stock (of either, midway).

Both sides of an inequality of row (s, a) are continuous and piecewise linear in c. Their corners are the grid's
stocks and, for each reward r of the row, the stocks `gamma g - r` that lead to one, g in the grid (0, the corner of
f, is in the grid where there are terminal states). Beyond all corners the two slopes agree. So the inequality holds
everywhere as soon as it holds at the corners; for the policy's, at the corners within the cells of the grid stocks
that take the action, ends of cells included. From the corner `gamma g_k - r_i` the reward `r_j` leads to `g_k + (r_j
- r_i) / gamma`.

Proof for floats. Let C bound all stocks, L the slopes, H the values, b the number of outcomes of a row. A stock is
computed within `8 u C`, so that an interpolated value, an L-Lipschitz function of it, is within `u (32 L C + 16 H)`,
also where the wrong cell is taken; the average over outcomes adds `(b + 8) u H`, the other operations `4 u (H +
|running|)` each. A corner that is put into the wrong cell of the policy is within `8 u C` of the end of its own cell,
where the inequality is checked: it may be off by `32 u L C` more. All this is below `u (128 L C + (2 b + 64) (H +
|running|))`, and products that underflow lose less than `2^-900`.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.certify.case import Case, first
from mdplab.certify.enclosure import Plain, Rationals
from mdplab.certify.ragged import OutcomeRows, segments
from mdplab.certify.rational import fraction
from mdplab.certify.report import Refused
from mdplab.certify.rows import BLOCK, UNIT
from mdplab.certify.utilities import Utility
from mdplab.models import StockMDP


@dataclass(frozen=True, eq=False, slots=True)
class GridBounds:
    """A checked pair of bounds: `grid` (K,), `lo` and `hi` (S, K); `lo` is None if only the upper bound was given."""

    grid: np.ndarray
    lo: np.ndarray | None
    hi: np.ndarray


def grid_bounds(case: Case, problem: StockMDP, *, lower: bool = True) -> GridBounds:
    """The certificate's tables, their inequalities established; `lower=False` leaves `lo` and the policy alone."""
    mdp, f = case.mdp, Utility.of(problem)
    sides = f.sides()
    grid = checked_grid(case)
    rows = OutcomeRows.of(problem)
    if mdp.horizon is not None:
        raise Refused(f"the problem has horizon {mdp.horizon}; its certificate has stages")
    if not mdp.gamma < 1 and not _terminates(rows):
        raise Refused(f"gamma is {mdp.gamma:g} and some policy may never terminate")
    if mdp.terminal.any() and not (grid == 0).any():
        raise Refused("grid does not hold 0, where the utility has its corner on terminal states")
    shape = (mdp.S, len(grid))
    tables = {name: case.array(name, shape) for name in (("lo", "hi") if lower else ("hi",))}
    ends = ends_of(case, f, grid)
    for name, sign in (("lo", 1), ("hi", -1)):
        if name in tables:
            _require_ends(name, sign, tables[name][mdp.terminal], ends)
            tables[name] = np.where(mdp.terminal[:, None], f.value(Plain(), grid), tables[name])
    check = _Inequalities(case.level, problem, rows, grid, sides)
    check.upper(tables["hi"])
    if lower:
        check.lower(tables["lo"], nearest_policy(case, shape))
    return GridBounds(grid, *(case.array(n, shape) if n in tables else None for n in ("lo", "hi")))


def checked_grid(case: Case) -> np.ndarray:
    """Strictly increasing stocks, two at least."""
    grid = case.array("grid", (np.size(case.data.get("grid")),))
    if len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise Refused("grid does not increase, or has fewer than two stocks")
    return grid


def nearest_policy(case: Case, shape: tuple[int, ...], policy: Any = None) -> np.ndarray:
    """A table of available actions, one for each state and grid stock."""
    pi = np.asarray(case.solution.policy if policy is None else policy)
    if pi.shape != shape or not np.issubdtype(pi.dtype, np.integer):
        raise Refused(f"policy has shape {pi.shape} and dtype {pi.dtype}, expected {shape} integers")
    bad = (pi < 0) | (pi >= case.mdp.A)
    bad |= ~case.mdp.actions[np.arange(shape[0])[:, None], np.where(bad, 0, pi)]
    if bad.any():
        raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]}, no available action")
    return pi


def ends_of(case: Case, f: Utility, stocks: np.ndarray) -> list[Any]:
    """f at the stocks, exactly."""
    return [fraction(x) for x in f.value(Rationals(), stocks)] if case.mdp.terminal.any() else []


def _require_ends(name: str, sign: int, table: np.ndarray, ends: list[Any]) -> None:
    for k, exact in enumerate(ends):
        worst = float(table[:, k].max() if sign > 0 else table[:, k].min())
        if sign * (exact - worst.as_integer_ratio()[0] / type(exact)(worst.as_integer_ratio()[1])) < 0:
            raise Refused(f"{name} of a terminal state is {worst:.17g} at stock {k}, f is {float(exact):.17g}")


def _terminates(rows: OutcomeRows) -> bool:
    """Whether no state that is not terminal can come back to itself."""
    mdp, out = rows.mdp, rows.outcomes
    row = out.row_of()
    used = mdp.actions.ravel()[row]
    source, target = row[used] // mdp.A, out.next_state[used]
    left = ~mdp.terminal
    while left.any():
        stays = np.zeros(mdp.S, dtype=bool)
        stays[source[left[target]]] = True
        if not (left & ~stays).any():
            return False
        left &= stays
    return True


class _Inequalities:
    """Both inequalities at all corners, in plain floats with one radius or in exact rationals."""

    def __init__(
        self, level: str, problem: StockMDP, rows: OutcomeRows, grid: np.ndarray, sides: tuple[float, float]
    ) -> None:
        self.ar = ar = Plain() if level == "float" else Rationals()
        self.mdp, self.rows, self.level = problem.mdp, rows, level
        self.out = rows.outcomes
        self.rewards, self.kind = np.unique(self.out.reward, return_inverse=True)
        self.floats, self.grid = grid, ar.of(grid)
        self.sides = tuple(ar.of([x])[0] for x in sides)
        self.gamma = ar.of([self.mdp.gamma])[0]
        self.running = np.zeros((self.mdp.S, self.mdp.A)) if problem.running is None else problem.running
        prob, counts = ar.of(self.out.prob), np.diff(self.out.indptr)
        filled = counts > 0
        total = np.add.reduceat(prob, self.out.indptr[:-1][filled])
        self.prob = prob / np.repeat(total, counts[filled])
        r = ar.of(self.rewards)
        self.middles = (self.grid[1:] + self.grid[:-1]) / ar.of([2.0])[0]
        # By name: grid stocks, ends of the policy's cells, for each reward the stocks that lead to the grid.
        self.corners = {"own": self.grid, "middle": self.middles}
        self.corners |= {i: self.gamma * self.grid - x for i, x in enumerate(r)}
        self.r = r
        size = np.abs(self.rewards).max(initial=0.0)
        self.reach = (np.abs(grid).max() + 2 * size) / self.mdp.gamma + np.abs(grid).max()
        self.slope = max(abs(x) for x in sides)
        live = np.flatnonzero((self.mdp.actions & ~self.mdp.terminal[:, None]).ravel())
        self.live = live
        # Which rows have which reward.
        row, order = self.out.row_of(), np.argsort(self.kind, kind="stable")
        cuts = np.searchsorted(self.kind[order], np.arange(1, len(self.rewards)))
        self.with_reward = [np.intersect1d(part, live) for part in np.split(row[order], cuts)]

    def upper(self, hi: np.ndarray) -> None:
        """`T h <= h` everywhere."""
        h, radius = self.ar.of(hi), self._radius(hi)
        for name in ("own", *range(len(self.rewards))):
            chosen = self.live if name == "own" else self.with_reward[name]
            for rows, slack in self._slacks(h, name, chosen):
                self._refuse("T hi <= hi", slack, radius, rows, name)

    def lower(self, lo: np.ndarray, policy: np.ndarray) -> None:
        """`h <= T_pi h` everywhere, actions those of the nearest grid stock."""
        h, radius = self.ar.of(lo), self._radius(lo)
        A, K = self.mdp.A, len(self.floats)
        used = np.zeros((self.mdp.S, A), dtype=bool)
        used[np.arange(self.mdp.S)[:, None], policy] = True
        for name in ("own", "middle", *range(len(self.rewards))):
            chosen = self.with_reward[name] if isinstance(name, int) else self.live
            chosen = chosen[used.ravel()[chosen]]
            cells = self._nearest(self.corners[name]) if isinstance(name, int) else np.arange(K - (name == "middle"))
            for rows, slack in self._slacks(h, name, chosen):
                states, actions = np.divmod(rows, A)
                mine = policy[states[:, None], cells] == actions[:, None]
                if name == "middle":
                    mine |= policy[states[:, None], cells + 1] == actions[:, None]
                self._refuse("lo <= T_pi lo", -slack, radius, rows, name, mine)

    def _slacks(self, h: Any, name: Any, chosen: np.ndarray) -> Any:
        """(rows, `h - running - gamma E h` at a kind of corners (len(rows), n)) of successive blocks of rows."""
        counts = np.diff(self.out.indptr)[chosen]
        steps = h[:, 1:] - h[:, :-1]
        start, here = 0, self._place(self.corners[name])
        ends = np.cumsum(counts) * len(self.corners[name])
        while start < len(chosen):
            done = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, done + BLOCK, side="right")))
            rows, sizes = chosen[start:stop], counts[start:stop]
            at = segments(self.out.indptr[rows], sizes)
            to, (kinds, which) = self.out.next_state[at][:, None], np.unique(self.kind[at], return_inverse=True)
            ahead = [self._place(self._next(name, self.r[j])) for j in kinds]
            cell, weight, beyond = (np.stack([place[i] for place in ahead])[which] for i in range(3))
            value = h[to, cell] + weight * steps[to, cell] + beyond
            mean = np.add.reduceat(self.prob[at][:, None] * value, np.cumsum(sizes) - sizes, axis=0)
            states = rows // self.mdp.A
            cell, weight, far = here
            own = h[states[:, None], cell] + weight * steps[states[:, None], cell] + far
            running = self.ar.of(self.running.ravel()[rows])[:, None]
            yield rows, own - running - self.gamma * mean
            start = stop

    def _next(self, name: Any, reward: Any) -> Any:
        """Where the corners lead with a reward; those of the same reward exactly to the grid."""
        if isinstance(name, str):
            return (self.corners[name] + reward) / self.gamma
        return self.grid + (reward - self.r[name]) / self.gamma

    def _place(self, c: Any) -> tuple[np.ndarray, Any, Any]:
        """Cells, weights of their right ends, and what is added outside the grid, for stocks c."""
        last = len(self.floats) - 1
        if self.level == "float":
            cell = np.searchsorted(self.floats, c, side="right") - 1
        else:
            grid = self.grid.tolist()
            cell = np.array([bisect_right(grid, x) - 1 for x in c.tolist()])
        below, above = cell < 0, cell >= last
        cell = np.clip(cell, 0, last - 1)
        weight = (c - self.grid[cell]) / (self.grid[cell + 1] - self.grid[cell])
        zero, one = self.ar.of([0.0])[0], self.ar.of([1.0])[0]
        weight = np.where(below, zero, np.where(above, one, weight))
        far = np.where(
            below, self.sides[0] * (c - self.grid[0]), np.where(above, self.sides[1] * (c - self.grid[last]), zero)
        )
        return cell, weight, far

    def _nearest(self, c: Any) -> np.ndarray:
        if self.level == "float":
            return np.searchsorted(self.middles, c)
        middles = self.middles.tolist()
        return np.array([bisect_left(middles, x) for x in c.tolist()])

    def _radius(self, table: np.ndarray) -> float | int:
        """The radius of the module's docstring; 0 for exact numbers."""
        if self.level == "exact":
            return 0
        steep = max(self.slope, float((np.abs(np.diff(table, axis=1)) / np.diff(self.floats)).max()))
        high = float(np.abs(table).max()) + self.slope * self.reach
        rest = high + float(np.abs(self.running).max())
        radius = UNIT * (128 * steep * self.reach + (2 * self.rows.most + 64) * rest) + 2.0**-900
        if not np.isfinite(radius):
            raise Refused("bounds on stocks are beyond the range of floats")
        return radius

    def _refuse(self, claim: str, slack: Any, radius: float, rows: np.ndarray, name: Any, where: Any = None) -> None:
        bad = ~np.asarray(slack >= radius, dtype=bool)
        if where is not None:
            bad &= where
        if bad.any():
            i, k = first(bad)
            s, a = divmod(int(rows[i]), self.mdp.A)
            c = float(fraction(self.corners[name][k])) if self.level == "exact" else self.corners[name][k]
            amount = float(fraction(slack[i, k])) if self.level == "exact" else slack[i, k]
            raise Refused(
                f"{claim} fails at state {s}, action {a}, stock {c:.9g}: slack {amount:.6g}, radius {radius:.3g}"
            )
