"""Lemmas of Munos et al. 2023 (Nash-MD): the energy identity, and the sharp constant 1/24 of the one-step bound."""

from fractions import Fraction
from itertools import combinations, product
from math import factorial

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a sign, constants, the wrong proximal centre, self-play (without bias).
FALSIFIED = {
    "three_point": {"sign": -1},
    "energy": {"centre": "pi"},
    "landau": {"factor": Fraction(1, 3)},
    "uniform_moment": {"constant": 25},
    "schedule": {"constant": 3},
    "constant_step_misses": {"base": 1},
    "hoeffding": {"variance": Fraction(1, 5)},
    "gap": {"weight": 2},
    "certificate": {"weight": 2},
    "three_cycle": {"order": "abc"},
}

_SOURCE = "Munos et al. 2023, arXiv:2312.00886, Theorem 1"


def lemma_three_point(sign: int = 1, n: int = 4) -> Checked:
    """<log p - log q, r - s> = D(r || q) - D(r || p) - D(s || q) + D(s || p)."""
    log = {name: sympy.symbols(f"{name}0:{n}", real=True) for name in "pqrs"}
    r, s = (sympy.symbols(f"w{name}0:{n}", positive=True) for name in "rs")

    def divergence(weights: tuple, a: str, b: str) -> sympy.Expr:
        return sum(w * (x - y) for w, x, y in zip(weights, log[a], log[b]))

    left = sum((x - y) * (u - v) for x, y, u, v in zip(log["p"], log["q"], r, s))
    right = divergence(r, "r", "q") - divergence(r, "r", "p") - divergence(s, "s", "q") + sign * divergence(s, "s", "p")
    return Checked(
        "IDENTITY",
        f"three-point identity, n = {n}; normalisation is not used",
        "standard; Munos et al. 2023, proof of Theorem 1",
        "expansion in the logarithms of p, q, r, s and the weights r, s",
        sympy.expand(left - right),
    )


def lemma_energy(centre: str = "m", n: int = 3) -> Checked:
    """The exact energy balance of one step of Nash-MD, with h = eta tau and m = pi^(1-h) mu^h / Z:

    D(pi* || pi+) = (1 - h) (D(pi* || pi) - D(m || pi)) - h D(m || pi*) + log E_m exp(eta K m).

    With K skew, log pi* = log mu + K pi* / tau + c, log m = (1 - h) log pi + h log mu - z, and weights that sum to one.
    """
    eta, tau, c, z, moment = sympy.symbols("eta tau c z M", real=True)
    h = eta * tau
    log_pi, log_mu = sympy.symbols(f"a0:{n}", real=True), sympy.symbols(f"b0:{n}", real=True)
    star = [*sympy.symbols(f"s0:{n - 1}", positive=True)]
    star.append(1 - sum(star))
    m = [*sympy.symbols(f"m0:{n - 1}", positive=True)]
    m.append(1 - sum(m))
    K = sympy.zeros(n, n)
    for i, j in combinations(range(n), 2):
        K[i, j] = sympy.Symbol(f"k{i}{j}", real=True)
        K[j, i] = -K[i, j]
    Km, Ks = K * sympy.Matrix(m), K * sympy.Matrix(star)
    log_m = [sympy.Add((1 - h) * a + h * b, z) for a, b in zip(log_pi, log_mu)]
    log_star = [sympy.Add(b + k / tau, c) for b, k in zip(log_mu, Ks)]
    base = log_m if centre == "m" else log_pi
    # M is log E_m exp(eta K m): the normaliser of the step.
    log_next = [x + eta * k - moment for x, k in zip(base, Km)]

    def against(weights: list, a: list, b: list) -> sympy.Expr:
        return sum(w * (x - y) for w, x, y in zip(weights, a, b))

    left = against(star, log_star, log_next)
    right = (1 - h) * (against(star, log_star, log_pi) - against(m, log_m, log_pi)) - h * against(m, log_m, log_star)
    return Checked(
        "IDENTITY",
        f"energy identity of Nash-MD, n = {n}, all K, mu, pi, eta, tau",
        _SOURCE + "; the identity is derived",
        "expansion; only skewness, the fixed point and normalisation are used",
        sympy.simplify(sympy.expand(left - right - moment)),
    )


