"""Lemmas on the Bellman operator (Puterman 1994): contraction, monotonicity, bounds from one sweep, and the norm."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.rational import dot
from proofs_check.sos import defect
from proofs_check.symbolic import first_nonzero

_SOURCE = "Puterman 1994, chapter 6"


def lemma_contraction(discounts: int = 1, n: int = 4) -> Checked:
    """If v - w <= D at every next state, then max q(v) <= max q(w) + gamma D: one half of |Tv - Tw| <= gamma |v - w|.

    Let a be greedy for v, and m = max_a q_a(w), so that m >= q_a(w). Then m + gamma D - q_a(v) is the sum of
    m - q_a(w) and of gamma p_i (D - (v_i - w_i)), as the p_i sum to one. The other half exchanges v and w. States
    and actions elsewhere play no part: n is the number of next states of the one row.
    """
    p, v, w = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pvw")
    gamma, D, r, m = sympy.symbols("gamma D r m", real=True)
    q_v = r + gamma * sum(a * b for a, b in zip(p, v))
    q_w = r + gamma * sum(a * b for a, b in zip(p, w))
    nearer = [D - (a - b) for a, b in zip(v, w)]
    terms = [(1, 1, m - q_w), *((1, 1, gamma, a, near) for a, near in zip(p, nearer))]
    equations = [(-gamma * D, sum(p) - 1)]
    return Checked(
        "SOS",
        f"max_a q_a(w) + gamma D - q_a(v) >= 0 if v - w <= D, for rows of {n} next states: T is a gamma-contraction",
        _SOURCE + ", Proposition 6.2.4",
        "m - q_a(w) plus the products gamma p_i (D - v_i + w_i), expanded",
        defect(m + gamma**discounts * D - q_v, terms, [m - q_w, gamma, *p, *nearer], equations),
    )


def lemma_monotone(sign: int = 1, n: int = 4) -> Checked:
    """v <= w implies q_a(v) <= max_a q_a(w): T is monotone."""
    p, v, w = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pvw")
    gamma, r, m = sympy.symbols("gamma r m", real=True)
    q_v = r + gamma * sum(a * b for a, b in zip(p, v))
    q_w = r + gamma * sum(a * b for a, b in zip(p, w))
    above = [sign * (b - a) for a, b in zip(v, w)]
    terms = [(1, 1, m - q_w), *((1, 1, gamma, a, gap) for a, gap in zip(p, above))]
    return Checked(
        "SOS",
        f"max_a q_a(w) - q_a(v) >= 0 if v <= w, for rows of {n} next states",
        _SOURCE + ", Lemma 6.1.2 in its discounted form",
        "m - q_a(w) plus the products gamma p_i (w_i - v_i), expanded",
        defect(m - q_v, terms, [m - q_w, gamma, *p, *above]),
    )


def lemma_bounds_from_one_sweep(discounts: int = 1, n: int = 3) -> Checked:
    """If Tv <= v + c, then Tu <= u for u = v + c / (1 - gamma): V* <= u, hence V* <= Tu = Tv + gamma c / (1 - gamma).

    In state 0, whose value is v_0, with action a: (1 - gamma)(u_0 - q_a(u)) = (1 - gamma)(v_0 + c - q_a(v)), where the
    last bracket is non-negative by hypothesis. That u >= Tu implies u >= V* is monotonicity.
    """
    p, v = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pv")
    gamma, r, c = sympy.symbols("gamma r c", real=True)
    q_v = r + gamma * sum(a * b for a, b in zip(p, v))
    # Everything times 1 - gamma, a polynomial: u (1 - gamma) = v (1 - gamma) + c.
    scaled = [(1 - gamma) * x + c for x in v]
    q_u = (1 - gamma) * r + gamma**discounts * sum(a * b for a, b in zip(p, scaled))
    slack = v[0] + c - q_v
    return Checked(
        "SOS",
        f"u = v + c/(1 - gamma) satisfies Tu <= u if Tv <= v + c, for rows of {n} next states",
        _SOURCE + ", Theorem 6.6.2 (MacQueen's bounds)",
        "(1 - gamma)(v_0 + c - q_a(v)), expanded; rows sum to one",
        defect(scaled[0] - q_u, [(1, 1, 1 - gamma, slack)], [1 - gamma, slack], [(-gamma * c, sum(p) - 1)]),
    )


def lemma_sweep_in_closed_form(share: int = 1) -> Checked:
    """T u = T v + gamma c / (1 - gamma) for u = v + c / (1 - gamma), and the ends agree where Tv - v is constant."""
    gamma, c, v, r = sympy.symbols("gamma c v r", real=True)
    # One state: Tv - v = c determines v, and the bound is the value r / (1 - gamma).
    backup = r + gamma * v
    bound = backup + share * gamma * (backup - v) / (1 - gamma)
    moved = (r + gamma * (v + c / (1 - gamma))) - backup - gamma * c / (1 - gamma)
    return Checked(
        "IDENTITY",
        "with one state MacQueen's bound Tv + gamma (Tv - v) / (1 - gamma) is the value, whatever v",
        _SOURCE + "; the bounds are attained",
        "rational functions of gamma, r, v, c",
        first_nonzero([bound - r / (1 - gamma), moved]),
    )


def lemma_no_euclidean_contraction(gamma: Fraction = Fraction(9, 10)) -> Checked:
    """In the Euclidean norm T may expand: both states move to state 0, and v = (1, 0), w = 0."""
    P = [[Fraction(1), Fraction(0)], [Fraction(1), Fraction(0)]]
    v = [Fraction(1), Fraction(0)]
    moved = [gamma * dot(row, v) for row in P]
    return Checked(
        "COUNTEREXAMPLE",
        "|Tv - Tw|_2^2 - |v - w|_2^2 = 31/50 at gamma = 9/10: T is no contraction in the Euclidean norm",
        "derived",
        "two states that both move to the first, no rewards, v = (1, 0), w = 0",
        witness(dot(moved, moved) - dot(v, v), Fraction(31, 50)),
    )


FALSIFIED = {
    "contraction": {"discounts": 2},
    "monotone": {"sign": -1},
    "bounds_from_one_sweep": {"discounts": 2},
    "sweep_in_closed_form": {"share": 2},
    "no_euclidean_contraction": {"gamma": Fraction(7, 10)},
}
