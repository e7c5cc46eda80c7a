"""Robust mirror descent reaches the certified optimum, in both geometries."""

import numpy as np
import pytest

from mdplab.algorithms.robust.mirror_descent import robust_mirror_descent
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import drpg_garnet, opposite_models


@pytest.mark.parametrize("divergence", ["kl", "euclidean"])
def test_values_rise_to_the_optimum_of_sa_sets(divergence):
    for i in range(3):
        problem = drpg_garnet(4, 3, 3, rng=np.random.default_rng([88, i]))
        best = robust_policy_iteration(problem, tol=1e-7).value
        run = robust_mirror_descent(problem, num_iters=60, eta=20.0, divergence=divergence)
        # No step lowers any value: each is greedy enough in the robust q-function. Evaluations are exact to 1e-10.
        assert np.all(np.diff(run["value"], axis=0) >= -1e-8)
        np.testing.assert_allclose(run["value"][-1], best, rtol=1e-3)  # the last gap, which steps of 20 leave


def test_mixtures_are_approached_with_short_steps():
    run = robust_mirror_descent(opposite_models(), num_iters=300, eta=0.02)
    assert run["value"][-1, 0] > 4.3


def test_bad_input():
    with pytest.raises(ValueError, match="divergence is 'bregman'"):
        robust_mirror_descent(opposite_models(), num_iters=1, eta=1.0, divergence="bregman")
    with pytest.raises(ValueError, match="eta is 0"):
        robust_mirror_descent(opposite_models(), num_iters=1, eta=0.0)
    with pytest.raises(ValueError, match="eta is inf"):
        robust_mirror_descent(opposite_models(), num_iters=1, eta=np.inf)
    with pytest.raises(ValueError, match=r"pi0\[0\] is \[0.5, 0.4\]"):
        robust_mirror_descent(opposite_models(), num_iters=1, eta=1.0, pi0=np.full((3, 2), [0.5, 0.4]))
    with pytest.raises(ValueError, match="num_iters is -1"):
        robust_mirror_descent(opposite_models(), num_iters=-1, eta=1.0)
