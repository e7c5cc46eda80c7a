"""Small models, and their laws of returns by recursion in rational arithmetic."""

from fractions import Fraction

import numpy as np

from mdplab.models import MDP, Outcomes


def random_mdp(seed, S=3, A=2, gamma=0.8, **more):
    """Dirichlet rows, rewards by next state in [-1, 1]."""
    rng = np.random.default_rng([80, seed])
    return MDP(rng.dirichlet(np.ones(S), (S, A)), rng.uniform(-1, 1, (S, A, S)), gamma, **more)


def dyadic_mdp(seed, S=3, A=2, gamma=0.5, noise=False, **more):
    """Probabilities k/8, integer rewards: floats are exact. With `noise` also outcomes whose reward is a coin's."""
    rng = np.random.default_rng([81, seed])
    P = rng.multinomial(8, np.full(S, 1 / S), (S, A)) / 8
    r = rng.integers(-2, 3, (S, A, S)).astype(float)
    if not noise:
        return MDP(P, r, gamma, **more)
    s, a, t = np.nonzero(P)
    indptr = np.append(0, np.cumsum(2 * np.count_nonzero(P, axis=2).ravel()))
    twice = r[s, a, t][:, None] + [-1.0, 1.0]
    outcomes = Outcomes(indptr, np.repeat(t, 2), twice.ravel(), np.repeat(P[s, a, t] / 2, 2), S, A)
    return MDP(P, r, gamma, **more), outcomes


def fraction_laws(mdp, outcomes, policy, horizon):
    """Laws of stage 0 as dictionaries {return: probability} of fractions, by recursion; policy (S, A) or (H, S, A)."""
    gamma, laws = Fraction(mdp.gamma), [{Fraction(0): Fraction(1)} for _ in range(mdp.S)]
    for t in range(horizon - 1, -1, -1):
        weights = policy if policy.ndim == 2 else policy[t]
        new = []
        for s in range(mdp.S):
            law = {}
            for a in range(mdp.A):
                for to, r, p in zip(*outcomes.row(s, a), strict=True):
                    for x, q in laws[to].items():
                        z = Fraction(r) + gamma * x
                        law[z] = law.get(z, 0) + Fraction(weights[s, a]) * Fraction(p) * q
            new.append({x: p for x, p in law.items() if p > 0})
        laws = new
    return laws


def same_law(law, exact):
    """True if a FiniteLaw is a dictionary of fractions, to the last bit."""
    pairs = sorted(exact.items())
    return law.x.tolist() == [float(x) for x, _ in pairs] and law.p.tolist() == [float(p) for _, p in pairs]


def distance_to_uniform(law, low, high):
    """w_1 to the uniform law on [low, high], in closed form between atoms."""
    total, reached = 0.0, 0.0
    for x, p in zip(law.x, law.p, strict=True):
        # The quantile function of the uniform law runs linearly over the levels at which ours is x.
        a, b = low + (high - low) * reached, low + (high - low) * (reached + p)
        inner = min(max(x, a), b)
        total += ((inner - a) * (abs(x - a) + abs(x - inner)) + (b - inner) * (abs(x - inner) + abs(x - b))) / 2
        reached += p
    return total / (high - low)
