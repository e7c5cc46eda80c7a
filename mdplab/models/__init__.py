"""Frozen problem types, and what a solver returns."""

from mdplab.models.constrained import ConstrainedMDP
from mdplab.models.games import MatrixGame, PreferenceGame
from mdplab.models.markov_game import MarkovGame
from mdplab.models.mdp import MDP
from mdplab.models.polymatrix import PolymatrixGame
from mdplab.models.robust import RobustMDP
from mdplab.models.small_gain import SmallGainCertificate
from mdplab.models.smooth_games import Ball, Box, QuadraticGame, SmoothGame
from mdplab.models.solution import Certificate, Solution, SolverFailure, Trace, frozen_array, frozen_mapping
from mdplab.models.uncertainty import (
    BurgBall,
    Chi2Ball,
    Contamination,
    CVaRSet,
    IntervalSet,
    KLBall,
    L1Ball,
    L2Ball,
    LinfBall,
    ModelSet,
    NoiseSet,
    SoftChi2,
    SoftKL,
    SoftTV,
    TVBall,
    UncertaintySet,
    WassersteinBall,
    WeightedL1Ball,
)
from mdplab.models.validation import check_distribution

__all__ = [
    "MDP",
    "Ball",
    "Box",
    "BurgBall",
    "CVaRSet",
    "Certificate",
    "Chi2Ball",
    "ConstrainedMDP",
    "Contamination",
    "IntervalSet",
    "KLBall",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "MarkovGame",
    "MatrixGame",
    "ModelSet",
    "NoiseSet",
    "PolymatrixGame",
    "PreferenceGame",
    "QuadraticGame",
    "RobustMDP",
    "SmallGainCertificate",
    "SmoothGame",
    "SoftChi2",
    "SoftKL",
    "SoftTV",
    "Solution",
    "SolverFailure",
    "TVBall",
    "Trace",
    "UncertaintySet",
    "WassersteinBall",
    "WeightedL1Ball",
    "check_distribution",
    "frozen_array",
    "frozen_mapping",
]
