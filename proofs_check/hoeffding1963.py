"""Hoeffding's lemma and its constant 1/8, and the variance of a bounded variable."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import lower_bound, pinned
from proofs_check.sos import defect
from proofs_check.symbolic import first_nonzero

_SOURCE = "Hoeffding 1963, Lemma 1"
_P, _ETA = sympy.symbols("p eta", real=True)


def _log_moment() -> sympy.Expr:
    """log E exp(eta (X - p)) for X in {0, 1} with mean p."""
    return sympy.log(1 - _P + _P * sympy.exp(_ETA)) - _ETA * _P


def lemma_variance(quarter: Fraction = Fraction(1, 4), n: int = 3) -> Checked:
    """A variable in [0, 1] has a variance of at most 1/4: 1/4 - Var X = (E X - 1/2)^2 + E X (1 - X)."""
    p, x = sympy.symbols(f"p0:{n}", real=True), sympy.symbols(f"x0:{n}", real=True)
    mean = sum(a * b for a, b in zip(p, x))
    variance = sum(a * b**2 for a, b in zip(p, x)) - mean**2
    inside = [b * (1 - b) for b in x]
    terms = [(1, mean - sympy.Rational(1, 2)), *((1, 1, a, b) for a, b in zip(p, inside))]
    return Checked(
        "SOS",
        f"1/4 - Var X >= 0 for X in [0, 1] with {n} values (Popoviciu)",
        _SOURCE,
        "(E X - 1/2)^2 + sum p x (1 - x), expanded",
        defect(sympy.Rational(quarter) - variance, terms, [*p, *inside]),
    )


def lemma_tilted_variance(quarter: Fraction = Fraction(1, 4)) -> Checked:
    """d^2/d eta^2 [eta^2 / 8 - log E exp(eta (X - p))] = (u - 1/2)^2, u the tilted mean; at 0 value and slope vanish.

    Hence eta^2 / 8 bounds the logarithm for every eta and two-valued X. Any X in [0, 1] is below: convexity of the
    exponential moves its mass to the ends.
    """
    f = sympy.Rational(quarter) * _ETA**2 / 2 - _log_moment()
    tilted = _P * sympy.exp(_ETA) / (1 - _P + _P * sympy.exp(_ETA))
    bend = sympy.simplify(sympy.diff(f, _ETA, 2) - (tilted - sympy.Rational(1, 2)) ** 2)
    start, slope = f.subs(_ETA, 0), sympy.simplify(sympy.diff(f, _ETA).subs(_ETA, 0))
    return Checked(
        "IDENTITY",
        "log E exp(eta (X - E X)) <= eta^2 / 8 for X in {0, 1}: the second derivative of the slack is a square",
        _SOURCE,
        "second derivative simplified; value and slope at 0",
        first_nonzero([bend, start, slope]),
    )


def lemma_two_points(constant: Fraction = Fraction(3, 20)) -> Checked:
    """log E exp(eta (X - p)) <= 0.15 eta^2 for 0 <= p <= 1 and |eta| <= 2, by branch and bound (1/8 is sharp)."""
    return Checked(
        "INTERVAL",
        "3/20 eta^2 - log E exp(eta (X - p)) >= 0 for X in {0, 1}, p in [0, 1], eta in [-2, 2]",
        _SOURCE,
        "branch and bound; second-order Taylor form at eta = 0",
        lower_bound(
            sympy.Rational(constant) * _ETA**2 - _log_moment(),
            {_ETA: ("-2", 2), _P: (0, 1)},
            touching=(_ETA, 0),
            pin=({_ETA: 1, _P: "1/4"}, "0.042625"),
        ),
    )


def lemma_eighth_is_sharp(constant: Fraction = Fraction(31, 250)) -> Checked:
    """No constant below 1/8 will do: 0.124 is too small for p = 1/2 and eta = 1/5."""
    violation = _log_moment() - sympy.Rational(constant) * _ETA**2
    return Checked(
        "COUNTEREXAMPLE",
        "log E exp(eta (X - p)) exceeds 0.124 eta^2 at p = 1/2, eta = 1/5",
        _SOURCE + "; sharpness of the constant",
        "enclosure at a rational point",
        pinned(violation, {_ETA: "1/5", _P: "1/2"}, "0.000031"),
    )


FALSIFIED = {
    "variance": {"quarter": Fraction(1, 5)},
    "tilted_variance": {"quarter": Fraction(1, 5)},
    "two_points": {"constant": Fraction(1, 10)},
    "eighth_is_sharp": {"constant": Fraction(1, 8)},
}
