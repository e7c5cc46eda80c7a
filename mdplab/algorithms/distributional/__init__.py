"""Methods on return laws and their tails; one method a file."""

from mdplab.algorithms.distributional.categorical_td import categorical_td
from mdplab.algorithms.distributional.cvar_decomposition import (
    TailRun,
    cvar_evaluation,
    cvar_value_iteration,
    interpolated_backup,
    interpolated_value_iteration,
)
from mdplab.algorithms.distributional.quantile_td import quantile_td
from mdplab.algorithms.distributional.transitions import robbins_monro

__all__ = [
    "TailRun",
    "categorical_td",
    "cvar_evaluation",
    "cvar_value_iteration",
    "interpolated_backup",
    "interpolated_value_iteration",
    "quantile_td",
    "robbins_monro",
]
