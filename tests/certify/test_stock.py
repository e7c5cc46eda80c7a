"""Values on stocks and static tail risk: true certificates are accepted, and nothing that is accepted is false."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.certify.stock import possible_returns
from mdplab.models import MDP, CVaR, OCVaR, StockMDP, functional
from tests.certify.laws_by_hand import (
    answer,
    best_value,
    coin_or_safe,
    edited,
    random_model,
    stock_certificate,
    value_of_table,
)

LEVELS = ("float", "exact")
UTILITIES = {
    "target": lambda y: -abs(y),
    "negative_part": lambda y: min(y, Fraction(0)),
    "positive_part": lambda y: max(y, Fraction(0)),
    "quadratic": lambda y: -y * y,
    "step": lambda y: Fraction(int(y > Fraction(1e-9))),
}


def problem_of(seed, name, gamma=1.0, horizon=2):
    return StockMDP(random_model(np.random.default_rng([42, seed]), gamma=gamma, horizon=horizon), functional(name))


@pytest.mark.parametrize("name", UTILITIES)
@pytest.mark.parametrize("gamma", [1.0, 0.75])
def test_backward_induction_is_accepted(name, gamma):
    problem = problem_of(0, name, gamma)
    good = stock_certificate(problem, UTILITIES[name], [-0.5, 0.25])
    for level in LEVELS:
        report = check(problem, good, level=level)
        assert report, report.reason


def split(problem, claim):
    ptr = claim.certificate.data["grid_ptr"]
    grids = [claim.certificate.data["grid"][i:j] for i, j in pairwise(ptr)]
    cuts = np.cumsum([problem.S * len(y) for y in grids])
    blocks = {n: np.split(claim.certificate.data[n], cuts[:-1])[0].reshape(problem.S, -1) for n in ("lo", "hi")}
    tables = [x.reshape(problem.S, -1) for x in np.split(claim.policy, cuts[:-2])]
    return grids, blocks["lo"], blocks["hi"], tables


@pytest.mark.parametrize("name", ["target", "negative_part", "quadratic"])
def test_nothing_false_is_accepted_in_stages(name):
    f, rng, accepted = UTILITIES[name], np.random.default_rng([42, 7]), 0
    problem = problem_of(1, name)
    good = stock_certificate(problem, f, [-0.5, 0.25], margin=1e-9)
    data = good.certificate.data
    for trial in range(150):
        parts = {n: np.array(data[n]) for n in ("lo", "hi", "grid")}
        policy, value = np.array(good.policy), np.array(good.value)
        size = 10.0 ** -rng.integers(1, 16)
        what = ("lo", "hi", "grid", "policy", "value")[trial % 5]
        if what == "policy":
            policy[rng.integers(len(policy))] ^= 1
        else:
            target = value.reshape(-1) if what == "value" else parts[what]
            target[rng.choice(np.flatnonzero(np.isfinite(target)))] += size * rng.choice([-1, 1])
        gap = float(rng.choice([good.certificate.gap, size, 10 * size, 1.0]))
        claim = edited(good, **parts, policy=policy, value=value, gap=gap)
        for level in LEVELS:
            if not check(problem, claim, level=level):
                continue
            accepted += 1
            grids, lo, hi, tables = split(problem, claim)
            for s in range(problem.S):
                for k, y in enumerate(grids[0]):
                    best = best_value(problem, f, s, Fraction(float(y)))
                    own = value_of_table(problem, f, grids, tables, s, k)
                    assert lo[s, k] <= own <= best <= hi[s, k]
                    assert abs(Fraction(float(claim.value[s, k])) - best) <= Fraction(gap)
                    assert best - own <= Fraction(gap)
    assert accepted >= 40


def test_coarse_stocks_cost_the_slope():
    # One step of reward 0.25 for sure; the only stock of stage 1 misses it by 0.25.
    problem = StockMDP(MDP([[[1.0]]], [[0.25]], 1.0, horizon=1), functional("target"))
    data = {"grid_ptr": np.array([0, 1, 2]), "grid": np.array([1.0, 1.0]), "lo": np.array([-1.25, -1.0])}
    claim = answer("stock", [[-1.0]], np.zeros(1, dtype=np.int64), 0.5, **data, hi=np.array([-0.75, -1.0]))
    assert check(problem, claim, level="exact")
    for name, worse in (("lo", [-1.24, -1.0]), ("hi", [-0.76, -1.0])):
        assert not check(problem, edited(claim, **{name: np.array(worse)}), level="exact")
    # What is inductive must be right at the end, too; and so must the policy.
    assert "end" in check(problem, edited(claim, lo=np.array([-0.25, 0.0]), value=[[-0.5]], hi=np.zeros(2))).reason
    assert "end" in check(problem, edited(claim, lo=np.full(2, -9.0), value=[[-1.7]], hi=np.array([-1.7, -2.0]))).reason
    assert "no available action" in check(problem, edited(claim, policy=np.array([5]))).reason
    # Where the utility jumps no slope pays for it.
    step = problem.replace(objective=functional("step"))
    claim = edited(claim, lo=np.ones(2), hi=np.ones(2), value=[[1.0]])
    assert "jumps" in check(step, claim).reason


def test_a_pair_must_lead_to_claimed_pairs():
    problem = problem_of(0, "target")
    good = stock_certificate(problem, UTILITIES["target"], [0.25])
    lo, hi = np.array(good.certificate.data["lo"]), np.array(good.certificate.data["hi"])
    k = len(lo) - 1 - int(np.argmax(np.isfinite(lo[::-1])))
    lo[k], hi[k] = -np.inf, np.inf
    assert "nothing is claimed" in check(problem, edited(good, lo=lo, hi=hi)).reason
    hi[k] = 0.0
    assert "one side" in check(problem, edited(good, lo=lo, hi=hi)).reason


def test_stages_end_where_nothing_more_happens():
    problem = problem_of(0, "target")
    good = stock_certificate(problem, UTILITIES["target"], [0.25])
    endless = problem.replace(mdp=problem.mdp.replace(horizon=None, gamma=0.5), outcomes=None)
    assert "must be terminal" in check(endless, good).reason
    longer = problem.replace(mdp=problem.mdp.replace(horizon=3), outcomes=None)
    assert "horizon 3" in check(longer, good).reason


@pytest.mark.parametrize("name", ["tanh", "exponential", "ess_inf", "ess_sup", "all_nonnegative", "mean"])
def test_other_functionals_by_their_solver(name):
    from mdplab.exact.stock.finite import distributional_value_iteration

    for gamma in (1.0, 0.75):
        problem = problem_of(3, name, gamma)
        claim = distributional_value_iteration(problem, 0.25, heuristic=True)
        for level in LEVELS:
            report = check(problem, claim, level=level)
            assert report, report.reason
        hi = claim.certificate.data["hi"] - 1e-3
        assert not check(problem, edited(claim, hi=hi))


def grid_claim(name, margin=0.0, **more):
    """`coin_or_safe`: negative parts play safe, V = min(c + 1, 0); positive ones toss, V = (c_+ + (c + 2)_+) / 2."""
    grid = np.array([-2.0, -1.0, 0.0, 1.0])
    f = np.minimum if name == "negative_part" else np.maximum
    v = f(grid + 1, 0) if name == "negative_part" else (f(grid, 0) + f(grid + 2, 0)) / 2
    table = np.stack([v, f(grid, 0)])
    lift = margin * np.array([[1.0], [0.0]])
    policy = np.full((2, 4), int(name == "positive_part"))
    data = {"grid": grid, "lo": table - lift, "hi": table + lift}
    return answer("stock", table, policy, 3 * margin, **data)


def true_values(name, policy, grid, c):
    """Value of the table's policy and optimum of state 0 with stock c, exactly."""
    f = (lambda y: min(y, Fraction(0))) if name == "negative_part" else (lambda y: max(y, Fraction(0)))
    q = (f(c + 1), (f(c) + f(c + 2)) / 2)
    gaps = [abs(Fraction(float(g)) - c) for g in grid]
    own = min(q[policy[0, k]] for k in range(len(grid)) if gaps[k] == min(gaps))
    return own, max(q)


