"""What the claims about EGPO rest on: the cap of the noise floor, power on rock-paper-scissors."""

import numpy as np
import pytest

from mdplab.algorithms.games.egpo import egpo_step, egpo_steps, safe_step
from mdplab.exact.games import regularized_nash
from mdplab.instances.games import FAMILIES, random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax
from mdplab.papers import zhou2025


def test_search_does_not_break_the_one_step_bound_and_comes_close():
    """Hill climbing over games, references and policies at the longest step with a guarantee."""
    for lengthened in (False, True):
        rng, best = np.random.default_rng([84, 1]), -np.inf
        P, mu, x = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) * 3.0, np.zeros(3), rng.standard_normal(3)
        for _ in range(250):
            trial = [v + 0.3 * rng.standard_normal(v.shape) * (rng.random(v.shape) < 0.4) for v in (P, mu, x)]
            K = np.tanh(trial[0] - trial[0].T) / 2
            game = random_preferences(3, rng=np.random.default_rng(0)).replace(P=0.5 + K, mu=_policy(trial[1]))
            tau = 0.01
            eta = safe_step(game, tau, L=game.operator_constant()) * (2 if lengthened else 1)
            star = regularized_nash(game, tau=tau).extras["log_policy"]
            log_pi = log_softmax(trial[2])
            before = float(kl_divergence(star, log_pi))
            if before < 1e-6:
                continue
            ratio = float(kl_divergence(star, egpo_step(game, log_pi, tau=tau, eta=eta))) / ((1 - eta * tau) * before)
            if ratio > best:
                best, (P, mu, x) = ratio, trial
        assert (best > 1) == lengthened
        assert best > 0.9


def _policy(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def test_noise_never_exceeds_its_cap():
    """Payoffs and noise in intervals of length 1 keep log pi within 2 / tau of log mu: D <= 9 / 8 at tau = 1."""
    for i in range(12):
        rng = np.random.default_rng([84, 3, i])
        game = random_preferences(6, rng=rng, family=FAMILIES[i % 4])
        star = regularized_nash(game, tau=1.0).extras["log_policy"]
        log_pi = np.tile(star, (50, 1))
        for _ in range(60):
            noise = rng.choice([-0.5, 0.5], size=(2, 50, 6))
            log_pi = egpo_steps(game, log_pi, tau=1.0, eta=0.2, payoff_errors=tuple(noise))[1]
            assert np.ptp(log_pi - game.log_mu, axis=-1).max() <= 2 + 1e-12  # rounding
        assert kl_divergence(star, log_pi).max() <= zhou2025.CAP


@pytest.mark.parametrize(
    ("name", "eta", "weight"), [("fine", 0.08, 8e-5), ("middle", 0.8, 8e-3), ("coarse", 0.4, 0.04)]
)
def test_steps_of_the_simulations(name, eta, weight):
    """eta = 4 lr / (n tau) of the three learning rates in the authors' code."""
    tau, _, lr = zhou2025.SIMULATIONS[name]
    assert 4 * lr / (10 * tau) == pytest.approx(eta, rel=1e-12)  # rounding
    assert 4 * lr / 10 == pytest.approx(weight, rel=1e-12)  # rounding
