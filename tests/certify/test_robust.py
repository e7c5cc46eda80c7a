"""Honest robust certificates pass at both levels; corrupted ones are refused with what is wrong and where."""

from functools import cache

import numpy as np
import pytest
from certify import by_hand
from certify import robust_by_hand as robust
from certify.by_hand import edit

from mdplab.certify import check
from mdplab.models import MDP, Contamination, IntervalSet, L1Ball, ModelSet, NoiseSet, RobustMDP, TVBall

pytest.importorskip("flint")
LEVELS = pytest.mark.parametrize("level", ["float", "exact"])
# One support of each set: supports are compared with each other below.
ONCE = list({(name, rect): (name, rect, support) for name, rect, support in robust.CASES}.values())
CASES = pytest.mark.parametrize(("name", "rect", "support"), robust.CASES)


def problem_of(name, rect, support, key=8200, **options):
    rng = np.random.default_rng([key, sum(map(ord, f"{name}{rect}{support}"))])
    return robust.problem(name, rect, support, rng, **options)


def honest(name, rect, support, **options):
    problem = problem_of(name, rect, support, **options)
    return problem, robust.certified(problem)


@cache
def remember(name, rect, support):
    """An honest answer that several tests read."""
    return honest(name, rect, support)


@CASES
def test_honest_answers_pass(name, rect, support):
    problem, answer = remember(name, rect, support)
    for level in ("float", "exact"):
        report = check(problem, answer, level=level)
        assert report, report.reason
        assert report.gap <= answer.certificate.gap
        assert "lo <= V^pi <= V* <= hi" in report.speaks_about
        assert f"{rect}-rectangular {name} set, support {support}" in report.speaks_about


@pytest.mark.parametrize(("name", "rect", "support"), [c for c in robust.CASES if c[1] == "s" or c[2] == "nominal"])
def test_policies_are_evaluated(name, rect, support):
    problem = problem_of(name, rect, support, key=8201)
    weights = np.random.default_rng([8202]).dirichlet([1, 1], problem.S)
    answer = robust.certified(problem, weights=weights)
    for level in ("float", "exact"):
        report = check(problem, answer, level=level)
        assert report, report.reason
        assert "lo <= V^pi <= hi" in report.speaks_about


@pytest.mark.parametrize("options", [{"masked": True}, {"sparse": True}, {"next_rewards": True}], ids=str)
@pytest.mark.parametrize(("name", "rect"), [("l1", "s"), ("chi2", "sa"), ("models", "s"), ("interval", "sa")])
def test_models_of_every_shape(name, rect, options):
    support = "nominal" if name in ("chi2", "l1") else "all"
    problem, answer = honest(name, rect, support, **options)
    for level in ("float", "exact"):
        report = check(problem, answer, level=level)
        assert report, report.reason


@pytest.mark.parametrize("order", [1, 2, np.inf])
@pytest.mark.parametrize("rect", ["sa", "s"])
def test_noise(order, rect):
    mdp = robust.nominal(np.random.default_rng([8203]), zeros=False)
    problem = RobustMDP(mdp, NoiseSet(0.9 * mdp.P.min(), order=order, rectangularity=rect))
    answer = robust.certified(problem)
    for level in ("float", "exact"):
        assert check(problem, answer, level=level)
    wider = RobustMDP(mdp, NoiseSet(0.8 * mdp.P.min(), order=order, rectangularity=rect))
    assert not check(wider, answer)


@LEVELS
def test_one_state_of_value_two_is_proved_to_the_last_bit(level):
    problem = RobustMDP(MDP([[[1.0]]], [[1.0]], 0.5), L1Ball(0.1))
    answer = by_hand.answer(
        "robust", [2.0], [0], 0.0, lo=np.array([2.0]), hi=np.array([2.0]), kernel=np.ones((1, 1, 1))
    )
    report = check(problem, answer, level=level)
    # Floats cannot decide an equality; the exact level can.
    assert report.ok is (level == "exact")
    assert report or "within rounding" in report.reason


