"""Deterministic facts: IDENTITY, CERTIFICATE and WITNESS. They spend no error probability and end in a witness."""

from typing import Any

import numpy as np

from mdplab.claims.decision import Decision
from mdplab.claims.rules.checks import flags, numbers, raise_first


def place(name: str, index: tuple[int, ...]) -> str:
    """`name[i, j]`, or the name alone for a scalar."""
    return f"{name}[{', '.join(str(int(i)) for i in index)}]" if index else name


def identity(left: Any, right: Any, tolerance: Any) -> Decision:
    """Whether two routes to the same quantities agree within a tolerance that is fixed beforehand.

    Parameters
    ----------
    left, right
        Finite, of the same shape.
    tolerance
        At least 0, broadcastable to `left`.

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
    return Decision(
        "IDENTITY",
        True,
        float(not wrong.any()),
        float(wrong.any()),
        slack=top,
        refutable_factor=1 / top if top > 0 else np.inf,
        statistics={"largest_gap": float(gap.max()), "entries": gap.size},
        witness=text,
    )


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
