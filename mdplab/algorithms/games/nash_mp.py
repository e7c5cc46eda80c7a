r"""Nash mirror prox (Nash-MP): two proximal steps from the same centre, against the current and the predicted policy.

    pi_(k+1/2) = argmax_p  P(p > pi_k)       - tau D(p || mu) - lam D(p || pi_k)
    pi_(k+1)   = argmax_p  P(p > pi_(k+1/2)) - tau D(p || mu) - lam D(p || pi_k)

In closed form log p = (lam log pi_k + tau log mu + K nu) / (lam + tau) + const: EGPO with eta = 1 / (lam + tau). The
paper writes beta for tau and beta / eta for lam; its eta = 2 beta is lam = 1/2. The inexact form replaces each argmax
by steps of policy gradient on its objective.

Source: Tiapkin et al. 2025, arXiv:2505.19731v1 (later versions have other theorems). Cost per iteration: two products
with K, which are two queries of the preferences.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    check_temperature,
    iterate,
    start,
)
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import PreferenceGame, Trace


def nash_mp(
    game: PreferenceGame,
    *,
    tau: float,
    num_iters: int,
    lam: float = 0.5,
    inner_steps: int | None = None,
    inner_eta: float | None = None,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Nash-MP, with exact proximal steps or with `inner_steps` gradient steps for each.

    Parameters
    ----------
    game
        Preferences P and reference mu.
    tau
        Weight of the divergence from mu, above 0.
    num_iters
        Updates, at least 0.
    lam
        Weight of the divergence from the current policy, above 0; the guarantee needs lam >= L, at most 1/2.
    inner_steps
        Gradient steps in place of each argmax, at least 1; exact by default.
    inner_eta
        Their step in logits; 1 / (lam + tau) by default.
    log_pi0, checkpoints
        As `egpo.egpo`.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), two an update.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = nash_mp(game, tau=0.5, num_iters=40, checkpoints=[40])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist(), int(trace["queries"][-1])
    ([0.1995597413, 0.3386887961, 0.4617514626], 80)
    """
    check_temperature(tau)
    check_positive("lam", lam)
    _check_inner(inner_steps, inner_eta)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        half = _proximal(oracle.log_mu, log_pi, oracle.payoff(log_pi), tau, lam, inner_steps, inner_eta)
        return (_proximal(oracle.log_mu, log_pi, oracle.payoff(half), tau, lam, inner_steps, inner_eta),)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)


def nash_mp_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, lam: float = 0.5) -> np.ndarray:
    """One update with exact proximal steps: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> step = nash_mp_step(game, np.zeros(2), tau=1.0, lam=1.0)
    >>> bool(np.isclose(step[0] - step[1], 0.25))
    True
    """
    half = proximal_step(game, log_pi, log_pi, tau=tau, lam=lam)
    return proximal_step(game, log_pi, half, tau=tau, lam=lam)


def proximal_step(
    game: PreferenceGame,
    log_pi: np.ndarray,
    log_nu: np.ndarray,
    *,
    tau: float,
    lam: float,
    inner_steps: int | None = None,
    inner_eta: float | None = None,
) -> np.ndarray:
    """The proximal step from pi against the opponent nu, exact or by gradient steps: logits (..., n) -> (..., n).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> exact = proximal_step(game, np.zeros(2), np.zeros(2), tau=0.5, lam=0.5)
    >>> many = proximal_step(game, np.zeros(2), np.zeros(2), tau=0.5, lam=0.5, inner_steps=100)
    >>> bool(np.allclose(exact, many))
    True
    """
    check_temperature(tau)
    check_positive("lam", lam)
    _check_inner(inner_steps, inner_eta)
    oracle = PreferenceOracle(game)
    return _proximal(oracle.log_mu, log_pi, oracle.payoff(log_nu), tau, lam, inner_steps, inner_eta)


def _proximal(log_mu, log_pi, gain, tau, lam, inner_steps, inner_eta):
    if inner_steps is None:
        return log_softmax((lam * log_pi + tau * log_mu + gain) / (lam + tau))
    eta = 1 / (lam + tau) if inner_eta is None else inner_eta
    log_p = log_pi
    for _ in range(inner_steps):
        p = softmax(log_p)
        # The gradient in logits of <p, K nu> - tau D(p || mu) - lam D(p || pi).
        v = gain - tau * (log_p - log_mu) - lam * (log_p - log_pi)
        log_p = log_softmax(log_p + eta * p * (v - np.sum(p * v, axis=-1, keepdims=True)))
    return log_p


def _check_inner(inner_steps: int | None, inner_eta: float | None) -> None:
    if inner_steps is not None and inner_steps < 1:
        raise ValueError(f"inner_steps is {inner_steps}; expected at least 1, or None for exact steps")
    if inner_eta is not None:
        check_positive("inner_eta", inner_eta)