def test_a_matrix_that_is_no_row_of_the_models_may_be_a_combination():
    """The problem I-MP: two models, worst when mixed evenly, of value 4.5; row by row nature does better."""
    X, Y = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    X[0, 0, 1] = X[0, 1, 2] = Y[0, 0, 2] = Y[0, 1, 1] = 1
    X[1:, :, :] = Y[1:, :, :] = np.eye(3)[1:, None, :]
    mdp = MDP(X, [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]], 0.9)
    value, policy = np.array([4.5, 10.0, 0.0]), np.array([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]])
    for level in ("float", "exact"):
        problem = RobustMDP(mdp, ModelSet(np.stack([X, Y]), rectangularity="s"))
        answer = by_hand.bracketed("robust", value, policy, 1e-9, 1e-9, kernel=(X + Y) / 2)
        assert check(problem, answer, level=level)
        rowwise = RobustMDP(mdp, ModelSet(np.stack([X, Y])))
        assert "no row of a model" in check(rowwise, answer, level=level).reason
        worst = by_hand.bracketed(
            "robust", np.array([0.0, 10.0, 0.0]), policy, 1e-9, 1e-9, kernel=np.stack([Y[:, 0], X[:, 1]], 1)
        )
        assert check(rowwise, worst, level=level)
        assert "lie outside the set" in check(problem, worst, level=level).reason
        lonely = by_hand.bracketed("robust", value, np.array([0, 0, 0]), 1e-9, 1e-9, kernel=(X + Y) / 2)
        assert "lo <= T_pi lo over the set fails at state 0" in check(problem, lonely, level=level).reason


@LEVELS
@pytest.mark.parametrize("defect", [-3e-9, 0.0, 3e-9])
def test_bounds_that_miss_the_simplex_by_rounding_are_read_as_rows(level, defect):
    mdp = robust.nominal(np.random.default_rng([8204]), zeros=False)
    only = mdp.P * (1 + defect)
    problem = RobustMDP(mdp, IntervalSet(only, only))
    pi, v = by_hand.best(mdp)
    # One row only is between the bounds: the value is the nominal one, up to the defect.
    answer = by_hand.bracketed("robust", v, pi, 1e-7, 1e-7, kernel=mdp.P)
    report = check(problem, answer, level=level)
    assert report, report.reason


def test_contamination_is_no_ball_of_total_variation():
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    # State 1 is worth 2 under contamination of its own row; nature leads to state 0, of reward 0.
    for one in (Contamination(0.2), TVBall(0.2)):
        problem = RobustMDP(mdp, one)
        answer = robust.certified(problem)
        assert check(problem, answer)
        other = RobustMDP(mdp, TVBall(0.2) if one.name == "contamination" else Contamination(0.2))
        assert not check(other, answer)


def at(array, index, x):
    out = np.array(array, dtype=float)
    out[index] = x
    return out


def raised(answer, name, index, by):
    """One bound moved at one state, the other one out of the way."""
    low, high = (answer.certificate.data[one].copy() for one in ("lo", "hi"))
    if name == "lo":
        low[index], high = low[index] + by, high + 1
    else:
        high[index], low = high[index] + by, low - 1
    return edit(answer, lo=low, hi=high, value=np.clip(answer.value, low, high), gap=1e3)


