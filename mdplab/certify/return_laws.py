"""The kind `return-laws`: laws with finitely many atoms, and how far in `w_1` they are from the laws of the return.

Let `(T_pi eta)(s)` be the law of `R + gamma X`, with an action from `pi(s)`, reward and next state from its outcomes,
X from `eta(next state)`; on terminal states it is the law of 0. Rows, laws and weights are read divided by their
sums.

Proof. `w_1` is the least mean distance of a coupling. A coupling of `eta(s')` and `eta'(s')` for each next state
gives one of `T_pi eta` and `T_pi eta'`, hence with suprema over states `w_1(T_pi eta, T_pi eta') <= gamma w_1(eta,
eta')`. The laws `eta^pi` of the return are the fixed point, and have bounded support, so

    w_1(eta, eta^pi) <= w_1(eta, T_pi eta) + gamma w_1(eta, eta^pi),

which gives `w_1(eta, eta^pi) <= max_s w_1(T_pi eta, eta) / (1 - gamma)`. In stages the same steps give `b_t = max_s
w_1(T_pi eta[t + 1], eta[t]) + gamma b[t + 1]`, from `b_H = max_s E |eta[H]|`, the distance from the law of 0. Means
differ by no more than `w_1`. On a line `w_1` is the integral of `|F - F'|`.

Proof for floats. The true positions `r + gamma x` are within `u (|gamma x| + |r + gamma x|) (1 + 2 u)` of the
computed ones, which moves the law by no more. A mass is a product of four numbers and quotients of numbers by their
sums, sums rounded once or over at most A entries: its relative error is at most `gamma_k`, `k = A + 12`. Cumulative
sums go through rows of about `sqrt n` entries and then the totals of rows, so that each term is rounded at most `2
sqrt n + 4` times; the sum of all masses is 2. Products that underflow lose at most `n 2^-1000`. The integral is a sum
of non-negative terms and hence off by `gamma_n` of itself at most.
"""

from fractions import Fraction
from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np

from mdplab.certify.case import POLICY_SUM, Case
from mdplab.certify.ragged import OutcomeRows, flat, pointers, segments, upward, weights_of
from mdplab.certify.rational import fraction, number, numbers
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT, rounding
from mdplab.models import MDP, StockMDP


def return_laws(case: Case, problem: MDP | StockMDP) -> float:
    """Distance of the certificate's laws from those of the return; returns the gap."""
    mdp, rows = case.mdp, OutcomeRows.of(problem)
    laws = _Laws(case)
    H = laws.horizon(case)
    one = _Floats if case.level == "float" else _Exact
    if H is None:
        policy = weights_of(case.policy(), mdp.A)
        value = case_value(case, (mdp.S,))
        worst = max(one.distance(rows, policy[s], laws, s, 0) for s in range(mdp.S))
        apart = max(one.mean_error(laws, s, value[s]) for s in range(mdp.S))
        return case.claims_gap(upward(one.quotient(worst, mdp.gamma) + apart))
    policy = weights_of(case.policy(stages=H), mdp.A)
    value = case_value(case, (H + 1, mdp.S))
    bound = max(one.spread(laws, H * mdp.S + s) for s in range(mdp.S))
    derived = bound + max(one.mean_error(laws, H * mdp.S + s, value[H, s]) for s in range(mdp.S))
    for t in range(H - 1, -1, -1):
        base = (t + 1) * mdp.S
        worst = max(one.distance(rows, policy[t, s], laws, s, base, t * mdp.S + s) for s in range(mdp.S))
        bound = worst + Fraction(mdp.gamma) * bound
        apart = max(one.mean_error(laws, t * mdp.S + s, value[t, s]) for s in range(mdp.S))
        derived = max(derived, bound + apart)
    return case.claims_gap(upward(derived))


def case_value(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    """The returned value as a finite array."""
    value = np.asarray(case.solution.value, dtype=np.float64)
    if value.shape != shape or not np.isfinite(value).all():
        raise Refused(f"value has shape {value.shape} or is not finite, expected {shape}")
    return value


class _Laws:
    """The certificate's laws: atoms strictly increasing, masses positive, each sum near one."""

    def __init__(self, case: Case) -> None:
        self.x, self.p = flat("x", case.data), flat("p", case.data)
        if len(self.x) != len(self.p):
            raise Refused(f"x has {len(self.x)} atoms, p has {len(self.p)} masses")
        size = np.size(case.data.get("indptr")) - 1
        self.ptr = pointers("indptr", case.data.get("indptr"), size, len(self.x))
        counts = np.diff(self.ptr)
        if (counts == 0).any():
            raise Refused(f"law {int(np.argmin(counts))} has no atoms")
        inside = np.ones(len(self.x), dtype=bool)
        inside[self.ptr[:-1]] = False
        for reason, bad in (
            ("x does not increase", inside & (np.diff(self.x, prepend=-np.inf) <= 0)),
            ("p is not positive", ~(self.p > 0)),
        ):
            if bad.any():
                k = int(np.argmax(bad))
                raise Refused(f"{reason} at atom {k} of law {int(np.searchsorted(self.ptr, k, side='right')) - 1}")
        ptr, masses = self.ptr.tolist(), self.p.tolist()
        self.sums = np.array([fsum(masses[i:j]) for i, j in pairwise(ptr)])
        bad = np.abs(self.sums - 1) > POLICY_SUM
        if bad.any():
            k = int(np.argmax(bad))
            raise Refused(f"law {k} has mass {self.sums[k]:.17g}, not 1")

    def horizon(self, case: Case) -> int | None:
        """Number of stages before the last, None for laws of an infinite horizon."""
        mdp, count = case.mdp, len(self.sums)
        if count == mdp.S and mdp.horizon is None:
            if not mdp.gamma < 1:
                raise Refused(f"gamma is {mdp.gamma:g}; laws without stages need gamma below 1")
            return None
        H = count // mdp.S - 1
        if count % mdp.S or H < 1 or mdp.horizon not in (None, H):
            raise Refused(f"there are {count} laws for {mdp.S} states and horizon {mdp.horizon}")
        if mdp.horizon is None:
            case.about.append(f"horizon {H}, taken from the answer")
        return H

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self.ptr[k], self.ptr[k + 1])
        return self.x[part], self.p[part]


