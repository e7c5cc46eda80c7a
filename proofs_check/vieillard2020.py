"""Lemmas of Vieillard et al. 2020 (Leverage the Average) and of Munchausen's form of it."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import first_nonzero, softmax_policy

_SOURCE = "Vieillard, Kozuno, Scherrer, Pietquin, Munos, Geist 2020, Leverage the Average"


def lemma_averaging(copies: int = 1, steps: int = 3, n: int = 3) -> Checked:
    """MD-VI without entropy: after k steps pi is softmax(sum_j q_j / lambda), with pi_0 uniform.

    E_ja = exp(q_j[a] / lambda) are free positive symbols, and each step multiplies by E_j and normalises.
    """
    E = [sympy.symbols(f"E{j}_0:{n}", positive=True) for j in range(steps)]
    pi, product = [sympy.Rational(1, n)] * n, [sympy.Integer(1)] * n
    for factors in E:
        weights = [x * e for x, e in zip(pi, factors)]
        pi = [x / sum(weights) for x in weights]
        product = [x * e**copies for x, e in zip(product, factors)]
    claimed = softmax_policy(sympy.Matrix([product]))
    return Checked(
        "IDENTITY",
        f"pi_k = softmax((q_1 + ... + q_k) / lambda) for MD-VI(lambda, 0), k = {steps}, n = {n}",
        _SOURCE + ", section 3",
        "recursion in exp(q / lambda), all symbolic",
        first_nonzero(x - y for x, y in zip(pi, claimed)),
    )


def lemma_evaluation_telescopes(sign: int = 1, n: int = 3) -> Checked:
    """<pi', q> - lambda KL(pi' || pi) = lambda log sum pi exp(q / lambda): a difference of free energies.

    With x = q / lambda and log pi' = log pi + x - log Z; for pi = softmax(h) and Z = sum pi e^x it is
    log sum e^(h + x) - log sum e^h, which telescopes over the steps of lemma averaging.
    """
    h, x = sympy.symbols(f"h0:{n}", real=True), sympy.symbols(f"x0:{n}", real=True)
    new = [*sympy.symbols(f"p0:{n - 1}", positive=True)]
    new.append(1 - sum(new))
    before, after = sympy.symbols("L0 L1", real=True)
    log_pi = [a - before for a in h]
    log_new = [a + b - after for a, b in zip(h, x)]
    value = sum(w * (b - (k - j)) for w, b, k, j in zip(new, x, log_new, log_pi))
    return Checked(
        "IDENTITY",
        f"<pi', q/lambda> - KL(pi' || pi) = log sum exp(h + q/lambda) - log sum exp(h) for pi = softmax(h), n = {n}",
        _SOURCE + ", equation (3); derived",
        "expansion; log pi = h - L0, log pi' = h + q/lambda - L1, and pi' sums to one",
        sympy.expand(value - after + sign * before),
    )


def lemma_munchausen(bonus: Fraction = Fraction(1), n: int = 3) -> Checked:
    """Munchausen value iteration (alpha, tau) is MD-VI with KL weight alpha tau and entropy weight (1 - alpha) tau.

    With q = m - alpha tau log pi: the bracket whose mean under pi' is taken, m - tau log pi', is that of MD-VI,
    q - alpha tau log(pi' / pi) - (1 - alpha) tau log pi'; and softmax(m / tau) is pi^alpha exp(q / tau) / Z.
    """
    m, log_pi, log_new = (sympy.symbols(f"{name}0:{n}", real=True) for name in ("m", "k", "l"))
    alpha, tau = sympy.symbols("alpha tau", positive=True)
    weight = sympy.Rational(bonus) * alpha * tau
    entries = []
    for a in range(n):
        q = m[a] - weight * log_pi[a]
        bracket = q - alpha * tau * (log_new[a] - log_pi[a]) - (1 - alpha) * tau * log_new[a]
        exponent = alpha * log_pi[a] + q / tau
        entries += [m[a] - tau * log_new[a] - bracket, m[a] / tau - exponent]
    return Checked(
        "IDENTITY",
        f"with q = m - alpha tau log pi Munchausen's backup and greedy step are those of MD-VI, n = {n}",
        "Vieillard, Pietquin, Geist 2020, Munchausen reinforcement learning, Theorem 1",
        "both brackets and both exponents, expanded",
        first_nonzero(entries),
    )


FALSIFIED = {
    "averaging": {"copies": 2},
    "evaluation_telescopes": {"sign": -1},
    "munchausen": {"bonus": Fraction(1, 2)},
}
