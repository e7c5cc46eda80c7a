"""Lemmas of robust dynamic programming (Iyengar 2005): duals of the inner problem, and the contraction of the operator.

The inner problem is the least p z over rows p near the nominal row p0. Weak duality is an identity whose right side is
a sum of products of non-negative quantities; strong duality is checked on rational instances, where the least value is
found by enumerating vertices or from a row that meets the dual value.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, product

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect

# Arguments that make each statement false: budgets counted twice, a penalty twice as dear, a factor below the discount.
FALSIFIED = {
    "tv_weak_duality": {"budget": 2},
    "tv_strong_duality": {"budget": 2},
    "chi2_weak_duality": {"clip": False},
    "chi2_strong_duality": {"power": 2},
    "kl_duality": {"price": 2},
    "contraction": {"factor": Fraction(4, 5)},
    "contraction_any_set": {"discounts": 2},
    "contamination_is_no_tv_ball": {"share": Fraction(0)},
}

_SOURCE = "Iyengar 2005, Robust dynamic programming"


def lemma_tv_weak_duality(budget: int = 1, n: int = 3) -> Checked:
    """For |p - p0|_1 <= k and every level a above z_min: p z >= E_p0 min(z, a) - k/2 (a - z_min).

    With p = p0 + u - d, u and d non-negative of equal mass at most k/2, and z = m + e, m = min(z, a), the difference is
    p e + u (m - z_min) + d (a - m) + (k/2 - mass)(a - z_min): products of non-negative numbers. z_min is the least z
    over the states that may receive mass.
    """
    p0 = sympy.symbols(f"p0:{n}", nonnegative=True)
    d = sympy.symbols(f"d0:{n}", nonnegative=True)
    free = sympy.symbols(f"u0:{n - 1}", nonnegative=True)
    u = [*free, sum(d) - sum(free)]
    m, e = sympy.symbols(f"m0:{n}", real=True), sympy.symbols(f"e0:{n}", nonnegative=True)
    a, low, k = sympy.symbols("a z_min k", real=True)
    p = [x + y - w for x, y, w in zip(p0, u, d)]
    z = [x + y for x, y in zip(m, e)]
    dual = sum(x * y for x, y in zip(p0, m)) - budget * k / 2 * (a - low)
    slack = (
        sum(x * y for x, y in zip(p, e))
        + sum(y * (x - low) for x, y in zip(m, u))
        + sum(w * (a - x) for x, w in zip(m, d))
        + (k / 2 - sum(d)) * (a - low)
    )
    return Checked(
        "IDENTITY",
        f"p z = E_p0 min(z, a) - k/2 (a - z_min) + non-negative terms, for every p in the L1 ball of radius k, n = {n}",
        _SOURCE + "; the form is derived",
        "p = p0 + u - d, z = min(z, a) + e; expansion",
        sympy.expand(sum(x * y for x, y in zip(p, z)) - dual - slack),
    )


def _least_vertex(p0: Sequence[Fraction], z: Sequence[int], radius: Fraction) -> Fraction:
    """The least p z over the L1 ball around p0 within the simplex of three states, by enumerating its vertices.

    A vertex meets two of the inequalities p_i >= 0 and s (p - p0) <= radius, s a vector of signs, as equalities.
    """
    walls = [([int(i == j) for j in range(3)], Fraction(0)) for i in range(3)]
    for signs in product((-1, 1), repeat=3):
        walls.append((list(signs), sum([radius, *(s * x for s, x in zip(signs, p0))])))
    values = []
    for (first, right), (second, other) in combinations(walls, 2):
        matrix = sympy.Matrix([[1, 1, 1], first, second])
        if matrix.det() != 0:
            p = matrix.LUsolve(sympy.Matrix([1, sympy.Rational(right), sympy.Rational(other)]))
            p = [Fraction(int(x.p), int(x.q)) for x in p]
            if min(p) >= 0 and sum(abs(x - y) for x, y in zip(p, p0)) <= radius:
                values.append(sum(x * y for x, y in zip(p, z)))
    return min(values)


def lemma_tv_strong_duality(budget: int = 1) -> Checked:
    """The best level a, one of the z_i, attains the least p z, on rational instances with ties and zero entries."""
    outcomes = []
    rows = [(1, 0, 0), (0, 2, 2), (1, 1, 2), (2, 1, 1)]
    for weights, z in product(rows, [(0, 1, 3), (2, 2, 0), (3, 1, 1)]):
        p0 = [Fraction(w, sum(weights)) for w in weights]
        for radius in (Fraction(0), Fraction(1, 3), Fraction(2)):
            dual = max(
                sum(x * min(y, a) for x, y in zip(p0, z)) - budget * radius / 2 * (a - min(z)) for a in z
            )  # concave and piecewise linear in a, so a knot is best
            outcomes.append(dual == _least_vertex(p0, z, radius))
    return Checked(
        "EXACT_CASES",
        f"max over a of E_p0 min(z, a) - k/2 (a - z_min) is the least p z over the L1 ball, {len(outcomes)} rows",
        _SOURCE,
        f"{len(outcomes)} instances, least value over all vertices of the ball within the simplex",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_chi2_weak_duality(clip: bool = True, n: int = 3) -> Checked:
    """For every c and b > 0: p z + b chi2(p, p0) >= c - b (1 + E_p0 s^2), where s = ((c - z) / (2 b))_+.

    With x = p / p0 and (c - z) / (2 b) = s - o, the positive part less the negative part, the difference is
    b E_p0 (x - s)^2 + 2 b E_p0 x o >= 0. On the ball chi2 <= rho: p z >= c - b (1 + E_p0 s^2) - b rho.
    """
    free, wanted = sympy.symbols(f"p0:{n - 1}", positive=True), sympy.symbols(f"q0:{n - 1}", positive=True)
    p0, p = [*free, 1 - sum(free)], [*wanted, 1 - sum(wanted)]
    s, o = sympy.symbols(f"s0:{n}", nonnegative=True), sympy.symbols(f"o0:{n}", nonnegative=True)
    b, c = sympy.symbols("b c", real=True)
    x = [w / v for w, v in zip(p, p0)]
    z = [c - 2 * b * (y - w) for y, w in zip(s, o)]
    objective = sum(w * value for w, value in zip(p, z)) + b * sum(v * (y - 1) ** 2 for v, y in zip(p0, x))
    dual = c - b * (1 + sum(v * y**2 for v, y in zip(p0, s)))
    slack = b * sum(v * (y - w) ** 2 for v, y, w in zip(p0, x, s))
    excess = 2 * b * sum(v * y * w for v, y, w in zip(p0, x, o)) if clip else 0
    return Checked(
        "IDENTITY",
        f"p z + b chi2(p, p0) = c - b (1 + E s^2) + b E (x - s)^2 + 2 b E x o, x = p / p0, n = {n}",
        "derived; chi-square sets in the manner of " + _SOURCE,
        "both rows sum to one; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(objective - dual - slack - excess))[0]),
    )


def lemma_chi2_strong_duality(power: int = 1) -> Checked:
    """With E_p0 s = 1 the row p0 s attains the dual value, which is E z_c - sqrt(rho Var z_c), z_c = min(z, c).

    c solves E_p0 (c - z)_+ = 2 b; then p = p0 s is a row at distance rho = E_p0 (s - 1)^2, in rationals throughout.
    """
    outcomes = []
    for weights, z in product([(1, 1, 1, 1), (1, 2, 3, 4), (5, 1, 1, 3)], [(0, 1, 3, 7), (2, 2, 5, 5), (4, 0, 1, 0)]):
        p0 = [Fraction(w, sum(weights)) for w in weights]
        for b in (Fraction(1, 5), Fraction(1), Fraction(4)):

            def reached(c: Fraction, p0: list = p0, z: tuple = z) -> Fraction:
                return sum(w * max(c - y, 0) for w, y in zip(p0, z))

            # The mass below c grows with c: the level is found among the pieces between successive z.
            levels = []
            for top in sorted(set(z)):
                below = [(w, y) for w, y in zip(p0, z) if y <= top]
                levels.append((2 * b + sum(w * y for w, y in below)) / sum(w for w, _ in below))
            c = next(level for level in levels if reached(level) == 2 * b)
            s = [max(c - y, 0) / (2 * b) for y in z]
            rho = sum(w * (y - 1) ** 2 for w, y in zip(p0, s))
            value = sum(w * y * u for w, y, u in zip(p0, s, z))
            dual = c - b * (1 + sum(w * y**2 for w, y in zip(p0, s))) - b * rho
            cut = [min(y, c) for y in z]
            mean = sum(w * y for w, y in zip(p0, cut))
            variance = sum(w * (y - mean) ** 2 for w, y in zip(p0, cut))
            closed = mean >= value and (mean - value) ** 2 == rho**power * variance
            outcomes.append(value == dual and closed and sum(w * y for w, y in zip(p0, s)) == 1)
    return Checked(
        "EXACT_CASES",
        f"the least p z over chi2(p, p0) <= rho is E z_c - sqrt(rho Var z_c), attained at p0 s: {len(outcomes)} rows",
        "derived; chi-square sets in the manner of " + _SOURCE,
        f"{len(outcomes)} instances of four states, with ties; both sides squared",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_kl_duality(price: int = 1, n: int = 3) -> Checked:
    """p z + b KL(p || p0) = -b log E_p0 exp(-z / b) + b KL(p || p_b), p_b proportional to p0 exp(-z / b).

    So p z >= -b log E_p0 exp(-z / b) - b rho on the ball KL(p || p0) <= rho, for every b > 0; equality at p = p_b where
    rho = KL(p_b || p0). It is also the soft robust value, and the risk-sensitive one.
    """
    free = sympy.symbols(f"p0:{n - 1}", positive=True)
    p = [*free, 1 - sum(free)]
    log_p, log_p0, z = (sympy.symbols(f"{name}0:{n}", real=True) for name in "abz")
    b, normaliser = sympy.symbols("b log_Z", real=True)
    log_pb = [y - price * value / b - normaliser for y, value in zip(log_p0, z)]
    objective = sum(w * (value + b * (x - y)) for w, value, x, y in zip(p, z, log_p, log_p0))
    dual = b * sum(w * (x - y) for w, x, y in zip(p, log_p, log_pb)) - b * normaliser
    return Checked(
        "IDENTITY",
        f"p z + b KL(p || p0) = -b log E_p0 e^(-z/b) + b KL(p || p_b) for every row p, n = {n}",
        "Gibbs variational principle; " + _SOURCE,
        "expansion in logarithms, log_Z standing for log E_p0 exp(-z / b)",
        sympy.expand(objective - dual),
    )


def lemma_contraction(factor: Fraction = Fraction(9, 10)) -> Checked:
    """|L v - L w|_inf <= gamma |v - w|_inf for the robust operator with TV balls, and gamma is attained.

    Two states, two actions, gamma = 9/10; a ball is an interval of p(first state), whose ends are its vertices.
    """
    gamma, radius = Fraction(9, 10), Fraction(1, 5)
    nominal = [[Fraction(1, 10), Fraction(1, 2)], [Fraction(3, 4), Fraction(1)]]
    r = [[0, 1], [1, -2]]

    def operator(v: tuple[int, int]) -> list[Fraction]:
        best = []
        for p0, rewards in zip(nominal, r):
            ends = [[max(x - radius, 0), min(x + radius, 1)] for x in p0]
            best.append(max(y + gamma * min(q * v[0] + (1 - q) * v[1] for q in pair) for y, pair in zip(rewards, ends)))
        return best

    images = {v: operator(v) for v in product(range(-3, 4), repeat=2)}
    fixed = [operator((x, x)) == [1 + gamma * x, 1 + gamma * x] for x in range(4)]
    known = images[0, 2] == [Fraction(77, 50), Fraction(109, 100)]
    known = known and images[2, 0] == [Fraction(77, 50), Fraction(199, 100)]
    ratios = []
    for (v, image), (w, other) in product(images.items(), repeat=2):
        moved = max(abs(x - y) for x, y in zip(image, other))
        apart = max(abs(x - y) for x, y in zip(v, w))
        if apart:
            ratios.append(moved / apart)
    sound = all(fixed) and known and max(ratios) == factor
    return Checked(
        "EXACT_CASES",
        "|L v - L w|_inf <= gamma |v - w|_inf, with equality for some, TV balls of radius 1/5, two states and actions",
        _SOURCE + ", the operator",
        f"{len(images)} integer vectors, all pairs; the operator is pinned at constants, (0, 2) and (2, 0)",
        sum(ratio > factor for ratio in ratios) if sound else len(ratios),
    )


def lemma_contraction_any_set(discounts: int = 1, n: int = 4) -> Checked:
    """L v <= L w + gamma D where v - w <= D, L v = max_a min over p in U_a of r_a + gamma p v, for any sets U_a.

    Let a be best for v, with worth l = L v, and p the row of U_a that is worst for w. Then l <= r + gamma p v, and m =
    L w is at least r + gamma p w; m + gamma D - l is the sum of the two slacks and of gamma p_i (D - v_i + w_i). The
    other half exchanges v and w. For s-rectangular sets r and p are averages over the actions. Where the minimum is
    not attained, p is nearly worst, and the error goes to 0.
    """
    p, v, w = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pvw")
    gamma, D, r, m, least = sympy.symbols("gamma D r m l", real=True)
    q_v, q_w = (r + gamma * sum(x * y for x, y in zip(p, values)) for values in (v, w))
    nearer = [D - (x - y) for x, y in zip(v, w)]
    terms = [(1, 1, m - q_w), (1, 1, q_v - least), *((1, 1, gamma, x, near) for x, near in zip(p, nearer))]
    return Checked(
        "SOS",
        f"L w + gamma D - L v >= 0 if v - w <= D, for the robust operator with any sets of rows of {n} next states",
        _SOURCE + ", the operator",
        "slacks of both optimal choices plus the products gamma p_i (D - v_i + w_i), expanded; rows sum to one",
        defect(
            m + gamma**discounts * D - least,
            terms,
            [m - q_w, q_v - least, gamma, *p, *nearer],
            [(-gamma * D, sum(p) - 1)],
        ),
    )


def lemma_contamination_is_no_tv_ball(share: Fraction = Fraction(1, 5)) -> Checked:
    """Contamination (1 - R) p0 + R q reaches less than the TV ball of radius R: 2/5 against 3/10, R = 1/5.

    p0 = (1/2, 1/2), z = (0, 1). The set is inside the ball (q - p0 has TV at most 1), so its value is never lower; read
    as a ball it is too optimistic.
    """
    p0 = Fraction(1, 2)
    contaminated = (1 - share) * p0
    ball = max(p0 - share, 0)
    sound = (contaminated, ball) == (Fraction(2, 5), Fraction(3, 10))
    gap = contaminated - ball
    return Checked(
        "COUNTEREXAMPLE",
        "the least p z over the contamination of p0 by 1/5 is above the least over the TV ball of radius 1/5",
        "derived",
        f"p0 = (1/2, 1/2), z = (0, 1): {contaminated} against {ball}",
        gap if sound and gap == Fraction(1, 10) else Fraction(0),
    )
