"""Rectangular uncertainty sets around a nominal kernel: what nature may choose.

With `rectangularity="sa"` nature chooses each row `q(. | s, a)` by itself, in a set of its own; with `"s"` it shares
one budget among the actions of a state: the sum over them of the distances is at most the radius. The rows of the
nominal kernel are read as probabilities, `p / sum p`. With `support="nominal"` mass stays on the successors that the
nominal row has; with `"all"` it may go to any state, and then also out of a terminal one: with costs on the way to a
goal `"nominal"` is what keeps the goal reached. Where only one of the two makes sense the set has no choice.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from mdplab.models.mdp import MDP
from mdplab.models.solution import frozen_array
from mdplab.models.validation import ROW_SUM_TOLERANCE, _at, _first


def _checked_choice(name: str, value: str, allowed: tuple[str, ...], owner: str) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; for {owner} it is {' or '.join(map(repr, allowed))}")


def _checked_numbers(name: str, values: Any, least: float, most: float, open_below: bool) -> np.ndarray:
    """`values` as a frozen array of finite numbers from `least` to `most`; ValueError names the entry."""
    try:
        array = frozen_array(values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {values!r}; expected a number or an array of numbers") from None
    below = array <= least if open_below else array < least
    bad = _first(~np.isfinite(array) | below | (array > most))
    if bad is not None:
        bounds = "finite" if most == np.inf else f"at most {most:g}"
        where = _at(name, bad) if bad else name
        raise ValueError(
            f"{where} is {array[bad]:g}; expected {bounds} and {'above' if open_below else 'at least'} {least:g}"
        )
    return array


@dataclass(frozen=True, eq=False)
class UncertaintySet:
    """What all sets have: a name, a rectangularity and a support, both keyword arguments.

    Raises
    ------
    ValueError
        A rectangularity or a support that the set does not have.
    """

    name: ClassVar[str] = ""
    rectangularities: ClassVar[tuple[str, ...]] = ("sa", "s")
    supports: ClassVar[tuple[str, ...]] = ("all", "nominal")

    rectangularity: str = field(default="sa", kw_only=True)
    support: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not self.support:
            object.__setattr__(self, "support", self.supports[0])
        _checked_choice("rectangularity", self.rectangularity, self.rectangularities, type(self).__name__)
        _checked_choice("support", self.support, self.supports, type(self).__name__)

    def check(self, nominal: MDP) -> None:
        """ValueError if the set does not fit the nominal model."""


@dataclass(frozen=True, eq=False)
class _Sized(UncertaintySet):
    """A set with one number that says how large it is: for all rows, for each state (S,), or for each row (S, A)."""

    size: ClassVar[str] = "radius"
    most: ClassVar[float] = np.inf
    open_below: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        value = _checked_numbers(self.size, getattr(self, self.size), 0.0, self.most, self.open_below)
        object.__setattr__(self, self.size, value)

    def radii(self, S: int, A: int) -> np.ndarray:
        """The size for each row, (S, A), or for each state, (S,), by the rectangularity."""
        value = getattr(self, self.size)
        if self.rectangularity == "s":
            return np.broadcast_to(value, (S,))
        return np.broadcast_to(value[:, None] if value.ndim == 1 else value, (S, A))

    def check(self, nominal: MDP) -> None:
        """ValueError if the size has another shape than the model's states and actions."""
        S, A = nominal.S, nominal.A
        allowed = [(), (S,)] + [(S, A)] * (self.rectangularity == "sa")
        shape = getattr(self, self.size).shape
        if shape not in allowed:
            expected = " or ".join("a number" if not one else str(one) for one in allowed)
            raise ValueError(f"{self.size} has shape {shape}; expected {expected} for S={S}, A={A}")


@dataclass(frozen=True, eq=False)
class Ball(_Sized):
    """Rows at most `radius` away from the nominal row in some distance.

    Parameters
    ----------
    radius : float, array (S,) or array (S, A)
        Finite and at least 0; (S, A) only with `rectangularity="sa"`.
    rectangularity, support
        See `mdplab.models.uncertainty`.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.
    """

    radius: Any


