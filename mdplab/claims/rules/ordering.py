"""ORD-1: is one quantity smaller than another, on average over instances or on every instance?"""

from typing import Any

import numpy as np
from scipy import special

from mdplab.claims.decision import REFUTE_LEVEL, Decision
from mdplab.claims.rules.checks import at_least_two, numbers
from mdplab.claims.rules.window import ROUNDING

# All sign patterns are enumerated up to this many instances; beyond, this many binary digits of patterns are drawn.
LARGEST_EXACT = 16


def sign_patterns(I: int) -> tuple[np.ndarray, bool]:
    """Signs `(B, I)`, and whether they are all `2^I`; otherwise `2^16 - 1` are drawn, keyed by I."""
    if I <= LARGEST_EXACT:
        return 1.0 - 2.0 * ((np.arange(2**I)[:, None] >> np.arange(I)) & 1), True
    rng = np.random.default_rng([0x51F17, I])
    return 1.0 - 2.0 * rng.integers(0, 2, (2**LARGEST_EXACT - 1, I)), False


def sign_flip(d: np.ndarray, signs: np.ndarray, exact: bool) -> float:
    """One-sided p-value that differences `(I,)`, symmetric about at most 0, have a mean this large."""
    # Equal sums in another order differ by rounding, which must not break a tie.
    as_large = int((signs @ d >= d.sum() - 1e-12 * np.abs(d).sum()).sum())
    return as_large / len(signs) if exact else (1 + as_large) / (1 + len(signs))


def ord_1(left: Any, right: Any, *, every_instance: bool = False) -> Decision:
    """Whether `left < right`, by one paired difference per instance.

    Parameters
    ----------
    left, right
        Finite, `(I, m)`: instances (at least 2) times runs, paired by common random numbers.
    every_instance
        False: the mean over the family, by sign-flip permutation over instances, exact up to 16 instances. True:
        every instance, by paired t-tests over its runs (m at least 2): accepted if each accepts
        (intersection-union), refuted if one does (Holm).

    Returns
    -------
    Decision; with I instances the smallest p-value of the first kind is `2^-I`. `slack` and `refutable_factor` are
    defined for positive data: mean left over mean right, and the smallest f for which `f * left < right` is refuted.

    Source
    ------
    mdplab, VERIFICATION 2.7.

    Examples
    --------
    >>> right = np.random.default_rng(0).random((10, 4)) + 1
    >>> ord_1(right - 0.1, right).outcome()
    'accepted'
    """
    left, right = numbers("left", left, (2,)), numbers("right", right, (2,))
    if left.shape != right.shape:
        raise ValueError(f"right has shape {right.shape}, left {left.shape}; they are paired run by run")
    at_least_two("left", left, 0, "instances")
    if every_instance:
        at_least_two("left", left, 1, "runs")
        test = _every_instance
    else:
        signs, exact = sign_patterns(left.shape[0])

        def test(d: np.ndarray) -> tuple[float, float]:
            d = d.mean(axis=1)
            return sign_flip(d, signs, exact), sign_flip(-d, signs, exact)

    p_refute, p_accept = test(left - right)
    d = (left - right).mean(axis=1)
    positive = bool(np.all(left > 0) and np.all(right > 0))
    return Decision(
        "ORD-1",
        False,
        p_refute,
        p_accept,
        slack=float(left.mean() / right.mean()) if positive else np.nan,
        refutable_factor=_refutable(left, right, test) if positive else np.nan,
        statistics={"differences": d, "mean": float(d.mean()), "share_below": float((d < 0).mean())},
    )


def _every_instance(d: np.ndarray) -> tuple[float, float]:
    I, m = d.shape
    t = d.mean(axis=1) / np.maximum(d.std(axis=1, ddof=1) / np.sqrt(m), ROUNDING)
    return min(1.0, I * float(special.stdtr(m - 1, -t).min())), float(special.stdtr(m - 1, t).max())


def _refutable(left: np.ndarray, right: np.ndarray, test: Any) -> float:
    """Smallest f, to 0.1 %, for which `f * left < right` is refuted, by bisection between one in a million and it."""
    low, high = -np.log(1e6), np.log(1e6)
    if test(np.exp(high) * left - right)[0] > REFUTE_LEVEL:
        return np.inf
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if test(np.exp(middle) * left - right)[0] <= REFUTE_LEVEL else (middle, high)
    return float(np.exp(high))
