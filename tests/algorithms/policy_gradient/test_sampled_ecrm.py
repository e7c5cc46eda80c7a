"""Sampled policy gradients for ECRM: against the exact methods where noise vanishes, and keyed streams."""

import numpy as np
import pytest
from plain_sampling import estimate, rollouts

from mdplab.algorithms.policy_gradient.ecrm import ecrm_quantities, natural_gradient, projected_gradient
from mdplab.algorithms.policy_gradient.sampled_ecrm import sampled_barrier, sampled_natural, sampled_projected
from mdplab.algorithms.robust.projection import project_rows
from mdplab.instances.ecrm import EcrmProblem, random_ecrm
from mdplab.kernels.softmax import log_softmax

HOW = {"horizon": 16, "num_iters": 1, "checkpoints": np.array([0, 1])}


def random(key):
    rng = np.random.default_rng([632, key])
    problem = random_ecrm(2, 2, num_costs=2, gamma=0.5, weight=0.6, tail=0.4, rng=rng)
    return problem, np.full(6, 1 / 6), rng


def test_a_projected_step_is_the_exact_one_on_average():
    """Mixing of nearly 0; 5 standard errors of estimates of at most 4 occupancies times 4 costs over 1/4."""
    problem, mu, rng = random(0)
    pair = (mu[:2], mu[2:].reshape(2, 2))
    found = sampled_projected(problem, step=1e-3, mixing=1e-9, batch=60_000, mu=mu, rng=rng, **HOW)
    exact = projected_gradient(problem, num_iters=1, checkpoints=np.array([0, 1]), step=1e-3, mu=pair)
    moved = found["policy"][0, 1] - exact["policy"][1]
    assert np.abs(moved).max() < 1e-3 * 5 * 16 / np.sqrt(60_000)
    assert abs(found["objective"][0, 0] - exact["objective"][0]) < 5 * 4 / np.sqrt(60_000)


def test_a_barrier_pulls_to_the_middle():
    problem, mu, _ = random(1)
    how = {"step": 2.0, "horizon": 16, "num_iters": 400, "checkpoints": np.array([400]), "batch": 8, "mu": mu}
    least = [sampled_barrier(problem, barrier=b, rng=np.random.default_rng([632, 9]), **how)["policy"].min()
             for b in (0.0, 2.0)]  # fmt: skip
    assert least[0] < 0.01 < 0.03 < least[1]


def test_natural_steps_are_exact_where_the_critic_is():
    """One state, one action, one level: every rollout is the same, but for truncation by gamma^40."""
    problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.0, 1.0)
    how = {"tau": 0.0, "step": 0.2, "num_iters": 3, "checkpoints": np.arange(4)}
    # With gamma = 0 nothing follows the first step.
    flat = problem.replace(gamma=0.0)
    found = sampled_natural(flat, horizon=4, batch=3, rng=np.random.default_rng([632, 2]), **how)
    exact = natural_gradient(flat, **how)
    np.testing.assert_allclose(found["policy"][0], exact["policy"], atol=1e-15)  # the same arithmetic
    np.testing.assert_allclose(found["q"][0], exact["q"], atol=1e-15)  # likewise


def test_the_critic_is_right_on_average_and_the_step_uses_it():
    problem, _, rng = random(3)
    found = sampled_natural(problem, tau=0.3, step=0.5, batch=20_000, rng=rng, **HOW)
    policy, q = found["policy"][0], found["q"][0]
    known = ecrm_quantities(problem, *problem.split(policy[0]), tau=0.3)
    # 5 standard errors of sums of at most gamma / (1 - gamma) = 1 times a range of 4, and gamma^16 of 4.
    np.testing.assert_allclose(q[0], problem.join(known.q1, known.q2), atol=5 * 2 / np.sqrt(20_000) + 1e-4)
    expected = log_softmax((1 - 0.3 / 0.5 * 0.5) * np.log(policy[0]) - 0.5 / 0.5 * q[0])
    np.testing.assert_allclose(np.log(policy[1]), expected, atol=1e-13)  # the same arithmetic


