"""Least-squares value iteration for linear decision processes: online, offline, plain, robust and regularised."""

from mdplab.algorithms.linear.offline import OfflineEstimate, drpvi, pevi, r2pvi
from mdplab.algorithms.linear.online import dr_lsvi_ucb, dr_rpo, lsvi_ucb
from mdplab.algorithms.linear.variance_aware import va_drpvi

__all__ = ["OfflineEstimate", "dr_lsvi_ucb", "dr_rpo", "drpvi", "lsvi_ucb", "pevi", "r2pvi", "va_drpvi"]
