"""Distributional iteration on a table of stocks: closed forms, laws against numbers, ties, counters and bad input."""

import numpy as np
import pytest

from mdplab.algorithms.distributional.stock_iteration import (
    error_bounds,
    law_policy_iteration,
    law_value_iteration,
    stock_table,
    utility_iteration,
)
from mdplab.models import MDP, CVaR, Outcomes, StockMDP, functional

WHOLE = np.arange(-2.0, 3.0)
NAMES = ("mean", "target", "negative_part", "positive_part")


def _random(name: str, key: int) -> StockMDP:
    rng = np.random.default_rng([480, key])
    mdp = MDP(rng.dirichlet(np.ones(2), (2, 2)), rng.integers(-1, 2, (2, 2, 2)).astype(float), 0.5)
    return StockMDP(mdp, functional(name), start=0)


def _coin() -> StockMDP:
    """One state; a sure 1, or 0 or 2 evenly."""
    out = Outcomes([0, 1, 3], [0, 0, 0], [1.0, 0.0, 2.0], [1.0, 0.5, 0.5], 1, 2)
    return StockMDP(MDP(np.ones((1, 2, 1)), out.mean_reward(), 0.5), functional("mean"), outcomes=out)


@pytest.mark.parametrize("name", NAMES)
def test_laws_and_numbers_agree(name):
    for key in range(3):
        table = stock_table(_random(name, key), np.arange(-8, 9) / 4)
        run, v = law_value_iteration(table, num_iters=5), utility_iteration(table, num_iters=5)
        np.testing.assert_allclose(run.values, v, atol=1e-12)  # sums of 2^5 products
        # Two actions at two states and seventeen stocks, for five sweeps and the policy at the end.
        assert run.num_backups == 6 * 2 * 2 * 17


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_from_laws_is_the_best_of_all_on_the_table(name):
    table = stock_table(_random(name, 4), WHOLE)
    run = law_policy_iteration(table, np.zeros((2, 5), dtype=int), num_iters=4, num_sweeps=10)
    best = utility_iteration(table, num_iters=60)[-1]
    played = utility_iteration(table, num_iters=60, policy=run.policies[-1])[-1]
    # Ten sweeps leave 2^-9 of laws, and an improvement may be wrong by that.
    assert (played <= best + 1e-12).all()
    assert (best - played).max() <= 4 * 2.0**-9
    # Values of the run are those of its policies, to the same error.
    assert np.abs(run.values[-1] - played).max() <= 2.0**-9


def test_bounds_hold_and_are_what_is_printed():
    for key in range(3):
        problem = _random("target", key)
        table = stock_table(problem, WHOLE)
        run, best = law_value_iteration(table, num_iters=5), utility_iteration(table, num_iters=60)[-1]
        for n, values in enumerate(run.values):
            assert (best - values).max() <= error_bounds(problem, n)["value"] + 1e-12  # rounding
            played = utility_iteration(table, num_iters=60, policy=run.policies[n])[-1]
            assert (best - played).max() <= error_bounds(problem, n)["greedy"] + 1e-12  # rounding
    # The largest reward is 1 and the least -1; gamma = 1/2.
    assert error_bounds(problem, 3) == {"value": 0.25, "greedy": 0.5, "policy": 0.5}
    with pytest.raises(ValueError, match="not Lipschitz"):
        error_bounds(problem.replace(objective=functional("step")), 1)


def test_ties_are_broken_as_asked():
    table = stock_table(_coin(), [0.0])
    policies = {
        tie: law_value_iteration(table, num_iters=1, start=2.0, tie=tie).policies.ravel().tolist()
        for tie in ("first", "last")
    }
    assert policies == {"first": [0, 0], "last": [1, 1]}
    turn = law_value_iteration(table, num_iters=3, start=2.0, tie=lambda sweep, s, c, actions: int(actions[sweep % 2]))
    assert turn.policies.ravel().tolist() == [0, 1, 0, 1]
    # Law of 1 + X / 2 against that of a coin and half of it, from the sure 2: dyadic numbers.
    assert turn.moved.tolist() == [0.0, 1.0, 0.5]


def test_a_single_action_gives_the_law_of_its_rewards():
    out = Outcomes([0, 2], [0, 0], [0.0, 2.0], [0.5, 0.5], 1, 1)
    problem = StockMDP(MDP([[[1.0]]], [[1.0]], 0.5), functional("mean"), outcomes=out)
    run = law_value_iteration(stock_table(problem, [0.0]), num_iters=2, start=2.0)
    assert run.laws[0][0].x.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert run.num_backups == 3


def test_terminal_states_pay_nothing():
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    table = stock_table(StockMDP(mdp, functional("target")), WHOLE)
    run = law_value_iteration(table, num_iters=3, start=7.0)
    assert (run.values[0] == -np.abs([WHOLE + 7, WHOLE])).all()
    assert (run.values[-1] == -np.abs([WHOLE + 1, WHOLE])).all()
    assert (utility_iteration(table, num_iters=3)[-1] == run.values[-1]).all()


def test_bad_input_is_named():
    problem = StockMDP(MDP([[[1.0]]], [[1.0]], 0.5), functional("target"))
    with pytest.raises(ValueError, match=r"not closed: -1\.5 and reward 1 lead to -1"):
        stock_table(problem, [-3.0, -1.5, 0.0, 2.0])
    with pytest.raises(ValueError, match="expected increasing numbers"):
        stock_table(problem, [0.0, 0.0])
    with pytest.raises(ValueError, match="expected a Functional"):
        stock_table(problem.replace(objective=CVaR(0.5), start=0), WHOLE)
    with pytest.raises(ValueError, match="end at -1 and 1"):
        utility_iteration(stock_table(problem, [-1.0, 0.0, 1.0]), num_iters=1)
    with pytest.raises(ValueError, match="objective is tanh"):
        utility_iteration(stock_table(problem.replace(objective=functional("tanh")), WHOLE), num_iters=1)
    with pytest.raises(ValueError, match="tie is 'middle'"):
        law_value_iteration(stock_table(problem, WHOLE), num_iters=1, tie="middle")
    with pytest.raises(ValueError, match="tie chose 7"):
        law_value_iteration(stock_table(problem, WHOLE), num_iters=1, tie=lambda *_: 7)
    with pytest.raises(ValueError, match=r"policy has shape \(1, 2\)"):
        law_policy_iteration(stock_table(problem, WHOLE), np.zeros((1, 2)), num_iters=1, num_sweeps=1)
