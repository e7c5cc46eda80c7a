r"""Estimates of gradient and Hessian of J_H from given trajectories, and the oracles that methods sample.

    REINFORCE   (sum_t score_t) (sum_h gamma^h r_h)
    GPOMDP      g = sum_t (sum_{h>=t} gamma^h r_h) score_t      score_t = grad log pi_theta(a_t | s_t)
    Hessian     B u = g <sum_t score_t, u> + sum_t (sum_{h>=t} gamma^h r_h) hess log pi_theta(a_t | s_t) u

The first two are unbiased for the gradient of J_H = E sum_{t<H} gamma^t r_t, B u for its Hessian times u. The power of
gamma is that of absolute time h; with gamma^(h-t) the estimate is that of another, undiscounted, weighting of states.
<sum_t score_t, u> is the derivative along u of the trajectory's log-probability: a sum over steps, not a mean.

Source: Fatkhullin, Barakat, Kireeva, He (2023) (GPOMDP); Williams (1992); Baxter, Bartlett (2001).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_count,
    check_number,
    check_sampled,
    check_steps,
)
from mdplab.instances.policy_gradient import LocationChain
from mdplab.kernels import location, trajectories
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import MDP


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
    theta, states, actions = check_steps(theta, states, actions)
    out = np.zeros((*states.shape, *theta.shape))
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
    _check_paths(scores, rewards, gamma)
    total = rewards @ gamma ** np.arange(rewards.shape[-1])
    return scores.sum(axis=-2) * total[..., None]


def gpomdp(scores: np.ndarray, rewards: np.ndarray, gamma: float) -> np.ndarray:
    """GPOMDP from trajectories of H steps: scores (..., H, d), rewards (..., H) -> (..., d).

    Examples
    --------
    >>> gpomdp(np.array([[1.0], [2.0]]), np.array([1.0, 1.0]), 0.5).tolist()
    [2.5]
    """
    _check_paths(scores, rewards, gamma)
    weighted = rewards * gamma ** np.arange(rewards.shape[-1])
    to_go = np.cumsum(weighted[..., ::-1], axis=-1)[..., ::-1]
    return np.einsum("...td,...t->...d", scores, to_go)


def softmax_bend(theta: np.ndarray, states: np.ndarray, u: np.ndarray) -> np.ndarray:
    """hess log pi(a | s) u (..., S, A) of a tabular softmax policy, u (S, A): row s is -pi (u - <pi, u>), whatever a.

    Examples
    --------
    >>> softmax_bend(np.zeros((1, 2)), np.array([0]), np.array([[1.0, 0.0]])).tolist()
    [[[-0.25, 0.25]]]
    """
    theta, states, _ = check_steps(theta, states, np.zeros_like(states))
    u, pi = check_array("u", u, theta.shape), softmax(theta)
    out = np.zeros((*states.shape, *theta.shape))
    row = -(pi * (u - (pi * u).sum(axis=1, keepdims=True)))[states]
    np.put_along_axis(out, states[..., None, None], row[..., None, :], -2)
    return out


def hessian_vector(
    scores: np.ndarray, bends: np.ndarray, rewards: np.ndarray, gamma: float, u: np.ndarray
) -> np.ndarray:
    """B u from trajectories of H steps: scores, bends (..., H, d), rewards (..., H), u (d,) -> (..., d).

    bends[t] = hess log pi(a_t | s_t) u.

    Examples
    --------
    >>> one = np.ones((2, 1))
    >>> hessian_vector(one, -one, np.array([1.0, 1.0]), 0.5, np.array([3.0])).tolist()
    [10.0]
    """
    if np.shape(bends) != np.shape(scores):
        raise ValueError(f"bends has shape {np.shape(bends)}; expected that of scores, {np.shape(scores)}")
    u = check_array("u", u, np.shape(scores)[-1:])
    along = scores.sum(axis=-2) @ u
    return gpomdp(scores, rewards, gamma) * along[..., None] + gpomdp(bends, rewards, gamma)


def likelihood_ratio(theta: np.ndarray, drawn_at: np.ndarray, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """p(tau | theta) / p(tau | drawn_at) (...) of trajectories (..., H) of tabular softmax policies, theta (S, A).

    Times an estimate formed at theta it makes trajectories drawn at `drawn_at` unbiased; its variance is unbounded.

    Examples
    --------
    >>> theta, drawn_at = np.array([[0.0, 0.0]]), np.array([[np.log(3.0), 0.0]])
    >>> likelihood_ratio(theta, drawn_at, np.array([0, 0]), np.array([1, 1])).round(12).tolist()
    4.0
    """
    theta, states, actions = check_steps(theta, states, actions)
    drawn_at = check_array("drawn_at", drawn_at, theta.shape)
    log = (log_softmax(theta) - log_softmax(drawn_at))[states, actions]
    return np.exp(log.sum(axis=-1))


def _check_paths(scores: np.ndarray, rewards: np.ndarray, gamma: float) -> None:
    if np.ndim(scores) < 2 or np.shape(scores)[:-1] != np.shape(rewards):
        shapes = f"{np.shape(scores)} and {np.shape(rewards)}"
        raise ValueError(f"scores and rewards have shapes {shapes}; expected (..., H, d) and (..., H)")
    check_number("gamma", gamma, most=1)


class Oracle(Protocol):
    """What `ascend` needs: where runs start, and the compiled loop for this kind of estimate."""

    @property
    def start(self) -> np.ndarray:
        """Default start, of the parameters' shape."""

    def ascend(self, *run: Any) -> None:
        """Fill the last two of start, look, carry, eta, step, normalised, checkpoints, rng, out_theta, out_d."""


