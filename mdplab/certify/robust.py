"""The robust kinds: bounds for a value that nature lowers, in every set of `mdplab.models.uncertainty`.

Let `z_a = r_a + gamma v`, with rewards by next state where the model has them, and let nature pay `temperature *
D(q_a, p_a)` in soft sets, in which it is otherwise free. With minima over the set of a state,

    (T_pi v)(s) = min sum_a pi(a | s) q_a . z_a,    T v = max over pi of T_pi v.

Proof. Rows are read as distributions, so both operators are monotone and shift constants by `gamma`; their fixed
points are the robust value of `pi` and the optimal one (Iyengar 2005; Nilim and El Ghaoui 2005; Wiesemann, Kuhn,
Rustem 2013). `lo <= T_pi lo` gives `lo <= V^pi`. For one kernel of the set `T v <= max_a q_a . z_a`, so `hi >= max_a
q_a . (r_a + gamma hi)` gives `hi >= T hi`, hence `hi >= V*`; with `pi` in place of the maximum, `hi >= V^pi`.

The kernel of a certificate is that of a solver, in floats, and lies on the boundary of its set up to rounding. The
referee first replaces it by one that lies in the set exactly (in balls: by an enclosure of one), and refuses it if it
was further outside than `ALLOWANCE`; `hi` must hold under the replacement. The minima of `T_pi lo` are bounded from
below by weak duality, with multipliers of the referee's own: see `robust_duals`, `robust_polytopes`
and `robust_transport`. No formula is
approximated at either level; only the arithmetic differs. At the exact level KL and Burg balls use flint's ball
arithmetic, everything else rationals.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from mdplab.certify import rational
from mdplab.certify.case import POLICY_SUM, Case, finite, spread
from mdplab.certify.enclosure import Arbs, FloatBalls, Rationals
from mdplab.certify.kinds import require_discounted
from mdplab.certify.report import Refused
from mdplab.certify.robust_duals import KL, L2, Burg, Chi2, Rows, WeightedL1
from mdplab.certify.robust_polytopes import Box, Models
from mdplab.certify.robust_transport import Wasserstein
from mdplab.certify.rows import BLOCK
from mdplab.models import MDP, RobustMDP, uncertainty

_BITS = (128, 512)

# By type, not by name: a set with another meaning is another type.
_FAMILIES = {
    uncertainty.L1Ball: WeightedL1,
    uncertainty.TVBall: WeightedL1,
    uncertainty.WeightedL1Ball: WeightedL1,
    uncertainty.LinfBall: Box,
    uncertainty.IntervalSet: Box,
    uncertainty.L2Ball: L2,
    uncertainty.KLBall: KL,
    uncertainty.BurgBall: Burg,
    uncertainty.Chi2Ball: Chi2,
    uncertainty.WassersteinBall: Wasserstein,
    uncertainty.Contamination: Box,
    uncertainty.CVaRSet: Box,
    uncertainty.ModelSet: Models,
    uncertainty.SoftTV: WeightedL1,
    uncertainty.SoftKL: KL,
    uncertainty.SoftChi2: Chi2,
}
# Noise that can make no entry negative fills the ball of its norm; the joint maximum norm leaves the rows alone.
_NOISE = {1: WeightedL1, 2: L2, np.inf: Box}


def robust(case: Case, problem: RobustMDP) -> float:
    """`lo <= V^pi <= V* <= hi`, robust values; returns the gap."""
    return _bracket(case, problem, optimal=True)


def robust_evaluation(case: Case, problem: RobustMDP) -> float:
    """`lo <= V^pi <= hi`, the robust value of the policy; returns the gap."""
    return _bracket(case, problem, optimal=False)


def _bracket(case: Case, problem: RobustMDP, *, optimal: bool) -> float:
    require_discounted(case)
    mdp, one = case.mdp, problem.uncertainty
    family = family_of(problem)
    if case.level == "exact" and family.transcendental and rational.flint is None:
        raise Refused(f"the exact level of a {one.name} set needs python-flint, which is not installed")
    pi = case.policy()
    if pi.ndim == 1:
        pi = (pi[:, None] == np.arange(mdp.A)).astype(np.float64)
    lo, hi = case.array("lo", (mdp.S,)), case.array("hi", (mdp.S,))
    kernel = _kernel(case)
    case.value_within(lo, hi)
    # Multipliers are sought where formulas may leave the range of floats; nothing depends on what is found.
    with np.errstate(all="ignore"):
        for rows in blocks(mdp, one, case.level):
            _judge(case.level, family, mdp, rows, _rows_of(kernel, mdp, rows), lo, hi, pi, optimal)
    gap = case.claims_gap(spread(hi, lo))
    bounds = "lo <= V^pi <= V* <= hi" if optimal else "lo <= V^pi <= hi"
    case.about.append(
        f"{bounds} for the least value over kernels of the {one.rectangularity}-rectangular {one.name} set, support "
        f"{one.support}; the kernel in that set"
    )
    return gap


def family_of(problem: RobustMDP) -> Any:
    """Membership and bounds for the problem's set."""
    one = problem.uncertainty
    kind = _NOISE.get(one.order) if type(one) is uncertainty.NoiseSet else _FAMILIES.get(type(one))
    if kind is None:
        raise Refused(f"the referee does not know the set {type(one).__name__}")
    return kind(problem)