class _Floats:
    """Upper bounds by floats that know their own error, as rationals."""

    @staticmethod
    def distance(
        rows: OutcomeRows, weights: np.ndarray, laws: _Laws, s: int, base: int, own: int | None = None
    ) -> Fraction:
        """An upper bound of `w_1((T_pi eta)(s), eta'(own))`; laws of the next states start at `base`."""
        own = base + s if own is None else own
        if rows.mdp.terminal[s]:
            return _Floats.spread(laws, own)
        A = rows.mdp.A
        used = np.flatnonzero(weights > 0)
        at, sizes = rows.entries(s * A + used)
        w = np.repeat(weights[used] / weights.sum() / rows.sums[s * A + used], sizes) * rows.outcomes.prob[at]
        law = base + rows.outcomes.next_state[at]
        counts = np.diff(laws.ptr)[law]
        atoms = segments(laws.ptr[law], counts)
        far = rows.mdp.gamma * laws.x[atoms]
        z = np.repeat(rows.outcomes.reward[at], counts) + far
        shift = float((np.abs(far) + np.abs(z)).max()) * UNIT * (1 + 8 * UNIT) + 2.0**-1000
        mass = np.repeat(w / laws.sums[law], counts) * laws.p[atoms]
        x, p = laws[own]
        positions = np.concatenate([z, x])
        order = np.argsort(positions)
        positions = positions[order]
        height = np.abs(_cumulated(np.concatenate([mass, -(p / laws.sums[own])])[order]))[:-1]
        n = len(positions)
        error = 2.001 * float(rounding(A + 12) + rounding(2 * int(n**0.5) + 8)) + n * 2.0**-1000
        area = float(((height + error) * np.diff(positions)).sum()) * (1 + (2 * n + 64) * UNIT)
        return _sound(area + shift)

    @staticmethod
    def spread(laws: _Laws, k: int) -> Fraction:
        """An upper bound of the mean of `|X|`."""
        x, p = laws[k]
        return _sound(fsum(p * np.abs(x)) / laws.sums[k] * (1 + 16 * UNIT) + 2.0**-1000)

    @staticmethod
    def mean_error(laws: _Laws, k: int, value: float) -> Fraction:
        """An upper bound of `|value - mean|`."""
        x, p = laws[k]
        mean = fsum(p * x) / laws.sums[k]
        slip = 8 * UNIT * (fsum(p * np.abs(x)) + abs(mean)) + len(x) * 2.0**-1000
        return abs(_sound(value) - _sound(mean)) + Fraction(slip)

    @staticmethod
    def quotient(worst: Fraction, gamma: float) -> Fraction:
        """`worst / (1 - gamma)`."""
        return worst / (1 - Fraction(gamma))


class _Exact(_Floats):
    """The same numbers in rational arithmetic."""

    @staticmethod
    def distance(
        rows: OutcomeRows, weights: np.ndarray, laws: _Laws, s: int, base: int, own: int | None = None
    ) -> Fraction:
        """`w_1((T_pi eta)(s), eta'(own))`."""
        own = base + s if own is None else own
        if rows.mdp.terminal[s]:
            return _Exact.spread(laws, own)
        gamma, total = number(rows.mdp.gamma), sum(numbers(weights), number(0))
        signed: dict[Any, Any] = {}
        for a in np.flatnonzero(weights > 0).tolist():
            share = number(weights[a]) / total
            for t, r, q in zip(*rows.exact_row(s * rows.mdp.A + a)):
                for x, p in zip(*_exact_law(laws, base + t)):
                    z = r + gamma * x
                    signed[z] = signed.get(z, 0) + share * q * p
        for x, p in zip(*_exact_law(laws, own)):
            signed[x] = signed.get(x, 0) - p
        area, height, before = number(0), number(0), None
        for z in sorted(signed):
            if before is not None:
                area += abs(height) * (z - before)
            height += signed[z]
            before = z
        return fraction(area)

    @staticmethod
    def spread(laws: _Laws, k: int) -> Fraction:
        """The mean of `|X|`."""
        return fraction(sum((p * abs(x) for x, p in zip(*_exact_law(laws, k))), number(0)))

    @staticmethod
    def mean_error(laws: _Laws, k: int, value: float) -> Fraction:
        """`|value - mean|`."""
        return fraction(abs(number(float(value)) - sum((p * x for x, p in zip(*_exact_law(laws, k))), number(0))))


def _exact_law(laws: _Laws, k: int) -> tuple[list, list]:
    x, p = laws[k]
    masses = numbers(p)
    total = sum(masses, number(0))
    return numbers(x), [m / total for m in masses]


def _cumulated(x: np.ndarray) -> np.ndarray:
    """Cumulative sums in which each term is rounded at most `2 sqrt n + 4` times."""
    n = len(x)
    width = int(n**0.5) + 1
    padded = np.zeros((-(-n // width), width))
    padded.ravel()[:n] = x
    inner = np.cumsum(padded, axis=1)
    before = np.append(0.0, np.cumsum(inner[:, -1])[:-1])
    return (inner + before[:, None]).ravel()[:n]


def _sound(x: float) -> Fraction:
    if not np.isfinite(x):
        raise Refused("a distance is beyond the range of floats")
    return Fraction(x)
