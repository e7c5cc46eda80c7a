"""RATE-G1, RATE-H1 and RATE-E1: false alarms and power against the tables of VERIFICATION 2.3."""

import numpy as np
import pytest
from claims.calibration import N, noise, power_near, rate_at_most, rate_data, tally

from mdplab.claims.rules import rate_e1, rate_g1, rate_h1
from mdplab.claims.rules.e_process import bernoulli_log_path

REPS = 1000
LEVEL = 0.01

# Scenario, exponent, noise, sigma; whether n^-1/2 is true; percent refuted and accepted by the guarded rule.
ROWS = [
    ("pure", 0.5, "independent", 0.25, True, 0, 88.2),
    ("pure", 0.5, "one run", 0.25, True, 0, 93.2),
    ("pure", 0.5, "heavy", 0.5, True, 0, 36.5),
    ("pure", 0.5, "shrinking", 0.25, True, 0, 78.5),
    ("slow start", 0.5, "one run", 0.25, True, 0, 0),
    ("fast start", 0.5, "one run", 0.25, True, 0, 0),
    ("log", 0.5, "one run", 0.25, True, 0.9, 0),
    ("spread", 0.5, "one run", 0.25, True, 0, 95.3),
    ("pure", 0.4, "independent", 0.25, False, 88.8, 0),
    ("pure", 0.4, "one run", 0.25, False, 93.1, 0),
    ("pure", 0.4, "heavy", 0.5, False, 36.1, 0),
    ("hidden", 0.4, "one run", 0.25, False, 0, 2.3),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(ROWS)))
def test_rate_g1_reproduces_its_table(row, case):
    kind, a, noise_kind, sigma, true, refuted, accepted = case
    data, _ = rate_data(kind, a, noise_kind, sigma, REPS, np.random.default_rng([1, row]))
    R, C = tally(rate_g1(error, N, exponent=0.5) for error in data)
    assert power_near(R, REPS, refuted / 100)
    assert power_near(C, REPS, accepted / 100)
    if true:
        assert rate_at_most(R, REPS, LEVEL)
    elif kind != "hidden":
        # The hidden slow term is the documented weakness: it is not below the threshold on the whole window.
        assert rate_at_most(C, REPS, LEVEL)


@pytest.mark.parametrize(("row", "rule"), list(enumerate([rate_g1, rate_h1])))
@pytest.mark.parametrize("kind", ["independent", "one run", "heavy"])
def test_levels_hold_exactly_at_the_threshold(row, rule, kind):
    reps = 3000
    data, _ = rate_data("pure", 0.45, kind, 0.25, reps, np.random.default_rng([2, row, len(kind)]))
    R, C = tally(rule(error, N, exponent=0.5) for error in data)
    assert rate_at_most(R, reps, LEVEL)
    assert rate_at_most(C, reps, LEVEL)


def test_floor_mask_reads_the_rate_above_the_floor():
    # The published 0/81.5 subtracts one floor from instances whose floors differ by their scale; with each instance's
    # own floor the simulation's code gives 0/88.9.
    data, scale = rate_data("floor", 0.5, "one run", 0.25, REPS, np.random.default_rng([3]))
    R, C = tally(rate_g1(error, N, exponent=0.5, floor=0.003 * c) for error, c in zip(data, scale))
    assert rate_at_most(R, REPS, LEVEL)
    assert power_near(C, REPS, 0.889)
    blind, _ = tally(rate_g1(error, N, exponent=0.5) for error in data)
    assert power_near(blind, REPS, 0.698), "without the zero-error control a floor is read as a slow rate"


def test_registered_logarithm_is_divided_out_and_an_unregistered_one_blocks_refutation():
    data, _ = rate_data("log", 0.5, "one run", 0.25, REPS, np.random.default_rng([4]))
    R, C = tally(rate_g1(error, N, exponent=0.5, log_power=1) for error in data)
    assert rate_at_most(R, REPS, LEVEL)
    assert power_near(C, REPS, 0.927)
    slow, _ = rate_data("pure", 0.4, "one run", 0.25, 200, np.random.default_rng([5]))
    for log_power in (1, None):
        decisions = [rate_g1(error, N, exponent=0.5, log_power=log_power) for error in slow]
        assert tally(decisions)[0] == 0
        reasons = [decision.reason(0.01, 0.01) for decision in decisions]
        assert reasons.count("log-ambiguous") >= 190


@pytest.mark.parametrize(
    # Published: 11, 25, 59 and 93 %, by a rule that pools variances over instances and spends twice the level. Both
    # raise false alarms above 1.5 levels (see `rate_h1`); what is left without them is 8, 13, 15 and 5 points less.
    # These are measured over 10000, 10000, 4000 and 2000 other data sets.
    ("S", "reps", "power"),
    [(8, 2000, 0.029), (16, 2000, 0.121), (32, 1000, 0.439), (64, 400, 0.878)],
)
def test_rate_h1_finds_two_bad_instances_of_twelve(S, reps, power):
    data, _ = rate_data("two bad", 0.4, "one run", 0.25, reps, np.random.default_rng([6, S]), S=S)
    R, C = tally(rate_h1(error, N, exponent=0.5) for error in data)
    assert power_near(R, reps, power)
    assert rate_at_most(C, reps, LEVEL)
    if S == 8:
        _, deceived = tally(rate_g1(error, N, exponent=0.5) for error in data)
        assert power_near(deceived, reps, 0.955), "the average rule cannot see them"


