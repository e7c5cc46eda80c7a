"""Natural policy gradients: three routes, the tabular closed form, and the ablation that must differ."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.npg import DIRECTIONS, compatible_direction, npg, tabular_features
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.instances import garnet
from mdplab.kernels.softmax import log_softmax


@pytest.fixture
def mdp():
    return garnet(4, 3, 2, gamma=0.9, rng=np.random.default_rng([605])).replace(mu=np.full(4, 0.25))


def test_routes_agree_on_features(mdp):
    rng = np.random.default_rng([605, 1])
    features, theta = rng.standard_normal((4, 3, 5)), rng.standard_normal(5)
    found = [route(mdp, features, theta) for route in DIRECTIONS.values()]
    for w in found[1:]:
        # Rounding magnified by the condition of a 5 x 5 Fisher matrix of random features.
        np.testing.assert_allclose(w, found[0], rtol=1e-9)
    uncentred = compatible_direction(mdp, features, theta, centred=False)
    assert np.abs(uncentred - found[0]).max() > 0.01 * np.abs(found[0]).max()


@pytest.mark.parametrize("route", sorted(DIRECTIONS))
def test_the_tabular_step_is_the_advantage(mdp, route):
    theta = np.random.default_rng([605, 2]).standard_normal(12)
    run = npg(mdp, eta=0.7, num_iters=1, theta0=theta, direction=route)
    logits = theta.reshape(4, 3)
    pi = np.exp(log_softmax(logits))
    v = np.linalg.solve(np.eye(4) - mdp.gamma * np.einsum("sa,sat->st", pi, mdp.P), (pi * mdp.r).sum(axis=1))
    expected = log_softmax(logits + 0.7 * (mdp.r + mdp.gamma * mdp.P @ v))
    # Rounding of values up to 10.
    np.testing.assert_allclose(run["log_policy"][1], expected, atol=1e-11)


def test_the_step_ascends(mdp):
    theta = np.random.default_rng([605, 3]).standard_normal(12)
    w = DIRECTIONS["fisher"](mdp, tabular_features(4, 3), theta)
    assert w @ softmax_gradient(mdp, theta.reshape(4, 3)).ravel() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 0.0}, "eta is 0.0"),
        ({"direction": "steepest"}, "direction is 'steepest'"),
        ({"theta0": np.zeros(3)}, "features and theta"),
    ],
)
def test_bad_input_is_named(mdp, options, message):
    with pytest.raises(ValueError, match=message):
        npg(mdp, **{"eta": 1.0, "num_iters": 1} | options)
