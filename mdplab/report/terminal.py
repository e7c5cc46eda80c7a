"""What a terminal shows: solutions, verdict tables, and the progress of a run."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mdplab.report.html import killed, short, tone

_COLOURS = {"good": "green", "bad": "red", "wait": "yellow"}
MAX_STATES_SHOWN = 24


def _verdict(result: Mapping[str, Any]) -> str:
    text = f"[{_COLOURS[tone(result['verdict'])]}]{result['verdict']}[/]"
    return text if result["as_expected"] else f"{text} [red bold](expected {result['expected']})[/]"


def verdict_table(results: Sequence[Mapping[str, Any]], *, seconds: bool = True) -> Table:
    """One row a claim: verdict, slack, falsifiers refuted, seconds if asked for."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("claim", no_wrap=True)
    table.add_column("theorem", overflow="ellipsis", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("slack", "refutable at", "falsifiers", *(["s"] if seconds else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        table.add_row(
            result["id"],
            escape(result["theorem"]),
            _verdict(result),
            short(result["slack"]),
            short(result["refutable_factor"]),
            killed(result),
            *([f"{result['seconds']:.1f}"] if seconds else []),
        )
    return table


def verdict_picture(results: Sequence[Mapping[str, Any]]) -> str:
    """The verdict table as SVG, the same bytes for the same verdicts; it loads no font from elsewhere."""
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print(verdict_table(results, seconds=False))
    picture = console.export_svg(title="mdplab verify", unique_id="verdicts")
    return re.sub(r"@font-face\s*\{[^}]*\}", "", picture)


class RunDisplay:
    """A live table of verdicts above a progress bar; on a pipe, one line a claim.

    Use as a context manager, with `event` as the runner's callback. Verdicts shown while a run goes on are provisional:
    claims still to come have a share of the error budget.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.counts: dict[str, tuple[int, int]] = {}
        self.results: dict[str, Mapping[str, Any]] = {}
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self.bar = self.progress.add_task("starting", total=None)
        self.live = Live(self.progress, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "RunDisplay":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def event(self, event: Any) -> None:
        """Show one event of the runner."""
        if event.total:
            self.counts[event.claim] = (event.done, event.total)
        done, total = (sum(part) for part in zip(*self.counts.values())) if self.counts else (0, None)
        if event.kind == "failed":
            self.console.print(f"[red]{event.claim} {event.arm} {event.replicate}[/]: {escape(event.text)}")
            self.console.print(f"[dim]{escape(event.detail.rstrip())}[/]", soft_wrap=True)
        elif event.kind == "claim":
            self.results[event.claim] = event.result.to_json()
            if not self.console.is_terminal:
                self.console.print(f"{event.claim}: {_verdict(self.results[event.claim])}", soft_wrap=True)
        self.progress.update(self.bar, completed=done, total=total, description=event.claim or "starting")
        if self.console.is_terminal:
            self.live.update(self._picture())

    def _picture(self) -> Table:
        grid = Table.grid()
        shown = list(self.results.values())[-max(4, self.console.height - 6) :]
        if shown:
            grid.add_row(verdict_table(shown))
        grid.add_row(self.progress)
        return grid


def print_solution(console: Console, problem: Any, solution: Any) -> None:
    """Value and policy of the first states, the method and why, and what is certified."""
    value, policy = solution.value, solution.policy
    if value.ndim == 2:
        console.print(f"[dim]first decision of {policy.shape[0]}[/]")
        value, policy = value[0], policy[0]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("state")
    table.add_column("value", justify="right")
    table.add_column("policy", justify="right")
    names = getattr(problem, "states", None)
    for s in range(min(MAX_STATES_SHOWN, value.size)):
        table.add_row(names[s] if names else str(s), f"{value[s]:.9g}", _action(policy[s]))
    console.print(table)
    if value.size > MAX_STATES_SHOWN:
        console.print(f"[dim]... {value.size - MAX_STATES_SHOWN} more states; --json writes all[/]")
    console.print(f"{solution.method}, {solution.num_iters} iterations, {solution.seconds:.3g} s")
    if solution.reason:
        console.print(f"[dim]why: {escape(solution.reason)}[/]")
    certificate = solution.certificate
    console.print(
        f"certificate [bold]{certificate.kind}[/]: value and policy within {certificate.gap:.3g} of the optimum"
    )


def _action(choice: Any) -> str:
    if np.ndim(choice) == 0:
        return str(int(choice))
    return " ".join(f"{a}:{p:.3g}" for a, p in enumerate(choice) if p > 0)


def finite(value: Any) -> Any:
    """The same value with arrays as lists and numbers that JSON has no word for as None."""
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): finite(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
