"""Small problems of textbooks and papers, with their closed forms."""

import numpy as np

from mdplab.models import MDP


def riverswim(S: int = 6, *, version: str = "osband", gamma: float = 0.99) -> MDP:
    """RiverSwim: a chain where swimming right, against the current, leads to the large reward.

    Action 0 swims left and succeeds; action 1 swims right. "osband" (also that of the regret literature after UCRL2):
    right succeeds with probability .6 from the left bank, .35 in the middle; stays .4, .6, .6 (bank, middle, last);
    drifts back .05 in the middle, .4 in the last state; rewards .005 for left on the left bank and 1 for right in the
    last state, whatever happens. "strehl-littman": right succeeds with .3, stays .7, .6, .3, drifts back .1 in the
    middle and .7 in the last state; rewards 5 for left on the left bank and 10000 on the transition that stays in the
    last state; starts in state 1 or 2.

    Parameters
    ----------
    S : int >= 3
        Length of the river.
    version : {"osband", "strehl-littman"}
        Which of the two published ones.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    V* of "strehl-littman" with S = 6, gamma = .99 is 56687.649 in state 0 and 70582.794 in state 5.

    Source
    ------
    Strehl, Littman (2008), "An analysis of model-based interval estimation for Markov decision processes", figure of
    RiverSwim; Osband, Russo, Van Roy (2013), "(More) efficient reinforcement learning via posterior sampling",
    figure 1 (numbers of the latter read from the authors' followers' code).

    Examples
    --------
    >>> riverswim().P[2, 1].tolist()
    [0.0, 0.05, 0.6, 0.35, 0.0, 0.0]
    """
    if S < 3:
        raise ValueError(f"S is {S}; a river has at least 3 states")
    if version not in ("osband", "strehl-littman"):
        raise ValueError(f"version is {version!r}; expected 'osband' or 'strehl-littman'")
    P = np.zeros((S, 2, S))
    P[np.arange(S), 0, np.maximum(np.arange(S) - 1, 0)] = 1.0
    bank, middle, last = ((0.4, 0.6), (0.05, 0.6, 0.35), (0.4, 0.6))
    if version == "strehl-littman":
        bank, middle, last = ((0.7, 0.3), (0.1, 0.6, 0.3), (0.7, 0.3))
    P[0, 1, :2] = bank
    for s in range(1, S - 1):
        P[s, 1, s - 1 : s + 2] = middle
    P[S - 1, 1, S - 2 :] = last
    mu = np.zeros(S)
    if version == "osband":
        r = np.zeros((S, 2))
        r[0, 0], r[S - 1, 1] = 0.005, 1.0
        mu[0] = 1.0
        return MDP(P, r, gamma, mu=mu)
    r_next = np.zeros((S, 2, S))
    r_next[0, 0, 0], r_next[S - 1, 1, S - 1] = 5.0, 10000.0
    mu[1:3] = 0.5
    return MDP(P, r_next, gamma, mu=mu)


def two_state(leave: float = 0.3, back: float = 0.6, *, r: tuple[float, float] = (1.0, 0.0), gamma: float = 0.9) -> MDP:
    """The two-state chain with one action: state 0 leaves with probability `leave`, state 1 returns with `back`.

    Parameters
    ----------
    leave, back : float in [0, 1]
        Switching probabilities.
    r : pair of float
        Rewards of the two states.
    gamma : float in [0, 1)
        Discount factor.

    See Also
    --------
    two_state_value : its value function in closed form.

    Examples
    --------
    >>> two_state().P[:, 0].round(2).tolist()
    [[0.7, 0.3], [0.6, 0.4]]
    """
    P = np.array([[[1 - leave, leave]], [[back, 1 - back]]])
    return MDP(P, np.array([[r[0]], [r[1]]]), gamma)


def two_state_value(leave: float, back: float, r: tuple[float, float], gamma: float) -> np.ndarray:
    """Value (2,) of `two_state`.

    The determinant of I - gamma P is (1 - gamma)(1 - gamma (1 - leave - back)), and its adjugate applied to r gives
    V(0) = ((1 - gamma (1 - back)) r(0) + gamma leave r(1)) / det, V(1) by symmetry.

    Examples
    --------
    >>> two_state_value(0.5, 0.5, (1.0, 0.0), 0.5).tolist()
    [1.5, 0.5]
    """
    det = (1 - gamma) * (1 - gamma * (1 - leave - back))
    first = (1 - gamma * (1 - back)) * r[0] + gamma * leave * r[1]
    second = (1 - gamma * (1 - leave)) * r[1] + gamma * back * r[0]
    return np.array([first, second]) / det
