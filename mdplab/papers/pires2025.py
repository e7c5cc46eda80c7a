r"""Pires et al. (JMLR 2025): optimising return distributions with distributional dynamic programming.

An agent that carries its stock, what it has gathered so far in units of the next reward, can optimise every functional
K of the law of c + G that is indifferent to mixtures and to the discount; over an infinite horizon K must be Lipschitz
too. Statements are those of the full text, as quoted in the project's notes on it. Stocks follow c' = (c + r) / gamma;
CVaR is the lower one, OCVaR the upper one.

Errata, found while reading and derived; each printed statement is a claim that is refuted, the corrected one stands
beside it:

- Proposition 37 and Theorem 17: the objective in the initial stock has slopes between -1 and 1/tau - 1 (not 1), and
  what is lost in CVaR is the grid's error plus the policy's error divided by tau (not 4 eps). The grid's part needs but
  one side: a node at most eps above the best stock.
- Theorem 19: for OCVaR no deterministic greedy policy need be optimal, so its loss is not 4 eps but a constant;
  Theorem 18 holds for randomised policies.
- Sections 5.5 and 7.4: with f = -x_1 + alpha (x_2)_- and first reward -1 the longest episode is best; +x_1 is meant.
- Section 8, stock editing: the edited stock is gamma^-(k+1) times the sum, not gamma^-k.
- Lemma 38: the minimiser is the quantile of 1 - tau (its proof says so). Section 5.3: tau = 1 is risk neutral, not 0.
- Lemma 12, item 2: alpha < 1 is not needed; 1{x > 0} is indifferent to gamma with alpha = 1, as Table 1 uses it.

Claims over an infinite horizon have gamma = 1/2 and whole rewards, for which the multiples of 1/4 are closed as stocks:
nothing is rounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from mdplab.algorithms.distributional.stock_iteration import (
    StockTable,
    error_bounds,
    law_policy_iteration,
    law_value_iteration,
    stock_table,
    utility_iteration,
)
from mdplab.claims import Bound, Evidence, Identity, Witness, claim, variant
from mdplab.exact.stock.brute_force import HistoryLaws, history_laws, statistic_of, tail_means
from mdplab.exact.stock.finite import (
    distributional_policy_iteration,
    distributional_value_iteration,
    reachable_from,
    stock_backward_induction,
)
from mdplab.exact.stock.finite_static import static_cvar_finite, static_ocvar_finite
from mdplab.exact.stock.mixtures import best_mixture
from mdplab.exact.stock.reachable import Reachable
from mdplab.exact.stock.stage_passes import utility_pass
from mdplab.instances.stock_grids import (
    constraint_grid,
    cvar_suboptimal_pair,
    generate_returns_grid,
    halving_grid,
    ocvar_randomisation,
    random_stock,
    risk_averse_grid,
    risk_seeking_grid,
)
from mdplab.models import (
    MDP,
    CVaR,
    FiniteLaw,
    Functional,
    OCVaR,
    Outcomes,
    StockMDP,
    can_optimise,
    cvar,
    functional,
    ocvar,
)

STOCKS = np.array([-1.5, -0.7, 0.0, 0.4, 1.3])
LEVELS = (0.1, 0.25, 0.4, 0.7)
ALLOWED = (
    *("mean", "target", "negative_part", "positive_part", "quadratic", "step"),
    *("all_nonnegative", "ess_inf", "ess_sup"),
)
# Largest loss of value iteration on members 0 to 39 of the random family, undiscounted and at gamma = 0.7 (derived).
LOSSES = {
    "step_at": (0.0, 0.832),
    "exponential": (0.0, 1.644),
    "tanh": (0.0, 0.027),
    "median": (3.0, 1.47),
    "cvar_direct": (0.494, 0.256),
    "mean_std": (1.010, 0.492),
}
UTILITIES = ("step_at", "exponential", "tanh")
LINEAR = ("mean", "target", "negative_part", "positive_part")
# Atoms of returns within 1e-11 of their size are one, and values are sums of dozens of products.
CLOSE = 1e-9


@dataclass(frozen=True)
class Params:
    """Sizes: `problems` a replicate, `sweeps` of iteration, `lotteries` tried, `steps` on grids, `points` drawn."""

    problems: int
    sweeps: int
    lotteries: int
    steps: int
    points: int


@dataclass(frozen=True, eq=False)
class Family:
    """Random problems side by side as one (problem i starts in state 2 i), what it reaches, and all laws of each."""

    problem: StockMDP
    graph: Reachable
    laws: tuple[HistoryLaws, ...]


@lru_cache(maxsize=8)
def _family(seeds: tuple[int, ...], gamma: float, horizon: int = 3) -> Family:
    n = len(seeds)
    P, R = np.zeros((2 * n, 2, 2 * n)), np.zeros((2 * n, 2, 2 * n))
    parts = [random_stock(seed, gamma, horizon=horizon) for seed in seeds]
    for i, part in enumerate(parts):
        at = slice(2 * i, 2 * i + 2)
        P[at, :, at], R[at, :, at] = part.mdp.P, part.mdp.r_next
    start = np.where(np.arange(2 * n) % 2 == 0, 1 / n, 0.0)
    problem = StockMDP(MDP(P, R, gamma, horizon=horizon), functional("mean"), start=start)
    return Family(problem, reachable_from(problem, STOCKS), tuple(map(history_laws, parts)))


# Members on which every functional that theory excludes fails.
KNOWN = (0, 1, 5)


def _drawn(p: Params, rng: np.random.Generator) -> tuple[int, ...]:
    return KNOWN + tuple(int(seed) for seed in rng.integers(2**31, size=p.problems))


def _objective(name: str) -> Functional:
    return functional(name, tau=0.3) if name == "cvar_direct" else functional(name)


def _best(name: str, family: Family) -> np.ndarray:
    """Best value of each problem and stock over all deterministic policies with memory, by their laws, (n, 5)."""
    f, out = _objective(name), []
    for laws in family.laws:
        if f.utility is not None:
            out.append((laws.masses @ f.utility(STOCKS[:, None] + laws.support).T).max(axis=0))
        elif name == "all_nonnegative":
            out.append([statistic_of(f, c + laws.support, laws.masses).max() for c in STOCKS])
        else:
            # The others move with the law.
            out.append(STOCKS + statistic_of(f, laws.support, laws.masses).max())
    return np.array(out)


def _without_stock(family: Family, f: Functional) -> np.ndarray:
    """Best value of each problem and stock over policies of state and stage alone, (n, 5)."""
    graph, best = family.graph, None
    for choice in product(range(2), repeat=2 * graph.horizon):
        by_stage = np.reshape(choice, (graph.horizon, 2))
        # Every node has two rows, the second for action 1.
        follow = [
            np.where(np.diff(stage.node_ptr) > 0, stage.node_ptr[:-1] + actions[stage.state % 2], -1)
            for stage, actions in zip(graph.stages, by_stage)
        ]
        value = utility_pass(graph, f.utility, np.zeros(1), follow=follow)[0][0][:, 0][graph.roots]
        best = value if best is None else np.maximum(best, value)
    return best


def _planned(name: str, family: Family, how: str) -> np.ndarray:
    """What dynamic programming finds for each problem and stock, (n, 5)."""
    f = _objective(name)
    problem, graph = family.problem.replace(objective=f), family.graph
    if how == "time":
        return _without_stock(family, f)
    if how == "first_money":
        return stock_backward_induction(problem, STOCKS, graph=graph).value[::2]
    if how == "sweeps":
        short = problem.replace(mdp=problem.mdp.replace(horizon=problem.horizon - 1))
        return distributional_value_iteration(short, STOCKS).value[::2]
    if how == "value":
        return distributional_value_iteration(problem, STOCKS, graph=graph, heuristic=True).value[::2]
    history = distributional_policy_iteration(problem, STOCKS, graph=graph, heuristic=True).extras["history"]
    return history[min(1 if how == "once" else problem.horizon, len(history) - 1)]


def _compared(
    p: Params,
    rng: np.random.Generator,
    how: str = "value",
    names: tuple[str, ...] = ALLOWED,
    gammas: tuple[float, ...] = (1.0, 0.7),
) -> Evidence:
    seeds, left, right = _drawn(p, rng), [], []
    for gamma, name in product(gammas, names):
        family = _family(seeds, gamma)
        left.append(_planned(name, family, how))
        right.append(_best(name, family))
    right = np.array(right)
    return Evidence(left=np.array(left), right=right, tolerance=CLOSE * (1 + np.abs(right)))


def _excluded(how: str) -> dict[str, Callable[[Params, np.random.Generator], Evidence]]:
    """Falsifiers: each functional that theory excludes, at a discount where it does."""
    return {
        name: variant(
            _compared,
            f"{name}, not indifferent to {'mixtures' if losses[0] else 'the discount'}.",
            how,
            (name,),
            (1.0 if losses[0] else 0.7,),
        )
        for name, losses in LOSSES.items()
    }


@claim(
    "Theorem 6, finite horizon",
    r"F_K \eta_n(s, c) = \max_\pi F_K \eta^\pi(s, c) \ \text{ for all } s, c,\ n \ge H",
    relation=Identity(),
    assumptions=("$K$ indifferent to mixtures and to $\\gamma$",),
    falsifiers={
        **_excluded("value"),
        "without_stock": variant(_compared, "Policies of state and time alone.", "time", ("target",)),
        "one_sweep_less": variant(_compared, "H - 1 sweeps.", "sweeps", ("mean", "target")),
    },
    controls={
        f"{name}_undiscounted": variant(_compared, f"{name} without a discount.", "value", (name,), (1.0,))
        for name in UTILITIES
    },
    lemmas=("pires2025:stock_identity", "pires2025:stock_needed", "pires2025:mixtures_needed"),
    words="H sweeps of distributional value iteration find, from every stock, what no policy with memory surpasses.",
    title="Value iteration is exact",
)
def value_iteration(p: Params, rng: np.random.Generator) -> Evidence:
    """Nine functionals, two discounts, five stocks, random problems, against all history-dependent policies."""
    return _compared(p, rng)


@claim(
    "Theorem 8, finite horizon",
    r"F_K \eta^{\pi_n}(s, c) = \max_\pi F_K \eta^\pi(s, c) \ \text{ for all } s, c,\ n \ge H",
    relation=Identity(),
    assumptions=("$K$ indifferent to mixtures and to $\\gamma$",),
    falsifiers={
        **_excluded("policy"),
        "one_improvement": variant(_compared, "A single improvement.", "once"),
    },
    lemmas=("pires2025:stock_identity",),
    words="H greedy improvements of any policy are optimal from every stock.",
    title="Policy iteration is exact",
)
def policy_iteration(p: Params, rng: np.random.Generator) -> Evidence:
    """As for value iteration, after at most H improvements of the policy of first actions."""
    return _compared(p, rng, "policy")


def _table(
    p: Params, rng: np.random.Generator, how: str = "value", first: int = 0, names: tuple[str, ...] = tuple(LOSSES)
) -> Evidence:
    left, right = [], []
    seeds = tuple(range(first, first + 40))
    for k, gamma in enumerate((1.0, 0.7)):
        family = _family(seeds, gamma)
        for name in names:
            left.append((_best(name, family) - _planned(name, family, how)).max())
            right.append(LOSSES[name][k])
    # The table has three decimals.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 5e-4))


@claim(
    "Proposition 13, on instances (table derived)",
    r"\max_{M, s, c} \big( \max_\pi F_K \eta^\pi - F_K \eta_H \big) = \text{the table's loss} > 0"
    r"\ \text{ without either indifference}",
    relation=Identity(),
    falsifiers={
        "first_money": variant(_table, "Utilities in money of the first stage.", "first_money", 0, UTILITIES),
        "other_members": variant(_table, "Members 40 to 79 of the family.", "value", 40, UTILITIES),
    },
    lemmas=("pires2025:mixtures_needed", "pires2025:tanh_does_not_scale"),
    words="Functionals that lack an indifference lose, and by how much on forty problems is known to three decimals.",
    title="Entries that must fail",
)
def losses(p: Params, rng: np.random.Generator) -> Evidence:
    """Six functionals on members 0 to 39 of the family, two discounts, five stocks."""
    return _table(p, rng)


# Closed under c' = 2 (c + r) for whole r, but for what is beyond the ends.
HALVED, WHOLE = np.arange(-8, 9) / 4, np.arange(-2.0, 3.0)


def _whole(rng: np.random.Generator, name: str) -> StockTable:
    """Two states, two actions, rewards -1, 0, 1 by next state, gamma = 1/2, on multiples of 1/4 up to 2."""
    P, R = rng.dirichlet(np.full(2, 0.6), (2, 2)), rng.integers(-1, 2, (2, 2, 2)).astype(float)
    # Bounds are in terms of the largest reward.
    R[0, 0, 0], R[1, 1, 1] = 1.0, -1.0
    return stock_table(StockMDP(MDP(P, R, 0.5), functional(name)), HALVED)


def _chain(length: int, name: str = "mean") -> StockTable:
    """States in a row: stay for nothing, or move on; at the last one rewards 0 and 1."""
    P, R = np.zeros((length, 2, length)), np.zeros((length, 2))
    P[np.arange(length), 0, np.arange(length)] = 1
    P[np.arange(length), 1, np.minimum(np.arange(length) + 1, length - 1)] = 1
    R[-1, 1] = 1
    return stock_table(StockMDP(MDP(P, R, 0.5), functional(name)), WHOLE)


def _constant(name: str) -> StockTable:
    """One state that pays 1 for ever."""
    return stock_table(StockMDP(MDP(np.ones((1, 1, 1)), np.ones((1, 1)), 0.5), functional(name)), HALVED)


# 2^-60 times the largest return, 2, is far below the last digit.
_LONG = 60


def _limit(table: StockTable, policy: np.ndarray | None = None) -> np.ndarray:
    return utility_iteration(table, num_iters=_LONG, policy=policy)[-1]


def _value_bound(p: Params, rng: np.random.Generator, power: float = 1.0, reach: float = 2.0) -> Evidence:
    measured, bound = [], []
    for name in LINEAR:
        for table in (_constant(name), _whole(rng, name)):
            run, best = law_value_iteration(table, num_iters=p.sweeps), _limit(table)
            for n in range(p.sweeps + 1):
                measured.append((best - run.values[n]).max())
                bound.append(error_bounds(table.problem, n)["value"] * 0.5 ** ((power - 1) * n) * reach / 2)
    # Sums of up to 2^sweeps products of probabilities.
    return Evidence(measured=measured, bound=np.array(bound) + 1e-12)


@claim(
    "Theorem 6, discounted: values",
    r"\sup_\pi F_K \eta^\pi - F_K \eta_n \le L \gamma^n \sup_\pi \bar w_1(\eta_0, \eta^\pi)"
    r" \le L \gamma^n \max|r| / (1 - \gamma)",
    relation=Bound(),
    assumptions=(r"$K$ an $L$-Lipschitz utility with $f(\gamma x) = \gamma f(x)$", r"$\eta_0 = \delta_0$"),
    falsifiers={
        "squared": variant(_value_bound, "gamma to the power 2 n.", power=2.0),
        "no_horizon": variant(_value_bound, "Without 1 / (1 - gamma).", reach=1.0),
    },
    lemmas=("pires2025:bellman",),
    words="Distributional value iteration converges geometrically in the functional, at every stock.",
    title="Error of value iteration",
)
def value_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Laws iterated as printed, against the limit by numbers; a constant reward attains the bound."""
    return _value_bound(p, rng)


