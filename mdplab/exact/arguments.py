"""Checks of what a caller gives to a solver."""

import math
from typing import Any

import numpy as np

from mdplab.models import MDP


def checked_tol(tol: float) -> float:
    """`tol` as a float; ValueError unless positive and finite."""
    return checked_positive("tol", tol)


def checked_positive(name: str, number: Any) -> float:
    """A float; ValueError unless positive and finite."""
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not (0 < value < math.inf):
        raise ValueError(f"{name} is {number!r}; expected a positive number")
    return value


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """An iteration limit; ValueError unless an integer of at least `least`."""
    try:
        count = least - 1 if isinstance(value, bool) else int(value)
        good = count == value and count >= least
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least {least}")
    return count


def require_type(problem: Any, kinds: type | tuple[type, ...], name: str) -> None:
    """ValueError unless the problem that `name` takes is of one of these types."""
    if not isinstance(problem, kinds):
        expected = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise ValueError(f"{name} takes {expected}, not {type(problem).__name__}")


def require_discounted(mdp: MDP, name: str) -> None:
    """ValueError unless the model is an infinite-horizon discounted one."""
    require_type(mdp, MDP, name)
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
