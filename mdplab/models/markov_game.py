"""Two-player zero-sum Markov games: frozen, validated once."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdplab.models.solution import frozen_array
from mdplab.models.validation import ROW_SUM_TOLERANCE, check_distribution, checked_gamma


@dataclass(frozen=True, eq=False, slots=True)
class MarkovGame:
    """A zero-sum discounted Markov game: in every state both players act at once, and the first is paid by the second.

    Parameters
    ----------
    R : array (S, A, B)
        Rewards of the first player, who maximises; the second pays them. Finite.
    T : array (S, A, B, S)
        Transition probabilities; each row sums to 1 within 1e-8. Never renormalised.
    gamma : float in [0, 1)
        Discount factor.
    mu : array (S,), optional
        Distribution of the initial state.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Notes
    -----
    Strategies are arrays (S, A) for the first player and (S, B) for the second, rows distributions. Arrays are copied
    to C-order float64 and made read-only; an array that is read-only and owns its memory is adopted.

    Examples
    --------
    >>> pennies = MarkovGame([[[1.0, -1.0], [-1.0, 1.0]]], [[[[1.0], [1.0]], [[1.0], [1.0]]]], 0.5)
    >>> pennies
    MarkovGame(S=1, A=2, B=2, gamma=0.5)
    """

    R: Any
    T: Any
    gamma: float
    mu: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        R, T = frozen_array(self.R), frozen_array(self.T)
        if R.ndim != 3 or 0 in R.shape:
            raise ValueError(f"R has shape {R.shape}; expected (S, A, B)")
        if T.shape != (*R.shape, R.shape[0]):
            raise ValueError(f"T has shape {T.shape}; with R of shape {R.shape} it must be {(*R.shape, R.shape[0])}")
        _require("R", R, np.isfinite(R), "rewards are finite")
        _require("T", T, np.isfinite(T) & (T >= 0), "probabilities are finite and at least 0")
        sums = T.sum(axis=3)
        off = np.argwhere(np.abs(sums - 1) > ROW_SUM_TOLERANCE)
        if off.size:
            raise ValueError(f"{_name('T', off[0])} sums to {sums[tuple(off[0])]:.12g}, not 1")
        gamma = checked_gamma(self.gamma)
        if gamma == 1:
            raise ValueError("gamma is 1; a MarkovGame is discounted, with gamma below 1")
        object.__setattr__(self, "R", R)
        object.__setattr__(self, "T", T)
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "mu", None if self.mu is None else check_distribution("mu", self.mu, R.shape[0]))

    @property
    def S(self) -> int:
        """Number of states."""
        return self.R.shape[0]

    @property
    def A(self) -> int:
        """Number of actions of the first player."""
        return self.R.shape[1]

    @property
    def B(self) -> int:
        """Number of actions of the second player."""
        return self.R.shape[2]

    def replace(self, **changes: Any) -> "MarkovGame":
        """A copy with `R`, `T`, `gamma` or `mu` changed, validated anew.

        Examples
        --------
        >>> MarkovGame([[[1.0]]], [[[[1.0]]]], 0.5).replace(gamma=0.9).gamma
        0.9
        """
        return MarkovGame(**{"R": self.R, "T": self.T, "gamma": self.gamma, "mu": self.mu, **changes})

    def transposed(self) -> "MarkovGame":
        """The same game seen by the second player: actions swapped, rewards negated.

        Examples
        --------
        >>> MarkovGame([[[1.0, 2.0]]], [[[[1.0], [1.0]]]], 0.5).transposed().R.tolist()
        [[[-1.0], [-2.0]]]
        """
        return MarkovGame(-self.R.transpose(0, 2, 1), self.T.transpose(0, 2, 1, 3), self.gamma, mu=self.mu)

    def digest(self) -> str:
        """SHA-256 of the game's numbers."""
        out = hashlib.sha256(f"MarkovGame {self.R.shape} {self.mu is not None}".encode())
        for array in (self.R, self.T, np.array(self.gamma), self.mu):
            if array is not None:
                out.update(array.astype("<f8", copy=False).tobytes())
        return out.hexdigest()

    def __repr__(self) -> str:
        return f"MarkovGame(S={self.S}, A={self.A}, B={self.B}, gamma={self.gamma:g})"


def _name(argument: str, index: np.ndarray) -> str:
    return f"{argument}[{', '.join(str(int(i)) for i in index)}]"


def _require(argument: str, array: np.ndarray, good: np.ndarray, what: str) -> None:
    bad = np.argwhere(~good)
    if bad.size:
        raise ValueError(f"{_name(argument, bad[0])} is {array[tuple(bad[0])]:g}; {what}")
