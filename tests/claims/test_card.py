"""Cards: what is wrong is said by file, line and key; code and card name the same claims."""

import pytest
from claims.toy import CARD, CLAIM, MODULE, write_paper

from mdplab.claims import Verdict
from mdplab.claims.discovery import entries, load_paper, sources

GOOD = CARD.format(key="toy2000", pause=0.5) + CLAIM.format(name="small", verdict="verified", quick=2, full=4)
ONE = MODULE[: MODULE.index('@claim("Lemma 2"')]


def only_small(toy, card=GOOD, module=ONE):
    write_paper(toy, module=module)
    (toy / "toy2000.toml").write_text(card)
    return load_paper("toy2000")


def test_a_card_gives_sizes_expectations_and_figures(toy):
    extra = """
tightness = { quick = [0.5, 1.0] }
[figures.decay]
claim = "small"
kind = "rate"
caption = "Numbers."
labels = { x = "$x$" }
"""
    paper = only_small(toy, GOOD.replace('"verified"', '"verified"\nexpect.full = "Inconclusive"') + extra)
    card = paper.card
    assert (card.params["quick"].scale, card.params["full"].pause) == (1.0, 0.5)
    small = card.claims["small"]
    assert (small.expect.under("quick"), small.expect.under("full")) == (Verdict.VERIFIED, Verdict.INCONCLUSIVE)
    assert (small.band("quick"), small.band("full")) == ((0.5, 1.0), None)
    assert card.figures["decay"].labels == {"x": "$x$"}
    assert list(paper.claims) == ["small"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'verdict = "verified"',
            'verdict = "true"',
            r"toy2000.toml:17: claims.small.expect.verdict: is 'true'; expected",
        ),
        ("[paper]", "[paper]\neditor = 1", "toy2000.toml:3: paper.editor: unknown key"),
        ("year = 2000", "year = 1066", "toy2000.toml:6: paper.year: is 1066; input should be greater"),
        ('title = "On numbers"\n', "", r"toy2000.toml:2: paper.title: Field required"),
        ("[profiles.full]", "[profiles.huge]", "toy2000.toml:12: profiles.huge"),
        (
            "scale = 1.0",
            "scales = 1.0",
            r"toy2000.toml:9: profiles.quick.scales is unknown; expected one of scale, pause",
        ),
        (
            "scale = 1.0",
            'scale = "big"',
            "toy2000.toml:9: profiles.quick.scale: is 'big'; input should be a valid number",
        ),
        ("scale = 1.0\n", "", "toy2000.toml:8: profiles.quick.scale: Field required"),
        ("quick = 2", "quick = 0", "claims.small.replicates.quick: is 0; input should be greater"),
        ("replicates", "tightness = [2.0, 1.0]\nreplicates", r"tightness is \[2.0, 1.0\]"),
        ('key = "toy2000"', 'key = "toy1999"', "toy2000.toml:3: paper.key is 'toy1999'; expected 'toy2000'"),
        ("year = 2000", "year = = 2000", r"toy2000.toml: not TOML: .* \(at line 6"),
        ("[claims.small]", "[claims.smaller]", r"no \[claims.small\], which toy2000.py defines"),
        (
            "[paper]",
            '[figures.a]\nclaim = "b"\nkind = "rate"\ncaption = ""\n[paper]',
            "figures.a.claim is 'b'; expected",
        ),
        (
            "[paper]",
            '[figures.a]\nclaim = "small"\nkind = "pie"\ncaption = ""\n[paper]',
            ":4: figures.a.kind: is 'pie'",
        ),
    ],
)
def test_a_faulty_card_is_refused(toy, old, new, message):
    assert old in GOOD
    with pytest.raises(ValueError, match=message):
        only_small(toy, GOOD.replace(old, new, 1))


def test_a_card_names_no_claim_that_the_code_lacks(toy):
    with pytest.raises(ValueError, match=r"\[claims.tiny\], but toy2000.py defines no such claim"):
        only_small(toy, GOOD + CLAIM.format(name="tiny", verdict="verified", quick=1, full=1))


def test_a_module_needs_a_card_a_card_a_module_and_both_parameters(toy):
    with pytest.raises(ValueError, match="no class Params"):
        only_small(toy, module=ONE.replace("class Params", "class Sizes"))
    (toy / "toy2000.toml").unlink()
    with pytest.raises(ValueError, match=r"has no card; expected paper_configs/toy2000\.toml"):
        load_paper("toy2000")
    write_paper(toy)
    (toy / "toy2000.py").unlink()
    with pytest.raises(ValueError, match="is a card without a module"):
        sources()


def test_an_unknown_id_is_answered_with_the_nearest(toy):
    with pytest.raises(ValueError, match=r"no claim 'toy2000:smal'; nearest: toy2000:small"):
        entries(["toy2000:smal"])
    with pytest.raises(ValueError, match=r"no paper or claim 'toy200'; nearest: toy2000"):
        entries(["toy200"])
    assert len(entries(["toy2000"])) == 9


def test_a_folder_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="which is no folder"):
        sources()