@pytest.mark.parametrize("name", ["negative_part", "positive_part"])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_tables_on_a_grid_hold_at_all_stocks(name, gamma):
    problem = coin_or_safe(functional(name), gamma)
    assert check(problem, grid_claim(name), level="exact")
    report = check(problem, grid_claim(name, margin=1e-12))
    assert report, report.reason


@pytest.mark.parametrize("name", ["negative_part", "positive_part"])
def test_nothing_false_is_accepted_on_a_grid(name):
    problem, rng, accepted = coin_or_safe(functional(name)), np.random.default_rng([42, 9]), 0
    for trial in range(300):
        good = grid_claim(name, margin=1e-12 if trial % 2 else 1e-2)
        parts = {n: np.array(good.certificate.data[n]) for n in ("lo", "hi", "grid")}
        policy, size = np.array(good.policy), 10.0 ** -rng.integers(1, 16)
        what = ("lo", "hi", "grid", "policy")[rng.integers(4)]
        if what == "policy":
            policy[0, rng.integers(4)] ^= 1
        elif what == "grid":
            parts["grid"][rng.choice([0, 1, 3])] += size * rng.choice([-1, 1])
        else:
            parts[what][0, rng.integers(4)] += size * rng.choice([-1, 1])
        claim = edited(good, **parts, policy=policy, gap=1.0)
        for level in LEVELS:
            if not check(problem, claim, level=level):
                continue
            accepted += 1
            grid = parts["grid"]
            for c in [Fraction(n, 8) for n in range(-24, 17)] + [Fraction(float(g)) for g in grid]:
                own, best = true_values(name, policy, grid, c)
                ends = []
                for h, left, right in ((parts["lo"], *sides(name)), (parts["hi"], *sides(name))):
                    ends.append(linear(grid, h[0], left, right, c))
                assert ends[0] <= own <= best <= ends[1], trial
    assert accepted >= 60


