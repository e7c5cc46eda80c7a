"""Pictures for notebooks: values and policy of a gridworld; the chain from lemma to theorem to claim."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdplab.report.figures import PALETTE

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


def chain_map(ax: Any, claims: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> None:
    """Three columns, from lemma by theorem to claim, with a line where one rests on the other.

    Claims without a lemma have a dotted line to their theorem: they rest on measurements alone.

    Parameters
    ----------
    ax
        Matplotlib axes.
    claims
        Records with `id`, `theorem`, `verdict` and `lemmas`, top to bottom.
    kinds
        Kind of each lemma, by id; each kind has a colour.

    Raises
    ------
    ValueError
        A claim cites a lemma that `kinds` does not have.
    """
    lemmas = list(dict.fromkeys(lemma for claim in claims for lemma in claim["lemmas"]))
    unknown = [lemma for lemma in lemmas if lemma not in kinds]
    if unknown:
        raise ValueError(f"kinds has no {unknown[0]!r}")
    theorems = list(dict.fromkeys(claim["theorem"] for claim in claims))
    colours = dict(zip(sorted(set(kinds.values())), PALETTE, strict=False))
    heights = [
        {name: (k + 0.5) / len(names) for k, name in enumerate(reversed(names))}
        for names in (lemmas, theorems, [claim["id"] for claim in claims])
    ]
    for claim in claims:
        middle, right = heights[1][claim["theorem"]], heights[2][claim["id"]]
        style = {"linewidth": 1, "color": "#999999", "linestyle": "-" if claim["lemmas"] else ":"}
        ax.plot([1.45, 2.1], [middle, right], **style)
        for lemma in claim["lemmas"]:
            ax.plot([0.72, 1.45], [heights[0][lemma], middle], linewidth=1, color=colours[kinds[lemma]], alpha=0.7)
    for lemma, y in heights[0].items():
        ax.text(0.7, y, lemma.partition(":")[2], ha="right", va="center", color=colours[kinds[lemma]], fontsize=9)
    card = {"facecolor": "white", "edgecolor": "#CCCCCC", "boxstyle": "round,pad=0.25"}
    for theorem, y in heights[1].items():
        ax.text(1.45, y, theorem, ha="center", va="center", fontsize=8, bbox=card)
    for claim in claims:
        name = claim["id"].partition(":")[2]
        ax.text(2.12, heights[2][claim["id"]], f"{name}  {claim['verdict']}", va="center", fontsize=9)
    for x, title, side in ((0.7, "lemma", "right"), (1.45, "theorem", "center"), (2.12, "claim, verdict", "left")):
        ax.text(x, 1.03, title, ha=side, fontsize=9, color="#555555")
    for k, kind in enumerate(kind for kind in colours if any(kinds[lemma] == kind for lemma in lemmas)):
        ax.text(0.05 + 0.75 * k, -0.05, kind, color=colours[kind], fontsize=8)
    ax.set(xlim=(0, 2.95), ylim=(-0.08, 1.08))
    ax.set_axis_off()
