"""Passes over the reachable states and stocks: backwards for utilities, backwards for whole laws, forwards for one law.

Choices are one int64 array a stage: the row that a node plays, -1 where nothing is decided.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from mdplab.exact.stock.reachable import Laws, Reachable, Stage, pushed_forward
from mdplab.models import FiniteLaw, Functional

# How a tie is broken: the first or last of the tied actions, or `pick(stage, state, stock, actions) -> action`.
Tie = str | Callable[[int, int, float, np.ndarray], int]


def checked_tie(tie: Tie) -> Tie:
    """`tie`; ValueError unless it is `"first"`, `"last"` or callable."""
    if not callable(tie) and tie not in ("first", "last"):
        raise ValueError(f"tie is {tie!r}; expected 'first', 'last' or a function")
    return tie


def row_sums(stage: Stage, weights: np.ndarray) -> np.ndarray:
    """Sums of the outcomes' weights (E, ...) over each row."""
    return _over_rows(np.add, stage, weights)


def _over_rows(combine: np.ufunc, stage: Stage, weights: np.ndarray) -> np.ndarray:
    if stage.row_node.size == 0:
        return np.zeros((0, *weights.shape[1:]))
    return combine.reduceat(weights, stage.row_ptr[:-1], axis=0)


def best_rows(
    graph: Reachable, t: int, values: np.ndarray, slack: float, tie: Tie = "first", kept: np.ndarray | None = None
) -> np.ndarray:
    """The row of largest value (R,) or (R, B) at every node, -1 where there is none.

    Values within `slack * (1 + |largest|)` of the largest are a tie, which goes to the row in `kept` if that is one of
    them, and else by `tie`.
    """
    stage = graph.stages[t]
    decides = np.diff(stage.node_ptr) > 0
    out = np.full((decides.size, *values.shape[1:]), -1, dtype=np.int64)
    if not decides.any():
        return out
    heads = stage.node_ptr[:-1][decides]
    top = np.maximum.reduceat(values, heads, axis=0)
    node = np.cumsum(decides)[stage.row_node] - 1
    tied = values >= (top - slack * (1 + np.abs(top)))[node]
    row = np.arange(values.shape[0]).reshape(-1, *[1] * (values.ndim - 1))
    if tie == "last":
        out[decides] = np.maximum.reduceat(np.where(tied, row, -1), heads, axis=0)
    else:
        out[decides] = np.minimum.reduceat(np.where(tied, row, values.shape[0]), heads, axis=0)
    if callable(tie):
        for i in np.flatnonzero(np.bincount(stage.row_node[tied], minlength=decides.size) > 1):
            rows = np.arange(stage.node_ptr[i], stage.node_ptr[i + 1])
            rows = rows[tied[rows]]
            action = tie(t, int(stage.state[i]), float(graph.stock(t)[i]), stage.row_action[rows])
            picked = rows[stage.row_action[rows] == action]
            if picked.size == 0:
                raise ValueError(f"tie chose {action}; the tied actions are {stage.row_action[rows].tolist()}")
            out[i] = picked[0]
    if kept is not None:
        stays = kept >= 0
        stays[stays] = tied[kept[stays]]
        out[stays] = kept[stays]
    return out


