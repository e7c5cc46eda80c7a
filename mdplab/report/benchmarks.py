"""Run what lies in `benchmarks/`; each script prints its own lines."""

import importlib.util
from pathlib import Path
from typing import Any

from rich.console import Console

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def run_benchmarks(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Run each `benchmarks/bench_*.py`, whose `run(quick, out) -> rows` prints by `out`; all rows come back.

    Raises
    ------
    ValueError
        The folder is not there: the benchmarks live in the checkout, not in the installed package.
    """
    scripts = sorted(FOLDER.glob("bench_*.py"))
    if not scripts:
        raise ValueError(f"{FOLDER}: no benchmarks; run this in a checkout of mdplab")
    rows: list[dict[str, Any]] = []
    for script in scripts:
        spec = importlib.util.spec_from_file_location(script.stem, script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        console.print(f"[bold]{script.stem}[/] {(module.__doc__ or '').strip().splitlines()[0]}")
        found = module.run(quick, lambda text: console.print(text, soft_wrap=True, markup=False))
        rows += [{"benchmark": script.stem, **row} for row in found]
    return rows
