"""Games in normal form: preference games with contexts and a reference policy, and two-player matrix games."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdplab.models.solution import frozen_array
from mdplab.models.validation import ROW_SUM_TOLERANCE, check_distribution


@dataclass(frozen=True, eq=False, slots=True)
class PreferenceGame:
    """Two players name an action; the first wins with probability P[y, z], and P + P^T = 1.

    Parameters
    ----------
    P : array (n, n), or (m, n, n) with one game per context
        Probability in [0, 1] that the row's action beats the column's; P + P^T is 1 within 1e-8, never repaired.
    mu : array (n,) or (m, n), optional
        Reference policy, positive everywhere; uniform by default.
    rho : array (m,), optional
        Distribution of contexts; uniform by default, None without contexts.

    Attributes
    ----------
    K : array, as P
        The skew part (P - P^T) / 2, exactly skew; P - 1/2 where P + P^T is 1 exactly.

    Raises
    ------
    ValueError
        Names the argument, the index (of the pair) and the value (the sum).

    Notes
    -----
    Everything decouples over contexts; policies have the shape of `mu`. Updates depend on `P pi` only up to a constant,
    so that `P` and `K` are interchangeable in them.

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9], [0.1, 0.5]], [0.25, 0.75])
    >>> game
    PreferenceGame(n=2)
    >>> game.K.tolist()
    [[0.0, 0.4], [-0.4, 0.0]]
    """

    P: Any
    mu: Any = None
    rho: Any = None
    K: np.ndarray = field(default=None, init=False)

    def __post_init__(self) -> None:
        P = frozen_array(self.P)
        if P.ndim not in (2, 3) or P.shape[-1] != P.shape[-2] or 0 in P.shape:
            raise ValueError(f"P has shape {P.shape}; expected (n, n), or (m, n, n) with contexts")
        _raise_at("P", P, ~((P >= 0) & (P <= 1)), "preferences are probabilities in [0, 1]")
        total = P + np.swapaxes(P, -1, -2)
        off = np.argwhere(~(np.abs(total - 1) <= ROW_SUM_TOLERANCE))
        if off.size:
            *context, y, z = (int(i) for i in off[0])
            head = "".join(f"{c}, " for c in context)
            raise ValueError(f"P[{head}{y}, {z}] + P[{head}{z}, {y}] is {total[tuple(off[0])]:.12g}, not 1")
        object.__setattr__(self, "P", P)
        object.__setattr__(self, "K", frozen_array(0.5 * (P - np.swapaxes(P, -1, -2))))
        object.__setattr__(self, "mu", _reference(self.mu, P.shape[:-1]))
        if P.ndim == 2:
            if self.rho is not None:
                raise ValueError("rho is given, but P has no contexts: its shape is (n, n)")
        else:
            m = P.shape[0]
            rho = np.full(m, 1 / m) if self.rho is None else self.rho
            object.__setattr__(self, "rho", check_distribution("rho", rho, m))

    @property
    def n(self) -> int:
        """Number of actions."""
        return self.P.shape[-1]

    @property
    def m(self) -> int:
        """Number of contexts; 1 without."""
        return self.P.shape[0] if self.P.ndim == 3 else 1

    @property
    def log_mu(self) -> np.ndarray:
        """log of the reference policy, as mu."""
        return np.log(self.mu)

    def average(self, per_context: np.ndarray) -> float:
        """The mean over contexts of numbers (m,), or the number itself without contexts."""
        return float(per_context) if self.rho is None else float(np.asarray(per_context) @ self.rho)

    def operator_constant(self) -> float:
        """L = max |K_ik - K_jk - K_il + K_jl| / 4 over contexts: |<K d, e>| <= L |d|_1 |e|_1 for zero-sum d, e.

        At most 1/2, and 0 for two actions.

        Examples
        --------
        >>> PreferenceGame([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]).operator_constant()
        0.375
        """
        K = self.K.reshape(-1, self.n, self.n)
        best = 0.0
        for game in K:
            for row in game:
                difference = game - row
                best = max(best, float(np.ptp(difference, axis=1).max()))
        return best / 4

    def replace(self, **changes: Any) -> "PreferenceGame":
        """A copy with `P`, `mu` or `rho` changed, validated anew.

        Examples
        --------
        >>> PreferenceGame([[0.5, 0.9], [0.1, 0.5]]).replace(mu=[0.25, 0.75]).mu.tolist()
        [0.25, 0.75]
        """
        return PreferenceGame(**{"P": self.P, "mu": self.mu, "rho": self.rho, **changes})

    def digest(self) -> str:
        """SHA-256 of the game's numbers."""
        return _digest("PreferenceGame", self.P, self.mu, self.rho)

    def __repr__(self) -> str:
        contexts = f", m={self.m}" if self.P.ndim == 3 else ""
        return f"PreferenceGame(n={self.n}{contexts})"


