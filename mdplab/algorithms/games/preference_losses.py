r"""Online IPO losses, and the methods that descend them in logits: EGPO and both online IPOs in loss form.

With d = theta - log mu, pairs (i, j) drawn uniformly and an opponent nu that is not differentiated,

    L1(theta; nu) = (1/n^2) sum_ij (d_i - d_j - ((P nu)_i - (P nu)_j) / tau)^2
    L2(theta)     = sum_ij pi_i pi_j (d_i - d_j - K_ij / tau)^2,      the weights pi not differentiated

have gradients (4/n) (c(d) - c(P nu) / tau), c the centring, and 4 pi (d - <pi, d> - K pi / tau). A gradient step on L1
with learning rate lr is a mirror step with eta = 4 lr / (n tau), that is eta tau = 4 lr / n. EGPO descends L1 at
theta_t against pi_t, returns to theta_t, and descends L1 there against pi_(t+1/2).

Source: Zhou, Fazel and Du 2025, arXiv:2503.08942, the losses as in the authors' code; gradients and the
correspondence derived. Cost per iteration: one product with K for each gradient.
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
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import PreferenceGame, Trace

LOSSES = ("egpo", "online-ipo-1", "online-ipo-2", "nash-md", "nash-md-pg")


def step_of_learning_rate(lr: float, n: int, tau: float) -> float:
    """The step eta = 4 lr / (n tau) of the mirror step that a gradient step on L1 with learning rate lr is.

    Examples
    --------
    >>> step_of_learning_rate(0.1, 10, 0.1)
    0.4
    """
    return 4 * lr / (n * tau)


def learning_rate_of_step(eta: float, n: int, tau: float) -> float:
    """The inverse of `step_of_learning_rate`.

    Examples
    --------
    >>> learning_rate_of_step(0.4, 10, 0.1)
    0.1
    """
    return eta * n * tau / 4


def ipo_loss(game: PreferenceGame, theta: np.ndarray, log_nu: np.ndarray, *, tau: float) -> float:
    """L1 of logits theta (n,) against the opponent nu (n,), in a game without contexts.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> ipo_loss(game, np.zeros(2), np.zeros(2), tau=1.0)
    0.125
    """
    d = theta - game.log_mu - game.P @ softmax(log_nu) / tau
    return float(np.mean((d[:, None] - d[None, :]) ** 2))


def ipo_gradient(game: PreferenceGame, theta: np.ndarray, log_nu: np.ndarray, *, tau: float) -> np.ndarray:
    """Gradient of L1 in the logits: (..., n), (..., n) -> (..., n).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> ipo_gradient(game, np.zeros(2), np.zeros(2), tau=1.0).tolist()
    [-0.5, 0.5]
    """
    return _ipo_gradient(PreferenceOracle(game), theta, log_nu, tau)


def ipo2_loss(game: PreferenceGame, theta: np.ndarray, log_weights: np.ndarray, *, tau: float) -> float:
    """L2 of logits theta (n,) with the weights of a policy (n,), in a game without contexts.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> ipo2_loss(game, np.zeros(2), np.zeros(2), tau=1.0)
    0.125
    """
    d, pi = theta - game.log_mu, softmax(log_weights)
    return float(pi @ (d[:, None] - d[None, :] - game.K / tau) ** 2 @ pi)


def ipo2_gradient(game: PreferenceGame, theta: np.ndarray, *, tau: float) -> np.ndarray:
    """Gradient of L2 in the logits at weights softmax(theta): (..., n) -> (..., n).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> ipo2_gradient(game, np.zeros(2), tau=1.0).tolist()
    [-0.5, 0.5]
    """
    return -4 / tau * policy_gradient(PreferenceOracle(game), theta, theta, tau)


def policy_gradient(oracle: PreferenceOracle, theta: np.ndarray, log_nu: np.ndarray, tau: float) -> np.ndarray:
    """pi (v - <pi, v>), v = K nu - tau log(pi / mu): the gradient of P_tau(pi > nu) in pi's logits, nu held fixed."""
    pi = softmax(theta)
    v = oracle.payoff(log_nu) - tau * (theta - oracle.log_mu)
    return pi * (v - np.sum(pi * v, axis=-1, keepdims=True))


