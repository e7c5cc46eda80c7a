"""Checks of arguments that the methods of this folder share: each raises ValueError with argument, index and value."""

import operator
from typing import Any

import numpy as np

from mdplab.models import MDP


def check_count(name: str, value: Any, least: int = 1) -> int:
    """The value as an int, unless it is no whole number or below `least`.

    Examples
    --------
    >>> check_count("horizon", np.int64(3))
    3
    """
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; expected an integer") from None
    if count < least:
        raise ValueError(f"{name} is {count}; expected at least {least}")
    return count


def check_checkpoints(checkpoints: Any, last: int, first: int = 0) -> np.ndarray:
    """The checkpoints (K,) as int64, strictly increasing in [first, last]; None stands for all of them.

    Examples
    --------
    >>> check_checkpoints([0, 2], 2).tolist(), check_checkpoints(None, 2).tolist()
    ([0, 2], [0, 1, 2])
    """
    given = np.arange(first, last + 1) if checkpoints is None else _numbers("checkpoints", checkpoints)
    if given.ndim != 1:
        raise ValueError(f"checkpoints has shape {given.shape}; expected (K,)")
    if not given.size:
        raise ValueError(f"checkpoints is empty; expected increasing integers in [{first}, {last}]")
    # A comparison with nan is false, so that nan counts as wrong.
    good = (given >= first) & (given <= last) & (given % 1 == 0)
    good[1:] &= given[1:] > given[:-1]
    _raise_first("checkpoints", given, good, f"increasing integers in [{first}, {last}]")
    return given.astype(np.int64)


def check_array(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The values as a fresh float64 array of this shape, all finite.

    Examples
    --------
    >>> check_array("theta0", [[0, 1]], (1, 2)).tolist()
    [[0.0, 1.0]]
    """
    array = np.array(_numbers(name, values), dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    _raise_first(name, array, np.isfinite(array), "finite numbers")
    return array


def check_indices(name: str, values: Any, size: int, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The values as int64, each in [0, size), of this shape if one is given: kernels read whatever they point at.

    Examples
    --------
    >>> check_indices("states", [0, 2], 3).tolist()
    [0, 2]
    """
    array = _numbers(name, values)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    _raise_first(name, array, (array >= 0) & (array < size) & (array % 1 == 0), f"integers in [0, {size})")
    return array.astype(np.int64)


def check_steps(theta: Any, states: Any, actions: Any, name: str = "theta") -> tuple[np.ndarray, ...]:
    """Logits (S, A), states and actions (...) of equal shape within its range."""
    if np.ndim(theta) != 2:
        raise ValueError(f"{name} has shape {np.shape(theta)}; expected (S, A)")
    theta = check_array(name, theta, np.shape(theta))
    states = check_indices("states", states, theta.shape[0])
    return theta, states, check_indices("actions", actions, theta.shape[1], states.shape)


def check_rows(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The values as a fresh float64 array of this shape whose last axes are distributions.

    Examples
    --------
    >>> check_rows("pi", [[0.25, 0.75]], (1, 2)).tolist()
    [[0.25, 0.75]]
    """
    array = check_array(name, values, shape)
    _raise_first(name, array, array >= 0, "probabilities")
    sums = array.sum(axis=-1)
    # As loose as models are with their own rows.
    _raise_first(f"the sum of {name}", sums, np.abs(sums - 1) <= 1e-8, "1")
    return array


def check_each(name: str, values: Any, *, most: float = np.inf) -> np.ndarray:
    """The values (T,) as float64, T at least 1, each finite, above 0 and at most `most`.

    Examples
    --------
    >>> check_each("eta", [1, 0.5], most=1).tolist()
    [1.0, 0.5]
    """
    array = np.asarray(_numbers(name, values), dtype=np.float64, order="C")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}; expected (T,), one an iteration")
    what = "finite numbers above 0" if most == np.inf else f"numbers in (0, {most:g}]"
    _raise_first(name, array, (array > 0) & (array <= most) & np.isfinite(array), what)
    return array


def check_number(name: str, value: Any, least: float = 0.0, most: float = np.inf, *, above: bool = False) -> float:
    """The value as a float in [least, most], finite; with `above` the lower end is left out.

    Examples
    --------
    >>> check_number("tau", 0), check_number("gamma0", 2, above=True)
    (0.0, 2.0)
    """
    _numbers(name, value)
    if not (
        np.ndim(value) == 0 and (value > least if above else value >= least) and value <= most and np.isfinite(value)
    ):
        low = f" above {least:g}" if above else f" of at least {least:g}" if least > -np.inf else ""
        high = "" if most == np.inf else f" and at most {most:g}"
        raise ValueError(f"{name} is {value}; expected a finite number{low}{high}")
    return float(value)


def check_regular(mdp: MDP) -> None:
    """Raise unless the model is discounted, has no horizon of its own, and every action is available."""
    if not mdp.gamma < 1 or mdp.horizon is not None:
        raise ValueError(f"mdp has gamma {mdp.gamma:g} and horizon {mdp.horizon}; expected discounting and no horizon")
    check_actions(mdp)


def check_actions(mdp: MDP) -> None:
    """Raise unless every action is available: a softmax policy plays them all."""
    if not mdp.actions.all():
        s, a = (int(i) for i in np.argwhere(~mdp.actions)[0])
        raise ValueError(f"mdp.actions[{s}, {a}] is False; every action must be available")


def check_start(mdp: MDP) -> None:
    """Raise unless the model has a start distribution."""
    if mdp.mu is None:
        raise ValueError("mdp.mu is None; expected a start distribution")


def check_sampled(mdp: MDP, horizon: Any) -> int:
    """The horizon, for a model whose trajectories under a softmax policy can be drawn."""
    horizon = check_count("horizon", horizon)
    check_start(mdp)
    check_actions(mdp)
    return horizon


def check_errors(errors: Any, num_iters: int, shape: tuple[int, int]) -> np.ndarray | None:
    """Errors (num_iters, S, A) that are added iteration by iteration, or None."""
    return None if errors is None else check_array("errors", errors, (num_iters, *shape))


def _numbers(name: str, values: Any) -> np.ndarray:
    """The values as an array of whatever real type they have."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; expected an array") from None
    if array.size and array.dtype.kind not in "biuf":
        what = repr(values) if array.ndim == 0 else f"of type {array.dtype}"
        raise ValueError(f"{name} is {what}; expected real numbers")
    return array


def _raise_first(name: str, array: np.ndarray, good: np.ndarray, what: str) -> None:
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        where = f"[{', '.join(map(str, at))}]" if at else ""
        raise ValueError(f"{name}{where} is {array[at]}; expected {what}")
