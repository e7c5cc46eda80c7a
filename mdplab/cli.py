"""The command line: list, show, plan, verify, figures, prove, report, solve, new, bench.

Exit code 0 when every verdict is what its card expects, 1 when one is not, 2 for a usage error or bad input (one line
on standard error, nothing written), 130 after Ctrl-C (what had finished is in the store).
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

JsonOption = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output.")]
StoreOption = Annotated[Path | None, typer.Option(help="Results store [default: .mdplab/store.sqlite].")]
DEFAULT_REPORT = Path("report_html")
INTERRUPTED = 130
# The keys of `mdplab.models.uncertainty.SETS`, which --help should not have to import NumPy for.
ROBUST_SETS = (
    "l1, tv, weighted_l1, linf, interval, l2, kl, burg, chi2, wasserstein, contamination, cvar, models, noise, "
    "soft_tv, soft_kl or soft_chi2"
)
# What `mdplab.models.parse_objective` reads, for the same reason.
OBJECTIVES = "cvar:TAU, ocvar:TAU, utility:NAME[:PARAMETER], entropic:BETA, evar:LEVEL, nested-cvar:TAU or mean"


def _console(json_target: str | None = None) -> Any:
    """Standard output, unless JSON goes there: then nothing else does."""
    from rich.console import Console

    # Between colons a claim's name may be that of an emoji.
    options: dict[str, Any] = {"stderr": json_target == "-", "highlight": False, "emoji": False}
    console = Console(**options)
    # A pipe has no width: 80 columns would cut ids that a log should show whole.
    return console if console.is_terminal else Console(**options, width=140)


def _write_json(target: str | None, record: Any) -> None:
    if target is None:
        return
    from mdplab.report.figures import write_atomically
    from mdplab.report.terminal import finite

    text = json.dumps(finite(record), indent=1, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_atomically(Path(target), text)


@app.command("list")
def list_(key: Annotated[str | None, typer.Argument(help="One paper.")] = None, json_file: JsonOption = None) -> None:
    """Papers, their claims and figures."""
    from mdplab.report.catalogue import catalogue, print_catalogue

    entries = catalogue([key] if key else None)
    _write_json(json_file, entries)
    if json_file != "-":
        print_catalogue(_console(), entries)


@app.command()
def show(
    claim_id: Annotated[str, typer.Argument(metavar="ID")], store: StoreOption = None, json_file: JsonOption = None
) -> None:
    """A claim: statement, source, assumptions, falsifiers, lemmas, latest verdict."""
    from mdplab.report.catalogue import claim_record, print_claim

    record = claim_record(claim_id, store)
    _write_json(json_file, record)
    if json_file != "-":
        print_claim(_console(), record)


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

    console = _console(json_file)
    with RunDisplay(console, what="pilots") as display:
        plans = plan_claims(ids, profile=profile, minutes=minutes, workers=workers, store=store, on_event=display.event)
    records = [plan.to_json() for plan in plans]
    if json_file != "-":
        print_plans(console, records)
    _write_json(json_file, records)


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

    console = _console(json_file)
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
    _write_json(json_file, record)
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

    console = _console()
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
    _write_json(json_file, records)
    if json_file != "-":
        console = _console()
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

    _console().print(f"report: {build_report(load_last_run(store), folder, store=store)}")


@app.command()
def solve(
    source: Annotated[str, typer.Argument(metavar="FILE|gym:ID", help="A model file, or a gymnasium toy-text id.")],
    gamma: Annotated[float | None, typer.Option(help="Discount factor in [0, 1].")] = None,
    tol: Annotated[
        float | None,
        typer.Option(help="Certified error of value and policy [default: 1e-6; what a grid of stocks gives]."),
    ] = None,
    method: Annotated[str, typer.Option(help="A solver's name, or auto.")] = "auto",
    horizon: Annotated[int | None, typer.Option(min=1, help="Number of decisions.")] = None,
    criterion: Annotated[str, typer.Option(help="auto or average.")] = "auto",
    goal: Annotated[str | None, typer.Option(help="Target label of a PRISM or DRN model.")] = None,
    rewards: Annotated[str | None, typer.Option(help="Reward model of a DRN model.")] = None,
    certify: Annotated[str | None, typer.Option(help="float or exact: let the referee check the answer.")] = None,
    robust: Annotated[str | None, typer.Option(help=f"Uncertainty set around the model: {ROBUST_SETS}.")] = None,
    radius: Annotated[str | None, typer.Option(help="Its radius: a number, or a .npy file, (S,) or (S, A).")] = None,
    rectangularity: Annotated[str | None, typer.Option(help="sa or s: is the radius a row's or a state's?")] = None,
    support: Annotated[str | None, typer.Option(help="all or nominal: where may mass go?")] = None,
    level: Annotated[str | None, typer.Option(help="Level of cvar, in (0, 1].")] = None,
    temperature: Annotated[str | None, typer.Option(help="Temperature of a soft set.")] = None,
    cost: Annotated[str | None, typer.Option(help="Ground cost of wasserstein: line, discrete, or FILE.npy.")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights of weighted_l1: FILE.npy, (S,) or (S, A, S).")] = None,
    order: Annotated[str | None, typer.Option(help="Norm of noise: 1, 2 or inf.")] = None,
    lo: Annotated[str | None, typer.Option(help="Lower ends of interval: FILE.npy, (S, A, S).")] = None,
    hi: Annotated[str | None, typer.Option(help="Upper ends of interval: FILE.npy, (S, A, S).")] = None,
    kernels: Annotated[str | None, typer.Option(help="Kernels of models: FILE.npy, (K, S, A, S).")] = None,
    objective: Annotated[str | None, typer.Option(help=f"Beyond the mean: {OBJECTIVES}.")] = None,
    start: Annotated[str | None, typer.Option(help="First state, by number or name; else the model's own.")] = None,
    stock: Annotated[float | None, typer.Option(help="Initial stock of a utility, 0 by default.")] = None,
    stock_step: Annotated[float | None, typer.Option(help="Distance of the stocks of a grid.")] = None,
    heuristic: Annotated[bool, typer.Option("--heuristic", help="Compute also what theory does not cover.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Solve a model exactly and certify the answer; with --robust, against the worst case in a set of models.

    With --objective, for a risk measure or a utility of the return, whose law is printed.
    """
    from mdplab.exact import solve as solve_problem
    from mdplab.io import load
    from mdplab.report.terminal import print_solution

    if certify not in (None, "float", "exact"):
        raise ValueError(f"--certify is {certify!r}; expected float or exact")
    extra = {name: value for name, value in (("goal", goal), ("rewards", rewards)) if value is not None}
    problem = load(source, gamma=gamma, horizon=horizon, **extra)
    described = {
        **{"radius": radius, "rectangularity": rectangularity, "support": support, "level": level, "cost": cost},
        **{"temperature": temperature, "weights": weights, "order": order, "lo": lo, "hi": hi, "kernels": kernels},
    }
    if objective is not None and (robust is not None or criterion != "auto"):
        raise ValueError(f"--objective {objective} goes with neither --robust nor --criterion")
    if robust is not None:
        problem = _robust(problem, robust, described)
    elif any(said is not None for said in described.values()):
        name = next(name for name, said in described.items() if said is not None)
        raise ValueError(f"--{name} is for a robust model; say which set with --robust")
    aims = {"start": start, "stock": stock, "stock_step": stock_step, "heuristic": heuristic or None}
    console = _console(json_file)
    if objective is not None:
        problem, solution = _beyond_the_mean(problem, objective, tol=tol, method=method, **aims)
    elif any(said is not None for said in aims.values()):
        name = next(name for name, said in aims.items() if said is not None).replace("_", "-")
        raise ValueError(f"--{name} is for an objective beyond the mean; say which with --objective")
    else:
        solution = solve_problem(problem, tol=1e-6 if tol is None else tol, method=method, criterion=criterion)
        if json_file != "-":
            print_solution(console, problem, solution)
    certificate = solution.certificate
    record = {
        "value": solution.value,
        "policy": solution.policy,
        "certificate": {"kind": certificate.kind, "gap": certificate.gap, "residuals": dict(certificate.residuals)},
        "method": solution.method,
        "num_iters": solution.num_iters,
        "seconds": solution.seconds,
        "reason": solution.reason,
    }
    if "column" in solution.extras:
        record["column"] = solution.extras["column"]
    if robust is not None:
        from mdplab.report.robust import print_worst_case, worst_case

        record["worst_case"] = worst_case(problem, solution)
        if json_file != "-":
            print_worst_case(console, problem, solution)
    if objective is not None:
        from mdplab.report.distribution import print_answer
        from mdplab.report.distribution import record as law_record

        record |= law_record(problem, solution, stock or 0.0)
        if json_file != "-":
            print_answer(console, problem, solution, stock or 0.0)
    ok = True
    if certify is not None and certificate.kind == "none":
        ok, record["referee"] = False, {"level": certify, "ok": False, "reason": "the answer has no certificate"}
        console.print(f"referee ({certify}): nothing to check, the answer has no certificate")
    elif certify is not None:
        from mdplab.report.referee import referee

        ok, record["referee"], lines = referee(problem, solution, certify)
        for line in lines:
            console.print(line, soft_wrap=True)
    _write_json(json_file, record)
    raise typer.Exit(0 if ok else 1)


