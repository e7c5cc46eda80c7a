"""Stock-augmented dynamic programming: all reachable stocks over a finite horizon, a grid without one."""

from mdplab.exact.stock.grid import static_cvar, static_ocvar, stock_policy_iteration, stock_value_iteration

__all__ = ["static_cvar", "static_ocvar", "stock_policy_iteration", "stock_value_iteration"]
