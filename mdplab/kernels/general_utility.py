"""Whole replicates of N-VR-PG and of occupancy regression for tabular softmax policies; pairs are flat, s * A + a.

A utility is <reward, lambda> + weight * sum_k f(x_k), x = matrix @ lambda + shift with a CSR matrix, as in
`mdplab.models.utility`; `kind` is the index of f in `KINDS` there.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.sampling import draw

# f of a utility, in the order of `mdplab.models.utility.KINDS`.
LINEAR, LOG, ENTROPY, QUADRATIC = 0, 1, 2, 3


@kernel
def utility_gradient(kind, reward, indptr, indices, data, shift, weight, floor, occupancy, out_r):
    """Gradient at occupancy (n,) into out_r (n,); returns how many arguments were below the floor."""
    clipped = 0
    for i in range(reward.shape[0]):
        out_r[i] = reward[i]
    for k in range(shift.shape[0]):
        x = shift[k]
        for j in range(indptr[k], indptr[k + 1]):
            x += data[j] * occupancy[indices[j]]
        slope = 0.0
        if kind == QUADRATIC:
            slope = -x
        elif kind != LINEAR:
            if x < floor:
                clipped += 1
                x = floor
            slope = 1.0 / x if kind == LOG else -math.log(x) - 1.0
        for j in range(indptr[k], indptr[k + 1]):
            out_r[indices[j]] += weight * slope * data[j]
    return clipped


@kernel
def copy(values, out):
    """values (n,) into out (n,): a loop, because assignments between arrays take Numba seconds to compile."""
    for i in range(values.shape[0]):
        out[i] = values[i]


@kernel
def first_not_finite(values):
    """First index at which values (n,) is not finite, or -1."""
    for i in range(values.shape[0]):
        if not math.isfinite(values[i]):
            return i
    return -1


@kernel
def softmax_rows(theta, A, out_log, out_pi):
    """Log-probabilities and probabilities of each row of A logits in theta (n,)."""
    for row in range(0, theta.shape[0], A):
        top = theta[row]
        for a in range(1, A):
            top = max(top, theta[row + a])
        total = 0.0
        for a in range(A):
            total += math.exp(theta[row + a] - top)
        log_total = math.log(total)
        for a in range(A):
            out_log[row + a] = theta[row + a] - top - log_total
            out_pi[row + a] = math.exp(out_log[row + a])


@kernel
def trajectory(start_cdf, after, cdf, pi, A, rng, out_pairs):
    """Pairs (H,) of one trajectory of the policy pi (n,); successors after (n, m), cumulative weights cdf (n, m)."""
    s = draw(start_cdf, rng.random())
    for t in range(out_pairs.shape[0]):
        u = rng.random()
        a, below = 0, pi[s * A]
        while u >= below and a < A - 1:
            a += 1
            below += pi[s * A + a]
        i = s * A + a
        out_pairs[t] = i
        s = after[i, draw(cdf[i], rng.random())]


@kernel
def add_gradient(pairs, powers, pi, A, r, scale, out_g):
    """Add scale * sum_t (sum_{h >= t} gamma^h r_h) score_t to out_g (n,); powers (H,) are gamma^t, scores of pi."""
    to_go = 0.0
    for t in range(pairs.shape[0] - 1, -1, -1):
        i = pairs[t]
        to_go += powers[t] * r[i]
        row = i - i % A
        for a in range(A):
            out_g[row + a] -= scale * to_go * pi[row + a]
        out_g[i] += scale * to_go


@kernel
def log_ratio(pairs, log_new, log_old):
    """Sum over a trajectory's pairs (H,) of log_new - log_old, both (n,)."""
    total = 0.0
    for t in range(pairs.shape[0]):
        total += log_new[pairs[t]] - log_old[pairs[t]]
    return total


@kernel
def track_occupancy(pairs, powers, eta, carry, w, lam):
    """lam = eta lam(tau) + (1 - eta) lam + carry (1 - w) lam(tau), in place; carry = 1 - eta as printed."""
    for i in range(lam.shape[0]):
        lam[i] *= 1.0 - eta
    factor = eta + carry * (1.0 - w)
    for t in range(pairs.shape[0]):
        lam[pairs[t]] += factor * powers[t]


@kernel
def track_direction(pairs, powers, eta, carry, w, A, pi, pi_old, r, r_old, d):
    """d = eta g(r, pi) + (1 - eta) d + carry (g(r, pi) - w g(r_old, pi_old)), in place; all (n,)."""
    for i in range(d.shape[0]):
        d[i] *= 1.0 - eta
    add_gradient(pairs, powers, pi, A, r, eta + carry, d)
    if carry != 0.0:
        add_gradient(pairs, powers, pi_old, A, r_old, -carry * w, d)


