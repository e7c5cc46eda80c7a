"""Generators and published problems, each with its source and, where known, its exact value.

`NAMES` maps a name to its function, `ROBUST_NAMES` and `STOCK_NAMES` do so for robust and for stock problems; `build`
calls one by name, with small default sizes for those that need any.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mdplab.instances.blackjack import blackjack
from mdplab.instances.chains import chain, chain_value, combination_lock, deep_sea, restart_chain, riverswim
from mdplab.instances.episodic import combination_lock_episodic, deep_sea_episodic, finite_class
from mdplab.instances.grids import gridworld
from mdplab.instances.hard import azar_hard, azar_hard_value, jao, two_point
from mdplab.instances.random import garnet
from mdplab.instances.robust import (
    coupled_chain,
    drpg_garnet,
    filar_tolwinski,
    iwocs_stall,
    machine_l1,
    opposite_models,
    pai_cycle,
    riverswim_l1,
    van_der_wal,
    windy_walk,
)
from mdplab.instances.robust_suite import (
    backlog_inventory,
    capacity50,
    chain10,
    forest50,
    gridworld25,
    inventory50,
    machine20,
    perishable50,
    toy_ring,
)
from mdplab.instances.stock_grids import (
    chow_gap,
    constraint_grid,
    cvar_suboptimal_pair,
    generate_returns_grid,
    halving_grid,
    ocvar_randomisation,
    random_stock,
    risk_averse_grid,
    risk_seeking_grid,
    risky_gridworld,
)
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
from mdplab.models import MDP, RobustMDP, StockMDP

NAMES: dict[str, Callable[..., MDP]] = {
    "azar_hard": azar_hard,
    "backlog_inventory": backlog_inventory,
    "blackjack": blackjack,
    "capacity50": capacity50,
    "chain": chain,
    "chain10": chain10,
    "cliff_walking": cliff_walking,
    "combination_lock": combination_lock,
    "deep_sea": deep_sea,
    "forest50": forest50,
    "forest_management": forest_management,
    "frozen_lake": frozen_lake,
    "garnet": garnet,
    "gridworld": gridworld,
    "gridworld25": gridworld25,
    "inventory": inventory,
    "inventory50": inventory50,
    "jao": jao,
    "machine20": machine20,
    "machine_replacement": machine_replacement,
    "perishable50": perishable50,
    "restart_chain": restart_chain,
    "riverswim": riverswim,
    "taxi": taxi,
    "toy_ring": toy_ring,
    "two_point": two_point,
    "two_state": two_state,
    "two_state_choice": two_state_choice,
}
ROBUST_NAMES: dict[str, Callable[..., RobustMDP]] = {
    "coupled_chain": coupled_chain,
    "drpg_garnet": drpg_garnet,
    "filar_tolwinski": filar_tolwinski,
    "iwocs_stall": iwocs_stall,
    "machine_l1": machine_l1,
    "opposite_models": opposite_models,
    "pai_cycle": pai_cycle,
    "riverswim_l1": riverswim_l1,
    "van_der_wal": van_der_wal,
    "windy_walk": windy_walk,
}
STOCK_NAMES: dict[str, Callable[..., StockMDP]] = {
    "chow_gap": chow_gap,
    "constraint_grid": constraint_grid,
    "cvar_suboptimal_pair": cvar_suboptimal_pair,
    "generate_returns_grid": generate_returns_grid,
    "halving_grid": halving_grid,
    "ocvar_randomisation": ocvar_randomisation,
    "random_stock": random_stock,
    "risk_averse_grid": risk_averse_grid,
    "risk_seeking_grid": risk_seeking_grid,
    "risky_gridworld": risky_gridworld,
}
# Arguments for functions that do not run without any; functions that draw need rng besides.
EXAMPLES: dict[str, Mapping[str, Any]] = {
    "garnet": {"S": 20, "A": 4, "b": 3, "gamma": 0.9},
    "gridworld": {"rows": 4, "cols": 5, "gamma": 0.9, "slip": 0.25, "walls": ((1, 1), (2, 3))},
    "random_stock": {"seed": 0},
}

_RANDOM = {"garnet", "drpg_garnet"}

__all__ = [
    "EXAMPLES",
    "NAMES",
    "ROBUST_NAMES",
    "STOCK_NAMES",
    "build",
    *NAMES,
    *ROBUST_NAMES,
    *STOCK_NAMES,
    "chain_value",
    "combination_lock_episodic",
    "deep_sea_episodic",
    "finite_class",
    "forest_value",
    "azar_hard_value",
    "two_state_choice_value",
    "two_state_value",
]


def build(name: str, *, rng: np.random.Generator | None = None, **arguments: Any) -> MDP | RobustMDP | StockMDP:
    """The instance of that name.

    Parameters
    ----------
    name : str
        A key of `NAMES`, `ROBUST_NAMES` or `STOCK_NAMES`.
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
    every = NAMES | ROBUST_NAMES | STOCK_NAMES
    if name not in every:
        near = difflib.get_close_matches(name, every, n=3, cutoff=0.4)
        raise ValueError(
            f"unknown instance {name!r}; {'nearest: ' if near else 'there are '}{', '.join(near or every)}"
        )
    if name in _RANDOM:
        if rng is None:
            raise ValueError(f"instance {name!r} draws at random and needs rng")
        arguments = {**arguments, "rng": rng}
    try:
        return every[name](**{**EXAMPLES.get(name, {}), **arguments})
    except TypeError as error:
        raise ValueError(f"instance {name!r}: {str(error).replace('()', '')}") from None
