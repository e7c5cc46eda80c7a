"""Linear decision processes over a finite horizon, with factors that are known or chosen by nature; the `linear` kinds.

Stages count down from `v_H = 0`. With `w = phi / sum phi`, and with minima over nature's set of factor (h, i), in soft
sets with their price,

    q_h(s, a) = phi . theta_h + sum_i w_i min m . v_{h+1}        (robust: d-rectangular),
    q_h(s, a) = phi . theta_h + P_h(. | s, a) . v_{h+1}          (nominal: P_h is the positive part of phi . mu_h),
    (T v)_h = max_a q_h, or tau log sum_a ref exp(q_h / tau) if the temperature tau of the policy is positive,
    (T_pi v)_h = sum_a pi (q_h - tau log(pi / ref)).

Proof. Each stage's operators are monotone in `v_{h+1}`, `T = max_pi T_pi` (Gibbs), and rows are read as
distributions, divided by their sums. So `lo_H <= 0`, `lo_h <= T_pi lo_{h+1}` give `lo <= V^pi` by induction; and as one
choice of nature's bounds its minimum from above, `hi_H >= 0`, `hi_h >= (T under these factors) hi_{h+1}` give `hi >=
V*` (with `T_pi` in place of `T`: `hi >= V^pi`). Nature's factors are first moved into their sets, and minima bounded
from below by weak duality, as for the robust kinds: see `mdplab.certify.robust_duals`.
"""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import POLICY_SUM, finite, first, spread
from mdplab.certify.enclosure import Arbs, FloatBalls, Rationals
from mdplab.certify.report import CheckReport, Refused
from mdplab.certify.robust import family_of
from mdplab.certify.robust_duals import Rows
from mdplab.models import LinearMDP, RobustLinearMDP, Solution

_KINDS = ("linear", "linear-evaluation")
_BITS = (128, 512)


def check_linear(
    problem: LinearMDP | RobustLinearMDP,
    solution: Solution,
    *,
    level: str = "float",
    tau: float | None = None,
    reference: Any = None,
) -> CheckReport:
    """Whether `lo` and `hi` of an answer enclose the value of its policy, and of the best one for kind `"linear"`.

    Parameters
    ----------
    problem, solution
        Of the certificate `kind`, `gap` and `data` are read: `lo`, `hi` `(H + 1, S)`; `factors` `(H, d, S)` for a
        robust problem; `tau` and `reference` `(H, S, A)` if the policy is regularised.
    level
        `"float"` or `"exact"`.
    tau, reference
        What the certificate must be about; None takes them from it, and `speaks_about` says so.

    Returns
    -------
    CheckReport
        `gap` is `max(hi - lo)`.

    Raises
    ------
    ValueError
        Unknown `level`.
    """
    if level not in ("float", "exact"):
        raise ValueError(f"level is {level!r}; expected 'float' or 'exact'")
    start = time.perf_counter()
    kind, gap, reason, about = str(solution.certificate.kind), float("inf"), "", [f"{problem!r}, the stored floats"]
    try:
        if kind not in _KINDS:
            raise Refused(f"kind is {kind!r}; expected one of {_KINDS}")
        with np.errstate(all="ignore"):
            gap = _Linear(problem, solution, tau, reference, about).gap(level)
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ValueError) as overflow:
        reason = f"a sum is beyond the range of floats: {overflow}"
    return CheckReport(not reason, kind, level, gap, reason, "; ".join(about), time.perf_counter() - start)


