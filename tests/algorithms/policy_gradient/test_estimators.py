import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import NoisyGradient, SingleTrajectory, gpomdp, reinforce, softmax_score
from mdplab.instances.policy_gradient import fnd_logit, qchain


def test_scores_are_gradients_of_log_probabilities():
    rng = np.random.default_rng([66, 1])
    theta, h = rng.standard_normal((3, 4)), 1e-6
    states, actions = np.array([[0, 2], [1, 1]]), np.array([[3, 0], [2, 2]])
    score = softmax_score(theta, states, actions)

    def log_probability(x):
        return (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))[states, actions]

    for i in range(theta.size):
        e = h * np.eye(theta.size)[i].reshape(theta.shape)
        rise = (log_probability(theta + e) - log_probability(theta - e)) / (2 * h)
        # Central differences: rounding 1e-16 / h.
        np.testing.assert_allclose(score[..., i // 4, i % 4], rise, rtol=0, atol=1e-9)


def test_estimates_by_hand():
    scores, rewards = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]), np.array([4.0, 2.0, 8.0])
    # gamma = 1/2: discounted rewards 4, 1, 2; rewards to go 7, 3, 2.
    assert gpomdp(scores, rewards, 0.5).tolist() == [7.0 + 6.0, 6.0 + 2.0]
    assert reinforce(scores, rewards, 0.5).tolist() == [7.0 * 4, 7.0 * 3]
    batch = gpomdp(np.stack([scores, 2 * scores]), np.stack([rewards, rewards]), 0.5)
    assert batch.tolist() == [[13.0, 8.0], [26.0, 16.0]]


def test_oracles_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="horizon is 0"):
        SingleTrajectory(qchain(), 0)
    with pytest.raises(ValueError, match="logistic"):
        NoisyGradient(fnd_logit(), 0.1)
    with pytest.raises(ValueError, match=r"noise is -0\.1"):
        NoisyGradient(qchain(), -0.1)