@dataclass(frozen=True, eq=False)
class L1Ball(Ball):
    """`sum_i |q_i - p_i| <= radius`; radius 2 is everything. Iyengar (2005); Ho, Petrik, Wiesemann (2018).

    Examples
    --------
    >>> L1Ball(0.2, rectangularity="s").rectangularity
    's'
    >>> L1Ball(-0.1)
    Traceback (most recent call last):
    ...
    ValueError: radius is -0.1; expected finite and at least 0
    """

    name: ClassVar[str] = "l1"


@dataclass(frozen=True, eq=False)
class TVBall(Ball):
    """`(1/2) sum_i |q_i - p_i| <= radius`: total variation, the L1 ball of twice the radius."""

    name: ClassVar[str] = "tv"


@dataclass(frozen=True, eq=False)
class WeightedL1Ball(Ball):
    """`sum_i w_i |q_i - p_i| <= radius`, with `weights` (S,) or (S, A, S) above 0. Ho, Petrik, Wiesemann (2018)."""

    name: ClassVar[str] = "weighted_l1"
    weights: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", _checked_numbers("weights", self.weights, 0.0, np.inf, True))

    def check(self, nominal: MDP) -> None:
        """ValueError if the weights have another shape than the model's rows."""
        super().check(nominal)
        S, A = nominal.S, nominal.A
        if self.weights.shape not in [(S,), (S, A, S)]:
            raise ValueError(f"weights has shape {self.weights.shape}; expected ({S},) or ({S}, {A}, {S})")


@dataclass(frozen=True, eq=False)
class LinfBall(Ball):
    """`max_i |q_i - p_i| <= radius`."""

    name: ClassVar[str] = "linf"
    rectangularities: ClassVar[tuple[str, ...]] = ("sa",)


@dataclass(frozen=True, eq=False)
class IntervalSet(UncertaintySet):
    """`lo <= q <= hi` entry by entry, with `lo`, `hi` (S, A, S) around the simplex. Givan, Leach, Dean (2000)."""

    name: ClassVar[str] = "interval"
    rectangularities: ClassVar[tuple[str, ...]] = ("sa",)
    supports: ClassVar[tuple[str, ...]] = ("all",)

    lo: Any
    hi: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lo", "hi"):
            object.__setattr__(self, name, _checked_numbers(name, getattr(self, name), 0.0, 1.0, False))

    def check(self, nominal: MDP) -> None:
        """ValueError unless every available row has `lo <= hi` and `sum lo <= 1 <= sum hi`."""
        S, A = nominal.S, nominal.A
        for name in ("lo", "hi"):
            if getattr(self, name).shape != (S, A, S):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; expected ({S}, {A}, {S})")
        bad = _first((self.lo > self.hi) & nominal.actions[:, :, None])
        if bad is not None:
            raise ValueError(f"{_at('lo', bad)} is {self.lo[bad]:g}, above hi there, {self.hi[bad]:g}")
        for name, sums, sign in (("lo", self.lo.sum(axis=2), 1), ("hi", self.hi.sum(axis=2), -1)):
            bad = _first((sign * (sums - 1) > ROW_SUM_TOLERANCE) & nominal.actions)
            if bad is not None:
                raise ValueError(f"{_at(name, bad)} sums to {sums[bad]:.12g}: no distribution lies between lo and hi")


@dataclass(frozen=True, eq=False)
class L2Ball(Ball):
    """`||q - p||_2 <= radius`; with `"s"`, the root of the sum over actions of the squared norms."""

    name: ClassVar[str] = "l2"


@dataclass(frozen=True, eq=False)
class KLBall(Ball):
    """`KL(q || p) = sum_i q_i log(q_i / p_i) <= radius`. Nilim and El Ghaoui (2005)."""

    name: ClassVar[str] = "kl"
    supports: ClassVar[tuple[str, ...]] = ("nominal",)


