"""Pinsker's inequality with its sharp constant (Csiszar 1967; Kullback 1967; Kemperman 1969), for two outcomes."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import enclose, lower_bound
from proofs_check.sos import defect

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
        sympy.simplify(slope) + sympy.simplify(start) ** 2,
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
        ),
    )


def lemma_two_is_sharp(constant: Fraction = Fraction(201, 100)) -> Checked:
    """No constant above 2 will do: 2.01 is too large for p = 1/2 and q = 49/100."""
    lo, hi = enclose(constant * (_P - _Q) ** 2 - _divergence(), {_P: Fraction(1, 2), _Q: Fraction(49, 100)})
    stated = Fraction(959, 10**9)
    sound = stated <= lo <= hi < stated + Fraction(1, 10**9)
    return Checked(
        "COUNTEREXAMPLE",
        "2.01 (p - q)^2 exceeds KL(p || q) by more than 9.59e-7 at p = 1/2, q = 49/100",
        _SOURCE + "; sharpness of the constant",
        "enclosure at a rational point",
        lo if sound else -1,
    )


def lemma_no_reverse(weight: Fraction = Fraction(1)) -> Checked:
    """No constant c makes KL <= c TV^2 in general: p = 1/2, q = 10^-12 have KL > 13 and TV < 1/2."""
    point = {_P: Fraction(1, 2), _Q: Fraction(1, 10**12)}
    lo, hi = enclose(weight * _divergence() - 50 * (_P - _Q) ** 2, point)
    # log(10^6 / 2) + tiny - 12.5 = 0.62236...
    stated = Fraction(62236, 10**5)
    sound = stated < lo <= hi < stated + Fraction(1, 10**5)
    return Checked(
        "COUNTEREXAMPLE",
        "KL(p || q) exceeds 50 TV(p, q)^2 by more than 0.62236 at p = 1/2, q = 10^-12",
        "standard; against a reverse inequality without a bound on q",
        "enclosure at a rational point",
        lo if sound else -1,
    )


FALSIFIED = {
    "pinsker": {"constant": 3},
    "pinsker_curvature": {"constant": 5},
    "pinsker_on_a_box": {"constant": Fraction(21, 10)},
    "two_is_sharp": {"constant": Fraction(2)},
    "no_reverse": {"weight": Fraction(9, 10)},
}
