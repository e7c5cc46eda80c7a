"""What the claims about R2PVI rest on: closed forms by brute force, counts for trajectories, the restated learner."""

import numpy as np
import pytest

from mdplab.algorithms.linear import drpvi
from mdplab.papers import tang2025


@pytest.mark.parametrize("kind", tang2025.SOFT)
@pytest.mark.parametrize("price", [0.05, 0.4, 3.0])
def test_closed_forms_against_a_grid_of_distributions(kind, price):
    p, v = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.3, 2.0])
    k = 200
    grid = [np.array([i, j, k - i - j]) / k for i in range(k + 1) for j in range(k + 1 - i)]
    best = min(q @ v + price * tang2025._divergence(q, p, kind) for q in grid)
    value = tang2025._soft_value(p, v, kind, price)
    # Never above a feasible one; a grid of 1/200 is at most a step of each slope away from the optimum.
    assert value <= best + 1e-12
    assert best <= value + 2 / k * (2 + price * {"tv": 1, "kl": 2, "chi2": 10}[kind])


def _counted(data):
    counts = np.zeros((data.horizon, data.S, data.A, data.S))
    for h in range(data.horizon):
        np.add.at(counts[h], (data.states[:, h], data.actions[:, h], data.states[:, h + 1]), 1)
    return counts


def test_the_learner_from_counts_is_the_learner_from_trajectories():
    linear = tang2025.simulated_linear_mdp()
    data = tang2025.uniform_data(linear, 700, rng=np.random.default_rng([85]))
    given, options = (linear.phi, linear.rewards(), data), {"beta": 0.2, "ridge": 0.1, "fail": tang2025.FAIL}
    radius = tang2025.on_the_last(0.5)
    for value, out in (
        (tang2025._capped(0.4), tang2025.r2pvi(*given, divergence="tv", temperature=0.4, **options)),
        (tang2025._in_ball(radius), drpvi(*given, rho=radius, **options)),
    ):
        q = tang2025._from_counts(linear, _counted(data), value, 0.2, 0.1)
        clipped = np.clip(q, 0, np.array([3, 2, 1])[:, None, None])
        clipped[:, tang2025.FAIL] = 0
        # Inverses of condition below 1e4 of matrices that are summed in another order.
        np.testing.assert_allclose(clipped, out.q, rtol=0, atol=1e-11)


def test_counts_add_up_and_have_the_right_means():
    """Six standard errors: a false alarm has probability below 1e-7 a number, and the seed is fixed."""
    linear, n = tang2025.simulated_linear_mdp(), 10**9
    counts = tang2025._counts(linear, n, np.random.default_rng([86]))
    assert np.all(counts.sum(axis=(1, 2, 3)) == n)
    assert np.array_equal(counts[0].sum(axis=(0, 1)), counts[1].sum(axis=(1, 2)))
    expected = linear.kernels()[0, 0] / 16
    assert np.all(np.abs(counts[0, 0] / n - expected) <= 6 * np.sqrt(expected / n))


def test_minimised_over_alpha_the_chi_square_learner_is_always_cautious():
    """As the public code has it: its curve is the cautious line; maximised it is not."""
    linear = tang2025.simulated_linear_mdp()
    counts = tang2025._counts(linear, 10**9, np.random.default_rng([87]))
    first = [
        tang2025._from_counts(linear, counts, value, 1.0, 0.1)[0, 0].argmax()
        for value in (tang2025._least_alpha(0.1), lambda h, M, v: [tang2025._soft_value(m, v, "chi2", 0.1) for m in M])
    ]
    assert first == [0, 15]
