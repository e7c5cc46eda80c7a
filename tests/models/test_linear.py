"""Linear problems say what is wrong with their features, factors and data, and hold what they were given."""

import numpy as np
import pytest

from mdplab import instances
from mdplab.instances.linear import one_hot, random_linear_mdp, simulated_linear_mdp
from mdplab.models import KLBall, L1Ball, LinearMDP, OfflineData, RobustLinearMDP, TVBall, WeightedL1Ball

PHI = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
MU = np.array([[0.0, 1.0], [1.0, 0.0]])
THETA = np.array([0.0, 1.0])


def test_products_are_the_kernels_and_the_rewards():
    linear = random_linear_mdp(5, 3, 4, 2, rng=np.random.default_rng([1]))
    for h, s, a in np.ndindex(2, 5, 3):
        row = sum(linear.phi[s, a, i] * linear.mu[h, i] for i in range(4))
        # Sums of four products, and a division by a sum within rounding of one.
        np.testing.assert_allclose(linear.kernels()[h, s, a], row, rtol=0, atol=1e-15)
        assert linear.rewards()[h, s, a] == pytest.approx(linear.phi[s, a] @ linear.theta[h], rel=1e-14)  # one product


def test_a_tabular_problem_survives_one_hot_features():
    mdp = instances.chain10(gamma=0.9).replace(horizon=4)
    back = one_hot(mdp).tabular()
    assert np.array_equal(back.P, mdp.dense().P) and np.array_equal(back.r, mdp.r)
    assert back.horizon == 4 and back.gamma == 1


def test_features_with_signs_are_fine_as_long_as_the_products_are_distributions():
    # P = mu_0 phi_0 + mu_1 phi_1 with phi_1 negative: 2 (1/2, 1/2) - (0.4, 0.6) = (0.6, 0.4).
    linear = LinearMDP([[[2.0, -1.0]]] * 2, [[0.5, 0.5], [0.4, 0.6]], [0.0, 0.0], 1)
    np.testing.assert_allclose(linear.kernels()[0, 0, 0], [0.6, 0.4], rtol=0, atol=1e-15)  # one rounding
    with pytest.raises(ValueError, match=r"phi\[0, 0, 1\] is -1; d-rectangular"):
        RobustLinearMDP(linear, TVBall(0.1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": PHI[0]}, r"phi has shape \(1, 2\); expected \(S, A, d\)"),
        ({"mu": MU[:, :1]}, r"mu has shape \(2, 1\); expected \(2, 2\) or \(3, 2, 2\)"),
        ({"theta": np.ones((2, 2))}, r"theta has shape \(2, 2\); expected \(2,\) or \(3, 2\)"),
        ({"theta": [0.0, np.nan]}, r"theta\[1\] is nan"),
        ({"phi": 2 * PHI}, r"phi . mu\[0, 0, 0\] sums to 2, not 1"),
        ({"mu": [[-0.5, 1.5], [1.0, 0.0]]}, r"phi . mu\[0, 0, 0, 0\] is -0.5"),
        ({"horizon": 0}, r"horizon is 0"),
        ({"start": 2}, r"start is 2; expected a state in 0..1"),
        ({"start": [0.5, 0.4]}, r"start sums to 0.9, not 1"),
    ],
)
def test_a_bad_model_is_refused(change, message):
    arguments = {"phi": PHI, "mu": MU, "theta": THETA, "horizon": 3} | change
    with pytest.raises(ValueError, match=message):
        LinearMDP(**arguments)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (L1Ball(0.1, rectangularity="s"), r"uncertainty is 'l1', 's'; expected an \(s, a\)-set among"),
        (WeightedL1Ball(0.1, np.ones(2)), r"uncertainty is 'weighted_l1', 'sa'"),
        ("tv", r"uncertainty is 'tv'"),
        (TVBall(np.zeros((2, 2))), r"radius has shape \(2, 2\); expected a number, \(3,\) or \(3, 2\)"),
    ],
)
def test_a_set_that_factors_do_not_have_is_refused(one, message):
    with pytest.raises(ValueError, match=message):
        RobustLinearMDP(LinearMDP(PHI, MU, THETA, 3), one)


def test_factors_of_robust_problems_are_distributions():
    # The products are distributions although the second factor is none: no action has its feature.
    linear = LinearMDP([[[1.0, 0.0]]], [[1.0], [0.3]], THETA, 2)
    with pytest.raises(ValueError, match=r"mu\[0, 1\] sums to 0.3; d-rectangular sets need 1"):
        RobustLinearMDP(linear, KLBall(0.1))


def test_radii_follow_stages_and_factors():
    linear = simulated_linear_mdp()
    sizes = np.arange(12.0).reshape(3, 4) / 12
    assert np.array_equal(RobustLinearMDP(linear, TVBall(sizes)).sizes(), sizes)
    assert np.array_equal(RobustLinearMDP(linear, TVBall(sizes[:, 1])).sizes(), np.repeat(sizes[:, 1:2], 4, axis=1))
    assert np.array_equal(RobustLinearMDP(linear, TVBall(sizes)).factor_set().radius, sizes.ravel())


def test_stages_that_differ_have_no_tabular_form():
    with pytest.raises(ValueError, match=r"theta\[1, 3\] is 1 and 0 at stage 0"):
        simulated_linear_mdp().tabular()


@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        ([[0, 5, 1]], [[0, 0]], r"states\[0, 1\] is 5; expected 0..1"),
        ([[0, 1, 1]], [[0, -1]], r"actions\[0, 1\] is -1; expected 0..0"),
        ([[0, 1]], [[0, 0]], r"states has shape \(1, 2\) and actions \(1, 2\)"),
        (
            np.zeros((0, 3), dtype=int),
            np.zeros((0, 2), dtype=int),
            r"actions has shape \(0, 2\); expected at least one",
        ),
        ([[0.0, 1.0]], [[0]], r"states has shape \(1, 2\) and dtype float64"),
    ],
)
def test_bad_data_are_refused(states, actions, message):
    with pytest.raises(ValueError, match=message):
        OfflineData(states, actions, 2, 1)


def test_what_the_data_never_enter():
    assert OfflineData([[0, 1, 1], [0, 1, 2]], [[0, 0], [0, 0]], 4, 1).unvisited().tolist() == [
        True,
        False,
        False,
        True,
    ]
