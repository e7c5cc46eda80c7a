"""Lemmas on the Tsallis KL divergence (Zhu, Chen, Schlegel, White 2023): its greedy step, limits and lost actions."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import first_nonzero

_SOURCE = "Zhu, Chen, Schlegel, White 2023, General Munchausen reinforcement learning with Tsallis KL divergence"


def lemma_stationary(scale: int = 1) -> Checked:
    """Q - tau dD_q/dpi is psi - tau / (q - 1) at pi = mu [(1 + (q - 1)(Q - psi) / tau) / q]^(1 / (q - 1)).

    D_q(pi || mu) = (sum pi^q mu^(1-q) - 1) / (q - 1) is convex, so that a stationary point is the maximiser.
    """
    Q, psi = sympy.symbols("Q psi", real=True)
    tau, mu, q, x, g = sympy.symbols("tau mu q x g", positive=True)
    slope = sympy.diff(x**q * mu ** (1 - q) / (q - 1), x)
    # x = mu g^(1/(q-1)) has (x / mu)^(q-1) = g; the slope is q / (q - 1) times that power.
    in_g = sympy.simplify(slope / (x / mu) ** (q - 1)) * g
    inner = (1 + (q - 1) * (Q - psi) / tau) / (scale * q)
    return Checked(
        "IDENTITY",
        "Q - tau dD_q/dpi does not depend on the action at pi = mu [(1 + (q-1)(Q - psi)/tau)/q]^(1/(q-1))",
        _SOURCE + ", section 4; the step derived",
        "derivative of x^q mu^(1-q) / (q-1), and x / mu to the power q - 1",
        sympy.simplify(Q - tau * in_g.subs(g, inner) - psi + tau / (q - 1)),
    )


def lemma_chi_square(sign: int = 1, n: int = 4) -> Checked:
    """q = 2: the objective at p is that at pi minus tau sum (p - pi)^2 / mu, for pi of full support."""
    p = [*sympy.symbols(f"p0:{n - 1}", positive=True)]
    pi = [*sympy.symbols(f"x0:{n - 1}", positive=True)]
    p, pi = [*p, 1 - sum(p)], [*pi, 1 - sum(pi)]
    mu, tau, psi = sympy.symbols(f"m0:{n}", positive=True), *sympy.symbols("tau psi", real=True)
    # pi = mu (1 + (Q - psi) / tau) / 2, solved for Q.
    Q = [psi + tau * (2 * x / m - 1) for x, m in zip(pi, mu)]

    def objective(policy: list) -> sympy.Expr:
        return sum(w * v - tau * w**2 / m for w, v, m in zip(policy, Q, mu))

    lost = sum(tau * (a - b) ** 2 / m for a, b, m in zip(p, pi, mu))
    return Checked(
        "IDENTITY",
        f"<p, Q> - tau D_2(p || mu) = its value at pi - tau sum (p - pi)^2 / mu, n = {n}",
        _SOURCE + "; derived",
        "expansion, Q eliminated through the step",
        sympy.expand(objective(pi) - objective(p) - sign * lost),
    )


def lemma_first_order(half: Fraction = Fraction(1, 2)) -> Checked:
    """The slope of log(pi / mu) in q at q = 1 is -(l^2 + 2 l) / 2 + const, l = log(pi_1 / mu).

    log(pi / mu) = log((1 + h x) / (1 + h)) / h with q = 1 + h and x = (Q - psi) / tau = 1 + l; psi shifts x.
    """
    h, level = sympy.symbols("h l", real=True)
    log_ratio = sympy.log((1 + h * (1 + level)) / (1 + h)) / h
    series = sympy.series(log_ratio, h, 0, 2).removeO()
    return Checked(
        "IDENTITY",
        "log(pi / mu) = l - (q - 1)(l^2 + 2 l) / 2 + O((q - 1)^2) apart from the normaliser",
        _SOURCE + "; derived",
        "Taylor series of log((1 + h (1 + l)) / (1 + h)) / h",
        first_nonzero([sympy.expand(series - level + sympy.Rational(half) * h * (level**2 + 2 * level))]),
    )


def lemma_pseudo_average(power: int = 1, steps: int = 4) -> Checked:
    """prod_j (1 + (q-1) Q_j) = 1 + (q-1) sum Q_j + sum of higher products: not a plain average unless q = 1."""
    Q, q = sympy.symbols(f"Q1:{steps + 1}", real=True), sympy.Symbol("q", positive=True)
    product, x = sympy.Integer(1), sympy.Symbol("x")
    for value in Q:
        product *= 1 + (q - 1) * value
    generating = sympy.Poly(sympy.prod([1 + x * value for value in Q]), x)
    symmetric = list(reversed(generating.all_coeffs()))
    claimed = sum((q - 1) ** (power * j) * e for j, e in enumerate(symmetric))
    return Checked(
        "IDENTITY",
        f"a product of {steps} Tsallis steps sums q's as exp does only up to products of (q-1) Q_j",
        _SOURCE + ", Theorem 1, from memory",
        "elementary symmetric polynomials",
        sympy.expand(product - claimed),
    )


def lemma_lost_action(gap: Fraction = Fraction(1)) -> Checked:
    """q = 2, two actions, uniform reference, tau = 1/4: an action behind by 1 = 4 tau gets no mass, psi = Q - 3 tau."""
    tau, mu = Fraction(1, 4), Fraction(1, 2)
    best, psi = gap, gap - 3 * tau
    weight = mu * Fraction(1, 2) * (1 + (best - psi) / tau)
    behind = max(Fraction(0), mu * Fraction(1, 2) * (1 - psi / tau))
    residual = sum((weight != 1, behind != 0))
    return Checked(
        "EXACT_CASES",
        "pi = (1, 0) for Q = (1, 0), mu = (1/2, 1/2), tau = 1/4, q = 2",
        _SOURCE + "; derived",
        "rational arithmetic; weights are zero ever after, for they multiply",
        residual,
    )


FALSIFIED = {
    "stationary": {"scale": 2},
    "chi_square": {"sign": -1},
    "first_order": {"half": Fraction(1, 3)},
    "pseudo_average": {"power": 2},
    "lost_action": {"gap": Fraction(1, 2)},
}
