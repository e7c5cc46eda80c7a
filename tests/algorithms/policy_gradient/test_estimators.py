import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import (
    NoisyGradient,
    SingleTrajectory,
    gpomdp,
    hessian_vector,
    likelihood_ratio,
    reinforce,
    softmax_bend,
    softmax_score,
)
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


def test_bends_are_derivatives_of_scores():
    rng = np.random.default_rng([66, 2])
    theta, u, h = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), 1e-6
    states, actions = np.array([[0, 2], [1, 1]]), np.array([[3, 0], [2, 2]])
    up, down = (softmax_score(theta + sign * h * u, states, actions) for sign in (1, -1))
    # Central differences: rounding 1e-16 / h.
    np.testing.assert_allclose(softmax_bend(theta, states, u), (up - down) / (2 * h), rtol=0, atol=1e-9)


def test_products_by_hand():
    scores, bends = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[-1.0, 0.0], [0.0, -3.0]])
    # gamma = 1/2, rewards 4, 2: rewards to go 5, 1; g = (5, 2); <sum score, u> = 1 + 2 * 10 = 21.
    found = hessian_vector(scores, bends, np.array([4.0, 2.0]), 0.5, np.array([1.0, 10.0]))
    assert found.tolist() == [5 * 21 - 5.0, 2 * 21 - 3.0]


def test_likelihood_ratios_turn_one_law_of_trajectories_into_another():
    rng = np.random.default_rng([66, 3])
    theta, drawn_at = rng.standard_normal((2, 2, 3))
    states, actions = rng.integers(0, 2, (50, 4)), rng.integers(0, 3, (50, 4))
    pi, mu = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (theta, drawn_at))
    by_hand = np.prod(pi[states, actions] / mu[states, actions], axis=1)
    # Twenty roundings of numbers below 10, through logarithm and exponential.
    np.testing.assert_allclose(likelihood_ratio(theta, drawn_at, states, actions), by_hand, rtol=1e-13)


def test_oracles_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="horizon is 0"):
        SingleTrajectory(qchain(), 0)
    with pytest.raises(ValueError, match="logistic"):
        NoisyGradient(fnd_logit(), 0.1)
    with pytest.raises(ValueError, match=r"noise is -0\.1"):
        NoisyGradient(qchain(), -0.1)
