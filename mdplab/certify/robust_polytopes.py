"""Boxes of rows and finitely many models: membership, and bounds by weak duality.

Box, `lo <= q <= hi` (interval, L-infinity, contamination, CVaR): for every `nu`, `min q . z >= nu + sum_i min(lo_i
(z_i - nu), hi_i (z_i - nu))`. Bounds of an interval set that miss the simplex by rounding are read as divided by
their sums: `lo / max(1, sum lo)` and `hi / min(1, sum hi)`.

Models: a minimum over finitely many; with `"s"` over all actions of a state together.
"""

from typing import Any

import numpy as np
from scipy.optimize import nnls

from mdplab.certify.report import Refused
from mdplab.certify.robust_duals import ALLOWANCE, PLAIN, RECOVERED, Rows, as_probabilities


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
        # No entry exceeds 1: without this a bound such as p / 1e-6 would magnify rounding.
        zero, most = ar.of(np.zeros(rows.P.shape)), ar.of(rows.allowed)
        if self.set.name == "cvar":
            return zero, ar.minimum(p / size, most)
        if self.set.name == "contamination":
            return (1 - size) * p, most
        return ar.maximum(p - size, zero), ar.minimum(p + size, most)

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray, z: np.ndarray) -> tuple[Any, None]:
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

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray, z: np.ndarray) -> tuple[Any, None]:
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
        try:
            found, _ = nnls(np.vstack([columns, np.ones(len(models))]), np.append(q.ravel(), 1.0))
        except RuntimeError:
            # No combination within its limit of iterations: any will do, which is judged by its distance.
            found = np.ones(len(models))
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