def _kernel(case: Case) -> np.ndarray | csr_array:
    """The certificate's kernel: not negative, rows of available actions sum to one nearly."""
    mdp, given = case.mdp, case.data.get("kernel")
    if issparse(given):
        return _sparse_kernel(mdp, given)
    kernel = case.array("kernel", (mdp.S, mdp.A, mdp.S))
    bad = (kernel < 0) & mdp.actions[:, :, None]
    if bad.any():
        s, a, j = np.argwhere(bad)[0]
        raise Refused(f"kernel[{s}, {a}, {j}] is negative: {kernel[s, a, j]:.6g}")
    _sum_to_one(kernel.sum(axis=2), mdp)
    return kernel


def _sparse_kernel(mdp: MDP, given: Any) -> csr_array:
    """The same, stored as `(S * A, S)`."""
    if given.shape != (mdp.S * mdp.A, mdp.S):
        raise Refused(f"kernel has shape {given.shape}, expected {(mdp.S * mdp.A, mdp.S)} where it is sparse")
    kernel = given.tocoo()
    # Duplicates are added up once, here, and nothing is stored twice thereafter.
    kernel = csr_array((finite("kernel", kernel.data, (kernel.nnz,)), (kernel.row, kernel.col)), shape=given.shape)
    rows = np.repeat(np.arange(mdp.S * mdp.A), np.diff(kernel.indptr))
    bad = (kernel.data < 0) & mdp.actions.ravel()[rows]
    if bad.any():
        k = int(np.argmax(bad))
        at = f"[{rows[k] // mdp.A}, {rows[k] % mdp.A}, {kernel.indices[k]}]"
        raise Refused(f"kernel{at} is negative: {kernel.data[k]:.6g}")
    _sum_to_one(kernel.sum(axis=1).reshape(mdp.S, mdp.A), mdp)
    return kernel


def _sum_to_one(sums: np.ndarray, mdp: MDP) -> None:
    bad = ~(np.abs(sums - 1) <= POLICY_SUM) & mdp.actions
    if bad.any():
        s, a = np.argwhere(bad)[0]
        raise Refused(f"kernel[{s}, {a}] sums to {sums[s, a]:.17g}, not 1")


def _rows_of(kernel: np.ndarray | csr_array, mdp: MDP, rows: Rows) -> np.ndarray:
    """The kernel's rows `(n, S)`."""
    return kernel[rows.s * mdp.A + rows.a].toarray() if issparse(kernel) else kernel[rows.s, rows.a]


