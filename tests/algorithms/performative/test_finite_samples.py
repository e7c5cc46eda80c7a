"""Learning from samples: the limit of many, the game with exact expectations, and the errors that are named."""

import numpy as np
import pytest

from mdplab.algorithms.performative import (
    finite_sample_lagrangian,
    finite_sample_plug_in,
    repeated_optimization,
    saddle_rounds,
)
from mdplab.instances import garnet
from mdplab.instances.performative import random_softmax_follower
from mdplab.kernels.occupancy import project_flow
from mdplab.models import MDP, PerformativeMDP


@pytest.fixture(scope="module")
def problem():
    return random_softmax_follower(3, 2, 2, gamma=0.6, beta=1.0, rng=np.random.default_rng([53, 0]))


@pytest.fixture(scope="module")
def stable(problem):
    return repeated_optimization(problem, 1.0, num_rounds=60)["d"][-1]


def test_many_trajectories_come_near_the_stable_point(problem, stable):
    errors = []
    for n in (10, 4000):
        rng = np.random.default_rng([53, 1])
        run = finite_sample_plug_in(problem, 1.0, num_rounds=6, num_trajectories=n, length=20, rng=rng)
        errors.append(np.linalg.norm(run["d"][-1] - stable))
    # Twenty times fewer errors are expected; one fifth leaves four standard deviations of their ratio's logarithm.
    assert errors[1] < errors[0] / 5
    assert run.status == "ok" and run["unseen"][-1] == 0


def test_gradient_ascent_with_step_one_over_lam_is_the_same(problem):
    runs = [
        finite_sample_plug_in(
            problem, 2.0, num_rounds=3, num_trajectories=5, eta=eta, rng=np.random.default_rng([53, 2])
        )
        for eta in (None, 0.5)
    ]
    np.testing.assert_allclose(runs[0]["d"], runs[1]["d"], atol=1e-10)  # residuals of two projections


def test_unseen_pairs_are_counted_and_taken_as_told():
    P = np.zeros((2, 2, 2))
    P[:, :, 0] = 1.0
    base = MDP(P, [[0.0, 1.0], [5.0, 5.0]], 0.5, mu=[1.0, 0.0])
    problem = PerformativeMDP(base, lambda pi: (base.P, base.r))
    run = finite_sample_plug_in(problem, 1.0, num_rounds=1, num_trajectories=50, rng=np.random.default_rng([53, 3]))
    # State 1 is never reached: both of its pairs stay unknown.
    assert run["unseen"].tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"unseen_P has shape \(2, 2\)"):
        finite_sample_plug_in(
            problem, 1.0, num_rounds=1, num_trajectories=1, unseen_P=np.ones((2, 2)), rng=np.random.default_rng([53, 4])
        )


def _game(lam, share, rounds, mu_once=False):
    rng = np.random.default_rng([53, 5])
    mdp = garnet(4, 3, 3, gamma=0.7, rng=rng).replace(mu=rng.dirichlet(np.ones(4)))
    flow = np.repeat(np.eye(4), 3, axis=1) - mdp.gamma * mdp.P.reshape(-1, 4).T
    delta = share * np.linalg.norm(flow, 2) ** 2 / (2 * lam)
    cap = np.full((4, 3), 1e6)
    play = saddle_rounds(mdp.P, mdp.r, mdp.mu, mdp.gamma, lam, cap, num_rounds=rounds, delta=delta, mu_once=mu_once)
    return play, mdp.mu - flow @ play.mean.ravel(), delta, project_flow(mdp.P, mdp.mu, mdp.gamma, mdp.r / lam)


def test_the_game_tends_to_the_optimum():
    play, _, delta, best = _game(1.0, 1.0, 4000)
    # The derived bound, 4 delta |h*|^2 / (lam N) for the square; the last answer converges linearly.
    assert np.linalg.norm(play.mean - best.d) <= np.sqrt(4 * delta / 4000) * np.linalg.norm(best.h)
    np.testing.assert_allclose(play.d[-1], best.d, atol=1e-6)  # what a linear rate leaves after 4000 rounds


def test_the_mean_violates_the_flow_by_the_last_multiplier():
    play, defect, delta, _ = _game(0.3, 0.2, 15)
    np.testing.assert_allclose(defect, -2 * delta * play.h[-1] / 15, atol=1e-12)  # sums of 15 terms
    # Counted once, the start fades from what the mean is feasible for.
    play, defect, delta, _ = _game(0.3, 0.2, 15, mu_once=True)
    assert np.abs(defect + 2 * delta * play.h[-1] / 15).max() > 0.1


def test_the_ball_bounds_the_multipliers():
    rng = np.random.default_rng([53, 6])
    mdp = garnet(3, 2, 2, gamma=0.5, rng=rng).replace(mu=rng.dirichlet(np.ones(3)))
    play = saddle_rounds(mdp.P, mdp.r, mdp.mu, 0.5, 1.0, np.ones((3, 2)), num_rounds=20, delta=1e-3, radius=2.0)
    assert np.linalg.norm(play.h, axis=1).max() == pytest.approx(2.0, rel=1e-12)  # one rescaling
    assert play.d.min() >= 0 and play.d.max() <= 1


def test_the_lagrangian_learner_with_many_samples(problem, stable):
    flow_norm = (1 + problem.gamma * np.sqrt(problem.S)) ** 2
    run = finite_sample_lagrangian(
        problem, 1.0, num_rounds=4, num_samples=60_000, inner_rounds=600, delta=flow_norm / 2,
        rng=np.random.default_rng([53, 7]),
    )  # fmt: skip
    # The mean lacks about 1 / N of the multipliers' size, the samples 1 / sqrt(m) of the mass.
    assert np.linalg.norm(run["d"][-1] - stable) < 0.1 * np.linalg.norm(stable)


def test_bad_sizes_are_named(problem):
    rng = np.random.default_rng([53, 8])
    with pytest.raises(ValueError, match="num_samples is 1"):
        finite_sample_lagrangian(problem, 1.0, num_rounds=1, num_samples=1, rng=rng)
    with pytest.raises(ValueError, match="num_trajectories is 0"):
        finite_sample_plug_in(problem, 1.0, num_rounds=1, num_trajectories=0, rng=rng)
    with pytest.raises(ValueError, match="length is 0"):
        finite_sample_plug_in(problem, 1.0, num_rounds=1, num_trajectories=1, length=0, rng=rng)
    with pytest.raises(ValueError, match="delta is 0"):
        finite_sample_lagrangian(problem, 1.0, num_rounds=1, num_samples=4, delta=0.0, rng=rng)
