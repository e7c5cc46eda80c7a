"""Lemmas of DRPVI (Liu, Xu 2024): the ball's dual, the range of values, a kernel that is not the worst, a threshold."""

from fractions import Fraction
from itertools import permutations, product

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.symbolic import first_nonzero

# Arguments that make each statement false: L1, another factor, all of the mass at the least value, x5's value alone.
FALSIFIED = {
    "ball_dual": {"share": Fraction(1, 2)},
    "range_recursion": {"power": 2},
    "contaminated_feasible": {"times": Fraction(2)},
    "not_the_worst": {"point": Fraction(1)},
    "threshold": {"loss": 1},
}

_ROWS = ((1, 1, 2), (3, 0, 1), (1, 4, 1), (2, 3, 5))
_VALUES = ((0, 1, 3), (2, 2, 0), (5, 0, 1), (1, 4, 2))
_RADII = (Fraction(1, 10), Fraction(1, 3), Fraction(4, 5))


def _least(p: list[Fraction], v: tuple[int, ...], radius: Fraction) -> Fraction:
    """Least q v within total variation `radius` of p: over all orders of three states that give mass to one of them."""
    best = sum(w * x for w, x in zip(p, v))
    for target, order in product(range(3), permutations(range(3))):
        q, left = list(p), radius
        for j in order:
            moved = min(left, q[j]) if j != target else Fraction(0)
            q[j] -= moved
            q[target] += moved
            left -= moved
        best = min(best, sum(w * x for w, x in zip(q, v)))
    return best


def lemma_ball_dual(share: Fraction = Fraction(1)) -> Checked:
    """min over TV(q, p) <= r of q v = max over a among the values of E_p min(v, a) - r (a - min v)."""
    outcomes = []
    for weights, v, radius in product(_ROWS, _VALUES, _RADII):
        p = [Fraction(w, sum(weights)) for w in weights]
        dual = max(sum(w * min(x, a) for w, x in zip(p, v)) - share * radius * (a - min(v)) for a in v)
        outcomes.append(dual == _least(p, v, radius))
    return Checked(
        "EXACT_CASES",
        f"min over TV(q, p) <= r of q v = max_a E min(v, a) - r (a - min v), {len(outcomes)} instances, three states",
        "Liu, Xu 2024, from Iyengar 2005",
        "all receivers and orders of giving states, ties and zero entries",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_range_recursion(power: int = 1) -> Checked:
    """R(n) = (1 - (1 - r)^n) / r solves R(n) = 1 + (1 - r) R(n - 1), R(0) = 0: the range after n decisions, attained.

    The mixture (1 - r) m + r delta_min is in the ball, so that w_i <= (1 - r) m_i V + r min V, and w_i >= min V; the
    range of one stage is at most 1 plus (1 - r) times the next one's.
    """
    r, n = sympy.symbols("r n", positive=True)

    def closed(k: sympy.Expr) -> sympy.Expr:
        return (1 - (1 - r) ** (power * k)) / r

    step = closed(n) - 1 - (1 - r) * closed(n - 1)
    # Powers of 1 - r as one symbol.
    power_of = sympy.Symbol("y", positive=True)
    shown = sympy.powsimp(sympy.expand(step * r)).subs((1 - r) ** n, power_of)
    defect = sympy.simplify(sympy.expand_power_exp(shown))
    return Checked(
        "IDENTITY",
        "R(n) = 1 + (1 - r) R(n - 1) and R(0) = 0 for R(n) = (1 - (1 - r)^n) / r",
        "Liu, Xu 2024, range shrinkage; attained: derived",
        "powers collected; the difference simplifies to 0",
        first_nonzero([defect, closed(sympy.Integer(0))]),
    )


def lemma_contaminated_feasible(times: Fraction = Fraction(1)) -> Checked:
    """(1 - r) p + r delta_i is within total variation r of p, for every i: it is r (1 - p_i)."""
    outcomes = []
    for weights, radius, i in product(_ROWS, _RADII, range(3)):
        p = [Fraction(w, sum(weights)) for w in weights]
        q = [(1 - times * radius) * w + times * radius * (j == i) for j, w in enumerate(p)]
        distance = sum(abs(a - b) for a, b in zip(q, p)) / 2
        outcomes.append((sum(q), distance) == (1, radius * (1 - p[i])))
    return Checked(
        "EXACT_CASES",
        f"(1 - r) p + r delta_i has mass 1 and total variation r (1 - p_i) <= r from p, {len(outcomes)} instances",
        "Liu, Xu 2024, proof of the range bound",
        "factors with zero entries, every i",
        outcomes.count(False) if outcomes else 1,
    )


def lemma_not_the_worst(point: Fraction = Fraction(1, 2)) -> Checked:
    """(1 - r) p + r delta_min is not the worst factor: p = (1/2, 1/2), v = (1, 2), r = 1/4 give 11/8 against 5/4.

    Only the mass that is not yet at the least value counts: the mixture moves r (1 - p_min), nature r.
    """
    radius = Fraction(1, 4)
    p, v = (1 - point, point), (Fraction(1), Fraction(2))
    printed = (1 - radius) * sum(w * x for w, x in zip(p, v)) + radius * min(v)
    least = sum(w * x for w, x in zip(p, v)) - min(radius, p[1])
    return Checked(
        "COUNTEREXAMPLE",
        "the kernel (1 - r) p + r delta_min is worth 11/8 where nature reaches 5/4: feasible, not the worst",
        'Liu, Xu 2024, "the worst-case factor kernel"; instance derived',
        f"values {printed} and {least}",
        witness(printed - least if sum(p) == 1 else Fraction(0), "1/8"),
    )


def lemma_threshold(loss: int = 2) -> Checked:
    """Q(x1) = (1 - x) .999 V2 + x (2 - 2 r) is constant in x just at r = 1 - .999 V2 / 2: there the action turns."""
    x, V2, radius = sympy.symbols("x V2 r", positive=True)
    stays = sympy.Rational(999, 1000)
    Q = (1 - x) * stays * V2 + x * (2 - loss * radius)
    turning = 1 - stays * V2 / 2
    return Checked(
        "IDENTITY",
        "dQ / dx = 0 at r = 1 - .999 V2 / 2, and dQ / dx = 2 (that - r) elsewhere",
        "Liu, Xu 2024, simulated process from the public code; derived",
        "expansion",
        first_nonzero([sympy.diff(Q, x).subs(radius, turning), sympy.diff(Q, x) - 2 * (turning - radius)]),
    )