@dataclass(frozen=True, eq=False)
class BurgBall(Ball):
    """`KL(p || q) = sum_i p_i log(p_i / q_i) <= radius`: reverse KL, or likelihood. Nilim and El Ghaoui (2005)."""

    name: ClassVar[str] = "burg"


@dataclass(frozen=True, eq=False)
class Chi2Ball(Ball):
    """`sum_i (q_i - p_i)^2 / p_i <= radius`."""

    name: ClassVar[str] = "chi2"
    supports: ClassVar[tuple[str, ...]] = ("nominal",)


@dataclass(frozen=True, eq=False)
class WassersteinBall(Ball):
    """Rows that a transport plan of at most `radius` reaches from the nominal row, at `cost[i, j]` from i to j.

    `cost` (S, S) is finite, at least 0, with a zero diagonal; it need not be a metric.
    """

    name: ClassVar[str] = "wasserstein"
    cost: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "cost", _checked_numbers("cost", self.cost, 0.0, np.inf, False))
        if self.cost.ndim != 2 or self.cost.shape[0] != self.cost.shape[1]:
            raise ValueError(f"cost has shape {self.cost.shape}; expected (S, S)")
        bad = _first(np.diagonal(self.cost) != 0)
        if bad is not None:
            raise ValueError(
                f"cost[{bad[0]}, {bad[0]}] is {self.cost[bad[0], bad[0]]:g}; the diagonal is 0: to stay is free"
            )

    def check(self, nominal: MDP) -> None:
        """ValueError if the cost is not between the model's states."""
        super().check(nominal)
        if self.cost.shape != (nominal.S, nominal.S):
            raise ValueError(f"cost has shape {self.cost.shape}; expected ({nominal.S}, {nominal.S})")


@dataclass(frozen=True, eq=False)
class Contamination(Ball):
    """`q = (1 - radius) p + radius m` for any distribution m; radius at most 1. Not a ball of total variation."""

    name: ClassVar[str] = "contamination"
    rectangularities: ClassVar[tuple[str, ...]] = ("sa",)
    most: ClassVar[float] = 1.0


@dataclass(frozen=True, eq=False)
class CVaRSet(_Sized):
    """`q <= p / level`: the worst row has the mean of the lowest `level` of the mass (average value at risk).

    `level` lies in (0, 1], a number, (S,) or (S, A).
    """

    name: ClassVar[str] = "cvar"
    rectangularities: ClassVar[tuple[str, ...]] = ("sa",)
    supports: ClassVar[tuple[str, ...]] = ("nominal",)
    most: ClassVar[float] = 1.0
    open_below: ClassVar[bool] = True
    size: ClassVar[str] = "level"

    level: Any


@dataclass(frozen=True, eq=False)
class ModelSet(UncertaintySet):
    """Finitely many kernels, (K, S, A, S).

    With `"sa"` each row is that of any of them; with `"s"` the matrix of a state is a convex combination of theirs,
    without which max-min and min-max differ.
    """

    name: ClassVar[str] = "models"
    supports: ClassVar[tuple[str, ...]] = ("all",)
    kernels: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            object.__setattr__(self, "kernels", frozen_array(self.kernels))
        except ValueError:
            shapes = [np.shape(one) for one in self.kernels]
            raise ValueError(f"kernels have shapes {shapes}; expected K arrays of one shape (S, A, S)") from None
        if self.kernels.ndim != 4 or self.kernels.shape[0] == 0:
            raise ValueError(f"kernels has shape {self.kernels.shape}; expected (K, S, A, S) with K at least 1")
        bad = _first(~np.isfinite(self.kernels))
        if bad is not None:
            raise ValueError(f"{_at('kernels', bad)} is {self.kernels[bad]:g}; expected finite, available or not")

    def check(self, nominal: MDP) -> None:
        """ValueError if a kernel has another shape than the model's, or an available row that is no distribution."""
        S, A = nominal.S, nominal.A
        if self.kernels.shape[1:] != (S, A, S):
            raise ValueError(f"kernels has shape {self.kernels.shape}; expected (K, {S}, {A}, {S})")
        rows = nominal.actions
        bad = _first((self.kernels < 0) & rows[:, :, None])
        if bad is not None:
            raise ValueError(f"{_at('kernels', bad)} is {self.kernels[bad]:g}; probabilities are finite and at least 0")
        sums = self.kernels.sum(axis=3)
        bad = _first((np.abs(sums - 1) > ROW_SUM_TOLERANCE) & rows)
        if bad is not None:
            raise ValueError(f"{_at('kernels', bad)} sums to {sums[bad]:.12g}, not 1")


