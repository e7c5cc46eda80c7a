"""What may be asked of the law of `c + G`, stock plus return: functionals, risk objectives, and what theory allows.

Dynamic programming on stocks optimises a functional if it is indifferent to mixtures and to the discount; over an
infinite horizon it must be Lipschitz in `w_1` besides (Theorems 6 and 8). An expected utility `E f(X)` is always
indifferent to mixtures, and to the discount where `f(gamma c) = alpha f(c) + (1 - alpha) f(0)` for all `c`
(Lemma 12; its side condition `alpha < 1` is dropped: `1{x > 0}` has `alpha = 1` and is indifferent all the same).

Source: Pires et al. (2025), Optimizing return distributions with distributional dynamic programming, JMLR 26.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mdplab.models.projections import checked_level, quantiles
from mdplab.models.solution import frozen_mapping

# Stocks are floats: amounts this small count as zero where a functional jumps there.
ZERO_STOCK = 1e-9


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Functional:
    """A functional of laws, maximised; made by `functional`.

    Attributes
    ----------
    name : str
        Kind and, in brackets, the parameters that differ from their defaults: `"target"`, `"step_at(c=1)"`.
    kind : str
        What `functional` was called with.
    parameters : mapping
        All parameters.
    utility : callable or None
        Vectorised `f` with `evaluate(x, p) = E f(X)`; None where the functional is not an expected utility.
    slopes : (up, down) or None
        For every `e >= 0`: `f(c + e) - f(c) <= up * e` and `f(c) - f(c + e) <= down * e`; `down` is negative where f
        must rise. None where the utility is not Lipschitz, or there is none.
    mixture_indifferent : bool
        `K(a_i) >= K(b_i)` for all i implies the same for the mixtures, whatever the weights.
    tie : float
        Values that differ by at most `tie * (1 + |value|)` are a tie; of tied actions the first is taken.
    """

    name: str
    kind: str
    parameters: Mapping[str, float]
    utility: Callable[[np.ndarray], np.ndarray] | None
    slopes: tuple[float, float] | None = None
    mixture_indifferent: bool = True
    tie: float = 1e-12
    _statistic: Callable[[np.ndarray, np.ndarray], float] | None = None
    _power: int | None = None

    def evaluate(self, x: np.ndarray, p: np.ndarray) -> float:
        """The functional of the law with atoms `x` (n,), in any order, and positive masses `p` (n,)."""
        if self.utility is not None:
            return float(p @ self.utility(x))
        order = np.argsort(x, kind="stable")
        return float(self._statistic(x[order], p[order]))

    def scaling(self, gamma: float) -> float | None:
        """The `alpha` with `f(gamma c) = alpha f(c) + (1 - alpha) f(0)` for all c; None if there is none."""
        if self.utility is None:
            return None
        if gamma in (0.0, 1.0):
            return float(gamma)
        return None if self._power is None else float(gamma) ** self._power

    def gamma_indifferent(self, gamma: float) -> bool:
        """True if `K(X) >= K(Y)` implies `K(gamma X) >= K(gamma Y)`."""
        # The statistics here scale with X or, all_nonnegative, ignore its scale.
        return self.utility is None or self.scaling(gamma) is not None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.kind, dict(self.parameters))

    def __repr__(self) -> str:
        return f"Functional({self.name!r})"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Whether theory lets dynamic programming optimise a functional, and why (not). True where it does."""

    ok: bool
    reason: str

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class _TailRisk:
    tau: float
    _prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", checked_level("tau", self.tau))

    @property
    def name(self) -> str:
        """As `parse_objective` reads it."""
        return f"{self._prefix}:{self.tau:g}"


@dataclass(frozen=True, slots=True)
class CVaR(_TailRisk):
    """Static lower conditional value at risk of the return, at level `tau` in (0, 1]; 1 is the mean.

    Examples
    --------
    >>> CVaR(0)
    Traceback (most recent call last):
    ...
    ValueError: tau is 0; expected a number in (0, 1]
    """

    _prefix: ClassVar[str] = "cvar"


@dataclass(frozen=True, slots=True)
class OCVaR(_TailRisk):
    """Static upper (optimistic) conditional value at risk of the return, at level `tau` in (0, 1]."""

    _prefix: ClassVar[str] = "ocvar"


@dataclass(frozen=True, slots=True)
class NestedCVaR(_TailRisk):
    """Conditional value at risk at level `tau`, applied anew at every step: time consistent, and not `CVaR`."""

    _prefix: ClassVar[str] = "nested-cvar"


@dataclass(frozen=True, slots=True)
class EntropicRisk:
    """Entropic risk `-(1/beta) log E exp(-beta G)` of the return: averse for `beta > 0`, seeking for `beta < 0`."""

    beta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", _checked_number("beta", self.beta))
        if self.beta == 0:
            raise ValueError("beta is 0; that is the mean, expected another number")

    @property
    def name(self) -> str:
        """As `parse_objective` reads it."""
        return f"entropic:{self.beta:g}"


