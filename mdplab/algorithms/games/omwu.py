r"""Optimistic multiplicative weights: the look-ahead of the extragradient method with one gradient an update.

    log w_(t+1)  = (1 - eta tau) log pi_t + eta tau log mu + eta K w_t     + const
    log pi_(t+1) = (1 - eta tau) log pi_t + eta tau log mu + eta K w_(t+1) + const,    w_0 = pi_0

The first line reuses the payoff that the update before computed.

Source: Cen, Wei and Chi 2021, arXiv:2105.15186, OMWU for entropy-regularised matrix games, with a reference policy.
Cost per iteration: one product with K.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_step,
    iterate,
    mirror_step,
    start,
)
from mdplab.models import PreferenceGame, Trace


def omwu(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """OMWU: parameters as `egpo.egpo`.

    Returns
    -------
    Trace
        `log_pi` and `log_predicted`, the w above, (K, ..., n), normalised; `gain` = K w; `queries` (K,), t + 1.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = omwu(game, tau=0.5, eta=0.5, num_iters=100, checkpoints=[100])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist()
    [0.1995597413, 0.3386887961, 0.4617514626]
    """
    check_step(eta, tau)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray, log_w: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, ...]:
        log_w = mirror_step(log_pi, oracle.log_mu, gain, eta=eta, weight=eta * tau)
        gain = oracle.payoff(log_w)
        return mirror_step(log_pi, oracle.log_mu, gain, eta=eta, weight=eta * tau), log_w, gain

    log_pi = start(game, log_pi0)
    states = {"log_pi": log_pi, "log_predicted": log_pi, "gain": oracle.payoff(log_pi)}
    return iterate(oracle, step, states, num_iters=num_iters, checkpoints=kept)
