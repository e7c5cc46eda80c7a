"""Robust decision processes: policy gradient, sequences of models, soft robustness, Newton steps; one method a file."""

from mdplab.algorithms.robust.drpg import drpg, drpg_parametric
from mdplab.algorithms.robust.iwocs import iwocs
from mdplab.algorithms.robust.mirror_descent import robust_mirror_descent
from mdplab.algorithms.robust.newton import (
    line_search_policy_iteration,
    naive_policy_iteration,
    residual_conditioned_steps,
)
from mdplab.algorithms.robust.rfzi import rfzi, sample_transitions, z_iteration
from mdplab.algorithms.robust.soft_robust import (
    soft_robust_evaluation,
    soft_robust_gradient,
    soft_robust_policy_gradient,
)
from mdplab.algorithms.robust.worst_substate import substate_control, substate_evaluation

__all__ = [
    "drpg",
    "drpg_parametric",
    "iwocs",
    "line_search_policy_iteration",
    "naive_policy_iteration",
    "residual_conditioned_steps",
    "rfzi",
    "robust_mirror_descent",
    "sample_transitions",
    "soft_robust_evaluation",
    "soft_robust_gradient",
    "soft_robust_policy_gradient",
    "substate_control",
    "substate_evaluation",
    "z_iteration",
]
