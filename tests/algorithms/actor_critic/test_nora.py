"""NORA: a run restated in NumPy on the same draws, rare switches, what offline data and ablations change."""

import numpy as np
import pytest

from mdplab.algorithms.actor_critic import collect, nora, nora_finite_class, optimistic_npg
from mdplab.exact.episodic import stage_values
from mdplab.instances.episodic import deep_sea_episodic, finite_class
from mdplab.instances.linear import random_linear_mdp
from mdplab.models import LinearMDP, OfflineData

SEA = deep_sea_episodic(4, slip=0.1)


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_a_run_restated():
    """The specification's pseudocode, 2.3, with offline data, in plain NumPy."""
    H, S, A, eta, bonus, v_max, T = 4, 4, 2, 0.7, 0.1, 1.02, 60
    data = collect(SEA, np.full((H, S, A), 0.5), 5, rng=np.random.default_rng([481]))
    rng = np.random.default_rng([482])
    run = nora(SEA, episodes=T, eta=eta, bonus=bonus, v_max=v_max, offline=data, rng=np.random.default_rng([482]))
    cdf, rewards = np.cumsum(SEA.kernels(), axis=3), SEA.rewards()
    counts = np.zeros((H, S, A, S))
    for states, actions in zip(data.states, data.actions, strict=True):
        counts[range(H), states[:-1], actions, states[1:]] += 1

    def critic():
        v, q, n = np.zeros(S), np.empty((H, S, A)), counts.sum(axis=3)
        for h in range(H - 1, -1, -1):
            ahead = counts[h] @ v / np.maximum(n[h], 1)
            fitted = np.minimum(rewards[h] + ahead + bonus / np.sqrt(np.maximum(n[h], 1)), v_max)
            q[h] = np.where(n[h] > 0, fitted, v_max)
            v = q[h].max(axis=1)
        return q

    last, q, x, switches, age = counts.sum(axis=3), critic(), np.zeros((H, S, A)), 0, 0
    for t in range(T):
        # 60 steps of size 1.
        np.testing.assert_allclose(run["policy"][0, t], softmax(x), rtol=0, atol=1e-12)
        assert (run["switches"][0, t], run["age"][0, t]) == (switches, age)
        rng.random()
        s = 0
        for h in range(H):
            a = int((rng.random() >= np.cumsum(softmax(x[h, s]))).sum())
            to = int((rng.random() >= cdf[h, s, a]).sum())
            counts[h, s, a, to] += 1
            s = to
        n = counts.sum(axis=3)
        if np.any(n >= 2 * np.maximum(last, 1)) or np.any((n > 0) & (last == 0)):
            q, last, x, age, switches = critic(), n, np.zeros((H, S, A)), 0, switches + 1
        x, age = x + eta * q, age + 1
    assert switches > 5


def test_a_linear_run_restated():
    """Ridge regression with rewards in the targets; a switch when some determinant has doubled."""
    rng = np.random.default_rng([489])
    linear, eta, bonus, ridge, T = random_linear_mdp(4, 2, 3, 3, rng=rng), 0.5, 0.3, 0.5, 30
    options = {"episodes": T, "eta": eta, "bonus": bonus, "critic": "linear", "ridge": ridge}
    run = nora(linear, rng=np.random.default_rng([490]), **options)
    rng, phi, H, S, A = np.random.default_rng([490]), linear.phi, 3, 4, 2
    cdf, rewards = np.cumsum(linear.kernels(), axis=3), linear.rewards()
    seen = [([], [], []) for _ in range(H)]

    def gram(h):
        rows = np.array(seen[h][0]).reshape(-1, 3)
        return ridge * np.eye(3) + rows.T @ rows, rows

    def critic():
        v, q = np.zeros(S), np.empty((H, S, A))
        for h in range(H - 1, -1, -1):
            matrix, rows = gram(h)
            w = np.linalg.solve(matrix, rows.T @ (np.array(seen[h][1]) + v[np.array(seen[h][2], dtype=int)]))
            width = np.sqrt(np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(matrix), phi))
            q[h] = np.clip(phi @ w + bonus * width, 0, H)
            v = q[h].max(axis=1)
        return q

    last, q, x, switches = [ridge**3] * H, critic(), np.zeros((H, S, A)), 0
    for t in range(T):
        # 30 updates of an inverse of condition below 100.
        np.testing.assert_allclose(run["policy"][0, t], softmax(x), rtol=0, atol=1e-11)
        assert run["switches"][0, t] == switches
        rng.random()
        s = 0
        for h in range(H):
            a = int((rng.random() >= np.cumsum(softmax(x[h, s]))).sum())
            to = int((rng.random() >= cdf[h, s, a]).sum())
            for values, value in zip(seen[h], (phi[s, a], rewards[h, s, a], to), strict=True):
                values.append(value)
            s = to
        now = [np.linalg.det(gram(h)[0]) for h in range(H)]
        if any(new >= 2 * old for new, old in zip(now, last, strict=True)):
            q, last, x, switches = critic(), now, np.zeros((H, S, A)), switches + 1
        x = x + eta * q
    assert switches > 2


