r"""Policy gradients against a mixture: Nash-MD-PG, Nash-EMA-PG, self-play and best response, in tabular softmax form.

    theta_(t+1) = theta_t + eta pi_t (v - <pi_t, v>),    v = K nu_t - tau (log pi_t - log mu)

Nash-MD-PG plays against nu_t = pi_t^(1-b) mu^b / Z; b = 0 is self-play, b = 1 the best response to mu. Its fixed point
is softmax(log mu + K m / tau), m the equilibrium at temperature tau / (1 - b), and the equilibrium for b = 0 only.
Nash-EMA-PG plays against the policy of averaged logits, bar_(t+1) = (1 - b) theta_(t+1) + b bar_t.

Source: Munos et al. 2023, arXiv:2312.00886v4, sections 7 and 8; no theorem is stated for these.
Cost per iteration: one product with K.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    check_temperature,
    check_weight,
    iterate,
    start,
)
from mdplab.algorithms.games.preference_losses import policy_gradient
from mdplab.kernels.softmax import log_softmax
from mdplab.models import PreferenceGame, Trace


def nash_md_pg(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    mixture: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Nash-MD-PG with exact gradients.

    Parameters
    ----------
    game
        Preferences P and reference mu.
    tau
        Weight of the divergence from mu, above 0.
    eta
        Step in logits, above 0.
    mixture
        Weight b of mu in the opponent, in [0, 1].
    num_iters, log_pi0, checkpoints
        As `egpo.egpo`.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), one an update.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = nash_md_pg(game, tau=0.5, eta=2.0, mixture=0.2, num_iters=200, checkpoints=[200])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist()
    [0.1972292145, 0.3403222073, 0.4624485782]
    """
    check_temperature(tau)
    check_positive("eta", eta)
    check_weight("mixture", mixture)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        opponent = (1 - mixture) * log_pi + mixture * oracle.log_mu
        return (log_softmax(log_pi + eta * policy_gradient(oracle, log_pi, opponent, tau)),)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)


def self_play_pg(game: PreferenceGame, **arguments) -> Trace:
    """Policy gradient against the current policy: `nash_md_pg` with mixture 0, same arguments.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> trace = self_play_pg(game, tau=0.5, eta=1.0, num_iters=100)
    >>> np.diff(trace["log_pi"][-1]).round(9).tolist()
    [-1.0]
    """
    return nash_md_pg(game, mixture=0.0, **arguments)


def best_response_pg(game: PreferenceGame, **arguments) -> Trace:
    """Policy gradient against the reference: `nash_md_pg` with mixture 1, same arguments.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]], [0.25, 0.75])
    >>> trace = best_response_pg(game, tau=0.5, eta=1.0, num_iters=200)
    >>> bool(np.isclose(np.diff(trace["log_pi"][-1])[0], np.log(3.0) - 1.0))
    True
    """
    return nash_md_pg(game, mixture=1.0, **arguments)


def nash_ema_pg(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    mixture: float,
    num_iters: int,
    anchored: bool = False,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Nash-EMA-PG with exact gradients: arguments as `nash_md_pg`, `mixture` being the weight of the past.

    Parameters
    ----------
    anchored
        Average with the first logits, bar_t = (1 - b) theta_t + b theta_0, in place of the recursion.

    Returns
    -------
    Trace
        `log_pi` and `log_average`, the opponent's policy, (K, ..., n), normalised; `queries` (K,).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = nash_ema_pg(game, tau=0.5, eta=2.0, mixture=0.5, num_iters=200, checkpoints=[200])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist()
    [0.1995597413, 0.3386887961, 0.4617514626]
    """
    check_temperature(tau)
    check_positive("eta", eta)
    check_weight("mixture", mixture)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)
    first = start(game, log_pi0)

    def step(t: int, log_pi: np.ndarray, average: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_pi = log_softmax(log_pi + eta * policy_gradient(oracle, log_pi, average, tau))
        past = first if anchored else average
        return log_pi, log_softmax((1 - mixture) * log_pi + mixture * past)

    return iterate(oracle, step, {"log_pi": first, "log_average": first}, num_iters=num_iters, checkpoints=kept)
