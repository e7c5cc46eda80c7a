"""LIN-1, ORD-1 and REG-1 on data whose answer is known exactly, and their refusal of bad input."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from mdplab.claims.rules import lin_1, ord_1, reg_1
from mdplab.claims.rules.ordering import LARGEST_EXACT, sign_flip, sign_patterns

K = np.arange(400.0)


def noisy(curve, I=6, key=0):
    return curve * np.exp(0.05 * np.random.default_rng([110, key]).standard_normal((I, curve.size)))


def test_linear_decay_is_accepted_and_slower_decay_refuted():
    linear = lin_1(noisy(0.9**K), floor=1e-25)
    assert linear.outcome() == "accepted"
    assert linear.slack == pytest.approx(0.85, abs=0.05)  # threshold over a ratio of one, whose spread is 1 %
    assert lin_1(noisy(1 / (1 + K) ** 2), floor=1e-15).outcome() == "refuted"


def test_a_change_of_phase_is_forgiven():
    slower = np.where(K < 50, 0.7 ** np.minimum(K, 50), 0.7**50 * 0.95 ** (K - 50))
    decision = lin_1(noisy(slower), floor=1e-30)
    assert decision.statistics["ratio"].max() < 0.85
    assert decision.outcome() == "accepted"


def test_short_windows_are_withheld_with_their_reason():
    slow = lin_1(noisy(0.995**K), floor=1e-15)
    assert (slow.outcome(), slow.reason()) == ("undecided", "underpowered")
    floored = lin_1(noisy(0.5**K), floor=1e-8)
    assert (floored.outcome(), floored.reason()) == ("undecided", "floor-limited")
    assert floored.statistics["instances_used"] == 0


def test_an_error_of_zero_is_below_the_floor():
    error = noisy(0.9**K)
    error[:, 300:] = 0.0
    for floor in (np.full(6, 1e-15), 0.0):
        assert lin_1(error, floor=floor).outcome() == "accepted"


def test_refutable_factor_of_linear_decay_scales_the_threshold():
    error = noisy(0.9**K)
    factor = lin_1(error, floor=1e-25).refutable_factor
    assert lin_1(error, floor=1e-25, threshold=0.85 * factor * 1.0001).p_refute <= 0.01
    assert lin_1(error, floor=1e-25, threshold=0.85 * factor * 0.9999).p_refute > 0.01


def test_sign_flip_is_the_exact_permutation_test():
    d = np.array([0.3, -0.1, 0.4, 0.1, 0.5])
    signs, exact = sign_patterns(5)
    assert exact
    expected = np.mean([np.dot(s, d) >= d.sum() - 1e-9 for s in product([1, -1], repeat=5)])
    assert sign_flip(d, signs, exact) == expected
    assert sign_flip(np.abs(d), signs, exact) == 2**-5
    assert ord_1(np.zeros((5, 1)), np.abs(d)[:, None]).p_accept == 2**-5


def test_many_instances_are_sampled_by_key_and_agree_with_the_normal_limit():
    I = LARGEST_EXACT + 24
    signs, exact = sign_patterns(I)
    assert not exact
    np.testing.assert_array_equal(signs, sign_patterns(I)[0])
    d = np.random.default_rng([111]).standard_normal(I)
    d += 2 * np.sqrt((d**2).sum()) / I - d.mean()
    normal = stats.norm.sf(d.sum() / np.sqrt((d**2).sum()))
    # The limit is off by O(1 / I) of itself; drawing adds 1/sqrt(65535 p), 3 %.
    assert sign_flip(d, signs, exact) == pytest.approx(normal, rel=0.25)
    assert sign_flip(np.ones(I), signs, exact) == 2**-16


def test_orderings_mirror_each_other():
    left, right = np.random.default_rng([112]).random((2, 10, 5)) + 0.5
    one, other = ord_1(left, right), ord_1(right, left)
    assert (one.p_refute, one.p_accept) == (other.p_accept, other.p_refute)
    shifted = ord_1(left - 7, right - 7)
    assert shifted.p_refute == one.p_refute
    assert np.isnan(shifted.slack)


@pytest.mark.parametrize("every_instance", [False, True])
def test_refutable_factor_of_an_ordering_scales_the_left(every_instance):
    rng = np.random.default_rng([113])
    left, right = 1 + 0.1 * rng.random((10, 6)), 2 + 0.1 * rng.random((10, 6))
    decision = ord_1(left, right, every_instance=every_instance)
    assert decision.outcome() == "accepted"
    factor = decision.refutable_factor
    assert 1.8 < factor < 2.2
    assert ord_1(1.002 * factor * left, right, every_instance=every_instance).p_refute <= 0.01
    assert ord_1(0.998 * factor * left, right, every_instance=every_instance).p_refute > 0.01
    assert ord_1(left[:3], right[:3]).refutable_factor == np.inf, "three instances cannot reach 1 %"


def test_one_bad_instance_breaks_every_instance_only():
    rng = np.random.default_rng([114])
    left, right = rng.random((12, 30)), 2 + rng.random((12, 30))
    left[4] += 4
    assert ord_1(left, right).outcome() == "accepted"
    assert ord_1(left, right, every_instance=True).outcome() == "refuted"


T = 2.0 ** np.arange(6, 13)


def regrets(exponent, G=3, m=60, key=0):
    return T[:, None] ** exponent * np.random.default_rng([115, key]).uniform(0.5, 1.5, (2, G, T.size, m))


def test_regret_growth_on_both_sides():
    assert reg_1(*regrets(0.5), T).outcome() == "accepted"
    assert reg_1(*regrets(0.6), T).outcome() == "refuted"
    exact = reg_1(*np.broadcast_to(T[:, None] ** 0.5, (2, 3, 7, 2)), T)
    assert exact.statistics["exponent"] == pytest.approx(0.5)
    assert exact.slack == pytest.approx(1.0)
    with_log = reg_1(*(regrets(0.5) * np.log(T)[:, None]), T, log_power=1.0)
    assert with_log.outcome() == "accepted"


def test_regret_is_measured_on_the_instance_that_was_chosen_without_it():
    select, estimate = np.ones((2, 2, 7, 10)) * T[:, None] ** 0.5
    select[1] *= 3
    estimate[0] *= 100
    decision = reg_1(select, estimate, T)
    assert decision.statistics["worst"].tolist() == [1] * 7
    np.testing.assert_array_equal(decision.statistics["mean_regret"], estimate[1].mean(axis=1)[-5:])


def test_replicates_join_the_instances_and_repeat_the_horizons():
    select, estimate = regrets(0.5, G=4)
    stacked = reg_1(select.reshape(2, 2, 7, -1), estimate.reshape(2, 2, 7, -1), np.stack([T, T]))
    assert stacked.p_accept == reg_1(select, estimate, T).p_accept


def test_refutable_factor_of_regret_divides_the_exponent():
    select, estimate = regrets(0.5)
    factor = reg_1(select, estimate, T).refutable_factor
    assert reg_1(select, estimate, T, exponent=0.5 / (1.001 * factor)).p_refute < 0.01
    assert reg_1(select, estimate, T, exponent=0.5 / (0.999 * factor)).p_refute > 0.01


def test_regret_without_a_positive_mean_has_no_exponent():
    select, estimate = regrets(0.5)
    estimate[:, -1] = 0.0
    decision = reg_1(select, estimate, T)
    assert (decision.outcome(), decision.reason()) == ("undecided", "floor-limited")


E = np.ones((4, 50))
X = np.ones((3, 7, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lin_1(-E, floor=1e-9), r"error\[0, 0\] is -1"),
        (lambda: lin_1(E[:1], floor=1e-9), "needs at least 2 instances"),
        (lambda: lin_1(E, floor=-1e-9), "floor is -1e-09"),
        (lambda: lin_1(E, floor=[1e-9, 1e-9]), "floor has shape"),
        (lambda: lin_1(E, floor=1e-9, burn_in=50), "burn_in is 50"),
        (lambda: lin_1(E, floor=1e-9, threshold=0.0), "threshold is 0"),
        (lambda: ord_1(E, E[:, :3]), "right has shape"),
        (lambda: ord_1(E[:1], E[:1]), "needs at least 2 instances"),
        (lambda: ord_1(E * np.nan, E), r"left\[0, 0\] is nan"),
        (lambda: ord_1(E[:, :1], E[:, :1], every_instance=True), "needs at least 2 runs"),
        (lambda: reg_1(X, X[:2], T), "estimate has shape"),
        (lambda: reg_1(X, X[..., :1], T), "needs at least 2 runs"),
        (lambda: reg_1(X, X, T[:6]), "horizons has 6 points"),
        (lambda: reg_1(X, X, np.arange(1.0, 8.0)), r"horizons\[2\] is 3, not twice"),
        (lambda: reg_1(X, X, T / 64, log_power=0.5), r"horizons\[0\] is 1"),
        (lambda: reg_1(X, X, T, exponent=-0.5), "exponent is -0.5"),
        (lambda: reg_1(X, X, T, margin=-0.1), "margin is -0.1"),
    ],
)
def test_bad_evidence_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
