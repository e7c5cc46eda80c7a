"""Pieces of the sampled methods: projections against the vectorised ones, step lengths, estimates against formulas."""

import numpy as np

from mdplab.algorithms.policy_gradient.estimators import gpomdp, softmax_score
from mdplab.algorithms.policy_gradient.general_utility import sampling_arguments
from mdplab.algorithms.policy_gradient.polyak import polyak_step
from mdplab.algorithms.policy_gradient.sampled_polyak import path_estimates
from mdplab.algorithms.robust.projection import project_rows
from mdplab.kernels import sampled_ascent
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import MDP


def model(key, S=3, A=2):
    rng = np.random.default_rng([630, key])
    mdp = MDP(rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A)), 0.8, mu=rng.dirichlet(np.ones(S)))
    return mdp, rng.standard_normal((S, A)), rng


def test_rows_are_projected_on_the_simplex():
    rng = np.random.default_rng([630, 0])
    rows = np.concatenate([rng.normal(0, 3, (50, 5)), rng.dirichlet(np.ones(5), 5), [[2.0] * 5, [0, 0, 0, 0, 9.0]]])
    out = np.empty_like(rows)
    for row, place in zip(rows, out):
        sampled_ascent.project_row(row, place)
    np.testing.assert_allclose(out, project_rows(rows), atol=1e-15)  # some roundings of entries near 1
    assert out.min() >= 0


def test_the_length_of_a_step_is_that_of_the_exact_method():
    g = np.array([3.0, 4.0])
    for shortfall, c, cap in ((50.0, 1.0, np.inf), (50.0, 4.0, np.inf), (50.0, 1.0, 0.1), (-1.0, 1.0, 1.0)):
        assert sampled_ascent.polyak_length(shortfall, g, c, cap) == polyak_step(shortfall, g, c=c, cap=cap)
    # Without a limit on the shortfall it is the cap, whatever the gradient, whose square may overflow or be 0.
    for factor in (1.0, 0.0, 1e200):
        assert sampled_ascent.polyak_length(np.inf, factor * g, 1.0, 0.3) == 0.3
    # The square is 2.5e-299, and the ratio beyond all numbers.
    assert sampled_ascent.polyak_length(1e100, 1e-150 * g, 1.0, np.inf) == 0.0
    assert sampled_ascent.polyak_length(1.0, 1e-170 * g, 1.0, np.inf) == 0.0


def test_estimates_of_given_paths_are_the_formulas():
    mdp, theta, rng = model(1)
    states, actions = rng.integers(3, size=(40, 5)), rng.integers(2, size=(40, 5))
    for tau in (0.0, 0.4):
        rewards = mdp.r[states, actions] - tau * log_softmax(theta)[states, actions]
        value, gradient = path_estimates(mdp, theta, states * 2 + actions, tau=tau)
        # Sums of five terms of order 1.
        np.testing.assert_allclose(value, rewards @ 0.8 ** np.arange(5), rtol=1e-14)
        scores = softmax_score(theta, states, actions).reshape(40, 5, 6)
        np.testing.assert_allclose(gradient.reshape(40, 6), gpomdp(scores, rewards, 0.8), atol=1e-13)  # likewise
        # In the probabilities: e_(s, a) / pi in the place of scores.
        shares = np.eye(6)[states * 2 + actions] / softmax(theta)[states, actions][..., None]
        direct = path_estimates(mdp, theta, states * 2 + actions, tau=tau, direct=True)[1]
        np.testing.assert_allclose(direct.reshape(40, 6), gpomdp(shares, rewards, 0.8), rtol=1e-12)  # likewise


def test_the_critic_has_the_right_mean_and_its_entropy():
    """Bonferroni over 6 pairs at 5 standard errors: a false alarm in 3e5 runs."""
    mdp, theta, rng = model(2)
    tau, H, batch = 0.3, 6, 4000
    pi, log_pi = softmax(theta), log_softmax(theta)
    v = np.zeros(3)
    for _ in range(H - 1):
        q = mdp.r - tau * log_pi + mdp.gamma * mdp.P @ v
        v = (pi * q).sum(axis=1)
    exact = mdp.r + mdp.gamma * mdp.P @ v
    after, cdf, A, powers = sampling_arguments(mdp, H)[1:]
    gain, found = (mdp.r - tau * log_pi).ravel(), np.empty(6)
    sampled_ascent.critic(after, cdf, A, powers, mdp.r.ravel(), gain, pi.ravel(), batch, rng, found)
    # Later steps give between 0 and 1 + tau max |log pi| each.
    spread = np.ptp(gain) * 0.8 / (1 - 0.8) / 2
    np.testing.assert_allclose(found, exact.ravel(), atol=5 * spread / np.sqrt(batch))


def test_a_rollout_of_one_step_is_the_reward():
    mdp, theta, rng = model(3)
    after, cdf, A, powers = sampling_arguments(mdp, 1)[1:]
    found = np.empty(6)
    sampled_ascent.critic(after, cdf, A, powers, mdp.r.ravel(), np.zeros(6), softmax(theta).ravel(), 3, rng, found)
    assert np.array_equal(found, mdp.r.ravel())
