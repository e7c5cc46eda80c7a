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


def lemma_geometric(sign: int = 1, steps: int = 3) -> Checked:
    """MD-VI(lam, tau) is soft value iteration on h_k = beta h_{k-1} + (1 - beta) q_k, errors averaged likewise.

    The evaluation is (G_k - beta G_{k-1}) / (1 - beta), G = tau log sum exp(h / tau), and h_{-1} = 0; then
    h_k = r + gamma P G_{k-1} + (1 - beta) sum_j beta^(k-j) eps_j + beta^k ((1 - beta) q_0 - r - gamma P G_{-1}).
    One pair of a state and an action is enough, with x_k for gamma P G_k there.
    """
    beta, r, q0, start = sympy.symbols("beta r q0 x", real=True)
    x, eps = sympy.symbols(f"x0:{steps}", real=True), sympy.symbols(f"e1:{steps + 1}", real=True)
    h, before = (1 - beta) * q0, start
    entries = []
    for k in range(1, steps + 1):
        q = r + (x[k - 1] - beta * before) / (1 - beta) + eps[k - 1]
        h, before = beta * h + (1 - beta) * q, x[k - 1]
        average = (1 - beta) * sum(beta ** (k - j) * eps[j - 1] for j in range(1, k + 1))
        entries.append(sympy.cancel(h - r - before - average - sign * beta**k * ((1 - beta) * q0 - r - start)))
    return Checked(
        "IDENTITY",
        f"h_k = r + gamma P G(h_(k-1)) + averaged errors + beta^k c for MD-VI with entropy, k up to {steps}",
        _SOURCE + ", section 4; derived",
        "the recursion of one state-action pair, all symbolic",
        first_nonzero(entries),
    )


def lemma_tight(ratio: Fraction = Fraction(98, 100)) -> Checked:
    """Errors (-e, e) against rewards (2 e - delta, 0): the loss exceeds 98 per cent of 2 e / (1 - gamma).

    Rewards, errors and the gap of the sum of q's after k iterations, k delta, are exact; the policy's mass on the worse
    action is at least 1 - exp(-(k - 1) delta / lam), for which 1 - lam / ((k - 1) delta) is a lower bound.
    """
    e, delta, gamma, lam, k = Fraction(1), Fraction(1, 200), Fraction(9, 10), Fraction(1, 10), 10**5
    seen = (2 * e - delta - e, e)
    mass = 1 - lam / ((k - 1) * (seen[1] - seen[0]))
    loss = mass * (2 * e - delta) / (1 - gamma)
    share = loss / (2 * e / (1 - gamma))
    return Checked(
        "COUNTEREXAMPLE",
        f"loss > {ratio} * 2 e / (1 - gamma) for one state, gamma = 9/10, e = 1, delta = 1/200, lambda = 1/10, k = 1e5",
        _SOURCE + ", Theorem 1; derived",
        f"rational arithmetic, exp(-x) <= 1 / x; share {float(share):.4f} of the bound",
        share if ratio < share < 1 else Fraction(0),
    )


FALSIFIED = {
    "averaging": {"copies": 2},
    "geometric": {"sign": -1},
    "tight": {"ratio": Fraction(1)},
    "evaluation_telescopes": {"sign": -1},
    "munchausen": {"bonus": Fraction(1, 2)},
}