def sides(name):
    return (1, 0) if name == "negative_part" else (0, 1)


def linear(grid, values, left, right, c):
    g, v = [Fraction(float(x)) for x in grid], [Fraction(float(x)) for x in values]
    if c <= g[0]:
        return v[0] + left * (c - g[0])
    if c >= g[-1]:
        return v[-1] + right * (c - g[-1])
    k = max(i for i in range(len(g) - 1) if g[i] <= c)
    return v[k] + (c - g[k]) / (g[k + 1] - g[k]) * (v[k + 1] - v[k])


@pytest.mark.parametrize(("name", "words"), [("negative_part", "T hi <= hi"), ("positive_part", "lo <= T_pi lo")])
def test_tables_that_are_right_on_the_grid_and_wrong_between_are_refused(name, words):
    good, problem = grid_claim(name), coin_or_safe(functional(name))
    # Without the corner of V: the chord is below a concave V, above a convex one.
    kept = [0, 2, 3] if name == "negative_part" else [1, 2, 3]
    if name == "positive_part":
        kept, good = [0, 1, 3], edited(good, grid=np.array([-4.0, -1.0, 0.0, 1.0]))
        parts = {
            "lo": np.array([[-0.5, 0.5, 1.0, 2.0], [0, 0, 0, 1.0]]),
            "hi": np.array([[1, 2, 2, 3.0], [0, 0, 0, 1]]),
        }
        claim = edited(good, **parts, value=parts["lo"], gap=3.0)
    else:
        data = {n: good.certificate.data[n][..., kept] for n in ("grid", "lo", "hi")}
        claim = edited(good, **data, value=good.value[:, kept], policy=good.policy[:, kept], gap=2.0)
    for level in LEVELS:
        assert words in check(problem, claim, level=level).reason


