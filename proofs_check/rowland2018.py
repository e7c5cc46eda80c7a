"""Lemmas of categorical distributional reinforcement learning (Rowland et al. 2018): Cramer distance and projection."""

from fractions import Fraction
from itertools import pairwise, product

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.sos import defect

# Arguments that make each statement false: a factor below the discount, all mass to the lower neighbour, a finer grid,
# half the error of a backup, a grid that holds the law, a discount that takes nothing away.
FALSIFIED = {
    "cramer_contraction": {"factor": Fraction(2, 5)},
    "cramer_any_laws": {"copies": Fraction(9, 10)},
    "projection_is_orthogonal": {"split": False},
    "projection_error": {"power": 2},
    "fixed_point": {"share": Fraction(1, 2)},
    "clipping_moves_the_mean": {"top": 3},
    "information_does_not_contract": {"gamma": Fraction(1)},
}

_SOURCE = "Rowland et al. 2018, arXiv:1802.08163"
Law = dict[Fraction, Fraction]


def _product(one: Law, other: Law, third: Law) -> Fraction:
    """Integral of (F_one - F_other)(F_one - F_third): with other = third, the squared Cramer distance."""
    points = sorted({*one, *other, *third})
    total, first, second = Fraction(0), Fraction(0), Fraction(0)
    for x, after in pairwise(points):
        first = first + one.get(x, 0) - other.get(x, 0)
        second = second + one.get(x, 0) - third.get(x, 0)
        total = total + first * second * (after - x)
    return total


def lemma_cramer_contraction(factor: Fraction = Fraction(1, 2)) -> Checked:
    """l_2^2(T eta, T nu) <= gamma max l_2^2(eta, nu): the modulus is sqrt(gamma), and point masses attain it.

    gamma = 1/2, two states, rewards 1 and -1; squared distances stay rational.
    """
    gamma = Fraction(1, 2)
    half, third = Fraction(1, 2), Fraction(1, 3)
    moves = [[(0, 1, third), (1, -1, 2 * third)], [(1, 0, Fraction(1))]]
    laws: list[Law] = [{Fraction(1): Fraction(1)}, {Fraction(3): Fraction(1)}, {Fraction(1): half, Fraction(4): half}]
    laws.append({Fraction(1): third, Fraction(2): third, Fraction(6): third})

    def backup(row: list, pair: list[Law]) -> Law:
        out: Law = {}
        for x, p in [(r + gamma * x, p * q) for t, r, p in row for x, q in pair[t].items()]:
            out[x] = out.get(x, Fraction(0)) + p
        return out

    pinned = _product(laws[2], laws[3], laws[3]) == Fraction(11, 36) and backup(moves[0], [laws[1], laws[2]]) == {
        Fraction(5, 2): third,
        Fraction(-1, 2): third,
        Fraction(1): third,
    }
    pairs = [list(pair) for pair in product(laws, repeat=2)]
    images = [[backup(row, pair) for row in moves] for pair in pairs]
    ratios = []
    for (eta, image), (nu, other) in product(zip(pairs, images), repeat=2):
        apart = max(_product(x, y, y) for x, y in zip(eta, nu))
        moved = max(_product(x, y, y) for x, y in zip(image, other))
        if apart:
            ratios.append(moved / apart)
    return Checked(
        "EXACT_CASES",
        "the largest l_2^2 (Cramer) contracts by gamma, attained: 240 pairs of tables, one model of two states",
        _SOURCE + ", Proposition 2",
        f"{len(ratios)} pairs of tables of laws on two states, gamma = 1/2",
        sum(ratio > factor for ratio in ratios) if pinned and max(ratios) == factor else len(ratios),
    )


def lemma_cramer_any_laws(copies: Fraction = Fraction(1), n: int = 4) -> Checked:
    """(sum p_i d_i)^2 <= sum p_i d_i^2, d_i = (F_i - G_i)((x - r_i) / gamma) for successor i with reward r_i.

    F_i and G_i are distribution functions under the two tables, and sum p_i d_i is their difference after the backup,
    at x. Integrated over x, where dx is gamma times the length at i, it is
    l_2^2(T eta, T nu) <= gamma sum p_i l_2^2(eta_i, nu_i): the contraction for any laws with finite means, any rewards.
    """
    p, d = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pd")
    square, mixed = sum(x * y**2 for x, y in zip(p, d)), sum(x * y for x, y in zip(p, d))
    terms = [(1, d[i] - d[j], p[i], p[j]) for j in range(n) for i in range(j)]
    return Checked(
        "SOS",
        f"sum p d^2 - (sum p d)^2 >= 0: at every x, from l_2^2 of {n} successors to gamma times it for the backup",
        _SOURCE + ", Proposition 2; in this form derived",
        "sum of p_i p_j (d_i - d_j)^2, expanded; p sums to one",
        defect(sympy.Rational(copies) * square - mixed**2, terms, p, [(-square, sum(p) - 1)]),
    )


