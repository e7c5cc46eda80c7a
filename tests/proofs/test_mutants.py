"""A wrong sign makes a lemma fail: five lemmas drawn at random in full, and of every lemma two changes.

`python tests/mutants.py` tries every change of every lemma, which takes some minutes.
"""

import ast
import inspect
import random
import time
from importlib import import_module

import pytest
from mutants import mutants, survives

from proofs_check.checked import lemmas

LEMMAS = sorted(lemmas())
FIVE = random.Random(9).sample(LEMMAS, 5)
CHANGES = 2


@pytest.mark.parametrize("lemma_id", FIVE)
def test_no_wrong_sign_survives_in_lemmas_drawn_at_random(lemma_id):
    changes = list(mutants(lemma_id))
    assert changes
    assert [change for change, module in changes if survives(lemma_id, module)] == []


@pytest.mark.parametrize("lemma_id", sorted(set(LEMMAS) - set(FIVE)))
def test_wrong_signs_are_caught_in_every_lemma(lemma_id):
    changes = list(mutants(lemma_id))
    assert changes, "nothing in it can be wrong by a sign"
    for change, module in random.Random(9).sample(changes, min(CHANGES, len(changes))):
        assert not survives(lemma_id, module), change


def test_what_is_changed_and_what_is_left_alone():
    texts = [change for change, _ in mutants("csiszar1967:pinsker_curvature")]
    assert len(texts) == 3
    assert all("1 - 4 q" not in text for text in texts), "descriptions are no claims"
    assert any("1 - 2 * _Q -> 1 + 2 * _Q" in text for text in texts)


def test_survivors_are_noticed():
    """An unchanged lemma passes, and one in which only the description is wrong."""
    lemma_id = "hoeffding1963:variance"
    original = _original(lemma_id)
    assert survives(lemma_id, original)
    renamed = ast.parse(ast.unparse(original).replace("Popoviciu", "nobody"))
    assert survives(lemma_id, renamed)
    assert not any(survives(lemma_id, module) for _, module in mutants(lemma_id))


def test_an_answer_that_takes_too_long_is_a_failure():
    module = _original("hoeffding1963:variance")
    slow = "import time\ndef lemma_variance():\n    while True:\n        time.sleep(0.01)\n"
    module.body = ast.parse(slow).body
    start = time.perf_counter()
    assert not survives("hoeffding1963:variance", module, seconds=1)
    assert time.perf_counter() - start < 5


def _original(lemma_id: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(f"proofs_check.{lemma_id.split(':')[0]}")))
