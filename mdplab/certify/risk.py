"""The kinds `entropic` and `evar`: exponential risk of the whole return, `ERM_b(X) = -(1/b) log E exp(-b X)`, b > 0.

Rows are read as probabilities; L = log(1 / level). With `b_t = beta gamma^t` and `d = r + gamma x[t + 1](s') -
x[t](s)`:

entropic
    `beta`; `lo`, `hi` `(T + 1, S)`; the solution's policy `(T, S)` over a finite horizon, else `(T + 1, S)`, its last
    row for all later times; then also `mean_lo`, `mean_hi` `(S,)`. Conditions: `E expm1(-b_t d) <= 0` for `x = lo`
    and the policy's action, `E expm1(-b_t d) >= 0` for `x = hi` and every action; finite: `lo[T] <= 0 <= hi[T]`;
    infinite: `hi[T] >= mean_hi`, `lo[T] <= mean_lo - b_T R^2 / 8`, `R = (max r - min r) / (1 - gamma)`, `mean_hi >= T
    mean_hi`, `mean_lo <= T_pi mean_lo` for the policy of T. Value `(S,)`, in `[lo[0], hi[0]]`.
evar
    `level`; `start` `(S,)`; `betas` `(K,)` increasing; `stage_ptr` `(K + 1,)`: rows `stage_ptr[k]:stage_ptr[k + 1]`
    of `hi` `(n, S)` are upper stage values of `betas[k]`; `best`, `lo` `(T + 1, S)`: lower ones of `betas[best]` for
    the policy; infinite horizon `mean_lo`, `mean_hi` `(S,)`, over a horizon H `mean_hi` `(H + 1, S)` with `mean_hi[H]
    >= 0`, `mean_hi[t] >= T mean_hi[t + 1]`. Value `(1,)`; gap: upper - lower.

Proof of entropic. `ERM_b(r + gamma X) = r + gamma ERM_{b gamma}(X)`, and `ERM_b` of a mixture over outcomes is
`ERM_b` of the values `ERM_b` of its parts: so the optimal certainty equivalents obey `V[t] = max_a ERM_{b_t}(r +
gamma V[t + 1])`, also against policies that depend on history, and those of a policy the same without the maximum.
`ERM_b` is monotone, and `x <= ERM_b(Y)` says `E expm1(-b (Y - x)) <= 0`. At T: `ERM_b <= E` (Jensen), and `ERM_b(G)
>= E G - b R^2 / 8` for a return of spread R (Hoeffding).

Proof of evar. `sup_pi sup_b ERM_b - L / b` is at most the largest of these over cells that cover all b > 0: on `(0,
b_1]` `mean* - L / b_1`; on `[b_K, oo)` `ERM*_{b_K}`; between b and b' the smaller of `ERM*_b - L / b'`, as `ERM_b`
falls in b, and `max(h(b), h(b')) + R^2 (b' - b)^2 / (32 b)`, `h(b) = ERM*_b - L / b`: for a fixed policy `K(b) = b
ERM_b` has `K'' = -(a variance) >= -R^2 / 4`, so K is at most its chord plus `R^2 (b' - b)^2 / 32`, and (chord - L) /
b is monotone. From a start law the values combine by `ERM_b` again. At `best` the policy has at least `ERM_b(start,
lo[0]) - L / b`.

Proof for floats. d is within `u (|gamma x| + |r + gamma x| + |d|) (1 + 4 u)`, `b_t` within a factor `1 +- (t + 2) u`
as a running product, so `z = -b_t d` within some `w`, and `expm1(z)` within `exp(z) expm1(w)` and 16 u of itself
(NumPy's `expm1` and `exp` are taken to be accurate to 8 units in the last place). The sum over a row adds as many
roundings as it has outcomes. Dividing by the row's sum does not change a sign. Under hi, z above 600 counts as 600,
which lowers the sum. Where `b_t <= 2^-400`, `z <= expm1(z)
<= z + z^2` replaces `expm1`: `E d <= 0` and `E d >= 2^-400 E d^2` suffice.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import log
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case, finite, spread
from mdplab.certify.propagation import KnownLaw
from mdplab.certify.ragged import OutcomeRows, flat, pointers
from mdplab.certify.report import Refused
from mdplab.certify.rows import BLOCK, UNIT
from mdplab.certify.statistics import bounds_of
from mdplab.models import MDP, StockMDP

_FAINT = 2.0**-400
_STEEP = 600.0
_DIGITS = (128, 512)


def entropic(case: Case, problem: MDP | StockMDP) -> float:
    """`lo[0] <= ERM_beta` of the policy `<=` the largest `<= hi[0]`; returns the gap."""
    beta = case.number("beta")
    _require_beta(case, beta)
    risk = _Risk(case, problem)
    T = _stages("lo", case)
    lo, hi = (case.array(name, (T + 1, case.mdp.S)) for name in ("lo", "hi"))
    case.value_within(lo[0], hi[0])
    risk.check_tail(T)
    risk.check_upper(beta, hi)
    risk.check_lower(beta, lo)
    case.about.append(f"risk aversion {beta:.9g}, as the certificate has it")
    return case.claims_gap(spread(hi[0], lo[0]))


def evar(case: Case, problem: MDP | StockMDP) -> float:
    """lower `<= EVaR` of the policy `<=` the largest `<=` upper; returns the gap."""
    mdp = case.mdp
    level, start = case.number("level"), case.array("start", (mdp.S,))
    if not 0 < level <= 1:
        raise Refused(f"level is {level:.17g}; it must be in (0, 1]")
    if (start < 0).any() or abs(start.sum() - 1) > 1e-8:
        raise Refused("start is no distribution")
    betas = flat("betas", case.data)
    if not len(betas) or not betas[0] > 0 or (np.diff(betas) <= 0).any():
        raise Refused("betas do not increase from above 0")
    best = int(np.clip(case.number("best"), 0, len(betas) - 1))
    if best != case.number("best"):
        raise Refused(f"best is {case.number('best'):g}, no index of betas")
    for beta in (betas[0], betas[-1]):
        _require_beta(case, float(beta))
    risk = _Risk(case, problem)
    T = _stages("lo", case)
    lo = case.array("lo", (T + 1, mdp.S))
    tall = np.asarray(case.data.get("hi")).shape
    rows = finite("hi", case.data.get("hi"), (tall[0] if tall else 0, mdp.S))
    ptr = pointers("stage_ptr", case.data.get("stage_ptr"), len(betas), len(rows))
    risk.check_tail(T, with_mean=True)
    risk.check_lower(float(betas[best]), lo)
    blocks = [rows[i:j] for i, j in pairwise(ptr)]
    for beta, block in zip(betas.tolist(), blocks):
        if len(block) < 2 or (risk.horizon is not None and len(block) != risk.horizon + 1):
            raise Refused(f"beta {beta:.6g} has {len(block)} stage values")
        risk.check_upper(beta, block)
    lower = _start_bounds(start, lo[0], float(betas[best]))[0] - _loss(level, float(betas[best]))[1]
    tops = [_start_bounds(start, block[0], b)[1] for b, block in zip(betas.tolist(), blocks)]
    upper = _largest(risk, level, start, betas.tolist(), tops)
    value = np.asarray(case.solution.value, dtype=np.float64)
    if value.size != 1 or value.ndim > 1 or not np.isfinite(value).all():
        raise Refused(f"value has shape {value.shape} or is not finite, expected (1,)")
    v = float(value.ravel()[0])
    room = 8 * UNIT * (abs(upper) + abs(lower) + abs(v))
    same = mdp.mu is not None and np.array_equal(mdp.mu, start)
    case.about.append(f"level {level:.9g}" + ("" if same else " and start") + ", as the certificate has it")
    return case.claims_gap(float(max(upper, v) - min(lower, v) + room))


def _require_beta(case: Case, beta: float) -> None:
    if not 0 < beta <= 1e300:
        raise Refused(f"beta is {beta:.17g}; it must be positive")
    if case.level == "exact" and rational.flint is None:
        raise Refused(f"the exact level of kind {case.solution.certificate.kind!r} needs python-flint, not installed")


def _stages(name: str, case: Case) -> int:
    shape = np.shape(case.data.get(name))
    if len(shape) != 2 or shape[0] < 2:
        raise Refused(f"{name} has shape {shape}, expected (T + 1, S)")
    return shape[0] - 1


def _largest(risk: "_Risk", level: float, start: np.ndarray, betas: list[float], tops: list[float]) -> float:
    """The largest bound of a cell, rounded up."""
    mean = risk.mean_hi
    # Start divided by its sum: off by a few units of the largest.
    first = float(start @ mean / start.sum()) + (2 * len(start) + 16) * UNIT * float(np.abs(mean).max())
    cells = [first - _loss(level, betas[0])[0], tops[-1]]
    for (b, one), (after, other) in pairwise(zip(betas, tops)):
        bend = risk.spread**2 * (after - b) ** 2 / (32 * b) * (1 + 32 * UNIT)
        chord = max(one - _loss(level, b)[0], other - _loss(level, after)[0]) + bend
        cells.append(min(one - _loss(level, after)[0], chord))
    worst = max(cells)
    size = max(abs(x) for x in (*tops, first, worst))
    return worst + 16 * UNIT * size


def _loss(level: float, b: float) -> tuple[float, float]:
    """Bounds of `log(1 / level) / b`."""
    loss = -log(level) / b
    return loss * (1 - 32 * UNIT), loss * (1 + 32 * UNIT)


def _start_bounds(start: np.ndarray, x: np.ndarray, b: float) -> tuple[float, float]:
    """Bounds of `ERM_b` of x under the start law."""
    used = start > 0
    x, p = x[used], start[used] / start.sum()
    order = np.argsort(x)
    return bounds_of(KnownLaw(x[order], p[order], 0.0, (2 * len(start) + 8) * UNIT), "entropic", b)


class _Risk:
    """Stage inequalities of one problem."""

    def __init__(self, case: Case, problem: MDP | StockMDP) -> None:
        self.case, self.mdp = case, case.mdp
        self.rows = OutcomeRows.of(problem)
        mdp, out = self.mdp, self.rows.outcomes
        self.live = np.flatnonzero(mdp.actions.ravel())
        used = out.reward[mdp.actions.ravel()[out.row_of()]]
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
                if len(part) and b[part[0]] <= _FAINT:
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
                total = sum((arb(q) * (-b * arb(y)).expm1() for q, y in zip(p, d)), arb(0))
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
