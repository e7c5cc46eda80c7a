"""Uncertainty sets from what a command line can say: names, numbers and `.npy` files."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from mdplab.models.uncertainty import SETS, UncertaintySet

_COSTS = ("line", "discrete")


def uncertainty_set(name: str, S: int, **options: str | None) -> UncertaintySet:
    """An uncertainty set of `mdplab.models` by its name.

    Parameters
    ----------
    name : str
        `"l1"`, `"tv"`, `"kl"`, ...: a key of `mdplab.models.uncertainty.SETS`.
    S : int
        Number of states, for a named ground cost.
    **options : str or None
        What the set takes, by the names of its fields: `radius`, `level`, `temperature`, `weights`, `cost`, `order`,
        `lo`, `hi`, `kernels`, `rectangularity`, `support`; None where nothing was said. Numbers, or `.npy` files;
        `cost` may also be `"line"`, |i - j|, or `"discrete"`, 1 between different states. `radius` is also the level of
        `"cvar"` and the temperature of soft sets.

    Raises
    ------
    ValueError
        An unknown set, an option that the set does not take or lacks, a file that is no array, and what the set itself
        refuses.

    Examples
    --------
    >>> uncertainty_set("l1", 3, radius="0.1", rectangularity="s", cost=None).rectangularity
    's'
    >>> uncertainty_set("kl", 3, radius="0.1", cost="line")
    Traceback (most recent call last):
    ...
    ValueError: cost is 'line', but a set 'kl' takes radius, rectangularity, support
    """
    if name not in SETS:
        raise ValueError(f"robust is {name!r}; expected one of {', '.join(SETS)}")
    taken = [one.name for one in fields(SETS[name]) if one.init]
    size = next((one for one in ("level", "temperature") if one in taken), None)
    if size and options.get(size) is None:
        options = {**options, size: options.get("radius"), "radius": None}
    given: dict[str, Any] = {}
    for option, said in options.items():
        if said is None:
            continue
        if option not in taken:
            raise ValueError(f"{option} is {said!r}, but a set {name!r} takes {', '.join(sorted(taken))}")
        given[option] = said if option in ("rectangularity", "support") else _numbers(option, said, S)
    missing = [one for one in taken if one not in ("rectangularity", "support", "order") and one not in given]
    if missing:
        raise ValueError(f"{missing[0]} is missing: a set {name!r} needs it")
    return SETS[name](**given)


def _numbers(option: str, said: str, S: int) -> Any:
    """A number, an array from a file, or a named cost."""
    if option == "cost" and said in _COSTS:
        at = np.arange(S)
        return np.abs(at[:, None] - at) if said == "line" else 1.0 - np.eye(S)
    try:
        return float(said)
    except ValueError:
        pass
    if not said.endswith(".npy"):
        named = f", {' or '.join(_COSTS)}" if option == "cost" else ""
        raise ValueError(f"{option} is {said!r}; expected a number or a .npy file{named}")
    try:
        return np.load(Path(said), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{option}: {said} cannot be read as an array: {error}") from None
