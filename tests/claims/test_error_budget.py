"""One family-wise budget: Holm by its definition, e-values by closed testing over all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdplab.claims.decision import Decision
from mdplab.claims.error_budget import e_bonferroni, e_holm, holm, rule_on


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_as_the_step_down_procedure_does(p, alpha):
    p = np.array(p)
    order = np.argsort(p, kind="stable")
    expected = np.zeros(p.size, dtype=bool)
    for rank, i in enumerate(order):
        if p[i] * (p.size - rank) > alpha:
            break
        expected[i] = True
    np.testing.assert_array_equal(holm(p) <= alpha, expected)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=7))
def test_e_holm_is_closed_testing_with_averages(e):
    e = np.array(e)
    sets = [c for size in range(1, e.size + 1) for c in combinations(range(e.size), size)]
    closed = [min(e[list(c)].mean() for c in sets if i in c) for i in range(e.size)]
    # Sums of at most seven doubles in two orders.
    np.testing.assert_allclose(e_holm(e), closed, rtol=1e-14)
    assert np.all(e_holm(e) >= e_bonferroni(e) * (1 - 1e-14))


def test_witnesses_spend_nothing():
    exact = {f"exact {i}": Decision("BOUND-D", True, 0.0, 1.0) for i in range(50)}
    rulings = rule_on({"rate": Decision("RATE-G1", False, 0.009, 1.0), **exact})
    assert rulings["rate"].outcome == "refuted"
    assert {rulings[name].outcome for name in exact} == {"refuted"}
    crowd = {f"rate {i}": Decision("RATE-G1", False, 1.0, 1.0) for i in range(50)}
    assert rule_on({"rate": Decision("RATE-G1", False, 0.009, 1.0), **crowd})["rate"].outcome == "undecided"


def test_a_guard_survives_the_correction():
    rulings = rule_on({"rate": Decision("RATE-G1", False, 1e-9, 1.0, withhold_refute="pre-asymptotic")})
    assert (rulings["rate"].outcome, rulings["rate"].reason) == ("undecided", "pre-asymptotic")


def test_sequential_claims_alone_are_combined_by_their_e_values():
    sequential = {
        name: Decision("RATE-E1", False, p, 1.0, e_refute=e, e_accept=0.1)
        for name, p, e in [("a", 1 / 400, 300.0), ("b", 1 / 300, 180.0), ("c", 1.0, 0.5)]
    }
    rulings = rule_on(sequential)
    # Smallest averages of sets that contain a: (300 + .5) / 2, of three: 160.2; of b: 90.25.
    assert rulings["a"].adjusted_refute == pytest.approx(1 / 150.25)
    assert [ruling.outcome for ruling in rulings.values()] == ["refuted", "undecided", "undecided"]
    mixed = rule_on({**sequential, "d": Decision("RATE-G1", False, 1.0, 1.0)})
    assert mixed["a"].adjusted_refute == pytest.approx(4 / 400)


def test_an_empty_run_has_no_rulings():
    assert rule_on({}) == {}


@pytest.mark.parametrize(
    ("function", "values", "message"),
    [
        (holm, [0.1, np.nan], r"p\[1\] is nan"),
        (holm, [0.1, 1.1], r"p\[1\] is 1.1"),
        (holm, [], "p has shape"),
        (e_holm, [1.0, -1.0], r"e\[1\] is -1"),
        (e_bonferroni, [[1.0]], "e has shape"),
    ],
)
def test_bad_values_are_named(function, values, message):
    with pytest.raises(ValueError, match=message):
        function(np.array(values))
