"""Lemmas of distributional reinforcement learning (Bellemare, Dabney, Munos 2017): the Wasserstein distance."""

from fractions import Fraction
from itertools import pairwise, product

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect

# Arguments that make each statement false: a factor below the discount, a gamble worse by as much as its spread.
FALSIFIED = {
    "wasserstein_contraction": {"factor": Fraction(2, 5)},
    "wasserstein_any_laws": {"copies": Fraction(1, 2)},
    "greedy_is_no_contraction": {"eps": Fraction(9, 10)},
}

_SOURCE = "Bellemare, Dabney, Munos 2017, arXiv:1707.06887"
Law = dict[Fraction, Fraction]


def _wasserstein(one: Law, other: Law) -> Fraction:
    """Integral of the distance of the distribution functions."""
    points = sorted({*one, *other})
    total, below = Fraction(0), Fraction(0)
    for x, after in pairwise(points):
        below = below + one.get(x, 0) - other.get(x, 0)
        total = total + abs(below) * (after - x)
    return total


def _backup(moves: list[tuple[int, Fraction, Fraction]], laws: list[Law], gamma: Fraction) -> Law:
    """Law of R + gamma G(S'), moves being (next state, reward, probability)."""
    atoms = [(r + gamma * x, p * q) for t, r, p in moves for x, q in laws[t].items()]
    out: Law = {}
    for x, p in atoms:
        out[x] = out.get(x, Fraction(0)) + p
    return out


def lemma_wasserstein_contraction(factor: Fraction = Fraction(1, 2)) -> Checked:
    """max_s W_1(T eta(s), T nu(s)) <= gamma max_s W_1(eta(s), nu(s)), and shifts attain it; gamma = 1/2, two states."""
    gamma = Fraction(1, 2)
    moves = [
        [(0, Fraction(1), Fraction(1, 3)), (1, Fraction(-1), Fraction(2, 3))],
        [(0, Fraction(0), Fraction(1, 2)), (1, Fraction(0), Fraction(1, 2))],
    ]
    half, third = Fraction(1, 2), Fraction(1, 3)
    laws: list[Law] = [{Fraction(1): Fraction(1)}, {Fraction(3): Fraction(1)}, {Fraction(1): half, Fraction(4): half}]
    laws.append({Fraction(1): third, Fraction(2): third, Fraction(6): third})
    pinned = (
        _wasserstein(laws[2], laws[3]) == Fraction(7, 6)
        and _wasserstein(laws[3], laws[1]) == 2
        and _backup(moves[0], [laws[1], laws[2]], gamma)
        == {Fraction(5, 2): third, Fraction(-1, 2): third, Fraction(1): third}
    )
    pairs = [list(pair) for pair in product(laws, repeat=2)]
    images = [[_backup(row, pair, gamma) for row in moves] for pair in pairs]
    ratios = []
    for (eta, image), (nu, other) in product(zip(pairs, images), repeat=2):
        apart = max(_wasserstein(x, y) for x, y in zip(eta, nu))
        moved = max(_wasserstein(x, y) for x, y in zip(image, other))
        if apart:
            ratios.append(moved / apart)
    return Checked(
        "EXACT_CASES",
        "the largest W_1 distance contracts by gamma, attained: 240 pairs of tables of laws, one model of two states",
        _SOURCE + ", Lemma 3",
        f"{len(ratios)} pairs of tables of laws on two states, gamma = 1/2",
        sum(ratio > factor for ratio in ratios) if pinned and max(ratios) == factor else len(ratios),
    )


def lemma_wasserstein_any_laws(copies: Fraction = Fraction(1), n: int = 4) -> Checked:
    """|sum p_i d_i| <= sum p_i |d_i|, d_i = (F_i - G_i)((x - r_i) / gamma) for successor i with reward r_i.

    F_i and G_i are distribution functions under the two tables, and sum p_i d_i is their difference after the backup,
    at x. Integrated over x, where dx is gamma times the length at i, it is
    W_1(T eta, T nu) <= gamma sum p_i W_1(eta_i, nu_i): the contraction for any laws with finite means, any rewards.
    """
    p, d, size = (sympy.symbols(f"{name}0:{n}", real=True) for name in "pds")
    bound = sympy.Rational(copies) * sum(x * s for x, s in zip(p, size))
    mixed = sum(x * y for x, y in zip(p, d))
    # |d_i| <= s_i as two inequalities, and the same of what is claimed.
    above, below = [s - y for s, y in zip(size, d)], [s + y for s, y in zip(size, d)]
    defects = (
        defect(bound - mixed, [(1, 1, x, room) for x, room in zip(p, above)], [*p, *above]),
        defect(bound + mixed, [(1, 1, x, room) for x, room in zip(p, below)], [*p, *below]),
    )
    return Checked(
        "SOS",
        f"|sum p d| <= sum p |d|: at every x, the step from W_1 of {n} successors to gamma times it for the backup",
        _SOURCE + ", Lemma 3; in this form derived",
        "products of p_i and |d_i| - d_i, |d_i| + d_i; sum of squared defects",
        sum(rest**2 for rest in defects),
    )


def lemma_greedy_is_no_contraction(eps: Fraction = Fraction(1, 10)) -> Checked:
    """The greedy operator takes laws at distance 2 eps to laws at distance gamma: no contraction in W_1.

    State 0 moves to state 1, reward 0; there one action has the law 0 and the other eps +- 1, or -eps +- 1 in the other
    table. Greedy in the mean: state 0 inherits eps +- 1 from the one and 0 from the other. gamma = 9/10.
    """
    gamma = Fraction(9, 10)
    safe: Law = {Fraction(0): Fraction(1)}
    good, bad = ({mean - 1: Fraction(1, 2), mean + 1: Fraction(1, 2)} for mean in (eps, -eps))

    def inherited(gamble: Law) -> Law:
        best = max((safe, gamble), key=lambda law: sum(x * p for x, p in law.items()))
        return _backup([(0, Fraction(0), Fraction(1))], [best], gamma)

    pinned = inherited(good) == {Fraction(-81, 100): Fraction(1, 2), Fraction(99, 100): Fraction(1, 2)}
    apart = _wasserstein(good, bad)
    moved = _wasserstein(inherited(good), inherited(bad))
    excess = moved - apart
    sound = pinned and (apart, moved, excess) == (2 * eps, gamma, Fraction(7, 10))
    return Checked(
        "COUNTEREXAMPLE",
        "two tables of laws at largest W_1 distance 1/5 have images at distance 9/10 under the greedy operator",
        _SOURCE + ", Proposition 1 on the control case",
        f"distance {apart} before, {moved} after",
        excess if sound else Fraction(0),
    )
