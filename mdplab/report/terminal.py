"""What a terminal shows: solutions, verdict tables, and the progress of a run."""

import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from mdplab.report.html import killed, readings, short, tone

_COLOURS = {"good": "green", "bad": "red", "wait": "yellow"}
MAX_STATES_SHOWN = 24
# Spaces between columns, and the least that a shortened one is worth showing with.
GAP, SHORTEST = 2, 10
_NUMBERS = {"slack", "refutable at", "falsifiers", "s", "power", "sigma", "runs it has", "runs for 80%", "min"}


def _so_far(result: Mapping[str, Any]) -> str:
    """What is undecided while claims to come hold a share of the budget may be decided when they are in."""
    waits = result["verdict"] == "INCONCLUSIVE" and not result["as_expected"]
    return "[yellow]undecided so far[/]" if waits else _verdict(result)


def _verdict(result: Mapping[str, Any]) -> str:
    text = f"[{_COLOURS[tone(result['verdict'])]}]{result['verdict']}[/]"
    return text if result["as_expected"] else f"{text} [red bold](expected {result['expected']})[/]"


def verdict_table(results: Sequence[Mapping[str, Any]], *, seconds: bool = True, width: int | None = None) -> Table:
    """One row a claim: verdict, slack, falsifiers refuted, seconds if asked for; what does not fit `width` is left out.

    The theorem is shortened first, then numbers go that `--json` and the report have; ids and verdicts stay.
    """
    columns = {
        "claim": [escape(result["id"]) for result in results],
        "theorem": [escape(result["theorem"]) for result in results],
        "verdict": [_verdict(result) for result in results],
        "slack": [short(result["slack"]) for result in results],
        "refutable at": [short(result["refutable_factor"]) for result in results],
        "falsifiers": [killed(result) for result in results],
        "s": [f"{result['seconds']:.1f}" for result in results],
    }
    if not seconds:
        del columns["s"]
    return _fitted(columns, width, shorten="theorem", drop=("refutable at", "slack", "falsifiers", "s"))


def print_verdicts(console: Console, results: Sequence[Mapping[str, Any]]) -> None:
    """The verdict table; why a claim was not applicable or surprised; every estimate, with its interval and window."""
    console.print(verdict_table(results, width=console.width))
    for result in results:
        if result["reason"] and (result["verdict"] == "NOT-APPLICABLE" or not result["as_expected"]):
            console.print(f"{escape(result['id'])}: {escape(result['reason'])}", soft_wrap=True)
    shown = {result["id"]: readings(result, roles=("main",)) for result in results}
    rows = [row for part in shown.values() for row in part]
    if not rows:
        return
    names = [name for name in rows[0] if name not in {"run", "what"}]
    wide = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    what = max(len(text) for part in shown for text in (part, *map(_what, shown[part])) if shown[part])
    if (room := console.width - sum(wide.values()) - GAP * len(wide)) < 2 * SHORTEST:
        names.remove("tested against")
        room += wide["tested against"] + GAP
    what = max(SHORTEST, min(what, room))
    for claim, part in shown.items():
        if part:
            table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
            # What does not fit is folded: labels tell rows apart.
            table.add_column(escape(claim), width=what, overflow="fold")
            for name in names:
                table.add_column(name, justify="right", no_wrap=True, width=wide[name])
            for row in part:
                table.add_row(escape(_what(row)), *(escape(row[name]) for name in names))
            console.print()
            console.print(table)


def _what(row: Mapping[str, str]) -> str:
    return row["what"] if row["run"] == "main" else f"{row['what']}, {row['run']}"


def _fitted(columns: dict[str, list[str]], width: int | None, *, shorten: str = "", drop: Sequence[str] = ()) -> Table:
    """A table that loses its less important columns rather than cutting its cells."""
    wide = {name: max(Text.from_markup(cell).cell_len for cell in [name, *cells]) for name, cells in columns.items()}
    room = math.inf if width is None else width

    def spare() -> float:
        return room - sum(wide[name] for name in columns) - GAP * (len(columns) - 1)

    for name in drop:
        if spare() + (wide[shorten] - SHORTEST if shorten in columns else 0) < 0:
            del columns[name]
    if shorten in columns and spare() < 0:
        wide[shorten] = wide[shorten] + int(spare())
        if wide[shorten] < SHORTEST:
            del columns[shorten]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for name in columns:
        justify = "right" if name in _NUMBERS else "left"
        most = wide[name] if name == shorten else None
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", max_width=most)
    for row in zip(*columns.values()):
        table.add_row(*row)
    return table


