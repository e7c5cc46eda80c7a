"""`mdplab prove`: every lemma with its kind, statement, seconds and verdict; what was found is kept for the report.

The record of a lemma is kept beside the results store with a digest of the code that decides it (its module and the
shared tools), and is forgotten when that code changes.
"""

import hashlib
import inspect
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mdplab.claims import discovery
from mdplab.claims.store import default_path
from mdplab.report.figures import write_atomically


def check_lemmas(keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Check lemmas of all papers, or of those named; a lemma that raises is reported as not ok, with the message.

    Raises
    ------
    ValueError
        A key without a lemma file.
    """
    from proofs_check.checked import lemmas

    records = []
    for lemma, function in lemmas(keys).items():
        start = time.perf_counter()
        try:
            checked = function()
        except Exception as error:  # whatever a lemma raises, the others are still to be checked
            record = {"kind": "", "statement": f"{type(error).__name__}: {error}", "source": "", "ok": False}
        else:
            record = {
                "kind": checked.kind,
                "statement": checked.statement,
                "source": checked.source,
                "evidence": checked.evidence,
                "residual": str(checked.residual),
                "ok": checked.ok,
            }
        record["verdict"] = "proved" if record["ok"] else "not proved"
        records.append({"id": lemma, **record, "seconds": time.perf_counter() - start})
    return records


def lemma_table(records: Sequence[dict[str, Any]]) -> Table:
    """One row a lemma."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lemma", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("holds")
    table.add_column("statement")
    table.add_column("s", justify="right")
    for record in records:
        holds = "[green]yes[/]" if record["ok"] else "[red bold]NO[/]"
        table.add_row(record["id"], record["kind"], holds, escape(record["statement"]), f"{record['seconds']:.2f}")
    return table


def summary(records: Sequence[Mapping[str, Any]]) -> str:
    """One line: how many of each kind, how many failed, seconds.

    Examples
    --------
    >>> summary([{"id": "x", "kind": "SOS", "ok": True, "seconds": 1.0}])
    'all 1 lemmas hold in 1.0 s: 1 SOS'
    """
    failed = [record["id"] for record in records if not record["ok"]]
    kinds = Counter(record["kind"] or "raised" for record in records)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    verdict = (
        f"{len(failed)} of {len(records)} lemmas fail ({', '.join(failed)})"
        if failed
        else f"all {len(records)} lemmas hold"
    )
    return f"{verdict} in {sum(record['seconds'] for record in records):.1f} s: {counts}"


def cited_by() -> dict[str, list[str]]:
    """For each lemma that a claim cites, the ids of the claims."""
    citing: dict[str, list[str]] = {}
    for entry in discovery.entries().values():
        for lemma in entry.claim.lemmas:
            citing.setdefault(lemma, []).append(entry.id)
    return citing


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def keep_lemmas(records: Iterable[Mapping[str, Any]], store: Path | None = None) -> None:
    """Keep the records for the report, beside the store; those of other lemmas stay.

    Raises
    ------
    ValueError
        The file cannot be written.
    """
    path = _path(store)
    kept = {**_kept(path), **{record["id"]: {**record, "digest": _digest(record["id"])} for record in records}}
    write_atomically(path, json.dumps(kept, indent=1) + "\n")


def lemma_records(store: Path | None = None) -> dict[str, dict[str, Any]]:
    """Every lemma by id: its kept record, or one with `ok` None if it was not checked since its code changed.

    Each also says `cited_by`, the ids of the claims that cite it.
    """
    from proofs_check.checked import lemmas

    kept, citing, records = _kept(_path(store)), cited_by(), {}
    for lemma, function in lemmas().items():
        record = kept.get(lemma)
        if record is None or record["digest"] != _digest(lemma):
            record = {
                "id": lemma,
                "kind": "",
                "statement": _first_line(function),
                "source": "",
                "ok": None,
                "seconds": 0.0,
            }
        records[lemma] = {**record, "cited_by": citing.get(lemma, [])}
    return records


def _path(store: Path | None) -> Path:
    return Path(store or default_path()).with_name("lemmas.json")


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    """What was kept; a file that cannot be read holds nothing, since every record can be had again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _digest(lemma_id: str) -> str:
    """SHA-256 of the code that decides a lemma: its module and every tool, a file without a paper's key."""
    import proofs_check
    from proofs_check.checked import _KEY

    folder = Path(next(iter(proofs_check.__path__)))
    key = lemma_id.partition(":")[0]
    files = [path for path in sorted(folder.glob("*.py")) if path.stem == key or not _KEY.fullmatch(path.stem)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
