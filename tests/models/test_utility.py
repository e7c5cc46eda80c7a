import numpy as np
import pytest
import scipy.sparse as sp

from mdplab.models import MDP
from mdplab.models.utility import (
    Utility,
    UtilityMDP,
    entropy_utility,
    imitation_utility,
    linear_utility,
    log_utility,
    quadratic_utility,
)


def _utilities(rng, floor=0.0):
    r, expert = rng.random((3, 2)), rng.uniform(0.1, 1.0, (3, 2))
    return [
        linear_utility(r),
        log_utility(r, shift=0.1, floor=floor),
        entropy_utility(3, 2, 0.7, floor=floor),
        quadratic_utility(rng.standard_normal((2, 6)), [0.3, 0.4], (3, 2)),
        imitation_utility(r, expert, weight=0.5, floor=floor),
    ]


@pytest.mark.parametrize("floor", [0.0, 0.4])
def test_gradient_is_the_derivative(floor):
    rng = np.random.default_rng([91, 1])
    lam, steps = rng.uniform(0.1, 1.0, (3, 2)), np.eye(6).reshape(6, 3, 2) * 1e-30j
    for utility in _utilities(rng, floor):
        slopes = np.array([utility.value(lam + h).imag / 1e-30 for h in steps]).reshape(3, 2)
        # Complex steps have no truncation error; slopes are below 10.
        np.testing.assert_allclose(utility.gradient(lam), slopes, rtol=0, atol=1e-13)


@pytest.mark.parametrize("floor", [0.0, 0.4])
def test_batches_agree_and_every_utility_is_concave(floor):
    rng = np.random.default_rng([91, 2])
    lam, other = rng.uniform(0.05, 1.0, (2, 50, 3, 2))
    for utility in _utilities(rng, floor):
        value, gradient = utility.value(lam), utility.gradient(lam)
        assert value.shape == (50,) and gradient.shape == (50, 3, 2)
        np.testing.assert_array_equal(gradient[7], utility.gradient(lam[7]))
        above = value + (gradient * (other - lam)).sum(axis=(1, 2))
        # Rounding of values below 100.
        assert (utility.value(other) <= above + 1e-12).all()


def test_below_the_floor_is_the_tangent_and_above_it_the_function():
    plain, floored = log_utility([[1.0]], shift=0.0), log_utility([[1.0]], shift=0.0, floor=0.5)
    at = [np.array([[x]]) for x in (2.0, 0.5, -1.0)]
    assert plain.value(at[0]) == floored.value(at[0]) and plain.value(at[1]) == floored.value(at[1])
    assert floored.value(at[2]) == np.log(0.5) + 2 * (-1.0 - 0.5)
    assert floored.gradient(at[2]).tolist() == [[2.0]]
    assert floored.smooth and not plain.smooth


def test_a_gradient_that_is_not_finite_is_refused_by_name():
    expected = "of the entropy utility is inf at state 1, action 0, where the occupancy is 0;"
    with pytest.raises(ValueError, match=expected):
        imitation_utility(np.zeros((2, 2)), np.ones((2, 2)), weight=1.0).gradient(np.array([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="log utility is inf at state 0, action 0"):
        log_utility([[1.0, 0.5]], shift=-1.0).gradient(np.array([[0.5, 0.25]]))
    # The value is finite there: -x log x is 0 at 0.
    assert entropy_utility(2, 1, 0.5).value(np.array([[2.0], [0.0]])) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_utility([[np.nan]]), r"reward\[0, 0\] is nan"),
        (lambda: linear_utility([1.0]), r"reward has shape \(1,\)"),
        (lambda: Utility([[1.0]], "cubic"), "kind is 'cubic'"),
        (lambda: Utility([[1.0]], weight=-1.0), "weight is -1.0"),
        (lambda: log_utility([[1.0]], shift=0.1, floor=-0.5), "floor is -0.5"),
        (lambda: quadratic_utility(np.ones((2, 3)), [0.0, 0.0], (2, 2)), "matrix has 3 columns"),
        (lambda: quadratic_utility(np.ones((2, 4)), [0.0], (2, 2)), r"shift has shape \(1,\)"),
        (lambda: imitation_utility([[1.0, 1.0]], [[1.0, 0.0]], weight=1.0), r"expert\[0, 1\] is 0.0"),
        (lambda: imitation_utility([[1.0]], [[1.0]], weight=-2.0), "weight is -2.0"),
        (lambda: imitation_utility([[1.0]], [[1.0, 1.0]], weight=1.0), r"expert has shape \(1, 2\), reward \(1, 1\)"),
        (lambda: imitation_utility([[1.0]], [[1.0]], weight=np.nan), "weight is nan"),
        (lambda: log_utility([[1.0]], shift=np.inf), r"shift\[0\] is inf"),
        (lambda: entropy_utility(2, 1, 1.0), "gamma is 1.0"),
        (lambda: entropy_utility(2, 1, np.nan), "gamma is nan"),
        (lambda: linear_utility([[1.0, 1.0]]).value(np.ones((1, 1))), r"occupancy has shape \(1, 1\)"),
        (lambda: entropy_utility(2, 1, 0.5).gradient(np.ones((2, 2))), r"occupancy has shape \(2, 2\)"),
        (lambda: entropy_utility(2, 1, 0.5).arguments(np.ones(2)), r"occupancy has shape \(2,\)"),
    ],
)
def test_bad_utilities_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_problems_name_what_does_not_fit():
    mdp, utility = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5, mu=[1.0]), linear_utility([[1.0, 0.0]])
    assert UtilityMDP(mdp, utility).utility is utility
    for arguments, message in (
        ((utility, utility), "mdp is a Utility; expected MDP"),
        ((mdp, mdp.r), "utility is a ndarray; expected Utility"),
        ((MDP(mdp.P, mdp.r, 0.5), utility), "mdp.mu is None"),
        ((mdp.replace(horizon=3), utility), "mdp has gamma 0.5 and horizon 3"),
        ((MDP(mdp.P, mdp.r, 1.0, mu=[1.0]), utility), "mdp has gamma 1 and horizon None"),
        ((mdp, linear_utility([[1.0]])), r"utility.reward has shape \(1, 1\); expected that of the MDP, \(1, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            UtilityMDP(*arguments)


def test_entries_of_one_place_are_added_up():
    twice = sp.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 2))
    assert quadratic_utility(twice, [0.0], (1, 2)).matrix.data.tolist() == [3.0]
    assert twice.data.tolist() == [1.0, 2.0]
