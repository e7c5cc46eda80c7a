"""Regularised occupancies against a cone program; stable and optimal points against what they must satisfy."""

import dataclasses
import itertools

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import (
    SolverFailure,
    performatively_optimal,
    performatively_stable,
    policy_iteration,
    project_flow,
    regularized_occupancy,
    solve,
)
from mdplab.instances.performative import (
    large_lambda_witness,
    linear_reward_witness,
    random_softmax_follower,
    two_agent_gridworld,
)
from mdplab.models import MDP, PerformativeMDP, objective_values


def instance(seed):
    """A random model, in part with a single start, states that are never reached, and terminal states."""
    rng = np.random.default_rng([2921, seed])
    S, A, gamma = int(rng.integers(2, 8)), int(rng.integers(1, 5)), float(rng.choice([0.5, 0.9, 0.95]))
    P, mu = rng.dirichlet(np.full(S, 0.3), size=(S, A)), rng.dirichlet(np.ones(S))
    r = rng.uniform(-1, 1, (S, A))
    if seed % 5 == 0:
        mu, P[:, :, -1] = np.eye(S)[0], 0.0
        P /= P.sum(axis=2, keepdims=True)
    if seed % 7 == 0 and S > 2:
        P[1], r[1] = np.eye(S)[1], 0.0
    return MDP(P, r, gamma, mu=mu), 10.0 ** rng.uniform(-2, 2)


@pytest.mark.parametrize("block", range(10))
def test_newton_and_clarabel_agree(block):
    for seed in range(10 * block, 10 * block + 10):
        mdp, lam = instance(seed)
        newton, clarabel = (regularized_occupancy(mdp, lam, method=m, tol=1e-7) for m in ("newton", "clarabel"))
        apart = np.linalg.norm(newton.extras["occupancy"] - clarabel.extras["occupancy"])
        # What the two certificates prove, and the 1e-7.
        assert apart <= newton.certificate.gap + clarabel.certificate.gap <= 1e-7
        assert check(mdp, newton) and check(mdp, clarabel)


def test_the_value_is_the_optimal_one_of_the_penalised_reward():
    for seed in range(8):
        mdp, lam = instance(seed)
        found = regularized_occupancy(mdp, lam)
        d = found.extras["occupancy"]
        best = policy_iteration(mdp.replace(r=np.where(mdp.terminal[:, None], 0.0, mdp.r - lam * d)), tol=1e-7)
        assert np.abs(best.value - found.value).max() <= 1e-7 + found.certificate.data["value_gap"]


def test_what_regularisation_costs():
    for seed in range(6):
        mdp, lam = instance(seed)
        d = regularized_occupancy(mdp, lam).extras["occupancy"]
        best = float(mdp.mu @ policy_iteration(mdp, tol=1e-9).value)
        loss = best - float(np.sum(d * mdp.r))
        assert -1e-8 <= loss <= lam / (2 * (1 - mdp.gamma) ** 2)


def test_perturbation_lemma():
    ratios = []
    for seed in range(60):
        rng = np.random.default_rng([2922, seed])
        S, A, gamma, lam = 4, 3, float(rng.choice([0.5, 0.9])), 10.0 ** rng.uniform(-2, 2)
        mu, size = rng.dirichlet(np.ones(S)), rng.choice([1e-3, 0.1, 1.0])
        P, r = rng.dirichlet(np.ones(S), size=(S, A)), rng.uniform(-1, 1, (S, A))
        Q, q = (1 - size) * P + size * rng.dirichlet(np.ones(S), size=(S, A)), r + size * rng.uniform(-1, 1, (S, A))
        one, two = (
            regularized_occupancy(MDP(kernel, reward, gamma, mu=mu), lam) for kernel, reward in ((P, r), (Q, q))
        )
        difference = one.extras["occupancy"] - two.extras["occupancy"]
        x, dr, ahead = np.linalg.norm(difference), r - q, (P - Q) @ two.value
        far = np.abs(dr).max() + lam * np.abs(difference).max() + gamma * np.abs(ahead).max()
        rows = np.abs(P - Q).sum(axis=2).max()
        bound = np.linalg.norm(dr) * x + gamma / (1 - gamma) ** 2 * rows * far + gamma * np.linalg.norm(ahead) * x
        ratios.append(lam * x**2 / bound)
    # Never above 1, and not vacuous.
    assert 0.05 <= max(ratios) <= 1


def test_bad_arguments_are_named():
    mdp, _ = instance(1)
    for lam in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="lam is"):
            regularized_occupancy(mdp, lam)
        with pytest.raises(ValueError, match="lam is"):
            performatively_stable(linear_reward_witness(1.0), lam)
    for lam in (None, "a", -1.0, np.inf):
        with pytest.raises(ValueError, match=r"lam is .*; expected a number of at least 0"):
            performatively_optimal(linear_reward_witness(1.0), lam)
    with pytest.raises(ValueError, match="lam is missing"):
        performatively_stable(linear_reward_witness(1.0))
    with pytest.raises(ValueError, match="no start distribution"):
        regularized_occupancy(mdp.replace(mu=None), 1.0)
    with pytest.raises(ValueError, match="not terminal"):
        regularized_occupancy(mdp, 1.0, exits=np.ones(mdp.S, dtype=bool))
    with pytest.raises(ValueError, match="method is 'simplex'"):
        regularized_occupancy(mdp, 1.0, method="simplex")
    with pytest.raises(ValueError, match="target has shape"):
        project_flow(mdp, np.zeros(3))
    with pytest.raises(ValueError, match="terminal"):
        performatively_optimal(two_agent_gridworld(num_followers=1), 1.0)
    with pytest.raises(SolverFailure, match="tol is 1e-18"):
        regularized_occupancy(mdp, 1.0, tol=1e-18)


