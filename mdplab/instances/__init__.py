"""Generators and published problems, each with its source and, where known, its exact value."""

from mdplab.instances.grids import frozen_lake, gridworld
from mdplab.instances.random import garnet
from mdplab.instances.textbook import riverswim, two_state, two_state_value

__all__ = ["frozen_lake", "garnet", "gridworld", "riverswim", "two_state", "two_state_value"]
