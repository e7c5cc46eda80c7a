"""What a solver returns: an answer, and the evidence from which a referee re-derives its error bound."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np


class SolverFailure(RuntimeError):
    """An exact solver could not certify its answer to the tolerance asked for; the message says what it reached."""


def frozen_array(values: Any, dtype: type = np.float64) -> np.ndarray:
    """A read-only C-ordered array; one that is read-only and owns its memory is adopted, any other is copied."""
    array = np.asarray(values, dtype=dtype)
    if array is values and not array.flags.writeable and array.flags.c_contiguous and array.base is None:
        return array
    array = np.array(array, dtype=dtype, order="C", copy=True)
    array.flags.writeable = False
    return array


def frozen_mapping(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A read-only view of a copy of `values`, whose arrays are made read-only."""
    out = {}
    for name, value in values.items():
        out[name] = frozen_array(value, value.dtype.type) if isinstance(value, np.ndarray) else value
    return MappingProxyType(out)


@dataclass(frozen=True, eq=False, slots=True)
class Certificate:
    """Evidence for a solution, in a form that `mdplab.certify` re-derives from the problem and the answer alone.

    Parameters
    ----------
    kind
        Which statement is certified; `mdplab.certify` documents the format of `data` for each kind.
    gap
        Upper bound, at least 0, in the units of the value: the returned value differs from the true one by at most
        `gap` at every state, and so does the value of the returned policy from the optimum.
    residuals
        Named diagnostics (Bellman residual, rounding allowance, ...), each at least 0.
    data
        The arrays that the referee reads, such as `lo` and `hi`.
    """

    kind: str
    gap: float
    residuals: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "residuals", frozen_mapping(self.residuals))
        object.__setattr__(self, "data", frozen_mapping(self.data))


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """The answer of an exact solver.

    Parameters
    ----------
    value
        Value function, `(S,)`, or `(H + 1, S)` over a finite horizon; unnormalised, maximised.
    policy
        `(S,)` int64 actions or `(S, A)` probabilities; with a leading axis `H` over a finite horizon.
    certificate
        The bound on the error of both, and its evidence.
    method
        The solver's public name.
    num_iters
        Outer iterations (sweeps, improvements or pivots, as the solver's docstring says).
    seconds
        Wall-clock time of the solve, without compilation of the caller.
    status
        `"certified"`, or why not: `"max_iters"`, `"interrupted"`.
    reason
        Why `solve` chose this method; empty when the caller chose.
    extras
        What else the problem class has to say: `gain`, `bias`, `occupancy`, `multipliers`.
    """

    value: np.ndarray
    policy: np.ndarray
    certificate: Certificate
    method: str
    num_iters: int
    seconds: float
    status: str = "certified"
    reason: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", frozen_array(self.value))
        kind = np.float64 if np.issubdtype(np.asarray(self.policy).dtype, np.floating) else np.int64
        object.__setattr__(self, "policy", frozen_array(self.policy, kind))
        object.__setattr__(self, "extras", frozen_mapping(self.extras))

    def __repr__(self) -> str:
        return (
            f"Solution(method={self.method!r}, status={self.status!r}, states={self.value.shape[-1]}, "
            f"gap={self.certificate.gap:.2g}, num_iters={self.num_iters}, seconds={self.seconds:.3g})"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """Raw quantities of an algorithm at checkpoints; errors against an optimum are computed by the reader.

    Parameters
    ----------
    t
        Checkpoints, `(K,)` int64, strictly increasing.
    columns
        Named arrays with leading axes `(replicates, K)`, or `(K,)` for a deterministic method.
    status
        `"ok"`, or what went wrong (`"diverged at t=..."`): algorithms report, they do not raise.
    """

    t: np.ndarray
    columns: Mapping[str, np.ndarray]
    status: str = "ok"

    def __post_init__(self) -> None:
        object.__setattr__(self, "t", frozen_array(self.t, np.int64))
        object.__setattr__(self, "columns", frozen_mapping(self.columns))
        if np.any(np.diff(self.t) <= 0):
            raise ValueError("t: checkpoints must increase strictly")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]
