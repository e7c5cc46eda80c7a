"""Actor-critics: rare switching with an optimistic critic, and hybrid ones that mix offline data with rollouts."""

from mdplab.algorithms.actor_critic.episodic import episodic_hac
from mdplab.algorithms.actor_critic.finite_class import nora_finite_class
from mdplab.algorithms.actor_critic.hybrid import (
    Evaluation,
    exact_hac,
    hac,
    hac_step,
    hnpg,
    hybrid_policy_evaluation,
    on_policy_data,
)
from mdplab.algorithms.actor_critic.nora import collect, nora, optimistic_npg

__all__ = [
    "Evaluation",
    "collect",
    "episodic_hac",
    "exact_hac",
    "hac",
    "hac_step",
    "hnpg",
    "hybrid_policy_evaluation",
    "nora",
    "nora_finite_class",
    "on_policy_data",
    "optimistic_npg",
]
