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

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_step,
    check_temperature,
    check_weight,
    iterate,
    mirror_step,
    start,
)
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
    opponent_weight: float | None = None,
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
    opponent_weight
        Weight of mu in the opponent, in [0, 1]; eta_t tau by default, so that opponent and proximal centre agree. The
        code of the EGPO paper runs half of that.
    log_pi0
        Logits of the first policy, (..., n) with any leading batch axes before the game's own; mu by default.
    checkpoints
        Strictly increasing numbers of updates in [0, T] at which the policy is kept; all by default.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), one an update.

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
    check_temperature(tau)
    if eta is not None:
        check_step(eta, tau)
    if opponent_weight is not None:
        check_weight("opponent_weight", opponent_weight)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        return (_step(oracle, log_pi, tau, schedule(t, tau) if eta is None else eta, opponent_weight),)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)


def nash_md_step(
    game: PreferenceGame, log_pi: np.ndarray, *, tau: float, eta: float, opponent_weight: float | None = None
) -> np.ndarray:
    """One update: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> step = nash_md_step(game, game.log_mu, tau=1.0, eta=1.0)
    >>> np.allclose(step, log_softmax(np.array([0.75, 0.25])))
    True
    """
    check_step(eta, tau)
    return _step(PreferenceOracle(game), log_pi, tau, eta, opponent_weight)


def _step(oracle, log_pi, tau, eta, opponent_weight):
    weight = eta * tau if opponent_weight is None else opponent_weight
    gain = oracle.payoff((1 - weight) * log_pi + weight * oracle.log_mu)
    return mirror_step(log_pi, oracle.log_mu, gain, eta=eta, weight=eta * tau)


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
    check_temperature(tau)
    checkpoints = check_checkpoints(num_iters, checkpoints)
    if game.rho is not None:
        raise ValueError(f"game has m={game.m} contexts; sampling is for games without")
    if runs < 1:
        raise ValueError(f"runs is {runs}; expected at least 1")
    log_pi = np.tile(start(game, None), (runs, 1))
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
