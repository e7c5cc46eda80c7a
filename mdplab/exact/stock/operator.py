"""The Bellman operator on functions that are piecewise linear in the stock, and its two one-sided versions."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mdplab.kernels.stock import (
    cover_above,
    cover_below,
    extreme_returns,
    greedy_sweep,
    policy_sweep,
    stock_tables,
)
from mdplab.models import Functional, StockMDP


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """The outcomes of a problem as the kernels read them, rows divided by their sums.

    `order` holds the states that are not terminal, those that come later in a trajectory first where that is settled.
    `depth` (S,) bounds the number of decisions from each state; None if the model has cycles off its terminal states.
    """

    indptr: np.ndarray
    following: np.ndarray
    prob: np.ndarray
    kind: np.ndarray
    rewards: np.ndarray
    running: np.ndarray
    actions: np.ndarray
    terminal: np.ndarray
    order: np.ndarray
    depth: np.ndarray | None
    gamma: float

    @classmethod
    def of(cls, problem: StockMDP) -> "Rows":
        """The rows of a problem."""
        outcomes, mdp = problem.outcomes, problem.mdp
        row = outcomes.row_of()
        sums = np.bincount(row, outcomes.prob, minlength=mdp.S * mdp.A)
        rewards, kind = np.unique(outcomes.reward, return_inverse=True)
        live = ~mdp.terminal
        used = mdp.actions & live[:, None]
        from_state = row // mdp.A
        edge = used.ravel()[row] & live[outcomes.next_state]
        graph = csr_array((np.ones(edge.sum()), (from_state[edge], outcomes.next_state[edge])), shape=(mdp.S, mdp.S))
        order, depth = _ordered(graph, live)
        running = np.zeros((mdp.S, mdp.A)) if problem.running is None else np.array(problem.running)
        return cls(
            np.array(outcomes.indptr),
            np.array(outcomes.next_state),
            outcomes.prob / sums[row],
            kind.astype(np.int64),
            rewards,
            running,
            np.array(mdp.actions),
            np.array(mdp.terminal),
            order,
            depth,
            float(problem.gamma),
        )

    def extremes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounds of the return, (S,) each: the best that can happen, the best that can be made sure, the worst."""
        best, safe, worst = np.zeros(len(self.terminal)), np.zeros(len(self.terminal)), np.zeros(len(self.terminal))
        size = float(np.abs(self.rewards).max(initial=0.0))
        sweeps = 10_000 if self.depth is None else int(self.depth.max(initial=0)) + 2
        arguments = (self.indptr, self.following, self.rewards[self.kind], self.actions, self.terminal, self.gamma)
        change = extreme_returns(*arguments, sweeps, best, safe, worst)
        if change > 0:
            # From zero the iterates are within gamma / (1 - gamma) of the last change.
            slack = min(change * self.gamma, size) / (1 - self.gamma)
            best, safe, worst = best + slack, safe - slack, worst - slack
        return best, safe, worst


