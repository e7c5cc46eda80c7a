r"""Mirror descent in self-play: OMD (online IPO 1), magnetic mirror descent, and INPO's planning step.

    OMD    log pi+ = (1 - eta tau) log pi + eta tau log mu + eta K pi + const
    MMD    log pi+ = (log pi + eta tau log mu + eta K pi) / (1 + eta tau) + const, OMD with step eta / (1 + eta tau)
    INPO   OMD with step 1 / eta; the schedule of its theorem is eta_t = tau (t + 2) / 2

One gradient an update, and no look-ahead: MMD contracts by 1 / (1 + eta tau) for eta <= tau / L^2 only, so that it
needs of order 1 / tau^2 updates where the extragradient method needs 1 / tau.

Source: Zhou, Fazel and Du 2025 (arXiv:2503.08942) for OMD; Sokota et al. 2023 (arXiv:2206.05825) for MMD; Zhang et al.
2024 (arXiv:2407.00617), Algorithm 1 for INPO. Cost per iteration: one product with K.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    check_step,
    check_temperature,
    iterate,
    mirror_step,
    start,
)
from mdplab.models import PreferenceGame, Trace


def omd(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """OMD, which is online IPO with uniformly drawn pairs: parameters and result as `egpo.egpo`, one query an update.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = omd(game, tau=0.5, eta=1.0, num_iters=80, checkpoints=[80])
    >>> np.exp(trace["log_pi"][-1]).round(10).tolist()
    [0.1995597413, 0.3386887961, 0.4617514626]
    """
    check_step(eta, tau)
    return _run(game, lambda t: (eta, eta * tau), num_iters, log_pi0, checkpoints)


def omd_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float) -> np.ndarray:
    """One update of OMD: log_pi (..., n) -> (..., n), normalised; tau = 0 is unregularised self-play.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> np.exp(omd_step(game, np.zeros(2), tau=0.0, eta=2 * np.log(3.0))).round(12).tolist()
    [0.75, 0.25]
    """
    check_positive("eta", eta)
    if not 0 <= eta * tau <= 1:
        raise ValueError(f"eta tau is {eta * tau:.12g} with eta={eta:.12g}, tau={tau:.12g}; expected in [0, 1]")
    oracle = PreferenceOracle(game)
    return mirror_step(log_pi, oracle.log_mu, oracle.payoff(log_pi), eta=eta, weight=eta * tau)


def mmd(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Magnetic mirror descent: as `omd`, with any step above 0.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]])
    >>> trace = mmd(game, tau=0.5, eta=2.0, num_iters=3)
    >>> bool(np.allclose(trace["log_pi"], omd(game, tau=0.5, eta=1.0, num_iters=3)["log_pi"]))
    True
    """
    check_temperature(tau)
    check_positive("eta", eta)
    shorter = eta / (1 + eta * tau)
    return _run(game, lambda t: (shorter, shorter * tau), num_iters, log_pi0, checkpoints)


def mmd_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float) -> np.ndarray:
    """One update of MMD: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> step = mmd_step(game, np.zeros(2), tau=1.0, eta=1.0)
    >>> bool(np.isclose(step[0] - step[1], 0.25))
    True
    """
    return omd_step(game, log_pi, tau=tau, eta=eta / (1 + eta * tau))


def inpo_schedule(t: int, tau: float) -> float:
    """The inverse step tau (t + 2) / 2 of INPO's last-iterate theorem.

    Examples
    --------
    >>> inpo_schedule(0, 0.5), inpo_schedule(2, 0.5)
    (0.5, 1.0)
    """
    return tau * (t + 2) / 2


