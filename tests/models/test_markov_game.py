import numpy as np
import pytest

from mdplab.models import MarkovGame

R = np.zeros((2, 1, 2))
T = np.full((2, 1, 2, 2), 0.5)


def broken(array, at, value):
    out = array.copy()
    out[at] = value
    return out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"R": R[0]}, r"R has shape \(1, 2\); expected \(S, A, B\)"),
        ({"R": np.zeros((2, 0, 2))}, r"R has shape \(2, 0, 2\)"),
        ({"T": T[:, :, :1]}, r"T has shape \(2, 1, 1, 2\); with R of shape \(2, 1, 2\) it must be \(2, 1, 2, 2\)"),
        ({"T": broken(T, (1, 0, 1, 0), 0.4)}, r"T\[1, 0, 1\] sums to 0\.9, not 1"),
        ({"T": broken(T, (1, 0, 1), [1.5, -0.5])}, r"T\[1, 0, 1, 1\] is -0\.5; probabilities"),
        ({"T": broken(T, (0, 0, 0, 1), np.nan)}, r"T\[0, 0, 0, 1\] is nan"),
        ({"R": broken(R, (1, 0, 1), np.inf)}, r"R\[1, 0, 1\] is inf; rewards are finite"),
        ({"gamma": 1.0}, r"gamma is 1; a MarkovGame is discounted"),
        ({"gamma": -0.5}, r"gamma is -0\.5"),
        ({"mu": [0.5, 0.4]}, r"mu sums to 0\.9, not 1"),
        ({"mu": [1.0]}, r"mu has shape \(1,\), expected \(2,\)"),
    ],
)
def test_a_bad_markov_game_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MarkovGame(**{"R": R, "T": T, "gamma": 0.5, **arguments})


def test_arrays_are_frozen_and_copies_are_validated():
    game = MarkovGame(R, T, 0.5, mu=[1.0, 0.0])
    assert (game.S, game.A, game.B, game.gamma) == (2, 1, 2, 0.5)
    assert not any(array.flags.writeable for array in (game.R, game.T, game.mu))
    assert game.replace(gamma=0.0).gamma == 0.0
    with pytest.raises(ValueError, match="gamma is 2"):
        game.replace(gamma=2.0)


def test_digest_tells_games_apart_and_transposing_twice_is_nothing():
    rng = np.random.default_rng([71, 1])
    game = MarkovGame(rng.random((2, 3, 2)), rng.dirichlet(np.ones(2), size=(2, 3, 2)), 0.5)
    other = game.transposed()
    assert (other.A, other.B) == (2, 3) and np.array_equal(other.R[:, 1, 2], -game.R[:, 2, 1])
    assert np.array_equal(other.T[:, 1, 2], game.T[:, 2, 1])
    assert other.transposed().digest() == game.digest() != other.digest()
    digests = {game.replace(**change).digest() for change in ({"gamma": 0.4}, {"R": game.R + 1}, {"mu": [0.5, 0.5]})}
    assert len(digests | {game.digest()}) == 4
