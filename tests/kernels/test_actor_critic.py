"""Critics and excess losses against plain NumPy."""

import numpy as np

from mdplab.instances.episodic import finite_class
from mdplab.kernels.actor_critic import act, boltzmann, class_excess, linear_critic, tabular_critic


def test_tabular_critic_by_hand():
    rng = np.random.default_rng([475])
    H, S, A, bonus, v_max = 3, 4, 2, 0.3, 2.5
    counts = rng.integers(0, 3, (H, S, A, S)).astype(float)
    counts[1, 2] = 0.0
    rewards, pi = rng.random((H, S, A)), rng.dirichlet(np.ones(A), (H, S))
    for optimistic, on_policy in ((True, False), (False, True)):
        out, v = np.empty((H, S, A)), np.zeros(S)
        tabular_critic(counts, rewards, bonus, v_max, optimistic, on_policy, pi, out)
        for h in (2, 1, 0):
            n = counts[h].sum(axis=2)
            with np.errstate(divide="ignore", invalid="ignore"):
                q = np.minimum(rewards[h] + counts[h] @ v / n + bonus / np.sqrt(n), v_max)
            q = np.where(n > 0, q, v_max if optimistic else 0.0)
            # Sums of four terms.
            np.testing.assert_allclose(out[h], q, rtol=0, atol=1e-14)
            v = (pi[h] * q).sum(axis=1) if on_policy else q.max(axis=1)


def test_linear_critic_on_one_hot_features_is_the_tabular_one():
    rng = np.random.default_rng([476])
    H, S, A, ridge = 3, 4, 2, 1e-9
    counts = rng.integers(1, 5, (H, S, A, S)).astype(float)
    rewards, pi = rng.random((H, S, A)), np.full((H, S, A), 0.5)
    n = counts.sum(axis=3).reshape(H, S * A)
    inverse = np.zeros((H, S * A, S * A))
    inverse[:, range(S * A), range(S * A)] = 1 / (n + ridge)
    phi, features = np.eye(S * A).reshape(S, A, S * A), counts.reshape(H, S * A, S)
    table, linear = np.empty((2, H, S, A))
    tabular_critic(counts, rewards, 0.2, 9.0, True, False, pi, table)
    linear_critic(phi, inverse, features, n * rewards.reshape(H, -1), 0.2, 9.0, False, pi, linear)
    # The ridge moves each of three stages by 1e-9 of its value, at most 3.
    np.testing.assert_allclose(linear, table, rtol=0, atol=2e-8)


def test_excess_losses_by_hand():
    rng = np.random.default_rng([477])
    problem = finite_class(4, rng=rng)
    N, H, S, A = problem.critics.shape
    counts = rng.integers(0, 3, (H, S, A, S)).astype(float)
    rewards, backups = problem.linear.rewards(), problem.backups.reshape(N * N, H, S, A)
    out = np.empty(N)
    class_excess(problem.critics, np.ascontiguousarray(np.moveaxis(backups, 0, 3)), rewards, counts, out)
    for i, f in enumerate(problem.critics):
        worst = 0.0
        for h in range(H):
            v = f[h + 1].max(axis=1) if h + 1 < H else np.zeros(S)
            y = rewards[h][..., None] + v
            loss = [(counts[h] * (g[..., None] - y) ** 2).sum() for g in (f[h], *backups[:, h])]
            worst = max(worst, loss[0] - min(loss[1:]))
        # Differences of sums of 48 terms of size 30.
        np.testing.assert_allclose(out[i], worst, rtol=0, atol=1e-11)


def test_policies_and_draws_are_those_of_the_softmax():
    logits = np.array([[[0.0, -800.0, 2.0], [1.0, 1.0, 1.0]]])
    pi = np.empty_like(logits)
    boltzmann(logits, pi)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    # Three exponentials and a division.
    np.testing.assert_allclose(pi, weights / weights.sum(axis=2, keepdims=True), rtol=1e-15, atol=0)
    scratch = np.empty(3)
    assert [act(logits[0, 1], u, scratch) for u in (0.1, 0.5, 0.9, 1 - 2**-53)] == [0, 1, 2, 2]
    assert act(logits[0, 0], 0.12, scratch) == 2
