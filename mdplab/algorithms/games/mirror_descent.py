r"""Entropic mirror descent against a sequence of payoff vectors: the no-regret engine under Nash-MD.

    pi_(t+1) = argmax_pi  eta <pi, g_t> - D(pi || pi_t),    hence  log pi_t = log mu + eta (g_0 + ... + g_(t-1)) + const

In a preference game g_t = P[:, z_t] is the column of the opponent's action. With payoffs in an interval of length 1 the
regret after T rounds is at most log(n) / eta + eta T / 8 from the uniform start, whatever the opponent does; the step
tuned to the horizon, eta = sqrt(8 log(n) / T), makes that sqrt(T log(n) / 2).

Source: Cesa-Bianchi and Lugosi 2006, Theorem 2.2; for the tabular updates of Nash-MD, Munos et al. 2023, section 6.
"""

from collections.abc import Callable

import numpy as np

from mdplab.kernels.softmax import softmax


def tuned_step(n: int, horizon: int) -> float:
    """sqrt(8 log(n) / T), which minimises the regret bound log(n) / eta + eta T / 8.

    Examples
    --------
    >>> round(tuned_step(2, 8), 6) == round(float(np.sqrt(np.log(2))), 6)
    True
    """
    return float(np.sqrt(8 * np.log(n) / horizon))


def mirror_descent(
    payoffs: np.ndarray,
    opponent: Callable[[int, np.ndarray], np.ndarray],
    *,
    eta: float,
    num_rounds: int,
    runs: int = 1,
) -> np.ndarray:
    """Regret of mirror descent from the uniform start, against an opponent that may see its policy.

    Parameters
    ----------
    payoffs : array (n, k)
        Payoff of the row's action against the column's; of a preference game, P.
    opponent
        Maps the round t and the policies (runs, n) of this round to the opponent's actions (runs,).
    eta
        Step, above 0.
    num_rounds
        Rounds T.
    runs
        Independent runs.

    Returns
    -------
    array (runs,)
        max_y sum_t payoffs[y, z_t] - sum_t pi_t . payoffs[:, z_t].

    Examples
    --------
    >>> alternating = lambda t, pi: np.full(len(pi), t % 2)
    >>> mirror_descent(np.eye(2), alternating, eta=np.log(3.0), num_rounds=2).round(12).tolist()
    [0.25]
    """
    if not eta > 0:
        raise ValueError(f"eta is {eta}; expected above 0")
    total, earned = np.zeros((runs, payoffs.shape[0])), np.zeros(runs)
    columns = np.ascontiguousarray(payoffs.T)
    for t in range(num_rounds):
        pi = softmax(eta * total)
        gain = columns[opponent(t, pi)]
        earned += np.einsum("ry,ry->r", pi, gain)
        total += gain
    return total.max(axis=1) - earned
