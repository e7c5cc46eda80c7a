"""What the claims about MDPO rest on: six routes to one step, the self-loop, the gradient in the first inner step."""

import numpy as np
import pytest

from mdplab.exact import policy_evaluation
from mdplab.papers import tomar2020

PARAMS = tomar2020.Params(states=4, actions=3, iterations=5, inner=400, long=200)


def test_six_codes_take_the_same_step():
    evidence = tomar2020._routes(PARAMS, np.random.default_rng([606]))
    # The tolerance of the specification.
    np.testing.assert_allclose(evidence["left"], evidence["right"], rtol=0, atol=1e-12)
    assert np.ptp(evidence["right"]) > 0.1


@pytest.mark.parametrize("change", [{"weight": 1.02}, {"eta": 0.2}, {"stale": 1}, {"first": True}])
def test_each_near_miss_is_seen(change):
    evidence = tomar2020._routes(PARAMS, np.random.default_rng([606]), **change)
    assert np.abs(np.asarray(evidence["left"]) - evidence["right"]).max() > 1e-4


def test_the_self_loop_is_what_it_says():
    mdp, logits = tomar2020.absent_action(20.0, 0.5)
    p = np.exp(logits) / np.exp(logits).sum()
    # Two minus the value is twice the mass of the worse action.
    assert policy_evaluation(mdp, p, tol=1e-10).value[0] == pytest.approx(2 * np.exp(-20.0), rel=1e-3, abs=1e-10)


def test_the_bound_is_met_and_nearly_attained():
    evidence = tomar2020._rate(PARAMS, np.random.default_rng([606, 1]))
    measured, bound = np.asarray(evidence["measured"]), np.asarray(evidence["bound"])
    assert (measured - evidence["radius"] <= bound).all() and (measured / bound).max() > 0.97


def test_the_figure_of_inner_steps_tells_the_directions_apart():
    table = tomar2020.figure_inner(PARAMS, np.random.default_rng([606, 2]))
    assert np.nanmin(table["new_old"]) < 1e-10 < 1e-4 < table["old_new"][-1]


def test_the_figure_of_poor_starts_stays_below_the_rate():
    table = tomar2020.figure_tight(PARAMS, np.random.default_rng(0))
    for depth in (5, 50, 5000):
        assert (table[f"depth_{depth}"] <= table["bound"]).all()
    assert table["depth_5000"][0] == pytest.approx(2, abs=1e-9)  # solver tolerance
