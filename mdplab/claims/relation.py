"""The base of the relations: which arrays they read, and which rule decides."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from mdplab.claims.decision import Decision

Stacked = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Relation:
    """Base of the relations; `rule` is the id of the decision rule, `arrays` the names that it requires."""

    rule: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[bool] = True
    not_established: ClassVar[str]

    def decide(self, stacked: Stacked) -> Decision:
        """Apply the rule to the arrays of all replicates, stacked along a new leading axis."""
        raise NotImplementedError

    def describe(self) -> str:
        """The relation in words."""
        raise NotImplementedError

    def synthetic(self) -> dict[str, np.ndarray] | None:
        """Stacked arrays that satisfy the relation by construction: a positive control for the rule itself."""
        return None

    def zero_error_fault(self, main: Stacked, zero: Stacked) -> str:
        """What is wrong with the exact answer pushed through the measuring pipeline, "" if nothing.

        Where the rule has a floor, the error measured at the exact answer must be finite and below the floor that the
        main arm declares; elsewhere the rule itself must accept it.
        """
        if "floor" not in (*self.arrays, *self.optional):
            outcome = self.decide(zero).outcome()
            return "" if outcome == "accepted" else f"the rule says {outcome}"
        measured = zero_floor(zero)
        if not (np.isfinite(measured).all() and (measured >= 0).all()):
            return f"it measures {measured.tolist()}"
        declared = main.get("floor")
        if declared is not None and measured.max() > np.max(declared):
            return f"it measures {measured.max():.3g}, above the declared floor {np.max(declared):.3g}"
        return ""

    def with_floor(self, stacked: Stacked, zero: Stacked | None) -> Stacked:
        """`stacked`, with the floor that the zero-error control measured where the evidence declares none."""
        if zero is None or "floor" not in (*self.arrays, *self.optional) or "floor" in stacked:
            return stacked
        return {**stacked, "floor": np.full(len(stacked["error"]), zero_floor(zero).max())}

    @property
    def parameters(self) -> dict[str, object]:
        """The pre-registered constants."""
        return asdict(self)

    def missing(self, names: set[str]) -> list[str]:
        """Required arrays that are not among `names`."""
        return [name for name in self.arrays if name not in names]

    def _named(self, stacked: Stacked) -> dict[str, np.ndarray]:
        return {name: stacked[name] for name in (*self.arrays, *self.optional) if name in stacked}


def zero_floor(zero: Stacked) -> np.ndarray:
    """Largest error of each replicate `(R,)` of the zero-error control."""
    error = zero["error"]
    return error.reshape(len(error), -1).max(axis=1)


def shared(stacked: Stacked, name: str) -> np.ndarray:
    """An array that every replicate must report alike, once."""
    values = stacked[name]
    for replicate, value in enumerate(values):
        if not np.array_equal(value, values[0]):
            raise ValueError(f"{name} differs between replicates 0 and {replicate}: {values[0]} and {value}")
    return values[0]
