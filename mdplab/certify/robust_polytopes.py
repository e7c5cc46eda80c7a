"""Boxes of rows, finitely many models and Wasserstein balls: membership, and bounds by weak duality.

Box, `lo <= q <= hi` (interval, L-infinity, contamination, CVaR): for every `nu`, `min q . z >= nu + sum_i min(lo_i
(z_i - nu), hi_i (z_i - nu))`. Bounds of an interval set that miss the simplex by rounding are read as divided by
their sums: `lo / max(1, sum lo)` and `hi / min(1, sum hi)`.

Models: a minimum over finitely many; with `"s"` over all actions of a state together.

Wasserstein, cost `C`: for every `lambda >= 0`, `min q . y >= sum_i p_i min_j (y_j + lambda C_ij) - lambda radius`.
Membership needs a transport plan, which a linear program finds and the arithmetic of the level verifies.
"""

from typing import Any

import numpy as np
from scipy.optimize import linprog, nnls
from scipy.sparse import coo_array

from mdplab.certify.report import Refused
from mdplab.certify.robust_duals import ALLOWANCE, PLAIN, Divergence, Rows, as_probabilities

# How far rows recovered by an optimiser of SciPy (plans, weights of models) may be from the kernel's; it is charged.
RECOVERED = 1e-9


class Box:
    """`lo <= q <= hi` for each row by itself."""

    transcendental = False

    def __init__(self, problem: Any) -> None:
        self.set = problem.uncertainty
        if self.set.name != "interval":
            sizes = self.set.radii(problem.S, problem.A)
            self.sizes = sizes[:, None] + np.zeros(problem.A) if sizes.ndim == 1 else sizes

    def bounds(self, ar: Any, rows: Rows) -> tuple[Any, Any]:
        """`lo` and `hi`, `(n, S)`."""
        if self.set.name == "interval":
            lo, hi, one = ar.of(self.set.lo[rows.s, rows.a]), ar.of(self.set.hi[rows.s, rows.a]), ar.of(1.0)
            return lo / ar.maximum(ar.total(lo), one)[:, None], hi / ar.minimum(ar.total(hi), one)[:, None]
        p, size = rows.nominal(ar), ar.of(self.sizes[rows.s, rows.a])[:, None]
        zero = ar.of(np.zeros(rows.P.shape))
        if self.set.name == "cvar":
            return zero, p / size
        if self.set.name == "contamination":
            return (1 - size) * p, ar.of(rows.allowed)
        return ar.maximum(p - size, zero), ar.masked(rows.allowed, p + size)

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray) -> tuple[Any, None]:
        """Entries clipped to the bounds, and the sum restored in proportion to the room that each entry has."""
        rows.refuse_first((Q > 0) & ~rows.allowed, "has mass off the nominal support")
        lo, hi = self.bounds(ar, rows)
        q = as_probabilities(ar, Q)
        for name, excess in (("above", q - hi), ("below", lo - q)):
            outside = ar.shown(excess - ar.of(ALLOWANCE))
            if outside.any():
                k, j = np.argwhere(outside)[0]
                raise Refused(
                    f"kernel row at state {rows.s[k]}, action {rows.a[k]} lies outside the {self.set.name} set: entry "
                    f"{j} is {ar.floats(excess)[k, j]:.6g} {name} its bound"
                )
        q = ar.maximum(lo, ar.minimum(hi, q))
        total, zero = ar.total(q), ar.of(np.zeros(len(rows.s)))
        down = ar.share(ar.maximum(total - 1, zero), total - ar.total(lo))
        up = ar.share(ar.maximum(1 - total, zero), ar.total(hi) - total)
        return q - down[:, None] * (q - lo) + up[:, None] * (hi - q), None

    def least(self, ar: Any, rows: Rows, z: Any, w: Any, z_plain: np.ndarray, w_plain: np.ndarray) -> Any:
        """A lower bound, for each state, of `min sum_a w_a q_a . z_a` over the set."""
        lo, hi = self.bounds(PLAIN, rows)
        order = np.argsort(z_plain, axis=1)
        filled = np.cumsum(np.take_along_axis(hi - lo, order, axis=1), axis=1)
        last = np.minimum((filled < 1 - lo.sum(axis=1, keepdims=True)).sum(axis=1), z_plain.shape[1] - 1)[:, None]
        nu = ar.of(np.take_along_axis(z_plain, np.take_along_axis(order, last, axis=1), axis=1))
        lo, hi = self.bounds(ar, rows)
        away = z - nu
        return ar.grouped(w * (nu[:, 0] + ar.total(ar.minimum(lo * away, hi * away))), rows.starts)


