"""Lemmas behind online sensitivity sampling (Li, Wang, Cheng, Yang 2023): the closed form, potentials, what is kept.

All derived: of the paper only the abstract was visible.
"""

import itertools
from collections.abc import Callable
from fractions import Fraction

import sympy

from proofs_check.checked import Checked, failed_cases, witness

# Arguments that make each statement false: the wrong sign, beta / R^2, a smaller base, weights left out.
FALSIFIED = {
    "cauchy_schwarz": {"sign": -1},
    "diameter": {"reach": 2},
    "binary_logarithm": {"base": 3},
    "rank_one": {"weights": 0},
    "arithmetic_geometric": {"d": 1},
    "toll": {"weighted": False},
    "unbiased": {"weighted": False},
}
_SOURCE = "Li, Wang, Cheng, Yang 2023"


def _form(name: str) -> sympy.Matrix:
    """A symmetric matrix (2, 2) of symbols."""
    a, b, c = sympy.symbols(f"{name}0:3", real=True)
    return sympy.Matrix([[a, b], [b, c]])


def _vector(name: str) -> sympy.Matrix:
    return sympy.Matrix(sympy.symbols(f"{name}0:2", real=True))


def lemma_cauchy_schwarz(sign: int = 1) -> Checked:
    """(phi' adj M phi) (w' M w) = det M (w . phi)^2 + (phi_1 (M w)_2 - phi_2 (M w)_1)^2 in two dimensions.

    Hence (w . phi)^2 / (w' M w) <= phi' M^{-1} phi for M above 0, with equality where M w is along phi.
    """
    M, phi, w = _form("m"), _vector("f"), _vector("w")
    image = M * w
    left = (phi.T * M.adjugate() * phi)[0] * (w.T * image)[0]
    right = M.det() * w.dot(phi) ** 2 + sign * (phi[0] * image[1] - phi[1] * image[0]) ** 2
    return Checked(
        "IDENTITY",
        "(phi' adj M phi)(w' M w) - det M (w.phi)^2 is the square of phi_1 (M w)_2 - phi_2 (M w)_1",
        _SOURCE + ", sensitivity; derived",
        "expanded, two dimensions, all entries symbols",
        sympy.expand(left - right),
    )


def lemma_diameter(reach: int = 1) -> Checked:
    """A ridge of beta / R^2 is refuted: w = R, w' = -R, nothing kept, phi = 1, have 4 R^2 / beta, not R^2 / beta.

    With the diameter 2 R in place of R it is met exactly.
    """
    R, beta, phi = Fraction(3, 2), Fraction(2), Fraction(1)
    apart = R - (-R)
    ratio = (apart * phi) ** 2 / beta
    claimed = phi**2 / (beta / (reach * R) ** 2)
    return Checked(
        "COUNTEREXAMPLE",
        "sup over |w|, |w'| <= R is at most phi' (L + beta / R^2)^{-1} phi: fails by 27/8 for R = 3/2, beta = 2",
        _SOURCE + ", sensitivity; derived",
        "one dimension, nothing kept, two opposite functions of largest norm; 9/2 against 9/8",
        witness(ratio - claimed, "27/8"),
    )


def lemma_binary_logarithm(base: int = 2) -> Checked:
    """min(1, x) <= log2(1 + x): the difference vanishes at 0 and 1 and its second derivative is negative.

    A concave function that vanishes at both ends is not negative in between; beyond 1 the logarithm grows.
    """
    x = sympy.Symbol("x", nonnegative=True)
    gap = sympy.log(1 + x) / sympy.log(base) - x
    ends = [sympy.simplify(gap.subs(x, end)) for end in (0, 1)]
    bend = sympy.simplify(sympy.diff(gap, x, 2) * sympy.log(base) * (1 + x) ** 2 + 1)
    return Checked(
        "IDENTITY",
        "log2(1 + x) - x is 0 at 0 and 1, with second derivative -1 / ((1 + x)^2 log 2)",
        _SOURCE + ", potential; derived",
        "symbolic; absolute defects",
        sympy.Matrix([*ends, bend]).norm(1),
    )