def _ordered(graph: csr_array, live: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """States that are not terminal, ends of trajectories first, and the depth of each state if there are no cycles."""
    count, label = connected_components(graph, directed=True, connection="strong")
    states = np.flatnonzero(live)
    cyclic = count < len(live) or graph.diagonal().any()
    # Strong components are numbered along or against the edges between them: against, ends come first.
    edges = graph.tocoo()
    against = np.all(label[edges.row] >= label[edges.col])
    order = states[np.argsort(label[states] if against else -label[states], kind="stable")]
    if cyclic:
        return order, None
    depth = np.zeros(len(live), dtype=np.int64)
    for s in order:
        after = graph.indices[graph.indptr[s] : graph.indptr[s + 1]]
        depth[s] = 1 + (depth[after].max() if after.size else 0)
    return order, depth


@dataclass(frozen=True, eq=False, slots=True)
class StockOperator:
    """`(T v)(s, c) = max_a running + gamma E v(s', (c + r) / gamma) + (1 - gamma) f(0)` on a grid of stocks (K,).

    Functions `(S, K)` are linear between stocks and have the slopes `left`, `right` of f outside; f is linear on both
    sides of 0. On terminal states they are f.
    """

    rows: Rows
    grid: np.ndarray
    left: float
    right: float
    constant: float
    terminal_values: np.ndarray
    cell: np.ndarray
    weight: np.ndarray
    beyond: np.ndarray

    @classmethod
    def of(cls, rows: Rows, f: Functional, grid: np.ndarray) -> "StockOperator":
        """The operator of a utility with scaling `f(gamma c) - f(0) = gamma (f(c) - f(0))`."""
        at_zero, left, right = kinked(f)
        shape = (len(rows.rewards), len(grid))
        cell, weight, beyond = np.empty(shape, dtype=np.int32), np.empty(shape), np.empty(shape)
        stock_tables(grid, rows.rewards, rows.gamma, left, right, cell, weight, beyond)
        constant = (1 - rows.gamma) * at_zero
        return cls(rows, grid, left, right, constant, f.utility(grid), cell, weight, beyond)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the functions: states, stocks."""
        return len(self.rows.terminal), len(self.grid)

    def first(self) -> np.ndarray:
        """The utility of the stock itself, (S, K): the value of no return."""
        return np.tile(self.terminal_values, (self.shape[0], 1))

    def any_policy(self) -> np.ndarray:
        """The first available action everywhere, (S, K)."""
        return np.repeat(self.rows.actions.argmax(axis=1)[:, None], self.shape[1], axis=1)

    def greedy(self, v: np.ndarray, pi: np.ndarray, lift: np.ndarray, *, backward: bool = False) -> float:
        """`v = T v + lift` state after state, in place, `pi` its maximisers; the largest change."""
        r = self.rows
        order = np.ascontiguousarray(r.order[::-1]) if backward else r.order
        model = (r.indptr, r.following, r.prob, r.kind, r.running, r.actions, order)
        low, high = greedy_sweep(*model, self.cell, self.weight, self.beyond, r.gamma, self.constant, lift, v, pi)
        return max(-low, high, 0.0)

    def follow(self, v: np.ndarray, pi: np.ndarray, lift: np.ndarray, *, backward: bool = False) -> float:
        """`v = T_pi v + lift` state after state, in place; the largest change."""
        r = self.rows
        order = np.ascontiguousarray(r.order[::-1]) if backward else r.order
        model = (r.indptr, r.following, r.prob, r.kind, r.running, order)
        low, high = policy_sweep(*model, self.cell, self.weight, self.beyond, r.gamma, self.constant, lift, pi, v)
        return max(-low, high, 0.0)

    def above(
        self, v: np.ndarray, base: np.ndarray | None = None, *, keep: bool = False, backward: bool = False
    ) -> float:
        """The largest excess of `T v` over v, at all stocks.

        With `base`, v is replaced by a cover of T v, state after state, in place: base plus what T v exceeds it by
        between stocks. With `keep`, v is only raised, to be one.
        """
        r = self.rows
        order = np.ascontiguousarray(r.order[::-1]) if backward else r.order
        model = (r.indptr, r.following, r.prob, r.kind, r.rewards, r.running, r.actions, order)
        form = (self.grid, r.gamma, self.constant, self.left, self.right)
        fill = 0 if base is None else 2 if keep else 1
        return float(cover_above(*model, *form, fill, v if base is None else base, v))

    def below(
        self,
        v: np.ndarray,
        pi: np.ndarray,
        base: np.ndarray | None = None,
        *,
        keep: bool = False,
        backward: bool = False,
    ) -> float:
        """The largest excess of v over `T_pi v`, pi `(S, K)` of the nearest grid stock; the rest as in `above`."""
        r = self.rows
        order = np.ascontiguousarray(r.order[::-1]) if backward else r.order
        model = (r.indptr, r.following, r.prob, r.kind, r.rewards, r.running, order)
        form = (self.grid, r.gamma, self.constant, self.left, self.right)
        fill = 0 if base is None else 2 if keep else 1
        return float(cover_below(*model, *form, pi, fill, v if base is None else base, v))


def kinked(f: Functional) -> tuple[float, float, float]:
    """`f(0)` and the slopes of f below and above 0; ValueError unless f is linear on both sides of 0."""
    at = f.utility(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    left, right = float(at[2] - at[1]), float(at[3] - at[2])
    if at[1] - at[0] != left or at[4] - at[3] != right:
        raise ValueError(f"{f.name} is not linear on both sides of 0; the stock grid needs that to hold all stocks")
    return float(at[2]), left, right
