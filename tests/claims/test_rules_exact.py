"""BOUND-D, IDENTITY, CERTIFICATE and WITNESS spend no error probability: exact cases on both sides of the line."""

import numpy as np
import pytest

from mdplab.claims.rules import bound_d, certificate, identity, witness


def test_a_bound_holds_up_to_and_including_equality():
    decision = bound_d([[0.5, 1.0], [0.25, 0.75]], [[1.0, 1.0], [1.0, 1.0]])
    assert decision.outcome() == "accepted"
    assert decision.slack == 1.0
    assert decision.refutable_factor == 1.0
    above = bound_d([0.5, np.nextafter(1.0, 2.0)], [1.0, 1.0])
    assert above.outcome() == "refuted"
    assert above.witness.startswith("measured[1] = 1.0000000000000002")


def test_only_certified_ends_decide():
    assert bound_d(1.05, 1.0, 0.1).outcome() == "undecided"
    assert bound_d(1.2, 1.0, 0.1).outcome() == "refuted"
    assert bound_d(0.95, 1.0, 0.1).outcome() == "undecided"
    decision = bound_d([0.2, 0.4], 1.0, 0.1)
    assert decision.outcome() == "accepted"
    # The certified ratio at the second point is .3: a bound 10/3 times smaller would be refuted beyond it.
    assert decision.refutable_factor == pytest.approx(1 / 0.3)


def test_the_witness_is_the_worst_point_of_any_shape():
    measured = np.zeros((3, 2, 4))
    measured[1, 0, 2], measured[2, 1, 3] = 2.0, 5.0
    decision = bound_d(measured, 1.0)
    assert decision.witness == "measured[2, 1, 3] = 5.0, radius 0, bound 1"
    assert decision.statistics["violations"] == 2


def test_bounds_of_zero_and_below_have_no_ratio_but_are_tested():
    assert bound_d([0.0, -2.0], [0.0, -1.0]).outcome() == "accepted"
    broken = bound_d([1e-9, 0.5], [0.0, 1.0])
    assert broken.outcome() == "refuted"
    assert broken.slack == 0.5
    assert np.isnan(bound_d([-2.0], [-1.0]).slack)
    assert bound_d([0.0], [1.0]).refutable_factor == np.inf


def test_vanishing_bounds_overflow_to_infinity_in_silence():
    # A bound that decays geometrically ends among the subnormal numbers.
    assert bound_d([1e-12, 0.5], [5e-324, 1.0]).slack == np.inf
    assert bound_d([0.0, 0.5], [5e-324, 1.0]).outcome() == "accepted"
    assert identity(1.0, 2.0, 5e-324).slack == np.inf


def test_no_violation_says_little_about_what_was_not_sampled():
    # Rule of three: .0495 at 59 points.
    share = bound_d(np.zeros(59), 1.0).statistics["missed_share_bound"]
    assert share == pytest.approx(0.0495, abs=5e-5)


def test_identity():
    left = np.array([1.0, -2.0, 0.0])
    assert identity(left, left, 0.0).outcome() == "accepted"
    assert identity(left, left, 0.0).refutable_factor == np.inf
    close = identity(left, left + np.array([0, 4e-13, 0]), 8e-13)
    assert close.outcome() == "accepted"
    # The gap is rounded to a multiple of 2^-51 at 2.
    assert close.slack == pytest.approx(0.5, rel=1e-3)
    off = identity(left, left + np.array([0, 0, 1e-12]), [1e-15, 1e-15, 1e-15])
    assert off.outcome() == "refuted"
    assert off.witness == "left[2] = 0.0, right = 1e-12, tolerance 1e-15"
    assert identity(left, left + np.array([0, 0, 1e-300]), 0.0).slack == np.inf


def test_labelled_entries_are_reported_one_by_one():
    table = {"labels": [["slope", "log error"]], "interval": [[0.1, 0.0]], "windows": [[[1, 8], [8, 8]]]}
    decision = identity([[1.0, 2.0]], [[1.2, 2.0]], [[0.3, 0.0]], **table)
    assert decision.outcome() == "accepted"
    first, second = decision.statistics["readings"]
    assert first == {
        **{"what": "slope", "found": 1.0, "limits": [0.9, 1.1], "against": 1.2, "tolerance": 0.3},
        "window": [1.0, 8.0],
    }
    assert second["limits"] == [2.0, 2.0] and second["window"] == [8.0, 8.0]
    # What is shown decides nothing.
    assert identity([[1.0, 2.0]], [[1.6, 2.0]], [[0.3, 0.0]], **table).outcome() == "refuted"
    assert "readings" not in identity([1.0], [1.0], 0.0).statistics
    assert identity([1.0], [1.0], 0.0, labels=["x"]).statistics["readings"][0]["window"] is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"labels": ["a"]}, r"labels has shape \(1,\); expected \(2,\)"),
        ({"labels": ["a", "b"], "interval": [0.1]}, r"interval has shape \(1,\)"),
        ({"labels": ["a", "b"], "interval": [0.1, -0.1]}, r"interval\[1\] is -0.1; expected at least 0"),
        ({"labels": ["a", "b"], "windows": [[1, 2]]}, r"windows has shape \(1, 2\); expected \(2, 2\)"),
    ],
)
def test_tables_that_do_not_fit_are_named(table, message):
    with pytest.raises(ValueError, match=message):
        identity([1.0, 2.0], [1.0, 2.0], 0.0, **table)


def test_certificate_soundness_needs_temptation_and_completeness():
    true = np.array([True, True, False, False])
    assert certificate(true, true).outcome() == "accepted"
    unsound = certificate([True, True, False, True], true)
    assert unsound.outcome() == "refuted"
    assert unsound.witness == "accepted[3] although false"
    assert certificate([False] * 4, true).outcome() == "undecided"
    assert certificate([True, True], [True, True]).outcome() == "undecided"
    incomplete = certificate([True, False, False, False], true)
    assert incomplete.outcome() == "accepted"
    assert incomplete.statistics["false_rejects"] == 1


def test_witness():
    assert witness(np.ones((2, 3), dtype=bool), "six facts").outcome() == "accepted"
    failed = witness([[True, False]], "replays")
    assert failed.outcome() == "refuted"
    assert failed.witness == "holds[0, 1] is False; replays"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bound_d([1.0, np.nan], 1.0), r"measured\[1\] is nan"),
        (lambda: bound_d([1.0, 2.0], [1.0, np.inf]), r"bound\[1\] is inf"),
        (lambda: bound_d([1.0, 2.0], [1.0, 2.0, 3.0]), "bound has shape"),
        (lambda: bound_d([1.0], 1.0, -0.1), r"radius\[0\] is -0.1"),
        (lambda: bound_d([], 1.0), "measured has shape"),
        (lambda: identity([1.0], [1.0, 2.0], 0.1), "right has shape"),
        (lambda: identity([np.nan], [1.0], 0.1), r"left\[0\] is nan"),
        (lambda: identity([1.0], [1.0], -1.0), "tolerance is -1"),
        (lambda: certificate([1, 0], [True, True]), "accepted has dtype int64"),
        (lambda: certificate([True], [True, True]), "true has shape"),
        (lambda: witness(np.array([], dtype=bool)), "nothing was measured"),
        (lambda: witness([1.0]), "holds has dtype float64"),
    ],
)
def test_bad_evidence_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