class _Linear:
    """One check: arrays read with suspicion, then the stages in the arithmetic of the level."""

    def __init__(self, problem: Any, solution: Solution, tau: Any, reference: Any, about: list[str]) -> None:
        self.hostile = isinstance(problem, RobustLinearMDP)
        self.linear = linear = problem.linear if self.hostile else problem
        self.certificate = solution.certificate
        H, S, A, data = linear.horizon, linear.S, linear.A, solution.certificate.data
        self.optimal = solution.certificate.kind == "linear"
        self.lo, self.hi = (self._array(name, (H + 1, S)) for name in ("lo", "hi"))
        value = finite("value", solution.value, (H + 1, S))
        for name, bad in (("value < lo", value < self.lo), ("value > hi", value > self.hi)):
            if bad.any():
                raise Refused(f"{name} at {first(bad)}: value {value[first(bad)]:.17g}")
        for name, bad in (("lo[H] <= 0", self.lo[H] > 0), ("hi[H] >= 0", self.hi[H] < 0)):
            if bad.any():
                raise Refused(f"{name} fails at {first(bad)}")
        self.tau = float(self._array("tau", ())) if "tau" in data else 0.0
        if tau is None:
            about.append(f"tau {self.tau:g} as the certificate has it")
        elif self.tau != tau:
            raise Refused(f"the certificate is about tau {self.tau:g}, not {tau:g}")
        if self.tau < 0:
            raise Refused(f"tau is {self.tau:g}; it must be at least 0")
        self.policy = _weights(solution.policy, (H, S, A))
        self.reference = self._array("reference", (H, S, A)) if self.tau else None
        if self.tau:
            self._check_reference(reference, about)
        self.factors = self._array("factors", linear.mu.shape) if self.hostile else None
        self.family = None
        if self.hostile:
            one = problem.factor_set()
            self.set, rows = one, H * linear.d
            self.family = family_of(SimpleNamespace(uncertainty=one, S=rows, A=1))
            about.append(f"least value over factors of the {one.name} set, support {one.support}")

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        value = self.certificate.data.get(name)
        if value is None:
            raise Refused(f"the certificate has no {name!r}")
        return finite(name, value, shape)

    def _check_reference(self, wanted: Any, about: list[str]) -> None:
        ref = self.reference
        if wanted is None:
            about.append("the reference as the certificate has it")
        elif not np.array_equal(ref, np.broadcast_to(finite("reference", wanted, np.shape(wanted)), ref.shape)):
            raise Refused("the certificate is about another reference")
        bad = ref < 0
        if bad.any():
            raise Refused(f"reference{list(first(bad))} is negative: {ref[first(bad)]:g}")
        bad = (self.policy > 0) & (ref == 0)
        if bad.any():
            raise Refused(f"policy{list(first(bad))} is {self.policy[first(bad)]:g} where the reference is 0")

    def gap(self, level: str) -> float:
        """max(hi - lo), if every condition holds and the claim is not smaller."""
        if level == "float":
            self._stages(FloatBalls())
        elif not self.tau and not getattr(self.family, "transcendental", False):
            self._stages(Rationals())
        else:
            self._enclosed()
        claimed, derived = self.certificate.gap, spread(self.hi, self.lo)
        try:
            claimed = float(claimed)
        except (TypeError, ValueError):
            raise Refused(f"claimed gap is {claimed!r}, no number") from None
        if not derived <= claimed:
            raise Refused(f"claimed gap {claimed:.17g} is smaller than the derived {derived:.17g}")
        return derived

    def _enclosed(self) -> None:
        """The stages in flint's balls, with more digits if it takes them."""
        if rational.flint is None:
            raise Refused("the exact level of this problem needs python-flint, which is not installed")
        context = rational.flint.ctx
        before = context.prec
        try:
            for context.prec in _BITS:
                try:
                    return self._stages(Arbs())
                except Refused:
                    if context.prec == _BITS[-1]:
                        raise
        finally:
            context.prec = before

    def _stages(self, ar: Any) -> None:
        phi = ar.of(self.linear.phi)
        shares = phi / ar.total(phi)[:, :, None] if self.hostile else None
        for h in range(self.linear.horizon):
            reward = ar.total(phi * ar.of(self.linear.theta[h]))
            if self.hostile:
                above, below = self._factors(ar, h)
                above, below = (reward + ar.total(shares * each) for each in (above, below))
            else:
                above, below = self._products(ar, h, reward)
            self._require_above(ar, h, above)
            self._require_below(ar, h, below)

    def _factors(self, ar: Any, h: int) -> tuple[Any, Any]:
        """Each factor's bounds `(d,)`: under nature's factor at `hi`, and over its set at `lo`."""
        d, P = self.linear.d, self.linear.mu[h]
        allowed = P > 0 if self.set.support == "nominal" else np.ones(P.shape, dtype=bool)
        rows = Rows(P, allowed, h * d + np.arange(d), np.zeros(d, dtype=np.int64), False)
        given = self.factors[h]
        bad = given < 0
        if bad.any():
            raise Refused(f"factors[{h}]{list(first(bad))} is negative: {given[first(bad)]:.6g}")
        bad = ~(np.abs(given.sum(axis=1) - 1) <= POLICY_SUM)
        if bad.any():
            raise Refused(f"factors[{h}, {first(bad)[0]}] sums to {given.sum(axis=1)[first(bad)]:.17g}, not 1")
        ahead, behind = (np.broadcast_to(x[h + 1], P.shape) for x in (self.hi, self.lo))
        kernel, penalty = self.family.repaired(ar, rows, given, ahead)
        above = ar.total(kernel * ar.of(ahead))
        if penalty is not None:
            above = above + penalty
        one = np.ones(d)
        return above, self.family.least(ar, rows, ar.of(behind), ar.of(one), behind, one)

    def _products(self, ar: Any, h: int, reward: Any) -> tuple[Any, Any]:
        """`q` at `hi` and at `lo`, `(S, A)`, under the model's own kernel."""
        mu, hi, lo = ar.of(self.linear.mu[h].T), ar.of(self.hi[h + 1]), ar.of(self.lo[h + 1])
        both: tuple[list, list] = ([], [])
        for s in range(self.linear.S):
            rows = ar.total(ar.of(self.linear.phi[s][:, None, :]) * mu[None, :, :])
            rows = ar.maximum(rows, ar.of(np.zeros(rows.shape if hasattr(rows, "shape") else rows.mid.shape)))
            rows = rows / ar.total(rows)[:, None]
            for out, v in zip(both, (hi, lo), strict=True):
                out.append(reward[s] + ar.total(rows * v))
        return ar.stacked(both[0]), ar.stacked(both[1])

    def _require_above(self, ar: Any, h: int, q: Any) -> None:
        hi = ar.of(self.hi[h])
        if not self.optimal:
            slack, claim = hi - self._average(ar, h, q), "T_pi hi <= hi"
        elif self.tau:
            used = self.reference[h] > 0
            tilted = ar.masked(used, ar.exp(ar.masked(used, (q - hi[:, None]) / ar.of(self.tau))))
            slack, claim = 1 - ar.total(ar.of(self.reference[h]) * tilted), "T hi <= hi"
        else:
            slack, claim = hi[:, None] - q, "T hi <= hi"
        _refuse_first(ar, f"{claim} at stage {h}", slack)

    def _require_below(self, ar: Any, h: int, q: Any) -> None:
        _refuse_first(ar, f"lo <= T_pi lo at stage {h}", self._average(ar, h, q) - ar.of(self.lo[h]))

    def _average(self, ar: Any, h: int, q: Any) -> Any:
        """`sum_a pi (q - tau log(pi / ref))` of each state."""
        used, pi = self.policy[h] > 0, ar.of(self.policy[h])
        pi = pi / ar.total(pi)[:, None]
        if self.tau:
            unused = ar.of(~used)
            ratio = ar.masked(used, pi / (ar.of(self.reference[h]) + ar.of(self.reference[h] == 0))) + unused
            q = q - ar.of(self.tau) * ar.log(ratio)
        return ar.total(ar.masked(used, pi * q))


