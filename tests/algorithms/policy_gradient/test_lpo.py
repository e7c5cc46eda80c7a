"""Online sensitivity sampling and LPO: plain NumPy beside the kernels, invariances, what bad input says."""

import numpy as np
import pytest
from plain_sampling import drawn

from mdplab.algorithms.policy_gradient.lpo import lpo, sensitivity, sensitivity_sampling
from mdplab.instances.episodic import deep_sea_episodic
from mdplab.kernels.softmax import log_softmax
from mdplab.models import LinearMDP

SEA = {"episodes": 300, "C": 1.0, "bonus": 0.3, "eta": 30.0, "num_steps": 10, "v_max": 1.02}


def test_one_dimension_by_hand():
    # Nothing kept: 4 R^2 phi^2 / beta; something: phi^2 / (L + beta / 4 R^2).
    assert sensitivity(np.array([3.0]), np.zeros((1, 1)), beta=2.0, radius=0.5) == pytest.approx(4.5, rel=1e-15)
    # One division.
    assert sensitivity(np.array([1.0]), np.array([[3.0]]), beta=4.0, radius=1.0) == pytest.approx(0.25, rel=1e-15)


@pytest.mark.parametrize(("weighted", "c", "ridge"), [(True, 2.5, 0.7), (False, 2.5, 0.7), (True, 0.5, 0.05)])
def test_the_kernel_does_what_plain_numpy_does(weighted, c, ridge):
    """With c below 1 nothing is kept for sure, and sensitivities above 1 count as 1."""
    rng = np.random.default_rng([2101, weighted])
    T, d = 60, 3
    features, uniforms, marks = rng.standard_normal((T, d)), rng.random(T), np.arange(1, T + 1)
    run = sensitivity_sampling(features, uniforms, scale=c, ridge=ridge, weighted=weighted, checkpoints=marks)
    L, G, last, switches, kept, potential = ridge * np.eye(d), ridge * np.eye(d), 0.0, 0, 0, 0.0
    for t, phi in enumerate(features):
        x = phi @ np.linalg.solve(L, phi)
        p = min(1, c * min(1, x))
        potential += min(1, x)
        G += np.outer(phi, phi)
        if uniforms[t] < p:
            L += np.outer(phi, phi) / (p if weighted else 1)
            kept += 1
            log_det = np.linalg.slogdet(L / ridge)[1]
            if log_det >= last + np.log(2):
                switches, last = switches + 1, log_det
        assert (run["kept"][t], run["switches"][t]) == (kept, switches)
        # Sixty rank-one updates of well-conditioned matrices.
        np.testing.assert_allclose(run["sampled"][t], L, rtol=1e-11)
        np.testing.assert_allclose(run["full"][t], G, rtol=1e-12, atol=1e-12)
        assert run["probability"][t] == pytest.approx(p, rel=1e-11)  # as above
        assert run["potential"][t] == pytest.approx(potential, rel=1e-11)  # as above
        assert run["log_det"][t] == pytest.approx(np.linalg.slogdet(L / ridge)[1], abs=1e-10)  # as above
    assert 0 < kept < T and 0 < switches <= kept


def test_other_rules_ignore_what_was_kept():
    T, marks = 400, np.arange(1, 401)
    features, uniforms = np.ones((T, 1)), np.random.default_rng([2102]).random(T)
    root = sensitivity_sampling(features, uniforms, scale=3.0, rule="root", checkpoints=marks)
    # One division and one root.
    np.testing.assert_allclose(root["probability"], np.minimum(1, 3 / np.sqrt(marks)), rtol=1e-15)
    assert root["kept"][-1] == (uniforms < root["probability"]).sum()
    even = sensitivity_sampling(features, uniforms, scale=0.25, rule="uniform", checkpoints=marks)
    assert np.all(even["probability"] == 0.25) and even["kept"][-1] == (uniforms < 0.25).sum()
    assert even["sampled"][-1, 0, 0] == 1 + 4 * even["kept"][-1]


def test_everything_kept_once_is_the_stream():
    features = np.random.default_rng([2103]).standard_normal((200, 4))
    run = sensitivity_sampling(features, np.zeros(200), scale=1.0, rule="uniform", ridge=0.5)
    assert np.array_equal(run["sampled"], run["full"]) and run["kept"][0] == 200
    # A sum of two hundred squares.
    np.testing.assert_allclose(run["full"][0], features.T @ features + 0.5 * np.eye(4), rtol=1e-12, atol=1e-12)


def test_features_that_are_zero_are_never_kept():
    run = sensitivity_sampling(np.zeros((50, 2)), np.zeros(50), scale=10.0)
    assert run["kept"][0] == 0 and run["potential"][0] == 0 and run["log_det"][0] == 0


def test_rotated_features_give_the_same_run():
    sea = deep_sea_episodic(4)
    turn = np.linalg.qr(np.random.default_rng([2104]).standard_normal((8, 8)))[0]
    turned = LinearMDP(sea.phi @ turn, turn.T @ sea.mu, sea.theta @ turn, 4, start=0)
    first, second = (lpo(x, **SEA, rng=np.random.default_rng([2105])) for x in (sea, turned))
    assert np.array_equal(first["kept"], second["kept"]) and np.array_equal(first["switches"], second["switches"])
    # Roundings of critics, times eta and steps.
    np.testing.assert_allclose(first["policy"], second["policy"], atol=1e-9)


