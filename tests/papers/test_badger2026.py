"""What the claims about RCPI rest on: exact iterates are the floats', and the instance that attains the loss."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.robust.newton import naive_policy_iteration, one_step_saddle
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import pai_cycle, van_der_wal
from mdplab.papers import badger2026

PARAMS = badger2026.Params(problems=2, states=3, actions=2, rows=2, steps=5)


@pytest.mark.parametrize(("build", "gamma"), [(pai_cycle, Fraction(9, 10)), (van_der_wal, Fraction(3, 4))])
def test_fractions_and_floats_run_alike(build, gamma):
    iterates, residuals = badger2026._exact_cycle(build(), gamma)
    run = naive_policy_iteration(build(), num_iters=5)
    np.testing.assert_allclose(run["v"], np.array(iterates, dtype=float), atol=1e-13)  # rounding of a solve
    np.testing.assert_allclose(run["residual"], np.array(residuals, dtype=float), atol=1e-13)


@pytest.mark.parametrize("gamma", [0.5, 0.75, 0.875])
def test_the_tight_instance_loses_all_that_the_residual_allows(gamma):
    problem, v = badger2026.two_choices(gamma, 1.0)
    saddle = one_step_saddle(problem, v)
    assert np.abs(saddle.value - v).max() == 1
    assert saddle.pi[:, 0].tolist() == [1, 1]
    best = robust_policy_iteration(problem, tol=1e-9).value
    # Certified to 1e-9; the greedy policy earns nothing.
    np.testing.assert_allclose(best, 2 * gamma / (1 - gamma), atol=1e-8)


def test_figure_shows_one_method_that_never_arrives():
    table = badger2026.figure_cycle(PARAMS, np.random.default_rng([99, 0]))
    assert table["naive"].min() > 1
    assert table["rcpi_0"][-1] < 1e-12 and table["rcpi_inf"][-1] < 1e-12
    assert np.all(table["value_iteration"] <= table["bound"] * (1 + 1e-12))
