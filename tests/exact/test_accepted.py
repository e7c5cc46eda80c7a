"""The referee, which shares no code with the solvers, accepts what they certify, at both of its levels."""

import numpy as np
import pytest
from exact.test_stochastic_shortest_path import restart_chain

from mdplab.certify import check
from mdplab.exact import (
    SolverFailure,
    average_reward,
    constrained_mdp,
    soft_policy_iteration,
    soft_value_iteration,
    stochastic_shortest_path,
)
from mdplab.models import MDP, ConstrainedMDP


def accept(problem, solution):
    for level in ("float", "exact"):
        report = check(problem, solution, level=level)
        assert report, report.reason
        assert report.gap <= solution.certificate.gap


def rows(rng, S, A, digits):
    """Few successors a row, printed with `digits` digits, so that rows sum to one only nearly."""
    P = np.zeros((S, A, S))
    for s, a in np.ndindex(S, A):
        support = rng.choice(S, size=rng.integers(1, min(S, 4) + 1), replace=False)
        P[s, a, support] = np.round(rng.dirichlet(np.full(len(support), 0.5)), digits)
    return P


@pytest.mark.parametrize("digits", [9, 17])
@pytest.mark.parametrize("seed", range(10))
def test_random_models_of_every_kind(seed, digits):
    rng = np.random.default_rng([2501, seed])
    S, A = int(rng.integers(2, 12)), int(rng.integers(1, 4))
    P = rows(rng, S, A, digits)
    r = rng.standard_normal((S, A)) * (rng.random((S, A)) < 0.7)
    gamma = float(rng.choice([0.0, 0.9, 0.999]))
    mdp = MDP(P, r, gamma, mu=rng.dirichlet(np.ones(S)))
    mdp = mdp.sparse() if seed % 2 else mdp
    accept(mdp, average_reward(mdp, method="policy_iteration"))
    accept(mdp, average_reward(mdp, tol=1e-5))
    reference = rng.dirichlet(np.ones(A), size=S)
    for tau in (10.0, 0.1, 1e-6):
        accept(mdp, soft_value_iteration(mdp, tau=tau, reference=reference))
        accept(mdp, soft_policy_iteration(mdp, tau=tau))
    # Half of the largest total cost is mostly, not always, attainable.
    problem = ConstrainedMDP(mdp, rng.random((2, S, A)), np.full(2, 0.5 / (1 - gamma)))
    try:
        accept(problem, constrained_mdp(problem))
    except SolverFailure as failure:
        assert "no policy meets the limits" in str(failure)


@pytest.mark.parametrize("digits", [9, 17])
@pytest.mark.parametrize("seed", range(20))
def test_random_total_reward_with_end_components_and_loops(seed, digits):
    rng = np.random.default_rng([2502, seed])
    S = int(rng.integers(3, 12))
    P = rows(rng, S, 2, digits)
    r = np.round(-2 * rng.random((S, 2))) if seed % 2 else -rng.random((S, 2)) * (rng.random((S, 2)) < 0.5)
    # A trap that is not terminal, a goal that is, and one reward on the way.
    P[-2], r[-2] = 0, 0
    P[-2, :, -2] = 1
    P[-2, 1, [-2, 0]] = 0.5
    P[-1], r[-1] = np.eye(S)[-1], 0
    P[0, 0], r[0, 0] = np.eye(S)[-1], 1.0
    mdp = MDP(P, r, 1.0)
    try:
        accept(mdp, stochastic_shortest_path(mdp))
    except SolverFailure as failure:
        assert "minus infinity" in str(failure)


@pytest.mark.parametrize("n", [2, 20, 30, 40])
def test_restart_chains(n):
    mdp = restart_chain(n)
    accept(mdp, stochastic_shortest_path(mdp))
