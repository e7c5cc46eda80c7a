"""LIN-1, BOUND-HP, BOUND-E and ORD-1: false alarms and power against the tables of VERIFICATION 2.4, 2.5 and 2.7."""

import numpy as np
import pytest
from claims.calibration import power_near, rate_at_most, tally

from mdplab.claims.rules import bound_e, bound_hp, lin_1, ord_1
from mdplab.claims.rules.e_process import bernoulli_log_path, mean_log_path

LEVEL = 0.01

SEQUENCES = {
    "geometric .9": lambda k: 0.9**k,
    "geometric .99": lambda k: 0.99**k,
    "geometric .999": lambda k: 0.999**k,
    "two-phase geometric": lambda k: np.where(k < 60, 0.8 ** np.minimum(k, 60), 0.8**60 * 0.95 ** (k - 60)),
    "superlinear": lambda k: 0.97 ** (k**1.3),
    "1/k": lambda k: 1 / (1 + k),
    "1/k^2": lambda k: 1 / (1 + k) ** 2,
    "exp(-sqrt k)": lambda k: np.exp(-2 * np.sqrt(k)),
}
# Sequence, iterations; percent refuted and accepted.
LINEAR = [
    ("geometric .9", 150, 0, 100),
    ("two-phase geometric", 150, 0, 100),
    ("superlinear", 150, 0, 100),
    ("1/k", 150, 17, 0),
    ("1/k^2", 150, 70, 0),
    ("geometric .9", 600, 0, 100),
    ("geometric .99", 600, 0, 0),
    ("geometric .999", 600, 0, 0),
    ("two-phase geometric", 600, 0, 100),
    ("superlinear", 600, 0, 100),
    ("1/k", 600, 94, 0),
    ("1/k^2", 600, 100, 0),
    ("exp(-sqrt k)", 600, 1, 2),
    ("geometric .99", 3000, 0, 100),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(LINEAR)))
def test_lin_1_reproduces_its_table(row, case):
    name, T, refuted, accepted = case
    reps, I, floor = 200, 10, 1e-15
    rng, curve = np.random.default_rng([20, row]), SEQUENCES[name](np.arange(float(T)))
    decisions = []
    for _ in range(reps):
        noise = np.exp(0.1 * rng.standard_normal((I, T)))
        decisions.append(lin_1(curve * noise + floor * np.abs(rng.standard_normal((I, T))), floor=floor))
    R, C = tally(decisions)
    assert power_near(R, reps, refuted / 100)
    assert power_near(C, reps, accepted / 100)
    if name in {"geometric .99", "geometric .999"} and T == 600:
        assert {decision.reason(LEVEL, LEVEL) for decision in decisions} == {"underpowered"}


def test_lin_1_needs_the_floor_mask():
    rng, k = np.random.default_rng([21]), np.arange(600.0)
    error = 0.9**k + 1e-15 * np.abs(rng.standard_normal((10, 600)))
    assert lin_1(error, floor=1e-15).outcome(LEVEL, LEVEL) == "accepted"
    blind = lin_1(error, floor=1e-30)
    assert blind.outcome(LEVEL, LEVEL) == "refuted"
    # Published 0.045, for one draw: it lies within three standard deviations of ours.
    ratio = blind.statistics["ratio"]
    assert abs(0.045 - ratio.mean()) <= 3 * ratio.std(ddof=1)
    assert ratio.max() < 0.1


# True probability; percent refuted and accepted by 600 runs, and by the e-process; mean runs it reads. delta = .1.
VIOLATIONS = [
    (0.0, 0, 100, 0, 100, 34),
    (0.05, 0, 100, 0, 100, 62),
    (0.1, 0.8, 99.2, 0.5, 99.5, 150),
    (0.15, 91, 8.9, 60.5, 39.5, 291),
    (0.2, 100, 0, 99.6, 0.4, 129),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(VIOLATIONS)))
def test_bound_hp_reproduces_its_table(row, case):
    p, refuted, accepted, e_refuted, e_accepted, mean_runs = case
    reps, m = 2000, 600
    hits = np.random.default_rng([30, row]).random((reps, m)) < p
    decisions = [bound_hp(violated, 0.1) for violated in hits]
    R, C = tally(decisions)
    assert power_near(R, reps, refuted / 100)
    # Published acceptances count both rejections; here a refutation has precedence.
    assert power_near(C, reps, accepted / 100)
    if p == 0.15:
        assert power_near(sum(d.p_accept <= LEVEL for d in decisions), reps, 0.813)
    if p <= 0.1:
        assert rate_at_most(R, reps, LEVEL)
    if p >= 0.2:
        assert rate_at_most(sum(d.p_accept <= LEVEL for d in decisions), reps, LEVEL)
    first = []
    for bound, side in ((0.1, +1), (0.2, -1)):
        crossed = bernoulli_log_path(hits.astype(float), bound, side) >= np.log(1 / LEVEL)
        first.append(np.where(crossed.any(axis=1), crossed.argmax(axis=1), m))
    assert power_near(int((first[0] < first[1]).sum()), reps, e_refuted / 100)
    assert power_near(int((first[1] < first[0]).sum()), reps, e_accepted / 100)
    # Standard error of the mean over 2000 replications is at most 5 runs.
    assert np.minimum(*first).mean() + 1 == pytest.approx(mean_runs, abs=25.0)
    for rep in range(20):
        stop = int(min(first[0][rep], first[1][rep], m - 1)) + 1
        outcome = bound_hp(hits[rep, :stop], 0.1, sequential=True).outcome(LEVEL, LEVEL)
        expected = ["accepted", "undecided", "refuted"][int(np.sign(first[1][rep] - first[0][rep])) + 1]
        assert outcome == expected


