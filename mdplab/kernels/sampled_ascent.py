"""Whole runs of policy-gradient methods on batches of trajectories of tabular policies; flat arrays (n,), n = S * A.

A model is `start_cdf (S,)`, `after (n, m)` and `cdf (n, m)`, successors and their cumulative weights, `A`, and
`powers (H,)` = gamma^t, as in `kernels.general_utility`, with `reward (n,)`. With a weight tau of the entropy the
reward of a pair is `reward - tau log pi`, at the parameters at which the trajectory was drawn.

A run returns the update, from 0 on, that had numbers that are not finite, or -1; nothing is recorded after it.
"""

import math

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.general_utility import add_gradient, copy, first_not_finite, softmax_rows, trajectory
from mdplab.kernels.sampling import draw


@kernel
def path_return(pairs, powers, gain):
    """sum_t powers_t gain[pairs_t] of pairs (H,)."""
    total = 0.0
    for t in range(pairs.shape[0]):
        total += powers[t] * gain[pairs[t]]
    return total


@kernel
def add_direct(pairs, powers, pi, gain, scale, out_g):
    """Add scale * sum_t (sum_{h >= t} gamma^h gain_h) e_{pairs_t} / pi_t to out_g (n,): gradient in probabilities."""
    to_go = 0.0
    for t in range(pairs.shape[0] - 1, -1, -1):
        i = pairs[t]
        to_go += powers[t] * gain[i]
        out_g[i] += scale * to_go / pi[i]


@kernel
def add_estimate(pairs, powers, A, pi, gain, direct, scale, out_g):
    """Add scale times the gradient estimate of one path to out_g (n,), and return the path's return."""
    if direct:
        add_direct(pairs, powers, pi, gain, scale, out_g)
    else:
        add_gradient(pairs, powers, pi, A, gain, scale, out_g)
    return path_return(pairs, powers, gain)


@kernel
def estimates(paths, powers, A, pi, gain, direct, out_value, out_g):
    """Return and gradient estimate of each of N given paths (N, H): out_value (N,), out_g (N, n), zeros on entry."""
    for i in range(paths.shape[0]):
        out_value[i] = add_estimate(paths[i], powers, A, pi, gain, direct, 1.0, out_g[i])


@kernel
def batch_estimate(start_cdf, after, cdf, A, powers, pi, gain, direct, batch, rng, pairs, out_g):
    """Means over `batch` trajectories of pi (n,): the gradient estimate into out_g (n,); the mean return comes back."""
    total = 0.0
    for i in range(out_g.shape[0]):
        out_g[i] = 0.0
    for _ in range(batch):
        trajectory(start_cdf, after, cdf, pi, A, rng, pairs)
        total += add_estimate(pairs, powers, A, pi, gain, direct, 1.0 / batch, out_g)
    return total / batch


@kernel
def soften(theta, A, reward, tau, out_log, out_pi, out_gain):
    """Policy of the logits theta (n,), and rewards with entropy, reward - tau log pi, all (n,)."""
    softmax_rows(theta, A, out_log, out_pi)
    for i in range(theta.shape[0]):
        out_gain[i] = reward[i]
        if tau > 0.0:
            out_gain[i] -= tau * out_log[i]


@kernel
def polyak_length(shortfall, g, c, cap):
    """min{shortfall / (c |g|^2), cap}; 0 where shortfall is not above 0, the square underflows or the ratio is lost.

    An infinite shortfall gives cap, whatever g.
    """
    if shortfall == math.inf:
        return cap
    square = 0.0
    for i in range(g.shape[0]):
        square += g[i] * g[i]
    if not shortfall > 0.0 or c * square == 0.0:
        return 0.0
    step = min(shortfall / (c * square), cap)
    return step if math.isfinite(step) else 0.0


@kernel
def ascend(start_cdf, after, cdf, A, powers, reward, theta0, best, c, cap, tau, barrier, batch, num_iters, checkpoints,
           rng, out_theta, out_value, out_step):  # fmt: skip
    """One run of Polyak's rule on the logits; with best = inf every step is `cap`.

    The gradient is that of the return with entropy plus barrier * sum log pi. checkpoints (K,) in [0, num_iters];
    out_theta (K, n), out_value and out_step (K,): iterate, estimated return and step taken there.
    """
    n = theta0.shape[0]
    theta, g, pi, log_pi, gain = theta0.copy(), theta0.copy(), theta0.copy(), theta0.copy(), theta0.copy()
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    k = 0
    for t in range(num_iters + 1):
        soften(theta, A, reward, tau, log_pi, pi, gain)
        value = batch_estimate(start_cdf, after, cdf, A, powers, pi, gain, False, batch, rng, pairs, g)
        for i in range(n):
            g[i] += barrier * (1.0 - A * pi[i])
        step = polyak_length(best - value, g, c, cap)
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            copy(theta, out_theta[k])
            out_value[k], out_step[k] = value, step
            k += 1
        if t < num_iters:
            for i in range(n):
                theta[i] += step * g[i]
            if first_not_finite(theta) >= 0:
                return t
    return -1


