"""Performative problems: what a response must be, and constants that no sampled pair may exceed."""

import numpy as np
import pytest

from mdplab.instances.performative import (
    large_lambda_witness,
    linear_reward_witness,
    random_linear_response,
    random_softmax_follower,
)
from mdplab.kernels.occupancy import project_flow
from mdplab.models import (
    MDP,
    LinearRewardResponse,
    MixedResponse,
    PerformativeMDP,
    SoftmaxFollower,
    TanhResponse,
    contraction_factor,
    estimate_sensitivity,
    objective_curvature,
    objective_values,
    occupancy,
    sensitivity_bounds,
)
from mdplab.models.sensitivity import spectral_norm_bound

BASE = MDP([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.3, 0.7]]], [[1.0, 0.0], [0.0, 0.5]], 0.9, mu=[0.5, 0.5])
UNIFORM = np.full((2, 2), 0.5)


def follower(seed, influence=1.0, **sizes):
    sizes = {"S": 3, "A": 2, "B": 3, "gamma": 0.5, "beta": 2.0, **sizes}
    return random_softmax_follower(**sizes, influence=influence, rng=np.random.default_rng([2911, seed]))


@pytest.mark.parametrize(
    ("at", "value", "text"),
    [
        ((1, 0, 1), 0.98, "round 7: .*state 1, action 0: row sum 0.98"),
        ((0, 1, 0), -0.25, "round 7: .*state 0, action 1: row sum -0.25, least entry -0.25"),
        ((0, 0, 0), np.nan, "round 7: .*state 0, action 0: row sum nan"),
        ((1, 1, 1), np.inf, "round 7: .*state 1, action 1: row sum inf"),
    ],
)
def test_an_invalid_kernel_is_named(at, value, text):
    P = np.array(BASE.P)
    P[at] = value
    problem = PerformativeMDP(BASE, lambda policy: (P, BASE.r))
    with pytest.raises(ValueError, match=text):
        problem.at(UNIFORM, round=7)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"base": BASE.replace(mu=None)}, "no start distribution"),
        ({"base": BASE.replace(horizon=3)}, "horizon 3"),
        ({"response": 3}, "response is a int"),
        ({"lam": 0.0}, "lam is 0.0"),
        ({"reward_sensitivity": 1.0}, "come together"),
        ({"reward_sensitivity": 1.0, "transition_sensitivity": 0.0}, "sensitivity_kind is None"),
        ({"reward_sensitivity": np.inf, "transition_sensitivity": 0.0, "sensitivity_kind": "proved"}, "is inf"),
        ({"reward_sensitivity": 1.0, "transition_sensitivity": 0.0, "sensitivity_kind": "guessed"}, "guessed"),
    ],
)
def test_bad_arguments_are_named(arguments, text):
    with pytest.raises(ValueError, match=text):
        PerformativeMDP(**{"base": BASE, "response": lambda policy: (BASE.P, BASE.r), **arguments})


@pytest.mark.parametrize("answer", [None, BASE.P, 1.0])
def test_a_response_that_is_no_pair_is_named(answer):
    with pytest.raises(ValueError, match=r"round 3: the response is a .*; expected a pair \(P, r\)"):
        PerformativeMDP(BASE, lambda policy: answer).respond(UNIFORM, round=3)


def test_bad_responses_and_policies_are_named():
    for answer, text in (
        ((BASE.P[:1], BASE.r), "shape"),
        ((BASE.P, BASE.r + np.inf), "reward inf at state 0, action 0"),
    ):
        problem = PerformativeMDP(BASE, lambda policy, answer=answer: answer)
        with pytest.raises(ValueError, match=text):
            problem.respond(UNIFORM)
    with pytest.raises(ValueError, match="at state 1"):
        linear_reward_witness(1.0).respond(np.array([[0.5, 0.5], [0.5, 0.6]]))
    stays = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9, mu=[1.0, 0.0])
    with pytest.raises(ValueError, match="terminal state 1"):
        PerformativeMDP(stays, lambda policy: (stays.P, stays.r + 1.0)).respond(np.ones((2, 1)))


