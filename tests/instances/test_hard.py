"""Lower-bound instances: exact values, and the size of what separates them."""

from fractions import Fraction

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab import instances

# Dense solves of well-conditioned systems of a few states.
RTOL = 1e-10


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_azar_value(gamma):
    gap = (1 - gamma) ** 2
    arguments = {"K": 3, "L": 2, "gamma": gamma, "gap": gap, "best": ((0, 1), (2, 0))}
    value, pi = optimum(instances.azar_hard(**arguments))
    assert_allclose(value, instances.azar_hard_value(**arguments), rtol=RTOL)
    assert pi[[0, 2]].tolist() == [1, 0]
    flat = instances.azar_hard_value(3, 2, gamma=gamma)
    # 1 - gamma p = 4 (1 - gamma) / 3; the rest is rounding of 1 / (1 - gamma).
    assert_allclose(flat[:3], gamma * 3 / (4 * (1 - gamma)), rtol=1e-12)
    assert (value[[0, 2]] > flat[[0, 2]]).all()


def test_two_point_models_differ_in_one_row_and_in_the_optimal_action():
    plus, minus = (instances.two_point(0.125, sign=sign) for sign in (1, -1))
    assert [tuple(i) for i in np.argwhere((plus.P != minus.P).any(axis=2)).tolist()] == [(0, 1)]
    assert optimum(plus)[1][0] == 1 and optimum(minus)[1][0] == 0
    for mdp, b in ((plus, Fraction(5, 8)), (minus, Fraction(1, 2))):
        gamma = Fraction(mdp.gamma)
        # All numbers are dyadic, so the closed form is met exactly.
        assert Fraction(optimum(mdp)[0][0].item()) == gamma * b / (1 - gamma)


@pytest.mark.parametrize(("best", "A"), [(0, 2), (3, 5)])
def test_jao_discounted_value_and_gain(best, A):
    delta, eps, gamma = 0.125, 0.0625, 0.999
    mdp = instances.jao(A, delta=delta, eps=eps, best=best, gamma=gamma)
    value, pi = optimum(mdp)
    assert pi[0] == best
    assert_allclose(value, instances.two_state_value(delta + eps, delta, (0.0, 1.0), gamma), rtol=RTOL)
    chain = mdp.P[[0, 1], pi]
    stationary = np.linalg.solve(np.vstack([(chain.T - np.eye(2))[0], np.ones(2)]), [0.0, 1.0])
    assert stationary[1] == pytest.approx((delta + eps) / (2 * delta + eps), rel=1e-12)  # a 2 x 2 solve


def test_jao_without_a_better_action_is_indifferent():
    mdp = instances.jao(3, best=None)
    assert (mdp.P[0] == mdp.P[0, 0]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: instances.azar_hard(gamma=0.2), "gamma is 0.2"),
        (lambda: instances.azar_hard(gap=0.9), "gap is 0.9"),
        (lambda: instances.azar_hard(best=((9, 0),)), r"pair \(9, 0\)"),
        (lambda: instances.two_point(0.7), "delta is 0.7"),
        (lambda: instances.two_point(sign=2), "sign is 2"),
        (lambda: instances.jao(2, best=2), "best is 2"),
        (lambda: instances.jao(0), "A is 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
