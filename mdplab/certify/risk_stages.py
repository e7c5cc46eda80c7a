"""Inequalities of entropic risk between the stages of a certificate, in floats or balls; see `mdplab.certify.risk`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case
from mdplab.certify.ragged import OutcomeRows
from mdplab.certify.report import Refused
from mdplab.certify.rows import BLOCK, UNIT
from mdplab.models import MDP, StockMDP

_FAINT = 2.0**-400
_STEEP = 600.0
_DIGITS = (128, 512)


class StagedRisk:
    """Stage inequalities of one problem."""

    def __init__(self, case: Case, problem: MDP | StockMDP) -> None:
        self.case, self.mdp = case, case.mdp
        self.rows = OutcomeRows.of(problem)
        mdp, out = self.mdp, self.rows.outcomes
        self.live = np.flatnonzero(mdp.actions.ravel())
        used = out.reward[mdp.actions.ravel()[out.row_of()]]
        self.most = float(used.max())
        self.worst: np.ndarray | None = None
        self.range = (float(used.max()) - float(used.min())) * (1 + 4 * UNIT)
        self.horizon: int | None = None
        self.spread = self.beta = 0.0

    def check_tail(self, T: int, *, with_mean: bool = False) -> None:
        """Decide on the horizon; the risk-neutral bounds hold."""
        case, mdp = self.case, self.mdp
        infinite = mdp.horizon is None and case.data.get("mean_lo") is not None
        if infinite:
            if not mdp.gamma < 1:
                raise Refused(f"gamma is {mdp.gamma:g} without a horizon")
            self.spread = self.range / (1 - mdp.gamma) * (1 + 8 * UNIT)
            self.policy = case.policy(deterministic=True, stages=T + 1)
            self.mean_lo, self.mean_hi = (case.array(name, (mdp.S,)) for name in ("mean_lo", "mean_hi"))
            pair = np.arange(mdp.S) * mdp.A + self.policy[T]
            self._mean("mean_lo <= T_pi mean_lo", 1, np.stack([self.mean_lo] * 2), pair)
            self._mean("T mean_hi <= mean_hi", -1, np.stack([self.mean_hi] * 2), self.live)
            return
        if mdp.horizon not in (None, T):
            raise Refused(f"the certificate has {T} stages, the problem has horizon {mdp.horizon}")
        if mdp.horizon is None:
            case.about.append(f"horizon {T}, taken from the answer")
        self.horizon = T
        self.spread = self.range * sum(mdp.gamma**t for t in range(T)) * (1 + (4 * T + 16) * UNIT)
        self.policy = case.policy(deterministic=True, stages=T)
        if with_mean:
            table = case.array("mean_hi", (T + 1, mdp.S))
            if (table[T] < 0).any():
                raise Refused("mean_hi[H] >= 0 fails")
            self._mean("T mean_hi[t + 1] <= mean_hi[t]", -1, table, self.live)
            self.mean_hi = table[0]

    def check_upper(self, beta: float, hi: np.ndarray) -> None:
        """`hi[t] >= ERM_{b_t}(r + gamma hi[t + 1])` for all actions, and the last of them."""
        last = self.mean_hi if self.horizon is None else np.zeros(self.mdp.S)
        if (hi[-1] < last).any():
            s = int(np.argmax(hi[-1] < last))
            raise Refused(f"hi[T] is too small at state {s}: {hi[-1, s]:.17g} below {last[s]:.17g}")
        self._staged("T hi <= hi", -1, beta, hi, None)

    def check_far(self, beta: float, worst: np.ndarray, far: np.ndarray) -> None:
        """`far[t] >= -(1/b_t) log E [exp(-b_t (r + gamma far[t + 1])); kept]` for all actions, and the last of them."""
        least = 0.0
        if self.horizon is None:
            most = self.most / (1 - self.mdp.gamma)
            least = most + 16 * UNIT * abs(most)
        elif len(far) != self.horizon + 1:
            raise Refused(f"far has {len(far)} stages, the horizon is {self.horizon}")
        if (worst[-1] < least).any() or (far[-1] < worst[-1]).any():
            raise Refused("worst[N] or far[N] is too small")
        self.worst = worst
        self._staged("far without the transitions that are not kept", -1, beta, far, None)
        self.worst = None

    def check_lower(self, beta: float, lo: np.ndarray) -> None:
        """`lo[t] <= ERM_{b_t}(r + gamma lo[t + 1])` for the policy, and the last of them."""
        T = len(lo) - 1
        last = np.zeros(self.mdp.S)
        if self.horizon is None:
            loss = beta * float(np.prod(np.full(T, self.mdp.gamma))) * self.spread**2 / 8
            slip = (2 * T + 64) * UNIT * (loss + np.abs(self.mean_lo)) + 2.0**-900
            last = self.mean_lo - loss - slip
        if (lo[T] > last).any():
            s = int(np.argmax(lo[T] > last))
            raise Refused(f"lo[T] is too large at state {s}: {lo[T, s]:.17g} above {last[s]:.17g}")
        self._staged("lo <= T_pi lo", 1, beta, lo, self.policy)

    def _staged(self, claim: str, sign: int, beta: float, x: np.ndarray, policy: np.ndarray | None) -> None:
        """`-sign E expm1(-b_t d) >= 0` for each stage, on the policy's rows or on all."""
        T = len(x) - 1
        self.beta = beta
        b = beta * np.cumprod(np.append(1.0, np.full(T - 1, self.mdp.gamma)))
        if policy is None:
            pairs = np.broadcast_to(self.live, (T, len(self.live)))
        else:
            pairs = np.arange(self.mdp.S) * self.mdp.A + policy[:T]
        test = self._floats if self.case.level == "float" else self._balls
        for stages in self._batches(pairs, policy is None):
            faint = b[stages] <= _FAINT
            for part in (stages[~faint], stages[faint]):
                if len(part) and b[part[0]] <= _FAINT and self.worst is not None:
                    raise Refused(f"{claim}: the risk aversion of stage {part[0]} is below {_FAINT:.3g}")
                elif len(part) and b[part[0]] <= _FAINT:
                    for t in part.tolist():
                        self._mean(claim, sign, x[t : t + 2], pairs[t], extra=_FAINT if sign > 0 else 0.0)
                elif len(part):
                    test(claim, sign, b[part], part, x, pairs[part])

    def _batches(self, pairs: np.ndarray, same: bool) -> Iterator[np.ndarray]:
        """Stages in batches that share their rows, few entries at a time."""
        T = len(pairs)
        entries = max(1, int(np.diff(self.rows.outcomes.indptr)[pairs[0]].sum()))
        step = max(1, BLOCK // entries) if same and self.case.level == "float" else 1
        for start in range(0, T, step):
            yield np.arange(start, min(start + step, T))

    def _floats(
        self, claim: str, sign: int, b: np.ndarray, stages: np.ndarray, x: np.ndarray, pairs: np.ndarray
    ) -> None:
        # Batches of more than one stage share their rows.
        at, counts = self.rows.entries(pairs[0])
        out, b = self.rows.outcomes, b[:, None]
        far = self.mdp.gamma * x[stages + 1][:, out.next_state[at]]
        ahead = out.reward[at] + far
        d = ahead - np.repeat(x[stages][:, pairs[0] // self.mdp.A], counts, axis=1)
        slip = UNIT * (1 + 8 * UNIT) * (np.abs(far) + np.abs(ahead) + np.abs(d)) + 2.0**-1000
        z = -b * d
        reach = (b * slip + (stages[:, None] + 8) * UNIT * np.abs(z)) * (1 + 16 * UNIT) + 2.0**-1000
        if sign < 0:
            # A sum is shown to be at least 0: what would overflow is lowered.
            reach = np.where(z - reach >= _STEEP, 0.0, reach)
            z = np.minimum(z, _STEEP)
        grown = np.expm1(z)
        # exp(z) = 1 + expm1(z), at most.
        off = (np.exp(z) * (1 + 16 * UNIT) + 2.0**-1000) * np.expm1(reach) * (1 + 16 * UNIT)
        off = off + 16 * UNIT * np.abs(grown) + 2.0**-1000
        if self.worst is not None:
            far = self.mdp.gamma * self.worst[stages + 1][:, out.next_state[at]]
            ahead = out.reward[at] + far
            over = ahead - np.repeat(self.worst[stages][:, pairs[0] // self.mdp.A], counts, axis=1)
            reach = UNIT * (1 + 8 * UNIT) * (np.abs(far) + np.abs(ahead) + np.abs(over)) + 2.0**-1000
            # What may not be kept counts nothing: exp - 1 is -1.
            kept = over + reach <= 0
            grown, off = np.where(kept, grown, -1.0), np.where(kept, off, 0.0)
        prob, starts = out.prob[at], np.cumsum(counts) - counts
        total = np.add.reduceat(prob * grown, starts, axis=1)
        size = np.add.reduceat(prob * np.abs(grown), starts, axis=1)
        error = np.add.reduceat(prob * off, starts, axis=1) + (counts + 2) * UNIT * size
        error = error * (1 + (4 * counts + 64) * UNIT) + 2.0**-950
        bad = ~((-sign * total >= error) & np.isfinite(error))
        if bad.any():
            i, k = np.argwhere(bad)[0]
            s, a = divmod(int(pairs[0][k]), self.mdp.A)
            raise Refused(
                f"{claim} fails at stage {stages[i]}, state {s}, action {a}: excess {total[i, k]:.6g}, "
                f"rounding radius {error[i, k]:.3g}"
            )

    def _balls(
        self, claim: str, sign: int, b: np.ndarray, stages: np.ndarray, x: np.ndarray, pairs: np.ndarray
    ) -> None:
        t = int(stages[0])
        # The float b is a running product, rounded: the exact one is beta gamma^t.
        beta, gamma = rational.number(self.beta), rational.number(self.mdp.gamma)
        here, ahead = rational.numbers(x[t]), rational.numbers(x[t + 1])
        for pair in pairs[0].tolist():
            s, a = divmod(pair, self.mdp.A)
            to, r, p = self.rows.exact_row(pair)
            d = [q + gamma * ahead[j] - here[s] for j, q in zip(to, r)]
            if self.worst is not None:
                low, next_low = rational.number(self.worst[t, s]), rational.numbers(self.worst[t + 1])
                kept = [q + gamma * next_low[j] <= low for j, q in zip(to, r)]
                d = [y if keep else None for y, keep in zip(d, kept)]
            if not self._decided(sign, beta, gamma, t, d, p):
                raise Refused(f"{claim} fails, or is not decided, at stage {t}, state {s}, action {a}")

    def _decided(self, sign: int, beta: Any, gamma: Any, t: int, d: list, p: list) -> bool:
        arb, context = rational.flint.arb, rational.flint.ctx
        before = context.prec
        if all(y == 0 for y in d):
            return True
        try:
            for context.prec in _DIGITS:
                b = arb(beta) * arb(gamma) ** t
                terms = (arb(q) * (arb(-1) if y is None else (-b * arb(y)).expm1()) for q, y in zip(p, d))
                total = sum(terms, arb(0))
                if -sign * total >= 0:
                    return True
        finally:
            context.prec = before
        return False

    def _mean(self, claim: str, sign: int, x: np.ndarray, pairs: np.ndarray, extra: float = 0.0) -> None:
        """`sign E d >= extra E d^2` between successive rows of x."""
        at, counts = self.rows.entries(pairs)
        out, starts = self.rows.outcomes, np.cumsum(counts) - counts
        state = pairs // self.mdp.A
        if self.case.level == "exact":
            self._exact_mean(claim, sign, x, pairs, extra)
            return
        for t in range(len(x) - 1):
            far = self.mdp.gamma * x[t + 1][out.next_state[at]]
            ahead = out.reward[at] + far
            d = ahead - np.repeat(x[t][state], counts)
            slip = UNIT * (np.abs(far) + np.abs(ahead) + np.abs(d)) * (1 + 8 * UNIT) + 2.0**-1000
            prob = out.prob[at]
            total = np.add.reduceat(prob * d, starts)
            error = np.add.reduceat(prob * (slip + 2 * extra * d * d), starts)
            error = error + (counts + 2) * UNIT * np.add.reduceat(prob * np.abs(d), starts)
            error = error * (1 + (4 * counts + 64) * UNIT)
            bad = ~((sign * total >= error) & np.isfinite(error))
            if bad.any():
                k = int(np.argmax(bad))
                s, a = divmod(int(pairs[k]), self.mdp.A)
                raise Refused(f"{claim} fails at state {s}, action {a}: {sign * total[k]:.6g}, radius {error[k]:.3g}")

    def _exact_mean(self, claim: str, sign: int, x: np.ndarray, pairs: np.ndarray, extra: float) -> None:
        gamma, zero, more = rational.number(self.mdp.gamma), rational.number(0), rational.number(extra)
        for t in range(len(x) - 1):
            here, ahead = rational.numbers(x[t]), rational.numbers(x[t + 1])
            for pair in pairs.tolist():
                s, a = divmod(pair, self.mdp.A)
                to, r, p = self.rows.exact_row(pair)
                d = [q + gamma * ahead[j] - here[s] for j, q in zip(to, r)]
                total = sum((w * (sign * y - more * y * y) for w, y in zip(p, d)), zero)
                if total < 0:
                    raise Refused(f"{claim} fails at state {s}, action {a}")