@dataclass(frozen=True, eq=False, slots=True)
class NoisyGradient:
    """The exact gradient of a "gaussian" chain plus independent N(0, noise^2) a coordinate: the noise-only setting.

    Products with the Hessian, which is constant, are exact. With `noise = 0` it is the exact oracle, and draws nothing.
    """

    chain: LocationChain
    noise: float

    def __post_init__(self) -> None:
        if self.chain.policy != "gaussian":
            raise ValueError("chain.policy is 'logistic'; the gradient is known in closed form for 'gaussian' only")
        check_number("noise", self.noise)

    @property
    def start(self) -> np.ndarray:
        """The chain's start `(S,)`."""
        return self.chain.theta0

    def ascend(self, *run: Any) -> None:
        """The loop of `mdplab.algorithms.policy_gradient.ascend`, compiled."""
        location.ascend(*self.arguments(), *run)

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
        check_count("horizon", self.horizon)

    @property
    def start(self) -> np.ndarray:
        """The chain's start `(S,)`."""
        return self.chain.theta0

    def ascend(self, *run: Any) -> None:
        """The loop of `mdplab.algorithms.policy_gradient.ascend`, compiled."""
        location.ascend(*self.arguments(), *run)

    def arguments(self) -> tuple[Any, ...]:
        """Leading arguments of the kernel, from `kind` to `horizon`."""
        kind = location.GAUSSIAN if self.chain.policy == "gaussian" else location.LOGISTIC
        return _arguments(self.chain, kind, 0.0, np.zeros(self.chain.S), self.horizon)

    def draw(self, theta: np.ndarray, num: int, *, rng: np.random.Generator) -> np.ndarray:
        """`num` independent estimates of the gradient `(num, S)` at theta `(S,)`."""
        return self._draw(theta, np.zeros(self.chain.S), (num, 0), rng)[0]

    def draw_products(self, theta: np.ndarray, u: np.ndarray, num: int, *, rng: np.random.Generator) -> np.ndarray:
        """`num` independent estimates `(num, S)` of the Hessian at theta times u, both `(S,)`."""
        return self._draw(theta, u, (0, num), rng)[1]

    def _draw(self, theta, u, sizes, rng) -> list[np.ndarray]:
        theta, u = (check_array(name, x, (self.chain.S,)) for name, x in (("theta", theta), ("u", u)))
        out = [np.empty((check_count("num", num, 0), self.chain.S)) for num in sizes]
        kind, scale, _, *model, horizon = self.arguments()
        location.draw_estimates(kind, scale, *model, theta, u, horizon, rng, *out)
        return out


