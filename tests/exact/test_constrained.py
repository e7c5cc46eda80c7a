"""Constrained problems: closed forms, brute force, a cone solver, and every inequality of the certificate exactly."""

import dataclasses

import cvxpy as cp
import numpy as np
import pytest
from exact.rational_check import occupancy_faults, policies

from mdplab.certify import check
from mdplab.exact import SolverFailure, constrained_mdp, policy_iteration
from mdplab.models import MDP, ConstrainedMDP


def garnet(seed, S=5, A=3, m=2, gamma=0.9):
    rng = np.random.default_rng([2401, seed])
    P, r = rng.dirichlet(np.full(S, 0.5), size=(S, A)), rng.standard_normal((S, A))
    return MDP(P, r, gamma, mu=rng.dirichlet(np.ones(S))), rng.random((m, S, A))


def solve(problem, **options):
    out = constrained_mdp(problem, **options)
    assert occupancy_faults(problem, out) == []
    assert out.certificate.data["primal_lo"] <= out.extras["objective"] <= out.certificate.data["primal_hi"]
    return out


def test_randomised_policy_in_closed_form():
    # One state: action 0 pays 1 at cost 1, action 1 nothing. A budget of b (1 - gamma) a step is spent in full, and no
    # deterministic policy spends it.
    gamma, b = 0.75, 0.3
    problem = ConstrainedMDP(MDP([[[1.0], [1.0]]], [[1.0, 0.0]], gamma, mu=[1.0]), [[[1.0, 0.0]]], [b / (1 - gamma)])
    out = solve(problem)
    assert abs(out.extras["objective"] - b / (1 - gamma)) <= out.certificate.gap
    # The policy is the objective times (1 - gamma).
    assert abs(out.policy[0, 0] - b) <= out.certificate.gap
    assert abs(out.extras["multipliers"][0] - 1) < 1e-9
    assert out.extras["violation"] == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sparse", [False, True])
def test_agrees_with_a_second_solver_and_beats_all_deterministic_policies(seed, sparse):
    mdp, costs = garnet(seed)
    least = np.array([-policy_iteration(mdp.replace(r=-c)).value @ mdp.mu for c in costs])
    free = policy_iteration(mdp)
    problem = ConstrainedMDP(mdp.sparse() if sparse else mdp, costs, least + np.array([1.2, 50.0]))
    out = solve(problem)
    x = cp.Variable((mdp.S, mdp.A), nonneg=True)
    inflow = sum(mdp.gamma * mdp.P[:, a].T @ x[:, a] for a in range(mdp.A))
    limits = [cp.sum(cp.multiply(c, x)) <= b for c, b in zip(costs, problem.limits, strict=True)]
    program = cp.Problem(cp.Maximize(cp.sum(cp.multiply(mdp.r, x))), [cp.sum(x, axis=1) == mdp.mu + inflow, *limits])
    program.solve(solver="CLARABEL")
    # Clarabel's own relative accuracy is 1e-8, on a value of a few units.
    assert abs(program.value - out.extras["objective"]) < 1e-6
    assert out.extras["objective"] <= mdp.mu @ free.value + free.certificate.gap
    at = np.arange(mdp.S)
    for pi in policies(mdp):
        occupancy = np.linalg.solve(np.eye(mdp.S) - mdp.gamma * mdp.P[at, list(pi)].T, mdp.mu)
        if all(occupancy @ c[at, list(pi)] <= b for c, b in zip(costs, problem.limits, strict=True)):
            assert occupancy @ mdp.r[at, list(pi)] <= out.certificate.data["dual_hi"]


def test_limits_that_do_not_bind_leave_the_optimum():
    mdp, costs = garnet(7)
    free = policy_iteration(mdp)
    out = solve(ConstrainedMDP(mdp, costs, [100.0, 100.0]))
    assert abs(out.extras["objective"] - mdp.mu @ free.value) <= out.certificate.gap + free.certificate.gap
    assert out.extras["multipliers"].tolist() == [0, 0]


