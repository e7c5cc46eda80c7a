"""The arrays of one problem and its answer, read with suspicion: shapes, finiteness, policies, claimed gaps.

Differences are compared exactly: with `d = fl(a - b)`, Knuth's two-sum gives the error `e` with `a - b = d + e`
exactly (no overflow), so the least float that is at least `a - b` is `d`, or its successor where `e > 0`.
"""

from typing import Any

import numpy as np

from mdplab.certify.rational import ExactRows
from mdplab.certify.report import Refused
from mdplab.certify.rows import FloatRows
from mdplab.models import MDP, Solution

# Row sums of a policy within this of one; every kind reads the policy divided by its row sums.
POLICY_SUM = 1e-8


class Case:
    """One check: the model, the answer, and the arithmetic of the level."""

    def __init__(self, mdp: MDP, solution: Solution, level: str) -> None:
        self.mdp, self.solution, self.level = mdp, solution, level
        self.rows = FloatRows(mdp) if level == "float" else ExactRows(mdp)
        self.data = solution.certificate.data
        self.about: list[str] = []

    def array(self, name: str, shape: tuple[int, ...], default: Any = None) -> np.ndarray:
        """A finite array of the certificate."""
        value = self.data.get(name, default)
        if value is None:
            raise Refused(f"the certificate has no {name!r}")
        return finite(name, value, shape)

    def number(self, name: str) -> float:
        """A finite number of the certificate."""
        return float(self.array(name, ()))

    def value_within(self, lo: np.ndarray, hi: np.ndarray) -> None:
        """The returned value lies between the bounds."""
        value = finite("value", self.solution.value, lo.shape)
        for name, bad in (("value < lo", value < lo), ("value > hi", value > hi)):
            if bad.any():
                at = first(bad)
                raise Refused(f"{name} at {at}: value {value[at]:.17g}, lo {lo[at]:.17g}, hi {hi[at]:.17g}")

    def policy(self, *, deterministic: bool = False, stages: int | None = None) -> np.ndarray:
        """The policy, `(S,)` actions or `(S, A)` weights (after a stage axis), available actions only."""
        pi = np.asarray(self.solution.policy)
        S, A = self.mdp.S, self.mdp.A
        lead = () if stages is None else (stages,)
        if pi.shape == (*lead, S) and np.issubdtype(pi.dtype, np.integer):
            self._check_actions(pi)
            return pi
        if deterministic or pi.shape != (*lead, S, A):
            expected = f"{(*lead, S)} integers" + ("" if deterministic else f" or {(*lead, S, A)}")
            raise Refused(f"policy has shape {pi.shape} and dtype {pi.dtype}, expected {expected}")
        pi = finite("policy", pi, (*lead, S, A))
        for reason, bad in (("is negative", pi < 0), ("chooses an unavailable action", (pi > 0) & ~self.mdp.actions)):
            if bad.any():
                raise Refused(f"policy{list(first(bad))} {reason}: {pi[first(bad)]:.17g}")
        bad = np.abs(pi.sum(axis=-1) - 1) > POLICY_SUM
        if bad.any():
            raise Refused(f"policy{list(first(bad))} sums to {pi[first(bad)].sum():.17g}, not 1")
        return pi

    def _check_actions(self, pi: np.ndarray) -> None:
        bad = (pi < 0) | (pi >= self.mdp.A)
        if bad.any():
            raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]}, no action")
        for stage in np.atleast_2d(pi):
            bad = ~self.mdp.actions[np.arange(self.mdp.S), stage]
            if bad.any():
                s = int(np.argmax(bad))
                raise Refused(f"policy chooses an unavailable action in state {s}: {stage[s]}")

    def claims_gap(self, derived: float) -> float:
        """The claimed gap is not smaller than the derived one, which is returned."""
        claimed = self.solution.certificate.gap
        try:
            claimed = float(claimed)
        except (TypeError, ValueError):
            raise Refused(f"claimed gap is {claimed!r}, no number") from None
        if not derived <= claimed:
            raise Refused(f"claimed gap {claimed:.17g} is smaller than the derived {derived:.17g}")
        return derived


def first(bad: np.ndarray) -> tuple[int, ...]:
    """Index of the first true entry."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def finite(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as a finite float64 array of `shape`."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Refused(f"{name} is not an array of numbers") from None
    if array.shape != shape:
        raise Refused(f"{name} has shape {array.shape}, expected {shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise Refused(f"{name}{list(first(bad))} is {array[first(bad)]}")
    return array


def spread(hi: np.ndarray, lo: np.ndarray) -> float:
    """The least float that is at least `max(hi - lo)`, exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        d = hi - lo
        b = d - hi
        error = (hi - (d - b)) - (lo + b)
        up = np.where(error > 0, np.nextafter(d, np.inf), d)
    if not np.isfinite(up).all():
        raise Refused("hi - lo overflows")
    return float(up.max(initial=0.0))


def require_sign(claim: str, bad: np.ndarray, values: np.ndarray) -> None:
    """Refused where `bad`, a comparison of single floats and so exact."""
    if bad.any():
        at = first(bad)
        raise Refused(f"{claim} fails at {at[0] if len(at) == 1 else at}: {values[at]:.17g}")
