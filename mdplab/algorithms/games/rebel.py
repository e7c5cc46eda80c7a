r"""REBEL: regress the relative reward of two actions on the change of their log-ratio.

    pi_(t+1) = argmin_pi E_((y, y') ~ pairs) (log pi(y)/pi_t(y) - log pi(y')/pi_t(y') - eta (r(y) - r(y')))^2

If the pairs connect all actions, the minimiser is pi_(t+1) proportional to pi_t exp(eta r); otherwise the odds between
connected components are not determined, which `rebel_fit` reports. With preferences r = P pi_t: DNO at 1 / eta.

Source: Gao et al. 2024, arXiv:2404.16767, the update as in the authors' code (the paper divides the log-ratios by eta).
Cost per iteration: one product with K for preferences; a least-squares solution, O(n^3), for the regression.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    iterate,
    mirror_step,
    start,
)
from mdplab.kernels.softmax import log_softmax
from mdplab.models import PreferenceGame, Trace


def rebel_step(log_pi: np.ndarray, reward: np.ndarray, *, eta: float) -> np.ndarray:
    """The exact update pi exp(eta r) / Z: (..., n), (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> np.exp(rebel_step(np.zeros(2), np.array([1.0, 0.0]), eta=np.log(3.0))).round(12).tolist()
    [0.75, 0.25]
    """
    check_positive("eta", eta)
    return log_softmax(log_pi + eta * reward)


def rebel(
    reward: Callable[[int, np.ndarray], np.ndarray],
    log_pi0: np.ndarray,
    *,
    eta: float,
    num_iters: int,
) -> Trace:
    """REBEL with exact regression against rewards reward(t, log_pi) (..., n), fixed or chosen in sight of the policy.

    Returns
    -------
    Trace
        `log_pi` (T + 1, ..., n), normalised; `reward` (T, ..., n) is not kept: the caller has it.

    Examples
    --------
    >>> trace = rebel(lambda t, log_pi: np.array([1.0, 0.0]), np.zeros(2), eta=np.log(3.0), num_iters=1)
    >>> np.exp(trace["log_pi"][-1]).round(12).tolist()
    [0.75, 0.25]
    """
    check_positive("eta", eta)
    kept = check_checkpoints(num_iters, None)
    out = [log_softmax(np.asarray(log_pi0, dtype=np.float64))]
    for t in range(num_iters):
        out.append(rebel_step(out[-1], reward(t, out[-1]), eta=eta))
    return Trace(kept, {"log_pi": np.array(out)})


def rebel_preferences(
    game: PreferenceGame,
    *,
    eta: float,
    num_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """REBEL with the win rate against the current policy as reward; uniform start by default.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), one an update.

    Examples
    --------
    >>> from mdplab.algorithms.games.dno import dno
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
    >>> left, right = rebel_preferences(game, eta=0.5, num_iters=4), dno(game, eta=2.0, num_iters=4)
    >>> bool(np.allclose(left["log_pi"], right["log_pi"]))
    True
    """
    check_positive("eta", eta)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)
    log_pi = start(game, np.zeros(game.mu.shape) if log_pi0 is None else log_pi0)

    def step(t: int, log_pi: np.ndarray) -> tuple[np.ndarray]:
        return (mirror_step(log_pi, oracle.log_mu, oracle.payoff(log_pi), eta=eta, weight=0.0),)

    return iterate(oracle, step, {"log_pi": log_pi}, num_iters=num_iters, checkpoints=kept)


def rebel_loss(log_p: np.ndarray, log_pi: np.ndarray, reward: np.ndarray, *, eta: float, pairs: np.ndarray) -> float:
    """The squared error above at p, pairs drawn from `pairs` (n, n); logits and rewards (n,).

    Examples
    --------
    >>> rebel_loss(np.zeros(2), np.zeros(2), np.array([1.0, 0.0]), eta=2.0, pairs=np.full((2, 2), 0.25))
    2.0
    """
    d = log_p - log_pi - eta * reward
    return float(np.sum(pairs * (d[:, None] - d[None, :]) ** 2))


def rebel_fit(log_pi: np.ndarray, gaps: np.ndarray, *, eta: float, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The update by weighted least squares, and which actions the pairs connect.

    Parameters
    ----------
    log_pi : array (n,)
        Logits of the current policy.
    gaps : array (n, n)
        Relative rewards r(y) - r(y'), possibly observed with errors.
    eta
        Step, above 0.
    pairs : array (n, n)
        Weights of the pairs, at least 0.

    Returns
    -------
    (array (n,), array (n,) of int)
        Logits of the minimiser with the least change, normalised; and the connected component of each action. With
        more than one component the odds between components are not determined by the pairs: the logits returned leave
        the mean log-ratio of every component at 0 and must not be read as an answer about them.

    Examples
    --------
    >>> gaps = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> log_p, components = rebel_fit(np.zeros(2), gaps, eta=np.log(3.0), pairs=np.full((2, 2), 0.25))
    >>> np.exp(log_p).round(12).tolist(), components.tolist()
    ([0.75, 0.25], [0, 0])
    """
    check_positive("eta", eta)
    if not (np.isfinite(pairs).all() and np.min(pairs) >= 0):
        y, z = np.argwhere(~(np.isfinite(pairs) & (pairs >= 0)))[0]
        raise ValueError(f"pairs[{y}, {z}] is {pairs[y, z]}; weights are finite and at least 0")
    if not np.isfinite(gaps).all():
        y, z = np.argwhere(~np.isfinite(gaps))[0]
        raise ValueError(f"gaps[{y}, {z}] is {gaps[y, z]}; relative rewards are finite")
    _, components = connected_components(pairs > 0, directed=False)
    # Normal equations of a graph: Laplacian of the symmetrised weights, times the log-ratio.
    weights = pairs + pairs.T
    laplacian = np.diag(weights.sum(axis=1)) - weights
    right = eta * np.sum(pairs * gaps - (pairs * gaps).T, axis=1)
    ratio = np.linalg.lstsq(laplacian, right, rcond=None)[0]
    return log_softmax(log_pi + ratio), components
