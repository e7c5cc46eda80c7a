"""Wasserstein balls with a ground cost `C`: bounds by weak duality, and membership by transport plans.

For every `lambda >= 0`, `min q . y >= sum_i p_i min_j (y_j + lambda C_ij) - lambda radius`, the sum over the rows that
share the radius. A row is in the set if some plan from the nominal row costs at most the radius. Plans are guessed in
plain floats, and what they really lead to, and cost, is computed in the arithmetic of the level: the row that a plan
leads to replaces the kernel's. Three guesses are made in turn. A row that nature chose against `z` is the outcome of
sending each source i to a least `mu z_j + C_ij` for some `mu`; this needs no program. Then a linear program between
the states that lose and those that gain mass; then one between all states, as where the cost is no metric, mass
common to both rows may help by moving on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from mdplab.certify.report import Refused
from mdplab.certify.robust_duals import PLAIN, RECOVERED, Divergence, Rows, as_probabilities

_TIE = 1e-9


class Wasserstein(Divergence):
    """The cost of transport from the nominal row."""

    is_point = False

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`sum_i p_i min_j (y_j + lambda C_ij)`."""
        out = []
        for k in range(len(rows.s)):
            used = np.flatnonzero(rows.P[k])
            moved = ar.of(self.set.cost[used]) * lam[k] + y[k][None, :]
            out.append(ar.total(p[k][used] * ar.least(moved, rows.allowed[k])))
        return ar.stacked(out)

    def multipliers(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The best multiplier of each group."""
        away = y - np.where(rows.allowed, y, np.inf).min(axis=1, keepdims=True)
        y, radius, cost = np.where(rows.allowed, away, np.inf), self.size(rows), self.set.cost
        used = [np.flatnonzero(row) for row in rows.P]

        def lines(lam: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Intercept and slope of a line above the bound of each group that touches it at `lam`."""
            c, g = np.zeros(len(radius)), -radius
            for k in np.flatnonzero(at[rows.group]):
                costs = cost[used[k]]
                to = (y[k] + lam[rows.group[k]] * costs).argmin(axis=1)
                c[rows.group[k]] += p[k, used[k]] @ y[k, to]
                g[rows.group[k]] += p[k, used[k]] @ costs[np.arange(len(to)), to]
            return c, g

        everywhere = np.ones(len(radius), dtype=bool)
        free = [np.where(cost[used[k]] == 0, y[k], np.inf).min(axis=1) for k in range(len(used))]
        still = np.array([p[k, used[k]] @ free[k] for k in range(len(used))])
        return _peak(lines, lines(np.zeros(len(radius)), everywhere), (np.add.reduceat(still, rows.groups), -radius))

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray, z: np.ndarray) -> tuple[Any, None]:
        """Rows that a plan leads to, drawn back to the nominal rows as far as its cost exceeds the radius."""
        rows.refuse_first((Q > 0) & ~rows.allowed, "has mass off the nominal support")
        nominal, budget = rows.nominal(ar), self.budget(ar, rows)
        p, q, z = rows.nominal(PLAIN), as_probabilities(PLAIN, Q), np.where(rows.allowed, z, np.inf)
        most = ar.of(self.size(rows) + RECOVERED * (1 + self.size(rows)))
        left = np.ones(len(rows.groups), dtype=bool)
        reached: list = [None] * len(rows.s)
        far: list = [None] * len(rows.s)
        for guess in (self._guided, self._moves, self._everything):
            missed = np.zeros(len(rows.s))
            for k in np.flatnonzero(left[rows.group]):
                sources, targets, share = guess(p[k], q[k], z[k])
                reached[k], far[k] = _outcome(ar, nominal[k], sources, targets, share, self.set.cost)
                missed[k] = np.abs(ar.floats(reached[k]) - q[k]).max()
            total = ar.grouped(ar.stacked(far), rows.groups)
            left = ~ar.shown(most - total) | (np.maximum.reduceat(missed, rows.groups) > RECOVERED)
            if not left.any():
                break
        if left.any():
            g = int(np.argmax(left))
            raise Refused(
                f"kernel rows at {rows.name(g)} lie outside the set: wasserstein distance "
                f"{ar.floats(total)[g]:.12g}, as far as plans were found, radius {self.size(rows)[g]:.12g}"
            )
        back = ar.share(ar.maximum(total - budget, ar.of(np.zeros(len(left)))), total)[rows.group]
        reached = ar.stacked(reached)
        return reached + back[:, None] * (nominal - reached), None

    def _guided(self, p: np.ndarray, q: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sources, targets and the share of its mass that each source sends to each target; itself stands for none."""
        used, open_to = np.flatnonzero(p), np.flatnonzero(np.isfinite(z))
        mass, cost, z, q = p[used], self.set.cost[np.ix_(used, open_to)], z[open_to] - z.min(), q[open_to]

        def lines(mu: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            to = (mu[0] * z + cost).argmin(axis=1)
            return np.array([mass @ cost[np.arange(len(used)), to]]), np.array([mass @ z[to] - q @ z])

        stay = (np.zeros(1), np.array([p[open_to] @ z - q @ z]))
        mu = _peak(lines, stay, (np.array([mass @ cost[:, z.argmin()]]), np.array([-q @ z])))[0]
        reduced = mu * z + cost
        tight = reduced <= reduced.min(axis=1, keepdims=True) + _TIE * cost.max()
        share, alone = tight * 1.0, tight.sum(axis=1) == 1
        if not alone.all():
            rest = np.maximum(q - mass[alone] @ share[alone], 0.0)
            targets = np.flatnonzero(tight[~alone].any(axis=0))
            if (~alone).sum() == 1:
                moved = rest[None, targets]
            else:
                forbidden = np.where(tight[np.ix_(~alone, targets)], 0.0, 1 + 2 * cost.max())
                moved = _transport(cost[np.ix_(~alone, targets)] + forbidden, mass[~alone], rest[targets])
            share[~alone] = 0.0
            share[np.ix_(~alone, targets)] = moved / mass[~alone][:, None]
        targets = np.flatnonzero(share.any(axis=0))
        return used, open_to[targets], share[:, targets]

    def _moves(self, p: np.ndarray, q: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The cheapest plan that leaves common mass where it is."""
        more, less = np.flatnonzero(p > q), np.flatnonzero(q > p)
        moved = np.zeros((len(more), len(less)))
        if len(more) and len(less):
            moved = _transport(self.set.cost[np.ix_(more, less)], (p - q)[more], (q - p)[less])
        return more, less, moved / p[more][:, None]

    def _everything(self, p: np.ndarray, q: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The cheapest plan."""
        used, open_to = np.flatnonzero(p), np.flatnonzero(np.isfinite(z))
        moved = _transport(self.set.cost[np.ix_(used, open_to)], p[used], q[open_to])
        # A program meets its balances nearly: what is closed to mass must not be among its targets.
        return used, open_to, moved / p[used][:, None]


def _peak(lines: Callable, first: tuple[np.ndarray, np.ndarray], last: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Where concave piecewise linear functions on [0, inf) are largest, from their lines at 0 and at infinity."""
    (ca, ga), (cb, gb) = first, last
    at, x = ga > 0, np.zeros(len(ga))
    for _ in range(200):
        meet = (cb - ca) / np.where(ga > gb, ga - gb, 1.0)
        x = np.where(at, np.maximum(meet, 0.0), x)
        if not at.any():
            break
        c, g = lines(x, at)
        # Rounding of the sums that made the two lines.
        at = at & (c + g * x < ca + ga * x - 1e-15 * (np.abs(ca) + np.abs(cb)))
        rises = g > 0
        ca, ga = np.where(at & rises, c, ca), np.where(at & rises, g, ga)
        cb, gb = np.where(at & ~rises, c, cb), np.where(at & ~rises, g, gb)
    return x


def _transport(cost: np.ndarray, give: np.ndarray, take: np.ndarray) -> np.ndarray:
    """A cheapest plan between two vectors of equal sum, up to rounding."""
    m, n = cost.shape
    if min(m, n) == 1 or not take.sum() > 0:
        return np.outer(give, take) / max(give.sum(), take.sum())
    entry = np.arange(m * n)
    # The last balance follows from the others.
    rows = np.concatenate([entry // n, m + entry % n])
    matrix = coo_array((np.ones(2 * m * n), (rows, np.tile(entry, 2))), shape=(m + n, m * n)).tocsr()
    # HiGHS keeps balances to an absolute error: masses of about 1 lose least.
    unit = give.sum() / (m + n)
    balances = np.append(give / unit, take * ((m + n) / take.sum()))[:-1]
    accuracy = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(cost.ravel(), A_eq=matrix[:-1], b_eq=balances, method="highs", options=accuracy)
    return np.zeros((m, n)) if found.x is None else np.maximum(found.x, 0.0).reshape(m, n) * unit


def _outcome(
    ar: Any, p: Any, sources: np.ndarray, targets: np.ndarray, share: np.ndarray, cost: np.ndarray
) -> tuple[Any, Any]:
    """The row that a plan leads to, and its cost; what a source does not send away stays."""
    S = len(cost)
    if not len(sources) or not len(targets):
        return p, ar.of(np.zeros(1))[0]
    share = np.where(sources[:, None] == targets, 0.0, share)
    # Exactly at most 1, whatever the sum rounds to: it has far fewer than 9000 terms.
    share = share / np.maximum(1.0, share.sum(axis=1, keepdims=True) * (1 + 1e-12))
    mass = p[sources][:, None] * ar.of(share)
    price = ar.total(ar.total(mass * ar.of(cost[np.ix_(sources, targets)])))
    leave, arrive = ar.total(mass), ar.total(ar.transposed(mass))
    return p - ar.scattered(leave, sources, S) + ar.scattered(arrive, targets, S), price