def test_streams_are_keyed():
    problem, _, _ = random(4)
    how = {"tau": 0.3, "step": 0.5, "batch": 2, **HOW}
    runs = [sampled_natural(problem, seeds=n, rng=np.random.default_rng([632, 5]), **how)["policy"] for n in (1, 3)]
    assert np.array_equal(runs[0][0], runs[1][0])
    assert not np.array_equal(runs[1][0], runs[1][1])


REPLAY = {"horizon": 4, "batch": 2, "num_iters": 8, "checkpoints": np.arange(9)}


def by_hand(problem, mu):
    """The larger model with its costs written out pair by pair: at the first step c itself, no excess over a level."""
    S, A, levels, E = problem.S, problem.A, problem.levels, problem.E
    model = problem.augmented(mu)
    costs = np.empty(model.r.shape)
    for state in range(model.S):
        for a in range(A):
            for f in range(E):
                c = problem.cost[state if state < S else (state - S) // E, a]
                if state >= S:
                    excess = max(c - levels[(state - S) % E], 0.0)
                    c = problem.weight / problem.tail * excess + (1 - problem.weight) * c
                costs[state, a * E + f] = c + problem.gamma * problem.weight * levels[f]
    return model.replace(r=-costs)


@pytest.mark.parametrize("everywhere", [True, False])
def test_barrier_runs_are_what_plain_python_makes_of_the_same_draws(everywhere):
    problem, mu, _ = random(6)
    mu = mu if everywhere else None
    found = sampled_barrier(problem, barrier=0.5, step=0.3, mu=mu, rng=np.random.default_rng([632, 7]), **REPLAY)
    model, stream = by_hand(problem, mu), np.random.default_rng([632, 7]).spawn(1)[0]
    theta = np.zeros(model.r.shape)
    for k in range(9):
        value, g = estimate(model, log_softmax(theta), model.r, 4, 2, stream)
        pi = np.exp(log_softmax(theta))
        # Sums of some ten terms a step, and eight steps.
        np.testing.assert_allclose(found["policy"][0, k], pi, rtol=1e-11)
        assert found["objective"][0, k] == pytest.approx(-value, rel=1e-11)  # as above
        # The slope of (barrier / (N M)) sum log p in the logits.
        theta = theta + 0.3 * (g + 0.5 / theta.size * (1 - theta.shape[1] * pi))


@pytest.mark.parametrize("everywhere", [True, False])
def test_projected_runs_are_what_plain_python_makes_of_the_same_draws(everywhere):
    problem, mu, _ = random(8)
    mu = mu if everywhere else None
    found = sampled_projected(problem, step=0.3, mixing=0.3, mu=mu, rng=np.random.default_rng([632, 8]), **REPLAY)
    model, stream = by_hand(problem, mu), np.random.default_rng([632, 8]).spawn(1)[0]
    p = np.full(model.r.shape, 1 / model.A)
    for k in range(9):
        value, g = estimate(model, np.log(0.7 * p + 0.3 / model.A), model.r, 4, 2, stream, direct=True)
        # Sums of some ten terms a step, and eight steps; entries that are projected to 0.
        np.testing.assert_allclose(found["policy"][0, k], p, rtol=1e-11, atol=1e-13)
        assert found["objective"][0, k] == pytest.approx(-value, rel=1e-11)  # as above
        p = project_rows(p + 0.3 * 0.7 * g)
    # Rounding of sums to 1.
    assert p.min() < 1e-15


def test_natural_runs_are_what_plain_python_makes_of_the_same_draws():
    problem, _, _ = random(9)
    tau, step = 0.3, 0.4
    found = sampled_natural(problem, tau=tau, step=step, rng=np.random.default_rng([632, 10]), **REPLAY)
    model, stream = by_hand(problem, None), np.random.default_rng([632, 10]).spawn(1)[0]
    log_p, pull = log_softmax(np.zeros(model.r.shape)), step / (1 - problem.gamma)
    for k in range(9):
        q = rollouts(model, log_p, model.r, model.r - tau * log_p, 4, 2, stream)
        # Sums of some ten terms a step, and eight steps.
        np.testing.assert_allclose(found["policy"][0, k], np.exp(log_p), rtol=1e-11)
        np.testing.assert_allclose(found["q"][0, k], -q, rtol=1e-11, atol=1e-12)  # as above
        log_p = log_softmax((1 - pull * tau) * log_p + pull * q)
