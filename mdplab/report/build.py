"""The last run, kept beside the store, and the report built from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdplab.claims import discovery
from mdplab.claims.store import default_path
from mdplab.report.figures import write_atomically
from mdplab.report.html import write_report

FIGURES = Path("figures")


def _record_path(store: Path | None) -> Path:
    return Path(store or default_path()).parent / "last_run.json"


def save_last_run(run: Mapping[str, Any], store: Path | None = None) -> None:
    """Keep a run's record beside the store, and every claim's latest result with it."""
    path = _record_path(store)
    latest = _read(path).get("latest", {}) if path.exists() else {}
    for result in run["results"]:
        keep = ("id", "verdict", "expected", "as_expected", "reason", "slack", "registration")
        latest[result["id"]] = {**{key: result[key] for key in keep}, "profile": run["profile"]}
    write_atomically(path, json.dumps({"run": run, "latest": latest}, allow_nan=False))


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no run is recorded; run mdplab verify first") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None


def load_last_run(store: Path | None = None) -> dict[str, Any]:
    """The record of the last run.

    Raises
    ------
    ValueError
        There is none, or it cannot be read.
    """
    return _read(_record_path(store))["run"]


def latest_result(claim_id: str, store: Path | None = None) -> dict[str, Any] | None:
    """The latest verdict on a claim, or None."""
    path = _record_path(store)
    return _read(path)["latest"].get(claim_id) if path.exists() else None


def build_report(run: Mapping[str, Any], folder: Path, figures: Path = FIGURES) -> Path:
    """Write the HTML report of a run; figures that have been drawn before are shown.

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
    return write_report(folder, run, list(papers.values()), figures)
