"""Rate claims e(n) = O(n^-a): RATE-G1 on average over instances, RATE-H1 on every instance, RATE-E1 sequential.

A finite experiment cannot confirm a rate. What is tested is its form on a window fixed in advance: the slope of log
error over the last doublings of a grid, against one threshold theta = exponent - margin, from both sides. Guards
(curvature over the whole grid, measured floor) only withhold, so the levels of the two tests stand.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL, Decision
from mdplab.claims.rules.checks import (
    above_zero,
    at_least_two,
    doubling_grid,
    numbers,
    probability,
    raise_first,
    run_order,
)
from mdplab.claims.rules.e_process import anytime, bernoulli_log_path

FUNCTIONALS = ("mean_log", "log_mean", "log_median")
# A point is used while the typical error is at least this many floors, and no instance is within two of its own.
FLOORS, FLOORS_EACH = 10.0, 2.0
# Below this a standard error of slopes is rounding: log errors carry about 1e-15.
ROUNDING = 1e-12


def one_sided(values: np.ndarray, threshold: float) -> tuple[float, float, float, float]:
    """t-tests of the mean of `values` `(m,)`: p that it is below the threshold, p above, and 1 % limits (lo, hi)."""
    mean = float(values.mean())
    se = max(float(values.std(ddof=1)) / np.sqrt(values.size), ROUNDING)
    below = float(special.stdtr(values.size - 1, (mean - threshold) / se))
    width = float(special.stdtrit(values.size - 1, 1 - REFUTE_LEVEL)) * se
    return below, float(special.stdtr(values.size - 1, (threshold - mean) / se)), mean - width, mean + width


@dataclass(frozen=True, slots=True)
class _Rate:
    """Validated evidence of a rate claim: log errors after division by the registered logarithm."""

    x: np.ndarray
    log_error: np.ndarray
    aggregate: np.ndarray
    last: int
    window: int
    theta: float
    undivided: np.ndarray

    def slopes(self, values: np.ndarray) -> np.ndarray:
        """Exponents (minus the slopes) on the window, over the last axis."""
        part = slice(self.last - self.window, self.last + 1)
        x = self.x[part] - self.x[part].mean()
        return -(values[..., part] @ x) / (x @ x)

    def curvature(self, values: np.ndarray) -> np.ndarray:
        """Rise of the local exponent with log2 n over all points above the floor, over the last axis."""
        u = np.arange(self.last + 1.0)
        design = np.vander(u - u.mean(), 3)
        return -(values[..., : self.last + 1] @ np.linalg.pinv(design)[0])


def _checked(error: Any, n: Any, exponent: float, margin: float, log_power: float | None, floor: Any, functional: str,
             window: int) -> _Rate:  # fmt: skip
    error = numbers("error", error, (3,), positive=True)
    at_least_two("error", error, 0, "instances")
    if window < 2:
        raise ValueError(f"window is {window}; expected at least 2 doublings")
    n = doubling_grid("n", n, error.shape[2], window + 1)
    exponent, margin = above_zero("exponent", exponent), float(numbers("margin", margin, (0,)))
    if not 0 <= margin < exponent:
        raise ValueError(f"margin is {margin:g}; expected a number in [0, exponent={exponent:g})")
    if functional not in FUNCTIONALS:
        raise ValueError(f"functional is {functional!r}; expected one of {', '.join(FUNCTIONALS)}")
    if log_power is not None:
        log_power = float(numbers("log_power", log_power, (0,)))
        if log_power < 0:
            raise ValueError(f"log_power is {log_power:g}; expected at least 0, or None where it is not registered")
        if log_power > 0 and n[0] <= 1:
            raise ValueError(f"n[0] is {n[0]:g}; dividing by log n needs n above 1")
    floor = numbers("floor", floor, (0, 1))
    if floor.ndim and floor.shape != error.shape[:1]:
        raise ValueError(f"floor has shape {floor.shape}; expected a number or one per instance {error.shape[:1]}")
    raise_first("floor", floor, floor < 0, "at least 0")
    log_error = np.log(error)
    if functional == "mean_log":
        aggregate = log_error.mean(axis=1)
    elif functional == "log_mean":
        aggregate = np.log(error.mean(axis=1))
    else:
        aggregate = np.log(np.median(error, axis=1))
    aggregate, last = _above_floor(error, aggregate, floor)
    undivided = aggregate
    if log_power:
        correction = log_power * np.log(np.log(n))
        log_error, aggregate = log_error - correction, aggregate - correction
    return _Rate(np.log(n), log_error, aggregate, last, window, exponent - margin, undivided)


def _above_floor(error: np.ndarray, aggregate: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, int]:
    """Aggregated log errors with the floor subtracted, and the last grid index of the leading run above it, or -1."""
    if not np.any(floor > 0):
        return aggregate, aggregate.shape[1] - 1
    floor = np.broadcast_to(floor, error.shape[:1])
    if np.all(floor > 0):
        mean = error.mean(axis=1) / floor[:, None]
        above = (np.log(mean).mean(axis=0) >= np.log(FLOORS)) & (mean >= FLOORS_EACH).all(axis=0)
    else:
        above = error.mean(axis=(0, 1)) >= FLOORS * floor.mean()
    above &= (np.exp(aggregate) > floor[:, None]).all(axis=0)
    last = int(np.argmin(above)) - 1 if not above.all() else above.size - 1
    out = np.full_like(aggregate, np.nan)
    out[:, : last + 1] = np.log(np.exp(aggregate[:, : last + 1]) - floor[:, None])
    return out, last


def _floor_limited(rule: str, data: _Rate) -> Decision:
    return Decision(rule, False, 1.0, 1.0, "floor-limited", "floor-limited", undecided="floor-limited",
                    statistics={"usable_doublings": max(data.last, 0), "threshold": data.theta})  # fmt: skip


def _statistics(data: _Rate, slopes: np.ndarray, lo: float, hi: float, curvature: np.ndarray) -> dict[str, Any]:
    return {
        "slopes": slopes,
        "exponent": float(slopes.mean()),
        "limits": (lo, hi),
        "threshold": data.theta,
        "curvature": float(curvature.mean()),
        "window": (int(data.last - data.window), int(data.last)),
    }


def _guards(curvature: np.ndarray, level: float) -> tuple[str, str]:
    """(withhold refute, withhold accept): the exponent still rises, or still falls, with n."""
    falls, rises, _, _ = one_sided(curvature, 0.0)
    return ("pre-asymptotic" if rises < level else ""), ("decelerating" if falls < level else "")


def _log_ambiguous(data: _Rate, log_power: float | None, level: float) -> bool:
    """Whether the errors, not divided by any logarithm, decay more slowly than the claim's power alone."""
    return (log_power is None or log_power > 0) and one_sided(data.slopes(data.undivided), data.theta)[0] < level


