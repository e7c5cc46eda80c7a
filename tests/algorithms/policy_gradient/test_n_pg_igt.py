import numpy as np

from mdplab.algorithms.policy_gradient import NoisyGradient, igt_schedule, n_pg_igt
from mdplab.instances.policy_gradient import qchain


def test_schedule_is_the_theorems():
    eta, step = igt_schedule(1000, 2.5)
    assert eta[0] == 1.0
    # t = 62: (2 / 64)^(4/5) = 2^-4; the step constant 2 gamma0 / (t + 2) = 5 / 64.
    assert abs(eta[62] - 2.0**-4) < 1e-16
    assert step[62] == 5 / 64


def test_transport_is_exact_with_exact_gradients_and_forgets_the_start_with_noise():
    chain, T = qchain(), 5000
    eta, step = igt_schedule(T, 1.0)
    errors = []
    for noise, theta0 in ((0.0, None), (0.3, None), (0.3, chain.centre + 0.1)):
        run = n_pg_igt(NoisyGradient(chain, noise), eta=eta, step=step, checkpoints=np.arange(T), theta0=theta0,
                       rng=np.random.default_rng([68, 1]))  # fmt: skip
        errors.append(run["d"][0] + chain.occupancy * (run["theta"][0] - chain.centre))
    # A few roundings a step, averaged; derived in the paper's claim exact_oracle, measured 1e-15.
    assert np.abs(errors[0]).max() < 1e-13
    # With a constant Hessian the error is a weighted sum of the noise alone: the same numbers from another start.
    np.testing.assert_allclose(errors[1], errors[2], rtol=0, atol=1e-12)  # rounding, as above
    assert np.abs(errors[1]).max() > 0.1
