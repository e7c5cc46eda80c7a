"""The rate rules on data whose answer is known exactly, their guards, and their refusal of bad input."""

import numpy as np
import pytest
from scipy import stats

from mdplab.claims.decision import INTERVAL_LEVEL
from mdplab.claims.rules import rate_e1, rate_g1, rate_h1, synthetic_rate

N = 64 * 2.0 ** np.arange(9)
RULES = [rate_g1, rate_h1]


def power_law(a, I=6, S=4, sigma=0.05, key=0, n=N):
    return synthetic_rate(a, I, S, n, sigma, np.random.default_rng([90, key]))


@pytest.mark.parametrize("rule", RULES)
def test_noise_free_power_laws_are_read_exactly(rule):
    error = power_law(0.5, sigma=0.0)
    decision = rule(error, N, exponent=0.5)
    assert decision.outcome() == "accepted"
    assert decision.statistics["exponent"] == pytest.approx(0.5)
    assert decision.slack == pytest.approx(1.0)
    assert decision.statistics["window"] == (4, 8)
    # Strengthened to the measured exponent plus the margin, the claim is refuted.
    assert decision.refutable_factor == pytest.approx(1.1)
    assert rule(power_law(0.4, sigma=0.0), N, exponent=0.5).outcome() == "refuted"


def test_the_window_of_a_slope_is_reported_in_n_and_its_limits_are_those_of_the_tests():
    decision = rate_g1(power_law(0.45, sigma=0.3), N, exponent=0.5)
    (shown,) = decision.statistics["readings"]
    assert shown["window"] == [1024.0, 16384.0] and shown["against"] == 0.45
    assert shown["found"] == decision.statistics["exponent"]
    # A threshold at a limit is rejected at 1 % exactly: the interval leaves out 1 % on either side.
    for end, side in zip(shown["limits"], ("p_accept", "p_refute")):
        again = rate_g1(power_law(0.45, sigma=0.3), N, exponent=end + 0.05)
        assert getattr(again, side) == pytest.approx(0.01)
    floored = rate_g1(power_law(0.5, sigma=0.0), N, exponent=0.5, floor=power_law(0.5, sigma=0.0)[:, 0, 5] / 20)
    assert floored.statistics["readings"][0]["window"] == [256.0, 4096.0]
    assert INTERVAL_LEVEL == 0.98


def test_the_slowest_instance_is_reported_with_an_interval_for_all_instances_at_once():
    error = np.concatenate([power_law(0.3, I=1, S=16), power_law(0.7, I=11, S=16)])
    average, slowest = rate_h1(error, N, exponent=0.5).statistics["readings"]
    assert "instance 0" in slowest["what"] and slowest["window"] == average["window"] == [1024.0, 16384.0]
    x = np.log(N[-5:])
    each = -np.polyfit(x, np.log(error[0, :, -5:]).T, 1)[0]
    # Bonferroni: 1 % over twelve instances on either side.
    low, high = stats.t(15, each.mean(), stats.sem(each)).interval(1 - 0.02 / 12)
    np.testing.assert_allclose([slowest["found"], *slowest["limits"]], [each.mean(), low, high])


def test_the_sequential_interval_inverts_both_e_processes():
    rng = np.random.default_rng([96])
    lo, hi = np.exp(0.2 * rng.standard_normal((2, 60))) * [[1.0], [16.0**-0.5]]
    decision = rate_e1(lo, hi, 16.0, exponent=0.5, sizes=[64, 1024])
    (shown,) = decision.statistics["readings"]
    assert shown["window"] == [64.0, 1024.0] and shown["against"] == 0.45
    assert shown["limits"][0] < 0.5 < shown["limits"][1]
    # Ends are local exponents of pairs, which lie further apart than this.
    nudge = 1e-9

    def at(theta):
        return rate_e1(lo, hi, 16.0, exponent=theta, margin=0.0)

    low, high = shown["limits"]
    assert at(low - nudge).p_accept <= 0.01 < at(low + nudge).p_accept
    assert at(high + nudge).p_refute <= 0.01 < at(high - nudge).p_refute
    # Fewer pairs than either process needs exclude no exponent.
    assert rate_e1(lo[:3], hi[:3], 16.0, exponent=0.5).statistics["limits"] == (-np.inf, np.inf)


