"""The last run, as the store has it, and the report built from it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mdplab.claims import discovery
from mdplab.claims.store import Store, default_path
from mdplab.report.html import write_report
from mdplab.report.lemmas import lemma_records

FIGURES = Path("figures")


def load_last_run(store: Path | None = None) -> dict[str, Any]:
    """The record of the last run.

    Raises
    ------
    ValueError
        There is none, or the store cannot be read.
    """
    path = Path(store or default_path())
    run = _read(path, Store.last_run)
    if run is None:
        raise ValueError(f"{path}: no run is recorded; run mdplab verify first")
    return run.to_json()


def latest_result(claim_id: str, store: Path | None = None) -> dict[str, Any] | None:
    """The latest verdict on a claim with the `profile` it was judged under, or None."""
    found = _read(Path(store or default_path()), lambda opened: opened.latest(claim_id))
    return None if found is None else {**found[1].to_json(), "profile": found[0]}


def _read(path: Path, question: Callable[[Store], Any]) -> Any:
    """Ask a store that exists; opening one that does not would create it."""
    if not path.exists():
        return None
    with Store(path) as opened:
        return question(opened)


def build_report(run: Mapping[str, Any], folder: Path, figures: Path = FIGURES, *, store: Path | None = None) -> Path:
    """Write the HTML report of a run; figures drawn before are shown, and lemmas as `mdplab prove` last found them.

    Raises
    ------
    ValueError
        The folder cannot be written.
    """
    entries = discovery.entries([result["id"] for result in run["results"]])
    papers: dict[str, dict[str, Any]] = {}
    for result in run["results"]:
        entry = entries[result["id"]]
        section, claim = entry.paper.card.paper, entry.claim
        paper = papers.setdefault(
            section.key,
            {**section.model_dump(exclude={"authors"}), "authors": ", ".join(section.authors), "claims": []},
        )
        shown = [
            {
                "source": f"{section.key}/{name}.svg",
                "file": f"figures/{section.key}-{name}.svg",
                "alt": card.title or name,
                "caption": card.caption,
            }
            for name, card in entry.paper.card.figures.items()
            if card.claim == claim.name and (figures / section.key / f"{name}.svg").exists()
        ]
        extra = {
            "words": claim.words,
            "assumptions": claim.assumptions,
            "lemmas": claim.lemmas,
            "rule": f"{claim.relation.rule}: {claim.relation.describe()}",
            "figures": shown,
        }
        paper["claims"].append({**result, **extra})
    from proofs_check.checked import KINDS

    return write_report(folder, run, list(papers.values()), figures, lemma_records(store), KINDS)
