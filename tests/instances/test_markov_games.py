import numpy as np
import pytest

from mdplab.instances.markov_games import half_turn, random_markov_game, soccer


def test_random_games_have_the_branching_asked_for():
    game = random_markov_game(6, 2, 3, 0.9, rng=np.random.default_rng([72, 1]), branching=2)
    assert (np.count_nonzero(game.T, axis=3) == 2).all() and np.abs(game.R).max() <= 1
    with pytest.raises(ValueError, match="branching is 7"):
        random_markov_game(6, 2, 3, 0.9, rng=np.random.default_rng([72, 1]), branching=7)


@pytest.mark.parametrize("size", [(2, 3), (2, 4), (4, 3)])
def test_a_half_turn_maps_soccer_to_itself(size):
    """State i goes to states[i], the players change roles, and rewards change sign: R'(a, b) = -R(m(b), m(a))."""
    game = soccer(*size)
    states, moves = half_turn(*size)
    assert sorted(states) == list(range(game.S))
    # The second player's move moves[a] is the image of the first's a.
    turned = np.ix_(states, moves, moves)
    assert np.array_equal(game.R, -game.R[turned].transpose(0, 2, 1))
    T = game.T[turned][..., states].transpose(0, 2, 1, 3)
    assert np.array_equal(game.T, T)
    assert np.array_equal(game.mu, game.mu[states])


def test_soccer_by_hand():
    """On 2 x 3: the first player in cell (0, 2) with the ball, the second in (1, 0)."""
    game = soccer(2, 3)
    north, south, east, west, stand = range(5)
    n = 6

    def state(p, q, ball):
        return 2 * (p * (n - 1) + q - (q > p)) + ball

    here = state(2, 3, 0)
    assert (game.R[here, east] == 1).all()
    kickoff = np.flatnonzero(game.mu)
    assert (game.T[here, east][:, kickoff] == 0.5).all()
    assert game.T[here, west, stand, state(1, 3, 0)] == 1 and game.T[here, north, stand, here] == 1
    # Without the ball nobody scores, and the wall stops.
    assert (game.R[state(2, 3, 1), east, :] == np.array([0, 0, 0, -1, 0])).all()
    # First in (0, 0) with the ball, second in (0, 1): east into the other loses the ball, unless the other left first.
    clash = game.T[state(0, 1, 0), east, south]
    assert clash[state(1, 4, 0)] == 0.5 and clash[state(0, 4, 1)] == 0.5
    # Whoever walks into a standing player without the ball changes nothing.
    assert game.T[state(0, 1, 0), stand, west, state(0, 1, 0)] == 1


def test_bad_fields_are_named():
    with pytest.raises(ValueError, match="rows is 3"):
        soccer(3, 5)
    with pytest.raises(ValueError, match="cols is 2"):
        soccer(2, 2)
