"""Dynamic programming on reachable stocks: against brute force, against itself, and under the referee's eyes."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact.stock.brute_force import brute_force
from mdplab.exact.stock.finite import (
    distributional_policy_iteration,
    distributional_value_iteration,
    reachable_from,
    stock_backward_induction,
)
from mdplab.instances.stock_grids import random_stock
from mdplab.models import (
    MDP,
    Certificate,
    CVaR,
    FiniteLaw,
    Outcomes,
    Solution,
    StockMDP,
    can_optimise,
    cvar,
    functional,
)
from tests.exact.stock import tiny

# Sums of at most eight atoms of size at most e^7.3, the exponential's largest value at these stocks.
ROUNDING = 1e-10


def _values(solver, name, gamma, **options):
    problem = tiny.together(gamma).replace(objective=tiny.objective(name))
    return solver(problem, graph=tiny.graph(gamma), **options)


def _loss(name, gamma):
    return tiny.LOSSES.get(name, (0.0, 0.0))[0 if gamma == 1 else 1]


@pytest.mark.parametrize("gamma", [1.0, 0.7])
@pytest.mark.parametrize("name", tiny.NAMES)
def test_value_iteration_is_as_good_as_brute_force_where_theory_says_so_and_loses_where_it_does_not(name, gamma):
    best, allowed = tiny.best(name, gamma), _loss(name, gamma) == 0
    assert can_optimise(tiny.objective(name), gamma, horizon=3).ok == allowed
    if not allowed:
        with pytest.raises(ValueError, match="heuristic=True"):
            _values(distributional_value_iteration, name, gamma)
    answer = _values(distributional_value_iteration, name, gamma, heuristic=not allowed)
    assert answer.status == ("certified" if allowed else "heuristic")
    loss = best - answer.value[::2]
    assert loss.min() >= -ROUNDING
    if allowed:
        assert loss.max() <= ROUNDING
    else:
        # The table has three digits.
        assert loss[:40].max() == pytest.approx(_loss(name, gamma), abs=6e-4)


UTILITIES = [name for name in tiny.NAMES if tiny.objective(name).utility is not None]


@pytest.mark.parametrize(
    ("name", "gamma"), [(name, gamma) for name in UTILITIES for gamma in (1.0, 0.7) if _loss(name, gamma) == 0]
)
def test_policy_iteration_improves_until_optimal(name, gamma):
    answer = _values(distributional_policy_iteration, name, gamma)
    history = answer.extras["history"]
    assert answer.num_iters <= 4
    assert np.diff(history, axis=0).min() >= -ROUNDING
    np.testing.assert_allclose(answer.value[::2], tiny.best(name, gamma), rtol=0, atol=ROUNDING)
    # Theorem 8: exact after H improvements, and not before them everywhere.
    np.testing.assert_allclose(history[min(3, len(history) - 1)], tiny.best(name, gamma), rtol=0, atol=ROUNDING)
    assert (tiny.best(name, gamma) - history[0]).max() > 0.1


@pytest.mark.parametrize("gamma", [1.0, 0.7])
@pytest.mark.parametrize("name", [name for name in tiny.NAMES if name not in ("median", "cvar_direct", "mean_std")])
def test_backward_induction_in_first_money_is_exact_for_every_utility(name, gamma):
    answer = _values(stock_backward_induction, name, gamma)
    np.testing.assert_allclose(answer.value[::2], tiny.best(name, gamma), rtol=0, atol=ROUNDING)
    assert answer.status == "certified"
    assert answer.certificate.gap <= ROUNDING * (1 + np.abs(answer.value).max())


def test_policy_iteration_may_begin_anywhere():
    problem = random_stock(2, 0.7, objective=functional("target"))
    optimum = distributional_value_iteration(problem, tiny.STOCKS)
    again = distributional_policy_iteration(problem, tiny.STOCKS, policy=optimum.extras["policy"])
    assert again.num_iters == 0
    np.testing.assert_array_equal(again.value, optimum.value)
    # A tied action that is played already stays.
    idle = StockMDP(MDP([[[1.0]] * 3], [[1.0] * 3], 1.0, horizon=2), functional("mean"), start=0)
    last = distributional_value_iteration(idle, tie="last").extras["policy"]
    kept = distributional_policy_iteration(idle, policy=last)
    assert kept.num_iters == 0
    assert kept.extras["policy"].action(1, 0, 1.0) == 2


def test_policy_iteration_agrees_for_functionals_that_are_no_utility():
    for name in ("ess_inf", "ess_sup", "all_nonnegative"):
        for seed in range(10):
            problem = random_stock(seed, 0.7, objective=functional(name))
            answer = distributional_policy_iteration(problem, tiny.STOCKS)
            np.testing.assert_allclose(answer.extras["start_value"], tiny.best(name, 0.7)[seed], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
@pytest.mark.parametrize("name", [name for name in tiny.NAMES if name not in ("median", "cvar_direct", "mean_std")])
def test_the_referee_agrees(name, gamma):
    problem = random_stock(3, gamma, objective=tiny.objective(name))
    solvers = [distributional_value_iteration, stock_backward_induction]
    for solver in solvers:
        heuristic = {"heuristic": True} if _loss(name, gamma) and solver is distributional_value_iteration else {}
        answer = solver(problem, tiny.STOCKS, **heuristic)
        report = check(problem, answer)
        assert report, report.reason
        assert report.gap <= answer.certificate.gap
        assert heuristic or answer.certificate.gap <= ROUNDING * (1 + np.abs(answer.value).max())


def _dyadic(name):
    """Rewards and probabilities in eighths: everything is exact in floats."""
    rng = np.random.default_rng([4, 1])
    P = rng.multinomial(8, np.full(3, 1 / 3), size=(3, 2)) / 8
    R = rng.integers(-8, 9, size=(3, 2, 3)) / 8
    return StockMDP(MDP(P, R, 0.5, horizon=3), functional(name))


@pytest.mark.parametrize("name", ["target", "negative_part", "quadratic", "step", "ess_inf", "all_nonnegative"])
def test_the_exact_referee_agrees_on_dyadic_data(name):
    problem = _dyadic(name)
    answer = distributional_value_iteration(problem, [-1.0, 0.0, 0.75])
    report = check(problem, answer, level="exact")
    assert report, report.reason
    worse = answer.certificate.data["hi"].copy()
    worse[np.argmax(np.isfinite(worse))] -= 0.01
    forged = _with_data(answer, hi=worse)
    assert not check(problem, forged, level="exact")


def _with_data(answer, **changes):
    old = answer.certificate
    certificate = Certificate(old.kind, old.gap, {}, {**old.data, **changes})
    return Solution(answer.value, answer.policy, certificate, answer.method, 0, 0.0)


def test_no_problem_needs_a_start():
    problem = _dyadic("target")
    everywhere = distributional_value_iteration(problem, [-1.0, 0.5])
    assert everywhere.value.shape == (3, 2)
    for s in range(3):
        alone = distributional_value_iteration(problem.replace(start=s), [-1.0, 0.5])
        np.testing.assert_array_equal(alone.extras["start_value"], everywhere.value[s])
        for k in range(2):
            np.testing.assert_array_equal(alone.extras["laws"][k].x, everywhere.extras["laws"][s][k].x)
    mixed = distributional_value_iteration(problem.replace(start=[0.5, 0.25, 0.25]), [-1.0, 0.5])
    # Quarters of dyadic numbers are exact.
    np.testing.assert_array_equal(mixed.extras["start_value"], [0.5, 0.25, 0.25] @ everywhere.value)


def _rollout_law(problem, policy, c0):
    """Law of the return of a policy that carries its exact stock, by enumeration of all histories."""
    x, p = [], []

    def walk(t, s, c, gained, chance):
        if t == problem.horizon:
            x.append(gained)
            p.append(chance)
            return
        to, reward, prob = problem.outcomes.row(s, policy.action(t, s, c))
        for target, r, q in zip(to, reward, prob, strict=True):
            walk(t + 1, int(target), (c + r) / problem.gamma, gained + problem.gamma**t * r, chance * q)

    walk(0, 0, c0, 0.0, 1.0)
    return FiniteLaw.of(x, p)


def test_policies_act_on_the_stock_they_carry_and_have_the_law_that_is_returned():
    for seed in range(5):
        problem = random_stock(seed, 0.7, objective=functional("target"))
        answer = distributional_value_iteration(problem, -1.2)
        law = _rollout_law(problem, answer.extras["policy"], -1.2)
        claimed = answer.extras["laws"][0]
        # Sums of three rewards in another order.
        np.testing.assert_allclose(law.x, claimed.x, rtol=0, atol=1e-12)
        np.testing.assert_allclose(law.p, claimed.p, rtol=0, atol=1e-12)
        again = answer.extras["policy"].law(-1.2, problem.start_law).shift(1.2)
        np.testing.assert_allclose(again.x, claimed.x, rtol=0, atol=1e-12)  # as above
    with pytest.raises(ValueError, match="not reachable"):
        answer.extras["policy"].action(1, 0, 17.0)


def test_without_stock_some_problems_cannot_be_solved():
    """1.D-2: policies of stage and state alone never do better and sometimes worse, for a target and for CVaR."""
    gaps = {"target": [], "cvar": []}
    for seed in range(12):
        problem = random_stock(seed, 1.0)
        best_target = tiny.best("target", 1.0)[seed, 0]
        laws = [_markov_law(problem, code) for code in range(32)]
        f = functional("target")
        gaps["target"].append(best_target - max(f.evaluate(law.x - 1.5, law.p) for law in laws))
        best_cvar = brute_force(problem.replace(objective=CVaR(0.4)), laws=tiny.laws(1.0)[seed]).value
        gaps["cvar"].append(best_cvar - max(cvar(law, 0.4) for law in laws))
    for gap in gaps.values():
        assert min(gap) >= -ROUNDING
        assert max(gap) > 0.01


def _markov_law(problem, code):
    """Law of the return from state 0 when bit b of `code` is the action: of stage 0, then of stage 1 and 2 by state."""
    atoms = {(0, 0.0): 1.0}
    for t in range(3):
        after = {}
        for (s, gained), chance in atoms.items():
            action = (code >> (0 if t == 0 else 2 * t - 1 + s)) & 1
            for to, r, q in zip(*problem.outcomes.row(s, action), strict=True):
                key = (int(to), gained + r)
                after[key] = after.get(key, 0.0) + chance * q
        atoms = after
    return FiniteLaw.of([gained for _, gained in atoms], list(atoms.values()))


def test_ties_go_where_they_are_sent():
    mdp = MDP([[[1.0]] * 3], [[0.0, 1.0, 1.0]], 1.0, horizon=1)
    problem = StockMDP(mdp, functional("mean"), start=0)
    chosen = {}
    for name, tie in {"first": "first", "last": "last", "pick": lambda t, s, c, actions: actions[0]}.items():
        chosen[name] = distributional_value_iteration(problem, tie=tie).extras["policy"].action(0, 0, 0.0)
    assert chosen == {"first": 1, "last": 2, "pick": 1}
    with pytest.raises(ValueError, match="tied actions are"):
        distributional_value_iteration(problem, tie=lambda t, s, c, actions: 0)
    with pytest.raises(ValueError, match="tie is 'best'"):
        distributional_value_iteration(problem, tie="best")


def test_running_rewards_are_added():
    rng = np.random.default_rng([4, 2])
    for gamma in (1.0, 0.7):
        for seed in range(8):
            problem = random_stock(seed, gamma, objective=functional("negative_part"))
            problem = problem.replace(running=rng.integers(-1, 2, size=(2, 2)) / 2)
            best = [brute_force(problem, c0).value for c0 in tiny.STOCKS]
            for solver in (
                distributional_value_iteration,
                distributional_policy_iteration,
                stock_backward_induction,
            ):
                answer = solver(problem, tiny.STOCKS)
                np.testing.assert_allclose(answer.extras["start_value"], best, rtol=0, atol=ROUNDING)
            report = check(problem, answer)
            assert report, report.reason


def test_stocks_merge_only_within_the_tolerance():
    # Rewards 0.1, 0.2 and 0.3 in any order: sums differ in the last bit.
    mdp = MDP([[[1.0]] * 3], [[0.1, 0.2, 0.3]], 1.0, horizon=3)
    problem = StockMDP(mdp, functional("mean"), start=0)
    assert reachable_from(problem).stages[-1].money.size == 7
    assert reachable_from(problem, merge=0.0).stages[-1].money.size > 7


def test_episodes_that_end_need_no_horizon():
    rows = Outcomes([0, 1, 3, 4, 5], [1, 1, 1, 1, 1], [1.0, 0.0, 4.0, 0.0, 0.0], [1, 0.5, 0.5, 1, 1], 2, 2)
    mdp = MDP([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[1.0, 2.0], [0.0, 0.0]], 1.0)
    problem = StockMDP(mdp, functional("target"), outcomes=rows, start=0)
    answer = distributional_value_iteration(problem, [-4.0, -1.0])
    assert answer.extras["start_value"].tolist() == [-2.0, 0.0]
    report = check(problem, answer)
    assert report, report.reason


def test_what_cannot_be_done_is_refused():
    loop = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="may never terminate"):
        distributional_value_iteration(StockMDP(loop, functional("mean"), start=0))
    problem = random_stock(0)
    with pytest.raises(ValueError, match="max_nodes=10"):
        reachable_from(problem, tiny.STOCKS, max_nodes=10)
    with pytest.raises(ValueError, match="max_atoms=1"):
        distributional_value_iteration(problem, max_atoms=1)
    with pytest.raises(ValueError, match="c0 is"):
        distributional_value_iteration(problem, [1.0, 0.0])
    with pytest.raises(ValueError, match="c0 is"):
        distributional_value_iteration(problem, np.nan)
    with pytest.raises(ValueError, match="static_cvar"):
        distributional_value_iteration(random_stock(0, objective=CVaR(0.5)))
    with pytest.raises(ValueError, match="no expected utility"):
        stock_backward_induction(random_stock(0, objective=functional("median")))
    with pytest.raises(ValueError, match="unlike the problem"):
        distributional_value_iteration(problem, graph=tiny.graph(0.7))
    with pytest.raises(ValueError, match="overflows"):
        stock_backward_induction(random_stock(0, objective=functional("exponential", b=300.0)))
    other = distributional_value_iteration(problem, 0.5).extras["policy"]
    with pytest.raises(ValueError, match="another graph"):
        distributional_policy_iteration(problem, graph=reachable_from(problem), policy=other)
    with pytest.raises(ValueError, match="takes StockMDP"):
        distributional_value_iteration(problem.mdp)