CORRUPTIONS = {
    "lo raised": (lambda p, x: raised(x, "lo", 1, 2e-3), "lo <= T_pi lo over the set fails at state 1"),
    "hi lowered": (lambda p, x: raised(x, "hi", 2, -2e-3), "hi under the kernel fails at state 2"),
    "gap too small": (lambda p, x: edit(x, gap=1.9e-4), "claimed gap"),
    "gap NaN": (lambda p, x: edit(x, gap=float("nan")), "claimed gap"),
    "value above hi": (lambda p, x: edit(x, value=at(x.value, 1, 50.0)), "value > hi at (1,)"),
    "value NaN": (lambda p, x: edit(x, value=at(x.value, 1, np.nan)), "value[1] is nan"),
    "lo NaN": (lambda p, x: edit(x, lo=at(x.certificate.data["lo"], 3, np.nan)), "lo[3] is nan"),
    "lo missing": (lambda p, x: edit(x, drop=("lo",)), "no 'lo'"),
    "kernel missing": (lambda p, x: edit(x, drop=("kernel",)), "no 'kernel'"),
    "lo and hi swapped": (
        lambda p, x: edit(x, lo=x.certificate.data["hi"], hi=x.certificate.data["lo"]),
        "value < lo",
    ),
    "kernel's shape": (lambda p, x: edit(x, kernel=x.certificate.data["kernel"][:, :1]), "kernel has shape"),
    "kernel NaN": (
        lambda p, x: edit(x, kernel=at(x.certificate.data["kernel"], (1, 0, 2), np.nan)),
        "kernel[1, 0, 2] is nan",
    ),
    "kernel negative": (
        lambda p, x: edit(x, kernel=at(x.certificate.data["kernel"], (1, 0, 2), -1e-9)),
        "kernel[1, 0, 2] is negative",
    ),
    "kernel's sum": (
        lambda p, x: edit(
            x, kernel=at(x.certificate.data["kernel"], (2, 1), 1.01 * x.certificate.data["kernel"][2, 1])
        ),
        "kernel[2, 1] sums to 1.01",
    ),
    "policy of no sum": (lambda p, x: edit(x, policy=at(x.policy, 0, [0.7, 0.7])), "policy[0] sums to"),
    "policy negative": (lambda p, x: edit(x, policy=at(x.policy, 0, [1.5, -0.5])), "policy[0, 1] is negative"),
    "unknown kind": (lambda p, x: edit(x, kind="discounted"), "says nothing about a robust problem"),
}


@LEVELS
@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize(
    ("name", "rect", "support"), [("l1", "s", "all"), ("kl", "sa", "nominal"), ("cvar", "sa", "nominal")]
)
def test_corrupted_answers_are_refused(name, rect, support, corruption, level):
    problem, answer = remember(name, rect, support)
    change, reason = CORRUPTIONS[corruption]
    report = check(problem, change(problem, answer), level=level)
    assert not report and reason in report.reason, report.reason


@pytest.mark.parametrize(("name", "rect", "support"), ONCE)
def test_bounds_and_policies_that_are_false_for_each_set(name, rect, support):
    problem, answer = remember(name, rect, support)
    worst = np.array([[*robust.objectives(problem, answer.value)[s].min(axis=1)] for s in range(problem.S)])
    pi = np.where(problem.nominal.actions, worst, np.inf).argmin(axis=1)
    stale = edit(answer, policy=pi)
    # The policy of the least value: worse by far than the width of the bracket, in some state at least.
    truth = robust.solved(problem, np.eye(2)[pi], tol=1e-3)[0]
    assert (answer.value - truth).max() > 1e-2
    for level in ("float", "exact"):
        for s in (0, 2):
            found = check(problem, raised(answer, "lo", s, 1e-3), level=level)
            assert f"lo <= T_pi lo over the set fails at state {s}" in found.reason
            found = check(problem, raised(answer, "hi", s, -1e-3), level=level)
            assert f"T hi <= hi under the kernel fails at state {s}" in found.reason
        assert "lo <= T_pi lo" in check(problem, stale, level=level).reason


SIZED = [c for c in ONCE if c[0] not in ("interval", "models")]


@pytest.mark.parametrize(("name", "rect", "support"), SIZED)
def test_answers_for_another_size_are_refused(name, rect, support):
    size = 0.1 if name == "wasserstein" else 0.2
    _, answer = honest(name, rect, support, size=size)
    rng = np.random.default_rng([8200, sum(map(ord, f"{name}{rect}{support}"))])
    mdp = robust.nominal(rng)
    for factor in (0.9, 1.1):
        state = rng.bit_generator.state
        other = RobustMDP(mdp, robust.uncertainty(name, rng, mdp, rect=rect, support=support, size=factor * size))
        rng.bit_generator.state = state
        for level in ("float", "exact"):
            report = check(other, answer, level=level)
            assert not report
            assert "outside" in report.reason or "fails at state" in report.reason
    same = RobustMDP(mdp, robust.uncertainty(name, rng, mdp, rect=rect, support=support, size=size))
    assert check(same, answer)


