"""Inequalities between divergences (Gibbs and Su 2002, On choosing and bounding probability metrics)."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import lower_bound
from proofs_check.sos import defect

_SOURCE = "Gibbs and Su 2002"
_P, _Q = sympy.symbols("p q", positive=True)
_INNER = {_P: ("1/20", "19/20"), _Q: ("1/20", "19/20")}


def _divergence() -> sympy.Expr:
    """KL of (p, 1 - p) from (q, 1 - q)."""
    return _P * sympy.log(_P / _Q) + (1 - _P) * sympy.log((1 - _P) / (1 - _Q))


def lemma_kl_below_log_chi2(constant: Fraction = Fraction(1)) -> Checked:
    """KL(p || q) <= log(1 + chi2(p || q)) for two outcomes in [1/20, 19/20]; in general it is Jensen's inequality."""
    # 1 + chi2 = sum p^2 / q.
    f = sympy.log(_P**2 / _Q + (1 - _P) ** 2 / (1 - _Q)) - sympy.Rational(constant) * _divergence()
    return Checked(
        "INTERVAL",
        "log(1 + chi2(p || q)) - KL(p || q) >= 0 on [1/20, 19/20]^2",
        _SOURCE + ", Theorem 5",
        "branch and bound; second-order Taylor form at q = p",
        lower_bound(f, _INNER, touching=(_Q, _P), pin=({_P: "1/2", _Q: "1/4"}, "0.143841")),
    )


def lemma_kl_below_chi2(constant: Fraction = Fraction(1)) -> Checked:
    """log x <= x - 1 on [1/50, 50]: at x = p/q, with weights p, it is KL <= chi2 for any number of outcomes."""
    x = sympy.Symbol("x", positive=True)
    return Checked(
        "INTERVAL",
        "x - 1 - log x >= 0 on [1/50, 50], hence KL(p || q) <= chi2(p || q) where 1/50 <= p/q <= 50",
        _SOURCE,
        "branch and bound; second-order Taylor form at x = 1",
        lower_bound(sympy.Rational(constant) * (x - 1) - sympy.log(x), {x: ("1/50", 50)}, touching=(x, 1)),
    )


def lemma_hellinger_below_kl(constant: Fraction = Fraction(1)) -> Checked:
    """H^2 = sum (sqrt p - sqrt q)^2 <= KL(p || q) for two outcomes in [1/20, 19/20]."""
    hellinger = (sympy.sqrt(_P) - sympy.sqrt(_Q)) ** 2 + (sympy.sqrt(1 - _P) - sympy.sqrt(1 - _Q)) ** 2
    return Checked(
        "INTERVAL",
        "KL(p || q) - sum (sqrt p - sqrt q)^2 >= 0 on [1/20, 19/20]^2",
        _SOURCE + ", section 3",
        "branch and bound; second-order Taylor form at q = p",
        lower_bound(
            _divergence() - constant * hellinger, _INNER, touching=(_Q, _P), pin=({_P: "1/2", _Q: "1/4"}, "0.075692")
        ),
    )


def lemma_tv_below_chi2(share: Fraction = Fraction(1, 4)) -> Checked:
    """TV^2 <= chi2 / 4 for three outcomes: (sum d_i^2 / q_i)(sum q_i) >= (sum s_i d_i)^2 for signs s_i.

    With c_i = d_i / q_i: (sum q c^2)(sum q) - (sum s q c)^2 = sum_{i<j} q_i q_j (s_i c_i - s_j c_j)^2, as s_i^2 = 1.
    2 TV = sum |d| is the sum of s_i d_i for the signs of d.
    """
    n = 3
    q, c, s = (sympy.symbols(f"{name}0:{n}", real=True) for name in "qcs")
    quarter = sympy.Rational(1, 4)
    chi2 = sum(a * b**2 for a, b in zip(q, c))
    twice_tv = sum(a * b * t for a, b, t in zip(q, c, s))
    terms = [(Fraction(1, 4), s[i] * c[i] - s[j] * c[j], q[i], q[j]) for j in range(n) for i in range(j)]
    signs = [(quarter * sum(q) * a * b**2, 1 - t**2) for a, b, t in zip(q, c, s)]
    return Checked(
        "SOS",
        "chi2(p || q) / 4 - TV(p, q)^2 >= 0 for three outcomes",
        _SOURCE + ", section 3",
        "squares with weights q_i q_j, and the equations s^2 = 1, sum q = 1",
        defect(sympy.Rational(share) * chi2 - quarter * twice_tv**2, terms, q, [*signs, (quarter * chi2, 1 - sum(q))]),
    )


FALSIFIED = {
    "kl_below_log_chi2": {"constant": Fraction(2)},
    "kl_below_chi2": {"constant": Fraction(9, 10)},
    "hellinger_below_kl": {"constant": Fraction(3)},
    "tv_below_chi2": {"share": Fraction(1, 5)},
}
