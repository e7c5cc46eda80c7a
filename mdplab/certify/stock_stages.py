"""Bounds on finitely many stocks of each stage: backward induction in money of the first stage.

With `y_t = c0 + sum_{i<t} gamma^i r_i` the utility at the end is that of `y_H`, whatever the discount. So for any
expected utility f the supremum over all policies of `E [sum_{i>=t} gamma^i running_i + f(y_H)]` from state s and
money y at stage t is `J[t] = T J[t + 1]`,

    (T v)(s, y) = max_a gamma^t running(s, a) + E v(s', y + gamma^t r),    J[H] = f,    J[t] = f on terminal states.

For the essential infimum (and "all mass at 0 or above") E becomes the minimum over outcomes, for the essential
supremum the maximum: what happens with positive probability from here on happens after one of the outcomes.

Proof. By induction backwards `lo[t] <= U[t]` and `J[t] <= hi[t]` at the stocks of stage t, where U is the value of
the policy that remembers one of the stage's stocks. If `f(c + e) - f(c) <= up e` and `f(c) - f(c + e) <= down e` for
`e >= 0` on all stocks that matter, then `E f(y + G)` inherits both for each fixed policy, and so does the supremum.
So with g the stock of stage t + 1 nearest to `y' = y + gamma^t r` and `d = y' - g`,

    J[t + 1](s', y') <= hi[t + 1](s', g) + (up d  if d > 0, else down |d|),
    value of the policy that remembers g, from y', >= lo[t + 1](s', g) - (down d  if d > 0, else up |d|),

which makes `T hi[t + 1] <= hi[t]` and `lo[t] <= T_pi lo[t + 1]`, so written, induction steps. What matters lies
within `max |y| + sum_t max |d|`, maxima over the stocks of the certificate. Where f jumps there are no slopes: then
the problem is read with g in place of y', and the largest |d| is reported.

The policy: start from a stock of stage 0, take its action, remember the stock nearest to `y'`, and so on.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case
from mdplab.certify.enclosure import Arbs, FloatBalls, Rationals
from mdplab.certify.ragged import OutcomeRows, flat, pointers
from mdplab.certify.report import Refused
from mdplab.certify.utilities import Utility
from mdplab.models import StockMDP

# Where the utility jumps, stocks this close (relative to 1 + max |y|) are one.
SAME_STOCK = 1e-9
_BITS = 256


@dataclass(frozen=True, eq=False, slots=True)
class Stages:
    """Stocks of each stage, `grid[t]` (n_t,), and tables `(S, n_t)`; `lo` is None if only the upper bound was given."""

    grid: list[np.ndarray]
    lo: list[np.ndarray] | None
    hi: list[np.ndarray]
    policy: list[np.ndarray]


def is_staged(case: Case) -> bool:
    """Whether the certificate has stages."""
    return case.data.get("grid_ptr") is not None


def stages_of(case: Case, policy: Any = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Stocks of each stage, and the policy's table of each stage but the last."""
    mdp, grid = case.mdp, flat("grid", case.data)
    count = np.size(case.data["grid_ptr"]) - 1
    ptr = pointers("grid_ptr", case.data["grid_ptr"], count, len(grid))
    if count < 2 or (np.diff(ptr) == 0).any() or mdp.horizon not in (None, count - 1):
        raise Refused(f"grid_ptr has {count} stages, some maybe empty; the problem has horizon {mdp.horizon}")
    stocks = [grid[i:j] for i, j in pairwise(ptr)]
    if any((np.diff(y) <= 0).any() for y in stocks):
        raise Refused("grid does not increase within a stage")
    pi = np.asarray(case.solution.policy if policy is None else policy)
    size = mdp.S * int(ptr[-2])
    if pi.shape != (size,) or not np.issubdtype(pi.dtype, np.integer):
        raise Refused(f"policy has shape {pi.shape} and dtype {pi.dtype}, expected {(size,)} integers")
    return stocks, _blocks(pi, mdp.S, stocks[:-1])


def staged_bounds(case: Case, problem: StockMDP, *, lower: bool = True) -> Stages:
    """The certificate's tables, their inequalities established; `lower=False` leaves `lo` and the policy alone."""
    f = Utility.of(problem)
    exact = case.level == "exact"
    if not (exact and f.transcendental):
        return _Check(case, problem, f, Rationals() if exact else FloatBalls(), lower).stages
    if rational.flint is None:
        raise Refused(f"the exact level of {f.kind} needs python-flint, which is not installed")
    before = rational.flint.ctx.prec
    try:
        rational.flint.ctx.prec = _BITS
        return _Check(case, problem, f, Arbs(), lower).stages
    finally:
        rational.flint.ctx.prec = before


