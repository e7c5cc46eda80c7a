"""Responses of performative problems in closed form, each with its sensitivity constants."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mdplab.models.curvature import Smoothness
from mdplab.models.mdp import MDP
from mdplab.models.performative import PerformativeMDP, Response, occupancy
from mdplab.models.sensitivity import (
    Sensitivity,
    flow_lipschitz,
    rounded_up,
    spectral_norm_bound,
    unbounded_sensitivity,
)
from mdplab.models.solution import frozen_array


@dataclass(frozen=True, eq=False, slots=True)
class LinearRewardResponse:
    """Rewards that move with the occupancy: `r = r0 + eps W d^pi`, transitions fixed.

    Parameters
    ----------
    base : MDP
        Gives P, gamma, mu and r0.
    W : array (S * A, S * A)
        Acts on occupancies flattened in C order.
    eps : float
        Strength.

    Notes
    -----
    `eps_r = |eps| |W|_2` and `eps_p = 0`, exactly.

    Examples
    --------
    >>> base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> LinearRewardResponse(base, -np.eye(2), 0.25)(np.array([[1.0, 0.0]]))[1].tolist()
    [[0.5, 0.0]]
    """

    base: MDP
    W: Any
    eps: float
    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        n = self.base.S * self.base.A
        W = frozen_array(self.W)
        if W.shape != (n, n) or not np.isfinite(W).all():
            raise ValueError(f"W has shape {W.shape} or an entry that is not finite; expected ({n}, {n}) numbers")
        if not np.isfinite(self.eps):
            raise ValueError(f"eps is {self.eps!r}; expected a finite number")
        object.__setattr__(self, "W", W)

    def __call__(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment of policies (..., S, A)."""
        base = self.base
        # A terminal state is left out, and keeps its reward of 0.
        d = occupancy(base.P, base.mu, base.gamma, policy, exits=base.terminal)
        r = base.r + self.eps * np.matmul(self.W, d.reshape(*d.shape[:-2], -1, 1)).reshape(d.shape)
        return base.P, np.where(base.terminal[:, None], base.r, r)

    def smoothness(self, problem: PerformativeMDP) -> Smoothness:
        """Rewards move linearly with the flow, transitions not at all."""
        norm = rounded_up(abs(self.eps) * spectral_norm_bound(self.W))
        return Smoothness(0.0, 0.0, 0.0, 0.0, float(self.base.r.min()), float(self.base.r.max()), norm)

    def sensitivity(self, problem: PerformativeMDP) -> Sensitivity:
        """`eps_r = |eps| |W|_2`, `eps_p = 0`."""
        return Sensitivity(rounded_up(abs(self.eps) * spectral_norm_bound(self.W)), 0.0, "proved")


