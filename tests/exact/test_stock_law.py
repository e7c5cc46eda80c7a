"""Laws of policies that carry a stock: against laws of policies that do not, and against plain enumeration."""

import numpy as np
import pytest

from mdplab.exact.distributional import return_laws
from mdplab.exact.stock_law import stock_policy_law
from mdplab.instances import random_stock, risk_averse_grid
from mdplab.models import MDP, FiniteLaw, StockMDP, functional, wasserstein

GRID = np.array([-1.0, 0.5, 2.0])


def _problem(key, gamma):
    """A member of the random family without its horizon, from a random start."""
    problem = random_stock(key, gamma)
    start = np.random.default_rng([4, 6, key]).dirichlet(np.ones(2))
    return problem.replace(mdp=problem.mdp.replace(horizon=None), start=start)


@pytest.mark.parametrize("tol", [0.3, 1e-2])
def test_a_policy_that_ignores_its_stock_has_the_law_of_a_stationary_one(tol):
    for key in range(6):
        problem = _problem(key, 0.6)
        actions = np.random.default_rng([4, 7, key]).integers(0, 2, 2)
        policy = np.repeat(actions[:, None], 3, axis=1)
        law, error = stock_policy_law(problem, GRID, policy, 0.3, tol=tol)
        known = return_laws(problem, actions, tol=1e-4)
        mixture = FiniteLaw.mixture(known.extras["laws"], problem.start)
        assert wasserstein(law, mixture) <= error + known.certificate.gap
        assert error <= tol * 2 / (1 - 0.6)  # rewards are at most 2
        assert error > 0


def _enumerated(problem, policy, c0, stages):
    """Atoms and masses of the first stages, one path at a time, with the recursion of stocks as it is printed."""
    paths = [(s, c0, 0.0, q) for s, q in enumerate(problem.start) if q > 0]
    for t in range(stages):
        after = []
        for s, c, gained, q in paths:
            a = policy[s, np.argmin(np.abs(GRID - c))]
            for to, r, prob in zip(*problem.outcomes.row(s, a), strict=True):
                after.append((to, (c + r) / problem.gamma, gained + problem.gamma**t * r, q * prob))
        paths = after
    return FiniteLaw.of([path[2] for path in paths], [path[3] for path in paths])


def test_actions_follow_the_nearest_stock_of_the_grid():
    stages, gamma = 9, 0.6
    differs = 0
    for key in range(6):
        problem = _problem(key, gamma)
        policy = np.random.default_rng([4, 8, key]).integers(0, 2, (2, 3))
        # Stocks of the family are multiples of 0.6^-t plus this: never halfway.
        c0 = 0.3 + 0.01 * np.pi
        law, error = stock_policy_law(problem, GRID, policy, c0, tol=1e-3)
        short = _enumerated(problem, policy, c0, stages)
        tail = gamma**stages * 2 / (1 - gamma)
        assert wasserstein(law, short) <= error + tail
        ignoring, _ = stock_policy_law(problem, GRID, np.repeat(policy[:, 1:2], 3, axis=1), c0, tol=1e-3)
        differs += wasserstein(ignoring, short) > error + tail
    assert differs >= 2, "the comparison would notice a policy that ignores its stock"


def test_few_nodes_cost_accuracy_and_say_so():
    problem = _problem(1, 0.9)
    policy = np.random.default_rng([4, 9]).integers(0, 2, (2, 3))
    fine, small = stock_policy_law(problem, GRID, policy, 0.0, tol=0.02, max_nodes=20_000)
    coarse, large = stock_policy_law(problem, GRID, policy, 0.0, tol=0.02, max_nodes=50)
    assert 0 < small < large
    assert wasserstein(fine, coarse) <= small + large


def test_terminal_states_end_the_law_exactly():
    problem = risk_averse_grid(gamma=0.5)
    down = np.full((16, 3), 1)
    law, error = stock_policy_law(problem, GRID, down, 0.0, tol=1e-6)
    assert (law.x.tolist(), law.p.tolist(), error) == ([0.25], [1.0], 0.0)


def test_bad_arguments_are_named():
    loop = MDP([[[1.0]]], [[1.0]], 0.5)
    problem = StockMDP(loop, functional("mean"), start=0)
    policy = np.zeros((1, 3), dtype=int)
    with pytest.raises(ValueError, match=r"policy has shape \(1, 2\), expected \(1, 3\)"):
        stock_policy_law(problem, GRID, policy[:, :2], 0.0)
    with pytest.raises(ValueError, match=r"grid\[1\] is 0 after grid\[0\] = 1"):
        stock_policy_law(problem, [1.0, 0.0], policy[:, :2], 0.0)
    with pytest.raises(ValueError, match="start is missing"):
        stock_policy_law(StockMDP(loop, functional("mean")), GRID, policy, 0.0)
    with pytest.raises(ValueError, match="gamma is 1"):
        stock_policy_law(problem.replace(mdp=loop.replace(gamma=1.0, horizon=2)), GRID, policy, 0.0)
    with pytest.raises(ValueError, match="tol is 0"):
        stock_policy_law(problem, GRID, policy, 0.0, tol=0)
