"""The published stock problems: layout, and the numbers printed for them as far as a plan without memory shows them."""

import inspect
import itertools

import numpy as np
import pytest

from mdplab import instances
from mdplab.models import CVaR, FiniteLaw, StockMDP, cvar, ocvar

UP, DOWN, LEFT, RIGHT, STAY = range(5)
# Printed numbers have five digits.
PRINTED = 6e-6
# Sums of at most sixteen terms of one magnitude.
ROUNDING = 1e-14


def _law(problem: StockMDP, plan):
    """The law of the return of a sequence of actions, and the number of decisions before each end, by enumeration."""
    paths = [(problem.start, 0.0, 1.0)]
    for t, a in enumerate(plan):
        paths = [
            (to, y + problem.gamma**t * reward, q * prob)
            for s, y, q in paths
            for to, reward, prob in zip(*problem.outcomes.row(s, a), strict=True)
        ]
    ends = {s for s, _, _ in paths}
    return FiniteLaw.of([y for _, y, _ in paths], [q for _, _, q in paths]), ends


@pytest.mark.parametrize("name", sorted(instances.STOCK_NAMES))
def test_every_problem_builds_and_names_its_source(name):
    first, second = instances.build(name), instances.build(name)
    assert isinstance(first, StockMDP)
    assert first.mdp.digest() == second.mdp.digest()
    np.testing.assert_array_equal(first.outcomes.reward, second.outcomes.reward)
    assert "Source" in inspect.getdoc(instances.STOCK_NAMES[name])
    assert getattr(instances, name) is instances.STOCK_NAMES[name]


@pytest.mark.parametrize("name", [name for name in sorted(instances.STOCK_NAMES) if name.endswith("grid")])
def test_grids_take_a_horizon_and_end_where_they_should(name):
    problem = instances.build(name, horizon=16)
    assert (problem.horizon, problem.S, problem.start) == (16, 16, 0)
    terminal = {
        "generate_returns_grid": [15],
        "halving_grid": [15],
        "risk_averse_grid": [3, 12],
        "risk_seeking_grid": [3, 6, 7, 9, 10, 11, 12, 13, 14, 15],
        "constraint_grid": [3, 11],
    }
    assert np.flatnonzero(problem.mdp.terminal).tolist() == terminal[name]


def test_moves_and_walls():
    problem = instances.generate_returns_grid()
    to = np.array([[problem.outcomes.row(s, a)[0][0] for a in range(5)] for s in range(15)])
    assert to[0].tolist() == [0, 4, 0, 1, 0]
    assert to[5].tolist() == [1, 9, 4, 6, 5]
    assert to[11].tolist() == [7, 15, 10, 11, 11]


def test_returns_are_generated_as_printed():
    problem = instances.generate_returns_grid()
    g = problem.gamma
    # Two sure rewards of 2, at times 2 and 3, and then the end; staying on the corner pays again, a wall too.
    for last in (STAY, UP, RIGHT):
        law, ends = _law(problem, [RIGHT, RIGHT, RIGHT, last, DOWN, DOWN, DOWN])
        assert ends == {15}
        np.testing.assert_allclose(law.x, 2 * g**2 + 2 * g**3, rtol=ROUNDING)
    law, _ = _law(problem, [DOWN, DOWN, DOWN, RIGHT, LEFT])
    np.testing.assert_allclose(law.x, -(g**2) - g**4, rtol=ROUNDING)
    # 1 - 2**-14: what is printed for 16 steps as 0.99994.
    law, _ = _law(instances.halving_grid(), [RIGHT] * 16)
    np.testing.assert_array_equal(law.x, 1 - 2.0**-14)


def test_the_safe_and_the_risky_way_of_the_risk_averse_grid():
    problem = instances.risk_averse_grid()
    g = problem.gamma
    safe, ends = _law(problem, [DOWN, DOWN, DOWN])
    assert ends == {12}
    np.testing.assert_allclose(safe.x, [g**2], rtol=ROUNDING)
    risky, ends = _law(problem, [RIGHT, RIGHT, RIGHT])
    assert ends == {3}
    np.testing.assert_allclose(risky.x, [3 * g**2 - 2 * g, 3 * g**2], rtol=ROUNDING)  # rounding of sums of three
    np.testing.assert_allclose(risky.x, [0.98803, 2.98203], atol=PRINTED)
    assert risky.p.tolist() == [0.5, 0.5]
    printed = {0.502: 0.99597, 0.75: 1.65269, 0.9: 1.87425, 0.99: 1.97496}
    np.testing.assert_allclose([cvar(risky, tau) for tau in printed], list(printed.values()), atol=PRINTED)
    assert cvar(risky, 0.501) < g**2 < cvar(risky, 0.502)


