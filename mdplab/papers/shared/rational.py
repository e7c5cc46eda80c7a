"""Witnesses in fractions: what floats of an instance stand for, and linear systems."""

from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mat


def as_fractions(array, most):
    """Fractions with denominators up to `most`, which the floats of the array stand for."""
    return np.vectorize(lambda x: Fraction(float(x)).limit_denominator(most), otypes=[object])(array)


def solve_exactly(matrix, right):
    """x of matrix x = right as a list, all in fractions; the matrix is square and regular."""
    A = fmpq_mat([[fmpq(x.numerator, x.denominator) for x in row] for row in matrix])
    b = fmpq_mat([[fmpq(y.numerator, y.denominator)] for y in right])
    return [Fraction(int(x.p), int(x.q)) for x in A.solve(b).entries()]
