import numpy as np
import pytest

from mdplab.exact.trajectories import enumerate_trajectories
from mdplab.instances.random import garnet
from mdplab.models import MDP


def _model():
    return garnet(3, 2, 2, gamma=0.9, rng=np.random.default_rng([64, 1])).replace(mu=[0.2, 0.5, 0.3])


def test_probabilities_are_a_distribution_with_the_right_marginals():
    mdp, theta = _model(), np.random.default_rng([64, 2]).standard_normal((3, 2))
    states, actions, probability = enumerate_trajectories(mdp, theta, 3)
    assert len(np.unique(np.hstack([states, actions]), axis=0)) == len(probability) == 6**3
    # Sums of 216 numbers of at most 1.
    assert abs(probability.sum() - 1) < 1e-14
    pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    law = np.asarray(mdp.mu)
    for t in range(3):
        reached = np.bincount(states[:, t], probability, 3)
        np.testing.assert_allclose(reached, law, rtol=0, atol=1e-14)  # as above
        law = law @ np.einsum("sa,sat->st", pi, mdp.P)


def test_too_many_or_undefined_trajectories_are_refused():
    mdp = _model()
    with pytest.raises(ValueError, match="horizon is 9"):
        enumerate_trajectories(mdp, np.zeros((3, 2)), 9)
    with pytest.raises(ValueError, match="horizon is 0"):
        enumerate_trajectories(mdp, np.zeros((3, 2)), 0)
    with pytest.raises(ValueError, match="theta has shape"):
        enumerate_trajectories(mdp, np.zeros((2, 3)), 2)
    one = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0], actions=[[True, False]])
    with pytest.raises(ValueError, match=r"actions\[0, 1\] is False"):
        enumerate_trajectories(one, np.zeros((1, 2)), 2)
