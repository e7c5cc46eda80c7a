"""The referee."""

from mdplab.certify.checker import check
from mdplab.certify.optimality import OptimalityProof, prove_optimal
from mdplab.certify.report import CheckReport

__all__ = ["CheckReport", "OptimalityProof", "check", "prove_optimal"]
