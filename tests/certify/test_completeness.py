"""Valid certificates are accepted, at both levels, and the derived gap is no looser than it has to be."""

from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand

from mdplab.certify import check, rational
from mdplab.models import MDP

SHAPES = [
    {},
    {"sparse": True},
    {"masked": True, "A": 4},
    {"masked": True, "A": 4, "sparse": True},
    {"defect": 5e-9},
    {"defect": -5e-9, "sparse": True},
    {"b": 1},
    {"S": 40, "b": 40},
]


def accepted(problem, answer, **options):
    for level in ("float", "exact"):
        report = check(problem, answer, level=level, **options)
        assert report.ok, report
        assert report.level == level and report.kind == answer.certificate.kind and report.reason == ""
        assert report.gap <= answer.certificate.gap
    return report


def case(kind, rng, shape):
    """A problem and a valid answer."""
    if kind == "finite-horizon":
        mdp = by_hand.discounted_model(rng, gamma=1.0, horizon=5, **shape)
        return mdp, by_hand.finite_horizon(mdp)
    if kind == "occupancy":
        problem = by_hand.constrained_model(rng, **shape)
        return problem, by_hand.occupancy(problem)
    mdp = by_hand.discounted_model(rng, **shape)
    if kind == "evaluation":
        return mdp, by_hand.evaluation(mdp, rng)
    if kind == "average":
        return mdp, by_hand.average(mdp)
    if kind == "soft":
        return mdp, by_hand.soft(mdp, 0.5, mdp.actions.astype(float))
    return mdp, by_hand.discounted(mdp)


KINDS = ("discounted", "evaluation", "finite-horizon", "average", "soft", "occupancy")


# One successor a row makes chains with several gains: see test_two_gains.
@pytest.mark.parametrize(
    "kind, shape", [(k, i) for k in KINDS for i, s in enumerate(SHAPES) if (k, s.get("b")) != ("average", 1)]
)
def test_valid_certificates_are_accepted(kind, shape):
    rng = np.random.default_rng([901, shape])
    accepted(*case(kind, rng, SHAPES[shape]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9999])
@pytest.mark.parametrize("sparse", [False, True])
def test_discounts_from_nothing_to_nearly_one(gamma, sparse):
    rng = np.random.default_rng([902, sparse])
    mdp = by_hand.discounted_model(rng, gamma=gamma, sparse=sparse, defect=1e-9)
    accepted(mdp, by_hand.discounted(mdp))
    accepted(mdp, by_hand.evaluation(mdp, rng))


@pytest.mark.parametrize(
    "upper, rewards",
    [("all-proper", -1.0), ("negative-rewards", -1.0), ("nonnegative", 1.0), ("transient", -1.0)],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_total_reward_for_each_reason_of_the_upper_bound(upper, rewards, sparse):
    rng = np.random.default_rng([903, sparse])
    mdp = by_hand.ssp_model(rng, rewards=rewards, sparse=sparse)
    accepted(mdp, by_hand.total(mdp, upper))


def test_a_loop_that_costs_is_left_in_the_end():
    # State 0 may wait at -1 for ever or leave at +3; the visits vector charges the loop with scale.
    mdp = MDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[-1.0, -3.0], [0.0, 0.0]], 1.0)
    v = np.array([-3.0, 0.0])
    off = np.array([1e-9, 0.0])
    lo, hi = v - off, v + off
    data = {"lo": lo, "hi": hi, "steps": np.array([1.5, 0.0]), "lower": "proper"}
    data |= {"upper": "transient", "visits": np.array([1.5, 0.0]), "scale": 2.0}
    accepted(mdp, by_hand.answer("total", v, [1, 0], 1e-8, **data))


def test_waiting_for_nothing_is_worth_nothing():
    # Staying in state 0 is free: pi never terminates, and visits no state with lo > 0.
    mdp = MDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[0.0, -1.0], [0.0, 0.0]], 1.0)
    zero = np.zeros(2)
    answer = by_hand.answer(
        "total", zero, [0, 0], 0.0, lo=zero, hi=zero, steps=zero, lower="transient", upper="nonnegative"
    )
    accepted(mdp, answer)