def test_the_sequential_interval_covers():
    # Each end may miss with probability 1 %; of 300 runs more than 15 misses have probability 5e-4 at 2 %.
    rng = np.random.default_rng([97])
    missed = 0
    for _ in range(300):
        lo, hi = np.exp(0.2 * rng.standard_normal((2, 80))) * [[1.0], [16.0**-0.5]]
        low, high = rate_e1(lo, hi, 16.0, exponent=0.5).statistics["limits"]
        missed += not low <= 0.5 <= high
    assert stats.binom(300, 0.02).sf(15) < 1e-3
    assert missed <= 15


def test_the_average_rule_is_the_t_test_of_one_slope_per_instance():
    decision = rate_g1(power_law(0.45, sigma=0.3), N, exponent=0.5)
    slopes = decision.statistics["slopes"]
    for p, side in ((decision.p_refute, "less"), (decision.p_accept, "greater")):
        assert p == pytest.approx(stats.ttest_1samp(slopes, 0.45, alternative=side).pvalue)
    low = stats.ttest_1samp(slopes, 0.45).confidence_interval(0.98).low
    assert decision.statistics["limits"][0] == pytest.approx(low)


def test_the_two_routes_of_a_worst_case_refutation_share_its_level():
    # Two seeds leave an instance one degree of freedom, so the average speaks for all twelve.
    everywhere = power_law(0.44, I=12, S=2, sigma=0.05)
    average = rate_g1(everywhere, N, exponent=0.5).p_refute
    assert rate_h1(everywhere, N, exponent=0.5).p_refute == pytest.approx(5 * average)
    error = np.concatenate([power_law(0.4, I=1, S=16, sigma=0.2), power_law(0.7, I=11, S=16, sigma=0.2)])
    decision = rate_h1(error, N, exponent=0.5)
    slopes = -np.polynomial.polynomial.polyfit(np.log(N[4:]), np.log(error[:, :, 4:]).reshape(-1, 5).T, 1)[1]
    slopes = slopes.reshape(12, 16)
    alone = stats.ttest_1samp(slopes[0], 0.45, alternative="less").pvalue
    assert decision.p_refute == pytest.approx(12 * alone / 0.8)


@pytest.mark.parametrize("rule", RULES)
def test_refutable_factor_is_where_the_average_starts_to_refute(rule):
    error = power_law(0.5)
    factor = rule(error, N, exponent=0.5).refutable_factor
    # The factor scales the exponent; the average test is the whole of RATE-G1 and a fifth of the level of RATE-H1.
    assert rate_g1(error, N, exponent=0.5 * factor * 1.001).p_refute < 0.01
    assert rate_g1(error, N, exponent=0.5 * factor * 0.999).p_refute > 0.01


