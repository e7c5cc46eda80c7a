"""Gradient estimates for location policies on finite states: one parameter a state, one real action.

The policy draws a = theta_s + scale * z with z standard normal or standard logistic; its score has one non-zero
coordinate, that of the current state. Rewards and moves are those of `mdplab.instances.policy_gradient`.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.sampling import draw

# Which estimate `estimate` computes.
NOISY, GAUSSIAN, LOGISTIC = 0, 1, 2


@kernel
def bump(a, centre, width):
    """1 / (1 + ((a - centre) / width)^2)."""
    x = (a - centre) / width
    return 1.0 / (1.0 + x * x)


@kernel
def noisy_gradient(theta, centre, curvature, noise, rng, out_g):
    """Exact gradient curvature * (centre - theta) of a separable quadratic, plus N(0, noise^2) a coordinate; all (S,).

    Nothing is drawn where noise is 0.
    """
    for s in range(theta.shape[0]):
        out_g[s] = curvature[s] * (centre[s] - theta[s])
        if noise > 0.0:
            out_g[s] += noise * rng.standard_normal()


@kernel
def gpomdp(theta, logistic, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, width, gamma, rng,
           states, scores, rewards, out_g):  # fmt: skip
    """GPOMDP estimate out_g (S,) from one trajectory of H = len(states) steps drawn at theta (S,).

    still_cdf, moved_cdf (S, S); amplitude, centre, switch (S,); states, scores, rewards (H,) scratch. With `logistic`:
    reward amplitude * bump(a, centre, width) and moved_cdf with probability bump(a, switch, width); else reward
    -amplitude (a - centre)^2 / 2 and always still_cdf.
    """
    H = states.shape[0]
    s = draw(rho_cdf, rng.random())
    for t in range(H):
        if logistic:
            u = rng.random()
            # A uniform draw of exactly 0 has logit -inf; the smallest positive draw is 2**-53.
            u = max(u, 2.0**-54)
            a = theta[s] + scale * math.log(u / (1.0 - u))
            # tanh(z / 2) = 2 u - 1 for the standard logistic z of distribution value u.
            scores[t] = (2.0 * u - 1.0) / scale
            rewards[t] = amplitude[s] * bump(a, centre[s], width)
            states[t] = s
            if rng.random() < bump(a, switch[s], width):
                s = draw(moved_cdf[s], rng.random())
            else:
                s = draw(still_cdf[s], rng.random())
        else:
            z = rng.standard_normal()
            a = theta[s] + scale * z
            scores[t] = z / scale
            rewards[t] = -0.5 * amplitude[s] * (a - centre[s]) ** 2
            states[t] = s
            s = draw(still_cdf[s], rng.random())
    for s in range(theta.shape[0]):
        out_g[s] = 0.0
    # sum_t gamma^t score_t G_t with G_t = sum_{h >= t} gamma^(h - t) r_h: the absolute power gamma^h of the paper.
    to_go = 0.0
    for t in range(H - 1, -1, -1):
        to_go = rewards[t] + gamma * to_go
        rewards[t] = to_go
    power = 1.0
    for t in range(H):
        out_g[states[t]] += power * rewards[t] * scores[t]
        power *= gamma


@kernel
def estimate(kind, theta, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
             gamma, rng, states, scores, rewards, out_g):  # fmt: skip
    """The estimate that `kind` names, into out_g (S,): NOISY, or GPOMDP under a GAUSSIAN or LOGISTIC policy."""
    if kind == NOISY:
        noisy_gradient(theta, centre, curvature, noise, rng, out_g)
    else:
        gpomdp(theta, kind == LOGISTIC, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, width, gamma,
               rng, states, scores, rewards, out_g)  # fmt: skip


@kernel
def draw_estimates(kind, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                   gamma, theta, horizon, rng, out_g):  # fmt: skip
    """Independent estimates at theta (S,), one in each row of out_g (num, S)."""
    states = np.empty(horizon, dtype=np.int64)
    scores = np.empty(horizon)
    rewards = np.empty(horizon)
    for i in range(out_g.shape[0]):
        estimate(kind, theta, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                 gamma, rng, states, scores, rewards, out_g[i])  # fmt: skip


@kernel
def momentum_ascent(kind, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                    gamma, horizon, theta0, look, eta, step, checkpoints, rng, out_theta, out_d):  # fmt: skip
    """Normalised ascent along a moving average of estimates taken ahead of the iterate; whole runs, one after another.

    look, eta, step (T,); checkpoints (K,) increasing; out_theta, out_d (seeds, K, S) receive theta_t and d_t.
    """
    S = theta0.shape[0]
    states = np.empty(horizon, dtype=np.int64)
    scores = np.empty(horizon)
    rewards = np.empty(horizon)
    g = np.empty(S)
    ahead = np.empty(S)
    for i in range(out_d.shape[0]):
        theta = theta0.copy()
        previous = theta0.copy()
        d = np.zeros(S)
        k = 0
        for t in range(eta.shape[0]):
            for s in range(S):
                ahead[s] = theta[s] + look[t] * (theta[s] - previous[s])
            estimate(kind, ahead, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature,
                     width, gamma, rng, states, scores, rewards, g)  # fmt: skip
            square = 0.0
            for s in range(S):
                d[s] = (1.0 - eta[t]) * d[s] + eta[t] * g[s]
                square += d[s] * d[s]
            if k < checkpoints.shape[0] and checkpoints[k] == t:
                for s in range(S):
                    out_theta[i, k, s] = theta[s]
                    out_d[i, k, s] = d[s]
                k += 1
            length = step[t] / math.sqrt(square) if square > 0.0 else 0.0
            for s in range(S):
                previous[s] = theta[s]
                theta[s] += length * d[s]
