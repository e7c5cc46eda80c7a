"""Laws with finitely many atoms: distances between them, risk measures of them, and their two usual projections.

Rewards are maximised: the lower tail is the bad one. `F` is the distribution function of a law and
`QF(tau) = inf {x : F(x) >= tau}` its quantile function. Masses are never renormalised; where they sum to 1 only up to
rounding, the largest atom stands for what is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models.projections import (
    REACHED,
    checked_atoms,
    checked_level,
    project_categorical,
    project_quantile,
    quantiles,
)
from mdplab.models.validation import _at, _first, check_distribution

__all__ = [
    "FiniteLaw",
    "cramer",
    "cvar",
    "entropic_risk",
    "evar",
    "kolmogorov",
    "mean_variance",
    "ocvar",
    "project_categorical",
    "project_quantile",
    "wasserstein",
]


@dataclass(frozen=True, eq=False, slots=True)
class FiniteLaw:
    """A probability law with finitely many atoms.

    Parameters
    ----------
    x : array (n,)
        Atoms, finite and strictly increasing.
    p : array (n,)
        Their masses, positive, summing to 1 within 1e-8; never renormalised.

    Raises
    ------
    ValueError
        Names the argument, the index and the value: unsorted or repeated atoms among others.

    Examples
    --------
    >>> law = FiniteLaw([0.0, 2.0], [0.5, 0.5])
    >>> law.mean, law.variance, law.quantile(0.5)
    (1.0, 1.0, 0.0)
    >>> FiniteLaw([2.0, 0.0], [0.5, 0.5])
    Traceback (most recent call last):
    ...
    ValueError: x[1] is 0 after x[0] = 2; atoms increase strictly (FiniteLaw.of sorts and merges)
    """

    x: np.ndarray
    p: np.ndarray

    def __post_init__(self) -> None:
        x, p = checked_atoms(self.x, self.p)
        bad = _first(np.diff(x) <= 0)
        if bad is not None:
            i = bad[0] + 1
            raise ValueError(
                f"x[{i}] is {x[i]:g} after x[{i - 1}] = {x[i - 1]:g}; atoms increase strictly "
                "(FiniteLaw.of sorts and merges)"
            )
        bad = _first(p == 0)
        if bad is not None:
            raise ValueError(f"{_at('p', bad)} is 0; masses are positive (FiniteLaw.of drops zeros)")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "p", p)

    @classmethod
    def of(cls, x: Any, p: Any, *, merge: float = 1e-9) -> "FiniteLaw":
        """The law with atoms `x` and masses `p` in any order: sorted, near atoms merged, zero masses dropped.

        Parameters
        ----------
        x, p : array (n,)
            Atoms, finite; masses, at least 0, summing to 1 within 1e-8.
        merge : float, at least 0
            Atoms that lie within `merge * (1 + max |x|)` of the first of their group become one, at their mean. That
            moves the law by at most this distance in every Wasserstein metric, and its mean not at all. With 0 only
            equal atoms merge.

        Examples
        --------
        >>> FiniteLaw.of([2.0, 0.0, 2.0], [0.25, 0.5, 0.25])
        FiniteLaw(2 atoms in [0, 2], mean=1)
        """
        if not 0 <= merge < np.inf:
            raise ValueError(f"merge is {merge!r}; expected a finite number of at least 0")
        x, p = checked_atoms(x, p)
        kept = p > 0
        x, p = x[kept], p[kept]
        order = np.argsort(x, kind="stable")
        x, p = x[order], p[order]
        first = _group_starts(x, merge * (1 + np.abs(x).max()))
        if first.size == x.size:
            return cls(x, p)
        mass = np.add.reduceat(p, first)
        last = np.append(first[1:], x.size) - 1
        # Relative to the first atom, so that equal atoms stay exactly where they are.
        offset = np.add.reduceat(p * (x - np.repeat(x[first], np.diff(np.append(first, x.size)))), first)
        return cls(np.minimum(x[first] + offset / mass, x[last]), mass)

    @staticmethod
    def mixture(laws: Sequence["FiniteLaw"], weights: Any, *, merge: float = 1e-9) -> "FiniteLaw":
        """The mixture of `laws` with probabilities `weights` (len(laws),), atoms merged as by `of`."""
        if not laws:
            raise ValueError("laws is empty; a mixture needs at least one law")
        weights = check_distribution("weights", weights, len(laws))
        x = np.concatenate([law.x for law in laws])
        return FiniteLaw.of(x, np.concatenate([w * law.p for w, law in zip(weights, laws, strict=True)]), merge=merge)

    @property
    def mean(self) -> float:
        """Expectation."""
        return float(self.p @ self.x)

    @property
    def variance(self) -> float:
        """Variance, at least 0."""
        return float(self.p @ (self.x - self.mean) ** 2)

    def cdf(self, t: Any) -> Any:
        """`F(t)`, a float, or an array of the shape of `t`."""
        value = np.append(0.0, np.cumsum(self.p))[np.searchsorted(self.x, t, side="right")]
        return float(value) if np.ndim(t) == 0 else value

    def quantile(self, tau: float) -> float:
        """`QF(tau) = inf {x : F(x) >= tau}` for `tau` in (0, 1]; a level that rounding misses counts as reached."""
        return float(quantiles(self.x, self.p, checked_level("tau", tau)))

    def shift(self, c: float) -> "FiniteLaw":
        """The law of `X + c`."""
        return FiniteLaw.of(self.x + c, self.p, merge=0.0)

    def scale(self, g: float) -> "FiniteLaw":
        """The law of `g X`, for `g > 0`."""
        if not 0 < g < np.inf:
            raise ValueError(f"g is {g!r}; expected a finite number above 0")
        return FiniteLaw.of(g * self.x, self.p, merge=0.0)

    def expect(self, f: Callable[[np.ndarray], np.ndarray]) -> float:
        """`E f(X)` for a vectorised `f`."""
        return float(self.p @ np.asarray(f(self.x), dtype=np.float64))

    def __repr__(self) -> str:
        atoms = f"{self.x.size} atom{'s' if self.x.size > 1 else ''}"
        return f"FiniteLaw({atoms} in [{self.x[0]:g}, {self.x[-1]:g}], mean={self.mean:g})"


def wasserstein(a: FiniteLaw, b: FiniteLaw, p: float = 1) -> float:
    """`w_p(a, b) = (integral over (0, 1) of |QF_a - QF_b|^p)^(1/p)`, for `p` in [1, inf].

    For `p = inf` levels that only rounding of the cumulative masses tells apart are read as equal.

    Examples
    --------
    >>> a, b = FiniteLaw([0.0, 1.0], [0.5, 0.5]), FiniteLaw([0.0], [1.0])
    >>> wasserstein(a, b), wasserstein(a, b, np.inf)
    (0.5, 1.0)
    """
    if not p >= 1:
        raise ValueError(f"p is {p!r}; expected a number of at least 1, or inf")
    levels_a, levels_b = _levels(a), _levels(b)
    levels = np.union1d(levels_a, levels_b)
    width = np.diff(levels, prepend=0.0)
    # A level is an upper end: on (previous, level] both quantile functions are constant.
    distance = np.abs(a.x[np.searchsorted(levels_a, levels)] - b.x[np.searchsorted(levels_b, levels)])
    if p == np.inf:
        return float(distance[width > REACHED].max(initial=0.0))
    if p == 1:
        return float(width @ distance)
    top = distance.max()
    return float(top * (width @ (distance / top) ** p) ** (1 / p)) if top > 0 else 0.0


def cramer(a: FiniteLaw, b: FiniteLaw) -> float:
    """Cramer distance: the L2 norm of `F_a - F_b`.

    Examples
    --------
    >>> cramer(FiniteLaw([0.0], [1.0]), FiniteLaw([4.0], [1.0]))
    2.0
    """
    x = np.union1d(a.x, b.x)
    return float(np.sqrt(np.diff(x) @ (a.cdf(x) - b.cdf(x))[:-1] ** 2))


def kolmogorov(a: FiniteLaw, b: FiniteLaw) -> float:
    """Kolmogorov distance: the largest `|F_a - F_b|`, in [0, 1]."""
    x = np.union1d(a.x, b.x)
    return float(np.abs(a.cdf(x) - b.cdf(x)).max())


def cvar(law: FiniteLaw, tau: float) -> float:
    """Lower conditional value at risk `(1/tau) integral_0^tau QF`: the mean of the worst share `tau` in (0, 1].

    Examples
    --------
    >>> cvar(FiniteLaw([0.0, 1.0, 5.0], [0.2, 0.3, 0.5]), 0.4)
    0.5
    """
    return _tail_mean(law.x, law.p, checked_level("tau", tau))


def ocvar(law: FiniteLaw, tau: float) -> float:
    """Upper (optimistic) value `(1/tau) integral_{1-tau}^1 QF`: the mean of the best share `tau` in (0, 1].

    Examples
    --------
    >>> ocvar(FiniteLaw([0.0, 2.0], [0.7, 0.3]), 0.5)
    1.2
    """
    return _tail_mean(law.x[::-1], law.p[::-1], checked_level("tau", tau))


def entropic_risk(law: FiniteLaw, beta: float) -> float:
    """Entropic risk `-(1/beta) log E exp(-beta X)`: below the mean for `beta > 0`, above for `beta < 0`, it at 0.

    Examples
    --------
    >>> round(entropic_risk(FiniteLaw([0.0, 1.0], [0.5, 0.5]), 1.0), 12)
    0.379885493042
    """
    if not np.isfinite(beta):
        raise ValueError(f"beta is {beta!r}; expected a finite number")
    if beta == 0:
        return law.mean
    anchor = law.x[0] if beta > 0 else law.x[-1]
    return float(anchor - _log_mean_exp(-beta * (law.x - anchor), law.p) / beta)


def evar(law: FiniteLaw, level: float) -> float:
    """Entropic value at risk `sup_{b > 0} entropic_risk(X, b) + log(level) / b`, for `level` in (0, 1].

    `ess inf <= evar <= cvar <= mean`. With `t = 1/b` the objective is concave, its slope is
    `log(level) + KL(q_t | p)` for the tilted masses `q_t ~ p exp(-x/t)`, and at `t = 0` it is the smallest atom: that
    is the supremum as soon as `level` is at most the mass of this atom.

    Source
    ------
    Ahmadi-Javid (2012), Entropic value-at-risk, definition 3.1.

    Examples
    --------
    >>> law = FiniteLaw([-2.0, 0.0, 1.0], [0.1, 0.5, 0.4])
    >>> evar(law, 0.05), round(evar(law, 1.0), 12)
    (-2.0, 0.2)
    """
    from scipy.optimize import brentq  # loaded here: every import of the models would pay for it

    level = checked_level("level", level)
    low, y = law.x[0], law.x - law.x[0]
    if level == 1:
        return law.mean
    if level <= law.p[0] * (1 + REACHED) or law.x.size == 1:
        return float(low)

    def slope(t: float) -> float:
        log_mean = _log_mean_exp(-y / t, law.p)
        return np.log(level) - log_mean - (law.p * np.exp(-y / t - log_mean)) @ y / t

    # The objective is at most mean + t log(level), and at least ess inf: its maximiser lies below `top`.
    top = (law.mean - low) / -np.log(level)
    bottom = top
    while bottom > 0 and slope(bottom) < 0:
        bottom /= 2
    t = brentq(slope, bottom, 2 * bottom, xtol=1e-14 * bottom) if bottom < top else top
    return float(low - t * _log_mean_exp(-y / t, law.p) + t * np.log(level))


def mean_variance(law: FiniteLaw, weight: float) -> float:
    """`mean - weight * variance`."""
    return law.mean - weight * law.variance


def _group_starts(x: np.ndarray, tol: float) -> np.ndarray:
    """Indices at which a group of the sorted `x` starts; a group reaches at most `tol` beyond its first atom."""
    starts = np.flatnonzero(np.append(True, np.diff(x) > tol))
    ends = np.append(starts[1:], x.size)
    long = x[ends - 1] - x[starts] > tol
    if not long.any():
        return starts
    more = []
    # Chains of close atoms may drift far: cut them greedily.
    for start, end in zip(starts[long], ends[long], strict=True):
        while (start := start + int(np.searchsorted(x[start:end], x[start] + tol, side="right"))) < end:
            more.append(start)
    return np.sort(np.concatenate([starts, np.array(more, dtype=starts.dtype)]))


def _levels(law: FiniteLaw) -> np.ndarray:
    """Cumulative masses, (n,), ending at 1 exactly."""
    levels = np.minimum(np.cumsum(law.p), 1.0)
    levels[-1] = 1.0
    return levels


def _tail_mean(x: np.ndarray, p: np.ndarray, tau: float) -> float:
    """Mean of the first share `tau` of the mass, atoms in the order given."""
    before = np.append(0.0, np.cumsum(p)[:-1])
    used = np.clip(tau - before, 0.0, p)
    used[-1] += max(0.0, tau - before[-1] - p[-1])
    return float(used @ x / tau)


def _log_mean_exp(y: np.ndarray, p: np.ndarray) -> float:
    """`log sum p exp(y)` for `y <= 0` with a zero among them; accurate near 0 and for tiny masses."""
    small = p @ np.expm1(y)
    return float(np.log1p(small)) if small > -0.5 else float(np.log(p @ np.exp(y)))
