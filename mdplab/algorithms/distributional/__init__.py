"""Methods on return laws and their tails; one method a file."""

from mdplab.algorithms.distributional.cvar_decomposition import (
    TailRun,
    cvar_evaluation,
    cvar_value_iteration,
    interpolated_backup,
    interpolated_value_iteration,
)

__all__ = [
    "TailRun",
    "cvar_evaluation",
    "cvar_value_iteration",
    "interpolated_backup",
    "interpolated_value_iteration",
]
