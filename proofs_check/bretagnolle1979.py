"""The inequality of Bretagnolle and Huber 1979, which lower bounds of bandits and of exploration use."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import lower_bound
from proofs_check.sos import defect

_SOURCE = "Bretagnolle and Huber 1979"


def lemma_two_outcomes(power: Fraction = Fraction(1)) -> Checked:
    """TV^2 <= 1 - exp(-KL) for two outcomes in [1/20, 19/20]."""
    p, q = sympy.symbols("p q", positive=True)
    divergence = p * sympy.log(p / q) + (1 - p) * sympy.log((1 - p) / (1 - q))
    f = 1 - sympy.exp(-sympy.Rational(power) * divergence) - (p - q) ** 2
    return Checked(
        "INTERVAL",
        "1 - exp(-KL(p || q)) - (p - q)^2 >= 0 on [1/20, 19/20]^2",
        _SOURCE,
        "branch and bound; second-order Taylor form at q = p",
        lower_bound(
            f, {p: ("1/20", "19/20"), q: ("1/20", "19/20")}, touching=(q, p), pin=({p: "1/2", q: "1/4"}, "0.071474")
        ),
    )


def lemma_affinity(power: int = 2, n: int = 3) -> Checked:
    """(sum sqrt(p q))^2 <= (sum min)(sum max), by Cauchy and Schwarz: the general proof, n outcomes.

    Write min(p, q) = x^2 and max(p, q) = y^2 outcome by outcome, so that sqrt(p q) = x y; and
    (sum min)(sum max) = (1 - TV)(1 + TV). exp(-KL) <= (sum sqrt(p q))^2 is Jensen's inequality.
    """
    x, y = sympy.symbols(f"x0:{n}", real=True), sympy.symbols(f"y0:{n}", real=True)
    slack = sum(a**2 for a in x) * sum(b**2 for b in y) - sum(a * b for a, b in zip(x, y)) ** power
    terms = [(1, x[i] * y[j] - x[j] * y[i]) for j in range(n) for i in range(j)]
    return Checked(
        "SOS",
        f"(sum min)(sum max) - (sum sqrt(p q))^2 >= 0, n = {n}: with Jensen, 1 - TV^2 >= exp(-KL)",
        _SOURCE,
        "Lagrange's identity, expanded",
        defect(slack, terms),
    )


FALSIFIED = {"two_outcomes": {"power": Fraction(1, 5)}, "affinity": {"power": 3}}