@pytest.mark.parametrize(
    ("sign", "limit"),
    [
        (1, [[4.64737, 0.20199], [2.04801, 3.10263]]),
        (-1, [[2.42274, 1.81648], [3.03879, 2.72200]]),
    ],
)
def test_stable_point_of_the_linear_witness(sign, limit):
    problem = linear_reward_witness(1.8, sign)
    found = performatively_stable(problem, 2.0)
    assert (
        found.certificate.data["distance"] <= 1e-10 and check(problem, found) and check(problem, found, level="exact")
    )
    # The digits that the instance quotes.
    np.testing.assert_allclose(found.extras["occupancy"], limit, atol=6e-6)


def test_stable_points_where_plain_rounds_cycle():
    for problem, lam in ((large_lambda_witness(21.6), 1e8), (linear_reward_witness(3.0, -1), 2.0)):
        found = performatively_stable(problem, lam)
        assert found.extras["iteration"] == "accelerated" and check(problem, found)
        assert found.certificate.gap <= 1e-10 and found.certificate.data["distance"] == np.inf
        assert "not below 1" in found.extras["reason"]
        d = found.extras["occupancy"]
        again = regularized_occupancy(problem.at(problem.policy_of(d)), lam).extras["occupancy"]
        # The certified self-consistency and the solver's own distance.
        np.testing.assert_allclose(again, d, atol=2e-10)


def test_stable_point_of_the_published_gridworld():
    problem = dataclasses.replace(two_agent_gridworld(10.0), lam=1.0)
    found = solve(problem, tol=1e-10)
    assert found.method == "performatively_stable" and check(problem, found, level="exact")
    assert "no closed form" in found.extras["reason"] and not found.extras["factor_proved"]
    # Six digits in the specification's table.
    assert abs(np.linalg.norm(found.extras["occupancy"]) - 0.792149) <= 1e-6


def test_a_response_that_jumps_has_no_stable_point():
    base = MDP([[[1.0], [1.0]]], [[1.0, 1.0]], 0.5, mu=[1.0])

    def contrary(policy):
        return base.P, np.array([[0.0, 1.0]]) if policy[0, 0] >= 0.5 else np.array([[1.0, 0.0]])

    with pytest.raises(SolverFailure, match="no stable point found"):
        performatively_stable(PerformativeMDP(base, contrary), 1.0, max_rounds=300)


def test_an_invalid_response_is_named_with_its_round():
    base, calls = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0]), itertools.count()
    problem = PerformativeMDP(base, lambda policy: (base.P if next(calls) < 2 else 0.5 * base.P, base.r - policy))
    with pytest.raises(ValueError, match=r"round 2: .*state 0, action 0: row sum 0.5"):
        performatively_stable(problem, 1.0)


@pytest.mark.parametrize(
    ("problem", "lam"),
    [
        (linear_reward_witness(1.8), 2.0),
        (random_softmax_follower(2, 2, 2, gamma=0.5, beta=3.0, rng=np.random.default_rng([2923])), 0.5),
    ],
    ids=["linear", "follower"],
)
def test_the_optimum_is_enclosed_and_stability_loses(problem, lam):
    stable = performatively_stable(problem, lam)
    found = performatively_optimal(problem, lam, tol=0.05, stable=stable)
    assert found.status == "certified" and check(problem, found)
    x = np.linspace(0, 1, 41)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    values, _ = objective_values(problem, lam, np.stack([grid, 1 - grid], axis=-1))
    assert values.max() <= found.extras["upper"] <= found.extras["lower"] + 0.05
    low, high = found.extras["stable_loss"]
    assert -1e-9 <= high and low <= high


def test_repeated_optimisation_can_lose_a_lot():
    problem = linear_reward_witness(1.8)
    found = performatively_optimal(problem, 2.0, tol=0.05, stable=performatively_stable(problem, 2.0))
    # Rewards that follow the flow make F convex: an extreme policy is best, stability does not see it.
    assert found.extras["stable_loss"][0] > 29 and found.policy.tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_an_optimum_without_a_proof_is_called_heuristic():
    base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    found = performatively_optimal(PerformativeMDP(base, lambda policy: (base.P, base.r - policy)), 0.0)
    assert found.status == "heuristic" and found.certificate.gap == np.inf
    # Maximise 2 (x (1 - x) - (1 - x)^2): x = 3/4, value 1/4, by a search with numerical gradients.
    np.testing.assert_allclose([found.policy[0, 0], found.value[0]], [0.75, 0.25], atol=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_the_referee_agrees_where_no_flow_is(gamma):
    """All mass starts in a terminal state and nothing is earned: no residual, yet a square root that is rounded up."""
    mdp = MDP([[[1.0, 0.0]], [[0.5, 0.5]]], [[0.0], [0.0]], gamma, mu=[1.0, 0.0])
    for lam in (1e-3, 1.0, 1e8):
        report = check(mdp, regularized_occupancy(mdp, lam))
        assert report, report.reason
