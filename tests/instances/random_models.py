"""Random models for round trips, in every shape that a file must carry."""

import numpy as np

from mdplab.models import MDP


def random_model(rng, *, sparse, kind="full", by_next=False):
    """A model with ties, zeros, unavailable actions, absorbing states, and numbers of many magnitudes."""
    S, A = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    P = rng.random((S, A, S)) * (rng.random((S, A, S)) < 0.6)
    P[..., 0] += P.sum(axis=2) == 0
    P /= P.sum(axis=2, keepdims=True)
    shape = (S, A, S) if by_next else (S, A)
    r = np.where(rng.random(shape) < 0.7, rng.standard_normal(shape) * 10.0 ** rng.integers(-8, 8, shape), 0.0)
    rest = {}
    if kind == "full":
        actions = rng.random((S, A)) < 0.8
        actions[~actions.any(axis=1), 0] = True
        rest = {
            "actions": actions,
            "states": [f'état {i}, "{i}"' for i in range(S)],
            "horizon": int(rng.integers(1, 9)),
            "mu": rng.dirichlet(np.ones(S)),
        }
    mdp = MDP(P, r, float(rng.random()), **rest)
    return mdp.sparse() if sparse else mdp
