"""The command line: list, show, plan, verify, figures, prove, report, solve, new, bench.

Exit code 0 when every verdict is what its card expects, 1 when one is not, 2 for a usage error or bad input (one line
on standard error, nothing written), 130 after Ctrl-C (what had finished is in the store).
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mdplab.cli.output import JsonOption, StoreOption, open_console, write_json
from mdplab.cli.solve import solve

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

DEFAULT_REPORT = Path("report_html")
INTERRUPTED = 130


@app.command("list")
def list_(key: Annotated[str | None, typer.Argument(help="One paper.")] = None, json_file: JsonOption = None) -> None:
    """Papers, their claims and figures."""
    from mdplab.report.catalogue import catalogue, print_catalogue

    entries = catalogue([key] if key else None)
    write_json(json_file, entries)
    if json_file != "-":
        print_catalogue(open_console(), entries)


@app.command()
def show(
    claim_id: Annotated[str, typer.Argument(metavar="ID")], store: StoreOption = None, json_file: JsonOption = None
) -> None:
    """A claim: statement, source, assumptions, falsifiers, lemmas, latest verdict."""
    from mdplab.report.catalogue import claim_record, print_claim

    record = claim_record(claim_id, store)
    write_json(json_file, record)
    if json_file != "-":
        print_claim(open_console(), record)


@app.command()
def plan(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Papers or claims; all by default.")
    ] = None,
    profile: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    minutes: Annotated[
        float | None, typer.Option(help="Wall-clock budget of each claim [default: the card's runs].")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Local worker processes.")] = 2,
    store: StoreOption = None,
    json_file: JsonOption = None,
) -> None:
    """What claims cost and can decide, from a pilot that a later verify reuses."""
    from mdplab.claims.planning import plan_claims
    from mdplab.report.terminal import RunDisplay, print_plans

    console = open_console(json_file)
    with RunDisplay(console, what="pilots") as display:
        plans = plan_claims(ids, profile=profile, minutes=minutes, workers=workers, store=store, on_event=display.event)
    records = [plan.to_json() for plan in plans]
    if json_file != "-":
        print_plans(console, records)
    write_json(json_file, records)


@app.command()
def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Papers or claims; all by default.")
    ] = None,
    profile: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    workers: Annotated[int, typer.Option(min=1, help="Local worker processes.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:port.")] = None,
    store: StoreOption = None,
    report: Annotated[Path | None, typer.Option(help="Also write the HTML report to this folder.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Judge claims: a live table of verdicts; exit code 1 if one is not what its card expects."""
    from mdplab.claims.runner import run_claims
    from mdplab.report.build import build_report
    from mdplab.report.terminal import RunDisplay, print_verdicts

    console = open_console(json_file)
    if profile == "full":
        _say_what_is_out_of_reach(console, ids, workers=workers, scheduler=scheduler, store=store)
    with RunDisplay(console) as display:
        run = run_claims(
            ids, profile=profile, workers=workers, scheduler=scheduler, store=store, on_event=display.event
        )
    record = run.to_json()
    if json_file != "-":
        print_verdicts(console, record["results"])
    surprises = [result["id"] for result in record["results"] if not result["as_expected"]]
    seconds = f"in {record['seconds']:.0f} s"
    if surprises:
        of = f"{len(surprises)} of {len(record['results'])}"
        console.print(f"[red bold]{of} not as expected[/] {seconds}: {', '.join(surprises)}")
    else:
        console.print(f"[green]all {len(record['results'])} verdicts as expected[/] {seconds}")
    if report is not None:
        console.print(f"report: {build_report(record, report, store=store)}")
    write_json(json_file, record)
    raise typer.Exit(1 if surprises else 0)


def _say_what_is_out_of_reach(console: Any, ids: list[str] | None, **options: Any) -> None:
    """Before the budget is spent: which claims the card's runs may leave undecided."""
    from rich.markup import escape

    from mdplab.claims.planning import plan_claims
    from mdplab.report.terminal import RunDisplay

    with RunDisplay(console, what="pilots") as display:
        plans = plan_claims(ids, profile="full", on_event=display.event, **options)
    for plan in plans:
        if not plan.feasible:
            console.print(f"[yellow]{plan.id}[/]: {escape(plan.statement)}", soft_wrap=True)


@app.command()
def figures(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Papers; all by default.")] = None,
    profile: Annotated[str, typer.Option(help="quick or full sizes.")] = "quick",
    redraw: Annotated[bool, typer.Option("--redraw", help="Draw from the stored data only.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Recompute, compare with the stored data, write nothing.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where data and pictures lie.")] = Path("figures"),
) -> None:
    """Recompute and redraw the papers' figures: CSV, JSON and SVG."""
    from mdplab.report.produce import make_figures

    console = open_console()
    faults = 0
    for line, ok in make_figures(keys, folder=folder, profile=profile, redraw=redraw, check=check):
        console.print(line if ok else f"[red]{line}[/]", soft_wrap=True)
        faults += not ok
    raise typer.Exit(1 if faults else 0)


@app.command()
def prove(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Papers; all by default.")] = None,
    store: StoreOption = None,
    json_file: JsonOption = None,
) -> None:
    """Check the lemmas of proofs_check: kind, statement, seconds, verdict; the report shows what was found."""
    from mdplab.report.lemmas import check_lemmas, keep_lemmas, lemma_table, summary

    records = check_lemmas(keys)
    write_json(json_file, records)
    if json_file != "-":
        console = open_console()
        console.print(lemma_table(records))
        console.print(summary(records))
    keep_lemmas(records, store)
    raise typer.Exit(0 if all(record["ok"] for record in records) else 1)


@app.command("report")
def report_(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = DEFAULT_REPORT, store: StoreOption = None
) -> None:
    """The HTML report of the last run."""
    from mdplab.report.build import build_report, load_last_run

    open_console().print(f"report: {build_report(load_last_run(store), folder, store=store)}")


app.command()(solve)


@app.command()
def new(
    key: Annotated[str, typer.Argument(help="<firstauthor><year>, such as munos2023.")],
    folder: Annotated[Path, typer.Option(help="The checkout.")] = Path("."),
) -> None:
    """A paper's card, module, lemma file and notebook from the template; no existing file is touched."""
    from mdplab.report.scaffold import new_paper

    for path in new_paper(key, folder):
        open_console().print(f"wrote {path}")


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small models only.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Speed against peers and against the memory roofline."""
    from mdplab.report.benchmarks import run_benchmarks

    write_json(json_file, run_benchmarks(open_console(json_file), quick=quick))


def main() -> None:
    """Entry point: bad input is one line and exit code 2, Ctrl-C loses nothing that had finished."""
    try:
        app()
    except Exception as error:
        if not _is_input_fault(error):
            raise
        print(f"mdplab: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as ended:
        # typer turns an interrupt inside of a command into this exit code, and says nothing.
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        print("mdplab: interrupted; what had finished is in the store", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _is_input_fault(error: Exception) -> bool:
    """Faults that a user can mend: bad input, a certificate out of reach, a full disk. Anything else is ours."""
    if isinstance(error, ValueError):
        return True
    from mdplab.claims.store import StoreFull
    from mdplab.models import SolverFailure

    return isinstance(error, SolverFailure | StoreFull)