@dataclass(frozen=True, eq=False, slots=True)
class MatrixGame:
    """Two players with payoff matrices, each maximised by its owner.

    Parameters
    ----------
    A : array (n1, n2)
        Payoff of the row player.
    B : array (n1, n2), optional
        Payoff of the column player; -A by default (zero-sum).

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    MatrixGame(2 x 2, zero-sum)
    """

    A: Any
    B: Any = None

    def __post_init__(self) -> None:
        A = frozen_array(self.A)
        if A.ndim != 2 or 0 in A.shape:
            raise ValueError(f"A has shape {A.shape}; expected (n1, n2)")
        B = frozen_array(-A if self.B is None else self.B)
        if B.shape != A.shape:
            raise ValueError(f"B has shape {B.shape}, A has {A.shape}")
        for name, payoff in (("A", A), ("B", B)):
            _raise_at(name, payoff, ~np.isfinite(payoff), "payoffs are finite")
            object.__setattr__(self, name, payoff)

    @property
    def is_zero_sum(self) -> bool:
        """True if B = -A exactly."""
        return bool(np.array_equal(self.B, -self.A))

    def digest(self) -> str:
        """SHA-256 of the game's numbers."""
        return _digest("MatrixGame", self.A, self.B)

    def __repr__(self) -> str:
        kind = "zero-sum" if self.is_zero_sum else "general-sum"
        return f"MatrixGame({self.A.shape[0]} x {self.A.shape[1]}, {kind})"


def _raise_at(name: str, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    where = np.argwhere(bad)
    if where.size:
        index = ", ".join(str(int(i)) for i in where[0])
        raise ValueError(f"{name}[{index}] is {array[tuple(where[0])]:g}; {what}")


def _reference(mu: Any, shape: tuple[int, ...]) -> np.ndarray:
    """mu of the given shape, (n,) or (m, n), positive everywhere."""
    if mu is None:
        return frozen_array(np.full(shape, 1 / shape[-1]))
    array = frozen_array(mu)
    if array.shape != shape:
        raise ValueError(f"mu has shape {array.shape}, expected {shape}")
    _raise_at("mu", array, ~(np.isfinite(array) & (array > 0)), "a reference policy is positive everywhere")
    off = np.argwhere(np.abs(array.sum(axis=-1, keepdims=True) - 1)[..., 0] > ROW_SUM_TOLERANCE)
    # Without contexts the one index is the empty one.
    if len(off):
        index = tuple(int(i) for i in off[0])
        label = f"mu[{', '.join(map(str, index))}]" if index else "mu"
        raise ValueError(f"{label} sums to {array[index].sum():.12g}, not 1")
    return array


def _digest(kind: str, *arrays: np.ndarray | None) -> str:
    out = hashlib.sha256(kind.encode())
    for array in arrays:
        if array is not None:
            out.update(f"{array.shape}".encode())
            out.update(array.astype("<f8", copy=False).tobytes())
    return out.hexdigest()