def test_two_gains():
    # Two absorbing states with gains 1 and 2; state 0 chooses.
    P = [[[0, 1.0, 0], [0, 0, 1.0]], [[0, 1.0, 0], [0, 1.0, 0]], [[0, 0, 1.0], [0, 0, 1.0]]]
    mdp = MDP(P, [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], 0.5)
    gain = np.array([2.0, 1.0, 2.0])
    # bias_hi(1) must allow for the action that loses a gain of 1.
    bias = {"bias_lo": np.array([-3.0, 0.0, 0.0]), "bias_hi": np.array([1.0, 0.0, 0.0])}
    e = 1e-9
    answer = by_hand.answer("average", gain, [1, 0, 0], 1e-8, gain_lo=gain - e, gain_hi=gain + e, **bias)
    accepted(mdp, answer)


def test_a_kl_reference_may_be_given():
    rng = np.random.default_rng([904])
    mdp = by_hand.discounted_model(rng, gamma=0.9, masked=True, A=3)
    reference = np.where(mdp.actions, rng.random((mdp.S, 3)), 0.0)
    reference /= reference.sum(axis=1, keepdims=True)
    answer = by_hand.soft(mdp, 0.1, reference)
    report = accepted(mdp, answer, tau=0.1, reference=reference)
    assert "as the certificate has it" not in report.speaks_about
    assert "mu_ref as the certificate has it" in check(mdp, answer).speaks_about


def test_the_gap_is_the_width_of_the_bounds_rounded_up():
    rng = np.random.default_rng([905])
    for _ in range(50):
        mdp = by_hand.discounted_model(rng, gamma=0.9)
        # Wide bounds, so that hi - lo is rounded.
        answer = by_hand.discounted(mdp, extra=1e13 * rng.random())
        lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
        exact = max(Fraction(float(b)) - Fraction(float(a)) for a, b in zip(lo, hi))
        gap = Fraction(check(mdp, answer).gap)
        assert exact <= gap < exact * (1 + Fraction(1, 2**51))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.9999])
def test_the_float_level_asks_for_little_slack(gamma, sparse):
    """A shift of the value by a few roundings a row is accepted: looser radii fail here."""
    rng = np.random.default_rng([906, sparse])
    for _ in range(10):
        mdp = by_hand.discounted_model(rng, S=30, A=2, b=4, gamma=gamma, sparse=sparse)
        pi, v = by_hand.best(mdp)
        contraction = 1 - gamma * mdp.dense().P.sum(axis=2).max()
        size = np.abs(mdp.r).max() + np.abs(v).max()
        # Eight roundings a term, and the residual of v itself, which LAPACK leaves at about as much.
        shift = 24 * by_hand.U * size / contraction
        answer = by_hand.bracketed("discounted", v, pi, shift, shift)
        assert check(mdp, answer), check(mdp, answer)
        assert check(mdp, answer).gap < 3 * shift


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng([907])
    for shape in SHAPES[:4]:
        for kind in ("discounted", "evaluation", "average", "occupancy"):
            problem, answer = case(kind, rng, shape)
            whole = check(problem, answer)
            monkeypatch.setattr("mdplab.certify.rows.BLOCK", 7)
            parts = check(problem, answer)
            monkeypatch.undo()
            assert whole.ok and parts.ok and whole.gap == parts.gap


def test_fractions_stand_in_for_flint(monkeypatch):
    rng = np.random.default_rng([908])
    cases = [case(kind, rng, {"masked": True}) for kind in ("discounted", "evaluation", "finite-horizon", "occupancy")]
    mdp = by_hand.ssp_model(rng)
    cases.append((mdp, by_hand.total(mdp, "all-proper")))
    reports = [check(*pair, level="exact") for pair in cases]
    monkeypatch.setattr(rational, "flint", None)
    for pair, with_flint in zip(cases, reports):
        without = check(*pair, level="exact")
        assert without.ok and with_flint.ok and without.gap == with_flint.gap
    assert isinstance(rational.number(0.5), Fraction)
    problem, answer = case("soft", rng, {})
    report = check(problem, answer, level="exact")
    assert not report.ok and "python-flint" in report.reason


def test_magnitudes_beyond_the_normal_range_are_undecided_not_accepted():
    # The true product 2^-1074 / 2 underflows to 0 or to 2^-1074; rationals see it.
    tiny = 2.0**-1074
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.5)
    lo, hi = np.array([-1.0, -1.0]), np.array([0.0, tiny])
    answer = by_hand.answer("discounted", np.zeros(2), [0, 0], 2.0, lo=lo, hi=hi)
    assert not check(mdp, answer)
    assert "fails at state 0, action 0" in check(mdp, answer, level="exact").reason
    huge = by_hand.answer("discounted", np.zeros(2), [0, 0], np.inf, lo=-np.full(2, 1e308), hi=np.full(2, 1e308))
    assert "overflows" in check(mdp, huge).reason
