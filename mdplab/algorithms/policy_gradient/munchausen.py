r"""Munchausen value iteration: the scaled log-policy added to the reward, and its form with Tsallis logarithms.

    pi_{k+1} = argmax_pi <pi, m_k> + tau H(pi) = softmax(m_k / tau)
    m_{k+1}  = r + alpha tau log pi_{k+1} + gamma P <pi_{k+1}, m_k - tau log pi_{k+1}> + eps_{k+1}

With q_k = m_k - alpha tau log pi_k this is MD-VI with KL weight alpha tau and entropy weight (1 - alpha) tau, started
at m_0 = q_0 + alpha tau log pi_0 with pi_0 uniform.

`general_munchausen_vi` puts ln_{2-q} x = (x^(q-1) - 1) / (q - 1) for the logarithm and Tsallis' entropy for Shannon's.
That is our reading of MVI(q): the paper's bonus was not seen. Only at q = 1 is it the implicit form of a mirror step,
because ln_{2-q}(x / y) is no difference of logarithms otherwise.

Source: Vieillard, Pietquin, Geist 2020, "Munchausen reinforcement learning", arXiv:2007.14430, section 3; Zhu, Chen,
Schlegel, White 2023, arXiv:2301.11476, abstract.
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
from mdplab.algorithms.policy_gradient.tsallis import log_q, tsallis_greedy
from mdplab.kernels.softmax import log_softmax
from mdplab.models import MDP, Trace


def munchausen_vi(
    mdp: MDP,
    *,
    alpha: float,
    tau: float,
    num_iters: int,
    errors: np.ndarray | None = None,
    m0: np.ndarray | None = None,
    checkpoints: Any = None,
) -> Trace:
    """Munchausen value iteration.

    Parameters
    ----------
    mdp
        Discounted, with every action available.
    alpha : float in [0, 1]
        Share of the log-policy that is added to the reward; 0 is soft value iteration.
    tau : float > 0
        Temperature.
    num_iters : int >= 0
    errors : array (num_iters, S, A), optional
        errors[k - 1] is added to m_k.
    m0 : array (S, A), optional
        alpha tau log(1 / A) by default, which belongs to q_0 = 0 of MD-VI.
    checkpoints : ints (K,), optional
        Iterations in [0, num_iters], increasing; all by default.

    Returns
    -------
    Trace
        `log_policy` and `m`, (K, S, A).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    >>> run = munchausen_vi(mdp, alpha=1.0, tau=1.0, num_iters=50)
    >>> bool(np.exp(run["log_policy"][-1, 0, 0]) > 0.999)
    True
    """
    check_number("tau", tau, above=True)
    check_number("alpha", alpha, most=1)

    def greedy(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_pi = log_softmax(m / tau)
        return np.exp(log_pi), log_pi

    first = np.full((mdp.S, mdp.A), -np.log(mdp.A))
    m0 = alpha * tau * first if m0 is None else m0
    run = _iterate(mdp, greedy, alpha * tau, tau, num_iters, errors, m0, first, checkpoints)
    return Trace(run[0], {"log_policy": run[1], "m": run[2]})


def general_munchausen_vi(
    mdp: MDP,
    *,
    q: float,
    alpha: float,
    tau: float,
    num_iters: int,
    errors: np.ndarray | None = None,
    m0: np.ndarray | None = None,
    checkpoints: Any = None,
) -> Trace:
    """Munchausen value iteration with Tsallis entropy of index q and its logarithm; parameters as `munchausen_vi`.

    Parameters
    ----------
    q : float > 0
        1 gives Munchausen value iteration; above 1 policies can be sparse.

    Returns
    -------
    Trace
        `policy` and `m`, (K, S, A).

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    >>> general_munchausen_vi(mdp, q=2.0, alpha=0.5, tau=0.2, num_iters=20)["policy"][-1].tolist()
    [[1.0, 0.0]]
    """
    check_number("tau", tau, above=True)
    check_number("q", q, above=True)
    check_number("alpha", alpha, most=1)
    ones = np.ones((mdp.S, mdp.A))

    def greedy(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # To the counting measure, Tsallis KL is minus the entropy.
        pi = tsallis_greedy(m, ones, tau=tau, q=q)[0]
        return pi, log_q(pi, 2 - q)

    first = log_q(ones / mdp.A, 2 - q)
    m0 = alpha * tau * first if m0 is None else m0
    run = _iterate(mdp, greedy, alpha * tau, tau, num_iters, errors, m0, ones / mdp.A, checkpoints)
    return Trace(run[0], {"policy": run[3], "m": run[2]})


def _iterate(mdp, greedy, bonus, tau, num_iters, errors, m0, first, checkpoints):
    """(checkpoints, what greedy returns second or `first`, m, policies); arrays (K, S, A)."""
    check_regular(mdp)
    num_iters, shape = check_count("num_iters", num_iters, 0), (mdp.S, mdp.A)
    kept, errors = check_checkpoints(checkpoints, num_iters), check_errors(errors, num_iters, shape)
    m = check_array("m0", m0, shape)
    P = mdp.dense().P.reshape(mdp.S * mdp.A, mdp.S)
    out = np.empty((3, kept.size, *shape))
    log_pi, pi = first, np.full(shape, 1 / mdp.A)
    place = 0
    for k in range(num_iters + 1):
        if place < kept.size and kept[place] == k:
            out[:, place] = log_pi, m, pi
            place += 1
        if k == num_iters:
            break
        pi, log_pi = greedy(m)
        v = np.sum(np.where(pi > 0, pi * (m - tau * log_pi), 0.0), axis=1)
        m = mdp.r + bonus * log_pi + mdp.gamma * (P @ v).reshape(shape)
        if errors is not None:
            m = m + errors[k]
    return kept, *out
