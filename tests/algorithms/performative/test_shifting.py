"""Gradual shift: w = 1 is repeated optimisation, one state by hand, same rest points, samples pooled by weight."""

import numpy as np
import pytest

from mdplab.algorithms.performative import (
    delayed_retraining,
    mixed_delayed_retraining,
    mixing_weights,
    repeated_optimization,
    shifting,
)
from mdplab.instances.performative import random_softmax_follower
from mdplab.models import MDP, LinearRewardResponse, PerformativeMDP


@pytest.fixture(scope="module")
def problem():
    return random_softmax_follower(4, 2, 2, gamma=0.8, beta=2.0, rng=np.random.default_rng([54, 0]))


@pytest.mark.parametrize("k", [1, 4])
def test_an_environment_that_answers_at_once_needs_no_delay(problem, k):
    run = delayed_retraining(problem, 1.0, w=1.0, k=k, num_retrainings=5)
    np.testing.assert_allclose(
        run["d"], repeated_optimization(problem, 1.0, num_rounds=5)["d"], atol=1e-11
    )  # residuals
    assert run["deployments"].tolist() == [0, k, 2 * k, 3 * k, 4 * k, 5 * k]


def test_one_state_by_hand():
    """Rewards rho, environment e: e <- .7 e + .3 (r0 + d / 2) twice, then d = e on the plane of mass 2."""
    r0 = np.array([0.1, 0.0, -0.1])
    base = MDP(np.ones((1, 3, 1)), [r0], 0.5, mu=[1.0])
    problem = PerformativeMDP(base, LinearRewardResponse(base, np.eye(3), 0.5))
    d = np.array([0.9, 0.6, 0.5])
    run = delayed_retraining(problem, 1.0, w=0.3, k=2, num_retrainings=3, start=d[None])
    env = r0 + 0.5 * d
    for t in range(3):
        for _ in range(2):
            env = 0.7 * env + 0.3 * (r0 + 0.5 * d)
        d = env + (2 - env.sum()) / 3
        np.testing.assert_allclose(run["d"][t + 1, 0], d, atol=1e-12)  # the projection's residual


def test_mixing_uses_all_deployments_by_weight(problem):
    assert mixing_weights(3, 1.5) == pytest.approx(0.5 / (1.5**3 - 1) * 1.5 ** np.arange(3), rel=1e-14)  # the formula
    assert mixing_weights(4, 1.0).tolist() == [0.25] * 4
    # Where nearly all weight is on the newest, mixing is delay.
    options = {"w": 0.4, "k": 3, "num_retrainings": 4}
    mixed = mixed_delayed_retraining(problem, 1.0, v=1e12, **options)["d"]
    np.testing.assert_allclose(mixed, delayed_retraining(problem, 1.0, **options)["d"], atol=1e-9)  # weights of 1e-12
    # With equal weights it lags behind.
    equal = mixed_delayed_retraining(problem, 1.0, v=1.0, **options)["d"]
    assert np.linalg.norm(equal[2] - mixed[2]) > 1e-4


def test_all_rest_at_the_same_point(problem):
    stable = repeated_optimization(problem, 2.0, num_rounds=100)["d"][-1]
    for run in (
        delayed_retraining(problem, 2.0, w=0.3, k=2, num_retrainings=150),
        mixed_delayed_retraining(problem, 2.0, w=0.3, k=2, v=1.2, num_retrainings=150),
    ):
        np.testing.assert_allclose(run["d"][-1], stable, atol=1e-10)  # residuals of many projections


def test_samples_are_taken_in_proportion_to_the_weights(problem, monkeypatch):
    asked, real = [], shifting.trajectory_counts

    def spy(mdp, policy, number, **options):
        asked.append(number)
        return real(mdp, policy, number, **options)

    monkeypatch.setattr(shifting, "trajectory_counts", spy)
    options = {"w": 0.5, "k": 3, "num_retrainings": 1, "num_trajectories": 16, "rng": np.random.default_rng([54, 1])}
    mixed_delayed_retraining(problem, 1.0, v=2.0, **options)
    assert asked == [4, 8, 16]
    asked.clear()
    delayed_retraining(problem, 1.0, **options)
    assert asked == [16]


def test_many_samples_are_as_good_as_knowing(problem):
    options = {"w": 0.5, "k": 2, "num_retrainings": 3}
    known = delayed_retraining(problem, 1.0, **options)["d"][-1]
    rng = np.random.default_rng([54, 2])
    run = delayed_retraining(problem, 1.0, num_trajectories=4000, length=20, rng=rng, **options)
    # Errors of a few per cent of the mass 5 / sqrt(80000) per pair; ten times that is never reached.
    assert np.linalg.norm(run["d"][-1] - known) < 0.3


def test_bad_arguments_are_named(problem):
    with pytest.raises(ValueError, match="w is 0"):
        delayed_retraining(problem, 1.0, w=0.0, k=1, num_retrainings=1)
    with pytest.raises(ValueError, match="k is 0"):
        delayed_retraining(problem, 1.0, w=0.5, k=0, num_retrainings=1)
    with pytest.raises(ValueError, match="v is -1"):
        mixed_delayed_retraining(problem, 1.0, w=0.5, k=2, v=-1.0, num_retrainings=1)
    with pytest.raises(ValueError, match="lam is 0"):
        delayed_retraining(problem, 0.0, w=0.5, k=1, num_retrainings=1)
    with pytest.raises(ValueError, match="rng is None"):
        delayed_retraining(problem, 1.0, w=0.5, k=1, num_retrainings=1, num_trajectories=5)
