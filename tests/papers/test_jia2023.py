"""What the claims about spanning capacity rest on: exact class values, closed forms, a figure below its bound."""

import numpy as np

from mdplab.papers import jia2023

PARAMS = jia2023.Params(trees=50, classes=2, seeds=2, doublings=4, runs=4)


def test_class_values_by_forward_laws():
    rng = np.random.default_rng([59])
    mdp, policies = jia2023._model(3, 4, 3, rng), jia2023.random_class(5, 3, 4, 3, rng=rng)
    for policy, value in zip(policies, jia2023._class_values(mdp, policies)):
        law, total = mdp.mu.copy(), 0.0
        for h in range(4):
            total += law @ mdp.r[np.arange(3), policy[h]]
            law = law @ mdp.P[np.arange(3), policy[h]]
        np.testing.assert_allclose(total, value, rtol=1e-14)  # a dozen products
        assert 0 <= value <= 1


def test_closed_forms():
    assert jia2023._closed_form("all", 2, 4, 3).tolist() == [2, 4, 6, 6]
    assert jia2023._closed_form("constant", 3, 2, 2).tolist() == [3, 3]
    assert jia2023._closed_form("singletons", 2, 3, 3).tolist() == [2, 3, 4]


def test_figure_shows_trees_below_the_bound():
    table = jia2023.figure_deviation(PARAMS, np.random.default_rng([60]))
    assert np.all(table["trees_hi"] < table["bound"]) and np.all(table["importance"] > table["trees"])
