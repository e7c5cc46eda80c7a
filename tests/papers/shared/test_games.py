"""What the papers on preference games measure with: how well divergences and gaps are known, what is drawn."""

import numpy as np

from mdplab.exact.games import regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.papers.shared import games as shared


def test_the_radius_covers_the_error_of_the_equilibrium():
    """Divergences move by less than the radius when pi* is moved by as much as its certificate allows."""
    for i in range(60):
        rng = np.random.default_rng([81, 2, i])
        game, tau = random_preferences(5, rng=rng, family=FAMILIES[i % 4]), 10 ** rng.uniform(-2, 0)
        log_star, span = shared.equilibrium(game, tau)
        log_pi = log_softmax(3 * rng.standard_normal(5))
        moved = log_star + 0.5 * span * rng.choice([-1.0, 1.0], size=5)
        change = abs(float(kl_divergence(moved, log_pi) - kl_divergence(log_star, log_pi)))
        assert change <= float(shared.kl_radius(log_star, span, log_pi)) < 1e-5


def test_the_radius_covers_the_gap_that_rounding_leaves_at_the_equilibrium():
    """At pi* the true gap is of second order in its error: what is computed is rounding, and the radius is above it."""
    for i in range(20):
        rng = np.random.default_rng([81, 5, i])
        game, tau = shared.random_game(6, rng, 0.05, 1.0)
        log_star = regularized_nash(game, tau=tau).extras["log_policy"]
        assert abs(regularized_gap(game, log_star, tau=tau)) <= shared.gap_radius(game, log_star, tau) < 1e-20


def test_scales_and_centre_of_drawn_policies():
    """The streams of the papers: noise times 1, 10, 1, ... around the logits given; sizes from 3 to the most."""
    noise = np.random.default_rng([81, 6]).standard_normal((3, 4))
    drawn = shared.random_policies(3, 4, np.random.default_rng([81, 6]), centre=np.arange(4.0))
    np.testing.assert_array_equal(drawn, log_softmax(np.array([[1.0], [10.0], [1.0]]) * noise + np.arange(4.0)))
    rng = np.random.default_rng([81, 7])
    games = [shared.random_game(5, rng, 0.1, 2.0) for _ in range(60)]
    assert {game.n for game, _ in games} == {3, 4, 5}
    assert 0.1 <= min(tau for _, tau in games) < 0.3 < 1 < max(tau for _, tau in games) <= 2


def test_payoffs_and_means_of_policies():
    game = random_preferences(4, rng=np.random.default_rng([81, 8]))
    log_pi = log_softmax(np.random.default_rng([81, 9]).standard_normal((6, 4)))
    # A few roundings of numbers below one.
    np.testing.assert_allclose(shared.payoff(game, log_pi), softmax(log_pi) @ game.K.T, atol=1e-15)
    np.testing.assert_allclose(np.exp(shared.running_mean(log_pi)[-1]), softmax(log_pi).mean(axis=0), atol=1e-15)


def test_nothing_is_said_where_the_bound_is_rounding():
    said = shared.above_rounding(np.array([3.0, 3.0]), np.array([2.0, 0.3]), np.array([0.1, 0.1]))
    assert [x.tolist() for x in said.values()] == [[3.0, 0.0], [2.0, 1.0], [0.1, 0.0]]
