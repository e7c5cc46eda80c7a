"""The tables of gymnasium's toy text, without gymnasium: FrozenLake, CliffWalking, Taxi."""

import numpy as np
import scipy.sparse as sp

from mdplab.instances.grids import CLOCKWISE, neighbour
from mdplab.models import MDP

FROZEN_LAKE_MAPS = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}
TAXI_DEPOTS = ((0, 0), (0, 4), (4, 0), (4, 3))
# Walls of Taxi: (row, column) with a wall on its eastern side.
TAXI_WALLS = ((0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2))


def frozen_lake(size: str = "4x4", *, slippery: bool = True, gamma: float = 0.99) -> MDP:
    """FrozenLake of gymnasium's toy text: holes and the goal end the episode; reward 1 on entering the goal.

    Actions left, down, right, up. On slippery ice the intended move and the two perpendicular ones have probability
    1/3 each.

    Parameters
    ----------
    size : {"4x4", "8x8"}
        Which of the two published maps.
    slippery : bool
        Whether moves slip.
    gamma : float in [0, 1]
        Discount factor.

    Returns
    -------
    MDP
        Dense, 16 or 64 states in row-major order; `mu` is concentrated on the start.

    Notes
    -----
    Exact: without slip V*(start) = gamma**5 on 4x4 and gamma**13 on 8x8 (shortest paths of 6 and 14 moves, paid on the
    last). With slip and gamma = 0.99, V*(start) = 0.542026 on 4x4 and 0.414640 on 8x8 (linear solve of the optimal
    policy; 0.4146 is also what Zhang et al. (2021), TSIVR-PG, print for 8x8).

    Source
    ------
    Gymnasium toy text, FrozenLake-v1; the maps of OpenAI Gym (Brockman et al., 2016).

    Examples
    --------
    >>> frozen_lake("8x8")
    MDP(S=64, A=4, transitions=674, gamma=0.99)
    """
    if size not in FROZEN_LAKE_MAPS:
        raise ValueError(f"size is {size!r}; expected one of {sorted(FROZEN_LAKE_MAPS)}")
    lake = np.array([list(row) for row in FROZEN_LAKE_MAPS[size]])
    rows, cols = lake.shape
    end = np.isin(lake, ["H", "G"]).ravel()
    goal = (lake == "G").ravel()
    S = rows * cols
    cell = np.arange(S).reshape(rows, cols)
    no_wall = np.zeros((rows, cols), dtype=bool)
    # Left, down, right, up: counter-clockwise, so that neighbours in this order are perpendicular too.
    reach = np.stack([neighbour(cell, no_wall, *CLOCKWISE[k]).ravel() for k in (3, 2, 1, 0)], axis=1)
    P = np.zeros((S, 4, S))
    r = np.zeros((S, 4))
    for s in range(S):
        for a in range(4):
            if end[s]:
                P[s, a, s] = 1.0
                continue
            for side in (-1, 0, 1) if slippery else (0,):
                to = reach[s, (a + side) % 4]
                P[s, a, to] += 1 / 3 if slippery else 1.0
                r[s, a] += (1 / 3 if slippery else 1.0) * goal[to]
    return MDP(P, r, gamma, mu=(lake == "S").ravel().astype(np.float64))


