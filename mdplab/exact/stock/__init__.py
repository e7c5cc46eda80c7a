"""Stock-augmented dynamic programming: all reachable stocks over a finite horizon, a grid without one."""

from mdplab.exact.stock.brute_force import brute_force, history_laws
from mdplab.exact.stock.finite import (
    distributional_policy_iteration,
    distributional_value_iteration,
    reachable_from,
    stock_backward_induction,
)
from mdplab.exact.stock.finite_static import static_cvar_finite, static_ocvar_finite
from mdplab.exact.stock.grid import static_cvar, static_ocvar, stock_policy_iteration, stock_value_iteration
from mdplab.exact.stock.grid_laws import categorical_stock_iteration
from mdplab.exact.stock.mixtures import best_mixture

__all__ = [
    "best_mixture",
    "brute_force",
    "categorical_stock_iteration",
    "distributional_policy_iteration",
    "distributional_value_iteration",
    "history_laws",
    "reachable_from",
    "static_cvar",
    "static_cvar_finite",
    "static_ocvar",
    "static_ocvar_finite",
    "stock_backward_induction",
    "stock_policy_iteration",
    "stock_value_iteration",
]
