r"""Distributional value and policy iteration on states with stock, as printed, over an infinite horizon.

One sweep of value iteration takes laws eta(s, c) of the return to those of the actions that are best in K,

    eta_{n+1}(s, c) = law of R + gamma G(S', (c + R) / gamma),  G ~ eta_n,  the action maximising K(law of c + that);

policy iteration takes a policy to one that is greedy for its laws. Which of several best actions is played matters here
(laws need not converge, and for a discontinuous K even values may not), so the tie rule is an argument.

Stocks are a table. A table is closed if every stock that follows from it is on it or beyond its ends, as the multiples
of a step are with gamma = 1/2 and rewards that are multiples of half of it. From beyond an end play goes on as at the
end: that is exact once the ends are at least max|r| / (1 - gamma) from 0, for objectives that only ask on which side of
0 the sum of stock and return is, and are linear on each side. Then nothing is rounded but floats.

Errors, for an L-Lipschitz K that is indifferent to mixtures and to gamma, eta_0 = 0, v_n of the laws and v^n of the
n-th policy: `v* - v_n <= L gamma^n m / (1 - gamma)`, `v* - v^n <= 2 L gamma^n m / (1 - gamma)` with m = max|r|; for
policy iteration `v* - v^n <= L gamma^n (max r - min r) / (1 - gamma)`.

Source: Pires et al. 2025, "Optimizing return distributions with distributional dynamic programming" (JMLR 26), its
distributional value and policy iteration, Theorems 6 and 8. A sweep costs one law for each state, stock and action, and
laws grow by the branching until atoms coincide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models import FiniteLaw, Functional, StockMDP, wasserstein

# `pick(sweep, state, stock, actions)` of the tied actions one, or the first or last of them.
Tie = str | Callable[[int, int, float, np.ndarray], int]
Table = tuple[tuple[FiniteLaw, ...], ...]
_NOTHING = FiniteLaw([0.0], [1.0])


@dataclass(frozen=True, eq=False, slots=True)
class StockTable:
    """A problem on finitely many stocks; made by `stock_table`.

    `stocks` (K,); for each outcome of the problem (n of them) and each stock the index `child` (n, K) of the stock that
    follows, and by how much that one is `beyond` (n, K) an end of the table.
    """

    problem: StockMDP
    stocks: np.ndarray
    child: np.ndarray
    beyond: np.ndarray


def stock_table(problem: StockMDP, stocks: Any) -> StockTable:
    """The problem on a closed set of stocks.

    Parameters
    ----------
    problem
        Objective a `Functional`; gamma below 1, no horizon.
    stocks : array (K,)
        Increasing.

    Raises
    ------
    ValueError
        Another kind of problem; stocks that do not increase; a stock that follows and is not among them (which).

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> problem = StockMDP(MDP([[[1.0]]], [[1.0]], 0.5), functional("target"))
    >>> stock_table(problem, [-2.0, -1.0, 0.0, 1.0, 2.0]).child.tolist()
    [[0, 2, 4, 4, 4]]
    """
    if not isinstance(problem.objective, Functional) or problem.horizon is not None or problem.gamma >= 1:
        raise ValueError(f"problem is {problem!r}; expected a Functional, gamma below 1 and no horizon")
    c = np.asarray(stocks, dtype=np.float64)
    if c.ndim != 1 or c.size == 0 or not np.isfinite(c).all() or (np.diff(c) <= 0).any():
        raise ValueError(f"stocks is {stocks!r}; expected increasing numbers")
    after = (c[None, :] + problem.outcomes.reward[:, None]) / problem.gamma
    inside = np.clip(after, c[0], c[-1])
    child = np.abs(inside[:, :, None] - c).argmin(axis=2)
    off = np.abs(c[child] - inside)
    if off.max() > 1e-9 * (1 + np.abs(c).max()):
        i, k = np.unravel_index(off.argmax(), off.shape)
        raise ValueError(
            f"stocks is not closed: {c[k]:g} and reward {problem.outcomes.reward[i]:g} lead to {after[i, k]:g}"
        )
    return StockTable(problem, c, child, after - inside)


@dataclass(frozen=True, eq=False, slots=True)
class StockRun:
    """What a run went through, n the number of sweeps or improvements.

    `values` (n + 1, S, K): K of stock plus law, of each iterate. `policies` (n + 1, S, K): for value iteration greedy
    for each iterate's laws, for policy iteration the policies themselves. `moved` (n,): sup over states and stocks of
    w_1 between the laws of consecutive iterates. `laws[s][k]` of the last one. `num_backups`: laws of state, stock and
    action that were computed.
    """

    values: np.ndarray
    policies: np.ndarray
    moved: np.ndarray
    laws: Table
    num_backups: int


class _Sweeps:
    """Backups on a table, counted."""

    def __init__(self, table: StockTable, tie: Tie, merge: float) -> None:
        if not callable(tie) and tie not in ("first", "last"):
            raise ValueError(f"tie is {tie!r}; expected 'first', 'last' or a function")
        self.table, self.tie, self.merge, self.count = table, tie, merge, 0
        self.shape = table.problem.S, table.stocks.size

    def constant(self, x: float) -> Table:
        """The law of x everywhere, of 0 where play is over."""
        terminal = self.table.problem.mdp.terminal
        law = FiniteLaw([float(x)], [1.0])
        return tuple(tuple(_NOTHING if terminal[s] else law for _ in self.table.stocks) for s in range(self.shape[0]))

    def backup(self, laws: Table, s: int, k: int, a: int) -> FiniteLaw:
        """Law of r + gamma G' of one action."""
        out, gamma = self.table.problem.outcomes, self.table.problem.gamma
        row = s * out.A + a
        at = range(out.indptr[row], out.indptr[row + 1])
        parts = [laws[out.next_state[i]][self.table.child[i, k]] for i in at]
        self.count += 1
        x = np.concatenate([out.reward[i] + gamma * part.x for i, part in zip(at, parts, strict=True)])
        p = np.concatenate([out.prob[i] * part.p for i, part in zip(at, parts, strict=True)])
        # Sure returns need no merging: most of what deterministic problems have.
        return FiniteLaw(x, np.ones(1)) if x.size == 1 else FiniteLaw.of(x, p / p.sum(), merge=self.merge)

    def greedy(self, laws: Table, sweep: int) -> tuple[np.ndarray, Table]:
        """The actions best in K, ties broken, and their laws."""
        problem, (S, K) = self.table.problem, self.shape
        f, policy, out = problem.objective, np.zeros((S, K), dtype=np.int64), []
        for s in range(S):
            actions, chosen = np.flatnonzero(problem.mdp.actions[s]), []
            for k, c in enumerate(self.table.stocks):
                candidates = [self.backup(laws, s, k, int(a)) for a in actions]
                q = np.array([f.evaluate(c + law.x, law.p) for law in candidates])
                tied = np.flatnonzero(q >= q.max() - f.tie * (1 + abs(q.max())))
                pick = self._picked(sweep, s, float(c), actions[tied])
                policy[s, k] = pick
                chosen.append(candidates[int(np.flatnonzero(actions == pick)[0])])
            out.append(tuple(chosen))
        return policy, tuple(out)

    def _picked(self, sweep: int, s: int, c: float, actions: np.ndarray) -> int:
        if callable(self.tie):
            pick = int(self.tie(sweep, s, c, actions))
            if pick not in actions:
                raise ValueError(f"tie chose {pick}; the tied actions are {actions.tolist()}")
            return pick
        return int(actions[0 if self.tie == "first" else -1])

    def followed(self, laws: Table, policy: np.ndarray) -> Table:
        """One sweep of a policy."""
        S, K = self.shape
        return tuple(tuple(self.backup(laws, s, k, int(policy[s, k])) for k in range(K)) for s in range(S))

    def values(self, laws: Table) -> np.ndarray:
        """K of stock plus law, (S, K)."""
        f = self.table.problem.objective
        return np.array([[f.evaluate(c + law.x, law.p) for c, law in zip(self.table.stocks, row)] for row in laws])