def rare(rng, shape):
    return np.where(rng.random(shape) < 0.0192, 1.0, 0.01)


# Draws, bound; percent refuted and accepted at 5 % by reading after every run up to 400.
MEANS = [
    (lambda rng, shape: rng.beta(1, 4, shape), 0.2, 1.8, 1.4),
    (lambda rng, shape: (rng.random(shape) < 0.2) * 1.0, 0.2, 2.0, 3.2),
    (rare, 0.01 * (1 - 0.0192) + 0.0192, 0.5, 1.7),
    (lambda rng, shape: rng.beta(1, 3.2, shape), 0.2, 94.6, 0.0),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(MEANS)))
def test_bound_e_reproduces_its_table(row, case):
    draw, bound, refuted, accepted = case
    reps, m, level = 3000, 400, 0.05
    error = draw(np.random.default_rng([40, row]), (reps, m))
    R = (mean_log_path(error, bound, +1) >= np.log(1 / level)).any(axis=1)
    C = (mean_log_path(error, bound, -1) >= np.log(1 / level)).any(axis=1)
    assert power_near(int(R.sum()), reps, refuted / 100)
    assert power_near(int(C.sum()), reps, accepted / 100)
    if row < 3:
        assert rate_at_most(int(R.sum()), reps, level)
    assert rate_at_most(int(C.sum()), reps, level)
    for rep in range(30):
        decision = bound_e(7 * error[rep], 7 * bound, 7.0)
        assert (decision.p_refute <= level, decision.p_accept <= level) == (R[rep], C[rep])


def paired(I, m, shift, common, tail, reps, rng):
    """Two arrays (reps, I, m), the first larger by `shift` on average over instances."""
    instance, shared = rng.normal(0, 2, (reps, I, 1)), rng.normal(0, 1, (reps, I, m))
    effect = shift + rng.normal(0, 0.3, (reps, I, 1))

    def own():
        return rng.normal(0, 0.5, (reps, I, m)) if tail == "normal" else 0.3 * rng.standard_t(2.2, (reps, I, m))

    other = shared if common else rng.normal(0, 1, (reps, I, m))
    return instance + shared + effect + own(), instance + other + own()


# Instances, runs, effect, common random numbers, tail; percent accepted by the sign-flip test at 5 %.
ORDERINGS = [
    (12, 8, 0.0, True, "normal", 5.0),
    (12, 8, 0.0, False, "normal", 5.0),
    (12, 8, 0.0, True, "t", 4.5),
    (6, 8, 0.0, True, "normal", 4.5),
    (12, 64, 0.0, True, "normal", 4.2),
    (12, 8, 0.3, True, "normal", 79.8),
    (12, 8, 0.3, False, "normal", 46.9),
    (12, 8, 0.3, True, "t", 67.8),
    (6, 8, 0.3, True, "normal", 45.6),
]


@pytest.mark.parametrize(("row", "case"), list(enumerate(ORDERINGS)))
def test_ord_1_reproduces_its_table(row, case):
    I, m, shift, common, tail, accepted = case
    reps, level = 1500, 0.05
    large, small = paired(I, m, shift, common, tail, reps, np.random.default_rng([50, row]))
    decisions = [ord_1(*pair) for pair in zip(small, large)]
    R, C = tally(decisions, level, level)
    assert power_near(C, reps, accepted / 100)
    assert rate_at_most(R, reps, level)
    if shift == 0:
        assert rate_at_most(C, reps, level)
    else:
        swapped, _ = tally([ord_1(*pair) for pair in zip(large[:200], small[:200])], level, level)
        assert swapped == tally(decisions[:200], level, level)[1], "what accepts one order refutes the other"


def test_ord_1_on_every_instance_is_not_fooled_by_the_average():
    reps, level = 600, 0.05
    rng = np.random.default_rng([51])
    effect = np.full((12, 1), 1.0)
    effect[0] = 0.0
    difference = effect + 0.5 * rng.standard_normal((reps, 12, 30))
    zero = np.zeros((12, 30))
    _, C = tally([ord_1(zero, d, every_instance=True) for d in difference], level, level)
    assert rate_at_most(C, reps, level)
    _, average = tally([ord_1(zero, d) for d in difference], level, level)
    assert average == reps
    R, _ = tally([ord_1(zero, 0 * effect + d - effect, every_instance=True) for d in difference], level, level)
    assert rate_at_most(R, reps, level)
