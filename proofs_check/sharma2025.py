"""Lemmas of small-gain Nash (Sharma 2025): the best weights in closed form, and a step size that is no certificate.

Players i have curvature mu_i and couplings L_ij. In the metric with weights w the pseudo-gradient is strongly monotone
with modulus lambda_min S(w), where S_ii = mu_i and S_ij = -(sqrt(w_i / w_j) L_ij + sqrt(w_j / w_i) L_ji) / 2.
G = diag(mu) - L off the diagonal has a real eigenvalue alpha with positive vectors, G u = alpha u and v G = alpha v.
"""

from fractions import Fraction
from math import factorial

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect

# Arguments that make each statement false: weights inverted, unbalanced flows, a shorter step that does contract.
FALSIFIED = {
    "two_players": {"inverted": True},
    "weights_attain": {"inverted": True},
    "weights_optimal": {"power": 2},
    "euler_step": {"constant": 1},
    "rk4_step": {"reach": Fraction(3, 2)},
}

_SOURCE = "Sharma 2025, arXiv:2512.06791"


def lemma_two_players(inverted: bool = False) -> Checked:
    """det(S(r) - alpha I) = -(L_12 - r L_21)^2 / (4 r) for r = w_2 / w_1 and alpha as below.

    alpha is the smaller root of (mu_1 - alpha)(mu_2 - alpha) = L_12 L_21: the determinant is at most 0, so lambda_min
    S(r) <= alpha for every r > 0, with equality for r = L_12 / L_21 only. Positive definiteness is possible just when
    L_12 L_21 < mu_1 mu_2.
    """
    r, one_two, two_one, gap = sympy.symbols("r L12 L21 g", positive=True)
    # mu_1 - alpha is g, so that mu_2 - alpha is L_12 L_21 / g.
    coupling = (one_two / sympy.sqrt(r) + sympy.sqrt(r) * two_one) / 2
    determinant = gap * (one_two * two_one / gap) - coupling**2
    ratio = two_one / one_two if inverted else one_two / two_one
    claimed = -((r - ratio) ** 2) * two_one**2 / (4 * r)
    return Checked(
        "IDENTITY",
        "det(S(r) - alpha I) = -L_21^2 (r - L_12 / L_21)^2 / (4 r): the best weights have w_2 / w_1 = L_12 / L_21",
        _SOURCE + ", toy example; the formula is derived",
        "expansion with r, couplings and mu_1 - alpha symbolic",
        sympy.expand(determinant - claimed),
    )


# Two-cycles and three-cycles of three players: every balanced flow is a sum of these with non-negative multipliers.
_CYCLES = ((0, 1), (0, 2), (1, 2), (0, 1, 2), (0, 2, 1))


def _edges(cycle: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(cycle, (*cycle[1:], cycle[0])))


def lemma_weights_attain(inverted: bool = False) -> Checked:
    """For three players and w_i = v_i / u_i, S(w) - alpha I is a sum of squares and vanishes at sqrt(u v).

    diag(v) (G - alpha I) diag(u) has zero row and column sums and no positive entry off the diagonal: it is a balanced
    flow, a sum over cycles with multipliers m. With y_i = sqrt(u_i v_i) e_i the form of S(w) - alpha I is the sum of
    m (e_i - e_j)^2 / 2 over the edges (i, j) of the cycles. So lambda_min S(w) = alpha, with e = (1, 1, 1).
    """
    # u = a^2, v = b^2, so that no root is left.
    a, b = sympy.symbols("a0:3", positive=True), sympy.symbols("b0:3", positive=True)
    e = sympy.symbols("e0:3", real=True)
    m = sympy.symbols(f"m0:{len(_CYCLES)}", nonnegative=True)
    root = [x / y if inverted else y / x for x, y in zip(a, b)]  # sqrt(w)
    form, squares = sympy.Integer(0), []
    for multiplier, cycle in zip(m, _CYCLES):
        for i, j in _edges(cycle):
            # The edge adds m / (u_i v_i) to mu_i - alpha and m / (v_i u_j) to L_ij.
            form += multiplier / (a[i] * b[i]) ** 2 * (a[i] * b[i] * e[i]) ** 2
            coupling = multiplier / (b[i] * a[j]) ** 2
            form -= root[i] / root[j] * coupling * (a[i] * b[i] * e[i]) * (a[j] * b[j] * e[j])
            squares.append((Fraction(1, 2), e[i] - e[j], multiplier))
    return Checked(
        "SOS",
        "y (S(w) - alpha I) y = sum over cycles of m (e_i - e_j)^2 / 2 for w = v / u, y = sqrt(u v) e, N = 3",
        "derived; Perron vectors of G",
        "multipliers of the five cycles of three players, symbolic; exact expansion",
        defect(form, squares, m),
    )