@dataclass(frozen=True, eq=False, slots=True)
class TanhResponse:
    """Two states, two actions; transitions move with one probability of the policy along a smooth step.

    `P(s, a, 0) = b(s, a) + u c(s, a)` with `u = amplitude tanh(steepness (pi(0 | 0) - centre))`; rewards are fixed.

    Parameters
    ----------
    r, b, c : arrays (2, 2)
        `b + u c` lies in [0, 1] for `|u| <= amplitude`.
    amplitude, steepness, centre : float
        Of the step.

    Examples
    --------
    >>> response = TanhResponse(np.zeros((2, 2)), np.full((2, 2), 0.5), np.ones((2, 2)), 0.25, 8.0, 0.5)
    >>> response(np.full((2, 2), 0.5))[0][0, 0].tolist()
    [0.5, 0.5]
    """

    r: Any
    b: Any
    c: Any
    amplitude: float
    steepness: float
    centre: float
    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("r", "b", "c"):
            array = frozen_array(getattr(self, name))
            if array.shape != (2, 2) or not np.isfinite(array).all():
                raise ValueError(
                    f"{name} has shape {array.shape} or an entry that is not finite; expected (2, 2) numbers"
                )
            object.__setattr__(self, name, array)
        for name in ("amplitude", "steepness"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected a finite number of at least 0")
        reach = self.amplitude * np.abs(self.c)
        if np.any(self.b - reach < 0) or np.any(self.b + reach > 1):
            raise ValueError(f"b + u c leaves [0, 1] for some |u| <= amplitude = {self.amplitude:g}")

    def shift(self, x: Any) -> Any:
        """u where `pi(0 | 0)` is x."""
        return self.amplitude * np.tanh(self.steepness * (x - self.centre))

    def kernel(self, u: Any) -> np.ndarray:
        """P (..., 2, 2, 2) at shifts u (...)."""
        first = self.b + np.asarray(u)[..., None, None] * self.c
        return np.stack([first, 1 - first], axis=-1)

    def __call__(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment of policies (..., 2, 2)."""
        return self.kernel(self.shift(policy[..., 0, 0])), self.r

    def smoothness(self, problem: PerformativeMDP) -> Smoothness:
        """From `|tanh'| <= 1`, `|tanh''| <= 4 / (3 sqrt 3)`, along directions that move pi(0 | 0) by at most 1/2."""
        first = float(np.abs(self.c).max()) * self.amplitude * self.steepness
        second = first * self.steepness * 2 / (3 * np.sqrt(3.0))
        low, high = self.reward_range(problem)
        return Smoothness(0.0, 0.0, rounded_up(first), rounded_up(second), low, high)

    def reward_range(self, problem: PerformativeMDP) -> tuple[float, float]:
        """Least and largest reward of any response."""
        return float(self.r.min()), float(self.r.max())

    def sensitivity(self, problem: PerformativeMDP) -> Sensitivity:
        """`eps_r = 0`, `eps_p = sqrt 2 |c|_F amplitude steepness / visits`, visits the least of state 0."""
        least = self.b[:, 0:2] - self.amplitude * np.abs(self.c)
        visits = problem.mu[0] + problem.gamma / (1 - problem.gamma) * max(0.0, float(least.min()))
        if not visits > 0:
            return unbounded_sensitivity("state 0 may never be visited: its policy is not a function of the occupancy")
        # The derivative of x = d00 / (d00 + d01) is (d01, -d00) / (d00 + d01)^2, of length at most 1 / visits.
        slope = self.amplitude * self.steepness / visits
        return Sensitivity(0.0, rounded_up(np.sqrt(2.0) * float(np.linalg.norm(self.c)) * slope), "proved")


@dataclass(frozen=True, eq=False, slots=True)
class SoftmaxFollower:
    """A myopic follower who sees the leader's policy and answers by a softmax in each state.

    `pi2(b | s) = softmax_b(beta sum_a pi(a | s) U(s, a, b))`, `P(s, a) = sum_b pi2(b | s) T(s, a, b)`, r likewise. The
    published two-agent gridworld, whose followers plan ahead, is `mdplab.instances.performative.GridFollowers`.

    Parameters
    ----------
    T : array (S, A, B, S)
        Transition probabilities under both actions.
    R, U : arrays (S, A, B)
        Rewards of the leader, utilities of the follower.
    beta : float >= 0
        Inverse temperature.

    Examples
    --------
    >>> response = SoftmaxFollower(np.ones((1, 1, 2, 1)), [[[0.0, 1.0]]], [[[0.0, 0.0]]], 3.0)
    >>> response(np.ones((1, 1)))[1].tolist()
    [[0.5]]
    """

    T: Any
    R: Any
    U: Any
    beta: float
    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("T", "R", "U"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))
        S, A, B = self.R.shape if self.R.ndim == 3 else (0, 0, 0)
        if not (self.R.size and self.T.shape == (S, A, B, S) and self.U.shape == self.R.shape):
            raise ValueError(f"T, R, U have shapes {self.T.shape}, {self.R.shape}, {self.U.shape}; see SoftmaxFollower")
        if not (np.isfinite(self.R).all() and np.isfinite(self.U).all()):
            raise ValueError("R or U has an entry that is not finite")
        if not 0 <= self.beta < np.inf:
            raise ValueError(f"beta is {self.beta!r}; expected a finite number of at least 0")

    def follower(self, policy: np.ndarray) -> np.ndarray:
        """The follower's policies (..., S, B) against the leader's (..., S, A)."""
        logits = self.beta * np.einsum("...sa,sab->...sb", policy, self.U)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    def __call__(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment of policies (..., S, A)."""
        answer = self.follower(policy)
        return np.einsum("...sb,sabt->...sat", answer, self.T), np.einsum("...sb,sab->...sa", answer, self.R)

    def smoothness(self, problem: PerformativeMDP) -> Smoothness:
        """A softmax p whose logits move at rates within [-z, z] has `|p'|_1 <= z` and `|p''|_1 <= 2 z^2`."""
        # Along a direction of l1 norm 1 and sum 0 a mean over actions moves by half a span at most.
        z = rounded_up(self.beta * float(np.ptp(self.U, axis=1).max()) / 2)
        half = float(np.ptp(self.R, axis=2).max()) / 2
        return Smoothness(z * half, 2 * z * z * half, z, 2 * z * z, *self.reward_range(problem))

    def reward_range(self, problem: PerformativeMDP) -> tuple[float, float]:
        """Bounds of the rewards of any response: means of R, rounded outward."""
        room = 1e-14 * float(np.abs(self.R).max())
        return float(self.R.min()) - room, float(self.R.max()) + room

    def sensitivity(self, problem: PerformativeMDP) -> Sensitivity:
        """Product of Lipschitz constants state by state: occupancy to policy, to logits, to softmax, to P and r."""
        into = self.T[~problem.exits].min(axis=(0, 1, 2))
        # Only without terminal states do all steps carry mass that may come back.
        again = 0.0 if problem.exits.any() else problem.gamma / (1 - problem.gamma)
        visits = problem.mu + again * np.maximum(into, 0.0)
        reward = transition = 0.0
        for s in np.flatnonzero(~problem.exits):
            lipschitz = flow_lipschitz(visits[s], problem.A) if self.beta > 0 else 0.0
            B = self.R.shape[2]
            # A softmax's derivative, diag p - p p^T, has norm at most 1/2; constants in b do not move it.
            utility = self.U[s] - self.U[s].mean(axis=1, keepdims=True)
            listens = 0.5 * self.beta * spectral_norm_bound(utility)
            # The softmax moves along vectors of sum 0, so means over b do not count here either.
            r_part = self.R[s] - self.R[s].mean(axis=1, keepdims=True)
            p_part = (self.T[s] - self.T[s].mean(axis=1, keepdims=True)).swapaxes(0, 1).reshape(B, -1)
            r_move, p_move = listens * spectral_norm_bound(r_part), listens * spectral_norm_bound(p_part)
            # What does not move needs no visits.
            reward = max(reward, r_move * lipschitz if r_move else 0.0)
            transition = max(transition, p_move * lipschitz if p_move else 0.0)
        if not (reward < np.inf and transition < np.inf):
            s = int(np.argmax((visits <= 0) & ~problem.exits))
            return unbounded_sensitivity(
                f"state {s} may never be visited, so its policy is not a function of the occupancy"
            )
        return Sensitivity(rounded_up(reward), rounded_up(transition), "proved")


@dataclass(frozen=True, eq=False, slots=True)
class MixedResponse:
    """A response that arrives gradually: `env_t = (1 - weight) env_{t-1} + weight response(pi_t)`.

    Called with a policy alone it is the response itself, which is also its limit under a constant policy: both have the
    same stable points.

    Parameters
    ----------
    response : callable
        `policy -> (P, r)`.
    weight : float in (0, 1]
        How much of the new response arrives in a round.

    Source
    ------
    Rank, Triantafyllou, Mandal, Radanovic (2024), gradually shifting environments.

    Examples
    --------
    >>> mixed = MixedResponse(lambda policy: (np.ones((1, 1, 1)), policy), 0.25)
    >>> mixed.step(np.ones((1, 1)), (np.ones((1, 1, 1)), np.zeros((1, 1))))[1].tolist()
    [[0.25]]
    """

    response: Response
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight is {self.weight!r}; expected a number in (0, 1]")

    def __call__(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The environment (P, r) after policy has been deployed for ever."""
        return self.response(policy)

    def step(self, policy: np.ndarray, previous: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The environment of the next round."""
        P, r = self.response(policy)
        w = self.weight
        return (1 - w) * previous[0] + w * P, (1 - w) * previous[1] + w * r

    def reward_range(self, problem: PerformativeMDP) -> tuple[float, float] | None:
        """That of the response; None if it states none."""
        inner = getattr(self.response, "reward_range", None)
        return inner(problem) if inner else None

    def smoothness(self, problem: PerformativeMDP) -> Smoothness | None:
        """That of the response; None if it states none."""
        inner = getattr(self.response, "smoothness", None)
        return inner(problem) if inner else None

    def sensitivity(self, problem: PerformativeMDP) -> Sensitivity:
        """That of the response, which is what its stable points depend on."""
        inner = getattr(self.response, "sensitivity", None)
        return inner(problem) if inner else unbounded_sensitivity("the response has no closed form")
