"""Exact solvers: each returns a Solution whose certificate encloses the truth, or raises SolverFailure."""

from mdplab.exact.average import average_reward
from mdplab.exact.backward_induction import backward_induction
from mdplab.exact.batch import BatchSolution, solve_batch
from mdplab.exact.constrained import constrained_mdp
from mdplab.exact.discounted import gauss_seidel, modified_policy_iteration, value_iteration
from mdplab.exact.distributional import (
    categorical_control,
    categorical_evaluation,
    quantile_control,
    quantile_evaluation,
    return_laws,
)
from mdplab.exact.evaluation import occupancy_measure, policy_evaluation, q_values
from mdplab.exact.evar import evar_dp
from mdplab.exact.linear import linear_backward_induction, linear_policy_evaluation
from mdplab.exact.linear_programming import linear_programming
from mdplab.exact.logit_equilibrium import logit_equilibrium
from mdplab.exact.markov_games import markov_exploitability, shapley_value_iteration, strategy_iteration
from mdplab.exact.objectives import solve_objective, solve_stock
from mdplab.exact.performative import project_flow, regularized_occupancy
from mdplab.exact.performative_optimal import performatively_optimal
from mdplab.exact.performative_stable import performatively_stable
from mdplab.exact.policy_iteration import inexact_policy_iteration, policy_iteration
from mdplab.exact.risk import entropic_risk_dp, nested_cvar
from mdplab.exact.robust import (
    partial_policy_iteration,
    residual_conditioned_policy_iteration,
    robust_modified_policy_iteration,
    robust_policy_evaluation,
    robust_policy_iteration,
    robust_value_iteration,
)
from mdplab.exact.soft import soft_policy_iteration, soft_value_iteration
from mdplab.exact.solve import solve
from mdplab.exact.stochastic_shortest_path import stochastic_shortest_path
from mdplab.exact.stock import (
    best_mixture,
    brute_force,
    categorical_stock_iteration,
    distributional_policy_iteration,
    distributional_value_iteration,
    history_laws,
    static_cvar,
    static_cvar_finite,
    static_ocvar,
    static_ocvar_finite,
    stock_backward_induction,
    stock_policy_iteration,
    stock_value_iteration,
)
from mdplab.models import SolverFailure

__all__ = [
    "BatchSolution",
    "SolverFailure",
    "average_reward",
    "backward_induction",
    "best_mixture",
    "brute_force",
    "categorical_control",
    "categorical_evaluation",
    "categorical_stock_iteration",
    "constrained_mdp",
    "distributional_policy_iteration",
    "distributional_value_iteration",
    "entropic_risk_dp",
    "evar_dp",
    "gauss_seidel",
    "history_laws",
    "inexact_policy_iteration",
    "linear_backward_induction",
    "linear_policy_evaluation",
    "linear_programming",
    "logit_equilibrium",
    "markov_exploitability",
    "modified_policy_iteration",
    "nested_cvar",
    "occupancy_measure",
    "partial_policy_iteration",
    "performatively_optimal",
    "performatively_stable",
    "policy_evaluation",
    "policy_iteration",
    "project_flow",
    "q_values",
    "quantile_control",
    "quantile_evaluation",
    "regularized_occupancy",
    "residual_conditioned_policy_iteration",
    "return_laws",
    "robust_modified_policy_iteration",
    "robust_policy_evaluation",
    "robust_policy_iteration",
    "robust_value_iteration",
    "shapley_value_iteration",
    "soft_policy_iteration",
    "soft_value_iteration",
    "solve",
    "solve_batch",
    "solve_objective",
    "solve_stock",
    "static_cvar",
    "static_cvar_finite",
    "static_ocvar",
    "static_ocvar_finite",
    "stochastic_shortest_path",
    "stock_backward_induction",
    "stock_policy_iteration",
    "stock_value_iteration",
    "strategy_iteration",
    "value_iteration",
]
