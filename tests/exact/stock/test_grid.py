"""Stock grids: brackets that hold, agree with finer ones and with exact answers, and are refused when tampered with."""

import dataclasses

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact.stock.finite import stock_backward_induction
from mdplab.exact.stock.grid import stock_policy_iteration, stock_value_iteration
from mdplab.exact.stock.operator import Rows
from mdplab.exact.stock.placing import lattice_step, stock_range, uniform
from mdplab.models import MDP, Certificate, Outcomes, SolverFailure, StockMDP, functional

KINDS = ("negative_part", "positive_part", "target", "mean")


def noisy(seed: int, kind: str, *, gamma: float = 0.7, ends: bool = True, running: bool = False) -> StockMDP:
    """Three states (the last terminal if `ends`), two actions, two rewards for each next state."""
    rng = np.random.default_rng([80, seed])
    S, A = 3, 2
    P = rng.dirichlet(np.ones(S), size=(S, A))
    live = 2 if ends else 3
    indptr, to, reward, prob = [0], [], [], []
    for s in range(S):
        for a in range(A):
            if s >= live:
                to, reward, prob = [*to, s], [*reward, 0.0], [*prob, 1.0]
            else:
                for t in range(S):
                    split = rng.random()
                    to += [t, t]
                    reward += rng.choice([-1.0, 0.0, 0.5, 1.3], size=2, replace=False).tolist()
                    prob += [P[s, a, t] * split, P[s, a, t] * (1 - split)]
            indptr.append(len(to))
    outcomes = Outcomes(np.array(indptr), np.array(to), np.array(reward), np.array(prob), S, A)
    linear = rng.normal(size=(S, A)) * (np.arange(S) < live)[:, None] if running else None
    mdp = MDP(outcomes.kernel(), outcomes.mean_reward(), gamma)
    return StockMDP(mdp, functional(kind), outcomes=outcomes, start=0, running=linear)