def _blocks(flat_array: np.ndarray, S: int, stocks: list[np.ndarray]) -> list[np.ndarray]:
    cuts = np.cumsum([S * len(y) for y in stocks])[:-1]
    return [part.reshape(S, -1) for part in np.split(flat_array, cuts)]


class _Check:
    """One pass over the stages, the last one first."""

    def __init__(self, case: Case, problem: StockMDP, f: Utility, ar: Any, lower: bool) -> None:
        self.case, self.mdp, self.f, self.ar = case, case.mdp, f, ar
        self.rows, self.lower = OutcomeRows.of(problem), lower
        self.running = problem.running
        self.grid, self.policy = stages_of(case) if lower else (stages_of(case, self._no_policy())[0], [])
        self.H = len(self.grid) - 1
        self.tables = {"hi": self._table("hi", np.inf)}
        if lower:
            self.tables["lo"] = self._table("lo", -np.inf)
        self.claimed = [np.isfinite(block) for block in self.tables["hi"]]
        if lower and any((np.isfinite(a) != b).any() for a, b in zip(self.tables["lo"], self.claimed)):
            raise Refused("a pair has a finite bound on one side only")
        if lower:
            self._check_policy()
        if self.mdp.horizon is None and self.claimed[self.H][~self.mdp.terminal].any():
            raise Refused(f"without a horizon, all pairs claimed at stage {self.H} must be terminal")
        self._walk()
        self.stages = Stages(self.grid, self.tables.get("lo"), self.tables["hi"], self.policy)

    def _no_policy(self) -> np.ndarray:
        ptr = np.asarray(self.case.data["grid_ptr"])
        if ptr.ndim != 1 or len(ptr) < 3 or not np.issubdtype(ptr.dtype, np.integer):
            raise Refused("grid_ptr is no list of integers")
        if not 0 <= ptr[-2] <= np.size(self.case.data.get("grid")):
            raise Refused("grid_ptr does not fit the grid")
        return np.zeros(self.mdp.S * int(ptr[-2]), dtype=np.int64)

    def _table(self, name: str, missing: float) -> list[np.ndarray]:
        try:
            array = np.asarray(self.case.data.get(name), dtype=np.float64)
        except (TypeError, ValueError):
            raise Refused(f"{name} is not an array of numbers") from None
        size = self.mdp.S * sum(map(len, self.grid))
        if array.shape != (size,):
            raise Refused(f"{name} has shape {array.shape}, expected {(size,)}")
        if not (np.isfinite(array) | (array == missing)).all():
            raise Refused(f"{name} has entries that are neither finite nor {missing}")
        return _blocks(array, self.mdp.S, self.grid)

    def _check_policy(self) -> None:
        for t, table in enumerate(self.policy):
            read = self.claimed[t] & ~self.mdp.terminal[:, None]
            legal = (table >= 0) & (table < self.mdp.A)
            legal &= self.mdp.actions[np.arange(self.mdp.S)[:, None], np.where(legal, table, 0)]
            if (read & ~legal).any():
                s, k = np.argwhere(read & ~legal)[0]
                raise Refused(f"policy of stage {t}, state {s}, stock {k} is {table[s, k]}, no available action")

    def _walk(self) -> None:
        ar, far = self.ar, 0.0
        power, powers = ar.of(np.ones(1)), []
        for _ in range(self.H):
            powers.append(power)
            power = power * ar.of(np.array([self.mdp.gamma]))
        moves = []
        for t in range(self.H):
            # (state, action, stocks, outcomes, where they lead and by how much that misses the stock).
            stage = list(self._moves(t, powers[t]))
            far += max((move[-1] for move in stage), default=0.0)
            moves.append(stage)
        reach = (max(float(np.abs(y).max()) for y in self.grid) + far) * (1 + 1e-12)
        self.slopes = self.f.slopes(reach)
        if self.slopes is None:
            room = SAME_STOCK * (1 + max(float(np.abs(y).max()) for y in self.grid))
            most = max((move[-1] for stage in moves for move in stage), default=0.0)
            if most > room:
                raise Refused(f"{self.f.kind} jumps, and a stock is {most:.3g} from the nearest one of its stage")
            if most > 0:
                self.case.about.append(f"stocks replaced by the nearest of their stage, at most {most:.3g} away")
        elif not np.isfinite(self.slopes).all():
            raise Refused(f"the slope of {self.f.kind} on [-{reach:.6g}, {reach:.6g}] is beyond the range of floats")
        self._ends()
        for t, stage in enumerate(moves):
            for move in stage:
                self._step(t, powers[t], *move)

    def _moves(self, t: int, power: Any) -> Any:
        ar, after = self.ar, self.grid[t + 1]
        middles = (after[1:] + after[:-1]) / 2
        for s in np.flatnonzero(~self.mdp.terminal & self.claimed[t].any(axis=1)).tolist():
            ks = np.flatnonzero(self.claimed[t][s])
            here = ar.of(self.grid[t][ks])[:, None]
            for a in np.flatnonzero(self.mdp.actions[s]).tolist():
                at, _ = self.rows.entries(np.array([s * self.mdp.A + a]))
                to = self.rows.outcomes.next_state[at]
                ahead = here + (power * ar.of(self.rows.outcomes.reward[at]))[None, :]
                nearest = np.searchsorted(middles, ar.floats(ahead))
                bad = ~self.claimed[t + 1][to[None, :], nearest]
                if bad.any():
                    i, e = np.argwhere(bad)[0]
                    raise Refused(
                        f"stage {t}, state {s}, stock {self.grid[t][ks[i]]:.9g}, action {a} leads to state {to[e]}, "
                        f"stock {after[nearest[i, e]]:.9g}, of which nothing is claimed"
                    )
                miss = ahead - ar.of(after[nearest])
                yield s, a, ks, at, nearest, miss, _above(ar, miss)

    def _ends(self) -> None:
        ar = self.ar
        for t in range(self.H + 1):
            states = np.arange(self.mdp.S) if t == self.H else np.flatnonzero(self.mdp.terminal)
            value = self.f.value(ar, self.grid[t])
            for s in states.tolist():
                ks = np.flatnonzero(self.claimed[t][s])
                for name, sign in (("hi", 1), ("lo", -1)):
                    if name in self.tables and len(ks):
                        slack = ar.of(self.tables[name][t][s, ks]) - value[ks]
                        self._refuse(f"{name} and f at the end", slack if sign > 0 else -slack, t, s, ks)

    def _step(
        self, t: int, power: Any, s: int, a: int, ks: np.ndarray, at: np.ndarray, near: np.ndarray, miss: Any, _: float
    ) -> None:
        ar, to = self.ar, self.rows.outcomes.next_state[at]
        up, down = (ar.of(np.array([x])) for x in (self.slopes or (0.0, 0.0)))
        zero = ar.of(np.zeros(near.shape))
        over, under = ar.maximum(miss, zero), ar.maximum(-miss, zero)
        share = ar.of(self.rows.outcomes.prob[at])
        share = share / ar.total(share[None, :])
        paid = ar.of(np.zeros(1))
        if self.running is not None:
            paid = power * ar.of(self.running[s, a : a + 1])

        def combined(x: Any) -> Any:
            everything = np.ones(near.shape, dtype=bool)
            if self.f.combine == "least":
                return ar.least(x, everything)
            if self.f.combine == "greatest":
                return -ar.least(-x, everything)
            return ar.total(share[None, :] * x)

        ahead = ar.of(self.tables["hi"][t + 1][to[None, :], near]) + (up * over + down * under)
        slack = ar.of(self.tables["hi"][t][s, ks]) - (paid + combined(ahead))
        self._refuse(f"T hi <= hi (action {a})", slack, t, s, ks)
        if not self.lower:
            return
        mine = self.policy[t][s, ks] == a
        if mine.any():
            ahead = ar.of(self.tables["lo"][t + 1][to[None, :], near]) - (down * over + up * under)
            slack = (paid + combined(ahead)) - ar.of(self.tables["lo"][t][s, ks])
            self._refuse(f"lo <= T_pi lo (action {a})", slack, t, s, ks, mine)

    def _refuse(self, claim: str, slack: Any, t: int, s: int, ks: np.ndarray, where: Any = True) -> None:
        bad = ~self.ar.shown(slack) & where
        if bad.any():
            k = int(np.argmax(bad))
            amount = self.ar.floats(slack)[k]
            raise Refused(
                f"{claim} fails at stage {t}, state {s}, stock {self.grid[t][ks[k]]:.9g}: {amount:.6g}, or rounding"
            )


def _above(ar: Any, x: Any) -> float:
    """An upper bound of all `|x|`."""
    middle = np.abs(ar.floats(x)) * (1 + 1e-15) + 2.0**-1000
    radius = getattr(x, "rad", 0.0)
    if isinstance(ar, Arbs):
        # A ball's own radius is far below what is added here.
        return float(middle.max() * (1 + 1e-9))
    exact_zero = isinstance(ar, Rationals) and not (x != 0).any()
    return 0.0 if exact_zero else float(((middle + radius) * (1 + 1e-15)).max())
