"""An answer beyond the mean, for the terminal and for JSON: its value, its policy, and the law of the return."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mdplab.models import FiniteLaw, Functional, RobustMDP, Solution, SolverFailure, StockMDP
from mdplab.report.terminal import MAX_STATES_SHOWN

MAX_ATOMS_SHOWN = 12
HISTOGRAM_BINS = 16
_BAR = 40
_NO_STOCK = 1e-12
# Share of the largest return that stages beyond the last may be worth, where the law is cut there.
_TAIL = 1e-3
# Runs of stocks with one action, and states, that a terminal shows.
_MAX_RUNS, _MAX_STATES = 12, 8


def law_of_return(problem: Any, solution: Solution, stock: float = 0.0) -> tuple[FiniteLaw | None, float, str]:
    """The law of the return from the start under the policy, a bound of its `w_1` error, and what is to be said of it.

    The law is None where there is no start, or no law of moderate size; the words say why.
    """
    extras, mdp = solution.extras, _model(problem)
    if isinstance(extras.get("law"), FiniteLaw):
        known = extras.get("diagnostics", {})
        return extras["law"], known.get("merge_error", 0.0) + known.get("tail_error", 0.0), ""
    start = problem.start_law if isinstance(problem, StockMDP) else mdp.mu
    if start is None:
        return None, np.inf, "there is no start; give --start"
    if hasattr(extras.get("policy"), "graph"):
        return extras["policy"].law(stock, start).shift(-stock), 0.0, ""
    try:
        if isinstance(problem, StockMDP):
            return _of_a_grid(problem, solution, stock)
        return _of_a_model(mdp, solution, start)
    except (SolverFailure, ValueError) as error:
        return None, np.inf, str(error)


def _of_a_grid(problem: StockMDP, solution: Solution, stock: float) -> tuple[FiniteLaw | None, float, str]:
    from mdplab.exact.stock.operator import Rows
    from mdplab.exact.stock.rollout import realised_law

    rows, grid = Rows.of(problem), solution.certificate.data["grid"]
    largest = np.abs(problem.outcomes.reward).max() / (1 - problem.gamma) if problem.gamma < 1 else 1.0
    start = problem.start_law
    real = realised_law(rows, grid, solution.policy, start, stock, tol=_TAIL * float(largest) + 1e-12)
    return real.law, real.error, ""


def _of_a_model(mdp: Any, solution: Solution, start: np.ndarray) -> tuple[FiniteLaw | None, float, str]:
    from mdplab.exact.distributional import return_laws

    policy, options, tail = solution.policy, {}, 0.0
    if mdp.horizon is None and np.issubdtype(policy.dtype, np.integer) and policy.ndim == 2:
        # Its last row holds for ever: as many stages as matter, and what the rest can be worth.
        stages = max(1, math.ceil(math.log(_TAIL) / math.log(max(mdp.gamma, 1e-300))))
        policy = np.concatenate([policy, np.repeat(policy[-1:], stages, axis=0)])[:stages]
        largest = np.abs(mdp.r if mdp.r_next is None else mdp.r_next).max() / (1 - mdp.gamma)
        mdp, tail = mdp.replace(horizon=stages), float(mdp.gamma**stages * largest)
        options = {"merge": _TAIL * (1 - mdp.gamma)}
    answer = return_laws(mdp, policy, **options)
    laws = answer.extras["laws"] if mdp.horizon is None else answer.extras["laws"][0]
    used = np.flatnonzero(start)
    mixture = FiniteLaw.mixture([laws[s] for s in used], start[used] / start.sum())
    return mixture, float(answer.certificate.gap) + tail, ""


def decisions(problem: Any, solution: Solution) -> Iterator[dict[str, Any]]:
    """What the policy does where it gets to: stage, state, stock and action; with a mixture also which part.

    For policies on listed stocks; one that lives on a grid of stocks is its table.
    """
    extras = solution.extras
    if "policies" in extras:
        for k, policy in enumerate(extras["policies"]):
            for one in _followed(policy, 0):
                yield {"part": k, **one}
    elif hasattr(extras.get("policy"), "graph"):
        stocks = extras["policy"].graph.c0
        yield from _followed(extras["policy"], int(np.argmin(np.abs(stocks - extras.get("c0", stocks[0])))))


def _followed(policy: Any, k: int) -> Iterator[dict[str, Any]]:
    """The decisions from the k-th initial stock, stage by stage."""
    graph = policy.graph
    nodes = np.unique(graph.roots[:, k])
    for t, stage in enumerate(graph.stages[:-1]):
        rows = policy.choices[t][nodes]
        stocks = graph.stock(t)
        for node, row in zip(nodes[rows >= 0], rows[rows >= 0], strict=True):
            # What rounding leaves of a stock that is used up reads as zero.
            held = float(stocks[node]) if abs(stocks[node]) > _NO_STOCK else 0.0
            said = {"stage": t, "state": int(stage.state[node]), "stock": held}
            yield {**said, "action": int(stage.row_action[row])}
        children = [stage.child[stage.row_ptr[row] : stage.row_ptr[row + 1]] for row in rows[rows >= 0]]
        nodes = np.unique(np.concatenate(children)) if children else nodes[:0]


def record(problem: Any, solution: Solution, stock: float = 0.0) -> dict[str, Any]:
    """What `--json` writes beside value, policy and certificate."""
    law, error, why = law_of_return(problem, solution, stock)
    out: dict[str, Any] = {"status": solution.status, "objective": _objective(problem, solution)}
    out["law"] = {"why": why} if law is None else {"x": law.x, "p": law.p, "mean": law.mean, "w1_error": error}
    for name in ("c0", "weights", "start_value", "beta", "cvar", "cvar_error"):
        if name in solution.extras:
            out[name] = solution.extras[name]
    if "grid" in solution.certificate.data:
        out["grid"] = solution.certificate.data["grid"]
    followed = list(decisions(problem, solution))
    if followed:
        out["decisions"] = followed
    return out


def print_answer(console: Console, problem: Any, solution: Solution, stock: float = 0.0) -> None:
    """Value, policy, law of the return, and what is certified."""
    console.print(f"objective [bold]{escape(_objective(problem, solution))}[/]")
    _print_value(console, problem, solution, stock)
    _print_policy(console, problem, solution)
    law, error, why = law_of_return(problem, solution, stock)
    if law is None:
        console.print(f"[dim]law of the return: {escape(why)}[/]")
    else:
        print_law(console, law, error)
    console.print(f"{solution.method}, {solution.num_iters} iterations, {solution.seconds:.3g} s")
    if solution.reason:
        console.print(f"[dim]why: {escape(solution.reason)}[/]")
    certificate = solution.certificate
    if solution.status == "heuristic":
        guarantee = solution.extras.get("guarantee")
        reason = f": {guarantee.reason}" if guarantee is not None and not guarantee.ok else ""
        console.print(f"[yellow bold]heuristic[/], not known to be optimal{escape(reason)}", soft_wrap=True)
    if np.isfinite(certificate.gap):
        text = f"certificate [bold]{certificate.kind}[/]: value and policy within {certificate.gap:.3g} of the optimum"
    else:
        text = "no certificate"
    console.print(text)


def print_law(console: Console, law: FiniteLaw, error: float = 0.0) -> None:
    """Atoms and masses, or a histogram when there are many; mean, deviation and tails."""
    within = f", within {error:.3g} in w_1" if error > 0 else ""
    console.print(f"law of the return: {law.x.size} atom{'s' if law.x.size > 1 else ''}{within}")
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=law.x.size <= MAX_ATOMS_SHOWN)
    table.add_column("return", justify="right")
    table.add_column("probability", justify="right")
    table.add_column("")
    if law.x.size <= MAX_ATOMS_SHOWN:
        labels, masses = [f"{x:.9g}" for x in law.x], law.p
    else:
        edges = np.linspace(law.x[0], law.x[-1], HISTOGRAM_BINS + 1)
        # The last bin has both of its ends.
        bins = np.minimum(np.searchsorted(edges, law.x, side="right") - 1, HISTOGRAM_BINS - 1)
        masses = np.bincount(bins, law.p, minlength=HISTOGRAM_BINS)
        labels = [f"{a:.4g} to {b:.4g}" for a, b in itertools.pairwise(edges)]
    for label, mass in zip(labels, masses, strict=True):
        bar = "#" * round(_BAR * mass / masses.max())
        table.add_row(label, f"{mass:.6g}", f"[dim]{bar}[/]")
    console.print(table)
    tails = ", ".join(f"{tau:.0%} quantile {law.quantile(tau):.6g}" for tau in (0.1, 0.5, 0.9))
    console.print(f"[dim]mean {law.mean:.6g}, deviation {np.sqrt(law.variance):.6g}, {tails}[/]", soft_wrap=True)


def _model(problem: Any) -> Any:
    return problem.mdp if isinstance(problem, StockMDP) else getattr(problem, "nominal", problem)


def _objective(problem: Any, solution: Solution) -> str:
    if isinstance(problem, StockMDP):
        kind = "utility" if isinstance(problem.objective, Functional) else "static"
        return f"{problem.objective.name} ({kind})"
    if isinstance(problem, RobustMDP):
        return f"nested-cvar:{float(np.max(problem.uncertainty.level)):g}"
    data = solution.certificate.data
    names = {"entropic": "beta", "evar": "level"}
    kind = solution.certificate.kind
    return f"{kind}:{float(data[names[kind]]):g}" if kind in names else "mean"


def _name(problem: Any, s: int) -> str:
    states = _model(problem).states
    return escape(states[s]) if states else str(s)


def _print_value(console: Console, problem: Any, solution: Solution, stock: float) -> None:
    value = solution.value
    if value.size == 1:
        chosen = solution.certificate.data.get("c0") if isinstance(problem, StockMDP) else None
        at = "" if np.ndim(chosen) or chosen is None else f", with initial stock {float(chosen):.6g}"
        console.print(f"value [bold]{value.ravel()[0]:.9g}[/] from the start{at}")
        if "cvar" in solution.extras:
            extras = solution.extras
            console.print(f"[dim]CVaR of the law below {extras['cvar']:.9g}, within {extras['cvar_error']:.3g}[/]")
        return
    if value.ndim == 2 and not isinstance(problem, StockMDP):
        value = value[0]
    elif value.ndim == 2:
        grid = solution.certificate.data.get("grid")
        stationary = grid is not None and value.shape[1] == grid.size and value.shape[1] > 1
        value = np.array([np.interp(stock, grid, row) for row in value]) if stationary else value[:, 0]
    start = problem.start_law if isinstance(problem, StockMDP) else _model(problem).mu
    with_stock = f", with initial stock {stock:g}" if isinstance(problem, StockMDP) else ""
    overall = solution.extras.get("start_value")
    if start is not None and (overall is not None or isinstance(problem, StockMDP)):
        total = float(np.ravel(overall)[0]) if overall is not None else float(start @ value)
        console.print(f"value [bold]{total:.9g}[/] from the start{with_stock}")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("state")
    table.add_column(f"value{with_stock}", justify="right")
    for s in range(min(MAX_STATES_SHOWN, value.size)):
        table.add_row(_name(problem, s), f"{value[s]:.9g}")
    console.print(table)
    if value.size > MAX_STATES_SHOWN:
        console.print(f"[dim]... {value.size - MAX_STATES_SHOWN} more states; --json writes all[/]")


def _print_policy(console: Console, problem: Any, solution: Solution) -> None:
    weights = solution.extras.get("weights")
    if weights is not None and np.size(weights) > 1:
        parts = ", ".join(f"part {k}: {w:.6g}" for k, w in enumerate(weights))
        console.print(f"randomised once at the start: {parts}", soft_wrap=True)
    rows = []
    for one in decisions(problem, solution):
        rows.append(one)
        if len(rows) > MAX_STATES_SHOWN:
            break
    if rows:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in rows[0]:
            table.add_column(name, justify="right")
        for one in rows[:MAX_STATES_SHOWN]:
            shown = {**one, "state": _name(problem, one["state"]), "stock": f"{one['stock']:.6g}"}
            table.add_row(*(str(cell) for cell in shown.values()))
        console.print(table)
        if len(rows) > MAX_STATES_SHOWN:
            console.print("[dim]... and so on; --json writes all[/]")
    elif isinstance(problem, StockMDP):
        _print_thresholds(console, problem, solution)
    else:
        _print_actions(console, problem, solution.policy)


def _print_thresholds(console: Console, problem: StockMDP, solution: Solution) -> None:
    """For the first states, starts before others, the action by stock."""
    grid = solution.certificate.data["grid"]
    table = solution.policy if solution.policy.ndim == 2 else solution.policy[0]
    start = np.zeros(problem.S) if problem.start_law is None else problem.start_law
    going = np.flatnonzero(~problem.mdp.terminal)
    order = going[np.argsort(-start[going], kind="stable")]
    console.print("[dim]action by stock (of the nearest stock of the grid)[/]")
    for s in order[:_MAX_STATES]:
        cuts = np.flatnonzero(np.diff(table[s])) + 1
        parts = [f"action {table[s, 0]}"]
        parts += [f"from {grid[k]:.4g}: {table[s, k]}" for k in cuts[:_MAX_RUNS]]
        more = f", ... {cuts.size - _MAX_RUNS} more changes" if cuts.size > _MAX_RUNS else ""
        console.print(f"  [dim]state[/] {_name(problem, s)}[dim]:[/] {', '.join(parts)}{more}", soft_wrap=True)
    if order.size > _MAX_STATES:
        console.print(f"[dim]  ... {order.size - _MAX_STATES} more states; --json writes all[/]")


def _print_actions(console: Console, problem: Any, policy: np.ndarray) -> None:
    """Actions of the first states; of the first decision, if they depend on time."""
    mdp = _model(problem)
    staged = policy.ndim == 2 and policy.shape[1] == mdp.S and np.issubdtype(policy.dtype, np.integer)
    if staged:
        console.print(f"[dim]first decision of {policy.shape[0]}[/]")
        policy = policy[0]
    if policy.ndim == 1:
        actions = ", ".join(f"{_name(problem, s)}: {a}" for s, a in enumerate(policy[:MAX_STATES_SHOWN]))
    else:
        actions = ", ".join(f"{_name(problem, s)}: {np.round(row, 3).tolist()}" for s, row in enumerate(policy[:8]))
    console.print(f"policy {actions}{', ...' if len(policy) > MAX_STATES_SHOWN else ''}", soft_wrap=True)
