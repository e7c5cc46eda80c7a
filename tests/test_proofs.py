"""Every lemma holds, every falsified variant fails, and what is cited exists."""

import importlib
from fractions import Fraction

import pytest
import sympy

from proofs_check.checked import Checked, Refused, falsified, lemmas

LEMMAS = lemmas()


@pytest.mark.parametrize("name", sorted(LEMMAS))
def test_it_holds(name):
    checked = LEMMAS[name]()
    assert isinstance(checked, Checked)
    assert checked.ok, checked


@pytest.mark.parametrize("name", sorted(LEMMAS))
def test_its_falsified_variant_fails(name):
    try:
        checked = LEMMAS[name](**falsified(name))
    except Refused:
        return
    assert not checked.ok


def test_cited_lemmas_exist():
    from mdplab.claims import discovery

    cited = {lemma for entry in discovery.entries().values() for lemma in entry.claim.lemmas}
    assert cited <= set(LEMMAS)


@pytest.mark.parametrize(
    ("kind", "residual", "ok"),
    [
        ("IDENTITY", sympy.Integer(0), True),
        ("IDENTITY", sympy.Symbol("x"), False),
        ("EXACT_CASES", 0, True),
        ("EXACT_CASES", 1, False),
        ("SOS", Fraction(0), True),
        ("SOS", Fraction(1, 10**30), False),
        ("INTERVAL", (Fraction(0), Fraction(1)), True),
        ("INTERVAL", (Fraction(-1, 10**30), Fraction(1)), False),
        ("COUNTEREXAMPLE", Fraction(1, 10**30), True),
        ("COUNTEREXAMPLE", Fraction(0), False),
    ],
)
def test_what_counts_as_checked(kind, residual, ok):
    assert Checked(kind, "statement", "source", "evidence", residual).ok == ok


def test_floats_and_unknown_kinds_are_refused():
    with pytest.raises(TypeError, match="exact number"):
        Checked("IDENTITY", "s", "s", "e", 0.0)
    with pytest.raises(TypeError, match="exact number"):
        Checked("IDENTITY", "s", "s", "e", sympy.Float(0))
    # Not decided by what sympy assumes of a symbol, or by infinity.
    for residual in (sympy.Symbol("g", positive=True), sympy.oo, sympy.sqrt(2)):
        with pytest.raises(TypeError, match="rational number"):
            Checked("COUNTEREXAMPLE", "s", "s", "e", residual)
    with pytest.raises(TypeError, match="a pair"):
        Checked("INTERVAL", "s", "s", "e", Fraction(0))
    with pytest.raises(ValueError, match="kind is 'FLOAT'"):
        Checked("FLOAT", "s", "s", "e", 0)
    with pytest.raises(ValueError, match="no lemma file 'nobody1999'"):
        lemmas(["nobody1999"])


def test_no_lemma_file_is_missed():
    for name in LEMMAS:
        module, lemma = name.split(":")
        assert getattr(importlib.import_module(f"proofs_check.{module}"), f"lemma_{lemma}") is LEMMAS[name]
