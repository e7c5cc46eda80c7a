"""Lemmas of Zentner et al. 2023 (FixPO): calculus of KL, speed, cycles and deadlock of the fixup phase, and paths."""

from itertools import combinations

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import first_nonzero, softmax_policy

# Arguments that make each statement false: Hessian, curvature, rate, step, coefficient, weights of paths, constant.
FALSIFIED = {
    "kl_calculus": {"copies": 2},
    "curvature": {"divisor": 4},
    "one_step": {"rate": 3},
    "cycle": {"factor": 3},
    "deadlock": {"place": 3},
    "chain_rule": {"weighted": False},
    "flip": {"constant": 3},
}

_SOURCE = "Zentner et al. 2023, arXiv:2312.05405; derived"


def _distribution(name: str, n: int) -> list[sympy.Expr]:
    """Positive weights that sum to one identically."""
    free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
    return [*free, 1 - sum(free)]


def lemma_kl_calculus(copies: int = 1, n: int = 3) -> Checked:
    """KL(old || softmax(theta)) has gradient pi - old and Hessian diag(pi) - pi pi^T, at every theta.

    Hence it is convex, and flat at the old policy only, up to constants.
    """
    w = sympy.Matrix([sympy.symbols(f"w0:{n}", positive=True)])
    old = _distribution("o", n)
    pi = softmax_policy(w)
    divergence = sum(o * (sympy.log(o) - sympy.log(x)) for o, x in zip(old, pi))
    entries = []
    for a in range(n):
        # w = exp(theta).
        slope = w[a] * sympy.diff(divergence, w[a])
        entries.append(slope - pi[a] + old[a])
        for b in range(n):
            bend = w[b] * sympy.diff(slope, w[b])
            entries.append(bend - copies * pi[a] * (sympy.Integer(a == b) - pi[b]))
    return Checked(
        "IDENTITY",
        f"d KL(old || pi_theta) / d theta = pi - old, second derivatives diag(pi) - pi pi^T, n = {n}",
        _SOURCE,
        "exp(theta) and old symbolic; numerators expand to 0",
        first_nonzero(entries),
    )


def lemma_curvature(divisor: int = 2, n: int = 4) -> Checked:
    """|u|^2 / 2 - u.(diag(p) - p p^T) u = sum_i (1 - 2 p_i)^2 u_i^2 / 2 + sum_{i<j} p_i p_j (u_i + u_j)^2 >= 0.

    The Hessian of KL is at most 1/2, so that plain steps of h < 4 lower it.
    """
    p, u = _distribution("p", n), sympy.symbols(f"u0:{n}", real=True)
    variance = sum(x * y**2 for x, y in zip(p, u)) - sum(x * y for x, y in zip(p, u)) ** 2
    squares = sum((1 - 2 * x) ** 2 * y**2 for x, y in zip(p, u)) / 2
    pairs = sum(p[i] * p[j] * (u[i] + u[j]) ** 2 for i, j in combinations(range(n), 2))
    return Checked(
        "IDENTITY",
        f"|u|^2 / 2 - Var_p(u) is a sum of squares with weights of at least 0, n = {n}",
        "derived",
        "expansion in p and u",
        sympy.expand(sum(y**2 for y in u) / divisor - variance - squares - pairs),
    )


def lemma_one_step(rate: int = 2) -> Checked:
    """f(x - h f'(x)) - min f <= |x - x*|^2 / (2 (2 h + 1)), f convex with f'' <= 1, h <= 3/2: the case k = 1.

    Half the sum of f_0 <= f* + g_0 d - g_0^2 / 2, f_1 <= f_0 - h g_0 g_1 - (g_0 - g_1)^2 / 2 and of
    f_1 <= f* + (d - h g_0) g_1 - g_1^2 / 2, with d = x - x*, leaves two squares with weights 1 / (2 (2 h + 1)) and
    (3 - 2 h) / 8. With f = 2 KL and h halved this is |theta - theta_old|^2 / (4 (1 + h)).
    """
    d, a, b = sympy.symbols("d g0 g1", real=True)
    h = sympy.Symbol("h", positive=True)
    c = 1 / (2 * (rate * h + 1))
    half = sympy.Rational(1, 2)
    above = half * (a * d - a**2 / 2 - h * a * b - (a - b) ** 2 / 2) + half * (b * d - h * a * b - b**2 / 2)
    squares = c * (d - (a + b) / (4 * c)) ** 2 + (3 - 2 * h) / 8 * (a - b) ** 2
    return Checked(
        "IDENTITY",
        "d^2 / (2 (2 h + 1)) minus the sum of three inequalities is a sum of two squares, for every h <= 3/2",
        "Drori and Teboulle 2014, Theorem 3.1, case N = 1; derived",
        "rational functions of h, forms in d, g0, g1; scalars serve for vectors",
        sympy.cancel(c * d**2 - above - squares),
    )


