"""One vocabulary for arrays of numbers in four arithmetics, so that each formula of the referee is written once.

`Plain` is NumPy, without a bound of its error: good for looking for multipliers, never for a verdict. `Balls` carries
a radius with each float: the true number lies within `rad` of `mid`. `Rationals` is exact; `Arbs` encloses `exp` and
`log` by flint's ball arithmetic at its current precision. The last two hold object arrays.

Proof for `Balls`. With `u = 2^-53`, an operation on floats returns `exact (1 + d)`, `|d| <= u`, or, where a product
or quotient underflows, is off by at most `2^-1074`. The radii below are the textbook propagation of the operands'
radii, plus `u` times the result; they are sums and products of at most eight rounded non-negative terms, hence
enlarged by `1 + 2^-48`, and by `2^-1000` where both factors differ from 0. A sum by halving passes each term through
at most `log2 n + 1` roundings, and the sum of its radii is enlarged by `1 + 2 n u`. `minimum`, `maximum`, `least` and
`absolute` are exact and move by no more than their arguments. NumPy's `exp`, `log` and `expm1` are taken to be
accurate to 8 units in the last place. An overflow leaves an infinite radius or NaN, of which nothing is ever shown.
"""

from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.rows import UNIT

_GROW = 1 + 2.0**-48
_TINY = 2.0**-1000
_ULPS = 16 * UNIT


