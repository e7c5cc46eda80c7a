"""Repeated optimisation and gradient ascent: closed forms with one state, the flow of every iterate, errors by name."""

import numpy as np
import pytest

from mdplab.algorithms.performative import repeated_gradient_ascent, repeated_optimization
from mdplab.instances.performative import linear_reward_witness, random_softmax_follower, two_agent_gridworld
from mdplab.models import MDP, LinearRewardResponse, PerformativeMDP


def _one_state(weight):
    base = MDP(np.ones((1, 3, 1)), [[0.1, 0.0, -0.1]], 0.5, mu=[1.0])
    return PerformativeMDP(base, LinearRewardResponse(base, np.eye(3), weight))


@pytest.mark.parametrize("weight", [0.5, -0.5])
def test_one_state_by_hand(weight):
    """Every round maps d to (r0 + w d) / lam, moved to mass 2."""
    run = repeated_optimization(_one_state(weight), 1.0, num_rounds=4, start=np.array([[0.9, 0.6, 0.5]]))
    d = np.array([0.9, 0.6, 0.5])
    for t in range(4):
        d = np.array([0.1, 0.0, -0.1]) + weight * d
        d += (2 - d.sum()) / 3
        np.testing.assert_allclose(run["d"][t + 1, 0], d, atol=1e-12)  # the projection's residual


@pytest.mark.parametrize("eta", [0.3, 1.7])
def test_one_state_gradient_by_hand(eta):
    run = repeated_gradient_ascent(_one_state(-0.2), 1.0, eta=eta, num_rounds=3, start=np.array([[0.7, 0.7, 0.6]]))
    d = np.array([0.7, 0.7, 0.6])
    for t in range(3):
        d = (1 - eta) * d + eta * (np.array([0.1, 0.0, -0.1]) - 0.2 * d)
        d += (2 - d.sum()) / 3
        np.testing.assert_allclose(run["d"][t + 1, 0], d, atol=1e-12)  # the projection's residual


def test_every_iterate_obeys_the_flow_of_the_environment_before():
    problem = random_softmax_follower(5, 3, 2, gamma=0.9, beta=4.0, rng=np.random.default_rng([51, 1]))
    run = repeated_optimization(problem, 0.5, num_rounds=6)
    assert run.status == "ok"
    for before, d in zip(run["d"], run["d"][1:]):
        P, _ = problem.respond(problem.policy_of(before))
        defect = problem.mu + problem.gamma * np.einsum("sa,sat->t", d, P) - d.sum(axis=1)
        # The residual at which projections stop.
        np.testing.assert_allclose(defect, 0, atol=1e-11)
    assert run["d"].min() >= 0


def test_terminal_states_carry_no_flow():
    problem = two_agent_gridworld(5.0)
    run = repeated_optimization(problem, 1.0, num_rounds=2)
    assert np.all(run["d"][:, problem.exits] == 0)
    assert run["d"][-1].sum() < 10


def test_the_default_start_is_the_uniform_policy():
    problem = linear_reward_witness(1.0)
    run = repeated_optimization(problem, 2.0, num_rounds=0)
    np.testing.assert_array_equal(run["d"][0], problem.occupancy(np.full((2, 2), 0.5)))


def test_the_witness_attains_its_factor_and_its_limit():
    run = repeated_optimization(linear_reward_witness(1.8, -1), 2.0, num_rounds=200, start=np.full((2, 2), 2.5))
    steps = np.linalg.norm(np.diff(run["d"], axis=0), axis=(1, 2))
    assert (steps[1:41] / steps[:40]).max() == pytest.approx(0.9, abs=1e-9)  # rounding over steps above 1e-2
    # Beyond the threshold it never comes to rest.
    beyond = repeated_optimization(linear_reward_witness(3.0, -1), 2.0, num_rounds=60, start=np.full((2, 2), 2.5))
    assert np.linalg.norm(beyond["d"][-1] - beyond["d"][-2]) > 5


def test_bad_arguments_are_named():
    problem = _one_state(0.5)
    with pytest.raises(ValueError, match="lam is 0"):
        repeated_optimization(problem, 0.0, num_rounds=1)
    with pytest.raises(ValueError, match="lam is -1"):
        repeated_gradient_ascent(problem, -1.0, eta=1.0, num_rounds=1)
    with pytest.raises(ValueError, match="eta is nan"):
        repeated_gradient_ascent(problem, 1.0, eta=np.nan, num_rounds=1)
    with pytest.raises(ValueError, match="num_rounds is -1"):
        repeated_optimization(problem, 1.0, num_rounds=-1)
    with pytest.raises(ValueError, match=r"start has shape \(2,\)"):
        repeated_optimization(problem, 1.0, num_rounds=1, start=np.ones(2))
    with pytest.raises(ValueError, match=r"start\[0, 1\] is -1"):
        repeated_optimization(problem, 1.0, num_rounds=1, start=np.array([[1.0, -1.0, 0.0]]))


def test_an_invalid_response_is_named_with_its_round():
    base = MDP(np.full((2, 2, 2), 0.5), np.eye(2), 0.5, mu=[1.0, 0.0])

    def breaks(pi):
        P = base.P.copy()
        P[1, 0, 0] += 0.1 if abs(pi[0, 0] - 0.5) > 1e-6 else 0.0
        return P, base.r

    with pytest.raises(ValueError, match=r"round 1: the response is no kernel at state 1, action 0: row sum 1\.1"):
        repeated_optimization(PerformativeMDP(base, breaks), 1.0, num_rounds=3)


def test_a_projection_that_fails_is_reported(monkeypatch):
    from mdplab.algorithms.performative import repeated
    from mdplab.kernels.occupancy import Projection

    def poor(P, mu, gamma, target, **options):
        return Projection(np.ones(target.shape), np.zeros(len(mu)), 0.5, 200)

    monkeypatch.setattr(repeated, "project_flow", poor)
    run = repeated_optimization(_one_state(0.5), 1.0, num_rounds=2)
    assert run.status == "projection failed at t=0, residual 0.5"
