"""What was found of lemmas is kept, forgotten when their code changes, and shown in both directions."""

import pytest

from mdplab.report import lemmas as module
from mdplab.report.catalogue import claim_record, print_claim
from mdplab.report.html import breakable, lemma_tone, lemma_word, render_lemmas
from mdplab.report.lemmas import check_lemmas, cited_by, keep_lemmas, lemma_records, summary

CYCLE = "munos2023:three_cycle"


@pytest.fixture
def store(tmp_path):
    """A store in which one paper's lemmas have been kept."""
    keep_lemmas(check_lemmas(["munos2023"]), tmp_path / "store.sqlite")
    return tmp_path / "store.sqlite"


def test_what_was_found_is_kept_and_the_rest_is_not_checked(store):
    records = lemma_records(store)
    assert records[CYCLE]["ok"] is True and records[CYCLE]["kind"] == "IDENTITY"
    other = records["schulman2015:tight"]
    assert other["ok"] is None and other["statement"].startswith("On the two-state instance")
    keep_lemmas(check_lemmas(["ho2021"]), store)
    assert lemma_records(store)[CYCLE]["ok"] is True, "records of other papers stay"


def test_a_record_is_forgotten_when_its_code_changes(store, monkeypatch):
    monkeypatch.setattr(module, "_digest", lambda lemma: "changed")
    assert {record["ok"] for record in lemma_records(store).values()} == {None}


def test_the_digest_covers_module_and_tools(tmp_path, monkeypatch):
    import proofs_check

    for name in ("one2000", "two2000", "tool"):
        (tmp_path / f"{name}.py").write_text(name)
    monkeypatch.setattr(proofs_check, "__path__", [str(tmp_path)])
    before = module._digest("one2000:x"), module._digest("two2000:x")
    (tmp_path / "one2000.py").write_text("changed")
    between = module._digest("one2000:x"), module._digest("two2000:x")
    assert before[0] != between[0] and before[1] == between[1]
    (tmp_path / "tool.py").write_text("changed")
    assert module._digest("two2000:x") != between[1]


def test_a_torn_file_holds_nothing(tmp_path):
    (tmp_path / "lemmas.json").write_text("{")
    assert lemma_records(tmp_path / "store.sqlite")[CYCLE]["ok"] is None


def test_citations_go_both_ways(store):
    from mdplab.claims import discovery

    citing = cited_by()
    for entry in discovery.entries().values():
        assert all(entry.id in citing[lemma] for lemma in entry.claim.lemmas)
    assert "munos2023:three_cycle_equilibrium" in citing[CYCLE]
    assert lemma_records(store)[CYCLE]["cited_by"] == citing[CYCLE]


def test_a_claim_names_its_lemmas(store, capsys):
    from rich.console import Console

    record = claim_record("munos2023:three_cycle_equilibrium", store)
    print_claim(Console(width=200), record)
    assert f"{CYCLE}: holds. K (b, c, a) = 0" in capsys.readouterr().out
    print_claim(Console(width=200), {**record, "lemmas": ["munos2023:nosuch"]})
    assert "munos2023:nosuch: there is no such lemma" in capsys.readouterr().out


def test_the_page_lists_lemmas_by_kind_and_links_to_claims():
    common = {"source": "s", "seconds": 0.5, "cited_by": []}
    lemmas = {
        "a2000:x": {
            **common,
            "id": "a2000:x",
            "kind": "SOS",
            "statement": "x < y",
            "ok": True,
            "cited_by": ["a2000:c"],
        },
        "a2000:y": {**common, "id": "a2000:y", "kind": "SOS", "statement": "y", "ok": False, "cited_by": ["b2000:d"]},
        "b2000:z": {**common, "id": "b2000:z", "kind": "", "statement": "z", "ok": None},
    }
    page = render_lemmas(lemmas, {"IDENTITY": "i", "SOS": "squares"}, {"a2000:c"})
    assert "3 lemmas of 2 papers" in page and "1 not checked" in page and "x &lt; y" in page
    assert '<h2 id="SOS">' in page and '<h2 id="UNDECIDED">' in page and 'id="IDENTITY"' not in page
    assert 'href="index.html#a2000:c"' in page and 'href="index.html#b2000:d"' not in page
    assert page.count("FAILS") == 1 and page.count("no claim yet") == 1
    assert [lemma_word(x) for x in lemmas.values()] == ["holds", "FAILS", "not checked"]
    assert [lemma_tone(x) for x in lemmas.values()] == ["good", "bad", "wait"]
    assert breakable("a_b<") == "a_<wbr>b&lt;"


def test_the_summary_names_what_fails():
    good = {"id": "a2000:x", "kind": "SOS", "ok": True, "seconds": 1.0}
    assert summary([good, {**good, "id": "a2000:y", "kind": "", "ok": False}]) == (
        "1 of 2 lemmas fail (a2000:y) in 2.0 s: 1 SOS, 1 raised"
    )
