r"""Chow, Tamar, Mannor, Pavone (NIPS 2015): CVaR by dynamic programming over states and levels, and as robustness.

From memory and the abstract; the paper's text was not read, its costs are rewards here. An adversary splits the level
of CVaR among the successors of a state, and her budget of perturbations is what is left of 1 / y. For a fixed policy
both readings are right, and the operator contracts by gamma. That value iteration, with the maximum over actions inside
the split, finds the optimal CVaR is false: it compares for each split the best policy for that split, and promises -2/3
on an instance of two steps whose best policy has -1 (derived). The failure was published by Hau, Delage, Ghavamzadeh,
Petrik (2023), "On dynamic programming decompositions of static risk measures".

Derived here: what value iteration finds is an upper bound; the error of interpolating y V(s, y) between levels is at
most a quarter of the largest distance of levels times the discounted sum of the spreads of the returns to go, and one
coin attains it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from mdplab.algorithms.distributional import (
    cvar_evaluation,
    cvar_value_iteration,
    interpolated_backup,
    interpolated_value_iteration,
)
from mdplab.algorithms.distributional.cvar_decomposition import tail_integral, worst_split
from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact.stock.brute_force import history_laws, tail_means
from mdplab.instances.stock_grids import chow_gap
from mdplab.models import MDP, CVaR, FiniteLaw, Outcomes, StockMDP, cvar

LEVELS = (0.1, 0.25, 0.5, 0.8)


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `problems` a replicate, decisions `horizon`, `points` of figures, `nodes` of the finest grid."""

    states: int
    problems: int
    horizon: int
    points: int
    nodes: int


def _problem(p: Params, rng: np.random.Generator, actions: int = 2, horizon: int | None = None) -> StockMDP:
    """Random transitions, rewards by next state from 0 to 3, start in state 0."""
    S = p.states
    P, R = rng.dirichlet(np.ones(S), (S, actions)), rng.integers(0, 4, (S, actions, S)).astype(float)
    mdp = MDP(P, R, float(rng.choice([0.7, 1.0])), horizon=p.horizon if horizon is None else horizon)
    return StockMDP(mdp, CVaR(0.5), start=0)


def _moves(problem: StockMDP, policy: np.ndarray, s: int) -> list[tuple[int, float, float]]:
    """(next state, reward, probability) from s under a policy (S, A), action by action."""
    rows = [(a, *row) for a in np.flatnonzero(policy[s]) for row in zip(*problem.outcomes.row(s, a), strict=True)]
    return [(int(to), r, policy[s, a] * q) for a, to, r, q in rows]


def _law(problem: StockMDP, policy: np.ndarray, s: int, left: int) -> FiniteLaw:
    """Law of the return of a stationary policy (S, A) from state s, path by path."""

    def paths(s: int, left: int) -> list[tuple[float, float]]:
        if left == 0:
            return [(0.0, 1.0)]
        moves = _moves(problem, policy, s)
        return [(r + problem.gamma * x, q * w) for to, r, q in moves for x, w in paths(to, left - 1)]

    x, w = np.array(paths(s, left)).T
    return FiniteLaw.of(x, w, merge=1e-12)


def _split_program(problem: StockMDP, policy: np.ndarray, level: float) -> float:
    """The adversary's linear program at the first step: min sum q (r y + gamma g(y)) / level, sum q y = level.

    Each g is the maximum of its lines, the one of atom k with slope x_k through the mass and the integral below it.
    """
    to, reward, weight = (np.array(column) for column in zip(*_moves(problem, policy, 0), strict=True))
    laws = [_law(problem, policy, t, problem.horizon - 1) for t in to]
    n = len(laws)
    lines, right = [], []
    for i, law in enumerate(laws):
        mass, integral = np.cumsum(law.p) - law.p, np.cumsum(law.p * law.x) - law.p * law.x
        for x, m, b in zip(law.x, mass, integral, strict=True):
            line = np.zeros(2 * n)
            line[i], line[n + i] = x, -1.0
            lines.append(line)
            right.append(x * m - b)
    cost = np.concatenate([weight * reward, weight * problem.gamma])
    equal = np.concatenate([weight, np.zeros(n)])[None]
    bounds = [(0, 1)] * n + [(None, None)] * n
    answer = linprog(cost, A_ub=np.array(lines), b_ub=right, A_eq=equal, b_eq=[level], bounds=bounds)
    return answer.fun / level


