r"""Nash mirror descent (Nash-MD): mirror descent against a geometric mixture with the reference policy.

    m_t      =  pi_t^(1 - eta_t tau) mu^(eta_t tau) / Z
    pi_(t+1) =  argmax_pi  eta_t P(pi > m_t) - D(pi || m_t),    log pi_(t+1) = log m_t + eta_t P m_t + const

Both the opponent and the proximal centre are m_t. The schedule of the theorem is eta_t = 2 / (tau (t + 2)) for
t = 0, 1, ...; eta_0 tau = 1, so that the first step forgets the start.

Source: Munos et al. 2023, "Nash learning from human feedback", arXiv:2312.00886v4, section 6 (algorithm) and Theorem 1.
Cost per iteration: one product with P, n^2 multiplications a context.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import PreferenceGame, Trace


def schedule(t: int, tau: float) -> float:
    """The step 2 / (tau (t + 2)) of Theorem 1.

    Examples
    --------
    >>> schedule(0, 0.5), schedule(2, 0.5)
    (2.0, 1.0)
    """
    return 2.0 / (tau * (t + 2))


def nash_md(
    game: PreferenceGame,
    *,
    tau: float,
    num_iters: int,
    eta: float | None = None,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Nash-MD with exact preferences.

    Parameters
    ----------
    game
        Preferences P and reference mu.
    tau
        Weight of the divergence from mu, above 0.
    num_iters
        Updates T, at least 0.
    eta
        Constant step with eta tau <= 1; the schedule of Theorem 1 by default.
    log_pi0
        Logits of the first policy, (..., n) with any leading batch axes before the game's own; mu by default.
    checkpoints
        Strictly increasing numbers of updates in [0, T] at which the policy is kept; all by default.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised.

    Raises
    ------
    ValueError
        tau or eta out of range (eta tau above 1 would give mu a negative exponent).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = nash_md(game, tau=0.5, num_iters=400, checkpoints=[400])
    >>> np.exp(trace["log_pi"][-1]).round(2).tolist()
    [0.2, 0.34, 0.46]
    """
    checkpoints = _checked(tau, eta, num_iters, checkpoints)
    log_pi = _start(game, log_pi0)
    out = np.empty((checkpoints.size, *log_pi.shape))
    kept = 0
    for t in range(num_iters + 1):
        if kept < checkpoints.size and checkpoints[kept] == t:
            out[kept] = log_pi
            kept += 1
        if t < num_iters:
            log_pi = nash_md_step(game, log_pi, tau=tau, eta=schedule(t, tau) if eta is None else eta)
    return Trace(checkpoints, {"log_pi": out})


def nash_md_step(game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float) -> np.ndarray:
    """One update: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> step = nash_md_step(game, game.log_mu, tau=1.0, eta=1.0)
    >>> np.allclose(step, log_softmax(np.array([0.75, 0.25])))
    True
    """
    log_m = mixture(game, log_pi, eta * tau)
    return log_softmax(log_m + eta * np.matmul(game.K, softmax(log_m)[..., None])[..., 0])


def mixture(game: PreferenceGame, log_pi: np.ndarray, weight: float) -> np.ndarray:
    """log of the geometric mixture pi^(1 - weight) mu^weight, normalised: (..., n) -> (..., n)."""
    return log_softmax((1 - weight) * log_pi + weight * game.log_mu)


def nash_md_sampled(
    game: PreferenceGame,
    *,
    tau: float,
    num_iters: int,
    runs: int,
    rng: np.random.Generator,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Nash-MD on the schedule from sampled preferences, in independent runs.

    In each iteration an opponent z is drawn from m_t and compared once with every action y; the outcomes, Bernoulli
    with mean P[y, z], take the place of P m_t. The estimate is unbiased and lies in [0, 1].

    Parameters
    ----------
    game
        A game without contexts.
    tau
        Weight of the divergence from mu, above 0.
    num_iters
        Updates T, at least 0.
    runs
        Independent runs, at least 1.
    rng
        Source of every draw.
    checkpoints
        As `nash_md`.

    Returns
    -------
    Trace
        `log_pi` (runs, K, n), normalised.

    Source
    ------
    The paper samples one comparison with an action of the current policy; comparing all actions with one opponent is
    the variant with an estimate in [0, 1] (differs from the paper: it needs n comparisons an iteration).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]])
    >>> nash_md_sampled(game, tau=1.0, num_iters=5, runs=3, rng=np.random.default_rng(0))["log_pi"].shape
    (3, 6, 2)
    """
    checkpoints = _checked(tau, None, num_iters, checkpoints)
    if game.rho is not None:
        raise ValueError(f"game has m={game.m} contexts; sampling is for games without")
    if runs < 1:
        raise ValueError(f"runs is {runs}; expected at least 1")
    log_pi = np.tile(_start(game, None), (runs, 1))
    out = np.empty((runs, checkpoints.size, game.n))
    kept = 0
    for t in range(num_iters + 1):
        if kept < checkpoints.size and checkpoints[kept] == t:
            out[:, kept] = log_pi
            kept += 1
        if t < num_iters:
            eta = schedule(t, tau)
            log_m = mixture(game, log_pi, eta * tau)
            # Inverse CDF; the clamp covers a cumulative sum that ends below 1.
            cumulative = np.cumsum(softmax(log_m), axis=-1)
            z = np.minimum((cumulative < rng.random((runs, 1))).sum(axis=-1), game.n - 1)
            outcomes = rng.random((runs, game.n)) < game.P.T[z]
            log_pi = log_softmax(log_m + eta * outcomes)
    return Trace(checkpoints, {"log_pi": out})


def _checked(tau: float, eta: float | None, num_iters: int, checkpoints: Sequence[int] | None) -> np.ndarray:
    """The checkpoints as an array, after the ranges of all parameters."""
    if not (np.isfinite(tau) and tau > 0):
        raise ValueError(f"tau is {tau}; expected a finite number above 0")
    if eta is not None and not 0 < eta * tau <= 1:
        raise ValueError(f"eta tau is {eta * tau:g} with eta={eta:g}, tau={tau:g}; expected in (0, 1]")
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    kept = np.arange(num_iters + 1) if checkpoints is None else np.asarray(checkpoints, dtype=np.int64)
    if kept.size == 0 or kept[0] < 0 or kept[-1] > num_iters or np.any(np.diff(kept) <= 0):
        raise ValueError(f"checkpoints is {kept.tolist()}; expected strictly increasing in [0, {num_iters}]")
    return kept


def _start(game: PreferenceGame, log_pi0: np.ndarray | None) -> np.ndarray:
    if log_pi0 is None:
        return game.log_mu.copy()
    log_pi = np.asarray(log_pi0, dtype=np.float64)
    if log_pi.shape[log_pi.ndim - game.mu.ndim :] != game.mu.shape:
        raise ValueError(f"log_pi0 has shape {log_pi.shape}; its last axes must be {game.mu.shape}")
    if not np.isfinite(log_pi).all():
        raise ValueError("log_pi0 has an entry that is not finite; the first policy needs full support")
    return log_softmax(log_pi)
