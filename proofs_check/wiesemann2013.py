"""Lemmas on rectangularity (Wiesemann, Kuhn, Rustem 2013): a game where nature's choices are tied across actions.

State 0 decides between two actions, reward 0; state 1 pays 1 for ever, state 2 nothing; gamma = 9/10. Under model X the
first action leads to state 1 and the second to state 2, under model Y the other way round.
"""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: another saddle value, a second model equal to the first.
FALSIFIED = {"saddle": {"value": 5}, "rectangular_hulls_differ": {"tied": False}}

_SOURCE = "Wiesemann, Kuhn, Rustem 2013, s-rectangular sets; instance derived"
_GAMMA = Fraction(9, 10)


def lemma_saddle(value: Fraction = Fraction(9, 2)) -> Checked:
    """The value of state 0 under policy p and the mixture m of X and Y is 9/2 + 18 (p - 1/2)(m - 1/2).

    p is the probability of the first action, m the weight of X. So (1/2, 1/2) is the only optimal policy and 9/2 the
    value of the s-rectangular game, as max-min and as min-max.
    """
    p, m = sympy.symbols("p m", nonnegative=True)
    good = p * m + (1 - p) * (1 - m)
    chain = sympy.Matrix([[0, good, 1 - good], [0, 1, 0], [0, 0, 1]])
    stochastic = (chain * sympy.ones(3, 1)).applyfunc(sympy.expand) == sympy.ones(3, 1)
    values = (sympy.eye(3) - sympy.Rational(_GAMMA) * chain).LUsolve(sympy.Matrix([0, 1, 0]))
    half = sympy.Rational(1, 2)
    claimed = sympy.Rational(value) + 18 * (p - half) * (m - half)
    return Checked(
        "IDENTITY",
        "V(s0) = 9/2 + 18 (p - 1/2)(m - 1/2): saddle point at p = m = 1/2, value 9/2",
        _SOURCE,
        "linear system of the chain, solved with p and m symbolic",
        sympy.expand(sympy.simplify(values[0]) - claimed) if stochastic else 1,
    )


def lemma_rectangular_hulls_differ(tied: bool = True) -> Checked:
    """max-min is 9/2 over the models {X, Y}, min-max is 9, and over the (s,a)-rectangular closure the value is 0.

    For two models the worse one is max-min's; each model alone allows 9. If nature chooses for each action by itself,
    both lead to state 2. The residual is min-max less max-min.
    """
    reached = 1 / (1 - _GAMMA)  # state 1 pays 1 for ever
    succeeds = {"X": (1, 0), "Y": (0, 1) if tied else (1, 0)}
    policies = [Fraction(k, 20) for k in range(21)]

    def value(p: Fraction, good: tuple[int, int]) -> Fraction:
        return _GAMMA * reached * (p * good[0] + (1 - p) * good[1])

    max_min = max(min(value(p, good) for good in succeeds.values()) for p in policies)
    min_max = min(max(value(p, good) for p in policies) for good in succeeds.values())
    closure = list(product(*zip(*succeeds.values())))
    separate = max(min(value(p, good) for good in closure) for p in policies)
    sound = (separate, max_min, min_max) == (0, Fraction(9, 2), 9)
    gap = min_max - max_min
    return Checked(
        "COUNTEREXAMPLE",
        "max-min 9/2 and min-max 9 over two models, 0 over their (s,a)-rectangular closure: neither may be exchanged",
        _SOURCE,
        f"policies p = k/20, all models: {separate}, {max_min}, {min_max}",
        gap if sound and gap == Fraction(9, 2) else Fraction(0),
    )
