"""Plans of natural policy gradient by hand, and rank-one updates against matrix inversion."""

import numpy as np
import pytest

from mdplab.kernels.sensitivity import add_weighted, bonus_plan, quadratic


def test_updates_are_inverses():
    rng = np.random.default_rng([2120])
    root = rng.standard_normal((4, 4))
    L, phi, z = root @ root.T + np.eye(4), rng.standard_normal(4), np.empty(4)
    phi[1] = 0.0
    inverse = np.linalg.inv(L)
    x = quadratic(phi, inverse, z)
    assert x == pytest.approx(phi @ np.linalg.solve(L, phi), rel=1e-12)  # condition numbers of some tens
    gain = add_weighted(2.5, x, z, inverse)
    after = L + 2.5 * np.outer(phi, phi)
    np.testing.assert_allclose(inverse @ after, np.eye(4), atol=1e-12)  # as above
    # Two logarithms of determinants of a few hundred.
    assert gain == pytest.approx(np.linalg.slogdet(after)[1] - np.linalg.slogdet(L)[1], abs=1e-13)


def test_a_plan_without_noise_is_natural_policy_gradient_on_the_model():
    """One stage: logits are eta K times clipped reward estimates plus bonus."""
    phi, inverse, returns = np.eye(3).reshape(1, 3, 3), np.diag([0.5, 0.25, 1.0])[None], np.array([[1.0, 2.0, 0.0]])
    pi = np.empty((1, 1, 3))
    bonus_plan(phi, inverse, np.zeros((1, 3, 1)), returns, 0.4, 0.3, 5, 0.75, pi)
    q = np.minimum([0.5 + 0.4 * np.sqrt(0.5), 0.5 + 0.4 * 0.5, 0.4], 0.75)
    weights = np.exp(5 * 0.3 * q)
    # Five additions and an exponential.
    np.testing.assert_allclose(pi[0, 0], weights / weights.sum(), rtol=1e-14)


def test_a_plan_evaluates_the_policy_it_improves():
    """Two stages: after one step the first stage has seen the uniform second one, after many the greedy one."""
    phi, inverse = np.eye(4).reshape(2, 2, 4), np.tile(np.eye(4), (2, 1, 1))
    # Stage 0: action 0 of state 0 pays 0.6; action 1 leads to state 1, where stage 1 pays 1 or 0.
    following, returns = np.zeros((2, 4, 2)), np.zeros((2, 4))
    following[0, 1, 1] = 1.0
    returns[0, 0], returns[1, 2] = 0.6, 1.0
    pi = np.empty((2, 2, 2))
    bonus_plan(phi, inverse, following, returns, 0.0, 1.0, 1, 2.0, pi)
    # The logits are 0.6 and 1/2; one exponential.
    assert np.log(pi[0, 0, 0] / pi[0, 0, 1]) == pytest.approx(0.1, rel=1e-13)
    bonus_plan(phi, inverse, following, returns, 0.0, 1.0, 60, 2.0, pi)
    assert pi[0, 0, 1] > 0.999 and pi[1, 1, 0] > 0.999