@kernel
def twins(start_cdf, after, cdf, A, powers, reward, starts, c, cap, tau, batch, num_iters, checkpoints, rng, out_theta,
          out_value):  # fmt: skip
    """One run of two models (2, n): the worse by estimated return steps towards the better's.

    out_theta (K, 2, n), out_value (K, 2).
    """
    n = starts.shape[1]
    theta, g = starts.copy(), starts.copy()
    pi, log_pi, gain = starts[0].copy(), starts[0].copy(), starts[0].copy()
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    k = 0
    for t in range(num_iters + 1):
        soften(theta[0], A, reward, tau, log_pi, pi, gain)
        first = batch_estimate(start_cdf, after, cdf, A, powers, pi, gain, False, batch, rng, pairs, g[0])
        soften(theta[1], A, reward, tau, log_pi, pi, gain)
        second = batch_estimate(start_cdf, after, cdf, A, powers, pi, gain, False, batch, rng, pairs, g[1])
        worse = 0 if first < second else 1
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            for model in range(2):
                copy(theta[model], out_theta[k, model])
            out_value[k, 0], out_value[k, 1] = first, second
            k += 1
        step = polyak_length(abs(second - first), g[worse], c, cap)
        if t < num_iters:
            for i in range(n):
                theta[worse, i] += step * g[worse, i]
            if first_not_finite(theta[worse]) >= 0:
                return t
    return -1


@kernel
def project_row(row, out):
    """Euclidean projection of row (A,) on the simplex into out (A,), which may be row: entries fall out until none."""
    A = row.shape[0]
    level, kept = -math.inf, 0
    for _ in range(A):
        total, count = 0.0, 0
        for a in range(A):
            if row[a] > level:
                total += row[a]
                count += 1
        level = (total - 1.0) / count
        if count == kept:
            break
        kept = count
    for a in range(A):
        out[a] = max(row[a] - level, 0.0)


@kernel
def ascend_projected(start_cdf, after, cdf, A, powers, reward, p0, step, mixing, batch, num_iters, checkpoints, rng,
                     out_policy, out_value):  # fmt: skip
    """One run of projected gradients from probabilities p0 (n,), played as pi = (1 - mixing) p + mixing / A.

    out_policy (K, n) holds p, out_value (K,) the estimated return of pi.
    """
    n = p0.shape[0]
    p, pi, g = p0.copy(), p0.copy(), p0.copy()
    pairs = np.empty(powers.shape[0], dtype=np.int64)
    k = 0
    for t in range(num_iters + 1):
        for i in range(n):
            pi[i] = (1.0 - mixing) * p[i] + mixing / A
        value = batch_estimate(start_cdf, after, cdf, A, powers, pi, reward, True, batch, rng, pairs, g)
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            copy(p, out_policy[k])
            out_value[k] = value
            k += 1
        if t < num_iters:
            for i in range(n):
                # d pi / d p = 1 - mixing.
                p[i] += step * (1.0 - mixing) * g[i]
            if first_not_finite(p) >= 0:
                return t
            for row in range(0, n, A):
                project_row(p[row : row + A], p[row : row + A])
    return -1


@kernel
def critic(after, cdf, A, powers, reward, gain, pi, batch, rng, out_q):
    """Q of every pair, the mean of `batch` returns of H steps each: reward now, gain of pi at the later steps; (n,)."""
    H = powers.shape[0]
    for i in range(out_q.shape[0]):
        total = 0.0
        for _ in range(batch):
            pair = i
            for t in range(1, H):
                row = after[pair, draw(cdf[pair], rng.random())] * A
                u = rng.random()
                a, below = 0, pi[row]
                while u >= below and a < A - 1:
                    a += 1
                    below += pi[row + a]
                pair = row + a
                total += powers[t] * gain[pair]
        out_q[i] = reward[i] + total / batch


@kernel
def natural(after, cdf, A, powers, reward, theta0, shrink, pull, tau, batch, num_iters, checkpoints, rng, out_log,
            out_q):  # fmt: skip
    """One run of log pi <- shrink log pi + pull Q - log Z with a sampled critic of entropy weight tau.

    theta0 (n,); out_log, out_q (K, n): log pi and what the critic said of it.
    """
    n = theta0.shape[0]
    theta, pi, log_pi, gain, q = theta0.copy(), theta0.copy(), theta0.copy(), theta0.copy(), theta0.copy()
    k = 0
    for t in range(num_iters + 1):
        soften(theta, A, reward, tau, log_pi, pi, gain)
        critic(after, cdf, A, powers, reward, gain, pi, batch, rng, q)
        if k < checkpoints.shape[0] and checkpoints[k] == t:
            copy(log_pi, out_log[k])
            copy(q, out_q[k])
            k += 1
        if t < num_iters:
            for i in range(n):
                theta[i] = shrink * log_pi[i] + pull * q[i]
            if first_not_finite(theta) >= 0:
                return t
    return -1