def test_all_plans_of_the_risk_seeking_grid():
    problem = instances.risk_seeking_grid()
    g = problem.gamma
    laws = [_law(problem, plan) for plan in itertools.product((0, 1), repeat=3)]
    assert set.union(*(ends for _, ends in laws)) == {3, 6, 9, 12}
    laws = [law for law, _ in laws]
    np.testing.assert_allclose(max(law.x[-1] for law in laws), 1.5 * (1 + g + g * g), rtol=ROUNDING)
    np.testing.assert_allclose(max(law.mean for law in laws), 1 + g + g * g, rtol=ROUNDING)
    np.testing.assert_allclose(max(ocvar(law, 0.125) for law in laws), 4.48651, atol=PRINTED)


def test_steps_and_second_return_of_the_constraint_grid():
    problem = instances.constraint_grid(50)
    assert np.array_equal(problem.running, np.where(problem.mdp.terminal[:, None], 0.0, -1.0) * np.ones((1, 5)))
    # Target 1: to the corner that pays, and on to the end: seven steps. Targets 0: straight to the end, in five.
    law, ends = _law(problem, [DOWN] * 3 + [RIGHT] * 3 + [UP])
    assert ends == {11}
    np.testing.assert_allclose(law.x, [0.994], atol=1e-4)  # printed with three digits
    law, ends = _law(problem, [DOWN, DOWN, RIGHT, RIGHT, RIGHT])
    assert (ends, law.x.tolist()) == ({11}, [0.0])
    law, ends = _law(problem, [RIGHT] * 3)
    assert ends == {3}
    np.testing.assert_allclose(law.x, [-5.982], atol=6e-4)  # likewise


def test_random_problems_are_the_family_of_the_specification():
    rng = np.random.default_rng(7)
    P = rng.dirichlet(np.ones(2), size=(2, 2))
    R = rng.choice([-1, 0, 1, 2], size=(2, 2, 2))
    problem = instances.random_stock(7, 0.7, objective=CVaR(0.4))
    np.testing.assert_array_equal(problem.mdp.P, P)
    np.testing.assert_array_equal(problem.mdp.r_next, R)
    assert (problem.horizon, problem.start, problem.gamma) == (3, 0, 0.7)


@pytest.mark.parametrize("p", [0.05, 0.2, 0.25])
def test_the_loss_in_cvar_is_the_loss_in_utility_over_tau(p):
    problem = instances.cvar_suboptimal_pair(p, 0.25)
    good, bad = (_law(problem, [a])[0] for a in range(2))
    np.testing.assert_allclose(cvar(good, 0.25) - cvar(bad, 0.25), p / 0.25, rtol=ROUNDING)
    for c in (-2.0, -0.5, 0.0):
        loss = good.expect(lambda x, c=c: np.minimum(x + c, 0)) - bad.expect(lambda x, c=c: np.minimum(x + c, 0))
        np.testing.assert_allclose(loss, p, rtol=ROUNDING)


def test_randomisation_is_worth_something_in_ocvar():
    problem = instances.ocvar_randomisation()
    sure, lottery = (_law(problem, [a])[0] for a in range(2))
    assert (ocvar(sure, 0.5), ocvar(lottery, 0.5)) == (1.0, 1.2)
    weights = np.linspace(0, 1, 8)  # sevenths: 5/7 among them
    mixed = [ocvar(FiniteLaw.mixture([sure, lottery], [1 - w, w]), 0.5) for w in weights]
    assert np.argmax(mixed) == 5
    np.testing.assert_allclose(max(mixed), 10 / 7, rtol=ROUNDING)


def test_the_optimum_of_the_chow_instance():
    problem = instances.chow_gap()
    values = []
    for plan in itertools.product((0, 1), repeat=2):
        laws = [FiniteLaw.of(*problem.outcomes.row(s, a)[1:]) for s, a in zip((1, 2), plan, strict=True)]
        values.append(cvar(FiniteLaw.mixture(laws, [0.5, 0.5]), 0.5))
    assert max(values) == -1.0
    assert problem.objective.tau == 0.5


def test_the_risky_gridworld_has_a_band_of_danger():
    problem = instances.risky_gridworld(9)
    assert problem.mdp.terminal.sum() == 1
    assert problem.mdp.is_sparse
    coins = np.unique(problem.outcomes.next_state[problem.outcomes.reward == -0.5])
    assert np.unique(coins // 9).tolist() == [2, 3, 4, 5, 6]
    assert 4 * 9 not in coins
    np.testing.assert_allclose(problem.outcomes.mean_reward().max(), 0.9 - 0.1 * 0.01 * 0.5, rtol=ROUNDING)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: instances.cvar_suboptimal_pair(0.3, 0.2), r"p is 0\.3; expected a number in \(0, tau\]"),
        (lambda: instances.cvar_suboptimal_pair(0.3, 0), "tau is 0"),
        (lambda: instances.ocvar_randomisation(win=1.0), r"win is 1\.0"),
        (lambda: instances.risky_gridworld(2), "n is 2"),
        (lambda: instances.constraint_grid(0), "weight is 0"),
        (lambda: instances.halving_grid(gamma=0.0), "gamma is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
