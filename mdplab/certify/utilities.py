"""Utilities of stock plus return as the referee knows them, by their kind: values, slopes, and how outcomes combine."""

from dataclasses import dataclass
from math import exp, inf
from typing import Any

import numpy as np

from mdplab.certify.report import Refused
from mdplab.models import CVaR, OCVaR, StockMDP

# As in `mdplab.models.functionals`: amounts this small count as zero where a functional jumps.
ZERO_STOCK = 1e-9
_KINKED = {"mean": (1.0, 1.0), "target": (1.0, -1.0), "negative_part": (1.0, 0.0), "positive_part": (0.0, 1.0)}
_LEAST = ("ess_inf", "all_nonnegative")


@dataclass(frozen=True, slots=True)
class Utility:
    """What is maximised of the law of stock plus return.

    Attributes
    ----------
    kind : str
        As in `mdplab.models.functional`.
    weight, c, b : float
        Its parameters.
    """

    kind: str
    weight: float = 1.0
    c: float = 0.0
    b: float = 1.0

    @classmethod
    def of(cls, problem: StockMDP) -> "Utility":
        """That of a problem; for CVaR and OCVaR the one that stands under their supremum over stocks."""
        objective = problem.objective
        if isinstance(objective, CVaR | OCVaR):
            return cls("negative_part" if isinstance(objective, CVaR) else "positive_part")
        known = (*_KINKED, "quadratic", "step", "step_at", "exponential", "tanh", "ess_inf", "ess_sup", _LEAST[1])
        if objective.kind not in known:
            raise Refused(f"the referee does not know how to optimise {objective.name!r} on stocks")
        return cls(objective.kind, **{k: float(v) for k, v in objective.parameters.items()})

    @property
    def transcendental(self) -> bool:
        """True if values need exp."""
        return self.kind in ("exponential", "tanh")

    @property
    def combine(self) -> str:
        """`"mean"` for expected utilities; `"least"` or `"greatest"` over outcomes otherwise."""
        return "least" if self.kind in _LEAST else "greatest" if self.kind == "ess_sup" else "mean"

    def sides(self) -> tuple[float, float]:
        """Slopes below and above 0 of a utility that is linear on both sides of it and 0 there."""
        if self.kind not in _KINKED:
            raise Refused(f"{self.kind} is not linear on both sides of 0; the infinite horizon needs that")
        left, right = _KINKED[self.kind]
        return self.weight * left, self.weight * right

    def slopes(self, reach: float) -> tuple[float, float] | None:
        """(up, down): `f(c + e) - f(c) <= up e`, `f(c) - f(c + e) <= down e` on `[-reach, reach]`; None if f jumps."""
        if self.kind in _KINKED:
            left, right = self.sides()
            return max(left, right), -min(left, right)
        if self.kind in ("ess_inf", "ess_sup"):
            return 1.0, -1.0
        if self.kind == "quadratic":
            steep = 2 * self.weight * reach * (1 + 1e-12)
            return steep, steep
        if self.kind == "tanh":
            return 1.0, 0.0
        if self.kind == "exponential":
            return (abs(self.b) * exp(abs(self.b) * reach) * (1 + 1e-12) if abs(self.b) * reach < 700 else inf), 0.0
        return None

    def value(self, ar: Any, y: np.ndarray) -> Any:
        """f at the floats y, in the arithmetic `ar`."""
        if self.kind in ("step", "step_at"):
            return ar.of((y > (ZERO_STOCK if self.kind == "step" else self.c + ZERO_STOCK)).astype(np.float64))
        if self.kind == "all_nonnegative":
            return ar.of((y >= -ZERO_STOCK).astype(np.float64))
        if self.kind == "exponential":
            grown = ar.exp(ar.of(np.full(y.shape, self.b)) * ar.of(y))
            return grown if self.b > 0 else -grown
        if self.kind == "tanh":
            one = ar.of(np.ones(y.shape))
            return one - (one + one) / (ar.exp(ar.of(y) + ar.of(y)) + one)
        if self.kind == "quadratic":
            out = -(ar.of(y) * ar.of(y))
        else:
            # Exact in floats: the larger or the smaller of two, or a sign.
            parts = {"target": -np.abs(y), "negative_part": np.minimum(y, 0.0), "positive_part": np.maximum(y, 0.0)}
            out = ar.of(parts.get(self.kind, y))
        return out if self.weight == 1 else out * ar.of(np.full(y.shape, self.weight))
