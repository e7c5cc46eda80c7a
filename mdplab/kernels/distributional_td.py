"""Temporal differences on return laws, whole runs: mixtures of categorical laws, and quantiles by their gradient.

Transitions of state s are `ptr[s] <= k < ptr[s + 1]`, with `next_state`, `reward` and cumulative probabilities `cdf`
that start anew in each state. With an empty `restart` every iteration draws one transition from each state and updates
all of them from the laws before it; otherwise one path is followed, which starts, and starts again after a terminal
state, from the law with cumulative probabilities `restart` (S,). Terminal states keep their laws. `steps[k]` is the
step of a state's update number k; after `checkpoints[c]` iterations the laws are written to `out[c]`.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.sampling import draw

# A position that rounding pushed off the grid by less than this part of a cell is on its edge.
_EDGE = 1e-9


@kernel
def categorical_td_run(
    ptr, next_state, reward, cdf, gamma, z, steps, restart, terminal, rng, checkpoints, eta, out_eta
):
    """Categorical TD from eta (S, K), which is overwritten, on the grid z (K,); returns the most mass clipped at once.

    ptr (S + 1,), next_state, reward, cdf (n,), steps (N,), terminal (S,), checkpoints (C,), out_eta (C, S, K).
    """
    S, K = eta.shape
    visits = np.zeros(S, dtype=np.int64)
    old, target = eta.copy(), np.empty(K)
    lost, c, follow = 0.0, 0, len(restart) > 0
    s = draw(restart, rng.random()) if follow else 0
    for n in range(len(steps) + 1):
        while c < len(checkpoints) and checkpoints[c] == n:
            out_eta[c] = eta
            c += 1
        if n == len(steps):
            break
        if not follow:
            old[:] = eta
        for u in range(1 if follow else S):
            x = s if follow else u
            if terminal[x]:
                continue
            k = ptr[x] + draw(cdf[ptr[x] : ptr[x + 1]], rng.random())
            source = eta[next_state[k]] if follow else old[next_state[k]]
            lost = max(lost, _split(source, reward[k], gamma, z, target))
            a = steps[visits[x]]
            visits[x] += 1
            for i in range(K):
                eta[x, i] += a * (target[i] - eta[x, i])
            if follow:
                s = next_state[k]
        if follow and terminal[s]:
            s = draw(restart, rng.random())
    return lost


@kernel
def _split(source, reward, gamma, z, out):
    """out = masses source (K,) moved to reward + gamma z and split between neighbours; returns what was clipped."""
    K = len(z)
    out[:] = 0.0
    lost, i, edge = 0.0, 0, _EDGE * (z[1] - z[0])
    for j in range(K):
        x = reward + gamma * z[j]
        while i < K - 2 and z[i + 1] <= x:
            i += 1
        up = min(1.0, max(0.0, (x - z[i]) / (z[i + 1] - z[i])))
        out[i] += source[j] * (1.0 - up)
        out[i + 1] += source[j] * up
        if x < z[0] - edge or x > z[K - 1] + edge:
            lost += source[j]
    return lost


@kernel
def quantile_td_run(
    ptr, next_state, reward, cdf, gamma, levels, one_atom, steps, restart, terminal, rng, checkpoints, theta, out_theta
):
    """Quantile TD from theta (S, m), which is overwritten, at levels (m,); arguments otherwise as above.

    With `one_atom` a target is one atom of the next state, drawn evenly, else the mean over all of them.
    """
    S, m = theta.shape
    visits = np.zeros(S, dtype=np.int64)
    old, move = theta.copy(), np.empty(m)
    c, follow = 0, len(restart) > 0
    s = draw(restart, rng.random()) if follow else 0
    for n in range(len(steps) + 1):
        while c < len(checkpoints) and checkpoints[c] == n:
            out_theta[c] = theta
            c += 1
        if n == len(steps):
            break
        if not follow:
            old[:] = theta
        for u in range(1 if follow else S):
            x = s if follow else u
            if terminal[x]:
                continue
            k = ptr[x] + draw(cdf[ptr[x] : ptr[x + 1]], rng.random())
            source = theta[next_state[k]] if follow else old[next_state[k]]
            first, last = 0, m
            if one_atom:
                first = min(int(m * rng.random()), m - 1)
                last = first + 1
            for i in range(m):
                below = 0
                for j in range(first, last):
                    if reward[k] + gamma * source[j] < theta[x, i]:
                        below += 1
                move[i] = levels[i] - below / (last - first)
            a = steps[visits[x]]
            visits[x] += 1
            for i in range(m):
                theta[x, i] += a * move[i]
            if follow:
                s = next_state[k]
        if follow and terminal[s]:
            s = draw(restart, rng.random())