def _greedy_bound(p: Params, rng: np.random.Generator, ahead: int = 0, power: float = 1.0) -> Evidence:
    measured, bound = [], []
    for name in LINEAR:
        for table in (_chain(p.sweeps + 2, name), _whole(rng, name)):
            run, best = law_value_iteration(table, num_iters=p.sweeps), _limit(table)
            for n in range(p.sweeps + 1):
                measured.append((best - _limit(table, run.policies[n])).max())
                bound.append(error_bounds(table.problem, n + ahead)["greedy"] * 0.5 ** ((power - 1) * n))
    return Evidence(measured=measured, bound=np.array(bound) + 1e-12)


@claim(
    "Theorem 6, discounted: greedy policies",
    r"\sup_\pi F_K \eta^\pi - F_K \eta^{\pi_n} \le L \gamma^n \big( \tfrac{1}{1 - \gamma}"
    r"\sup_\pi \bar w_1(T_\pi \eta_0, \eta_0) + \sup_\pi \bar w_1(\eta_0, \eta^\pi) \big)"
    r" \le 2 L \gamma^n \max|r| / (1 - \gamma)",
    relation=Bound(),
    assumptions=(r"$K$ an $L$-Lipschitz utility with $f(\gamma x) = \gamma f(x)$", r"$\eta_0 = \delta_0$"),
    falsifiers={
        "ahead": variant(_greedy_bound, "The bound of three sweeps later.", ahead=3),
        "squared": variant(_greedy_bound, "gamma to the power 2 n.", power=2.0),
    },
    words="So do the utilities of the policies that are greedy for the iterates.",
    title="Error of greedy policies",
)
def greedy_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies greedy for each iterate, evaluated by numbers; on a chain what is far away is a tie, and ignored."""
    return _greedy_bound(p, rng)


def _policy_bound(p: Params, rng: np.random.Generator, power: float = 1.0, reach: float = 2.0) -> Evidence:
    measured, bound = [], []
    for name in ("mean", "target"):
        for k, table in enumerate((_chain(p.sweeps + 1, name), _whole(rng, name))):
            first, num_sweeps = np.zeros((table.problem.S, table.stocks.size), dtype=int), (18, 9)[k]
            count = (p.sweeps, 2)[k]
            run, best = law_policy_iteration(table, first, num_iters=count, num_sweeps=num_sweeps), _limit(table)
            for n in range(count + 1):
                measured.append((best - _limit(table, run.policies[n])).max())
                # Laws evaluated by finitely many sweeps: an improvement is wrong by at most twice their error, and
                # what it costs adds up over the horizon.
                slack = (n > 0) * 4 * 2 * 0.5**num_sweeps
                bound.append(error_bounds(table.problem, n)["policy"] * 0.5 ** ((power - 1) * n) * reach / 2 + slack)
    return Evidence(measured=measured, bound=np.array(bound) + 1e-12)


@claim(
    "Theorem 8, discounted",
    r"\sup_\pi F_K \eta^\pi - F_K \eta^{\pi_n} \le L \gamma^n \sup_\pi \bar w_1(\eta^{\pi_0}, \eta^\pi)"
    r" \le L \gamma^n (\max r - \min r) / (1 - \gamma)",
    relation=Bound(),
    assumptions=(r"$K$ an $L$-Lipschitz utility with $f(\gamma x) = \gamma f(x)$",),
    falsifiers={
        "squared": variant(_policy_bound, "gamma to the power 2 n.", power=2.0),
        "no_horizon": variant(_policy_bound, "Without 1 / (1 - gamma).", reach=1.0),
    },
    words="Distributional policy iteration converges geometrically, and no faster on a chain.",
    title="Error of policy iteration",
)
def policy_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies from laws, evaluated by numbers; a chain where a tie keeps what is far away, attains the bound."""
    return _policy_bound(p, rng)


