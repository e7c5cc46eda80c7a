import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import (
    NoisyGradient,
    SingleTrajectory,
    normalized_policy_gradient,
    policy_gradient,
    vanilla_schedule,
)
from mdplab.instances.policy_gradient import fnd_logit, qchain


def test_steps_follow_single_estimates():
    step = vanilla_schedule(25, 0.5)
    oracle, how = SingleTrajectory(fnd_logit(), 6), {"checkpoints": np.arange(25)}
    run = policy_gradient(oracle, step=step, rng=np.random.default_rng([72, 1]), **how)
    theta, d = run["theta"][0], run["d"][0]
    # A product and a sum of numbers below 10.
    np.testing.assert_allclose(theta[1:], theta[:-1] + step[:-1, None] * d[:-1], rtol=0, atol=1e-14)
    unit = normalized_policy_gradient(oracle, step=step, rng=np.random.default_rng([72, 1]), **how)
    lengths = np.linalg.norm(np.diff(unit["theta"][0], axis=0), axis=-1)
    np.testing.assert_allclose(lengths, step[:-1], rtol=0, atol=1e-14)  # as above
    # The same trajectory comes first, at the same point.
    assert (run["d"][0, 0] == unit["d"][0, 0]).all()


def test_a_quadratic_contracts_as_its_curvature_says():
    chain = qchain()
    run = policy_gradient(NoisyGradient(chain, 0.0), step=np.full(10, 0.2), checkpoints=np.arange(10),
                          rng=np.random.default_rng([72, 2]))  # fmt: skip
    shrunk = (1 - 0.2 * chain.occupancy) ** np.arange(10)[:, None] * (chain.theta0 - chain.centre)
    # Ten steps of three roundings of numbers below 3.
    np.testing.assert_allclose(run["theta"][0] - chain.centre, shrunk, rtol=0, atol=1e-14)


def test_steps_that_are_not_positive_are_named():
    with pytest.raises(ValueError, match=r"step\[1\] is 0\.0"):
        policy_gradient(NoisyGradient(qchain(), 0.0), step=np.array([1.0, 0.0]), checkpoints=np.arange(2),
                        rng=np.random.default_rng([72, 3]))  # fmt: skip
