import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import SoftmaxTrajectory, gpomdp, hessian_vector, softmax_bend, softmax_score
from mdplab.exact.policy_gradient import softmax_hvp
from mdplab.instances.toytext import frozen_lake
from mdplab.kernels import trajectories
from mdplab.models import MDP

RNG = np.random.default_rng([63, 1])
P = RNG.dirichlet(np.ones(3), (3, 2))
# A row with one successor, so that the lists of successors are padded.
P[1, 0] = [0.0, 0.0, 1.0]
MODEL = MDP(P, RNG.random((3, 2, 3)), 0.8, mu=[0.5, 0.2, 0.3])
THETA, U = RNG.standard_normal((2, 3, 2))


def test_estimates_average_to_gradient_and_hessian_vector_product():
    oracle, rng = SoftmaxTrajectory(MODEL, 6), np.random.default_rng([63, 2])
    truth = softmax_hvp(MODEL, THETA, U, horizon=6)
    for drawn, mean in zip(
        (oracle.draw(THETA, 200_000, rng=rng), oracle.draw_products(THETA, U, 200_000, rng=rng)), truth
    ):
        z = (drawn.mean(axis=0) - mean) * np.sqrt(len(drawn)) / drawn.std(axis=0)
        # Twelve z-scores beyond 5: probability 7e-6.
        assert np.abs(z).max() < 5
        assert np.abs(drawn.mean(axis=0) * np.sqrt(len(drawn)) / drawn.std(axis=0)).max() > 10


def test_trajectories_follow_the_model_and_the_policy():
    oracle, H, n = SoftmaxTrajectory(MODEL, 4), 4, 50_000
    A, rho_cdf, after, after_cdf, reward, gamma = oracle.arguments()
    rng = np.random.default_rng([63, 3])
    seen, pi, joint = np.zeros(3, dtype=bool), np.zeros(6), np.zeros((3, A * after.shape[1]))
    pairs, rewards = np.zeros((n, H), dtype=np.int64), np.zeros((n, H))
    for i in range(n):
        args = (rho_cdf, after, after_cdf, reward, gamma, rng, seen, pi, joint, pairs[i], rewards[i])
        trajectories.trajectory(THETA.ravel(), *args)
    policy = np.exp(THETA) / np.exp(THETA).sum(axis=1, keepdims=True)
    law = MODEL.mu
    for t in range(H):
        share = np.bincount(pairs[:, t], minlength=6) / n
        expected = (law[:, None] * policy).ravel()
        # Twenty-four shares of 50 000 draws beyond 5 standard errors: probability 1e-5.
        assert (np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)).all()
        law = expected @ P.reshape(6, 3)
    # Each row holds gamma^t times a reward of the model; a product and a quotient round.
    steps = rewards / 0.8 ** np.arange(H)
    assert np.abs(steps[..., None] - MODEL.r_next.ravel()).min(axis=-1).max() < 1e-15


def test_one_trajectory_gives_what_the_formulas_give():
    A, *model, gamma = SoftmaxTrajectory(MODEL, 1).arguments()
    seen, pi, pairs, rewards = np.zeros(3, dtype=bool), np.zeros(6), np.zeros(7, dtype=np.int64), np.zeros(7)
    rng, g, v, joint = np.random.default_rng([63, 5]), np.zeros(6), np.zeros(6), np.zeros((3, 6))
    for _ in range(5):
        trajectories.trajectory(THETA.ravel(), *model, gamma, rng, seen, pi, joint, pairs, rewards)
        trajectories.gpomdp(A, seen, pi, pairs, rewards, g)
        trajectories.hessian_vector(A, seen, pi, pairs, rewards, U.ravel(), v)
        states, actions = np.divmod(pairs, A)
        scores = softmax_score(THETA, states, actions).reshape(7, 6)
        bends = softmax_bend(THETA, states, U).reshape(7, 6)
        # Sums of seven products of numbers below 10.
        np.testing.assert_allclose(g, gpomdp(scores, rewards, 1.0), rtol=0, atol=1e-13)
        found = hessian_vector(scores, bends, rewards, 1.0, U.ravel())
        np.testing.assert_allclose(v, found, rtol=0, atol=1e-12)  # as above, times numbers below 10


def test_compiled_and_plain_runs_agree():
    oracle, T = SoftmaxTrajectory(MODEL, 5), 12
    eta, step = 2 / (np.arange(T) + 2), 2 / (np.arange(T) + 2)
    runs = []
    for form in (trajectories.ascend, getattr(trajectories.ascend, "py_func", trajectories.ascend)):
        theta, d = np.empty((2, 2, T, 6))
        rng = np.random.default_rng([63, 4])
        form(
            *oracle.arguments(), 5, np.zeros(6), (1 - eta) / eta, 1 - eta, eta, step, True, np.arange(T), rng, theta, d
        )
        runs.append(np.stack([theta, d]))
    # The compiler may contract a multiplication and an addition: some roundings a step, amplified by 1 / eta.
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-11)


def test_lists_of_successors_keep_the_model():
    lake = frozen_lake("8x8")
    _, rho_cdf, after, after_cdf, reward, _ = SoftmaxTrajectory(lake, 1).arguments()
    back, paid = np.zeros((256, 64)), np.zeros(256)
    probability = np.diff(after_cdf, axis=1, prepend=0)
    np.add.at(back, (np.arange(256)[:, None], after), probability)
    # Differences of sums of at most three numbers below 1.
    np.testing.assert_allclose(back.reshape(64, 4, 64), lake.dense().P, rtol=0, atol=1e-15)
    paid = (probability * reward).sum(axis=1)
    np.testing.assert_allclose(paid.reshape(64, 4), lake.r, rtol=0, atol=1e-15)  # as above
    assert after.shape[1] == 3 and rho_cdf[0] == 1.0


@pytest.mark.parametrize(
    ("model", "horizon", "message"),
    [
        (MODEL, 0, "horizon is 0"),
        (MDP(P, np.zeros((3, 2)), 0.8), 3, "mu is None"),
        (
            MDP(P, np.zeros((3, 2)), 0.8, mu=MODEL.mu, actions=[[True, True], [True, False], [True, True]]),
            3,
            r"\[1, 1\]",
        ),
    ],
)
def test_faults_are_named(model, horizon, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxTrajectory(model, horizon)
