"""BOUND-HP, BOUND-E and their e-processes: exact values, martingales and refusals."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from mdplab.claims.rules import bound_e, bound_hp
from mdplab.claims.rules.e_process import anytime, bernoulli_log_path, mean_log_path


@pytest.mark.parametrize(("s", "m"), [(0, 100), (7, 100), (20, 100), (100, 100)])
def test_violations_are_tested_by_the_binomial(s, m):
    violated = np.arange(m) < s
    decision = bound_hp(violated, 0.1)
    assert decision.p_refute == pytest.approx(stats.binom.sf(s - 1, m, 0.1))
    assert decision.p_accept == pytest.approx(stats.binom.cdf(s, m, 0.2))
    assert decision.slack == pytest.approx(s / m / 0.1)
    if s == 0:
        assert decision.refutable_factor == np.inf
    else:
        # A claim of delta / factor is refuted at 1 % exactly.
        stronger = 0.1 / decision.refutable_factor
        assert stats.binom.sf(s - 1, m, stronger) == pytest.approx(0.01)


def test_a_refutation_has_precedence_between_delta_and_twice_delta():
    both = bound_hp(np.arange(2000) < 300, 0.1)
    assert max(both.p_refute, both.p_accept) < 0.01
    assert both.outcome() == "refuted"


def test_instances_are_read_in_turn():
    violated = np.array([[True, True, True], [False, False, False]])
    in_turn = bound_hp(np.array([True, False, True, False, True, False]), 0.1, sequential=True)
    assert bound_hp(violated, 0.1, sequential=True).p_refute == in_turn.p_refute
    error = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert bound_e(error, [1.5, 3.5], 5.0).e_refute == bound_e([1.0, 3.0, 2.0, 4.0], [1.5, 3.5, 1.5, 3.5], 5.0).e_refute


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize("p0", [0.1, 0.5, 0.8])
def test_the_coin_e_process_is_a_martingale_at_its_null(p0, side):
    # All 2^8 sequences with their probabilities: the mean of e is 1 after every run.
    sequences = np.array(list(product([0.0, 1.0], repeat=8)))
    probability = np.where(sequences == 1, p0, 1 - p0)
    weight = np.cumprod(probability, axis=1)
    e = np.exp(bernoulli_log_path(sequences, p0, side))
    for t in range(8):
        mean = (weight[:, -1] * e[:, t]).sum()
        # 256 terms of a few roundings each.
        assert mean == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("side", [+1, -1])
def test_the_betting_e_process_is_a_martingale_and_predictable(side):
    values = np.array(list(product([0.0, 0.3, 1.0], repeat=6)))
    weight = np.prod(np.select([values == 0.0, values == 0.3], [0.5, 0.3], 0.2), axis=1)
    bound = 0.3 * 0.3 + 0.2
    e = np.exp(mean_log_path(values, bound, side))
    for t in range(6):
        assert (weight * e[:, t]).sum() == pytest.approx(1.0, abs=1e-12)  # 729 terms of a few roundings each
    changed = values.copy()
    changed[:, 3:] = 1 - changed[:, 3:]
    np.testing.assert_array_equal(mean_log_path(values, bound, side)[:, :3], mean_log_path(changed, bound, side)[:, :3])


def test_anytime_p_value_is_the_peak_and_the_e_value_the_end():
    p, e = anytime(np.log([2.0, 50.0, 4.0]))
    assert p == pytest.approx(1 / 50)
    assert e == pytest.approx(4.0)
    assert anytime(np.array([-3.0, -5.0]))[0] == 1.0
    assert np.isfinite(anytime(np.array([5000.0]))[1])


def test_mean_bounds_scale_with_their_unit():
    error = np.random.default_rng([100]).beta(1, 4, 300)
    one, thousand = bound_e(error, 0.3, 1.0), bound_e(1000 * error, 300.0, 1000.0)
    # Scaling by 1000 rounds every value.
    assert thousand.p_accept == pytest.approx(one.p_accept, rel=1e-9)
    assert one.outcome() == "accepted"
    assert bound_e(error, 0.1, 1.0).outcome() == "refuted"


def test_refutable_factor_of_a_mean():
    error = np.random.default_rng([101]).beta(1, 4, 300)
    factor = bound_e(error, 0.3, 1.0).refutable_factor
    assert 1.5 < factor < 3
    assert bound_e(error, 0.3 / (1.002 * factor), 1.0).p_refute <= 0.01
    assert bound_e(error, 0.3 / (0.998 * factor), 1.0).p_refute > 0.01
    assert bound_e(np.zeros(300), 0.3, 1.0).refutable_factor == np.inf


def test_a_bound_beyond_the_cap_is_accepted_and_a_missing_cap_withholds():
    error = np.random.default_rng([102]).random(3000)
    assert bound_e(error, 5.0, 1.0).outcome() == "accepted"
    for cap in (None, np.inf):
        decision = bound_e(error, 5.0, cap)
        assert (decision.outcome(), decision.reason()) == ("undecided", "unbounded")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bound_hp([0.0, 1.0], 0.1), "violated has dtype float64"),
        (lambda: bound_hp([], 0.1), "violated has"),
        (lambda: bound_hp([True], 0.5), "delta is 0.5"),
        (lambda: bound_hp([True], 0.0), "delta is 0"),
        (lambda: bound_hp(np.ones((2, 2, 2), dtype=bool), 0.1), "violated has shape"),
        (lambda: bound_e([0.5, -0.5], 1.0, 1.0), r"error\[1\] is -0.5"),
        (lambda: bound_e([0.5, 1.5], 1.0, 1.0), r"error\[1\] is 1.5; expected at most cap=1"),
        (lambda: bound_e([0.5], 0.0, 1.0), "bound is 0"),
        (lambda: bound_e([0.5], 1.0, -1.0), "cap is -1"),
        (lambda: bound_e([0.5, 0.5], [1.0, 1.0, 1.0], 1.0), "bound has shape"),
    ],
)
def test_bad_evidence_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
