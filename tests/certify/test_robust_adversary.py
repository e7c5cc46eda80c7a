"""Bounds pushed over the edge of truth by amounts of rounding: what is accepted is true in fractions.

Both inequalities of a certificate are decided apart from the referee: nature's least value exactly or, for curved sets,
against a row of the set in 36 digits; the backup of `hi` by the same least value, which no kernel of the set
undercuts.
"""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand, robust_truth
from certify import robust_by_hand as robust

from mdplab.certify import check
from mdplab.models import RobustMDP

pytest.importorskip("flint")
CURVED = {"kl", "burg", "chi2", "l2"}
S, A = 3, 2
SCALES = (0.0, 1e-17, 1e-16, 1e-15, 1e-14, 1e-12, 1e-9)
CASES = [
    (name, rect, support)
    for name, rect, support in robust.CASES
    if name != "models" and not name.startswith("soft") and not (name in ("burg", "l2") and support == "all")
]


def least(problem, s, pi, v):
    """`min sum_a pi_a q_a . (r_a + gamma v)` over the set, as a Fraction, or from above in 36 digits."""
    mdp, one = problem.nominal, problem.uncertainty
    gamma, v = Fraction(mdp.gamma), robust_truth.fractions(v)
    used = [int(a) for a in np.flatnonzero(pi)]
    total = sum(Fraction(float(pi[a])) for a in used)
    p = [robust_truth.probabilities(mdp.P[s, a]) for a in used]
    z = [[Fraction(float(mdp.r[s, a])) + gamma * x for x in v] for a in used]
    w = [Fraction(float(pi[a])) / total for a in used]
    open_to = [[one.support == "all" or x > 0 for x in row] for row in p]
    if one.name in ("linf", "interval", "cvar", "contamination"):
        return sum(
            x * robust_truth.box(*box(one, s, a, row, ok), zk) for x, a, row, ok, zk in zip(w, used, p, open_to, z)
        )
    sizes = one.radii(S, A)
    if one.rectangularity == "s":
        groups = [(range(len(used)), sizes[s], 1)]
        z = [[x * y for y in zk] for x, zk in zip(w, z)]
    else:
        groups = [([k], sizes[s, a], w[k]) for k, a in enumerate(used)]
    value = 0
    for members, size, weight in groups:
        pk, zk, ok = ([x[k] for k in members] for x in (p, z, open_to))
        size = Fraction(float(size))
        if one.name in CURVED:
            scale = max(max(row) - min(row) for row in zk)
            found = robust_truth.member_below(one.name, pk, zk, size, robust_truth._mpf(scale))
            value = value + found * robust_truth._mpf(Fraction(weight))
        elif one.name == "wasserstein":
            cost = [robust_truth.fractions(row) for row in one.cost]
            value += weight * robust_truth.wasserstein(pk, zk, size, ok, cost)
        else:
            unit = Fraction(1, 2) if one.name == "tv" else Fraction(1)
            weights = [[unit] * S for _ in members]
            if one.name == "weighted_l1":
                weights = [robust_truth.fractions(one.weights[s, used[k]]) for k in members]
            value += weight * robust_truth.l1(pk, zk, size, ok, weights)
    return value


def box(one, s, a, p, ok):
    if one.name == "interval":
        lo, hi = robust_truth.fractions(one.lo[s, a]), robust_truth.fractions(one.hi[s, a])
        return [x / max(1, sum(lo)) for x in lo], [x / min(1, sum(hi)) for x in hi]
    size = Fraction(float((one.level if one.name == "cvar" else one.radius)[s, a]))
    if one.name == "cvar":
        return [0] * S, [x / size for x in p]
    if one.name == "contamination":
        return [(1 - size) * x for x in p], [Fraction(int(x)) for x in ok]
    return [max(x - size, Fraction(0)) for x in p], [x + size if open_ else Fraction(0) for x, open_ in zip(p, ok)]


def as_number(x, like):
    return robust_truth._mpf(Fraction(float(x))) if not isinstance(like, Fraction) else Fraction(float(x))


def holds_below(problem, pi, lo):
    """`lo <= T_pi lo` in fractions (or not refuted by the row found)."""
    for s in range(S):
        bound = least(problem, s, pi[s], lo)
        # Bisection ends within 1e-30 of the edge.
        slack = 0 if isinstance(bound, Fraction) else robust_truth.mp.mpf(10) ** -28
        if as_number(lo[s], bound) > bound + slack:
            return False
    return True