def lemma_weights_optimal(power: int = 1) -> Checked:
    """For three players no weights beat v / u: at y = sqrt(u v) the form of S(w) - alpha I is at most 0 for every w.

    With t_i = sqrt(w_i u_i / v_i) the form is the sum over cycles of m (number of edges - sum of t_i / t_j), which is
    at most 0 by the inequality of means, here as squares: (t_0 - t_1)^2 / (t_0 t_1) on two-cycles; on three-cycles,
    with the smallest t last (a cycle may be started anywhere) and p, q >= 0 the differences from it,
    t (p - q)^2 + (t + q) p q over t_0 t_1 t_2, all non-negative.
    """
    t, p, q, first, second = sympy.symbols("t p q t0 t1", positive=True)
    x, y = t + p, t + q
    # Times the product of the t: polynomials. The two orientations of a three-cycle exchange x and y.
    two = first**2 + second**2 - 2 * first * second
    three = x * x * t + y * y * x + t * t * y - 3 * x * y * t
    other = y * y * t + x * x * y + t * t * x - 3 * x * y * t
    defects = (
        defect(two, [(1, (first - second) ** power)]),
        defect(three, [(1, p - q, t), (1, 1, t, p, q), (1, 1, q, p, q)], [t, p, q]),
        defect(other, [(1, p - q, t), (1, 1, t, p, q), (1, 1, p, p, q)], [t, p, q]),
    )
    return Checked(
        "SOS",
        "sum of t_i / t_j over the edges of a cycle is at least the number of edges, for cycles of length 2 and 3",
        "derived; with weights_attain: max over w of lambda_min S(w) is alpha",
        "explicit non-negative terms over positive denominators; sum of the three squared defects",
        sum(rest**2 for rest in defects),
    )


def lemma_euler_step(constant: int = 2) -> Checked:
    """|d - h g|^2 <= (1 - 2 alpha h + beta^2 h^2) |d|^2 if <g, d> >= alpha |d|^2 and |g| <= beta |d|, with its best h.

    The slack is 2 h (<g, d> - alpha |d|^2) + h^2 (beta^2 |d|^2 - |g|^2); the factor is 1 - alpha^2 / beta^2
    + (beta h - alpha / beta)^2: below 1 for 0 < h < 2 alpha / beta^2, least at h = alpha / beta^2.
    """
    alpha, beta, h = sympy.symbols("alpha beta h", positive=True)
    d, g = (sympy.Matrix(sympy.symbols(f"{name}0:2", real=True)) for name in "dg")
    factor = 1 - 2 * alpha * h + beta**2 * h**2
    slack = constant * h * (g.dot(d) - alpha * d.dot(d)) + h**2 * (beta**2 * d.dot(d) - g.dot(g))
    step = sympy.expand(factor * d.dot(d) - (d - h * g).dot(d - h * g) - slack)
    best = sympy.expand(factor - (1 - alpha**2 / beta**2 + (beta * h - alpha / beta) ** 2))
    return Checked(
        "IDENTITY",
        "an Euler step contracts by 1 - 2 alpha h + beta^2 h^2 in the squared metric, n = 2; a projection adds nothing",
        _SOURCE + ", Euler step 2 alpha / beta^2; the factor is derived",
        "expansion for vectors of two entries; the factor completed to a square; sum of squared defects",
        sum(rest**2 for rest in (step, best)),
    )


def lemma_rk4_step(reach: Fraction = Fraction(5, 2)) -> Checked:
    """The RK4 step h = 2.5 / beta does not contract in one step, although the game is strongly monotone.

    H = [[1, 2, 2], [0, 1, 2], [0, 0, 1]] + I / 1000 has symmetric part (1, 1, 1)(1, 1, 1)^T + I / 1000, so alpha is
    1/1000 with equal weights. beta lies between 3732/1000 and 3734/1000, as that squared, less H^T H, is positive
    definite for the second only; h with the larger beta is shorter than allowed. P = sum_{k <= 4} (-h H)^k / k! moves x
    = (5, -13, 10) to a longer vector, while its eigenvalues lie inside the unit circle.
    """
    eps, beta = Fraction(1, 1000), Fraction(3734, 1000)
    H = sympy.Matrix([[1, 2, 2], [0, 1, 2], [0, 0, 1]]) + sympy.Rational(eps) * sympy.eye(3)
    monotone = (H + H.T) / 2 == sympy.ones(3, 3) + sympy.Rational(eps) * sympy.eye(3)
    room = [sympy.Rational(b) ** 2 * sympy.eye(3) - H.T * H for b in (beta, Fraction(3732, 1000))]
    # The norm of H lies between the two, by the leading minors.
    bounded = [all(gap[:k, :k].det() > 0 for k in (1, 2, 3)) for gap in room] == [True, False]
    h = sympy.Rational(reach) / sympy.Rational(beta)
    P = sum(((-h * H) ** k / factorial(k) for k in range(5)), sympy.zeros(3, 3))
    stable = all(abs(P[i, i]) < 1 for i in range(3))
    x = sympy.Matrix([5, -13, 10])
    excess = (P * x).dot(P * x) / x.dot(x) - 1
    # The upper end says that the excess is what was seen, about 1.3 per cent.
    found = 0 < excess < sympy.Rational(1, 50)
    return Checked(
        "COUNTEREXAMPLE",
        "|P x| > |x| for one RK4 step of h <= 2.5 / beta on a 3 x 3 linear game with alpha = 1/1000",
        _SOURCE + ", RK4 step 2.5 / beta read as a one-step certificate; the witness is derived",
        f"|P x|^2 / |x|^2 - 1 = {excess}",
        excess if monotone and bounded and stable and found else 0,
    )
