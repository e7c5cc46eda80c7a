"""The referee."""

from mdplab.certify.checker import check
from mdplab.certify.report import CheckReport

__all__ = ["CheckReport", "check"]