def lemma_landau(n: int = 4, factor: Fraction = Fraction(1, 2)) -> Checked:
    """sum over y in A of m_y (P m)_y >= m(A)^2 / 2 for every set A: P m, under m, precedes U[0, 1] in the convex order.

    With A the actions of lowest P m, the left side is the integral of the quantile function of P m over [0, m(A)], and
    the right side that of the uniform law; means agree. Hence E_m exp(eta P m) <= E exp(eta U). The sum over A x A of
    m_y m_z P_yz equals m(A)^2 / 2 because P + P^T = 1, and what is left out is non-negative.
    """
    m = sympy.symbols(f"m0:{n}", positive=True)
    P = sympy.eye(n) / 2
    for i, j in combinations(range(n), 2):
        P[i, j] = sympy.Symbol(f"p{i}{j}")
        P[j, i] = 1 - P[i, j]
    defects = []
    for members in product((False, True), repeat=n):
        A = [y for y, member in enumerate(members) if member]
        inside = sum(m[y] * m[z] * P[y, z] for y in A for z in A)
        mass = sum(m[y] for y in A)
        defects.append(sympy.expand(inside - sympy.Rational(factor) * mass**2))
    return Checked(
        "IDENTITY",
        f"sum_(y, z in A) m_y m_z P_yz = m(A)^2 / 2 for every A, n = {n}",
        "derived; the tournament inequality of Landau 1953 with weights",
        "expansion for every subset; the sum of squared defects",
        sum(defect**2 for defect in defects),
    )


def lemma_uniform_moment(constant: int = 24, terms: int = 60) -> Checked:
    """log E exp(eta (U - 1/2)) <= eta^2 / 24: sinh(x) / x <= exp(x^2 / 6), x = eta / 2, coefficient by coefficient.

    x^(2k) has the coefficients 1 / (2k + 1)! and 1 / (6^k k!). The quotient of consecutive ones is 1 / ((2k+2)(2k+3))
    on the left and 1 / (6 (k + 1)) on the right, no smaller since (2k+2)(2k+3) - 6(k+1) = 4 k (k+1) >= 0; both
    start at 1. The finite part is checked in rationals, the induction step as an identity.
    """
    k = sympy.Symbol("k", integer=True, nonnegative=True)
    step = sympy.expand((2 * k + 2) * (2 * k + 3) - 6 * (k + 1) - 4 * k * (k + 1))
    quarter = Fraction(4, constant)
    failures = [i for i in range(terms) if Fraction(1, factorial(2 * i + 1)) > quarter**i / factorial(i)]
    return Checked(
        "EXACT_CASES",
        "sinh(x)/x <= exp(x^2/6) coefficientwise, hence log E exp(eta (U - 1/2)) <= eta^2 / 24",
        "derived; sharper than the eta^2 / 8 of Hoeffding's lemma",
        f"the first {terms} coefficients and the induction step for all k",
        len(failures) if step == 0 else 1,
    )


def lemma_schedule(constant: int = 4) -> Checked:
    """x_(t+1) <= (1 - 2/(t+2)) x_t + c (2/(t+2))^2 and x_0 arbitrary give x_t <= 4 c / (t + 1): the induction step.

    With tau = 1 (units of x are 1/tau^2). At t = 0 the factor vanishes: x_1 <= c <= 2 c. For t >= 1 the slack
    4c/(t+2) - [t/(t+2) 4c/(t+1) + 4c/(t+2)^2] equals 4 c / ((t+1)(t+2)^2), which is positive.
    """
    t, c = sympy.symbols("t c", positive=True)
    slack = constant * c / (t + 2) - (t / (t + 2) * constant * c / (t + 1) + 4 * c / (t + 2) ** 2)
    return Checked(
        "IDENTITY",
        "the induction step of the schedule bound has slack 4 c / ((t + 1)(t + 2)^2) > 0",
        _SOURCE,
        "c = 2 gives the printed 8 / (tau^2 (T+1)), c = 1/8 gives 1/2, c = 1/24 gives 1/6",
        sympy.cancel(slack - 4 * c / ((t + 1) * (t + 2) ** 2)),
    )


