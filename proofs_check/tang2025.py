"""Lemmas of R2PVI (Tang, Liu, Xu 2025): least values with a price on leaving a factor, and the published simulation."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked, failed_cases
from proofs_check.symbolic import first_nonzero

# Arguments that make each statement false: L1 in place of half of it, a sign, half a price, a goal worth less.
FALSIFIED = {
    "tv_cap": {"half": Fraction(1)},
    "chi2_dual": {"sign": -1},
    "conjugacy": {"share": Fraction(1, 2)},
    "penalty": {"crossed": 0},
    "never_robust": {"goal": Fraction(1)},
}

_SOURCE = "Tang, Liu, Xu 2025; derived"
_ROWS = ((1, 1, 2), (3, 0, 1), (1, 4, 1), (2, 3, 5))
_VALUES = ((0, 1, 3), (2, 2, 0), (5, 0, 1), (1, 4, 2))
_PRICES = (Fraction(1, 3), Fraction(1), Fraction(5, 2), Fraction(7))


def _cases() -> Iterator[tuple[list[Fraction], tuple[int, ...], Fraction]]:
    """Factors with zero entries, values with ties, and prices."""
    for weights, v, price in product(_ROWS, _VALUES, _PRICES):
        yield [Fraction(w, sum(weights)) for w in weights], v, price


def _capped(p: list[Fraction], v: tuple[int, ...], price: Fraction) -> Fraction:
    return sum((w * min(x, price + min(v)) for w, x in zip(p, v)), Fraction(0))


def lemma_tv_cap(half: Fraction = Fraction(1, 2)) -> Checked:
    """min over q of q v + L TV(q, p) is E_p min(v, L + min v).

    The objective is convex and piecewise linear in the transport of p to q; its vertices send each state's mass to one
    state. All of them are tried.
    """
    outcomes = []
    for p, v, price in _cases():
        best = None
        for targets in product(range(3), repeat=3):
            q = [sum((p[j] for j in range(3) if targets[j] == i), Fraction(0)) for i in range(3)]
            paid = sum(w * x for w, x in zip(q, v)) + price * half * sum(abs(a - b) for a, b in zip(q, p))
            best = paid if best is None else min(best, paid)
        outcomes.append(best == _capped(p, v, price))
    return Checked(
        "EXACT_CASES",
        f"min_q q v + L TV(q, p) = E_p min(v, L + min v), {len(outcomes)} instances of three states",
        _SOURCE,
        "all transports of whole states, with ties and zero entries",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_chi2_dual(sign: int = 1) -> Checked:
    """q v + L sum (q - p)^2 / p - (E v - Var v / (4 L)) is L times a sum of squares: a bound, attained if q >= 0.

    The square of state i is (q_i - p_i + p_i (v_i - E v) / (2 L))^2 / p_i. With v cut at alpha it bounds q v from below
    for any alpha, since q >= 0 and v >= min(v, alpha).
    """
    L = sympy.Symbol("L", positive=True)
    p = [*sympy.symbols("p0:2", positive=True)]
    q = [*sympy.symbols("q0:2", real=True)]
    p.append(1 - sum(p))
    q.append(1 - sum(q))
    v = sympy.symbols("v0:3", real=True)
    mean = sum(a * b for a, b in zip(p, v))
    variance = sum(a * b**2 for a, b in zip(p, v)) - mean**2
    objective = sum(a * b for a, b in zip(q, v)) + L * sum((a - b) ** 2 / b for a, b in zip(q, p))
    squares = L * sum((a - b + b * (x - mean) / (2 * L)) ** 2 / b for a, b, x in zip(q, p, v))
    return Checked(
        "IDENTITY",
        "q v + L chi2(q, p) - E v + Var v / (4 L) is a sum of squares over p, three states, all p, q, v and L",
        _SOURCE,
        "numerator of the difference expands to 0",
        first_nonzero([objective - mean + sign * variance / (4 * L) - squares]),
    )


def lemma_conjugacy(share: Fraction = Fraction(1)) -> Checked:
    """The least value in a ball of TV radius r is the largest, over prices L, of the priced value less L r.

    The ball's least value: mass r (or what there is) goes from the highest values to the lowest. The priced value is
    piecewise linear in L with knots v - min v, and 0.
    """
    outcomes = []
    for weights, v, radius in product(_ROWS, _VALUES, (Fraction(1, 10), Fraction(1, 3), Fraction(4, 5))):
        p = [Fraction(w, sum(weights)) for w in weights]
        left, least = radius, sum(w * x for w, x in zip(p, v))
        for x, w in sorted(zip(v, p), reverse=True):
            moved = min(left, w)
            left -= moved
            least -= moved * (x - min(v))
        outcomes.append(least == max(_capped(p, v, Fraction(x - min(v))) - share * radius * (x - min(v)) for x in v))
    return Checked(
        "EXACT_CASES",
        f"min over TV(q, p) <= r of q v = max over L of E min(v, L + min v) - L r, {len(outcomes)} instances",
        _SOURCE,
        "the ball by moving mass, the price at all its knots",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_penalty(crossed: int = 1) -> Checked:
    """(sum f_i sqrt(M_ii))^2 - f M f = 2 f_1 f_2 (sqrt(M_11 M_22) - M_12): the theorem's penalty is at least PEVI's.

    For features f >= 0 and M positive semidefinite, two coordinates; each coordinate's norm is f_i sqrt(M_ii).
    """
    f, g, a, b = sympy.symbols("f g a b", nonnegative=True)
    c = sympy.Symbol("c", real=True)
    inverse = sympy.Matrix([[a**2, c], [c, b**2]])
    whole = (sympy.Matrix([[f, g]]) * inverse * sympy.Matrix([f, g]))[0]
    parts = [(sympy.Matrix([[x, y]]) * inverse * sympy.Matrix([x, y]))[0] for x, y in ((f, 0), (0, g))]
    total = parts[0] + parts[1] + 2 * f * a * g * b
    defects = [parts[0] - (f * a) ** 2, parts[1] - (g * b) ** 2, total - whole - 2 * f * g * (a * b - crossed * c)]
    return Checked(
        "IDENTITY",
        "norms of coordinates are f_i sqrt(M_ii), and their sum squared exceeds f M f by 2 f g (sqrt(M11 M22) - M12)",
        _SOURCE,
        "expansion; numbers M11 = a^2, M22 = b^2",
        sum(sympy.expand(defect) ** 2 for defect in defects),
    )


def lemma_never_robust(goal: Fraction = Fraction(2)) -> Checked:
    """On the simulated process, Q(x1, a) with TV at price L is increasing in x(a), for all prices: caution never pays.

    Q = (1 - x) .999 min(V2, L) + x min(2, L), V2 = x + (1 - x) .999 min(V3, L) + x min(1, L) with the x of all plus
    one, V3 = x; the fail state is worth 0. The least slope is at the least price, L / 1000; the sum of all is pinned.
    """
    slopes = []
    for delta, xi, price in product(
        (Fraction(1, 4), Fraction(3, 10), Fraction(2, 5)),
        (Fraction(1, 10), Fraction(1, 5)),
        (Fraction(1, 20), Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(5)),
    ):
        x, stays = delta + xi, Fraction(999, 1000)
        v3 = x
        v2 = x + (1 - x) * stays * min(v3, price) + x * min(Fraction(1), price)
        slopes.append(min(goal, price) - stays * min(v2, price))
    return Checked(
        "EXACT_CASES",
        f"min(2, L) > .999 min(V2, L) for delta, xi and L on a grid, {len(slopes)} cases; least difference L / 1000",
        "Tang, Liu, Xu 2025, simulated process from the public code; derived",
        "dynamic programming in fractions; in general min(2, L) >= min(V2, L) > .999 min(V2, L), as 0 < V2 <= 2",
        failed_cases(slopes, "1/20000") if sum(slopes) == Fraction("559117749/80000000") else 1,
    )
