import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import NoisyGradient, SingleTrajectory
from mdplab.exact.policy_gradient import location_gradient
from mdplab.instances.policy_gradient import fnd_logit, qchain
from mdplab.kernels import location


@pytest.mark.parametrize("chain", [qchain(), fnd_logit()], ids=["gaussian", "logistic"])
def test_trajectory_estimates_average_to_the_truncated_gradient(chain):
    theta, horizon = np.array([1.4, -2.0]), 8
    g = SingleTrajectory(chain, horizon).draw(theta, 200_000, rng=np.random.default_rng([61, 1]))
    z = (g.mean(axis=0) - location_gradient(chain, theta, horizon=horizon)) * np.sqrt(len(g)) / g.std(axis=0)
    # Four z-scores in two cases: beyond 5 with probability 2e-6.
    assert np.abs(z).max() < 5


def test_the_average_would_miss_a_longer_horizon():
    theta, chain = np.array([1.4, -2.0]), fnd_logit()
    g = SingleTrajectory(chain, 2).draw(theta, 200_000, rng=np.random.default_rng([61, 2]))
    z = (g.mean(axis=0) - location_gradient(chain, theta, horizon=3)) * np.sqrt(len(g)) / g.std(axis=0)
    assert np.abs(z).max() > 10


ORACLES = {
    "noisy": NoisyGradient(qchain(), 0.3),
    "gaussian": SingleTrajectory(qchain(), 4),
    "logistic": SingleTrajectory(fnd_logit(), 4),
}


@pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)
def test_compiled_and_plain_runs_agree(oracle):
    T = 20
    eta, step = (2 / (np.arange(T) + 2)) ** 0.8, 2 / (np.arange(T) + 2)
    runs = []
    for form in (location.momentum_ascent, getattr(location.momentum_ascent, "py_func", location.momentum_ascent)):
        theta, d = np.empty((2, 2, T, 2))
        start, rng = np.array(oracle.chain.theta0), np.random.default_rng([61, 3])
        form(*oracle.arguments(), start, (1 - eta) / eta, eta, step, np.arange(T), rng, theta, d)
        runs.append(np.stack([theta, d]))
    # The compiler may contract a multiplication and an addition: some roundings a step, amplified by 1 / eta.
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-11)


def test_the_exact_oracle_draws_nothing():
    rng = np.random.default_rng([61, 4])
    before = rng.bit_generator.state["state"]["state"]
    g = np.empty(2)
    location.noisy_gradient(np.zeros(2), np.ones(2), np.array([1.0, 2.0]), 0.0, rng, g)
    assert g.tolist() == [1.0, 2.0]
    assert rng.bit_generator.state["state"]["state"] == before