@pytest.mark.parametrize("name", ["l1", "tv", "weighted_l1", "l2", "burg", "wasserstein"])
def test_mass_off_the_support_is_refused(name):
    even = np.full((4, 2), 0.5)
    for key in range(8210, 8220):
        problem = problem_of(name, "sa", "all", size=0.3, key=key)
        answer = robust.certified(problem, weights=even)
        if answer.certificate.data["kernel"][problem.nominal.P == 0].max(initial=0.0) > 0.05:
            break
    one = problem.uncertainty
    extra = {key: getattr(one, key) for key in ("weights", "cost") if hasattr(one, key)}
    narrow = RobustMDP(problem.nominal, type(one)(one.radius, **extra, support="nominal"))
    for level in ("float", "exact"):
        report = check(narrow, answer, level=level)
        assert "has mass off the nominal support at successor" in report.reason
    narrow_answer = robust.certified(narrow, weights=even)
    assert check(narrow, narrow_answer)
    assert "lo <= T_pi lo" in check(problem, narrow_answer).reason


@pytest.mark.parametrize("name", ["l1", "l2", "kl", "chi2", "wasserstein"])
def test_the_other_rectangularity_is_another_problem(name):
    problem, even = problem_of(name, "sa", "nominal", size=0.2), np.full((4, 2), 0.5)
    one = problem.uncertainty
    extra = {key: getattr(one, key) for key in ("weights", "cost") if hasattr(one, key)}
    joint = RobustMDP(problem.nominal, type(one)(0.2, **extra, support="nominal", rectangularity="s"))
    alone, shared = robust.certified(problem, weights=even), robust.certified(joint, weights=even)
    for level in ("float", "exact"):
        assert check(problem, alone, level=level) and check(joint, shared, level=level)
        assert "outside the set" in check(joint, alone, level=level).reason
        # One budget for both actions is less than one for each: a bound from below is false without it.
        assert "lo <= T_pi lo" in check(problem, shared, level=level).reason


def beyond(problem, kernel, by):
    """The kernel with one row moved away from the nominal row until its distance is the radius and `by`."""
    one, mdp = problem.uncertainty, problem.nominal
    s, a = 1, 0
    P, q = mdp.P[s, a] / mdp.P[s, a].sum(), kernel[s, a]
    used = 0.0
    if one.rectangularity == "s":
        used = robust.distance(one, mdp.P[s, 1], kernel[s, 1], s, 1)
    limit = float(np.broadcast_to(one.radius, 1)[0]) + by
    limit = (limit**2 if one.name == "l2" and one.rectangularity == "s" else limit) - used
    far = np.eye(mdp.S)[np.argmax(np.where(P > 0, -P, -2))]
    low, high = 0.0, 1.0
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if robust.distance(one, P, (1 - t) * q + t * far, s, a) < limit else (low, t)
    row = (1 - high) * q + high * far
    out = kernel.copy()
    out[s, a] = row
    return out, abs(robust.distance(one, P, row, s, a) - limit)


@LEVELS
@pytest.mark.parametrize(("name", "rect", "support"), [c for c in robust.CASES if c[0] in robust.DISTANCES])
def test_a_row_outside_by_a_millionth_is_refused(name, rect, support, level):
    # The nominal kernel is in every set, and wide bounds are true: only membership can fail.
    problem = problem_of(name, rect, support, size=0.1, zeros=False)
    wide = 10 + 3 * np.abs(problem.nominal.r).max()
    base = by_hand.answer("robust", np.zeros(4), np.zeros(4, dtype=int), 1e3, lo=np.full(4, -wide), hi=np.full(4, wide))
    assert check(problem, edit(base, kernel=problem.nominal.P), level=level)
    kernel, error = beyond(problem, problem.nominal.P, -1e-9)
    # Bisection ends within a few roundings of the limit.
    assert error < 1e-12 and check(problem, edit(base, kernel=kernel), level=level)
    kernel, error = beyond(problem, problem.nominal.P, 1e-6)
    report = check(problem, edit(base, kernel=kernel), level=level)
    assert error < 1e-12 and f"lie outside the set: {name} distance" in report.reason
    assert "state 1" in report.reason


