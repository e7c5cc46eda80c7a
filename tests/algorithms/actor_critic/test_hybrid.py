"""Hybrid evaluation and its actors: compiled runs against the plain ones, limits of the weight, what is refused."""

import numpy as np
import pytest

from mdplab.algorithms.actor_critic import (
    Evaluation,
    collect,
    episodic_hac,
    exact_hac,
    hac,
    hac_step,
    hnpg,
    hybrid_policy_evaluation,
    on_policy_data,
)
from mdplab.exact import policy_evaluation
from mdplab.instances import garnet
from mdplab.instances.episodic import combination_lock_episodic
from mdplab.models import MDP


def problem(seed, gamma=0.8):
    rng = np.random.default_rng([491, seed])
    mdp = garnet(5, 3, 2, gamma=gamma, rng=rng)
    return mdp.replace(mu=rng.dirichlet(np.ones(5))), rng


def test_rollouts_are_occupancy_and_values():
    mdp, rng = problem(0)
    policy = rng.dirichlet(np.ones(3), 5)
    d, q = on_policy_data(mdp, policy)
    value = policy_evaluation(mdp, policy, tol=1e-11).value
    # Certified above.
    np.testing.assert_allclose((policy * q).sum(axis=1), value, rtol=0, atol=1e-10)
    # The value by either side of the duality; rounding of a solve.
    assert (d * mdp.r).sum() / (1 - mdp.gamma) == pytest.approx(mdp.mu @ value, abs=1e-10)
    assert d.sum() == pytest.approx(1.0, abs=1e-12)


def test_the_compiled_run_is_hac_with_the_exact_critic():
    mdp, _ = problem(1)
    run = exact_hac(mdp, num_iters=60, checkpoints=[0, 10, 59])
    plain = hac(mdp, Evaluation(None, lam=1.0, rounds=1), num_iters=60)
    # 60 solves of five equations of condition 10.
    np.testing.assert_allclose(run["policy"], plain["policy"][[0, 10, 59]], rtol=0, atol=1e-12)
    values = [policy_evaluation(mdp, pi, tol=1e-11).value for pi in plain["policy"]]
    for k, t in enumerate((0, 10, 59)):
        # Certified above.
        np.testing.assert_allclose(run["mean_value"][k], np.mean(values[: t + 1], axis=0), rtol=0, atol=1e-10)


