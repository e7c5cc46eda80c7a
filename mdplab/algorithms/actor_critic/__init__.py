"""Actor-critics: rare switching with an optimistic critic, and hybrid ones that mix offline data with rollouts."""

from mdplab.algorithms.actor_critic.finite_class import nora_finite_class
from mdplab.algorithms.actor_critic.nora import collect, nora, optimistic_npg

__all__ = ["collect", "nora", "nora_finite_class", "optimistic_npg"]