def holds_above(problem, hi):
    """`hi >= T hi`, necessary for `hi` to hold under any kernel of the set, whose rows are apart."""
    rows = [(s, a) for s in range(S) for a in range(A)]
    return all(Fraction(float(hi[s])) >= least(problem, s, np.eye(A)[a], hi) for s, a in rows)


def sharp(problem, pi):
    """The value of the policy to all digits, with the programs' rows as a start: value iteration in floats."""
    v = robust.solved(problem, pi, tol=1e-9)[0]
    for _ in range(12):
        new = np.array([float(least(problem, s, pi[s], v)) for s in range(S)])
        if np.abs(new - v).max() <= 1e-16 * np.abs(v).max():
            break
        v = new
    return v


@pytest.mark.parametrize(("name", "rect", "support"), CASES)
def test_no_false_bound_is_accepted(name, rect, support):
    rng = np.random.default_rng([8300, sum(map(ord, f"{name}{rect}{support}"))])
    mdp = robust.nominal(rng, gamma=0.25, S=S, A=A)
    problem = RobustMDP(mdp, robust.uncertainty(name, rng, mdp, rect=rect, support=support))
    pi = rng.dirichlet(np.ones(A), S) if rect == "s" else np.eye(A)[rng.integers(A, size=S)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        v = sharp(problem, pi)
    high = np.full(S, 5 + 3 * np.abs(mdp.r).max())
    counts = {"float": [0, 0], "exact": [0, 0]}
    for run in range(14 if name in CURVED else 28):
        scale = SCALES[run % len(SCALES)]
        lo = v + scale * (rng.standard_normal(S) + rng.choice([-4.0, -2.0, 0.0]))
        answer = by_hand.answer("robust", np.clip(v, lo, high), pi, 1e3, lo=lo, hi=high, kernel=mdp.P)
        truth = holds_below(problem, pi, lo)
        for level, count in counts.items():
            report = check(problem, answer, level=level)
            assert report or "lo <= T_pi lo" in report.reason
            assert truth or not report, (level, run, scale)
            count[bool(report)] += 1
    assert min(counts["exact"]) > 1 and min(counts["float"]) > 1, counts
    assert counts["exact"][1] >= counts["float"][1] - 1


@pytest.mark.parametrize(("name", "rect", "support"), [c for c in CASES if c[1] == "sa" and c[0] not in CURVED])
def test_no_false_bound_from_above_is_accepted(name, rect, support):
    """Kernels of the set, their rows a hair inside or outside of it; `hi` near the value of its best rows."""
    rng = np.random.default_rng([8301, sum(map(ord, f"{name}{rect}{support}"))])
    mdp = robust.nominal(rng, gamma=0.25, S=S, A=A)
    problem = RobustMDP(mdp, robust.uncertainty(name, rng, mdp, rect=rect, support=support))
    v = np.zeros(S)
    for _ in range(60):
        v = np.array([max(float(least(problem, s, np.eye(A)[a], v)) for a in range(A)) for s in range(S)])
    z = robust.objectives(problem, v)
    kernel = np.zeros((S, A, S))
    for s in range(S):
        for a in range(A):
            program = robust.Program(problem, s, np.eye(A)[a])
            program.solve(z[s])
            kernel[s, a] = np.maximum(program.q.value[a], 0)
    kernel /= kernel.sum(axis=2, keepdims=True)
    low = np.full(S, -5 - 3 * np.abs(mdp.r).max())
    pi, accepted = np.eye(A)[np.zeros(S, dtype=int)], [0, 0]
    for run in range(28):
        scale = SCALES[run % len(SCALES)]
        hi = v + scale * (rng.standard_normal(S) + rng.choice([4.0, 2.0, 0.0]))
        hair = rng.choice([0.0, 1e-16, 1e-13, 1e-11])
        moved = np.maximum(kernel + hair * (kernel - mdp.P) * (kernel > 0), 0)
        answer = by_hand.answer("robust", np.clip(v, low, hi), pi, 1e3, lo=low, hi=hi, kernel=moved)
        truth = holds_above(problem, hi)
        for level in ("float", "exact"):
            report = check(problem, answer, level=level)
            assert report or "hi under the kernel" in report.reason or "outside" in report.reason, report.reason
            assert truth or not report, (level, run, scale, hair)
            accepted[bool(report)] += 1
    assert min(accepted) > 4, accepted