@dataclass(frozen=True, slots=True)
class EVaR:
    """Entropic value at risk of the return, at `level` in (0, 1]; 1 is the mean."""

    level: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", checked_level("level", self.level))

    @property
    def name(self) -> str:
        """As `parse_objective` reads it."""
        return f"evar:{self.level:g}"


def _checked_number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{name} is {value!r}; expected a finite number")
    return number


def _exponential(x: np.ndarray, b: float) -> np.ndarray:
    return np.sign(b) * np.exp(b * x)


def _cvar(x: np.ndarray, p: np.ndarray, tau: float) -> float:
    used = np.clip(tau - np.append(0.0, np.cumsum(p)[:-1]), 0.0, p)
    used[-1] += max(0.0, tau - p.sum())
    return used @ x / tau


def _mean_std(x: np.ndarray, p: np.ndarray, weight: float) -> float:
    mean = p @ x
    return mean - weight * np.sqrt(p @ (x - mean) ** 2)


# Utilities by kind: defaults of the parameters, f, slopes of f, and the k with alpha = gamma**k.
_UTILITIES: dict[str, tuple[dict[str, float], Callable[..., np.ndarray], tuple[float, float] | None, int | None]] = {
    "mean": ({"weight": 1.0}, lambda x, weight: weight * x, (1.0, -1.0), 1),
    "target": ({"weight": 1.0}, lambda x, weight: -weight * np.abs(x), (1.0, 1.0), 1),
    "negative_part": ({"weight": 1.0}, lambda x, weight: weight * np.minimum(x, 0.0), (1.0, 0.0), 1),
    "positive_part": ({"weight": 1.0}, lambda x, weight: weight * np.maximum(x, 0.0), (1.0, 0.0), 1),
    "quadratic": ({"weight": 1.0}, lambda x, weight: -weight * np.square(x), None, 2),
    "step": ({}, lambda x: np.greater(x, ZERO_STOCK).astype(np.float64), None, 0),
    "step_at": ({"c": 1.0}, lambda x, c: np.greater(x, c + ZERO_STOCK).astype(np.float64), None, None),
    "exponential": ({"b": 1.0}, _exponential, None, None),
    "tanh": ({}, np.tanh, (1.0, 0.0), None),
}
# Statistics of sorted atoms by kind: defaults of the parameters, K, and whether K is indifferent to mixtures.
_STATISTICS: dict[str, tuple[dict[str, float], Callable[..., float], bool]] = {
    "ess_inf": ({}, lambda x, p: x[0], True),
    "ess_sup": ({}, lambda x, p: x[-1], True),
    "all_nonnegative": ({}, lambda x, p: float(x[0] >= -ZERO_STOCK), True),
    "median": ({}, lambda x, p: quantiles(x, p, 0.5), False),
    "mean_std": ({"weight": 1.0}, _mean_std, False),
    "cvar_direct": ({"tau": 0.5}, _cvar, False),
}
FUNCTIONALS = (*_UTILITIES, *_STATISTICS)


def functional(name: str, **parameters: float) -> Functional:
    """The functional of that name.

    Parameters
    ----------
    name : str
        Expected utilities: `mean` (x), `target` (-|x|), `negative_part` (min(x, 0)), `positive_part` (max(x, 0)),
        `quadratic` (-x^2), `step` (1{x > 0}), `step_at` (1{x > c}), `exponential` (sign(b) exp(b x)), `tanh`. Other
        functionals: `ess_inf`, `ess_sup`, `all_nonnegative` (1 if all mass is at 0 or above), `median`, `mean_std`
        (mean minus `weight` standard deviations), `cvar_direct` (CVaR of the law as it stands, which no stock makes
        optimisable: see `CVaR`). Where one of them jumps at 0, amounts up to 1e-9 count as 0.
    **parameters
        `weight > 0` of the first five (1) and of `mean_std` (1), `c` of `step_at` (1), `b != 0` of `exponential` (1),
        `tau` of `cvar_direct` (0.5).

    Raises
    ------
    ValueError
        For an unknown name or parameter (with the nearest ones), or a parameter out of range.

    Examples
    --------
    >>> f = functional("target")
    >>> f.evaluate(np.array([-1.0, 3.0]), np.array([0.5, 0.5])), f.slopes, f.scaling(0.5)
    (-2.0, (1.0, 1.0), 0.5)
    >>> functional("step_at", c=2.0)
    Functional('step_at(c=2)')
    """
    if name not in FUNCTIONALS:
        near = difflib.get_close_matches(str(name), FUNCTIONALS, n=3, cutoff=0.4)
        raise ValueError(
            f"unknown functional {name!r}; {'nearest: ' if near else 'there are '}{', '.join(near or FUNCTIONALS)}"
        )
    defaults = (_UTILITIES.get(name) or _STATISTICS[name])[0]
    unknown = sorted(set(parameters) - set(defaults))
    if unknown:
        raise ValueError(f"functional {name!r} has no parameter {unknown[0]!r}; it has {sorted(defaults) or 'none'}")
    values = {key: _checked_number(key, value) for key, value in (defaults | parameters).items()}
    if "tau" in values:
        checked_level("tau", values["tau"])
    if values.get("weight", 1.0) <= 0:
        raise ValueError(f"weight is {values['weight']:g}; expected a number above 0")
    if values.get("b") == 0:
        raise ValueError("b is 0; a constant utility has nothing to optimise")
    shown = [f"{key}={value:g}" for key, value in values.items() if key != "weight" or value != 1]
    about = {"name": f"{name}({', '.join(shown)})" if shown else name, "kind": name}
    about["parameters"] = frozen_mapping(values)
    if name in _STATISTICS:
        _, statistic, mixes = _STATISTICS[name]
        return Functional(
            **about, utility=None, mixture_indifferent=mixes, _statistic=lambda x, p: statistic(x, p, **values)
        )
    _, f, slopes, power = _UTILITIES[name]
    if slopes is not None:
        slopes = tuple(values.get("weight", 1.0) * slope for slope in slopes)
    if name == "step_at" and values["c"] == 0:
        power = 0
    return Functional(**about, utility=lambda x: f(x, **values), slopes=slopes, _power=power)