@pytest.mark.parametrize("rule", RULES)
def test_the_unit_of_replication_is_the_instance(rule):
    error = power_law(0.45, sigma=0.3)
    copied = np.repeat(error, 50, axis=1)
    once, often = rate_g1(error, N, exponent=0.5), rate_g1(copied, N, exponent=0.5)
    # Copies of seeds carry no information: means agree to rounding.
    assert often.p_refute == pytest.approx(once.p_refute, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_grids_of_every_replicate_count_as_one(rule):
    error = power_law(0.5)
    stacked = rule(error, np.tile(N, (6, 1)), exponent=0.5)
    assert stacked.p_accept == rule(error, N, exponent=0.5).p_accept


@pytest.mark.parametrize("rule", RULES)
def test_curvature_guards_withhold(rule):
    slow_start = power_law(0.5, n=N + 1000.0)
    decision = rule(slow_start, N, exponent=0.5)
    assert decision.p_refute < 0.01
    assert decision.reason() == "pre-asymptotic"
    rng = np.random.default_rng([91])
    fading = (N**-0.3 / 20 + N**-1.0) * np.exp(0.02 * rng.standard_normal((6, 4, 9)))
    decision = rule(fading, N, exponent=0.3)
    assert decision.p_accept < 0.01
    assert decision.reason() == "decelerating"


@pytest.mark.parametrize("rule", RULES)
def test_floor_is_masked_subtracted_and_limits(rule):
    scale = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 9.0])
    error = scale[:, None, None] * (N**-0.5 + 1e-3) * np.ones((6, 4, 1))
    error = error * np.exp(1e-6 * np.random.default_rng([92]).standard_normal(error.shape))
    decision = rule(error, N, exponent=0.5, floor=1e-3 * scale)
    # n^-1/2 >= 9e-3 up to n = 8192.
    assert decision.statistics["window"] == (3, 7)
    # Noise of 1e-6 in the log error, over a window of 2.8 in log n.
    assert decision.statistics["exponent"] == pytest.approx(0.5, abs=1e-5)
    if rule is rate_h1:
        # The same noise, one instance at a time.
        np.testing.assert_allclose(decision.statistics["instance_slopes"], 0.5, atol=1e-5)
    short = rule(error, N, exponent=0.5, floor=1e-2 * scale)
    assert (short.outcome(), short.reason()) == ("undecided", "floor-limited")
    assert rule(error[:, :, :5], N[:5], exponent=0.5, floor=0.0).statistics["window"] == (0, 4)


def test_the_functional_is_part_of_the_claim():
    rng = np.random.default_rng([93])
    sd = 0.75 * 2.0 ** (-np.arange(9) / 4)
    error = N**-0.5 * np.exp(sd * rng.standard_normal((12, 4000, 9)))
    slope = {
        name: rate_g1(error, N, exponent=0.5, functional=name, window=8).statistics["exponent"]
        for name in ("mean_log", "log_mean", "log_median")
    }
    # Published .500, .537 and .502; slopes of 48000 curves have standard error .0006 or, for the mean, .001.
    assert slope["mean_log"] == pytest.approx(0.5, abs=0.005)
    assert slope["log_median"] == pytest.approx(0.5, abs=0.005)
    # The log of a log-normal mean is higher by half the variance, which falls with n.
    expected = 0.5 - np.polyfit(np.log(N), sd**2 / 2, 1)[0]
    assert slope["log_mean"] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("rule", RULES)
def test_logarithms(rule):
    error = power_law(0.5) * np.log(N)
    assert rule(error, N, exponent=0.5, log_power=1).outcome() == "accepted"
    unregistered = rule(error, N, exponent=0.5, log_power=None)
    assert unregistered.p_refute < 0.01
    assert unregistered.reason() == "log-ambiguous"
    fast = rule(power_law(0.6), N, exponent=0.5, log_power=None)
    assert fast.outcome() == "accepted"


def test_one_slow_instance_refutes_the_worst_case_and_not_the_average():
    error = np.concatenate([power_law(0.3, I=1, S=16), power_law(0.7, I=11, S=16)])
    assert rate_g1(error, N, exponent=0.5).outcome() == "accepted"
    decision = rate_h1(error, N, exponent=0.5)
    assert decision.outcome() == "refuted"
    assert decision.statistics["worst_instance"] == 0
    assert decision.statistics["heterogeneity_p"] < 1e-6


def test_one_instance_that_still_speeds_up_refutes_nothing():
    late = synthetic_rate(0.5, 1, 16, N + 2000.0, 0.05, np.random.default_rng([94]))
    error = np.concatenate([late, power_law(0.5, I=11, S=16)])
    decision = rate_h1(error, N, exponent=0.5)
    assert decision.outcome() == "undecided"
    assert decision.reason() == "pre-asymptotic"