def cliff_walking(*, slippery: bool = False, gamma: float = 0.99) -> MDP:
    """CliffWalking: 4 rows, 12 columns, a cliff along the bottom between start (3, 0) and goal (3, 11).

    Every move costs 1; one onto the cliff costs 100 and leads back to the start; the goal is terminal. Actions up,
    right, down, left; slippery, the intended move and the two perpendicular ones have probability 1/3 each.

    Parameters
    ----------
    slippery : bool
        Whether moves slip.
    gamma : float in [0, 1]
        Discount factor.

    Returns
    -------
    MDP
        48 states in row-major order; those of the cliff are never entered. `mu` is concentrated on the start.

    Notes
    -----
    Exact, without slip: the shortest safe path has 13 moves, so V*(start) = -(1 - gamma**13) / (1 - gamma), and -13 at
    gamma = 1.

    Source
    ------
    Sutton, Barto (2018), "Reinforcement Learning", example 6.6; slip as in gymnasium's CliffWalking-v1.

    Examples
    --------
    >>> cliff_walking().r[36].tolist()
    [-1.0, -100.0, -1.0, -1.0]
    """
    rows, cols = 4, 12
    S, start, goal = rows * cols, 36, 47
    cell = np.arange(S).reshape(rows, cols)
    no_wall = np.zeros((rows, cols), dtype=bool)
    reach = np.stack([neighbour(cell, no_wall, *delta).ravel() for delta in CLOCKWISE], axis=1)
    P = np.zeros((S, 4, S))
    r = np.zeros((S, 4))
    P[goal, :, goal] = 1.0
    sides = (-1, 0, 1) if slippery else (0,)
    for s in range(S):
        for a in range(4):
            if s == goal:
                continue
            for side in sides:
                to = reach[s, (a + side) % 4]
                falls = start < to < goal
                P[s, a, start if falls else to] += 1 / len(sides)
                r[s, a] += (-100.0 if falls else -1.0) / len(sides)
    return MDP(P, r, gamma, mu=(np.arange(S) == start).astype(np.float64))


def taxi(*, gamma: float = 0.99) -> MDP:
    """Taxi: fetch a passenger at one of four depots and drop them off at another.

    State ((row * 5 + col) * 5 + passenger) * 4 + destination, where passenger 0..3 waits at a depot and 4 is in the
    taxi; state 500 is terminal and follows the right drop-off. Actions south, north, east, west, pick up, drop off.
    Every decision costs 1; a wrong pick-up or drop-off costs 10; the right drop-off pays 20; a drop-off at another
    depot costs 1 and leaves the passenger there.

    Returns
    -------
    MDP
        Sparse, 501 states, deterministic; `mu` is uniform over the 300 states in which the passenger waits elsewhere
        than at the destination.

    Source
    ------
    Dietterich (2000), "Hierarchical reinforcement learning with the MAXQ value function decomposition", JAIR 13,
    section 7.1; costs and walls as in gymnasium's Taxi.

    Examples
    --------
    >>> taxi()
    MDP(S=501, A=6, transitions=3006, gamma=0.99)
    """
    end = 500
    to = np.full((end + 1, 6), end)
    r = np.zeros((end + 1, 6))
    mu = np.zeros(end + 1)
    r[:end] = -1.0
    for s in range(end):
        rest, destination = divmod(s, 4)
        place, passenger = divmod(rest, 5)
        row, col = divmod(place, 5)
        here = TAXI_DEPOTS.index((row, col)) if (row, col) in TAXI_DEPOTS else None

        def state(row: int, col: int, passenger: int, destination: int = destination) -> int:
            return ((row * 5 + col) * 5 + passenger) * 4 + destination

        to[s, 0] = state(min(row + 1, 4), col, passenger)
        to[s, 1] = state(max(row - 1, 0), col, passenger)
        to[s, 2] = s if (row, col) in TAXI_WALLS else state(row, min(col + 1, 4), passenger)
        to[s, 3] = s if (row, col - 1) in TAXI_WALLS else state(row, max(col - 1, 0), passenger)
        to[s, 4:] = s
        if passenger < 4 and here == passenger:
            to[s, 4] = state(row, col, 4)
        else:
            r[s, 4] = -10.0
        if passenger == 4 and here == destination:
            to[s, 5], r[s, 5] = end, 20.0
        elif passenger == 4 and here is not None:
            to[s, 5] = state(row, col, here)
        else:
            r[s, 5] = -10.0
        mu[s] = passenger < 4 and passenger != destination
    rows = np.arange((end + 1) * 6)
    P = sp.csr_array((np.ones(rows.size), (rows, to.ravel())), shape=(rows.size, end + 1))
    return MDP(P, r, gamma, mu=mu / mu.sum())
