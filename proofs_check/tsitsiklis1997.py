"""Lemmas of Tsitsiklis and Van Roy 1997: on-policy sampling keeps TD stable, other sampling need not."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.rational import dot
from proofs_check.sos import defect

_SOURCE = "Tsitsiklis and Van Roy 1997"


def _chain(n: int) -> tuple:
    """Symbols of a law d, a matrix P and a vector x, and the pairs (multiplier, expression) of no use yet."""
    d, x = sympy.symbols(f"d0:{n}", real=True), sympy.symbols(f"x0:{n}", real=True)
    P = sympy.Matrix(n, n, lambda i, j: sympy.Symbol(f"P{i}{j}", real=True))
    return d, x, P, range(n)


def lemma_nonexpansive(weight: Fraction = Fraction(1), n: int = 3) -> Checked:
    """|P x|_d <= |x|_d for a stationary law d: the slack is sum_i d_i sum_{j<k} P_ij P_ik (x_j - x_k)^2."""
    d, x, P, R = _chain(n)
    means = [sum(P[i, j] * x[j] for j in R) for i in R]
    slack = sympy.Rational(weight) * sum(d[i] * x[i] ** 2 for i in R) - sum(d[i] * means[i] ** 2 for i in R)
    terms = [(1, x[j] - x[k], d[i], P[i, j], P[i, k]) for i in R for k in R for j in range(k)]
    # sum_j P_ij = 1 enters as the factor of sum_k P_ik x_k^2, and stationarity as that of x_j^2.
    rows = [(-d[i] * sum(P[i, k] * x[k] ** 2 for k in R), sum(P[i, j] for j in R) - 1) for i in R]
    flow = [(x[j] ** 2, d[j] - sum(d[i] * P[i, j] for i in R)) for j in R]
    return Checked(
        "SOS",
        f"sum d x^2 - sum d (P x)^2 >= 0 for d P = d, {n} states: gamma P is a contraction in the norm of d",
        _SOURCE + ", Lemma 1",
        "sum of d_i P_ij P_ik (x_j - x_k)^2, expanded with the equations of a stationary law",
        defect(slack, terms, [*d, *P], [*rows, *flow]),
    )


def lemma_dirichlet_form(half: Fraction = Fraction(1, 2), n: int = 4) -> Checked:
    """x^T D (I - P) x = 1/2 sum d_i P_ij (x_i - x_j)^2 >= 0 for d P = d: the matrix of on-policy TD is positive."""
    d, x, P, R = _chain(n)
    form = sum(d[i] * x[i] ** 2 for i in R) - sum(d[i] * P[i, j] * x[i] * x[j] for i in R for j in R)
    terms = [(half, x[i] - x[j], d[i], P[i, j]) for i in R for j in R]
    rows = [(-d[i] * x[i] ** 2 / 2, sum(P[i, j] for j in R) - 1) for i in R]
    flow = [(x[j] ** 2 / 2, d[j] - sum(d[i] * P[i, j] for i in R)) for j in R]
    return Checked(
        "SOS",
        f"x^T D (I - P) x = 1/2 sum d_i P_ij (x_i - x_j)^2 for d P = d, {n} states",
        _SOURCE + ", proof of Lemma 9",
        "expansion with the equations of a stationary law",
        defect(form, terms, [*d, *P], [*rows, *flow]),
    )


def lemma_off_policy_diverges(gamma: Fraction = Fraction(99, 100)) -> Checked:
    """With states sampled evenly, and not by their law, linear TD diverges: features 1 and 2, moves to the second.

    The mean update is theta + a phi^T D (gamma P - I) phi theta; its coefficient is positive where gamma > 5/6.
    """
    D, features = [Fraction(1, 2), Fraction(1, 2)], [Fraction(1), Fraction(2)]
    P = [[Fraction(0), Fraction(1)], [Fraction(0), Fraction(1)]]
    errors = [gamma * dot(row, features) - feature for row, feature in zip(P, features)]
    rate = dot([d * f for d, f in zip(D, features)], errors)
    return Checked(
        "COUNTEREXAMPLE",
        "the mean update of off-policy TD(0) grows at the rate 47/100: theta+ = (1 + 47/100 a) theta",
        _SOURCE + ", section 9; the two-state instance that is also in Sutton and Barto 2018, section 11.2",
        f"phi = (1, 2), both states move to the second, even sampling, gamma = {gamma}",
        witness(rate, Fraction(47, 100)),
    )


FALSIFIED = {
    "nonexpansive": {"weight": Fraction(9, 10)},
    "dirichlet_form": {"half": Fraction(1, 3)},
    "off_policy_diverges": {"gamma": Fraction(4, 5)},
}
