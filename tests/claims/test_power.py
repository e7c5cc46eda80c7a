"""What a plan promises is what the rules deliver, at the truth that the plan names."""

import numpy as np
import pytest
from scipy import stats

from mdplab.claims.decision import ACCEPT_LEVEL, REFUTE_LEVEL
from mdplab.claims.planner import LEAST_POWER
from mdplab.claims.power import MOST, predict
from mdplab.claims.relations import (
    Bound,
    BoundHP,
    BoundMean,
    LinearRate,
    Ordering,
    Rate,
    Regret,
    SequentialRate,
    WorstRate,
)

N = 64 * 2.0 ** np.arange(9)
RATIO = 16.0


def rate(exponent, I, S, sigma, rng, bad=None):
    """Errors of every instance at `exponent`, of the first at `bad` if given."""
    exponents = np.full((I, 1, 1), exponent)
    exponents[0] = exponent if bad is None else bad
    return {"n": np.tile(N, (I, 1)), "error": N**-exponents * np.exp(sigma * rng.standard_normal((I, S, N.size)))}


def pairs(exponent, I, rng):
    lo, hi = np.exp(0.3 * rng.standard_normal((2, I, 4)))
    return {"error_lo": lo, "error_hi": hi * RATIO**-exponent, "ratio": np.full(I, RATIO)}


def failures(p, I, rng):
    return {"violated": rng.random((I, 50)) < p}


def errors(I, rng):
    return {"error": rng.beta(2, 10, (I, 4)), "bound": np.full(I, 0.25)}


def ordered(I, rng):
    right = rng.standard_normal((I, 4))
    return {"left": right - 0.5 + rng.standard_normal((I, 4)) + 0.4 * rng.standard_normal((I, 1)), "right": right}


def regrets(exponent, m, rng):
    T = 64.0 * 2.0 ** np.arange(7)
    return {
        "horizons": T[None],
        **{name: T[:, None] ** exponent * rng.uniform(0.2, 1.8, (1, 1, 7, m)) for name in ("select", "estimate")},
    }


