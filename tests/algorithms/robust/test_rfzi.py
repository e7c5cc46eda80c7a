"""Z-iteration: published values and policies, both conventions, data without a pair."""

import numpy as np
import pytest

from mdplab.algorithms.robust.rfzi import Transitions, log_z_operator, rfzi, sample_transitions, z_iteration
from mdplab.algorithms.robust.soft_robust import soft_robust_evaluation
from mdplab.instances import garnet
from mdplab.instances.robust_suite import toy_ring

# Slip, beta, policy hard-coded in the authors' plots, mean optimal value (exact dynamic programme, notes E.4).
PUBLISHED = [
    (0.01, 0.1, "00222222100000", 65.245),
    (0.01, 1.0, "22210000122222", -0.7815),
    (0.01, 2.0, "00210000122210", -18.8382),
    (0.01, 3.0, "00010000122210", -24.7702),
    (0.15, 0.01, "22210000122212", 16.6973),
    (0.15, 0.1, "22210000122210", 14.6657),
    (0.15, 1.0, "00000000122210", -24.5811),
]


@pytest.mark.parametrize(("p", "beta", "policy", "mean"), PUBLISHED)
def test_published_policies_of_the_ring(p, beta, policy, mean):
    mdp = toy_ring(p)
    found = z_iteration(mdp, beta=beta, num_iters=700)
    assert "".join(map(str, found.policy)) == policy
    value = found.q.max(axis=1)
    assert value.mean() == pytest.approx(mean, abs=6e-4)  # digits of the notes
    known = soft_robust_evaluation(mdp, np.eye(3)[found.policy], beta=beta)
    np.testing.assert_allclose(value, known.value, rtol=1e-10)  # .95^700 = 3e-16, and 1e-12 over 1 - gamma


def test_undiscounted_penalty_gives_other_policies():
    """Temperature 1 / beta for gamma / beta: Q = r - log E exp(-beta gamma V) / beta, beta gamma in place of beta."""
    for p, beta, changed in ((0.01, 2.0, "0221"), (0.15, 0.1, None)):
        published = next(row[2] for row in PUBLISHED if row[:2] == (p, beta))
        found = "".join(map(str, z_iteration(toy_ring(p), beta=0.95 * beta, num_iters=700).policy))
        assert found != published
        assert changed is None or found.startswith(changed)


def test_operator_contracts_by_gamma_and_no_less():
    rng = np.random.default_rng([94, 0])
    mdp = garnet(5, 3, 3, gamma=0.8, rng=rng)
    for _ in range(20):
        x, y = rng.normal(0, 3, (2, 5, 3))
        beta = 10 ** rng.uniform(-1, 2)
        image = [log_z_operator(mdp.P, mdp.r, one, gamma=0.8, beta=beta) for one in (x, y, x + 1)]
        assert np.abs(image[0] - image[1]).max() <= 0.8 * np.abs(x - y).max() * (1 + 1e-12)
        # Constants pass with the factor gamma exactly, up to rounding of numbers of size 100.
        np.testing.assert_allclose(image[2] - image[0], 0.8, atol=1e-12)


def test_data_without_a_pair_is_reported_and_the_pair_avoided():
    mdp = garnet(3, 2, 2, gamma=0.5, rng=np.random.default_rng([94, 1]))
    counts = np.where(mdp.P > 0, 5, 0)
    counts[0, 1] = 0
    found = rfzi(mdp, Transitions(counts), beta=1.0, num_iters=60)
    assert np.argwhere(found.unvisited).tolist() == [[0, 1]]
    assert found.q[0, 1] == -np.inf and found.policy[0] == 0
    counts[0] = 0
    # The pairs of a state without any data have no value, and what leads there is as bad.
    found = rfzi(mdp, Transitions(counts), beta=1.0, num_iters=60)
    assert found.policy[0] == -1
    assert not np.isnan(found.q).any()


def test_estimates_tend_to_the_truth():
    mdp = toy_ring(0.15)
    true = z_iteration(mdp, beta=0.1, num_iters=700).q
    error = []
    for n in (1000, 64_000):
        data = [sample_transitions(mdp, n, rng=np.random.default_rng([94, 2, n, i])) for i in range(4)]
        assert all(one.counts.sum() == n for one in data)
        assert all(np.all(one.counts[mdp.P == 0] == 0) for one in data)
        error.append(np.mean([np.abs(rfzi(mdp, one, beta=0.1, num_iters=400).q - true).max() for one in data]))
    # 64 times the data: an eighth of the error; a quarter leaves three standard deviations of the mean of four.
    assert error[1] < 0.25 * error[0]


def test_bad_input():
    mdp = toy_ring()
    with pytest.raises(ValueError, match="num_iters is 0"):
        z_iteration(mdp, beta=1.0, num_iters=0)
    with pytest.raises(ValueError, match="counts has shape"):
        rfzi(mdp, Transitions(np.ones((2, 2, 2), dtype=np.int64)), beta=1.0, num_iters=1)
    with pytest.raises(ValueError, match="n is 0"):
        sample_transitions(mdp, 0, rng=np.random.default_rng(0))