def acyclic(seed: int, kind: str, gamma: float) -> StockMDP:
    """Three layers of two states, then the end; rewards are halves."""
    rng = np.random.default_rng([81, seed])
    P, r = np.zeros((7, 2, 7)), np.zeros((7, 2, 7))
    for s in range(6):
        after = [6] if s >= 4 else [2 * (s // 2) + 2, 2 * (s // 2) + 3, 6]
        P[s][:, after] = rng.dirichlet(np.ones(len(after)), size=2)
        r[s][:, after] = rng.integers(-2, 4, size=(2, len(after))) / 2
    P[6, :, 6] = 1
    return StockMDP(MDP(P, r, gamma), functional(kind), start=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ends", [True, False])
def test_brackets_hold_and_finer_ones_lie_inside(kind, ends):
    problem = noisy(1 + ends, kind, ends=ends, running=ends)
    coarse = stock_value_iteration(problem, num_stocks=41)
    fine = stock_policy_iteration(problem, num_stocks=801)
    assert check(problem, coarse).ok
    assert check(problem, fine).ok
    # Twenty times the stocks; what the two leave is quadratic at best, and for the mean rounding alone.
    assert fine.certificate.gap < 0.1 * coarse.certificate.gap or fine.certificate.gap < 1e-6
    grid, data = coarse.extras["grid"], fine.certificate.data
    # Between fine stocks the bounds are linear; coarse ones beyond the fine grid are left out.
    inside = (grid >= data["grid"][0]) & (grid <= data["grid"][-1])
    for s in range(problem.S):
        low, high = (np.interp(grid[inside], data["grid"], data[name][s]) for name in ("lo", "hi"))
        assert np.all(coarse.certificate.data["lo"][s, inside] <= high)
        assert np.all(coarse.certificate.data["hi"][s, inside] >= low)


@pytest.mark.parametrize("seed", range(12))
def test_random_problems_pass_the_referee(seed):
    kind = KINDS[seed % 3]
    problem = noisy(10 + seed, kind, ends=bool(seed % 2), running=seed % 3 == 0, gamma=(0.5, 0.8, 0.95)[seed % 3])
    answer = stock_value_iteration(problem, num_stocks=61)
    assert check(problem, answer).ok
    if seed < 3:
        assert check(problem, answer, level="exact").ok


@pytest.mark.parametrize("kind", ["negative_part", "positive_part", "target"])
@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_agrees_with_all_reachable_stocks(kind, gamma):
    for seed in range(3):
        problem = acyclic(seed, kind, gamma)
        answer = stock_value_iteration(problem, num_stocks=201)
        assert check(problem, answer).ok
        grid, data = answer.extras["grid"], answer.certificate.data
        for c0 in (-2.5, -1.0, 0.0):
            exact = float(stock_backward_induction(problem, c0).value[0, 0])
            low, high = (float(np.interp(c0, grid, data[name][0])) for name in ("lo", "hi"))
            # The exact solver's own rounding.
            assert low <= exact + 1e-9
            assert high >= exact - 1e-9
            if gamma == 1:
                # All stocks that occur from here are on the grid, so nothing but rounding is left.
                assert high - low < 1e-9


def test_refines_until_the_tolerance_is_met_and_says_when_it_cannot():
    problem = noisy(3, "negative_part", gamma=0.5)
    answer = stock_value_iteration(problem, tol=1e-3)
    assert answer.certificate.gap <= 1e-3
    assert check(problem, answer).ok
    with pytest.raises(SolverFailure, match=r"certified gap .* a step of about"):
        stock_value_iteration(problem, stock_step=0.2, tol=1e-6)
    with pytest.raises(SolverFailure, match=r"stock_step 1e-09 needs about .* fits"):
        stock_value_iteration(problem, stock_step=1e-9)


@pytest.mark.parametrize(("name", "by"), [("lo", 1e-3), ("hi", -1e-3)])
def test_bounds_that_are_moved_inwards_are_refused(name, by):
    problem = noisy(4, "negative_part")
    answer = stock_value_iteration(problem, num_stocks=41)
    table = answer.certificate.data[name].copy()
    # Where anything is at stake the inequalities of the next state's row bind.
    middle = table.shape[1] // 2
    table[:2, middle] += by * 100
    data = {**answer.certificate.data, name: table}
    forged = dataclasses.replace(answer, certificate=Certificate("stock", answer.certificate.gap, {}, data))
    assert not check(problem, forged).ok


def test_a_policy_changed_for_the_worse_is_refused():
    problem = noisy(5, "target")
    answer = stock_value_iteration(problem, num_stocks=41)
    forged = dataclasses.replace(answer, policy=1 - answer.policy)
    assert not check(problem, forged).ok


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stock_step": 0.0}, "stock_step is 0.0"),
        ({"num_stocks": 2}, "num_stocks is 2"),
        ({"num_stocks": 5, "stock_step": 0.1}, "at most one"),
        ({"stock_grid": [-1.0, 0.0, 0.0, 1.0]}, r"stock_grid\[2\] is 0 after 0"),
        ({"stock_grid": [-1.0, 0.5, 1.0]}, "does not hold 0"),
        ({"tol": -1.0}, "tol is -1.0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        stock_value_iteration(noisy(6, "target"), **options)


def test_what_theory_or_grids_cannot_do_is_refused():
    problem = noisy(7, "target")
    for kind, why in (("quadratic", "not Lipschitz"), ("tanh", "no alpha"), ("median", "mixtures")):
        with pytest.raises(ValueError, match=why):
            stock_value_iteration(problem.replace(objective=functional(kind)))
    with pytest.raises(ValueError, match="horizon is 3"):
        stock_value_iteration(problem.replace(mdp=problem.mdp.replace(horizon=3)))
    looping = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="gamma is 1 and the model has cycles"):
        stock_value_iteration(StockMDP(looping, functional("target")))


def test_the_callers_own_stocks_are_used():
    problem = noisy(8, "negative_part")
    grid = np.array([-3.0, -1.0, -0.5, 0.0, 1.0])
    answer = stock_value_iteration(problem, stock_grid=grid)
    np.testing.assert_array_equal(answer.extras["grid"], grid)
    # Few stocks make a wide bracket, a true one all the same.
    assert check(problem, answer).ok


def test_ranges_steps_and_lattices():
    rows = Rows.of(noisy(9, "negative_part"))
    low, high = stock_range(rows, 1.0, 0.0)
    # The rewards lie in [-1, 1.3].
    assert -1.3 / 0.3 - 1e-9 <= low < 0 <= high <= 1 / 0.3 + 1e-9
    assert stock_range(rows, 1.0, 1.0)[1] >= high
    grid = uniform(-1.0, 0.55, 0.1)
    assert 0.0 in grid
    assert grid[0] <= -1.0 + 1e-12
    assert grid[-1] >= 0.55
    assert lattice_step(Rows.of(acyclic(0, "target", 1.0))) == 0.5