def _fitted(p: Params, rng: np.random.Generator, power: float = 1.0) -> Evidence:
    measured = []
    for _ in range(p.problems):
        for name in LINEAR:
            table = _whole(rng, name)
            v = utility_iteration(table, num_iters=_LONG)
            left = (v[-1] - v[:21]).max(axis=(1, 2))
            n = np.flatnonzero(left > 1e-12)
            measured.append(np.exp(np.polyfit(n, np.log(left[n]), 1)[0]) if n.size > 3 else 0.0)
    # A slope may be off by 0.05 in the logarithm, for what precedes the asymptotic range.
    return Evidence(measured=measured, bound=np.full(len(measured), 0.5**power * np.exp(0.05)))


@claim(
    "Theorem 6, rate",
    r"\log \sup_{s, c} (v - v_n) \text{ falls with slope at most } \log \gamma + 0.05 \text{ in } n",
    relation=Bound(),
    falsifiers={"steeper": variant(_fitted, "gamma to the power 3/2.", power=1.5)},
    words="The error of value iteration falls by the discount with every sweep.",
    title="Fitted rate",
)
def rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Least squares over twenty sweeps on random problems, four utilities."""
    return _fitted(p, rng)


def _oscillation(p: Params, rng: np.random.Generator, settle: bool = False, alone: bool = False) -> Evidence:
    lottery = [(1.0, 1.0)] if alone else [(0.0, 0.5), (2.0, 0.5)]
    table = stock_table(_one_state([[(1.0, 1.0)], lottery], "mean"), [0.0])
    tie = "first" if settle else (lambda sweep, s, c, actions: int(actions[sweep % actions.size]))
    run = law_value_iteration(table, num_iters=p.sweeps, start=2.0, tie=tie)
    # Means and distances are dyadic numbers, so that floats are exact. The first sweep finds the law it began with.
    constant, apart = bool((run.values == 2.0).all()), bool((run.moved[1:] >= 0.5).all())
    return Evidence(
        holds=[constant, apart], text="F constant; consecutive laws at least 1/2 apart in w_1, dyadic numbers"
    )


def _one_state(rewards: list[list[tuple[float, float]]], name: str) -> StockMDP:
    """One state, gamma = 1/2, for each action the law of its reward as (reward, probability)."""
    flat = [pair for row in rewards for pair in row]
    reward, prob = np.array(flat).T
    A = len(rewards)
    out = Outcomes(np.cumsum([0, *map(len, rewards)]), np.zeros(len(flat), dtype=int), reward, prob, 1, A)
    return StockMDP(MDP(np.ones((1, A, 1)), out.mean_reward(), 0.5), functional(name), outcomes=out)


@claim(
    "Section 4, on convergence",
    r"F_K \eta_n \text{ may be constant while } \bar w_1(\eta_n, \eta_{n+1}) \not\to 0",
    relation=Witness(),
    falsifiers={
        "settled": variant(_oscillation, "Ties broken the same way in every sweep.", settle=True),
        "one_law": variant(_oscillation, "Both actions pay 1 surely.", alone=True),
    },
    words="The laws that value iteration finds need not converge; only their functional does.",
    title="Laws that oscillate",
)
def oscillation(p: Params, rng: np.random.Generator) -> Evidence:
    """A sure 1 and a coin of 0 or 2, played in turns by the tie rule, gamma = 1/2."""
    return _oscillation(p, rng)


def _towards_nothing(sweep: int, s: int, c: float, actions: np.ndarray) -> int:
    """Action 0 whenever c + 1 / (1 - gamma) > 0, gamma = 1/2."""
    return int(actions[0] if c + 2 > 0 else actions[-1])


def _discontinuous(p: Params, rng: np.random.Generator, name: str = "step", tie=_towards_nothing) -> Evidence:
    table = stock_table(_one_state([[(0.0, 1.0)], [(1.0, 1.0)]], name), [-2.0, -1.0, 0.0, 1.0, 2.0])
    f, at = table.problem.objective, 2
    run = law_value_iteration(table, num_iters=p.sweeps, start=2.0, tie=tie)
    improved = law_policy_iteration(table, np.ones((1, 5), dtype=int), num_iters=3, num_sweeps=20, tie=tie)
    wanted = f.utility(np.array([2.0]))[0]
    played = [_played(policy, f, at) for policy in run.policies]
    later = [_played(policy, f, at) for policy in improved.policies[1::2]]
    holds = [bool((run.values[:, 0, at] == wanted).all()), wanted > 0] + [value == 0.0 for value in played + later]
    return Evidence(holds=holds, text="one state, rewards 0 and 1, gamma = 1/2, stock 0; dyadic numbers")


def _played(policy: np.ndarray, f: Functional, k: int) -> float:
    """f of the return from stock number k of -2, ..., 2, by playing fifty steps with rewards 0 and 1."""
    total, start = 0.0, k - 2
    for t in range(50):
        action = int(policy[0, k])
        total += 0.5**t * action
        k = int(np.clip(2 * (k - 2 + action), -2, 2)) + 2
    return float(f.utility(np.array([start + total]))[0])


@claim(
    "Appendix C.2",
    r"f = 1\{x > 0\}: \ F_K \eta_n(s, 0) = 1 \text{ for all } n, \text{ but } F_K \eta^{\pi_n}(s, 0) = 0"
    r"\text{ (in policy iteration for odd } n)",
    relation=Witness(),
    falsifiers={
        "benign_tie": variant(_discontinuous, "Ties go to the action that pays.", tie="last"),
        "lipschitz": variant(_discontinuous, "f = max(x, 0), with the same rule for ties.", name="positive_part"),
    },
    words="Without Lipschitz continuity greedy policies may be as bad as can be, however long one iterates.",
    title="A discontinuous functional",
)
def discontinuous(p: Params, rng: np.random.Generator) -> Evidence:
    """From the optimal laws, with ties broken against the agent; policy iteration recovers only to lose again."""
    return _discontinuous(p, rng)


def _repaired(p: Params, rng: np.random.Generator, name: str = "positive_part") -> Evidence:
    table = stock_table(_one_state([[(0.0, 1.0)], [(1.0, 1.0)]], name), [-2.0, -1.0, 0.0, 1.0, 2.0])
    f = table.problem.objective
    best = [f.utility(np.array([c + 2.0]))[0] for c in table.stocks]
    run = law_value_iteration(table, num_iters=p.sweeps, start=2.0, tie=_towards_nothing)
    improved = law_policy_iteration(
        table, np.ones((1, 5), dtype=int), num_iters=3, num_sweeps=_LONG, tie=_towards_nothing
    )
    policies = [*run.policies, *improved.policies]
    left = np.array([[_played(policy, f, k) for k in range(5)] for policy in policies])
    # Fifty steps leave 2^-49.
    return Evidence(left=left, right=np.tile(best, (len(policies), 1)), tolerance=np.full(left.shape, 1e-12))


@claim(
    "Appendix C.2, Lipschitz",
    r"f = x_+: \ F_K \eta^{\pi_n} = \sup_\pi F_K \eta^\pi \text{ for all } n \text{ with the same rule for ties}",
    relation=Identity(),
    falsifiers={"step": variant(_repaired, "f = 1{x > 0}.", "step")},
    words="A Lipschitz utility repairs the example: the same tie rule then does no harm.",
    title="The repair",
)
def lipschitz_repair(p: Params, rng: np.random.Generator) -> Evidence:
    """Both iterations from the optimum, all greedy policies played from all stocks."""
    return _repaired(p, rng)


def _uniformity(p: Params, rng: np.random.Generator, name: str = "quadratic") -> Evidence:
    # Two states in turn: one alone would be terminal.
    problem = StockMDP(MDP([[[0.0, 1.0]], [[1.0, 0.0]]], np.zeros((2, 1)), 0.5), functional(name))
    left, right = [], []
    for most in (1.0, 4.0, 16.0, 64.0):
        table = stock_table(
            problem, np.append(-most * 2.0 ** -np.arange(5), np.append(0.0, most * 2.0 ** np.arange(-4, 1)))
        )
        run = law_value_iteration(table, num_iters=p.sweeps, start=1.0)
        for n in range(p.sweeps - 1):
            a, b = 0.5**n, 0.5 ** (n + 2)
            left.append(np.abs(run.values[n] - run.values[n + 2]).max())
            right.append((a - b) * (2 * most + a + b))
    return Evidence(left=left, right=right, tolerance=1e-12 * np.array(right))


@claim(
    "Section 4, on uniformity",
    r"f = -x^2,\ r = 0,\ \eta_0 = \delta_1: \ \sup_{|c| \le M} |F_K \eta_n - F_K \eta_{n+k}|"
    r" = (\gamma^n - \gamma^{n+k})(2M + \gamma^n + \gamma^{n+k})",
    relation=Identity(),
    falsifiers={"lipschitz": variant(_uniformity, "f = -|x|, where the difference does not grow with M.", "target")},
    words="Without Lipschitz continuity the limit is not uniform in the stock: the difference grows linearly.",
    title="No uniform convergence",
)
def uniformity(p: Params, rng: np.random.Generator) -> Evidence:
    """No rewards at all, stocks up to 64."""
    return _uniformity(p, rng)


def _designed(family: Family, f: Callable[[np.ndarray], np.ndarray], alpha: float, kept: float) -> np.ndarray:
    """Value iteration on states with stock, reward alpha f(C') - f(C) + kept (1 - alpha) f(0), discount alpha."""
    graph, zero = family.graph, f(np.zeros(1))[0]
    v = np.zeros(graph.stages[-1].state.size)
    for t in range(graph.horizon - 1, -1, -1):
        stage = graph.stages[t]
        here, there = f(graph.stock(t)), f(graph.stock(t + 1))[stage.child]
        at = np.repeat(stage.row_node, np.diff(stage.row_ptr))
        gain = alpha * there - here[at] + kept * (1 - alpha) * zero + alpha * v[stage.child]
        q = np.add.reduceat(stage.prob * gain, stage.row_ptr[:-1])
        v = np.maximum.reduceat(q, stage.node_ptr[:-1])
    return v[graph.roots] + f(STOCKS)


def _design(
    p: Params,
    rng: np.random.Generator,
    names: tuple[str, ...] = (*LINEAR, "quadratic"),
    kept: float = 1.0,
    power: int = 0,
) -> Evidence:
    seeds, left, right = _drawn(p, rng), [], []
    for gamma, name in product((1.0, 0.7), names):
        family, base = _family(seeds, gamma), functional(name).utility
        alpha = gamma**power if power else functional(name).scaling(gamma) or gamma
        # A constant more does not change what is best, and makes f(0) count.
        left.append(_designed(family, lambda x, base=base: base(x) + 3.0, alpha, kept) - 3.0)
        right.append(_best(name, family))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), CLOSE))