def test_ends_of_the_policys_cells_are_looked_at():
    # Between stocks -2 and 0 safe has min(c + 1, 0), risky c / 2; cells end at -1.
    problem, good = coin_or_safe(functional("negative_part")), grid_claim("negative_part")
    grid = np.array([-2.0, 0.0, 1.0])
    lo = np.stack([np.minimum(grid + 1, 0), np.minimum(grid, 0)])
    hi = lo + np.array([[0.5], [0.0]])
    claim = edited(good, grid=grid, lo=lo, hi=hi, value=lo, policy=np.zeros((2, 3), dtype=np.int64), gap=1.0)
    assert check(problem, claim, level="exact")
    # Risky from -1 up: c / 2, just the chord of lo.
    risky = np.array([[0, 1, 0], [0, 0, 0]])
    assert check(problem, edited(claim, policy=risky), level="exact")
    # Above the chord only between the stocks of the grid and beyond its cell's corners.
    high = lo + np.array([[0.0, 0.125, 0.0], [0.0, 0.0, 0.0]])
    report = check(problem, edited(claim, lo=high, value=high, policy=risky), level="exact")
    assert "lo <= T_pi lo fails" in report.reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"grid": np.array([-2.0, -1.0, -1.0, 1.0])}, "increase"),
        ({"grid": np.array([-2.0, -1.0, 0.5, 1.0])}, "hold 0"),
        ({"grid": np.array([-2.0, -1.0, 0.0, np.inf])}, "inf"),
        ({"hi": np.full((2, 4), np.nan)}, "nan"),
        ({"lo": np.zeros((2, 3))}, "shape"),
        ({"lo": np.array([[-1, 0, 0, 0], [-2.0, -1.0, 0.1, 0.0]])}, "terminal"),
        ({"hi": np.array([[-1, 0, 0, 0], [-2.0, -1.1, 0.0, 0.0]])}, "terminal"),
        ({"policy": np.full((2, 4), 2)}, "action"),
        ({"policy": np.zeros((2, 4, 1), dtype=np.int64)}, "shape"),
        ({"policy": np.zeros((2, 4))}, "integers"),
        ({"value": np.full((2, 4), 5.0)}, "value"),
        ({"gap": -1.0}, "smaller"),
        ({"drop": ("hi",)}, "'hi'"),
    ],
)
def test_refusals_have_reasons(change, word):
    problem = coin_or_safe(functional("negative_part"))
    report = check(problem, edited(grid_claim("negative_part"), **change), level="exact")
    assert not report
    assert word in report.reason


def test_what_a_grid_cannot_hold_is_refused():
    good = grid_claim("negative_part", margin=1e-12)
    assert "horizon" in check(coin_or_safe(functional("negative_part"), horizon=1), good).reason
    assert "linear" in check(coin_or_safe(functional("tanh")), good).reason
    assert "how to optimise" in check(coin_or_safe(functional("median")), good).reason
    assert "StockMDP" not in check(coin_or_safe(functional("negative_part")), good).reason
    assert "MDP" in check(coin_or_safe(functional("negative_part")).mdp, good).reason
    loop = MDP(np.tile([[0.5, 0.5], [0.0, 1.0]], (2, 1, 1)).transpose(1, 0, 2), [[1.0, 1.0], [0.0, 0.0]], 1.0)
    assert "never terminate" in check(StockMDP(loop, functional("negative_part"), start=0), good).reason


def cvar_claim(tau=0.5, c0=-1.0, margin=1e-12, gap=1e-10):
    """From stock -1 safe is best: CVaR 1. At tau = 1 both have mean 1."""
    base = grid_claim("negative_part", margin=margin)
    return edited(base, kind="static-cvar", value=[1.0], gap=gap, tau=tau, c0=c0)


def test_static_cvar_on_a_grid():
    problem = coin_or_safe(CVaR(0.5))
    for level in LEVELS:
        report = check(problem, cvar_claim(), level=level)
        assert report, report.reason
    assert "tau" in check(problem, cvar_claim(tau=0.25)).reason
    assert "stocks" in check(problem, cvar_claim(c0=-1.5)).reason
    assert "smaller" in check(problem, cvar_claim(gap=1e-14)).reason
    assert "smaller" in check(problem, edited(cvar_claim(), value=[1.1])).reason
    # A weaker upper bound is a larger gap: the supremum is over all stocks.
    weak = cvar_claim().certificate.data["hi"] + np.array([[1.0], [0.0]])
    assert "smaller" in check(problem, edited(cvar_claim(), hi=weak)).reason
    assert check(problem, edited(cvar_claim(), hi=weak, gap=2.1))
    assert not check(problem, edited(cvar_claim(), value=[np.nan]))
    # From stock 0 the bound of the policy is min(1, 0) / tau = 0: the gap must say so.
    assert "smaller" in check(problem, cvar_claim(c0=0.0, gap=0.5)).reason
    assert check(problem, cvar_claim(c0=0.0, gap=1.1))
    assert "objective" in check(problem.replace(objective=OCVaR(0.5)), cvar_claim()).reason


