"""What is filed: papers, claims, figures, as plain records and as text."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from mdplab.claims import discovery
from mdplab.report.build import latest_result
from mdplab.report.html import lemma_word
from mdplab.report.lemmas import lemma_records


def catalogue(keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A record a paper: bibliography, claims, figures.

    Raises
    ------
    ValueError
        An unknown key, with the nearest ones.
    """
    records = []
    for key, paper in discovery.papers(keys).items():
        section = paper.card.paper
        records.append(
            {
                "key": key,
                "title": section.title,
                "authors": list(section.authors),
                "year": section.year,
                "venue": section.venue,
                "arxiv": section.arxiv,
                "claims": [
                    {"id": claim.id, "theorem": claim.theorem, "title": claim.title, "relation": claim.relation.rule}
                    for claim in paper.claims.values()
                ],
                "figures": sorted(paper.card.figures),
            }
        )
    return records


def print_catalogue(console: Console, records: Sequence[dict[str, Any]]) -> None:
    """Papers with their claims indented below."""
    for record in records:
        authors = record["authors"][0] + (" et al." if len(record["authors"]) > 1 else "")
        console.print(f"[bold]{record['key']}[/]  {escape(record['title'])} [dim]({authors}, {record['year']})[/]")
        for claim in record["claims"]:
            console.print(f"  {claim['id']}  [dim]{escape(claim['theorem'])}, {claim['relation']}[/]")
        if record["figures"]:
            console.print(f"  [dim]figures: {', '.join(record['figures'])}[/]")


def claim_record(claim_id: str, store: Path | None = None) -> dict[str, Any]:
    """Everything that is filed of one claim, and its latest verdict if there is one.

    Raises
    ------
    ValueError
        An unknown id, with the nearest ones; or the key of a paper with several claims.
    """
    found = discovery.entries([claim_id])
    if len(found) != 1:
        raise ValueError(f"{claim_id!r} names {len(found)} claims; give one of {', '.join(found)}")
    entry = next(iter(found.values()))
    claim, card = entry.claim, entry.card
    lemmas = lemma_records(store) if claim.lemmas else {}
    return {
        "id": entry.id,
        "title": claim.title,
        "paper": entry.paper.card.paper.title,
        "theorem": claim.theorem,
        "statement": claim.statement,
        "words": claim.words,
        "relation": claim.relation.describe(),
        "rule": claim.relation.rule,
        "parameters": claim.relation.parameters,
        "assumptions": list(claim.assumptions),
        "falsifiers": {name: _first_line(function) for name, function in claim.falsifiers.items()},
        "controls": {name: _first_line(function) for name, function in claim.controls.items()},
        "lemmas": list(claim.lemmas),
        "lemmas_say": {lemma: lemmas[lemma] for lemma in claim.lemmas if lemma in lemmas},
        "expected": str(card.expect.verdict),
        "note": card.note,
        "not_established": claim.relation.not_established,
        "latest": latest_result(entry.id, store),
    }


def _first_line(function: Any) -> str:
    return (function.__doc__ or "").strip().split("\n")[0]


def print_claim(console: Console, record: dict[str, Any]) -> None:
    """A claim as a page of text."""
    console.print(f"[bold]{record['id']}[/]  {escape(record['title'])}")
    console.print(f"{escape(record['paper'])}, {escape(record['theorem'])}\n")
    console.print(escape(record["statement"]), soft_wrap=True)
    lines = [("in words", record["words"]), ("decided by", f"{record['rule']}: {record['relation']}")]
    lines += [("assumes", text) for text in record["assumptions"]]
    for kind in ("falsifiers", "controls"):
        lines += [(kind[:-1], f"{name}: {text}" if text else name) for name, text in record[kind].items()]
    for lemma in record["lemmas"]:
        found = record["lemmas_say"].get(lemma)
        said = f"{lemma_word(found)}. {found['statement']}" if found else "there is no such lemma"
        lines.append(("lemma", f"{lemma}: {said}"))
    lines.append(("expected", f"{record['expected']}. {record['note']}"))
    latest = record["latest"]
    if latest:
        lines.append(("latest", f"{latest['verdict']} ({latest['profile']} profile). {latest['reason']}"))
    else:
        lines.append(("latest", "never judged here; run mdplab verify"))
    lines.append(("not established", record["not_established"]))
    console.print()
    for name, text in lines:
        if text:
            wrapped = textwrap.fill(text, width=max(40, console.width - 18)).replace("\n", "\n" + " " * 17)
            console.print(f"[dim]{name:>15}[/]  {escape(wrapped)}", soft_wrap=True)
