"""Certificates made to fool the referee: each one is false, and none is accepted."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand

from mdplab.certify import check, optimality, prove_optimal
from mdplab.models import MDP, Certificate, ConstrainedMDP, MatrixGame, PreferenceGame

LEVELS = pytest.mark.parametrize("level", ["float", "exact"])


@LEVELS
def test_an_infinite_sum_is_no_proof_of_a_soft_bound(level):
    # -tau log(1e-300) overflows to +inf, which hides the -0.69 tau of the other action.
    mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
    data = {"lo": np.zeros(1), "hi": np.zeros(1), "tau": 1e308, "mu_ref": np.array([[0.5, 0.49]])}
    report = check(mdp, by_hand.answer("soft", [0.0], [[1.0, 1e-300]], 0.0, **data), level=level)
    assert "lo <= T_pi lo" in report.reason


def occupancy_of_one_state(gamma, costs, lam, hi, *, x=2.0):
    mdp = MDP([[[1.0]]], [[0.0]], gamma, mu=[1.0])
    problem = ConstrainedMDP(mdp, np.reshape(costs, (-1, 1, 1)), np.zeros(len(costs)))
    data = {"x": np.array([[x]]), "hi": np.array([hi]), "lam": np.array(lam), "violation": 1.0}
    data |= {"primal_lo": -1e-300, "primal_hi": 1e-300, "dual_hi": max(hi, 1e-300)}
    return problem, by_hand.answer("occupancy", [0.0], [[1.0]], 1e308, **data)


def test_a_product_of_multiplier_and_cost_that_overflows_proves_nothing():
    # r - lam costs + gamma hi - hi is +1.5e307 exactly; in floats its first product is already -inf.
    problem, answer = occupancy_of_one_state(0.5, [1.9e200, -1.2e200, -1.6e200], [1e108, 1e108, 1e108], 1.5e308)
    terms = [Fraction(-1.9e200), Fraction(1.2e200), Fraction(1.6e200)]
    assert Fraction(1e108) * sum(terms) > Fraction(1.5e308) / 2
    assert "hi >= r - lam costs" in check(problem, answer).reason


@LEVELS
def test_a_product_of_multiplier_and_cost_that_underflows_is_still_there(level):
    problem, answer = occupancy_of_one_state(0.5, [-1e-200], [1e-200], 0.0)
    assert "hi >= r - lam costs" in check(problem, answer, level=level).reason


@pytest.mark.parametrize("error", [0.0, 1.0, 1e3])
@LEVELS
def test_the_rounding_of_a_policy_is_counted(level, error):
    # One leak of 2e-15 in 2^30 steps of reward 1 costs 2306, though the flow that it rounds is optimal.
    stay, gamma = 2.0**30, 1 - 2.0**-30
    mdp = MDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0]] * 2], [[1.0, 1.0], [0.0, 0.0]], gamma, mu=[1.0, 0.0])
    policy = np.array([[1.0, 2e-15], [0.5, 0.5]])
    leak = Fraction(2e-15) / (1 + Fraction(2e-15))
    assert stay - 1 / (1 - Fraction(gamma) * (1 - leak)) > 2 * error
    data = {"x": np.array([[stay, 0.0], [0.0, 0.0]]), "hi": np.array([stay + error, error]), "lam": np.zeros(0)}
    data |= {"primal_lo": stay - error, "primal_hi": stay + error, "dual_hi": stay + error, "violation": 0.0}
    assert not check(mdp, by_hand.answer("occupancy", [stay, 0.0], policy, 2 * error, **data), level=level)


LADDER = PreferenceGame([[0.5, 1.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.5]])


@pytest.mark.parametrize("policy", [[0, 5e-324, 0], [0, 1e308, 1e308], [0, 0, 0], [0, 2, 0], [0, 0.5, 0]])
@LEVELS
def test_weights_that_are_no_strategy(level, policy):
    """In floats the payoffs of the first underflow to 0, and the sum of the second overflows: gaps of 0 for losers."""
    answer = by_hand.answer("exploitability", [0.5], np.array(policy, dtype=float), 1e-9)
    assert "policy does not sum to 1" in check(LADDER, answer, level=level).reason


@LEVELS
def test_the_value_of_a_game_is_checked(level):
    even, half = MatrixGame([[1.0, -1.0], [-1.0, 1.0]]), np.array([0.5, 0.5])
    for value, ok in ((0.0, True), (5e-11, True), (1.1e-10, False), (1e9, False)):
        answer = by_hand.answer("exploitability", [value], half, 1e-10, column=half)
        assert check(even, answer, level=level).ok is ok
    best = np.array([1.0, 0.0, 0.0])
    for value, ok in (([0.5], True), ([0.6], False), ([0.5, 0.5], False), ([np.nan], False)):
        assert check(LADDER, by_hand.answer("exploitability", value, best, 1e-10), level=level).ok is ok


@LEVELS
def test_a_policy_near_the_certified_one_is_another_policy(level):
    n = 3
    level_game = PreferenceGame(np.full((n, n), 0.5))
    data = {"log_policy": np.zeros(n), "tau": 1.0}
    for shift, ok in ((0.0, True), (1e-12, False)):
        policy = np.full(n, 1 / n) + shift * np.array([1.0, -1.0, 0.0])
        assert check(level_game, by_hand.answer("regularized-gap", [0.5], policy, 1e-20, **data), level=level).ok is ok


@LEVELS
def test_limits_are_not_forgotten_by_a_soft_answer(level):
    problem = by_hand.constrained_model(np.random.default_rng([970]))
    answer = by_hand.soft(problem.mdp, 0.5, problem.mdp.actions / problem.mdp.actions.sum(axis=1, keepdims=True))
    assert check(problem.mdp, answer, level=level)
    assert "says nothing about limits" in check(problem, answer, level=level).reason


def malformed():
    mdp = MDP([[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0]] * 2], [[1.0, 0.0], [0.0, 0.0]], 0.5, mu=[1.0, 0.0])
    end = mdp.replace(gamma=1.0)
    game, half = MatrixGame(np.eye(2)), np.array([0.5, 0.5])
    bounds = {"lo": np.zeros(2), "hi": np.full(2, 4.0)}
    flow = {"hi": np.full(2, 4.0), "lam": np.zeros(0), "primal_lo": 0.0, "primal_hi": 2.0, "dual_hi": 4.0}
    total = bounds | {"hi": np.array([2.0, 0.0]), "steps": np.array([3.0, 0.0])}
    uniform, v = np.full((2, 2), 0.5), np.ones(2)
    for x in (1e308, 1.7e308):
        data = flow | {"violation": 0.0, "x": np.full((2, 2), x)}
        yield mdp, by_hand.answer("occupancy", v, uniform, 4.0, **data)
        yield (
            mdp,
            by_hand.answer("occupancy", v, uniform, 4.0, **data | {"primal_lo": -x, "primal_hi": x, "dual_hi": x}),
        )
    yield mdp, by_hand.answer("discounted", v, [0, 0], 9.0, lo=[10**400, 0], hi=bounds["hi"])
    yield mdp, by_hand.answer("discounted", v, [0, 0], 9.0, lo=-bounds["hi"] * 1e307, hi=bounds["hi"] * 4e307)
    yield mdp, by_hand.answer(np.zeros(2), v, [0, 0], 9.0, **bounds)
    yield end, by_hand.answer("total", [1.0, 0.0], [0, 0], 9.0, upper=np.zeros(2), **total)
    yield end, by_hand.answer("total", [1.0, 0.0], [0, 0], 9.0, lower=np.zeros(2), upper="nonnegative", **total)
    yield mdp, by_hand.answer("finite-horizon", v, 0, 9.0, **bounds)
    for gap in (None, "small", np.ones(2)):
        yield mdp, by_hand.answer("discounted", v, [0, 0], gap, **bounds)
        yield game, by_hand.answer("exploitability", [0.5], half, gap, column=half)


@LEVELS
@pytest.mark.parametrize("case", range(len(list(malformed()))))
def test_what_is_malformed_or_overflows_is_refused_not_raised(case, level):
    problem, answer = list(malformed())[case]
    report = check(problem, answer, level=level)
    assert not report.ok and report.reason


def test_an_answer_of_another_type_is_named():
    problem, answer = next(malformed())
    with pytest.raises(ValueError, match="solution is a NoneType"):
        check(problem, None)
    with pytest.raises(ValueError, match="solution is a Certificate"):
        check(problem, answer.certificate)
    lost = dataclasses.replace(answer, certificate=Certificate("discounted", 1.0))
    assert "no 'lo'" in check(problem, lost).reason


@pytest.mark.parametrize("arithmetic", ["rational", "enclosure"])
def test_a_tie_with_waiting_for_ever_is_no_second_optimum(arithmetic, monkeypatch):
    """Leaving earns 1, waiting nothing: waiting has advantage 0 and value 0. Two ways of leaving are two optima."""
    if arithmetic == "enclosure":
        monkeypatch.setattr(optimality, "_DIRECT", {True: 0, False: 0})
    leave, wait = [0.0, 1.0], [1.0, 0.0]
    mdp = MDP([[leave, wait], [leave, leave]], [[1.0, 0.0], [0.0, 0.0]], 1.0)
    proof = prove_optimal(mdp, [0, 0])
    assert proof.arithmetic == arithmetic and proof.optimal and proof.action_gap == 0 and proof.unique is None
    assert prove_optimal(mdp, [1, 0]).optimal is False
    mdp = MDP([[leave, wait, leave], [leave] * 3], [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], 1.0)
    assert prove_optimal(mdp, [0, 0]).unique is False


@pytest.mark.parametrize("gamma", [float("inf"), float("nan"), "x", [0.5], -0.1, 1.1])
def test_a_discount_that_is_none(gamma):
    with pytest.raises(ValueError, match="gamma is"):
        prove_optimal(MDP([[[1.0]]], [[0.0]], 0.5), [0], gamma=gamma)


def extreme(rng):
    """A model of one to three states at any scale, and vectors a few units in the last place around its fixed point."""
    S, A = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    gamma = float(rng.choice([0.0, 1e-300, 0.5, 0.99, np.nextafter(1, 0), 1 - 2e-8]))
    P = rng.dirichlet(np.full(S, 0.3), (S, A)) * (1 + rng.choice([0.0, 0.0, 5e-9, -5e-9]))
    if rng.random() < 0.4:
        P = np.eye(S)[rng.integers(S, size=(S, A))]
    scale = float(rng.choice([5e-324, 1e-310, 1e-290, 1e-12, 1.0, 1e9, 1e150, 1e307]))
    r = scale * np.round(rng.standard_normal((S, A)), int(rng.integers(0, 17))) * (rng.random((S, A)) < 0.7)
    mdp = MDP(P, r, gamma)
    mdp = mdp.sparse() if rng.random() < 0.5 else mdp
    pi = r.argmax(axis=1)
    with np.errstate(all="ignore"):
        # Solved for rewards of ordinary size, so that only the last product may overflow.
        v = np.linalg.lstsq(np.eye(S) - gamma * P[np.arange(S), pi], r[np.arange(S), pi] / scale)[0] * scale
    bounds = []
    for side in (-1, 1):
        x = np.nan_to_num(v, nan=0.0, posinf=1e308, neginf=-1e308)
        for _ in range(int(rng.integers(0, 4))):
            x = np.nextafter(x, side * np.where(rng.random(S) < 0.8, np.inf, -np.inf))
        with np.errstate(over="ignore"):
            x = np.clip(x + side * abs(x) * rng.choice([0.0, 1e-15, 1e-9, 1.0]), -1.7e308, 1.7e308)
        bounds.append(x)
    return mdp, pi, np.minimum(*bounds), np.maximum(*bounds)


def test_at_extreme_scales_the_float_level_accepts_nothing_false():
    """Subnormal to huge rewards, discounts 0 to one ulp below 1, rows off by 5e-9: floats agree with fractions."""
    counts = {(truth, said): 0 for truth in (True, False) for said in (True, False)}
    for run in range(1500):
        mdp, pi, lo, hi = extreme(np.random.default_rng([971, run]))
        answer = by_hand.answer("discounted", lo, pi, np.inf, lo=lo, hi=hi)
        truth = by_hand.exactly_inductive(mdp, lo, hi, pi)
        sums = [sum(map(Fraction, row.tolist())) for row in mdp.dense().P.reshape(-1, mdp.S)]
        with np.errstate(over="ignore"):
            overflows = not np.isfinite(hi - lo).all()
        truth = truth and Fraction(mdp.gamma) * max(sums) < 1 and not overflows
        assert check(mdp, answer, level="exact").ok is truth
        said = check(mdp, answer).ok
        assert truth or not said, run
        counts[truth, said] += 1
    assert min(counts[True, True], counts[True, False], counts[False, False]) > 50, counts
