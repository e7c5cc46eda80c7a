"""Exact solvers: each returns a Solution whose certificate encloses the truth, or raises SolverFailure."""

from mdplab.exact.discounted import gauss_seidel, modified_policy_iteration, value_iteration
from mdplab.exact.policy_iteration import inexact_policy_iteration, policy_iteration
from mdplab.exact.solve import solve
from mdplab.models import SolverFailure

__all__ = [
    "SolverFailure",
    "gauss_seidel",
    "inexact_policy_iteration",
    "modified_policy_iteration",
    "policy_iteration",
    "solve",
    "value_iteration",
]
