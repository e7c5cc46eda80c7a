"""What nature answers, set by set: the one place that knows which kernel takes which arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from mdplab.exact.operator import freeze, over_ranges
from mdplab.exact.robust.model_set import hull_responses, hull_states
from mdplab.exact.robust.rows import Rows
from mdplab.kernels.robust.tilt import BURG, CHI2, KL, L2
from mdplab.models import RobustMDP

# A robust row costs about this many times what a nominal one does: what decides whether threads pay.
_WORK = 8


class _Kernels(NamedTuple):
    """Where the kernels of a set lie, their stem, and what they take between the rows and the radius."""

    module: str
    stem: str
    parts: tuple[str, ...] = ()


_KERNELS = {
    "l1": _Kernels("l1", "l1"),
    "tv": _Kernels("l1", "l1"),
    "weighted_l1": _Kernels("weighted_l1", "weighted_l1", ("weights",)),
    "linf": _Kernels("interval", "linf"),
    "interval": _Kernels("interval", "interval"),
    "l2": _Kernels("divergence", "divergence", ("divergence",)),
    "kl": _Kernels("divergence", "divergence", ("divergence",)),
    "burg": _Kernels("divergence", "divergence", ("divergence",)),
    "chi2": _Kernels("divergence", "divergence", ("divergence",)),
    "wasserstein": _Kernels("wasserstein", "wasserstein", ("successors", "cost")),
    "contamination": _Kernels("mixtures", "contamination"),
    "cvar": _Kernels("interval", "cvar"),
    "models": _Kernels("mixtures", "models"),
    "noise": _Kernels("noise", "noise", ("order",)),
    "soft_tv": _Kernels("soft", "soft_tv"),
    "soft_kl": _Kernels("soft", "soft", ("divergence",)),
    "soft_chi2": _Kernels("soft", "soft", ("divergence",)),
}
_DIVERGENCES = {"kl": KL, "burg": BURG, "chi2": CHI2, "l2": L2, "soft_kl": KL, "soft_chi2": CHI2}


def _load(kind: str, ending: str) -> Callable[..., None]:
    one = _KERNELS[kind]
    return getattr(import_module(f"mdplab.kernels.robust.{one.module}"), f"{one.stem}_{ending}")


def _along(rows: Rows, values: np.ndarray) -> np.ndarray:
    """Values `(S,)` or `(S, A, S)` at each entry of the rows `(nnz,)`."""
    at = rows.successors
    if values.ndim == 1:
        return values[at]
    counts = np.diff(rows.indptr)
    return values[np.repeat(rows.state, counts), np.repeat(rows.action, counts), at]


def _normalised(rows: Rows, values: np.ndarray) -> np.ndarray:
    return values / np.repeat(rows.sums(values), np.diff(rows.indptr))


@dataclass(frozen=True, eq=False)
class Nature:
    """The uncertainty set over some rows.

    Parameters
    ----------
    kind
        The set's name.
    rows
        What it is a set of.
    size
        Radius, level or temperature: `(rows,)`, or `(S,)` if `shared`.
    parts
        Further arrays of the kernels by name: `weights`, `lo`, `hi` `(nnz,)`, `cost` `(S, S)`, `kernels` `(K, nnz)`.
    shared
        True if the actions of a state share one budget.
    order
        Norm of a noise set.
    """

    kind: str
    rows: Rows
    size: np.ndarray | None
    parts: dict[str, np.ndarray]
    shared: bool
    order: int = 0

    @classmethod
    def of(cls, problem: RobustMDP, rows: Rows) -> "Nature":
        """The set of a problem over its rows."""
        one, parts, size = problem.uncertainty, {}, None
        shared = one.rectangularity == "s"
        if hasattr(one, "radii"):
            size = np.array(one.radii(problem.S, problem.A))
            if not shared:
                size = size[rows.state, rows.action]
            if one.name == "tv":
                size = 2 * size
            freeze(size)
        for name in ("weights", "lo", "hi"):
            if hasattr(one, name):
                parts[name] = _along(rows, getattr(one, name))
        if one.name == "wasserstein":
            parts["cost"], parts["successors"] = one.cost, rows.successors
        if one.name == "models":
            parts["kernels"] = np.stack([_normalised(rows, _along(rows, each)) for each in one.kernels])
        freeze(*parts.values())
        order = {1: 1, 2: 2, np.inf: 0}[one.order] if one.name == "noise" else 0
        return cls(one.name, rows, size, parts, shared, order)

    def take(self, chosen: np.ndarray) -> "Nature":
        """The set over some rows, one at least in each state; the others get no part of a shared budget."""
        at = self.rows.entries(chosen) if self.parts else None
        parts = {}
        for name, part in self.parts.items():
            parts[name] = part if name == "cost" else part[..., at].copy()
        size = self.size if self.shared or self.size is None else self.size[chosen]
        freeze(*(parts[name] for name in parts if name != "cost"), *(() if size is None else (size,)))
        return Nature(self.kind, self.rows.take(chosen), size, parts, self.shared, self.order)

    def _arguments(self) -> tuple[Any, ...]:
        """What the kernels of the set take between the pointers and the range."""
        known = {**self.parts, "order": self.order, "divergence": _DIVERGENCES.get(self.kind)}
        return (*(known[name] for name in _KERNELS[self.kind].parts), self.size)

    def worst(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least objective of each row `(rows,)` and the row that has it `(nnz,)`; for `(s, a)` sets."""
        rows, value, q = self.rows, np.empty(self.rows.size), np.empty(self.rows.nnz)
        kernel, p, indptr = _load(self.kind, "rows"), rows.p, rows.indptr
        if self.kind == "interval":
            given = (z, indptr, self.parts["lo"], self.parts["hi"])
        elif self.kind == "models":
            given = (z, self.parts["kernels"], indptr)
        elif self.kind == "noise":
            given = (z, p, indptr, self.size, self.order)
        else:
            given = (z, p, indptr, *self._arguments())
        over_ranges(lambda a, b: kernel(*given, a, b, value, q), rows.size, _WORK * rows.nnz)
        return value, q

    def saddle(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value `(S,)`, policy `(rows,)` and nature's rows `(nnz,)` of the game in each state; for `s` sets."""
        rows = self.rows
        value, policy, q = np.empty(rows.S), np.empty(rows.size), np.empty(rows.nnz)
        if self.kind == "models":
            hull_states(rows, self.parts["kernels"], z, value, policy, q)
            return value, policy, q
        kernel = _load(self.kind, "states")
        given = (z, rows.p, rows.indptr, rows.state_ptr, *self._arguments())
        over_ranges(lambda a, b: kernel(*given, a, b, value, policy, q), rows.S, _WORK * rows.nnz)
        return value, policy, q

    def response(self, z: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value `(S,)` of a policy's `weights` `(rows,)` and nature's rows `(nnz,)` against it."""
        rows = self.rows
        if not self.shared:
            value, q = self.worst(z)
            return np.add.reduceat(weights * value, rows.state_ptr[:-1]), q
        value, q = np.empty(rows.S), np.empty(rows.nnz)
        if self.kind == "models":
            hull_responses(rows, self.parts["kernels"], weights, z, value, q)
            return value, q
        kernel = _load(self.kind, "responses")
        given = (weights, z, rows.p, rows.indptr, rows.state_ptr, *self._arguments())
        over_ranges(lambda a, b: kernel(*given, a, b, value, q), rows.S, _WORK * rows.nnz)
        return value, q

    @property
    def temperature(self) -> float:
        """Largest price of a unit of distance in a soft set; 0 for the others."""
        return float(self.size.max()) if self.kind.startswith("soft_") else 0.0

    def penalty(self, q: np.ndarray) -> np.ndarray | float:
        """What a soft set charges for each row of q `(rows,)`; 0 for the others."""
        if not self.kind.startswith("soft_"):
            return 0.0
        p = self.rows.p
        if self.kind == "soft_tv":
            each = 0.5 * np.abs(q - p)
        elif self.kind == "soft_chi2":
            each = (q - p) ** 2 / p
        else:
            each = q * np.log(np.where(q > 0, q, 1.0) / p)
        return self.size * self.rows.sums(each)
