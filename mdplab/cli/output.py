"""What the commands share: two options, the console, JSON that goes to a file or alone to standard output."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output.")]
StoreOption = Annotated[Path | None, typer.Option(help="Results store [default: .mdplab/store.sqlite].")]


def open_console(json_target: str | None = None) -> Any:
    """Standard output, unless JSON goes there: then nothing else does."""
    from rich.console import Console

    # Between colons a claim's name may be that of an emoji.
    options: dict[str, Any] = {"stderr": json_target == "-", "highlight": False, "emoji": False}
    console = Console(**options)
    # A pipe has no width: 80 columns would cut ids that a log should show whole.
    return console if console.is_terminal else Console(**options, width=140)


def write_json(target: str | None, record: Any) -> None:
    """A record as JSON to a file, to standard output for `-`, nowhere for None."""
    if target is None:
        return
    from mdplab.report.figures import write_atomically
    from mdplab.report.terminal import finite

    text = json.dumps(finite(record), indent=1, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_atomically(Path(target), text)
