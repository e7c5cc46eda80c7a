r"""Extragradient preference optimisation (EGPO): a half step to look ahead, then a full step from where one stood.

    log pi_(t+1/2) = (1 - eta tau) log pi_t + eta tau log mu + eta K pi_t       + const
    log pi_(t+1)   = (1 - eta tau) log pi_t + eta tau log mu + eta K pi_(t+1/2) + const

The base point is pi_t in both lines. For eta <= 1 / (tau + L), L the game's `operator_constant` (at most 1/2), every
iteration multiplies D(pi* || pi) by at most 1 - eta tau.

Source: Zhou, Fazel and Du 2025, "Extragradient Preference Optimization", arXiv:2503.08942; update as in the authors'
code, step-size condition derived (see `mdplab.papers.zhou2025`). By losses: `preference_losses`.
Cost per iteration: two products with K, 2 n^2 multiplications a context.
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


def safe_step(game: PreferenceGame, tau: float, *, L: float | None = None) -> float:
    """The longest step with a guarantee, 1 / (tau + L); L is 1/2, which covers every game, by default.

    Examples
    --------
    >>> safe_step(PreferenceGame([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]), 0.125, L=0.375)
    2.0
    """
    return 1 / (tau + (0.5 if L is None else L))


def egpo(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """EGPO in policy form with exact preferences.

    Parameters
    ----------
    game
        Preferences P and reference mu.
    tau
        Weight of the divergence from mu, above 0.
    eta
        Step with eta tau <= 1.
    num_iters
        Updates T, at least 0.
    log_pi0
        Logits of the first policy, (..., n) with any leading batch axes before the game's own; mu by default.
    checkpoints
        Strictly increasing numbers of updates in [0, T] at which the policy is kept; all by default.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), two an update.

    Raises
    ------
    ValueError
        tau or eta out of range.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = egpo(game, tau=0.5, eta=1.0, num_iters=40, checkpoints=[40])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist()
    [0.1995597413, 0.3386887961, 0.4617514626]
    """
    check_step(eta, tau)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        return (_two_steps(oracle, log_pi, tau, eta)[1],)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)


def egpo_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float) -> np.ndarray:
    """One update: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    Two Bradley-Terry actions: with eta = 1 / tau the first update lands on the equilibrium.

    >>> game = PreferenceGame([[0.5, 0.75], [0.25, 0.5]])
    >>> step = egpo_step(game, game.log_mu, tau=0.25, eta=4.0)
    >>> bool(np.isclose(step[0] - step[1], 0.25 / 0.25))
    True
    """
    return egpo_steps(game, log_pi, tau=tau, eta=eta)[1]


def egpo_steps(
    game: PreferenceGame,
    log_pi: np.ndarray,
    *,
    tau: float,
    eta: float,
    payoff_errors: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Half step and full step of one update, (..., n) each, normalised.

    Parameters
    ----------
    game, log_pi, tau, eta
        As `egpo`.
    payoff_errors
        Errors (..., n) of the two payoff vectors: noise of sampled preferences, or of a learned model.
    """
    check_step(eta, tau)
    return _two_steps(PreferenceOracle(game), log_pi, tau, eta, payoff_errors)


def _two_steps(oracle, log_pi, tau, eta, payoff_errors=None):
    gain = oracle.payoff(log_pi)
    if payoff_errors is not None:
        gain = gain + payoff_errors[0]
    half = mirror_step(log_pi, oracle.log_mu, gain, eta=eta, weight=eta * tau)
    gain = oracle.payoff(half)
    if payoff_errors is not None:
        gain = gain + payoff_errors[1]
    return half, mirror_step(log_pi, oracle.log_mu, gain, eta=eta, weight=eta * tau)
