"""Finite horizon: dynamic programming on the states and stocks that can be reached, for whole laws or for utilities."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.exact.arguments import require_type
from mdplab.exact.stock.finite_certificate import flat_policy, largest_money, recursion_of, stock_certificate
from mdplab.exact.stock.reachable import Laws, Reachable, reachable_stocks
from mdplab.exact.stock.stage_passes import Tie, checked_tie, first_choices, forward_law, law_pass, utility_pass
from mdplab.models import FiniteLaw, Functional, Guarantee, Solution, StockMDP, can_optimise

# exp of more than this, times a slope, is beyond the range of floats.
_LARGEST_EXPONENT = 600


@dataclass(frozen=True, eq=False, slots=True)
class StockPolicy:
    """A deterministic policy on the reachable states and stocks: at each stage the row that a node plays."""

    graph: Reachable
    choices: list[np.ndarray]

    def __repr__(self) -> str:
        return f"StockPolicy({self.graph})"

    def action(self, t: int, state: int, stock: float) -> int:
        """The action at stage t in a state with stock c, whose node must be reachable; else ValueError.

        The nearest of the stage's stocks is meant: rounding may have moved it.
        """
        stage = self.graph.stages[t]
        nodes = np.flatnonzero(stage.state == state)
        y = stock * self.graph.gamma**t
        near = nodes[np.argmin(np.abs(stage.money[stage.level[nodes]] - y))] if nodes.size else -1
        found = near >= 0 and abs(stage.money[stage.level[near]] - y) <= 1e-8 * (1 + abs(y))
        if not found or self.choices[t][near] < 0:
            raise ValueError(f"stage {t}, state {state}, stock {stock:g} is not reachable, or nothing is decided there")
        return int(stage.row_action[self.choices[t][near]])

    def law(self, c0: float, start: np.ndarray) -> FiniteLaw:
        """Law of `c0 + G` from the distribution `start` (S,), for one of the graph's initial stocks."""
        k = int(np.argmin(np.abs(self.graph.c0 - c0)))
        mass = np.zeros(self.graph.stages[0].state.size)
        mass[self.graph.roots[:, k]] = start[self.graph.start_states]
        return forward_law(self.graph, self.choices, mass)


def reachable_from(problem: StockMDP, c0: Any = 0.0, *, merge: float = 1e-11, max_nodes: int = 2_000_000) -> Reachable:
    """The states and stocks that can be reached from the problem's start (every state if it has none) with stocks c0.

    Parameters
    ----------
    problem
        Finite horizon, or every policy terminates.
    c0
        A stock, or increasing stocks (k,).
    merge, max_nodes
        Stocks closer than `merge * (1 + max|y|)` are one; most nodes.

    Raises
    ------
    ValueError
        Stocks that do not increase or are not finite; too many nodes; a policy that may never terminate.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=3)
    >>> reachable_from(StockMDP(mdp, functional("mean"), start=0)).num_nodes
    10
    """
    require_type(problem, StockMDP, "reachable_from")
    stocks = np.atleast_1d(np.asarray(c0, dtype=np.float64))
    if stocks.ndim != 1 or stocks.size == 0 or not np.isfinite(stocks).all() or (np.diff(stocks) <= 0).any():
        raise ValueError(f"c0 is {c0!r}; expected a finite stock or increasing ones")
    law, mdp = problem.start_law, problem.mdp
    return reachable_stocks(
        problem.outcomes,
        mdp.actions,
        mdp.terminal,
        mdp.gamma,
        horizon=mdp.horizon,
        start_states=np.arange(mdp.S) if law is None else np.flatnonzero(law),
        c0=stocks,
        merge=merge,
        max_nodes=max_nodes,
    )


def _prepared(
    problem: StockMDP, c0: Any, graph: Reachable | None, heuristic: bool, name: str, merge: float
) -> tuple[Reachable, Guarantee]:
    """The graph, and whether theory allows the objective; ValueError where it does not and `heuristic` is False."""
    require_type(problem, StockMDP, name)
    if not isinstance(problem.objective, Functional):
        raise ValueError(f"{name} takes a Functional; {problem.objective.name} needs a choice of c0: see static_cvar")
    guarantee = can_optimise(problem.objective, problem.gamma, problem.horizon, discounted=False)
    if not guarantee.ok and not heuristic:
        raise ValueError(f"{guarantee.reason}; heuristic=True computes it anyway, without a guarantee")
    if graph is None:
        graph = reachable_from(problem, c0, merge=merge)
    if graph.gamma != problem.gamma or (problem.horizon is not None and graph.horizon != problem.horizon):
        raise ValueError(f"graph has gamma {graph.gamma:g} and horizon {graph.horizon}, unlike the problem")
    f = problem.objective
    if f.kind == "exponential":
        # Later stages count in their own money, which is worth less.
        exponent = abs(f.parameters["b"]) * largest_money(graph) / graph.gamma**graph.horizon
        if exponent > _LARGEST_EXPONENT:
            raise ValueError(f"{f.name} overflows: exponents up to {exponent:.4g} occur; give a smaller b")
    return graph, guarantee


