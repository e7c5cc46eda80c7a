"""Gradient and Hessian-vector estimates for location policies on finite states: one parameter a state, one real action.

The policy draws a = theta_s + scale * z with z standard normal or standard logistic; its score has one non-zero
coordinate, that of the current state. Rewards and moves are those of `mdplab.instances.policy_gradient`.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.ascent import average, move, point_ahead, segment

# Which estimate a run is made of: the exact gradient with noise, or GPOMDP under a policy.
NOISY, GAUSSIAN, LOGISTIC = 0, 1, 2
# Rows of `terms` (4, S), what rewards and moves of each state depend on; of `moves_cdf` (2, S, S), cumulative rows
# that are exactly 1 from the last possible state on; of `path` (3, H), what is kept of a trajectory. Passing an array
# costs time, more than a step's arithmetic.
AMPLITUDE, CENTRE, SWITCH, CURVATURE = 0, 1, 2, 3
STILL, MOVED = 0, 1
SCORE, BEND, REWARD = 0, 1, 2


@kernel
def bump(a, centre, width):
    """1 / (1 + ((a - centre) / width)^2)."""
    x = (a - centre) / width
    return 1.0 / (1.0 + x * x)


@kernel
def noisy_gradient(theta, terms, noise, rng, out_g):
    """Exact gradient curvature * (centre - theta) of a separable quadratic plus N(0, noise^2) a coordinate: out_g (S,).

    Nothing is drawn where noise is 0.
    """
    for s in range(theta.shape[0]):
        out_g[s] = terms[CURVATURE, s] * (terms[CENTRE, s] - theta[s])
        if noise > 0.0:
            out_g[s] += noise * rng.standard_normal()


@kernel
def trajectory(theta, logistic, scale, rho_cdf, moves_cdf, terms, width, gamma, rng, out_states, out_path):
    """One trajectory of H = len(out_states) steps drawn at theta (S,).

    out_path (3, H): score, its slope ("bend") in theta_s, and gamma^t r_t of every step. With
    `logistic`: reward amplitude * bump(a, centre, width), and MOVED with probability bump(a, switch, width); else
    reward -amplitude (a - centre)^2 / 2, and always STILL.
    """
    H, S = out_states.shape[0], theta.shape[0]
    power, inverse, bend = 1.0, 1.0 / scale, -1.0 / (scale * scale)
    # Counting all entries below u, here and below, is faster than stopping at the first above: nothing to mispredict.
    u, s = rng.random(), 0
    for i in range(S - 1):
        s += u >= rho_cdf[i]
    for t in range(H):
        out_states[t] = s
        way = STILL
        if logistic:
            u = rng.random()
            # A uniform draw of exactly 0 has logit -inf; the smallest positive draw is 2**-53.
            u = max(u, 2.0**-54)
            a = theta[s] + scale * math.log(u / (1.0 - u))
            # tanh(z / 2) = 2 u - 1 for the standard logistic z of distribution value u.
            out_path[SCORE, t] = (2.0 * u - 1.0) * inverse
            out_path[BEND, t] = 2.0 * u * (1.0 - u) * bend
            reward = terms[AMPLITUDE, s] * bump(a, terms[CENTRE, s], width)
            if rng.random() < bump(a, terms[SWITCH, s], width):
                way = MOVED
        else:
            z = rng.standard_normal()
            off = theta[s] + scale * z - terms[CENTRE, s]
            out_path[SCORE, t] = z * inverse
            out_path[BEND, t] = bend
            reward = -0.5 * terms[AMPLITUDE, s] * (off * off)
        out_path[REWARD, t] = power * reward
        power *= gamma
        u, after = rng.random(), 0
        for i in range(S - 1):
            after += u >= moves_cdf[way, s, i]
        s = after


@kernel
def gpomdp(states, path, out_g):
    """GPOMDP estimate sum_t to_go_t score_t, to_go_t = sum_{h >= t} gamma^h r_h, into out_g (S,)."""
    for s in range(out_g.shape[0]):
        out_g[s] = 0.0
    to_go = 0.0
    for t in range(states.shape[0] - 1, -1, -1):
        to_go += path[REWARD, t]
        out_g[states[t]] += to_go * path[SCORE, t]


@kernel
def hessian_vector(states, path, u, out_v):
    """g <sum_t score_t, u> + sum_t to_go_t hess log pi u into out_v (S,), for a direction u (S,)."""
    gpomdp(states, path, out_v)
    along = 0.0
    for t in range(states.shape[0]):
        along += path[SCORE, t] * u[states[t]]
    for s in range(out_v.shape[0]):
        out_v[s] *= along
    to_go = 0.0
    for t in range(states.shape[0] - 1, -1, -1):
        to_go += path[REWARD, t]
        out_v[states[t]] += to_go * path[BEND, t] * u[states[t]]


@kernel
def draw_estimates(kind, scale, rho_cdf, moves_cdf, terms, width, gamma, theta, u, horizon, rng, out_g, out_v):
    """Independent estimates at theta (S,), one in each row of out_g (num, S), then products with u in those of out_v.

    The policy is that of `kind`, GAUSSIAN or LOGISTIC. Either of the two may have no rows.
    """
    states, path = np.empty(horizon, dtype=np.int64), np.empty((3, horizon))
    for i in range(out_g.shape[0]):
        trajectory(theta, kind == LOGISTIC, scale, rho_cdf, moves_cdf, terms, width, gamma, rng, states, path)
        gpomdp(states, path, out_g[i])
    for i in range(out_v.shape[0]):
        trajectory(theta, kind == LOGISTIC, scale, rho_cdf, moves_cdf, terms, width, gamma, rng, states, path)
        hessian_vector(states, path, u, out_v[i])


@kernel
def ascend(kind, scale, noise, rho_cdf, moves_cdf, terms, width, gamma, horizon, theta0, look, carry, eta, step,
           normalised, checkpoints, rng, out_theta, out_d):  # fmt: skip
    """Ascent along a moving average of estimates, as `mdplab.algorithms.policy_gradient.ascent`; runs one by one.

    look, carry, eta, step (T,); checkpoints (K,) increasing; out_theta, out_d (seeds, K, S) receive theta_t and d_t.
    """
    S = theta0.shape[0]
    states, path = np.empty(horizon, dtype=np.int64), np.empty((3, horizon))
    g, u, point = np.empty(S), np.empty(S), np.empty(S)
    for i in range(out_d.shape[0]):
        theta = theta0.copy()
        previous = theta0.copy()
        # The product v is added with weight carry = 0 before the first one is drawn.
        d, v = np.zeros(S), np.zeros(S)
        k = 0
        for t in range(eta.shape[0]):
            # The cases are told apart here, as Numba counts references to what a function uses on one path alone.
            if carry[t] != 0.0:
                segment(theta, previous, rng.random(), point, u)
                if kind == NOISY:
                    for s in range(S):
                        v[s] = -terms[CURVATURE, s] * u[s]
                else:
                    trajectory(
                        point, kind == LOGISTIC, scale, rho_cdf, moves_cdf, terms, width, gamma, rng, states, path
                    )
                    hessian_vector(states, path, u, v)
            point_ahead(theta, previous, look[t], point)
            if kind == NOISY:
                noisy_gradient(point, terms, noise, rng, g)
            else:
                trajectory(point, kind == LOGISTIC, scale, rho_cdf, moves_cdf, terms, width, gamma, rng, states, path)
                gpomdp(states, path, g)
            square = average(d, g, v, eta[t], carry[t])
            if k < checkpoints.shape[0] and checkpoints[k] == t:
                for s in range(S):
                    out_theta[i, k, s] = theta[s]
                    out_d[i, k, s] = d[s]
                k += 1
            move(theta, previous, d, square, step[t], normalised)
