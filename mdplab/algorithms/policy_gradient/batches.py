"""Runs of methods that draw a batch an iteration: what they check of their arguments, and a run a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_checkpoints, check_count
from mdplab.models import Trace


def check_batches(batch: Any, num_iters: Any, checkpoints: Any) -> tuple[int, int, np.ndarray]:
    """Trajectories an iteration, iterations, and checkpoints in [0, num_iters].

    Examples
    --------
    >>> check_batches(4, 2, None)[:2]
    (4, 2)
    """
    batch, num_iters = check_count("batch", batch), check_count("num_iters", num_iters)
    return batch, num_iters, check_checkpoints(checkpoints, num_iters)


def run_seeds(
    run: Callable[..., int], arguments: tuple, kept: np.ndarray, rng: np.random.Generator, seeds: Any, **shapes: tuple
) -> Trace:
    """The trace of `run(*arguments, kept, stream, *columns)`, once a seed, each with a generator spawned from rng.

    Parameters
    ----------
    run
        Fills its columns (K, ...), in which state and action, the last two axes of a table, are one axis of pairs.
        Returns the update that had numbers that are not finite, or -1.
    arguments
        What runs read, the same for all.
    kept : int array (K,)
        Checkpoints.
    seeds : int >= 1
    shapes
        Columns in their order, with the shapes of their entries.

    Returns
    -------
    Trace
        Columns (seeds, K, ...). Its status names the first update that had numbers that are not finite; what is not
        recorded of that run is nan.

    Examples
    --------
    >>> def run(start, kept, stream, out):
    ...     out[:] = start + kept
    ...     return -1
    >>> run_seeds(run, (0.5,), np.array([0, 2]), np.random.default_rng(0), 1, theta=())["theta"].tolist()
    [[0.5, 2.5]]
    """
    seeds = check_count("seeds", seeds)
    columns = {name: np.full((seeds, kept.size, *shape), np.nan) for name, shape in shapes.items()}
    flat = [x.reshape(*x.shape[:-2], -1) if len(shapes[name]) > 1 else x for name, x in columns.items()]
    stops = [run(*arguments, kept, stream, *(x[i] for x in flat)) for i, stream in enumerate(rng.spawn(seeds))]
    bad = [t for t in stops if t >= 0]
    return Trace(kept, columns, f"diverged at t={min(bad)}" if bad else "ok")
