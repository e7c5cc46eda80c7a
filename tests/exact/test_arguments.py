"""What a caller gives wrong is named by every public solver, and never found out in the depths."""

import numpy as np
import pytest

from mdplab import exact
from mdplab.exact.games import nash_equilibrium, regularized_nash
from mdplab.models import MDP, ConstrainedMDP, MatrixGame, PreferenceGame

DISCOUNTED = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9, mu=[0.5, 0.5])
LIMITED = ConstrainedMDP(DISCOUNTED, [[[1.0], [0.0]]], [9.0])

SOLVERS = {
    "average_reward": (exact.average_reward, DISCOUNTED, {}),
    "backward_induction": (exact.backward_induction, DISCOUNTED.replace(horizon=2), {}),
    "constrained_mdp": (exact.constrained_mdp, LIMITED, {}),
    "gauss_seidel": (exact.gauss_seidel, DISCOUNTED, {}),
    "inexact_policy_iteration": (exact.inexact_policy_iteration, DISCOUNTED, {}),
    "linear_programming": (exact.linear_programming, DISCOUNTED, {}),
    "modified_policy_iteration": (exact.modified_policy_iteration, DISCOUNTED, {}),
    "nash_equilibrium": (nash_equilibrium, MatrixGame(np.eye(2)), {}),
    "occupancy_measure": (exact.occupancy_measure, DISCOUNTED, {"policy": [0, 0]}),
    "policy_evaluation": (exact.policy_evaluation, DISCOUNTED, {"policy": [0, 0]}),
    "policy_iteration": (exact.policy_iteration, DISCOUNTED, {}),
    "regularized_nash": (regularized_nash, PreferenceGame([[0.5, 0.9], [0.1, 0.5]]), {"tau": 1.0}),
    "soft_policy_iteration": (exact.soft_policy_iteration, DISCOUNTED, {"tau": 1.0}),
    "soft_value_iteration": (exact.soft_value_iteration, DISCOUNTED, {"tau": 1.0}),
    "solve": (exact.solve, DISCOUNTED, {}),
    "stochastic_shortest_path": (exact.stochastic_shortest_path, DISCOUNTED.replace(gamma=1.0), {}),
    "value_iteration": (exact.value_iteration, DISCOUNTED, {}),
}
# None is the limit and the tolerance that fit the method.
BY_METHOD = {"regularized_nash"}
UNLIMITED = {"solve", "backward_induction", "constrained_mdp", "nash_equilibrium", "occupancy_measure"}


@pytest.mark.parametrize("name", SOLVERS)
def test_what_is_wrong_is_named(name):
    solver, problem, more = SOLVERS[name]
    solver(problem, **more)
    for tol in (0, -1.0, np.nan, np.inf, "small", None, [1e-6], 1j):
        if tol is None and name in BY_METHOD:
            continue
        with pytest.raises(ValueError, match=r"^tol is "):
            solver(problem, **more, tol=tol)
    for count in () if name in UNLIMITED else (0, -1, 1.5, np.nan, np.inf, "many", None, True):
        if count is None and name in BY_METHOD:
            continue
        with pytest.raises(ValueError, match=r"^max_iters is "):
            solver(problem, **more, max_iters=count)
    for tau in (0, -1.0, np.nan, np.inf, "warm", None, [1.0]) if "tau" in more else ():
        with pytest.raises(ValueError, match=r"^tau is "):
            solver(problem, tau=tau)
    for other in (None, 3, np.ones((2, 2)), {}):
        with pytest.raises(ValueError, match=f"{type(other).__name__}"):
            solver(other, **more)
    if name not in {"solve", "constrained_mdp"}:
        with pytest.raises(ValueError, match=r"takes .*, not ConstrainedMDP"):
            solver(LIMITED, **more)


@pytest.mark.parametrize("solver", [exact.solve, exact.average_reward])
@pytest.mark.parametrize("method", ["nonsense", None, 3, []])
def test_methods_are_known_by_name(solver, method):
    with pytest.raises(ValueError, match=r"^method is "):
        solver(DISCOUNTED, method=method)
