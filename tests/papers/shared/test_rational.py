"""Exact systems by substitution, and floats read as the fractions that they stand for."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.papers.shared.rational import as_fractions, solve_exactly


def test_solutions_solve_exactly():
    rng = np.random.default_rng([94])
    for n in (1, 2, 5):
        A = as_fractions(rng.integers(-9, 10, (n, n)) / 7, 100)
        b = [Fraction(int(x), 3) for x in rng.integers(-9, 10, n)]
        x = solve_exactly(A, b)
        assert all(isinstance(value, Fraction) for value in x)
        assert [sum(a * value for a, value in zip(row, x, strict=True)) for row in A] == b
    with pytest.raises(ZeroDivisionError):
        solve_exactly([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]], [Fraction(1), Fraction(1)])


def test_floats_are_read_as_short_fractions():
    assert as_fractions(np.array([[0.1, 1 / 3], [0.95, -2.0]]), 100).tolist() == [
        [Fraction(1, 10), Fraction(1, 3)],
        [Fraction(19, 20), Fraction(-2)],
    ]