def test_sequential_rule_ties_count_against_both_answers():
    same = np.ones(200)
    # The error times ratio^theta is exactly unchanged: neither nulls' bit is evidence against it.
    tie = rate_e1(same, same * 16.0**-0.5, 16.0, exponent=0.5, margin=0.0)
    assert tie.p_refute == 1.0
    assert tie.p_accept == 1.0
    assert rate_e1(same, same, 16.0, exponent=0.5).outcome() == "refuted"
    accepted = rate_e1(same, same / 16, np.full(3, 16.0), exponent=0.5)
    assert accepted.outcome() == "accepted"
    # Every pair has local exponent 1; a claim of more than that plus the margin would be refuted.
    assert accepted.refutable_factor == pytest.approx(2.1)
    assert accepted.e_accept >= 1 / accepted.p_accept * (1 - 1e-12)
    assert rate_e1(same[:5], same[:5] / 16, 16.0, exponent=0.5).refutable_factor == np.inf


GOOD = np.full((3, 2, 9), 0.5)
WITH = {}
for name, value in [("zero", 0.0), ("negative", -1.0), ("nan", np.nan), ("infinite", np.inf)]:
    WITH[name] = GOOD.copy()
    WITH[name][2, 1, 3] = value


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(error=WITH["zero"]), r"error\[2, 1, 3\] is 0; expected finite and above 0"),
        (dict(error=WITH["negative"]), r"error\[2, 1, 3\] is -1"),
        (dict(error=WITH["nan"]), r"error\[2, 1, 3\] is nan"),
        (dict(error=WITH["infinite"]), r"error\[2, 1, 3\] is inf"),
        (dict(error=GOOD[0]), "error has shape"),
        (dict(error=GOOD[:1]), "axis 0 needs at least 2 instances"),
        (dict(n=N[:8]), "n has 8 points, but the errors have 9"),
        (dict(n=N[:4], error=GOOD[:, :, :4]), "4 doublings need 5"),
        (dict(n=np.arange(64.0, 73.0)), r"n\[1\] is 65, not twice n\[0\] = 64"),
        (dict(n=np.stack([N, N, 2 * N])), r"n\[2, 0\] is 128"),
        (dict(exponent=0.0), "exponent is 0"),
        (dict(margin=0.5), "margin is 0.5"),
        (dict(margin=-0.1), "margin is -0.1"),
        (dict(log_power=-1), "log_power is -1"),
        (dict(log_power=1, n=N / 64), r"n\[0\] is 1"),
        (dict(floor=-1e-3), "floor is -0.001"),
        (dict(floor=[0.1, 0.1]), "floor has shape"),
        (dict(functional="mode"), "functional is 'mode'"),
        (dict(window=1), "window is 1"),
        (dict(guard_level=0.0), "guard_level is 0"),
    ],
)
def test_bad_evidence_is_named(rule, change, message):
    arguments = dict(error=GOOD, n=N, exponent=0.5) | change
    with pytest.raises(ValueError, match=message):
        rule(arguments.pop("error"), arguments.pop("n"), **arguments)


def test_worst_case_needs_seeds():
    with pytest.raises(ValueError, match="axis 1 needs at least 2 seeds"):
        rate_h1(GOOD[:, :1], N, exponent=0.5)


@pytest.mark.parametrize(
    ("lo", "hi", "ratio", "message"),
    [
        ([1.0, 0.0], [1.0, 1.0], 16.0, r"error_lo\[1\] is 0"),
        ([1.0, 1.0], [1.0, np.nan], 16.0, r"error_hi\[1\] is nan"),
        ([1.0, 1.0], [1.0], 16.0, "error_hi has shape"),
        ([1.0], [1.0], 1.0, "one number above 1"),
        ([1.0], [1.0], [16.0, 8.0], "one number above 1"),
    ],
)
def test_bad_pairs_are_named(lo, hi, ratio, message):
    with pytest.raises(ValueError, match=message):
        rate_e1(lo, hi, ratio, exponent=0.5)


@pytest.mark.parametrize("sizes", [[64.0, 512.0], [64.0, 128.0, 1024.0], [64.0]])
def test_sizes_are_those_of_the_ratio(sizes):
    with pytest.raises(ValueError, match=r"sizes is .*; expected n and ratio \* n, ratio=16"):
        rate_e1(np.ones(3), np.ones(3), 16.0, exponent=0.5, sizes=sizes)
