"""Two-state problems and the operations-research classics: forest, machine, inventory."""

from collections.abc import Sequence

import numpy as np

from mdplab.models import MDP


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


def two_state_choice(*, gamma: float = 0.9) -> MDP:
    """Puterman's two-state problem: in state 0, a safe action or one that pays more and leads to a bad state.

    State 0, action 0: reward 5, then either state with probability 1/2; action 1: reward 10, then state 1. State 1 has
    only action 0: reward -1, and stays.

    See Also
    --------
    two_state_choice_value : the optimal value in closed form.

    Source
    ------
    Puterman (1994), "Markov Decision Processes", section 3.1; its values are discussed in section 6.2.

    Examples
    --------
    >>> two_state_choice().actions.tolist()
    [[True, True], [True, False]]
    """
    P = np.array([[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    r = np.array([[5.0, 10.0], [-1.0, 0.0]])
    return MDP(P, r, gamma, actions=np.array([[True, True], [True, False]]))


def two_state_choice_value(gamma: float) -> np.ndarray:
    """Optimal value (2,) of `two_state_choice`, for gamma in [0, 1).

    V(1) = -1 / (1 - gamma). Action 1 gives 10 - gamma / (1 - gamma); action 0 gives (5 - gamma / (2 (1 - gamma))) /
    (1 - gamma / 2). They tie at gamma = 10/11, above which action 0 is better.

    Examples
    --------
    >>> two_state_choice_value(0.5).tolist()
    [9.0, -2.0]
    """
    bad = -1 / (1 - gamma)
    return np.array([max(10 + gamma * bad, (5 + gamma * bad / 2) / (1 - gamma / 2)), bad])


def forest_management(S: int = 3, *, r1: float = 4.0, r2: float = 2.0, p: float = 0.1, gamma: float = 0.9) -> MDP:
    """Forest management: wait (action 0) while the forest ages, or cut (action 1); a fire returns it to age 0.

    Waiting ages the forest by one, up to S - 1, or burns it with probability `p`; it pays `r1` in the oldest state.
    Cutting returns to age 0 and pays 0 at age 0, `r2` in the oldest state, 1 between.

    Parameters
    ----------
    S : int >= 2
        Number of ages.
    r1, r2 : float
        Rewards of waiting and of cutting in the oldest state.
    p : float in [0, 1]
        Probability of a fire.
    gamma : float in [0, 1)
        Discount factor.

    See Also
    --------
    forest_value : the value of always waiting, optimal at the default numbers.

    Source
    ------
    The example `forest` of the MDP toolbox (Chades, Chapron, Cros, Garcia, Sabbadin, 2014, Ecography 37).

    Examples
    --------
    >>> forest_management().r.tolist()
    [[0.0, 0.0], [0.0, 1.0], [4.0, 2.0]]
    """
    if S < 2:
        raise ValueError(f"S is {S}; expected at least 2")
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; expected a probability")
    ages = np.arange(S)
    P = np.zeros((S, 2, S))
    P[:, 0, 0] = p
    P[ages, 0, np.minimum(ages + 1, S - 1)] += 1 - p
    P[:, 1, 0] = 1.0
    r = np.zeros((S, 2))
    r[1:, 1] = 1.0
    r[S - 1] = r1, r2
    return MDP(P, r, gamma)


def forest_value(S: int = 3, *, r1: float = 4.0, p: float = 0.1, gamma: float = 0.9) -> np.ndarray:
    """Value (S,) of always waiting in `forest_management`.

    With x = gamma (1 - p): V(s) = gamma p V(0) + x V(s + 1), and V(S - 1) = r1 + gamma p V(0) + x V(S - 1). So
    V(s) = (gamma p V(0) + x^(S - 1 - s) r1) / (1 - x), and s = 0 solves for V(0) = x^(S - 1) r1 / (1 - gamma).

    Examples
    --------
    >>> forest_value().round(3).tolist()
    [26.244, 29.484, 33.484]
    """
    x = gamma * (1 - p)
    young = x ** (S - 1) * r1 / (1 - gamma)
    return (gamma * p * young + x ** (S - 1 - np.arange(S)) * r1) / (1 - x)


def machine_replacement(*, gamma: float = 0.8) -> MDP:
    """Machine replacement with ten states: eight degrees of wear (0..7) and two of repair (8: long, 9: short).

    Action 0 does nothing, action 1 repairs; rewards are costs, negated, and depend on the next state.

    Notes
    -----
    Exact to the digits shown: (V*(0), V*(7), V*(9)) is (-1.7666, -12.8807, -1.8222) at gamma = .8 and
    (-12.4553, -23.7809, -12.1803) at gamma = .95.

    Source
    ------
    Delage, Mannor (2010), "Percentile optimization for Markov decision processes with parameter uncertainty",
    section 5; the numbers are those of the CRAAM library's copy.

    Examples
    --------
    >>> machine_replacement().P[0, 1].tolist()
    [0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6]
    """
    P = np.zeros((10, 2, 10))
    cost = np.zeros((10, 2, 10))
    for s in range(8):
        wear = min(s + 1, 7)
        P[s, 1, [wear, 9, 8]] = 0.3, 0.6, 0.1
        cost[s, 1, [9, 8]] = 2.0, 10.0
        P[s, 0, s] += 0.2
        P[s, 0, wear] += 0.8
    # Wear 7, once reached, costs at every step that ends in it.
    cost[6:8, :, 7] = 20.0
    P[7, 0] = 0.0
    P[7, 0, 7] = 1.0
    P[8, 0, 8] = 1.0
    P[8, 1, [9, 8]] = 0.6, 0.4
    P[9, 0, [9, 0]] = 0.2, 0.8
    P[9, 1, 9] = 1.0
    cost[8:, :, 8], cost[8:, :, 9] = 10.0, 2.0
    return MDP(P, -cost, gamma)


def inventory(
    capacity: int = 3,
    *,
    demand: Sequence[float] = (0.25, 0.5, 0.25),
    price: float = 8.0,
    fixed_cost: float = 4.0,
    unit_cost: float = 2.0,
    holding_cost: float = 1.0,
    gamma: float = 0.9,
    horizon: int | None = None,
) -> MDP:
    """Puterman's stochastic inventory: order up to the capacity, then random demand; what is missing is lost.

    State: stock before ordering; action a orders a units, available while stock + a <= capacity. The reward is the
    expected revenue minus fixed_cost (if a > 0), unit_cost * a and holding_cost * (stock + a).

    Parameters
    ----------
    capacity : int >= 1
        Largest stock.
    demand : sequence of float
        Probabilities of a demand of 0, 1, 2, ...
    price, fixed_cost, unit_cost, holding_cost : float
        Money.
    gamma : float in [0, 1]
        Discount factor.
    horizon : int, optional
        Number of decisions; needed if gamma is 1.

    Notes
    -----
    Exact, default money, gamma = 1, horizon = 3: V* = (67, 129, 194, 227) / 16.

    Source
    ------
    Puterman (1994), "Markov Decision Processes", section 3.2 (model), section 4.6.1 (numbers).

    Examples
    --------
    >>> inventory().r[0].tolist()
    [0.0, -1.0, -2.0, -5.0]
    """
    weights = np.asarray(demand, dtype=np.float64)
    if capacity < 1:
        raise ValueError(f"capacity is {capacity}; expected at least 1")
    size = capacity + 1
    P = np.zeros((size, size, size))
    r = np.zeros((size, size))
    actions = np.add.outer(np.arange(size), np.arange(size)) <= capacity
    sizes = np.arange(weights.size)
    for s, a in np.argwhere(actions):
        stock = s + a
        np.add.at(P[s, a], np.maximum(stock - sizes, 0), weights)
        revenue = price * (np.minimum(sizes, stock) @ weights)
        r[s, a] = revenue - (fixed_cost + unit_cost * a if a else 0.0) - holding_cost * stock
    return MDP(P, r, gamma, actions=actions, horizon=horizon)
