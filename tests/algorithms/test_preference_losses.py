"""Losses against their gradients, the compiled loop against the one written in arrays, DNO and REBEL against theirs."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mdplab.algorithms.games.dno import dno, dno_loss, dno_step, hedge_step
from mdplab.algorithms.games.nash_md import nash_md
from mdplab.algorithms.games.preference_losses import (
    LOSSES,
    descend,
    ipo2_gradient,
    learning_rate_of_step,
    step_of_learning_rate,
)
from mdplab.algorithms.games.rebel import rebel, rebel_fit, rebel_loss, rebel_preferences, rebel_step
from mdplab.exact.games import best_response, constant_step_limit, regularized_gap
from mdplab.instances.games import p3, random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax


@pytest.mark.parametrize("loss", LOSSES)
def test_compiled_runs_are_the_same(loss):
    game = random_preferences(6, rng=np.random.default_rng([87, 1]), contexts=3)
    start = np.random.default_rng([87, 2]).standard_normal((3, 6))
    arguments = {"loss": loss, "tau": 0.2, "lr": 0.3, "num_iters": 40, "log_pi0": start, "checkpoints": [0, 7, 40]}
    for mixture in (None, 0.3):
        plain, fast = (descend(game, mixture=mixture, compiled=c, **arguments) for c in (False, True))
        np.testing.assert_allclose(fast["log_pi"], plain["log_pi"], atol=1e-12)  # rounding of 40 updates, over tau
        np.testing.assert_array_equal(fast["queries"], plain["queries"])


def test_nash_md_of_the_simulations_has_the_step_of_its_loss_and_half_its_mixture():
    game, tau, lr = random_preferences(10, rng=np.random.default_rng([87, 3])), 0.1, 0.1
    by_loss = descend(game, loss="nash-md", tau=tau, lr=lr, num_iters=50)["log_pi"]
    eta = step_of_learning_rate(lr, 10, tau)
    by_policy = nash_md(game, tau=tau, eta=eta, opponent_weight=2 * lr / 10, num_iters=50)["log_pi"]
    np.testing.assert_allclose(by_loss, by_policy, atol=1e-12)  # rounding of 50 updates, over tau
    assert learning_rate_of_step(eta, 10, tau) == pytest.approx(lr, rel=1e-15)  # rounding
    last = descend(game, loss="nash-md", tau=tau, lr=lr, num_iters=2000, checkpoints=[2000], compiled=True)
    fixed, _ = constant_step_limit(game, tau=tau, weight=2 * lr / 10)
    np.testing.assert_allclose(last["log_pi"][-1], fixed, atol=1e-11)  # rounding over tau


def test_second_loss_descends_by_self_play():
    """-4 / tau times the policy gradient of P_tau(pi > nu) at nu = pi, by differences."""
    game, tau = random_preferences(4, rng=np.random.default_rng([87, 4])), 0.3
    theta = np.random.default_rng([87, 5]).standard_normal(4)
    pi = softmax(theta)

    def value(x):
        return softmax(x) @ game.P @ pi - tau * kl_divergence(x, game.log_mu)

    width = 1e-5
    slope = np.array([(value(theta + width * e) - value(theta - width * e)) / (2 * width) for e in np.eye(4)])
    # Differences are off by width^2 and rounding over width, times 4 / tau.
    np.testing.assert_allclose(ipo2_gradient(game, theta, tau=tau), -4 / tau * slope, atol=1e-8)


def test_dno_minimises_its_loss_whatever_the_pairs():
    rng = np.random.default_rng([87, 6])
    game, eta = random_preferences(4, rng=rng), 0.7
    log_pi = log_softmax(rng.standard_normal(4))
    best = dno_step(game, log_pi, eta=eta)
    for _ in range(3):
        pairs = rng.dirichlet(np.ones(16)).reshape(4, 4)
        least = dno_loss(game, best, log_pi, eta=eta, pairs=pairs)
        assert (
            min(dno_loss(game, best + 0.1 * rng.standard_normal(4), log_pi, eta=eta, pairs=pairs) for _ in range(20))
            > least
        )
        found = minimize(lambda x, w=pairs: dno_loss(game, x, log_pi, eta=eta, pairs=w), np.zeros(4), tol=1e-12)
        # BFGS stops at gradients of 1e-8 or so.
        np.testing.assert_allclose(log_softmax(found.x), best, atol=1e-4)


def test_dno_on_a_cycle():
    """P(pi+ > pi) = 1/2 + eta (D(pi+ || pi) + D(pi || pi+)); the mean approaches the equilibrium, the last does not."""
    game, T = three_cycle(0.5, 0.5, 0.5), 2000
    eta = hedge_step(3, T)
    trace = dno(game, eta=eta, num_iters=T, log_pi0=np.array([0.4, 0.0, -0.4]))
    log_pi = trace["log_pi"]
    win = np.einsum("ty,yz,tz->t", softmax(log_pi[1:]), game.P, softmax(log_pi[:-1]))
    both = kl_divergence(log_pi[1:], log_pi[:-1]) + kl_divergence(log_pi[:-1], log_pi[1:])
    np.testing.assert_allclose(win, 0.5 + eta * both, atol=1e-12)  # rounding times eta
    D = kl_divergence(np.zeros(3), log_pi)
    assert D[-1] > D[0]
    uniform = dno(random_preferences(6, rng=np.random.default_rng([87, 7])), eta=hedge_step(6, T), num_iters=T)
    game = random_preferences(6, rng=np.random.default_rng([87, 7]))
    gap = 2 * (game.K @ uniform["mean_policy"][-1]).max()
    assert 0 <= gap <= 2 * np.sqrt(np.log(6) / (2 * T))
    np.testing.assert_allclose(
        uniform["mean_policy"][5], softmax(uniform["log_pi"][:5]).mean(axis=0), atol=1e-14
    )  # sums


def test_rebel_fits_what_its_pairs_determine():
    rng = np.random.default_rng([87, 8])
    log_pi, reward, eta = log_softmax(rng.standard_normal(5)), rng.random(5), 0.8
    gaps = reward[:, None] - reward[None, :]
    pairs = rng.dirichlet(np.ones(25)).reshape(5, 5)
    fitted, components = rebel_fit(log_pi, gaps, eta=eta, pairs=pairs)
    exact = rebel_step(log_pi, reward, eta=eta)
    np.testing.assert_allclose(fitted, exact, atol=1e-12)  # conditioning of a Laplacian of five actions
    assert components.max() == 0
    assert rebel_loss(exact, log_pi, reward, eta=eta, pairs=pairs) < 1e-28  # rounding, squared
    # One partner for everybody is enough; two groups that never meet are not.
    star = np.zeros((5, 5))
    star[:, 2] = 0.2
    np.testing.assert_allclose(rebel_fit(log_pi, gaps, eta=eta, pairs=star)[0], exact, atol=1e-12)  # likewise
    split = np.zeros((5, 5))
    split[:2, :2] = split[2:, 2:] = 0.1
    fitted, components = rebel_fit(log_pi, gaps, eta=eta, pairs=split)
    assert components.tolist() == [0, 0, 1, 1, 1]
    assert fitted[0] - fitted[1] == pytest.approx(exact[0] - exact[1], abs=1e-12)  # likewise
    assert abs((fitted[0] - fitted[2]) - (exact[0] - exact[2])) > 1e-3
    with pytest.raises(ValueError, match=r"pairs\[0, 0\] is -1"):
        rebel_fit(log_pi, gaps, eta=eta, pairs=-np.eye(5))


def test_rebel_with_a_fixed_reward_and_with_preferences():
    reward = np.array([0.2, 1.0, 0.5])
    trace = rebel(lambda t, log_pi: reward, np.zeros(3), eta=0.5, num_iters=60)
    earned = softmax(trace["log_pi"]) @ reward
    T = np.arange(1, 61)
    assert np.all(np.diff(earned) > 0) and np.all(1.0 - earned[1:] <= np.log(3) / (0.5 * T))
    game, start = p3(), np.array([1.0, 0.0, 0.0])
    by_rebel = rebel_preferences(game, eta=0.4, num_iters=20, log_pi0=start)["log_pi"]
    by_dno = dno(game, eta=2.5, num_iters=20, log_pi0=start)["log_pi"]
    np.testing.assert_allclose(by_rebel, by_dno, atol=1e-13)  # rounding of twenty updates
    by_reward = rebel(lambda t, log_pi: game.P @ softmax(log_pi), start, eta=0.4, num_iters=20)["log_pi"]
    np.testing.assert_allclose(by_rebel, by_reward, atol=1e-13)  # likewise


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "ipo"}, r"loss is 'ipo'"),
        ({"lr": 1.0}, r"eta tau = 4 lr / n is 1\.33333"),
        ({"lr": -1.0}, r"lr is -1"),
        ({"mixture": 2.0, "loss": "nash-md"}, r"mixture is 2"),
        ({"compiled": True, "log_pi0": np.zeros((2, 3))}, r"log_pi0 has shape \(2, 3\)"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        descend(p3(), **{"loss": "egpo", "tau": 0.5, "lr": 0.3, "num_iters": 2, **changes})


def test_steps_and_rewards_out_of_range_are_named():
    with pytest.raises(ValueError, match="n is 1; expected at least 2"):
        hedge_step(1, 5)
    gaps = np.zeros((3, 3))
    gaps[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"gaps\[1, 2\] is nan"):
        rebel_fit(np.zeros(3), gaps, eta=1.0, pairs=np.ones((3, 3)))


def test_best_response_is_where_the_policy_gradient_of_full_mixture_ends():
    game, tau = p3(), 0.5
    last = descend(game, loss="nash-md-pg", tau=tau, lr=1.0, mixture=1.0, num_iters=500, checkpoints=[500])["log_pi"][
        -1
    ]
    np.testing.assert_allclose(last, best_response(game, game.log_mu, tau=tau), atol=1e-12)  # rounding over tau
    assert float(regularized_gap(game, last, tau=tau)) > 1e-6
