"""The report: everything that is said of a claim is on the page, escaped, and Chromium renders it."""

import shutil
import subprocess

import pytest

from mdplab.claims.decision import reading
from mdplab.report.html import arm_tone, mathml, readings, render, short, tone, write_report

ARM = {
    "name": "main",
    "role": "main",
    "outcome": "accepted",
    "wanted": "",
    "decision": {"slack": 0.25, "p_refute": "nan", "p_accept": 0.001, "statistics": {"slopes": [0.5] * 20}},
}
RESULT = {
    "id": "smith2027:contraction",
    "paper": "smith2027",
    "title": "Contraction <b>",
    "theorem": "Theorem 1",
    "statement": r"\|V_t - V^*\|_\infty \le \gamma^t",
    "verdict": "CONSISTENT",
    "reason": "accepted at 0.001",
    "expected": "CONSISTENT",
    "as_expected": True,
    "slack": 0.25,
    "refutable_factor": "inf",
    "seconds": 1.5,
    "registration": "abc123",
    "not_established": "Says nothing about other instances.",
    "witness": "",
    "arms": [
        ARM,
        {**ARM, "name": "falsifier:tenfold", "role": "falsifier", "outcome": "refuted", "wanted": "refuted"},
        {**ARM, "name": "falsifier:sly", "role": "falsifier", "outcome": "accepted", "wanted": "refuted"},
        {**ARM, "name": "control:broken", "role": "control", "outcome": "error", "wanted": "accepted", "decision": {}},
    ],
    "provenance": {"numpy": "2.4"},
}
RUN = {"profile": "quick", "results": [RESULT], "seconds": 3.0, "ok": True, "manifest": {"python": "3.11"}}
EXTRA = {
    "words": "w",
    "assumptions": ["bounded rewards"],
    "lemmas": ["smith2027:max"],
    "rule": "BOUND-D",
    "figures": [],
}


def _papers(figures=()):
    claim = {**RESULT, **EXTRA, "figures": list(figures)}
    return [
        {"key": "smith2027", "title": "T", "authors": "A", "year": 2027, "venue": "", "arxiv": "", "claims": [claim]}
    ]


def test_the_page_says_everything_and_escapes_it():
    page = render(RUN, _papers())
    for text in (
        "Theorem 1",
        "falsifier:tenfold",
        "1/2",
        "Says nothing about",
        "bounded rewards",
        "smith2027:max",
        "abc123",
    ):
        assert text in page
    assert "Contraction &lt;b&gt;" in page and "<math" in page and "prefers-color-scheme: dark" in page
    assert "http" not in page.replace("http://www.w3.org/1998/Math/MathML", ""), "the page loads nothing from elsewhere"


def _estimated(*readings, **changes):
    """The result with an arm that estimated these numbers, and a falsifier that did too."""
    decision = {**ARM["decision"], "statistics": {"readings": list(readings)}}
    arms = [{**ARM, "decision": decision}, {**ARM, "decision": decision, "name": "falsifier:f", "role": "falsifier"}]
    return {**RESULT, **EXTRA, "arms": [*arms, {**arms[0], "name": "control:synthetic", "role": "control"}], **changes}


SLOPE = reading("exponent, average of 8 instances", 0.4021, (0.3917, float("inf")), 0.36, window=(512, 8192))
# The tolerance is text of the page here.
ROW = reading("slope of transport", -0.361, (-0.433, -0.288), -0.391, tolerance=0.19, window=(299999, 299999))


def test_every_slope_is_shown_with_its_interval_and_its_window():
    shown = {"run": "main", "what": "exponent, average of 8 instances", "found": "0.402", "window": "512 – 8,192"}
    shown |= {"98% interval": "[0.392, ∞]", "tested against": "0.36"}
    result = _estimated(SLOPE, ROW)
    assert readings(result)[0] == shown
    assert [row["run"] for row in readings(result)] == ["main", "main", "falsifier:f", "falsifier:f"]
    assert [row["run"] for row in readings(result, roles=("main",))] == ["main", "main"]
    papers = _papers()
    papers[0]["claims"] = [result]
    page = render(RUN, papers)
    for text in (*shown.values(), "[-0.433, -0.288]", "-0.391 ± 0.19", ">299,999<"):
        assert text in page
    assert "readings" not in page and "Estimates" not in render(RUN, _papers())
    # JSON spells infinities, and what was stored before has no readings.
    again = _estimated({**SLOPE, "limits": [0.3917, "inf"]})
    assert readings(again)[0] == shown and readings(RESULT) == []


def test_large_delimiters_are_signs():
    assert mathml(r"\Big\| x \Big\|").count("&#x02016;") == 2
    assert "\\" not in mathml(r"\big\{ x \big\}")


def test_a_claim_links_to_its_lemmas(tmp_path):
    lemma = {"id": "smith2027:max", "kind": "IDENTITY", "statement": "a < b", "source": "s", "ok": True, "seconds": 0.1}
    lemmas = {"smith2027:max": {**lemma, "cited_by": ["smith2027:contraction"]}}
    page = write_report(tmp_path, RUN, _papers(), tmp_path, lemmas, {"IDENTITY": "algebra"}).read_text()
    assert 'href="lemmas.html#smith2027:max"' in page and "a &lt; b" in page and ">1 lemma<" in page
    assert 'id="smith2027:max"' in (tmp_path / "lemmas.html").read_text()


def test_figures_are_copied_beside_the_page(tmp_path):
    (tmp_path / "figures/smith2027").mkdir(parents=True)
    (tmp_path / "figures/smith2027/x.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    figure = {"source": "smith2027/x.svg", "file": "figures/smith2027-x.svg", "alt": "x", "caption": "c"}
    page = write_report(tmp_path / "out", RUN, _papers([figure]), tmp_path / "figures")
    assert page.exists() and (tmp_path / "out/figures/smith2027-x.svg").exists()
    with pytest.raises(ValueError, match="cannot be written"):
        write_report(page / "below-a-file", RUN, _papers([figure]), tmp_path / "figures")


def test_small_words():
    assert [short(x) for x in (None, "nan", "inf", 0.12345, 1e-9)] == ["–", "–", "∞", "0.123", "1e-09"]
    assert [tone(v) for v in ("VERIFIED", "REFUTED", "INCONCLUSIVE")] == ["good", "bad", "wait"]
    assert [arm_tone(arm) for arm in RESULT["arms"]] == ["good", "good", "bad", "bad"]
    assert "<code>" in mathml(r"\begin{nosuch}")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
@pytest.mark.parametrize("dark", [False, True])
def test_chromium_shows_it(tmp_path, dark):
    page = write_report(tmp_path / "out", RUN, _papers(), tmp_path)
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000",
        *(["--force-dark-mode", "--enable-features=WebUIDarkMode"] if dark else []),
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "smith2027:contraction" in shown and "<math" in shown
