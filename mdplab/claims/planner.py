"""How many runs a rate claim needs: the power of its t-test from the noise that a pilot measured.

`mdplab.claims.power` asks these formulas for every relation, `mdplab.claims.planning` runs the pilots.
"""

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL
from mdplab.claims.rules.checks import above_zero, numbers, probability

TARGET_POWER, LEAST_POWER = 0.9, 0.8


def sum_of_squares(window: int) -> float:
    """Centred sum of squares of log n over a window of that many doublings; 4.80 for four."""
    u = np.arange(window + 1.0) * np.log(2)
    return float(((u - u.mean()) ** 2).sum())


def t_power(shift: float, df: int, level: float) -> float:
    """Probability that a one-sided t-test at `level` rejects, when the mean is `shift` standard errors away.

    Examples
    --------
    >>> round(t_power(3.0, 11, 0.05), 2)
    0.88
    """
    critical = float(special.stdtrit(df, 1 - level))
    # Far out the distribution function of the noncentral t loses accuracy, and nothing is left to compute.
    if shift > critical + 40:
        return 1.0
    missed = float(special.nctdtr(df, shift, critical))
    return float(special.ndtr(shift - critical)) if np.isnan(missed) else 1 - missed


def power(
    sigma: float,
    instances: int,
    seeds: int,
    *,
    margin: float = 0.05,
    slope_sd: float = 0.0,
    window: int = 4,
    level: float = REFUTE_LEVEL,
    guard_level: float = 0.05,
) -> float:
    """Probability that RATE-G1 decides when the true exponent is `margin` away from its threshold, on either side.

    Parameters
    ----------
    sigma, slope_sd
        Standard deviation of log error over seeds, and of slopes over instances, at least 0.
    instances, seeds
        At least 2, and at least 1.
    margin, window, level, guard_level
        As in the rule; `level` after correction for the suite (`alpha / claims` at worst).

    Returns
    -------
    Power in [0, 1], the guard's false withholding included.

    Source
    ------
    mdplab, VERIFICATION 2.3, "Sample size".

    Examples
    --------
    >>> round(power(0.25, 12, 8), 2)
    0.88
    """
    sigma, slope_sd = float(numbers("sigma", sigma, (0,))), float(numbers("slope_sd", slope_sd, (0,)))
    if min(sigma, slope_sd) < 0:
        raise ValueError(f"sigma is {sigma:g} and slope_sd {slope_sd:g}; expected at least 0")
    if instances < 2 or seeds < 1:
        raise ValueError(f"instances is {instances} and seeds {seeds}; expected at least 2 and 1")
    level, guard_level = probability("level", level), probability("guard_level", guard_level)
    variance = (slope_sd**2 + sigma**2 / (seeds * sum_of_squares(window))) / instances
    if variance == 0:
        return 1 - guard_level
    return (1 - guard_level) * t_power(above_zero("margin", margin) / np.sqrt(variance), instances - 1, level)


def runs_needed(
    sigma: float, *, margin: float = 0.05, instances: int = 12, window: int = 4, level: float = REFUTE_LEVEL,
    target: float = TARGET_POWER,
) -> float:  # fmt: skip
    """Runs per grid point, over all instances, by the closed formula; about `1330 sigma^2` with the defaults.

    The formula leaves out the guard and the spread of slopes; `power` has both.

    Examples
    --------
    >>> round(runs_needed(1.0), -1)
    1330.0
    """
    quantiles = float(special.stdtrit(instances - 1, 1 - level)) + float(special.ndtri(target))
    return quantiles**2 * sigma**2 / (sum_of_squares(window) * margin**2)
