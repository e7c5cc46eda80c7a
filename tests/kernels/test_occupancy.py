"""Projection on the flow polytope: the variational inequality that defines it, on easy and on nasty instances."""

import numpy as np
import pytest

from mdplab.kernels import occupancy
from mdplab.kernels.followers import mean_optimal_q
from mdplab.kernels.occupancy import project_flow


def instance(seed, gammas=(0.0, 0.5, 0.9, 0.99)):
    rng = np.random.default_rng([2901, seed])
    S, A = int(rng.integers(1, 9)), int(rng.integers(1, 5))
    P = rng.dirichlet(np.full(S, rng.choice([0.05, 0.3, 1.0])), size=(S, A))
    mu = np.eye(S)[0] if seed % 3 == 0 else rng.dirichlet(np.ones(S))
    return P, mu, float(rng.choice(gammas)), rng.uniform(-1, 1, (S, A)), rng


def flow_of(P, mu, gamma, policy):
    chain = np.einsum("sa,sat->ts", policy, P)
    return np.linalg.solve(np.eye(len(mu)) - gamma * chain, mu)[:, None] * policy


def defect(P, mu, gamma, d):
    return d.sum(axis=1) - mu - gamma * np.einsum("sa,sat->t", d, P)


@pytest.mark.parametrize("seed", range(40))
def test_no_other_flow_is_nearer(seed):
    P, mu, gamma, target, rng = instance(seed)
    # From a smooth problem to one that is nearly a linear program.
    target = target * 10.0 ** rng.uniform(-2, 4)
    out = project_flow(P, mu, gamma, target)
    size = (1 + np.abs(target).max()) / (1 - gamma) ** 2
    assert out.d.min() >= 0
    # Rounding of a dual vector of that size.
    assert np.abs(defect(P, mu, gamma, out.d)).max() <= 1e-13 * size
    for _ in range(5):
        other = flow_of(P, mu, gamma, rng.dirichlet(np.full(target.shape[1], 0.3), size=len(mu)))
        assert np.sum((target - out.d) * (other - out.d)) <= 1e-12 * size


def test_a_state_of_its_own_is_the_simplex():
    out = project_flow(np.ones((1, 3, 1)), np.ones(1), 0.5, np.array([[1.0, 0.7, -5.0]]))
    # Closed form: the two larger entries share what is missing to a mass of 2.
    np.testing.assert_allclose(out.d, [[1.15, 0.85, 0.0]], atol=1e-14)


def test_projection_is_idempotent_and_does_not_expand():
    for seed in range(10):
        P, mu, gamma, target, rng = instance(seed, (0.5, 0.9))
        first, second = 9 * target, 9 * target + rng.standard_normal(target.shape)
        one, two = project_flow(P, mu, gamma, first), project_flow(P, mu, gamma, second)
        assert np.linalg.norm(one.d - two.d) <= np.linalg.norm(first - second) + 1e-11
        again = project_flow(P, mu, gamma, one.d)
        # Newton's residual, through a factor 1 / (1 - gamma).
        np.testing.assert_allclose(again.d, one.d, atol=1e-10)


def test_a_warm_start_changes_the_work_and_not_the_answer():
    P, mu, gamma, target, _ = instance(4, (0.9,))
    cold = project_flow(P, mu, gamma, 5 * target)
    warm = project_flow(P, mu, gamma, 5 * target, start=cold.h)
    assert warm.num_iters <= 1 <= cold.num_iters
    # The residual's tolerance of 1e-12, through a factor 1 / (1 - gamma).
    np.testing.assert_allclose(warm.d, cold.d, atol=1e-11)


def test_states_left_out_and_unavailable_actions_carry_nothing():
    rng = np.random.default_rng([2902])
    P, mu = rng.dirichlet(np.ones(4), size=(4, 2)), np.array([0.5, 0.5, 0.0, 0.0])
    P[3] = np.eye(4)[3]
    available = np.array([[True, True], [True, False], [True, True], [False, False]])
    out = project_flow(P, mu, 0.9, rng.standard_normal((4, 2)), available=available)
    assert not out.d[~available].any() and out.h[3] == 0
    # The default tolerance; the state left out has no constraint.
    assert np.abs(defect(P, mu, 0.9, out.d)[:3]).max() <= 1e-12


def test_a_state_of_tiny_inflow_gets_its_flow():
    # Newton's matrix counts the best pair of an empty state as active: without lowering h it would never get there.
    tiny = 1e-13
    P = np.zeros((2, 1, 2))
    P[0, 0], P[1, 0] = [1 - tiny, tiny], [1.0, 0.0]
    start = np.array([0.0, 1e3])
    out = project_flow(P, np.array([1.0, 0.0]), 0.9, np.zeros((2, 1)), tol=1e-16, start=start)
    # The only flow there is, in closed form up to terms of size tiny.
    np.testing.assert_allclose(out.d[1, 0], 9 * tiny, rtol=1e-2)


def test_compiled_and_python_agree():
    P, mu, gamma, target, _ = instance(7, (0.9,))
    S, A = target.shape
    # As models are: another specialisation would cost seconds.
    P.flags.writeable = False
    results = []
    for newton in (occupancy._newton, getattr(occupancy._newton, "py_func", occupancy._newton)):
        h, d = np.full(S, -20.0), np.zeros((S, A))
        newton(P, mu, gamma, target, np.ones((S, A), bool), 1e-12, 50, h, d)
        results.append(d)
    # Sums in another order.
    np.testing.assert_allclose(*results, atol=1e-12)


def test_followers_agree_with_value_iteration():
    rng = np.random.default_rng([2903])
    K, S, A, gamma, cost = 3, 6, 4, 0.9, 0.05
    following = rng.integers(0, S, (S, A))
    following[5] = 5
    rewards, policy = rng.uniform(-1, 1, (K, S)), rng.dirichlet(np.ones(A), size=S)
    terminal = np.arange(S) == 5
    for array in (rewards, following, terminal):
        array.flags.writeable = False
    q = np.zeros((S, A + 1))
    sweeps = mean_optimal_q(rewards, following, terminal, policy, gamma, cost, 1e-14, 1000, np.zeros(S), q)
    value = np.zeros((K, S))
    for _ in range(500):
        ahead = rewards[:, following] + gamma * value[:, following]
        table = np.concatenate([ahead - cost, np.sum(policy * ahead, axis=2)[..., None]], axis=2)
        table[:, terminal] = 0.0
        value = table.max(axis=2)
    assert sweeps < 500
    # Both stop within 1e-13 of the fixed point.
    np.testing.assert_allclose(q, table.mean(axis=0), atol=1e-12)
