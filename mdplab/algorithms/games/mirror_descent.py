r"""Entropic mirror descent against a sequence of payoff vectors: the no-regret engine under Nash-MD.

    pi_(t+1) = argmax_pi  eta <pi, g_t> - D(pi || pi_t),    hence  log pi_t = log mu + eta (g_0 + ... + g_(t-1)) + const

In a preference game g_t = P[:, z_t] is the column of the opponent's action. With payoffs in an interval of length 1 the
regret after T rounds is at most log(n) / eta + eta T / 8 from the uniform start, whatever the opponent does; the step
tuned to the horizon, eta = sqrt(8 log(n) / T), makes that sqrt(T log(n) / 2).

Source: Cesa-Bianchi and Lugosi 2006, Theorem 2.2; for the tabular updates of Nash-MD, Munos et al. 2023, section 6.
"""

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


def mirror_descent(gains: np.ndarray, *, eta: float) -> np.ndarray:
    """The policies that mirror descent plays from the uniform start: gains (..., T, n) -> policies (..., T, n).

    Parameters
    ----------
    gains
        Payoff of every action in every round; the policy of round t depends on rounds before t only.
    eta
        Step, above 0.

    Examples
    --------
    >>> mirror_descent(np.array([[1.0, 0.0], [0.0, 1.0]]), eta=np.log(3.0)).round(12).tolist()
    [[0.5, 0.5], [0.75, 0.25]]
    """
    if not eta > 0:
        raise ValueError(f"eta is {eta}; expected above 0")
    before = np.cumsum(gains, axis=-2) - gains
    return softmax(eta * before)


def regret(gains: np.ndarray, policies: np.ndarray) -> np.ndarray:
    """Regret against the best fixed action: (..., T, n), (..., T, n) -> (...).

    Examples
    --------
    >>> float(regret(np.array([[1.0, 0.0], [1.0, 0.0]]), np.full((2, 2), 0.5)))
    1.0
    """
    best = gains.sum(axis=-2).max(axis=-1)
    return best - np.einsum("...tn,...tn->...", gains, policies)