def _decomposition(p: Params, rng: np.random.Generator, how: str = "split") -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        problem = _problem(p, rng)
        policy = rng.dirichlet(np.ones(2), p.states)
        truth = _law(problem, policy, 0, p.horizon)
        run = cvar_evaluation(problem.mdp, policy, outcomes=problem.outcomes)
        for y in LEVELS:
            kept = _unsplit(problem, policy, y, reset=how == "reset")
            left += [_split_program(problem, policy, y) if how == "split" else kept, run.value(0, y)]
            right += [cvar(truth, y)] * 2
    # Tolerance of the linear program, divided by the least level.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-7))


def _unsplit(problem: StockMDP, policy: np.ndarray, level: float, reset: bool) -> float:
    """Every successor at the same level: with the nominal row, or with the worst row at that level (`reset`)."""
    moves = _moves(problem, policy, 0)
    tails = [cvar(_law(problem, policy, to, problem.horizon - 1), level) for to, _, _ in moves]
    x = [r + problem.gamma * tail for (_, r, _), tail in zip(moves, tails, strict=True)]
    law = FiniteLaw.of(x, [q for _, _, q in moves])
    return cvar(law, level) if reset else law.mean


@claim(
    "CVaR decomposition",
    r"\mathrm{CVaR}_y(G) = \min\Big\{ \sum_t P(t)\, \xi(t)\, \mathrm{CVaR}_{y\xi(t)}(r + \gamma G_t) :"
    r"0 \le \xi \le 1/y,\ \sum_t P(t) \xi(t) = 1 \Big\}",
    relation=Identity(),
    assumptions=("a fixed policy",),
    falsifiers={
        "level_kept": variant(_decomposition, "No split: all successors keep the level.", "kept"),
        "level_reset": variant(_decomposition, "Worst row at level y, then the level y again: nested CVaR.", "reset"),
    },
    words="CVaR of a policy's return is a game in which an adversary splits the level among the successors.",
    title="Decomposition for a fixed policy",
)
def decomposition(p: Params, rng: np.random.Generator) -> Evidence:
    """The adversary's linear program and the recursion of all levels, both against the law of all paths."""
    return _decomposition(p, rng)


def _best(problem: StockMDP, levels: tuple[float, ...] = LEVELS) -> list[float]:
    """Optimal CVaR at each level over all history-dependent policies."""
    laws = history_laws(problem)
    return [float(tail_means(laws, y).max()) for y in levels]


def _promise(p: Params, rng: np.random.Generator, actions: int = 2, horizon: int | None = None, what: str = "cvar"):
    promised, best, attained = [], [], []
    problems = [_problem(p, rng, actions, horizon) for _ in range(p.problems)]
    if actions == 2 and horizon is None:
        problems += [_two_lotteries(rng) for _ in range(p.problems)] + [chow_gap()]
    for problem in problems:
        run = cvar_value_iteration(problem.mdp, outcomes=problem.outcomes)
        best += _best(problem, (1.0,) * len(LEVELS) if what == "mean" else LEVELS)
        promised += [run.value(0, y) for y in LEVELS]
        attained += [cvar(run.attained(0, y), y) for y in LEVELS]
    return np.array(promised), np.array(best), np.array(attained)


def _optimal(p: Params, rng: np.random.Generator, **options) -> Evidence:
    promised, best, _ = _promise(p, rng, **options)
    # Atoms merge within 1e-11 of their size.
    return Evidence(left=promised, right=best, tolerance=np.full(best.size, 1e-9))


@claim(
    "CVaR value iteration, optimality as stated",
    r"V(x, y) = \max_a \min_\xi \sum_t P(t)\, \xi(t) (r + \gamma V(t, y\xi(t))) = \max_\pi \mathrm{CVaR}_y(G^\pi)",
    relation=Identity(),
    falsifiers={"mean": variant(_optimal, "The best mean in place of the best CVaR.", what="mean")},
    controls={
        "one_step": variant(_optimal, "A single decision: nothing to split.", horizon=1),
        "one_action": variant(_optimal, "A single action: no maximum.", actions=1),
    },
    lemmas=("chow2015:maximum_inside",),
    words="The fixed point of CVaR value iteration would be the optimal CVaR.",
    title="Value iteration is not optimal",
)
def value_iteration_optimal(p: Params, rng: np.random.Generator) -> Evidence:
    """Value iteration without interpolation against all history-dependent policies; among the problems the witness."""
    return _optimal(p, rng)


