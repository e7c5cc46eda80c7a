"""What the claims about REBEL rest on: both constants of the regret, what the library reports."""

from dataclasses import replace

import numpy as np

from mdplab.algorithms.games.rebel import rebel_fit, rebel_step
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.papers import gao2024

PARAMS = gao2024.Params(actions=5, starts=4, horizon=30, rounds=200, updates=4)


def test_a_partner_with_one_action_is_enough():
    """pi_t has full support: nu may sit on one action, and the regression still finds every odds."""
    rng = np.random.default_rng([93, 1])
    log_pi, reward = log_softmax(rng.standard_normal(4)), rng.uniform(size=4)
    pairs = np.outer(softmax(log_pi), [0.0, 1.0, 0.0, 0.0])
    fitted, components = rebel_fit(log_pi, reward[:, None] - reward[None, :], eta=2.0, pairs=pairs)
    assert components.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(fitted, rebel_step(log_pi, reward, eta=2.0), atol=1e-12)  # a well-conditioned system


def test_an_action_in_no_pair_is_reported_and_not_moved():
    reward, seen = np.array([0.0, 1.0, 0.5]), np.array([0.5, 0.5, 0.0])
    fitted, components = rebel_fit(
        np.zeros(3), reward[:, None] - reward[None, :], eta=1.0, pairs=np.outer(seen, [1.0, 0.0, 0.0])
    )
    assert components[0] == components[1] != components[2]
    # The two that were compared move apart by the reward; their mean stays level with the third.
    np.testing.assert_allclose(fitted - fitted[2], [-0.5, 0.5, 0.0], atol=1e-14)  # three roundings


def test_rate_is_met_from_a_distant_start():
    """With D nats to make up, the shortfall is still 1 - 1 / D when eta T is log D short of D."""
    depth = 5000.0
    policy = softmax(rebel_step(np.array([-depth, 0.0]), np.array([1.0, 0.0]), eta=depth - np.log(depth)))
    assert 0.998 < policy[1] * (depth - np.log(depth)) / depth <= 1


def test_alternating_rewards_reach_an_eighth():
    evidence = gao2024.adversary(replace(PARAMS, actions=2, rounds=4000), np.random.default_rng([93, 2]))
    # The first two entries are the two actions of the alternating game.
    share = (evidence["measured"] / evidence["bound"])[:2]
    assert 0.97 < share.max() <= 1


def test_figure_touches_its_bound():
    table = gao2024.figure_rate(PARAMS, np.random.default_rng([93]))
    for depth in (5, 50, 5000):
        assert np.all(table[f"depth_{depth}"] <= table["bound"])
    assert np.max(table["depth_5000"] / table["bound"]) > 0.95
