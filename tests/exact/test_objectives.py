"""Which problem an objective makes of a model, and which solver is chosen for it."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import solve
from mdplab.exact.objectives import STOCK_METHODS, solve_objective, solve_stock
from mdplab.instances import chow_gap, random_stock, risk_averse_grid, risk_seeking_grid
from mdplab.models import (
    MDP,
    CVaR,
    EntropicRisk,
    EVaR,
    NestedCVaR,
    OCVaR,
    RobustMDP,
    StockMDP,
    cvar,
    functional,
    parse_objective,
)

# The coin of a game that is over after one toss: 0 or 2, or a sure 0.5.
COIN = MDP(
    [[[0, 0.5, 0.5], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]]],
    [[0, 0.5], [2, 2], [0, 0]],
    1.0,
    mu=[1.0, 0, 0],
)


@pytest.mark.parametrize(
    ("objective", "value", "method"),
    [
        (CVaR(0.5), 0.5, "static_cvar_finite"),
        (CVaR(1), 1.0, "static_cvar_finite"),
        (OCVaR(0.5), 2.0, "static_ocvar_finite"),
        (functional("tanh"), np.tanh(2) / 2, "stock_backward_induction"),
        (functional("ess_inf"), 0.5, "stock_backward_induction"),
    ],
)
def test_bounded_play_is_listed(objective, value, method):
    for mdp in (COIN, COIN.replace(horizon=2), COIN.replace(horizon=6)):
        problem, answer = solve_objective(mdp, objective)
        assert isinstance(problem, StockMDP)
        assert answer.method == method and answer.reason.startswith(method)
        assert answer.status == "certified"
        assert abs(answer.value.flat[0] - value) <= answer.certificate.gap
        verdict = check(problem, answer)
        assert verdict.ok, verdict.reason
        np.testing.assert_array_equal(solve(problem).value, answer.value)


def test_risk_measures_that_need_no_stock():
    mdp = COIN.replace(gamma=0.9)
    problem, answer = solve_objective(mdp, EVaR(0.5), tol=1e-5)
    assert problem is mdp and answer.method == "evar_dp"
    # Half of the mass is at the worst outcome: its essential infimum, below the sure amount.
    assert abs(answer.value[0] - 0.5) <= answer.certificate.gap <= 1e-5
    _, answer = solve_objective(mdp, EntropicRisk(0.25))
    coin = -4 * np.log(0.5 + 0.5 * np.exp(-0.25 * 1.8))
    assert abs(answer.value[0] - coin) <= answer.certificate.gap
    problem, answer = solve_objective(mdp, NestedCVaR(0.75))
    assert isinstance(problem, RobustMDP)
    assert abs(answer.value[0] - max(0.5, 1.8 / 3)) <= answer.certificate.gap
    assert check(problem, answer).ok


def test_the_start_may_be_given():
    _, answer = solve_objective(COIN, CVaR(0.5), start=1)
    assert answer.value.tolist() == [2.0]
    with pytest.raises(ValueError, match="start is missing"):
        solve_objective(COIN.replace(mu=None), CVaR(0.5))


def test_the_published_grid_switches_where_it_should():
    problem = risk_averse_grid(horizon=4)
    g = problem.gamma
    for tau, expected in ((0.25, g**2), (0.501, g**2), (0.502, 0.99597), (0.75, 1.65269)):
        answer = solve_stock(problem.replace(objective=CVaR(tau)))
        assert answer.value[0] == pytest.approx(expected, abs=6e-6)  # printed with five digits
        assert cvar(answer.extras["law"], tau) == pytest.approx(answer.value[0], abs=1e-12)  # rounding
    answer = solve_stock(risk_seeking_grid().replace(objective=OCVaR(0.5)))
    assert answer.value[0] == pytest.approx(3.49, abs=6e-3)  # printed with three digits


def test_what_theory_refuses_is_computed_as_a_heuristic():
    problem = random_stock(3, 0.7, objective=functional("cvar_direct", tau=0.3))
    with pytest.raises(ValueError, match=r"cvar_direct\(tau=0.3\) is not indifferent to mixtures.*--heuristic"):
        solve_stock(problem)
    answer = solve_stock(problem, heuristic=True)
    assert answer.status == "heuristic"
    best = solve_stock(problem.replace(objective=CVaR(0.3)))
    assert answer.extras["start_value"][0] <= best.value[0] + best.certificate.gap
    endless = problem.replace(mdp=problem.mdp.replace(horizon=None))
    for name, way in (
        ("median", "with a finite horizon heuristic=True computes it anyway"),
        ("step", "makes it exact"),
    ):
        with pytest.raises(ValueError, match=way):
            solve_stock(endless.replace(objective=functional(name)), heuristic=True)
    for one in (endless, endless.replace(mdp=problem.mdp)):
        with pytest.raises(ValueError, match="stock is nan; expected a finite number"):
            solve_stock(one.replace(objective=functional("target")), stock=np.nan)


def test_methods_can_be_asked_for():
    problem = random_stock(5, 0.7, objective=functional("target"))
    values = [
        solve_stock(problem, method=name, stock=-1.0).extras["start_value"][0]
        for name in STOCK_METHODS
        if STOCK_METHODS[name].endswith(".finite")
    ]
    assert len(values) == 3
    np.testing.assert_allclose(values, values[0], rtol=1e-13)  # three orders of summation
    assert solve(problem, method="distributional_value_iteration").reason == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve_stock(chow_gap(), method="value_iteration"), "method is 'value_iteration'; a StockMDP is"),
        (lambda: solve_stock(chow_gap(), stock_step=0.1), "stock_step is 0.1, but static_cvar_finite uses all"),
        (lambda: solve_stock(chow_gap(), tol=0), "tol is 0"),
        (lambda: solve(chow_gap(), criterion="average"), "criterion is 'average'; a StockMDP has its objective"),
        (lambda: solve_stock(COIN), "solve_stock takes StockMDP, not MDP"),
        (lambda: solve_objective(COIN, EVaR(0.5), stock_step=0.1), "stock_step is 0.1, but evar:0.5 has one method"),
        (lambda: solve_objective(COIN, EVaR(0.5), method="auto?"), "method is 'auto[?]', but evar:0.5"),
        (lambda: solve_objective(COIN, "cvar:0.5"), "objective is 'cvar:0.5'; expected what parse_objective"),
        (lambda: solve_objective(chow_gap(), parse_objective("mean")), "an objective takes MDP, not StockMDP"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_gamma_one_needs_an_end():
    loop = MDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[1.0, 0.0], [0.0, 0.0]], 1.0)
    # Back and forth between two states, or out of the second.
    P = np.zeros((3, 2, 3))
    P[0, :, 1] = P[1, 0, 0] = P[1, 1, 2] = P[2, :, 2] = 1
    circle = MDP(P, [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]], 1.0)
    for mdp in (loop, circle):
        with pytest.raises(ValueError, match="gamma is 1 and some policy may never end; give a horizon"):
            solve_stock(StockMDP(mdp, CVaR(0.5), start=0))