def blocks(mdp: MDP, one: Any, level: str) -> Iterator[Rows]:
    """The available rows of successive states; one state at a time in exact arithmetic."""
    step = 1 if level == "exact" else max(1, BLOCK // (mdp.S * mdp.A))
    # The joint maximum norm of noise is no shared budget.
    shared = one.rectangularity == "s" and not (one.name == "noise" and one.order == np.inf)
    for start in range(0, mdp.S, step):
        s, a = np.nonzero(mdp.actions[start : start + step])
        s = s + start
        P = mdp.P[s * mdp.A + a].toarray() if mdp.is_sparse else mdp.P[s, a]
        allowed = P > 0 if one.support == "nominal" else np.ones(P.shape, dtype=bool)
        yield Rows(P, allowed, s, a, shared)


def _rewards(mdp: MDP, rows: Rows) -> np.ndarray:
    """Rewards by next state `(n, S)`, 0 where a sparse model stores none; or of each row, `(n, 1)`."""
    if mdp.r_next is None:
        return mdp.r[rows.s, rows.a][:, None]
    if not mdp.is_sparse:
        return mdp.r_next[rows.s, rows.a]
    P, out = mdp.P, np.zeros(rows.P.shape)
    for k, row in enumerate(rows.s * mdp.A + rows.a):
        part = slice(int(P.indptr[row]), int(P.indptr[row + 1]))
        out[k, P.indices[part]] = mdp.r_next[part]
    return out


def _judge(level: str, family: Any, mdp: MDP, rows: Rows, Q: np.ndarray, *bounds: Any) -> None:
    """Refused unless both inequalities hold on these rows."""
    if level == "float":
        return _require(FloatBalls(), family, mdp, rows, Q, *bounds)
    if not family.transcendental:
        return _require(Rationals(), family, mdp, rows, Q, *bounds)
    context = rational.flint.ctx
    before = context.prec
    try:
        for context.prec in _BITS:
            try:
                return _require(Arbs(), family, mdp, rows, Q, *bounds)
            except Refused:
                if context.prec == _BITS[-1]:
                    raise
    finally:
        context.prec = before
    return None


def _require(
    ar: Any,
    family: Any,
    mdp: MDP,
    rows: Rows,
    Q: np.ndarray,
    lo: np.ndarray,
    hi: np.ndarray,
    pi: np.ndarray,
    optimal: bool,
) -> None:
    reward, gamma = _rewards(mdp, rows), ar.of(mdp.gamma)
    every = np.zeros(rows.P.shape)
    states = rows.s[rows.starts]
    weights = ar.of(pi[states])
    weights = (weights / ar.total(weights)[:, None])[np.searchsorted(states, rows.s), rows.a]
    kernel, penalty = family.repaired(ar, rows, Q, reward + mdp.gamma * hi + every)
    # Rows sum to one: what all successors have in common passes by the radius of a row that is known nearly. Where
    # signs differ that is nothing, and zeros stay exact.
    ahead = ar.of(reward + every) + gamma * ar.of(hi)[None, :]
    plain = reward + mdp.gamma * hi + every
    common = ar.of(np.clip(0.0, plain.min(axis=1), plain.max(axis=1)))
    backup = common + ar.total(kernel * (ahead - common[:, None]))
    if penalty is not None:
        backup = backup + penalty
    if optimal:
        slack = ar.of(hi[rows.s]) - backup
        _refuse_first(ar, "T hi <= hi under the kernel", slack, lambda k: f"state {rows.s[k]}, action {rows.a[k]}")
    else:
        slack = ar.of(hi[states]) - ar.grouped(weights * backup, rows.starts)
        _refuse_first(ar, "T_pi hi <= hi under the kernel", slack, lambda k: f"state {states[k]}")
    used = pi[rows.s, rows.a] > 0
    rows, reward, weights = rows.take(used), reward[used], weights[used]
    z_plain = reward + mdp.gamma * lo + np.zeros(rows.P.shape)
    w_plain = pi[rows.s, rows.a] / pi[rows.s].sum(axis=1)
    z = ar.of(reward + np.zeros(rows.P.shape)) + gamma * ar.of(lo)[None, :]
    slack = family.least(ar, rows, z, weights, z_plain, w_plain) - ar.of(lo[states])
    _refuse_first(ar, "lo <= T_pi lo over the set", slack, lambda k: f"state {states[k]}")


def _refuse_first(ar: Any, claim: str, slack: Any, name: Any) -> None:
    bad = ~ar.shown(slack)
    if bad.any():
        k = int(np.argmax(bad))
        raise Refused(f"{claim} fails at {name(k)}: slack {ar.floats(slack)[k]:.6g}, or is within rounding")