def descend(
    game: PreferenceGame,
    *,
    loss: str,
    tau: float,
    lr: float,
    num_iters: int,
    mixture: float | None = None,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
    compiled: bool = False,
) -> Trace:
    """Gradient descent in logits, as the simulations of the EGPO paper run it.

    Parameters
    ----------
    game
        Preferences P and reference mu.
    loss
        "egpo", "online-ipo-1" (OMD), "online-ipo-2", "nash-md" (L1 against a mixture with mu) or "nash-md-pg" (policy
        gradient against that mixture).
    tau
        Weight of the divergence from mu, above 0.
    lr
        Learning rate, above 0; for the first two and "nash-md", 4 lr / n is eta tau and at most 1.
    num_iters
        Updates, at least 0.
    mixture
        Weight of mu in the opponent of the last two, in [0, 1]. 2 lr / n by default, which is what the authors' code
        uses; it is half of what its step implies.
    log_pi0, checkpoints
        As `egpo.egpo`.
    compiled
        Run the loop as machine code, 30 times as fast on contexts with ten actions: the same numbers up to rounding.
        `log_pi0` then has the shape of `game.mu`.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), normalised; `queries` (K,), two an update of "egpo", else one.

    Examples
    --------
    >>> from mdplab.algorithms.games.egpo import egpo
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
    >>> by_loss = descend(game, loss="egpo", tau=0.5, lr=0.3, num_iters=5)
    >>> by_policy = egpo(game, tau=0.5, eta=4 * 0.3 / (3 * 0.5), num_iters=5)
    >>> bool(np.allclose(by_loss["log_pi"], by_policy["log_pi"]))
    True
    """
    check_temperature(tau)
    check_positive("lr", lr)
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}; expected one of {', '.join(LOSSES)}")
    if loss in ("egpo", "online-ipo-1", "nash-md") and 4 * lr > game.n:
        raise ValueError(f"eta tau = 4 lr / n is {4 * lr / game.n:g} with lr={lr:g}, n={game.n}; expected at most 1")
    weight = 2 * lr / game.n if mixture is None else mixture
    check_weight("mixture", weight)
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)
    first = start(game, log_pi0)
    if compiled:
        return _compiled(game, first, kept, loss, tau, lr, weight)

    def opponent(theta: np.ndarray) -> np.ndarray:
        return theta + weight * (oracle.log_mu - theta)

    def step(t: int, theta: np.ndarray) -> tuple[np.ndarray]:
        if loss == "egpo":
            half = theta - lr * _ipo_gradient(oracle, theta, theta, tau)
            gradient = _ipo_gradient(oracle, theta, half, tau)
        elif loss == "online-ipo-1":
            gradient = _ipo_gradient(oracle, theta, theta, tau)
        elif loss == "online-ipo-2":
            gradient = -4 / tau * policy_gradient(oracle, theta, theta, tau)
        elif loss == "nash-md":
            gradient = _ipo_gradient(oracle, theta, opponent(theta), tau)
        else:
            gradient = -policy_gradient(oracle, theta, opponent(theta), tau)
        # Normalised, so that nothing drifts; no gradient depends on the constant.
        return (log_softmax(theta - lr * gradient),)

    return iterate(oracle, step, {"log_pi": first}, num_iters=num_iters, checkpoints=kept)


def _compiled(game, first, kept, loss, tau, lr, weight) -> Trace:
    from mdplab.kernels.games import descend_games

    if first.shape != game.mu.shape:
        raise ValueError(f"log_pi0 has shape {first.shape}; compiled runs need that of mu, {game.mu.shape}")
    n = game.n
    K = game.K.reshape(-1, n, n)
    log_mu, theta = np.log(game.mu).reshape(-1, n), np.array(first).reshape(-1, n)
    out = np.empty((kept.size, game.m, n))
    descend_games(LOSSES.index(loss), K, log_mu, theta, float(tau), float(lr), float(weight), kept, out)
    queries = kept * (2 if loss == "egpo" else 1)
    return Trace(kept, {"log_pi": out.reshape(kept.size, *game.mu.shape), "queries": queries})


def _ipo_gradient(oracle: PreferenceOracle, theta: np.ndarray, log_nu: np.ndarray, tau: float) -> np.ndarray:
    d = theta - oracle.log_mu - oracle.payoff(log_nu) / tau
    return 4 / theta.shape[-1] * (d - np.mean(d, axis=-1, keepdims=True))
