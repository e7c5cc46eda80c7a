"""`mdplab prove`: every lemma with its kind, statement, seconds and verdict."""

import time
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table


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
