r"""MDPO: mirror descent policy optimisation in tables, with exact advantages or with inner gradient steps.

    pi_{k+1} = argmax_pi E_{s ~ rho_k} [ <pi, A^{pi_k}> - KL(pi || pi_k) / t_k ]     ~ pi_k exp(t_k A^{pi_k})

whatever the positive weights rho_k. In practice the argmax is m gradient steps in theta from theta_k. There KL is
flat, so that the first of them is a plain policy gradient step; as m grows theta tends to log pi_k + t_k A up to
constants. With KL(pi_k || pi) in its place the steps tend to another policy, pi_k / (t (psi - A)).

With an entropy bonus tau the objective has regularised values, and pi_{k+1} ~ (pi_k exp(t Q))^(1 / (1 + t tau)).

Source: Tomar, Shani, Efroni, Ghavamzadeh 2020, arXiv:2005.09814, equations (6)-(7), and the authors' code for the
direction of KL and the steps annealed from 1 to 0. Cost of an iteration: a linear system of S unknowns.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_checkpoints,
    check_count,
    check_each,
    check_number,
    check_regular,
    check_rows,
)
from mdplab.kernels.softmax import log_softmax
from mdplab.models import MDP, Trace


def annealed_steps(num_iters: int) -> np.ndarray:
    """1 - k / K for k = 0 .. K - 1, the schedule of the code: (K,).

    Examples
    --------
    >>> annealed_steps(4).tolist()
    [1.0, 0.75, 0.5, 0.25]
    """
    num_iters = check_count("num_iters", num_iters)
    return 1 - np.arange(num_iters) / num_iters


def mdpo_step(pi: np.ndarray, gain: np.ndarray, *, step: float, tau: float = 0.0) -> np.ndarray:
    """(pi exp(step gain))^(1 / (1 + step tau)) / Z on probabilities: (S, A), (S, A) -> (S, A).

    Gains may be advantages or action values: a constant a state changes nothing.

    Examples
    --------
    >>> mdpo_step(np.array([[0.5, 0.5]]), np.array([[np.log(3.0), 0.0]]), step=1.0).round(12).tolist()
    [[0.75, 0.25]]
    """
    check_number("step", step, above=True)
    check_number("tau", tau)
    pi = check_rows("pi", pi, np.shape(pi))
    gain = check_array("gain", gain, pi.shape)
    # The largest factor is 1, so that nothing overflows.
    weights = pi ** (1 / (1 + step * tau)) * np.exp(step * (gain - gain.max(axis=1, keepdims=True)) / (1 + step * tau))
    return weights / weights.sum(axis=1, keepdims=True)


def inner_steps(
    log_pi: np.ndarray,
    advantage: np.ndarray,
    *,
    step: float,
    rate: float,
    num_steps: int,
    weights: np.ndarray | None = None,
    reverse: bool = False,
) -> np.ndarray:
    """Logits after gradient ascent on the objective above from theta = log pi.

    Parameters
    ----------
    log_pi, advantage : array (S, A)
    step : float > 0
        t of the penalty KL / t.
    rate : float > 0
        Length of each gradient step.
    num_steps : int >= 0
    weights : array (S,), optional
        rho_k; 1 everywhere by default.
    reverse : bool
        KL(pi_k || pi) in place of KL(pi || pi_k).

    Returns
    -------
    array (num_steps + 1, S, A)
        Every iterate, the first of them log pi.

    Examples
    --------
    >>> log_pi, advantage = np.log([[0.5, 0.5]]), np.array([[1.0, -1.0]])
    >>> found = inner_steps(log_pi, advantage, step=0.5, rate=0.5, num_steps=200)[-1]
    >>> bool(np.allclose(found - log_pi, 0.5 * advantage))
    True
    """
    for name, value in (("step", step), ("rate", rate)):
        check_number(name, value, above=True)
    num_steps = check_count("num_steps", num_steps, 0)
    theta = check_array("log_pi", log_pi, np.shape(log_pi))
    advantage = check_array("advantage", advantage, theta.shape)
    rho = check_array("weights", np.ones(len(theta)) if weights is None else weights, theta.shape[:1])
    old = log_softmax(theta)
    out = [theta]
    for _ in range(num_steps):
        log_new = log_softmax(theta)
        new = np.exp(log_new)
        gain = advantage if reverse else advantage - (log_new - old) / step
        gradient = new * (gain - np.sum(new * gain, axis=1, keepdims=True))
        if reverse:
            gradient = gradient - (new - np.exp(old)) / step
        theta = theta + rate * rho[:, None] * gradient
        out.append(theta)
    return np.array(out)


def mdpo(
    mdp: MDP,
    *,
    step: float | np.ndarray,
    num_iters: int,
    tau: float = 0.0,
    log_pi0: np.ndarray | None = None,
    checkpoints: Any = None,
) -> Trace:
    """MDPO with exact values and exact mirror steps, on logits.

    Parameters
    ----------
    mdp
        Discounted, with every action available.
    step : float > 0, or array (num_iters,) of such
        t_k.
    num_iters : int >= 0
    tau : float >= 0
        Entropy bonus.
    log_pi0 : array (S, A), optional
        Logits of the first policy; uniform by default.
    checkpoints : ints (K,), optional
        Iterations in [0, num_iters], increasing; all by default.

    Returns
    -------
    Trace
        `log_policy` and `q` (K, S, A), `value` (K, S): those of pi_k, regularised if tau is above 0, as the algorithm
        computed them by a linear solve.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    >>> mdpo(mdp, step=1.0, num_iters=20)["value"][-1].round(6).tolist()
    [2.0]
    """
    check_regular(mdp)
    num_iters = check_count("num_iters", num_iters, 0)
    kept = check_checkpoints(checkpoints, num_iters)
    if np.ndim(step) == 0:
        steps = np.full(num_iters, check_number("step", step, above=True))
    else:
        steps = check_each("step", step)
        if steps.size != num_iters:
            raise ValueError(f"step has shape {steps.shape}; expected ({num_iters},), one an iteration")
    check_number("tau", tau)
    shape = (mdp.S, mdp.A)
    log_pi = log_softmax(check_array("log_pi0", np.zeros(shape) if log_pi0 is None else log_pi0, shape))
    P, eye = mdp.dense().P, np.eye(mdp.S)
    logs, qs = np.empty((2, kept.size, mdp.S, mdp.A))
    values = np.empty((kept.size, mdp.S))
    place = 0
    for k in range(num_iters + 1):
        pi = np.exp(log_pi)
        v = np.linalg.solve(
            eye - mdp.gamma * np.einsum("sa,sat->st", pi, P), np.sum(pi * (mdp.r - tau * log_pi), axis=1)
        )
        q = mdp.r + mdp.gamma * P @ v
        if place < kept.size and kept[place] == k:
            logs[place], qs[place], values[place] = log_pi, q, v
            place += 1
        if k < num_iters:
            log_pi = log_softmax((log_pi + steps[k] * q) / (1 + steps[k] * tau))
    return Trace(kept, {"log_policy": logs, "q": qs, "value": values})
