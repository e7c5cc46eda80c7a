"""Linear problems: published and derived values, equality with the tabular robust operator, what must be monotone."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from mdplab import instances
from mdplab.certify import check
from mdplab.exact import backward_induction, linear_backward_induction, linear_policy_evaluation, solve
from mdplab.exact.robust.operator import RobustBellman
from mdplab.instances.linear import one_hot, random_linear_mdp, simulated_linear_mdp
from mdplab.models import (
    MDP,
    BurgBall,
    Chi2Ball,
    Contamination,
    CVaRSet,
    KLBall,
    L1Ball,
    L2Ball,
    LinearMDP,
    RobustLinearMDP,
    RobustMDP,
    SoftChi2,
    SoftKL,
    SoftTV,
    SolverFailure,
    TVBall,
)

SETS = (
    *(L1Ball(0.3), TVBall(0.2), L2Ball(0.2), KLBall(0.1), BurgBall(0.1), Chi2Ball(0.2), Contamination(0.2)),
    *(CVaRSet(0.7), SoftTV(0.4), SoftKL(0.4), SoftChi2(0.4), TVBall(0.2, support="nominal")),
)


def on_the_last_factor(rho):
    """A radius at the first stage and the last factor alone, as published."""
    radius = np.zeros((3, 4))
    radius[0, 3] = rho
    return TVBall(radius)


@pytest.mark.parametrize(
    ("xi", "rho", "values"),
    [
        (0.1, 0.3, (1.18323214, 1.10040441, 1.02027498, 0.98985003)),
        (0.2, 0.1, (1.52425012, 1.43070311, 1.24985581, 1.12350101)),
        (0.2, 0.5, (1.22365023, 1.12269363, 0.97608006, 0.87891736)),
    ],
)
def test_the_simulated_process_with_a_regularised_policy(xi, rho, values):
    """Our specification, B.4: dynamic programming of its author's, eight decimals, tau = 0, .02, .1, 1."""
    problem = RobustLinearMDP(simulated_linear_mdp(xi=xi), on_the_last_factor(rho))
    for tau, value in zip((0, 0.02, 0.1, 1), values, strict=True):
        answer = linear_backward_induction(problem, tau=tau)
        assert answer.value[0, 0] == pytest.approx(value, abs=6e-9)  # eight printed decimals
        assert check(problem, answer, level="exact").ok


@pytest.mark.parametrize(
    ("one", "values"),
    [
        (SoftTV, (0.09995, 0.49975, 0.9995, 1.62425012, 1.62425012)),
        (SoftKL, (1.34518877, 1.62200788, 1.62359481, 1.6239904, 1.62420627)),
        (SoftChi2, (1.62214477, 1.6238289, 1.6240395, 1.62414481, 1.62422906)),
    ],
)
def test_the_simulated_process_with_a_price_on_factors(one, values):
    """Our specification, C.4.1: temperatures .1, .5, 1, 2, 10."""
    for temperature, value in zip((0.1, 0.5, 1, 2, 10), values, strict=True):
        problem = RobustLinearMDP(simulated_linear_mdp(), one(temperature))
        assert linear_backward_induction(problem).value[0, 0] == pytest.approx(value, abs=6e-9)  # printed decimals


@pytest.mark.parametrize("one", SETS, ids=lambda one: f"{one.name}-{one.support}")
def test_one_hot_features_are_the_tabular_robust_problem(one):
    """d-rectangular with a feature for each (s, a) is (s, a)-rectangular: the robust operator, stage by stage."""
    rng = np.random.default_rng([2])
    mdp = MDP(rng.dirichlet(np.full(6, 0.4), (6, 3)), rng.standard_normal((6, 3)), 1.0, horizon=4)
    answer = linear_backward_induction(RobustLinearMDP(one_hot(mdp), one))
    operator = RobustBellman.of(RobustMDP(mdp.replace(gamma=0.5, horizon=None), one))
    v = np.zeros(6)
    for h in range(3, -1, -1):
        # The operator discounts by 1/2, so that it is fed twice the value.
        v = operator.backup(2 * v).Tv
        assert np.abs(answer.value[h] - v).max() <= 1e-12  # asked for by the issue; values are about 5


