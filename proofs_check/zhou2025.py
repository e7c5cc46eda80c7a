"""Lemmas behind EGPO (Zhou, Fazel, Du 2025): the energy balance of an extragradient step, and why it contracts.

Together: the last term of `energy` is at most eta L a b with a, b the l1 lengths of the half step and of the rest
(`operator_norm`); Pinsker's inequality gives D >= a^2 / 2 and b^2 / 2; `absorbed` then shows that for
eta <= 1 / (tau + L) one step multiplies D(pi* || .) by at most 1 - eta tau.
"""

from fractions import Fraction
from itertools import combinations, product

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect

# Arguments that make each statement false: the wrong base point, half the norm, a step twice as long.
FALSIFIED = {
    "energy": {"base": "half"},
    "operator_norm": {"quarter": Fraction(1, 8)},
    "absorbed": {"stretch": 2},
}

_SOURCE = "Zhou, Fazel, Du 2025, arXiv:2503.08942; constants derived"


def _skew(n: int) -> sympy.Matrix:
    """A generic skew matrix."""
    K = sympy.zeros(n, n)
    for i, j in combinations(range(n), 2):
        K[i, j] = sympy.Symbol(f"k{i}{j}", real=True)
        K[j, i] = -K[i, j]
    return K


def _shifted(vector: sympy.Matrix, constant: sympy.Symbol) -> sympy.Matrix:
    """The vector with an unknown constant added to every entry: a normaliser, of either sign."""
    return vector.applyfunc(lambda entry: sympy.Add(entry, constant))


def lemma_energy(base: str = "pi", n: int = 3) -> Checked:
    """One step of EGPO from pi over the half step w to u, with h = eta tau, q = 1 - h:

    D(pi* || u) = q (D(pi* || pi) - D(w || pi)) - h D(w || pi*) - D(u || w) + eta <K (pi - w), w - u>.

    log w = q log pi + h log mu + eta K pi and log u = q log pi + h log mu + eta K w, both up to constants; K is skew,
    log pi* = log mu + K pi* / tau up to a constant, and weights sum to one. It holds for every eta: nothing is
    said of its size.
    """
    eta, tau, c, x, y = sympy.symbols("eta tau c x y", real=True)
    h = eta * tau
    K = _skew(n)
    weight = {}
    for name in ("pi", "w", "u", "star"):
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        weight[name] = sympy.Matrix([*free, 1 - sum(free)])
    log_pi = sympy.Matrix(sympy.symbols(f"a0:{n}", real=True))
    log_mu = sympy.Matrix(sympy.symbols(f"b0:{n}", real=True))
    log_w = _shifted((1 - h) * log_pi + h * log_mu + eta * K * weight["pi"], x)
    start = log_pi if base == "pi" else log_w
    log = {
        "pi": log_pi,
        "w": log_w,
        "u": _shifted((1 - h) * start + h * log_mu + eta * K * weight["w"], y),
        "star": _shifted(log_mu + K * weight["star"] / tau, c),
    }

    def divergence(p: str, q: str) -> sympy.Expr:
        return weight[p].dot(log[p] - log[q])

    left = divergence("star", "u")
    right = (1 - h) * (divergence("star", "pi") - divergence("w", "pi")) - h * divergence("w", "star")
    right = right - divergence("u", "w") + eta * (K * (weight["pi"] - weight["w"])).dot(weight["w"] - weight["u"])
    return Checked(
        "IDENTITY",
        f"energy identity of the extragradient step, n = {n}, all skew K, mu, pi, eta, tau",
        _SOURCE,
        "expansion; only skewness, the fixed point of pi* and normalisation are used",
        sympy.expand(left - right),
    )


def lemma_operator_norm(quarter: Fraction = Fraction(1, 4), n: int = 3) -> Checked:
    """<K d, e> for d, e that sum to zero is an average of double differences of K, so at most L |d|_1 |e|_1.

    With d = u - v, e = x - y for u, v, x, y >= 0 and equal masses M, N of u, v and of x, y:
    <K d, e> = |d|_1 |e|_1 sum (u_k / M)(v_l / M)(x_i / N)(y_j / N) (K_ik - K_jk - K_il + K_jl) / 4, where |d|_1 = 2 M
    and |e|_1 = 2 N. L is the largest double difference over 4; d = (e_k - e_l) / 2 and e = (e_i - e_j) / 2 attain it.
    """
    K = sympy.Matrix(n, n, sympy.symbols(f"k0:{n * n}", real=True))
    mass_d, mass_e = sympy.symbols("M N", positive=True)
    u, v, x, y = (sympy.symbols(f"{name}0:{n - 1}", nonnegative=True) for name in "uvxy")
    u, v = ([*part, mass_d - sum(part)] for part in (u, v))
    x, y = ([*part, mass_e - sum(part)] for part in (x, y))
    d = sympy.Matrix([a - b for a, b in zip(u, v)])
    e = sympy.Matrix([a - b for a, b in zip(x, y)])
    average = sum(
        u[k]
        * v[m]
        * x[i]
        * y[j]
        / (mass_d * mass_e) ** 2
        * sympy.Rational(quarter)
        * (K[i, k] - K[j, k] - K[i, m] + K[j, m])
        for i, j, k, m in product(range(n), repeat=4)
    )
    return Checked(
        "IDENTITY",
        f"<K d, e> = |d|_1 |e|_1 times an average of double differences of K over 4, n = {n}, every matrix K",
        "derived",
        "weights and masses symbolic; expansion",
        sympy.expand((K * d).dot(e) - 2 * mass_d * 2 * mass_e * average),
    )


def lemma_absorbed(stretch: int = 1) -> Checked:
    """(q a^2 + b^2) / 2 - eta L a b >= 0 if eta <= 1 / (tau + L), where q = 1 - eta tau: a sum of squares.

    With eta = 1 / (tau + L + s), s >= 0 the slack of the step, the left side is eta times
    L (a - b)^2 / 2 + s a^2 / 2 + (tau + s) b^2 / 2, which is checked after dividing by eta > 0. At s = 0 and tau -> 0
    it vanishes for a = b: L is needed.
    """
    a, b = sympy.symbols("a b", real=True)
    tau, L, s = sympy.symbols("tau L s", nonnegative=True)
    eta = stretch / (tau + L + s)
    q = 1 - eta * tau
    slack = sympy.expand(sympy.cancel((tau + L + s) * ((q * a**2 + b**2) / 2 - eta * L * a * b)))
    half = Fraction(1, 2)
    squares = [(half, a - b, L), (half, a, s), (half, b, tau), (half, b, s)]
    return Checked(
        "SOS",
        "(q a^2 + b^2) / 2 >= eta L a b for all real a, b and eta <= 1 / (tau + L), q = 1 - eta tau",
        _SOURCE,
        "eta (L (a - b)^2 + s a^2 + (tau + s) b^2) / 2 with s = 1/eta - tau - L >= 0; exact expansion",
        defect(slack, squares, [L, tau, s]),
    )
