"""Claims refuse to be registered without what makes them fail; evidence and streams are what they say."""

import pickle

import numpy as np
import pytest

from mdplab.claims import Bound, Evidence, Rate, claim, seeds


def measure(p, rng):
    return Evidence(measured=[rng.random()], bound=[2.0])


def tenfold(p, rng):
    return Evidence(measured=[10 * rng.random()], bound=[2.0])


def registered(**changes):
    options = {"relation": Bound(), "falsifiers": {"tenfold": tenfold}} | changes
    return claim("Lemma 1", r"x \le 2", **options)(measure)


def test_a_claim_is_its_function_with_arms_by_role():
    made = registered(controls={"other": measure}, zero_error=measure, two_start=measure, search=measure)
    roles = {name: arm.role for name, arm in made.arms.items()}
    assert roles == {
        "main": "main",
        "two-start": "main",
        "search": "main",
        "falsifier:tenfold": "falsifier",
        "control:other": "control",
        "zero-error": "zero-error",
    }
    assert made.id == f"{__name__.rsplit('.', 1)[-1]}:measure"
    assert made(None, np.random.default_rng([1]))["measured"] == np.random.default_rng([1]).random()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"falsifiers": {}}, "measure has no falsifier"),
        ({"falsifiers": {"a b": tenfold}}, "name 'a b'"),
        ({"falsifiers": {"x": 3}}, r"falsifiers\['x'\] is 3"),
        ({"controls": {"synthetic": measure}}, "'synthetic'"),
        ({"relation": Rate(0.5), "search": measure}, "Rate has no valid level"),
    ],
)
def test_an_unsound_registration_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        registered(**changes)


def test_a_claim_serves_as_the_falsifier_of_another():
    other = claim("Lemma 2", "x", relation=Bound(), falsifiers={"tenfold": tenfold})(tenfold)
    assert registered(falsifiers={"other": other}).arms["falsifier:other"].function is tenfold


def test_evidence_is_plain_read_only_and_survives_pickling():
    evidence = Evidence(a=[1, 2], b=np.float32(0.5), c=[True], text="seen")
    copy = pickle.loads(pickle.dumps(evidence))
    assert {name: array.dtype.kind for name, array in copy.arrays.items()} == {
        "a": "i",
        "b": "f",
        "c": "b",
        "text": "U",
    }
    assert copy["b"].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        copy["a"][0] = 3
    with pytest.raises(ValueError, match="z has dtype complex128"):
        Evidence(z=[1j])
    with pytest.raises(KeyError, match="there are a, b, c, text"):
        evidence["measured"]


def test_streams_are_told_apart_by_claim_replicate_and_stream():
    draws = {
        seeds.stream(name, replicate, stream).integers(2**63)
        for name in ("a:x", "a:y")
        for replicate in range(3)
        for stream in range(2)
    }
    assert len(draws) == 12
    assert seeds.stream("a:x", 1).random() == seeds.stream("a:x", 1).random()
