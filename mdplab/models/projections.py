"""The two usual projections of a law onto atoms given beforehand, and what their arguments must be."""

from typing import Any

import numpy as np

from mdplab.models.solution import frozen_array
from mdplab.models.validation import _at, _first, check_distribution

# A cumulative sum of masses carries rounding: a level this close above one (relatively) counts as reached by it.
REACHED = 1e-12


def project_categorical(x: Any, p: Any, z: Any, *, clip: bool = False) -> np.ndarray:
    """Masses on the atoms `z` of the law with atoms `x` and masses `p`, each split linearly between two neighbours.

    Keeps the mean, and is the projection onto laws on `z` in the Cramer distance.

    Parameters
    ----------
    x, p : array (n,)
        Atoms in any order, finite; masses, at least 0, summing to 1 within 1e-8.
    z : array (K,)
        Atoms of the projection, strictly increasing.
    clip : bool
        Move mass from outside `[z[0], z[-1]]` to the nearer end (which changes the mean), instead of refusing it.

    Returns
    -------
    array (K,)
        Masses with the same sum as `p`.

    Raises
    ------
    ValueError
        Mass outside `[z[0], z[-1]]` without `clip`: the message says how much. Atoms that only rounding (1e-12 of the
        largest |z|) puts outside count as ends.

    Source
    ------
    Bellemare, Dabney, Munos (2017), eq. (7); Rowland et al. (2018), Proposition 1 (what it projects).

    Examples
    --------
    >>> project_categorical([0.25], [1.0], [0.0, 1.0]).tolist()
    [0.75, 0.25]
    >>> project_categorical([0.5, 3.0], [0.9, 0.1], [0.0, 1.0])
    Traceback (most recent call last):
    ...
    ValueError: z from 0 to 1 cannot hold the law: mass 0.1 lies outside (0 below, 0.1 above); widen z or clip
    """
    x, p = checked_atoms(x, p)
    z = checked_grid("z", z)
    slack = 1e-12 * np.abs(z).max()
    below, above = p[x < z[0] - slack].sum(), p[x > z[-1] + slack].sum()
    if not clip and below + above > 0:
        raise ValueError(
            f"z from {z[0]:g} to {z[-1]:g} cannot hold the law: mass {below + above:.6g} lies outside "
            f"({below:.6g} below, {above:.6g} above); widen z or clip"
        )
    out = np.zeros(z.size)
    if z.size == 1:
        out[0] = p.sum()
        return out
    x = np.clip(x, z[0], z[-1])
    i = np.clip(np.searchsorted(z, x, side="right") - 1, 0, z.size - 2)
    right = (x - z[i]) / (z[i + 1] - z[i])
    np.add.at(out, i, p * (1 - right))
    np.add.at(out, i + 1, p * right)
    return out


def project_quantile(x: Any, p: Any, m: int) -> np.ndarray:
    """The `m` atoms `QF((2i - 1) / (2m))`, i = 1..m, of the law with atoms `x` and masses `p` in any order.

    With mass 1/m each they are the nearest such law in `w_1`; on support [a, b] it is at most `(b - a) / (2m)` away.

    Source
    ------
    Dabney, Rowland, Bellemare, Munos (2018), Lemma 2.

    Examples
    --------
    >>> project_quantile([1.0, 0.0], [0.5, 0.5], 4).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    if isinstance(m, bool) or int(m) != m or m < 1:
        raise ValueError(f"m is {m!r}; expected an integer of at least 1")
    x, p = checked_atoms(x, p)
    order = np.argsort(x, kind="stable")
    return quantiles(x[order], p[order], (2 * np.arange(m) + 1) / (2 * m))


def checked_grid(name: str, values: Any) -> np.ndarray:
    """`values` as a frozen array (K,) of finite, strictly increasing numbers; ValueError names the entry."""
    grid = frozen_array(values)
    if grid.ndim != 1 or grid.size == 0:
        raise ValueError(f"{name} has shape {grid.shape}; expected (K,) with K >= 1")
    bad = _first(~np.isfinite(grid))
    if bad is not None:
        raise ValueError(f"{_at(name, bad)} is {grid[bad]:g}; expected finite numbers")
    bad = _first(np.diff(grid) <= 0)
    if bad is not None:
        i = bad[0] + 1
        raise ValueError(f"{name}[{i}] is {grid[i]:g} after {name}[{i - 1}] = {grid[i - 1]:g}; it increases strictly")
    return grid


def checked_atoms(x: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Frozen atoms and masses of equal length; masses at least 0 and summing to 1."""
    x, p = frozen_array(x), frozen_array(p)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"x has shape {x.shape}; expected (n,) with n >= 1 atoms")
    bad = _first(~np.isfinite(x))
    if bad is not None:
        raise ValueError(f"{_at('x', bad)} is {x[bad]:g}; atoms are finite")
    return x, check_distribution("p", p, x.size)


def checked_level(name: str, value: Any) -> float:
    """A risk level as a float in (0, 1]; ValueError names it."""
    try:
        level = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; expected a number in (0, 1]") from None
    if not 0 < level <= 1:
        raise ValueError(f"{name} is {level:g}; expected a number in (0, 1]")
    return level


def quantiles(x: np.ndarray, p: np.ndarray, tau: Any) -> Any:
    """`QF(tau) = inf {x : F(x) >= tau}` for sorted `x`; levels that rounding misses by 1e-12 count as reached."""
    return x[np.minimum(np.searchsorted(np.cumsum(p), np.asarray(tau) * (1 - REACHED)), x.size - 1)]
