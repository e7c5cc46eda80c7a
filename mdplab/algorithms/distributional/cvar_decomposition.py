r"""Decomposition of CVaR over steps: dynamic programming on states and levels, exact and on a grid of levels.

For the return G of a policy, `g(y) = y CVaR_y(G)` is the integral of the quantile function over the lowest y of mass:
convex, piecewise linear, `g(0) = 0`, with the atoms of G as slopes and their masses as widths. An adversary splits the
level among successors,

    g_s(y) = min { sum_t P(t) (r_t y_t + gamma g_t(y_t)) :  sum_t P(t) y_t = y,  0 <= y_t <= 1 },

an infimal convolution, which sorts slopes: it is the law of the mixture, and the recursion is exact for a fixed policy.
Value iteration puts the maximum over actions inside, `g_s = max_a g_{s,a}` for each level. The maximum of convex
functions is convex, so every function of the recursion is `y CVaR_y` of some law with finitely many atoms, in general
of no policy: against the splits that come of it no single policy need have the value of each. What comes out is
an upper bound of the optimal CVaR, not the optimal CVaR.

Source: Chow, Tamar, Mannor, Pavone 2015, "Risk-sensitive and robust decision-making: a CVaR optimization approach"
(NIPS), Theorems on the decomposition and on value iteration, Algorithm 1 with its interpolation in y, from memory; that
the maximum inside overestimates is in the notes of the project with an exact instance, derived. Their method
interpolates `y V(s, y)` between levels; here also without interpolation. Cost of a stage: a sort of all atoms of the
successors for each row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models import MDP, FiniteLaw, Outcomes, cvar

# Atoms that a maximum or a mixture puts this close together, relative to the largest, are one.
_MERGE = 1e-12


@dataclass(frozen=True, eq=False, slots=True)
class TailRun:
    """Tails at every stage: `laws[t][s]` has `y CVaR_y` as its value function of the level y, t = 0, ..., H.

    Parameters
    ----------
    laws
        Of a policy's returns, or of the maximum inside.
    actions
        `actions[t][s]` maps each available action to its law, t = 0, ..., H - 1; empty for the evaluation of a policy.
    outcomes, gamma
        The problem.
    """

    laws: tuple[tuple[FiniteLaw, ...], ...]
    actions: tuple[tuple[dict[int, FiniteLaw], ...], ...]
    outcomes: Outcomes
    gamma: float

    def value(self, s: int, level: float, t: int = 0) -> float:
        """CVaR of the tail of state s at stage t."""
        return cvar(self.laws[t][s], level)

    def choice(self, t: int, s: int, level: float) -> int:
        """The first action that attains the maximum at a level; at level 0, of the largest worst case."""
        laws = self.actions[t][s]
        values = {a: law.x[0] if level <= _MERGE else cvar(law, min(level, 1.0)) for a, law in laws.items()}
        best = max(values.values())
        return next(a for a, value in values.items() if value >= best - 1e-12 * (1 + abs(best)))

    def attained(self, s: int, level: float) -> FiniteLaw:
        """The law of the return of the policy that carries the level: acts by `choice`, moves on by the worst split."""
        return self._followed(0, s, level)

    def _followed(self, t: int, s: int, level: float) -> FiniteLaw:
        if t == len(self.actions):
            return _NOTHING
        to, reward, prob = self.outcomes.row(s, self.choice(t, s, level))
        shifted = [r + self.gamma * self.laws[t + 1][k].x for k, r in zip(to, reward, strict=True)]
        shares = worst_split(shifted, [self.laws[t + 1][k].p for k in to], prob, level)
        below = [self._followed(t + 1, int(k), y) for k, y in zip(to, shares, strict=True)]
        return _mixed(below, reward, prob, self.gamma)


_NOTHING = FiniteLaw([0.0], [1.0])


def cvar_evaluation(
    mdp: MDP, policy: np.ndarray, *, horizon: int | None = None, outcomes: Outcomes | None = None
) -> TailRun:
    """Tails of the return of a fixed policy, by the decomposition: exact.

    Parameters
    ----------
    mdp : MDP
        Any gamma.
    policy : array (S, A), or (H, S, A)
        Probabilities.
    horizon : int, optional
        Number of decisions; the model's by default.
    outcomes : Outcomes, optional
        Joint law of reward and next state; that of the model by default.

    Raises
    ------
    ValueError
        No horizon, or a policy of another shape.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> run = cvar_evaluation(mdp, np.ones((2, 1)), horizon=3)
    >>> run.laws[0][0].x.tolist(), [run.value(0, y) for y in (0.25, 1.0)]
    ([0.0, 0.25, 0.75], [0.0, 0.4375])
    """
    out, H = _prepared(mdp, horizon, outcomes)
    policy = np.asarray(policy, dtype=np.float64)
    if policy.shape not in ((mdp.S, mdp.A), (H, mdp.S, mdp.A)):
        raise ValueError(f"policy has shape {policy.shape}; expected {(mdp.S, mdp.A)} or {(H, mdp.S, mdp.A)}")
    policy = np.broadcast_to(policy, (H, mdp.S, mdp.A))
    laws = [(_NOTHING,) * mdp.S]
    for t in range(H - 1, -1, -1):
        stage = []
        for s in range(mdp.S):
            taken = np.flatnonzero(policy[t, s])
            own = [_row_law(out, s, int(a), laws[0], mdp.gamma) for a in taken]
            stage.append(FiniteLaw.mixture(own, policy[t, s, taken], merge=_MERGE))
        laws.insert(0, tuple(stage))
    return TailRun(tuple(laws), (), out, mdp.gamma)


def cvar_value_iteration(mdp: MDP, *, horizon: int | None = None, outcomes: Outcomes | None = None) -> TailRun:
    """CVaR value iteration with the maximum inside, without interpolation: an upper bound of the optimal CVaR.

    Parameters are those of `cvar_evaluation`. `TailRun.value(s, level)` is the bound, and `TailRun.attained(s, level)`
    the law that the policy of the method really has.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=2)
    >>> cvar_value_iteration(mdp).value(0, 0.5)
    2.0
    """
    out, H = _prepared(mdp, horizon, outcomes)
    laws: list[tuple[FiniteLaw, ...]] = [(_NOTHING,) * mdp.S]
    actions = []
    for _ in range(H):
        options = tuple(
            {int(a): _row_law(out, s, int(a), laws[0], mdp.gamma) for a in np.flatnonzero(mdp.actions[s])}
            for s in range(mdp.S)
        )
        actions.insert(0, options)
        laws.insert(0, tuple(_envelope(list(option.values())) for option in options))
    return TailRun(tuple(laws), tuple(actions), out, mdp.gamma)


def interpolated_backup(
    mdp: MDP, nodes: np.ndarray, v: np.ndarray, *, outcomes: Outcomes | None = None, reduce: Callable = np.max
) -> np.ndarray:
    """One step of the method of the paper: levels on a grid, `y V(s, y)` linear between them.

    Parameters
    ----------
    mdp : MDP
    nodes : array (K,)
        Levels, increasing, from above 0 to 1.
    v : array (S, K)
        CVaR at the nodes; `y v(s, y)` convex in y. Below the first node v is taken to be constant.
    reduce : callable
        Over axis 0 of the actions' values (A, K).

    Returns
    -------
    array (S, K)

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> interpolated_backup(mdp, np.array([0.5, 1.0]), np.array([[0.0, 0.0], [2.0, 2.0]])).tolist()
    [[0.0, 0.5], [2.0, 2.0]]
    """
    nodes, width = _checked_nodes(nodes)
    out = Outcomes.of(mdp) if outcomes is None else outcomes
    slopes = np.diff(v * nodes, axis=1, prepend=0.0) / width
    new = np.empty((mdp.S, nodes.size))
    for s in range(mdp.S):
        rows = []
        for a in np.flatnonzero(mdp.actions[s]):
            to, reward, prob = out.row(s, int(a))
            x = (reward[:, None] + mdp.gamma * slopes[to]).ravel()
            order = np.argsort(x, kind="stable")
            mass = (prob[:, None] * width).ravel()[order]
            level, integral = np.append(0.0, np.cumsum(mass)), np.append(0.0, np.cumsum(mass * x[order]))
            rows.append(np.interp(nodes, level, integral) / nodes)
        new[s] = reduce(np.array(rows), axis=0)
    return new


def interpolated_value_iteration(
    mdp: MDP, nodes: np.ndarray, *, num_iters: int, outcomes: Outcomes | None = None
) -> np.ndarray:
    """All iterates (num_iters + 1, S, K) of `interpolated_backup` from 0.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> interpolated_value_iteration(mdp, np.array([0.25, 0.5, 1.0]), num_iters=40)[-1].round(6).tolist()
    [[0.166667, 0.333333, 0.666667], [2.0, 2.0, 2.0]]
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; expected at least 1")
    iterates = [np.zeros((mdp.S, np.size(nodes)))]
    out = Outcomes.of(mdp) if outcomes is None else outcomes
    for _ in range(num_iters):
        iterates.append(interpolated_backup(mdp, nodes, iterates[-1], outcomes=out))
    return np.array(iterates)


