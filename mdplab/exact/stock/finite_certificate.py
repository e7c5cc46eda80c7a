"""Evidence for answers over a finite horizon: enclosures of utilities on the reachable states and stocks.

Kinds `stock`, `static-cvar` and `static-ocvar` in their staged form. All values are in money of the first stage, so the
bounds are on `E f(c0 + G)` itself, whatever the discount: also where distributional dynamic programming has no
guarantee, and the gap then is what its policy really loses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.exact.operator import UNIT
from mdplab.exact.stock.reachable import Reachable
from mdplab.exact.stock.stage_passes import utility_pass
from mdplab.models import Certificate, Functional, StockMDP, functional
from mdplab.models.functionals import ZERO_STOCK


@dataclass(frozen=True, eq=False, slots=True)
class Recursion:
    """What a pass over the stages needs of a functional: `f` at the end, and how outcomes combine on the way."""

    f: Callable[[np.ndarray], np.ndarray]
    combine: str
    slope: float


def recursion_of(objective: Functional, size: float) -> Recursion | None:
    """The functional as a recursion on stocks of at most `size`; None if it has none."""
    if objective.utility is not None:
        return Recursion(objective.utility, "mean", _steepest(objective, size))
    if objective.kind in ("ess_inf", "ess_sup"):
        return Recursion(lambda y: y + 0.0, "min" if objective.kind == "ess_inf" else "max", 1.0)
    if objective.kind == "all_nonnegative":
        return Recursion(lambda y: (y >= -ZERO_STOCK).astype(np.float64), "min", 0.0)
    return None


def largest_money(graph: Reachable) -> float:
    """Largest absolute value of all stocks, in money of the first stage."""
    return max(float(np.abs(stage.money).max()) for stage in graph.stages)


def _steepest(objective: Functional, size: float) -> float:
    """Largest slope of f on stocks of at most `size`, jumps apart."""
    if objective.slopes is not None:
        return max(abs(slope) for slope in objective.slopes)
    if objective.kind == "quadratic":
        return 2 * objective.parameters["weight"] * size
    if objective.kind == "exponential":
        b = abs(objective.parameters["b"])
        return b * float(np.exp(b * size))
    return 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Bounds:
    """Bounds at the nodes of every stage, and the certificate's flat arrays of them."""

    lo: list[np.ndarray]
    hi: list[np.ndarray]
    data: dict[str, np.ndarray]
    rounding: float


def enclosed(
    graph: Reachable, S: int, rule: Recursion, running: np.ndarray | None, choices: list[np.ndarray] | None
) -> Bounds:
    """Bounds that satisfy the conditions of the staged form with room for the referee's own rounding.

    `lo` is below the value of the policy `choices` and `hi` above the optimum; without choices `lo` is below the
    optimum.
    """
    shift = np.zeros(1)
    hi, _ = utility_pass(graph, rule.f, shift, running=running, slack=0.0, combine=rule.combine)
    lo = hi
    if choices is not None:
        lo, _ = utility_pass(graph, rule.f, shift, running=running, follow=choices, combine=rule.combine)
    widths = _widths(graph, rule, running, lo, hi)
    low = [v[:, 0] - width for v, width in zip(lo, widths, strict=True)]
    high = [v[:, 0] + width for v, width in zip(hi, widths, strict=True)]
    counts = [stage.money.size for stage in graph.stages]
    data = {
        "grid_ptr": np.concatenate(([0], np.cumsum(counts))),
        "grid": np.concatenate([stage.money for stage in graph.stages]),
        "lo": flat_blocks(graph, S, low, -np.inf),
        "hi": flat_blocks(graph, S, high, np.inf),
    }
    return Bounds(low, high, data, widths[0])


def _widths(graph: Reachable, rule: Recursion, running, lo: list[np.ndarray], hi: list[np.ndarray]) -> list[float]:
    """Half widths of the enclosures, stage by stage: what rounding and merged stocks may do from there on."""
    widths = [0.0] * (graph.horizon + 1)
    paid = 0.0 if running is None else float(np.abs(running).max())
    for t in range(graph.horizon, -1, -1):
        stage = graph.stages[t]
        size = 1 + float(max(np.abs(lo[t]).max(initial=0.0), np.abs(hi[t]).max(initial=0.0)))
        money = 1 + float(np.abs(stage.money).max())
        # Ours, and the referee's, for f at the ends: a few units of its size and of the stock's times the slope.
        widths[t] = 16 * UNIT * (size + rule.slope * money)
        if stage.prob.size:
            after = graph.stages[t + 1]
            owner = np.repeat(stage.row_node, np.diff(stage.row_ptr))
            gain = graph.gamma**t * stage.reward
            drift = np.abs(stage.money[stage.level[owner]] + gain - after.money[after.level[stage.child]])
            moved = float(drift.max()) + 8 * UNIT * (money + (t + 1) * float(np.abs(gain).max()))
            later = 1 + float(max(np.abs(lo[t + 1]).max(), np.abs(hi[t + 1]).max())) + rule.slope * moved
            n = int(np.diff(stage.row_ptr).max()) + t + 8
            widths[t] += widths[t + 1] + rule.slope * moved + 8 * n * UNIT * (later + widths[t + 1] + paid)
    return widths


