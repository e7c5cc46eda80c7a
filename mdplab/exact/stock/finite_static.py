"""Static CVaR and optimistic CVaR over a finite horizon: a stock-augmented problem, and a choice of initial stock."""

import time

import numpy as np

from mdplab.exact.arguments import checked_tol, require_type
from mdplab.exact.stock.finite import StockPolicy, reachable_from
from mdplab.exact.stock.finite_certificate import cvar_certificate, flat_policy, ocvar_certificate
from mdplab.exact.stock.mixtures import best_mixture
from mdplab.exact.stock.reachable import Reachable, clusters
from mdplab.exact.stock.stage_passes import Tie, checked_tie, end_money, forward_atoms, utility_pass
from mdplab.models import (
    Certificate,
    CVaR,
    FiniteLaw,
    OCVaR,
    Solution,
    SolverFailure,
    StockMDP,
    cvar,
    functional,
    ocvar,
)

# Stocks times outcomes of one vectorised pass: some tens of megabytes.
_BLOCK = 4_000_000


class _Start:
    """The graph of everything reachable with initial stock 0, and expected utilities on it for other stocks.

    An initial stock only shifts all money, so one graph serves every c0.
    """

    def __init__(self, problem: StockMDP, utility: str, merge: float, max_nodes: int, tie: Tie) -> None:
        self.tie = checked_tie(tie)
        self.graph: Reachable = reachable_from(problem, merge=merge, max_nodes=max_nodes)
        self.mass = np.zeros(self.graph.stages[0].state.size)
        self.mass[self.graph.roots[:, 0]] = problem.start_law[self.graph.start_states]
        money = end_money(self.graph)
        self.returns, self.return_of = clusters(money, merge * (1 + float(np.abs(money).max())))
        self.objective = functional(utility)
        self.edges = max(stage.prob.size for stage in self.graph.stages)

    def best(self, c0: np.ndarray) -> np.ndarray:
        """`sup E f(c0 + G)` for each of the stocks c0 (k,)."""
        out, step = np.empty(c0.size), max(1, _BLOCK // max(1, self.edges))
        for i in range(0, c0.size, step):
            values, _ = utility_pass(self.graph, self.objective.utility, c0[i : i + step])
            out[i : i + step] = self.mass @ values[0]
        return out

    def policy(self, c0: float) -> tuple[float, list[np.ndarray]]:
        """The best value for one stock, and choices that have it."""
        values, choices = utility_pass(
            self.graph, self.objective.utility, np.array([c0]), slack=self.objective.tie, tie=self.tie
        )
        return float(self.mass @ values[0][:, 0]), [choice[:, 0] for choice in choices]

    def masses(self, choices: list[np.ndarray]) -> np.ndarray:
        """Masses of the policy's return law on `returns`."""
        _, p = forward_atoms(self.graph, choices, self.mass)
        return np.bincount(self.return_of, weights=p, minlength=self.returns.size)

    def law(self, masses: np.ndarray) -> FiniteLaw:
        """Those masses as a law."""
        return FiniteLaw.of(self.returns[masses > 0], masses[masses > 0])


def static_cvar_finite(
    problem: StockMDP,
    *,
    certify: bool = True,
    merge: float = 1e-11,
    max_nodes: int = 2_000_000,
    tie: Tie = "first",
) -> Solution:
    """The policy of largest static CVaR of the return: the best initial stock, and the best reply to it.

    Parameters
    ----------
    problem
        Objective `CVaR(tau)`, with a start; finite horizon, or every policy terminates.
    certify
        The certificate needs the nodes of every candidate stock at once; False leaves it out, for large problems, with
        an infinite gap and status `"uncertified"`.
    merge, max_nodes
        As for `reachable_from`.
    tie
        As for `distributional_value_iteration`.

    Returns
    -------
    Solution
        Value `(1,)`, the CVaR of the policy; certificate of kind `"static-cvar"`. `extras`: `"c0"` the initial stock
        with which the policy acts, `"policy"` a `StockPolicy`, `"law"` of the return, `"stocks"` and `"objective"`: the
        initial stocks that were compared and `-c0 + sup E min(c0 + G, 0) / tau` there.

    Raises
    ------
    ValueError
        Another objective; too many nodes.

    Notes
    -----
    For a fixed policy the objective is piecewise linear and concave in c0, with kinks at minus its returns, so minus
    the possible returns are candidates enough. The maximum over policies is not concave: no bisection. With a slope
    between -1 and 1/tau - 1 wherever it is evaluated, intervals that cannot hold the maximum are left out.

    Source
    ------
    Pires et al. (2025), theorem 16; Rockafellar and Uryasev (2000).

    Examples
    --------
    A sure 1, or 0 or 4 with probability 1/2.

    >>> from mdplab.models import MDP, Outcomes
    >>> mdp = MDP([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[1.0, 2.0], [0.0, 0.0]], 1.0, horizon=1)
    >>> noise = Outcomes([0, 1, 3, 4, 5], [1, 1, 1, 1, 1], [1.0, 0.0, 4.0, 0.0, 0.0], [1, 0.5, 0.5, 1, 1], 2, 2)
    >>> for tau in (0.5, 1.0):
    ...     answer = static_cvar_finite(StockMDP(mdp, CVaR(tau), outcomes=noise, start=0))
    ...     print(answer.value.tolist(), answer.extras["law"].x.tolist())
    [1.0] [1.0]
    [2.0] [0.0, 4.0]
    """
    require_type(problem, StockMDP, "static_cvar_finite")
    if not isinstance(problem.objective, CVaR) or isinstance(problem.objective, OCVaR):
        raise ValueError(f"static_cvar_finite takes CVaR(tau), not {problem.objective.name}")
    begin, tau = time.perf_counter(), problem.objective.tau
    start = _Start(problem, "negative_part", merge, max_nodes, tie)
    stocks, values = _scanned(start, tau)
    # The certificate speaks of every candidate, since the referee does not know which of them may be left out.
    wanted = -start.returns[::-1] if certify else stocks[np.argmax(values)]
    graph = reachable_from(problem, wanted, merge=merge, max_nodes=max_nodes)
    k = int(np.argmin(np.abs(graph.c0 - stocks[np.argmax(values)])))
    f = start.objective
    _, choices = utility_pass(graph, f.utility, np.zeros(1), slack=f.tie, tie=tie)
    policy = StockPolicy(graph, [choice[:, 0] for choice in choices])
    c0 = float(graph.c0[k])
    law = policy.law(c0, problem.start_law).shift(-c0)
    value = cvar(law, tau)
    certificate = Certificate("none", np.inf)
    if certify:
        certificate = cvar_certificate(problem, graph, policy.choices, k, value)
    extras = {"c0": c0, "policy": policy, "law": law, "stocks": stocks, "objective": values}
    flat = flat_policy(graph, problem.mdp.actions, policy.choices)
    status = "certified" if certify else "uncertified"
    seconds = time.perf_counter() - begin
    return Solution([value], flat, certificate, "static_cvar_finite", stocks.size, seconds, status, extras=extras)


def _scanned(start: _Start, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """Initial stocks, the maximiser among them, and the objective there.

    Begins with 33 candidates and halves every interval whose bound exceeds the best value found.
    """
    candidates = -start.returns[::-1]
    known = np.unique(np.linspace(0, candidates.size - 1, 33).round().astype(np.int64))
    best = start.best(candidates[known])
    while True:
        c = candidates[known]
        objective = -c + best / tau
        # Between a < b: v <= min(v_b, v_a + c - a), and the objective is largest where the two meet.
        meet = np.clip(c[:-1] + np.diff(best), c[:-1], c[1:])
        bound = -meet + best[1:] / tau
        open_ = (np.diff(known) > 1) & (bound > objective.max())
        if not open_.any():
            return c, objective
        new = (known[:-1][open_] + known[1:][open_]) // 2
        order = np.argsort(np.concatenate([known, new]), kind="stable")
        best = np.concatenate([best, start.best(candidates[new])])[order]
        known = np.concatenate([known, new])[order]


def static_ocvar_finite(
    problem: StockMDP,
    *,
    tol: float = 1e-9,
    max_iters: int = 1000,
    merge: float = 1e-11,
    max_nodes: int = 2_000_000,
    tie: Tie = "first",
) -> Solution:
    """The largest optimistic CVaR of the return, over policies that randomise once at the start.

    Parameters
    ----------
    problem
        Objective `OCVaR(tau)`, with a start; finite horizon, or every policy terminates.
    tol
        Largest gap between the value of the mixture and the upper bound.
    max_iters
        Most policies.
    merge, max_nodes
        As for `reachable_from`.
    tie
        As for `distributional_value_iteration`.

    Returns
    -------
    Solution
        Value `(1,)`, the OCVaR of the mixture; certificate of kind `"static-ocvar"`. `extras`: `"weights"` (k,) and
        `"policies"`, the `StockPolicy`s that are mixed; `"laws"` their laws of the return and `"law"` that of the
        mixture; `"c0"`, the stock of the upper bound; `"deterministic"`, the best value of one of these policies alone.

    Raises
    ------
    ValueError
        Another objective; too many nodes.
    SolverFailure
        The gap exceeds `tol` after `max_iters` policies, or the linear program failed.

    Notes
    -----
    OCVaR is concave in the law, so that mixtures beat their parts: with one deterministic policy the value may stay
    below by a constant, however exactly the stock-augmented problem is solved. The master program finds the best
    mixture of the laws at hand and its dual price, an initial stock c0; the best reply `sup E max(c0 + G, 0)` bounds
    the value by `-c0 + sup / tau` from above and is the next law.

    Source
    ------
    Pires et al. (2025), theorem 18 (theorem 19, on deterministic greedy policies, is false); Dantzig and Wolfe (1960).

    Examples
    --------
    A sure 1, or 2 with probability 0.3: alone 1 and 1.2 at level 1/2, mixed 10 / 7.

    >>> from mdplab.models import MDP, Outcomes
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.6]], 1.0, horizon=1)
    >>> noise = Outcomes([0, 1, 3], [0, 0, 0], [1.0, 0.0, 2.0], [1.0, 0.7, 0.3], 1, 2)
    >>> answer = static_ocvar_finite(StockMDP(mdp, OCVaR(0.5), outcomes=noise, start=0))
    >>> answer.value.round(6).tolist(), answer.extras["weights"].round(6).tolist(), round(answer.extras["c0"], 6)
    ([1.428571], [0.714286, 0.285714], -0.571429)
    """
    require_type(problem, StockMDP, "static_ocvar_finite")
    if not isinstance(problem.objective, OCVaR):
        raise ValueError(f"static_ocvar_finite takes OCVaR(tau), not {problem.objective.name}")
    tol = checked_tol(tol)
    begin, tau = time.perf_counter(), problem.objective.tau
    start = _Start(problem, "positive_part", merge, max_nodes, tie)
    c0, upper, found = -float(np.median(start.returns)), np.inf, []
    rows = np.zeros((0, start.returns.size))
    lower, weights, at = -np.inf, np.zeros(0), c0
    for _ in range(max_iters):
        best, choices = start.policy(c0)
        if -c0 + best / tau < upper:
            upper, at = -c0 + best / tau, c0
        masses = start.masses(choices)
        if upper - lower <= 1e-13 * (1 + abs(upper)) or (np.abs(rows - masses).max(axis=1, initial=0.0) == 0).any():
            break
        rows, found = np.vstack([rows, masses]), [*found, choices]
        mixture = best_mixture(start.returns, rows, tau)
        weights = np.maximum(mixture.weights, 0) / np.maximum(mixture.weights, 0).sum()
        lower, c0 = ocvar(start.law(weights @ rows), tau), mixture.c0
    if upper - lower > tol:
        raise SolverFailure(f"static_ocvar_finite: gap {upper - lower:.2g} after {len(found)} policies; tol={tol:g}")
    alone = np.array([ocvar(start.law(row), tau) for row in rows])
    if alone.max() >= lower - 1e-13 * (1 + abs(lower)):
        # One policy does as well as the mixture.
        weights = (np.arange(alone.size) == np.argmax(alone)).astype(np.float64)
    used = np.flatnonzero(weights > 0)
    law = start.law(weights @ rows)
    value = ocvar(law, tau)
    graph = start.graph.shifted(at)
    certificate = ocvar_certificate(problem, graph, weights[used], value)
    extras = {
        "c0": at,
        "weights": weights[used],
        "policies": tuple(StockPolicy(graph, found[i]) for i in used),
        "laws": tuple(start.law(rows[i]) for i in used),
        "law": law,
        "deterministic": float(alone.max()),
    }
    flat = np.array([flat_policy(graph, problem.mdp.actions, found[i]) for i in used])
    seconds = time.perf_counter() - begin
    return Solution([value], flat, certificate, "static_ocvar_finite", len(found), seconds, extras=extras)