def _prepared(mdp: MDP, horizon: int | None, outcomes: Outcomes | None) -> tuple[Outcomes, int]:
    H = mdp.horizon if horizon is None else horizon
    if H is None or H < 1:
        raise ValueError(f"horizon is {H}; the tails of all levels need a number of decisions, at least 1")
    return (Outcomes.of(mdp) if outcomes is None else outcomes), H


def _checked_nodes(nodes: Any) -> tuple[np.ndarray, np.ndarray]:
    nodes = np.asarray(nodes, dtype=np.float64)
    width = np.diff(nodes, prepend=0.0)
    if nodes.ndim != 1 or not nodes.size or not (width > 0).all() or nodes[-1] != 1:
        raise ValueError("nodes is no increasing sequence of levels above 0 that ends with 1")
    return nodes, width


def _mixed(laws: list[FiniteLaw], reward: np.ndarray, prob: np.ndarray, gamma: float) -> FiniteLaw:
    x = np.concatenate([r + gamma * law.x for r, law in zip(reward, laws, strict=True)])
    return FiniteLaw.of(x, np.concatenate([p * law.p for p, law in zip(prob, laws, strict=True)]), merge=_MERGE)


def _row_law(out: Outcomes, s: int, a: int, after: tuple[FiniteLaw, ...], gamma: float) -> FiniteLaw:
    """The infimal convolution over the successors of a row, as a law."""
    to, reward, prob = out.row(s, a)
    return _mixed([after[k] for k in to], reward, prob, gamma)


