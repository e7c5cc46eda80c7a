"""Trajectories in plain Python that use a generator as compiled ones do, for replays that agree number by number."""

import numpy as np


def drawn(weights, rng):
    """An index by inverse CDF; what rounding leaves over goes to the last one."""
    return min(int(np.searchsorted(np.cumsum(weights), rng.random(), side="right")), len(weights) - 1)


def path(mdp, pi, horizon, rng):
    """States and actions (H,); the successor of the last step is drawn as well."""
    P, states, actions = mdp.dense().P, [], []
    s = drawn(mdp.mu, rng)
    for _ in range(horizon):
        states.append(s)
        actions.append(drawn(pi[s], rng))
        s = drawn(P[s, actions[-1]], rng)
    return np.array(states), np.array(actions)


def estimate(mdp, log_pi, reward, horizon, batch, rng, *, direct=False):
    """Mean return and mean gradient (S, A) of fresh trajectories, term by term: G_t score_t, or G_t e / pi."""
    pi, powers = np.exp(log_pi), mdp.gamma ** np.arange(horizon)
    value, gradient = 0.0, np.zeros(pi.shape)
    for _ in range(batch):
        states, actions = path(mdp, pi, horizon, rng)
        terms = powers * reward[states, actions]
        value += terms.sum() / batch
        for t, (s, a) in enumerate(zip(states, actions)):
            score = np.eye(pi.shape[1])[a]
            gradient[s] += terms[t:].sum() / batch * (score / pi[s, a] if direct else score - pi[s])
    return value, gradient


def rollouts(mdp, log_pi, reward, gain, horizon, batch, rng):
    """Costs to go (S, A) from `batch` rollouts of each pair: `reward` at once, `gain` at later steps."""
    P, pi, q = mdp.dense().P, np.exp(log_pi), np.array(reward)
    for s in range(mdp.S):
        for a in range(mdp.A):
            for _ in range(batch):
                state, action = s, a
                for t in range(1, horizon):
                    state = drawn(P[state, action], rng)
                    action = drawn(pi[state], rng)
                    q[s, a] += mdp.gamma**t * gain[state, action] / batch
    return q
