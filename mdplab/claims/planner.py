"""How many runs a rate claim needs, what they cost, and, before anything is spent, whether the budget can decide it.

A pilot of a few instances and seeds at a few sizes measures the noise of log error over seeds, the spread of slopes
over instances and the seconds per run. The power of RATE-G1 then follows from the noncentral t distribution.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL
from mdplab.claims.rules.checks import above_zero, at_least_two, numbers, probability, raise_first

TARGET_POWER, LEAST_POWER = 0.9, 0.8
# A pilot that asks for more seeds than this per instance is told so rather than obeyed.
MOST_SEEDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot run measured.

    Parameters
    ----------
    sigma
        Standard deviation over seeds of the log error.
    slope_sd
        Standard deviation over instances of the true slope, 0 if the seeds explain what was seen.
    n, seconds
        Sizes `(K,)` and mean seconds of one run at each `(K,)`.
    """

    sigma: float
    slope_sd: float
    n: np.ndarray
    seconds: np.ndarray


def read_pilot(error: Any, n: Any, seconds: Any) -> Pilot:
    """The noise, the spread of slopes and the cost in a pilot.

    Parameters
    ----------
    error
        `(I, S, K)` above 0, at least 2 instances, 2 seeds and 2 sizes; 4 x 8 x 2 is usual.
    n, seconds
        `(K,)` increasing sizes, and seconds of one run at each, above 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pilot = read_pilot(np.exp(0.5 * rng.standard_normal((4, 8, 2))), [64, 1024], [0.01, 0.16])
    >>> bool(0.3 < pilot.sigma < 0.8)
    True
    """
    error = numbers("error", error, (3,), positive=True)
    for axis, what in enumerate(("instances", "seeds", "sizes")):
        at_least_two("error", error, axis, what)
    n, seconds = numbers("n", n, (1,), positive=True), numbers("seconds", seconds, (1,), positive=True)
    if not n.size == seconds.size == error.shape[2]:
        raise ValueError(f"n has {n.size} sizes, seconds {seconds.size}, error {error.shape[2]}")
    raise_first("n", n[1:], np.diff(n) <= 0, "increasing")
    log_error = np.log(error)
    sigma = float(np.sqrt(log_error.var(axis=1, ddof=1).mean()))
    x = np.log(n) - np.log(n).mean()
    slopes = -(log_error @ x) / (x @ x)
    within = slopes.var(axis=1, ddof=1).mean() / error.shape[1]
    spread = slopes.mean(axis=1).var(ddof=1) - within
    return Pilot(sigma, float(np.sqrt(max(spread, 0.0))), n, seconds)


def sum_of_squares(window: int) -> float:
    """Centred sum of squares of log n over a window of that many doublings; 4.80 for four."""
    u = np.arange(window + 1.0) * np.log(2)
    return float(((u - u.mean()) ** 2).sum())


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
    shift = above_zero("margin", margin) / np.sqrt(variance)
    critical = float(special.stdtrit(instances - 1, 1 - level))
    # Far out the distribution function of the noncentral t loses accuracy, and nothing is left to compute.
    decided = 1.0 if shift > critical + 40 else 1 - float(special.nctdtr(instances - 1, shift, critical))
    return (1 - guard_level) * decided


