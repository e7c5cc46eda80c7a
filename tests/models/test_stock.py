"""Outcomes and the stock problem: derived as they should be, and every bad argument named."""

import numpy as np
import pytest
import scipy.sparse as sp

from mdplab.models import MDP, CVaR, EVaR, OCVaR, Outcomes, StockMDP, functional


def _mdp(**changes):
    """Two states, the second terminal; a coin of 0 or 2 in the first, in its mean."""
    arguments = {"P": [[[0.0, 1.0]], [[0.0, 1.0]]], "r": [[1.0], [0.0]], "gamma": 0.9, **changes}
    return MDP(**arguments)


COIN = ([0, 2, 3], [1, 1, 1], [0.0, 2.0, 0.0], [0.5, 0.5, 1.0], 2, 1)


def _random(key, *, by_next):
    rng = np.random.default_rng([4, 4, key])
    P = rng.dirichlet(np.ones(3), size=(3, 2)) * (rng.random((3, 2, 3)) < 0.7)
    P[..., 0] += 0.1
    P /= P.sum(axis=2, keepdims=True)
    actions = np.array([[True, True], [True, False], [True, True]])
    return MDP(P, rng.normal(size=(3, 2, 3) if by_next else (3, 2)), 0.9, actions=actions)


@pytest.mark.parametrize("by_next", [False, True])
def test_outcomes_of_a_model_are_its_transitions(by_next):
    mdp = _random(0, by_next=by_next)
    outcomes = Outcomes.of(mdp)
    np.testing.assert_array_equal(outcomes.kernel().toarray().reshape(3, 2, 3), mdp.P)
    np.testing.assert_allclose(outcomes.mean_reward(), mdp.r, atol=1e-15)  # rounding of sums of three
    assert outcomes.row(1, 1)[0].size == 0
    assert np.all(outcomes.prob > 0)
    for s, a in ((0, 0), (2, 1)):
        to, reward, prob = outcomes.row(s, a)
        assert to.tolist() == np.flatnonzero(mdp.P[s, a]).tolist()
        np.testing.assert_array_equal(prob, mdp.P[s, a, to])
        np.testing.assert_array_equal(reward, mdp.r_next[s, a, to] if by_next else np.full(to.size, mdp.r[s, a]))
    sparse = Outcomes.of(mdp.sparse())
    for name in ("indptr", "next_state", "reward", "prob"):
        np.testing.assert_array_equal(getattr(sparse, name), getattr(outcomes, name))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, [0, 3], r"indptr has shape \(2,\), expected \(3,\) for S=2, A=1"),
        (0, [0, 2, 4], "indptr ends at 4"),
        (0, [0, 4, 3], "indptr decreases after entry 1"),
        (1, [1, 2, 1], r"next_state\[1\] is 2; states lie in \[0, 2\)"),
        (1, [1.0, 1.5, 1.0], "next_state has dtype float64"),
        (2, [0.0, np.inf, 0.0], r"reward\[1\] is inf"),
        (2, [0.0, 0.0], r"reward has shape \(2,\), expected \(3,\)"),
        (3, [1.0, 0.0, 1.0], r"prob\[1\] is 0"),
        (3, [0.5, 0.25, 1.0], "prob of state 0, action 0 sums to 0.75, not 1"),
    ],
)
def test_bad_outcomes_are_named(place, value, message):
    arguments = list(COIN)
    arguments[place] = value
    with pytest.raises(ValueError, match=message):
        Outcomes(*arguments)


def test_a_problem_takes_start_from_the_model_or_from_the_caller():
    mdp = _mdp(mu=[0.25, 0.75])
    f = functional("target")
    assert StockMDP(mdp, f).start_law.tolist() == [0.25, 0.75]
    assert StockMDP(mdp, f, start=1).start_law.tolist() == [0.0, 1.0]
    assert StockMDP(mdp, f, start=[0.5, 0.5]).start_law.tolist() == [0.5, 0.5]
    assert StockMDP(_mdp(), f).start_law is None
    problem = StockMDP(mdp, CVaR(0.5), outcomes=Outcomes(*COIN))
    assert (problem.S, problem.A, problem.gamma, problem.horizon) == (2, 1, 0.9, None)
    assert problem.outcomes.prob.size == 3
    other = problem.replace(mdp=mdp.replace(gamma=0.5), objective=OCVaR(0.5))
    assert (other.gamma, other.objective, other.outcomes) == (0.5, OCVaR(0.5), problem.outcomes)
    assert problem.replace(outcomes=None).outcomes.prob.size == 2


def test_sparse_models_are_compared_too():
    mdp = _mdp().sparse()
    assert sp.issparse(mdp.P)
    assert StockMDP(mdp, functional("mean"), outcomes=Outcomes(*COIN)).outcomes.prob.size == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": 2}, r"start is 2; expected a state in \[0, 2\)"),
        ({"start": 0.5}, "start is 0.5"),
        ({"start": [0.5, 0.4]}, "start sums to 0.9"),
        ({"objective": CVaR(0.5)}, "start is missing: cvar:0.5"),
        ({"objective": EVaR(0.5)}, "stocks serve a Functional"),
        ({"objective": "target"}, "objective is 'target'"),
        ({"mdp": _mdp(gamma=0.0)}, "gamma is 0"),
        ({"mdp": None}, "mdp is a NoneType"),
        ({"running": np.zeros((2, 2))}, r"running has shape \(2, 2\), expected \(2, 1\)"),
        ({"running": [[1.0], [2.0]]}, r"running\[1, 0\] is 2; it is finite, and 0 in terminal states"),
        ({"running": [[np.nan], [0.0]]}, r"running\[0, 0\] is nan"),
        ({"running": [[1.0], [0.0]], "objective": functional("quadratic")}, "quadratic is no utility with f"),
        ({"running": [[1.0], [0.0]], "objective": functional("ess_inf")}, "ess_inf is no utility with f"),
        ({"outcomes": Outcomes(*COIN[:3], [0.25, 0.75, 1.0], 2, 1)}, r"mean reward r\[0, 0\] is 1.5, but 1 in"),
        ({"outcomes": Outcomes([0, 1, 2], [0, 1], [1.0, 0.0], [1.0, 1.0], 2, 1)}, r"P\[0, 0, 0\] is 1, but 0 in"),
        ({"outcomes": Outcomes.of(_random(0, by_next=True))}, "outcomes are for S=3, A=2; the model has S=2, A=1"),
        (
            {"outcomes": Outcomes([0, 1, 3], [1, 1, 1], [1.0, -1.0, 1.0], [1.0, 0.5, 0.5], 2, 1)},
            r"outcomes.reward\[1\] is -1 in terminal state 1, action 0",
        ),
    ],
)
def test_bad_problems_are_named(arguments, message):
    arguments = {"mdp": _mdp(), "objective": functional("target"), **arguments}
    with pytest.raises(ValueError, match=message):
        StockMDP(arguments.pop("mdp"), arguments.pop("objective"), **arguments)


def test_gamma_one_needs_a_horizon_or_an_end():
    with pytest.raises(ValueError, match="gamma is 1 without a horizon"):
        StockMDP(MDP([[[1.0]]], [[1.0]], 1.0), functional("mean"))
    assert StockMDP(MDP([[[1.0]]], [[1.0]], 1.0, horizon=3), functional("mean")).horizon == 3
    assert StockMDP(_mdp(gamma=1.0), functional("mean")).horizon is None
