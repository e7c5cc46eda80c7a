"""Adversarial search for the instance on which a bound is tightest: what random instances do not show.

A point of the unit cube encodes an instance; the search maximises log(measured / bound). A fifth of the budget goes to
uniform points, a fifth to structured ones (chains, hard instances of the literature), the rest to hill climbing from
the best of them. Several climbs are needed, because single ones get stuck.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RANDOM_SHARE, STRUCTURED_SHARE = 0.2, 0.2
# (1+1) hill climbing: part of the coordinates that move, and the step's start, limits and adaptation.
MOVED, STEP, LARGEST_STEP, SMALLEST_STEP, GROW, SHRINK = 0.3, 0.3, 0.5, 0.01, 1.5, 0.95
# A climb that has not improved for this many evaluations is given up.
STALL = 150
# Climbs start at least this far apart, in root mean square over coordinates, so that they do not share a hill.
APART = 0.25


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Parameters
    ----------
    point
        `(D,)` in [0, 1], the worst instance; read-only.
    ratio
        measured / bound there; above 1 it violates the bound.
    trace
        `(evaluations,)` largest ratio seen so far; read-only.
    stages
        `(evaluations,)` int64: 0 uniform, 1 structured, then 2, 3, ... the climb; read-only.
    """

    point: np.ndarray
    ratio: float
    trace: np.ndarray
    stages: np.ndarray


def search_worst(
    ratio: Callable[[np.ndarray], float],
    dimension: int,
    *,
    evaluations: int,
    rng: np.random.Generator,
    structured: Sequence[np.ndarray] = (),
    restarts: int = 3,
) -> Search:
    """Maximise measured / bound over instances encoded in the unit cube.

    Parameters
    ----------
    ratio
        Maps a point `(dimension,)` of [0, 1] to measured / bound, at least 0.
    dimension
        At least 1.
    evaluations
        Calls of `ratio`, at least 20.
    rng
        Source of the points.
    structured
        Points of the literature; as many as a fifth of the budget are tried, and what they leave goes to climbing.
    restarts
        Climbs, at least 3, from the best points explored that are apart from each other; each has an equal share of
        what is left, and what stalled ones leave is spent on further climbs from uniform points.

    Raises
    ------
    ValueError
        A ratio that is NaN or negative, with the point's place in the search.

    Source
    ------
    mdplab, VERIFICATION 2.4.

    Examples
    --------
    >>> peak = lambda z: 2 - abs(z[0] - 0.123)
    >>> bool(search_worst(peak, 1, evaluations=200, rng=np.random.default_rng(0)).ratio > 1.99)
    True
    """
    if dimension < 1:
        raise ValueError(f"dimension is {dimension}; expected at least 1")
    if evaluations < 20:
        raise ValueError(f"evaluations is {evaluations}; expected at least 20")
    if restarts < 3:
        raise ValueError(f"restarts is {restarts}; expected at least 3, because single climbs get stuck")
    known = [np.asarray(point, dtype=np.float64) for point in structured]
    for i, point in enumerate(known):
        if point.shape != (dimension,) or not np.all((point >= 0) & (point <= 1)):
            raise ValueError(f"structured[{i}] has shape {point.shape}; expected ({dimension},) with entries in [0, 1]")
    record = _Record(ratio, evaluations)
    uniform = [rng.random(dimension) for _ in range(int(RANDOM_SHARE * evaluations))]
    known = known[: int(STRUCTURED_SHARE * evaluations)]
    explored = [(record.value(point, 0), point) for point in uniform]
    explored += [(record.value(point, 1), point) for point in known]
    explored.sort(key=lambda pair: -pair[0])
    starts = _apart(explored, restarts)
    share = (evaluations - record.count) // restarts
    climb = 0
    while record.count < evaluations:
        if climb < len(starts):
            log_ratio, start = starts[climb]
        else:
            start = rng.random(dimension)
            log_ratio = record.value(start, climb + 2)
        _climb(record, log_ratio, start, climb + 2, share, rng)
        climb += 1
    return record.result()


def _apart(explored: list[tuple[float, np.ndarray]], count: int) -> list[tuple[float, np.ndarray]]:
    """Up to `count` best points, none near a better one that was chosen."""
    chosen: list[tuple[float, np.ndarray]] = []
    for value, point in explored:
        if all(np.sqrt(((point - other) ** 2).mean()) >= APART for _, other in chosen):
            chosen.append((value, point))
        if len(chosen) == count:
            break
    return chosen


class _Record:
    """Calls of the ratio, the best of them, and the trace."""

    def __init__(self, ratio: Callable[[np.ndarray], float], evaluations: int) -> None:
        self.ratio, self.count, self.best, self.point = ratio, 0, -1.0, np.empty(0)
        self.trace, self.stages = np.empty(evaluations), np.empty(evaluations, dtype=np.int64)

    def value(self, point: np.ndarray, stage: int) -> float:
        """log(measured / bound) at a point."""
        value = float(self.ratio(point))
        if not value >= 0:
            raise ValueError(f"ratio is {value} at evaluation {self.count}; expected at least 0")
        if value > self.best:
            self.best, self.point = value, point.copy()
        self.trace[self.count], self.stages[self.count] = self.best, stage
        self.count += 1
        return float(np.log(value)) if value > 0 else -np.inf

    def result(self) -> Search:
        for array in (self.point, self.trace, self.stages):
            array.flags.writeable = False
        return Search(self.point, self.best, self.trace, self.stages)


def _climb(
    record: _Record, log_ratio: float, point: np.ndarray, stage: int, share: int, rng: np.random.Generator
) -> None:
    """(1+1) hill climbing with an adapted step, until it stalls or its share or the budget is spent."""
    step, stall, last = STEP, 0, min(record.count + share, record.trace.size)
    while record.count < last and stall < STALL:
        moved = rng.random(point.size) < MOVED
        # A point of one coordinate, or few, would often not move at all.
        moved[rng.integers(point.size)] = True
        trial = np.clip(point + step * rng.standard_normal(point.size) * moved, 0, 1)
        value = record.value(trial, stage)
        stall = 0 if value > log_ratio else stall + 1
        step = min(step * GROW, LARGEST_STEP) if value > log_ratio else max(step * SHRINK, SMALLEST_STEP)
        # Ties are taken, so that a plateau is crossed.
        if value >= log_ratio:
            point, log_ratio = trial, value