def _envelope(laws: list[FiniteLaw]) -> FiniteLaw:
    """The law whose `y CVaR_y` is the maximum of theirs."""
    best = laws[0]
    for law in laws[1:]:
        best = _larger(best, law)
    return best


def _larger(one: FiniteLaw, other: FiniteLaw) -> FiniteLaw:
    grid = np.unique(np.concatenate([[0.0, 1.0], np.cumsum(one.p), np.cumsum(other.p)]).clip(0.0, 1.0))
    # Levels that differ by rounding alone would make intervals without a slope.
    grid = grid[np.append(np.diff(grid) > 1e-13, True)]
    grid[0] = 0.0
    lead = tail_integral(one, grid) - tail_integral(other, grid)
    left, right = lead[:-1], lead[1:]
    crossed = left * right < 0
    at = grid[:-1][crossed] + np.diff(grid)[crossed] * (left / np.where(crossed, left - right, 1.0))[crossed]
    grid = np.unique(np.concatenate([grid, at]))
    middle = (grid[:-1] + grid[1:]) / 2
    ahead = tail_integral(one, middle) >= tail_integral(other, middle)
    x = np.where(ahead, _slope(one, middle), _slope(other, middle))
    return FiniteLaw.of(x, np.diff(grid), merge=_MERGE)


def tail_integral(law: FiniteLaw, y: np.ndarray) -> np.ndarray:
    """`y CVaR_y` of a law at levels y (...)."""
    return np.interp(y, np.append(0.0, np.cumsum(law.p)), np.append(0.0, np.cumsum(law.p * law.x)))


def _slope(law: FiniteLaw, y: np.ndarray) -> np.ndarray:
    return law.x[np.searchsorted(np.cumsum(law.p)[:-1], y)]


def worst_split(atoms: list[np.ndarray], masses: list[np.ndarray], prob: np.ndarray, level: float) -> np.ndarray:
    """The adversary's levels y_t of the successors: what each has below the quantile of the mixture, and an equal share

    of what each has at it.
    """
    x = np.concatenate(atoms)
    p = np.concatenate([w * m for w, m in zip(prob, masses, strict=True)])
    order = np.argsort(x, kind="stable")
    reach = np.cumsum(p[order])
    cut = x[order][min(int(np.searchsorted(reach, level - 1e-12)), x.size - 1)]
    near = 1e-10 * (1 + abs(cut))
    below = np.array([m[a < cut - near].sum() for a, m in zip(atoms, masses, strict=True)])
    at = np.array([m[np.abs(a - cut) <= near].sum() for a, m in zip(atoms, masses, strict=True)])
    share = (level - prob @ below) / (prob @ at)
    return np.clip(below + min(max(share, 0.0), 1.0) * at, 0.0, 1.0)
