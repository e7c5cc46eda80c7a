"""Trajectories of tabular softmax policies on finite models, and what methods estimate from one of them.

Parameters are flat, theta[s * A + a]. A model is `rho_cdf (S,)` and, for each pair s * A + a, its at most K successors:
`after (S * A, K)` states, `after_cdf (S * A, K)` cumulative probabilities, exactly 1 from the last possible one on, and
`reward (S * A, K)`.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.ascent import average, move, point_ahead, segment
from mdplab.kernels.sampling import draw


@kernel
def trajectory(theta, rho_cdf, after, after_cdf, reward, gamma, rng, out_seen, out_pi, out_joint, out_pairs,
               out_rewards):  # fmt: skip
    """One trajectory of H = len(out_pairs) steps drawn at theta (S * A,).

    out_pairs (H,): s * A + a of every step; out_rewards (H,): gamma^t r_t; out_seen (S,) bool: the states visited,
    whose rows of out_pi (S * A,) and out_joint (S, A * K) are set. One uniform draws action and successor from
    out_joint[s, a * K + k]: cumulative weights in units of the last; that of a's last possible successor is a's own.
    """
    H, K, last = out_pairs.shape[0], after.shape[1], out_joint.shape[1] - 1
    A = (last + 1) // K
    for s in range(out_seen.shape[0]):
        out_seen[s] = False
    power = 1.0
    s = draw(rho_cdf, rng.random())
    for t in range(H):
        # Here, not in a function: a call that is not inlined makes Numba count references to all arrays, atomically.
        if not out_seen[s]:
            out_seen[s] = True
            top = theta[s * A]
            for a in range(1, A):
                top = max(top, theta[s * A + a])
            total = 0.0
            for a in range(A):
                weight = math.exp(theta[s * A + a] - top)
                out_pi[s * A + a] = weight
                for k in range(K):
                    out_joint[s, a * K + k] = total + weight * after_cdf[s * A + a, k]
                total += weight
            for a in range(A):
                out_pi[s * A + a] /= total
        # Less than the last weight even when rounded: a uniform draw is at most 1 - 2**-53.
        u = rng.random() * out_joint[s, last]
        # Counting all entries below u is faster than stopping at the first above: no branch to mispredict.
        a, below = 0, 0
        for i in range(A - 1):
            a += u >= out_joint[s, i * K + K - 1]
        for i in range(last):
            below += u >= out_joint[s, i]
        out_pairs[t] = s * A + a
        out_rewards[t] = power * reward[s * A + a, below - a * K]
        power *= gamma
        s = after[s * A + a, below - a * K]


@kernel
def gpomdp(A, seen, pi, pairs, rewards, out_g):
    """GPOMDP estimate sum_t to_go_t (e_{a_t} - pi(. | s_t)), to_go_t = sum_{h >= t} rewards_h, into out_g (S * A,)."""
    for i in range(out_g.shape[0]):
        out_g[i] = 0.0
    to_go = 0.0
    for t in range(pairs.shape[0] - 1, -1, -1):
        to_go += rewards[t]
        out_g[pairs[t]] += to_go
    for s in range(seen.shape[0]):
        if seen[s]:
            mass = 0.0
            for a in range(A):
                mass += out_g[s * A + a]
            for a in range(A):
                out_g[s * A + a] -= mass * pi[s * A + a]


@kernel
def hessian_vector(A, seen, pi, pairs, rewards, u, out_v):
    """g <sum_t score_t, u> + sum_t to_go_t hess log pi u into out_v (S * A,), for u (S * A,).

    Row s of hess log pi(a | s) u is -pi (u - <pi, u>), whatever a.
    """
    for i in range(out_v.shape[0]):
        out_v[i] = 0.0
    along, to_go = 0.0, 0.0
    for t in range(pairs.shape[0] - 1, -1, -1):
        to_go += rewards[t]
        s = pairs[t] // A
        along += u[pairs[t]]
        for a in range(A):
            along -= pi[s * A + a] * u[s * A + a]
        out_v[pairs[t]] += to_go
    for s in range(seen.shape[0]):
        if seen[s]:
            mass, mean = 0.0, 0.0
            for a in range(A):
                mass += out_v[s * A + a]
                mean += pi[s * A + a] * u[s * A + a]
            for a in range(A):
                i = s * A + a
                out_v[i] = along * (out_v[i] - mass * pi[i]) - mass * pi[i] * (u[i] - mean)


@kernel
def draw_estimates(A, rho_cdf, after, after_cdf, reward, gamma, theta, u, horizon, rng, out_g, out_v):
    """Independent estimates at theta (S * A,), one in each row of out_g (num, S * A), then products with u in out_v."""
    seen, pi = np.empty(rho_cdf.shape[0], dtype=np.bool_), np.empty(theta.shape[0])
    pairs, rewards = np.empty(horizon, dtype=np.int64), np.empty(horizon)
    joint = np.empty((rho_cdf.shape[0], A * after.shape[1]))
    for i in range(out_g.shape[0]):
        trajectory(theta, rho_cdf, after, after_cdf, reward, gamma, rng, seen, pi, joint, pairs, rewards)
        gpomdp(A, seen, pi, pairs, rewards, out_g[i])
    for i in range(out_v.shape[0]):
        trajectory(theta, rho_cdf, after, after_cdf, reward, gamma, rng, seen, pi, joint, pairs, rewards)
        hessian_vector(A, seen, pi, pairs, rewards, u, out_v[i])


@kernel
def ascend(A, rho_cdf, after, after_cdf, reward, gamma, horizon, theta0, look, carry, eta, step, normalised,
           checkpoints, rng, out_theta, out_d):  # fmt: skip
    """Ascent along a moving average of estimates, as `mdplab.algorithms.policy_gradient.ascent`; runs one by one.

    look, carry, eta, step (T,); checkpoints (K,) increasing; out_theta, out_d (seeds, K, S * A).
    """
    n = theta0.shape[0]
    seen, pi = np.empty(rho_cdf.shape[0], dtype=np.bool_), np.empty(n)
    pairs, rewards = np.empty(horizon, dtype=np.int64), np.empty(horizon)
    joint = np.empty((rho_cdf.shape[0], A * after.shape[1]))
    g, u, point = np.empty(n), np.empty(n), np.empty(n)
    for i in range(out_d.shape[0]):
        theta = theta0.copy()
        previous = theta0.copy()
        # The product v is added with weight carry = 0 before the first one is drawn.
        d, v = np.zeros(n), np.zeros(n)
        k = 0
        for t in range(eta.shape[0]):
            if carry[t] != 0.0:
                segment(theta, previous, rng.random(), point, u)
                trajectory(point, rho_cdf, after, after_cdf, reward, gamma, rng, seen, pi, joint, pairs, rewards)
                hessian_vector(A, seen, pi, pairs, rewards, u, v)
            point_ahead(theta, previous, look[t], point)
            trajectory(point, rho_cdf, after, after_cdf, reward, gamma, rng, seen, pi, joint, pairs, rewards)
            gpomdp(A, seen, pi, pairs, rewards, g)
            square = average(d, g, v, eta[t], carry[t])
            if k < checkpoints.shape[0] and checkpoints[k] == t:
                for j in range(n):
                    out_theta[i, k, j] = theta[j]
                    out_d[i, k, j] = d[j]
                k += 1
            move(theta, previous, d, square, step[t], normalised)
