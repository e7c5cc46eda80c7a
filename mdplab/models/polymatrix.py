"""Polymatrix games with entropic regularisation: every pair of players plays a matrix game."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models.solution import frozen_array
from mdplab.models.validation import ROW_SUM_TOLERANCE


@dataclass(frozen=True, eq=False, slots=True)
class PolymatrixGame:
    """Player i maximises x_i . sum_j A_ij x_j - tau_i D(x_i || mu_i) over distributions x_i on its n_i actions.

    Parameters
    ----------
    payoffs : N by N nested sequence
        `payoffs[i][j]` is A_ij, (n_i, n_j), or None where players do not meet; the diagonal is None.
    taus : array (N,)
        Weights of the regularisers, above 0.
    references : N arrays (n_i,), optional
        Full support; uniform by default.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> game = PolymatrixGame([[None, [[1.0, -1.0], [-1.0, 1.0]]], [[[-1.0, 1.0], [1.0, -1.0]], None]], [0.5, 0.5])
    >>> game, game.couplings().tolist()
    (PolymatrixGame(sizes=(2, 2)), [[0.0, 1.0], [1.0, 0.0]])
    """

    payoffs: Any
    taus: Any
    references: Any = None

    def __post_init__(self) -> None:
        taus = frozen_array(self.taus)
        N = taus.size
        if taus.ndim != 1 or N == 0:
            raise ValueError(f"taus has shape {taus.shape}; expected one temperature per player")
        for i, tau in enumerate(taus.tolist()):
            if not (np.isfinite(tau) and tau > 0):
                raise ValueError(f"taus[{i}] is {tau:g}; expected a finite number above 0")
        if not hasattr(self.payoffs, "__len__"):
            raise ValueError(f"payoffs is {self.payoffs!r}; expected {N} by {N} matrices or None")
        if len(self.payoffs) != N or any(len(row) != N for row in self.payoffs):
            raise ValueError(f"payoffs is not {N} by {N}: taus has {N} entries")
        payoffs = tuple(
            tuple(None if A is None else _matrix(f"payoffs[{i}][{j}]", A) for j, A in enumerate(row))
            for i, row in enumerate(self.payoffs)
        )
        sizes = _sizes(payoffs, self.references)
        given = [None] * N if self.references is None else list(self.references)
        if len(given) != N:
            raise ValueError(f"references has {len(given)} entries; the game has {N} players")
        references = tuple(_reference(i, mu, n) for i, (mu, n) in enumerate(zip(given, sizes)))
        for name, value in (("taus", taus), ("payoffs", payoffs), ("references", references)):
            object.__setattr__(self, name, value)

    @property
    def players(self) -> int:
        """Number of players N."""
        return len(self.taus)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return tuple(mu.size for mu in self.references)

    def split(self, stacked: np.ndarray) -> list[np.ndarray]:
        """The players' parts of an array (..., sum n_i)."""
        return np.split(stacked, np.cumsum(self.sizes)[:-1], axis=-1)

    def payoff_matrix(self) -> np.ndarray:
        """The blocks A_ij in one array, (sum n_i, sum n_i), zero where players do not meet."""
        sizes = self.sizes
        rows = [
            [np.zeros((sizes[i], sizes[j])) if A is None else A for j, A in enumerate(row)]
            for i, row in enumerate(self.payoffs)
        ]
        return np.block(rows)

    def couplings(self) -> np.ndarray:
        """L_ij = max |A_kl - A_ml - A_kp + A_mp| / 4: |e . A_ij d| <= L_ij |d|_1 |e|_1 for zero-sum d, e; (N, N)."""
        out = np.zeros((self.players, self.players))
        for i, row in enumerate(self.payoffs):
            for j, A in enumerate(row):
                if A is not None:
                    out[i, j] = max(float(np.ptp(A - line, axis=1).max()) for line in A) / 4
        return out

    def digest(self) -> str:
        """SHA-256 of the game's numbers."""
        out = hashlib.sha256(f"PolymatrixGame{self.sizes}".encode())
        for array in (self.payoff_matrix(), self.taus, *self.references):
            out.update(array.astype("<f8", copy=False).tobytes())
        return out.hexdigest()

    def __repr__(self) -> str:
        return f"PolymatrixGame(sizes={self.sizes})"


def _matrix(name: str, values: Any) -> np.ndarray:
    array = frozen_array(values)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected (n_i, n_j)")
    if not np.isfinite(array).all():
        k, l = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name}[{k}, {l}] is {array[k, l]:g}; payoffs are finite")
    return array


def _sizes(payoffs: Sequence[Sequence[np.ndarray | None]], references: Any) -> list[int]:
    """Numbers of actions, from references where given, else from the payoffs; all must agree."""
    N = len(payoffs)
    sizes: list[int | None] = [None] * N
    if references is not None:
        sizes = [None if mu is None else int(np.size(mu)) for mu in references]
    for i, row in enumerate(payoffs):
        if row[i] is not None:
            raise ValueError(f"payoffs[{i}][{i}] is given; a player does not meet itself")
        for j, A in enumerate(row):
            for player, size in () if A is None else ((i, A.shape[0]), (j, A.shape[1])):
                if sizes[player] is None:
                    sizes[player] = size
                if sizes[player] != size:
                    raise ValueError(
                        f"payoffs[{i}][{j}] has shape {A.shape}; player {player} has {sizes[player]} actions"
                    )
    for i, size in enumerate(sizes):
        if size is None:
            raise ValueError(f"payoffs says nothing of player {i}'s actions, and neither does references[{i}]")
    return sizes


def _reference(i: int, values: Any, n: int) -> np.ndarray:
    array = frozen_array(np.full(n, 1 / n) if values is None else values)
    if array.shape != (n,):
        raise ValueError(f"references[{i}] has shape {array.shape}; expected ({n},)")
    for k, value in enumerate(array.tolist()):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"references[{i}][{k}] is {value:g}; a reference policy is positive everywhere")
    if abs(array.sum() - 1) > ROW_SUM_TOLERANCE:
        raise ValueError(f"references[{i}] sums to {array.sum():.12g}, not 1")
    return array
