"""What the claims about the decomposition rest on: the split's program, the tilts, the witness, an attained bound."""

import numpy as np
import pytest

from mdplab.algorithms.distributional import cvar_evaluation, cvar_value_iteration
from mdplab.instances.stock_grids import chow_gap
from mdplab.models import cvar
from mdplab.papers import chow2015

PARAMS = chow2015.Params(states=2, problems=2, horizon=3, points=10, nodes=16)


def test_the_witness_promises_a_third_too_much():
    problem = chow_gap()
    promised = cvar_value_iteration(problem.mdp, outcomes=problem.outcomes).value(0, 0.5)
    # One division by three.
    assert promised == pytest.approx(-2 / 3, abs=1e-15)
    assert chow2015._best(problem, (0.5,)) == [-1.0]


def test_the_program_of_the_split_at_level_one_is_the_mean():
    problem = chow2015._problem(PARAMS, np.random.default_rng([451]))
    policy = np.full((2, 2), 0.5)
    mean = chow2015._law(problem, policy, 0, 3).mean
    assert chow2015._split_program(problem, policy, 1.0) == pytest.approx(mean, abs=1e-8)  # HiGHS's tolerance


def test_tilts_at_level_one_are_none_and_at_level_zero_all():
    problem = chow2015._problem(PARAMS, np.random.default_rng([452]))
    policy = np.full((2, 2), 0.5)
    run = cvar_evaluation(problem.mdp, policy, outcomes=problem.outcomes)
    law = chow2015._law(problem, policy, 0, 3)
    mean, product = chow2015._perturbed(problem, run, policy, 0, 1.0, None)
    # Sums of at most 64 terms.
    assert (mean, product) == pytest.approx((law.mean, 1.0), abs=1e-12)
    least = law.p[0] / 2
    assert chow2015._perturbed(problem, run, policy, 0, least, None)[0] == pytest.approx(
        law.x[0], abs=1e-9
    )  # atoms merge within 1e-12
    # With the whole budget at each step she has more than one budget.
    assert chow2015._perturbed(problem, run, policy, 0, 0.5, 2.0)[0] < cvar(law, 0.5)


def test_the_coin_attains_the_bound_on_odd_grids_only():
    coin = chow2015._coin()
    for n in (1, 3, 9):
        assert chow2015._error(coin, n) == pytest.approx(0.5 / n, abs=1e-15)  # a division by n
    assert chow2015._error(coin, 2) == 0
    assert chow2015._room(coin, 1 / 3, 0.25, 1.0) == pytest.approx(0.5 / 3, abs=1e-15)


def test_figures_show_what_the_claims_say():
    table = chow2015.figure_overestimate(PARAMS, np.random.default_rng([453]))
    assert np.all(table["attained"] <= table["best"] + 1e-9)  # atoms merge within 1e-11 of their size
    assert np.all(table["best"] <= table["promised"] + 1e-9)
    assert table["promised"][-1] - table["best"][-1] > 0.33
    table = chow2015.figure_nodes(PARAMS, np.random.default_rng([454]))
    assert np.all(table["error"] <= table["bound"])
    np.testing.assert_allclose(table["coin"], table["bound_coin"], rtol=1e-12)  # equal but for rounding