def flat_blocks(graph: Reachable, S: int, values: list[np.ndarray], missing: float) -> np.ndarray:
    """Values at the nodes of stages 0, 1, ... as blocks `(S, n_t)`, flat one after the other; `missing` elsewhere."""
    out = []
    for stage, value in zip(graph.stages, values, strict=False):
        block = np.full((S, stage.money.size), missing, dtype=value.dtype)
        block[stage.state, stage.level] = value
        out.append(block.ravel())
    return np.concatenate(out)


def flat_policy(graph: Reachable, actions: np.ndarray, choices: list[np.ndarray]) -> np.ndarray:
    """Actions at the nodes as the certificate lists them; elsewhere the first action available in the state."""
    first = np.argmax(actions, axis=1)
    out = []
    for stage, choice in zip(graph.stages, choices, strict=False):
        block = np.repeat(first[:, None], stage.money.size, axis=1)
        plays = choice >= 0
        block[stage.state[plays], stage.level[plays]] = stage.row_action[choice[plays]]
        out.append(block.ravel())
    return np.concatenate(out)


def stock_certificate(problem: StockMDP, graph: Reachable, choices: list[np.ndarray]) -> Certificate:
    """Certificate of kind `"stock"`, or `"none"` for a functional that is no recursion on stocks."""
    rule = recursion_of(problem.objective, largest_money(graph))
    if rule is None:
        return Certificate("none", np.inf)
    bounds = enclosed(graph, problem.S, rule, problem.running, choices)
    gap = float(np.nextafter((bounds.hi[0] - bounds.lo[0]).max(), np.inf))
    return Certificate("stock", gap, {"rounding": bounds.rounding}, bounds.data)


def cvar_certificate(
    problem: StockMDP, graph: Reachable, choices: list[np.ndarray], k: int, value: float
) -> Certificate:
    """Certificate of kind `"static-cvar"` on a graph from all candidates, of the policy that starts with `c0[k]`."""
    tau, weights = problem.objective.tau, problem.start_law[graph.start_states]
    bounds = enclosed(graph, problem.S, recursion_of(functional("negative_part"), 0.0), None, choices)
    lower = -graph.c0[k] + weights @ bounds.lo[0][graph.roots[:, k]] / tau
    upper = float(np.max(-graph.c0 + weights @ bounds.hi[0][graph.roots] / tau))
    # The referee adds how far minus a possible return may be from the nearest stock, as far as it knows.
    size = 1 + largest_money(graph) + float(np.abs(graph.c0).max())
    room = max(1.0, 1 / tau - 1) * (graph.horizon + 1) ** 2 * 128 * UNIT * size
    data = {**bounds.data, "tau": np.float64(tau), "c0": np.float64(graph.c0[k])}
    return Certificate("static-cvar", _gap(lower, upper + room, value), {"rounding": bounds.rounding / tau}, data)


def ocvar_certificate(problem: StockMDP, graph: Reachable, weights: np.ndarray, value: float) -> Certificate:
    """Certificate of kind `"static-ocvar"` on a graph from one stock, of policies mixed with these weights."""
    tau, start = problem.objective.tau, problem.start_law[graph.start_states]
    bounds = enclosed(graph, problem.S, recursion_of(functional("positive_part"), 0.0), None, None)
    c0 = float(graph.c0[0])
    upper = -c0 + float(start @ bounds.hi[0][graph.roots[:, 0]]) / tau
    # What the referee's own enclosure of the mixture's law may lose: as much as ours of the utility, then for each step
    # the rounding of stocks and their joining within 2^-44, then for each atom, joint and step a rounding of masses.
    H, money = graph.horizon, 1 + largest_money(graph)
    atoms = sum(stage.state.size for stage in graph.stages)
    joints = sum(int(np.bincount(stage.child).max(initial=0)) for stage in graph.stages if stage.prob.size)
    masses = problem.S + H * (problem.A + 16) + joints + weights.size * (2 * atoms + 1) + 32
    room = 4 * bounds.rounding / tau + H * (H + 544) * UNIT * money + 20 * masses * UNIT * money / tau
    data = {name: bounds.data[name] for name in ("grid_ptr", "grid", "hi")}
    data |= {"tau": np.float64(tau), "c0": np.full(weights.size, c0), "weights": weights}
    return Certificate("static-ocvar", _gap(value - room, upper, value), {"rounding": room}, data)


def _gap(lower: float, upper: float, value: float) -> float:
    """Width of the bracket and the value, rounded up with room for a referee who computes the ends anew."""
    size = 1 + max(abs(lower), abs(upper))
    return max(upper, value) - min(lower, value) + 64 * UNIT * size