@dataclass(frozen=True, eq=False)
class NoiseSet(Ball):
    """`q = p + u` with `sum u = 0` and `||u||_order <= radius`, where no such q is negative; order 1, 2 or inf.

    With `"s"` the norm is over all actions of a state together. Kumar, Levine, Mannor (2022), "On the convex
    formulations of robust Markov decision processes" and its companions. A radius so large that an entry could turn
    negative is refused, since the operator would then not be monotone: use `L1Ball`, `L2Ball` or `LinfBall`.
    """

    name: ClassVar[str] = "noise"
    order: float = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.ndim(self.order) or self.order not in (1, 2, np.inf):
            raise ValueError(f"order is {self.order!r}; expected 1, 2 or inf")

    def check(self, nominal: MDP) -> None:
        """ValueError where the noise could make an entry of the nominal row negative."""
        super().check(nominal)
        P = nominal.P.toarray().reshape(nominal.S, nominal.A, nominal.S) if nominal.is_sparse else nominal.P
        radii = self.radii(nominal.S, nominal.A)
        radii = radii[:, None] if radii.ndim == 1 else radii
        moved = P > 0 if self.support == "nominal" else np.ones(P.shape, dtype=bool)
        count = moved.sum(axis=2)
        share = {1: 0.5, 2: np.sqrt(np.maximum(count - 1, 0) / np.maximum(count, 1)), np.inf: 1.0}[self.order]
        most = np.where(count > 1, radii * share, 0.0)
        bad = _first(moved & (P < most[:, :, None]) & nominal.actions[:, :, None])
        if bad is not None:
            raise ValueError(
                f"{_at('P', bad)} is {P[bad]:g}, and noise of radius {np.broadcast_to(radii, P.shape[:2])[bad[:2]]:g} "
                f"may take {most[bad[:2]]:g} from it"
            )


@dataclass(frozen=True, eq=False)
class _Soft(_Sized):
    """Any row, at a price: nature minimises `q . z + temperature * D(q, p)`, `temperature` above 0."""

    rectangularities: ClassVar[tuple[str, ...]] = ("sa",)
    open_below: ClassVar[bool] = True
    size: ClassVar[str] = "temperature"

    temperature: Any


@dataclass(frozen=True, eq=False)
class SoftTV(_Soft):
    """Any row, at `temperature` times its total variation from the nominal row."""

    name: ClassVar[str] = "soft_tv"


@dataclass(frozen=True, eq=False)
class SoftKL(_Soft):
    """Any row on the nominal support, at `temperature` times `KL(q || p)`: the entropic risk measure."""

    name: ClassVar[str] = "soft_kl"
    supports: ClassVar[tuple[str, ...]] = ("nominal",)


@dataclass(frozen=True, eq=False)
class SoftChi2(_Soft):
    """Any row on the nominal support, at `temperature` times `sum_i (q_i - p_i)^2 / p_i`."""

    name: ClassVar[str] = "soft_chi2"
    supports: ClassVar[tuple[str, ...]] = ("nominal",)


SETS = {
    one.name: one
    for one in (
        *(L1Ball, TVBall, WeightedL1Ball, LinfBall, IntervalSet, L2Ball, KLBall, BurgBall, Chi2Ball, WassersteinBall),
        *(Contamination, CVaRSet, ModelSet, NoiseSet, SoftTV, SoftKL, SoftChi2),
    )
}