def _upper(p: Params, rng: np.random.Generator, other: str = "promised") -> Evidence:
    promised, best, attained = _promise(p, rng)
    bound = {"promised": promised, "attained": attained, "mirrored": 2 * best - promised}[other]
    # Moved by 3 for the sake of ratios; atoms merge.
    return Evidence(measured=best + 3, bound=bound + 3 + 1e-9)


@claim(
    "CVaR value iteration, what holds (derived)",
    r"\max_\pi \mathrm{CVaR}_y(G^\pi) \le \max_a \min_\xi \sum_t P(t)\, \xi(t) (r + \gamma V(t, y\xi(t)))",
    relation=Bound(),
    falsifiers={
        "attained": variant(_upper, "The CVaR that the method's own policy attains.", "attained"),
        "mirrored": variant(_upper, "As far below the optimum as the bound is above.", "mirrored"),
    },
    words="With the maximum inside the split, value iteration promises at least what the best policy has.",
    title="An upper bound",
)
def upper_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """All history-dependent policies against value iteration, random problems and the witness."""
    return _upper(p, rng)


def _contraction(p: Params, rng: np.random.Generator, power: float = 1.0, reduce=np.max) -> Evidence:
    measured, bound = [], []
    for k in range(p.problems):
        problem = _problem(p, rng)
        mdp = problem.mdp.replace(horizon=None, gamma=0.8)
        nodes = np.sort(np.append(rng.random(6), 1.0))
        v, w = (
            np.array([[cvar(FiniteLaw.of(row, np.full(5, 0.2)), y) for y in nodes] for row in rng.normal(size=(S, 5))])
            for S in (p.states, p.states)
        )
        w = v + 1.0 if k == 0 else w
        one, other = (interpolated_backup(mdp, nodes, x, reduce=reduce) for x in (v, w))
        measured.append(np.abs(one - other).max())
        # Roundings of a sort and two sums.
        bound.append(mdp.gamma**power * np.abs(v - w).max() + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Contraction of the CVaR Bellman operator",
    r"\sup_{x, y} |T V - T W| \le \gamma \sup_{x, y} |V - W|",
    relation=Bound(),
    assumptions=(r"$y V(x, y)$ convex in $y$", r"$y V(x, y)$ linear between levels of a grid"),
    falsifiers={
        "squared": variant(_contraction, "Modulus gamma squared.", power=2.0),
        "summed": variant(_contraction, "The sum over actions in place of the maximum.", reduce=np.sum),
    },
    words="CVaR value iteration converges geometrically, with interpolation too.",
    title="Contraction",
)
def contraction(p: Params, rng: np.random.Generator) -> Evidence:
    """Random tails and a shift, on random grids of levels."""
    return _contraction(p, rng)


def _coin() -> StockMDP:
    """One decision, worth 1 or -1 evenly."""
    mdp = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[[0, 1.0, -1.0]], [[0, 0, 0]], [[0, 0, 0]]], 1.0, horizon=1)
    return StockMDP(mdp, CVaR(0.5), start=0)


def _error(problem: StockMDP, n: int) -> float:
    """Largest difference of y V(0, y), between levels 1 / n, ..., 1 and exact: at one of these or at an exact kink."""
    mdp, nodes = problem.mdp, np.arange(1, n + 1) / n
    exact = cvar_value_iteration(mdp, outcomes=problem.outcomes).laws[0][0]
    v = interpolated_value_iteration(mdp, nodes, num_iters=mdp.horizon, outcomes=problem.outcomes)[-1][0]
    y = np.concatenate([nodes, np.cumsum(exact.p)[:-1]])
    line = np.interp(y, np.append(0.0, nodes), np.append(0.0, nodes * v))
    return float(np.abs(line - tail_integral(exact, y)).max())