def utility_pass(
    graph: Reachable,
    utility: Callable[[np.ndarray], np.ndarray],
    shifts: np.ndarray,
    *,
    running: np.ndarray | None = None,
    slack: float = 1e-12,
    tie: Tie = "first",
    follow: list[np.ndarray] | None = None,
    combine: str = "mean",
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Largest (or, with `follow`, that policy's) `E[sum gamma^t running_t + f(shift + money at the end)]`.

    In money of the first stage throughout, so that no property of f is needed: `w_H(s, y) = f(y)` and
    `w_t(s, y) = max_a gamma^t running(s, a) + E w_{t+1}(s', y + gamma^t r)`. Values and choices are lists of (n_t, B)
    for B shifts of all money, stage by stage. `combine` says how a row combines its outcomes: their `"mean"`, or, for
    functionals that see only what is possible, their `"min"` or `"max"`.
    """
    values: list[np.ndarray] = [np.zeros(0)] * (graph.horizon + 1)
    choices: list[np.ndarray] = [np.zeros(0, dtype=np.int64)] * graph.horizon
    for t in range(graph.horizon, -1, -1):
        stage = graph.stages[t]
        here = utility(stage.money[:, None] + shifts[None, :])[stage.level]
        if t < graph.horizon:
            later = values[t + 1][stage.child]
            if combine == "mean":
                q = row_sums(stage, stage.prob[:, None] * later)
            else:
                q = _over_rows(np.minimum if combine == "min" else np.maximum, stage, later)
            if running is not None:
                q += graph.gamma**t * running[stage.state[stage.row_node], stage.row_action][:, None]
            choices[t] = best_rows(graph, t, q, slack, tie) if follow is None else np.atleast_2d(follow[t].T).T
            decides = np.diff(stage.node_ptr) > 0
            chosen = np.take_along_axis(q, choices[t][decides], axis=0) if q.size else q
            here[decides] = chosen
        values[t] = here
    return values, choices


def statistics(objective: Functional, laws: Laws, shift: np.ndarray) -> np.ndarray:
    """The functional of every law, shifted by its entry of `shift` (n,)."""
    if shift.size == 0:
        return np.zeros(0)
    x = laws.x + np.repeat(shift, np.diff(laws.ptr))
    if objective.utility is not None:
        return np.add.reduceat(laws.p * objective.utility(x), laws.ptr[:-1])
    cuts = laws.ptr.tolist()
    return np.array([objective.evaluate(x[i:j], laws.p[i:j]) for i, j in pairwise(cuts)])


def law_pass(
    graph: Reachable,
    objective: Functional,
    *,
    running: np.ndarray | None = None,
    follow: list[np.ndarray] | None = None,
    tie: Tie = "first",
    merge: float = 1e-11,
    max_atoms: int = 5_000_000,
) -> tuple[list[np.ndarray], list[np.ndarray], Laws]:
    """Greedy choices, values and the laws of the return at stage 0; of the optimum, or of the policy `follow`.

    Without `follow` this is distributional value iteration, one sweep a stage. With it, values and laws are those of
    that policy and the choices greedy with respect to its laws: the two halves of distributional policy iteration.
    """
    last = graph.stages[-1]
    laws, extra = Laws.zeros(last.state.size), np.zeros(last.state.size)
    values = [statistics(objective, laws, graph.stock(graph.horizon))]
    choices: list[np.ndarray] = []
    for t in range(graph.horizon - 1, -1, -1):
        stage = graph.stages[t]
        stock = graph.stock(t)
        rows = pushed_forward(stage, laws, graph.gamma, merge=merge, max_atoms=max_atoms)
        sums = np.zeros(stage.row_node.size)
        if running is not None:
            later = row_sums(stage, stage.prob * extra[stage.child])
            sums = running[stage.state[stage.row_node], stage.row_action] + graph.gamma * later
        q = statistics(objective, rows, stock[stage.row_node]) + sums
        greedy = best_rows(graph, t, q, objective.tie, tie, kept=None if follow is None else follow[t])
        played = greedy if follow is None else follow[t]
        # One more law, of the constant 0, for the nodes where nothing is decided.
        padded = Laws(np.append(rows.ptr, rows.ptr[-1] + 1), np.append(rows.x, 0.0), np.append(rows.p, 1.0))
        laws = padded.take(np.where(played >= 0, played, stage.row_node.size))
        extra = np.append(sums, 0.0)[np.where(played >= 0, played, stage.row_node.size)]
        values.append(statistics(objective, laws, stock) + extra)
        choices.append(greedy)
    return choices[::-1], values[::-1], laws


def first_choices(graph: Reachable) -> list[np.ndarray]:
    """The policy that always plays the first available action."""
    return [np.where(np.diff(stage.node_ptr) > 0, stage.node_ptr[:-1], -1) for stage in graph.stages[:-1]]


def forward_atoms(graph: Reachable, choices: list[np.ndarray], root_mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Money and masses at all nodes where play ends, in an order that the choices do not change.

    From masses (n_0,) on the nodes of stage 0, under deterministic choices.
    """
    mass, p = root_mass, []
    for t, stage in enumerate(graph.stages):
        p.append(mass[np.diff(stage.node_ptr) == 0])
        if t == graph.horizon:
            break
        rows = choices[t]
        # What a row carries: the mass of its node if that plays it.
        carried = np.zeros(stage.row_node.size)
        carried[rows[rows >= 0]] = mass[rows >= 0]
        flow = np.repeat(carried, np.diff(stage.row_ptr)) * stage.prob
        mass = np.bincount(stage.child, weights=flow, minlength=graph.stages[t + 1].state.size)
    return end_money(graph), np.concatenate(p)


def end_money(graph: Reachable) -> np.ndarray:
    """Money of all nodes where play ends, stage by stage."""
    return np.concatenate([stage.money[stage.level[np.diff(stage.node_ptr) == 0]] for stage in graph.stages])


def forward_law(graph: Reachable, choices: list[np.ndarray], root_mass: np.ndarray) -> FiniteLaw:
    """Law of the money at the end under deterministic choices, from masses (n_0,) on the nodes of stage 0."""
    return FiniteLaw.of(*forward_atoms(graph, choices, root_mass))
