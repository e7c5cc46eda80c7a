"""Frozen problem types, and what a solver returns."""

from mdplab.models.constrained import ConstrainedMDP
from mdplab.models.games import MatrixGame, PreferenceGame
from mdplab.models.mdp import MDP
from mdplab.models.solution import Certificate, Solution, SolverFailure, Trace, frozen_array, frozen_mapping
from mdplab.models.validation import check_distribution

__all__ = [
    "MDP",
    "Certificate",
    "ConstrainedMDP",
    "MatrixGame",
    "PreferenceGame",
    "Solution",
    "SolverFailure",
    "Trace",
    "check_distribution",
    "frozen_array",
    "frozen_mapping",
]
