"""Static CVaR and OCVaR on grids: published numbers, certificates, and the corrected bound of the loss."""

import dataclasses

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.certify.case import Case
from mdplab.certify.mixtures import mixture_ocvar
from mdplab.exact.stock.finite_static import static_cvar_finite, static_ocvar_finite
from mdplab.exact.stock.grid import static_cvar, static_ocvar, stock_value_iteration
from mdplab.exact.stock.operator import Rows
from mdplab.exact.stock.rollout import realised_law
from mdplab.instances.stock_grids import risk_averse_grid, risk_seeking_grid
from mdplab.models import MDP, CVaR, OCVaR, Outcomes, SolverFailure, StockMDP, cvar, functional, ocvar

# Exact optima of the published grids (specification, section 1.E), to the digits printed there.
G5 = {0.1: 0.99401, 0.5: 0.99401, 0.502: 0.99597, 0.75: 1.65269, 0.99: 1.97496}
G7 = {0.125: 4.4865, 0.25: 3.99, 0.5: 3.49, 0.75: 3.158, 0.99: 2.996}


def two_bets(tau: float, p: float = 0.1) -> StockMDP:
    """Erratum E1 without a horizon: 0 for sure, or -1 with probability p; then the end."""
    P = np.zeros((2, 2, 2))
    P[:, :, 1] = 1
    outcomes = Outcomes([0, 1, 3, 4, 5], [1, 1, 1, 1, 1], [0, -1, 0, 0, 0], [1, p, 1 - p, 1, 1], 2, 2)
    return StockMDP(MDP(P, [[0, -p], [0, 0]], 0.9), CVaR(tau), outcomes=outcomes, start=0)


@pytest.mark.parametrize("tau", sorted(G5))
def test_risk_averse_grid(tau):
    problem = risk_averse_grid().replace(objective=CVaR(tau))
    answer = static_cvar(problem, num_stocks=201)
    low, high = answer.value[0], answer.value[0] + answer.certificate.gap
    # Half a unit of the last digit printed.
    assert low - 5e-6 <= G5[tau] <= high + 5e-6
    # The law is that of the policy, which the bracket holds.
    assert low - 1e-9 <= answer.extras["cvar"] <= high + 1e-9
    assert answer.extras["cvar"] == pytest.approx(G5[tau], abs=5e-6)  # As above.
    assert answer.certificate.gap < 0.02
    parts = answer.certificate.residuals
    assert parts["eps_policy"] > 0
    # A sum of three floats.
    assert answer.certificate.gap <= parts["eps_grid"] + parts["eps_policy"] / tau + 1e-12
    assert check(problem, answer).ok


@pytest.mark.parametrize("tau", sorted(G7))
def test_risk_seeking_grid(tau):
    problem = risk_seeking_grid().replace(objective=OCVaR(tau))
    answer = static_ocvar(problem, num_stocks=201)
    # One unit of the last digit printed.
    assert answer.value[0] - 1e-3 <= G7[tau] <= answer.value[0] + answer.certificate.gap + 1e-3
    assert answer.value[0] == pytest.approx(ocvar(answer.extras["law"], tau), abs=1e-12)  # The same sum.
    assert answer.certificate.gap < 2e-3
    assert check(problem, answer).ok


@pytest.mark.parametrize("tau", [0.05, 0.3, 1.0])
def test_agrees_with_all_reachable_stocks(tau):
    problem = two_bets(tau)
    assert static_cvar(problem).value[0] == pytest.approx(static_cvar_finite(problem).value[0], abs=1e-8)  # Rounding.
    other = problem.replace(objective=OCVaR(tau))
    grid, exact = static_ocvar(other), static_ocvar_finite(other)
    assert abs(grid.value[0] - exact.value[0]) <= grid.certificate.gap + 1e-9


def test_whole_stocks_are_exact_without_a_discount():
    P = np.zeros((3, 2, 3))
    P[0, :, 1], P[0, :, 2], P[1, :, 2], P[2, :, 2] = 0.5, 0.5, 1, 1
    r = np.zeros((3, 2, 3))
    r[0, 0], r[0, 1], r[1, 0], r[1, 1] = [0, 1, 2], [0, 3, -1], 1, -2
    problem = StockMDP(MDP(P, r, 1.0), CVaR(0.4), start=0)
    for options in ({}, {"stock_step": 1.0}):
        answer = static_cvar(problem, **options)
        # Rounding, and room for the referee's, divided by tau.
        assert answer.certificate.gap < 1e-9
        assert answer.value[0] == pytest.approx(static_cvar_finite(problem).value[0], abs=1e-9)  # As above.
        assert check(problem, answer).ok