def test_terminal_states_and_negligible_flow():
    stays = MDP([[[0.0, 1.0]] * 2, [[0.0, 1.0]] * 2], [[1.0, 1.0], [0.0, 0.0]], 0.9, mu=[1.0, 0.0])
    problem = PerformativeMDP(stays, lambda policy: (stays.P, stays.r))
    assert problem.occupancy(UNIFORM).tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert problem.available.tolist() == [[True, True], [False, False]]
    assert problem.policy_of(np.array([[3.0, 1.0], [1e-12, 0.0]])).tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_occupancy_meets_its_own_flow_equation():
    d = occupancy(BASE.P, BASE.mu, BASE.gamma, UNIFORM)
    # A linear solve of two equations.
    np.testing.assert_allclose(d.sum(axis=1), BASE.mu + 0.9 * np.einsum("sa,sat->t", d, BASE.P), atol=1e-13)
    np.testing.assert_allclose(d.sum(), 10.0, rtol=1e-13)


CLOSED_FORMS = [linear_reward_witness(1.8, -1), large_lambda_witness(3.0), follower(0), follower(1, S=2, A=3)]
CLOSED_FORMS += [random_linear_response(3, 2, gamma=0.8, eps=0.7, rng=np.random.default_rng([2912]))]


@pytest.mark.parametrize("problem", CLOSED_FORMS, ids=lambda problem: problem.name)
def test_no_sampled_pair_exceeds_a_proved_constant(problem):
    proved = sensitivity_bounds(problem)
    sampled = estimate_sensitivity(problem, num_pairs=60, rng=np.random.default_rng([2913]))
    assert proved.proved and sampled.kind == "estimated" and not sampled.proved
    # Rounding of differences between near policies.
    assert sampled.reward <= proved.reward * (1 + 1e-9) and sampled.transition <= proved.transition * (1 + 1e-9)
    assert sampled.reward + sampled.transition > 0


def test_where_the_constant_is_exact_it_is_attained():
    problem = linear_reward_witness(1.8)
    sampled = estimate_sensitivity(problem, num_pairs=2, rng=np.random.default_rng([2914]))
    # Both sides are eps |d - d'|; near pairs lose digits.
    np.testing.assert_allclose([sampled.reward, sensitivity_bounds(problem).reward], 1.8, rtol=1e-8)


def test_what_cannot_be_bounded_says_so():
    plain = PerformativeMDP(BASE, lambda policy: (BASE.P, BASE.r))
    assert sensitivity_bounds(plain).kind == "unbounded" and contraction_factor(plain, 1.0).factor == np.inf
    never = BASE.replace(P=[[[0.0, 1.0]] * 2, [[0.0, 1.0]] * 2], mu=[0.0, 1.0])
    U, T = np.arange(8.0).reshape(2, 2, 2), np.broadcast_to(np.array([0.0, 1.0]), (2, 2, 2, 2))
    unseen = PerformativeMDP(never, SoftmaxFollower(T, U, U**2, 1.0))
    found = sensitivity_bounds(unseen)
    assert found.kind == "unbounded" and "state 0 may never be visited" in found.reason
    stated = PerformativeMDP(
        BASE, plain.response, reward_sensitivity=0.5, transition_sensitivity=0.0, sensitivity_kind="estimated"
    )
    factor = contraction_factor(stated, 2.0)
    assert not factor.proved and not factor.derived and factor.factor >= 0.25


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (6, 2), (7, 7)])
def test_operator_norm_from_above_and_tight(shape):
    W = np.random.default_rng([2915, *shape]).standard_normal(shape)
    norm = np.linalg.norm(W, 2)
    # A few hundred roundings.
    assert norm * (1 - 1e-14) <= spectral_norm_bound(W) <= norm * (1 + 1e-11)


def test_a_proved_contraction_holds_for_pairs():
    problem = follower(2, influence=0.02, beta=0.2)
    lam = 5.0
    factor = contraction_factor(problem, lam)
    assert factor.proved and factor.derived and factor.factor < 1
    rng = np.random.default_rng([2916])

    def optimum(policy):
        P, r = problem.respond(policy)
        return project_flow(P, problem.mu, problem.gamma, r / lam).d

    ratios = []
    for _ in range(30):
        one, two = (rng.dirichlet(np.ones(2), size=3) for _ in range(2))
        before = np.linalg.norm(problem.occupancy(one) - problem.occupancy(two))
        ratios.append(np.linalg.norm(optimum(one) - optimum(two)) / before)
    assert 0 < max(ratios) <= factor.factor


