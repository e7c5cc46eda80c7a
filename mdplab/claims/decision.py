"""What a decision rule returns: evidence for and against a claim, before any error budget is spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from types import MappingProxyType
from typing import Any

# The family-wise levels of a suite; a rule uses the first for its refutable factor.
REFUTE_LEVEL = 0.01
ACCEPT_LEVEL = 0.05
# Intervals that reports show leave out the refutation level on either side: 98 %.
INTERVAL_LEVEL = 1 - 2 * REFUTE_LEVEL

REASONS = (
    "underpowered",
    "pre-asymptotic",
    "decelerating",
    "floor-limited",
    "heterogeneous",
    "log-ambiguous",
    "unbounded",
    "budget",
)


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """The answer of one rule on one set of evidence.

    Parameters
    ----------
    rule
        Identifier of the rule, such as `"RATE-G1"`.
    deterministic
        True if the rule spends no error probability: its p-values are then 0 or 1.
    p_refute, p_accept
        One-sided p-values in [0, 1]: a small `p_refute` means "refute", a small `p_accept` means "accept".
    withhold_refute, withhold_accept
        Why a guard withholds that side, one of `REASONS`, or empty. A guard never turns into the other answer.
    slack
        Largest measured/promised ratio; at most 1 where the claim held. NaN where no ratio is defined.
    refutable_factor
        Smallest factor by which the claim would have to be strengthened to be refuted on the same data, at
        `REFUTE_LEVEL`; infinite if no factor would do.
    statistics
        What a report shows: slopes, confidence limits, curvature, window; under `readings` what `reading` makes of the
        numbers that the rule estimated.
    witness
        For a deterministic refutation, where it happened.
    e_refute, e_accept
        E-values at the stopping time, for sequential rules; None otherwise.
    undecided
        The reason to give when neither test rejects.
    """

    rule: str
    deterministic: bool
    p_refute: float
    p_accept: float
    withhold_refute: str = ""
    withhold_accept: str = ""
    slack: float = float("nan")
    refutable_factor: float = float("nan")
    statistics: Mapping[str, Any] = field(default_factory=dict)
    witness: str = ""
    e_refute: float | None = None
    e_accept: float | None = None
    undecided: str = "underpowered"

    def __post_init__(self) -> None:
        for name in ("p_refute", "p_accept"):
            value = float(getattr(self, name))
            if isnan(value) or not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}; expected a number in [0, 1]")
            object.__setattr__(self, name, value)
        for name in ("withhold_refute", "withhold_accept", "undecided"):
            value = getattr(self, name)
            if value not in REASONS and not (value == "" and name != "undecided"):
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(REASONS)}")
        object.__setattr__(self, "statistics", MappingProxyType(dict(self.statistics)))

    def outcome(self, refute_level: float = REFUTE_LEVEL, accept_level: float = ACCEPT_LEVEL) -> str:
        """`"refuted"`, `"accepted"` or `"undecided"` at these levels; a refutation has precedence.

        Examples
        --------
        >>> Decision("BOUND-HP", False, p_refute=0.6, p_accept=0.001).outcome(0.01, 0.05)
        'accepted'
        >>> Decision("RATE-G1", False, 1e-9, 1.0, withhold_refute="pre-asymptotic").outcome(0.01, 0.05)
        'undecided'
        """
        if self.p_refute <= refute_level:
            return "undecided" if self.withhold_refute else "refuted"
        if self.p_accept <= accept_level and not self.withhold_accept:
            return "accepted"
        return "undecided"

    def reason(self, refute_level: float = REFUTE_LEVEL, accept_level: float = ACCEPT_LEVEL) -> str:
        """Why the outcome is undecided at these levels, one of `REASONS`; empty if it is decided."""
        if self.outcome(refute_level, accept_level) != "undecided":
            return ""
        if self.withhold_refute and self.p_refute <= refute_level:
            return self.withhold_refute
        if self.withhold_accept and self.p_accept <= accept_level:
            return self.withhold_accept
        return self.undecided


def reading(
    what: str,
    found: float,
    limits: Sequence[float],
    against: float,
    *,
    tolerance: float | None = None,
    window: Sequence[float] | None = None,
) -> dict[str, Any]:
    """One estimated number as reports show it, in values that JSON holds.

    Parameters
    ----------
    what
        Which number: "exponent, average of 16 instances".
    found, limits
        The estimate and its interval (lo, hi) at `INTERVAL_LEVEL`.
    against
        What it is tested against.
    tolerance
        How far from `against` it may lie, where the claim is an equality.
    window
        The first and the last n it is fitted on.

    Examples
    --------
    >>> reading("exponent", 0.5, (0.4, 0.6), 0.45, window=(64, 1024))["window"]
    [64.0, 1024.0]
    """
    return {
        "what": what,
        "found": float(found),
        "limits": [float(end) for end in limits],
        "against": float(against),
        "tolerance": None if tolerance is None else float(tolerance),
        "window": None if window is None else [float(end) for end in window],
    }
