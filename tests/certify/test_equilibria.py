import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify import prove_equilibrium
from mdplab.exact.games import nash_equilibrium
from mdplab.instances.games import FAMILIES, p3, random_preferences, three_cycle, three_cycle_nash
from mdplab.models import MatrixGame, PreferenceGame


def skew(P):
    exact = [[Fraction(p) for p in row] for row in P.tolist()]
    return [[(exact[y][z] - exact[z][y]) / 2 for z in range(len(P))] for y in range(len(P))]


def test_closed_form_of_three_cycles():
    """(b, c, a) / (a + b + c), exactly: dyadic margins as stored, decimal ones as the fractions that they stand for."""
    a, b, c = Fraction(3, 8), Fraction(1, 4), Fraction(5, 32)
    game = three_cycle(float(a), float(b), float(c))
    assert prove_equilibrium(game, nash_equilibrium(game)).policy == three_cycle_nash(a, b, c)
    game = p3()
    proof = prove_equilibrium(game, nash_equilibrium(game), rational=True)
    assert proof.policy == (Fraction(3, 10), Fraction(3, 10), Fraction(2, 5)) and proof.value == (Fraction(1, 2),)
    assert "simplest fraction" in proof.speaks_about
    # As stored, 0.9 + 0.1 is not exactly 1 and the equilibrium another, equally exact one.
    stored = prove_equilibrium(game, nash_equilibrium(game))
    assert stored and stored.policy != proof.policy
    assert max(abs(p - q) for p, q in zip(stored.policy, proof.policy)) < Fraction(1, 10**15)


def test_random_preference_games():
    """The proof's strategy satisfies K p <= 0 in fractions; supports of games without ties are odd."""
    for i in range(24):
        rng = np.random.default_rng([77, 1, i])
        game = random_preferences(int(rng.integers(2, 25)), rng=rng, family=FAMILIES[i % 4])
        answer = nash_equilibrium(game)
        proof = prove_equilibrium(game, answer)
        assert proof, f"game {i}: {proof.reason}"
        p = proof.policy
        assert sum(p) == 1 and min(p) >= 0 and proof.column == p
        assert max(sum(k * w for k, w in zip(row, p)) for row in skew(game.P)) <= 0
        np.testing.assert_allclose(answer.policy, [float(w) for w in p], atol=1e-9)  # HiGHS's vertex
        if i % 4 == 0:
            assert sum(w > 0 for w in p) % 2 == 1


def test_random_matrix_games():
    for i in range(24):
        rng = np.random.default_rng([77, 2, i])
        shape = tuple(int(k) for k in rng.integers(1, 9, 2))
        # Every other game has small integers, hence ties and optimal faces of many vertices.
        A = rng.standard_normal(shape) if i % 2 else rng.integers(-2, 3, shape).astype(float)
        game = MatrixGame(A)
        answer = nash_equilibrium(game)
        proof = prove_equilibrium(game, answer)
        assert proof, f"game {i}: {proof.reason}"
        x, y, (value,) = proof.policy, proof.column, proof.value
        exact = [[Fraction(a) for a in row] for row in A.tolist()]
        assert min(sum(w * row[j] for w, row in zip(x, exact)) for j in range(shape[1])) == value
        assert max(sum(a * w for a, w in zip(row, y)) for row in exact) == value
        assert sum(x) == sum(y) == 1 and min(*x, *y) >= 0
        assert answer.value[0] == pytest.approx(float(value), abs=1e-9)  # tolerance of the answer


def test_contexts():
    game = random_preferences(5, rng=np.random.default_rng([77, 3]), contexts=2)
    proof = prove_equilibrium(game, nash_equilibrium(game))
    assert proof and len(proof.policy) == 2 and proof.value == (Fraction(1, 2),) * 2
    for P, p in zip(game.P, proof.policy):
        assert max(sum(k * w for k, w in zip(row, p)) for row in skew(P)) <= 0


def test_wrong_supports_prove_nothing():
    game = p3()
    answer = nash_equilibrium(game)
    for policy in ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]):
        proof = prove_equilibrium(game, dataclasses.replace(answer, policy=np.array(policy)))
        assert not proof and "is no equilibrium's" in proof.reason and proof.policy == ()
    two = PreferenceGame([game.P, game.P])
    wrong = dataclasses.replace(nash_equilibrium(two), policy=np.array([[0.3, 0.3, 0.4], [1.0, 0.0, 0.0]]))
    assert "in context 1" in prove_equilibrium(two, wrong).reason
    pennies = MatrixGame([[2.0, -1.0], [-1.0, 1.0]])
    mixed = nash_equilibrium(pennies)
    assert prove_equilibrium(pennies, mixed, rational=True).value == (Fraction(1, 5),)
    pure = dataclasses.replace(mixed, policy=np.array([1.0, 0.0]))
    assert "guarantee -1.0 and concede 0.2" in prove_equilibrium(pennies, pure).reason


def test_bad_input_is_named():
    answer = nash_equilibrium(p3())
    with pytest.raises(ValueError, match="game is a str"):
        prove_equilibrium("game", answer)
    with pytest.raises(ValueError, match="general-sum"):
        prove_equilibrium(MatrixGame([[1.0]], [[1.0]]), answer)
    with pytest.raises(ValueError, match=r"policy has shape \(3,\), expected \(2,\)"):
        prove_equilibrium(PreferenceGame([[0.5, 0.9], [0.1, 0.5]]), answer)
    with pytest.raises(ValueError, match=r"column has shape None"):
        prove_equilibrium(MatrixGame(np.eye(3)), answer)
    game = MatrixGame([[np.pi, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"A\[0, 0\] is .*3\.14159.*, near no fraction"):
        prove_equilibrium(game, nash_equilibrium(game), rational=True)
    with pytest.raises(ValueError, match="policy has an entry that is not finite"):
        prove_equilibrium(p3(), dataclasses.replace(answer, policy=np.array([np.nan, 0.5, 0.5])))