def _room(problem: StockMDP, width: float, share: float, power: float) -> float:
    """share width^power sum_k gamma^k R_{H - k}: R_n the spread of returns of n decisions."""
    rewards, H, gamma = problem.outcomes.reward, problem.horizon, problem.gamma
    spreads = [np.ptp(rewards) * sum(gamma**i for i in range(n)) for n in range(H + 1)]
    return share * width**power * sum(gamma**k * spreads[H - k] for k in range(H))


def _interpolation(p: Params, rng: np.random.Generator, share: float = 0.25, power: float = 1.0) -> Evidence:
    measured, bound = [], []
    for problem in [_coin()] + [_problem(p, rng) for _ in range(p.problems)]:
        for n in (1, 3, 7, 15):
            measured.append(_error(problem, n))
            # Merged atoms.
            bound.append(_room(problem, 1 / n, share, power) + 1e-10)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Interpolation error (derived)",
    r"\sup_y |y \hat V(x, y) - y V(x, y)| \le \tfrac14 \max_i (y_{i+1} - y_i) \sum_{k<H} \gamma^k R_{H-k}",
    relation=Bound(),
    assumptions=("$R_n$ bounds the spread of the returns of $n$ decisions",),
    falsifiers={
        "eighth": variant(_interpolation, "An eighth in place of a quarter.", share=0.125),
        "second_order": variant(_interpolation, "The square of the distance, as for smooth functions.", power=2.0),
    },
    lemmas=("chow2015:interpolation",),
    words="Interpolating between levels costs an error of first order in their distance, kinks being what they are.",
    title="Error of interpolation",
)
def interpolation(p: Params, rng: np.random.Generator) -> Evidence:
    """1, 3, 7 and 15 levels, one coin and random problems, at all kinks."""
    return _interpolation(p, rng)


def _perturbed(problem: StockMDP, run, policy: np.ndarray, s: int, level: float, cap: float | None, t: int = 0):
    """Mean return, and largest product of perturbations on a path, when the adversary tilts every step.

    With `cap` None she splits the level that is left; otherwise every step has the worst row of that cap by itself.
    """
    if t == problem.horizon:
        return 0.0, 1.0
    moves = _moves(problem, policy, s)
    weight = np.array([q for _, _, q in moves])
    if cap is None:
        tails = [run.laws[t + 1][to] for to, _, _ in moves]
        atoms = [r + problem.gamma * law.x for (_, r, _), law in zip(moves, tails, strict=True)]
        levels = worst_split(atoms, [law.p for law in tails], weight, level)
        tilt = levels / level
        below = [
            _perturbed(problem, run, policy, to, y, None, t + 1) if y > 0 else (0.0, 0.0)
            for (to, _, _), y in zip(moves, levels, strict=True)
        ]
    else:
        below = [_perturbed(problem, run, policy, to, level, cap, t + 1) for to, _, _ in moves]
        value = np.array([r + problem.gamma * x for (_, r, _), (x, _) in zip(moves, below, strict=True)])
        order = np.argsort(value, kind="stable")
        before = np.cumsum(weight[order]) - weight[order]
        tilt = np.empty(weight.size)
        tilt[order] = np.clip(1 / cap - before, 0, weight[order]) * cap / weight[order]
    mean = sum(w * x * (r + problem.gamma * b[0]) for (_, r, w), x, b in zip(moves, tilt, below, strict=True))
    return float(mean), float(max(x * b[1] for x, b in zip(tilt, below, strict=True)))


