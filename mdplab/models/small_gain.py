"""A small-gain certificate as plain arrays: what a method claims of a game, and a referee re-derives."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models.smooth_games import checked_weights
from mdplab.models.solution import frozen_array

# "estimate" is what sampling gives: it may be reported and plotted, and the referee never accepts it.
SOURCES = ("blocks", "enclosure", "estimate")


@dataclass(frozen=True, eq=False, slots=True)
class SmallGainCertificate:
    """The pseudo-gradient is strongly monotone with modulus alpha and Lipschitz with beta in |x|^2 = sum w_i |x_i|^2.

    Parameters
    ----------
    mu : array (N,)
        Lower bounds of the least eigenvalue of the symmetric part of each player's own block of the Jacobian.
    L : array (N, N)
        Upper bounds of the spectral norms of the blocks, the diagonal ones among them; at least 0.
    w : array (N,)
        Weights, positive.
    alpha, beta : float
        The claim. Nothing is certified with `alpha <= 0`.
    source : {"blocks", "enclosure", "estimate"}
        Where mu and L come from: blocks of a quadratic game; enclosures over the cells of the region; a grid.
    cuts : int array (K, 2)
        For enclosures, how the region's box is divided: entry (k, axis) halves cell k, which keeps the lower half, and
        appends the upper one to the list of cells.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> SmallGainCertificate([1, 1], [[1, 10], [0.05, 1]], [1, 200], 0.29, 1.71, source="blocks").players
    2
    """

    mu: Any
    L: Any
    w: Any
    alpha: float
    beta: float
    source: str
    cuts: Any = None

    def __post_init__(self) -> None:
        mu, L = frozen_array(self.mu), frozen_array(self.L)
        if mu.ndim != 1 or L.shape != (mu.size, mu.size):
            raise ValueError(f"mu has shape {mu.shape} and L {L.shape}; expected (N,) and (N, N)")
        if not (np.isfinite(mu).all() and np.isfinite(L).all()):
            raise ValueError("mu or L has an entry that is not finite")
        if (L < 0).any():
            i, j = np.argwhere(L < 0)[0]
            raise ValueError(f"L[{i}, {j}] is {L[i, j]:g}; norms are at least 0")
        if self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}; expected one of {SOURCES}")
        for name in ("alpha", "beta"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected a finite number")
        cuts = frozen_array(np.zeros((0, 2)) if self.cuts is None else self.cuts, np.int64)
        if cuts.ndim != 2 or cuts.shape[1] != 2:
            raise ValueError(f"cuts has shape {cuts.shape}; expected (K, 2)")
        for name, value in (("mu", mu), ("L", L), ("w", checked_weights(self.w, mu.size)), ("cuts", cuts)):
            object.__setattr__(self, name, value)

    @property
    def players(self) -> int:
        """Number of players N."""
        return self.mu.size
