"""`mdplab figures`: data from the papers' code, then pictures from the data."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mdplab.claims import discovery
from mdplab.claims.registration import design, digest, versions
from mdplab.claims.seeds import stream
from mdplab.report.build import latest_result, load_last_run
from mdplab.report.figures import check_table, differences, draw, from_csv, to_csv, write_atomically, write_json
from mdplab.report.terminal import verdict_picture

# Across machines the last digits of BLAS and of the compiler's reductions differ; a changed digit before is news.
CHECK_RTOL = 1e-7


def make_figures(
    keys: Sequence[str] | None, *, folder: Path, profile: str, redraw: bool = False, check: bool = False
) -> Iterator[tuple[str, bool]]:
    """For each figure a line that says what was done, and whether it is well.

    Parameters
    ----------
    keys
        Papers; None for all.
    folder
        `<folder>/<key>/<name>.csv`, `.json`, `.svg`.
    profile : {"quick", "full"}
        The card's sizes.
    redraw
        Draw from the stored data only.
    check
        Recompute, compare with the stored data numerically, write nothing.

    Raises
    ------
    ValueError
        An unknown key or profile, or a table that fits no figure.
    """
    if profile not in ("quick", "full"):
        raise ValueError(f"--profile is {profile!r}; expected quick or full")
    if redraw and check:
        raise ValueError("--redraw and --check exclude each other: one recomputes nothing, the other writes nothing")
    for key, paper in discovery.papers(keys).items():
        for name, card in paper.card.figures.items():
            stem = folder / key / name
            where = f"{key}/{name}"
            stored = stem.with_suffix(".csv")
            if redraw and not stored.exists():
                yield f"{where}: no data to redraw; run mdplab figures {key}", False
                continue
            columns = from_csv(stored.read_text(), str(stored)) if redraw else compute_figure(paper, name, profile)
            if check:
                yield _checked(where, stored, columns)
                continue
            if not redraw:
                write_atomically(stored, to_csv(columns))
                write_json(stem.with_suffix(".json"), _provenance(paper, card, profile))
            record = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
            write_atomically(stem.with_suffix(".svg"), _draw(paper, name, card, columns, record))
            yield f"{where}: {'redrawn' if redraw else 'drawn'}, {stem.with_suffix('.svg')}", True
    if keys is None and not check:
        yield from _verdicts(folder)


def _verdicts(folder: Path) -> Iterator[tuple[str, bool]]:
    """The verdict table of the last run as a picture, where there is one of all claims."""
    try:
        run = load_last_run()
    except ValueError:
        return
    if {result["id"] for result in run["results"]} == set(discovery.entries()):
        write_atomically(folder / "verdicts.svg", verdict_picture(run["results"]))
        yield f"verdicts of the last run: {folder / 'verdicts.svg'}", True


def compute_figure(paper: Any, name: str, profile: str) -> dict[str, Any]:
    """The columns of a figure by the paper's own code; ValueError if the module has no function for it."""
    function = getattr(paper.module, f"figure_{name}", None)
    if function is None:
        raise ValueError(f"{paper.key}: the card has [figures.{name}], but the module has no figure_{name}(p, rng)")
    rng = stream(f"{paper.key}:figure:{name}", 0)
    return check_table(function(paper.card.params[profile], rng), f"{paper.key}/{name}")


def _checked(where: str, stored: Path, columns: dict[str, Any]) -> tuple[str, bool]:
    if not stored.exists():
        return f"{where}: no stored data to compare with", False
    found = differences(from_csv(stored.read_text(), str(stored)), columns, rtol=CHECK_RTOL)
    return (f"{where}: {'; '.join(found)}", False) if found else (f"{where}: as stored", True)


def _provenance(paper: Any, card: Any, profile: str) -> dict[str, Any]:
    claim_id = f"{paper.key}:{card.claim}"
    latest = latest_result(claim_id)
    return {
        "claim": claim_id,
        "profile": profile,
        "registration": digest(design(discovery.entries([claim_id])[claim_id], profile)),
        "seed": f"{paper.key}:figure",
        "verdict": latest["verdict"] if latest else None,
        "slack": latest["slack"] if latest else None,
        "versions": versions(),
    }


def _draw(paper: Any, name: str, card: Any, columns: dict[str, Any], record: dict[str, Any]) -> str:
    claim = paper.claims[card.claim]
    said = (record["verdict"] or "not judged yet").lower()
    slack = record["slack"]
    tight = f", slack {slack:.3g}" if isinstance(slack, float) else ""
    return draw(
        columns,
        name=f"{paper.key}/{name}",
        kind=card.kind,
        title=card.title,
        xlabel=card.xlabel,
        ylabel=card.ylabel,
        labels=card.labels,
        footer=f"{claim.id}, {claim.theorem}: {said}{tight}",
        custom=getattr(paper.module, f"draw_{name}", None),
    )


def show_figure(key: str, name: str, *, profile: str = "quick") -> Any:
    """A paper's figure as a picture in a notebook, computed now.

    Raises
    ------
    ValueError
        An unknown paper or figure.
    """
    from IPython.display import SVG

    paper = discovery.load_paper(key)
    if name not in paper.card.figures:
        raise ValueError(f"{key} has no figure {name!r}; it has {', '.join(paper.card.figures) or 'none'}")
    card = paper.card.figures[name]
    return SVG(_draw(paper, name, card, compute_figure(paper, name, profile), _provenance(paper, card, profile)))