def distributional_value_iteration(
    problem: StockMDP,
    c0: Any = 0.0,
    *,
    heuristic: bool = False,
    tie: Tie = "first",
    merge: float = 1e-11,
    max_atoms: int = 5_000_000,
    graph: Reachable | None = None,
) -> Solution:
    """Laws of the return that are best at every reachable state and stock, stage by stage from the last.

    Parameters
    ----------
    problem
        Objective a `Functional`; a finite horizon, or a model in which every policy terminates.
    c0
        Initial stock, or increasing stocks (k,): one solution serves them all.
    heuristic
        Compute also where theory promises no optimum; the status is then `"heuristic"`.
    tie
        Which of the actions within the functional's tie tolerance is played: `"first"`, `"last"`, or a function
        `pick(stage, state, stock, actions)` of one of them.
    merge
        Stocks and atoms closer than `merge * (1 + max|x|)` are one.
    max_atoms
        Most atoms of the laws of one stage.
    graph
        What `reachable_from` says of the problem, if it is known: it is shared between objectives.

    Returns
    -------
    Solution
        Value `(S, k)` of state and initial stock, 0 where play does not start. The policy as the certificate lists it.
        `extras`: `"start_value"` (k,) from the start (the functional of the mixture of laws, for a distribution; the
        value if the problem has no start), `"policy"` a `StockPolicy`, `"laws"` the laws of the return G, `laws[j]` or
        `laws[s][j]` for initial stock j, `"graph"`, `"guarantee"`.
        The certificate, of kind `"stock"`, bounds the optimum of `E f(c0 + G)` (or essential infimum, supremum, sure
        nonnegativity) from the start and the loss of the policy, heuristic ones included. Functionals that are no such
        recursion get kind `"none"`, an infinite gap and status `"heuristic"`.

    Raises
    ------
    ValueError
        A functional that theory cannot optimise (unless `heuristic`), with the reason; too many nodes or atoms.

    Source
    ------
    Pires et al. (2025), Algorithm and theorem 6 for a finite horizon: H sweeps are exact at every stock.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=5)
    >>> answer = distributional_value_iteration(StockMDP(mdp, functional("target"), start=0), [-2.0, 1.0])
    >>> answer.extras["start_value"].tolist(), answer.extras["laws"][0].x.tolist()
    ([0.0, -1.0], [2.0])
    """
    start = time.perf_counter()
    name = "distributional_value_iteration"
    graph, guarantee = _prepared(problem, c0, graph, heuristic, name, merge)
    choices, values, laws = law_pass(
        graph, problem.objective, running=problem.running, tie=checked_tie(tie), merge=merge, max_atoms=max_atoms
    )
    return _finished(problem, graph, choices, laws, values[0], guarantee, name, graph.horizon, start)


def distributional_policy_iteration(
    problem: StockMDP,
    c0: Any = 0.0,
    *,
    heuristic: bool = False,
    tie: Tie = "first",
    merge: float = 1e-11,
    max_atoms: int = 5_000_000,
    graph: Reachable | None = None,
    policy: StockPolicy | None = None,
) -> Solution:
    """As `distributional_value_iteration`, by evaluating a policy's laws and acting greedily with them, until stable.

    Parameters
    ----------
    problem, c0, heuristic, tie, merge, max_atoms, graph
        As for `distributional_value_iteration`. A tied action that the policy plays already is kept.
    policy
        Where to begin, on its own graph (`c0` then plays no part); by default the first available action everywhere.

    Returns
    -------
    Solution
        `num_iters` counts improvements; `extras["history"]` (num_iters + 1, ...) has the value of each policy.

    Raises
    ------
    ValueError
        As for `distributional_value_iteration`.

    Notes
    -----
    The last n stages are optimal after n improvements, so H of them suffice, and one more finds nothing to change.
    Where theory gives no guarantee policies may cycle: after H + 1 improvements the last one is returned.

    Source
    ------
    Pires et al. (2025), theorem 8.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=5)
    >>> distributional_policy_iteration(StockMDP(mdp, functional("target"), start=0), -2.0).value.tolist()
    [[0.0]]
    """
    start = time.perf_counter()
    name = "distributional_policy_iteration"
    if policy is not None and graph not in (None, policy.graph):
        raise ValueError("policy is on another graph than the one given")
    graph = graph if policy is None else policy.graph
    graph, guarantee = _prepared(problem, c0, graph, heuristic, name, merge)
    choices, tie = first_choices(graph) if policy is None else policy.choices, checked_tie(tie)
    history = []
    for count in range(graph.horizon + 2):
        greedy, values, laws = law_pass(
            graph,
            problem.objective,
            running=problem.running,
            follow=choices,
            tie=tie,
            merge=merge,
            max_atoms=max_atoms,
        )
        history.append(values[0][graph.roots])
        if count > graph.horizon or all(np.array_equal(a, b) for a, b in zip(greedy, choices, strict=True)):
            break
        choices = greedy
    return _finished(problem, graph, choices, laws, values[0], guarantee, name, count, start, history=np.array(history))


