"""What the claims about INPO rest on: the sharper bounds against search, the certified radius, the constant B."""

import numpy as np
import pytest

from mdplab.algorithms.games.self_play import inpo, inpo_step
from mdplab.exact.games import regularized_nash
from mdplab.instances.games import FAMILIES, p3, random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.papers import zhang2024b

PARAMS = zhang2024b.Params(actions=5, starts=4, horizon=50, iters=5, games=3)


def test_search_does_not_break_the_sharper_step():
    """Hill climbing over game, reference, policy and temperature, 1500 steps."""
    rng = np.random.default_rng([91, 1])
    n, best = 4, -np.inf
    P, mu, x, logs = (rng.standard_normal(size) for size in ((n, n), n, n, 2))
    for _ in range(1500):
        trial = [
            value + 0.3 * rng.standard_normal(value.shape) * (rng.random(value.shape) < 0.4)
            for value in (P, mu, x, logs)
        ]
        game = random_preferences(n, rng=rng).replace(
            P=1 / (1 + np.exp(-4 * (trial[0] - trial[0].T))), mu=softmax(trial[1])
        )
        tau, h = float(np.exp(np.clip(trial[3][0], -5, 1))), float(1 / (1 + np.exp(-trial[3][1])))
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        after = inpo_step(game, trial[2], tau=tau, eta=tau / h)
        excess = float(kl_divergence(star, after) - (1 - h) * kl_divergence(star, trial[2]))
        share = excess * (tau / h) ** 2 / (1 / 8 + 2 * game.operator_constant() ** 2 / (1 - h))
        if share > best:
            best, (P, mu, x, logs) = share, trial
    assert 0.05 < best <= 1


def test_on_the_schedule_the_log_ratio_is_bounded_by_the_temperature():
    """log pi_T = log mu + (a mean of win rates) / tau + const, whatever the start: C = 1 for tau <= 1."""
    for i in range(20):
        rng = np.random.default_rng([91, 2, i])
        game, tau = random_preferences(6, rng=rng, family=FAMILIES[i % 4]), 10 ** rng.uniform(-2, 0)
        log_pi = inpo(game, tau=tau, num_iters=40, log_pi0=10 * rng.standard_normal(6))["log_pi"][1:]
        assert np.ptp(log_pi - game.log_mu, axis=-1).max() * tau <= 1 + 1e-12  # rounding of logits up to 1 / tau


def test_first_step_of_the_schedule():
    """q_0 = 0: D(pi* || pi_1) <= 1 / (2 tau^2) from any start, which starts the telescoping sum."""
    for i in range(40):
        rng = np.random.default_rng([91, 3, i])
        game, tau = random_preferences(6, rng=rng, family=FAMILIES[i % 4]), 10 ** rng.uniform(-2, 0)
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        first = inpo_step(game, log_softmax(20 * rng.standard_normal((50, 6))), tau=tau, eta=tau)
        assert 2 * tau**2 * kl_divergence(star, first).max() <= 1


def test_least_squares_finds_the_step_of_p3():
    """From mu: pi proportional to mu exp(P mu / eta), whatever tau."""
    game, eta = p3(), 2.0
    found, error = zhang2024b._least_squares(game, game.log_mu, 0.5, eta, np.outer(game.mu, game.mu))
    expected = game.mu * np.exp(game.P @ game.mu / eta)
    assert error < 1e-9
    np.testing.assert_allclose(softmax(found), expected / expected.sum(), rtol=1e-12)  # condition of three actions


def test_inverse_steps_below_the_temperature_are_refused():
    with pytest.raises(ValueError, match="eta"):
        inpo_step(p3(), p3().log_mu, tau=0.5, eta=0.4)


def test_figure_stays_below_its_bounds():
    table = zhang2024b.figure_schedule(PARAMS, np.random.default_rng([91]))
    assert np.all(table["inpo_hi"] <= table["bound_derived"])
    assert np.all(table["bound_derived"] < table["bound_printed"])
