"""Certificates of discounted solvers: two vectors that enclose the value, sound for the stored floats.

From v with low - e <= (T v - v)(s) <= high + e at every s (`Bellman.measure`, e its rounding) put lo = fl(v - down) and
hi = fl(v + up). Rows of P sum to at most R, both vectors are rounded by at most u H with H = max|lo|, max|hi|, and a
referee in floating point wants to see the inequalities hold by its own error radius. So with

    up (1 - gamma R)   >= max(high, 0) + e + 2 u H + slack
    down (1 - gamma R) >= max(-low, 0) + e + 2 u H + slack
    slack = 2.02 (k + 6) u (max|r| + gamma R H)

T hi <= hi - slack and T_pi lo >= lo + slack hold exactly, for pi the policy that attains `low`. Hence
lo <= V^pi <= V* <= hi. Here k is the number of roundings that a product passes through on its way into the referee's
row sum: the entries of a sparse row, or 1 + log2 S for a dense one, which is summed by halving; its radius is at most
(k + 6) u times the magnitude of the terms, and it must still see the inequality when its arithmetic is off by that
much. The certified gap, max(hi - lo), includes all of this. Where `slack` alone would cost more than half of the
tolerance (gamma near 1), it is cut down to what the tolerance leaves: the inequalities are then still exact, but a
referee in floating point may need its exact level to see it. At terminal states v, lo and hi are then set to 0, their
value: there both inequalities become 0 = 0, and in all other rows this only raises T_pi lo and lowers T hi.

Source: MacQueen (1966) and Porteus (1971) for the bounds, in the form of inequalities that a checker can repeat.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.operator import UNIT, Bellman
from mdplab.models import Certificate, SolverFailure


@dataclass(frozen=True, eq=False, slots=True)
class Bracket:
    """lo <= V^pi <= V* <= hi with lo <= v <= hi; `floor` is the least gap that rounding allows at this v."""

    v: np.ndarray
    pi: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    gap: float
    floor: float
    slack: float
    residual: float
    drift: float

    def certificate(self, kind: str = "discounted") -> Certificate:
        """The evidence in the referee's format."""
        residuals = {"bellman": self.residual, "slack": self.slack, "rounding_floor": self.floor}
        return Certificate(kind, self.gap, residuals, {"lo": self.lo, "hi": self.hi})


def contraction_margin(op: Bellman) -> float:
    """A lower bound on 1 - gamma R, R the largest row sum; SolverFailure if it is not positive."""
    # 1 - gamma is exact from 1/2 on, and off by less than a unit below.
    left = (1 - op.gamma) * (1 - 4 * UNIT)
    if op.gamma * op.defect_bound < 1e-3 * left:
        return left - op.gamma * op.defect_bound
    left -= op.gamma * max(op.largest_row_sum_defect(), 0.0) * (1 + 4 * UNIT)
    if left <= 0:
        raise SolverFailure(
            f"gamma={op.gamma!r} times the largest row sum of P is not below 1: no discounted value can be certified"
        )
    return left


def bracket(op: Bellman, v: np.ndarray, tol: float) -> Bracket:
    """Enclose the value around v; the gap is at most `tol` if v and the arithmetic allow it."""
    margin = contraction_margin(op)
    found = op.measure(v)
    size = float(np.abs(v).max())
    above, below = max(found.high, 0.0) + found.error, max(-found.low, 0.0) + found.error
    # The shift enlarges H and H the shift; a generous first guess of the shift closes the circle.
    H = size + 2 * (above + below) / margin + tol
    rounding = 2 * UNIT * H
    k = op.row_entries if op.is_sparse else op.S.bit_length() + 1
    wanted = 2.02 * ((k + 6) * UNIT + op.relative_error) * (op.r_size + op.gamma * (1 + op.defect_bound) * H)
    bare = (above + below + 2 * rounding) / margin
    slack = wanted
    if bare + 2 * wanted / margin > tol and 2 * wanted / margin > 0.5 * tol:
        slack = min(wanted, max(0.0, 0.49 * (0.999 * tol - bare) * margin))
    up = (above + rounding + slack) / margin * (1 + 8 * UNIT)
    down = (below + rounding + slack) / margin * (1 + 8 * UNIT)
    lo, hi = v - down, v + up
    if op.terminal is not None:
        v, lo, hi = (np.where(op.terminal, 0.0, x) for x in (v, lo, hi))
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    floor = 2 * (found.error + rounding) / margin
    residual = max(abs(found.low), abs(found.high)) + found.error
    drift = 0.5 * (found.low + found.high) / margin
    return Bracket(v, found.pi, lo, hi, gap, floor, slack, residual, drift)


def settle(op: Bellman, v: np.ndarray, tol: float, *, sweeps: int = 3) -> Bracket:
    """The best bracket around v, its span-corrected shift, and a few further backups; stops at one within `tol`."""
    best = bracket(op, v, tol)
    out, pi = np.empty_like(v), np.empty(op.S, dtype=np.int64)
    for _ in range(sweeps):
        if best.gap <= tol or best.gap <= 2 * best.floor:
            break
        low, high = op.backup(best.v, out, pi)
        new = bracket(op, out + op.gamma * 0.5 * (low + high) / (1 - op.gamma), tol)
        if new.gap >= best.gap:
            break
        best = new
    return best


def failure(op: Bellman, best: Bracket | None, tol: float, name: str, spent: str) -> SolverFailure:
    """What a solver raises when `best` misses `tol`."""
    where = f"gamma={op.gamma!r}, S={op.S}"
    if best is None:
        return SolverFailure(f"{name} certified nothing after {spent} at {where}; tol={tol:g}")
    if best.floor > 0.5 * tol or best.gap <= 5 * best.floor:
        # Iterates are rounded too: they come within a small factor of the floor, but not to it.
        least = best.floor if best.floor > 0.5 * tol else best.gap
        return SolverFailure(
            f"{name}: a gap of {least:.2g} is the least that can be certified "
            f"at {where} in double precision (tol={tol:g}, reached {best.gap:.2g} after {spent})"
        )
    return SolverFailure(f"{name} reached a certified gap of {best.gap:.2g} after {spent} at {where}; tol={tol:g}")
