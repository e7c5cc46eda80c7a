"""The states and stocks that can be reached within a finite horizon, and laws of the remaining return on them.

A node is a state together with the money in hand `y = c0 + sum_{i < t} gamma^i r_{i+1}`, counted in money of the first
stage; the stock of stage t is `c = y / gamma^t`. Storing y and not c keeps rounding at the size of the sums themselves,
where the recursion `c' = (c + r) / gamma` would magnify it by `gamma^-t`. All states share a stage's list of stocks.
"""

from dataclasses import dataclass, replace

import numpy as np

from mdplab.models import Outcomes


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """The nodes of one stage and their moves; n nodes, m distinct stocks, R rows (node, action), E outcomes.

    `state`, `level` (n,): a node's state and the index of its money in `money` (m,). Rows `row_node`, `row_action`
    (R,); node i owns rows `node_ptr[i]:node_ptr[i + 1]`, none if it is terminal or the stage is the last. Row j owns
    outcomes `row_ptr[j]:row_ptr[j + 1]` of `child` (a node of the next stage), `reward`, `prob` (E,).
    """

    money: np.ndarray
    state: np.ndarray
    level: np.ndarray
    node_ptr: np.ndarray
    row_node: np.ndarray
    row_action: np.ndarray
    row_ptr: np.ndarray
    child: np.ndarray
    reward: np.ndarray
    prob: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Reachable:
    """The stages 0 to H of what can be reached from `roots` (states x initial stocks), and the discount between them.

    `roots` (number of start states, number of c0) holds node indices of stage 0; `start_states` and `c0` name its axes.
    """

    stages: tuple[Stage, ...]
    roots: np.ndarray
    start_states: np.ndarray
    c0: np.ndarray
    gamma: float

    def __repr__(self) -> str:
        return f"Reachable(horizon={self.horizon}, nodes={self.num_nodes}, stocks={self.c0.size}, gamma={self.gamma:g})"

    @property
    def horizon(self) -> int:
        """Number of decisions H."""
        return len(self.stages) - 1

    @property
    def num_nodes(self) -> int:
        """Nodes of all stages."""
        return sum(stage.state.size for stage in self.stages)

    def shifted(self, c0: float) -> "Reachable":
        """The same nodes with `c0` more money everywhere."""
        stages = tuple(replace(stage, money=stage.money + c0) for stage in self.stages)
        return replace(self, stages=stages, c0=self.c0 + c0)

    def stock(self, t: int) -> np.ndarray:
        """Stocks c of the nodes of stage t, in money of that stage."""
        stage = self.stages[t]
        return (stage.money / self.gamma**t)[stage.level]