def verdict_picture(results: Sequence[Mapping[str, Any]]) -> str:
    """The verdict table as SVG, the same bytes for the same verdicts; it loads no font from elsewhere."""
    console = Console(record=True, width=124, file=io.StringIO(), force_terminal=True)
    console.print(verdict_table(results, seconds=False, width=124))
    picture = console.export_svg(title="mdplab verify", unique_id="verdicts")
    return re.sub(r"@font-face\s*\{[^}]*\}", "", picture)


class RunDisplay:
    """A live table of verdicts above a progress bar; on a pipe, one line a claim.

    Use as a context manager, with `event` as the runner's callback. Verdicts shown while a run goes on are provisional:
    claims still to come have a share of the error budget. Of a claim whose tasks fail the first failure is shown, and
    how many follow.
    """

    def __init__(self, console: Console, what: str = "claims") -> None:
        self.console, self.what = console, what
        self.counts: dict[str, tuple[int, int]] = {}
        self.failed: Counter[str] = Counter()
        self.results: dict[str, Mapping[str, Any]] = {}
        self.progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self.bar = self.progress.add_task(f"starting {what}", total=None)
        self.live = Live(self._picture(), console=console, refresh_per_second=4, transient=True)

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
            self._failure(event)
        elif event.kind == "claim":
            if self.failed[event.claim] > 1:
                self.console.print(f"[red]{event.claim}[/]: {self.failed[event.claim] - 1} more tasks of it failed")
            self.results[event.claim] = event.result.to_json()
            if not self.console.is_terminal:
                self.console.print(f"{event.claim}: {_so_far(self.results[event.claim])}", soft_wrap=True)
        self.progress.update(self.bar, completed=done, total=total, description=event.claim or f"starting {self.what}")
        if self.console.is_terminal:
            self.live.update(self._picture())

    def _failure(self, event: Any) -> None:
        self.failed[event.claim] += 1
        if self.failed[event.claim] > 1:
            return
        self.console.print(f"[red]{event.claim} {event.arm} {event.replicate}[/]: {escape(event.text)}", soft_wrap=True)
        if event.detail:
            self.console.print(f"[dim]{escape(event.detail.rstrip())}[/]", soft_wrap=True)

    def _picture(self) -> Group:
        # The header, the bar, the cursor's line and one for what was printed above.
        shown = list(self.results.values())[-max(4, self.console.height - 4) :]
        table = [verdict_table(shown, width=self.console.width)] if shown else []
        # The terminal echoes ^C behind the bar: on a full line it would wrap, and the erasing miss a line.
        return Group(*table, Constrain(self.progress, self.console.width - 3))


def print_plans(console: Console, plans: Sequence[Mapping[str, Any]]) -> None:
    """One row a claim: what its runs can decide, what 80 % power asks for, minutes; then what is out of reach."""

    def runs(plan: Mapping[str, Any], needed: bool) -> str:
        power = plan["power"]
        if power is None:
            return "–"
        pair = power["needed"] if needed else (power["instances"], power["seeds"])
        return "none" if pair is None else f"{pair[0]} x {pair[1]}"

    def cell(plan: Mapping[str, Any]) -> str:
        if plan["power"] is None:
            return "[dim]exact[/]" if plan["deterministic"] else "–"
        return f"[{'green' if plan['feasible'] else 'yellow'}]{plan['power']['power']:.0%}[/]"

    columns = {
        "claim": [escape(plan["id"]) for plan in plans],
        "rule": [plan["rule"] for plan in plans],
        "power": [cell(plan) for plan in plans],
        "runs it has": [runs(plan, needed=False) for plan in plans],
        "runs for 80%": [runs(plan, needed=True) for plan in plans],
        "sigma": [short(plan["power"]["sigma"]) if plan["power"] else "–" for plan in plans],
        "min": [short(plan["minutes"]) for plan in plans],
    }
    console.print(_fitted(columns, console.width, drop=("sigma", "rule", "runs it has")))
    for plan in plans:
        if not plan["feasible"]:
            console.print(f"[yellow]{plan['id']}[/]: {escape(plan['statement'])}", soft_wrap=True)
    known = [plan["minutes"] for plan in plans if math.isfinite(plan["minutes"])]
    decided = sum(plan["feasible"] for plan in plans)
    console.print(f"{decided} of {len(plans)} claims can be decided; about {short(sum(known))} min in all")


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