def test_no_constraint_at_all():
    mdp, _ = garnet(8)
    out = solve(ConstrainedMDP(mdp, np.zeros((0, 5, 3)), []))
    free = policy_iteration(mdp)
    assert abs(out.extras["objective"] - mdp.mu @ free.value) <= out.certificate.gap + free.certificate.gap


def test_limits_that_cannot_be_met_report_the_least_violation():
    # Every policy costs 1 a step, 4 in all: a limit of 2.5 is missed by 1.5.
    mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.75, mu=[1.0])
    with pytest.raises(SolverFailure, match=r"misses one of them by 1\.5$"):
        constrained_mdp(ConstrainedMDP(mdp, [[[1.0, 1.0]]], [2.5]))


def test_a_limit_at_the_least_cost_states_its_violation():
    # No policy is strictly below the limit, so the bound of its cost exceeds it by rounding, and says so.
    mdp, costs = garnet(9, m=1)
    least = -policy_iteration(mdp.replace(r=-costs[0]), tol=1e-10).value @ mdp.mu
    out = solve(ConstrainedMDP(mdp, costs, [least + 1e-13]))
    assert 0 < out.extras["violation"] < 1e-9


def test_a_discount_that_row_sums_undo_is_refused():
    # Rows may sum to 1 + 1e-8: times this gamma no occupancy is bounded.
    mdp = MDP([[[0.5, 0.500000009]], [[0.5, 0.5]]], [[1.0], [0.0]], 1 - 1e-9, mu=[1.0, 0.0])
    with pytest.raises(SolverFailure, match="not below 1"):
        constrained_mdp(ConstrainedMDP(mdp, np.zeros((1, 2, 1)), [1.0]))


def test_unavailable_actions_carry_no_mass():
    mdp, costs = garnet(10)
    mask = np.ones((5, 3), dtype=bool)
    mask[1, 0] = mask[3, 1:] = False
    problem = ConstrainedMDP(mdp.replace(actions=mask), costs, [5.0, 6.0])
    out = solve(problem)
    assert np.all(out.extras["occupancy"][~mask] == 0)
    assert np.all(out.policy[~mask] == 0)


@pytest.mark.parametrize(
    ("name", "change"), [("x", 1e-6), ("hi", -1e-6), ("dual_hi", -1e-6), ("primal_lo", 1e-6), ("costs_hi", -1e-6)]
)
def test_the_rational_check_sees_a_broken_bound(name, change):
    mdp, costs = garnet(11)
    problem = ConstrainedMDP(mdp, costs, [6.0, 6.0])
    out = constrained_mdp(problem)
    data = dict(out.certificate.data)
    data[name] = data[name] + change
    broken = dataclasses.replace(out, certificate=dataclasses.replace(out.certificate, data=data))
    assert occupancy_faults(problem, broken) != []


def test_rewards_and_costs_of_any_size():
    """HiGHS's tolerances are absolute: without scaling it stops at rewards of 1e9 without an optimum."""
    for seed in range(10):
        rng = np.random.default_rng([2410, seed])
        mdp = MDP(rng.dirichlet(np.ones(3), (3, 3)), rng.standard_normal((3, 3)), 0.5, mu=np.full(3, 1 / 3))
        costs = rng.random((1, 3, 3))
        plain = constrained_mdp(ConstrainedMDP(mdp, costs, [1.0]), tol=1e-6)
        for size in (1e-9, 1e9):
            for more in (1e-6, 1e6):
                problem = ConstrainedMDP(mdp.replace(r=size * mdp.r), more * costs, [more])
                answer = constrained_mdp(problem, tol=1e-6 * max(size, more, 1.0))
                # Both are within their tolerance of the same optimum.
                apart = abs(answer.extras["objective"] / size - plain.extras["objective"])
                assert apart <= 1e-6 + answer.certificate.gap / size
                assert check(problem, answer, level="exact")
