"""Lemmas on the decomposition of CVaR over steps (Chow et al. 2015): a maximum inside it promises too much, a line

between two levels promises a little too much.
"""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a gamble that is never worth it, so that the maximum inside does no harm; an
# eighth in place of a quarter.
FALSIFIED = {"maximum_inside": {"win": Fraction(-1)}, "interpolation": {"share": Fraction(1, 8)}}

Law = dict[Fraction, Fraction]


def _lowest(law: Law, mass: Fraction) -> Fraction:
    """Integral of the quantile function of a law over its lowest `mass`."""
    room, total = mass, Fraction(0)
    for x, p in sorted(law.items()):
        total, room = total + x * min(p, room), room - min(p, room)
    return total


def lemma_maximum_inside(win: Fraction = Fraction(2)) -> Checked:
    """CVaR at 1/2: the best policy has -1, dynamic programming over states and levels says -2/3.

    The first step leads to state 1 or 2 evenly. State 1: -1, or -2 or +2 evenly; state 2: 0, or -2 or +1 evenly. The
    decomposition splits the level into y_1 + y_2 = 1 and takes the worst split of sum y_i CVaR_(y_i). That is right
    for a fixed policy; with the best action inside each term it compares policies at levels that no one policy meets.
    """
    half = Fraction(1, 2)
    options: list[list[Law]] = [
        [{Fraction(-1): Fraction(1)}, {Fraction(-2): half, win: half}],
        [{Fraction(0): Fraction(1)}, {Fraction(-2): half, Fraction(1): half}],
    ]
    # The terms are piecewise linear in y_1 with kinks at 1/2 and 2/3, among the sixths.
    splits = [(Fraction(k, 6), 1 - Fraction(k, 6)) for k in range(7)]
    inside = min(sum(max(_lowest(law, y) for law in laws) for laws, y in zip(options, split)) for split in splits)
    achieved, identity = [], []
    for pair in product(*options):
        joint: Law = {}
        for law in pair:
            for x, p in law.items():
                joint[x] = sum((joint.get(x, 0), p / 2))
        achieved.append(_lowest(joint, half) / half)
        worst = min(sum(_lowest(law, y) for law, y in zip(pair, split)) for split in splits)
        identity.append(worst == _lowest(joint, half) / half)
    promised = inside - max(achieved)
    sound = all(identity) and (inside, max(achieved), promised) == (Fraction(-2, 3), -1, Fraction(1, 3))
    return Checked(
        "COUNTEREXAMPLE",
        "the CVaR decomposition with a maximum inside gives -2/3 where the best policy has CVaR -1, level 1/2",
        "Chow, Tamar, Mannor, Pavone 2015, value iteration on levels; instance derived",
        "all four policies by their laws; the decomposition itself holds for each of them",
        promised if sound else Fraction(0),
    )


def lemma_interpolation(share: Fraction = Fraction(1, 4)) -> Checked:
    """A line over [0, w] is above a convex g of slopes in [m, M] by at most (M - m) w / 4, and by that for one kink.

    At u w: g(u w) >= g(0) + m u w and g(u w) >= g(w) - M (1 - u) w, averaged with weights 1 - u and u, leave the line
    at most (M - m) u (1 - u) w above; a single kink there has equality. What is left of the quarter is a square.
    """
    low, rise, w, u = sympy.symbols("m D w u", real=True)
    g0, high = sympy.Symbol("g_0", real=True), low + rise
    line = (1 - u) * g0 + u * (g0 + low * u * w + high * (1 - u) * w)
    kink = g0 + low * u * w
    above = sympy.expand(line - kink)
    # The two lower bounds of g at u w, where g(w) is the value of the kinked function.
    end = g0 + low * u * w + high * (1 - u) * w
    mixed = (1 - u) * (g0 + low * u * w) + u * (end - high * (1 - u) * w)
    left = (
        sympy.Rational(share.numerator, share.denominator) * rise * w
        - above
        - rise * w * (u - sympy.Rational(1, 2)) ** 2
    )
    return Checked(
        "IDENTITY",
        "D w / 4 - (line - g)(u w) = D w (u - 1/2)^2 for g with slopes m, then m + D, and its kink at u w",
        "derived, for the interpolation of Chow, Tamar, Mannor, Pavone 2015",
        "expansion; plus the square of the defect of the two lower bounds, which meet at the kink",
        sum(sympy.expand(defect) ** 2 for defect in (left, mixed - kink)),
    )
