r"""Estimates from given trajectories for a utility F(lambda) of the discounted occupancy, and what kernels are handed.

    lambda(tau) = sum_{h<H} gamma^h e_(s_h, a_h)                    E lambda(tau) = lambda_H(theta)
    g(tau, theta, r) = sum_t (sum_{h>=t} gamma^h r(s_h, a_h)) score_t        E g = grad <lambda_H(theta), r>, r fixed
    w(tau | theta', theta) = prod_h pi_theta'(a_h | s_h) / pi_theta(a_h | s_h)      E w = 1, tau drawn at theta

The gradient of F(lambda(theta)) is that of <lambda(theta), r> with r = grad F(lambda(theta)) held fixed. An r that is
computed from tau itself is not fixed: then E g is another vector, unless F is linear.

Source: Barakat, Fatkhullin, He (2023); Zhang, Ni, Yu, Szepesvari, Wang (2021).
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_each,
    check_indices,
    check_number,
    check_sampled,
    check_steps,
)
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import MDP
from mdplab.models.utility import KINDS, Utility


def occupancy_estimate(states: np.ndarray, actions: np.ndarray, gamma: float, shape: tuple[int, int]) -> np.ndarray:
    """Discounted counts lambda(tau) (..., S, A) of trajectories (..., H).

    Examples
    --------
    >>> occupancy_estimate(np.array([0, 1, 0]), np.array([0, 0, 0]), 0.5, (2, 1)).tolist()
    [[1.25], [0.5]]
    """
    states = check_indices("states", np.atleast_1d(states), shape[0])
    actions = check_indices("actions", np.atleast_1d(actions), shape[1], states.shape)
    check_number("gamma", gamma, most=1)
    out = np.zeros((*states.shape[:-1], *shape))
    rows = out.reshape(-1, *shape)
    flat_s, flat_a = (x.reshape(-1, states.shape[-1]) for x in (states, actions))
    for t in range(states.shape[-1]):
        rows[np.arange(len(rows)), flat_s[:, t], flat_a[:, t]] += gamma**t
    return rows.reshape(out.shape)


def pseudo_gradient(
    theta: np.ndarray, states: np.ndarray, actions: np.ndarray, r: np.ndarray, gamma: float
) -> np.ndarray:
    """g(tau, theta, r) (..., S, A) of trajectories (..., H); logits theta (S, A), pseudo-rewards r (S, A) or one a row.

    Examples
    --------
    >>> g = pseudo_gradient(np.zeros((1, 2)), np.array([0, 0]), np.array([1, 1]), np.array([[0.0, 1.0]]), 0.5)
    >>> g.tolist()
    [[-1.0, 1.0]]
    """
    theta, states, actions = check_steps(theta, np.atleast_1d(states), np.atleast_1d(actions))
    check_number("gamma", gamma, most=1)
    H, lead = states.shape[-1], states.shape[:-1]
    s, a = (x.reshape(-1, H) for x in (states, actions))
    each = np.arange(len(s))
    r = np.broadcast_to(r, (*lead, *theta.shape)).reshape(-1, *theta.shape)
    pi, out, to_go = softmax(theta), np.zeros((len(s), *theta.shape)), np.zeros(len(s))
    for t in range(H - 1, -1, -1):
        to_go = to_go + gamma**t * r[each, s[:, t], a[:, t]]
        out[each, s[:, t]] -= to_go[:, None] * pi[s[:, t]]
        out[each, s[:, t], a[:, t]] += to_go
    return out.reshape(*lead, *theta.shape)


def importance_weight(theta_new: np.ndarray, theta: np.ndarray, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """w(tau | theta_new, theta) (...) of trajectories (..., H) drawn at theta; logits (S, A).

    Examples
    --------
    >>> w = importance_weight(np.zeros((1, 2)), np.log([[3.0, 1.0]]), np.array([0]), np.array([0]))
    >>> round(float(w), 12)
    0.666666666667
    """
    theta, states, actions = check_steps(theta, states, actions)
    theta_new = check_array("theta_new", theta_new, theta.shape)
    return np.exp((log_softmax(theta_new) - log_softmax(theta))[states, actions].sum(axis=-1))


def sampling_arguments(mdp: MDP, horizon: int) -> tuple[Any, ...]:
    """What kernels sample with: start, successors and their cumulative weights, A, and gamma^t for t < horizon.

    Raises
    ------
    ValueError
        A horizon below 1, no start distribution, or an action that is not available.
    """
    horizon = check_sampled(mdp, horizon)
    P = mdp.dense().P.reshape(mdp.S * mdp.A, mdp.S)
    most = int((P > 0).sum(axis=1).max())
    # A stable sort puts successors first, in their order; the rest of a row has weight 0 and is never drawn.
    after = np.argsort(P <= 0, axis=1, kind="stable")[:, :most].astype(np.int64)
    cdf = np.cumsum(np.take_along_axis(P, after, axis=1), axis=1)
    arrays = [np.cumsum(mdp.mu), np.ascontiguousarray(after), cdf]
    return (*_frozen(arrays), mdp.A, *_frozen([mdp.gamma ** np.arange(horizon, dtype=np.float64)]))


def utility_arguments(utility: Utility, mdp: MDP) -> tuple[Any, ...]:
    """The utility as the kernels read it, from `kind` to `floor`; ValueError if its shape is not the model's."""
    if utility.reward.shape != mdp.r.shape:
        raise ValueError(f"utility.reward has shape {utility.reward.shape}; the model has (S, A) = {mdp.r.shape}")
    m = utility.matrix
    arrays = _frozen([utility.reward.reshape(-1).copy(), *(np.array(x) for x in (m.indptr, m.indices, m.data))])
    return (KINDS.index(utility.kind), *arrays, utility.shift, float(utility.weight), float(utility.floor))


def check_schedule(step: Any, eta: Any = None) -> list[np.ndarray]:
    """Steps above 0 and, if given, momenta in (0, 1] of the same length, as arrays; ValueError names the entry."""
    schedule = [check_each("step", step)]
    if eta is not None:
        schedule.append(check_each("eta", eta, most=1))
        if schedule[1].shape != schedule[0].shape:
            raise ValueError(f"eta has shape {schedule[1].shape}, step {schedule[0].shape}; expected one (T,) for both")
    return schedule


def check_logits(name: str, theta: np.ndarray | None, mdp: MDP) -> np.ndarray:
    """Logits `(S * A,)`, zeros by default; ValueError on a wrong shape or a number that is not finite."""
    return check_array(name, np.zeros(mdp.r.shape) if theta is None else theta, mdp.r.shape).reshape(-1)


def raise_fault(utility: Utility, iteration: int, fault: np.ndarray) -> None:
    """ValueError for what a kernel found: pair, slope and occupancy in fault (3,)."""
    s, a = divmod(int(fault[0]), utility.reward.shape[1])
    raise ValueError(f"at iteration {iteration}, {utility.fault(s, a, float(fault[1]), float(fault[2]))}")


def _frozen(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Read-only like the model's own arrays, so that kernels have one specialisation."""
    for array in arrays:
        array.flags.writeable = False
    return arrays
