"""Softmax, its logarithm and the Kullback-Leibler divergence along the last axis, without overflow and cancellation.

Whole-array NumPy: nothing here is compiled, so that short runs pay no compile time. Leading axes are batches.
"""

import numpy as np

# Below this, expm1(d) - d loses more than a digit to cancellation; the first term left out, 2 x^11 / 13!, is 1e-20.
_SERIES_BELOW, _SERIES_TERMS = 0.1, 12


def logsumexp(x: np.ndarray) -> np.ndarray:
    """log(sum(exp(x))) along the last axis: x (..., n) -> (...).

    Examples
    --------
    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 6)
    1000.693147
    """
    top = np.max(x, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=-1)) + top[..., 0]


def log_softmax(x: np.ndarray) -> np.ndarray:
    """x - logsumexp(x): logits (..., n) -> normalised log-probabilities (..., n).

    Examples
    --------
    >>> log_softmax(np.array([0.0, -800.0])).tolist()
    [0.0, -800.0]
    """
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x) / sum(exp(x)): logits (..., n) -> distributions (..., n).

    Examples
    --------
    >>> softmax(np.array([5.0, 5.0])).tolist()
    [0.5, 0.5]
    """
    weights = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True)


def kl_divergence(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    r"""D(p || q) of the softmaxes of two arrays of logits: (..., n), (..., n) -> (...).

    Notes
    -----
    With d = log q - log p, normalised so that sum p e^d = 1, D = sum p (e^d - 1 - d): every term is at least 0 and
    computed to full relative accuracy, so that divergences of 1e-28 are meaningful. The textbook sum p (log p - log q)
    stalls near 1e-17. Adding a constant to either array changes nothing.

    Examples
    --------
    >>> p = np.log([0.25, 0.75])
    >>> float(kl_divergence(p, p))
    0.0
    >>> round(float(kl_divergence(p, np.log([0.75, 0.25]))), 12) == round(float(np.log(3)) / 2, 12)
    True
    """
    d = log_q - log_p
    log_p = log_softmax(log_p)
    p = np.exp(log_p)
    # Centring first keeps the exponentials in range: the mean of d under p is at most log E e^d.
    d = d - np.sum(p * d, axis=-1, keepdims=True)
    with np.errstate(over="ignore"):
        # p e^d in one exponential: a p that underflows may stand before a q that does not.
        far = np.exp(log_p + d) - p * (1 + d)
        shift = np.log1p(np.sum(np.where(d > 1, far, p * _exp_minus_linear(np.minimum(d, 1.0))), axis=-1))
    # Here E d = 0, hence log E e^d = log(1 + E(e^d - 1 - d)), which is the divergence itself.
    return np.where(np.isfinite(shift), shift, logsumexp(log_p + d))


def _exp_minus_linear(d: np.ndarray) -> np.ndarray:
    """e^d - 1 - d, to full relative accuracy."""
    small = np.abs(d) < _SERIES_BELOW
    x = np.where(small, d, 0.0)
    series = np.ones_like(x)
    for k in range(_SERIES_TERMS, 2, -1):
        series = 1.0 + x * series / k
    return np.where(small, 0.5 * x * x * series, np.expm1(d) - d)
