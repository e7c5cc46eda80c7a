"""Counts of transitions have the frequencies of the model, and the model is read off them."""

import numpy as np
import pytest

from mdplab.algorithms.performative.sampling import Counts, occupancy_counts, trajectory_counts
from mdplab.instances import garnet
from mdplab.models import MDP
from mdplab.models.performative import occupancy


@pytest.fixture(scope="module")
def mdp():
    rng = np.random.default_rng([52, 0])
    return garnet(4, 2, 2, gamma=0.8, rng=rng).replace(mu=rng.dirichlet(np.ones(4)))


def test_draws_follow_the_normalised_occupancy(mdp):
    policy, n = np.full((4, 2), 0.5), 40_000
    counts = occupancy_counts(mdp, policy, n, rng=np.random.default_rng([52, 1]))
    share = (1 - mdp.gamma) * occupancy(mdp.P, mdp.mu, mdp.gamma, policy)[:, :, None] * mdp.P
    # Five standard deviations of a binomial: false alarm below 6e-7 an entry, 2e-5 in all.
    assert np.all(np.abs(counts.seen / n - share) <= 5 * np.sqrt(share * (1 - share) / n) + 1e-12)
    assert counts.seen.sum() == counts.total == n
    np.testing.assert_allclose(counts.reward, counts.seen.sum(axis=2) * mdp.r, rtol=1e-12)  # one product each


def test_trajectories_have_their_length_and_never_take_impossible_steps(mdp):
    policy = np.zeros((4, 2))
    policy[:, 1] = 1.0
    counts = trajectory_counts(mdp, policy, 30, length=7, rng=np.random.default_rng([52, 2]))
    assert counts.seen.sum() == counts.total == 210
    assert np.all(counts.seen[:, 0] == 0) and np.all(counts.seen[mdp.P == 0] == 0)


def test_terminal_states_end_a_trajectory():
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5, mu=[0.5, 0.5])
    counts = trajectory_counts(mdp, np.ones((2, 1)), 200, length=9, rng=np.random.default_rng([52, 3]))
    assert counts.seen[1].sum() == 0 and counts.seen[0, 0, 0] == 0
    # Started in state 0: half of 200, within five standard deviations (false alarm 6e-7).
    assert abs(counts.seen[0].sum() - 100) < 36


def test_rewards_of_next_states_are_added():
    r = np.zeros((2, 1, 2))
    r[0, 0] = [3.0, 5.0]
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], r, 0.5, mu=[1.0, 0.0])
    counts = trajectory_counts(mdp, np.ones((2, 1)), 50, length=4, rng=np.random.default_rng([52, 4]))
    assert counts.reward[0, 0] == 3 * counts.seen[0, 0, 0] + 5 * counts.seen[0, 0, 1]


def test_frequencies_and_what_was_never_seen():
    seen = np.zeros((2, 2, 2))
    seen[0, 0] = [1.0, 3.0]
    counts = Counts(seen, np.array([[2.0, 0.0], [0.0, 0.0]]), 4.0)
    P, r = (counts + counts).model(np.full((2, 2, 2), 0.5), np.full((2, 2), -7.0))
    assert P[0, 0].tolist() == [0.25, 0.75] and P[1, 1].tolist() == [0.5, 0.5]
    assert r.tolist() == [[0.5, -7.0], [-7.0, -7.0]]
