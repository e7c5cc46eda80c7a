"""The window of a rate claim: validated errors above the floor, slopes, curvature and the guards that read them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL, Decision, reading
from mdplab.claims.rules.checks import above_zero, at_least_two, doubling_grid, numbers, raise_first

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
class Window:
    """Validated evidence of a rate claim: log errors after division by the registered logarithm."""

    n: np.ndarray
    log_error: np.ndarray
    aggregate: np.ndarray
    last: int
    window: int
    theta: float
    undivided: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """log n."""
        return np.log(self.n)

    @property
    def ends(self) -> tuple[float, float]:
        """The first and the last n of the window."""
        return float(self.n[self.last - self.window]), float(self.n[self.last])

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


def checked_window(
    error: Any,
    n: Any,
    exponent: float,
    margin: float,
    log_power: float | None,
    floor: Any,
    functional: str,
    window: int,
) -> Window:
    """The arguments of a rate rule, validated, with the floor subtracted and the registered logarithm divided out."""
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
    raw = aggregate
    aggregate, last = _above_floor(error, raw, floor)
    log_error = log_error + (aggregate - raw)[:, None, :]
    undivided = aggregate
    if log_power:
        correction = log_power * np.log(np.log(n))
        log_error, aggregate = log_error - correction, aggregate - correction
    return Window(n, log_error, aggregate, last, window, exponent - margin, undivided)


def _above_floor(error: np.ndarray, aggregate: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, int]:
    """Aggregated log errors with the floor subtracted, and the last grid index of the leading run above it, or -1."""
    if not np.any(floor > 0):
        return aggregate, aggregate.shape[1] - 1
    floor = np.broadcast_to(floor, error.shape[:1])
    floors = error.mean(axis=1)[floor > 0] / floor[floor > 0, None]
    # The geometric mean, since instances differ in scale; a single instance only has to survive the subtraction.
    above = (np.log(floors).mean(axis=0) >= np.log(FLOORS)) & (floors >= FLOORS_EACH).all(axis=0)
    above &= (np.exp(aggregate) > floor[:, None]).all(axis=0)
    last = int(np.argmin(above)) - 1 if not above.all() else above.size - 1
    out = np.full_like(aggregate, np.nan)
    out[:, : last + 1] = np.log(np.exp(aggregate[:, : last + 1]) - floor[:, None])
    return out, last


def floor_limited(rule: str, data: Window) -> Decision:
    """The decision where fewer doublings than the window needs are above the floor."""
    return Decision(rule, False, 1.0, 1.0, "floor-limited", "floor-limited", undecided="floor-limited",
                    statistics={"usable_doublings": max(data.last, 0), "threshold": data.theta})  # fmt: skip


def window_statistics(data: Window, slopes: np.ndarray, lo: float, hi: float, curvature: np.ndarray) -> dict[str, Any]:
    """What reports show of a rate rule."""
    return {
        "slopes": slopes,
        "exponent": float(slopes.mean()),
        "limits": (lo, hi),
        "threshold": data.theta,
        "curvature": float(curvature.mean()),
        "window": (int(data.last - data.window), int(data.last)),
        "readings": [
            reading(
                f"exponent, average of {slopes.size} instances",
                slopes.mean(),
                (lo, hi),
                data.theta,
                window=data.ends,
            )
        ],
    }


def guards(curvature: np.ndarray, level: float) -> tuple[str, str]:
    """(withhold refute, withhold accept): the exponent still rises, or still falls, with n."""
    falls, rises, _, _ = one_sided(curvature, 0.0)
    return ("pre-asymptotic" if rises < level else ""), ("decelerating" if falls < level else "")


def log_ambiguous(data: Window, log_power: float | None, level: float) -> bool:
    """Whether the errors, not divided by any logarithm, decay more slowly than the claim's power alone."""
    return (log_power is None or log_power > 0) and one_sided(data.slopes(data.undivided), data.theta)[0] < level
