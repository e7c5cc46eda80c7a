"""Chains: their published values, or closed forms, against dense linear solves."""

import numpy as np
import pytest
from instances.exactly import finite_horizon, optimum, policy_value
from numpy.testing import assert_allclose

from mdplab import instances

# Dense solves of well-conditioned systems of a few states.
RTOL = 1e-10


def test_riverswim_of_strehl_and_littman_has_its_published_value():
    value, pi = optimum(instances.riverswim(version="strehl-littman"))
    # The notes give three decimals.
    assert_allclose(value[[0, 5]], [56687.649, 70582.794], rtol=0, atol=6e-4)
    assert (pi == 1).all()


def test_riverswim_of_osband_is_right_but_not_at_once():
    mdp = instances.riverswim(gamma=0.99)
    assert (optimum(mdp)[1] == 1).all()
    assert optimum(mdp.replace(gamma=0.5))[1][0] == 0
    assert_allclose(mdp.P.sum(axis=2), 1, rtol=1e-15)  # three terms, each rounded once
    assert instances.riverswim(20).S == 20


@pytest.mark.parametrize("gamma", [0.9, 0.99, 0.999])
def test_chain_value_is_that_of_going_on(gamma):
    mdp = instances.chain(gamma=gamma)
    assert_allclose(instances.chain_value(gamma=gamma), policy_value(mdp, np.zeros(5, int)), rtol=RTOL)


def test_chain_rewards_are_those_of_what_happens():
    mdp = instances.chain(3, slip=0.25)
    assert mdp.r.tolist() == [[0.5, 1.5], [0.5, 1.5], [8.0, 4.0]]
    assert mdp.P[1].tolist() == [[0.25, 0.0, 0.75], [0.75, 0.0, 0.25]]


def test_going_on_is_optimal_in_the_published_chain():
    """Dearden et al. report about 3.677 a step for the optimal policy; so does the gain of the closed form."""
    value, pi = optimum(instances.chain(gamma=0.99))
    assert (pi == 0).all()
    assert_allclose(value, instances.chain_value(gamma=0.99), rtol=RTOL)
    assert instances.chain_value(gamma=0.999999)[0] * 1e-6 == pytest.approx(3.677, abs=5e-4)  # three printed decimals


@pytest.mark.parametrize(("n", "A"), [(1, 1), (4, 2), (8, 3)])
def test_combination_lock_value(n, A):
    mdp = instances.combination_lock(n, A, gamma=0.9)
    exact = 0.9 ** (n - 1 - np.arange(n)) / (1 - 0.9)
    value, pi = optimum(mdp)
    assert_allclose(value, exact, rtol=RTOL)
    assert pi.tolist() == [s % A for s in range(n)]


@pytest.mark.parametrize("N", [1, 2, 10])
def test_deep_sea_is_worth_one(N):
    mdp = instances.deep_sea(N)
    assert mdp.horizon == N
    assert_allclose(finite_horizon(mdp)[0], 1.0, rtol=1e-15)  # a single reward of exactly 1, if N > 1 nothing else
    assert mdp.mu[0] == 1


def test_deep_sea_uniform_policy_rarely_finds_the_treasure():
    """The uniform policy takes N right turns with probability 2**-N; the rest of its value is 0.01 / N a left turn."""
    N = 8
    mdp = instances.deep_sea(N)
    P, r = mdp.P.mean(axis=1), mdp.r.mean(axis=1)
    value = np.zeros(N)
    for _ in range(N):
        value = r + P @ value
    assert value[0] == pytest.approx(2.0**-N + 0.01 / 2, rel=1e-12)  # rounding of N additions


def test_deep_sea_slips_to_the_other_move():
    mdp = instances.deep_sea(4, slip=0.25)
    assert mdp.P[1, 1].tolist() == [0.25, 0.0, 0.75, 0.0]
    assert mdp.P[1, 0].tolist() == [0.75, 0.0, 0.25, 0.0]


@pytest.mark.parametrize("n", [1, 2, 10, 20])
def test_restart_chain_is_a_fair_coin(n):
    mdp = instances.restart_chain(n)
    assert mdp.terminal.tolist() == [False] * n + [True, True]
    half = np.append(np.full(n, 0.5), [0.0, 0.0])
    # The closed form satisfies the equations exactly, with no rounding at all.
    assert np.array_equal(mdp.r[:, 0] + mdp.P[:, 0] @ half, half)
    steps = np.linalg.solve(np.eye(n) - mdp.P[:n, 0, :n], np.ones(n))
    assert steps[0] == pytest.approx(2.0 ** (n + 1) - 2, rel=1e-9)  # condition number of the order of the steps


@pytest.mark.parametrize(("n", "lie"), [(10, 0.4980), (20, 0.0)])
def test_plain_value_iteration_lies_about_the_restart_chain(n, lie):
    mdp = instances.restart_chain(n)
    value = np.zeros(mdp.S)
    while True:
        new = mdp.r[:, 0] + mdp.P[:, 0] @ value
        if np.abs(new - value).max() < 1e-6:
            break
        value = new
    assert value[0] == pytest.approx(lie, abs=1e-4)  # four printed decimals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: instances.riverswim(2), "S is 2"),
        (lambda: instances.riverswim(version="x"), "version is 'x'"),
        (lambda: instances.chain(1), "n is 1"),
        (lambda: instances.combination_lock(0), "n, A are 0, 3"),
        (lambda: instances.deep_sea(0), "N is 0"),
        (lambda: instances.deep_sea(3, slip=2), "slip is 2"),
        (lambda: instances.restart_chain(0), "n is 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
