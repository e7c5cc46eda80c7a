r"""Costs judged by expected conditional risk measures (ECRM), their augmented MDP, and a stochastic cliff walk.

Costs are minimised: `c_1 + sum_{t >= 2} gamma^{t-1} E[rho(c_t | s_{t-1}, a_{t-1})]`, with the one-step risk
`rho = (1 - weight) E + weight CVaR_tail` and `CVaR_tail(X) = min_eta { eta + E (X - eta)_+ / tail }`, the mean of the
worst share `tail`. Choosing eta_{t+1} together with a_t makes this the expected cost of a larger MDP:

| step | state | action | cost, with c = c(s, a) | next state |
|---|---|---|---|---|
| first | s | (a, eta') | c + gamma weight eta' | (s', eta') |
| later | (s, eta) | (a, eta') | weight / tail (c - eta)_+ + (1 - weight) c + gamma weight eta' | (s', eta') |

The first cost is certain once its action is: it has no excess over a level. Levels are taken from a finite grid, which
is exact if it holds every cost: between neighbouring costs the optimum over policies is concave in the level.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mdplab.models import MDP
from mdplab.models.solution import frozen_array


@dataclass(frozen=True, eq=False, slots=True)
class EcrmProblem:
    """A discounted problem with costs, and the risk measure that judges them.

    Parameters
    ----------
    P : array (S, A, S)
        Transition probabilities.
    cost : array (S, A)
        What each action costs, minimised.
    gamma : float in [0, 1)
        Discount factor.
    rho : array (S,)
        Distribution of the first state.
    weight : float in [0, 1]
        Share of CVaR in the one-step risk; 0 is the expected cost.
    tail : float in (0, 1]
        Worst share of the outcomes that CVaR averages; 1 is the expected cost.
    levels : array (E,), optional
        Increasing grid of eta; all costs that occur, by default.

    Raises
    ------
    ValueError
        Names the argument, and the index and value where there is one.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[1.0, 2.0]], 0.5, [1.0], 0.5, 0.1)
    >>> problem.levels.tolist(), problem.augmented()
    ([1.0, 2.0], MDP(S=3, A=4, transitions=12, gamma=0.5))
    """

    P: Any
    cost: Any
    gamma: float
    rho: Any
    weight: float
    tail: float
    levels: Any = None
    base: MDP = field(init=False)

    def __post_init__(self) -> None:
        cost = np.asarray(self.cost, dtype=np.float64)
        base = MDP(self.P, -cost, self.gamma, mu=self.rho)
        if not base.gamma < 1:
            raise ValueError(f"gamma is {self.gamma}; expected below 1")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight is {self.weight}; expected in [0, 1]")
        if not 0 < self.tail <= 1:
            raise ValueError(f"tail is {self.tail}; expected in (0, 1]")
        levels = np.unique(cost) if self.levels is None else np.asarray(self.levels, dtype=np.float64)
        if levels.ndim != 1 or not levels.size:
            raise ValueError(f"levels has shape {levels.shape}; expected (E,) with E at least 1")
        bad = np.flatnonzero(~np.isfinite(levels) | (np.diff(levels, prepend=-np.inf) <= 0))
        if bad.size:
            raise ValueError(f"levels[{bad[0]}] is {levels[bad[0]]}; expected finite and increasing")
        for name, value in (("P", base.P), ("cost", frozen_array(cost)), ("gamma", base.gamma), ("rho", base.mu)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "levels", frozen_array(levels))
        object.__setattr__(self, "base", base)

    @property
    def S(self) -> int:
        """Number of states."""
        return self.base.S

    @property
    def A(self) -> int:
        """Number of actions."""
        return self.base.A

    @property
    def E(self) -> int:
        """Number of levels."""
        return self.levels.size

    def replace(self, **changes: Any) -> "EcrmProblem":
        """A copy with some arguments changed, validated anew; the levels stay unless they are given."""
        return replace(self, **changes)

    def first_cost(self) -> np.ndarray:
        """Cost of the first step, (S, A, E): by state, action and next level."""
        return self.cost[:, :, None] + self.gamma * self.weight * self.levels

    def later_cost(self) -> np.ndarray:
        """Cost of later steps, (S, E, A, E): by state, level, action and next level."""
        excess = np.maximum(self.cost[:, None, :] - self.levels[None, :, None], 0.0)
        own = self.weight / self.tail * excess + (1 - self.weight) * self.cost[:, None, :]
        return own[..., None] + self.gamma * self.weight * self.levels

    def augmented(self, mu: np.ndarray | None = None) -> MDP:
        """The larger MDP, rewards minus costs: first-step states s, then S + s E + e; actions a E + f.

        It starts in first-step states by rho, or from `mu` (S + S E,).
        """
        S, A, E = self.S, self.A, self.E
        N = S + S * E
        P = np.zeros((N, A, E, N))
        for f in range(E):
            P[:S, :, f, S + f :: E] = self.P
            P[S:, :, f, S + f :: E] = np.repeat(self.P, E, axis=0)
        r = -np.concatenate([self.first_cost().reshape(S, A * E), self.later_cost().reshape(S * E, A * E)])
        start = np.concatenate([self.rho, np.zeros(S * E)]) if mu is None else mu
        return MDP(P.reshape(N, A * E, N), r, self.gamma, mu=start)

    def split(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both policies, (S, A, E) and (S, E, A, E), of one policy (S + S E, A E) of the larger MDP."""
        S, A, E = self.S, self.A, self.E
        return policy[:S].reshape(S, A, E), policy[S:].reshape(S, E, A, E)

    def join(self, first: np.ndarray, later: np.ndarray) -> np.ndarray:
        """The inverse of `split`."""
        return np.concatenate([first.reshape(self.S, -1), later.reshape(self.S * self.E, -1)])


