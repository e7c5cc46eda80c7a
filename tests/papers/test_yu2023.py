"""What the claims about ECRM rest on: the flawed costs, the careless gradients, the figures."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.ecrm import projected_gradient, projected_step
from mdplab.exact.ecrm import ecrm_optimum
from mdplab.papers import yu2023

PARAMS = yu2023.Params(states=3, actions=2, problems=2, policies=2, steps=40, points=7, batch=50)


def test_a_first_step_that_is_charged_like_later_ones_shifts_every_value():
    """Pitfall 4.6: with the least level 0 the shift is that of one step's cost alone."""
    problem = yu2023._problems(PARAMS, np.random.default_rng([613]))[0]
    flawed = yu2023._flawed(problem, "first_excess")
    # Differently associated sums of costs up to 10.
    np.testing.assert_allclose(flawed.later_cost(), problem.later_cost(), atol=1e-14)
    shift = flawed.first_cost() - problem.first_cost()
    expected = (problem.weight / problem.tail - problem.weight) * problem.cost
    # Some roundings of costs up to 10.
    np.testing.assert_allclose(shift, np.repeat(expected[:, :, None], problem.E, axis=2), atol=1e-14)
    assert ecrm_optimum(flawed).objective > ecrm_optimum(problem).objective


def test_no_flaw_is_the_problem_itself():
    problem = yu2023._problems(PARAMS, np.random.default_rng([613]))[0]
    assert yu2023._flawed(problem, "") is problem
    same = yu2023._flawed(problem, "none of these")
    # Differently associated sums of costs up to 10.
    np.testing.assert_allclose(same.first_cost(), problem.first_cost(), atol=1e-14)
    np.testing.assert_allclose(same.later_cost(), problem.later_cost(), atol=1e-14)


def test_the_careless_run_without_its_mistake_is_the_method():
    problem = yu2023._small(PARAMS, np.random.default_rng([614]))[0]
    mu, step = yu2023._everywhere(problem), projected_step(problem)
    own = yu2023._careless(problem, 10, step, mu, "")
    run = projected_gradient(problem, num_iters=10, checkpoints=np.arange(11), mu=mu)
    np.testing.assert_allclose(own, run["policy"], atol=1e-14)  # the same sums in one array
    values = yu2023._objectives(problem, own, mu)
    np.testing.assert_allclose(values, run["objective"], atol=1e-14)  # likewise


def test_the_figures_show_what_their_captions_say():
    table = yu2023.figure_policies(PARAMS, np.random.default_rng(0))
    falls = [table["fall"][table["weight"] == w][0] for w in (0, 0.5, 1)]
    assert falls[0] > 2 * falls[1] > 2 * falls[2]
    edge = {w: table["visits"][(table["weight"] == w) & (table["cell"] == 9)][0] for w in (0, 1)}
    assert edge[0] > 5 * edge[1]
    frontier = yu2023.figure_frontier(PARAMS, np.random.default_rng(0))
    assert np.ptp(frontier["large"]) == 0 and frontier["middle"][-1] < frontier["middle"][0]
    gaps = yu2023.figure_convergence(PARAMS, np.random.default_rng(0))
    # Bias of the barrier is proportional to it, one logarithm aside.
    assert 5 < gaps["barrier"][-1] / gaps["small_barrier"][-1]
    assert np.isnan(gaps["plain"][-1]) and gaps["natural"][-1] == pytest.approx(3.3e-3, rel=0.05)  # as drawn
