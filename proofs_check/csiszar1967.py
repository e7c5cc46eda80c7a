"""Pinsker's inequality with its sharp constant (Csiszar 1967; Kullback 1967; Kemperman 1969), for two outcomes."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import lower_bound, pinned
from proofs_check.sos import defect
from proofs_check.symbolic import first_nonzero

_SOURCE = "Pinsker 1964; Csiszar 1967, Kullback 1967, Kemperman 1969"
_P, _Q = sympy.symbols("p q", positive=True)


def _divergence() -> sympy.Expr:
    """KL of (p, 1 - p) from (q, 1 - q)."""
    return _P * sympy.log(_P / _Q) + (1 - _P) * sympy.log((1 - _P) / (1 - _Q))


def lemma_pinsker(constant: int = 2) -> Checked:
    """KL(p || q) >= 2 (p - q)^2: zero at q = p, and the derivative in q is (q - p)(1 - 2q)^2 / (q (1 - q)).

    It has the sign of q - p, so that the difference falls to 0 and rises again. More outcomes reduce to two by the
    log-sum inequality applied to the set where p > q.
    """
    f = _divergence() - constant * (_P - _Q) ** 2
    slope = sympy.diff(f, _Q) - (_Q - _P) * (1 - 2 * _Q) ** 2 / (_Q * (1 - _Q))
    start = f.subs(_Q, _P)
    return Checked(
        "IDENTITY",
        "d/dq [KL(p || q) - 2 (p - q)^2] = (q - p)(1 - 2q)^2 / (q (1 - q)), hence KL >= 2 TV^2 for two outcomes",
        _SOURCE,
        "derivative as a rational function, and the value at q = p",
        first_nonzero([sympy.simplify(slope), sympy.simplify(start)]),
    )


def lemma_pinsker_curvature(constant: int = 4) -> Checked:
    """1 / (q (1 - q)) >= 4, that is 1 - 4 q (1 - q) = (1 - 2q)^2: what Pinsker's constant is made of."""
    return Checked(
        "SOS",
        "1 - 4 q (1 - q) is a square: the second derivative of KL is at least 4",
        _SOURCE,
        "one square",
        defect(1 - constant * _Q * (1 - _Q), [(1, 1 - 2 * _Q)]),
    )


def lemma_pinsker_on_a_box(constant: Fraction = Fraction(19, 10)) -> Checked:
    """KL(p || q) >= 1.9 (p - q)^2 on [1/20, 19/20]^2 without calculus: by branch and bound."""
    return Checked(
        "INTERVAL",
        "KL(p || q) - 19/10 (p - q)^2 >= 0 on [1/20, 19/20]^2",
        _SOURCE,
        "branch and bound; second-order Taylor form at p = q",
        lower_bound(
            _divergence() - constant * (_P - _Q) ** 2,
            {_P: ("1/20", "19/20"), _Q: ("1/20", "19/20")},
            touching=(_Q, _P),
            pin=({_P: "1/2", _Q: "1/4"}, "0.025091"),
        ),
    )


def lemma_two_is_sharp(constant: Fraction = Fraction(201, 100)) -> Checked:
    """No constant above 2 will do: 2.01 is too large for p = 1/2 and q = 47/100."""
    violation = constant * (_P - _Q) ** 2 - _divergence()
    return Checked(
        "COUNTEREXAMPLE",
        "2.01 (p - q)^2 exceeds KL(p || q) at p = 1/2, q = 47/100",
        _SOURCE + "; sharpness of the constant",
        "enclosure at a rational point",
        pinned(violation, {_P: "1/2", _Q: "47/100"}, "0.000005"),
    )


def lemma_no_reverse(weight: Fraction = Fraction(1)) -> Checked:
    """KL <= c TV^2 needs a constant that depends on the least q: at p = 1/2, q = 1/1000 already c = 11 is too small."""
    violation = weight * _divergence() - 11 * (_P - _Q) ** 2
    return Checked(
        "COUNTEREXAMPLE",
        "KL(p || q) exceeds 11 TV(p, q)^2 at p = 1/2, q = 1/1000",
        "standard; against a reverse inequality without a bound on q",
        "enclosure at a rational point",
        pinned(violation, {_P: "1/2", _Q: "1/1000"}, "0.022219"),
    )


FALSIFIED = {
    "pinsker": {"constant": 3},
    "pinsker_curvature": {"constant": 5},
    "pinsker_on_a_box": {"constant": Fraction(21, 10)},
    "two_is_sharp": {"constant": Fraction(2)},
    "no_reverse": {"weight": Fraction(9, 10)},
}
