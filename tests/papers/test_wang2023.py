"""What the claims about DRPG rest on: bounds are attained where said, and the wrong occupancy is no gradient."""

import numpy as np

from mdplab.claims.discovery import load_paper
from mdplab.papers import wang2023

QUICK = load_paper("wang2023").card.params["quick"]


def test_lipschitz_bounds_are_attained():
    evidence = wang2023._lipschitz(QUICK, np.random.default_rng([87, 0]))
    np.testing.assert_allclose(evidence["measured"][2:] / evidence["bound"][2:], 1, rtol=1e-10)  # rounding allowance


def test_occupancy_without_transpose_converges_although_it_is_no_gradient():
    """So that convergence alone would not show the error of the published code."""
    rng = np.random.default_rng([87, 1])
    problem = wang2023._problem(QUICK, rng)
    pi = wang2023.drpg_policy(QUICK.states, QUICK.actions, rng=rng)
    wrong = wang2023._wrong_gradient("no_transpose")
    kernel = wang2023.nominal_kernel(problem)
    right = wang2023.policy_gradient(problem, kernel, pi)
    assert np.abs(wrong(problem, kernel, pi) - right).max() > 0.05 * np.abs(right).max()
    values = wang2023._run(problem, pi, 200, 0.05, gradient=wrong)
    optimum = problem.nominal.mu @ wang2023.robust_policy_iteration(problem, tol=1e-6).value
    assert optimum - values.max() < 0.02 * (optimum - values[0])


def test_robust_inner_loop_wins_in_the_figure():
    p = wang2023.Params(4, 3, 2, 2, 10, 0.1, 3, 7)
    table = wang2023.figure_gap(p, np.random.default_rng([87, 2]))
    assert table["robust"][-1] < 0.5 * table["nominal"][-1]
    assert np.all(table["robust_lo"] <= table["robust_hi"])
