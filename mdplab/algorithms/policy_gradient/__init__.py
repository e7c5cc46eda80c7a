"""Policy-gradient methods: one file a method, the estimates they share beside them."""

from mdplab.algorithms.policy_gradient.estimators import (
    NoisyGradient,
    SingleTrajectory,
    gpomdp,
    reinforce,
    softmax_score,
)
from mdplab.algorithms.policy_gradient.n_pg_igt import igt_schedule, n_pg_igt
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule, normalized_momentum

__all__ = [
    "NoisyGradient",
    "SingleTrajectory",
    "gpomdp",
    "igt_schedule",
    "momentum_schedule",
    "n_pg_igt",
    "normalized_momentum",
    "reinforce",
    "softmax_score",
]
