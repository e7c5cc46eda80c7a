r"""Certificates of policy smoothing: what an adversary cannot take from an agent that adds noise to what it sees.

The agent acts on observations with fresh Gaussian noise of standard deviation sigma; the adversary moves them by e_t,
chosen from everything before that noise, with sum |e_t|^2 <= B^2 over the episode. An event of clean probability p then
keeps the probability Phi(Phi^{-1}(p) - B / sigma): the worst is all budget spent at once on a half-space.

Source: Kumar, Levine, Feizi (ICLR 2022), "Policy smoothing for provably robust reinforcement learning",
arXiv:2106.11420; abstract read, statement from memory and checked here. Cost: a sort of the returns.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import beta


def certified_probability(p: np.ndarray | float, budget: float, sigma: float) -> np.ndarray | float:
    """Phi(Phi^{-1}(p) - budget / sigma), the least probability that an event of clean probability p keeps.

    Parameters
    ----------
    p : float or array, in [0, 1]
        Clean probability, or a lower bound on it.
    budget : float >= 0
        Square root of the largest sum of squared perturbations over an episode.
    sigma : float > 0
        Standard deviation of the noise.

    Raises
    ------
    ValueError
        A negative budget, or a sigma that is not positive.

    Examples
    --------
    >>> round(float(certified_probability(0.5, 0.5, 1.0)), 4)
    0.3085
    """
    if not budget >= 0:
        raise ValueError(f"budget is {budget}; expected at least 0")
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma}; expected above 0")
    return ndtr(ndtri(p) - budget / sigma)


def certified_mean(
    returns: np.ndarray, thresholds: Sequence[float], budget: float, sigma: float, *, delta: float, joint: bool = True
) -> float:
    """A lower bound on the mean return under attack, from clean returns; true with probability at least 1 - delta.

    tau_0 + sum_i (tau_i - tau_{i-1}) Phi(Phi^{-1}(p_i) - budget / sigma), p_i a lower bound on P(return >= tau_i).

    Parameters
    ----------
    returns : array (n,)
        Of clean episodes, independent, at least thresholds[0].
    thresholds : sequence (m + 1,)
        Increasing, m at least 1.
    budget, sigma
        See `certified_probability`.
    delta : float in (0, 1)
        Probability of failure.
    joint : bool
        True: all p_i at once by Dvoretzky, Kiefer, Wolfowitz and Massart. False: Clopper and Pearson at level
        delta / m each; better for few thresholds.

    Raises
    ------
    ValueError
        Thresholds that do not increase, a return below the first one, or delta outside (0, 1).

    Examples
    --------
    >>> returns = np.repeat([0.0, 1.0], [20, 80])
    >>> round(certified_mean(returns, [0.0, 1.0], 0.0, 1.0, delta=0.05, joint=False), 4)
    0.7228
    """
    tau = np.asarray(thresholds, dtype=np.float64)
    if tau.ndim != 1 or tau.size < 2 or np.any(np.diff(tau) <= 0):
        raise ValueError(f"thresholds are {tau.tolist()}; expected at least two, increasing")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}; expected strictly between 0 and 1")
    returns = np.asarray(returns, dtype=np.float64)
    if returns.min() < tau[0]:
        raise ValueError(f"a return is {returns.min():g}, below the first threshold {tau[0]:g}")
    n, m = returns.size, tau.size - 1
    hits = (returns[:, None] >= tau[1:]).sum(axis=0)
    if joint:
        p = np.maximum(hits / n - np.sqrt(np.log(1 / delta) / (2 * n)), 0.0)
    else:
        p = np.where(hits > 0, beta.ppf(delta / m, np.maximum(hits, 1), n - hits + 1), 0.0)
    return float(tau[0] + np.diff(tau) @ certified_probability(p, budget, sigma))