def lemma_constant_step_misses(base: int = 2) -> Checked:
    """Constant-step Nash-MD does not converge to pi*: an exact rational witness with eta tau = 1/2.

    pi* uniform on three actions, mu proportional to pi* 4^(-k) with k = (1, 0, -1), so that m is proportional to
    pi* 2^(-k), that is (1, 2, 4)/7. K pi* = (1, 0, -1)/8, so that log pi* = log mu + K pi* / tau + c with
    tau = 1 / (16 log 2). If the iterates converged to pi*, it would be a fixed point, and K (m - pi*) constant; it is
    (1, 6, 2)/56.
    """
    a, b = Fraction(1, 8), Fraction(1, 4)
    K = [[Fraction(0), b, a], [-b, Fraction(0), b], [-a, -b, Fraction(0)]]
    star, k = [Fraction(1, 3)] * 3, (1, 0, -1)
    payoff = [sum(x * w for x, w in zip(row, star)) for row in K]
    # K pi* = tau (2 log 2) k + const, with tau 2 log 2 = 1/8.
    defect = [x - Fraction(1, 8) * y for x, y in zip(payoff, k)]
    weights = [Fraction(base) ** -y for y in k]
    m = [w / sum(weights) for w in weights]
    moved = [sum(x * (w - s) for x, w, s in zip(row, m, star)) for row in K]
    spread = max(moved) - min(moved)
    sound = max(defect) == min(defect) and all(abs(x) <= Fraction(1, 2) for row in K for x in row)
    sound = sound and (min(moved), spread) == (Fraction(1, 56), Fraction(5, 56))
    return Checked(
        "COUNTEREXAMPLE",
        "the map of constant-step Nash-MD with eta tau = 1/2 moves pi*",
        "derived; against the unqualified statement that constant steps converge to pi*",
        f"K = {[[str(x) for x in row] for row in K]}, m = {[str(x) for x in m]}",
        spread if sound else Fraction(0),
    )


def lemma_hoeffding(variance: Fraction = Fraction(1, 4), n: int = 3) -> Checked:
    """(log E_m e^(t x))'' = 1/4 - (xi - 1/2)^2 - E x (1 - x) under the tilted weights, xi their mean: at most 1/4.

    For payoffs x in [0, 1]. Integrated twice from 0, log E_m e^(eta (x - E_m x)) <= eta^2 / 8: with the energy balance,
    D(pi* || pi+) <= (1 - eta tau) D(pi* || pi) + eta^2 / 8 for every step of Nash-MD, the last term there being the
    only positive one.
    """
    t = sympy.Symbol("t", real=True)
    m = sympy.symbols(f"m0:{n}", positive=True)
    x = sympy.symbols(f"x0:{n}", real=True)
    y = sympy.symbols(f"y0:{n}", positive=True)
    curvature = sympy.diff(sympy.log(sum(w * sympy.exp(t * value) for w, value in zip(m, x))), t, 2)
    # y stands for m exp(t x), so that what is left is rational.
    curvature = curvature.subs({sympy.exp(t * value): b / w for value, b, w in zip(x, y, m)})
    total = sum(y)
    mean = sum(b * value for b, value in zip(y, x)) / total
    inside = sum(b * value * (1 - value) for b, value in zip(y, x)) / total
    claimed = sympy.Rational(variance) - (mean - sympy.Rational(1, 2)) ** 2 - inside
    return Checked(
        "IDENTITY",
        f"(log E e^(t x))'' = 1/4 - (mean - 1/2)^2 - E x (1 - x), n = {n} payoffs, all weights and t",
        "Hoeffding 1963; Munos et al. 2023, proof of Theorem 1 with the sharper constant",
        "derivative by sympy, exp(t x) replaced by symbols; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(curvature - claimed))[0]),
    )


def _shifted(vector: sympy.Matrix, constant: sympy.Symbol) -> sympy.Matrix:
    """The vector with an unknown constant added to every entry: a normaliser, of either sign."""
    return vector.applyfunc(lambda entry: sympy.Add(entry, constant))