def _rate_decision(rule: str, data: _Rate, p: tuple[float, float], withhold: tuple[str, str], undecided: str,
                   exponent: float, margin: float, statistics: dict[str, Any]) -> Decision:  # fmt: skip
    measured, hi = statistics["exponent"], statistics["limits"][1]
    return Decision(
        rule,
        False,
        *p,
        *withhold,
        slack=exponent / measured if measured > 0 else np.inf,
        refutable_factor=max(hi + margin, 0.0) / exponent,
        statistics=statistics,
        undecided=undecided,
    )


def rate_g1(
    error: Any,
    n: Any,
    *,
    exponent: float,
    margin: float = 0.05,
    log_power: float | None = 0.0,
    floor: Any = 0.0,
    functional: str = "mean_log",
    window: int = 4,
    guard_level: float = 0.05,
) -> Decision:
    """Guarded two-stage test of a rate claim, on average over the family of instances.

    Parameters
    ----------
    error
        Measured errors `(I, S, K)` above 0: instances (at least 2), seeds, grid points.
    n
        Grid `(K,)`, doubling, with at least `window + 1` points.
    exponent, margin
        The claim is `e(n) = O(n^-exponent)`; the threshold of both tests is `exponent - margin`.
    log_power
        The power p of `(log n)^p` in the claim: errors are divided by it first. None says that the claim hides a
        logarithm whose power is not registered; then no slow slope refutes it.
    floor
        What the zero-error control measures, at least 0, scalar or `(I,)`. Only grid points where the typical error
        is ten floors or more are used, and the floor is subtracted.
    functional
        Which error the claim speaks of: `"mean_log"` (E log e), `"log_mean"` (E e) or `"log_median"`.
    window
        Doublings at the end of the usable grid on which the slope is measured.
    guard_level
        Level of the curvature guard, which withholds a refutation while the exponent still rises with n
        ("pre-asymptotic"), and an acceptance while it still falls ("decelerating").

    Returns
    -------
    Decision with one slope per instance, its 1 % confidence limits, curvature and window in `statistics`.

    Source
    ------
    mdplab, VERIFICATION 2.3, rule RATE-G1.

    Examples
    --------
    >>> n = 64 * 2.0 ** np.arange(9)
    >>> error = synthetic_rate(0.4, 12, 8, n, 0.1, np.random.default_rng(0))
    >>> rate_g1(error, n, exponent=0.5).outcome(0.01, 0.05)
    'refuted'
    """
    guard_level = probability("guard_level", guard_level)
    data = _checked(error, n, exponent, margin, log_power, floor, functional, window)
    if data.last < window:
        return _floor_limited("RATE-G1", data)
    slopes, curvature = data.slopes(data.aggregate), data.curvature(data.aggregate)
    below, above, lo, hi = one_sided(slopes, data.theta)
    no_refute, no_accept = _guards(curvature, guard_level)
    undecided = "underpowered"
    if _log_ambiguous(data, log_power, guard_level):
        undecided = "log-ambiguous"
        no_accept = no_accept and "log-ambiguous"
        if log_power is None:
            no_refute = "log-ambiguous"
    statistics = _statistics(data, slopes, lo, hi, curvature)
    return _rate_decision("RATE-G1", data, (below, above), (no_refute, no_accept), undecided, exponent, margin,
                          statistics)  # fmt: skip


