"""Generators and published problems, each with its source and, where known, its exact value.

`NAMES` maps a name to its function; `build` calls one by name, with small default sizes for those that need any.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mdplab.instances.chains import chain, chain_value, combination_lock, deep_sea, restart_chain, riverswim
from mdplab.instances.grids import gridworld
from mdplab.instances.hard import azar_hard, azar_hard_value, jao, two_point
from mdplab.instances.random import garnet
from mdplab.instances.textbook import (
    forest_management,
    forest_value,
    inventory,
    machine_replacement,
    two_state,
    two_state_choice,
    two_state_choice_value,
    two_state_value,
)
from mdplab.instances.toytext import cliff_walking, frozen_lake, taxi
from mdplab.models import MDP

NAMES: dict[str, Callable[..., MDP]] = {
    "azar_hard": azar_hard,
    "chain": chain,
    "cliff_walking": cliff_walking,
    "combination_lock": combination_lock,
    "deep_sea": deep_sea,
    "forest_management": forest_management,
    "frozen_lake": frozen_lake,
    "garnet": garnet,
    "gridworld": gridworld,
    "inventory": inventory,
    "jao": jao,
    "machine_replacement": machine_replacement,
    "restart_chain": restart_chain,
    "riverswim": riverswim,
    "taxi": taxi,
    "two_point": two_point,
    "two_state": two_state,
    "two_state_choice": two_state_choice,
}
# Arguments for functions that do not run without any; functions that draw need rng besides.
EXAMPLES: dict[str, Mapping[str, Any]] = {
    "garnet": {"S": 20, "A": 4, "b": 3, "gamma": 0.9},
    "gridworld": {"rows": 4, "cols": 5, "gamma": 0.9, "slip": 0.25, "walls": ((1, 1), (2, 3))},
}

__all__ = [
    "EXAMPLES",
    "NAMES",
    "build",
    *NAMES,
    "chain_value",
    "forest_value",
    "azar_hard_value",
    "two_state_choice_value",
    "two_state_value",
]


def build(name: str, *, rng: np.random.Generator | None = None, **arguments: Any) -> MDP:
    """The instance of that name.

    Parameters
    ----------
    name : str
        A key of `NAMES`.
    rng : numpy.random.Generator, optional
        Needed by random families, ignored by others.
    **arguments
        Arguments of the function; they override its default sizes.

    Raises
    ------
    ValueError
        For an unknown name (with the nearest ones), an argument that the function does not have, or a missing rng.

    Examples
    --------
    >>> build("riverswim", S=8)
    MDP(S=8, A=2, transitions=30, gamma=0.99)
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.4)
        raise ValueError(
            f"unknown instance {name!r}; {'nearest: ' if near else 'there are '}{', '.join(near or NAMES)}"
        )
    if name == "garnet":
        if rng is None:
            raise ValueError(f"instance {name!r} draws at random and needs rng")
        arguments = {**arguments, "rng": rng}
    try:
        return NAMES[name](**{**EXAMPLES.get(name, {}), **arguments})
    except TypeError as error:
        raise ValueError(f"instance {name!r}: {str(error).replace('()', '')}") from None