class Balls:
    """Floats `mid`, each within `rad` of the number it stands for."""

    __slots__ = ("mid", "rad")
    # NumPy leaves `array * balls` to the balls.
    __array_ufunc__ = None

    def __init__(self, mid: Any, rad: Any = 0.0) -> None:
        self.mid = np.asarray(mid, dtype=np.float64)
        self.rad = np.broadcast_to(np.asarray(rad, dtype=np.float64), self.mid.shape)

    @staticmethod
    def _of(x: Any) -> "Balls":
        return x if isinstance(x, Balls) else Balls(x)

    def __getitem__(self, at: Any) -> "Balls":
        return Balls(self.mid[at], self.rad[at])

    def __neg__(self) -> "Balls":
        return Balls(-self.mid, self.rad)

    def __add__(self, other: Any) -> "Balls":
        other = Balls._of(other)
        mid = self.mid + other.mid
        return Balls(mid, (self.rad + other.rad + UNIT * np.abs(mid)) * _GROW)

    def __sub__(self, other: Any) -> "Balls":
        return self + -Balls._of(other)

    def __rsub__(self, other: Any) -> "Balls":
        return Balls._of(other) + -self

    def __mul__(self, other: Any) -> "Balls":
        a, b = self, Balls._of(other)
        mid = a.mid * b.mid
        rad = np.abs(a.mid) * b.rad + a.rad * np.abs(b.mid) + a.rad * b.rad + UNIT * np.abs(mid)
        return Balls(mid, rad * _GROW + _TINY * (a._present() & b._present()))

    def __truediv__(self, other: Any) -> "Balls":
        a, b = self, Balls._of(other)
        away = np.abs(b.mid) - b.rad
        mid = a.mid / b.mid
        # A / B - a / b = ((A - a) - (a / b) (B - b)) / B.
        rad = (a.rad + np.abs(mid) * b.rad) / away + UNIT * np.abs(mid)
        return Balls(mid, np.where(away > 0, rad * _GROW + _TINY * a._present(), np.inf))

    def __rtruediv__(self, other: Any) -> "Balls":
        return Balls._of(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def _present(self) -> np.ndarray:
        return (self.mid != 0) | (self.rad != 0)


class Plain:
    """Floats as they come."""

    exact = False

    def of(self, x: Any) -> Any:
        """Numbers from floats."""
        return np.asarray(x, dtype=np.float64)

    def total(self, x: Any) -> Any:
        """Sums over the last axis."""
        return x.sum(axis=-1)

    def grouped(self, x: Any, starts: np.ndarray) -> Any:
        """Sums over runs of the only axis, each from one of `starts` to the next."""
        return np.add.reduceat(x, starts)

    def minimum(self, x: Any, y: Any) -> Any:
        """The smaller, entry by entry."""
        return np.minimum(x, y)

    def maximum(self, x: Any, y: Any) -> Any:
        """The larger, entry by entry."""
        return np.maximum(x, y)

    def absolute(self, x: Any) -> Any:
        """Absolute values."""
        return np.abs(x)

    def least(self, x: Any, mask: np.ndarray) -> Any:
        """Minima over the entries of the last axis where `mask` is true."""
        return np.where(mask, x, np.inf).min(axis=-1)

    def masked(self, mask: np.ndarray, x: Any) -> Any:
        """`x` where `mask` is true, else 0."""
        return np.where(mask, x, 0.0)

    def pick(self, mask: np.ndarray, x: Any, y: Any) -> Any:
        """`x` where `mask` is true, else `y`."""
        return np.where(mask, x, y)

    def transposed(self, x: Any) -> Any:
        """The transpose of a matrix."""
        return x.T

    def stacked(self, rows: list) -> Any:
        """Arrays of one shape along a new first axis."""
        return np.stack(rows)

    def scattered(self, x: Any, at: np.ndarray, size: int) -> Any:
        """A vector with the entries of `x` at the distinct places `at`, else 0."""
        out = self.of(np.zeros(size))
        out[at] = x
        return out

    def exp(self, x: Any) -> Any:
        """Exponentials."""
        return np.exp(x)

    def log(self, x: Any) -> Any:
        """Logarithms."""
        return np.log(x)

    def floats(self, x: Any) -> np.ndarray:
        """The nearest floats, or nearly."""
        return x


class FloatBalls(Plain):
    """The vocabulary for `Balls`."""

    def of(self, x: Any) -> Balls:
        """Numbers from floats."""
        return Balls(x)

    def total(self, x: Balls) -> Balls:
        """Sums over the last axis, by halving."""
        n = x.mid.shape[-1]
        count, mid = n, x.mid.copy()
        while count > 1:
            half = (count + 1) // 2
            mid[..., : count - half] += mid[..., half:count]
            count = half
        rad = (x.rad.sum(axis=-1) + (1 + n.bit_length()) * UNIT * np.abs(x.mid).sum(axis=-1)) * (
            1 + (2 * n + 32) * UNIT
        )
        return Balls(mid[..., 0], rad * _GROW)

    def grouped(self, x: Balls, starts: np.ndarray) -> Balls:
        """Sums over runs."""
        n = len(x.mid)
        rad = np.add.reduceat(x.rad, starts)
        most = np.diff(np.append(starts, n)) * UNIT * np.add.reduceat(np.abs(x.mid), starts)
        return Balls(np.add.reduceat(x.mid, starts), (rad + most) * (1 + (2 * n + 32) * UNIT) * _GROW)

    def minimum(self, x: Any, y: Any) -> Balls:
        """The smaller, entry by entry."""
        return -self.maximum(-Balls._of(x), -Balls._of(y))

    def maximum(self, x: Any, y: Any) -> Balls:
        """The larger, entry by entry."""
        x, y = Balls._of(x), Balls._of(y)
        apart, reach = x.mid - y.mid, (x.rad + y.rad) * _GROW
        rad = np.where(apart > reach, x.rad, np.where(apart < -reach, y.rad, np.maximum(x.rad, y.rad)))
        return Balls(np.maximum(x.mid, y.mid), rad)

    def absolute(self, x: Balls) -> Balls:
        """Absolute values."""
        return Balls(np.abs(x.mid), x.rad)

    def least(self, x: Balls, mask: np.ndarray) -> Balls:
        """Masked minima over the last axis."""
        return Balls(np.where(mask, x.mid, np.inf).min(axis=-1), np.where(mask, x.rad, 0.0).max(axis=-1))

    def masked(self, mask: np.ndarray, x: Balls) -> Balls:
        """`x` or 0."""
        return Balls(np.where(mask, x.mid, 0.0), np.where(mask, x.rad, 0.0))

    def pick(self, mask: np.ndarray, x: Balls, y: Balls) -> Balls:
        """`x` or `y`."""
        return Balls(np.where(mask, x.mid, y.mid), np.where(mask, x.rad, y.rad))

    def transposed(self, x: Balls) -> Balls:
        """The transpose of a matrix."""
        return Balls(x.mid.T, x.rad.T)

    def stacked(self, rows: list) -> Balls:
        """Arrays of one shape along a new first axis."""
        return Balls(np.stack([x.mid for x in rows]), np.stack([x.rad for x in rows]))

    def scattered(self, x: Balls, at: np.ndarray, size: int) -> Balls:
        """A vector with entries at some places, else 0."""
        mid, rad = np.zeros(size), np.zeros(size)
        mid[at], rad[at] = x.mid, x.rad
        return Balls(mid, rad)

    def exp(self, x: Balls) -> Balls:
        """Exponentials."""
        mid = np.exp(x.mid)
        rad = (mid * (1 + _ULPS) + _TINY) * np.expm1(x.rad) * (1 + _ULPS) + _ULPS * mid + _TINY
        return Balls(mid, rad * _GROW)

    def log(self, x: Balls) -> Balls:
        """Logarithms; an infinite radius where the argument is not known to be positive."""
        away = x.mid - x.rad
        sure = away > 0
        mid = np.log(np.where(sure, x.mid, 1.0))
        rad = x.rad / np.where(sure, away, 1.0) + _ULPS * np.abs(mid)
        return Balls(mid, np.where(sure, rad * _GROW, np.inf))

    def share(self, part: Any, whole: Any) -> Balls:
        """`part / whole`, known to lie in [0, 1]; 0 where `part` is, though `whole` may be 0 too."""
        ratio, some = Balls._of(part) / whole, part._present()
        low, high = ratio.mid - ratio.rad * _GROW, ratio.mid + ratio.rad * _GROW
        low = np.where(low > 0, np.minimum(np.nextafter(low, 0), 1.0), 0.0)
        high = np.where(high < 1, np.maximum(np.nextafter(high, 1), 0.0), 1.0)
        low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
        middle = (low + high) / 2
        return Balls(middle, np.maximum(high - middle, middle - low) * _GROW)

    def better(self, x: Balls, y: Balls) -> Balls:
        """Of two lower bounds, whichever is known to be larger."""
        first = ~(y.mid - y.rad > x.mid - x.rad) & np.isfinite(x.rad)
        return Balls(np.where(first, x.mid, y.mid), np.where(first, x.rad, y.rad))

    def shown(self, x: Balls) -> np.ndarray:
        """Where `x >= 0` is proved."""
        return (x.mid >= x.rad) & (x.rad < np.inf)

    def floats(self, x: Balls) -> np.ndarray:
        """The midpoints."""
        return x.mid


class _Objects(Plain):
    """What object arrays share; their operators are those of their elements."""

    def total(self, x: np.ndarray) -> np.ndarray:
        """Sums over the last axis."""
        return np.add.reduce(x, axis=-1)

    def masked(self, mask: np.ndarray, x: np.ndarray) -> np.ndarray:
        """`x` or 0."""
        return np.where(mask, x, self.of(0.0))

    def least(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Masked minima over the last axis."""
        mask = np.broadcast_to(mask, x.shape)
        out = np.empty(x.shape[:-1], dtype=object)
        for at in np.ndindex(out.shape):
            entries = x[at][mask[at]]
            best = entries[0]
            for one in entries[1:]:
                best = self.minimum(best, one)
            out[at] = best
        return out

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Where `x >= 0` is proved."""
        return np.asarray(x >= 0, dtype=bool)


class Rationals(_Objects):
    """The vocabulary for exact rationals."""

    exact = True
    _lift = staticmethod(np.frompyfunc(rational.number, 1, 1))
    _minimum = staticmethod(np.frompyfunc(min, 2, 1))
    _maximum = staticmethod(np.frompyfunc(max, 2, 1))
    _share = staticmethod(np.frompyfunc(lambda part, whole: part if part == 0 else part / whole, 2, 1))
    _floats = staticmethod(np.frompyfunc(lambda x: float(rational.fraction(x)), 1, 1))

    def of(self, x: Any) -> Any:
        """Numbers from floats."""
        return self._lift(np.asarray(x, dtype=np.float64))

    def minimum(self, x: Any, y: Any) -> Any:
        """The smaller, entry by entry."""
        return self._minimum(x, y)

    def maximum(self, x: Any, y: Any) -> Any:
        """The larger, entry by entry."""
        return self._maximum(x, y)

    def better(self, x: Any, y: Any) -> Any:
        """The larger lower bound."""
        return self._maximum(x, y)

    def share(self, part: Any, whole: Any) -> Any:
        """`part / whole`; 0 where `part` is."""
        return self._share(part, whole)

    def floats(self, x: Any) -> np.ndarray:
        """The nearest floats."""
        return np.asarray(self._floats(x), dtype=np.float64)


class Arbs(_Objects):
    """The vocabulary for flint's balls, at the precision that its context has."""

    exact = True
    _lift = staticmethod(np.frompyfunc(lambda x: rational.flint.arb(rational.number(x)), 1, 1))
    _minimum = staticmethod(np.frompyfunc(lambda x, y: x.min(y), 2, 1))
    _maximum = staticmethod(np.frompyfunc(lambda x, y: x.max(y), 2, 1))
    _better = staticmethod(np.frompyfunc(lambda x, y: y if y.lower() > x.lower() or x.is_nan() else x, 2, 1))
    _exp = staticmethod(np.frompyfunc(lambda x: x.exp(), 1, 1))
    _log = staticmethod(np.frompyfunc(lambda x: x.log(), 1, 1))
    _floats = staticmethod(np.frompyfunc(lambda x: float(x.mid()), 1, 1))

    def of(self, x: Any) -> Any:
        """Numbers from floats."""
        return self._lift(np.asarray(x, dtype=np.float64))

    def minimum(self, x: Any, y: Any) -> Any:
        """The smaller, entry by entry."""
        return self._minimum(x, y)

    def maximum(self, x: Any, y: Any) -> Any:
        """The larger, entry by entry."""
        return self._maximum(x, y)

    def absolute(self, x: Any) -> Any:
        """Absolute values."""
        return abs(x)

    def exp(self, x: Any) -> Any:
        """Exponentials."""
        return self._exp(x)

    def log(self, x: Any) -> Any:
        """Logarithms; NaN where the argument may be negative."""
        return self._log(x)

    def better(self, x: Any, y: Any) -> Any:
        """Of two lower bounds, whichever is known to be larger."""
        return self._better(x, y)

    def share(self, part: Any, whole: Any) -> Any:
        """`part / whole`, known to lie in [0, 1]; 0 where `part` is, though `whole` may be 0 too."""
        return np.frompyfunc(_arb_share, 2, 1)(part, whole)

    def floats(self, x: Any) -> np.ndarray:
        """The midpoints."""
        return np.asarray(self._floats(x), dtype=np.float64)


def _arb_share(part: Any, whole: Any) -> Any:
    arb = rational.flint.arb
    if part == 0:
        return part
    if not whole > 0:
        return arb("0.5 +/- 0.5")
    return (part / whole).max(arb(0)).min(arb(1))