@dataclass(frozen=True, eq=False, slots=True)
class SoftmaxTrajectory:
    """GPOMDP on one trajectory of `horizon` steps of a tabular softmax policy, theta `(S, A)`, from `mdp.mu`.

    Tabular softmax is never Fisher-non-degenerate: theorems that assume this say nothing about runs with it.

    Raises
    ------
    ValueError
        A horizon below 1, no start distribution, or an action that is not available.
    """

    mdp: MDP
    horizon: int

    def __post_init__(self) -> None:
        check_sampled(self.mdp, self.horizon)

    @property
    def start(self) -> np.ndarray:
        """The uniform policy, `(S, A)` zeros."""
        return np.zeros(self.mdp.r.shape)

    def ascend(self, *run: Any) -> None:
        """The loop of `mdplab.algorithms.policy_gradient.ascend`, compiled."""
        trajectories.ascend(*self.arguments(), self.horizon, *run)

    def arguments(self) -> tuple[Any, ...]:
        """Leading arguments of the kernel, from `A` to `gamma`."""
        mdp = self.mdp.dense()
        P = mdp.P.reshape(-1, mdp.S)
        K = int((P > 0).sum(axis=1).max())
        # A stable sort keeps successors in their order, those of probability 0 last.
        after = np.argsort(P == 0, axis=1, kind="stable")[:, :K]
        reward = np.broadcast_to(mdp.r.reshape(-1, 1), after.shape)
        if mdp.r_next is not None:
            reward = np.take_along_axis(mdp.r_next.reshape(P.shape), after, 1)
        probability = np.take_along_axis(P, after, 1)
        # What rounding leaves of 1 goes to the last possible successor.
        last = np.arange(K) >= (probability > 0).sum(axis=1, keepdims=True) - 1
        cdf = np.where(last, 1.0, np.minimum(np.cumsum(probability, axis=1), 1.0))
        arrays = [np.cumsum(mdp.mu), after.astype(np.int64), cdf, np.array(reward)]
        for array in arrays:
            array.flags.writeable = False
        return (mdp.r.shape[1], *arrays, float(mdp.gamma))

    def draw(self, theta: np.ndarray, num: int, *, rng: np.random.Generator) -> np.ndarray:
        """`num` independent estimates of the gradient `(num, S, A)` at theta `(S, A)`."""
        return self._draw(theta, np.zeros(np.shape(theta)), (num, 0), rng)[0]

    def draw_products(self, theta: np.ndarray, u: np.ndarray, num: int, *, rng: np.random.Generator) -> np.ndarray:
        """`num` independent estimates `(num, S, A)` of the Hessian at theta times u, both `(S, A)`."""
        return self._draw(theta, u, (0, num), rng)[1]

    def _draw(self, theta, u, sizes, rng) -> list[np.ndarray]:
        theta, u = (check_array(name, x, self.mdp.r.shape) for name, x in (("theta", theta), ("u", u)))
        out = [np.empty((check_count("num", num, 0), theta.size)) for num in sizes]
        trajectories.draw_estimates(*self.arguments(), theta.ravel(), u.ravel(), self.horizon, rng, *out)
        return [found.reshape(len(found), *theta.shape) for found in out]


def _arguments(chain: LocationChain, kind: int, noise: float, curvature: np.ndarray, horizon: int) -> tuple[Any, ...]:
    moves = np.stack([chain.still, chain.moved])
    # What rounding leaves of 1 goes to the last possible state.
    possible = np.cumsum(moves > 0, axis=2)
    moves_cdf = np.where(possible == possible[..., -1:], 1.0, np.minimum(np.cumsum(moves, axis=2), 1.0))
    arrays = [np.cumsum(chain.rho), moves_cdf, np.stack([chain.amplitude, chain.centre, chain.switch, curvature])]
    # One specialisation of the kernels: read-only like a model's arrays.
    for array in arrays:
        array.flags.writeable = False
    return (kind, chain.scale, noise, *arrays, chain.width, float(chain.gamma), horizon)