def test_static_cvar_in_stages_needs_every_possible_return():
    from mdplab.exact.stock.finite_static import static_cvar_finite

    problem = problem_of(5, "mean", 0.75, horizon=3).replace(objective=CVaR(0.25))
    claim = static_cvar_finite(problem)
    for level in LEVELS:
        assert check(problem, claim, level=level)
    returns, error = possible_returns(problem, 3)
    assert error < 1e-12 * (1 + np.abs(returns).max())  # some dozen roundings of numbers of that size
    c0 = np.sort(-returns)
    only = stock_certificate(problem, UTILITIES["negative_part"], c0[::2])
    k = int(np.argmin(np.abs(c0[::2] - claim.extras["c0"])))
    fewer = edited(
        only, kind="static-cvar", value=claim.value, gap=10.0, tau=0.25, c0=float(only.certificate.data["grid"][k])
    )
    assert "possible" in check(problem, fewer).reason
    assert not check(problem, edited(claim, gap=1e-16))


def mixture_claim(weights=(2 / 7, 5 / 7), policies=((0, 0), (1, 0)), gap=1e-9):
    """A sure 1, or 2 with probability 0.3: alone 1 and 1.2 at tau = 1/2, mixed 10 / 7."""
    from mdplab.models import Outcomes

    mdp = MDP(np.tile([0.0, 1.0], (2, 2, 1)), [[1.0, 0.6], [0.0, 0.0]], 1.0, horizon=1)
    noise = Outcomes([0, 1, 3, 4, 5], [1] * 5, [1.0, 0.0, 2.0, 0.0, 0.0], [1.0, 0.7, 0.3, 1.0, 1.0], 2, 2)
    problem = StockMDP(mdp, OCVaR(0.5), outcomes=noise, start=0)
    c0 = -4 / 7
    ends = np.array([c0, c0 + 1, c0 + 2])
    hi = np.concatenate([[1 + c0 + 1e-12, np.inf], np.full(3, np.inf), np.maximum(ends, 0) + 1e-13])
    data = {"grid_ptr": np.array([0, 1, 4]), "grid": np.append(c0, ends), "hi": hi, "tau": 0.5}
    data |= {"c0": np.full(len(weights), c0), "weights": np.array(weights)}
    return problem, answer("static-ocvar", [10 / 7], np.array(policies), gap, **data)


def test_static_ocvar_of_a_mixture():
    problem, good = mixture_claim()
    for level in LEVELS:
        report = check(problem, good, level=level)
        assert report, report.reason
    # One policy alone, other weights: less than claimed.
    for weights, policies in (((1.0,), ((1, 0),)), ((0.5, 0.5), ((0, 0), (1, 0))), ((2 / 7, 5 / 7), ((1, 0), (0, 0)))):
        problem, claim = mixture_claim(weights, policies)
        assert "smaller" in check(problem, claim).reason
    for change, word in (
        ({"weights": np.array([0.5, 0.6])}, "probabilities"),
        ({"weights": np.array([1.5, -0.5])}, "probabilities"),
        ({"c0": np.array([0.0, 0.0])}, "not one of the stocks"),
        ({"policy": np.array([[0, 0]])}, "tables"),
        ({"policy": np.array([[0, 0], [2, 0]])}, "action"),
        ({"hi": np.append([1 / 7, np.inf], good.certificate.data["hi"][2:])}, "fails"),
        ({"tau": 0.25}, "tau"),
    ):
        report = check(problem, edited(good, **change))
        assert not report
        assert word in report.reason


def test_running_rewards_are_counted():
    from mdplab.exact.stock.finite import distributional_value_iteration

    base = problem_of(6, "target")
    problem = base.replace(running=np.array([[0.5, -1.0], [0.25, 0.0]]))
    claim = distributional_value_iteration(problem, 0.25)
    assert check(problem, claim)
    assert not check(base, claim)


def test_the_solver_on_a_grid_is_accepted():
    from mdplab.exact.stock.grid import stock_value_iteration

    problem = StockMDP(random_model(np.random.default_rng([42, 11]), gamma=0.75, horizon=None), functional("target"))
    claim = stock_value_iteration(problem, num_stocks=21)
    for level in LEVELS:
        report = check(problem, claim, level=level)
        assert report, report.reason
    for name, sign in (("lo", 1), ("hi", -1)):
        table = np.array(claim.certificate.data[name])
        # More than the gap at one stock: some neighbour must object.
        table[0, 10] += sign * 2 * claim.certificate.gap
        assert not check(problem, edited(claim, **{name: table}, value=claim.value, gap=10.0))
