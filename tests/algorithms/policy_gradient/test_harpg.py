import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import (
    NoisyGradient,
    SingleTrajectory,
    SoftmaxTrajectory,
    ablations,
    harpg,
    harpg_schedule,
    n_harpg,
    n_harpg_schedule,
    normalized_policy_gradient,
)
from mdplab.instances.policy_gradient import fnd_logit, qchain
from mdplab.models import MDP

CHAIN = qchain()


def test_schedules_are_the_theorems():
    eta, step = harpg_schedule(100, 0.4)
    # t = 30: eta = 2 / 32, gamma = .4 / 4.
    assert (eta[0], eta[30], step[30]) == (1.0, 1 / 16, 0.1)
    eta, step = n_harpg_schedule(100, 0.4)
    assert (eta[30], step[30]) == (1 / 16, 0.8 / 32)


@pytest.mark.parametrize("normalized", [True, False])
def test_the_recursion_is_as_printed(normalized):
    eta, step = harpg_schedule(40, 0.1)
    run = harpg(NoisyGradient(CHAIN, 0.0), eta=eta, step=step, normalized=normalized, checkpoints=np.arange(40),
                rng=np.random.default_rng([71, 1]))  # fmt: skip
    theta, previous, d, D = np.array(CHAIN.theta0), np.array(CHAIN.theta0), np.zeros(2), CHAIN.occupancy
    for t in range(40):
        d = (1 - eta[t]) * (d - D * (theta - previous)) - eta[t] * D * (theta - CHAIN.centre)
        # Forty steps of a few roundings each, of numbers below 10.
        np.testing.assert_allclose(run["d"][0, t], d, rtol=0, atol=1e-13)
        np.testing.assert_allclose(run["theta"][0, t], theta, rtol=0, atol=1e-13)  # as above
        previous, theta = theta, theta + step[t] * d / (np.linalg.norm(d) if normalized else 1.0)


@pytest.mark.parametrize("name", ["no_correction", "correction_backwards", "correction_undamped"])
def test_every_wrong_correction_shows_even_late(name):
    run = getattr(ablations, name)(NoisyGradient(CHAIN, 0.0), 2000, 1.0, checkpoints=np.arange(1000, 2000),
                                   rng=np.random.default_rng([71, 2]))  # fmt: skip
    error = run["d"][0] + CHAIN.occupancy * (run["theta"][0] - CHAIN.centre)
    # The true method is off by rounding, 1e-15; the nearest miss by 3e-5.
    assert np.abs(error).max() > 1e-6


def test_without_memory_both_are_policy_gradient():
    model = MDP(np.full((2, 2, 2), 0.5), [[1.0, 0.0], [0.0, 1.0]], 0.9, mu=[0.5, 0.5])
    for oracle in (SingleTrajectory(fnd_logit(), 7), SoftmaxTrajectory(model, 7)):
        how = {"step": np.full(30, 0.1), "checkpoints": np.arange(30)}
        first = n_harpg(oracle, eta=np.ones(30), rng=np.random.default_rng([71, 3]), **how)
        second = normalized_policy_gradient(oracle, rng=np.random.default_rng([71, 3]), **how)
        assert (first["theta"] == second["theta"]).all()


def test_small_free_steps_descend_and_large_ones_do_not():
    """Item 8 of the notes' calibration, in the mean over 20 runs: it descends with gamma0 = .03, not with .3."""
    from mdplab.exact.policy_gradient import location_optimum, location_value

    chain = fnd_logit()
    best = location_value(chain, location_optimum(chain))
    gap = {}
    for gamma0 in (0.03, 0.3):
        eta, step = harpg_schedule(5000, gamma0)
        run = harpg(SingleTrajectory(chain, 30), eta=eta, step=step, checkpoints=np.array([0, 999, 4999]), seeds=20,
                    rng=np.random.default_rng([71, 4]))  # fmt: skip
        gap[gamma0] = (best - location_value(chain, run["theta"])).mean(axis=0)
    # The notes' means are .155 and .048 with seeds apart by about a third of that: means of 20 within half of them.
    assert gap[0.03][0] > gap[0.03][1] > gap[0.03][2]
    assert abs(gap[0.03][2] / 0.048 - 1) < 0.5
    assert gap[0.3][2] > gap[0.3][0]


def test_steps_and_momentum_out_of_range_are_named():
    eta, step = harpg_schedule(5, 0.1)
    how = {"checkpoints": np.arange(5), "rng": np.random.default_rng([71, 5])}
    with pytest.raises(ValueError, match=r"step\[0\] is -0\.1"):
        harpg(NoisyGradient(CHAIN, 0.0), eta=eta, step=-step, **how)
    with pytest.raises(ValueError, match=r"eta\[0\] is 2\.0"):
        n_harpg(NoisyGradient(CHAIN, 0.0), eta=2 * eta, step=step, **how)
    with pytest.raises(ValueError, match=r"theta0 has shape \(3,\)"):
        harpg(NoisyGradient(CHAIN, 0.0), eta=eta, step=step, theta0=np.zeros(3), **how)