def by_linear_programming(z, p, rho):
    """min q.z over distributions with TV(q, p) <= rho."""
    n = len(z)
    bounds = {"A_ub": np.zeros((2 * n + 1, 2 * n)), "b_ub": np.zeros(2 * n + 1)}
    for i in range(n):
        for sign, row in ((1, 2 * i), (-1, 2 * i + 1)):
            bounds["A_ub"][row, i], bounds["A_ub"][row, n + i], bounds["b_ub"][row] = sign, -1, sign * p[i]
    bounds["A_ub"][2 * n, n:], bounds["b_ub"][2 * n] = 0.5, rho
    equal = {"A_eq": np.append(np.ones(n), np.zeros(n))[None], "b_eq": [1.0]}
    return linprog(np.append(z, np.zeros(n)), **bounds, **equal, method="highs").fun


def test_the_worst_factors_against_linear_programs():
    linear = random_linear_mdp(5, 2, 3, 3, rng=np.random.default_rng([3]))
    answer = linear_backward_induction(RobustLinearMDP(linear, TVBall(0.15)))
    v = np.zeros(5)
    for h in range(2, -1, -1):
        least = np.array([by_linear_programming(v, linear.mu[h, i], 0.15) for i in range(3)])
        v = (linear.phi @ (linear.theta[h] + least)).max(axis=1)
        assert np.abs(answer.value[h] - v).max() <= 1e-8  # HiGHS's tolerance, 1e-9, for each stage


def test_without_nature_it_is_backward_induction():
    mdp = instances.frozen_lake(gamma=1.0).replace(horizon=7)
    ours, theirs = linear_backward_induction(one_hot(mdp)), backward_induction(mdp)
    assert np.abs(ours.value - theirs.value).max() <= ours.certificate.gap + theirs.certificate.gap


@pytest.mark.parametrize("one", SETS, ids=lambda one: f"{one.name}-{one.support}")
def test_the_referee_accepts_and_a_policy_is_worth_what_it_says(one):
    problem = RobustLinearMDP(random_linear_mdp(6, 3, 4, 3, rng=np.random.default_rng([4])), one)
    for tau in (0.0, 0.3):
        best = solve(problem) if tau == 0 else linear_backward_induction(problem, tau=tau)
        paid = linear_policy_evaluation(problem, best.policy, tau=tau)
        assert np.abs(best.value - paid.value).max() <= best.certificate.gap + paid.certificate.gap
        for answer in (best, paid):
            for level in ("float", "exact"):
                report = check(problem, answer, level=level)
                assert report.ok, report.reason
        other = np.random.default_rng([5]).dirichlet(np.ones(3), (3, 6))
        worse = linear_policy_evaluation(problem, other, tau=tau)
        assert check(problem, worse).ok
        assert np.all(worse.value <= best.value + best.certificate.gap)


def test_value_falls_with_radius_and_temperature_of_the_policy():
    linear = random_linear_mdp(6, 3, 4, 4, rng=np.random.default_rng([6]))
    by_radius = [linear_backward_induction(RobustLinearMDP(linear, TVBall(r)), tau=0.1).value for r in (0, 0.1, 0.3)]
    assert np.all(by_radius[0][:-1] >= by_radius[1][:-1]) and np.all(by_radius[1][0] > by_radius[2][0])
    problem = RobustLinearMDP(linear, TVBall(0.1))
    by_tau = [linear_backward_induction(problem, tau=tau).value[0] for tau in (0, 0.01, 0.1, 1, 1e4)]
    for larger, smaller in itertools.pairwise(by_tau):
        assert np.all(larger > smaller)
    uniform = linear_policy_evaluation(problem, np.full((6, 3), 1 / 3))
    # tau log E exp(q / tau) - E q is at most range^2 / (8 tau): values below 4, four stages.
    assert np.abs(by_tau[-1] - uniform.value[0]).max() <= 4 * 4**2 / (8 * 1e4)


def test_off_the_optimum_the_loss_of_a_step_is_tau_times_the_divergence():
    """V* - V^pi = tau KL(pi || pi*) for one decision: exact, so both sides agree to rounding."""
    linear = random_linear_mdp(4, 5, 3, 1, rng=np.random.default_rng([7]))
    reference = np.random.default_rng([8]).dirichlet(np.ones(5), 4)
    best = linear_backward_induction(linear, tau=0.2, reference=reference)
    pi = np.random.default_rng([9]).dirichlet(np.ones(5), (1, 4))
    paid = linear_policy_evaluation(linear, pi, tau=0.2, reference=reference)
    loss = 0.2 * (pi * np.log(pi / best.policy)).sum(axis=2)
    assert np.abs(best.value[0] - paid.value[0] - loss[0]).max() <= 1e-14  # some tens of roundings of numbers below 1