@claim(
    "Theorem 20",
    r"\max_\pi F_K \eta^\pi(s, c) = f(c) + \max_\pi E \textstyle\sum_t \alpha^t \tilde r_{t+1},"
    r"\quad \tilde r_{t+1} = \alpha f(C_{t+1}) - f(C_t) + (1 - \alpha) f(0)",
    relation=Identity(),
    assumptions=(r"$f(\gamma x) = \alpha f(x) + (1 - \alpha) f(0)$",),
    falsifiers={
        "tanh": variant(_design, "f = tanh, which does not scale, with alpha = gamma.", ("tanh",)),
        "without_f0": variant(_design, "Without (1 - alpha) f(0).", kept=0.0),
        "wrong_power": variant(_design, "alpha = gamma for f = -x^2.", ("quadratic",), power=1),
    },
    lemmas=("pires2025:reward_design", "pires2025:tanh_does_not_scale"),
    words="Utilities that scale are ordinary discounted problems on states with stock, with a designed reward.",
    title="Reward design",
)
def reward_design(p: Params, rng: np.random.Generator) -> Evidence:
    """Classic value iteration with the designed reward against all history-dependent policies, f(0) = 3."""
    return _design(p, rng)


def _refused(p: Params, rng: np.random.Generator, name: str = "tanh") -> Evidence:
    f, alphas, c = functional(name).utility, np.linspace(-1, 2, 601), np.linspace(-4, 4, 801)
    zero = f(np.zeros(1))[0]
    holds = []
    for gamma in (0.3, 0.5, 0.7, 0.9):
        left = f(gamma * c)[None] - alphas[:, None] * f(c) - (1 - alphas[:, None]) * zero
        # Between two alphas the residual moves by at most half their distance times |f(c) - f(0)|.
        room = 0.5 * (alphas[1] - alphas[0]) * np.abs(f(c) - zero).max()
        holds.append(bool(np.abs(left).max(axis=1).min() > room + 1e-9))
        holds.append(not can_optimise(functional(name), gamma, 3))
    return Evidence(holds=holds, text="residual of the scaling above 0 for every alpha; refused by the solvers")


@claim(
    "Theorem 20, converse",
    r"\inf_\alpha \max_c |f(\gamma c) - \alpha f(c) - (1 - \alpha) f(0)| > 0 \ \text{ for } f = \tanh",
    relation=Witness(),
    falsifiers={
        "target": variant(_refused, "f = -|x|, which scales.", "target"),
        "quadratic": variant(_refused, "f = -x^2, which scales with alpha = gamma^2.", "quadratic"),
    },
    lemmas=("pires2025:tanh_does_not_scale",),
    words="A utility that does not scale has no reward design, and the solvers say so.",
    title="No reward design",
)
def no_reward_design(p: Params, rng: np.random.Generator) -> Evidence:
    """The residual on a grid of alpha with what lies between, four discounts; alpha beyond is worse still."""
    return _refused(p, rng)


def _improved(p: Params, rng: np.random.Generator, pick: str = "best") -> Evidence:
    measured, bound = [], []
    for gamma in (1.0, 0.7):
        family, f = _family(_drawn(p, rng), gamma), functional("target")
        graph = family.graph
        fixed = [_followed(graph, rng.integers(2, size=family.problem.S)) for _ in range(3)]
        each = [utility_pass(graph, f.utility, np.zeros(1), follow=rows)[0] for rows in fixed]
        mixed = []
        for t, stage in enumerate(graph.stages[:-1]):
            values = np.array([v[t][:, 0] for v in each])
            index = values.argmax(axis=0) if pick == "best" else values.argmin(axis=0)
            if pick == "one_stock":
                # The policy that is best at the least stock of the stage, whatever the stock is.
                first = np.unique(stage.state, return_index=True)[1]
                index = index[first][np.unique(stage.state, return_inverse=True)[1]]
            mixed.append(np.choose(index, [rows[t] for rows in fixed]))
        joined = utility_pass(graph, f.utility, np.zeros(1), follow=mixed)[0]
        for t in range(graph.horizon):
            apart, together = np.max([v[t][:, 0] for v in each], axis=0), joined[t][:, 0]
            # The node of the stage where least is gained.
            k = int(np.argmax(apart - together))
            measured.append(apart[k])
            bound.append(together[k])
    # Moved by 50, above every loss, so that ratios mean something.
    return Evidence(measured=np.array(measured) + 50, bound=np.array(bound) + 50 + CLOSE)


def _followed(graph: Reachable, actions: np.ndarray) -> list[np.ndarray]:
    """Rows of the stationary policy `actions` (S,) on a graph where every node has two."""
    return [stage.node_ptr[:-1] + actions[stage.state] for stage in graph.stages[:-1]]


@claim(
    "Lemma 15, generalised",
    r"\pi(s, c) = \pi_{i^*(s, c)},\ i^* \in \arg\max_i F_K \eta^{\pi_i}(s, c)"
    r" \ \Rightarrow\ F_K \eta^\pi \ge \max_i F_K \eta^{\pi_i}",
    relation=Bound(),
    falsifiers={
        "worst": variant(_improved, "The policy that is worst at each state and stock.", "worst"),
        "one_stock": variant(_improved, "The policy that is best at one stock, at every stock.", "one_stock"),
    },
    words="Switching at every state and stock to the best of several policies is no worse than each.",
    title="Generalised policy improvement",
)
def policy_improvement(p: Params, rng: np.random.Generator) -> Evidence:
    """Three random stationary policies, f = -|x|, at all reachable states and stocks."""
    return _improved(p, rng)


def _problems(p: Params, rng: np.random.Generator) -> list[tuple[StockMDP, HistoryLaws]]:
    """Members of the random family, undiscounted every other time, with all their return laws."""
    out = [random_stock(seed, (1.0, 0.7)[k % 2]) for k, seed in enumerate(_drawn(p, rng))]
    return [(problem, history_laws(problem)) for problem in out]


def _by_stock(p: Params, rng: np.random.Generator, how: str = "stock") -> Evidence:
    left, right = [], []
    for problem, laws in _problems(p, rng):
        for tau in LEVELS:
            right.append(float(tail_means(laws, tau).max()))
            if how == "stock":
                answer = static_cvar_finite(problem.replace(objective=CVaR(tau)), certify=False)
                # The law that is realised, and what the best stock promises.
                left += [float(answer.value[0]), float(answer.extras["objective"].max())]
                right.append(right[-1])
            elif how == "direct":
                direct = problem.replace(objective=functional("cvar_direct", tau=tau))
                left.append(float(distributional_value_iteration(direct, heuristic=True).extras["start_value"][0]))
            else:
                c0 = 0.0 if how == "no_choice" else float(laws.support.max())
                best = int(np.argmax(laws.masses @ np.minimum(c0 + laws.support, 0.0)))
                left.append(float(tail_means(laws, tau)[best]))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), CLOSE))


@claim(
    "Theorem 16",
    r"\sup_\pi \mathrm{CVaR}_\tau(G^\pi) = \max_{c_0} \Big( -c_0 +"
    r"\tfrac1\tau \sup_\pi E \big( c_0 + G^\pi(s_0, c_0) \big)_- \Big)",
    relation=Identity(),
    falsifiers={
        "direct": variant(_by_stock, "CVaR itself as the functional, greedy at every stock.", "direct"),
        "no_choice": variant(_by_stock, "Initial stock 0.", "no_choice"),
        "wrong_sign": variant(_by_stock, "Initial stock plus the largest return.", "sign"),
    },
    lemmas=("bauerle2011:stock_needed", "rockafellar2000:strong_duality"),
    words="The best CVaR is found by the best initial stock and the best expected shortfall from it.",
    title="CVaR by a stock",
)
def cvar_by_stock(p: Params, rng: np.random.Generator) -> Evidence:
    """Realised law and promised value of the best stock against all history-dependent policies."""
    return _by_stock(p, rng)


def _limits(p: Params, rng: np.random.Generator, mean_at: float = 1.0, share: float = 1.0) -> Evidence:
    left, right = [], []
    for problem, laws in _problems(p, rng):
        means, least = laws.masses @ laws.support, laws.support[np.argmax(laws.masses > 0, axis=1)]
        smallest = share * float(laws.masses[np.arange(len(least)), np.argmax(laws.masses > 0, axis=1)].min())
        for tau, best in ((mean_at, means.max()), (min(smallest, 1.0), least.max())):
            answer = static_cvar_finite(problem.replace(objective=CVaR(tau)), certify=False)
            left.append(float(answer.value[0]))
            right.append(float(best))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), CLOSE))