@pytest.mark.parametrize("tau", [0.1, 0.2, 0.5])
def test_the_loss_of_the_certificate_has_the_factor_one_over_tau(tau):
    problem = two_bets(tau)
    answer = static_cvar(problem, num_stocks=41)
    parts = answer.certificate.residuals
    assert answer.certificate.gap <= parts["eps_grid"] + parts["eps_policy"] / tau + 1e-12
    # The policy that always bets is off by p in expected utility, and by p / tau in CVaR: four times p is no bound.
    p = 0.1
    grid, bet = answer.extras["grid"], np.ones_like(answer.policy)
    law = realised_law(Rows.of(problem), grid, bet, problem.start_law, answer.extras["c0"], tol=1e-9).law
    utility = problem.replace(objective=functional("negative_part"))
    best = stock_value_iteration(utility, stock_grid=grid).certificate.data["lo"][0]
    loss = max(b - law.expect(lambda x, c=c: np.minimum(c + x, 0)) for b, c in zip(best, grid, strict=True))
    # Rounding, and the room that the certificate leaves for the referee's.
    assert loss == pytest.approx(p, abs=1e-8)
    gap = answer.value[0] - cvar(law, tau)
    assert gap == pytest.approx(p / tau, abs=1e-8)  # As above.
    assert (gap > 4 * loss) == (tau < 0.25)


def test_better_than_its_certificate_is_refused():
    problem = risk_averse_grid().replace(objective=CVaR(0.75))
    answer = static_cvar(problem, num_stocks=101, roll_out=False)
    certificate = dataclasses.replace(answer.certificate, gap=0.9 * answer.certificate.gap)
    assert not check(problem, dataclasses.replace(answer, certificate=certificate)).ok


def test_refines_for_its_tolerance_or_fails():
    problem = risk_averse_grid().replace(objective=CVaR(0.9))
    answer = static_cvar(problem, tol=1e-4)
    assert answer.certificate.gap <= 1e-4
    with pytest.raises(SolverFailure, match="certified gap"):
        static_cvar(problem, stock_step=0.1, tol=1e-6)


def test_objectives_are_not_mixed_up():
    problem = two_bets(0.3)
    with pytest.raises(ValueError, match=r"objective is cvar:0.3; static_ocvar takes OCVaR"):
        static_ocvar(problem)
    with pytest.raises(ValueError, match=r"objective is ocvar:0.3; static_cvar takes CVaR"):
        static_cvar(problem.replace(objective=OCVaR(0.3)))
    with pytest.raises(ValueError, match="use static_cvar or static_ocvar"):
        stock_value_iteration(problem)


@pytest.mark.parametrize("gamma", [0.3, 0.05])
def test_the_float_referee_agrees_under_a_small_discount(gamma):
    """Next stocks lie 1 / gamma times as far out as the grid, and so does the referee's rounding."""
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.3], [0.0]], gamma, mu=[1.0, 0.0])
    for objective, solver in ((CVaR(0.5), static_cvar), (OCVaR(0.5), static_ocvar)):
        problem = StockMDP(mdp, objective)
        report = check(problem, solver(problem))
        assert report, report.reason


def long_play(gamma=0.97):
    """Five states, two actions, chance at every step, no end."""
    rng = np.random.default_rng([45, 1])
    P = rng.dirichlet(np.ones(5), (5, 2))
    return StockMDP(MDP(P, rng.choice([-1.0, 0, 1, 2], (5, 2)), gamma), OCVaR(0.3), start=0)


def test_ocvar_of_long_play_is_as_near_as_its_bracket():
    """Joining atoms to follow the policy costs nothing of first order, in the solver and for the referee."""
    problem = long_play()
    answer = static_ocvar(problem, num_stocks=101)
    data, (lower, upper) = answer.certificate.data, answer.extras["objective"]
    assert np.all(data["merge_from"] < answer.extras["diagnostics"]["num_steps"] / 10)
    # A bracket of lower and upper bounds at the same stock, but for what the policy's replies to two stocks add.
    assert answer.certificate.gap <= upper.min() - lower[upper.argmin()]
    report = check(problem, answer)
    assert report, report.reason
    # Its own cut is finer: it needs less, but not much less.
    assert 0.5 * answer.certificate.gap < report.gap <= answer.certificate.gap
    own = mixture_ocvar(Case(problem.mdp, answer, "float"), problem, 0.3)
    tails = answer.certificate.residuals["tail"] + 0.01 * answer.certificate.gap
    assert abs(float(own) - answer.value[0]) <= 2 * tails + 1e-9


def test_false_claims_of_cells_are_refused():
    problem = long_play(0.9)
    answer = static_ocvar(problem, num_stocks=41)
    assert check(problem, answer)
    data = answer.certificate.data
    for change in (
        {"edges": data["edges"][::-1]},
        {"edges": data["edges"][:, None]},
        {"merge_from": data["merge_from"] - 1000},
        {"merge_from": data["merge_from"] + 0.5},
        {"merge_from": data["merge_from"][:0]},
        # Cells so wide, and so early, that the policy no longer knows what it does.
        {"edges": data["edges"][[0, -1]], "merge_from": 0 * data["merge_from"]},
    ):
        certificate = dataclasses.replace(answer.certificate, data=data | change)
        assert not check(problem, dataclasses.replace(answer, certificate=certificate))
    certificate = dataclasses.replace(answer.certificate, gap=0.5 * answer.certificate.gap)
    assert not check(problem, dataclasses.replace(answer, certificate=certificate))
    assert not check(problem, dataclasses.replace(answer, policy=1 - answer.policy))
    assert not check(problem, dataclasses.replace(answer, value=answer.value + 2 * answer.certificate.gap))