class Models:
    """Rows of finitely many models; with `"s"`, convex combinations of their matrices of a state."""

    transcendental = False

    def __init__(self, problem: Any) -> None:
        self.set = problem.uncertainty

    def kernels(self, ar: Any, rows: Rows) -> list[Any]:
        """The rows of each model."""
        return [as_probabilities(ar, one[rows.s, rows.a]) for one in self.set.kernels]

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray) -> tuple[Any, None]:
        """The nearest rows, or combination of matrices, of the models; Refused if they are not near."""
        models = np.stack(self.kernels(PLAIN, rows))
        q = as_probabilities(PLAIN, Q)
        off = np.maximum.reduceat(np.abs(models - q).max(axis=2), rows.groups, axis=1)
        weights = np.zeros(off.shape)
        weights[off.argmin(axis=0), np.arange(off.shape[1])] = 1
        off = off.min(axis=0)
        ends = np.append(rows.groups, len(rows.s))
        for g in np.flatnonzero((off > ALLOWANCE) & rows.shared):
            part = slice(ends[g], ends[g + 1])
            found = self._combination(models[:, part], q[part])
            error = np.abs(np.tensordot(found, models[:, part], axes=1) - q[part]).max()
            if error < off[g]:
                weights[:, g], off[g] = found, error
        bad = off > (RECOVERED if rows.shared else ALLOWANCE)
        if bad.any():
            g = int(np.argmax(bad))
            what = "convex combination of the models" if rows.shared else "row of a model"
            raise Refused(f"kernel rows at {rows.name(g)} lie outside the set: no {what} within {off[g]:.6g}")
        share = as_probabilities(ar, weights.T)
        parts = [share[rows.group][:, [k]] * one for k, one in enumerate(self.kernels(ar, rows))]
        return sum(parts[1:], parts[0]), None

    @staticmethod
    def _combination(models: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Weights at least 0, of sum 1, whose combination of the models is nearest to q."""
        columns = models.reshape(len(models), -1).T
        found, _ = nnls(np.vstack([columns, np.ones(len(models))]), np.append(q.ravel(), 1.0))
        return found / found.sum()

    def least(self, ar: Any, rows: Rows, z: Any, w: Any, z_plain: np.ndarray, w_plain: np.ndarray) -> Any:
        """The least, for each state, of `sum_a w_a q_a . z_a` over the set."""
        means = [w * ar.total(p * z) for p in self.kernels(ar, rows)]
        if rows.shared:
            means = [ar.grouped(x, rows.starts) for x in means]
        best = means[0]
        for x in means[1:]:
            best = ar.minimum(best, x)
        return best if rows.shared else ar.grouped(best, rows.starts)


class Wasserstein(Divergence):
    """The cost of transport from the nominal row."""

    is_point = False

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`sum_i p_i min_j (y_j + lambda C_ij)`."""
        value = ar.of(np.zeros(len(rows.s)))
        for i in np.flatnonzero((rows.P > 0).any(axis=0)):
            value = value + p[:, i] * ar.least(y + lam * ar.of(self.set.cost[i]), rows.allowed)
        return value

    def bracket(self, rows: Rows, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kinks are at `(y_i - y_j) / C`."""
        costs = self.set.cost[self.set.cost > 0]
        least, most = (costs.min(), costs.max()) if len(costs) else (1.0, 1.0)
        return 1e-14 * span / most, 2 * span / least

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray) -> tuple[Any, None]:
        """Rows that a verified plan reaches, drawn back to the nominal rows as far as its cost exceeds the radius."""
        rows.refuse_first((Q > 0) & ~rows.allowed, "has mass off the nominal support")
        nominal, budget = rows.nominal(ar), self.budget(ar, rows)
        reached, far = self._plans(ar, rows, nominal, Q, np.zeros(len(rows.s), dtype=bool))
        allowance = ar.of(RECOVERED * (1 + self.size(rows)))
        outside = ~ar.shown(budget + allowance - ar.grouped(far, rows.groups))
        if outside.any():
            # Where the cost is no metric, mass common to both rows may help by moving on.
            reached, far = self._plans(ar, rows, nominal, Q, outside[rows.group])
        total = ar.grouped(far, rows.groups)
        excess = total - budget
        outside = ar.shown(excess - allowance)
        if outside.any():
            g = int(np.argmax(outside))
            raise Refused(
                f"kernel rows at {rows.name(g)} lie outside the set: wasserstein distance "
                f"{ar.floats(total)[g]:.12g}, as far as plans were found, radius {self.size(rows)[g]:.12g}"
            )
        back = ar.share(ar.maximum(excess, ar.of(np.zeros(len(rows.groups)))), total)[rows.group]
        return reached + back[:, None] * (nominal - reached), None

    def _plans(self, ar: Any, rows: Rows, nominal: Any, Q: np.ndarray, full: np.ndarray) -> tuple[Any, Any]:
        """The rows that plans to Q's rows lead to, and their costs."""
        p, q = rows.nominal(PLAIN), as_probabilities(PLAIN, Q)
        reached, costs = [], []
        for k in range(len(rows.s)):
            sources, targets, share = self._plan(p[k], q[k], bool(full[k]))
            got, cost = _moved(ar, nominal[k], sources, targets, share, self.set.cost)
            if np.abs(ar.floats(got) - q[k]).max() > RECOVERED:
                raise Refused(f"no transport plan found to the kernel row at state {rows.s[k]}, action {rows.a[k]}")
            reached.append(got)
            costs.append(cost)
        return ar.stacked(reached), ar.stacked(costs)

    def _plan(self, p: np.ndarray, q: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sources, targets and the share of its mass that each source sends to each target: none to itself."""
        more, less = np.flatnonzero(p > q), np.flatnonzero(q > p)
        if not len(more) or not len(less):
            return more[:0], less[:0], np.zeros((0, 0))
        if full:
            more, less = np.flatnonzero(p), np.arange(len(q))
            moved = _transport(self.set.cost[more], p[more], q)
            moved[np.arange(len(more)), more] = 0.0
        else:
            give, take = (p - q)[more], (q - p)[less]
            alone = min(len(more), len(less)) == 1
            cost = self.set.cost[np.ix_(more, less)]
            moved = np.outer(give, take) / max(give.sum(), take.sum()) if alone else _transport(cost, give, take)
        share = moved / p[more][:, None]
        # Exactly at most 1, whatever the sum rounds to: it has far fewer than 9000 terms.
        return more, less, share / np.maximum(1.0, share.sum(axis=1, keepdims=True) * (1 + 1e-12))


def _transport(cost: np.ndarray, give: np.ndarray, take: np.ndarray) -> np.ndarray:
    """A cheapest plan between two vectors of equal sum, up to rounding."""
    m, n = cost.shape
    entry = np.arange(m * n)
    # The last balance follows from the others.
    rows = np.concatenate([entry // n, m + entry % n])
    matrix = coo_array((np.ones(2 * m * n), (rows, np.tile(entry, 2))), shape=(m + n, m * n)).tocsr()
    take = take * (give.sum() / take.sum())
    found = linprog(cost.ravel(), A_eq=matrix[:-1], b_eq=np.append(give, take)[:-1], method="highs")
    return np.zeros((m, n)) if found.x is None else np.maximum(found.x, 0.0).reshape(m, n)


def _moved(
    ar: Any, p: Any, sources: np.ndarray, targets: np.ndarray, share: np.ndarray, cost: np.ndarray
) -> tuple[Any, Any]:
    """The row that a plan leads to, and its cost."""
    S = len(cost)
    if not len(sources):
        return p, ar.of(np.zeros(1))[0]
    mass = p[sources][:, None] * ar.of(share)
    price = ar.total(ar.total(mass * ar.of(cost[np.ix_(sources, targets)])))
    leave, arrive = ar.total(mass), ar.total(ar.transposed(mass))
    return p - ar.scattered(leave, sources, S) + ar.scattered(arrive, targets, S), price
