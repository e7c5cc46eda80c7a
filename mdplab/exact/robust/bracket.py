"""Certificates of robust solvers: two vectors around the value, and the kernel that holds it down.

From v, with q nature's rows and pi the agent's policy at v,

    hi = v + up,    up (1 - gamma)   >= max over s of (max_a (r_a + gamma q_a v) - v) + e,
    lo = v - down,  down (1 - gamma) >= max over s of (v - min over the set (r_pi + gamma q_pi v)) + e,

both after v is shifted so that the two are alike. Then `hi` is no less than its own backup under the kernel q, so that
V* <= V*_q <= hi; and `lo` is no more than its own backup under pi against the whole set, so that lo <= V^pi <= V*.
The operators shift constants by gamma because rows are distributions. e covers rounding of the two backups, that of
the referee, objectives that the kernels take for ties, the error of an inner problem that is solved by a root, and
what the referee charges for a row that leaves the set by rounding. Where e alone would cost more than half of the
tolerance, it is cut down to what the tolerance leaves, but not below the rounding and the ties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mdplab.exact.operator import UNIT
from mdplab.exact.robust.operator import RobustBellman, Step
from mdplab.models import Certificate, Solution

# Relative to the range of the objective: what a root finder and a row's membership may be off by.
_INNER = 4e-12
# The same where the referee recovers a transport plan, or weights of models, by an optimiser of its own.
_RECOVERED = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class Bracket:
    """lo <= V^pi <= V* <= hi with lo <= v <= hi, and nature's rows q; `floor` is the least gap that rounding allows."""

    v: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    weights: np.ndarray
    q: np.ndarray
    gap: float
    floor: float
    slack: float
    residual: float

    def solution(
        self,
        op: RobustBellman,
        policy: np.ndarray,
        name: str,
        count: int,
        seconds: float,
        reason: str = "",
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Solution:
        """The answer in the referee's format; `more` goes to the extras."""
        kernel = op.kernel(self.q)
        kind = "robust-evaluation" if name == "robust_policy_evaluation" else "robust"
        residuals = {"bellman": self.residual, "slack": self.slack, "rounding_floor": self.floor}
        certificate = Certificate(kind, self.gap, residuals, {"lo": self.lo, "hi": self.hi, "kernel": kernel})
        extras = {"kernel": kernel, **more}
        return Solution(self.v, policy, certificate, name, count, seconds, reason=reason, extras=extras)


def bracket(op: RobustBellman, step: Step, tol: float) -> Bracket:
    """Enclose the optimal value around `step.v`."""
    if step.q is None:
        step = op.backup(step.v)
    values = op.fixed_rows(step.q, step.v)
    above = np.maximum.reduceat(values, op.rows.state_ptr[:-1])
    below = step.Tv if op.deterministic else op.respond(step.v, step.weights)[0]
    return _around(op, step, above, below, tol)


def bracket_policy(op: RobustBellman, v: np.ndarray, weights: np.ndarray, tol: float) -> Bracket:
    """Enclose the robust value of a policy around `v`."""
    below, q = op.respond(v, weights)
    above = np.add.reduceat(weights * op.fixed_rows(q, v), op.rows.state_ptr[:-1])
    return _around(op, Step(v, below, weights, q), above, below, tol)


def _around(op: RobustBellman, step: Step, above: np.ndarray, below: np.ndarray, tol: float) -> Bracket:
    """The bracket from `above`, a backup under nature's rows, and `below`, one of the policy against the set."""
    v, margin = step.v, (1 - op.gamma) * (1 - 4 * UNIT)
    high, low = float((above - v).max()), float((below - v).min())
    reward = op.rows.reward if op.rows.reward_next is None else op.rows.reward_next
    shift = 0.5 * (high + low) / (1 - op.gamma)
    size = float(np.abs(reward).max()) + float(np.abs(v).max()) + abs(shift)
    # A soft set's price is a difference of probabilities times the temperature.
    size += 4 * op.nature.temperature
    roundings = 2 * min(op.rows.width, 64) + op.A + 32
    least = roundings * UNIT * size + op.rows.near_ties(v, op.gamma)
    wanted = 4 * least + _membership(op, 8 * roundings * UNIT) * (float(np.ptp(reward)) + op.gamma * float(np.ptp(v)))
    bare = 0.5 * max(high - low, 0.0)
    if abs(high + low) <= 0.2 * wanted:
        # Nothing to gain: values that are exact, such as zeros, stay so.
        shift, bare = 0.0, max(high, -low, 0.0)
    slack = wanted
    if 2 * (bare + wanted) / margin > tol and 2 * wanted / margin > 0.5 * tol:
        slack = min(wanted, max(least, 0.5 * 0.999 * tol * margin - bare))
    half = (bare + slack) / margin * (1 + 8 * UNIT)
    v = v + shift
    lo, hi = v - half, v + half
    if op.terminal is not None:
        # Their value is known, and in all other rows the zeros only help both inequalities.
        v = np.where(op.terminal, 0.0, v)
        if op.nature.temperature == 0:
            # Elsewhere a referee sees the price of a row up to rounding, and 0 <= 0 not at all.
            lo, hi = (np.where(op.terminal, 0.0, x) for x in (lo, hi))
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    residual = max(abs(high), abs(low))
    return Bracket(v, lo, hi, step.weights, step.q, gap, 2 * least / margin, slack, residual)


def _membership(op: RobustBellman, doubt: float) -> float:
    """What keeping nature's rows in the set may cost, relative to the range of the objective.

    A relative entropy known up to `doubt` is brought below the radius by a share `doubt / radius` of the way back to
    the nominal row, which is about `sqrt(2 radius)` away.
    """
    kind, radius = op.nature.kind, op.nature.size
    if kind == "wasserstein" or (kind == "models" and op.nature.shared):
        return _RECOVERED
    if kind in ("kl", "burg") and radius.max() > 0:
        radius = radius[radius > 0]
        return _INNER + float(np.minimum(doubt * np.sqrt(2 / radius), np.sqrt(2 * radius)).max())
    return _INNER
