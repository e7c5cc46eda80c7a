"""Validation of evidence: what is wrong is said by argument, index and value, and nothing is repaired."""

from typing import Any

import numpy as np


def numbers(name: str, values: Any, ndim: tuple[int, ...], *, positive: bool = False) -> np.ndarray:
    """`values` as finite float64 with one of the allowed numbers of axes; with `positive`, every entry above 0."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in ndim or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {' or '.join(map(str, ndim))} axes, none empty")
    bad = ~np.isfinite(array)
    what = "finite"
    if positive:
        bad |= array <= 0
        what = "finite and above 0"
    raise_first(name, array, bad, what)
    return array


def flags(name: str, values: Any) -> np.ndarray:
    """`values` as a boolean array with at least one entry."""
    array = np.asarray(values)
    if array.dtype != bool:
        raise ValueError(f"{name} has dtype {array.dtype}, expected bool")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; nothing was measured")
    return array


def raise_first(name: str, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    """Raise ValueError for the first entry marked bad, by index and value."""
    if np.any(bad):
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"{name}[{', '.join(map(str, index))}]" if index else name
        raise ValueError(f"{where} is {array[index]:g}; expected {what}")


def at_least_two(name: str, array: np.ndarray, axis: int, what: str) -> None:
    """Raise ValueError unless `array` has two entries or more along `axis`."""
    if array.shape[axis] < 2:
        raise ValueError(f"{name} has shape {array.shape}; axis {axis} needs at least 2 {what}")


def doubling_grid(name: str, values: Any, size: int, least: int) -> np.ndarray:
    """A grid of `size` points, each twice the one before, with at least `least` points; rows that repeat it count as
    one, because every replicate brings its own copy."""
    grid = numbers(name, values, (1, 2), positive=True)
    if grid.ndim == 2:
        raise_first(name, grid, grid != grid[0], "the same grid in every replicate")
        grid = grid[0]
    if grid.size != size:
        raise ValueError(f"{name} has {grid.size} points, but the errors have {size}")
    if grid.size < least:
        raise ValueError(f"{name} has {grid.size} points; {least - 1} doublings need {least}")
    # Eight roundings of a double: a grid of integers is exact.
    bad = np.abs(grid[1:] / grid[:-1] - 2) > 1e-15 * 8
    if np.any(bad):
        k = int(np.argmax(bad)) + 1
        raise ValueError(f"{name}[{k}] is {grid[k]:g}, not twice {name}[{k - 1}] = {grid[k - 1]:g}")
    return grid


def above_zero(name: str, value: Any) -> float:
    """A finite number above 0."""
    return float(numbers(name, value, (0,), positive=True))


def probability(name: str, value: Any) -> float:
    """A number strictly between 0 and 1."""
    out = float(numbers(name, value, (0,)))
    if not 0 < out < 1:
        raise ValueError(f"{name} is {out:g}; expected a number strictly between 0 and 1")
    return out


def run_order(array: np.ndarray) -> np.ndarray:
    """Runs (m,), or instances times runs (I, m), in the order in which a sequential test reads them: one run of
    every instance, then the next."""
    return array.T.ravel() if array.ndim == 2 else array
