"""What the claims about substates rest on: exact numbers in the tie-breaking problem, a figure with the right order."""

import numpy as np

from mdplab.papers import achab2021

PARAMS = achab2021.Params(states=4, actions=2, pairs=2, depth=2)


def test_the_tied_actions_are_tied_and_the_others_worse():
    for i in range(10):
        mdp, safe, risky = achab2021._tied(np.random.default_rng([48, i]))
        mean = 0.5 * mdp.P[0] @ mdp.r[:, 0]
        others = [a for a in range(4) if a not in (safe, risky)]
        assert mean[safe] == mean[risky] == 0 and np.all(mean[others] == -0.0625)
        spread = np.sqrt(mdp.P[0] @ mdp.r[:, 0] ** 2 - (mdp.P[0] @ mdp.r[:, 0]) ** 2)
        assert spread[safe] < spread[risky]


def test_the_unsplit_step_differs_only_by_the_split():
    """Where no atom straddles the level, the flawed step is the right one."""
    mdp = achab2021._lottery(0.25, 0.5)
    pi, zero = np.ones((3, 1)), np.array([0.0, 0.0, 2.0])
    right = achab2021.substate_step(mdp, pi, 0.25, zero, zero)
    flawed = achab2021._unsplit(mdp, pi, 0.25, zero, zero)
    assert right.low.tolist() == flawed.low.tolist() == [0, 0, 2] and right.high[0] == flawed.high[0] == 1
    split = achab2021.substate_step(mdp, pi, 0.5, zero, zero)
    assert split.low[0] == 0.5 and achab2021._unsplit(mdp, pi, 0.5, zero, zero).low[0] == 0.6


def test_figure_has_the_order_of_the_claims():
    table = achab2021.figure_tails(PARAMS, np.random.default_rng([48]))
    assert np.all(table["iterated"] <= table["static_low"] + 1e-12)
    assert np.all(table["static_low"] < table["low"]) and np.all(table["low"] < table["high"])
    assert np.all(table["high"] < table["static_high"])
    # The mean of fair coins is 0.
    np.testing.assert_allclose(table["alpha"] * table["low"] + (1 - table["alpha"]) * table["high"], 0, atol=1e-13)
