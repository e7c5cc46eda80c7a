"""Hard instances of lower bounds, with exact values."""

import numpy as np

from mdplab.models import MDP


def azar_hard(
    K: int = 3, L: int = 2, *, gamma: float = 0.9, gap: float = 0.0, best: tuple[tuple[int, int], ...] = ()
) -> MDP:
    """The family of the minimax lower bound with a generative model.

    State k < K: action l leads to y(k, l) = K + k L + l, which pays 1 a step and stays with probability
    p = (4 gamma - 1) / (3 gamma), else moves to the last state, terminal. Pairs in `best` stay with p + gap.

    Parameters
    ----------
    K, L : int >= 1
        Numbers of decision states and of actions.
    gamma : float in (1/4, 1)
        Discount factor.
    gap : float
        Advantage of the pairs in `best`; p + gap must be a probability. Of order (1 - gamma)**2 eps to move the value
        by eps.
    best : tuple of (k, l)
        The pairs that are better; without any, all actions are equal.

    See Also
    --------
    azar_hard_value : the optimal value in closed form.

    Source
    ------
    Azar, Munos, Kappen (2013), "Minimax PAC bounds on the sample complexity of reinforcement learning with a generative
    model", Machine Learning 91, section 5 (their class of MDPs, with the terminal state shared).

    Examples
    --------
    >>> azar_hard(2, 2, gamma=0.5).S
    7
    """
    stay = _stay(K, L, gamma, gap, best)
    S, end = K + K * L + 1, K + K * L
    P = np.zeros((S, L, S))
    r = np.zeros((S, L))
    for k in range(K):
        P[k, np.arange(L), K + k * L + np.arange(L)] = 1.0
    y = np.arange(K, end)
    P[y, :, y] = stay.reshape(-1, 1)
    P[y, :, end] = 1 - stay.reshape(-1, 1)
    r[y] = 1.0
    P[end, :, end] = 1.0
    return MDP(P, r, gamma)


def _stay(K: int, L: int, gamma: float, gap: float, best: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Probabilities (K, L) that y(k, l) stays."""
    if not 0.25 < gamma < 1:
        raise ValueError(f"gamma is {gamma}; the family is defined for 1/4 < gamma < 1")
    p = (4 * gamma - 1) / (3 * gamma)
    if not 0 <= p + gap <= 1:
        raise ValueError(f"gap is {gap}; p + gap = {p + gap:g} is no probability")
    stay = np.full((K, L), p)
    for k, l in best:
        if not (0 <= k < K and 0 <= l < L):
            raise ValueError(f"best has the pair ({k}, {l}), outside {K} x {L}")
        stay[k, l] = p + gap
    return stay


def azar_hard_value(
    K: int = 3, L: int = 2, *, gamma: float = 0.9, gap: float = 0.0, best: tuple[tuple[int, int], ...] = ()
) -> np.ndarray:
    """Optimal value (K + K L + 1,) of `azar_hard`: 1 / (1 - gamma q) at y(k, l) that stays with q, gamma times the best
    of them at k, and 0 at the end. Without a gap 1 - gamma p = 4 (1 - gamma) / 3.

    Examples
    --------
    >>> azar_hard_value(1, 1, gamma=0.5).round(12).tolist()
    [0.75, 1.5, 0.0]
    """
    y = 1 / (1 - gamma * _stay(K, L, gamma, gap, best))
    return np.concatenate([gamma * y.max(axis=1), y.ravel(), [0.0]])


def two_point(delta: float = 0.125, *, sign: int = 1, gamma: float = 0.5) -> MDP:
    """One of the two-point family: which of two actions is better is one coin's bias.

    State 0: action 0 leads to the good state 1 with probability 1/2, action 1 with 1/2 + sign * delta; else to the bad
    state 2. Both stay for ever; the good one pays 1. The models with sign +1 and -1 differ in the law of one action
    only, so telling them apart is testing a coin: n tries have error probabilities that add to 1 - TV of the n-fold
    laws, and KL = 2 delta log((1 + 2 delta) / (1 - 2 delta)) a try.

    Parameters
    ----------
    delta : float in [0, 1/2]
        Bias of the coin.
    sign : {-1, 0, 1}
        Which model; 0 is the fair one between them.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    Exact: V* = (gamma b / (1 - gamma), 1 / (1 - gamma), 0) with b = max(1/2, 1/2 + sign * delta). Choosing the other
    action loses gamma delta / (1 - gamma) in state 0.

    Source
    ------
    Le Cam's two-point method; as an MDP in Mannor, Tsitsiklis (2004), "The sample complexity of exploration in the
    multi-armed bandit problem".

    Examples
    --------
    >>> two_point(0.25).P[0, 1].tolist()
    [0.0, 0.75, 0.25]
    """
    if not 0 <= delta <= 0.5:
        raise ValueError(f"delta is {delta}; expected a number in [0, 1/2]")
    if sign not in (-1, 0, 1):
        raise ValueError(f"sign is {sign}; expected -1, 0 or 1")
    P = np.zeros((3, 2, 3))
    for a, good in ((0, 0.5), (1, 0.5 + sign * delta)):
        P[0, a, 1:] = good, 1 - good
    P[1, :, 1] = P[2, :, 2] = 1.0
    return MDP(P, np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), gamma)


def jao(A: int = 2, *, delta: float = 0.125, eps: float = 0.0625, best: int | None = 0, gamma: float = 0.99) -> MDP:
    """The two states of the regret lower bound: only one action leaves the poor state a little faster.

    State 0 pays 0 and leaves with probability `delta` (`delta + eps` by action `best`); state 1 pays 1 and leaves with
    `delta` whatever the action.

    Parameters
    ----------
    A : int >= 1
        Number of actions.
    delta, eps : float
        Switching probability and its improvement; delta + eps at most 1.
    best : int or None
        The better action; None for the model in which all are equal.
    gamma : float in [0, 1)
        Discount factor, ignored by average-reward solvers.

    Notes
    -----
    Exact: the optimal gain is (delta + eps) / (2 delta + eps), against 1/2 without a better action; the diameter is
    1 / delta. Discounted, it is `two_state_value(delta + eps, delta, (0, 1), gamma)`.

    Source
    ------
    Jaksch, Ortner, Auer (2010), "Near-optimal regret bounds for reinforcement learning", JMLR 11, section 6, figure 3.

    Examples
    --------
    >>> jao().P[0].tolist()
    [[0.8125, 0.1875], [0.875, 0.125]]
    """
    if A < 1:
        raise ValueError(f"A is {A}; expected at least 1")
    if best is not None and not 0 <= best < A:
        raise ValueError(f"best is {best}; expected an action below {A}, or None")
    leave = np.full(A, delta)
    if best is not None:
        leave[best] += eps
    P = np.empty((2, A, 2))
    P[0] = np.stack([1 - leave, leave], axis=1)
    P[1] = delta, 1 - delta
    return MDP(P, np.repeat([[0.0], [1.0]], A, axis=1), gamma)
