"""Run what lies in `benchmarks/` and show the ratios."""

import importlib.util
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def run_benchmarks(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Each `benchmarks/bench_*.py` has `run(quick, out) -> rows`; rows are printed as they come and returned.

    Raises
    ------
    ValueError
        The folder is not there: the benchmarks live in the checkout, not in the installed package.
    """
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    scripts = sorted(folder.glob("bench_*.py"))
    if not scripts:
        raise ValueError(f"{folder}: no benchmarks; run this in a checkout of mdplab")
    rows: list[dict[str, Any]] = []
    for script in scripts:
        spec = importlib.util.spec_from_file_location(script.stem, script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        console.print(f"[bold]{script.stem}[/] {(module.__doc__ or '').strip().splitlines()[0]}")
        found = module.run(quick, console.print)
        if found:
            table = Table(box=None, pad_edge=False, header_style="dim")
            columns = list(dict.fromkeys(key for row in found for key in row))
            for column in columns:
                table.add_column(column, overflow="fold")
            for row in found:
                table.add_row(*(_cell(row.get(column)) for column in columns))
            console.print(table)
        rows += [{"benchmark": script.stem, **row} for row in found]
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
