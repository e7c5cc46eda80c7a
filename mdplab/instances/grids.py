"""A generic sparse gridworld."""

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.sparse as sp

from mdplab.models import MDP

# Moves as (row, column), clockwise, so that the neighbours of a move in this order are its perpendiculars.
CLOCKWISE = ((-1, 0), (0, 1), (1, 0), (0, -1))


def gridworld(
    rows: int,
    cols: int,
    *,
    gamma: float,
    goals: Mapping[tuple[int, int], float] | None = None,
    walls: Iterable[tuple[int, int]] | np.ndarray = (),
    slip: float = 0.0,
    step_reward: float = 0.0,
    start: tuple[int, int] | None = None,
) -> MDP:
    """A sparse grid with walls, slip and absorbing goals.

    State `row * cols + col`; actions up, right, down, left. The intended move happens with probability 1 - slip, each
    of the two perpendicular ones with slip / 2; a move off the grid or into a wall stays. Each decision outside goals
    pays `step_reward`, entering a goal pays that goal's reward in addition, and goals are terminal. Wall cells are
    states too (so that the numbering is regular), unreachable and terminal.

    Parameters
    ----------
    rows, cols : int >= 1
        Size of the grid.
    gamma : float in [0, 1]
        Discount factor; 1 needs a goal or a wall.
    goals : mapping from (row, col) to float, optional
        Rewards on entering; {(rows - 1, cols - 1): 1.0} by default.
    walls : iterable of (row, col), or bool array (rows, cols)
        Blocked cells.
    slip : float in [0, 1]
        Probability of a perpendicular move.
    step_reward : float
        Reward of every decision outside goals and walls.
    start : (row, col), optional
        If given, `mu` is concentrated there.

    Raises
    ------
    ValueError
        If a goal, a wall or the start lies outside the grid or two of them coincide, or `slip` is not in [0, 1].

    Source
    ------
    Russell, Norvig, "Artificial Intelligence: A Modern Approach", section 17.1 (slip to the perpendicular sides).

    Examples
    --------
    >>> mdp = gridworld(2, 3, gamma=0.9)
    >>> mdp
    MDP(S=6, A=4, transitions=24, gamma=0.9)
    """
    if rows < 1 or cols < 1:
        raise ValueError(f"rows, cols are {rows}, {cols}; expected at least 1")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip}; expected a probability")
    goals = {(rows - 1, cols - 1): 1.0} if goals is None else goals
    wall = _cells("walls", walls, rows, cols)
    goal = _cells("goals", list(goals), rows, cols)
    if (wall & goal).any():
        cell = tuple(int(i) for i in np.argwhere(wall & goal)[0])
        raise ValueError(f"cell {cell} is both a goal and a wall")
    prize = np.zeros(rows * cols)
    for (row, col), reward in goals.items():
        prize[row * cols + col] = reward
    return _grid_mdp(rows, cols, gamma, wall, goal, prize, slip, step_reward, start)


def _cells(name: str, cells: Iterable[tuple[int, int]] | np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Mask (rows, cols) of the listed cells."""
    if isinstance(cells, np.ndarray) and cells.dtype == bool:
        if cells.shape != (rows, cols):
            raise ValueError(f"{name} has shape {cells.shape}, expected ({rows}, {cols})")
        return cells
    mask = np.zeros((rows, cols), dtype=bool)
    for row, col in cells:
        if not (0 <= row < rows and 0 <= col < cols):
            raise ValueError(f"{name} has the cell ({row}, {col}), outside the {rows} x {cols} grid")
        mask[row, col] = True
    return mask


def _grid_mdp(rows, cols, gamma, wall, goal, prize, slip, step_reward, start) -> MDP:
    """The sparse model of a grid; `prize` (S,) is paid on entering."""
    S = rows * cols
    end = (wall | goal).ravel()
    cell = np.arange(S, dtype=np.int32).reshape(rows, cols)
    reach = np.stack([neighbour(cell, wall, *delta).ravel() for delta in CLOCKWISE], axis=1)
    reach[end] = np.flatnonzero(end)[:, None]
    # One column for the intended move and two for the perpendicular ones; zero entries are never stored.
    sides = [0] if slip == 0 else [-1, 1] if slip == 1 else [-1, 0, 1]
    weight = np.array([slip / 2 if side else 1 - slip for side in sides])
    indices = np.stack([np.roll(reach, -side, axis=1) for side in sides], axis=2).reshape(S * 4, len(sides))
    r = (prize[indices] @ weight).reshape(S, 4) + step_reward
    r[end] = 0.0
    # A final state's row is one entry, so that it is exactly 1 and not a rounded sum of parts.
    keep = np.ones((S, 4 * len(sides)), dtype=bool)
    keep[end] = np.tile(np.arange(len(sides)) == 0, 4)
    data = np.where(np.repeat(end, 4)[:, None], 1.0, weight)
    counts = np.where(np.repeat(end, 4), 1, len(sides))
    indptr = np.zeros(S * 4 + 1, dtype=np.int32 if data.size < 2**31 else np.int64)
    np.cumsum(counts, out=indptr[1:])
    keep = keep.ravel()
    P = sp.csr_array((data.ravel()[keep], indices.ravel()[keep], indptr), shape=(S * 4, S))
    P.sum_duplicates()
    for array in (P.data, P.indices, P.indptr, r):
        array.flags.writeable = False
    mu = None
    if start is not None:
        mask = _cells("start", [start], rows, cols).ravel()
        mu = mask.astype(np.float64)
    return MDP(P, r, gamma, mu=mu)


def neighbour(cell: np.ndarray, wall: np.ndarray, down: int, right: int) -> np.ndarray:
    """Where each cell leads: the neighbour, or the cell itself at a border or a wall."""
    rows, cols = cell.shape
    row = np.clip(np.arange(rows) + down, 0, rows - 1)
    col = np.clip(np.arange(cols) + right, 0, cols - 1)
    to = cell[np.ix_(row, col)]
    return np.where(wall[np.ix_(row, col)], cell, to)