def random_ecrm(
    S: int, A: int, *, num_costs: int = 3, gamma: float = 0.8, weight: float, tail: float, rng: np.random.Generator
) -> EcrmProblem:
    """Dirichlet transitions and start, costs drawn from `num_costs` values in [0, 1] that include both ends.

    Examples
    --------
    >>> random_ecrm(3, 2, weight=0.5, tail=0.2, rng=np.random.default_rng(0)).levels.shape
    (3,)
    """
    if num_costs < 2:
        raise ValueError(f"num_costs is {num_costs}; expected at least 2")
    values = np.concatenate([[0.0], np.sort(rng.random(num_costs - 2)), [1.0]])
    # Every value occurs, so that the default levels are all of them.
    which = rng.permutation(np.resize(np.arange(num_costs), S * A)).reshape(S, A)
    P = rng.dirichlet(np.ones(S), size=(S, A))
    return EcrmProblem(P, values[which], gamma, rng.dirichlet(np.ones(S)), weight, tail)


# Rows downwards; the moves of an action, (down, right).
_MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))


def cliff_walk(
    weight: float, tail: float = 0.05, *, slip: float = 0.1, cliff_cost: float = 5.0, gamma: float = 0.98
) -> EcrmProblem:
    """A 4 x 4 grid with a cliff along the shortest way; cells row by row, actions left, down, right, up.

    Each step costs 1 until the absorbing goal, bottom right. From the start, bottom left, the two cells between are
    cliff: a step there costs `cliff_cost` and leads back to the start. With probability `slip` the direction is
    uniform over all four; a step against the border stays. Levels are 0, 1 and `cliff_cost`.

    Source
    ------
    Yu and Ying 2023 test on a stochastic cliff walk whose sizes were not seen; these are ours.

    Examples
    --------
    >>> cliff_walk(0.5).augmented()
    MDP(S=64, A=12, transitions=2496, gamma=0.98)
    """
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip}; expected in [0, 1]")
    if not cliff_cost > 1:
        raise ValueError(f"cliff_cost is {cliff_cost}; expected above 1, what a step costs")
    n, start, goal, cliff = 4, 12, 15, (13, 14)
    P, cost = np.zeros((n * n, 4, n * n)), np.ones((n * n, 4))
    for s in range(n * n):
        cells = [min(max(s // n + d, 0), n - 1) * n + min(max(s % n + r, 0), n - 1) for d, r in _MOVES]
        for a, cell in enumerate(cells):
            P[s, a, cell] += 1 - slip
            for other in cells:
                P[s, a, other] += slip / 4
    P[[goal, *cliff]] = 0.0
    P[goal, :, goal], cost[goal] = 1.0, 0.0
    P[cliff, :, start], cost[list(cliff)] = 1.0, cliff_cost
    return EcrmProblem(P, cost, gamma, np.eye(n * n)[start], weight, tail)
