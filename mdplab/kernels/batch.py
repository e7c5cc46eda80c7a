"""Value iteration on many small models, each in cache."""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def backup_small(P, r, gamma, v, out_v, out_pi):
    """out_v = max_a (r + gamma P v), out_pi its maximiser; returns the least and largest out_v - v.

    P (S, A, S), r (S, A), v, out_v and out_pi (S,).
    """
    S, A = r.shape
    low, high = np.inf, -np.inf
    for s in range(S):
        best, arg = -np.inf, 0
        for a in range(A):
            # Four partial sums: one chain of additions would wait for each.
            p0, p1, p2, p3 = 0.0, 0.0, 0.0, 0.0
            t = 0
            while t + 4 <= S:
                p0 += P[s, a, t] * v[t]
                p1 += P[s, a, t + 1] * v[t + 1]
                p2 += P[s, a, t + 2] * v[t + 2]
                p3 += P[s, a, t + 3] * v[t + 3]
                t += 4
            while t < S:
                p0 += P[s, a, t] * v[t]
                t += 1
            q = r[s, a] + gamma * ((p0 + p1) + (p2 + p3))
            if q > best:
                best, arg = q, a
        out_v[s] = best
        out_pi[s] = arg
        low = min(low, best - v[s])
        high = max(high, best - v[s])
    return low, high


@kernel
def first_bad_model(P, r, tolerance, start, stop):
    """The first model with a row that is negative, not finite, or off one by more than `tolerance`, or -1."""
    S, A = r.shape[1], r.shape[2]
    for i in range(start, stop):
        for s in range(S):
            for a in range(A):
                total, least = 0.0, 0.0
                for t in range(S):
                    total += P[i, s, a, t]
                    least = min(least, P[i, s, a, t])
                if not (least >= 0.0 and abs(total - 1.0) <= tolerance and np.isfinite(r[i, s, a])):
                    return i
    return -1


@kernel
def solve_small(P, r, gamma, goal, start, stop, out_v, out_pi, out_range, out_sweeps):
    """Value iteration for the models start <= i < stop: span-corrected values v, greedy policies, ends of T v - v.

    P (N, S, A, S), r (N, S, A), gamma and goal (N,): sweeps go on until gamma span / (1 - gamma) <= goal, or for as
    long as the discount alone needs. out_v and out_pi (N, S), out_range (N, 2), out_sweeps (N,).
    """
    S = r.shape[1]
    v, new = np.empty(S), np.empty(S)
    for i in range(start, stop):
        g = gamma[i]
        v[:] = 0.0
        low, high = backup_small(P[i], r[i], 0.0, v, new, out_pi[i])
        first = high - low
        v, new = new, v
        most = 10.0
        if g > 0.0 and first > 0.0:
            most += max(0.0, np.log(first / ((1.0 - g) * goal[i])) / -np.log(g))
        sweeps = 1
        while g * (high - low) > (1.0 - g) * goal[i] and sweeps < most:
            low, high = backup_small(P[i], r[i], g, v, new, out_pi[i])
            v, new = new, v
            sweeps += 1
        shift = g * 0.5 * (low + high) / (1.0 - g)
        for s in range(S):
            v[s] += shift
            out_v[i, s] = v[s]
        low, high = backup_small(P[i], r[i], g, v, new, out_pi[i])
        out_range[i, 0] = low
        out_range[i, 1] = high
        out_sweeps[i] = sweeps + 1
