"""Control greedy in the mean: the optimum where means are kept, and a bound that holds where they are not."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import (
    SolverFailure,
    backward_induction,
    categorical_control,
    categorical_evaluation,
    policy_evaluation,
    policy_iteration,
    quantile_control,
    return_laws,
)
from mdplab.models import MDP, wasserstein
from tests.exact.distributional.law_models import random_mdp

Z = np.linspace(-6, 6, 61)


def masked(seed, **more):
    mdp = random_mdp(seed, **more)
    actions = np.ones((3, 2), dtype=bool)
    actions[seed % 3, seed % 2] = False
    return mdp.replace(actions=actions)


def test_on_a_grid_it_finds_the_optimum_and_its_laws():
    for seed in range(6):
        mdp = masked(seed)
        answer, best = categorical_control(mdp, Z), policy_iteration(mdp, tol=1e-9)
        assert answer.policy.tolist() == best.policy.tolist()
        # The tolerance of the optimum, and rounding.
        np.testing.assert_allclose(answer.value, best.value, atol=1e-8)
        assert answer.extras["error_bounds"]["suboptimality"] < 1e-9
        same = categorical_evaluation(mdp, answer.policy, Z)
        # Both are within 1e-9 of the same fixed point.
        assert max(map(wasserstein, answer.extras["laws"], same.extras["laws"])) <= 2e-9
        assert check(mdp, answer).ok


def test_with_few_quantiles_the_policy_falls_short_by_no_more_than_said():
    short = []
    for seed in range(12):
        mdp = masked(seed)
        answer, best = quantile_control(mdp, 1), policy_iteration(mdp, tol=1e-9)
        short.append((best.value - policy_evaluation(mdp, answer.policy, tol=1e-9).value).max())
        # Two certified errors of 1e-9.
        assert short[-1] <= answer.extras["error_bounds"]["suboptimality"] + 2e-9
        assert check(mdp, answer).ok
    assert max(short) > 0.01, "medians of one-step targets are no means: some choice must be worse"


@pytest.mark.parametrize("control", [lambda m: categorical_control(m, Z), lambda m: quantile_control(m, 40)])
def test_over_a_horizon(control):
    for seed in range(4):
        mdp = masked(seed, gamma=0.9, horizon=4)
        answer, best = control(mdp), backward_induction(mdp)
        kept = answer.method == "categorical_control"
        value = return_laws(mdp, answer.policy).value
        # Rounding of the optimum.
        assert (best.value - value).max() <= answer.extras["error_bounds"]["suboptimality"] + 1e-12
        if kept:
            # Rounding of four stages, and the optimum's own gap.
            np.testing.assert_allclose(answer.value, best.value, atol=1e-9)
        assert check(mdp, answer).ok


def test_ties_do_not_keep_it_from_settling():
    """Two actions of one mean: a sure 1, and 0 or 2. Greedy in the mean may alternate; here it does not."""
    P = [[[0, 1, 0], [0, 0.5, 0.5]], [[0, 1, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]]]
    r = np.zeros((3, 2, 3))
    r[0, 0, 1], r[0, 1, 1], r[0, 1, 2] = 1, 0, 2
    mdp = MDP(P, r, 0.9)
    for answer in (categorical_control(mdp, np.linspace(0, 2, 5)), quantile_control(mdp, 2)):
        assert answer.value[0] == pytest.approx(1.0, abs=1e-12)  # a mean of two numbers
        assert answer.extras["laws"][0].x.tolist() in ([1.0], [0.0, 2.0])


def test_what_is_refused():
    mdp = random_mdp(0)
    with pytest.raises(ValueError, match="gamma is 1 without a horizon; quantile_control needs"):
        quantile_control(MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0), 4)
    with pytest.raises(SolverFailure, match="the laws still changed after max_iters=3 sweeps"):
        categorical_control(mdp, Z, max_iters=3)
    with pytest.raises(ValueError, match="cannot hold the returns"):
        categorical_control(mdp, np.linspace(-0.5, 0.5, 20))
