"""Policy-gradient methods: one file a method, the estimates they share beside them."""

from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import (
    NoisyGradient,
    SingleTrajectory,
    SoftmaxTrajectory,
    gpomdp,
    hessian_vector,
    likelihood_ratio,
    reinforce,
    softmax_bend,
    softmax_score,
)
from mdplab.algorithms.policy_gradient.harpg import harpg, harpg_schedule, n_harpg, n_harpg_schedule
from mdplab.algorithms.policy_gradient.n_pg_igt import igt_schedule, look_ahead, n_pg_igt
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule, normalized_momentum
from mdplab.algorithms.policy_gradient.vanilla import normalized_policy_gradient, policy_gradient, vanilla_schedule

__all__ = [
    "NoisyGradient",
    "SingleTrajectory",
    "SoftmaxTrajectory",
    "ascend",
    "gpomdp",
    "harpg",
    "harpg_schedule",
    "hessian_vector",
    "igt_schedule",
    "likelihood_ratio",
    "look_ahead",
    "momentum_schedule",
    "n_harpg",
    "n_harpg_schedule",
    "n_pg_igt",
    "normalized_momentum",
    "normalized_policy_gradient",
    "policy_gradient",
    "reinforce",
    "softmax_bend",
    "softmax_score",
    "vanilla_schedule",
]
