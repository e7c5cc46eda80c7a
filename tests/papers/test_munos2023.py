"""What the claims about Nash-MD rest on: the convex order, the almost sure cap."""

import numpy as np
import pytest

from mdplab.algorithms.games.nash_md import nash_md_sampled, nash_md_step
from mdplab.exact.games import best_response, constant_step_limit, regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, p3, random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.papers import munos2023


def test_winning_probabilities_precede_the_uniform_law():
    """E_m exp(eta K m) <= sinh(eta / 2) / (eta / 2) <= exp(eta^2 / 24), for games of every family and any m."""
    for i in range(200):
        rng = np.random.default_rng([81, i])
        game = random_preferences(int(rng.integers(2, 30)), rng=rng, family=FAMILIES[i % 4])
        log_m, eta = log_softmax(rng.uniform(0, 4) * rng.standard_normal(game.n)), 10 ** rng.uniform(-1, 2)
        moment = logsumexp(log_m + eta * game.K @ softmax(log_m))
        uniform = np.log(np.sinh(eta / 2) / (eta / 2))
        # Rounding of exponents of up to eta.
        assert moment <= uniform + 1e-13 * (1 + eta)
        assert uniform <= eta**2 / 24


def test_search_does_not_break_the_constant_24():
    """Hill climbing over game, reference and policy, 2000 steps: the excess stays below eta^2 / 24."""
    rng = np.random.default_rng([81, 1])
    n, tau, eta, best = 4, 0.05, 2.0, -np.inf
    P, mu, x = (rng.standard_normal(size) for size in ((n, n), n, n))
    for _ in range(2000):
        trial = [
            value + 0.3 * rng.standard_normal(value.shape) * (rng.random(value.shape) < 0.3) for value in (P, mu, x)
        ]
        game = random_preferences(n, rng=rng).replace(
            P=1 / (1 + np.exp(-3 * (trial[0] - trial[0].T))), mu=softmax(trial[1])
        )
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        step = nash_md_step(game, trial[2], tau=tau, eta=eta)
        excess = float(kl_divergence(star, step) - (1 - eta * tau) * kl_divergence(star, trial[2]))
        if excess > best:
            best, (P, mu, x) = excess, trial
    assert 0.1 < best / (eta**2 / 24) <= 1


def test_sampled_divergences_never_exceed_their_cap():
    """log pi_T = log mu + (mean of outcomes in [0, 1]) / tau + const, so 2 tau^2 D <= 1 for every draw."""
    for i in range(12):
        rng = np.random.default_rng([81, 3, i])
        game, tau = random_preferences(3, rng=rng, family=FAMILIES[i % 4]), 10 ** rng.uniform(-2, 1)
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        log_pi = nash_md_sampled(game, tau=tau, num_iters=8, runs=50, rng=rng)["log_pi"][:, 1:]
        assert np.ptp(tau * (log_pi - game.log_mu), axis=-1).max() <= 1 + 1e-12  # rounding of logits up to 1 / tau
        assert 2 * tau**2 * kl_divergence(star, log_pi).max() <= 1


def test_plateau_of_p3():
    """tau = .5, eta tau = .2: 2.0376246925797e-5, from the equilibrium at temperature .625."""
    log_fixed, modulus = constant_step_limit(p3(), tau=0.5, weight=0.2)
    assert modulus < 0.81
    gap = float(regularized_gap(p3(), log_fixed, tau=0.5))
    assert gap == pytest.approx(2.0376246925797e-5, rel=1e-11)  # conditioning of a gap of 1e-5
    # Weight 1 would be the best response to mu, weight 0 the equilibrium: the family joins them.
    near_one, _ = constant_step_limit(p3(), tau=0.5, weight=1 - 1e-9)
    np.testing.assert_allclose(near_one, best_response(p3(), p3().log_mu, tau=0.5), atol=1e-8)  # weight is off by 1e-9


def test_unstable_games_are_not_measured():
    """The plateau is claimed where the iteration contracts; P3 at tau = .05, eta tau = .2 does not."""
    assert constant_step_limit(p3(), tau=0.05, weight=0.2)[1] > 1
    params = munos2023.Params(6, 4, 50, 100, 4, 4, 5, 10, 4)
    for i in range(10):
        game, tau, h, _ = munos2023._stable_game(params, np.random.default_rng([81, 4, i]))
        assert constant_step_limit(game, tau=tau, weight=h)[1] < munos2023.STABLE
