"""Checks of what a caller gives to a solver."""

import math
from typing import Any

import numpy as np

from mdplab.models import MDP


def checked_tol(tol: float) -> float:
    """`tol` as a float; ValueError unless positive and finite."""
    value = float(tol)
    if not (0 < value < math.inf):
        raise ValueError(f"tol is {tol!r}; expected a positive number")
    return value


def checked_count(name: str, value: Any) -> int:
    """An iteration limit; ValueError unless an integer of at least 1."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 1")
    return int(value)


def require_discounted(mdp: MDP, name: str) -> None:
    """ValueError unless the model is an infinite-horizon discounted one."""
    if not isinstance(mdp, MDP):
        raise ValueError(f"{name} takes an MDP, not {type(mdp).__name__}")
    if mdp.horizon is not None:
        raise ValueError(f"horizon is {mdp.horizon}; {name} is for an infinite horizon, use backward_induction")
    if mdp.gamma >= 1:
        raise ValueError(
            f"gamma is {mdp.gamma:g}; {name} needs gamma < 1, use stochastic_shortest_path or average_reward"
        )


def checked_policy(mdp: MDP, policy: Any) -> np.ndarray:
    """A policy `(S,)` of available actions, or `(S, A)` of distributions over them; ValueError names the entry."""
    pi = np.asarray(policy)
    S, A = mdp.S, mdp.A
    if pi.shape == (S,) and np.issubdtype(pi.dtype, np.integer):
        bad = np.flatnonzero((pi < 0) | (pi >= A))
        if bad.size:
            raise ValueError(f"policy[{bad[0]}] is {pi[bad[0]]}; actions are 0 to {A - 1}")
        bad = np.flatnonzero(~mdp.actions[np.arange(S), pi])
        if bad.size:
            raise ValueError(f"policy[{bad[0]}] is {pi[bad[0]]}, which is not available in state {bad[0]}")
        return pi.astype(np.int64)
    if pi.shape != (S, A):
        raise ValueError(f"policy has shape {pi.shape} and dtype {pi.dtype}; expected ({S},) integers or ({S}, {A})")
    pi = pi.astype(np.float64)
    wrong = np.argwhere(~(np.isfinite(pi) & (pi >= 0)) | ((pi > 0) & ~mdp.actions))
    if wrong.size:
        s, a = wrong[0]
        why = "not available there" if pi[s, a] > 0 else "not a probability"
        raise ValueError(f"policy[{s}, {a}] is {pi[s, a]:g}, {why}")
    bad = np.flatnonzero(np.abs(pi.sum(axis=1) - 1) > 1e-8)
    if bad.size:
        raise ValueError(f"policy[{bad[0]}] sums to {pi[bad[0]].sum():.12g}, not 1")
    return pi
