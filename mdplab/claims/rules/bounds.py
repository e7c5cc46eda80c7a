"""Bounds with constants: BOUND-D for every point, BOUND-HP with high probability, BOUND-E in expectation."""

from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL, Decision
from mdplab.claims.rules.checks import above_zero, flags, numbers, probability, raise_first, run_order
from mdplab.claims.rules.e_process import anytime, bernoulli_log_path, mean_log_path
from mdplab.claims.rules.exact import place

# A bound at or above the cap is true of every error; what is then tested is the stronger "at most this much of it".
LARGEST_MEAN = 0.999


def bound_d(measured: Any, bound: Any, radius: Any = 0.0) -> Decision:
    """Whether a bound holds at every measured point, each known up to a certified radius.

    Parameters
    ----------
    measured
        Finite, any shape.
    bound
        Finite, broadcastable to `measured`.
    radius
        Certified error of `measured`, at least 0, broadcastable to it.

    Returns
    -------
    Decision, refuted if the lower certified end of one point exceeds its bound; accepted if every upper end is
    within. `slack` is the largest measured/bound over points with a positive bound; `refutable_factor` the
    reciprocal of the largest certified ratio. `statistics` has the share of violations that sampling could have
    missed (95 %).

    Source
    ------
    mdplab, VERIFICATION 2.4.

    Examples
    --------
    >>> bound_d([0.5, 0.9], [1.0, 1.0]).outcome()
    'accepted'
    >>> bound_d([0.5, 1.1], [1.0, 1.0], radius=0.01).witness
    'measured[1] = 1.1, radius 0.01, bound 1'
    """
    measured = numbers("measured", measured, tuple(range(8)))
    bound = _like("bound", bound, measured)
    radius = _like("radius", radius, measured)
    raise_first("radius", radius, radius < 0, "at least 0")
    excess = measured - radius - bound
    broken, inside = excess > 0, measured + radius <= bound
    positive = bound > 0
    # Bounds that decay geometrically end among the subnormal numbers, where a ratio is infinite.
    with np.errstate(over="ignore"):
        ratio = np.divide(measured, bound, out=np.full(measured.shape, np.nan), where=positive)
        certified = np.divide(measured - radius, bound, out=np.full(measured.shape, np.nan), where=positive)
    top = float(np.nanmax(certified)) if positive.any() else np.nan
    worst = np.unravel_index(int(np.argmax(np.where(broken, excess, -np.inf))), measured.shape)
    text = ""
    if broken.any():
        text = (
            f"{place('measured', worst)} = {float(measured[worst])!r}, radius {radius[worst]:g}, bound {bound[worst]:g}"
        )
    return Decision(
        "BOUND-D",
        True,
        float(not broken.any()),
        float(not inside.all()),
        slack=float(np.nanmax(ratio)) if positive.any() else np.nan,
        refutable_factor=np.nan if np.isnan(top) else 1 / top if top > 0 else np.inf,
        statistics={
            "points": measured.size,
            "violations": int(broken.sum()),
            "unclear": int((~broken & ~inside).sum()),
            "missed_share_bound": 1 - 0.05 ** (1 / measured.size),
        },
        witness=text,
    )


def _like(name: str, values: Any, measured: np.ndarray) -> np.ndarray:
    array = numbers(name, values, tuple(range(8)))
    try:
        return np.broadcast_to(array, measured.shape)
    except ValueError:
        raise ValueError(f"{name} has shape {array.shape}, measured {measured.shape}") from None