def _distance(a: Table, b: Table) -> float:
    return max(wasserstein(x, y) for one, other in zip(a, b) for x, y in zip(one, other))


def law_value_iteration(
    table: StockTable, *, num_iters: int, start: float | Table = 0.0, tie: Tie = "first", merge: float = 1e-12
) -> StockRun:
    """Distributional value iteration: `num_iters` greedy sweeps of all laws.

    Parameters
    ----------
    table
        From `stock_table`.
    num_iters
        Sweeps.
    start
        eta_0: a number that every law has surely, or laws `[s][k]`.
    tie
        `"first"`, `"last"`, or `pick(sweep, state, stock, actions)` of one of the tied actions.
    merge
        Atoms closer than `merge * (1 + max|x|)` are one.

    Source
    ------
    Pires et al. (2025), distributional value iteration; Theorem 6.

    Examples
    --------
    Two rewards, 0 and 1, for ever; from stock -1 the return 1 is wanted, and had.

    >>> from mdplab.models import MDP, functional
    >>> problem = StockMDP(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), functional("target"))
    >>> run = law_value_iteration(stock_table(problem, [-2.0, -1.0, 0.0, 1.0, 2.0]), num_iters=3)
    >>> run.values[:, 0, 1].tolist()
    [-1.0, 0.0, 0.0, 0.0]
    """
    sweeps = _Sweeps(table, tie, merge)
    laws = start if isinstance(start, tuple) else sweeps.constant(start)
    values, policies, moved = [sweeps.values(laws)], [], []
    for n in range(num_iters + 1):
        policy, after = sweeps.greedy(laws, n)
        policies.append(policy)
        if n < num_iters:
            moved.append(_distance(laws, after))
            laws = after
            values.append(sweeps.values(laws))
    return StockRun(np.array(values), np.array(policies), np.array(moved), laws, sweeps.count)