def lemma_rank_one(weights: int = 1) -> Checked:
    """det(L + w phi phi') = det L (1 + w x), and its inverse is L^{-1} - w z z' / (1 + w x), z = L^{-1} phi, x = phi.z.

    Two dimensions, L symmetric.
    """
    L, phi, w = _form("l"), _vector("f"), sympy.Symbol("w", positive=True)
    z = L.adjugate() * phi / L.det()
    x = phi.dot(z)
    after = L + weights * w * phi * phi.T
    growth = sympy.cancel(after.det() - L.det() * (1 + w * x))
    inverse = L.adjugate() / L.det() - w * z * z.T / (1 + w * x)
    product = (after * inverse - sympy.eye(2)).applyfunc(sympy.cancel)
    return Checked(
        "IDENTITY",
        "the matrix determinant lemma, and Sherman and Morrison's inverse",
        _SOURCE + ", updates",
        "rational functions of the entries, two dimensions; absolute defects",
        sympy.Matrix([growth, *product]).norm(1),
    )


def lemma_arithmetic_geometric(d: int = 2) -> Checked:
    """(tr / d)^2 - det = ((a - c) / 2)^2 + b^2 in two dimensions: det L <= (tr L / d)^d, equal for multiples of I."""
    L = _form("l")
    return Checked(
        "IDENTITY",
        "(tr L / 2)^2 - det L is a sum of two squares",
        _SOURCE + ", potential",
        "expanded, two dimensions",
        sympy.expand((L.trace() / d) ** 2 - L.det() - ((L[0, 0] - L[1, 1]) / 2) ** 2 - L[0, 1] ** 2),
    )


def lemma_toll(weighted: bool = True) -> Checked:
    """What is kept with p = min(1, c min(1, x)) and weight 1 / p multiplies det by 1 + x / p >= 1 + 1 / c.

    p <= c x gives x / p >= 1 / c at once where p < 1; p = 1 needs c min(1, x) >= 1, so x >= 1 / c.
    """
    slacks = []
    for n, m in itertools.product(range(1, 25), range(1, 25)):
        x, c = Fraction(n, 8), Fraction(m, 4)
        p = min(Fraction(1), c * min(Fraction(1), x))
        weight = 1 / p if weighted else Fraction(1)
        slacks.append(weight * x - 1 / c)
    return Checked(
        "EXACT_CASES",
        "x / min(1, c min(1, x)) >= 1 / c for x in 1/8..3, c in 1/4..6, with equality where p < 1 and x <= 1",
        _SOURCE + ", what is kept; derived",
        "576 pairs; least slack 0",
        failed_cases(slacks, 0),
    )


def lemma_unbiased(weighted: bool = True) -> Checked:
    """Three features in two dimensions, all eight paths: the mean of L is I and every feature once, exactly.

    Probabilities depend on the path; those of a feature that is kept for sure are 1.
    """
    features = [(Fraction(1), Fraction(1, 2)), (Fraction(-1, 3), Fraction(1)), (Fraction(3, 4), Fraction(1, 4))]
    mean = [Fraction(0)] * 4
    for chance, L, kept in _paths(features, lambda p: 1 / p if weighted else Fraction(1)):
        mean = [total + chance * entry for total, entry in zip(mean, [*L, kept])]
    # The mean number of features kept pins the rule: unbiased they would be under any.
    full = [1 + sum(a * a for a, b in features), sum(a * b for a, b in features), 1 + sum(b * b for a, b in features)]
    full.append(Fraction("272727/155648"))
    return Checked(
        "EXACT_CASES",
        "E L_t = I + sum phi phi' for sampling by sensitivity with weights 1 / p; of 3, 272727/155648 are kept",
        _SOURCE + ", weights; derived",
        "all paths of three features in rationals; counts the entries that differ",
        sum(x != y for x, y in zip(mean, full)),
    )


def _paths(features: list, weigh: Callable) -> list:
    """(probability, L, number kept) of every path, L = (L11, L12, L22) from I on, p = min(1, 3/4 min(1, x))."""
    paths = [(Fraction(1), [Fraction(1), Fraction(0), Fraction(1)], 0)]
    for a, b in features:
        following = []
        for chance, (u, v, w), kept in paths:
            x = (w * a * a - 2 * v * a * b + u * b * b) / (u * w - v * v)
            p = min(Fraction(1), Fraction(3, 4) * min(Fraction(1), x))
            weight = weigh(p)
            added = [u + weight * a * a, v + weight * a * b, w + weight * b * b]
            following += [(chance * p, added, kept + 1), (chance * (1 - p), [u, v, w], kept)]
        paths = following
    return paths
