"""Differentiable games given by their pseudo-gradient F = (grad_i f_i): quadratic ones, and smooth ones on a region.

Player i moves the block x_i of `sizes[i]` coordinates to lower its own cost f_i. Regions are products over players.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models.solution import frozen_array


@dataclass(frozen=True, eq=False, slots=True)
class Box:
    """The product of intervals [lo_k, hi_k].

    Parameters
    ----------
    lo, hi : array (d,)
        Finite, lo < hi in every coordinate.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> Box([-1.0, 0.0], [1.0, 2.0]).project(np.array([3.0, 0.5]), (1, 1)).tolist()
    [1.0, 0.5]
    """

    lo: Any
    hi: Any

    def __post_init__(self) -> None:
        for name in ("lo", "hi"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
        if self.lo.shape != self.hi.shape:
            raise ValueError(f"hi has shape {self.hi.shape}, lo has {self.lo.shape}")
        _raise_at("hi", self.hi, ~(self.lo < self.hi), "not above lo there: the region is no box")

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return self.lo.size

    def bounds(self, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The smallest box around the region: itself."""
        return self.lo, self.hi

    def project(self, x: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        """The nearest point, in any metric that weights players' blocks: x (..., d) -> (..., d)."""
        return np.clip(x, self.lo, self.hi)

    def room(self, x: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        """Distance of each player's block from the complement of its own set, (N,); negative outside."""
        inside = np.minimum(x - self.lo, self.hi - x)
        return np.array([part.min() for part in np.split(inside, np.cumsum(sizes)[:-1])])


@dataclass(frozen=True, eq=False, slots=True)
class Ball:
    """The product over players of Euclidean balls around their blocks of `center`.

    Parameters
    ----------
    center : array (d,)
        Finite.
    radius : float, or array (N,)
        Above 0; one for each player, or the same for all.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> Ball([0.0, 0.0, 0.0], [1.0, 2.0]).project(np.array([3.0, 4.0, 5.0]), (2, 1)).tolist()
    [0.6, 0.8, 2.0]
    """

    center: Any
    radius: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _vector("center", self.center))
        radius = frozen_array(np.atleast_1d(np.asarray(self.radius, dtype=np.float64)))
        if radius.ndim != 1 or radius.size == 0:
            raise ValueError(f"radius has shape {radius.shape}; expected a number or one per player")
        _raise_at("radius", radius, ~(np.isfinite(radius) & (radius > 0)), "not a positive number: no ball")
        object.__setattr__(self, "radius", radius)

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return self.center.size

    def radii(self, sizes: Sequence[int]) -> np.ndarray:
        """One radius per player, (N,)."""
        if self.radius.size not in (1, len(sizes)):
            raise ValueError(f"radius has {self.radius.size} entries; the game has {len(sizes)} players")
        return np.broadcast_to(self.radius, (len(sizes),))

    def bounds(self, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """A box around the region, rounded outward."""
        reach = np.repeat(self.radii(sizes), sizes)
        return np.nextafter(self.center - reach, -np.inf), np.nextafter(self.center + reach, np.inf)

    def project(self, x: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        """The nearest point, in any metric that weights players' blocks: x (..., d) -> (..., d)."""
        away = np.split(x - self.center, np.cumsum(sizes)[:-1], axis=-1)
        parts = []
        for part, radius in zip(away, self.radii(sizes)):
            length = np.linalg.norm(part, axis=-1, keepdims=True)
            parts.append(radius * part / np.maximum(length, radius))
        return self.center + np.concatenate(parts, axis=-1)

    def room(self, x: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        """Distance of each player's block from the complement of its own ball, (N,); negative outside."""
        away = np.split(x - self.center, np.cumsum(sizes)[:-1])
        return self.radii(sizes) - np.array([np.linalg.norm(part) for part in away])


@dataclass(frozen=True, eq=False, slots=True)
class QuadraticGame:
    """F(x) = H x + b on the whole space; all constants of the game are those of the blocks of H.

    Parameters
    ----------
    H : array (d, d)
        Block (i, j) is the derivative of player i's gradient by player j's coordinates.
    sizes : (N,) ints
        Coordinates of each player; their sum is d.
    b : array (d,), optional
        Zero by default.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> game = QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1))
    >>> game, game.block(0, 1).tolist()
    (QuadraticGame(sizes=(1, 1)), [[10.0]])
    """

    H: Any
    sizes: Any
    b: Any = None

    def __post_init__(self) -> None:
        sizes = checked_sizes(self.sizes)
        H, d = frozen_array(self.H), sum(sizes)
        if H.shape != (d, d):
            raise ValueError(f"H has shape {H.shape}; sizes {sizes} need ({d}, {d})")
        _raise_at("H", H, ~np.isfinite(H), "entries are finite")
        b = _vector("b", np.zeros(d) if self.b is None else self.b)
        if b.shape != (d,):
            raise ValueError(f"b has shape {b.shape}; expected ({d},)")
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "H", H)
        object.__setattr__(self, "b", b)

    @property
    def players(self) -> int:
        """Number of players N."""
        return len(self.sizes)

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return self.H.shape[0]

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of H."""
        at = np.concatenate([[0], np.cumsum(self.sizes)])
        return self.H[at[i] : at[i + 1], at[j] : at[j + 1]]

    def pseudo_gradient(self, x: np.ndarray) -> np.ndarray:
        """F at points (..., d)."""
        return x @ self.H.T + self.b

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """H, at every point (..., d)."""
        return np.broadcast_to(self.H, (*np.shape(x)[:-1], *self.H.shape))

    def digest(self) -> str:
        """SHA-256 of the game's numbers."""
        out = hashlib.sha256(f"QuadraticGame{self.sizes}".encode())
        for array in (self.H, self.b):
            out.update(array.astype("<f8", copy=False).tobytes())
        return out.hexdigest()

    def __repr__(self) -> str:
        return f"QuadraticGame(sizes={self.sizes})"


@dataclass(frozen=True, eq=False, slots=True)
class SmoothGame:
    """A pseudo-gradient with its Jacobian on a region, and, for certificates, an enclosure of the Jacobian over boxes.

    Parameters
    ----------
    pseudo_gradient : callable
        x (..., d) -> F(x) (..., d).
    jacobian : callable
        x (..., d) -> (..., d, d).
    sizes : (N,) ints
        Coordinates of each player.
    region : Box or Ball
        Where the game is studied.
    jacobian_enclosure : callable, optional
        (lo (..., d), hi (..., d)) -> two arrays (..., d, d) between which the Jacobian lies, entry by entry, at every
        point of the box, rounding included. Its truth is the game's own: nobody can check it from outside. Without it
        only estimates are possible.

    Raises
    ------
    ValueError
        A region that is neither a box nor a ball, or of another dimension.

    Examples
    --------
    >>> game = SmoothGame(lambda x: x, lambda x: np.ones((*x.shape, 1)), (1,), region=Box([-1.0], [1.0]))
    >>> game
    SmoothGame(sizes=(1,), Box)
    """

    pseudo_gradient: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]
    sizes: Any
    region: Box | Ball = None
    jacobian_enclosure: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", checked_sizes(self.sizes))
        if not isinstance(self.region, Box | Ball):
            raise ValueError(f"region is {self.region!r}; expected a Box or a Ball")
        if self.region.d != self.d:
            raise ValueError(f"region has {self.region.d} coordinates; sizes {self.sizes} need {self.d}")
        if isinstance(self.region, Ball):
            self.region.radii(self.sizes)
        for name in ("pseudo_gradient", "jacobian"):
            if not callable(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected a function")
        if self.jacobian_enclosure is not None and not callable(self.jacobian_enclosure):
            raise ValueError(f"jacobian_enclosure is {self.jacobian_enclosure!r}; expected a function or None")

    @property
    def players(self) -> int:
        """Number of players N."""
        return len(self.sizes)

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return sum(self.sizes)

    def __repr__(self) -> str:
        return f"SmoothGame(sizes={self.sizes}, {type(self.region).__name__})"


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes of the players' blocks as ints, each at least 1.

    Examples
    --------
    >>> checked_sizes([2, 1])
    (2, 1)
    """
    values = np.asarray(sizes)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"sizes is {sizes!r}; expected one size per player")
    for i, size in enumerate(values.tolist()):
        if isinstance(size, bool) or not isinstance(size, int | float) or not size >= 1 or size % 1:
            raise ValueError(f"sizes[{i}] is {size!r}; expected an integer of at least 1")
    return tuple(int(size) for size in values)


def checked_weights(w: Any, players: int) -> np.ndarray:
    """Weights of the metric sum_i w_i |x_i|^2: (N,), finite and positive.

    Examples
    --------
    >>> checked_weights([1, 200], 2).tolist()
    [1.0, 200.0]
    """
    array = frozen_array(w)
    if array.shape != (players,):
        raise ValueError(f"w has shape {array.shape}; expected ({players},)")
    _raise_at("w", array, ~(np.isfinite(array) & (array > 0)), "weights are positive")
    return array


def _vector(name: str, values: Any) -> np.ndarray:
    array = frozen_array(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected (d,)")
    _raise_at(name, array, ~np.isfinite(array), "entries are finite")
    return array


def _raise_at(name: str, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    where = np.argwhere(bad)
    if where.size:
        index = ", ".join(str(int(i)) for i in where[0])
        raise ValueError(f"{name}[{index}] is {array[tuple(where[0])]:g}; {what}")