@claim(
    "Section 5.3, corrected (E6)",
    r"\mathrm{CVaR}_1 = \text{mean}, \quad \mathrm{CVaR}_\tau = \text{ess inf for } \tau"
    r"\text{ at most the mass of the worst return}",
    relation=Identity(),
    falsifiers={
        "printed": variant(_limits, "tau = 1e-6 in place of 1.", mean_at=1e-6),
        "larger_mass": variant(_limits, "Three times the mass of the worst return.", share=3.0),
    },
    words="Level 1 is risk neutral, the least levels look at the worst return alone.",
    title="Limits of CVaR",
)
def cvar_limits(p: Params, rng: np.random.Generator) -> Evidence:
    """Optimal policies at both ends against the best mean and the best worst case of all laws."""
    return _limits(p, rng)


def _neutral(p: Params, rng: np.random.Generator, tau: float = 1e-6) -> Evidence:
    left, right = [], []
    for problem, laws in _problems(p, rng):
        answer = static_cvar_finite(problem.replace(objective=CVaR(tau)), certify=False)
        left.append(float(answer.value[0]))
        right.append(float((laws.masses @ laws.support).max()))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-3))


@claim(
    "Section 5.3, as printed (E6)",
    r"\tau = 0 \text{ is risk neutral}",
    relation=Identity(),
    falsifiers={"half": variant(_neutral, "tau = 1/2.", 0.5)},
    controls={"one": variant(_neutral, "tau = 1.", 1.0)},
    words="The printed text calls level 0 risk neutral.",
    title="Which end is risk neutral, as printed",
)
def risk_neutral_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Best CVaR at tau = 1e-6 against the best mean."""
    return _neutral(p, rng)


TAUS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


def _actions(problem: StockMDP) -> list[FiniteLaw]:
    """Laws of the rewards of the actions of state 0."""
    return [FiniteLaw.of(*problem.outcomes.row(0, a)[1:]) for a in range(problem.A)]


def _lotteries(rng: np.random.Generator) -> list[FiniteLaw]:
    """Three lotteries of three outcomes."""
    return [FiniteLaw.of(rng.uniform(-2, 2, 3), rng.dirichlet(np.ones(3))) for _ in range(3)]


def _tail_loss(
    p: Params,
    rng: np.random.Generator,
    policy: float | str = "level",
    grid: float = 1.0,
    taus: tuple[float, ...] = TAUS,
) -> Evidence:
    """Loss in CVaR of the worst policy within eps at every stock, and grid * eps_grid + policy * eps.

    `policy` "level" stands for 1 / tau.
    """
    measured, bound, step = [], [], 2.0**-8
    for tau in taus:
        tries = [(_actions(cvar_suboptimal_pair(min(tau, 0.99), tau)), min(tau, 0.99))]
        tries += [(_lotteries(rng), float(eps)) for eps in rng.uniform(0, 0.1, p.lotteries)]
        for laws, eps in tries:
            # Stocks in which all kinks lie.
            c = np.arange(-3, 3 + step, step)
            u = np.array([np.minimum(c[:, None] + law.x, 0.0) @ law.p for law in laws])
            # Roundings of sums of three.
            allowed = u >= u.max(axis=0) - eps - 1e-12
            choice = np.where(allowed, u, np.inf).argmin(axis=0)
            tails = np.array([cvar(law, tau) for law in laws])
            k = int(np.argmax(-c + np.take_along_axis(u, choice[None], axis=0)[0] / tau))
            measured.append(tails.max() - tails[choice[k]])
            bound.append(grid * step + (1 / tau if policy == "level" else policy) * eps)
    # Both moved by the grid's error, so that no bound is 0.
    return Evidence(measured=np.array(measured) + 1e-12, bound=np.array(bound) + 1e-10)


@claim(
    "Theorem 17, as printed (E1)",
    r"\sup_\pi \mathrm{CVaR}_\tau(G^\pi) - \mathrm{CVaR}_\tau(G^{\hat\pi}) \le 4 \epsilon",
    relation=Bound(),
    assumptions=(
        r"$\hat\pi$ within $\epsilon$ of $\sup_\pi E (c + G)_-$ at every $c$",
        r"a grid of stocks within $\epsilon$",
    ),
    falsifiers={"one": variant(_tail_loss, "eps in place of 4 eps.", 1.0, 0.0)},
    controls={"high_levels": variant(_tail_loss, "Levels 1/2 and 1 alone.", 4.0, 4.0, (0.5, 1.0))},
    lemmas=("pires2025:cvar_loss",),
    words="A nearly optimal policy for shortfalls loses at most four times as much in CVaR, at every level.",
    title="Loss in CVaR, as printed",
)
def cvar_loss_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """One decision; the worst policy that is allowed, acting from the best stock of a grid; witness p = tau = 1/20."""
    return _tail_loss(p, rng, 4.0, 4.0)


@claim(
    "Theorem 17, corrected (E1)",
    r"\sup_\pi \mathrm{CVaR}_\tau(G^\pi) - \mathrm{CVaR}_\tau(G^{\hat\pi})"
    r" \le \epsilon_{grid} + \epsilon_{policy} / \tau",
    relation=Bound(),
    assumptions=(r"$\hat\pi$ within $\epsilon_{policy}$ of $\sup_\pi E (c + G)_-$ at every $c$",),
    falsifiers={
        "printed": variant(_tail_loss, "4 eps.", 4.0, 4.0),
        "policy_only_once": variant(_tail_loss, "The policy's error not divided by tau.", 1.0, 1.0),
    },
    lemmas=("pires2025:cvar_loss",),
    words="The policy's error counts 1 / tau times, the grid's once.",
    title="Loss in CVaR",
)
def cvar_loss(p: Params, rng: np.random.Generator) -> Evidence:
    """As for the printed bound; the witness attains it but for the grid."""
    return _tail_loss(p, rng)


def _slopes(
    p: Params, rng: np.random.Generator, constant: str = "right", taus: tuple[float, ...] = (0.05, 0.2, 0.5, 0.9)
) -> Evidence:
    measured, bound = [], []
    problems = _problems(p, rng)
    for tau in taus:
        limit = {"printed": 1.0, "right": max(1.0, 1 / tau - 1), "no_one": 1 / tau - 1}[constant]
        for _, laws in problems:
            c = np.sort(np.concatenate([-laws.support, rng.uniform(-9, 9, 40)]))
            value = (laws.masses @ np.minimum(c + laws.support[:, None], 0.0)).max(axis=0) / tau - c
            wide = np.diff(c) > 1e-3
            measured.append((np.abs(np.diff(value)) / np.diff(c))[wide].max())
            bound.append(limit)
    # Differences of sums of dozens of terms of size 9 / tau, over steps of 1e-3.
    return Evidence(measured=measured, bound=np.array(bound) + 1e-8)


@claim(
    "Proposition 37, as printed (E1)",
    r"\big| g(c) - g(c') \big| \le |c - c'|, \quad g(c) = -c + \tfrac1\tau \sup_\pi E (c + G^\pi)_-",
    relation=Bound(),
    falsifiers={"half": variant(_slopes, "Slope 1/tau - 1 alone.", "no_one")},
    controls={"high_levels": variant(_slopes, "Levels of at least 1/2 alone.", "printed", (0.5, 0.7, 0.9))},
    lemmas=("pires2025:objective_slope",),
    words="The printed objective in the initial stock is 1-Lipschitz.",
    title="Slope of the objective, as printed",
)
def slope_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Differences between neighbouring stocks, kinks among them, four levels."""
    return _slopes(p, rng, "printed")


@claim(
    "Proposition 37, corrected (E1)",
    r"\big| g(c) - g(c') \big| \le \max(1, 1/\tau - 1)\, |c - c'|",
    relation=Bound(),
    falsifiers={
        "printed": variant(_slopes, "Slope 1.", "printed"),
        "no_one": variant(_slopes, "1/tau - 1 alone, too small for large levels.", "no_one"),
    },
    lemmas=("pires2025:objective_slope",),
    words="It rises by at most 1/tau - 1 and falls by at most 1 per unit of stock.",
    title="Slope of the objective",
)
def slope(p: Params, rng: np.random.Generator) -> Evidence:
    """As for the printed constant; both slopes are attained."""
    return _slopes(p, rng)


def _optimistic_loss(p: Params, rng: np.random.Generator, tau: float | None = None) -> Evidence:
    measured, bound, step = [], [], 2.0**-8
    for level in (0.25, 0.5) if tau is None else (tau,):
        for laws in [_actions(ocvar_randomisation(level))] + [_lotteries(rng) for _ in range(p.lotteries)]:
            c = np.arange(-3, 3 + step, step)
            u = np.array([np.maximum(c[:, None] + law.x, 0.0) @ law.p for law in laws])
            g = -c + u.max(axis=0) / level
            played = int(u[:, np.argmin(g)].argmax())
            masses = _on_one_support(laws)
            measured.append(best_mixture(*masses, level).value - ocvar(laws[played], level))
            bound.append(4 * step)
    # The linear program's tolerance.
    return Evidence(measured=np.maximum(measured, 0.0), bound=np.array(bound) + 1e-7)


def _on_one_support(laws: list[FiniteLaw]) -> tuple[np.ndarray, np.ndarray]:
    """Support (n,) and masses (L, n)."""
    x = np.unique(np.concatenate([law.x for law in laws]))
    masses = np.zeros((len(laws), x.size))
    for row, law in zip(masses, laws, strict=True):
        row[np.searchsorted(x, law.x)] = law.p
    return x, masses


