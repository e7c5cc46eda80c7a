"""Lemmas of Achab and Neu 2021: two atoms a state, the mean of the lowest share of the return law and of the rest.

Each state is split into a worst substate (weight alpha) and a best one (weight 1 - alpha). One backup lists the atoms
r + gamma theta_i(s') with their masses and gives the lowest alpha of the mass to the worst substate.
"""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: atoms exchanged, the best substate fed first, a modulus too small.
FALSIFIED = {
    "mean_is_kept": {"exchanged": True},
    "worked_fixed_point": {"worst_first": False},
    "contraction": {"factor": Fraction(2, 5)},
}

_SOURCE = "Achab and Neu 2021; operator derived from the abstract"


def lemma_mean_is_kept(exchanged: bool = False, n: int = 2) -> Checked:
    """alpha theta_1' + (1 - alpha) theta_2' = r + gamma P V whatever masses q the worst substate takes, if alpha
    theta_1 + (1 - alpha) theta_2 = V: the substates average to the value at every sweep and at the fixed point.
    """
    alpha, r, gamma = sympy.symbols("alpha r gamma", positive=True)
    worst, best = (sympy.symbols(f"{name}0:{n}", real=True) for name in ("theta", "tau"))
    P = sympy.symbols(f"p0:{n - 1}", positive=True)
    P = [*P, 1 - sum(P)]
    q = sympy.symbols(f"q0:{n + n}", nonnegative=True)
    masses = [alpha * p for p in P] + [(1 - alpha) * p for p in P]
    atoms = [r + gamma * x for x in (*worst, *best)]
    low = sum(x * y for x, y in zip(q, atoms)) / alpha
    high = sum((w - x) * y for w, x, y in zip(masses, q, atoms)) / (1 - alpha)
    low, high = (high, low) if exchanged else (low, high)
    value = r + gamma * sum(p * (alpha * x + (1 - alpha) * y) for p, x, y in zip(P, worst, best))
    return Checked(
        "IDENTITY",
        f"alpha theta_1 + (1 - alpha) theta_2 follows the Bellman equation of the mean, {n} successors, any split q",
        _SOURCE,
        "masses, atoms and split symbolic; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(alpha * low + (1 - alpha) * high - value))[0]),
    )


# From state 0 to itself (reward 0) or to state 1 (reward 1), evenly; from state 1 back to state 0, reward 0.
_MOVES = (((0, 0, Fraction(1, 2)), (1, 1, Fraction(1, 2))), ((0, 0, Fraction(1)),))
_GAMMA = Fraction(1, 2)


def _backup(theta: list, alpha: Fraction, worst_first: bool = True) -> list[tuple[Fraction, Fraction]]:
    """One sweep on the worked instance; the atom that straddles alpha is split."""
    out = []
    for moves in _MOVES:
        atoms = sorted(
            ((r + _GAMMA * x, p * w) for t, r, p in moves for x, w in zip(theta[t], (alpha, 1 - alpha))),
            reverse=not worst_first,
        )
        room, low = alpha, Fraction(0)
        for x, w in atoms:
            low, room = low + min(w, room) * x, room - min(w, room)
        total = sum(x * w for x, w in atoms)
        out.append((low / alpha, (total - low) / (1 - alpha)))
    return out


def lemma_worked_fixed_point(worst_first: bool = True) -> Checked:
    """gamma = 1/2: theta(0) = (8, 24)/25 and theta(1) = (4, 12)/25 for alpha = 1/4; (2, 6)/5 and (1, 3)/5 for 1/2.

    The means are V = (4/5, 2/5) both times.
    """
    outcomes = []
    for alpha, scale in ((Fraction(1, 4), Fraction(4, 25)), (Fraction(1, 2), Fraction(1, 5))):
        theta = [(2 * scale, 6 * scale), (scale, 3 * scale)]
        outcomes.append(_backup(theta, alpha, worst_first) == theta)
        means = [alpha * x + (1 - alpha) * y for x, y in theta]
        outcomes.append(means == [Fraction(4, 5), Fraction(2, 5)])
    return Checked(
        "EXACT_CASES",
        "fixed points of the two-atom evaluation on the worked instance, alpha = 1/4 and 1/2, and their means",
        _SOURCE,
        "one exact backup each, atoms split at alpha",
        outcomes.count(False),
    )


def lemma_contraction(factor: Fraction = _GAMMA) -> Checked:
    """One backup contracts by gamma in max |theta|, and no better: shifts attain it. Seventeen tables, all pairs."""
    alpha = Fraction(1, 4)
    fixed = [(Fraction(8, 25), Fraction(24, 25)), (Fraction(4, 25), Fraction(12, 25))]
    pinned = _backup(fixed, alpha) == fixed
    tables = [[(a, b), (c, d)] for a, b, c, d in product((1, 4), (1, 3), (1, 2), (1, 6))]
    tables.append([(3, 3), (3, 3)])
    images = [_backup(theta, alpha) for theta in tables]
    ratios = []
    for (one, image), (other, reflected) in product(zip(tables, images), repeat=2):
        apart = max(abs(x - y) for row, line in zip(one, other) for x, y in zip(row, line))
        moved = max(abs(x - y) for row, line in zip(image, reflected) for x, y in zip(row, line))
        if apart:
            ratios.append(moved / apart)
    return Checked(
        "EXACT_CASES",
        "|T theta - T tau| <= gamma |theta - tau| in the largest entry, with equality for shifts, worked instance",
        _SOURCE,
        f"{len(ratios)} pairs, alpha = 1/4",
        sum(ratio > factor for ratio in ratios) if pinned and max(ratios) == factor else len(ratios),
    )
