"""Optimality by exact arithmetic, against enumeration of all policies in plain fractions."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand

from mdplab.certify import optimality, prove_optimal, rational
from mdplab.certify.reading import simplest_fraction
from mdplab.models import MDP


def integer_model(rng, *, S=3, A=2, gamma=0.5, ties=False, horizon=None, terminal=False, sign=0):
    """Rows with quarter probabilities and integer rewards: exact in floats, rich in ties."""
    P = np.zeros((S, A, S))
    for s, a in itertools.product(range(S), range(A)):
        np.add.at(P[s, a], rng.integers(S, size=4), 0.25)
    r = rng.integers(-3, 4, size=(S, A)).astype(float)
    if sign:
        r = sign * (np.abs(r) + 1)
    if ties:
        P[:, 1], r[:, 1] = P[:, 0], r[:, 0]
    if terminal:
        P[:-1] *= 0.5
        P[:-1, :, -1] += 0.5
        P[-1], r[-1] = np.eye(S)[-1], 0
    return MDP(P, r, gamma, horizon=horizon)


def solve_fractions(matrix, right):
    """Gauss-Jordan elimination on lists of fractions."""
    rows = [[*row, b] for row, b in zip(matrix, right)]
    for k in range(len(rows)):
        swap = next(i for i in range(k, len(rows)) if rows[i][k])
        rows[k], rows[swap] = rows[swap], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k])]
    return [row[-1] for row in rows]


def value_fractions(mdp, pi, gamma):
    off = [s for s in range(mdp.S) if not (gamma == 1 and mdp.terminal[s])]
    matrix = [[Fraction(i == j) - gamma * Fraction(mdp.P[i, pi[i], j]) for j in off] for i in off]
    v = dict(zip(off, solve_fractions(matrix, [Fraction(mdp.r[i, pi[i]]) for i in off])))
    return tuple(v.get(s, Fraction(0)) for s in range(mdp.S))


def all_policies(mdp, gamma):
    policies = list(itertools.product(range(mdp.A), repeat=mdp.S))
    values = [value_fractions(mdp, pi, gamma) for pi in policies]
    best = tuple(max(column) for column in zip(*values))
    return policies, values, best


def compare_with_enumeration(mdp, gamma, proofs):
    policies, values, best = all_policies(mdp, gamma)
    optimal = [v == best for v in values]
    for pi, v, truth in zip(policies, values, optimal):
        proof = proofs(mdp, np.array(pi))
        assert proof.optimal is truth and bool(proof) is truth
        if proof.arithmetic == "rational":
            assert proof.value == v
        else:
            assert all(low <= x <= high for (low, high), x in zip(proof.value, v))
        if truth:
            live = [s for s in range(mdp.S) if not mdp.terminal[s]]
            others = [q for q, ok in zip(policies, optimal) if ok and any(q[s] != pi[s] for s in live)]
            assert proof.unique is (not others)
            q = {(s, a): backup(mdp, best, s, a, gamma) for s in live for a in range(mdp.A) if a != pi[s]}
            gap = min(best[s] - x for (s, a), x in q.items())
            assert proof.action_gap == gap if proof.arithmetic == "rational" else 0 <= gap - proof.action_gap < 1e-9
        else:
            s, a = proof.improving
            assert backup(mdp, v, s, a, gamma) > v[s]


def backup(mdp, v, s, a, gamma):
    return Fraction(mdp.r[s, a]) + gamma * sum(Fraction(p) * x for p, x in zip(mdp.P[s, a].tolist(), v))


@pytest.mark.parametrize("seed", range(6))
def test_every_policy_of_small_models_is_judged_right(seed):
    rng = np.random.default_rng([930, seed])
    mdp = integer_model(rng, ties=seed == 0)
    compare_with_enumeration(mdp, Fraction(1, 2), prove_optimal)
    compare_with_enumeration(mdp, Fraction(2, 3), lambda m, pi: prove_optimal(m, pi, gamma=Fraction(2, 3)))
    compare_with_enumeration(mdp, Fraction(0), lambda m, pi: prove_optimal(m, pi, gamma=0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_total_reward_until_termination(seed, sign):
    # Every action terminates with probability 1/2, so that all policies are proper.
    mdp = integer_model(np.random.default_rng([931, seed]), gamma=1.0, terminal=True, sign=sign)
    compare_with_enumeration(mdp, Fraction(1), prove_optimal)


def test_without_flint_nothing_changes(monkeypatch):
    mdp = integer_model(np.random.default_rng([932]))
    by_flint = prove_optimal(mdp, [0, 0, 0])
    monkeypatch.setattr(rational, "flint", None)
    assert prove_optimal(mdp, [0, 0, 0]).value == by_flint.value
    compare_with_enumeration(mdp, Fraction(1, 2), prove_optimal)


@pytest.mark.parametrize("seed", range(4))
def test_enclosures_judge_like_rationals(seed, monkeypatch):
    monkeypatch.setattr(optimality, "_DIRECT", {True: 0, False: 0})
    mdp = integer_model(np.random.default_rng([933, seed]), S=4, ties=seed == 0)
    arithmetics = set()

    def proofs(m, pi):
        proof = prove_optimal(m, pi)
        arithmetics.add(proof.arithmetic)
        return proof

    compare_with_enumeration(mdp, Fraction(1, 2), proofs)
    assert "enclosure" in arithmetics
    undiscounted = integer_model(np.random.default_rng([934, seed]), gamma=1.0, terminal=True)
    compare_with_enumeration(undiscounted, Fraction(1), prove_optimal)


def test_a_tie_that_enclosures_cannot_see(monkeypatch):
    # Both actions of state 0 are worth 1/2: now, or as a half of the 1 that state 1 pays.
    mdp = MDP([[[0, 0, 1.0], [0, 1.0, 0]], [[0, 0, 1.0]] * 2, [[0, 0, 1.0]] * 2], [[0.5, 0], [1, 1], [0, 0]], 0.5)
    monkeypatch.setattr(optimality, "_DIRECT", {True: 0, False: 0})
    proof = prove_optimal(mdp, [0, 0, 0])
    assert proof.optimal and proof.unique is False and proof.action_gap == 0
    third = prove_optimal(mdp.replace(r=[[1 / 3, 0], [1, 1], [0, 0]]), [0, 0, 0], gamma=Fraction(1, 3), rational=True)
    assert third.optimal and third.arithmetic == "rational" and third.unique is False
    monkeypatch.setattr(optimality, "_TIES", {True: 0, False: 0})
    undecided = prove_optimal(
        mdp.replace(r=[[1 / 3, 0], [1, 1], [0, 0]]), [0, 0, 0], gamma=Fraction(1, 3), rational=True
    )
    assert undecided.optimal is None and not undecided and "cannot decide, tie within radius" in undecided.reason
    assert undecided.improving is None and undecided.unique is None


def test_finite_horizon_by_enumeration():
    rng = np.random.default_rng([935])
    for _ in range(4):
        mdp = integer_model(rng, S=2, horizon=2, gamma=1.0)
        policies = [np.array(p).reshape(2, 2) for p in itertools.product(range(2), repeat=4)]

        def stages(pi, mdp=mdp):
            v = [(Fraction(0), Fraction(0))]
            for t in (1, 0):
                v.insert(0, tuple(backup(mdp, v[0], s, pi[t, s], 1) for s in range(2)))
            return tuple(v)

        values = [stages(pi) for pi in policies]
        best = tuple(tuple(max(v[t][s] for v in values) for s in range(2)) for t in range(3))
        for pi, v in zip(policies, values):
            proof = prove_optimal(mdp, pi)
            assert proof.value == v and proof.optimal is (v == best)
            if not proof.optimal:
                s, a = proof.improving
                assert backup(mdp, v[proof.stage + 1], s, a, 1) > v[proof.stage][s]


def test_frozen_lake_value_is_a_fraction():
    # 4 x 4 map of holes and goal; each move slips to either side with probability 1/3.
    grid, S = "SFFFFHFHFFFHHFFG", 16
    P, r = np.zeros((S, 4, S)), np.zeros((S, 4, S))
    moves = [(0, -1), (1, 0), (0, 1), (-1, 0)]
    for s, a in itertools.product(range(S), range(4)):
        if grid[s] in "HG":
            P[s, a, s] = 1
            continue
        for turn in (-1, 0, 1):
            di, dj = moves[(a + turn) % 4]
            i, j = min(max(s // 4 + di, 0), 3), min(max(s % 4 + dj, 0), 3)
            P[s, a, 4 * i + j] += 1 / 3
            r[s, a, 4 * i + j] = grid[4 * i + j] == "G"
    mdp = MDP(P, r, 0.99)
    pi, _ = by_hand.best(mdp)
    proof = prove_optimal(mdp, pi, rational=True)
    assert proof.optimal and proof.value[0] == Fraction(868292016472811700, 1601938145778704383)
    assert "rational model" in proof.speaks_about and "gamma = 99/100" in proof.speaks_about
    floats = prove_optimal(mdp, pi)
    assert floats.optimal and floats.value[0] != proof.value[0] and "the stored floats" in floats.speaks_about
    # The chance to reach the goal at all is 14/17.
    total = prove_optimal(mdp.replace(gamma=1.0), pi, rational=True)
    assert total.optimal and total.value[0] == Fraction(14, 17)
    pi[0] = 3 - pi[0]
    assert prove_optimal(mdp, pi, rational=True).optimal is False


def test_waiting_may_be_worth_more_than_leaving():
    loop = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    free = MDP(loop, [[0.0, -1.0], [0.0, 0.0]], 1.0)
    assert prove_optimal(free, [0, 0]).optimal
    leaving = prove_optimal(free, [1, 0])
    assert leaving.optimal is None and "never terminates" in leaving.reason
    costly = MDP(loop, [[-1.0, -3.0], [0.0, 0.0]], 1.0)
    assert prove_optimal(costly, [1, 0]).optimal
    waiting = prove_optimal(costly, [0, 0])
    assert waiting.optimal is None and "from state 0 it never terminates" in waiting.reason


def test_larger_models_are_enclosed():
    rng = np.random.default_rng([936])
    mdp = by_hand.discounted_model(rng, S=200, A=3, b=5, sparse=True)
    pi, v = by_hand.best(mdp)
    proof = prove_optimal(mdp, pi)
    assert proof.optimal and proof.arithmetic == "enclosure" and proof.action_gap > 0
    radius = max(high - low for low, high in proof.value)
    # LAPACK's value and the enclosure agree to the condition number, about 1 / (1 - gamma) = 100, times rounding.
    assert radius < 1e-9 and max(abs(float(low) - x) for (low, _), x in zip(proof.value, v)) < 1e-9
    pi = pi.copy()
    pi[7] = (pi[7] + 1) % 3
    assert prove_optimal(mdp, pi).improving == (7, by_hand.best(mdp)[0][7])


def test_rows_are_divided_by_their_sums_without_a_discount():
    mdp = MDP([[[0.1, 0.2, 0.7]], [[0.1, 0.3, 0.6]], [[0.0, 0.0, 1.0]]], [[1.0], [2.0], [0.0]], 1.0)
    rows = [[Fraction(p) for p in mdp.P[s, 0].tolist()] for s in range(2)]
    assert any(sum(row) != 1 for row in rows)
    matrix = [[Fraction(i == j) - rows[i][j] / sum(rows[i]) for j in range(2)] for i in range(2)]
    proof = prove_optimal(mdp, [0, 0, 0])
    assert proof.value == (*solve_fractions(matrix, [Fraction(1), Fraction(2)]), 0)
    assert "rows divided by their sums" in proof.speaks_about


def test_wrong_floats_prove_nothing(monkeypatch):
    """LAPACK is not trusted: half of every solution is too small a bound of the inverse, and a poor value."""
    mdp = by_hand.discounted_model(np.random.default_rng([938]))
    pi, _ = by_hand.best(mdp)
    monkeypatch.setattr(optimality, "_DIRECT", {True: 0, False: 0})
    assert prove_optimal(mdp, pi).arithmetic == "enclosure"
    solve = np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: 0.5 * solve(a, b))
    proof = prove_optimal(mdp, pi)
    assert proof.optimal is None and "cannot bound the inverse" in proof.reason


def test_simplest_fractions():
    for top, bottom in itertools.product(range(-40, 41), range(1, 60)):
        assert simplest_fraction(top / bottom) == Fraction(top, bottom)
    assert simplest_fraction(np.pi).denominator > 10**6
    assert simplest_fraction(1e-12) == Fraction(1, 10**12)


def test_what_is_refused():
    rng = np.random.default_rng([937])
    mdp = by_hand.discounted_model(rng, masked=True, A=3)
    s, a = np.argwhere(~mdp.actions)[0]
    bad = np.where(mdp.actions, 1, 0).argmax(axis=1)
    bad[s] = a
    with pytest.raises(ValueError, match="not available in state"):
        prove_optimal(mdp, bad)
    with pytest.raises(ValueError, match="deterministic policies only"):
        prove_optimal(mdp, np.full((6, 3), 1 / 3))
    with pytest.raises(ValueError, match="deterministic policies only"):
        prove_optimal(mdp, np.zeros(5, dtype=int))
    with pytest.raises(ValueError, match=r"gamma is 3/2"):
        prove_optimal(mdp, mdp.actions.argmax(axis=1), gamma=Fraction(3, 2))
    with pytest.raises(ValueError, match=r"P\[0, \d, \d\] is 0.* not within 4 ulp of a fraction"):
        prove_optimal(mdp, mdp.actions.argmax(axis=1), rational=True)
    nearly = [1 / 999983, 999981 / 999982]
    with pytest.raises(ValueError, match=r"P\[0, 0\] sums to 99996\d+/99996\d+ when read as fractions, not 1"):
        prove_optimal(MDP([[nearly], [nearly]], [[0.0], [0.0]], 0.5), [0, 0], rational=True)
    with pytest.raises(ValueError, match=r"gamma times the sum of P\[0, 0\] is not below 1"):
        prove_optimal(MDP([[[1.000000005]]], [[1.0]], 1 - 1e-9), [0])
    with pytest.raises(ValueError, match="takes an MDP"):
        prove_optimal("model", [0])