def law_policy_iteration(
    table: StockTable,
    policy: np.ndarray,
    *,
    num_iters: int,
    num_sweeps: int,
    tie: Tie = "first",
    merge: float = 1e-12,
) -> StockRun:
    """Distributional policy iteration: laws of the policy, then a policy greedy for them, `num_iters` times.

    Parameters
    ----------
    table, tie, merge
        As for `law_value_iteration`.
    policy : int array (S, K)
        The first policy.
    num_iters
        Improvements.
    num_sweeps
        Sweeps that evaluate a policy, from laws of 0: its laws are then within `gamma**num_sweeps max|r| / (1 - gamma)`
        in w_1.

    Source
    ------
    Pires et al. (2025), distributional policy iteration; Theorem 8.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> problem = StockMDP(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), functional("mean"))
    >>> table = stock_table(problem, [-2.0, 0.0, 2.0])
    >>> run = law_policy_iteration(table, np.zeros((1, 3), dtype=int), num_iters=1, num_sweeps=20)
    >>> run.policies.tolist()
    [[[0, 0, 0]], [[1, 1, 1]]]
    """
    sweeps = _Sweeps(table, tie, merge)
    policy = np.asarray(policy, dtype=np.int64)
    if policy.shape != sweeps.shape:
        raise ValueError(f"policy has shape {policy.shape}, expected {sweeps.shape}")
    values, policies, moved, before = [], [policy], [], None
    for n in range(num_iters + 1):
        laws = sweeps.constant(0.0)
        for _ in range(num_sweeps):
            laws = sweeps.followed(laws, policy)
        values.append(sweeps.values(laws))
        if before is not None:
            moved.append(_distance(before, laws))
        before = laws
        if n < num_iters:
            policy, _ = sweeps.greedy(laws, n)
            policies.append(policy)
    return StockRun(np.array(values), np.array(policies), np.array(moved), laws, sweeps.count)