def runs_needed(
    sigma: float, *, margin: float = 0.05, instances: int = 12, window: int = 4, level: float = REFUTE_LEVEL,
    target: float = TARGET_POWER,
) -> float:  # fmt: skip
    """Runs per grid point, over all instances, by the closed formula; about `1330 sigma^2` with the defaults.

    The formula leaves out the guard and the spread of slopes; `plan_rate` has both.

    Examples
    --------
    >>> round(runs_needed(1.0), -1)
    1330.0
    """
    quantiles = float(special.stdtrit(instances - 1, 1 - level)) + float(special.ndtri(target))
    return quantiles**2 * sigma**2 / (sum_of_squares(window) * margin**2)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and what it will cost and decide.

    Parameters
    ----------
    n, instances, seeds
        Grid `(K,)`, instances, and seeds per instance at every grid point.
    minutes, power
        Predicted minutes, and predicted power at the margin, of that plan.
    feasible
        Whether it has at least 80 % power within the budget; if not, nothing should be run.
    message
        The power statement, or why the budget cannot decide.
    """

    n: np.ndarray
    instances: int
    seeds: int
    minutes: float
    power: float
    feasible: bool
    message: str


def predicted_seconds(pilot: Pilot, n: np.ndarray) -> np.ndarray:
    """Seconds of one run at each size `(K,)`, by a power law through the pilot's sizes (growth at most cubic)."""
    x, y = np.log(pilot.n), np.log(pilot.seconds)
    order = float(np.clip(((x - x.mean()) @ y) / ((x - x.mean()) ** 2).sum(), 0.0, 3.0))
    return np.exp(y.mean() + order * (np.log(n) - x.mean()))


def plan_rate(
    pilot: Pilot,
    n: Any,
    *,
    budget_minutes: float,
    margin: float = 0.05,
    instances: int = 12,
    window: int = 4,
    claims: int = 1,
    workers: int = 1,
    one_run_per_seed: bool = True,
) -> Plan:
    """Seeds for 90 % power, or as near to it as the budget allows, or the news that it does not reach 80 %.

    Parameters
    ----------
    pilot
        From `read_pilot`.
    n
        Doubling grid `(K,)` of the experiment.
    budget_minutes
        Minutes of wall-clock time for the main measurement, above 0.
    margin, instances, window
        As in the rule and its relation.
    claims
        Statistical claims that share the error budget; each is planned at `alpha / claims`.
    workers
        Processes that share the runs.
    one_run_per_seed
        True if one run visits the whole grid (a learning curve); False if every grid point is a run of its own.

    Examples
    --------
    >>> pilot = Pilot(0.5, 0.0, np.array([64.0, 1024.0]), np.array([0.1, 1.6]))
    >>> plan_rate(pilot, 64 * 2.0 ** np.arange(9), budget_minutes=1.0).feasible
    False
    """
    n = numbers("n", n, (1,), positive=True)
    budget = 60 * above_zero("budget_minutes", budget_minutes)
    if claims < 1 or workers < 1:
        raise ValueError(f"claims is {claims} and workers {workers}; expected at least 1")
    each = predicted_seconds(pilot, n)
    per_seed = instances * float(each[-1] if one_run_per_seed else each.sum()) / workers

    def reached(seeds: int) -> float:
        return power(pilot.sigma, instances, seeds, margin=margin, slope_sd=pilot.slope_sd, window=window,
                     level=REFUTE_LEVEL / claims)  # fmt: skip

    def least(target: float) -> int | None:
        """Fewest seeds that reach the target, by bisection; None if even very many do not."""
        if reached(MOST_SEEDS) < target:
            return None
        low, high = 0, MOST_SEEDS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) >= target else (middle, high)
        return high

    wanted, needed = least(TARGET_POWER), least(LEAST_POWER)
    affordable = int(budget // per_seed)
    if needed is not None and needed <= affordable:
        seeds = min(affordable, wanted or affordable)
        text = f"{reached(seeds):.0%} power at margin {margin:g} with {instances} instances x {seeds} seeds"
        return Plan(n, instances, seeds, seeds * per_seed / 60, reached(seeds), True, text)
    start = f"cannot reach {LEAST_POWER:.0%} power in the budget of {budget_minutes:g} min: "
    if needed is None:
        why = (
            f"slopes differ over instances by {pilot.slope_sd:.3g}, which only more than {instances} instances resolve"
        )
    else:
        minutes = needed * per_seed / 60
        why = f"sigma {pilot.sigma:.3g} asks for {needed} seeds on {instances} instances, {minutes:.3g} min"
    seeds = affordable
    return Plan(n, instances, seeds, seeds * per_seed / 60, reached(seeds) if seeds else 0.0, False, start + why)