# By relation: a large pilot, so that what is compared is the formula and not the pilot's luck; the card's replicates;
# for each side the data of a run at the truth that the plan names, and the decision it should come to.
CASES = {
    "rate": (
        Rate(0.5),
        lambda rng: rate(0.5, 100, 8, 0.3, rng),
        14,
        {"accepted": lambda rng: rate(0.5, 14, 8, 0.3, rng), "refuted": lambda rng: rate(0.4, 14, 8, 0.3, rng)},
    ),
    "worst rate": (
        WorstRate(0.5),
        lambda rng: rate(0.5, 100, 64, 0.25, rng),
        12,
        {"refuted": lambda rng: rate(0.5, 12, 64, 0.25, rng, bad=0.4)},
    ),
    "sequential rate": (
        SequentialRate(0.5, margin=0.05),
        lambda rng: pairs(0.5, 500, rng),
        60,
        {"refuted": lambda rng: pairs(0.4, 60, rng)},
    ),
    "bound with high probability": (
        BoundHP(0.1),
        lambda rng: failures(0.0, 2, rng),
        3,
        {"accepted": lambda rng: failures(0.1, 3, rng), "refuted": lambda rng: failures(0.2, 3, rng)},
    ),
    "bound on a mean": (
        BoundMean(1.0),
        lambda rng: errors(500, rng),
        12,
        {"accepted": lambda rng: errors(12, rng)},
    ),
    "ordering": (
        Ordering(),
        lambda rng: ordered(500, rng),
        10,
        {"accepted": lambda rng: ordered(10, rng)},
    ),
    "regret": (
        Regret(0.5),
        lambda rng: regrets(0.5, 250, rng),
        1,
        {"accepted": lambda rng: regrets(0.5, 250, rng), "refuted": lambda rng: regrets(0.6, 250, rng)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_predicted_power_is_delivered(name):
    relation, pilot, instances, sides = CASES[name]
    rng = np.random.default_rng([90, *name.encode()])
    predicted = predict(relation, pilot(rng), instances).power
    assert 0.3 < predicted < 0.99, "a prediction at the end of its range shows nothing"
    reps = 300
    achieved = [
        sum(relation.decide(data(rng)).outcome(REFUTE_LEVEL, ACCEPT_LEVEL) == wanted for _ in range(reps)) / reps
        for wanted, data in sides.items()
    ]
    # Three standard errors of 300 runs at .5, and 5 points for the pilot and the formula; plans take the harder side.
    assert min(achieved) == pytest.approx(predicted, abs=0.05 + 3 * 0.5 / np.sqrt(reps))


@pytest.mark.parametrize("name", CASES)
def test_needed_is_the_least_that_has_enough(name):
    relation, pilot, instances, _ = CASES[name]
    data = pilot(np.random.default_rng([91, *name.encode()]))
    plan = predict(relation, data, instances, claims=20)
    assert plan.power < predict(relation, data, instances).power, "more claims share the same budget"
    needed, runs = plan.needed
    if runs == plan.seeds:
        assert predict(relation, data, needed, claims=20).enough
        assert needed == 1 or not predict(relation, data, needed - 1, claims=20).enough
    else:
        assert needed == instances


@pytest.mark.parametrize(("delta", "instances", "claims"), [(0.1, 3, 1), (0.1, 8, 12), (0.02, 40, 3), (0.3, 1, 1)])
def test_power_of_binomial_tests_is_exact(delta, instances, claims):
    m = 50 * instances
    decisions = [BoundHP(delta).decide({"violated": (np.arange(m) < s).reshape(instances, 50)}) for s in range(m + 1)]
    refuted = np.array([decision.p_refute <= REFUTE_LEVEL / claims for decision in decisions])
    accepted = np.array([decision.p_accept <= ACCEPT_LEVEL / claims for decision in decisions])
    s = np.arange(m + 1)
    sides = stats.binom.pmf(s, m, 2 * delta) @ refuted, stats.binom.pmf(s, m, delta) @ accepted
    plan = predict(BoundHP(delta), {"violated": np.zeros((1, 50), dtype=bool)}, instances, claims=claims)
    # Sums of at most 2001 probabilities, each to 1e-13 or so.
    assert plan.power == pytest.approx(min(sides), abs=1e-9)


def test_what_no_number_of_runs_decides_is_said():
    rng = np.random.default_rng([92])
    unbounded = predict(BoundMean(np.inf), errors(4, rng), 12)
    assert unbounded.needed is None and not unbounded.enough
    assert str(unbounded).startswith("cannot reach 80% power for the pilot's mean")
    assert "without a cap" in str(unbounded)
    floored = rate(0.5, 4, 8, 0.1, rng) | {"floor": np.full(4, 0.05)}
    assert "above the floor" in str(predict(Rate(0.5), floored, 12))
    noise = np.zeros((4, 1))
    assert predict(Ordering(), {"left": noise, "right": noise}, 12).needed is None
    short = {"error": np.full((4, 100), 0.5), "floor": np.zeros(4)}
    assert "the pilot is" in str(predict(LinearRate(), short, 12))


def test_a_geometric_decrease_and_orderings_on_every_instance():
    assert predict(LinearRate(), LinearRate().synthetic(), 12).enough
    right = np.random.default_rng([93]).standard_normal((4, 8))
    clear = predict(Ordering(every_instance=True), {"left": right - 1, "right": right}, 12)
    assert clear.enough and clear.needed[0] == 12
    noise = np.random.default_rng([94]).standard_normal((4, 8))
    assert not predict(Ordering(every_instance=True), {"left": right - 0.3 + noise, "right": right}, 12).enough


def test_slopes_that_differ_over_instances_ask_for_instances():
    rng = np.random.default_rng([95])
    exponents = rng.normal(0.5, 0.1, (400, 1, 1))
    data = {"n": np.tile(N, (400, 1)), "error": N**-exponents * np.exp(0.01 * rng.standard_normal((400, 8, N.size)))}
    plan = predict(Rate(0.5), data, 12)
    assert not plan.enough
    # (z.99 + z.8)^2 (0.1 / 0.05)^2 = 40 instances by normal quantiles, a few more by Student's and for the guard.
    assert 40 <= plan.needed[0] <= 60
    assert predict(Rate(0.5), data | {"error": data["error"][:, :1]}, 12).sigma != plan.sigma
    # One seed each: nothing to tell seeds from instances by, and the same slopes.
    single = predict(Rate(0.5), data | {"error": data["error"][:, :1]}, 12)
    assert np.isnan(single.sigma) and single.power == pytest.approx(plan.power, abs=0.03)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="BOUND-D"):
        predict(Bound(), {}, 12)
    with pytest.raises(ValueError, match="claims is 0"):
        predict(BoundHP(0.1), failures(0, 2, np.random.default_rng([96])), 12, claims=0)
    with pytest.raises(ValueError, match="at least 2"):
        predict(Rate(0.5), rate(0.5, 1, 8, 0.1, np.random.default_rng([97])), 12)
    assert LEAST_POWER == 0.8 and MOST > 10**5
