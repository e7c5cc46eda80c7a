r"""Direct Nash optimisation (DNO): fit the log-ratio to the policy's own win rates, without regularisation.

    r_t = P pi_t,    pi_(t+1) = argmax_pi E [ s log sigma(Delta) + (1 - s) log sigma(-Delta) ],
    s = sigma(r_t(y) - r_t(y')),  Delta = eta (log pi(y) / pi_t(y) - log pi(y') / pi_t(y'))

Whatever the law of the pairs, if it connects all actions, the maximiser is pi_(t+1) proportional to
pi_t exp(r_t / eta): multiplicative weights in self-play. The mean of the iterates approaches an equilibrium of the
game; the last iterate need not.

Source: Rosset et al. 2024, arXiv:2404.03715, Algorithm 1 (DNO with exact expectations).
Cost per iteration: one product with K.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    iterate,
    mirror_step,
    start,
)
from mdplab.kernels.softmax import softmax
from mdplab.models import PreferenceGame, Trace


def hedge_step(n: int, horizon: int) -> float:
    """The eta = sqrt(T / (8 log n)) that minimises the bound 2 (eta log(n) / T + 1 / (8 eta)) on the mean's gap.

    Examples
    --------
    >>> round(hedge_step(2, 8), 6) == round(float(np.log(2) ** -0.5), 6)
    True
    """
    if n < 2:
        raise ValueError(f"n is {n}; expected at least 2 actions")
    return float(np.sqrt(horizon / (8 * np.log(n))))


def dno(
    game: PreferenceGame,
    *,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """DNO with exact minimisation.

    Parameters
    ----------
    game
        Preferences P; the reference is not used.
    eta
        Inverse step, above 0.
    num_iters
        Updates T, at least 0.
    log_pi0
        Logits of the first policy, (..., n) with any leading batch axes; uniform by default.
    checkpoints
        As `egpo.egpo`.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `mean_policy` (K, ..., n), the mean of pi_0 .. pi_(t-1), pi_0 at t = 0;
        `queries` (K,).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
    >>> trace = dno(game, eta=1.0, num_iters=10)
    >>> trace["mean_policy"][-1].round(6).tolist()
    [0.333333, 0.333333, 0.333333]
    """
    check_positive("eta", eta)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)
    log_pi = start(game, np.zeros(game.mu.shape) if log_pi0 is None else log_pi0)

    def step(t: int, log_pi: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = mean + (softmax(log_pi) - mean) / (t + 1)
        return mirror_step(log_pi, oracle.log_mu, oracle.payoff(log_pi), eta=1 / eta, weight=0.0), mean

    states = {"log_pi": log_pi, "mean_policy": softmax(log_pi)}
    return iterate(oracle, step, states, num_iters=num_iters, checkpoints=kept)


def dno_step(game: PreferenceGame, log_pi: np.ndarray, *, eta: float) -> np.ndarray:
    """One update, pi exp(P pi / eta) / Z: log_pi (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> np.exp(dno_step(game, np.zeros(2), eta=0.5 / np.log(3.0))).round(12).tolist()
    [0.75, 0.25]
    """
    check_positive("eta", eta)
    oracle = PreferenceOracle(game)
    return mirror_step(log_pi, oracle.log_mu, oracle.payoff(log_pi), eta=1 / eta, weight=0.0)


def dno_loss(game: PreferenceGame, log_p: np.ndarray, log_pi: np.ndarray, *, eta: float, pairs: np.ndarray) -> float:
    """Population loss of DNO at p from the policy pi: minus the expectation above, pairs drawn from `pairs` (n, n).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> round(dno_loss(game, np.zeros(2), np.zeros(2), eta=1.0, pairs=np.full((2, 2), 0.25)), 12)
    0.69314718056
    """
    gain = game.P @ softmax(log_pi)
    ratio = eta * (log_p - log_pi)
    target = 1 / (1 + np.exp(gain[None, :] - gain[:, None]))
    margin = ratio[:, None] - ratio[None, :]
    # -log sigma(x) = log(1 + e^-x), without overflow.
    loss = target * np.logaddexp(0.0, -margin) + (1 - target) * np.logaddexp(0.0, margin)
    return float(np.sum(pairs * loss))
