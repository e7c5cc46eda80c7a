import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import NoisyGradient, ablations
from mdplab.instances.policy_gradient import qchain

CHAIN = qchain()


def _largest_error(method, start=0):
    rng = np.random.default_rng([69, 1])
    run = method(NoisyGradient(CHAIN, 0.0), 2000, 1.0, checkpoints=np.arange(2000), rng=rng)
    error = run["d"][0] + CHAIN.occupancy * (run["theta"][0] - CHAIN.centre)
    return np.abs(error[start:]).max()


@pytest.mark.parametrize("name", ["no_look_ahead", "one_over_eta", "next_eta", "backwards", "momentum"])
def test_every_wrong_look_ahead_shows_even_late(name):
    # The true method is off by rounding, 1e-15; the nearest miss by 1e-6 at this time.
    assert _largest_error(getattr(ablations, name), start=1000) > 1e-7


@pytest.mark.parametrize("name", ["transport", "longer", "constant", "two_fifths"])
def test_the_look_ahead_that_fits_its_momentum_is_exact_whatever_the_momentum(name):
    # Some roundings a step over an effective window of at most 250 steps.
    assert _largest_error(getattr(ablations, name)) < 1e-12
