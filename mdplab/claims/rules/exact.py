"""Deterministic facts: IDENTITY, CERTIFICATE and WITNESS. They spend no error probability and end in a witness."""

from typing import Any

import numpy as np

from mdplab.claims.decision import Decision, reading
from mdplab.claims.rules.checks import flags, numbers, raise_first


def place(name: str, index: tuple[int, ...]) -> str:
    """`name[i, j]`, or the name alone for a scalar."""
    return f"{name}[{', '.join(str(int(i)) for i in index)}]" if index else name


def identity(
    left: Any, right: Any, tolerance: Any, labels: Any = None, interval: Any = None, windows: Any = None
) -> Decision:
    """Whether two routes to the same quantities agree within a tolerance that is fixed beforehand.

    Parameters
    ----------
    left, right
        Finite, of the same shape.
    tolerance
        At least 0, broadcastable to `left`.
    labels
        Text, of the shape of `left`: what each entry is. With it the report shows every entry.
    interval
        Half-widths of the confidence intervals of `left`, at `INTERVAL_LEVEL`, of its shape; shown beside the labels
        and not tested. 0 by default: `left` is exact.
    windows
        The first and the last n that each entry is fitted on, of the shape of `left` with a last axis of 2; shown only.

    Returns
    -------
    Decision, accepted if `|left - right| <= tolerance` everywhere; `slack` is the largest difference in tolerances.

    Examples
    --------
    >>> identity([1.0, 2.0], [1.0, 2.0 + 1e-13], 1e-12).outcome()
    'accepted'
    """
    left = numbers("left", left, tuple(range(8)))
    right = numbers("right", right, tuple(range(8)))
    if left.shape != right.shape:
        raise ValueError(f"right has shape {right.shape}, left {left.shape}; they are compared entry by entry")
    tolerance = numbers("tolerance", tolerance, tuple(range(8)))
    raise_first("tolerance", tolerance, tolerance < 0, "at least 0")
    tolerance = np.broadcast_to(tolerance, left.shape)
    gap = np.abs(left - right)
    wrong = gap > tolerance
    with np.errstate(over="ignore"):
        ratio = np.where(gap == 0, 0.0, gap / np.where(tolerance > 0, tolerance, 1.0))
    ratio = np.where((gap > 0) & (tolerance == 0), np.inf, ratio)
    worst = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    text = ""
    if wrong.any():
        values = f"{float(left[worst])!r}, right = {float(right[worst])!r}"
        text = f"{place('left', worst)} = {values}, tolerance {float(tolerance[worst]):g}"
    top = float(ratio[worst])
    statistics: dict[str, Any] = {"largest_gap": float(gap.max()), "entries": gap.size}
    if labels is not None:
        statistics["readings"] = _entries(left, right, tolerance, np.asarray(labels), interval, windows)
    return Decision(
        "IDENTITY",
        True,
        float(not wrong.any()),
        float(wrong.any()),
        slack=top,
        refutable_factor=1 / top if top > 0 else np.inf,
        statistics=statistics,
        witness=text,
    )


def _entries(
    left: np.ndarray, right: np.ndarray, tolerance: np.ndarray, labels: np.ndarray, interval: Any, windows: Any
) -> list[dict[str, Any]]:
    """A reading of every labelled entry."""
    width = np.zeros(left.shape) if interval is None else numbers("interval", interval, tuple(range(8)))
    raise_first("interval", width, width < 0, "at least 0")
    expected = {"labels": (labels, left.shape), "interval": (width, left.shape)}
    if windows is not None:
        windows = numbers("windows", windows, tuple(range(9)))
        expected["windows"] = windows, (*left.shape, 2)
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}, as left has {left.shape}")
    ends = [None] * left.size if windows is None else windows.reshape(-1, 2)
    rows = zip(labels.flat, left.flat, width.flat, right.flat, tolerance.flat, ends)
    return [reading(str(what), x, (x - w, x + w), y, tolerance=t, window=n) for what, x, w, y, t, n in rows]


def certificate(accepted: Any, true: Any) -> Decision:
    """Whether a checker of certificates ever accepted a false one.

    Parameters
    ----------
    accepted, true
        Boolean, of the same shape: what the checker said, and what exact arithmetic says.

    Returns
    -------
    Decision, refuted by one false accept. Accepted only if false certificates were tried and at least one true one
    was accepted: a checker that accepts nothing, or is never tempted, shows nothing. `statistics` has the 95 % bound
    on the false-accept probability under the same perturbations (rule of three).

    Examples
    --------
    >>> certificate([True, False], [True, False]).outcome()
    'accepted'
    """
    accepted, true = flags("accepted", accepted), flags("true", true)
    if accepted.shape != true.shape:
        raise ValueError(f"true has shape {true.shape}, accepted {accepted.shape}; they are pairs")
    unsound = accepted & ~true
    tempted, complete = int((~true).sum()), int((accepted & true).sum())
    text = f"{place('accepted', tuple(np.argwhere(unsound)[0]))} although false" if unsound.any() else ""
    return Decision(
        "CERTIFICATE",
        True,
        float(not unsound.any()),
        float(bool(unsound.any()) or tempted == 0 or complete == 0),
        slack=float(unsound.sum() / tempted) if tempted else np.nan,
        statistics={
            "false_accepts": int(unsound.sum()),
            "false_rejects": int((~accepted & true).sum()),
            "false_certificates": tempted,
            "true_accepted": complete,
            "false_accept_bound": 1 - 0.05 ** (1 / tempted) if tempted and not unsound.any() else np.nan,
        },
        witness=text,
    )


def witness(holds: Any, text: str = "") -> Decision:
    """Whether every exact fact holds.

    Parameters
    ----------
    holds
        Boolean, any shape with at least one entry; each was verified in exact arithmetic by whoever produced it.
    text
        What the facts are.

    Examples
    --------
    >>> witness([True, True], "2 replays").outcome()
    'accepted'
    """
    holds = flags("holds", holds)
    failed = np.argwhere(~holds)
    where = f"{place('holds', tuple(failed[0]))} is False" if failed.size or not holds.all() else ""
    return Decision(
        "WITNESS",
        True,
        float(holds.all()),
        float(not holds.all()),
        statistics={"facts": holds.size, "failed": int((~holds).sum())},
        witness="; ".join(part for part in (where, text) if part),
    )