def test_the_factor_does_not_vanish_with_lam_unless_only_rewards_respond():
    moving, still = follower(3), linear_reward_witness(1.0)
    assert contraction_factor(moving, 1e12).factor > 1e-3
    # eps / lam, rounded up.
    np.testing.assert_allclose(contraction_factor(still, 1e12).factor, 1e-12, rtol=1e-9)


def test_mixed_responses_arrive_gradually():
    inner = follower(4)
    mixed = PerformativeMDP(inner.base, MixedResponse(inner.response, 0.25))
    policy, before = np.full((3, 2), 0.5), (inner.base.P, inner.base.r)
    P, r = mixed.respond(policy, previous=before)
    full = inner.respond(policy)
    np.testing.assert_array_equal(r, 0.75 * before[1] + 0.25 * full[1])
    for _ in range(200):
        P, r = mixed.respond(policy, previous=(P, r))
    # 0.75^200 is below rounding.
    np.testing.assert_allclose(P, full[0], atol=1e-14)
    with pytest.raises(ValueError, match="weight is 0"):
        MixedResponse(inner.response, 0.0)


def test_closed_forms_refuse_what_is_no_kernel():
    with pytest.raises(ValueError, match="leaves"):
        TanhResponse(np.zeros((2, 2)), np.full((2, 2), 0.1), np.ones((2, 2)), 0.25, 1.0, 0.5)
    with pytest.raises(ValueError, match="W has shape"):
        LinearRewardResponse(BASE, np.eye(3), 1.0)


@pytest.mark.parametrize("problem", CLOSED_FORMS, ids=lambda problem: problem.name)
def test_the_objective_is_nowhere_more_curved_than_its_bound(problem):
    lam, step = 0.7, 1e-3
    bound = objective_curvature(problem, lam)
    rng = np.random.default_rng([2917])
    S, A = problem.base.r.shape
    least = 0.0
    for _ in range(50):
        middle = 0.9 * rng.dirichlet(np.ones(A), size=S) + 0.1 / A
        eta = rng.standard_normal((S, A))
        eta -= eta.mean(axis=1, keepdims=True)
        eta /= np.abs(eta).sum(axis=1).max()
        at = objective_values(problem, lam, middle + step * np.array([-1, 0, 1])[:, None, None] * eta)[0]
        least = min(least, (at[0] - 2 * at[1] + at[2]) / step**2)
    assert -bound <= least < 0


def test_the_bound_of_curvature_is_of_the_right_size():
    # Stay or switch at once: what the policy moves is all there is.
    stay = MDP([[[1.0, 0.0], [0.0, 1.0]]] * 2, [[1.0, 1.0], [0.0, 0.0]], 0.9, mu=[0.5, 0.5])
    problem = PerformativeMDP(stay, LinearRewardResponse(stay, np.eye(4), 0.0))
    step, least, rng = 1e-3, 0.0, np.random.default_rng([2919])
    for _ in range(300):
        x, eta = 0.98 * rng.random(2) + 0.01, rng.choice([-0.5, 0.5], size=2)
        line = x + step * np.array([-1, 0, 1])[:, None] * eta
        at = objective_values(problem, 0.0, np.stack([line, 1 - line], axis=-1))[0]
        least = min(least, (at[0] - 2 * at[1] + at[2]) / step**2)
    assert -least <= objective_curvature(problem, 0.0) <= -50 * least


def test_batches_of_policies_meet_what_each_would_meet():
    for problem in CLOSED_FORMS:
        policies = np.random.default_rng([2918]).dirichlet(np.ones(problem.A), size=(4, problem.S))
        values, errors = objective_values(problem, 0.5, policies)
        for policy, value, error in zip(policies, values, errors):
            d, (_, r) = problem.occupancy(policy), problem.respond(policy)
            # The bound of rounding covers either way of computing it.
            assert abs(np.sum(d * r) - 0.25 * np.sum(d * d) - value) <= 4 * error <= 1e-9
