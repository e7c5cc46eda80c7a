"""Certificates that hold, and false or faulty ones of the same shape, which are refused."""

from fractions import Fraction

import pytest
import sympy

from proofs_check.checked import Refused
from proofs_check.sos import defect, gram_terms

X, Y, Z = sympy.symbols("x y z", real=True)
MOTZKIN = X**4 * Y**2 + X**2 * Y**4 - 3 * X**2 * Y**2 + 1


def test_arithmetic_and_geometric_mean_of_four_numbers():
    # a^4 + b^4 + c^4 + d^4 - 4abcd = (a^2 - b^2)^2 + (c^2 - d^2)^2 + 2 (ab - cd)^2
    a, b, c, d = sympy.symbols("a:d")
    terms = [(1, a**2 - b**2), (1, c**2 - d**2), (2, a * b - c * d)]
    assert defect(a**4 + b**4 + c**4 + d**4 - 4 * a * b * c * d, terms) == 0
    assert defect(a**4 + b**4 + c**4 + d**4 - 5 * a * b * c * d, terms) != 0
    assert defect(a**4 + b**4 + c**4 + d**4 + 4 * a * b * c * d, terms) != 0


def test_motzkin_needs_a_multiplier():
    # (x^2 + y^2) times it is a sum of squares; the polynomial itself is none.
    terms = [
        (1, X**2 * Y * (X**2 + Y**2 - 2)),
        (1, X * Y**2 * (X**2 + Y**2 - 2)),
        (1, X * Y * (X**2 + Y**2 - 2)),
        (1, X**2 - Y**2),
    ]
    assert defect(sympy.expand((X**2 + Y**2) ** 2 * MOTZKIN), terms) == 0
    assert defect(MOTZKIN, terms) != 0


def test_assumptions_and_equations():
    p, q = sympy.symbols("p q")
    # pq <= 1/4 on the simplex
    quarter = Fraction(1, 4)
    certificate = defect(sympy.Rational(1, 4) - p * q, [(quarter, p - q)], [p, q], [(-(p + q + 1) / 4, p + q - 1)])
    assert certificate == 0
    assert defect(sympy.Rational(1, 5) - p * q, [(quarter, p - q)], [p, q], [(-(p + q + 1) / 4, p + q - 1)]) != 0
    assert defect(p - p * q, [(1, 1, p, 1 - q)], [p, 1 - q]) == 0


@pytest.mark.parametrize(
    ("terms", "assumptions", "message"),
    [
        ([(-1, X)], [], "is negative"),
        ([(Fraction(-1, 10**30), X), (1, Y)], [], "is negative"),
        ([(1, 1, X)], [], "not among the assumptions"),
        ([(1, 1, X - Y)], [X, Y], "not among the assumptions"),
        ([(1, sympy.Float("0.5") * X)], [], "floats"),
        ([(1, sympy.I * X)], [], "no polynomial"),  # the square of what is not real may be negative
        ([(1, sympy.sqrt(-(X**2)))], [], "no polynomial"),
        ([(1, sympy.Symbol("i", imaginary=True))], [], "no polynomial"),
        ([(1, X / Y)], [], "no polynomial"),
        ([(1, 1, X)], [X, sympy.Integer(-1)], "never true"),
    ],
)
def test_faulty_certificates_are_refused(terms, assumptions, message):
    with pytest.raises(Refused, match=message):
        defect(X**2 + Y, terms, assumptions)


@pytest.mark.parametrize("false", [-(X**2) - 1, X, X**2 - 1])
@pytest.mark.parametrize("h", [X - Y, sympy.Integer(1)])
def test_a_multiplier_with_a_pole_proves_nothing(false, h):
    """p = (p / h) h would prove any p; and so would p = p 1 from 1 = 0."""
    with pytest.raises(Refused, match=r"no polynomial|never true"):
        defect(false, [], [], [(false / h, h)])


def test_a_float_weight_is_refused():
    with pytest.raises(TypeError, match="not an exact number"):
        defect(X**2, [(1.0, X)])


def test_gram_matrices():
    gram = [[2, 1, 0], [1, 2, 1], [0, 1, 2]]
    form = sum(gram[i][j] * a * b for i, a in enumerate((X, Y, Z)) for j, b in enumerate((X, Y, Z)))
    assert defect(sympy.expand(form), gram_terms(gram, [X, Y, Z])) == 0
    assert defect(sympy.expand((X - Y) ** 2), gram_terms([[1, -1], [-1, 1]], [X, Y])) == 0


@pytest.mark.parametrize(
    ("gram", "message"),
    [
        ([[1, 2], [2, 1]], "pivot 1 is -3"),
        ([[0, 1], [1, 5]], "pivot 0 is 0"),
        ([[1, 1], [1, Fraction(999999, 10**6)]], "positive semidefinite"),
        ([[-1, 0], [0, 1]], "pivot 0 is -1"),
        ([[1, 0], [1, 1]], "not symmetric"),
    ],
)
def test_matrices_with_a_negative_direction_are_refused(gram, message):
    with pytest.raises(Refused, match=message):
        gram_terms(gram, [X, Y])
