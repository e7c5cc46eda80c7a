"""Streams sampled by their sensitivity, and a policy gradient that switches seldom on such samples: whole runs.

Source: our specification of Li, Wang, Cheng, Yang (2023), 6.3.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.sampling import draw

# How the probability of keeping is found; NumPy's type, so that Numba compiles once.
SENSITIVITY, ROOT, UNIFORM = np.int64(0), np.int64(1), np.int64(2)


@kernel
def quadratic(phi, inverse, out_z):
    """phi' inverse phi, and out_z (d,) = inverse phi."""
    d, total = phi.shape[0], 0.0
    out_z[:] = 0.0
    for j in range(d):
        # One-hot features are common, and d times cheaper so.
        if phi[j] != 0.0:
            for i in range(d):
                out_z[i] += inverse[i, j] * phi[j]
    for i in range(d):
        total += phi[i] * out_z[i]
    return total


@kernel
def add_weighted(weight, x, z, inverse):
    """inverse (d, d) becomes that of L + weight phi phi' (Sherman and Morrison), z = inverse phi, x = phi . z.

    Returns the growth of log det L.
    """
    share = weight / (1.0 + weight * x)
    for i in range(z.shape[0]):
        for j in range(z.shape[0]):
            inverse[i, j] -= share * z[i] * z[j]
    return np.log(1.0 + weight * x)


@kernel
def sample_stream(
    features,
    uniforms,
    rule,
    scale,
    ridge,
    weighted,
    log_growth,
    checkpoints,
    out_kept,
    out_switches,
    out_log_det,
    out_potential,
    out_probability,
    out_sampled,
    out_full,
):
    """One pass over features (T, d); records (K,) or (K, d, d) after checkpoints[k] of them."""
    d = features.shape[1]
    inverse, sampled, full, z = np.eye(d) / ridge, np.eye(d) * ridge, np.eye(d) * ridge, np.empty(d)
    kept, switches, log_det, last, potential, place = 0, 0, 0.0, 0.0, 0.0, 0
    for t in range(checkpoints[checkpoints.shape[0] - 1]):
        phi = features[t]
        x = quadratic(phi, inverse, z)
        potential += min(1.0, x)
        p = min(1.0, scale)
        if rule == SENSITIVITY:
            p = min(1.0, scale * min(1.0, x))
        elif rule == ROOT:
            p = min(1.0, scale / np.sqrt(t + 1.0))
        weight = 0.0
        if uniforms[t] < p:
            weight = 1.0 / p if weighted else 1.0
            kept += 1
            log_det += add_weighted(weight, x, z, inverse)
            if log_det >= last + log_growth:
                switches += 1
                last = log_det
        for i in range(d):
            for j in range(d):
                square = phi[i] * phi[j]
                full[i, j] += square
                sampled[i, j] += weight * square
        if t + 1 == checkpoints[place]:
            out_kept[place], out_switches[place] = kept, switches
            out_log_det[place], out_potential[place], out_probability[place] = log_det, potential, p
            out_sampled[place], out_full[place] = sampled, full
            place += 1


@kernel
def bonus_plan(phi, inverse, following, returns, bonus, eta, num_steps, v_max, out_pi):
    """Policy out_pi (H, S, A) after num_steps of natural policy gradient from the uniform one, on critics of the data.

    phi (S, A, d), inverse (H, d, d), following (H, d, S) = sum phi 1{next state} / p, returns (H, d) = sum phi r / p.
    """
    S, A, d = phi.shape
    H = inverse.shape[0]
    model, reward = np.zeros((H, S, A, S)), np.zeros((H, S, A))
    logits, q, v, z = np.zeros((H, S, A)), np.empty(A), np.zeros((H + 1, S)), np.empty(d)
    for h in range(H):
        for s in range(S):
            for a in range(A):
                x = quadratic(phi[s, a], inverse[h], z)
                reward[h, s, a] = min(v_max, bonus * np.sqrt(max(x, 0.0)))
                for i in range(d):
                    if z[i] != 0.0:
                        reward[h, s, a] += z[i] * returns[h, i]
                        for t in range(S):
                            model[h, s, a, t] += z[i] * following[h, i, t]
    out_pi[:] = 1.0 / A
    for _ in range(num_steps):
        for h in range(H - 1, -1, -1):
            for s in range(S):
                v[h, s] = 0.0
                for a in range(A):
                    q[a] = reward[h, s, a]
                    for t in range(S):
                        q[a] += model[h, s, a, t] * v[h + 1, t]
                    q[a] = min(max(q[a], 0.0), v_max)
                    v[h, s] += out_pi[h, s, a] * q[a]
                # Only this stage's policy is in this stage's critic, and it has been read.
                most, total = -np.inf, 0.0
                for a in range(A):
                    logits[h, s, a] += eta * q[a]
                    most = max(most, logits[h, s, a])
                for a in range(A):
                    out_pi[h, s, a] = np.exp(logits[h, s, a] - most)
                    total += out_pi[h, s, a]
                for a in range(A):
                    out_pi[h, s, a] /= total


@kernel
def lpo_run(
    phi,
    rewards,
    cdf,
    start_cdf,
    scale,
    bonus,
    eta,
    num_steps,
    ridge,
    v_max,
    weighted,
    log_growth,
    checkpoints,
    rng,
    out_policy,
    out_kept,
    out_switches,
    out_log_det,
):
    """One run; before episode checkpoints[k]: policy (H, S, A), what is kept, switches, log det of L / ridge.

    phi (S, A, d), rewards (H, S, A), cdf (H, S, A, S), start_cdf (S,).
    """
    S, A, d = phi.shape
    H = rewards.shape[0]
    inverse, following, returns = np.zeros((H, d, d)), np.zeros((H, d, S)), np.zeros((H, d))
    for h in range(H):
        for i in range(d):
            inverse[h, i, i] = 1.0 / ridge
    pi, choice, z = np.empty((H, S, A)), np.empty(A), np.empty(d)
    bonus_plan(phi, inverse, following, returns, bonus, eta, num_steps, v_max, pi)
    kept, switches, log_det, last, place = 0, 0, 0.0, 0.0, 0
    for k in range(checkpoints[checkpoints.shape[0] - 1] + 1):
        if log_det > last and log_det >= last + log_growth:
            switches += 1
            last = log_det
            bonus_plan(phi, inverse, following, returns, bonus, eta, num_steps, v_max, pi)
        if checkpoints[place] == k:
            out_policy[place] = pi
            out_kept[place], out_switches[place], out_log_det[place] = kept, switches, log_det
            place += 1
        s = draw(start_cdf, rng.random())
        for h in range(H):
            total = 0.0
            for b in range(A):
                total += pi[h, s, b]
                choice[b] = total
            a = draw(choice, rng.random())
            to = draw(cdf[h, s, a], rng.random())
            x = quadratic(phi[s, a], inverse[h], z)
            p = min(1.0, scale * min(1.0, x))
            if rng.random() < p:
                weight = 1.0 / p if weighted else 1.0
                kept += 1
                log_det += add_weighted(weight, x, z, inverse[h])
                for i in range(d):
                    returns[h, i] += weight * phi[s, a, i] * rewards[h, s, a]
                    following[h, i, to] += weight * phi[s, a, i]
            s = to
