r"""MD-VI: value iteration whose greedy step and evaluation are both regularised by KL and entropy, with errors.

    pi_{k+1} = argmax_pi <pi, q_k> - lam KL(pi || pi_k) + tau H(pi)  ~  pi_k^(lam/(lam+tau)) exp(q_k / (lam + tau))
    q_{k+1}  = r + gamma P (<pi_{k+1}, q_k> - lam KL(pi_{k+1} || pi_k) + tau H(pi_{k+1})) + eps_{k+1}

pi_0 is uniform. With lam = tau = 0 this is approximate value iteration. With tau = 0 the policy is the softmax of a
plain sum of the q's, so that errors are averaged; with tau above 0 the average forgets geometrically.

Source: Vieillard, Kozuno, Scherrer, Pietquin, Munos, Geist 2020, "Leverage the average", arXiv:2003.14089, equation
(3), with one application of the evaluation operator a step. Cost of an iteration: one product with P.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_checkpoints,
    check_count,
    check_errors,
    check_number,
    check_regular,
)
from mdplab.kernels.softmax import log_softmax
from mdplab.models import MDP, Trace


def md_vi_step(log_pi: np.ndarray, q: np.ndarray, *, lam: float, tau: float = 0.0) -> np.ndarray:
    """The regularised greedy step on log-probabilities: (..., A), (..., A) -> (..., A), normalised.

    With lam = tau = 0 the mass goes in equal parts to the maximisers of q.

    Raises
    ------
    ValueError
        A weight that is negative or not finite.

    Examples
    --------
    >>> np.exp(md_vi_step(np.log([0.5, 0.5]), np.array([np.log(3.0), 0.0]), lam=1.0)).round(12).tolist()
    [0.75, 0.25]
    """
    _check_weights(lam, tau)
    if np.shape(log_pi) != np.shape(q):
        raise ValueError(f"log_pi has shape {np.shape(log_pi)}, q {np.shape(q)}; expected one shape (..., A)")
    if lam + tau == 0:
        best = np.where(q == q.max(axis=-1, keepdims=True), 0.0, -np.inf)
        return log_softmax(best)
    return log_softmax((lam * log_pi + q) / (lam + tau))


def regularized_value(
    log_pi: np.ndarray, q: np.ndarray, log_old: np.ndarray, *, lam: float, tau: float = 0.0
) -> np.ndarray:
    """<pi, q> - lam KL(pi || old) + tau H(pi) along the last axis: (..., A) thrice -> (...).

    Examples
    --------
    >>> uniform = np.log([0.5, 0.5])
    >>> float(regularized_value(uniform, np.array([1.0, 0.0]), uniform, lam=1.0))
    0.5
    """
    pi = np.exp(log_pi)
    bracket = q.copy()
    # What has no mass adds nothing, whatever its logarithm.
    log_pi = np.where(pi > 0, log_pi, 0.0)
    if lam:
        bracket = bracket - lam * (log_pi - np.where(pi > 0, log_old, 0.0))
    if tau:
        bracket = bracket - tau * log_pi
    return np.sum(pi * bracket, axis=-1)


def md_vi(
    mdp: MDP,
    *,
    lam: float,
    tau: float,
    num_iters: int,
    errors: np.ndarray | None = None,
    q0: np.ndarray | None = None,
    penalized: bool = True,
    checkpoints: Any = None,
) -> Trace:
    """Run MD-VI(lam, tau).

    Parameters
    ----------
    mdp
        Discounted, with every action available.
    lam, tau : float >= 0
        Weights of KL to the previous policy and of the entropy.
    num_iters : int >= 0
    errors : array (num_iters, S, A), optional
        errors[k - 1] is added to q_k; none by default.
    q0 : array (S, A), optional
        0 by default.
    penalized : bool
        False leaves the regularisers out of the evaluation; that is another scheme, and no longer averages.
    checkpoints : ints (K,), optional
        Iterations k in [0, num_iters], increasing; all by default.

    Returns
    -------
    Trace
        `log_policy` log pi_k, `q` q_k and `q_sum` q_0 + ... + q_{k-1}, each (K, S, A).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    >>> run = md_vi(mdp, lam=1.0, tau=0.0, num_iters=50)
    >>> bool(np.exp(run["log_policy"][-1, 0, 0]) > 0.999)
    True
    """
    _check_weights(lam, tau)
    check_regular(mdp)
    num_iters, shape = check_count("num_iters", num_iters, 0), (mdp.S, mdp.A)
    kept, errors = check_checkpoints(checkpoints, num_iters), check_errors(errors, num_iters, shape)
    q = np.zeros(shape) if q0 is None else check_array("q0", q0, shape)
    P = mdp.dense().P.reshape(mdp.S * mdp.A, mdp.S)
    log_pi, total = np.full(shape, -np.log(mdp.A)), np.zeros(shape)
    out = np.empty((3, kept.size, *shape))
    place = 0
    for k in range(num_iters + 1):
        if place < kept.size and kept[place] == k:
            out[:, place] = log_pi, q, total
            place += 1
        if k == num_iters:
            break
        total = total + q
        new = md_vi_step(log_pi, q, lam=lam, tau=tau)
        v = regularized_value(new, q, log_pi, lam=lam * penalized, tau=tau * penalized)
        q, log_pi = mdp.r + mdp.gamma * (P @ v).reshape(shape), new
        if errors is not None:
            q = q + errors[k]
    return Trace(kept, {"log_policy": out[0], "q": out[1], "q_sum": out[2]})


def _check_weights(lam: float, tau: float) -> None:
    check_number("lam", lam)
    check_number("tau", tau)