def test_weights_of_the_terms_interpolate_between_the_two_methods():
    mdp, rng = problem(2)
    nu = rng.dirichlet(np.ones(15)).reshape(5, 3)
    policies = {}
    for name, how in {
        "on": Evaluation(None, lam=1.0, rounds=3),
        "heavy": Evaluation(nu, lam=1e9, rounds=3),
        "off": Evaluation(nu, lam=0.0, rounds=3),
        "light": Evaluation(nu, lam=1e-9, rounds=3),
    }.items():
        policies[name] = hac(mdp, how, num_iters=20, eta=0.3)["policy"][-1]
    # The other term has 1e-9 of the weight, over occupancies above 1e-4.
    np.testing.assert_allclose(policies["heavy"], policies["on"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(policies["light"], policies["off"], rtol=0, atol=1e-4)  # as above
    assert np.abs(policies["on"] - policies["off"]).max() > 0.01


def test_pairs_without_data_keep_their_start():
    mdp, _ = problem(3)
    nu = np.zeros((5, 3))
    nu[0, 0] = 1.0
    start = np.arange(15.0).reshape(5, 3)
    f = hybrid_policy_evaluation(mdp, np.full((5, 3), 1 / 3), Evaluation(nu, lam=0.0, rounds=1, start=start))
    assert np.array_equal(f.ravel()[1:], start.ravel()[1:]) and f[0, 0] != start[0, 0]


def test_linear_critics_are_projections():
    """With all features the class is that of tables; with a constant, a weighted mean of the targets."""
    mdp, rng = problem(4)
    nu, policy = rng.dirichlet(np.ones(15)).reshape(5, 3), rng.dirichlet(np.ones(3), 5)
    tables = hybrid_policy_evaluation(mdp, policy, Evaluation(nu, lam=2.0, rounds=4))
    eye = np.eye(15).reshape(5, 3, 15)
    same = hybrid_policy_evaluation(mdp, policy, Evaluation(nu, lam=2.0, rounds=4, features=eye))
    # Weights above 1e-4, so roots of condition 100.
    np.testing.assert_allclose(same, tables, rtol=0, atol=1e-12)
    flat = hybrid_policy_evaluation(mdp, policy, Evaluation(nu, lam=0.0, rounds=1, features=np.ones((5, 3, 1))))
    np.testing.assert_allclose(flat, (nu * mdp.r).sum(), rtol=0, atol=1e-14)  # a sum of 15 products


def test_a_run_on_samples_restated():
    """Two iterations on the same draws, in plain NumPy."""
    lock, H, S, A = combination_lock_episodic(3, 3), 3, 3, 3
    data = collect(lock, np.full((H, S, A), 1 / 3), 40, rng=np.random.default_rng([492]))
    lam, step, m = 0.7, 2.0, 15
    run = episodic_hac(
        lock, offline=data, num_iters=2, episodes=m, lam=lam, step=step, rng=np.random.default_rng([493])
    )
    rng, cdf, r = np.random.default_rng([493]), np.cumsum(lock.kernels(), axis=3), lock.rewards()
    x = np.zeros((H, S, A))
    for k in range(2):
        pi = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
        visits, gains = np.zeros((2, H, S, A))
        for _ in range(m):
            rng.random()
            s, path = 0, []
            for h in range(H):
                a = int((rng.random() >= np.cumsum(pi[h, s])).sum())
                path.append((h, s, a))
                s = int((rng.random() >= cdf[h, s, a]).sum())
            for i, place in enumerate(path):
                visits[place] += 1 / m
                gains[place] += sum(r[p] for p in path[i:]) / m
        v = np.zeros(S)
        for h in range(H - 1, -1, -1):
            nu, target = np.zeros((2, S, A))
            for n in range(len(data)):
                s, a, to = data.states[n, h], data.actions[n, h], data.states[n, h + 1]
                nu[s, a] += 1 / len(data)
                target[s, a] += (r[h, s, a] + v[to]) / len(data)
            weight = nu + lam * visits[h]
            f = np.divide(target + lam * gains[h], weight, out=np.zeros((S, A)), where=weight > 0)
            v = (pi[h] * f).sum(axis=1)
            x[h] += step * f
        # Sums of 40 terms.
        after = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
        np.testing.assert_allclose(run["policy"][0, k + 1], after, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mdp: Evaluation(None, lam=0.0), "nothing is left to fit"),
        (lambda mdp: Evaluation(None, lam=-1.0), "lam is -1"),
        (lambda mdp: Evaluation(-np.ones((5, 3)), lam=1.0), "offline has a weight"),
        (lambda mdp: Evaluation(None, lam=1.0, rounds=0), "rounds is 0"),
        (lambda mdp: hac(mdp, Evaluation(None, lam=1.0), num_iters=0), "num_iters is 0"),
        (lambda mdp: hnpg(mdp, Evaluation(None, lam=1.0), num_iters=1, eta=-1.0), "eta is -1"),
        (lambda mdp: exact_hac(mdp, num_iters=5, checkpoints=[5]), "checkpoints are"),
        (
            lambda mdp: hybrid_policy_evaluation(
                MDP([[[1.0]]], [[1.0]], 0.5), np.ones((1, 1)), Evaluation(None, lam=1.0)
            ),
            "mu missing",
        ),
        (
            lambda mdp: episodic_hac(
                combination_lock_episodic(2, 2),
                offline=None,
                num_iters=1,
                episodes=1,
                lam=0.0,
                step=1.0,
                rng=np.random.default_rng(0),
            ),
            "nothing is left to fit",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(problem(5)[0])


def test_the_step_of_the_theorem():
    assert hac_step(0.75, 3, 11) == pytest.approx(0.25 * np.sqrt(np.log(3) / 11), rel=1e-15)  # three roundings