def rate_h1(
    error: Any,
    n: Any,
    *,
    exponent: float,
    margin: float = 0.05,
    log_power: float | None = 0.0,
    floor: Any = 0.0,
    functional: str = "mean_log",
    window: int = 4,
    guard_level: float = 0.05,
) -> Decision:
    """Test of a rate claim on every instance: the average rule, unless the instances' slopes differ.

    Cochran's Q decides (5 %) whether slopes differ more than seeds explain. If they do, the claim is accepted only if
    every instance accepts (intersection-union, no correction) and refuted if any instance does (Holm).

    Parameters
    ----------
    error, n, exponent, margin, log_power, floor, functional, window, guard_level
        As in `rate_g1`, with at least 2 seeds. Per-instance slopes are those of the mean log error, whatever the
        functional, because a slope per seed is needed.

    Returns
    -------
    Decision; `statistics["heterogeneity_p"]` is the p-value of Cochran's Q.

    Source
    ------
    mdplab, VERIFICATION 2.3, rule RATE-H1.
    """
    guard_level = probability("guard_level", guard_level)
    data = _checked(error, n, exponent, margin, log_power, floor, functional, window)
    at_least_two("error", data.log_error, 1, "seeds")
    if data.last < window:
        return _floor_limited("RATE-H1", data)
    slopes, curvature = data.slopes(data.aggregate), data.curvature(data.aggregate)
    below, above, lo, hi = one_sided(slopes, data.theta)
    withhold = _guards(curvature, guard_level)
    each = data.slopes(data.log_error)
    I, S = each.shape
    mean, own = each.mean(axis=1), np.maximum(each.var(axis=1, ddof=1), ROUNDING**2) / S
    pooled = float(own.mean())
    Q = float(((mean - mean.mean()) ** 2).sum()) / pooled
    heterogeneity_p = float(special.fdtrc(I - 1, I * (S - 1), Q / (I - 1)))
    undecided = "underpowered"
    if heterogeneity_p < guard_level:
        undecided = "heterogeneous"
        below = min(1.0, I * float(special.stdtr(I * (S - 1), (mean - data.theta) / np.sqrt(pooled)).min()))
        above = float(special.stdtr(S - 1, (data.theta - mean) / np.sqrt(own)).max())
    statistics = _statistics(data, slopes, lo, hi, curvature) | {"heterogeneity_p": heterogeneity_p}
    return _rate_decision("RATE-H1", data, (below, above), withhold, undecided, exponent, margin, statistics)


