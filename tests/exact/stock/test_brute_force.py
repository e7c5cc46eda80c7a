"""Enumeration of return laws: counted, simulated by hand, and never beaten."""

import itertools

import numpy as np
import pytest

from mdplab.exact.stock.brute_force import brute_force, history_laws, tail_means
from mdplab.instances.stock_grids import random_stock
from mdplab.models import MDP, CVaR, FiniteLaw, OCVaR, Outcomes, StockMDP, cvar, functional, ocvar
from tests.exact.stock import tiny


def _law_of(problem, table):
    """Law of the return of the policy `table[history of states] -> action`, by enumeration of histories."""
    atoms = {((0,), 0.0): 1.0}
    for t in range(problem.horizon):
        after = {}
        for (history, gained), chance in atoms.items():
            row = problem.outcomes.row(history[-1], table[history])
            for to, r, q in zip(*row, strict=True):
                key = ((*history, int(to)), gained + problem.gamma**t * r)
                after[key] = after.get(key, 0.0) + chance * q
        atoms = after
    return FiniteLaw.of([gained for _, gained in atoms], list(atoms.values()), merge=1e-11)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_every_policy_with_memory_has_one_of_the_laws_and_each_law_a_policy(gamma):
    problem = random_stock(5, gamma)
    histories = [(0,), *((0, s) for s in range(2)), *((0, s, t) for s in range(2) for t in range(2))]
    laws = tiny.laws(gamma)[5]
    seen = set()
    for actions in itertools.product(range(2), repeat=len(histories)):
        law = _law_of(problem, dict(zip(histories, actions, strict=True)))
        spread = np.zeros(laws.support.size)
        spread[np.abs(laws.support[:, None] - law.x).argmin(axis=0)] = law.p
        distance = np.abs(laws.masses - spread).max(axis=1)
        # Products of three probabilities, summed in another order.
        assert distance.min() < 1e-12
        seen.add(int(distance.argmin()))
    assert seen == set(range(laws.masses.shape[0]))


def test_laws_are_laws():
    for gamma in (1.0, 0.7):
        for laws in tiny.laws(gamma)[:40]:
            assert laws.masses.shape[0] <= 128
            assert (np.diff(laws.support) > 0).all()
            assert (laws.masses >= 0).all()
            np.testing.assert_allclose(laws.masses.sum(axis=1), 1, rtol=0, atol=1e-14)  # sums of eight products


def test_best_values_by_the_library_and_by_the_shared_table_agree():
    for name in tiny.NAMES:
        for seed in (0, 7):
            problem = random_stock(seed, 0.7, objective=tiny.objective(name))
            values = [brute_force(problem, c0, laws=tiny.laws(0.7)[seed]).value for c0 in tiny.STOCKS]
            # Sums of at most eight atoms.
            np.testing.assert_allclose(values, tiny.best(name, 0.7)[seed], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tau", [0.05, 0.3, 0.5, 1.0])
def test_tail_means_are_the_models_own(tau):
    laws = tiny.laws(0.7)[2]
    for i in range(0, laws.masses.shape[0], 7):
        # A sum of at most eight atoms divided by tau.
        assert tail_means(laws, tau)[i] == pytest.approx(cvar(laws.law(i), tau), rel=0, abs=1e-12)
        assert tail_means(laws, tau, upper=True)[i] == pytest.approx(ocvar(laws.law(i), tau), rel=0, abs=1e-12)


def test_the_best_law_has_the_best_value():
    for objective, evaluate in ((CVaR(0.3), cvar), (OCVaR(0.3), ocvar)):
        answer = brute_force(random_stock(1, 0.7, objective=objective))
        # As above.
        assert evaluate(answer.law, 0.3) == pytest.approx(answer.value, rel=0, abs=1e-12)


def test_first_states_may_be_drawn():
    """With a start distribution the law is a mixture, and what is done after each first state is chosen jointly."""
    mdp = MDP(np.eye(2)[:, None, :].repeat(2, axis=1), [[0.0, 1.0], [0.0, 2.0]], 1.0, horizon=1)
    problem = StockMDP(mdp, functional("target"), start=[0.25, 0.75])
    laws = history_laws(problem)
    assert laws.masses.shape == (4, 3)
    # -1 from state 0 cannot be avoided together with 2 from state 1: 0.25 |1 - 2| + 0.75 |2 - 2|.
    assert brute_force(problem, -2.0).value == -0.25


def test_limits_are_enforced():
    with pytest.raises(ValueError, match="max_laws=10"):
        history_laws(random_stock(0), max_laws=10)
    problem = random_stock(0)
    with pytest.raises(ValueError, match="start is None"):
        history_laws(StockMDP(problem.mdp, functional("mean")))
    loop = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="may never terminate"):
        history_laws(StockMDP(loop, functional("mean"), start=0))


def test_noise_in_rewards_counts():
    mdp = MDP([[[1.0]]], [[1.0]], 1.0, horizon=2)
    coin = Outcomes([0, 2], [0, 0], [0.0, 2.0], [0.5, 0.5], 1, 1)
    laws = history_laws(StockMDP(mdp, functional("mean"), outcomes=coin, start=0))
    assert laws.support.tolist() == [0.0, 2.0, 4.0]
    assert laws.masses.tolist() == [[0.25, 0.5, 0.25]]
