"""`mdplab solve`: a model of the user's, with the options of every problem class that has one."""

from typing import Annotated, Any

import typer

from mdplab.cli.output import JsonOption, open_console, write_json

# The keys of `mdplab.models.uncertainty.SETS`, which --help should not have to import NumPy for.
ROBUST_SETS = (
    "l1, tv, weighted_l1, linf, interval, l2, kl, burg, chi2, wasserstein, contamination, cvar, models, noise, "
    "soft_tv, soft_kl or soft_chi2"
)
# What `mdplab.models.parse_objective` reads, for the same reason.
OBJECTIVES = "cvar:TAU, ocvar:TAU, utility:NAME[:PARAMETER], entropic:BETA, evar:LEVEL, nested-cvar:TAU or mean"


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
    console = open_console(json_file)
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
    write_json(json_file, record)
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