def _preference(n: int) -> tuple[sympy.Matrix, dict[str, sympy.Matrix], sympy.Matrix, sympy.Matrix]:
    """A generic skew K, the weights of three policies, the logarithms of one of them, and those of mu."""
    K = sympy.zeros(n, n)
    for i, j in combinations(range(n), 2):
        K[i, j] = sympy.Symbol(f"k{i}{j}", real=True)
        K[j, i] = -K[i, j]
    weight = {}
    for name in ("pi", "other"):
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        weight[name] = sympy.Matrix([*free, 1 - sum(free)])
    log_pi, log_mu = (sympy.Matrix(sympy.symbols(f"{name}0:{n}", real=True)) for name in "ab")
    return K, weight, log_pi, log_mu


def lemma_gap(weight: int = 1, n: int = 3) -> Checked:
    """P_tau(p over pi) - 1/2 = tau (D(pi || BR) - D(p || BR)), BR proportional to mu exp(K pi / tau), for every p.

    So BR is the best response to pi and gains tau D(pi || BR); P_tau(pi over p) = 1 - P_tau(p over pi), so the duality
    gap of pi is 2 tau D(pi || BR).
    """
    K, w, log_pi, log_mu = _preference(n)
    tau, z = sympy.symbols("tau z", positive=True)
    log_p = sympy.Matrix(sympy.symbols(f"c0:{n}", real=True))
    log_br = _shifted(log_mu + K * w["pi"] / tau, z)
    excess = (K * w["pi"]).dot(w["other"]) - tau * w["other"].dot(log_p - log_mu) + tau * w["pi"].dot(log_pi - log_mu)
    claimed = tau * (w["pi"].dot(log_pi - log_br) - weight * w["other"].dot(log_p - log_br))
    return Checked(
        "IDENTITY",
        f"P_tau(p over pi) - 1/2 = tau (D(pi || BR(pi)) - D(p || BR(pi))), n = {n}, all K, mu, p, pi, tau",
        "derived; Gibbs variational principle",
        "expansion; skewness and normalisation are used",
        sympy.expand(excess - claimed),
    )


def lemma_certificate(weight: int = 1, n: int = 3) -> Checked:
    """P_tau(pi* over pi) - 1/2 = tau D(pi || pi*), hence D(pi || pi*) <= gap_tau(pi) / (2 tau) by `gap`.

    The left side is at most what the best response to pi gains, tau D(pi || BR(pi)), half the gap. Only the fixed point
    log pi* = log mu + K pi* / tau + c is used.
    """
    K, w, log_pi, log_mu = _preference(n)
    tau, c = sympy.symbols("tau c", real=True)
    log_star = _shifted(log_mu + K * w["other"] / tau, c)
    gain = (K * w["pi"]).dot(w["other"])
    penalty = tau * w["pi"].dot(log_pi - log_mu) - tau * w["other"].dot(log_star - log_mu)
    return Checked(
        "IDENTITY",
        f"P_tau(pi* over pi) - 1/2 = tau D(pi || pi*), n = {n}, all K, mu, pi, tau",
        "derived",
        "expansion; skewness, the fixed point and normalisation are used",
        sympy.expand(gain + penalty - weight * tau * w["pi"].dot(log_pi - log_star)),
    )


def lemma_three_cycle(order: str = "bca") -> Checked:
    """K_12 = a, K_23 = b, K_31 = c has K (b, c, a) = 0: for a, b, c > 0 that is the equilibrium, once normalised."""
    symbols = dict(zip("abc", sympy.symbols("a b c", positive=True)))
    a, b, c = symbols.values()
    K = sympy.Matrix([[0, a, -c], [-a, 0, b], [c, -b, 0]])
    payoff = K * sympy.Matrix([symbols[name] for name in order])
    return Checked(
        "IDENTITY",
        "K (b, c, a) = 0 for the cycle K_12 = a, K_23 = b, K_31 = c",
        "derived",
        "expansion; the sum of squared payoffs",
        sympy.expand(payoff.dot(payoff)),
    )
