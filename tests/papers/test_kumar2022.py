"""What the claims about policy smoothing rest on: levels that add up, adversaries that differ, a figure's order."""

import numpy as np

from mdplab.instances.noisy_walk import NoisyWalk, attacked_return, expected_return
from mdplab.papers import kumar2022

PARAMS = kumar2022.Params(budgets=2, points=41, runs=5, episodes=20)


def test_levels_add_up_to_the_clean_return():
    """Without a budget the layered certificate is the mean itself."""
    walk, rng = NoisyWalk(3, 0.7), np.random.default_rng([51])
    final = np.sort(rng.uniform(-1, 2, 7))[::-1]
    tau = np.sort(final)
    clean = [expected_return(walk, (final >= t).astype(float)) for t in tau[1:]]
    mean = tau[0] + np.diff(tau) @ clean
    np.testing.assert_allclose(mean, expected_return(walk, final), rtol=0, atol=1e-14)  # six sums
    np.testing.assert_allclose(attacked_return(walk, 0.0, final), mean, rtol=0, atol=1e-14)  # as above


def test_falsifiers_are_other_adversaries():
    walk = NoisyWalk(3)
    values = {name: kumar2022._attack(PARAMS, walk, 0.5, name) for name in ("adaptive", "peeking", "per_step")}
    assert values["adaptive"] > 0.3085 > max(values["peeking"], values["per_step"])


def test_figure_has_the_order_of_the_claims():
    table = kumar2022.figure_attacks(PARAMS, np.random.default_rng([51]))
    inside = table["B"] > 0
    assert np.all(table["adaptive"] >= table["bound"] - 1e-12) and table["bound"][0] == 0.5
    assert np.all(table["per_step"][inside] < table["bound"][inside])
    assert np.all(table["peeking"][inside] < table["bound"][inside])