@kernel
def n_vr_pg(start_cdf, after, cdf, A, powers, kind, reward, indptr, indices, data, shift, weight, floor, theta0, eta,
            carry, step, turn, lagged, normalised, checkpoints, rng, out_theta, out_d, out_lam, out_weight, out_clipped,
            out_fault):  # fmt: skip
    """One run of T = len(eta) iterations; out_theta, out_d, out_lam (K, n) at checkpoints (K,).

    out_weight, out_clipped (K,): largest log importance weight and clipped arguments so far. Returns -1, or the
    iteration at which the utility's gradient was not finite, with pair, slope and occupancy in out_fault (3,).
    turn is 1 (-1 inverts the weights); lagged as printed, else the pseudo-rewards are those of the same trajectory.
    """
    n = theta0.shape[0]
    theta, lam, d = np.empty(n), np.zeros(n), np.zeros(n)
    log_pi, pi, log_old, pi_old = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    r, r_1, r_2 = np.empty(n), np.empty(n), np.empty(n)
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    copy(theta0, theta)
    softmax_rows(theta, A, log_old, pi_old)
    top, clipped, k = 0.0, 0, 0
    for t in range(eta.shape[0]):
        softmax_rows(theta, A, log_pi, pi)
        trajectory(start_cdf, after, cdf, pi, A, rng, pairs)
        log_w = turn * log_ratio(pairs, log_old, log_pi)
        top = max(top, log_w)
        w = math.exp(log_w)
        track_occupancy(pairs, powers, eta[t], carry[t], w, lam)
        clipped += utility_gradient(kind, reward, indptr, indices, data, shift, weight, floor, lam, r)
        i = first_not_finite(r)
        if i >= 0:
            out_fault[0], out_fault[1], out_fault[2] = i, r[i], lam[i]
            return t
        if t == 0:
            copy(r, r_1)
            copy(r, r_2)
        if lagged:
            track_direction(pairs, powers, eta[t], carry[t], w, A, pi, pi_old, r_1, r_2, d)
        else:
            track_direction(pairs, powers, eta[t], carry[t], w, A, pi, pi_old, r, r_1, d)
        copy(r_1, r_2)
        copy(r, r_1)
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            copy(theta, out_theta[k])
            copy(d, out_d[k])
            copy(lam, out_lam[k])
            out_weight[k], out_clipped[k] = top, clipped
            k += 1
        square = 0.0
        for i in range(n):
            square += d[i] * d[i]
        length = step[t]
        if normalised:
            length = step[t] / math.sqrt(square) if square > 0.0 else 0.0
        for i in range(n):
            theta[i] += length * d[i]
        copy(log_pi, log_old)
        copy(pi, pi_old)
    return -1


@kernel
def regression_step(pairs, powers, row, i, beta, w):
    """w (m,) minus 2 beta (<row, w> - discounted count of pair i on the trajectory) row, in place; row (m,)."""
    error = 0.0
    for t in range(pairs.shape[0]):
        if pairs[t] == i:
            error -= powers[t]
    for c in range(row.shape[0]):
        error += row[c] * w[c]
    for c in range(row.shape[0]):
        w[c] -= 2.0 * beta * error * row[c]


@kernel
def regress(start_cdf, after, cdf, A, powers, pi, pair_cdf, features, beta, checkpoints, rng, out_last, out_mean):
    """Averaged stochastic gradient on (<features[i], w> - count of i)^2, i from pair_cdf (n,), features (n, m).

    out_last, out_mean (K, m): iterate and average after checkpoints[k] steps, each with a fresh trajectory of pi.
    """
    m = features.shape[1]
    w, mean = np.zeros(m), np.zeros(m)
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    k = 0
    for j in range(checkpoints[-1]):
        i = draw(pair_cdf, rng.random())
        trajectory(start_cdf, after, cdf, pi, A, rng, pairs)
        regression_step(pairs, powers, features[i], i, beta, w)
        for c in range(m):
            mean[c] += (w[c] - mean[c]) / (j + 1)
        if checkpoints[k] == j + 1:
            copy(w, out_last[k])
            copy(mean, out_mean[k])
            k += 1


@kernel
def regression_ascent(start_cdf, after, cdf, A, powers, kind, reward, indptr, indices, data, shift, weight, floor,
                      theta0, pair_cdf, features, beta, regression_steps, batch, step, checkpoints, rng, out_theta,
                      out_lam, out_fault):  # fmt: skip
    """Policy gradient with the occupancy by regression; out_theta, out_lam (K, n) at checkpoints (K,).

    Each of T = len(step) iterations regresses with the counts `regression_steps` (1,), then steps along the mean
    gradient estimate of `batch` trajectories. Returns -1, or the iteration of a gradient that was not finite.
    """
    n, m = features.shape
    theta, lam, d, r = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    log_pi, pi = np.empty(n), np.empty(n)
    last, mean = np.empty((1, m)), np.empty((1, m))
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    copy(theta0, theta)
    k = 0
    for t in range(step.shape[0]):
        softmax_rows(theta, A, log_pi, pi)
        regress(start_cdf, after, cdf, A, powers, pi, pair_cdf, features, beta, regression_steps, rng, last, mean)
        for i in range(n):
            lam[i] = 0.0
            for c in range(m):
                lam[i] += features[i, c] * mean[0, c]
        utility_gradient(kind, reward, indptr, indices, data, shift, weight, floor, lam, r)
        i = first_not_finite(r)
        if i >= 0:
            out_fault[0], out_fault[1], out_fault[2] = i, r[i], lam[i]
            return t
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            copy(theta, out_theta[k])
            copy(lam, out_lam[k])
            k += 1
        for i in range(n):
            d[i] = 0.0
        for _ in range(batch):
            trajectory(start_cdf, after, cdf, pi, A, rng, pairs)
            add_gradient(pairs, powers, pi, A, r, 1.0 / batch, d)
        for i in range(n):
            theta[i] += step[t] * d[i]
    return -1
