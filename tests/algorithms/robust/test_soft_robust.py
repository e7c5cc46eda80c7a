"""Soft-robust evaluation and gradient: published numbers, the frozen kernel, differences, and wrong occupancies."""

import numpy as np
import pytest

from mdplab.algorithms.robust.soft_robust import (
    soft_robust_evaluation,
    soft_robust_gradient,
    soft_robust_policy_gradient,
    tilted_rows,
)
from mdplab.instances import garnet
from mdplab.instances.robust_suite import toy_ring
from mdplab.models import MDP


def test_tilted_rows_minimise_value_plus_price():
    rng = np.random.default_rng([93, 0])
    for _ in range(50):
        p, v, beta = rng.dirichlet(np.ones(4)), rng.normal(0, 100, 4), 10 ** rng.uniform(-2, 2)
        q, risk = tilted_rows(p, v, beta)
        log_ratio = np.log(q / p, where=q > 0, out=np.zeros(4))
        assert q @ v + (q @ log_ratio) / beta == pytest.approx(risk, rel=1e-12, abs=1e-10)  # cancellation of sizes 100
        for other in rng.dirichlet(np.ones(4), 20):
            assert other @ v + (other @ np.log(other / p)) / beta >= risk - 1e-10


def test_small_beta_is_the_nominal_model_and_large_beta_the_worst_successor():
    rng = np.random.default_rng([93, 1])
    mdp = garnet(5, 2, 3, gamma=0.9, rng=rng)
    pi = rng.dirichlet(np.ones(2), 5)
    step = np.einsum("sa,sat->st", pi, mdp.P)
    nominal = np.linalg.solve(np.eye(5) - 0.9 * step, (pi * mdp.r).sum(axis=1))
    near = soft_robust_evaluation(mdp, pi, beta=1e-6).value
    # The first-order term is beta / 2 times a variance of at most 25, ten times over.
    np.testing.assert_allclose(near, nominal, atol=2e-4)
    previous = near
    for beta in (0.1, 1.0, 10.0, 1000.0):
        value = soft_robust_evaluation(mdp, pi, beta=beta).value
        assert np.all(value <= previous + 1e-9)
        previous = value


def test_frozen_kernel_reproduces_the_value():
    rng = np.random.default_rng([93, 2])
    mdp = toy_ring(0.05)
    pi = rng.dirichlet(np.ones(3), 14)
    known = soft_robust_evaluation(mdp, pi, beta=2.0)
    step = np.einsum("sa,sat->st", pi, known.kernel)
    reward = (pi * (mdp.r + 0.95 / 2.0 * known.penalty)).sum(axis=1)
    linear = np.linalg.solve(np.eye(14) - 0.95 * step, reward)
    np.testing.assert_allclose(known.value, linear, rtol=1e-11)  # residual 1e-12 over 1 - gamma, relative to the value


def test_gradient_by_differences_and_with_the_nominal_occupancy():
    """Ring, p = .01, beta = 1, one random policy and direction: -40.0516; nominal occupancy: 20.0, the wrong sign.

    Both are the notes' own numbers, drawn from default_rng(0): Dirichlet rows, then a centred normal direction.
    """
    rng = np.random.default_rng(0)
    mdp = toy_ring(0.01)
    pi, d = rng.dirichlet(np.ones(3), 14), rng.standard_normal((14, 3))
    d -= d.mean(axis=1, keepdims=True)
    gradient, known = soft_robust_gradient(mdp, pi, beta=1.0)
    h = 1e-5
    ends = [mdp.mu @ soft_robust_evaluation(mdp, pi + sign * h * d, beta=1.0).value for sign in (1, -1)]
    # Second-order differences at h = 1e-5 of values of size 40 known to 1e-11.
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx((gradient * d).sum(), rel=1e-6)
    assert (gradient * d).sum() == pytest.approx(-40.0516, abs=5e-5)  # digits of the notes
    step = np.einsum("sa,sat->st", pi, mdp.P)
    wrong = np.linalg.solve(np.eye(14) - 0.95 * step.T, mdp.mu)[:, None] * known.q
    assert (wrong * d).sum() == pytest.approx(19.999, abs=5e-4)  # digits of the notes


def test_ascent_reaches_the_published_policy():
    run = soft_robust_policy_gradient(toy_ring(0.01), beta=1.0, num_iters=1500, checkpoints=[0, 1500])
    assert np.all(np.diff(run["objective"]) > 0)
    assert run["objective"][-1] == pytest.approx(-0.7815, abs=1e-4)  # digits of the notes
    assert run["pi"][-1].argmax(axis=1).tolist() == [2, 2, 2, 1, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]


def test_bad_input():
    mdp = toy_ring()
    with pytest.raises(ValueError, match="beta is 0"):
        soft_robust_evaluation(mdp, np.full((14, 3), 1 / 3), beta=0.0)
    with pytest.raises(ValueError, match="pi has shape"):
        soft_robust_evaluation(mdp, np.ones(14), beta=1.0)
    with pytest.raises(ValueError, match="rewards by next state"):
        soft_robust_evaluation(MDP(np.ones((1, 1, 1)), np.ones((1, 1, 1)), 0.5), np.ones((1, 1)), beta=1.0)