@claim(
    "Theorem 19, as printed (E2)",
    r"\sup_\pi \mathrm{OCVaR}_\tau(G^\pi) - \mathrm{OCVaR}_\tau(G^{\hat\pi}) \le 4 \epsilon",
    relation=Bound(),
    assumptions=(
        r"$\hat\pi$ greedy for $E (c + G)_+$, within $\epsilon$ at every $c$",
        r"a grid of stocks within $\epsilon$",
    ),
    falsifiers={"witness_alone": variant(_optimistic_loss, "The witness's level alone.", 0.5)},
    controls={"mean": variant(_optimistic_loss, "Level 1: the mean, which is linear in the law.", 1.0)},
    lemmas=("pires2025:optimistic_greedy",),
    words="The best initial stock and a greedy policy would do for the optimistic CVaR too.",
    title="Loss in OCVaR, as printed",
)
def ocvar_loss_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """One decision, optimal action at every stock, best stock of a fine grid; the witness loses 8/35."""
    return _optimistic_loss(p, rng)


def _optimistic(p: Params, rng: np.random.Generator, how: str = "mixed") -> Evidence:
    left, right = [], []
    for problem, laws in _problems(p, rng):
        for tau in LEVELS:
            best = best_mixture(laws.support, laws.masses, tau)
            if how == "mixed":
                dual = -best.c0 + (laws.masses @ np.maximum(best.c0 + laws.support, 0.0)).max() / tau
                planned = static_ocvar_finite(problem.replace(objective=OCVaR(tau)))
                left += [dual, float(planned.value[0])]
                right += [best.value] * 2
            else:
                tails = tail_means(laws, tau, upper=how == "alone")
                left.append(float(tails.max()))
                right.append(best.value)
    # HiGHS's tolerance, divided by the least level.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-6))


@claim(
    "Theorem 18, corrected (E2)",
    r"\min_{c_0} \Big( -c_0 + \tfrac1\tau \sup_\pi E (c_0 + G^\pi)_+ \Big) ="
    r"\sup_{\pi \text{ randomised}} \mathrm{OCVaR}_\tau(G^\pi)",
    relation=Identity(),
    falsifiers={
        "deterministic": variant(_optimistic, "The best deterministic policy with memory.", "alone"),
        "lower_tail": variant(_optimistic, "The best CVaR.", "lower"),
    },
    lemmas=("pires2025:optimistic_greedy",),
    words="The dual value is attained by a mixture of policies that are greedy from one and the same stock.",
    title="OCVaR takes a mixture",
)
def ocvar_by_mixture(p: Params, rng: np.random.Generator) -> Evidence:
    """Dual value, and the law of the planned mixture, against a linear program over all return laws."""
    return _optimistic(p, rng)


def _minimiser(p: Params, rng: np.random.Generator, at: str = "upper", taus: tuple[float, ...] = LEVELS) -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        law = FiniteLaw.of(rng.normal(size=7), rng.dirichlet(np.ones(7)))
        for tau in taus:
            x = law.quantile({"upper": 1 - tau, "printed": tau, "half": 1 - tau / 2}[at])
            left.append(x + float(law.p @ np.maximum(law.x - x, 0.0)) / tau)
            right.append(ocvar(law, tau))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), CLOSE))


@claim(
    "Lemma 38, as printed (E5)",
    r"\mathrm{OCVaR}_\tau(X) = \min_x x + \tfrac1\tau E (X - x)_+, \quad \text{attained at } x = \mathrm{QF}_X(\tau)",
    relation=Identity(),
    falsifiers={"half": variant(_minimiser, "The quantile of 1 - tau / 2.", "half")},
    controls={"even": variant(_minimiser, "Level 1/2, where both quantiles are one.", "printed", (0.5,))},
    lemmas=("pires2025:optimistic_minimiser",),
    words="The printed minimiser is the quantile of tau.",
    title="Minimiser, as printed",
)
def minimiser_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws of seven atoms."""
    return _minimiser(p, rng, "printed")


@claim(
    "Lemma 38, corrected (E5)",
    r"\mathrm{OCVaR}_\tau(X) = \min_x x + \tfrac1\tau E (X - x)_+,"
    r"\quad \text{attained at } x = \mathrm{QF}_X(1 - \tau)",
    relation=Identity(),
    falsifiers={
        "printed": variant(_minimiser, "The quantile of tau.", "printed"),
        "half": variant(_minimiser, "The quantile of 1 - tau / 2.", "half"),
    },
    lemmas=("pires2025:optimistic_minimiser",),
    words="The upper tail of mass tau begins at the quantile of 1 - tau.",
    title="Minimiser",
)
def minimiser(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws of seven atoms."""
    return _minimiser(p, rng)


def _edited(p: Params, rng: np.random.Generator, late: int = 1) -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        gamma, c0, r = rng.uniform(0.5, 1), rng.normal(), rng.normal(size=6)
        c, total = c0, c0
        for k in range(6):
            c, total = (c + r[k]) / gamma, total + gamma**k * r[k]
            left.append(gamma ** -(k + late) * total)
            right.append(c)
    return Evidence(left=left, right=right, tolerance=1e-12 * (1 + np.abs(right)))


@claim(
    "Section 8, as printed (E4)",
    r"C_{k+1} = \gamma^{-k} \big( C_0 + \textstyle\sum_{i \le k} \gamma^i R_{i+1} \big)",
    relation=Identity(),
    falsifiers={"earlier": variant(_edited, "gamma to the power 1 - k.", -1)},
    controls={"corrected": variant(_edited, "gamma to the power -(k + 1).", 1)},
    lemmas=("pires2025:stock_editing",),
    words="The printed formula for editing a stock.",
    title="Stock editing, as printed",
)
def editing_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Random rewards and discounts, six steps of the stock's recursion."""
    return _edited(p, rng, 0)


@claim(
    "Section 8, corrected (E4)",
    r"C_{k+1} = \gamma^{-(k+1)} \big( C_0 + \textstyle\sum_{i \le k} \gamma^i R_{i+1} \big)",
    relation=Identity(),
    falsifiers={
        "printed": variant(_edited, "gamma to the power -k.", 0),
        "later": variant(_edited, "gamma to the power -(k + 2).", 2),
    },
    lemmas=("pires2025:stock_editing",),
    words="A stock after k + 1 rewards is in money of stage k + 1.",
    title="Stock editing",
)
def editing(p: Params, rng: np.random.Generator) -> Evidence:
    """Random rewards and discounts, six steps of the stock's recursion."""
    return _edited(p, rng)


SCALED = (*LINEAR, "quadratic", "step", "step_at", "exponential", "tanh")


def _indifferent(
    p: Params, rng: np.random.Generator, rule: str = "exists", names: tuple[str, ...] = SCALED
) -> Evidence:
    left, right = [], []
    x = np.arange(-60, 61) / 20
    masses = np.concatenate([np.eye(x.size), rng.dirichlet(np.full(x.size, 0.1), 200)])
    for gamma, name in product((0.5, 0.7, 0.9), names):
        f = functional(name)
        alpha = f.scaling(gamma)
        left.append(float(rule == "always" or (alpha is not None and (rule == "exists" or alpha < 1))))
        value, scaled = masses @ f.utility(x), masses @ f.utility(gamma * x)
        # Over all pairs of laws: does the scale ever turn the order around?
        turned = (value[:, None] > value + 1e-9) & (scaled[:, None] < scaled - 1e-9)
        right.append(float(not turned.any()))
    return Evidence(left=left, right=right, tolerance=np.zeros(len(left)))


@claim(
    "Lemma 12, item 2, as printed (E9)",
    r"U_f \text{ indifferent to } \gamma \iff f(\gamma c) = \alpha f(c) + (1 - \alpha) f(0),"
    r"\ \alpha < 1 \text{ if } \gamma < 1",
    relation=Identity(),
    falsifiers={"always": variant(_indifferent, "Every utility is.", "always")},
    controls={
        "without_step": variant(
            _indifferent, "All utilities but 1{x > 0}.", "printed", tuple(name for name in SCALED if name != "step")
        )
    },
    lemmas=("pires2025:step_scales",),
    words="The printed condition excludes 1{x > 0}, which is indifferent all the same.",
    title="Indifference to the discount, as printed",
)
def indifference_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Nine utilities, three discounts: the condition against all pairs of 321 laws."""
    return _indifferent(p, rng, "printed")


@claim(
    "Lemma 12, item 2, corrected (E9)",
    r"U_f \text{ indifferent to } \gamma \iff f(\gamma c) = \alpha f(c) + (1 - \alpha) f(0)"
    r" \text{ for some } \alpha \in (0, 1]",
    relation=Identity(),
    falsifiers={
        "printed": variant(_indifferent, "With alpha < 1.", "printed"),
        "always": variant(_indifferent, "Every utility is.", "always"),
    },
    lemmas=("pires2025:step_scales", "pires2025:tanh_does_not_scale"),
    words="A scaled law keeps its rank exactly where the utility scales; alpha may be 1.",
    title="Indifference to the discount",
)
def indifference(p: Params, rng: np.random.Generator) -> Evidence:
    """Nine utilities, three discounts: the condition against all pairs of 321 laws."""
    return _indifferent(p, rng)


# Target returns of the published table of G3, and how far from them the agent's mean returns were, to two decimals.
TARGETS = np.array([7.0, 5.0, 3.0, 1.0, -2.0, -4.0, -6.0, -8.0])
AGENT_ERRORS = np.array([0.05, 0.02, 0.00, 0.01, 0.15, 0.04, 0.08, 0.13])
HALVES = 2.0 ** -np.arange(5)
# Steps of the published agent on G9 for second returns of 1, 2, 3, alpha = 500.
FEW = np.array([1.0, 2.0, 3.0])
AGENT_STEPS = np.array([11.57, 11.00, 10.83])
# Episodes of published runs end after so many steps.
PUBLISHED_STEPS = 16


@lru_cache(maxsize=12)
def _plan(
    grid: Callable[..., StockMDP], horizon: int, targets: tuple[float, ...], sign: float = 1.0, **options: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, number of steps and return of the plan for each target of a deterministic grid, each (k,).

    `sign` multiplies the running reward.
    """
    problem = grid(horizon=horizon, **options)
    running = None if problem.running is None else sign * problem.running
    graph = reachable_from(problem)
    values, choices = utility_pass(graph, problem.objective.utility, -np.array(targets), running=running)
    walks = np.array([_walk(graph, [choice[:, k] for choice in choices]) for k in range(len(targets))])
    return values[0][graph.roots[0, 0]], walks[:, 0], walks[:, 1]