def stock_backward_induction(
    problem: StockMDP,
    c0: Any = 0.0,
    *,
    tie: Tie = "first",
    merge: float = 1e-11,
    graph: Reachable | None = None,
) -> Solution:
    """The best expected utility of stock plus return, by numbers instead of laws.

    Parameters
    ----------
    problem
        Objective any expected utility, or `ess_inf`, `ess_sup`, `all_nonnegative`; finite horizon, or every policy
        terminates.
    c0, tie, merge, graph
        As for `distributional_value_iteration`.

    Returns
    -------
    Solution
        As from `distributional_value_iteration`, always certified; without `extras["laws"]`, which `extras["policy"]`
        knows to tell, and with `"start_value"` the mean over a start distribution.

    Raises
    ------
    ValueError
        Another functional.

    Notes
    -----
    Works on `y = c0 + gains so far` in money of the first stage: `w_t(s, y) = max_a E w_{t+1}(s', y + gamma^t r)`,
    `w_H = f`. So it maximises `E f(c0 + G)` from the start for every utility, also for one that is not indifferent to
    the discount: distributional value iteration fails there because it asks for the best law in the money of each
    stage, and that need not be best in the money of the first.

    Source
    ------
    Baeuerle and Ott (2011), section 3, for f = min(x, 0); Pires et al. (2025), theorem 20, for utilities that scale.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=5)
    >>> stock_backward_induction(StockMDP(mdp, functional("target"), start=0), -2.0).value.tolist()
    [[0.0]]
    """
    start = time.perf_counter()
    name = "stock_backward_induction"
    graph, _ = _prepared(problem, c0, graph, True, name, merge)
    f = problem.objective
    rule = recursion_of(f, largest_money(graph))
    if rule is None:
        raise ValueError(f"{f.name} is no expected utility; use distributional_value_iteration")
    values, choices = utility_pass(
        graph, rule.f, np.zeros(1), running=problem.running, slack=f.tie, tie=checked_tie(tie), combine=rule.combine
    )
    choices = [choice[:, 0] for choice in choices]
    allowed = Guarantee(True, f"{f.name} is a recursion in money of the first stage")
    return _finished(problem, graph, choices, None, values[0][:, 0], allowed, name, graph.horizon, start)


def _finished(
    problem: StockMDP,
    graph: Reachable,
    choices: list[np.ndarray],
    laws: Laws | None,
    values: np.ndarray,
    guarantee: Guarantee,
    name: str,
    count: int,
    start: float,
    **more: Any,
) -> Solution:
    """The solution of a policy on the graph, from its values and laws at the nodes of stage 0."""
    f, law = problem.objective, problem.start_law
    # Adding 0 spares the reader minus zeros.
    at_roots = values[graph.roots] + 0.0
    value = np.zeros((problem.S, graph.c0.size))
    value[graph.start_states] = at_roots
    extras = {"start_value": value, "policy": StockPolicy(graph, choices), "graph": graph, "guarantee": guarantee}
    if law is not None:
        extras["start_value"] = law[graph.start_states] @ at_roots
    if laws is not None:
        listed = tuple(tuple(FiniteLaw.of(*laws.of(node)) for node in row) for row in graph.roots)
        if law is not None:
            weights = law[graph.start_states]
            listed = tuple(FiniteLaw.mixture(column, weights) for column in zip(*listed, strict=True))
        extras["laws"] = listed
        if law is not None and f.utility is None:
            # Not linear in the law: the functional of the mixture over start states.
            extras["start_value"] = np.array([f.evaluate(c + g.x, g.p) for c, g in zip(graph.c0, listed, strict=True)])
    certificate = stock_certificate(problem, graph, choices)
    flat = flat_policy(graph, problem.mdp.actions, choices)
    status = "certified" if guarantee.ok else "heuristic"
    return Solution(value, flat, certificate, name, count, time.perf_counter() - start, status, extras=extras | more)
