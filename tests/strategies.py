"""Hypothesis strategies for small decision processes whose rows are integer weights divided by their sum.

Ties, absorbing states, cycles, zero weights, gamma = 0, unreachable states and missing actions are all in reach, and
`test_strategies.py` proves that they are reached.
"""

import numpy as np
from hypothesis import strategies as st

from mdplab.models import MDP

GAMMAS = (0.0, 0.5, 0.9, 0.99)


@st.composite
def rows(draw, S):
    """Integer weights (S,), not all zero: free, on one state, or spread evenly."""
    shape = draw(st.sampled_from(["free", "one", "even"]))
    if shape == "one":
        return np.eye(S, dtype=np.int64)[draw(st.integers(0, S - 1))]
    if shape == "even":
        return np.ones(S, dtype=np.int64)
    weights = np.array(draw(st.lists(st.integers(0, 4), min_size=S, max_size=S)))
    return weights if weights.any() else np.eye(S, dtype=np.int64)[0]


@st.composite
def weights(draw, *, max_states=4, max_actions=3):
    """Integer weights (S, A, S) of a model: free, a cycle that all actions follow, or with one state that keeps."""
    S, A = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    kind = draw(st.sampled_from(["free", "free", "cycle", "absorbing"]))
    if kind == "cycle":
        return np.broadcast_to(np.roll(np.eye(S, dtype=np.int64), 1, axis=1)[:, None, :], (S, A, S)).copy()
    W = np.array([[draw(rows(S)) for _ in range(A)] for _ in range(S)])
    if kind == "absorbing":
        W[-1] = 0
        W[-1, :, -1] = 1
    return W


@st.composite
def models(draw, *, max_states=4, max_actions=3, gammas=GAMMAS, masked=True, sparse=None):
    """A discounted MDP with rewards among -2..2, dense or CSR, with a mask now and then."""
    W = draw(weights(max_states=max_states, max_actions=max_actions))
    S, A, _ = W.shape
    P = W / W.sum(axis=2, keepdims=True)
    r = np.array(draw(st.lists(st.integers(-2, 2), min_size=S * A, max_size=S * A)), dtype=float).reshape(S, A)
    actions = None
    if masked and A > 1 and draw(st.booleans()):
        actions = np.array(draw(st.lists(st.booleans(), min_size=S * A, max_size=S * A))).reshape(S, A)
        actions[~actions.any(axis=1), draw(st.integers(0, A - 1))] = True
    mdp = MDP(P, r, draw(st.sampled_from(gammas)), actions=actions)
    return mdp.sparse() if (draw(st.booleans()) if sparse is None else sparse) else mdp