def test_soft_kl_is_the_entropic_risk_of_each_factor():
    linear = random_linear_mdp(5, 2, 3, 2, rng=np.random.default_rng([10]))
    answer = linear_backward_induction(RobustLinearMDP(linear, SoftKL(0.5)))
    v = answer.value[1]
    entropic = -0.5 * np.log(linear.mu[0] @ np.exp(-v / 0.5))
    q = linear.phi @ (linear.theta[0] + entropic)
    assert np.abs(answer.extras["q"][0] - q).max() <= 1e-12  # roots and logarithms of numbers of size one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": -1.0}, "tau is -1; expected"),
        ({"tau": 0.1, "reference": np.ones(3) / 2}, r"reference\[0, 0\] sums to 1.5"),
        ({"tau": 0.1, "reference": np.ones((2, 3)) / 3}, r"reference has shape \(2, 3\)"),
        ({"tol": 0.0}, "tol is 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_backward_induction(random_linear_mdp(4, 3, 2, 2, rng=np.random.default_rng([11])), **arguments)


def test_policies_are_checked():
    linear = random_linear_mdp(4, 3, 2, 2, rng=np.random.default_rng([12]))
    for policy, message in (
        (np.full((4, 2), 0.5), r"policy has shape \(4, 2\)"),
        (np.array([[0, 0, 3, 0]] * 2), r"policy\[0, 2\] is 3; expected 0..2"),
        (np.full((4, 3), 0.5), r"policy\[0, 0\] sums to 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            linear_policy_evaluation(linear, policy)
    reference = np.array([0.5, 0.5, 0.0])
    with pytest.raises(ValueError, match=r"policy\[0, 0, 2\] is 0.333333 where the reference is 0"):
        linear_policy_evaluation(linear, np.full((4, 3), 1 / 3), tau=0.1, reference=reference)
    with pytest.raises(SolverFailure, match="is the least that can be certified"):
        linear_backward_induction(RobustLinearMDP(linear, KLBall(0.1)), tol=1e-15)


def test_an_action_off_the_reference_is_not_taken():
    linear = random_linear_mdp(4, 3, 2, 2, rng=np.random.default_rng([13]))
    answer = linear_backward_induction(linear, tau=0.1, reference=[0.5, 0.5, 0.0])
    assert np.all(answer.policy[:, :, 2] == 0)
    assert check(linear, answer, level="exact").ok


@pytest.mark.parametrize("one", [KLBall, BurgBall], ids=lambda one: one.__name__)
def test_nearly_equal_values_and_a_small_ball_are_certified_for_floats(one):
    """Values 2.1 that differ by a thousandth: what the referee's balls lose is of the size of the values."""
    rng = np.random.default_rng([14])
    for _ in range(40):
        drawn = random_linear_mdp(4, 2, 3, 3, rng=rng)
        linear = LinearMDP(drawn.phi, drawn.mu, np.full(3, 0.7), 3)
        problem = RobustLinearMDP(linear, one(rng.uniform(1e-7, 5e-7)))
        paid = linear_policy_evaluation(problem, rng.dirichlet(np.ones(2), (3, 4)), tau=1e-3)
        report = check(problem, paid)
        assert report.ok, report.reason


def test_small_temperatures_neither_overflow_nor_leave_subnormal_weights():
    """exp(1000 q) is beyond floats for an action off the reference that is better by one, and below by as much."""
    rewards = np.array([[0.0, 0.735, 1.0]] * 2)
    linear = one_hot(MDP(np.full((2, 3, 2), 0.5), rewards, 1.0, horizon=2))
    for reference in ([0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.2, 0.4, 0.4]):
        answer = linear_backward_induction(linear, tau=1e-3, reference=reference)
        best = rewards[0][np.array(reference) > 0].max()
        share = reference[rewards[0].tolist().index(best)]
        # The other actions weigh exp(-265) or less.
        assert answer.value[0] == pytest.approx(2 * (best + 1e-3 * np.log(share)), rel=1e-14)
        assert check(linear, answer).ok
