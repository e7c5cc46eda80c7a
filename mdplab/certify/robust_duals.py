"""Sets of rows within a distance of the nominal row, and their soft forms: distances, and bounds by weak duality.

For rows `k` of one group (a row with `"sa"`, the rows of a state with `"s"`), objectives `y_k`, distances `D_k` and a
budget `kappa`, every `lambda > 0` gives

    min { sum_k q_k . y_k : sum_k D_k(q_k) <= kappa }  >=  sum_k L_k(lambda) - lambda kappa,
    L_k(lambda) = min over distributions q of q . y_k + lambda D_k(q),

and soft sets are `L_k` at their temperature. In turn, for every number `nu`,

    L_k(lambda) >= nu + sum_i min over q_i >= 0 of [q_i (y_i - nu) + lambda d_i(q_i)],    D = sum_i d_i,

where the sum is over the entries that mass may reach, and each minimum over one number is elementary; with `c = y_i -
nu`, `p` the nominal row:

    weighted L1, w |q - p|          p min(c, lambda w), and nu <= y_j + lambda w_j for all j: nu is their least
    L2 squared, (q - p)^2           p t - t^2 / (4 lambda),      t = min(c, 2 lambda p)
    chi-square, (q - p)^2 / p       p (t - t^2 / (4 lambda)),    t = min(c, 2 lambda)
    Burg, p log(p / q)              lambda p (1 + log(c / lambda)), and nu <= y_j for all j
    KL, q log(q / p)                the best nu in closed form: L = -lambda log sum_i p_i exp(-y_i / lambda)

The multipliers come from plain floats: any will do for a proof, good ones make the bound tight. The L2 ball is that of
the squared distance, of budget `radius^2`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mdplab.certify.enclosure import Plain
from mdplab.certify.report import Refused

# A distance may exceed its budget by this share and amount: the solver's rounding. What nature gains by it is charged.
ALLOWANCE = 1e-12
# How far rows recovered by an optimiser (transport plans, weights of models) may be from the kernel's: charged too.
RECOVERED = 1e-9
PLAIN = Plain()
_GOLDEN = (5**0.5 - 1) / 2
_STEPS = 100


@dataclass(frozen=True)
class Rows:
    """Rows of successive states, with the groups that share a budget.

    `P` `(n, S)` holds the nominal rows as stored, `allowed` `(n, S)` where mass may be, `s` and `a` `(n,)` their state
    and action; `states` the states and `starts` their first rows; `groups` the first rows of the groups.
    """

    P: np.ndarray
    allowed: np.ndarray
    s: np.ndarray
    a: np.ndarray
    shared: bool

    @cached_property
    def starts(self) -> np.ndarray:
        """First row of each state, `(m,)`."""
        return np.flatnonzero(np.diff(self.s, prepend=-1))

    @cached_property
    def groups(self) -> np.ndarray:
        """First row of each group."""
        return self.starts if self.shared else np.arange(len(self.s))

    @cached_property
    def group(self) -> np.ndarray:
        """Group of each row, `(n,)`."""
        return np.cumsum(np.isin(np.arange(len(self.s)), self.groups)) - 1

    def nominal(self, ar: Any) -> Any:
        """The nominal rows as probabilities."""
        P = ar.of(self.P)
        return P / ar.total(P)[:, None]

    def take(self, keep: np.ndarray) -> "Rows":
        """Some of the rows."""
        return Rows(self.P[keep], self.allowed[keep], self.s[keep], self.a[keep], self.shared)

    def name(self, group: int) -> str:
        """Where a group is."""
        k = self.groups[group]
        return f"state {self.s[k]}" + ("" if self.shared else f", action {self.a[k]}")

    def refuse_first(self, bad: np.ndarray, what: str) -> None:
        """Refused where an entry `(n, S)` is bad."""
        if bad.any():
            k, j = np.argwhere(bad)[0]
            raise Refused(f"kernel row at state {self.s[k]}, action {self.a[k]} {what} at successor {j}")


def as_probabilities(ar: Any, Q: np.ndarray) -> Any:
    """Rows divided by their sums."""
    q = ar.of(Q)
    return q / ar.total(q)[:, None]


class Divergence:
    """A ball in some distance (`soft` false), or any row at `temperature` times the distance."""

    transcendental = False
    # Whether at radius 0 the set is the nominal row.
    is_point = True
    # To what share a multiplier is sought: kinks need all digits, smooth bounds are flat at their best.
    sharp = 1e-9

    def __init__(self, problem: Any) -> None:
        one = problem.uncertainty
        self.set, self.soft = one, one.name.startswith("soft_")
        self.sizes = one.radii(problem.S, problem.A)

    def size(self, rows: Rows) -> np.ndarray:
        """Radius or temperature of each group."""
        first = rows.groups
        return self.sizes[rows.s[first]] if rows.shared else self.sizes[rows.s[first], rows.a[first]]

    def budget(self, ar: Any, rows: Rows) -> Any:
        """What the distances of a group may sum to."""
        return ar.of(self.size(rows))

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)` of each row."""
        raise NotImplementedError

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """The bound of `L` of each row; `lam` and `nu` `(n, 1)`."""
        raise NotImplementedError

    def prepared(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> Any:
        """What `centre` needs of an objective, once."""
        return None

    def centre(self, found: Any, lam: np.ndarray) -> np.ndarray:
        """The best `nu` for `lam` `(n, 1)`, in plain floats."""
        return np.zeros_like(lam)

    def multipliers(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> np.ndarray:
        """A good multiplier for each group, in plain floats."""
        return best_multipliers(self, rows, p, y)

    def bracket(self, rows: Rows, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the best multiplier of each group lies, in units of which nothing is proved."""
        return 1e-14 * span, 10 * span * (1 + 1 / np.sqrt(np.maximum(self.size(rows), 1e-20)))

    def repaired(self, ar: Any, rows: Rows, Q: np.ndarray, z: np.ndarray) -> tuple[Any, Any]:
        """Rows that are in the set, a little nearer to the nominal ones than Q's, and the price of each.

        `z` `(n, S)` is an objective that Q's rows may make small: a hint for those who need one.

        By convexity `D((1 - t) q + t p) <= (1 - t) D(q)`, which is at most the budget for `t = 1 - budget / D(q)`.
        """
        rows.refuse_first((Q > 0) & ~rows.allowed, "has mass off the nominal support")
        p, q = rows.nominal(ar), as_probabilities(ar, Q)
        far = self.distance(ar, rows, p, q, Q)
        if self.soft:
            return q, ar.of(self.size(rows)) * far
        total, budget = ar.grouped(far, rows.groups), self.budget(ar, rows)
        excess = total - budget
        outside = ar.shown(excess - self.allowance(ar, rows))
        if outside.any():
            g = int(np.argmax(outside))
            raise Refused(
                f"kernel rows at {rows.name(g)} lie outside the set: {self.set.name} distance "
                f"{self.readable(ar.floats(total)[g]):.12g}, radius {self.size(rows)[g]:.12g}"
            )
        back = ar.share(ar.maximum(excess, ar.of(np.zeros(len(rows.groups)))), total)[rows.group]
        return q + back[:, None] * (p - q), None

    def allowance(self, ar: Any, rows: Rows) -> Any:
        """By how much the distances may exceed the budget before the row counts as outside."""
        return ar.of(ALLOWANCE * (1 + self.size(rows)))

    def readable(self, distance: float) -> float:
        """The distance in the units of the radius."""
        return distance

    def least(self, ar: Any, rows: Rows, z: Any, w: Any, z_plain: np.ndarray, w_plain: np.ndarray) -> Any:
        """A lower bound, for each state, of `min sum_a w_a q_a . z_a` over the set."""
        p = rows.nominal(ar)
        y, y_plain = (w[:, None] * z, w_plain[:, None] * z_plain) if rows.shared else (z, z_plain)
        p_plain = rows.nominal(PLAIN)
        lam = self.size(rows) if self.soft else self.multipliers(rows, p_plain, y_plain)
        # Any positive multiplier is valid, and any nu; what the search may leave beyond the floats is not a number.
        lam = np.where((lam > 0) & np.isfinite(lam), lam, 1.0)
        nu = np.nan_to_num(self.centre(self.prepared(rows, p_plain, y_plain), lam[rows.group][:, None]))
        price = self.price(ar, rows, p, y, ar.of(lam[rows.group][:, None]), ar.of(nu))
        if self.soft:
            return ar.grouped(w * price, rows.starts)
        bound = ar.grouped(price, rows.groups) - ar.of(lam) * self.budget(ar, rows)
        bound = ar.better(bound, ar.grouped(ar.least(y, rows.allowed), rows.groups))
        if self.is_point:
            still = self.size(rows) == 0
            nominal = ar.grouped(ar.total(p * y), rows.groups)
            bound = ar.pick(still, nominal, bound)
        return bound if rows.shared else ar.grouped(w * bound, rows.starts)


class WeightedL1(Divergence):
    """`sum_i w_i |q_i - p_i|`; total variation has weights 1/2."""

    sharp = 1e-15

    def weights(self, rows: Rows) -> np.ndarray:
        """`(n, S)`."""
        if self.set.name == "weighted_l1":
            weights = self.set.weights
            return np.broadcast_to(weights, rows.P.shape) if weights.ndim == 1 else weights[rows.s, rows.a]
        return np.full(rows.P.shape, 0.5 if self.set.name in ("tv", "soft_tv") else 1.0)

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)`."""
        return ar.total(ar.of(self.weights(rows)) * ar.absolute(q - p))

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`nu + sum p min(y - nu, lambda w)`."""
        step = lam * ar.of(self.weights(rows))
        nu = ar.least(y + step, rows.allowed)
        return nu + ar.total(p * ar.minimum(y - nu[:, None], step))

    def bracket(self, rows: Rows, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kinks are at `(y_i - y_j) / (w_i +- w_j)`; the slope is at most the budget beyond `span / min w`."""
        weights = self.weights(rows)
        least = np.minimum.reduceat(weights.min(axis=1), rows.groups)
        most = np.maximum.reduceat(weights.max(axis=1), rows.groups)
        return 1e-14 * span / most, 2 * span / least


class L2(Divergence):
    """`sum_i (q_i - p_i)^2`, of budget `radius^2`."""

    def budget(self, ar: Any, rows: Rows) -> Any:
        """The squared radius."""
        size = ar.of(self.size(rows))
        return size * size

    def allowance(self, ar: Any, rows: Rows) -> Any:
        """That of the radius, squared."""
        size = self.size(rows)
        slip = ALLOWANCE * (1 + size)
        return ar.of(2 * size * slip + slip**2)

    def readable(self, distance: float) -> float:
        """The root."""
        return max(distance, 0.0) ** 0.5

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)`."""
        off = q - p
        return ar.total(off * off)

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`nu + sum p t - t^2 / (4 lambda)`."""
        t = ar.minimum(y - nu, 2 * (lam * p))
        return nu[:, 0] + ar.total(ar.masked(rows.allowed, p * t - t * t / (4 * lam)))

    def prepared(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> Any:
        """The row and its objective."""
        return rows.allowed, p, y

    def centre(self, found: Any, lam: np.ndarray) -> np.ndarray:
        """`sum (2 lambda p - y + nu)_+ = 2 lambda`: a projection on the simplex."""
        allowed, p, y = found
        x = -np.sort(np.where(allowed, y - 2 * lam * p, np.inf), axis=1)
        k = np.arange(1, x.shape[1] + 1)
        finite = x > -np.inf
        nu = (2 * lam - np.cumsum(np.where(finite, x, 0.0), axis=1)) / k
        last = ((np.where(finite, x, 0.0) + nu > 0) & finite).sum(axis=1) - 1
        return np.take_along_axis(nu, np.maximum(last, 0)[:, None], axis=1)

    def bracket(self, rows: Rows, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`lambda = ||t|| / (2 radius)` at the optimum."""
        most = span * rows.P.shape[1] ** 0.5 * np.add.reduceat(np.ones(len(rows.s)), rows.groups)
        return 1e-14 * span, 10 * most * (1 + 1 / np.maximum(self.size(rows), 1e-10))


class Chi2(Divergence):
    """`sum_i (q_i - p_i)^2 / p_i`."""

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)`."""
        off = q - p
        return ar.total(off * off / (p + ar.of(rows.P == 0)))

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`nu + sum p (t - t^2 / (4 lambda))`."""
        t = ar.minimum(y - nu, 2 * lam)
        return nu[:, 0] + ar.total(ar.masked(rows.P > 0, p * (t - t * t / (4 * lam))))

    def prepared(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> Any:
        """Sums over the smallest objectives, and the `2 lambda` from which the next joins them."""
        key = np.where(rows.P > 0, y, np.inf)
        order = np.argsort(key, axis=1)
        y, p = np.take_along_axis(y, order, axis=1), np.take_along_axis(p, order, axis=1)
        mass, moment = np.cumsum(p, axis=1), np.cumsum(p * y, axis=1)
        joins = np.where(p > 0, mass * y - moment, np.inf)
        return mass, moment, joins

    def centre(self, found: Any, lam: np.ndarray) -> np.ndarray:
        """`sum p (nu + 2 lambda - y)_+ = 2 lambda`."""
        mass, moment, joins = found
        last = np.maximum((joins < 2 * lam).sum(axis=1) - 1, 0)[:, None]
        mass, moment = (np.take_along_axis(x, last, axis=1) for x in (mass, moment))
        return (2 * lam + moment) / mass - 2 * lam


class KL(Divergence):
    """`sum_i q_i log(q_i / p_i)`."""

    transcendental = True

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)`."""
        ratio = q / (p + ar.of(rows.P == 0)) + ar.of(Q == 0)
        return ar.total(ar.masked(Q > 0, q * ar.log(ratio)))

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`-lambda log sum p exp(-y / lambda)`."""
        least = ar.least(y, rows.allowed)
        away = ar.masked(rows.allowed, y - least[:, None])
        return least - lam[:, 0] * ar.log(ar.total(p * ar.exp(-(away / lam))))


class Burg(Divergence):
    """`sum_i p_i log(p_i / q_i)`: mass may leave the nominal support."""

    transcendental = True

    def distance(self, ar: Any, rows: Rows, p: Any, q: Any, Q: np.ndarray) -> Any:
        """`D(q, p)`."""
        rows.refuse_first((rows.P > 0) & (Q == 0), "has no mass, so that the burg distance is infinite,")
        on = rows.P > 0
        ratio = p / (q + ar.of(Q == 0)) + ar.of(~on)
        return ar.total(ar.masked(on, p * ar.log(ratio)))

    def price(self, ar: Any, rows: Rows, p: Any, y: Any, lam: Any, nu: Any) -> Any:
        """`nu + lambda sum p (1 + log((y - nu) / lambda))`."""
        on = rows.P > 0
        nu = ar.minimum(nu[:, 0], ar.least(y, rows.allowed))
        ratio = ar.masked(on, (y - nu[:, None]) / lam) + ar.of(~on)
        return nu + lam[:, 0] * (1 + ar.total(ar.masked(on, p * ar.log(ratio))))

    def prepared(self, rows: Rows, p: np.ndarray, y: np.ndarray) -> Any:
        """Distances of the objective from its least on the support, and how far below others lie."""
        on = rows.P > 0
        base = np.where(on, y, np.inf).min(axis=1, keepdims=True)
        below = base - np.where(rows.allowed, y, np.inf).min(axis=1, keepdims=True)
        away = np.where(on, y - base, 0.0)
        return p, away, base, below, (p * (away == 0)).sum(axis=1, keepdims=True)

    def centre(self, found: Any, lam: np.ndarray) -> np.ndarray:
        """`sum p / (y - nu) = 1 / lambda`, by Newton's method on a concave function, from the left."""
        p, away, base, below, mass = found
        gap = lam * mass
        for _ in range(40):
            weight = p / (away + gap)
            first = weight.sum(axis=1, keepdims=True)
            slope = (weight / (away + gap)).sum(axis=1, keepdims=True) / first**2
            step = (lam - 1 / first) / slope
            gap = np.where(step > 0, gap + step, gap)
            # The bound is flat in nu at its best.
            if not (step > 1e-9 * gap).any():
                break
        return base - np.maximum(gap, below)


def best_multipliers(family: Divergence, rows: Rows, p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The multiplier of each group that makes its bound largest, by golden section, in plain floats."""
    least = np.where(rows.allowed, y, np.inf).min(axis=1)
    most = np.where(rows.allowed, y, -np.inf).max(axis=1)
    y = y - least[:, None]
    span = np.maximum.reduceat(most - least, rows.groups)
    span = np.where(span > 0, span, 1.0)
    budget, found = family.budget(PLAIN, rows), family.prepared(rows, p, y)

    def bound(logs: np.ndarray) -> np.ndarray:
        lam = np.exp(logs)
        each = lam[rows.group][:, None]
        price = family.price(PLAIN, rows, p, y, each, family.centre(found, each))
        value = np.add.reduceat(price, rows.groups) - lam * budget
        return np.where(np.isfinite(value), value, -np.inf)

    low, high = (np.log(x) for x in family.bracket(rows, span))
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = bound(left), bound(right)
    for _ in range(_STEPS):
        down = at_left >= at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        new = np.where(down, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_new = bound(new)
        left, right = np.where(down, new, right), np.where(down, left, new)
        at_left, at_right = np.where(down, at_new, at_right), np.where(down, at_left, at_new)
        if (high - low).max() < family.sharp:
            break
    return np.exp(np.where(at_left >= at_right, left, right))
