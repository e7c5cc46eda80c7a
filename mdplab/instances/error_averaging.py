"""Problems on which errors of value iteration average out, or do not: one state, and a maze."""

import numpy as np

from mdplab.models import MDP

_MAZE = ("SOOO", "O###", "OOOO", "O#RO")


def tight_averaging(e: float, delta: float, gamma: float, num_iters: int) -> tuple[MDP, np.ndarray]:
    """One state and errors that make the worse of two actions look better, by delta, at every iteration.

    Parameters
    ----------
    e : float > 0
        Size of each error.
    delta : float in (0, 2 e)
    gamma : float in [0, 1)
    num_iters : int >= 1

    Returns
    -------
    (MDP, array (num_iters, 1, 2))
        Rewards (2 e - delta, 0), and errors (-e, e). The loss of a policy that averages tends to
        (2 e - delta) / (1 - gamma), while the mean error has norm e.

    Raises
    ------
    ValueError
        e or delta out of range.

    Examples
    --------
    >>> mdp, errors = tight_averaging(1.0, 0.5, 0.9, 3)
    >>> (mdp.r + errors[0]).tolist()
    [[0.5, 1.0]]
    """
    if not (e > 0 and 0 < delta < 2 * e):
        raise ValueError(f"e and delta are {e:g} and {delta:g}; expected e > 0 and 0 < delta < 2 e")
    return MDP([[[1.0], [1.0]]], [[2 * e - delta, 0.0]], gamma), np.tile([-e, e], (num_iters, 1, 1))


def maze(gamma: float = 0.96) -> MDP:
    """A 4x4 maze of twelve cells: four moves, a uniform one instead with probability 1/10, reward 1 a step taken at R.

    Walls and borders leave the position as it is; the start is the first cell.

    Source
    ------
    The layout and the noise of a public notebook that reproduces Vieillard et al. 2020 (ShinRL); its episodes have 25
    steps, which a discount of 0.96 has as its horizon.

    Examples
    --------
    >>> maze()
    MDP(S=12, A=4, transitions=144, gamma=0.96)
    """
    cells = [(i, j) for i, row in enumerate(_MAZE) for j, kind in enumerate(row) if kind != "#"]
    index = {cell: s for s, cell in enumerate(cells)}
    P, r = np.zeros((len(cells), 4, len(cells))), np.zeros((len(cells), 4))
    for (i, j), s in index.items():
        r[s] = _MAZE[i][j] == "R"
        for move, (di, dj) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
            t = index.get((i + di, j + dj), s)
            P[s, :, t] += 0.1 / 4
            P[s, move, t] += 0.9
    return MDP(P, r, gamma, mu=np.eye(len(cells))[0])