def rate_e1(error_lo: Any, error_hi: Any, ratio: float, *, exponent: float, margin: float = 0.05) -> Decision:
    """Sequential, distribution-free test of a rate claim, one bit per pair of fresh runs; it may stop at any time.

    The bit: did the error, multiplied by `ratio^theta`, go up from n to `ratio * n`? Where the exponent is at least
    theta and the noise of the two runs is exchangeable in scale, it is at most a fair coin.

    Parameters
    ----------
    error_lo, error_hi
        Errors above 0 at n and at `ratio * n`, `(m,)`, or `(I, m)` read one run of every instance at a time. Pairs
        are independent given the past; for a claim about a family, each pair has a fresh instance.
    ratio
        Above 1; a number, or an array of copies of it.
    exponent, margin
        The threshold of both tests is `exponent - margin`.

    Returns
    -------
    Decision with e-values at the last pair, and anytime-valid p-values 1 / max e. Two points show no curvature, so
    nothing is withheld: the curvature guard needs a grid, and RATE-G1.

    Source
    ------
    mdplab, VERIFICATION 2.3, rule RATE-E1. Ties count as "not up" against the claim and as "up" for it, so that
    both nulls hold for discrete errors too.

    Examples
    --------
    >>> n, rng = 256.0, np.random.default_rng(0)
    >>> lo, hi = np.exp(0.1 * rng.standard_normal((2, 200))) * [[n**-0.5], [(16 * n) ** -0.5]]
    >>> rate_e1(lo, hi, 16.0, exponent=0.5).outcome()
    'accepted'
    """
    lo = numbers("error_lo", error_lo, (1, 2), positive=True)
    hi = numbers("error_hi", error_hi, (1, 2), positive=True)
    if lo.shape != hi.shape:
        raise ValueError(f"error_hi has shape {hi.shape}, error_lo {lo.shape}; they are pairs")
    ratios = np.unique(numbers("ratio", ratio, tuple(range(np.ndim(ratio) + 1))))
    if ratios.size != 1 or ratios[0] <= 1:
        raise ValueError(f"ratio is {ratios}; expected one number above 1")
    theta = above_zero("exponent", exponent) - float(numbers("margin", margin, (0,)))
    change = run_order(np.log(hi) - np.log(lo)) + theta * np.log(ratios[0])
    p_refute, e_refute = anytime(bernoulli_log_path((change > 0).astype(float), 0.5, +1))
    p_accept, e_accept = anytime(bernoulli_log_path((change >= 0).astype(float), 0.5, -1))
    local = theta - change / np.log(ratios[0])
    measured = float(np.median(local))
    return Decision(
        "RATE-E1",
        False,
        p_refute,
        p_accept,
        slack=exponent / measured if measured > 0 else np.inf,
        refutable_factor=_refutable_exponent(local, margin) / exponent,
        statistics={"up": float((change > 0).mean()), "median_exponent": measured, "pairs": change.size,
                    "threshold": theta},
        e_refute=e_refute,
        e_accept=e_accept,
    )  # fmt: skip


def _refutable_exponent(local: np.ndarray, margin: float) -> float:
    """Smallest exponent whose claim these local exponents (m,) refute: a claim of more turns more bits up."""
    levels = np.unique(local)

    def refuted(level: float) -> bool:
        return anytime(bernoulli_log_path((local <= level).astype(float), 0.5, +1))[0] <= REFUTE_LEVEL

    if not refuted(levels[-1]):
        return np.inf
    low, high = -1, levels.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refuted(levels[middle]) else (middle, high)
    return max(float(levels[high]) + margin, 0.0)


def synthetic_rate(exponent: float, I: int, S: int, n: Any, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Errors `(I, S, K)` that obey `c_i n^-exponent` exactly, with independent log-normal noise: a positive control.

    Parameters
    ----------
    exponent
        True exponent.
    I, S
        Instances and seeds.
    n
        Grid `(K,)`.
    sigma
        Standard deviation over seeds of the log error.
    rng
        Source of the instances' constants (log-normal, 0.7) and of the noise.

    Examples
    --------
    >>> synthetic_rate(0.5, 3, 2, [64, 128], 0.0, np.random.default_rng(0)).shape
    (3, 2, 2)
    """
    x = np.log(np.asarray(n, dtype=np.float64))
    scale = rng.normal(0, 0.7, (I, 1, 1))
    return np.exp(scale - exponent * x + sigma * rng.standard_normal((I, S, x.size)))