def _rebuilt(kind: str, parameters: dict[str, float]) -> Functional:
    return functional(kind, **parameters)


def can_optimise(
    functional: Functional, gamma: float, horizon: int | None = None, discounted: bool | None = None
) -> Guarantee:
    """Whether dynamic programming on stocks provably optimises the functional, at every stock, and why (not).

    Parameters
    ----------
    functional : Functional
    gamma : float in [0, 1]
    horizon : int, optional
        Number of decisions; None for no bound.
    discounted : bool, optional
        True if the number of decisions is not bounded. By default, whether `horizon` is None; say False for a problem
        without a horizon that ends within a bounded number of decisions.

    Returns
    -------
    Guarantee
        `ok`, and a `reason` in words.

    Source
    ------
    Pires et al. (2025), Theorems 6, 8, Lemma 12; without the side condition of its item 2 (see the module).

    Examples
    --------
    >>> can_optimise(functional("step"), 0.9, horizon=5).ok, can_optimise(functional("step"), 0.9).ok
    (True, False)
    >>> can_optimise(functional("tanh"), 0.9, horizon=5).reason
    'tanh has no alpha with f(0.9 c) = alpha f(c) + (1 - alpha) f(0) for all c: the best law changes with the scale'
    """
    discounted = horizon is None if discounted is None else discounted
    if not functional.mixture_indifferent:
        return Guarantee(
            False, f"{functional.name} is not indifferent to mixtures: parts that are best alone may mix badly"
        )
    if not functional.gamma_indifferent(gamma):
        identity = f"f({gamma:g} c) = alpha f(c) + (1 - alpha) f(0) for all c"
        return Guarantee(False, f"{functional.name} has no alpha with {identity}: the best law changes with the scale")
    if not discounted:
        return Guarantee(True, f"{functional.name} is indifferent to mixtures and to gamma, and decisions are finite")
    if gamma >= 1:
        return Guarantee(False, "gamma is 1 and the number of decisions is not bounded: nothing damps what is far")
    if functional.slopes is None:
        return Guarantee(False, f"{functional.name} is not Lipschitz: without a horizon what is far away still counts")
    return Guarantee(True, f"{functional.name} is indifferent to mixtures and to gamma, and Lipschitz")


Objective = Functional | CVaR | OCVaR | EntropicRisk | EVaR | NestedCVaR
_RISKS = {"cvar": CVaR, "ocvar": OCVaR, "entropic": EntropicRisk, "evar": EVaR, "nested-cvar": NestedCVaR}
_EXPECTED = "mean, cvar:TAU, ocvar:TAU, utility:NAME[:PARAMETER], entropic:BETA, evar:LEVEL or nested-cvar:TAU"


def parse_objective(text: str) -> Objective:
    """The objective that a command line names.

    Parameters
    ----------
    text : str
        `mean`, `cvar:TAU`, `ocvar:TAU`, `utility:NAME` or `utility:NAME:PARAMETER` (the first parameter of that
        functional), `entropic:BETA`, `evar:LEVEL`, `nested-cvar:TAU`; levels in (0, 1].

    Raises
    ------
    ValueError
        Says what was not understood.

    Examples
    --------
    >>> parse_objective("cvar:0.1"), parse_objective("utility:step_at:2")
    (CVaR(tau=0.1), Functional('step_at(c=2)'))
    """
    kind, _, rest = text.partition(":")
    if kind == "mean" and not rest:
        return functional("mean")
    if kind in _RISKS and rest:
        return _RISKS[kind](rest)
    if kind == "utility" and rest:
        name, _, value = rest.partition(":")
        if not value:
            return functional(name)
        parameters = functional(name).parameters
        if not parameters:
            raise ValueError(f"objective is {text!r}; functional {name!r} has no parameter")
        return functional(name, **{next(iter(parameters)): value})
    raise ValueError(f"objective is {text!r}; expected {_EXPECTED}")
