"""Gradient descent on the losses of online preference optimisation, game by game: loops for many small games.

Losses are numbered as in `mdplab.algorithms.games.preference_losses.LOSSES`; that module has the mathematics.
"""

import numpy as np

from mdplab.kernels._jit import kernel

EGPO, ONLINE_IPO_1, ONLINE_IPO_2, NASH_MD, NASH_MD_PG = range(5)


@kernel
def _normalise(theta):
    """theta - logsumexp(theta) in place: theta (n,)."""
    top = theta[0]
    for i in range(theta.size):
        top = max(top, theta[i])
    total = 0.0
    for i in range(theta.size):
        total += np.exp(theta[i] - top)
    shift = top + np.log(total)
    for i in range(theta.size):
        theta[i] -= shift


@kernel
def _payoff(K, theta, out_pi, out_gain):
    """out_pi = softmax(theta), out_gain = K out_pi: K (n, n), the rest (n,)."""
    n = theta.size
    top = theta[0]
    for i in range(n):
        top = max(top, theta[i])
    total = 0.0
    for i in range(n):
        out_pi[i] = np.exp(theta[i] - top)
        total += out_pi[i]
    for i in range(n):
        out_pi[i] /= total
    for i in range(n):
        gain = 0.0
        for j in range(n):
            gain += K[i, j] * out_pi[j]
        out_gain[i] = gain


@kernel
def _ipo_move(theta, log_mu, gain, tau, lr, out):
    """out = theta - lr (4 / n) c(theta - log mu - gain / tau), c the centring: arrays (n,)."""
    n = theta.size
    mean = 0.0
    for i in range(n):
        mean += theta[i] - log_mu[i] - gain[i] / tau
    mean /= n
    for i in range(n):
        out[i] = theta[i] - lr * 4.0 / n * (theta[i] - log_mu[i] - gain[i] / tau - mean)


@kernel
def _policy_gradient_move(pi, theta, log_mu, gain, tau, lr, out):
    """out = theta + lr pi (v - <pi, v>), v = gain - tau (theta - log mu): arrays (n,)."""
    n = theta.size
    mean = 0.0
    for i in range(n):
        mean += pi[i] * (gain[i] - tau * (theta[i] - log_mu[i]))
    for i in range(n):
        out[i] = theta[i] + lr * pi[i] * (gain[i] - tau * (theta[i] - log_mu[i]) - mean)


@kernel
def descend_games(loss, K, log_mu, start, tau, lr, mixture, checkpoints, out_log_pi):
    """Every game's path: K (m, n, n), log_mu and start (m, n), checkpoints (k,), out_log_pi (k, m, n).

    `mixture` is the weight of mu in the opponent of the last two losses.
    """
    m, n = log_mu.shape
    half, moved, pi, gain = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for g in range(m):
        theta, kept = start[g].copy(), 0
        for t in range(checkpoints[-1] + 1):
            if checkpoints[kept] == t:
                out_log_pi[kept, g] = theta
                kept += 1
                if kept == checkpoints.size:
                    break
            for i in range(n):
                half[i] = theta[i]
            if loss >= NASH_MD:
                for i in range(n):
                    half[i] = theta[i] + mixture * (log_mu[g, i] - theta[i])
            _payoff(K[g], half, pi, gain)
            if loss == EGPO:
                _ipo_move(theta, log_mu[g], gain, tau, lr, half)
                _payoff(K[g], half, pi, gain)
            if loss == ONLINE_IPO_2:
                _policy_gradient_move(pi, theta, log_mu[g], gain, tau, 4.0 * lr / tau, moved)
            elif loss == NASH_MD_PG:
                for i in range(n):
                    pi[i] = np.exp(theta[i])
                _policy_gradient_move(pi, theta, log_mu[g], gain, tau, lr, moved)
            else:
                _ipo_move(theta, log_mu[g], gain, tau, lr, moved)
            for i in range(n):
                theta[i] = moved[i]
            _normalise(theta)