def _budget(p: Params, rng: np.random.Generator, each: str = "") -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        problem = _problem(p, rng)
        policy = rng.dirichlet(np.ones(2), p.states)
        run = cvar_evaluation(problem.mdp, policy, outcomes=problem.outcomes)
        law = _law(problem, policy, 0, p.horizon)
        for y in LEVELS:
            cap = {"": None, "whole": 1 / y, "shared": y ** (-1 / p.horizon)}[each]
            mean, product = _perturbed(problem, run, policy, 0, y, cap)
            # The product is at most 1 / y, and that where some path is wholly in the tail.
            left += [mean, max(product * y, 1.0)]
            right += [cvar(law, y), 1.0]
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "CVaR as robustness to a budget of perturbations (recalled)",
    r"\mathrm{CVaR}_y(G) = \min\{ E_{\hat P}\, G : \hat P = \delta P,\ \textstyle\prod_t \delta_t \le 1/y \}",
    relation=Identity(),
    assumptions=("a fixed policy", "perturbations may depend on the history"),
    falsifiers={
        "whole_each_step": variant(_budget, "The whole budget 1 / y at each step: nested CVaR.", "whole"),
        "shared_evenly": variant(_budget, "The H-th root of the budget at each step.", "shared"),
    },
    words="CVaR is the mean return in the worst model whose perturbations multiply to at most 1 / y along a path.",
    title="Risk is robustness with a budget",
)
def perturbation_budget(p: Params, rng: np.random.Generator) -> Evidence:
    """Mean return under the tilts of the worst splits, and their products along paths, against the law of all paths."""
    return _budget(p, rng)


def _two_lotteries(rng: np.random.Generator) -> StockMDP:
    """The witness at random: two branches evenly, in each a choice of two lotteries of three outcomes."""
    indptr, to = [0, 2, 4, 7, 10, 13, 16, 17, 18], [1, 2, 1, 2, *[3] * 14]
    reward = np.concatenate([np.zeros(4), rng.uniform(-2, 2, 12), np.zeros(2)])
    prob = np.concatenate([np.full(4, 0.5), rng.dirichlet(np.ones(3), 4).ravel(), np.ones(2)])
    out = Outcomes(indptr, to, reward, prob, 4, 2)
    mdp = MDP(out.kernel().toarray().reshape(4, 2, 4), out.mean_reward(), 1.0, horizon=2)
    return StockMDP(mdp, CVaR(0.5), outcomes=out, start=0)


def figure_overestimate(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Optimal CVaR at level 1/2, what value iteration promises, what its policy has; last the witness."""
    columns = {"best": [], "promised": [], "attained": []}
    for problem in [_two_lotteries(rng) for _ in range(p.points)] + [chow_gap()]:
        run = cvar_value_iteration(problem.mdp, outcomes=problem.outcomes)
        columns["best"] += _best(problem, (0.5,))
        columns["promised"].append(run.value(0, 0.5))
        columns["attained"].append(cvar(run.attained(0, 0.5), 0.5))
    return {name: np.array(values) for name, values in columns.items()}


def draw_overestimate(ax, table: dict[str, np.ndarray]) -> None:
    """Differences from the optimum; the witness as a star."""
    best = table["best"]
    ax.axhline(0, color="black", linestyle="--", linewidth=1)
    for name, colour, label in (
        ("promised", "#D55E00", "promised by value iteration"),
        ("attained", "#0072B2", "attained by its policy"),
    ):
        off = table[name] - best
        ax.plot(best[:-1], off[:-1], color=colour, marker="o", markersize=3, linestyle="", label=label)
        ax.plot(best[-1:], off[-1:], color=colour, marker="*", markersize=13, linestyle="", markeredgecolor="black")
    at = (best[-1], table["promised"][-1] - best[-1])
    ax.annotate("witness: $-2/3$ for $-1$", at, (8, -3), textcoords="offset points", fontsize=9)
    ax.set(xlabel="optimal $\\mathrm{CVaR}_{1/2}$", ylabel="difference from it")
    ax.legend(loc="upper right")


def figure_nodes(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Interpolation error and its bound against the number of levels, largest over random problems."""
    problems = [_problem(p, rng) for _ in range(p.problems)]
    # Odd, so that the coin's kink is never a level.
    sizes = np.unique(np.geomspace(1, p.nodes, 9).astype(int) // 2 * 2 + 1)
    error = [max(_error(problem, n) for problem in problems) for n in sizes]
    coin = [_error(_coin(), n) for n in sizes]
    bound = [max(_room(problem, 1 / n, 0.25, 1.0) for problem in problems) for n in sizes]
    coin_bound = [_room(_coin(), 1 / n, 0.25, 1.0) for n in sizes]
    table = {"nodes": sizes, "error": error, "coin": coin, "bound": bound, "bound_coin": coin_bound}
    return {name: np.array(values) for name, values in table.items()}