def utility_iteration(table: StockTable, *, num_iters: int, policy: np.ndarray | None = None) -> np.ndarray:
    """Expected utilities by numbers instead of laws: v_0, ..., v_n (n + 1, S, K), the best or those of a policy (S, K).

    `v_{n+1}(s, c) = max_a gamma E v_n(s', (c + r) / gamma)`, `v_0 = f(c)`, with v_n linear beyond the ends.

    Raises
    ------
    ValueError
        An objective that is not linear on both sides of 0, or ends closer to 0 than max|r| / (1 - gamma).

    Source
    ------
    Pires et al. (2025), Lemma 12; Bauerle and Ott (2011).

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> problem = StockMDP(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), functional("target"))
    >>> v = utility_iteration(stock_table(problem, [-2.0, -1.0, 0.0, 1.0, 2.0]), num_iters=2)
    >>> (v[:, 0, :3] + 0.0).tolist()
    [[-2.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [-0.5, 0.0, 0.0]]
    """
    problem, c = table.problem, table.stocks
    f, out, gamma = problem.objective, problem.outcomes, problem.gamma
    reach = np.abs(out.reward).max() / (1 - gamma)
    if f.slopes is None or f.scaling(gamma) != gamma:
        raise ValueError(f"objective is {f.name}; expected one that is linear on both sides of 0")
    if c[0] > -reach or c[-1] < reach:
        raise ValueError(f"stocks end at {c[0]:g} and {c[-1]:g}; expected at least {reach:g} on either side of 0")
    below, above = -f.utility(np.array([-1.0]))[0], f.utility(np.array([1.0]))[0]
    outside = np.where(table.beyond < 0, below, above) * table.beyond
    heads = out.indptr[:-1][np.diff(out.indptr) > 0]
    rows = np.flatnonzero(np.diff(out.indptr))
    # Terminal states need no care: gamma f(c / gamma) = f(c).
    history = [np.broadcast_to(f.utility(c), (problem.S, c.size))]
    for _ in range(num_iters):
        ahead = history[-1][out.next_state[:, None], table.child] + outside
        q = np.full((problem.S * problem.A, c.size), -np.inf)
        q[rows] = gamma * np.add.reduceat(out.prob[:, None] * ahead, heads, axis=0)
        q = q.reshape(problem.S, problem.A, c.size)
        v = q.max(axis=1) if policy is None else np.take_along_axis(q, np.asarray(policy)[:, None], axis=1)[:, 0]
        history.append(v)
    return np.array(history)


def error_bounds(problem: StockMDP, n: int) -> dict[str, float]:
    """Printed bounds of the n-th iterate from eta_0 = 0: `"value"`, `"greedy"`; `"policy"` of policy iteration.

    Raises
    ------
    ValueError
        An objective without slopes: the theorems ask for a Lipschitz one.

    Source
    ------
    Pires et al. (2025), Theorems 6 and 8, with `w_1 <= max|r| / (1 - gamma)` between 0 and any return.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> error_bounds(StockMDP(MDP([[[1.0]]], [[3.0]], 0.5), functional("target")), 2)
    {'value': 1.5, 'greedy': 3.0, 'policy': 0.0}
    """
    if problem.objective.slopes is None:
        raise ValueError(f"objective is {problem.objective.name}, which is not Lipschitz")
    rewards, gamma = problem.outcomes.reward, problem.gamma
    size = max(abs(slope) for slope in problem.objective.slopes) * gamma**n / (1 - gamma)
    reach = float(size * np.abs(rewards).max())
    return {"value": reach, "greedy": 2 * reach, "policy": float(size * np.ptp(rewards))}
