r"""Baeuerle, Ott (2011): average value at risk of the discounted return, by an ordinary MDP with a larger state.

From memory and the abstract; the paper's text was not read, its costs are rewards here and its AVaR is the lower CVaR.
`CVaR_tau(G) = max_c { -c + E min(c + G, 0) / tau }`, so the best policy has the largest `U(c) = -c + v(c) / tau`, v the
best expected utility with f = min(x, 0), which depends on the past only through the stock, `(c + r) / gamma` after a
reward r. Over an infinite horizon the recursion converges geometrically to a value that a stationary policy on states
with stock attains. The example of the figures is a repeated bet, as in the paper's last section.

Derived here: the constant of the geometric bound, attained by a constant reward; with gamma = 1/2 and whole rewards the
whole stocks between -2 max|r| and 2 max|r| are closed, beyond them the sign of c + G is settled, and the infinite
horizon is a finite problem without rounding of the stock; the outer objective is no concave function.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mdplab.algorithms.distributional import cvar_evaluation
from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact.stock.brute_force import HistoryLaws, history_laws, tail_means
from mdplab.exact.stock.finite_static import static_cvar_finite
from mdplab.instances.stock_grids import random_stock
from mdplab.models import MDP, CVaR, Outcomes, StockMDP, cvar

LEVELS = (0.1, 0.25, 0.4, 0.7)


@dataclass(frozen=True)
class Params:
    """Sizes: `problems` a replicate, `stocks` tried in each, `steps` of iteration, `points` and `rounds` drawn."""

    problems: int
    stocks: int
    steps: int
    points: int
    rounds: int


def _problems(p: Params, rng: np.random.Generator) -> list[StockMDP]:
    """Two states, two actions, three decisions; undiscounted every other time."""
    return [random_stock(int(rng.integers(2**31)), gamma=(1.0, 0.7)[k % 2]) for k in range(p.problems)]


def _without_stock(problem: StockMDP, tau: float) -> float:
    """The best CVaR of policies that see state and time alone."""
    mdp, best = problem.mdp, -np.inf
    for choice in product(range(mdp.A), repeat=mdp.S * mdp.horizon):
        policy = np.eye(mdp.A)[np.reshape(choice, (mdp.horizon, mdp.S))]
        best = max(best, cvar_evaluation(mdp, policy, outcomes=problem.outcomes).value(problem.start, tau))
    return best


def _suffices(p: Params, rng: np.random.Generator, by: str = "stock") -> Evidence:
    left, right = [], []
    # Stopping after a win is what makes three bets worth their risk at this level.
    for problem, levels in [(problem, LEVELS) for problem in _problems(p, rng)] + [(_bets(3), (0.6,))]:
        laws = history_laws(problem)
        # The falsifier without a stock tries all policies: one level a problem is enough.
        for tau in levels if by != "time" else levels[-1:]:
            if by == "time":
                found = _without_stock(problem, tau)
            else:
                found = float(static_cvar_finite(problem.replace(objective=CVaR(tau))).value[0])
            if by == "mean":
                # The best reply to the stock that suits the mean.
                c0 = -float((laws.masses @ laws.support).max())
                utility = laws.masses @ np.minimum(c0 + laws.support, 0.0)
                found = float(tail_means(laws, tau)[int(np.argmax(utility))])
            left.append(found)
            right.append(float(tail_means(laws, tau).max()))
    # Returns within 1e-11 of their size are one.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "Reduction to an MDP with extended state",
    r"\max_{\pi \text{ of the history}} \mathrm{CVaR}_\tau(G^\pi) ="
    r"\max_{\pi \text{ of state, stock, time}} \mathrm{CVaR}_\tau(G^\pi)",
    relation=Identity(),
    falsifiers={
        "without_stock": variant(_suffices, "Policies of state and time alone.", "time"),
        "stock_of_the_mean": variant(_suffices, "The stock minus the best mean in place of the best stock.", "mean"),
    },
    lemmas=("bauerle2011:stock_needed", "pires2025:stock_identity"),
    words="For CVaR the past matters through one number, what was gathered so far, and through no less.",
    title="The stock suffices, and is needed",
)
def stock_suffices(p: Params, rng: np.random.Generator) -> Evidence:
    """Best initial stock and best reply, by the law of that policy, against all history-dependent policies."""
    return _suffices(p, rng)


def _utility(problem: StockMDP, n: int, s: int, c: float, factor: float, rescale: float) -> float:
    """v_n(s, c) = max_a factor E v_{n-1}(s', (c + r) / rescale), v_0 = min(c, 0)."""
    if n == 0:
        return min(c, 0.0)
    values = []
    for a in range(problem.A):
        row = zip(*problem.outcomes.row(s, a), strict=True)
        values.append(sum(q * _utility(problem, n - 1, int(t), (c + r) / rescale, factor, rescale) for t, r, q in row))
    return factor * max(values)


def _recursion(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for problem in _problems(p, rng):
        problem = problem.replace(mdp=problem.mdp.replace(gamma=0.7))
        laws, gamma = history_laws(problem), problem.gamma
        for c in rng.uniform(-4, 2, p.stocks):
            factor, rescale = 1.0 if flaw == "factor" else gamma, 1.0 if flaw == "rescale" else gamma
            left.append(_utility(problem, problem.horizon, 0, float(c), factor, rescale))
            right.append(float((laws.masses @ np.minimum(c + laws.support, 0.0)).max()))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "Value iteration on states with stock",
    r"v_n(s, c) = \max_a \gamma\, E\, v_{n-1}\big(s', (c + r)/\gamma\big),\ v_0 = \min(c, 0);"
    r"\quad v_n(s, c) = \max_\pi E \min(c + G_n^\pi, 0)",
    relation=Identity(),
    falsifiers={
        "stock_not_rescaled": variant(_recursion, "The next stock is c + r.", "rescale"),
        "value_not_discounted": variant(_recursion, "No factor gamma before the expectation.", "factor"),
    },
    lemmas=("pires2025:bellman",),
    words="The expected shortfall of stock plus return obeys a Bellman recursion in state and stock.",
    title="The recursion",
)
def recursion(p: Params, rng: np.random.Generator) -> Evidence:
    """The recursion at random stocks against all history-dependent policies."""
    return _recursion(p, rng)


def _objective(laws: HistoryLaws, c: np.ndarray, tau: float) -> np.ndarray:
    """U at stocks c (k,): the best expected utility of any policy, less the stock."""
    return (laws.masses @ np.minimum(c + laws.support[:, None], 0.0)).max(axis=0) / tau - c


def _outer(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for problem in _problems(p, rng):
        laws = history_laws(problem)
        tried = np.append(rng.uniform(-10, 10, p.stocks), -laws.support)
        for tau in LEVELS:
            best = float(tail_means(laws, tau).max())
            if flaw == "sign":
                measured.append(best)
                bound.append(_objective(laws, laws.support, tau).max())
            else:
                measured.append(_objective(laws, tried, 1.0 if flaw == "level" else tau).max())
                bound.append(best)
    # Moved by 7, above the worst return, so that ratios mean something.
    return Evidence(measured=np.array(measured) + 7, bound=np.array(bound) + 7 + 1e-9)


@claim(
    "Outer problem in the stock",
    r"\max_c \Big\{ -c + \tfrac1\tau \max_\pi E \min(c + G^\pi, 0) \Big\} = \max_\pi \mathrm{CVaR}_\tau(G^\pi),"
    r"\quad \text{attained at } c = -x,\ x \text{ a possible return}",
    relation=Bound(),
    falsifiers={
        "wrong_sign": variant(_outer, "Stocks +x in place of -x reach the optimum.", "sign"),
        "no_level": variant(_outer, "The expected utility is not divided by the level.", "level"),
    },
    lemmas=("rockafellar2000:strong_duality", "bauerle2011:outer_not_concave"),
    words="No initial stock promises more than the best CVaR, and minus some possible return promises just that.",
    title="Outer problem",
)
def outer_problem(p: Params, rng: np.random.Generator) -> Evidence:
    """The objective at random stocks and at all minus returns, against all history-dependent policies."""
    return _outer(p, rng)


class _Halving:
    """gamma = 1/2 and whole rewards: v_n on all states and whole stocks in (-g, g), exact but for float sums."""

    def __init__(self, P: np.ndarray, R: np.ndarray) -> None:
        """P, R (S, A, S); R whole numbers."""
        self.P, self.R = P, R
        self.g = 2 * int(np.abs(R).max())
        self.c = np.arange(-self.g, self.g + 1)
        self.v, self.best = np.tile(np.minimum(self.c, 0.0), (P.shape[0], 1)), np.zeros(P.shape[0])
        self.q: np.ndarray | None = None

    def step(self, choice: np.ndarray | None = None) -> np.ndarray:
        """v_n from v_{n-1}, (S, 2 g + 1); with `choice` (S, 2 g + 1) for that policy, else for the best action."""
        after = 2 * (self.c[None, None, None] + self.R[..., None].astype(int))
        # Beyond g the sign of c + G is settled: nothing is lost above, and below the risk-neutral value is added.
        inside = np.take_along_axis(self.v[None, None], np.clip(after + self.g, 0, 2 * self.g), axis=3)
        settled = np.where(after >= self.g, 0.0, after + self.best[None, None, :, None])
        ahead = np.where(np.abs(after) < self.g, inside, settled)
        self.q = 0.5 * np.einsum("sat,satc->sac", self.P, ahead)
        self.best = np.einsum("sat,sat->sa", self.P, self.R + 0.5 * self.best).max(axis=1)
        if choice is None:
            self.v = self.q.max(axis=1)
        else:
            self.v = np.take_along_axis(self.q, choice[:, None], axis=1)[:, 0]
        # The ends belong to what is settled.
        self.v[:, 0], self.v[:, -1] = -self.g + self.best, 0.0
        return self.v


def _whole(rng: np.random.Generator, constant: bool = False) -> _Halving:
    if constant:
        return _Halving(np.ones((1, 1, 1)), np.ones((1, 1, 1)))
    return _Halving(rng.dirichlet(np.ones(3), (3, 2)), rng.integers(-2, 3, (3, 2, 3)).astype(float))


# 2^-70 times 2 max|r| is far below the last digit of every value.
_LONG = 70


def _convergence(p: Params, rng: np.random.Generator, power: float = 1.0, whole: float = 2.0) -> Evidence:
    measured, bound = [], []
    for k in range(p.problems):
        state = rng.bit_generator.state
        long = _whole(rng, constant=k == 0)
        for _ in range(_LONG):
            limit = long.step()
        rng.bit_generator.state = state
        short = _whole(rng, constant=k == 0)
        for n in range(1, p.steps + 1):
            measured.append(np.abs(short.step() - limit).max())
            # 1 / (1 - gamma) = 2; 1e-14 for sums of three products.
            bound.append(0.5 ** (power * n) * whole * np.abs(short.R).max() + 1e-14)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Infinite horizon, convergence of value iteration (constant derived)",
    r"\sup_{s, c} |v_n(s, c) - v(s, c)| \le \gamma^n \max|r| / (1 - \gamma)",
    relation=Bound(),
    assumptions=(r"$\gamma = 1/2$, whole rewards and stocks",),
    falsifiers={
        "squared": variant(_convergence, "gamma to the power 2 n.", power=2.0),
        "no_horizon": variant(_convergence, "Without 1 / (1 - gamma).", whole=1.0),
    },
    words="What n rounds leave open is worth at most what the rounds after them can pay.",
    title="Geometric convergence",
)
def convergence(p: Params, rng: np.random.Generator) -> Evidence:
    """All iterates on the closed set of whole stocks; first a constant reward, which attains the bound."""
    return _convergence(p, rng)


def _stationary(p: Params, rng: np.random.Generator, blind: str = "") -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        problem = _whole(rng)
        for _ in range(_LONG):
            limit = problem.step()
        choice = problem.q.argmax(axis=1)
        if blind == "stock":
            choice = np.repeat(choice[:, [problem.g]], choice.shape[1], axis=1)
        elif blind == "reward":
            choice = np.repeat(problem.q[:, :, 1].argmax(axis=1)[:, None], choice.shape[1], axis=1)
        played = _Halving(problem.P, problem.R)
        for _ in range(_LONG):
            value = played.step(choice)
        left.append(value)
        right.append(limit)
    # Sums of three products, halved each time.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-12))


@claim(
    "Infinite horizon, stationary policies",
    r"v^{\pi}(s, c) = v(s, c) \ \text{ for } \pi(s, c) \in \arg\max_a \gamma\, E\, v\big(s', (c + r)/\gamma\big)",
    relation=Identity(),
    assumptions=(r"$\gamma = 1/2$, whole rewards and stocks",),
    falsifiers={
        "one_stock": variant(_stationary, "The choice at stock 0 for every stock.", "stock"),
        "risk_neutral": variant(_stationary, "The choice at the lowest stock, nearly risk-neutral.", "reward"),
    },
    words="One greedy policy on states with stock is optimal for every initial stock, without looking at the clock.",
    title="A stationary policy on states with stock",
)
def stationary_policy(p: Params, rng: np.random.Generator) -> Evidence:
    """The greedy policy of the limit, evaluated by its own iteration, against the limit at all states and stocks."""
    return _stationary(p, rng)


def _bets(rounds: int, win: float = 0.6) -> StockMDP:
    """A repeated bet of 0, 1 or 2 that pays as much again with probability `win`."""
    stakes = (0.0, 1.0, 2.0)
    rows = [(0.0, 1.0)] + [pair for stake in stakes[1:] for pair in ((stake, win), (-stake, 1 - win))]
    reward, prob = np.array(rows).T
    out = Outcomes([0, 1, 3, 5], np.zeros(5, dtype=int), reward, prob, 1, 3)
    return StockMDP(MDP(np.ones((1, 3, 1)), out.mean_reward(), 1.0, horizon=rounds), CVaR(0.5), outcomes=out, start=0)


def figure_frontier(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """CVaR against its level on the repeated bet: with stock, by time alone, and for the largest mean."""
    problem = _bets(p.rounds)
    bold = cvar_evaluation(problem.mdp, np.array([[0.0, 0.0, 1.0]]), outcomes=problem.outcomes).laws[0][0]
    taus = np.linspace(1 / p.points, 1, p.points)
    stock = [float(static_cvar_finite(problem.replace(objective=CVaR(float(tau)))).value[0]) for tau in taus]
    # One state, and rounds alike: only how often each stake is played matters.
    counts = [k for k in product(range(p.rounds + 1), repeat=2) if sum(k) <= p.rounds]
    plans = [np.eye(3)[np.repeat([1, 2, 0], [*k, p.rounds - sum(k)])][:, None] for k in counts]
    laws = [cvar_evaluation(problem.mdp, plan, outcomes=problem.outcomes).laws[0][0] for plan in plans]
    time = [max(cvar(law, float(tau)) for law in laws) for tau in taus]
    return {
        "tau": taus,
        "stock": np.array(stock),
        "time": np.array(time),
        "mean": np.array([cvar(bold, t) for t in taus]),
    }


def figure_outer(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The outer objective of the repeated bet over the initial stock, at three levels."""
    c, most = np.linspace(-1.2 * p.rounds, 0.2 * p.rounds, 3 * p.points), 2 * p.rounds
    columns = {"c0": c}
    for name, tau in (("low", 0.3), ("middle", 0.5), ("high", 0.8)):
        # Row k: winnings k - most; from 0 no round leads out of the range, so that wrapping around does no harm.
        value = np.minimum(c + np.arange(-most, most + 1)[:, None], 0.0)
        for _ in range(p.rounds):
            bets = [0.6 * np.roll(value, -k, axis=0) + 0.4 * np.roll(value, k, axis=0) for k in (1, 2)]
            value = np.max([value, *bets], axis=0)
        columns[name] = value[most] / tau - c
    return columns
