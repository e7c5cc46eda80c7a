"""Pictures say what they are given: chains from lemma to claim."""

import matplotlib.pyplot as plt
import pytest

from mdplab.report.pictures import chain_map

CLAIMS = [
    {"id": "a2000:proved", "theorem": "Theorem 1", "verdict": "VERIFIED", "lemmas": ("a2000:x", "b2000:y")},
    {"id": "a2000:measured", "theorem": "Theorem 2", "verdict": "CONSISTENT", "lemmas": ()},
]


@pytest.fixture
def ax():
    """Axes that are closed again."""
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_the_chain_names_everything_and_draws_a_line_for_each_dependence(ax):
    chain_map(ax, CLAIMS, {"a2000:x": "SOS", "b2000:y": "IDENTITY"})
    said = [text.get_text() for text in ax.texts]
    for word in ("x", "y", "Theorem 1", "Theorem 2", "proved  VERIFIED", "measured  CONSISTENT", "SOS", "IDENTITY"):
        assert word in said
    # Two claims to their theorems, the second dotted, and two lemmas to the first theorem.
    assert sorted(line.get_linestyle() for line in ax.lines) == ["-", "-", "-", ":"]


def test_an_unknown_lemma_is_named(ax):
    with pytest.raises(ValueError, match="a2000:x"):
        chain_map(ax, CLAIMS, {"b2000:y": "IDENTITY"})
