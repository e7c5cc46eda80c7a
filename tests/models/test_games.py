import numpy as np
import pytest

from mdplab.models import MatrixGame, PreferenceGame

P3 = [[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"P": [[0.5, 0.9], [0.2, 0.5]]}, r"P\[0, 1\] \+ P\[1, 0\] is 1\.1, not 1"),
        ({"P": [[0.6, 0.9], [0.1, 0.5]]}, r"P\[0, 0\] \+ P\[0, 0\] is 1\.2, not 1"),
        ({"P": [P3, [[0.5, 1, 0], [0, 0.5, 0.7], [1, 0.2, 0.5]]]}, r"P\[1, 1, 2\] \+ P\[1, 2, 1\] is 0\.9, not 1"),
        ({"P": [[0.5, 1.5], [-0.5, 0.5]]}, r"P\[0, 1\] is 1\.5"),
        ({"P": [[0.5, np.nan], [0.5, 0.5]]}, r"P\[0, 1\] is nan"),
        ({"P": [[0.5, 0.5]]}, r"P has shape \(1, 2\)"),
        ({"P": P3, "mu": [0.5, 0.5, 0.0]}, r"mu\[2\] is 0; a reference policy is positive everywhere"),
        ({"P": P3, "mu": [0.5, 0.4, 0.2]}, r"mu sums to 1\.1, not 1"),
        ({"P": [P3, P3], "mu": [[0.2, 0.3, 0.5], [0.2, 0.3, 0.4]]}, r"mu\[1\] sums to 0\.9, not 1"),
        ({"P": P3, "mu": [0.5, 0.5]}, r"mu has shape \(2,\), expected \(3,\)"),
        ({"P": P3, "rho": [1.0]}, r"rho is given, but P has no contexts"),
        ({"P": [P3, P3], "rho": [0.5, 0.6]}, r"rho sums to 1\.1, not 1"),
    ],
)
def test_a_bad_preference_game_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        PreferenceGame(**arguments)


def test_skew_part_is_exactly_skew_and_arrays_are_frozen():
    rng = np.random.default_rng([31, 1])
    lower = np.tril(rng.random((2, 5, 5)), -1)
    P = lower + np.triu(1 - np.swapaxes(lower, -1, -2), 1) + 0.5 * np.eye(5)
    game = PreferenceGame(P)
    assert np.array_equal(game.K, -np.swapaxes(game.K, -1, -2))
    assert (game.n, game.m) == (5, 2)
    assert np.array_equal(game.mu, np.full((2, 5), 0.2)) and np.array_equal(game.rho, [0.5, 0.5])
    assert not any(array.flags.writeable for array in (game.P, game.K, game.mu, game.rho))
    assert game.average(np.array([1.0, 3.0])) == 2.0


def test_operator_constant_is_the_norm_over_zero_sum_vectors():
    """L = max |d . K e| over the extreme points (e_i - e_j) / 2 of the unit l1 ball of zero-sum vectors."""
    rng = np.random.default_rng([31, 2])
    for n in (2, 3, 5):
        lower = np.tril(rng.random((n, n)), -1)
        game = PreferenceGame(lower + np.triu(1 - lower.T, 1) + 0.5 * np.eye(n))
        half = [(np.eye(n)[i] - np.eye(n)[j]) / 2 for i in range(n) for j in range(n)]
        # Rounding of four numbers below 1.
        assert game.operator_constant() == pytest.approx(
            max(abs(d @ game.K @ e) for d in half for e in half), abs=1e-15
        )


def test_operator_constants_of_named_games():
    """0 for two actions; 1/4 for P3; 3/8 for rock-paper-scissors; (table of section 1.5) 1/8 for a total order of 3."""
    order = np.arange(3)
    total = 0.5 + 0.5 * np.sign(order[None] - order[:, None])
    assert PreferenceGame([[0.5, 0.9], [0.1, 0.5]]).operator_constant() == 0
    # P3's decimals are rounded once.
    assert PreferenceGame(P3).operator_constant() == pytest.approx(0.25, abs=1e-15)
    assert PreferenceGame([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]).operator_constant() == 0.375
    assert PreferenceGame(total).operator_constant() == 0.125


def test_digest_and_replace():
    game = PreferenceGame(P3)
    assert game.digest() == PreferenceGame(P3).digest() != game.replace(mu=[0.2, 0.3, 0.5]).digest()


def test_matrix_game():
    game = MatrixGame([[1.0, 2.0], [0.0, 1.0]])
    assert game.is_zero_sum and np.array_equal(game.B, -game.A)
    assert not MatrixGame([[1.0]], [[1.0]]).is_zero_sum
    with pytest.raises(ValueError, match=r"A\[0, 1\] is inf"):
        MatrixGame([[1.0, np.inf]])
    with pytest.raises(ValueError, match=r"B has shape \(1, 1\), A has \(1, 2\)"):
        MatrixGame([[1.0, 2.0]], [[1.0]])