def bound_hp(violated: Any, delta: float, *, sequential: bool = False) -> Decision:
    """Whether a bound is violated with probability at most delta; consistent means below 2 delta.

    Parameters
    ----------
    violated
        Boolean, `(m,)` or `(I, m)`, one entry a run.
    delta
        In (0, 1/2).
    sequential
        False: binomial tests, for a number of runs fixed beforehand. True: e-processes, which may be read after
        every run.

    Returns
    -------
    Decision; when both tests reject the claim is false within the margin, and "refuted" has precedence.

    Source
    ------
    mdplab, VERIFICATION 2.4.

    Examples
    --------
    >>> bound_hp([False] * 100, 0.1).outcome()
    'accepted'
    """
    violated = run_order(flags("violated", violated))
    if violated.ndim != 1:
        raise ValueError(f"violated has shape {violated.shape}; expected 1 or 2 axes")
    delta = probability("delta", delta)
    if delta >= 0.5:
        raise ValueError(f"delta is {delta:g}; the acceptance tests below 2 delta, which must be below 1")
    m, s = violated.size, int(violated.sum())
    e_refute = e_accept = None
    if sequential:
        hits = violated.astype(float)
        p_refute, e_refute = anytime(bernoulli_log_path(hits, delta, +1))
        p_accept, e_accept = anytime(bernoulli_log_path(hits, 2 * delta, -1))
    else:
        p_refute = float(special.bdtrc(s - 1, m, delta)) if s else 1.0
        p_accept = float(special.bdtr(s, m, 2 * delta))
    lower = float(special.betaincinv(s, m - s + 1, REFUTE_LEVEL)) if s else 0.0
    return Decision(
        "BOUND-HP",
        False,
        min(p_refute, 1.0),
        min(p_accept, 1.0),
        slack=s / m / delta,
        refutable_factor=delta / lower if lower > 0 else np.inf,
        statistics={"runs": m, "violations": s, "delta": delta, "lower_limit": lower, "sequential": sequential},
        e_refute=e_refute,
        e_accept=e_accept,
    )


def bound_e(error: Any, bound: Any, cap: Any) -> Decision:
    """Whether the mean error is at most a bound, for errors that never exceed a known cap; it may stop at any time.

    Parameters
    ----------
    error
        At least 0 and at most `cap`, `(m,)`, or `(I, m)` read one run of every instance at a time.
    bound
        Above 0: a number, or one per instance `(I,)`, or one per run.
    cap
        Almost-sure bound on the error, above 0. None or infinity: the mean then says nothing after finitely many
        runs, and both sides are withheld as "unbounded".

    Returns
    -------
    Decision by betting e-processes against "mean at most bound" and "mean at least bound", anytime-valid.

    Source
    ------
    mdplab, VERIFICATION 2.4.

    Examples
    --------
    >>> bound_e(np.full(200, 0.1), 0.2, 1.0).outcome()
    'accepted'
    >>> bound_e(np.full(200, 0.1), 0.2, np.inf).reason()
    'unbounded'
    """
    error = numbers("error", error, (1, 2))
    raise_first("error", error, error < 0, "at least 0")
    bound = numbers("bound", bound, (0, 1, 2), positive=True)
    if error.ndim == 2 and bound.shape == error.shape[:1]:
        bound = bound[:, None]
    bound = run_order(_like("bound", bound, error))
    slack = float((run_order(error) / bound).mean())
    if cap is None or np.isinf(cap):
        return Decision("BOUND-E", False, 1.0, 1.0, "unbounded", "unbounded", slack, undecided="unbounded",
                        statistics={"runs": error.size})  # fmt: skip
    cap = above_zero("cap", cap)
    raise_first("error", error, error > cap, f"at most cap={cap:g}")
    x, b = run_order(error) / cap, bound / cap
    p_refute, e_refute = anytime(mean_log_path(x, b, +1))
    p_accept, e_accept = anytime(mean_log_path(x, np.minimum(b, LARGEST_MEAN), -1))
    return Decision(
        "BOUND-E",
        False,
        p_refute,
        p_accept,
        slack=slack,
        refutable_factor=_refutable(x, b),
        statistics={"runs": error.size, "mean": float(error.mean()), "cap": cap},
        e_refute=e_refute,
        e_accept=e_accept,
    )


def _refutable(x: np.ndarray, b: np.ndarray) -> float:
    """Smallest factor by which the bounds must shrink to be refuted, by bisection on its logarithm to 0.1 %."""
    low, high = -np.log(1e6), np.log(1e12)
    if anytime(mean_log_path(x, b * np.exp(-high), +1))[0] > REFUTE_LEVEL:
        return np.inf
    while high - low > 1e-3:
        middle = (low + high) / 2
        if anytime(mean_log_path(x, b * np.exp(-middle), +1))[0] <= REFUTE_LEVEL:
            high = middle
        else:
            low = middle
    return float(np.exp(high))