def inpo(
    game: PreferenceGame,
    *,
    tau: float,
    num_iters: int,
    eta: float | None = None,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """INPO with exact planning.

    Parameters
    ----------
    game, tau, num_iters, log_pi0, checkpoints
        As `egpo.egpo`.
    eta
        Inverse step, at least tau; the schedule of the theorem by default.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), one an update.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]])
    >>> trace = inpo(game, tau=0.5, eta=1.0, num_iters=3)
    >>> bool(np.allclose(trace["log_pi"], omd(game, tau=0.5, eta=1.0, num_iters=3)["log_pi"]))
    True
    """
    check_temperature(tau)
    if eta is not None:
        _check_inverse(eta, tau)

    def steps(t: int) -> tuple[float, float]:
        inverse = inpo_schedule(t, tau) if eta is None else eta
        return 1 / inverse, tau / inverse

    return _run(game, steps, num_iters, log_pi0, checkpoints)


def inpo_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float) -> np.ndarray:
    """One update of INPO, pi^(1 - tau/eta) mu^(tau/eta) exp(P pi / eta) / Z: log_pi (..., n) -> (..., n).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> step = inpo_step(game, np.zeros(2), tau=0.5, eta=0.5)
    >>> bool(np.isclose(step[0] - step[1], 0.5 / 0.5))
    True
    """
    _check_inverse(eta, tau)
    return omd_step(game, log_pi, tau=tau, eta=1 / eta)


def inpo_loss(
    game: PreferenceGame,
    log_p: np.ndarray,
    log_pi: np.ndarray,
    *,
    tau: float,
    eta: float,
    pairs: np.ndarray | None = None,
) -> float:
    r"""Population loss of INPO at p, from comparisons labelled by P: E (h(w, l) - 1 / (2 eta))^2.

    Parameters
    ----------
    game
        A game without contexts.
    log_p, log_pi
        Candidate and current policy, logits (n,).
    tau, eta
        As `inpo`.
    pairs : array (n, n)
        Law of the two actions compared; both drawn from pi by default, which the method needs.

    Notes
    -----
    h(y, y') = d(y) - d(y'), d = log p - (tau / eta) log mu - (1 - tau / eta) log pi. For pairs from pi, the loss is
    `inpo_regression_loss` plus a constant, so that its minimiser is the update.
    """
    gaps, law = _log_ratio_gaps(game, log_p, log_pi, tau, eta, pairs)
    half = 1 / (2 * eta)
    return float(np.sum(law * (game.P * (gaps - half) ** 2 + game.P.T * (gaps + half) ** 2)))


def inpo_regression_loss(
    game: PreferenceGame,
    log_p: np.ndarray,
    log_pi: np.ndarray,
    *,
    tau: float,
    eta: float,
    pairs: np.ndarray | None = None,
) -> float:
    """E (h(y, y') - ((P pi)_y - (P pi)_y') / eta)^2, which vanishes at the update; arguments as `inpo_loss`."""
    gaps, law = _log_ratio_gaps(game, log_p, log_pi, tau, eta, pairs)
    gain = PreferenceOracle(game).payoff(log_pi) / eta
    return float(np.sum(law * (gaps - gain[:, None] + gain[None, :]) ** 2))


def _log_ratio_gaps(game, log_p, log_pi, tau, eta, pairs):
    _check_inverse(eta, tau)
    weight = tau / eta
    d = log_p - weight * game.log_mu - (1 - weight) * log_pi
    if pairs is None:
        pi = np.exp(log_pi - np.max(log_pi))
        pairs = np.outer(pi, pi) / pi.sum() ** 2
    return d[:, None] - d[None, :], pairs


def _check_inverse(eta: float, tau: float) -> None:
    check_temperature(tau)
    if not (np.isfinite(eta) and eta >= tau):
        raise ValueError(f"eta is {eta:g} with tau={tau:g}; the inverse step must be at least tau")


def _run(game, steps, num_iters, log_pi0, checkpoints) -> Trace:
    """Mirror descent in self-play with step and reference weight steps(t)."""
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        eta, weight = steps(t)
        return (mirror_step(log_pi, oracle.log_mu, oracle.payoff(log_pi), eta=eta, weight=weight),)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)
