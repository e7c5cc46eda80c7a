"""Performative problems: the published two-agent gridworld, witnesses with known behaviour, random families."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdplab.kernels.followers import mean_optimal_q
from mdplab.models import (
    MDP,
    LinearRewardResponse,
    MixedResponse,
    PerformativeMDP,
    SoftmaxFollower,
    TanhResponse,
    frozen_array,
)

# Rewards of the cells by letter: open, fire, hole, goal.
CELLS = {"o": -0.01, "f": -0.02, "h": -0.5, "g": 1.0}
PUBLISHED_GRID = ("oooooooo", "oofohooo", "ooohoofo", "ofooohof", "ooohoofo", "ohhofoho", "ohoohoho", "ooohofog")
SHIFTING_GRID = ("oooo", "ofoh", "oohh", "ofog")
# Left, right, up, down as (row, column).
MOVES = ((0, -1), (0, 1), (-1, 0), (1, 0))
INTERVENTION_COST = 0.05
# Sweeps stop at this change: the error of Q is then below 1e-13 at gamma 0.9.
_SWEEP_TOL = 1e-14


@dataclass(frozen=True, eq=False, slots=True)
class GridFollowers:
    """Followers who plan on perturbed copies of the leader's grid, and may override its moves.

    Each follower computes its optimal Q against the leader's policy: actions 0..3 override with that move at a cost,
    action 4 does nothing. The average of the Q tables goes into a softmax, `pi2 = softmax(beta mean Q)`, and the leader
    meets `P(s, a, .) = sum_b pi2(b | s) [next]`, with its own grid's rewards.

    Parameters
    ----------
    own : array (S,)
        Reward of entering a cell of the leader's grid.
    rewards : array (K, S)
        The same for the followers' grids.
    following : int array (S, 4)
        Cell that each move leads to.
    terminal : bool array (S,)
        Absorbing cells.
    beta : float >= 0
        Inverse temperature.
    gamma : float in [0, 1)
        Discount of the followers, as of the leader.
    cost : float
        Of an intervention, paid by the follower.

    Notes
    -----
    Optimal values are not smooth in the leader's policy, and a cell's policy matters also where the leader never comes:
    no finite sensitivity constant can be derived.
    """

    own: Any
    rewards: Any
    following: Any
    terminal: Any
    beta: float
    gamma: float
    cost: float = INTERVENTION_COST
    _moves: np.ndarray = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.beta < np.inf:
            raise ValueError(f"beta is {self.beta!r}; expected a finite number of at least 0")
        for name, dtype in (("own", float), ("rewards", float), ("following", np.int64), ("terminal", bool)):
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
        S, A = self.following.shape
        moves = np.zeros((S, A, S))
        moves[np.arange(S)[:, None], np.arange(A), self.following] = 1.0
        object.__setattr__(self, "_moves", frozen_array(moves))

    def mean_q(self, policy: np.ndarray) -> np.ndarray:
        """Average over followers of the optimal Q (S, 5) against the leader's policy (S, 4)."""
        S, A = self.following.shape
        q = np.zeros((S, A + 1))
        # Gauss-Seidel contracts by gamma at least; this many sweeps reach the tolerance from any start.
        limit = 100 + int(np.ceil(np.log(1e-18) / np.log(max(self.gamma, 1e-3))))
        policy = np.array(policy, dtype=np.float64)
        mean_optimal_q(
            self.rewards,
            self.following,
            self.terminal,
            policy,
            self.gamma,
            self.cost,
            _SWEEP_TOL,
            limit,
            np.zeros(S),
            q,
        )
        return q

    def follower(self, policy: np.ndarray) -> np.ndarray:
        """The followers' policy (S, 5)."""
        logits = self.beta * self.mean_q(policy)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def __call__(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment (P, r) of a policy (S, 4)."""
        return self.environment(self.follower(policy))

    def environment(self, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment (P, r) under a followers' policy (S, 5)."""
        A = self.following.shape[1]
        override = np.einsum("sb,sbt->st", answer[:, :A], self._moves)
        P = answer[:, A, None, None] * self._moves + override[:, None, :]
        entered = np.where(self.terminal[:, None], 0.0, self.own[self.following])
        r = answer[:, A, None] * entered + np.sum(answer[:, :A] * entered, axis=1)[:, None]
        # A terminal cell keeps all mass whatever its softmax rounds to.
        P[self.terminal] = self._moves[self.terminal]
        return P, r


def two_agent_gridworld(
    beta: float = 10.0,
    *,
    num_followers: int = 50,
    perturbation: float = 0.3,
    gamma: float = 0.9,
    grid: Sequence[str] = PUBLISHED_GRID,
    weight: float = 1.0,
) -> PerformativeMDP:
    """The gridworld of two agents on which performative reinforcement learning was first run.

    Parameters
    ----------
    beta : float >= 0
        Inverse temperature of the followers' softmax.
    num_followers : int >= 1
        Perturbed grids; grid k draws from `default_rng(k)`.
    perturbation : float in [0, 1]
        Probability that a cell outside the first row and column is redrawn among the three cell values.
    gamma : float in [0, 1)
        Discount factor.
    grid : strings
        Rows of the letters o, f, h, g; one g in the last cell.
    weight : float in (0, 1]
        Share of the new response that arrives in a round; 1 is the published setting, less is gradual shift.

    Returns
    -------
    PerformativeMDP
        Starts uniformly on the first row and column. Its base environment has followers who never intervene.

    Source
    ------
    Mandal, Triantafyllou, Radanovic (2023), section on experiments, and the authors' code; gradual shift: Rank,
    Triantafyllou, Mandal, Radanovic (2024).

    Examples
    --------
    >>> two_agent_gridworld(beta=10.0)
    PerformativeMDP('two-agent gridworld', S=64, A=4, gamma=0.9, response=GridFollowers)
    """
    if num_followers < 1:
        raise ValueError(f"num_followers is {num_followers!r}; expected at least 1")
    if not 0 <= perturbation <= 1:
        raise ValueError(f"perturbation is {perturbation!r}; expected a number in [0, 1]")
    letters = [[*row] for row in grid]
    rows, cols = len(letters), len(letters[0])
    if any(len(row) != cols for row in letters) or {letter for row in letters for letter in row} - set(CELLS):
        raise ValueError(f"grid is {list(grid)}; expected rows of equal length of the letters {sorted(CELLS)}")
    if sum(row.count("g") for row in letters) != 1 or letters[-1][-1] != "g":
        raise ValueError("grid has its goal 'g' elsewhere than in the last cell alone")
    own = np.array([[CELLS[letter] for letter in row] for row in letters])
    start = np.zeros((rows, cols), dtype=bool)
    start[0], start[:, 0] = True, True
    followers = np.stack([_perturbed(own, start, perturbation, k) for k in range(num_followers)])
    following = np.empty((rows * cols, len(MOVES)), dtype=np.int64)
    for s in range(rows * cols):
        for a, (down, right) in enumerate(MOVES):
            i, j = s // cols + down, s % cols + right
            following[s, a] = i * cols + j if 0 <= i < rows and 0 <= j < cols else s
    terminal = np.arange(rows * cols) == rows * cols - 1
    following[terminal] = rows * cols - 1
    rewards = followers.reshape(num_followers, -1)
    response = GridFollowers(own.ravel(), rewards, following, terminal, float(beta), gamma)
    idle = np.zeros((rows * cols, len(MOVES) + 1))
    idle[:, -1] = 1.0
    P, r = response.environment(idle)
    base = MDP(P, r, gamma, mu=start.ravel() / start.sum())
    answer = response if weight == 1 else MixedResponse(response, weight)
    return PerformativeMDP(base, answer, name="two-agent gridworld")


def first_policy(problem: PerformativeMDP, *, exploration: float = 0.1) -> np.ndarray:
    """The leader's first deployment: greedy (S, A) in the base environment, `exploration` shared by the other actions.

    Ties go to the first action. By value iteration to rounding.
    """
    base = problem.base
    value = np.zeros(base.S)
    while True:
        q = base.r + base.gamma * (base.P @ value)
        new = q.max(axis=1)
        # Below this change the greedy action no longer depends on where the iteration started.
        if np.abs(new - value).max() <= 1e-13 * max(1.0, float(np.abs(new).max())):
            break
        value = new
    # Equal values differ by rounding: the first that is within it.
    greedy = np.argmax(q >= q.max(axis=1, keepdims=True) - 1e-10, axis=1)
    policy = np.full(base.r.shape, exploration / (base.A - 1))
    policy[np.arange(base.S), greedy] = 1 - exploration
    return policy


def _perturbed(own: np.ndarray, start: np.ndarray, perturbation: float, seed: int) -> np.ndarray:
    """A follower's grid: in row-major order each cell outside the start is redrawn with some probability."""
    rng = np.random.default_rng(seed)
    u = rng.random(own.shape)
    out = own.copy()
    for i, j in np.argwhere((u <= perturbation) & ~start):
        value = rng.choice([-0.5, -0.02, -0.01])
        if own[i, j] != CELLS["g"]:
            out[i, j] = value
    return out


def linear_reward_witness(eps: float, sign: int = 1) -> PerformativeMDP:
    """Two states, two actions, `r = r0 + sign eps d^pi`: repeated optimisation contracts by exactly `eps / lam`.

    With lam = 2: stable points for eps = 1.8 are [[4.64737, .20199], [2.04801, 3.10263]] (sign 1) and [[2.42274,
    1.81648], [3.03879, 2.72200]] (sign -1), to the digits shown; for eps = 3 and sign -1 iterates from d = 2.5 never
    converge.

    Examples
    --------
    >>> linear_reward_witness(1.8).response.eps
    1.8
    """
    if sign not in (1, -1):
        raise ValueError(f"sign is {sign!r}; expected 1 or -1")
    P = [[[0.7, 0.3], [0.2, 0.8]], [[0.6, 0.4], [0.1, 0.9]]]
    base = MDP(P, [[1.0, 0.2], [0.3, 0.6]], 0.9, mu=[0.5, 0.5])
    return PerformativeMDP(base, LinearRewardResponse(base, np.eye(4), sign * eps), name=f"r0 {sign * eps:+g} d")


def large_lambda_witness(k: float) -> PerformativeMDP:
    """Two states, two actions, a smooth step of slope k: at 21.6 repeated optimisation oscillates for all large lam.

    As lam grows the map tends to the minimum-norm occupancy, which still moves with the transitions: large lam alone
    does not make it contract. For k = 1 it converges for all lam; for k = 21.6 the policy at state 0 has a two-cycle
    between .099 and .518.

    Examples
    --------
    >>> large_lambda_witness(1.0)
    PerformativeMDP('tanh, k = 1', S=2, A=2, gamma=0.9, response=TanhResponse)
    """
    r = [[1.0, 0.0], [0.0, 0.5]]
    b, c = [[0.2747, 0.3832], [0.2831, 0.2708]], [[-1.0, 1.0], [-1.0, -1.0]]
    response = TanhResponse(r, b, c, 0.25, k, 0.4699)
    base = MDP(response.kernel(0.0), r, 0.9, mu=[0.5, 0.5])
    return PerformativeMDP(base, response, name=f"tanh, k = {k:g}")


def random_linear_response(S: int, A: int, *, gamma: float, eps: float, rng: np.random.Generator) -> PerformativeMDP:
    """Dirichlet transitions and start, rewards uniform in [0, 1] plus `eps W d`, W a random matrix of norm 1.

    Examples
    --------
    >>> random_linear_response(3, 2, gamma=0.9, eps=0.1, rng=np.random.default_rng(0)).S
    3
    """
    base = _random_base(S, A, gamma, rng)
    W = rng.standard_normal((S * A, S * A))
    return PerformativeMDP(base, LinearRewardResponse(base, W / np.linalg.norm(W, 2), eps), name="random, linear")


def random_softmax_follower(
    S: int, A: int, B: int, *, gamma: float, beta: float, influence: float = 1.0, rng: np.random.Generator
) -> PerformativeMDP:
    """A random problem with a myopic softmax follower of B actions, who moves a share `influence` of the transitions.

    Examples
    --------
    >>> random_softmax_follower(3, 2, 2, gamma=0.9, beta=1.0, rng=np.random.default_rng(0)).A
    2
    """
    base = _random_base(S, A, gamma, rng)
    other = rng.dirichlet(np.ones(S), size=(S, A, B))
    T = (1 - influence) * base.P[:, :, None, :] + influence * other
    R = base.r[:, :, None] + influence * rng.uniform(0.0, 1.0, (S, A, B))
    return PerformativeMDP(base, SoftmaxFollower(T, R, rng.uniform(0.0, 1.0, (S, A, B)), beta), name="random, follower")


def _random_base(S: int, A: int, gamma: float, rng: np.random.Generator) -> MDP:
    P = rng.dirichlet(np.ones(S), size=(S, A))
    return MDP(P, rng.uniform(0.0, 1.0, (S, A)), gamma, mu=rng.dirichlet(np.ones(S)))
