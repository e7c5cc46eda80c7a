"""Positive definiteness: of integer matrices exactly, and of batches of float matrices with a bound of all rounding.

Exact level. A matrix of floats times a power of two is one of integers. Small matrices are decided by the pivots of
fraction-free elimination (Bareiss), which are the leading minors: all positive if and only if the matrix is positive
definite (Sylvester); no square root, no tolerance. For large ones pivots grow long, and a proof is tried first: with
any R in integers, S = R^T R + E, and E is computed exactly; if E is strictly diagonally dominant with a positive
diagonal, S is positive definite. R comes from floats, and nothing about it is trusted.

Float level. If Cholesky's method in floating point completes on A - c I with c >= gamma_(n+1) / (1 - gamma_(n+1)) tr A,
then A is positive definite, in whatever order its sums are taken (Rump 2006, "Verification of positive definiteness",
theorem 2.3). Ours is c = 8 n (n + 2) u max |A|, which also covers eight roundings of every entry of A.
"""

from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.rows import UNIT

# Up to here pivots are at most a few thousand bits long.
_SMALL = 12


def integers(*arrays: Any) -> tuple[list[np.ndarray], int]:
    """Arrays of floats times one power of two 2^e, as object arrays of Python integers; and e.

    Examples
    --------
    >>> scaled, e = integers([0.5, 3.0], 0.25)
    >>> [part.tolist() for part in scaled], e
    ([[2, 12], 1], 2)
    """
    floats = [np.asarray(array, dtype=np.float64) for array in arrays]
    bits = [value.as_integer_ratio()[1].bit_length() - 1 for array in floats for value in array.ravel().tolist()]
    e = max(bits, default=0)

    def scaled(value: float) -> int:
        top, bottom = float(value).as_integer_ratio()
        return top << (e - (bottom.bit_length() - 1))

    return [np.array(np.frompyfunc(scaled, 1, 1)(array), dtype=object) for array in floats], e


def positive_definite(S: np.ndarray) -> bool:
    """Whether a symmetric object array of integers (n, n) is positive definite, exactly; for n = 1 zero is let pass.

    Examples
    --------
    >>> positive_definite(np.array([[2, -1], [-1, 1]], dtype=object)), positive_definite(np.ones((2, 2), dtype=object))
    (True, False)
    """
    if len(S) == 1:
        return S[0, 0] >= 0
    if any(S[i, i] <= 0 for i in range(len(S))):
        return False
    return (len(S) > _SMALL and _squares_and_rest(S)) or _pivots(S)


def _pivots(S: np.ndarray) -> bool:
    """All leading minors positive, by fraction-free elimination."""
    A = S if rational.flint is None else np.frompyfunc(rational.flint.fmpz, 1, 1)(S)
    previous = 1
    while len(A):
        pivot = A[0, 0]
        if not pivot > 0:
            return False
        column = A[1:, 0]
        A = (A[1:, 1:] * pivot - np.multiply.outer(column, column)) // previous
        previous = pivot
    return True


def _squares_and_rest(S: np.ndarray) -> bool:
    """S = R^T R + E with E strictly diagonally dominant; False if floats found no such R."""
    n = len(S)
    # A congruence by powers of two brings the diagonal near one without rounding.
    half = [int(S[i, i]).bit_length() // 2 for i in range(n)]
    with np.errstate(over="ignore"):
        near = np.array([[_ratio(S[i, j], half[i] + half[j]) for j in range(n)] for i in range(n)])
    if not np.isfinite(near).all():
        return False
    try:
        R = np.linalg.cholesky(near - 16 * n * UNIT * np.eye(n)).T
    except np.linalg.LinAlgError:
        return False
    # R in units of 2^-60; S and R^T R in units of 2^-120 of the scaled matrix.
    whole = np.frompyfunc(lambda x: round(x * 2.0**60), 1, 1)(R)
    shifted = np.array([[int(S[i, j]) << 120 for j in range(n)] for i in range(n)], dtype=object)
    square = whole.T @ whole
    E = shifted - np.array([[square[i, j] << (half[i] + half[j]) for j in range(n)] for i in range(n)], dtype=object)
    # Dominance of the scaled matrix: row i of E over 2^(half_i + half_j).
    top = max(half)
    scaled = np.array([[E[i, j] << (top - half[j]) for j in range(n)] for i in range(n)], dtype=object)
    return all(2 * scaled[i, i] > sum(abs(scaled[i, j]) for j in range(n)) for i in range(n))


def _ratio(value: int, exponent: int) -> float:
    """value / 2^exponent, nearly."""
    value = int(value)
    extra = max(0, value.bit_length() - 64)
    return float(value >> extra) * 2.0 ** float(extra - exponent)


def surely_positive_definite(A: np.ndarray) -> bool:
    """Whether all matrices (..., n, n), known up to eight roundings an entry, are shown to be positive definite.

    Examples
    --------
    >>> surely_positive_definite(np.eye(2)), surely_positive_definite(np.zeros((1, 1)))
    (True, False)
    """
    n = A.shape[-1]
    if not np.isfinite(A).all():
        return False
    shift = 8 * n * (n + 2) * UNIT * np.abs(A).max(axis=(-2, -1), keepdims=True)
    try:
        np.linalg.cholesky(A - shift * np.eye(n))
    except np.linalg.LinAlgError:
        return False
    return True