def lemma_cycle(factor: int = 4) -> Checked:
    """From even odds plain steps h = 4 log 3 lead from logits log 3 apart to -log 3 apart, and back.

    KL is log(4/3) / 2 there. With eps_KL below it and beta fixed the fixup phase never ends.
    """
    lead = sympy.log(3)
    pi = sympy.Rational(3, 4)
    # Both logits move by h (pi - 1/2), in opposite directions.
    following = lead - 2 * factor * lead * (pi - sympy.Rational(1, 2))
    odds = sympy.simplify(sympy.exp(lead) - pi / (1 - pi))
    divergence = -sympy.log(4 * pi * (1 - pi)) / 2
    difference = sympy.expand_log(divergence - sympy.log(sympy.Rational(4, 3)) / 2)
    return Checked(
        "IDENTITY",
        "theta - h (pi - 1/2) turns a lead of log 3 round for h = 4 log 3, where pi = 3/4 and KL = log(4/3) / 2",
        _SOURCE,
        "values at log 3, whose mirror image is the other half of the cycle",
        first_nonzero([odds, sympy.expand(following + lead), difference]),
    )


def lemma_deadlock(place: int = 2) -> Checked:
    """KL = eps (1 + 1 / C) / 2 is violated by eps (1 - C) / (2 C), and lowers beta at the rate eps (1 - C) / 2.

    Both are positive for C < 1: at beta = 0 the fixup phase then stays where it is. For C >= 1 a violated state raises
    beta, as C KL >= KL > eps.
    """
    eps, c = sympy.symbols("epsilon C", positive=True)
    kl = eps * (1 + 1 / c) / place
    excess = kl - eps - eps * (1 - c) / (2 * c)
    slope = eps - c * kl - eps * (1 - c) / 2
    return Checked(
        "IDENTITY",
        "KL = eps (1 + 1/C) / 2 exceeds eps by eps (1 - C) / (2 C), and C KL is below eps by eps (1 - C) / 2",
        _SOURCE,
        "rational functions of C",
        first_nonzero([excess, slope]),
    )


def lemma_chain_rule(weighted: bool = True, n: int = 2) -> Checked:
    """KL of laws of two steps is KL of the first plus the mean of KL of the second under the first law.

    By induction laws of t steps are at most t max_s KL(pi(s) || pi'(s)) apart, and by Pinsker's inequality
    sqrt(t max KL / 2) in total variation.
    """
    first = _distribution("p", n)
    second = [_distribution(f"q{i}_", n) for i in range(n)]
    # log(p / p') and log(q / q'), whatever they are.
    a = sympy.symbols(f"a0:{n}", real=True)
    b = [sympy.symbols(f"b{i}_0:{n}", real=True) for i in range(n)]
    joint = sum(first[i] * second[i][j] * (a[i] + b[i][j]) for i in range(n) for j in range(n))
    start = sum(first[i] * a[i] for i in range(n))
    rest = sum((first[i] if weighted else 1) * sum(second[i][j] * b[i][j] for j in range(n)) for i in range(n))
    return Checked(
        "IDENTITY",
        f"KL(P1 P2 || P1' P2') = KL(P1 || P1') + E_P1 KL(P2 || P2'), {n} outcomes",
        "chain rule of relative entropy; Cover and Thomas 2006, Theorem 2.5.3",
        "expansion in weights and log ratios",
        sympy.expand(joint - start - rest),
    )


def lemma_flip(constant: int = 4) -> Checked:
    """A coin that leads to one of two absorbing states: L - J = 4 eps gamma alpha^2 / (1 - gamma), and KL ~ 2 alpha^2.

    The ratio to 2 eps gamma KL / (1 - gamma)^2 tends to 1 - gamma as alpha vanishes: the bound is attained as gamma
    does.
    """
    g, a, eps = sympy.symbols("gamma alpha epsilon", positive=True)
    half = sympy.Rational(1, 2)
    old, new = (half, half), (half + a, half - a)
    # V = 0 everywhere; rewards of both coins at the states reached by the one and by the other.
    advantages = ((-eps, eps), (eps, -eps))
    loss = sympy.Integer(0)
    for before, after, row in zip(old, new, advantages):
        visits = g / (1 - g) * (before - after)
        loss += visits * sum(x * y for x, y in zip(new, row))
    divergence = sum(x * sympy.log(x / y) for x, y in zip(old, new))
    ratio = sympy.limit(divergence / a**2, a, 0)
    return Checked(
        "IDENTITY",
        "L - J = 4 eps gamma alpha^2 / (1 - gamma) for the biased coin; its KL over alpha^2 tends to 2",
        "derived",
        "L - J = sum_s (D - D')(s) <pi', A>(s), rational functions of gamma, alpha, eps; a limit",
        first_nonzero([sympy.cancel(loss - constant * eps * g * a**2 / (1 - g)), ratio - 2]),
    )
