"""Gradient and Hessian-vector estimates for location policies on finite states: one parameter a state, one real action.

The policy draws a = theta_s + scale * z with z standard normal or standard logistic; its score has one non-zero
coordinate, that of the current state. Rewards and moves are those of `mdplab.instances.policy_gradient`.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.ascent import average, move, point_ahead, segment
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
def trajectory(theta, logistic, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, width, gamma, rng,
               out_states, out_scores, out_bends, out_weights):  # fmt: skip
    """One trajectory of H = len(out_states) steps drawn at theta (S,): all outputs (H,).

    Score and its slope ("bend") in theta_s, and weights sum_{h >= t} gamma^h r_h. still_cdf, moved_cdf (S, S);
    amplitude, centre, switch (S,). With `logistic`: reward amplitude * bump(a, centre, width) and moved_cdf with
    probability bump(a, switch, width); else reward -amplitude (a - centre)^2 / 2 and always still_cdf.
    """
    H = out_states.shape[0]
    s = draw(rho_cdf, rng.random())
    for t in range(H):
        if logistic:
            u = rng.random()
            # A uniform draw of exactly 0 has logit -inf; the smallest positive draw is 2**-53.
            u = max(u, 2.0**-54)
            a = theta[s] + scale * math.log(u / (1.0 - u))
            # tanh(z / 2) = 2 u - 1 for the standard logistic z of distribution value u.
            out_scores[t] = (2.0 * u - 1.0) / scale
            out_bends[t] = -2.0 * u * (1.0 - u) / (scale * scale)
            out_weights[t] = amplitude[s] * bump(a, centre[s], width)
            out_states[t] = s
            if rng.random() < bump(a, switch[s], width):
                s = draw(moved_cdf[s], rng.random())
            else:
                s = draw(still_cdf[s], rng.random())
        else:
            z = rng.standard_normal()
            a = theta[s] + scale * z
            out_scores[t] = z / scale
            out_bends[t] = -1.0 / (scale * scale)
            out_weights[t] = -0.5 * amplitude[s] * (a - centre[s]) ** 2
            out_states[t] = s
            s = draw(still_cdf[s], rng.random())
    # gamma^t G_t with G_t = sum_{h >= t} gamma^(h - t) r_h: the absolute power gamma^h of the paper.
    to_go = 0.0
    for t in range(H - 1, -1, -1):
        to_go = out_weights[t] + gamma * to_go
        out_weights[t] = to_go
    power = 1.0
    for t in range(H):
        out_weights[t] *= power
        power *= gamma


@kernel
def gpomdp(states, scores, weights, out_g):
    """GPOMDP estimate sum_t weight_t score_t into out_g (S,)."""
    for s in range(out_g.shape[0]):
        out_g[s] = 0.0
    for t in range(states.shape[0]):
        out_g[states[t]] += weights[t] * scores[t]


@kernel
def hessian_vector(states, scores, bends, weights, u, out_v):
    """g <sum_t score_t, u> + sum_t weight_t hess log pi u into out_v (S,), for a direction u (S,)."""
    gpomdp(states, scores, weights, out_v)
    along = 0.0
    for t in range(states.shape[0]):
        along += scores[t] * u[states[t]]
    for s in range(out_v.shape[0]):
        out_v[s] *= along
    for t in range(states.shape[0]):
        out_v[states[t]] += weights[t] * bends[t] * u[states[t]]


@kernel
def estimate(kind, theta, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
             gamma, rng, states, scores, bends, weights, out_g):  # fmt: skip
    """The estimate that `kind` names, into out_g (S,): NOISY, or GPOMDP under a GAUSSIAN or LOGISTIC policy."""
    if kind == NOISY:
        noisy_gradient(theta, centre, curvature, noise, rng, out_g)
    else:
        trajectory(theta, kind == LOGISTIC, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, width,
                   gamma, rng, states, scores, bends, weights)  # fmt: skip
        gpomdp(states, scores, weights, out_g)


@kernel
def product(kind, theta, u, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width, gamma,
            rng, states, scores, bends, weights, out_v):  # fmt: skip
    """Estimate of the Hessian at theta (S,) times u (S,), into out_v (S,); exact, and drawing nothing, for NOISY."""
    if kind == NOISY:
        for s in range(u.shape[0]):
            out_v[s] = -curvature[s] * u[s]
    else:
        trajectory(theta, kind == LOGISTIC, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, width,
                   gamma, rng, states, scores, bends, weights)  # fmt: skip
        hessian_vector(states, scores, bends, weights, u, out_v)


@kernel
def draw_estimates(kind, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                   gamma, theta, u, horizon, rng, out_g, out_v):  # fmt: skip
    """Independent estimates at theta (S,), one in each row of out_g (num, S), then products with u in those of out_v.

    Either of the two may have no rows.
    """
    states = np.empty(horizon, dtype=np.int64)
    scores, bends, weights = np.empty(horizon), np.empty(horizon), np.empty(horizon)
    for i in range(out_g.shape[0]):
        estimate(kind, theta, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                 gamma, rng, states, scores, bends, weights, out_g[i])  # fmt: skip
    for i in range(out_v.shape[0]):
        product(kind, theta, u, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
                gamma, rng, states, scores, bends, weights, out_v[i])  # fmt: skip


@kernel
def ascend(kind, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature, width,
           gamma, horizon, theta0, look, carry, eta, step, normalised, checkpoints, rng, out_theta, out_d):  # fmt: skip
    """Ascent along a moving average of estimates, as `mdplab.algorithms.policy_gradient.ascent`; runs one by one.

    look, carry, eta, step (T,); checkpoints (K,) increasing; out_theta, out_d (seeds, K, S) receive theta_t and d_t.
    """
    S = theta0.shape[0]
    states = np.empty(horizon, dtype=np.int64)
    scores, bends, weights = np.empty(horizon), np.empty(horizon), np.empty(horizon)
    g, u, v, point = np.empty(S), np.empty(S), np.empty(S), np.empty(S)
    for i in range(out_d.shape[0]):
        theta = theta0.copy()
        previous = theta0.copy()
        d = np.zeros(S)
        k = 0
        for t in range(eta.shape[0]):
            if carry[t] != 0.0:
                segment(theta, previous, rng.random(), point, u)
                product(kind, point, u, scale, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature,
                        width, gamma, rng, states, scores, bends, weights, v)  # fmt: skip
            point_ahead(theta, previous, look[t], point)
            estimate(kind, point, scale, noise, rho_cdf, still_cdf, moved_cdf, amplitude, centre, switch, curvature,
                     width, gamma, rng, states, scores, bends, weights, g)  # fmt: skip
            square = average(d, g, v, eta[t], carry[t], d)
            if k < checkpoints.shape[0] and checkpoints[k] == t:
                for s in range(S):
                    out_theta[i, k, s] = theta[s]
                    out_d[i, k, s] = d[s]
                k += 1
            move(theta, previous, d, square, step[t], normalised)
