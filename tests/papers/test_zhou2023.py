"""What the claims of Zhou 2023 rest on: burn-ins, the diverging class, successes among sampled episodes."""

import numpy as np
import pytest

from mdplab.exact import policy_iteration
from mdplab.papers import zhou2023


def test_the_printed_burn_in_is_four():
    assert {zhou2023.printed_burn_in(gamma, T) for gamma in (0.4, 0.9, 0.999) for T in (10, 10**6)} == {4}
    for gamma in (0.5, 0.9, 0.99):
        for T in (8, 1000):
            K = zhou2023.corrected_burn_in(gamma, T)
            # 0.5^3 = 1/8 exactly, up to two logarithms.
            assert gamma**K <= (1 + 1e-9) / T < gamma ** (K - 1) * (1 + 1e-8)


def test_the_diverging_class_holds_every_policy_and_no_backup():
    mdp, features, _ = zhou2023.diverging(0.8)
    rng = np.random.default_rng([499])
    phi = features.reshape(8, -1)

    def distance(f):
        return np.abs(phi @ np.linalg.lstsq(phi, f.ravel(), rcond=None)[0] - f.ravel()).max()

    for _ in range(5):
        _, q = zhou2023.on_policy_data(mdp, rng.dirichlet(np.ones(2), 4))
        assert distance(q) < 1e-12  # eight equations
    f = np.einsum("sak,k->sa", features, [0.0, 0.0, 1.0, 0.0])
    assert distance(mdp.r + mdp.gamma * mdp.P @ f.mean(axis=1)) > 0.1
    # One certified below 1e-9.
    assert policy_iteration(mdp, tol=1e-9).value[0] == pytest.approx(1.0, abs=1e-9)


def test_sampled_episodes_succeed_as_often_as_the_formula_says():
    """1000 episodes of ten steps; within 4.5 standard deviations: false alarms 7e-6, and the seed is fixed."""
    lock = zhou2023.combination_lock_episodic(10)
    data = zhou2023.collect(lock, zhou2023.lock_policy(10, 0.1), 1000, rng=np.random.default_rng([500]))
    final = lock.rewards()[9, data.states[:, 9], data.actions[:, 9]]
    chance = 0.91**10
    assert abs((final == 1).mean() - chance) < 4.5 * np.sqrt(chance * (1 - chance) / 1000)
    # The printed share lies further off than that.
    assert abs(0.9**10 - chance) > 2 * np.sqrt(chance * (1 - chance) / 1000)


def test_what_offline_data_add_falls_like_the_inverse_weight():
    off = []
    for lam in (1e4, 1e5):
        evidence = zhou2023._on_policy_limit(None, np.random.default_rng([501]), lam=lam)
        off.append(np.abs(evidence["left"] - evidence["right"]).max())
    # The next order is 1e-4 times an inverse occupancy, below 1e2.
    assert 1e-6 < off[0] < 1e-2 and off[0] / off[1] == pytest.approx(10, rel=1e-2)


def test_policies_of_the_special_cases_move():
    for case in (zhou2023._on_policy_limit, zhou2023._off_policy):
        left = case(None, np.random.default_rng([502]))["left"]
        assert np.abs(left[:, -1] - left[:, 0]).max(axis=(1, 2)).min() > 0.05