def _walk(graph: Reachable, choices: list[np.ndarray]) -> tuple[float, float]:
    """Number of steps and return of deterministic choices where transitions are deterministic."""
    node, gained = int(graph.roots[0, 0]), 0.0
    for t, stage in enumerate(graph.stages[:-1]):
        row = choices[t][node]
        if row < 0:
            return t, gained
        at = stage.row_ptr[row]
        gained += graph.gamma**t * stage.reward[at]
        node = int(stage.child[at])
    return graph.horizon, gained


@lru_cache(maxsize=12)
def _endings(grid: Callable[..., StockMDP], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and returns with which some path of a deterministic grid may end, by walking all paths."""
    problem = grid(horizon=horizon)
    live, steps, returns = {problem.start: np.zeros(1)}, [], []
    for t in range(horizon):
        after: dict[int, list[np.ndarray]] = {}
        for (s, y), a in product(live.items(), range(problem.A)):
            to, reward, _ = problem.outcomes.row(s, a)
            after.setdefault(int(to[0]), []).append(y + problem.gamma**t * reward[0])
        merged = {s: np.unique(np.round(np.concatenate(parts), 11)) for s, parts in after.items()}
        over = [y for s, y in merged.items() if problem.mdp.terminal[s] or t == horizon - 1]
        returns += over
        steps += [np.full(y.size, t + 1) for y in over]
        live = {s: y for s, y in merged.items() if not problem.mdp.terminal[s]}
    return np.concatenate(steps), np.concatenate(returns)


def _generated(p: Params, rng: np.random.Generator, fewer: int = 0, above: bool = False) -> Evidence:
    left, right = [], []
    for grid, targets in ((generate_returns_grid, TARGETS), (halving_grid, HALVES)):
        values, _, reached = _plan(grid, p.steps - fewer, tuple(targets))
        ends = _endings(grid, p.steps)[1]
        for k, target in enumerate(targets):
            left += [-values[k], abs(reached[k] - target)]
            right += [np.abs(ends - target)[ends >= (target if above else -np.inf)].min(initial=99.0)] * 2
    return Evidence(left=left, right=right, tolerance=np.full(len(left), CLOSE))


@claim(
    "Section 7, generating returns, exact",
    r"\max_\pi E\,{-|c_0 + G^\pi|} = -\min_{\text{paths}} |c_0 + G|",
    relation=Identity(),
    falsifiers={
        "fewer_steps": variant(_generated, "Six steps less.", 6),
        "from_above": variant(_generated, "Only returns of at least the target.", above=True),
    },
    words="On the deterministic grids for generating returns a plan comes as close to each target as any path does.",
    title="Generated returns",
)
def generated_returns(p: Params, rng: np.random.Generator) -> Evidence:
    """G3 and G4: stock-augmented dynamic programming, and a walk along its plan, against all paths."""
    return _generated(p, rng)


def _against_agent(p: Params, rng: np.random.Generator, how: str = "plan") -> Evidence:
    if how == "half":
        errors = -_plan(generate_returns_grid, PUBLISHED_STEPS // 2, tuple(TARGETS))[0]
    elif how == "greedy":
        # The largest return, whatever is asked for: 14 steps are left on the corner that pays 2.
        errors = np.abs(TARGETS - _plan(generate_returns_grid, PUBLISHED_STEPS, (1000.0,))[2])
    else:
        errors = -_plan(generate_returns_grid, PUBLISHED_STEPS, tuple(TARGETS))[0]
    steps = _plan(constraint_grid, p.steps, tuple(FEW), -1.0 if how == "sign" else 1.0, alpha=500.0)[1]
    # The agent's table has two decimals.
    return Evidence(measured=np.append(errors, steps), bound=np.append(AGENT_ERRORS, AGENT_STEPS) + 0.005)


@claim(
    "Section 7, tables",
    r"|c_0 + G^{\text{plan}}| \le |c_0 + G^{\text{agent}}| \ \text{ on G3;}"
    r"\quad \text{steps of the plan} \le \text{steps of the agent on G9}",
    relation=Bound(),
    falsifiers={
        "half_the_steps": variant(_against_agent, "Plans for 8 steps.", "half"),
        "largest_return": variant(_against_agent, "The largest return whatever the target.", "greedy"),
        "printed_sign": variant(_against_agent, "The printed sign of the first reward on G9.", "sign"),
    },
    words="An exact plan is at least as good as the published agent in every row of its tables.",
    title="Planner and agent",
)
def beats_the_agent(p: Params, rng: np.random.Generator) -> Evidence:
    """Eight targets of G3 within 16 steps, as published, and three constraints of G9."""
    return _against_agent(p, rng)


def _shaped(p: Params, rng: np.random.Generator, sign: float = 1.0) -> Evidence:
    left, right = [], []
    targets = np.array([3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -6.0, -7.0])
    n, y = _endings(constraint_grid, p.steps)
    for alpha in (50.0, 500.0):
        paid = -(1 - 0.997**n) / (1 - 0.997)
        utility = paid[:, None] + alpha * np.minimum(y[:, None] - targets, 0.0)
        values, steps, reached = _plan(constraint_grid, p.steps, tuple(targets), sign, alpha=alpha)
        best = utility.argmax(axis=0)
        # Several returns may satisfy the constraint in as many steps; what counts is by how much they fall short.
        left += [values, steps, np.minimum(reached - targets, 0.0)]
        right += [utility.max(axis=0), n[best], np.minimum(y[best] - targets, 0.0)]
    # Sums of twenty terms of size alpha.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-7))


@claim(
    "Sections 5.5 and 7.4, corrected (E3)",
    r"f(x) = +x_1 + \alpha (x_2)_-,\ r_1 = -1: \ \text{the plan is the path of fewest steps that pays for itself}",
    relation=Identity(),
    falsifiers={
        "printed": variant(_shaped, "The printed sign.", -1.0),
        "unpaid": variant(_shaped, "No reward for the first coordinate.", 0.0),
    },
    words="With the sign corrected the agent goes on for as long as the constraint is worth it, and no longer.",
    title="A constraint",
)
def constraint(p: Params, rng: np.random.Generator) -> Evidence:
    """G9: value, steps and shortfall of the plan against all paths, eight targets, two weights."""
    return _shaped(p, rng)


def _longest(p: Params, rng: np.random.Generator, sign: float = -1.0, less: int = 0) -> Evidence:
    targets = np.array([3.0, 1.0, 0.0, -2.0, -6.0])
    n, y = _endings(constraint_grid, p.steps)
    _, steps, reached = _plan(constraint_grid, p.steps, tuple(targets), sign, alpha=500.0)
    # Fewest steps of a path that falls short of the target by no more than the plan.
    fewest = [n[y >= min(target, own) - CLOSE].min() for target, own in zip(targets, reached, strict=True)]
    return Evidence(measured=steps, bound=np.array(fewest) - less)


@claim(
    "Sections 5.5 and 7.4, as printed (E3)",
    r"f(x) = -x_1 + \alpha (x_2)_-,\ r_1 = -1: \ \text{no path with the same shortfall is shorter than the plan}",
    relation=Bound(),
    falsifiers={"one_less": variant(_longest, "Less than the fewest steps.", 1.0, 1)},
    controls={"corrected": variant(_longest, "f = +x_1 + alpha (x_2)_-.", 1.0)},
    lemmas=("pires2025:constraint_sign",),
    words="The printed objective would reward short episodes.",
    title="A constraint, as printed",
)
def constraint_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """G9: steps of the plan for the printed objective against all paths; it stays to the last step."""
    return _longest(p, rng)


RISKS = (0.05, 0.125, 0.25, 0.4, 0.5, 0.502, 0.75, 0.9, 0.99)


def _risky(p: Params, rng: np.random.Generator, how: str = "") -> Evidence:
    gamma, left, right = 0.997, [], []
    safe = FiniteLaw([gamma**2], [1.0])
    bold = FiniteLaw.of([3 * gamma**2 - 2 * gamma, 3 * gamma**2], [0.5, 0.5])
    seeking = risk_seeking_grid()
    laws = history_laws(seeking)
    for tau in RISKS:
        averse = risk_averse_grid(horizon=6).replace(objective=CVaR(tau))
        left.append(float(static_cvar_finite(averse, certify=False).value[0]))
        kept = {"safe": [safe], "bold": [bold]}.get(how, [safe, bold])
        right.append(max(cvar(law, tau) for law in kept))
        left.append(float(static_ocvar_finite(seeking.replace(objective=OCVaR(tau))).value[0]))
        mixed = best_mixture(laws.support, laws.masses, tau).value
        right.append(float(tail_means(laws, tau, upper=True).max()) if how == "alone" else mixed)
    # HiGHS's tolerance, divided by the least level.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-7))


@claim(
    "Section 7, risk, exact",
    r"\text{G5: } \max(\gamma^2, \mathrm{CVaR}_\tau(3 \gamma^2 - 2 \gamma B)); \quad"
    r"\text{G7: the best mixture of return laws}",
    relation=Identity(),
    falsifiers={
        "always_safe": variant(_risky, "The safe end of G5 at every level.", "safe"),
        "always_bold": variant(_risky, "The risky end of G5 at every level.", "bold"),
        "deterministic": variant(_risky, "The best deterministic policy of G7.", "alone"),
    },
    words="The averse agent changes its mind at one level; the seeking one mixes between some.",
    title="Averse and seeking gridworlds",
)
def risky_grids(p: Params, rng: np.random.Generator) -> Evidence:
    """Plans of both grids at nine levels, against a closed form and against a linear program over all laws."""
    return _risky(p, rng)


def _bets(rounds: int) -> StockMDP:
    """A repeated bet of 0, 1 or 2 that is won with probability 0.7."""
    rows = [[(0.0, 1.0)], [(1.0, 0.7), (-1.0, 0.3)], [(2.0, 0.7), (-2.0, 0.3)]]
    reward, prob = np.array([pair for row in rows for pair in row]).T
    out = Outcomes([0, 1, 3, 5], np.zeros(5, dtype=int), reward, prob, 1, 3)
    mdp = MDP(np.ones((1, 3, 1)), out.mean_reward(), 1.0, horizon=rounds)
    return StockMDP(mdp, functional("mean"), outcomes=out, start=0)


ROUNDS = 8
SHOWN = {"averse": CVaR(0.2), "careful": CVaR(0.5), "neutral": CVaR(1.0), "seeking": OCVaR(0.1)}


@lru_cache(maxsize=1)
def _shown() -> dict[str, FiniteLaw]:
    """Laws of the bet's optimal policies for each objective shown."""
    problem = _bets(ROUNDS)
    solve = {CVaR: static_cvar_finite, OCVaR: static_ocvar_finite}
    return {name: solve[type(k)](problem.replace(objective=k)).extras["law"] for name, k in SHOWN.items()}


def figure_laws(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Masses of the return law of the best policy of the repeated bet, for several objectives."""
    x = np.arange(-2 * ROUNDS, 2 * ROUNDS + 1)
    table = {"winnings": x}
    for name, law in _shown().items():
        table[name] = np.zeros(x.size)
        table[name][np.searchsorted(x, np.round(law.x))] = law.p
    return table


def figure_frontier(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """CVaR at every level of the policies shown, and the best there is at that level."""
    taus, problem = np.linspace(1 / p.points, 1, p.points), _bets(ROUNDS)
    best = [float(static_cvar_finite(problem.replace(objective=CVaR(float(t))), certify=False).value[0]) for t in taus]
    table = {"tau": taus, "bound": np.array(best)}
    for name in ("averse", "careful", "neutral"):
        table[name] = np.array([cvar(_shown()[name], float(t)) for t in taus])
    return table


def figure_targets(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Targets of G3: how far from them the agent and plans of 12 and 16 steps are."""
    plans = {f"plan_{n}": -_plan(generate_returns_grid, n, tuple(TARGETS))[0] for n in (12, PUBLISHED_STEPS)}
    return {"target": TARGETS, "agent": AGENT_ERRORS} | plans


def figure_halves(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns that plans reach on G4 for each target, by the number of decisions."""
    decisions = np.arange(3, PUBLISHED_STEPS + 1)
    reached = np.array([_plan(halving_grid, int(n), tuple(HALVES))[2] for n in decisions]).T
    return {"decisions": decisions} | {f"target_{k}": returns for k, returns in enumerate(reached)}


def figure_risk(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Optimal CVaR of G5 and OCVaR of G7 by level, with what safe and what deterministic policies have."""
    taus, gamma = np.linspace(1 / p.points, 1, p.points), 0.997
    averse, seeking = risk_averse_grid(horizon=6), risk_seeking_grid()
    laws = history_laws(seeking)
    columns = {"averse": [], "safe": [], "seeking": [], "deterministic": []}
    for tau in map(float, taus):
        columns["averse"].append(float(static_cvar_finite(averse.replace(objective=CVaR(tau)), certify=False).value[0]))
        columns["safe"].append(gamma**2)
        columns["seeking"].append(float(static_ocvar_finite(seeking.replace(objective=OCVaR(tau))).value[0]))
        columns["deterministic"].append(float(tail_means(laws, tau, upper=True).max()))
    return {"tau": taus} | {name: np.array(values) for name, values in columns.items()}


def figure_constraint(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Steps on G9 by the second return that is asked for: plans of both weights, the printed sign, the agent."""
    targets = np.array([-7.0, -6.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    agent = np.full(targets.size, np.nan)
    agent[-3:] = AGENT_STEPS
    plans = {
        f"plan_{alpha}": _plan(constraint_grid, p.steps, tuple(targets), alpha=float(alpha))[1] for alpha in (50, 500)
    }
    printed = _plan(constraint_grid, p.steps, tuple(targets), -1.0, alpha=500.0)[1]
    return {"target": targets, "agent": agent} | plans | {"printed": printed}


def figure_convergence(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Errors of value iteration, of its greedy policies and of policy iteration, with the bounds of both theorems."""
    n = np.arange(p.sweeps + 1)
    chain, lone, random = _chain(p.sweeps + 2), _constant("target"), _whole(rng, "target")
    found = {}
    for name, table in (("constant_reward", lone), ("random_problem", random)):
        found[name] = (_limit(table) - law_value_iteration(table, num_iters=p.sweeps).values).max(axis=(1, 2))
    run = law_policy_iteration(
        chain, np.zeros((chain.problem.S, WHOLE.size), dtype=int), num_iters=p.sweeps, num_sweeps=_LONG
    )
    found["policy_iteration"] = np.array([(_limit(chain) - _limit(chain, policy)).max() for policy in run.policies])
    bounds = [error_bounds(chain.problem, int(k)) for k in n]
    found |= {f"bound_{name}": np.array([bound[name] for bound in bounds]) for name in ("value", "greedy")}
    return {"n": n} | found


BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"


def draw_laws(ax, table: dict[str, np.ndarray]) -> None:
    """One row of bars for each objective, the mean as a triangle below."""
    x, step = table["winnings"], 0.8
    ax.set_axisbelow(True)
    rows = (
        ("averse", r"CVaR, $\tau = 0.2$", BLUE),
        ("careful", r"CVaR, $\tau = 0.5$", GREEN),
        ("neutral", "mean", GREY),
        ("seeking", r"OCVaR, $\tau = 0.1$", ORANGE),
    )
    for k, (name, label, colour) in enumerate(rows):
        mass, base = table[name], -k * step
        ax.bar(x, mass, bottom=base, width=0.8, color=colour)
        ax.axhline(base, color=colour, linewidth=0.8)
        ax.plot(x @ mass, base - 0.05, marker="^", color=colour, markersize=6)
        ax.text(x[0] - 0.6, base + 0.12, label, color=colour, fontsize=10, ha="left")
    ax.set(xlabel="winnings", yticks=[], ylim=(-3 * step - 0.12, None))
    ax.set_ylabel("probability, one row an objective")
    ax.grid(visible=False, axis="y")


def draw_targets(ax, table: dict[str, np.ndarray]) -> None:
    """Errors on a logarithmic axis; what the published table rounds to zero hangs at half a unit."""
    at = np.arange(table["target"].size)
    ax.set_axisbelow(True)
    ax.grid(visible=False, axis="x")
    for k, (name, label, colour) in enumerate(
        (
            ("agent", "published agent", GREY),
            ("plan_12", "plan, 12 steps", BLUE),
            ("plan_16", "plan, 16 steps", ORANGE),
        )
    ):
        ax.bar(at + 0.27 * (k - 1), np.maximum(table[name], 1e-4), width=0.25, color=colour, label=label)
    zero = np.flatnonzero(table["agent"] == 0)
    ax.plot(at[zero] - 0.27, np.full(zero.size, 5e-3), marker="v", color=GREY, linestyle="", markersize=6)
    ax.set(xlabel="target return", ylabel="distance from it", yscale="log", ylim=(1e-4, 1))
    ax.set_xticks(at, [f"{target:g}".replace("-", "\u2212") for target in table["target"]])
    ax.legend(loc="upper center", ncols=3)


def draw_risk(ax, table: dict[str, np.ndarray]) -> None:
    """Both grids on one axis of levels."""
    tau = table["tau"]
    ax.plot(tau, table["safe"], color=BLUE, linestyle=":", linewidth=1.2, label="G5, safe end")
    ax.plot(tau, table["averse"], color=BLUE, linewidth=2.2, label="G5, best CVaR")
    ax.plot(tau, table["deterministic"], color=ORANGE, linestyle="--", linewidth=1.2, label="G7, without mixing")
    ax.plot(tau, table["seeking"], color=ORANGE, linewidth=2.2, label="G7, best OCVaR")
    ax.errorbar([0.99], [2.6], yerr=[0.485], color=GREY, marker="o", capsize=3, linestyle="", label="G7, agent")
    ax.set(xlabel="level $\\tau$", ylabel="CVaR or OCVaR", xlim=(0, 1.02))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.27), fontsize=8)


def draw_constraint(ax, table: dict[str, np.ndarray]) -> None:
    """Steps by target."""
    at = np.arange(table["target"].size)
    for name, label, colour, marker, size in (
        ("printed", "plan, printed sign", PINK, "x", 7),
        ("plan_500", "plan, $\\alpha = 500$", BLUE, "s", 8),
        ("plan_50", "plan, $\\alpha = 50$", ORANGE, "o", 5),
        ("agent", "published agent", GREY, "D", 6),
    ):
        ax.plot(at, table[name], color=colour, marker=marker, markersize=size, linestyle="", label=label)
    ax.set(xlabel="second return asked for", ylabel="steps to the end", ylim=(0, None))
    ax.set_xticks(at, [f"{target:g}".replace("-", "\u2212") for target in table["target"]])
    ax.legend(loc="lower right")