def segments(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The indices `starts[i], ..., starts[i] + counts[i] - 1` of all i, one after the other."""
    total = int(counts.sum())
    offset = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return offset + np.arange(total)


def clusters(values: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """(representatives, index of each value's representative): sorted values merge while neighbours are within `width`.

    The least of a cluster represents it, so that equal numbers stay exactly what they are.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.ones(ordered.size, dtype=bool)
    first[1:] = np.diff(ordered) > width
    index = np.empty(values.size, dtype=np.int64)
    index[order] = np.cumsum(first) - 1
    return ordered[first], index


def reachable_stocks(
    outcomes: Outcomes,
    actions: np.ndarray,
    terminal: np.ndarray,
    gamma: float,
    *,
    horizon: int | None,
    start_states: np.ndarray,
    c0: np.ndarray,
    merge: float = 1e-11,
    max_nodes: int = 2_000_000,
) -> Reachable:
    """Every (state, stock) that some policy reaches from the start states with the initial stocks c0, stage by stage.

    Parameters
    ----------
    outcomes
        Joint law of reward and next state.
    actions
        `(S, A)` bool, the available actions.
    terminal
        `(S,)` bool; nothing is decided or earned there.
    gamma
        Discount in (0, 1].
    horizon
        Number of decisions; None if every policy terminates, which is then found out.
    start_states, c0
        `(n,)` states and `(k,)` stocks; roots are all their pairs.
    merge
        Stocks closer than `merge * (1 + max|y|)` are one: the same sum added up in another order.
    max_nodes
        Most nodes.

    Raises
    ------
    ValueError
        More than `max_nodes` nodes; a policy that may never terminate, without a horizon; a discount of 0.
    """
    if not gamma > 0:
        raise ValueError("gamma is 0; the stock (c + r) / gamma needs a positive discount")
    S, A = actions.shape
    c0 = np.atleast_1d(np.asarray(c0, dtype=np.float64))
    start_states = np.atleast_1d(np.asarray(start_states, dtype=np.int64))
    money, level = clusters(c0, 0.0)
    pairs = level[None, :] * S + start_states[:, None]
    keys, roots = np.unique(pairs.ravel(), return_inverse=True)
    roots = roots.reshape(pairs.shape)
    allowed = [np.flatnonzero(row) for row in actions]
    allowed_ptr = np.concatenate(([0], np.cumsum([row.size for row in allowed])))
    allowed = np.concatenate(allowed)
    # Rows are read as probabilities, as the referee reads them.
    heads = outcomes.indptr[:-1][np.diff(outcomes.indptr) > 0]
    sums = np.repeat(np.add.reduceat(outcomes.prob, heads), np.diff(np.append(heads, outcomes.prob.size)))
    chances = outcomes.prob / sums
    stages, total, t = [], 0, 0
    while True:
        level, state = np.divmod(keys, S)
        total += keys.size
        if total > max_nodes:
            raise ValueError(f"more than max_nodes={max_nodes} states and stocks are reachable by stage {t}")
        moves = ~terminal[state]
        # One stage of decisions at least, also where every start is terminal: tables and certificates are not empty.
        over = t > 0 and not moves.any() if horizon is None else t == horizon
        if not over and horizon is None and t > S:
            raise ValueError("horizon is None and some policy may never terminate; give a horizon")
        rows = np.where(moves & (not over), (allowed_ptr[1:] - allowed_ptr[:-1])[state], 0)
        node_ptr = np.concatenate(([0], np.cumsum(rows)))
        row_node = np.repeat(np.arange(keys.size), rows)
        row_action = allowed[segments(allowed_ptr[state], rows)]
        pair = state[row_node] * A + row_action
        counts = np.diff(outcomes.indptr)[pair]
        at = segments(outcomes.indptr[pair], counts)
        row_ptr = np.concatenate(([0], np.cumsum(counts)))
        reward, prob = outcomes.reward[at], chances[at]
        gained = money[level[row_node]].repeat(counts) + gamma**t * reward
        next_money, next_level = clusters(gained, merge * (1 + float(np.abs(gained).max(initial=0.0))))
        next_keys, child = np.unique(next_level * S + outcomes.next_state[at], return_inverse=True)
        stages.append(
            Stage(money, state, level, node_ptr, row_node, row_action, row_ptr, child.reshape(-1), reward, prob)
        )
        if over:
            return Reachable(tuple(stages), roots, start_states, c0, float(gamma))
        # A stage that nothing reaches, all play being over, keeps one stock: the certificate's stages are not empty.
        money, keys, t = next_money if next_money.size else np.zeros(1), next_keys, t + 1


@dataclass(frozen=True, eq=False, slots=True)
class Laws:
    """Laws with finite support, one after the other: law i has atoms `x[ptr[i]:ptr[i + 1]]`, increasing, masses `p`."""

    ptr: np.ndarray
    x: np.ndarray
    p: np.ndarray

    @classmethod
    def zeros(cls, n: int) -> "Laws":
        """n times the law of the constant 0."""
        return cls(np.arange(n + 1), np.zeros(n), np.ones(n))

    def take(self, index: np.ndarray) -> "Laws":
        """The laws of these indices, in this order."""
        counts = np.diff(self.ptr)[index]
        at = segments(self.ptr[index], counts)
        return Laws(np.concatenate(([0], np.cumsum(counts))), self.x[at], self.p[at])

    def of(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Atoms and masses of law i."""
        part = slice(self.ptr[i], self.ptr[i + 1])
        return self.x[part], self.p[part]


def pushed_forward(stage: Stage, after: Laws, gamma: float, *, merge: float, max_atoms: int) -> Laws:
    """The law of `r + gamma G'` for every row of a stage, from the laws of G' at the nodes of the next stage.

    Atoms closer than `merge * (1 + max|x|)` are merged at their mean.
    """
    counts = np.diff(after.ptr)[stage.child]
    if int(counts.sum()) > max_atoms:
        raise ValueError(f"the laws of one stage have {int(counts.sum())} atoms, more than max_atoms={max_atoms}")
    at = segments(after.ptr[stage.child], counts)
    x = np.repeat(stage.reward, counts) + gamma * after.x[at]
    p = np.repeat(stage.prob, counts) * after.p[at]
    row = np.repeat(np.repeat(np.arange(stage.row_node.size), np.diff(stage.row_ptr)), counts)
    return merged(row, x, p, stage.row_node.size, merge)


def merged(row: np.ndarray, x: np.ndarray, p: np.ndarray, num_rows: int, merge: float) -> Laws:
    """Laws from unsorted atoms (row, x, p)."""
    order = np.lexsort((x, row))
    row, x, p = row[order], x[order], p[order]
    first = np.ones(x.size, dtype=bool)
    width = merge * (1 + float(np.abs(x).max(initial=0.0)))
    first[1:] = (np.diff(row) > 0) | (np.diff(x) > width)
    heads = np.flatnonzero(first)
    if heads.size < x.size:
        mass = np.add.reduceat(p, heads)
        base = x[heads]
        # Relative to the first atom, so that a cluster of equal numbers stays exactly what it is.
        x = base + np.add.reduceat(p * (x - np.repeat(base, np.diff(np.append(heads, x.size)))), heads) / mass
        row, p = row[heads], mass
    return Laws(np.searchsorted(row, np.arange(num_rows + 1)), x, p)
