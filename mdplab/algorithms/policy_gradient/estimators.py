r"""Estimates of the gradient of J_H: REINFORCE and GPOMDP from given trajectories, and the oracles that methods sample.

    REINFORCE   (sum_t score_t) (sum_h gamma^h r_h)
    GPOMDP      sum_t (sum_{h>=t} gamma^h r_h) score_t          score_t = grad log pi_theta(a_t | s_t)

Both are unbiased for the gradient of J_H = E sum_{t<H} gamma^t r_t. The power of gamma is that of absolute time h; with
gamma^(h-t) the estimate is that of another, undiscounted, weighting of states.

Source: Fatkhullin, Barakat, Kireeva, He (2023) (GPOMDP); Williams (1992); Baxter, Bartlett (2001).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.instances.policy_gradient import LocationChain
from mdplab.kernels import location
from mdplab.kernels.softmax import softmax


def softmax_score(theta: np.ndarray, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Scores (..., S, A) of a tabular softmax policy: row s is e_a - pi(. | s), the other rows are 0.

    Parameters
    ----------
    theta
        Logits `(S, A)`.
    states, actions
        int64, `(...)`, of equal shape.

    Examples
    --------
    >>> softmax_score(np.zeros((1, 2)), np.array([0]), np.array([1])).tolist()
    [[[-0.5, 0.5]]]
    """
    out = np.zeros((*np.shape(states), *theta.shape))
    row = -softmax(theta)[states]
    np.put_along_axis(row, actions[..., None], np.take_along_axis(row, actions[..., None], -1) + 1, -1)
    np.put_along_axis(out, states[..., None, None], row[..., None, :], -2)
    return out


def reinforce(scores: np.ndarray, rewards: np.ndarray, gamma: float) -> np.ndarray:
    """REINFORCE from trajectories of H steps: scores (..., H, d), rewards (..., H) -> (..., d).

    Examples
    --------
    >>> reinforce(np.array([[1.0], [2.0]]), np.array([1.0, 1.0]), 0.5).tolist()
    [4.5]
    """
    total = rewards @ gamma ** np.arange(rewards.shape[-1])
    return scores.sum(axis=-2) * total[..., None]


def gpomdp(scores: np.ndarray, rewards: np.ndarray, gamma: float) -> np.ndarray:
    """GPOMDP from trajectories of H steps: scores (..., H, d), rewards (..., H) -> (..., d).

    Examples
    --------
    >>> gpomdp(np.array([[1.0], [2.0]]), np.array([1.0, 1.0]), 0.5).tolist()
    [2.5]
    """
    weighted = rewards * gamma ** np.arange(rewards.shape[-1])
    to_go = np.cumsum(weighted[..., ::-1], axis=-1)[..., ::-1]
    return np.einsum("...td,...t->...d", scores, to_go)


@dataclass(frozen=True, eq=False, slots=True)
class NoisyGradient:
    """The exact gradient of a "gaussian" chain plus independent N(0, noise^2) a coordinate: the noise-only setting.

    With `noise = 0` it is the exact oracle, and draws nothing.
    """

    chain: LocationChain
    noise: float

    def __post_init__(self) -> None:
        if self.chain.policy != "gaussian":
            raise ValueError("chain.policy is 'logistic'; the gradient is known in closed form for 'gaussian' only")
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise is {self.noise}; expected a number of at least 0")

    def arguments(self) -> tuple[Any, ...]:
        """Leading arguments of the kernel, from `kind` to `horizon`."""
        curvature = self.chain.occupancy * self.chain.amplitude
        return _arguments(self.chain, location.NOISY, self.noise, curvature, 1)


@dataclass(frozen=True, eq=False, slots=True)
class SingleTrajectory:
    """GPOMDP on one trajectory of `horizon` steps, drawn with the policy at which the gradient is wanted."""

    chain: LocationChain
    horizon: int

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ValueError(f"horizon is {self.horizon}; a trajectory has at least 1 step")

    def arguments(self) -> tuple[Any, ...]:
        """Leading arguments of the kernel, from `kind` to `horizon`."""
        kind = location.GAUSSIAN if self.chain.policy == "gaussian" else location.LOGISTIC
        return _arguments(self.chain, kind, 0.0, np.zeros(self.chain.S), self.horizon)

    def draw(self, theta: np.ndarray, num: int, *, rng: np.random.Generator) -> np.ndarray:
        """`num` independent estimates `(num, S)` at theta `(S,)`."""
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        out = np.empty((num, self.chain.S))
        location.draw_estimates(*self.arguments()[:-1], theta, self.horizon, rng, out)
        return out


def _arguments(chain: LocationChain, kind: int, noise: float, curvature: np.ndarray, horizon: int) -> tuple[Any, ...]:
    arrays = [np.cumsum(chain.rho), np.cumsum(chain.still, axis=1), np.cumsum(chain.moved, axis=1)]
    arrays += [chain.amplitude, chain.centre, chain.switch, curvature]
    # One specialisation of the kernels: what was computed here becomes read-only like the model's arrays.
    for array in arrays:
        array.flags.writeable = False
    return (kind, chain.scale, noise, *arrays, chain.width, float(chain.gamma), horizon)
