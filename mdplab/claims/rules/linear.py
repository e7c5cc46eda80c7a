"""LIN-1: does an error decay geometrically, at an unspecified rate, or more slowly?

The semi-log slope of the late half of the window is compared with that of the early half. For a geometric sequence the
ratio is one; for a power law and for exp(-sqrt k) it is well below. A claim with a stated factor is BOUND-D.
"""

from typing import Any

import numpy as np

from mdplab.claims.decision import Decision
from mdplab.claims.rules.checks import above_zero, at_least_two, numbers, raise_first
from mdplab.claims.rules.window import one_sided

# Errors below this many floors are masked; a window needs this many points, and spans this many decades.
FLOORS, LEAST_POINTS, LEAST_DECADES = 1e3, 24, 3.0


def _slope(y: np.ndarray) -> float:
    t = np.arange(y.size) - (y.size - 1) / 2
    return float(t @ y) / float(t @ t)


def _late_over_early(y: np.ndarray) -> float:
    """Slope of the second half of log errors over that of the first; where the first is flat, the sign decides."""
    early, late = _slope(y[: y.size // 2]), _slope(y[y.size // 2 :])
    return late / early if early != 0 else 0.0


def lin_1(error: Any, *, floor: Any, burn_in: int = 10, threshold: float = 0.85) -> Decision:
    """Whether errors decay linearly (geometrically) over the whole window.

    Parameters
    ----------
    error
        `(I, T)`, at least 0, by iteration k = 0 .. T - 1; at least 3 instances.
    floor
        What the zero-error control measures, at least 0, scalar or `(I,)`. A window ends where its error first falls
        below a thousand floors, or is exactly zero.
    burn_in
        Iterations before the window.
    threshold
        Ratio of slopes below which decay has slowed.

    Returns
    -------
    Decision: accepted if the ratio on the last half of the window is above the threshold; refuted if it is below it
    both on the whole window and on its last half, so that a change of phase is forgiven. Acceptance is withheld
    with fewer than three decades inside the window.

    Source
    ------
    mdplab, VERIFICATION 2.5.

    Examples
    --------
    >>> k = np.arange(200)
    >>> noise = np.exp(0.1 * np.random.default_rng(0).standard_normal((6, 200)))
    >>> lin_1(0.9**k * noise, floor=1e-15).outcome()
    'accepted'
    """
    error = numbers("error", error, (2,))
    raise_first("error", error, error < 0, "at least 0")
    at_least_two("error", error, 0, "instances")
    threshold = above_zero("threshold", threshold)
    if not 0 <= burn_in < error.shape[1]:
        raise ValueError(f"burn_in is {burn_in}; expected at least 0 and below T={error.shape[1]}")
    floor = numbers("floor", floor, (0, 1))
    raise_first("floor", floor, floor < 0, "at least 0")
    if floor.ndim and floor.shape != error.shape[:1]:
        raise ValueError(f"floor has shape {floor.shape}; expected a number or one per instance {error.shape[:1]}")
    floor = np.broadcast_to(floor, error.shape[:1])
    whole, last, decades, cut = [], [], [], 0
    for e, F in zip(error, floor):
        below = (e < FLOORS * F) | (e == 0)
        end = int(np.argmax(below)) if below.any() else e.size
        cut += end < e.size
        if end - burn_in < LEAST_POINTS:
            continue
        y = np.log(e[burn_in:end])
        whole.append(_late_over_early(y))
        last.append(_late_over_early(y[y.size // 2 :]))
        decades.append((y[0] - y[-1]) / np.log(10))
    short = "floor-limited" if 2 * cut > error.shape[0] else "underpowered"
    statistics = {"instances_used": len(whole), "threshold": threshold}
    if len(whole) < 3:
        return Decision("LIN-1", False, 1.0, 1.0, short, short, undecided=short, statistics=statistics)
    below_whole, _, lo_whole, hi_whole = one_sided(np.array(whole), threshold)
    below_last, above_last, lo_last, hi_last = one_sided(np.array(last), threshold)
    statistics |= {
        "ratio": np.array(whole),
        "ratio_last_half": np.array(last),
        "limits": (lo_whole, hi_whole),
        "limits_last_half": (lo_last, hi_last),
        "decades": float(np.median(decades)),
    }
    measured = float(np.mean(last))
    return Decision(
        "LIN-1",
        False,
        max(below_whole, below_last),
        above_last,
        withhold_accept="" if statistics["decades"] >= LEAST_DECADES else short,
        slack=threshold / measured if measured > 0 else np.inf,
        refutable_factor=max(hi_whole, hi_last, 0.0) / threshold,
        statistics=statistics,
        undecided=short,
    )