def _beyond_the_mean(
    mdp: Any, text: str, *, tol: float | None, method: str, start: str | None, heuristic: bool | None, **options: Any
) -> tuple[Any, Any]:
    """The problem that an objective makes of a loaded model, and its solution."""
    import numpy as np

    from mdplab.exact import solve as solve_problem
    from mdplab.exact.objectives import solve_objective
    from mdplab.models import MDP, Functional, parse_objective

    objective = parse_objective(text)
    if not isinstance(mdp, MDP):
        raise ValueError(f"--objective is for Markov decision processes, not for a {type(mdp).__name__}")
    if start is not None:
        names = mdp.states or ()
        if start in names:
            s = names.index(start)
        elif start.isdecimal() and int(start) < mdp.S:
            s = int(start)
        else:
            raise ValueError(f"--start is {start!r}; expected a state's number, below {mdp.S}, or its name")
        mdp = mdp.replace(mu=np.arange(mdp.S) == s)
    given = {name: value for name, value in options.items() if value is not None}
    if "stock" in given and not isinstance(objective, Functional):
        raise ValueError(f"--stock is {given['stock']:g}; {text} chooses its own initial stock, or has none")
    if text == "mean" and not given:
        return mdp, solve_problem(mdp, tol=1e-6 if tol is None else tol, method=method)
    return solve_objective(mdp, objective, tol=tol, method=method, heuristic=bool(heuristic), **given)


def _robust(nominal: Any, name: str, described: dict[str, str | None]) -> Any:
    """The robust model around a loaded one."""
    from mdplab.io.uncertainty import uncertainty_set
    from mdplab.models import MDP, RobustMDP

    if not isinstance(nominal, MDP):
        raise ValueError(f"--robust is for Markov decision processes, not for a {type(nominal).__name__}")
    return RobustMDP(nominal, uncertainty_set(name, nominal.S, **described))


@app.command()
def new(
    key: Annotated[str, typer.Argument(help="<firstauthor><year>, such as munos2023.")],
    folder: Annotated[Path, typer.Option(help="The checkout.")] = Path("."),
) -> None:
    """A paper's card, module, lemma file and notebook from the template; no existing file is touched."""
    from mdplab.report.scaffold import new_paper

    for path in new_paper(key, folder):
        _console().print(f"wrote {path}")


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small models only.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Speed against peers and against the memory roofline."""
    from mdplab.report.benchmarks import run_benchmarks

    _write_json(json_file, run_benchmarks(_console(json_file), quick=quick))


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
