"""Certificates of non-negativity: a polynomial written as a sum of squares with non-negative rational weights.

On a set where the assumptions g_1, g_2, ... are non-negative and the equations h_1, h_2, ... vanish, the expression

    sum_k weight_k (product of some g) square_k^2 + sum_j multiplier_j h_j,   weight_k >= 0 rational,

is non-negative. `defect` expands the difference to it; nothing is searched for here, and no solver is trusted. What a
solver found is written down as rational literals and verified.
"""

from collections.abc import Sequence
from fractions import Fraction

import sympy

from proofs_check.checked import Refused
from proofs_check.rational import exact


def defect(
    polynomial: sympy.Expr,
    terms: Sequence[tuple],
    assumptions: Sequence[sympy.Expr] = (),
    equations: Sequence[tuple[sympy.Expr, sympy.Expr]] = (),
) -> sympy.Expr:
    """`polynomial` minus its certificate, expanded: 0 proves that it is non-negative where the assumptions hold.

    Parameters
    ----------
    polynomial
        Claimed to be non-negative.
    terms
        Tuples (weight, square, *factors): weight >= 0 exact, square the expression that is squared, factors among the
        assumptions.
    assumptions
        Expressions that are non-negative by hypothesis.
    equations
        Pairs (multiplier, h) with h = 0 by hypothesis; any polynomial is allowed as multiplier.

    Symbols stand for real numbers. Squares, factors, multipliers and h are polynomials with rational coefficients: a
    multiplier with a pole, such as 1 / h, would prove everything, and so would the square of an imaginary number.

    Raises
    ------
    Refused
        A negative weight, a factor that is not an assumption, a float, what is no polynomial with rational
        coefficients, or a hypothesis that no number satisfies, such as -1 >= 0 or 1 = 0.

    Examples
    --------
    >>> x, y = sympy.symbols("x y")
    >>> defect(x**2 - x * y + y**2, [(1, x - y / 2), (Fraction(3, 4), y)])
    0
    >>> defect(x**2 - 3 * x * y + y**2, [(1, x - y)])
    -x*y
    >>> defect(x - x**2, [(1, 1, x, 1 - x)], [x, 1 - x])
    0
    """
    for hypothesis in assumptions:
        if sympy.expand(hypothesis).is_negative and not sympy.expand(hypothesis).free_symbols:
            raise Refused(f"the assumption {hypothesis} >= 0 is never true")
    for _, h in equations:
        if sympy.expand(h).is_number and sympy.expand(h) != 0:
            raise Refused(f"the equation {h} = 0 is never true")
    total = sympy.Integer(0)
    for weight, square, *factors in terms:
        number = exact(weight)
        if number < 0:
            raise Refused(f"the weight {number} of ({square})^2 is negative")
        foreign = [factor for factor in factors if factor not in assumptions]
        if foreign:
            raise Refused(f"{foreign[0]} is not among the assumptions")
        total += (
            sympy.Rational(number) * sympy.Mul(*(_real_polynomial(x) for x in factors)) * _real_polynomial(square) ** 2
        )
    total += sum((_real_polynomial(multiplier) * _real_polynomial(h) for multiplier, h in equations), sympy.Integer(0))
    out = sympy.expand(polynomial - total)
    if out.has(sympy.Float):
        raise Refused(f"{out} has floats")
    return out


def _real_polynomial(expression: object) -> sympy.Expr:
    """The expression if it is a polynomial with rational coefficients in symbols that may be real; Refused if not."""
    out = sympy.sympify(expression)
    if out.has(sympy.Float):
        raise Refused(f"{out} has floats")
    if out.is_number:
        rational = out.is_Rational
    else:
        symbols = sorted(out.free_symbols, key=str)
        rational = out.is_polynomial(*symbols) and all(x.is_Rational for x in sympy.Poly(out, *symbols).coeffs())
        rational = rational and all(x.is_extended_real is not False for x in symbols)
    if not rational:
        raise Refused(f"{out} is no polynomial with rational coefficients")
    return out


def gram_terms(gram: Sequence[Sequence], basis: Sequence[sympy.Expr]) -> list[tuple[Fraction, sympy.Expr]]:
    """basis^T gram basis as terms (weight, square) for `defect`, by L D L^T in rationals; Refused unless D >= 0.

    Examples
    --------
    >>> x, y = sympy.symbols("x y")
    >>> gram_terms([[2, -1], [-1, 1]], [x, y])
    [(Fraction(2, 1), x - y/2), (Fraction(1, 2), y)]
    """
    n = len(basis)
    rest = [[exact(x) for x in row] for row in gram]
    if any(rest[i][j] != rest[j][i] for i in range(n) for j in range(n)):
        raise Refused("the Gram matrix is not symmetric")
    terms = []
    for k in range(n):
        pivot, column = rest[k][k], [rest[i][k] for i in range(n)]
        if pivot < 0 or (pivot == 0 and any(column)):
            raise Refused(f"the Gram matrix is not positive semidefinite: pivot {k} is {pivot}")
        if pivot == 0:
            continue
        terms.append((pivot, sum(sympy.Rational(x / pivot) * b for x, b in zip(column, basis, strict=True))))
        rest = [[rest[i][j] - column[i] * column[j] / pivot for j in range(n)] for i in range(n)]
    return terms
