"""What a policy makes of a model: a Markov chain with a law of reward and next state for each state."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from mdplab.exact.arguments import checked_policy, require_type
from mdplab.exact.operator import freeze
from mdplab.models import MDP, Outcomes, StockMDP, functional

# Sweeps that narrow the range of returns; each bound is valid whenever they stop.
_RANGE_SWEEPS = 5000
# Factors of a random sparse I - gamma P fill up: beyond this many states they cost more than all sweeps together.
_LU_STATES = 2000


def model_and_outcomes(problem: Any, outcomes: Outcomes | None, name: str) -> tuple[MDP, Outcomes]:
    """The MDP and the laws of its rewards, from an MDP with or without outcomes or from a StockMDP."""
    require_type(problem, (MDP, StockMDP), name)
    if isinstance(problem, StockMDP):
        if outcomes is not None:
            raise ValueError(f"outcomes are given, but the StockMDP that {name} was given has its own")
        return problem.mdp, problem.outcomes
    if outcomes is None:
        return problem, Outcomes.of(problem)
    # The stock's validation compares probabilities and mean rewards; it needs a positive discount, they do not.
    same = problem if problem.gamma > 0 else problem.replace(gamma=0.5)
    StockMDP(same, functional("mean"), outcomes=outcomes)
    return problem, outcomes


@dataclass(frozen=True, eq=False, slots=False)
class Chain:
    """Transitions of state s are `ptr[s]:ptr[s + 1]`, by increasing reward, without duplicates; read-only arrays.

    Rows of the model and of the policy are read as probabilities, divided by their sums. A terminal state stays, with
    reward 0.
    """

    ptr: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    prob: np.ndarray
    gamma: float
    A: int

    @classmethod
    def of(cls, mdp: MDP, outcomes: Outcomes, policy: np.ndarray) -> "Chain":
        """The chain of a checked policy, (S,) actions or (S, A) probabilities."""
        S, A = mdp.S, mdp.A
        if policy.ndim == 1:
            rows, weights = np.arange(S) * A + policy, np.ones(S)
        else:
            rows = np.flatnonzero(policy.ravel() > 0)
            weights = (policy / policy.sum(axis=1, keepdims=True)).ravel()[rows]
        weights = weights / np.bincount(outcomes.row_of(), outcomes.prob, minlength=S * A)[rows]
        keep = ~mdp.terminal[rows // A]
        rows, weights = rows[keep], weights[keep]
        first, sizes = outcomes.indptr[rows], outcomes.indptr[rows + 1] - outcomes.indptr[rows]
        skip = np.cumsum(sizes) - sizes
        at = np.repeat(first - skip, sizes) + np.arange(sizes.sum())
        ends = np.flatnonzero(mdp.terminal)
        state = np.concatenate([np.repeat(rows // A, sizes), ends])
        to = np.concatenate([outcomes.next_state[at], ends])
        reward = np.concatenate([outcomes.reward[at], np.zeros(len(ends))])
        prob = np.concatenate([np.repeat(weights, sizes) * outcomes.prob[at], np.ones(len(ends))])
        order = np.lexsort((to, reward, state))
        state, to, reward, prob = state[order], to[order], reward[order], prob[order]
        new = np.append(True, (np.diff(state) != 0) | (np.diff(reward) != 0) | (np.diff(to) != 0))
        starts = np.flatnonzero(new)
        state, to, reward, prob = state[starts], to[starts], reward[starts], np.add.reduceat(prob, starts)
        ptr = np.append(0, np.cumsum(np.bincount(state, minlength=S)))
        freeze(ptr, to, reward, prob)
        return cls(ptr, to, reward, prob, mdp.gamma, A)

    @property
    def S(self) -> int:
        """Number of states."""
        return len(self.ptr) - 1

    @property
    def arrays(self) -> tuple:
        """What the kernels take first."""
        return self.ptr, self.next_state, self.reward, self.prob, self.gamma

    def backup(self, v: np.ndarray) -> np.ndarray:
        """E[r + gamma v(next)], (S,)."""
        return np.add.reduceat(self.prob * (self.reward + self.gamma * v[self.next_state]), self.ptr[:-1])

    def step_range(self, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest r + gamma lo(next) and r + gamma hi(next) of each state."""
        low = np.minimum.reduceat(self.reward + self.gamma * lo[self.next_state], self.ptr[:-1])
        high = np.maximum.reduceat(self.reward + self.gamma * hi[self.next_state], self.ptr[:-1])
        return low, high

    @cached_property
    def reward_range(self) -> tuple[float, float]:
        """Least and largest reward, 0 among them where a state is terminal."""
        return float(self.reward.min()), float(self.reward.max())

    @cached_property
    def range(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the discounted returns of each state, tight up to 1e-12 of their size; `gamma < 1`."""
        low, high = self.reward_range
        # From outside: each backup of a bound is a bound.
        lo, hi = np.full(self.S, low / (1 - self.gamma)), np.full(self.S, high / (1 - self.gamma))
        for _ in range(_RANGE_SWEEPS):
            new_lo, new_hi = self.step_range(lo, hi)
            moved = max(np.abs(new_lo - lo).max(), np.abs(new_hi - hi).max())
            lo, hi = new_lo, new_hi
            if moved <= 1e-12 * (1 - self.gamma) * max(abs(low), abs(high)) / (1 - self.gamma):
                break
        return lo, hi

    @cached_property
    def mean(self) -> np.ndarray:
        """Discounted value, (S,), up to 1e-13 of its size; `gamma < 1`. Sweeps start from it, bounds do not need it."""
        P = sp.csr_array((self.prob, self.next_state, self.ptr), shape=(self.S, self.S), copy=True)
        P.sum_duplicates()
        matrix, r = sp.csc_array(sp.eye_array(self.S) - self.gamma * P), self.backup(np.zeros(self.S))
        if self.S <= _LU_STATES:
            return spla.splu(matrix).solve(r)
        return spla.bicgstab(matrix, r, rtol=1e-13, maxiter=5000)[0]

    def steps_to_end(self, terminal: np.ndarray) -> int | None:
        """Number of steps after which every path is in a terminal state, or None if a path may stay out."""
        alive = ~terminal
        for n in range(self.S + 1):
            if not alive.any():
                return n
            # Alive after n + 1 steps: a transition into a state that is alive after n.
            new = np.logical_or.reduceat(alive[self.next_state], self.ptr[:-1]) & ~terminal
            if (new == alive).all():
                return None
            alive = new
        return None


def stage_chains(mdp: MDP, outcomes: Outcomes, policy: Any, horizon: int) -> tuple[np.ndarray, list[Chain]]:
    """The policy with a leading axis H, and the chain of each stage (one object where the policy is stationary)."""
    given = np.asarray(policy)
    staged = given.shape in {(horizon, mdp.S), (horizon, mdp.S, mdp.A)} and given.shape != (mdp.S, mdp.A)
    if not staged:
        pi = checked_policy(mdp, given)
        return np.broadcast_to(pi, (horizon, *pi.shape)), [Chain.of(mdp, outcomes, pi)] * horizon
    stages = [checked_policy(mdp, one) for one in given]
    return np.stack(stages), [Chain.of(mdp, outcomes, pi) for pi in stages]
