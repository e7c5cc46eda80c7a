"""Pictures for notebooks: the values and the policy of a gridworld."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Order of the toy-text environments: left, down, right, up.
LEFT_DOWN_RIGHT_UP = ((-1, 0), (0, -1), (1, 0), (0, 1))


def value_map(
    ax: Any,
    value: np.ndarray,
    policy: np.ndarray,
    shape: tuple[int, int],
    *,
    moves: Sequence[tuple[int, int]] = LEFT_DOWN_RIGHT_UP,
    still: np.ndarray | None = None,
) -> None:
    """Colour each cell by its value, print the value, and draw the policy's move as an arrow.

    Parameters
    ----------
    ax
        Matplotlib axes.
    value : array (S,)
        Values; the first `rows * columns` states are the cells, row by row.
    policy : int array (S,)
        Actions.
    shape
        (rows, columns).
    moves
        For each action the arrow's direction, (right, up).
    still : bool array (S,), optional
        Cells without an arrow, such as terminal ones.

    Raises
    ------
    ValueError
        The grid has more cells than there are states.
    """
    rows, columns = shape
    if rows * columns > len(value):
        raise ValueError(f"shape is {shape}: {rows * columns} cells, but there are {len(value)} states")
    grid = np.asarray(value)[: rows * columns].reshape(shape)
    ax.imshow(grid, cmap="cividis")
    middle = (grid.min() + grid.max()) / 2
    for cell in range(rows * columns):
        y, x = divmod(cell, columns)
        ink = "black" if grid[y, x] > middle else "white"
        ax.text(x, y + 0.36, f"{grid[y, x]:.3g}", ha="center", va="center", fontsize=8, color=ink)
        if still is None or not still[cell]:
            right, up = moves[int(policy[cell])]
            arrow = {"arrowstyle": "-|>", "color": ink, "lw": 1.4}
            ends = {"xytext": (x - 0.22 * right, y - 0.08 + 0.22 * up), "xy": (x + 0.22 * right, y - 0.08 - 0.22 * up)}
            ax.annotate("", **ends, arrowprops=arrow)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
