"""What the claims about stock-augmented dynamic programming rest on: their instances, ground truths and tables."""

import numpy as np
import pytest

from mdplab.algorithms.distributional.stock_iteration import law_value_iteration
from mdplab.exact.stock.finite import distributional_value_iteration
from mdplab.instances.stock_grids import constraint_grid, generate_returns_grid, halving_grid
from mdplab.models import functional
from mdplab.papers import pires2025 as paper

PARAMS = paper.Params(problems=2, sweeps=4, lotteries=3, steps=10, points=8)


def test_each_excluded_functional_fails_on_the_known_members():
    for name, losses in paper.LOSSES.items():
        family = paper._family(paper.KNOWN, 1.0 if losses[0] else 0.7)
        lost = paper._best(name, family) - paper._planned(name, family, "value")
        assert lost.max() > 1e-3, name


def test_a_functional_that_theory_excludes_is_refused_with_the_reason():
    family = paper._family(paper.KNOWN, 0.7)
    for name, reason in (("tanh", "changes with the scale"), ("median", "mixtures")):
        with pytest.raises(ValueError, match=reason):
            distributional_value_iteration(family.problem.replace(objective=functional(name)), graph=family.graph)


def test_policies_of_time_alone_are_those_that_see_no_stock():
    # Where the mean counts no stock is needed, and for a target it is.
    family = paper._family(tuple(range(8)), 1.0)
    np.testing.assert_allclose(
        paper._without_stock(family, functional("mean")), paper._best("mean", family), atol=1e-12
    )  # sums of a dozen products
    gap = paper._best("target", family) - paper._without_stock(family, functional("target"))
    assert gap.min() > -1e-12  # likewise
    assert gap.max() > 0.01


def test_the_chain_and_the_constant_reward_attain_the_bounds():
    table = paper._constant("target")
    run, best = law_value_iteration(table, num_iters=4), paper._limit(table)
    assert [(best - v).max() for v in run.values] == [2.0, 1.0, 0.5, 0.25, 0.125]
    evidence = paper._policy_bound(PARAMS, np.random.default_rng([471]))
    ratio = evidence["measured"] / evidence["bound"]
    # The slack of laws from 18 sweeps is 2^-15.
    assert np.isclose(ratio[: PARAMS.sweeps + 1], 1.0, rtol=1e-3).all()


def test_the_printed_bound_of_cvar_is_missed_twenty_times_at_one_twentieth():
    evidence = paper._tail_loss(PARAMS, np.random.default_rng([473]), 1.0, 0.0)
    # The witness is the first entry: loss 1 at eps = 1/20.
    assert evidence["measured"][0] / evidence["bound"][0] == pytest.approx(20, rel=1e-6)  # room for roundings


def test_the_optimistic_witness_loses_eight_thirty_fifths():
    evidence = paper._optimistic_loss(PARAMS, np.random.default_rng([474]), 0.5)
    assert evidence["measured"][0] == pytest.approx(8 / 35, abs=1e-7)  # HiGHS's tolerance


def test_all_paths_of_a_grid_are_those_of_its_moves():
    # After two steps from the corner nothing was earned; after six the corner that pays 2 may have been left again.
    steps, returns = paper._endings(halving_grid, 3)
    assert sorted(set(returns)) == [0.0, 0.5]
    assert set(steps) == {3}
    steps, _ = paper._endings(constraint_grid, 4)
    assert steps.min() == 3


def test_a_walk_along_a_plan_has_its_value():
    values, steps, reached = paper._plan(generate_returns_grid, 10, (3.0, -2.0))
    np.testing.assert_allclose(-values, np.abs(reached - [3.0, -2.0]), atol=1e-12)  # sums of ten terms
    assert (steps <= 10).all()


def test_published_targets_as_the_notes_say():
    # Least errors for episodes of at most 12 steps, to four decimals.
    values, _, _ = paper._plan(generate_returns_grid, 12, tuple(paper.TARGETS))
    expected = [0.0511, 0.0213, 0.0003, 0.0027, 0.0150, 0.0418, 0.0805, 0.1309]
    np.testing.assert_allclose(-values, expected, atol=6e-5)  # half a unit of the fourth decimal and a bit


def test_the_constraint_grid_as_the_notes_say():
    targets = (3.0, 2.0, 1.0, 0.0, -6.0)
    _, steps, reached = paper._plan(constraint_grid, 10, targets, alpha=50.0)
    assert steps.tolist() == [10, 8, 7, 5, 3]
    # For 3 there is also a path with 3.911, as good: both are above the target. Three decimals.
    np.testing.assert_allclose(reached[1:3], [1.985, 0.994], atol=6e-4)
    assert reached[0] >= 3
    assert paper._plan(constraint_grid, 10, targets, alpha=500.0)[1].tolist() == [10, 9, 8, 5, 3]
    assert paper._plan(constraint_grid, 10, targets, -1.0, alpha=500.0)[1].tolist() == [10] * 5


def test_a_designed_reward_without_a_decision_telescopes():
    # One policy only: the sum of the rewards is the utility, less that of the stock.
    family = paper._family((3,), 0.7, 2)
    f = functional("quadratic")
    value = paper._designed(family, f.utility, 0.49, 1.0)
    np.testing.assert_allclose(value, paper._best("quadratic", family), atol=1e-10)  # sums of 16 products


def test_figures_show_what_the_claims_say():
    rng = np.random.default_rng([475])
    laws = paper.figure_laws(PARAMS, rng)
    assert [laws[name].sum() for name in paper.SHOWN] == pytest.approx([1.0] * 4, abs=1e-12)  # sums of masses
    frontier = paper.figure_frontier(PARAMS, rng)
    for name in ("averse", "careful", "neutral"):
        assert (frontier[name] <= frontier["bound"] + 1e-9).all()  # returns within 1e-11 are one
    risk = paper.figure_risk(PARAMS, rng)
    assert (risk["deterministic"] <= risk["seeking"] + 1e-6).all()  # HiGHS's tolerance
    shown = paper.figure_constraint(PARAMS, rng)
    assert (shown["printed"] == PARAMS.steps).all()
    errors = paper.figure_convergence(PARAMS, rng)
    assert (errors["random_problem"] <= errors["bound_value"] + 1e-12).all()  # roundings
