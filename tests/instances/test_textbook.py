"""Textbook problems: closed forms and printed values against dense linear solves."""

import numpy as np
import pytest
from instances.exactly import finite_horizon, optimum, policy_value
from numpy.testing import assert_allclose

from mdplab import instances

# Dense solves of well-conditioned systems of a few states.
RTOL = 1e-10


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
@pytest.mark.parametrize(("leave", "back"), [(0.3, 0.6), (0.0, 1.0), (1.0, 1.0), (0.25, 0.0)])
def test_two_state_value(leave, back, gamma):
    r = (1.25, -0.5)
    mdp = instances.two_state(leave, back, r=r, gamma=gamma)
    assert_allclose(instances.two_state_value(leave, back, r, gamma), optimum(mdp)[0], rtol=RTOL, atol=1e-12)  # zeros


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 10 / 11 - 0.01, 10 / 11 + 0.01, 0.99])
def test_puterman_two_states(gamma):
    value, pi = optimum(instances.two_state_choice(gamma=gamma))
    assert_allclose(value, instances.two_state_choice_value(gamma), rtol=RTOL, atol=1e-12)  # zeros
    assert pi[0] == int(gamma < 10 / 11)


@pytest.mark.parametrize(("S", "p", "gamma"), [(2, 0.1, 0.9), (3, 0.1, 0.9), (3, 0.05, 0.96), (10, 0.01, 0.99)])
def test_forest_waits_where_the_closed_form_says(S, p, gamma):
    mdp = instances.forest_management(S, p=p, gamma=gamma)
    closed = instances.forest_value(S, p=p, gamma=gamma)
    assert_allclose(closed, policy_value(mdp, np.zeros(S, int)), rtol=RTOL)
    assert_allclose(optimum(mdp)[0], closed, rtol=RTOL)


def test_forest_prints_the_values_of_the_toolbox():
    # Three decimals of the toolbox's documentation.
    assert_allclose(optimum(instances.forest_management())[0], [26.244, 29.484, 33.484], rtol=0, atol=5e-4)


@pytest.mark.parametrize(
    ("gamma", "printed"), [(0.8, (-1.7666, -12.8807, -1.8222)), (0.95, (-12.4553, -23.7809, -12.1803))]
)
def test_machine_replacement_values(gamma, printed):
    value = optimum(instances.machine_replacement(gamma=gamma))[0]
    assert_allclose(value[[0, 7, 9]], printed, rtol=0, atol=6e-5)  # four printed decimals


def test_inventory_values_of_the_book():
    mdp = instances.inventory(gamma=1.0, horizon=3)
    # Halves and quarters: every number here is exact.
    assert (finite_horizon(mdp) * 16).tolist() == [67, 129, 194, 227]
    assert mdp.r[1].tolist() == [5.0, 0.0, -3.0, 0.0]
    assert mdp.actions.sum(axis=1).tolist() == [4, 3, 2, 1]


def test_inventory_conserves_probability_for_any_demand():
    mdp = instances.inventory(6, demand=(0.1, 0.2, 0.3, 0.2, 0.15, 0.05), gamma=0.9)
    assert_allclose(mdp.P.sum(axis=2)[mdp.actions], 1, rtol=1e-15)  # six terms, each rounded once
    assert not mdp.P[~mdp.actions].any()


def test_inventory_refuses_a_demand_that_is_no_distribution():
    with pytest.raises(ValueError, match=r"P\[0, 0\] sums to 0\.9"):
        instances.inventory(demand=(0.5, 0.4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: instances.forest_management(1), "S is 1"),
        (lambda: instances.forest_management(p=-1), "p is -1"),
        (lambda: instances.inventory(0), "capacity is 0"),
        (lambda: instances.two_state(leave=2.0), r"P\[0, 0, 0\] is -1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
