"""Rare-switching optimistic actor-critics: whole runs with tabular, linear and finite-class critics; episodes.

Source: our specification of Tan, Fan, Wei (2025), 2.3.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.linear import MAHALANOBIS, add_feature, width
from mdplab.kernels.sampling import draw

# Which critic is fitted, and which member of a confidence set is taken; NumPy's type, so that Numba compiles once.
TABULAR, LINEAR = np.int64(0), np.int64(1)
OPTIMISTIC, PESSIMISTIC, FITTED = np.int64(0), np.int64(1), np.int64(2)


@kernel
def act(logits, u, scratch):
    """Action drawn from softmax(logits (A,)) by u in [0, 1); scratch (A,)."""
    most, total = logits.max(), 0.0
    for a in range(logits.shape[0]):
        scratch[a] = np.exp(logits[a] - most)
        total += scratch[a]
    below = 0.0
    for a in range(logits.shape[0]):
        below += scratch[a] / total
        scratch[a] = below
    return draw(scratch, u)


@kernel
def boltzmann(logits, out_pi):
    """Softmax of logits (H, S, A) along its last axis."""
    H, S, A = logits.shape
    for h in range(H):
        for s in range(S):
            most, total = logits[h, s].max(), 0.0
            for a in range(A):
                out_pi[h, s, a] = np.exp(logits[h, s, a] - most)
                total += out_pi[h, s, a]
            for a in range(A):
                out_pi[h, s, a] /= total


@kernel
def state_value(q, pi, on_policy):
    """max q (A,), or its mean under pi (A,)."""
    if not on_policy:
        return q.max()
    total = 0.0
    for a in range(q.shape[0]):
        total += pi[a] * q[a]
    return total


@kernel
def tabular_critic(counts, rewards, bonus, v_max, optimistic, on_policy, pi, out_q):
    """Values (H, S, A) by backups of the empirical model counts (H, S, A, S), plus bonus / sqrt(n), at most v_max.

    The next value is the largest, or the mean under pi (H, S, A). Pairs never seen are worth v_max, or 0.
    """
    H, S, A, _ = counts.shape
    v = np.zeros(S)
    for h in range(H - 1, -1, -1):
        for s in range(S):
            for a in range(A):
                n, total = 0.0, 0.0
                for t in range(S):
                    n += counts[h, s, a, t]
                    total += counts[h, s, a, t] * v[t]
                if n > 0.0:
                    out_q[h, s, a] = min(rewards[h, s, a] + total / n + bonus / np.sqrt(n), v_max)
                else:
                    out_q[h, s, a] = v_max if optimistic else 0.0
        for s in range(S):
            v[s] = state_value(out_q[h, s], pi[h, s], on_policy)


@kernel
def linear_critic(phi, inverse, features, returns, bonus, v_max, on_policy, pi, out_q):
    """Values (H, S, A) by ridge regression, plus bonus times the width of phi, between 0 and v_max.

    phi (S, A, d), inverse (H, d, d), features (H, d, S) = sum phi 1{next state}, returns (H, d) = sum phi r.
    """
    S, A, d = phi.shape
    H = inverse.shape[0]
    v, w, target = np.zeros(S), np.empty(d), np.empty(d)
    for h in range(H - 1, -1, -1):
        for i in range(d):
            target[i] = returns[h, i]
            for t in range(S):
                target[i] += features[h, i, t] * v[t]
        for i in range(d):
            w[i] = 0.0
            for j in range(d):
                w[i] += inverse[h, i, j] * target[j]
        for s in range(S):
            for a in range(A):
                total = 0.0
                for i in range(d):
                    total += phi[s, a, i] * w[i]
                if bonus > 0.0:
                    total += bonus * width(phi[s, a], inverse[h], MAHALANOBIS)
                out_q[h, s, a] = min(max(total, 0.0), v_max)
        for s in range(S):
            v[s] = state_value(out_q[h, s], pi[h, s], on_policy)


@kernel
def _observe(critic, h, s, a, t, phi, reward, counts, inverse, features, returns, log_det, scratch):
    """Add one transition to the data of its stage."""
    counts[h, s, a, t] += 1.0
    if critic == LINEAR:
        log_det[h] += np.log(1.0 + width(phi[s, a], inverse[h], MAHALANOBIS) ** 2)
        for i in range(phi.shape[2]):
            features[h, i, t] += phi[s, a, i]
            returns[h, i] += phi[s, a, i] * reward
        add_feature(inverse[h], phi[s, a], scratch)


@kernel
def actor_critic_run(
    critic,
    phi,
    rewards,
    cdf,
    start_cdf,
    eta,
    bonus,
    v_max,
    ridge,
    optimistic,
    reset,
    every,
    on_policy,
    offline_states,
    offline_actions,
    checkpoints,
    rng,
    out_policy,
    out_critic,
    out_age,
    out_switches,
):
    """One run: phi (S, A, d), rewards (H, S, A), cdf (H, S, A, S), start_cdf (S,), offline (N, H + 1) and (N, H).

    The critic is refitted when a count or a determinant has doubled, or after every episode. Before episode
    checkpoints[k] policy and critic (H, S, A) go to out_policy[k], out_critic[k]; out_age[k] is the number of mirror
    steps since the last reset, out_switches[k] that of refits.
    """
    S, A, d = phi.shape
    H, episodes = rewards.shape[0], checkpoints[checkpoints.shape[0] - 1] + 1
    counts, size = np.zeros((H, S, A, S)), d if critic == LINEAR else 1
    inverse, features, returns = np.zeros((H, size, size)), np.zeros((H, size, S)), np.zeros((H, size))
    log_det, last_det, seen, last = np.zeros(H), np.zeros(H), np.zeros((H, S, A)), np.zeros((H, S, A))
    scratch, choice = np.empty(size), np.empty(A)
    for h in range(H):
        for i in range(size):
            inverse[h, i, i] = 1.0 / ridge
    for k in range(offline_actions.shape[0]):
        for h in range(H):
            s, a, t = offline_states[k, h], offline_actions[k, h], offline_states[k, h + 1]
            _observe(critic, h, s, a, t, phi, rewards[h, s, a], counts, inverse, features, returns, log_det, scratch)
            seen[h, s, a] += 1.0
    logits, pi, q = np.zeros((H, S, A)), np.full((H, S, A), 1.0 / A), np.empty((H, S, A))
    age, switches, place, stale = 0, 0, 0, True
    for k in range(episodes):
        if stale:
            if on_policy:
                boltzmann(logits, pi)
            if critic == LINEAR:
                linear_critic(phi, inverse, features, returns, bonus, v_max, on_policy, pi, q)
            else:
                tabular_critic(counts, rewards, bonus, v_max, optimistic, on_policy, pi, q)
            last[:] = seen
            last_det[:] = log_det
            if k > 0:
                switches += 1
                if reset:
                    logits[:] = 0.0
                    age = 0
        if k > 0:
            for h in range(H):
                for s in range(S):
                    for a in range(A):
                        logits[h, s, a] += eta * q[h, s, a]
            age += 1
        if checkpoints[place] == k:
            boltzmann(logits, out_policy[place])
            out_critic[place] = q
            out_age[place], out_switches[place] = age, switches
            place += 1
        stale = every
        s = draw(start_cdf, rng.random())
        for h in range(H):
            a = act(logits[h, s], rng.random(), choice)
            t = draw(cdf[h, s, a], rng.random())
            _observe(critic, h, s, a, t, phi, rewards[h, s, a], counts, inverse, features, returns, log_det, scratch)
            seen[h, s, a] += 1.0
            if critic == LINEAR:
                stale = stale or log_det[h] - last_det[h] >= np.log(2.0)
            else:
                stale = stale or seen[h, s, a] >= 2.0 * max(last[h, s, a], 0.5)
            s = t


@kernel
def class_excess(critics, backups, rewards, counts, out_excess):
    """Largest excess loss over stages, out_excess (N,): of critics (N, H, S, A) over the best of backups (H, S, A, M).

    Both are fitted to the same targets, r + max of the critic at the next stage, on counts (H, S, A, S).
    """
    N, H, S, A = critics.shape
    M = backups.shape[3]
    loss, v = np.empty(M), np.zeros(S)
    for i in range(N):
        out_excess[i] = 0.0
        for h in range(H):
            for t in range(S):
                v[t] = critics[i, h + 1, t].max() if h + 1 < H else 0.0
            own = 0.0
            loss[:] = 0.0
            for s in range(S):
                for a in range(A):
                    n, first = 0.0, 0.0
                    for t in range(S):
                        n += counts[h, s, a, t]
                        first += counts[h, s, a, t] * (rewards[h, s, a] + v[t])
                    if n > 0.0:
                        # Squares of the targets are left out on both sides.
                        own += critics[i, h, s, a] * (n * critics[i, h, s, a] - 2.0 * first)
                        for m in range(M):
                            loss[m] += backups[h, s, a, m] * (n * backups[h, s, a, m] - 2.0 * first)
            out_excess[i] = max(out_excess[i], own - loss.min())


@kernel
def finite_class_run(
    critics,
    backups,
    rewards,
    cdf,
    start,
    eta,
    beta,
    rule,
    reset,
    every,
    checkpoints,
    rng,
    out_policy,
    out_critic,
    out_excess,
    out_age,
    out_switches,
):
    """One run with critics (N, H, S, A), auxiliary backups (H, S, A, M) and a first state, start.

    A critic is stale when its excess loss at some stage reaches 5 beta; the next one is chosen among those of at most
    beta. Before episode checkpoints[k]: policy, index of the critic, excess losses (N,) when it was chosen, age,
    switches.
    """
    N, H, S, A = critics.shape
    M, episodes = backups.shape[3], checkpoints[checkpoints.shape[0] - 1] + 1
    counts, excess = np.zeros((H, S, A, S)), np.zeros(N)
    loss, own = np.zeros((H, M)), np.zeros(H)
    logits, choice, ahead = np.zeros((H, S, A)), np.empty(A), np.zeros((H, S))
    f, age, switches, place, stale = 0, 0, 0, 0, True
    for k in range(episodes):
        if stale:
            class_excess(critics, backups, rewards, counts, excess)
            f, best, members = 0, -np.inf, 0
            for i in range(N):
                members += excess[i] <= beta
            for i in range(N):
                value = critics[i, 0, start].max()
                if rule == FITTED or members == 0:
                    value = -excess[i]
                elif rule == PESSIMISTIC:
                    value = -value
                if (excess[i] <= beta or members == 0) and value > best:
                    f, best = i, value
            own[:] = 0.0
            loss[:] = 0.0
            for h in range(H):
                for s in range(S):
                    ahead[h, s] = critics[f, h + 1, s].max() if h + 1 < H else 0.0
            for h in range(H):
                for s in range(S):
                    for a in range(A):
                        for t in range(S):
                            weight, y = counts[h, s, a, t], rewards[h, s, a] + ahead[h, t]
                            if weight > 0.0:
                                own[h] += weight * (critics[f, h, s, a] - y) ** 2
                                for m in range(M):
                                    loss[h, m] += weight * (backups[h, s, a, m] - y) ** 2
            if k > 0:
                switches += 1
                if reset:
                    logits[:] = 0.0
                    age = 0
        if k > 0:
            for h in range(H):
                for s in range(S):
                    for a in range(A):
                        logits[h, s, a] += eta * critics[f, h, s, a]
            age += 1
        if checkpoints[place] == k:
            boltzmann(logits, out_policy[place])
            out_critic[place], out_age[place], out_switches[place] = f, age, switches
            out_excess[place] = excess
            place += 1
        stale = every
        s = start
        for h in range(H):
            a = act(logits[h, s], rng.random(), choice)
            t = draw(cdf[h, s, a], rng.random())
            counts[h, s, a, t] += 1.0
            y = rewards[h, s, a] + ahead[h, t]
            own[h] += (critics[f, h, s, a] - y) ** 2
            for m in range(M):
                loss[h, m] += (backups[h, s, a, m] - y) ** 2
            stale = stale or own[h] - loss[h].min() >= 5.0 * beta
            s = t


@kernel
def sample_episodes(cdf, start_cdf, policy_cdf, rng, out_states, out_actions):
    """Episodes of a policy: cdf (H, S, A, S), start_cdf (S,), policy_cdf (H, S, A); out (N, H + 1) and (N, H)."""
    for k in range(out_actions.shape[0]):
        s = draw(start_cdf, rng.random())
        for h in range(out_actions.shape[1]):
            out_states[k, h] = s
            out_actions[k, h] = draw(policy_cdf[h, s], rng.random())
            s = draw(cdf[h, s, out_actions[k, h]], rng.random())
        out_states[k, out_actions.shape[1]] = s
