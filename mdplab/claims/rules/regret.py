"""REG-1: growth of worst-case regret with the horizon, over an envelope of instances.

Minimax rates live on instances that change with the horizon T, so each T has its own worst instance: it is chosen on
one half of the runs and measured on the other, which keeps the choice from inflating the measurement.
"""

from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL, Decision, reading
from mdplab.claims.rules.checks import above_zero, at_least_two, doubling_grid, numbers


def reg_1(
    select: Any,
    estimate: Any,
    horizons: Any,
    *,
    exponent: float = 0.5,
    margin: float = 0.05,
    log_power: float = 0.0,
    window: int = 4,
) -> Decision:
    """Whether worst-case regret grows as `T^exponent (log T)^log_power` or more slowly.

    Parameters
    ----------
    select, estimate
        Regrets `(G, K, m)` of independent runs for every instance of the grid and every horizon, at least 2 runs;
        a leading axis of replicates is joined to the instances.
    horizons
        `(K,)`, doubling, at least `window + 1`. The instance grid should scale with T (gap about `c T^-1/2`).
    exponent, margin
        The threshold of both tests is `exponent + margin`.
    log_power
        Registered power of `log T`, divided out first.
    window
        Doublings at the end of the grid.

    Returns
    -------
    Decision by normal tests on the slope of log mean regret, with delta-method standard errors.

    Source
    ------
    mdplab, VERIFICATION 2.10.

    Examples
    --------
    >>> T, rng = 2.0 ** np.arange(6, 12), np.random.default_rng(0)
    >>> runs = T[:, None] ** 0.9 * rng.uniform(0.5, 1.5, (2, 3, 6, 50))
    >>> reg_1(runs[0], runs[1], T).outcome()
    'refuted'
    """
    select, estimate = numbers("select", select, (3, 4)), numbers("estimate", estimate, (3, 4))
    if select.ndim != estimate.ndim or select.shape[:-1] != estimate.shape[:-1]:
        raise ValueError(f"estimate has shape {estimate.shape}, select {select.shape}; only their runs may differ")
    select = select.reshape(-1, *select.shape[-2:])
    estimate = estimate.reshape(-1, *estimate.shape[-2:])
    at_least_two("estimate", estimate, 2, "runs")
    T = doubling_grid("horizons", horizons, select.shape[1], window + 1)
    exponent, margin = above_zero("exponent", exponent), float(numbers("margin", margin, (0,)))
    if margin < 0:
        raise ValueError(f"margin is {margin:g}; expected at least 0")
    log_power = float(numbers("log_power", log_power, (0,)))
    if log_power and T[0] <= 1:
        raise ValueError(f"horizons[0] is {T[0]:g}; dividing by log T needs T above 1")
    threshold = exponent + margin
    columns = np.arange(T.size)
    worst = select.mean(axis=2).argmax(axis=0)
    runs = estimate[worst, columns][-window - 1 :]
    mean = runs.mean(axis=1)
    statistics: dict[str, Any] = {"worst": worst, "mean_regret": mean, "threshold": threshold}
    if np.any(mean <= 0):
        return Decision("REG-1", False, 1.0, 1.0, "floor-limited", "floor-limited", undecided="floor-limited",
                        statistics=statistics)  # fmt: skip
    x = np.log(T[-window - 1 :])
    y = np.log(mean) - log_power * np.log(x)
    weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope = float(weight @ y)
    relative = runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1]) / mean
    # The largest of many noise-free regrets has no spread: log means still carry rounding.
    se = max(float(np.sqrt((weight**2) @ (relative**2))), 1e-12)
    z = (slope - threshold) / se
    width = float(special.ndtri(1 - REFUTE_LEVEL)) * se
    lo, hi = slope - width, slope + width
    shown = reading("exponent of the worst regret", slope, (lo, hi), threshold, window=(T[-window - 1], T[-1]))
    return Decision(
        "REG-1",
        False,
        float(special.ndtr(-z)),
        float(special.ndtr(z)),
        slack=max(slope, 0.0) / exponent,
        refutable_factor=exponent / (lo - margin) if lo > margin else np.inf,
        statistics=statistics | {"exponent": slope, "se": se, "limits": (lo, hi), "readings": [shown]},
    )
