"""Performative reinforcement learning: repeated retraining, from samples too, and in shifting environments.

In linear decision problems (a follow-up, AISTATS 2025) the objective is not strongly concave in the occupancy and the
bounds are in the feature dimension; our sources give no algorithm for it, and there is none here.
"""

from mdplab.algorithms.performative.finite_samples import (
    finite_sample_lagrangian,
    finite_sample_plug_in,
    saddle_rounds,
)
from mdplab.algorithms.performative.repeated import repeated_gradient_ascent, repeated_optimization
from mdplab.algorithms.performative.shifting import delayed_retraining, mixed_delayed_retraining, mixing_weights

__all__ = [
    "delayed_retraining",
    "finite_sample_lagrangian",
    "finite_sample_plug_in",
    "mixed_delayed_retraining",
    "mixing_weights",
    "repeated_gradient_ascent",
    "repeated_optimization",
    "saddle_rounds",
]