def _weights(policy: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """The policy as weights `(H, S, A)`."""
    H, S, A = shape
    pi = np.asarray(policy)
    if pi.shape == (H, S) and np.issubdtype(pi.dtype, np.integer):
        bad = (pi < 0) | (pi >= A)
        if bad.any():
            raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]}, no action")
        return (pi[:, :, None] == np.arange(A)).astype(np.float64)
    if pi.shape != shape:
        raise Refused(f"policy has shape {pi.shape} and dtype {pi.dtype}, expected {(H, S)} integers or {shape}")
    pi = finite("policy", pi, shape)
    bad = pi < 0
    if bad.any():
        raise Refused(f"policy{list(first(bad))} is negative: {pi[first(bad)]:.17g}")
    bad = ~(np.abs(pi.sum(axis=2) - 1) <= POLICY_SUM)
    if bad.any():
        raise Refused(f"policy{list(first(bad))} sums to {pi.sum(axis=2)[first(bad)]:.17g}, not 1")
    return pi


def _refuse_first(ar: Any, claim: str, slack: Any) -> None:
    bad = ~ar.shown(slack)
    if bad.any():
        at = first(bad)
        where = f"state {at[0]}" + (f", action {at[1]}" if len(at) > 1 else "")
        raise Refused(f"{claim} fails at {where}: slack {ar.floats(slack)[at]:.6g}, or is within rounding")
