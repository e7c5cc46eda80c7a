"""Lemmas on CVaR by a stock (Baeuerle and Ott 2011), exact instances: without the stock, and with a stock badly chosen.

The optimal CVaR is `max_c -c + (1/tau) max_pi E min(c + G, 0)`; the inner problem is Markov on states with stock.
"""

from fractions import Fraction
from itertools import product

from proofs_check.checked import Checked

# Arguments that make each statement false: a gamble that is never worth it, a lottery that is worse at every stock.
FALSIFIED = {"stock_needed": {"win": Fraction(1)}, "outer_not_concave": {"luck": Fraction(1, 4)}}

Law = dict[Fraction, Fraction]
_HALF = Fraction(1, 2)


def _lowest(law: Law, level: Fraction) -> Fraction:
    """Mean of the lowest share `level` of a law."""
    room, total = level, Fraction(0)
    for x, p in sorted(law.items()):
        total, room = total + x * min(p, room), room - min(p, room)
    return total / level


def _added(first: Fraction, second: Law, weight: Fraction, law: Law) -> None:
    for x, p in second.items():
        law[first + x] = sum((law.get(first + x, 0), weight * p))


def lemma_stock_needed(win: Fraction = Fraction(3)) -> Checked:
    """Two rounds at one state, CVaR at 1/2: gambling only after the lesser pay has 3/2, acting by time alone 1.

    Round one pays 1 or 3 evenly; round two pays 0, or -1 or +3 evenly. After 3 the gamble would fill the tail.
    """
    second: list[Law] = [{Fraction(0): Fraction(1)}, {Fraction(-1): _HALF, win: _HALF}]
    values = {}
    for choice in product(range(2), repeat=2):
        law: Law = {}
        for first, action in zip((Fraction(1), Fraction(3)), choice):
            _added(first, second[action], _HALF, law)
        values[choice] = _lowest(law, _HALF) if sum(law.values()) == 1 else None
    best, blind = max(values.values()), max(values[0, 0], values[1, 1])
    gap = best - blind
    sound = values == {(0, 0): 1, (0, 1): 1, (1, 0): Fraction(3, 2), (1, 1): 1} and gap == _HALF
    return Checked(
        "COUNTEREXAMPLE",
        "no policy of state and time is optimal for CVaR at 1/2: 1 against 3/2 with the stock, one state, two rounds",
        "Baeuerle and Ott 2011, on the extended state space; instance derived",
        "all four policies of time and first reward, by their laws",
        gap if sound else Fraction(0),
    )


def lemma_outer_not_concave(luck: Fraction = Fraction(3, 4)) -> Checked:
    """-c + (1/tau) max_a E min(c + X_a, 0) is not concave in c, tau = 1/2: peaks 1 at -11 and -1, -3/2 between.

    One step; A pays 1, B pays 11 with probability 3/4, else -9. For each action alone it is concave.
    """
    actions: list[Law] = [{Fraction(1): Fraction(1)}, {Fraction(11): luck, Fraction(-9): 1 - luck}]

    def outer(c: Fraction) -> Fraction:
        return max(sum(p * min(c + x, 0) for x, p in law.items()) for law in actions) / _HALF - c

    left, middle, right = (outer(Fraction(c)) for c in (-11, -6, -1))
    dip = (left + right) / 2 - middle
    sound = (left, middle, right, dip) == (1, Fraction(-3, 2), 1, Fraction(5, 2))
    return Checked(
        "COUNTEREXAMPLE",
        "the outer objective is -3/2 half way between two peaks of height 1: a search that assumes one peak may miss",
        "Baeuerle and Ott 2011, outer problem; instance derived",
        f"values {left}, {middle}, {right} at the stocks -11, -6, -1",
        dip if sound else Fraction(0),
    )