def test_the_policy_changes_at_switches_only():
    run = lpo(deep_sea_episodic(4), **SEA, rng=np.random.default_rng([2106]))
    policy, switches = run["policy"][0], run["switches"][0]
    changed = (np.abs(np.diff(policy, axis=0)) > 0).any(axis=(1, 2, 3))
    assert not changed[np.diff(switches) == 0].any() and changed.sum() >= 10
    assert 0 < switches[-1] <= run["log_det"][0, -1] / np.log(2) < run["kept"][0, -1] < 1200


def test_switching_at_every_change_solves_too_and_switches_more():
    late = {"checkpoints": np.array([299]), "rng": np.random.default_rng([2107])}
    often = lpo(deep_sea_episodic(4), **SEA, growth=1.0, **late)
    seldom = lpo(deep_sea_episodic(4), **SEA, growth=4.0, **late)
    assert often["switches"][0, 0] > 2 * seldom["switches"][0, 0] > 0
    right = np.arange(4)
    assert often["policy"][0, 0, right, right, 1].prod() > 0.9 < seldom["policy"][0, 0, right, right, 1].prod()


def test_sensitivities_above_one_count_as_one():
    """With C log T = 1/2 and a small ridge each of the first features is kept with probability 1/2."""
    how = {**SEA, "episodes": 2, "C": 0.5 / np.log(2), "ridge": 1e-3, "seeds": 100, "checkpoints": np.array([1])}
    kept = lpo(deep_sea_episodic(4), **how, rng=np.random.default_rng([2108]))["kept"].sum()
    # 400 fair coins: outside by chance with probability below 1e-6.
    assert 150 < kept < 250


def plan(phi, data, how, H, S):
    """Policy (H, S, A) of natural gradient steps; a stage's data are lists of (phi, reward, successor, weight)."""
    d, bonus, v_max = phi.shape[2], how["bonus"], how["v_max"]
    first, model = np.zeros((H, *phi.shape[:2])), np.zeros((H, *phi.shape[:2], S))
    for h, kept in enumerate(data):
        L = how["ridge"] * np.eye(d) + sum((w * np.outer(f, f) for f, _, _, w in kept), np.zeros((d, d)))
        returns = sum((w * r * f for f, r, _, w in kept), np.zeros(d))
        following = sum((w * np.outer(f, np.eye(S)[to]) for f, _, to, w in kept), np.zeros((d, S)))
        width = np.sqrt(np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(L), phi))
        first[h] = np.minimum(v_max, bonus * width) + phi @ np.linalg.solve(L, returns)
        model[h] = phi @ np.linalg.solve(L, following)
    logits = np.zeros(first.shape)
    for _ in range(how["num_steps"]):
        pi, value = np.exp(log_softmax(logits)), np.zeros(S)
        for h in reversed(range(H)):
            q = np.clip(first[h] + model[h] @ value, 0, v_max)
            logits[h] += how["eta"] * q
            value = (pi[h] * q).sum(axis=1)
    return np.exp(log_softmax(logits))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("growth", [1.0, 2.0])
def test_a_run_is_what_plain_numpy_makes_of_the_same_draws(weighted, growth):
    """Features that are no indicators, rewards of both signs, and every stage another."""
    rng = np.random.default_rng([2109])
    S, A, H, d, T = 3, 2, 3, 4, 40
    phi, mu = rng.dirichlet(np.ones(d), (S, A)), rng.dirichlet(0.5 * np.ones(S), (H, d))
    problem = LinearMDP(phi, mu, rng.uniform(-1, 1, (H, d)), H, start=[0.2, 0.5, 0.3])
    how = {"bonus": 0.8, "eta": 0.7, "num_steps": 3, "ridge": 0.2, "v_max": 0.9}
    options = {"C": 0.6, "weighted": weighted, "growth": growth}
    run = lpo(problem, episodes=T, **how, **options, rng=np.random.default_rng([2110]))
    stream, c = np.random.default_rng([2110]), 0.6 * np.log(T)
    kernels, rewards, data = problem.kernels(), problem.rewards(), [[] for _ in range(H)]
    L, last, switches, pi = np.array([how["ridge"] * np.eye(d)] * H), 0.0, 0, plan(phi, [[]] * H, how, H, S)
    for k in range(T):
        log_det = np.linalg.slogdet(L / how["ridge"])[1].sum()
        # Where nothing was kept the sum of determinants is the same number.
        if log_det > last and log_det >= last + np.log(growth):
            switches, last, pi = switches + 1, log_det, plan(phi, data, how, H, S)
        assert (run["kept"][0, k], run["switches"][0, k]) == (sum(map(len, data)), switches)
        assert run["log_det"][0, k] == pytest.approx(log_det, abs=1e-10)  # some hundred rank-one updates
        np.testing.assert_allclose(run["policy"][0, k], pi, rtol=1e-9)  # as above
        s = drawn(problem.start, stream)
        for h in range(H):
            a = drawn(pi[h, s], stream)
            to = drawn(kernels[h, s, a], stream)
            p = min(1, c * min(1, phi[s, a] @ np.linalg.solve(L[h], phi[s, a])))
            if stream.random() < p:
                weight = 1 / p if weighted else 1.0
                data[h].append((phi[s, a], rewards[h, s, a], to, weight))
                L[h] += weight * np.outer(phi[s, a], phi[s, a])
            s = to
    assert 10 < switches < sum(map(len, data)) < H * T
