"""Hybrid actor-critics: whole runs on samples of an episodic problem, and with the exact critic of a discounted one.

Source: Zhou, Sekhari, Song, Sun (2023), algorithms 1 and 2.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.actor_critic import act, boltzmann, state_value
from mdplab.kernels.sampling import draw


@kernel
def hybrid_run(rewards, cdf, start_cdf, nu, lam, step, episodes, rng, out_policy):
    """Hybrid actor-critic: rewards (H, S, A), nu (H, S, A, S) shares of offline transitions, out (T + 1, H, S, A)."""
    H, S, A = rewards.shape
    logits, f, v = np.zeros((H, S, A)), np.empty((H, S, A)), np.zeros(S)
    visits, gains, scratch = np.empty((H, S, A)), np.empty((H, S, A)), np.empty(A)
    states, actions = np.empty(H, dtype=np.int64), np.empty(H, dtype=np.int64)
    boltzmann(logits, out_policy[0])
    for k in range(out_policy.shape[0] - 1):
        visits[:] = 0.0
        gains[:] = 0.0
        for _ in range(episodes):
            s = draw(start_cdf, rng.random())
            for h in range(H):
                states[h], actions[h] = s, act(logits[h, s], rng.random(), scratch)
                s = draw(cdf[h, s, actions[h]], rng.random())
            gain = 0.0
            for h in range(H - 1, -1, -1):
                gain += rewards[h, states[h], actions[h]]
                visits[h, states[h], actions[h]] += 1.0 / episodes
                gains[h, states[h], actions[h]] += gain / episodes
        v[:] = 0.0
        for h in range(H - 1, -1, -1):
            for s in range(S):
                for a in range(A):
                    share, total = 0.0, 0.0
                    for t in range(S):
                        share += nu[h, s, a, t]
                        total += nu[h, s, a, t] * (rewards[h, s, a] + v[t])
                    weight = share + lam * visits[h, s, a]
                    f[h, s, a] = (total + lam * gains[h, s, a]) / weight if weight > 0.0 else 0.0
            for s in range(S):
                v[s] = state_value(f[h, s], out_policy[k, h, s], True)
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    logits[h, s, a] += step * f[h, s, a]
        boltzmann(logits, out_policy[k + 1])


@kernel
def exact_actor_run(P, r, gamma, eta, checkpoints, out_mean, out_policy):
    """Mirror steps pi ~ pi exp(eta Q^pi) with the exact critic: P (S, A, S), r (S, A).

    out_mean (K, S): mean value of the policies of iterations 0..checkpoints[k] inclusive; out_policy (K, S, A) the last
    of them. Q^pi by elimination without pivots: I - gamma P_pi is diagonally dominant.
    """
    S, A = r.shape
    logits, pi = np.zeros((1, S, A)), np.empty((1, S, A))
    M, v, total = np.empty((S, S)), np.empty(S), np.zeros(S)
    place = 0
    for k in range(checkpoints[checkpoints.shape[0] - 1] + 1):
        boltzmann(logits, pi)
        for s in range(S):
            v[s] = 0.0
            for t in range(S):
                M[s, t] = 1.0 if s == t else 0.0
            for a in range(A):
                v[s] += pi[0, s, a] * r[s, a]
                for t in range(S):
                    M[s, t] -= gamma * pi[0, s, a] * P[s, a, t]
        for i in range(S):
            for s in range(i + 1, S):
                ratio = M[s, i] / M[i, i]
                for t in range(i, S):
                    M[s, t] -= ratio * M[i, t]
                v[s] -= ratio * v[i]
        for i in range(S - 1, -1, -1):
            for t in range(i + 1, S):
                v[i] -= M[i, t] * v[t]
            v[i] /= M[i, i]
        for s in range(S):
            total[s] += v[s]
            for a in range(A):
                q = r[s, a]
                for t in range(S):
                    q += gamma * P[s, a, t] * v[t]
                logits[0, s, a] += eta * q
        if checkpoints[place] == k:
            for s in range(S):
                out_mean[place, s] = total[s] / (k + 1)
            out_policy[place] = pi[0]
            place += 1
