"""Robust Markov decision processes: exact solvers for every rectangular set of `mdplab.models`."""

from mdplab.exact.robust.operator import RobustBellman
from mdplab.exact.robust.solvers import (
    partial_policy_iteration,
    residual_conditioned_policy_iteration,
    robust_modified_policy_iteration,
    robust_policy_evaluation,
    robust_policy_iteration,
    robust_value_iteration,
)

__all__ = [
    "RobustBellman",
    "partial_policy_iteration",
    "residual_conditioned_policy_iteration",
    "robust_modified_policy_iteration",
    "robust_policy_evaluation",
    "robust_policy_iteration",
    "robust_value_iteration",
]
