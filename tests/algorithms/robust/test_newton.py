"""Naive policy iteration cycles where it is said to; the line search fails; the safeguard contracts."""

import numpy as np
import pytest

from mdplab.algorithms.robust.newton import (
    line_search_policy_iteration,
    matrix_game,
    naive_policy_iteration,
    one_step_saddle,
    residual_conditioned_steps,
)
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import drpg_garnet, filar_tolwinski, opposite_models, pai_cycle, van_der_wal
from mdplab.models import ModelSet, RobustMDP


def test_cycle_on_three_states():
    """From 0: (7, 1, -2), (-6, 1, -2), ..., residual 1.3 for ever, while the value is (-1.1, 1, -2) (notes, A.6.7)."""
    run = naive_policy_iteration(pai_cycle(), num_iters=50)
    np.testing.assert_allclose(run["v"][49], [7, 1, -2], atol=1e-13)  # rounding of one solve: each starts afresh
    np.testing.assert_allclose(run["v"][50], [-6, 1, -2], atol=1e-13)
    np.testing.assert_allclose(run["residual"][1:], 1.3, atol=1e-13)


def test_most_random_starts_lead_into_the_cycle():
    """186 of 200 in the notes, from starts that they do not name."""
    starts = np.random.default_rng([98, 0]).normal(0, 10, (200, 3))
    ends = [naive_policy_iteration(pai_cycle(), num_iters=30, v0=v)["residual"][-1] for v in starts]
    assert np.mean(np.array(ends) > 1) > 0.8


def test_van_der_wal_alternates():
    run = naive_policy_iteration(van_der_wal(), num_iters=9)
    np.testing.assert_allclose(run["v"][1::2, 0], 12, rtol=1e-13)  # rounding of one solve
    np.testing.assert_allclose(run["v"][2::2, 0], 4, rtol=1e-13)


def test_steps_of_the_safeguarded_methods_on_the_cycle():
    """From 0, 2 outer steps with m = 0 and 3 with m = infinity reach the value (notes, A.6.7)."""
    for repair, steps in ((False, 2), (True, 3)):
        run = residual_conditioned_steps(pai_cycle(), num_iters=steps, repair=repair)
        assert run["residual"][-2] > 1e-3
        np.testing.assert_allclose(run["v"][-1], [-1.1, 1, -2], atol=1e-12)  # a solve, or sweeps to 1e-14


def test_line_search_fails_at_one_tie_and_not_at_the_other():
    """Excess of the merit over 1 along the direction: 1.25, .34283, .0048935, 1.157e-7 (notes, A.6.8)."""
    bad = line_search_policy_iteration(filar_tolwinski(), num_iters=5)
    assert bad.status == "no step at t=0" and len(bad["v"]) == 1
    problem = filar_tolwinski()
    end = naive_policy_iteration(problem, num_iters=1)["v"][1]
    for t, excess in ((1.0, 1.25), (0.5, 0.34283), (2.0**-5, 0.0048935), (2.0**-20, 1.157e-7)):
        merit = ((one_step_saddle(problem, t * end).value - t * end) ** 2).sum()
        assert merit - 1 == pytest.approx(excess, rel=2e-4)  # digits of the notes
    good = line_search_policy_iteration(filar_tolwinski(worse_first=False), num_iters=5)
    assert good.status == "ok" and good["residual"][1] < 1e-15


def test_safeguard_contracts_and_reaches_the_solver():
    for i in range(10):
        rng = np.random.default_rng([98, 1, i])
        problem = drpg_garnet(5, 3, 3, rng=rng)
        value = robust_policy_iteration(problem, tol=1e-8).value
        for repair in (False, True):
            run = residual_conditioned_steps(problem, num_iters=60, v0=rng.normal(0, 50, 5), repair=repair)
            # Residuals end at the rounding of values of size 100 over 1 - gamma.
            assert np.all(run["residual"][1:] <= 0.95 * run["residual"][:-1] + 1e-11)
            np.testing.assert_allclose(run["v"][-1], value, atol=1e-7)  # the solver's tolerance


def test_matrix_games():
    assert matrix_game(np.array([[3.0, 6.0], [2.0, 1.0]]))[0] == 3
    rng = np.random.default_rng([98, 2])
    for _ in range(20):
        payoff = rng.normal(0, 1, (3, 4))
        value, rows, columns = matrix_game(payoff)
        # The linear programs' own tolerance.
        assert (rows @ payoff).min() == pytest.approx(value, abs=1e-9)
        assert (payoff @ columns).max() == pytest.approx(value, abs=1e-8)


def test_games_with_mixed_saddle_points():
    """I-MP: with the hull of two models the value is 4.5, at (1/2, 1/2)."""
    saddle = one_step_saddle(opposite_models(), np.array([4.5, 10.0, 0.0]))
    np.testing.assert_allclose(saddle.value, [4.5, 10, 0], atol=1e-9)  # the linear programs' tolerance
    np.testing.assert_allclose(saddle.pi[0], 0.5, atol=1e-9)


def test_other_sets_are_refused():
    problem = drpg_garnet(rng=np.random.default_rng([98, 3]), rectangularity="s")
    with pytest.raises(ValueError, match="uncertainty is s-rectangular and 'l1'; expected 'models'"):
        one_step_saddle(problem, np.zeros(5))
    assert isinstance(pai_cycle().uncertainty, ModelSet) and isinstance(pai_cycle(), RobustMDP)
