"""What the claims about Nash-MP rest on: the power of lambda = L on rock-paper-scissors, and enough inner steps."""

import numpy as np

from mdplab.algorithms.games.nash_mp import nash_mp, nash_mp_step
from mdplab.exact.games import regularized_nash
from mdplab.instances.games import random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax


def _worst(lam, starts):
    """The largest D(pi* || pi+) / (q D(pi* || pi)) of one iteration, 0/1 rock-paper-scissors, beta = .01."""
    game, tau = three_cycle(0.5, 0.5, 0.5), 0.01
    after = nash_mp_step(game, starts, tau=tau, lam=lam)
    return float(np.max(kl_divergence(np.zeros(3), after) / (lam / (lam + tau) * kl_divergence(np.zeros(3), starts))))


def test_lambda_below_the_operator_constant_fails():
    """L = 3/8: lambda = 3/8 and 1/2 hold from every start, lambda = 1/4 does not."""
    assert three_cycle(0.5, 0.5, 0.5).operator_constant() == 0.375
    rng = np.random.default_rng([83, 1])
    starts = log_softmax(10 ** rng.uniform(-2, 1, size=(400, 1)) * rng.standard_normal((400, 3)))
    assert 0.9 < _worst(0.375, starts) <= 1 and _worst(0.5, starts) <= 1
    assert _worst(0.25, starts) > 1.2


def test_enough_inner_steps_restore_the_rate_and_one_loses_it():
    game, tau = random_preferences(5, rng=np.random.default_rng([83, 2])), 0.2
    star = regularized_nash(game, tau=tau).extras["log_policy"]
    D = {}
    for inner_steps in (None, 60, 1):
        run = nash_mp(game, tau=tau, num_iters=60, inner_steps=inner_steps)["log_pi"]
        D[inner_steps] = kl_divergence(star, run)
    bound = (1 + 2 * tau) ** -np.arange(61.0) * D[None][0]
    assert np.all(D[None] <= bound) and np.all(D[60] <= bound)
    assert D[1][-1] > 1e3 * bound[-1]
