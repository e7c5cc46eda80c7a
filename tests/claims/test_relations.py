"""Every relation accepts what satisfies it by construction, and refuses to be given no room."""

import numpy as np
import pytest

from mdplab.claims import (
    Bound,
    BoundHP,
    BoundMean,
    CertificateSound,
    Identity,
    LinearRate,
    Ordering,
    Rate,
    Regret,
    SequentialRate,
    Witness,
    WorstRate,
)

WITH_CONTROL = [
    Bound(),
    BoundHP(0.1),
    BoundMean(2.0),
    Rate(0.5),
    Rate(1.0, margin=0.1, functional="log_mean"),
    Rate(0.5, log_power=1),
    WorstRate(0.5),
    LinearRate(),
    Ordering(),
    Ordering(every_instance=True),
    Regret(),
    Regret(2 / 3, log_power=0.5),
    Identity(),
    CertificateSound(),
    Witness(),
]


@pytest.mark.parametrize("relation", WITH_CONTROL, ids=repr)
def test_the_synthetic_control_is_accepted(relation):
    decision = relation.decide(relation.synthetic())
    assert decision.outcome() == "accepted"
    assert decision.rule == relation.rule
    assert decision.deterministic == relation.deterministic
    assert set(relation.synthetic()) <= {*relation.arrays, *relation.optional}


@pytest.mark.parametrize("relation", [*WITH_CONTROL, SequentialRate(0.5)], ids=repr)
def test_it_says_what_it_claims_and_what_it_does_not(relation):
    assert relation.describe() and relation.not_established.startswith("Says nothing")
    assert relation.missing(set()) == list(relation.arrays)


def test_a_stronger_claim_on_the_same_control_is_refuted():
    data = Rate(0.5).synthetic()
    assert Rate(0.7).decide(data).outcome() == "refuted"
    assert WorstRate(0.7).decide(data).outcome() == "refuted"
    assert Regret(0.3).decide(Regret(0.5).synthetic()).outcome() == "refuted"
    swapped = Ordering().synthetic()
    assert Ordering().decide({"left": swapped["right"], "right": swapped["left"]}).outcome() == "refuted"


def test_a_sequential_rate_reads_fresh_pairs():
    noise = np.exp(0.1 * np.random.default_rng([7]).standard_normal((2, 12, 40)))
    data = {"error_lo": noise[0], "error_hi": 0.25 * noise[1], "ratio": np.full(12, 16.0)}
    assert SequentialRate(0.5).decide(data).outcome() == "accepted"
    assert SequentialRate(0.7).decide(data).outcome() == "refuted"
    shown = SequentialRate(0.5).decide(data | {"sizes": np.tile([64, 1024], (12, 1))}).statistics["readings"][0]
    assert shown["window"] == [64.0, 1024.0]


@pytest.mark.parametrize("relation", [Rate(0.5), WorstRate(0.5), Regret(0.5)], ids=lambda relation: relation.rule)
def test_a_slope_comes_with_its_interval_and_its_window(relation):
    decision = relation.decide(relation.synthetic())
    for shown in decision.statistics["readings"]:
        low, high = shown["limits"]
        assert low < shown["found"] < high
        assert shown["window"][1] == 16 * shown["window"][0]
        assert shown["against"] in {0.45, 0.55}


def test_replicates_share_one_grid():
    data = Rate(0.5).synthetic()
    data["n"] = data["n"].copy()
    data["n"][3] *= 2
    with pytest.raises(ValueError, match="n differs between replicates 0 and 3"):
        Rate(0.5).decide(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoundHP(0.5), "delta is 0.5"),
        (lambda: BoundMean(0.0), "cap is 0.0"),
        (lambda: Rate(0.5, margin=0.0), "margin is 0.0"),
        (lambda: Regret(margin=-1.0), "margin is -1.0"),
        (lambda: LinearRate(1.0), "threshold is 1.0"),
    ],
)
def test_constants_without_room_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_zero_error_control_gives_the_floor_and_can_fail():
    relation = Rate(0.5)
    main = relation.synthetic()
    zero = {"n": main["n"], "error": np.full_like(main["error"], 1e-6)}
    assert relation.zero_error_fault(main, zero) == ""
    assert relation.with_floor(main, zero)["floor"].tolist() == [1e-6] * 24
    assert "above the declared floor" in relation.zero_error_fault(main | {"floor": np.full(24, 1e-9)}, zero)
    assert "nan" in relation.zero_error_fault(main, zero | {"error": zero["error"] * np.nan})
    bound = {"measured": np.array([[2.0]]), "bound": np.array([[1.0]])}
    assert Bound().zero_error_fault({}, bound) == "the rule says refuted"