@pytest.mark.parametrize(("S", "reps", "accepted"), [(8, 600, 0.88), (32, 300, 0.91), (64, 200, 0.89)])
def test_rate_h1_accepts_equal_instances(S, reps, accepted):
    data, _ = rate_data("pure", 0.5, "one run", 0.25, reps, np.random.default_rng([7, S]), S=S)
    R, C = tally(rate_h1(error, N, exponent=0.5) for error in data)
    assert rate_at_most(R, reps, LEVEL)
    assert power_near(C, reps, accepted)


# Noise, instances, how many of them have more noise than the others, and how many times more. Shrunk variances refute
# 3 % of the case of 24 instances.
UNEQUAL = [
    ("one run", 6, 1, 3.0),
    ("one run", 12, 1, 2.0),
    ("one run", 12, 1, 3.0),
    ("one run", 12, 3, 3.0),
    ("one run", 12, 6, 2.0),
    ("one run", 24, 1, 3.0),
    ("heavy", 12, 1, 3.0),
    ("heavy", 12, 3, 3.0),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(UNEQUAL)))
def test_rate_h1_keeps_its_level_with_unequal_noise(row, case):
    kind, I, some, ratio = case
    reps, chunks, S = 4000, 4, 8
    rng = np.random.default_rng([8, row])
    wide = np.ones((I, 1, 1))
    wide[:some] = ratio
    R = 0
    for _ in range(chunks):
        data = np.exp(-0.45 * np.log(N) + wide * noise(kind, 0.25, (reps // chunks, I, S, N.size), rng))
        R += tally(rate_h1(error, N, exponent=0.5) for error in data)[0]
    assert rate_at_most(R, reps, LEVEL)


def test_rate_h1_does_not_accept_two_slow_instances_among_noisy_ones():
    # Pooled variances accepted 55 % of these.
    reps, I = 2000, 12
    exponents, wide = np.full((I, 1, 1), 0.6), np.ones((I, 1, 1))
    exponents[:2], wide[6:] = 0.4, 4
    log_noise = noise("one run", 0.25, (reps, I, 8, N.size), np.random.default_rng([13]))
    _, C = tally(rate_h1(error, N, exponent=0.5) for error in np.exp(-exponents * np.log(N) + wide * log_noise))
    assert rate_at_most(C, reps, LEVEL)


# True exponent, noise, sigma; percent refuted and accepted, mean pairs read; of at most 1500 pairs.
SEQUENTIAL = [
    (0.5, "normal", 0.25, 0, 100, 120),
    (0.45, "normal", 0.25, 1.0, 0.7, 1478),
    (0.4, "normal", 0.25, 100, 0, 120),
    (0.4, "normal", 0.5, 99.7, 0, 473),
    (0.4, "t2", 0.25, 100, 0, 223),
]


def pairs(a, kind, sigma, shape, rng):
    z = sigma * (rng.standard_normal((2, *shape)) if kind == "normal" else rng.standard_t(2, (2, *shape)))
    return np.exp(z[0]), np.exp(z[1] - a * np.log(16.0))


@pytest.mark.parametrize(("row", "case"), list(enumerate(SEQUENTIAL)))
def test_rate_e1_reproduces_its_table_when_it_stops_itself(row, case):
    a, kind, sigma, refuted, accepted, mean_pairs = case
    reps, m = 1000, 1500
    lo, hi = pairs(a, kind, sigma, (reps, m), np.random.default_rng([9, row]))
    up = (np.log(hi / lo) + 0.45 * np.log(16.0) > 0).astype(float)
    first = []
    for side in (+1, -1):
        crossed = bernoulli_log_path(up, 0.5, side) >= np.log(1 / LEVEL)
        first.append(np.where(crossed.any(axis=1), crossed.argmax(axis=1), m))
    assert power_near(int((first[0] < first[1]).sum()), reps, refuted / 100)
    assert power_near(int((first[1] < first[0]).sum()), reps, accepted / 100)
    # Standard error over 1000 replications is at most 8 pairs.
    assert np.minimum(*first).mean() + 1 == pytest.approx(mean_pairs, abs=35.0)
    for rep in range(20):
        stop = int(min(first[0][rep], first[1][rep])) + 1
        decision = rate_e1(lo[rep, :stop], hi[rep, :stop], 16.0, exponent=0.5)
        expected = "refuted" if first[0][rep] < first[1][rep] else "accepted" if stop <= m else "undecided"
        assert decision.outcome(LEVEL, LEVEL) == expected


def test_rate_e1_holds_its_level_under_peeking():
    reps = 2000
    lo, hi = pairs(0.45, "normal", 0.25, (reps, 600), np.random.default_rng([10]))
    decisions = [rate_e1(*pair, 16.0, exponent=0.5) for pair in zip(lo, hi)]
    R, C = tally(decisions)
    assert rate_at_most(R, reps, LEVEL)
    assert rate_at_most(C, reps, LEVEL)
    e = np.array([[decision.e_refute, decision.e_accept] for decision in decisions])
    # At a fair coin e has mean 1; heavy-tailed, so only its bound by Markov is checked, at the level 1.5 of 1/20.
    assert rate_at_most(int((e[:, 0] >= 20).sum()), reps, 0.05)
    assert rate_at_most(int((e[:, 1] >= 20).sum()), reps, 0.05)