def edges(one, P):
    """Bounds of the entries of row (1, 0) of a box."""
    if one.name == "interval":
        return one.lo[1, 0], one.hi[1, 0]
    if one.name == "cvar":
        return 0 * P, P / one.level[1, 0]
    if one.name == "contamination":
        return (1 - one.radius[1, 0]) * P, np.ones(4)
    return P - one.radius[1, 0], P + one.radius[1, 0]


@LEVELS
def test_entries_outside_a_box_by_a_millionth_are_refused(level):
    for name in ("linf", "interval", "cvar", "contamination"):
        problem = problem_of(name, "sa", None, zeros=False)
        wide = 10 + 3 * np.abs(problem.nominal.r).max()
        bounds = {"lo": np.full(4, -wide), "hi": np.full(4, wide)}
        base = by_hand.answer("robust", np.zeros(4), np.zeros(4, dtype=int), 1e3, **bounds)
        _, _, kernel = robust.solved(problem)
        assert check(problem, edit(base, kernel=kernel), level=level)
        least, most = edges(problem.uncertainty, problem.nominal.P[1, 0])
        j = int(np.argmax(least)) if name == "contamination" else int(np.argmax(-most))
        edge = least[j] - 1e-6 if name == "contamination" else most[j] + 1e-6
        rest = np.delete(kernel[1, 0], j)
        row = np.insert(rest * ((1 - edge) / rest.sum()), j, edge)
        found = check(problem, edit(base, kernel=at(kernel, (1, 0), row)), level=level)
        assert f"kernel row at state 1, action 0 lies outside the {name} set" in found.reason


@LEVELS
def test_wasserstein_rows_outside_by_a_millionth_are_refused(level):
    problem = problem_of("wasserstein", "sa", "all", size=0.05, zeros=False)
    cost, P = problem.uncertainty.cost, problem.nominal.P[1, 0]
    wide = 10 + 3 * np.abs(problem.nominal.r).max()
    base = by_hand.answer("robust", np.zeros(4), np.zeros(4, dtype=int), 1e3, lo=np.full(4, -wide), hi=np.full(4, wide))
    # From the only neighbour that it pays to leave: all other ways around are dearer.
    i, j = np.argwhere(cost == cost[cost > 0].min())[0]
    for by, ok in ((-1e-7, True), (1e-6, False)):
        row = P.copy()
        mass = (0.05 + by) / cost[i, j]
        row[i], row[j] = row[i] - mass, row[j] + mass
        assert row.min() >= 0
        kernel = at(problem.nominal.P, (1, 0), row)
        report = check(problem, edit(base, kernel=kernel), level=level)
        assert report.ok is ok
    assert "state 1, action 0 lie outside the set: wasserstein distance" in report.reason


def test_problems_and_kinds_that_do_not_belong_together():
    problem, answer = honest("l1", "sa", "all")
    assert "says nothing about this problem" in check(problem.nominal, answer).reason
    plain = by_hand.discounted(problem.nominal)
    assert check(problem.nominal, plain)
    assert "says nothing about a robust problem" in check(problem, plain).reason

    class Shifted(L1Ball):
        """A set that is called l1 and may be anything."""

    other = RobustMDP(problem.nominal, Shifted(problem.uncertainty.radius))
    assert "does not know the set Shifted" in check(other, answer).reason


def test_bounds_beyond_the_range_of_floats_prove_nothing():
    for name, rect, support in (
        ("l1", "sa", "all"),
        ("kl", "sa", "nominal"),
        ("l2", "s", "all"),
        ("wasserstein", "s", "all"),
    ):
        problem, answer = remember(name, rect, support)
        for size in (1e300, 1.7e308):
            huge = edit(
                answer, lo=np.full(4, -1.0), hi=np.array([1.0, 1.0, size, -size]), value=np.zeros(4), gap=1.7e308
            )
            for level in ("float", "exact"):
                assert not check(problem, edit(huge, value=np.array([0, 0, 0, -1.0])), level=level)
                assert not check(problem, edit(huge, lo=np.full(4, -size), value=np.full(4, -size)), level=level)