def test_the_choice_from_the_confidence_set():
    problem = finite_class(8, rng=np.random.default_rng([483]))
    promise = problem.critics[:, 0, 0].max(axis=1)
    for choice in ("pessimistic", "fitted"):
        options = {"episodes": 60, "eta": 0.3, "beta": 2.0, "choice": choice, "every_episode": True}
        run = nora_finite_class(problem, rng=np.random.default_rng([484]), **options)
        spread = 0.0
        for excess, chosen in zip(run["excess"][0], run["critic"][0], strict=True):
            inside, score = excess <= 2.0, promise if choice == "pessimistic" else excess
            spread = max(spread, np.ptp(score[inside]))
            assert score[chosen] == score[inside].min()
        assert spread > 0.05


def test_the_class_run_follows_its_confidence_sets():
    """Every critic chosen is the most optimistic of those within the threshold; the first is that of all."""
    problem = finite_class(8, rng=np.random.default_rng([483]))
    run = nora_finite_class(problem, episodes=800, eta=0.3, beta=0.05, rng=np.random.default_rng([484]))
    promise = problem.critics[:, 0, 0].max(axis=1)
    assert run["critic"][0, 0] == promise.argmax()
    assert run["switches"][0, -1] >= 2
    for excess, chosen in zip(run["excess"][0], run["critic"][0], strict=True):
        if (excess <= 0.05).any():
            assert promise[chosen] == promise[excess <= 0.05].max()
    changed = np.diff(run["switches"][0]) > 0
    assert np.all(run["age"][0, 1:][changed] == 1)


def test_a_known_treasure_is_fetched():
    sea = deep_sea_episodic(12)
    data = collect(sea, np.tile([0.05, 0.95], (12, 12, 1)), 200, rng=np.random.default_rng([485]))
    options = {"episodes": 200, "eta": 1.0, "bonus": 0.0, "optimistic": False, "v_max": 1.02}
    value = {}
    for name, offline in (("with", data), ("without", None)):
        run = nora(sea, offline=offline, rng=np.random.default_rng([486]), checkpoints=[199], **options)
        value[name] = stage_values(sea, run["policy"][0])[0]
    # 200 steps of size 1 with advantages of about 1; without data 2^-12 of uniform episodes get there.
    assert value["with"] > 0.99 and value["without"] < 0.05


def test_optimistic_npg_never_resets_and_learns():
    run = optimistic_npg(SEA, episodes=400, eta=0.3, bonus=0.1, v_max=1.02, rng=np.random.default_rng([487]))
    assert np.array_equal(run["age"][0], np.arange(400))
    late = stage_values(SEA, run["policy"][0, -1:])[0]
    assert late > 0.9 * stage_values(SEA, np.tile([0.0, 1.0], (1, 4, 4, 1)))[0]


def test_seeds_are_drawn_one_after_the_other():
    run = nora(SEA, episodes=20, eta=0.3, bonus=0.1, rng=np.random.default_rng([488]), seeds=2)
    first = nora(SEA, episodes=20, eta=0.3, bonus=0.1, rng=np.random.default_rng([488]))
    assert np.array_equal(run["policy"][0], first["policy"][0])
    assert not np.array_equal(run["policy"][1], first["policy"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 0.0}, "eta is 0; expected a finite number above 0"),
        ({"bonus": -1.0}, "bonus is -1; expected a finite number of at least 0"),
        ({"ridge": 0.0, "critic": "linear"}, "ridge is 0"),
        ({"critic": "neural"}, "critic is 'neural'"),
        ({"backup": "min"}, "backup is 'min'"),
        ({"episodes": 0}, "episodes is 0"),
        ({"checkpoints": [3, 3]}, "checkpoints are"),
        ({"offline": OfflineData([[0, 1]], [[0]], 4, 2)}, "expected H, S, A = 4, 4, 2"),
    ],
)
def test_arguments_that_are_refused(options, message):
    options = {"episodes": 10, "eta": 0.1, "bonus": 0.1, **options}
    with pytest.raises(ValueError, match=message):
        nora(SEA, rng=np.random.default_rng(0), **options)


def test_a_problem_without_start_and_a_policy_that_is_none_are_refused():
    linear = LinearMDP(SEA.phi, SEA.mu, SEA.theta, 4)
    with pytest.raises(ValueError, match="no start"):
        nora(linear, episodes=10, eta=0.1, bonus=0.1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"no policy of shape \(4, 4, 2\)"):
        collect(SEA, np.full((4, 4, 2), 0.6), 10, rng=np.random.default_rng(0))