def lemma_projection_is_orthogonal(split: bool = True) -> Checked:
    """The categorical projection keeps the mean and is orthogonal in l_2: the integral of (F_P - F_nu)(F_P - F_m) is 0.

    P is the projection of nu on the grid 0, 1, 2, 3, m any law on the grid. So l_2(nu, m)^2 = l_2(nu, P)^2 +
    l_2(P, m)^2: the projection is the nearest law on the grid, and never moves two laws apart.
    """
    laws: list[Law] = [
        {Fraction(1, 3): Fraction(1)},
        {Fraction(1, 4): Fraction(1, 2), Fraction(5, 2): Fraction(1, 2)},
        {Fraction(0): Fraction(1, 5), Fraction(7, 5): Fraction(1, 5), Fraction(8, 3): Fraction(3, 5)},
    ]
    corners: list[Law] = [{Fraction(k): Fraction(1)} for k in range(4)]
    mixed: list[Law] = [{Fraction(0): Fraction(1, 2), Fraction(3): Fraction(1, 2)}]
    outcomes = []
    for nu in laws:
        masses = [Fraction(0)] * 4
        for x, p in nu.items():
            low = int(x)
            share = x - low if split else Fraction(0)
            for k, mass in enumerate((p * (1 - share), p * share), start=low):
                masses[k] = masses[k] + mass
        P = {Fraction(k): mass for k, mass in enumerate(masses)}
        outcomes.append(sum(x * p for x, p in P.items()) == sum(x * p for x, p in nu.items()))
        outcomes.extend(_product(P, nu, m) == 0 for m in (*corners, *mixed))
        outcomes.extend(_product(nu, m, m) == _product(P, nu, nu) + _product(P, m, m) > 0 for m in (*corners, *mixed))
    return Checked(
        "EXACT_CASES",
        "the categorical projection keeps the mean, and is l_2-orthogonal to laws on the grid: three laws, five on it",
        _SOURCE + ", Proposition 6 (Pythagoras)",
        f"{len(outcomes)} comparisons: three laws, five laws on the grid 0, 1, 2, 3",
        outcomes.count(False),
    )


def lemma_projection_error(power: int = 1) -> Checked:
    """A point mass at z + f dz, 0 <= f <= 1, is moved by l_2^2 = f (1 - f) dz, which is dz / 4 - dz (f - 1/2)^2.

    By Jensen's inequality any law within the grid is moved by at most dz / 4, and the fixed point of the projected
    operator is off by l_2^2 <= dz / (4 (1 - gamma)).
    """
    f, dz = sympy.symbols("f dz", positive=True)
    # The distribution functions differ by 1 - f before the atom, over a length f dz, and by f after it.
    square = f * dz * (1 - f) ** 2 + (1 - f) * dz * f**2
    claimed = dz**power / 4 - dz * (f - sympy.Rational(1, 2)) ** 2
    return Checked(
        "IDENTITY",
        "l_2^2 between a point mass and its categorical projection is dz / 4 - dz (f - 1/2)^2",
        "derived; sharper than the dz of " + _SOURCE,
        "integral of the squared difference of distribution functions; expansion",
        sympy.expand(square - claimed),
    )


def lemma_fixed_point(share: Fraction = Fraction(1)) -> Checked:
    """e = p + d, p <= a, d <= gamma e give (1 - gamma) e <= a: l_2^2 of the fixed point to the truth, a = dz / 4.

    Pythagoras splits e = l_2^2(eta^, eta) into p = l_2^2(Pi eta, eta) and d = l_2^2(Pi T eta^, Pi T eta), which the
    contraction bounds.
    """
    e, p, d, a, g = sympy.symbols("e p d a gamma", real=True)
    claimed = sympy.Rational(share) * a - (1 - g) * e
    return Checked(
        "SOS",
        "e = p + d, p <= a and d <= gamma e imply (1 - gamma) e <= a",
        _SOURCE + ", Proposition 3; constant a = dz / 4 derived",
        "sum of the two slacks, modulo the equation",
        defect(claimed, [(1, 1, a - p), (1, 1, g * e - d)], [a - p, g * e - d], [(-1, e - p - d)]),
    )


def lemma_clipping_moves_the_mean(top: int = 2) -> Checked:
    """The law of 0 and 3 evenly, clipped to a grid that ends at 2: its mean is 1, no longer 3/2."""
    law = {0: Fraction(1, 2), 3: Fraction(1, 2)}
    clipped = {k: sum(p for x, p in law.items() if min(x, top) == k) for k in range(4)}
    lost = sum(x * p for x, p in law.items()) - sum(k * p for k, p in clipped.items())
    return Checked(
        "COUNTEREXAMPLE",
        "a grid that does not hold the law does not keep its mean: 1 for 3/2",
        "derived",
        "masses 1/2 at 0 and 3, grid 0, 1, 2",
        witness(lost, "1/2"),
    )


def lemma_information_does_not_contract(gamma: Fraction = Fraction(1, 2)) -> Checked:
    """Total variation of two laws on 0 and 2 is that of their images under x -> x / 2, on the grid 0, 1, 2.

    Masses are the same, at other atoms: so is the Kullback-Leibler divergence, and no modulus below 1 holds.
    """
    eta, nu = {0: Fraction(3, 4), 2: Fraction(1, 4)}, {0: Fraction(1, 4), 2: Fraction(3, 4)}
    images = [{x // 2: p for x, p in law.items()} for law in (eta, nu)]
    before, after = (
        sum(abs(one.get(k, 0) - other.get(k, 0)) for k in range(3)) / 2 for one, other in ((eta, nu), images)
    )
    return Checked(
        "COUNTEREXAMPLE",
        "T does not contract total variation by gamma: 1/2 stays 1/2 under a sure transition, gamma = 1/2",
        _SOURCE + ", on the Kullback-Leibler loss; witness derived",
        "masses 3/4 and 1/4 at 0 and 2, against 1/4 and 3/4",
        witness(after - gamma * before, "1/4"),
    )
