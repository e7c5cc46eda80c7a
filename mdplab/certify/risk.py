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
    >= 0`, `mean_hi[t] >= T mean_hi[t + 1]`. Value `(1,)`; gap: upper - lower. Optional: `far_at`, an index f of
    `betas`; `floor`; `worst`, `far` `(N + 1, S)`, N the horizon or any number. A transition is kept if `r + gamma
    worst[t + 1](s') <= worst[t](s)`, a start if `worst[0](s) <= floor`. Conditions: `worst[N] >= 0`, without a horizon
    `worst[N] >= max r / (1 - gamma)`; `far[N] >= worst[N]`; `E [exp(-b_t d); kept] >= 1` for `x = far`, `b_0 =
    betas[f]` and every action.

Proof of entropic. `ERM_b(r + gamma X) = r + gamma ERM_{b gamma}(X)`, and `ERM_b` of a mixture over outcomes is
`ERM_b` of the values `ERM_b` of its parts: so the optimal certainty equivalents obey `V[t] = max_a ERM_{b_t}(r +
gamma V[t + 1])`, also against policies that depend on history, and those of a policy the same without the maximum.
`ERM_b` is monotone, and `x <= ERM_b(Y)` says `E expm1(-b (Y - x)) <= 0`. At T: `ERM_b <= E` (Jensen), and `ERM_b(G)
>= E G - b R^2 / 8` for a return of spread R (Hoeffding).

Proof of evar. `sup_pi sup_b ERM_b - L / b` is at most the largest of these over cells that cover all b > 0: on `(0,
b_1]` `mean* - L / b_1`; on `[b_K, oo)` `ERM*_{b_K}`; between b and b' the smaller of `ERM*_b - L / b'`, as `ERM_b`
falls in b, and `max(h(b), h(b')) + R^2 (b' - b)^2 / (32 b)`, `h(b) = ERM*_b - L / b`: for a fixed policy `K(b) = b
ERM_b` has `K'' = -(a variance) >= -R^2 / 4`, so K is at most its chord plus `R^2 (b' - b)^2 / 32`, and (chord - L) /
b is monotone. Where no transition but kept ones is made the return X from (t, s) is at most `worst[t](s)`, by
induction from N, and `E [exp(-b_t X); kept] >= exp(-b_t far[t](s))` for every policy. From the start, with w = floor:
`exp(-b (X - w))` grows with b on what is kept, so for `b >= b_f` `E exp(-b (X - w)) >= F := E [exp(-b_f (far[0] - w));
kept starts]`, and `ERM_b - L / b <= w + max(0, -log F - L) / b_f`. From a start
law the values combine by `ERM_b` again. At `best` the policy has at least `ERM_b(start, lo[0]) - L / b`.

Proof for floats. d is within `u (|gamma x| + |r + gamma x| + |d|) (1 + 4 u)`, `b_t` within a factor `1 +- (t + 2) u`
as a running product, so `z = -b_t d` within some `w`, and `expm1(z)` within `exp(z) expm1(w)` and 16 u of itself
(NumPy's `expm1` and `exp` are taken to be accurate to 8 units in the last place). The sum over a row adds as many
roundings as it has outcomes. Dividing by the row's sum does not change a sign. Under hi, z above 600 counts as 600,
which lowers the sum. Where `b_t <= 2^-400`, `z <= expm1(z)
<= z + z^2` replaces `expm1`: `E d <= 0` and `E d >= 2^-400 E d^2` suffice.
"""

from itertools import pairwise
from math import log

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case, finite, spread
from mdplab.certify.propagation import KnownLaw
from mdplab.certify.ragged import flat, pointers
from mdplab.certify.report import Refused
from mdplab.certify.risk_stages import StagedRisk
from mdplab.certify.rows import UNIT
from mdplab.certify.statistics import bounds_of
from mdplab.models import MDP, StockMDP


def entropic(case: Case, problem: MDP | StockMDP) -> float:
    """`lo[0] <= ERM_beta` of the policy `<=` the largest `<= hi[0]`; returns the gap."""
    beta = case.number("beta")
    _require_beta(case, beta)
    risk = StagedRisk(case, problem)
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
    risk = StagedRisk(case, problem)
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
    upper = _largest(risk, level, start, betas.tolist(), tops, _far(risk, level, start, betas.tolist()))
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


def _far(risk: StagedRisk, level: float, start: np.ndarray, betas: list[float]) -> tuple[int, float]:
    """The first of the betas from which on all risk aversions have an upper bound, and that; none: their number."""
    case = risk.case
    if case.data.get("far_at") is None:
        return len(betas), np.inf
    at, floor, N = case.number("far_at"), case.number("floor"), _stages("far", case)
    if at != int(np.clip(at, 0, len(betas) - 1)):
        raise Refused(f"far_at is {at:g}, no index of betas")
    b = betas[int(at)]
    worst, far = (case.array(name, (N + 1, case.mdp.S)) for name in ("worst", "far"))
    risk.check_far(b, worst, far)
    kept = (start > 0) & (worst[0] <= floor)
    if not kept.any():
        raise Refused(f"floor is {floor:.9g}, below the worst case of every start")
    # Of the mass, a quotient of two sums; its logarithm.
    share = float(start[kept].sum() / start.sum()) * (1 - (2 * len(start) + 8) * UNIT)
    lost = -log(share) * (1 + 8 * UNIT) / b
    high = _start_bounds(np.where(kept, start, 0.0), far[0], b)[1]
    size = abs(floor) + abs(high) + lost + _loss(level, b)[1]
    return int(at), floor + max(0.0, high + lost - floor - _loss(level, b)[0] + 16 * UNIT * size)


def _largest(
    risk: StagedRisk, level: float, start: np.ndarray, betas: list[float], tops: list[float], far: tuple[int, float]
) -> float:
    """The largest bound of a cell, rounded up."""
    mean = risk.mean_hi
    # Start divided by its sum: off by a few units of the largest.
    first = float(start @ mean / start.sum()) + (2 * len(start) + 16) * UNIT * float(np.abs(mean).max())
    cells = [first - _loss(level, betas[0])[0], tops[-1]]
    for (b, one), (after, other) in pairwise(zip(betas, tops)):
        bend = risk.spread**2 * (after - b) ** 2 / (32 * b) * (1 + 32 * UNIT)
        chord = max(one - _loss(level, b)[0], other - _loss(level, after)[0]) + bend
        cells.append(min(one - _loss(level, after)[0], chord))
    # In the order of what they cover: below the first, between each and the next, above the last.
    cells = [cells[0], *cells[2:], cells[1]]
    cells = [min(x, far[1]) if i > far[0] else x for i, x in enumerate(cells)]
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
