"""Trees and importance sampling: right means, shared randomness, calls by hand, refusals."""

import numpy as np
import pytest

from mdplab.algorithms.online.trajectory_trees import importance_returns, trajectory_trees
from mdplab.instances.policy_classes import random_class
from mdplab.papers.jia2023 import _class_values, _model


def test_both_estimators_are_unbiased():
    rng = np.random.default_rng([55])
    mdp, policies = _model(2, 3, 3, rng), random_class(4, 2, 3, 3, rng=rng)
    truth = _class_values(mdp, policies)
    returns, _ = trajectory_trees(mdp, policies, 20_000, rng=rng)
    weighted = importance_returns(mdp, policies, 20_000, rng=rng)
    for sample in (returns, weighted):
        error = np.abs(sample.mean(axis=1) - truth) / (sample.std(axis=1) / np.sqrt(20_000))
        # Eight means in all at five standard errors: false alarm 5e-6.
        assert error.max() < 5
    # The weight is 8 with probability 1/8: 8 E[R^2] - V^2 against E[R^2] - V^2.
    assert np.all(weighted.var(axis=1) > 7 * returns.var(axis=1))


def test_policies_share_their_draws():
    """Two policies that agree wherever either comes have the same return on every tree."""
    rng = np.random.default_rng([56])
    mdp = _model(2, 3, 3, rng)
    policies = random_class(1, 2, 3, 3, rng=rng).repeat(2, axis=0)
    policies[1, 0, 1:] = 1 - policies[1, 0, 1:]
    returns, calls = trajectory_trees(mdp, policies, 200, rng=rng)
    assert np.array_equal(returns[0], returns[1]) and calls.max() == 1
    assert returns.min() >= 0 and returns.max() <= 1


def test_one_call_for_each_pair_that_is_reached():
    rng = np.random.default_rng([57])
    mdp = _model(2, 2, 3, rng)
    policies = np.zeros((3, 2, 3), dtype=int)
    policies[1:, 0] = 1
    policies[2, 1] = 1
    _, calls = trajectory_trees(mdp, policies, 500, rng=rng)
    assert np.all(calls[:, 0] == 2)
    assert set(np.unique(calls[:, 1])) <= {2, 3} and calls[:, 1].max() == 3


def test_refusals():
    rng = np.random.default_rng([58])
    mdp = _model(2, 2, 3, rng)
    with pytest.raises(ValueError, match=r"policies has shape \(1, 3, 3\); expected \(m, 2, 3\)"):
        trajectory_trees(mdp, np.zeros((1, 3, 3), int), 4, rng=rng)
    with pytest.raises(ValueError, match=r"an action outside 0\.\.1"):
        trajectory_trees(mdp, np.full((1, 2, 3), 2), 4, rng=rng)
    with pytest.raises(ValueError, match="mdp has no horizon or no initial distribution mu"):
        importance_returns(mdp.replace(mu=None), np.zeros((1, 2, 3), int), 4, rng=rng)
