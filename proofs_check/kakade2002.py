"""Lemmas of Kakade and Langford 2002: the performance-difference lemma, for two states and for any number."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import TwoByTwo, first_nonzero, two_state_policy

_SOURCE = "Kakade and Langford 2002, Lemma 6.1"


def lemma_performance_difference(occupancy_of: str = "new") -> Checked:
    """V' - V = sum_s D'[., s] sum_a pi'[s, a] (Q[s, a] - V[s]), with the occupancy of the new policy."""
    model, old, new = TwoByTwo(), two_state_policy("x"), two_state_policy("y")
    value = model.value(old)
    advantage = model.q(value) - value * sympy.ones(1, 2)
    gain = new.multiply_elementwise(advantage) * sympy.ones(2, 1)
    occupancy = model.resolvent(new if occupancy_of == "new" else old)
    return Checked(
        "IDENTITY",
        "V' - V = D' sum_a pi' A for all models and pairs of policies with S = A = 2, from every state",
        _SOURCE,
        "moves, rewards, discount and both policies symbolic; numerators expand to 0",
        first_nonzero(model.value(new) - value - occupancy * gain),
    )


def lemma_performance_difference_any_size(advantages: int = 1) -> Checked:
    """The same for any finite number of states, in the free ring: only N (1 - g P') = 1 and V' = N r' are used."""
    N, moves, rewards, value = sympy.symbols("N P r V", commutative=False)
    g = sympy.Symbol("g")
    gain = rewards + g * moves * value - advantages * value
    difference = sympy.expand(N * rewards - value - N * gain)
    # N P' = (N - 1) / g, wherever the two stand side by side.
    reduced = sympy.expand(difference.subs(N * moves, (N - 1) / g))
    return Checked(
        "IDENTITY",
        "V' - V = (1 - gamma P')^-1 (r' + gamma P' V - V) for operators on any space",
        _SOURCE + "; in this form derived",
        "expansion in noncommuting symbols, with N gamma P' replaced by N - 1",
        reduced,
    )


def lemma_mixture_is_linear_first(second: int = 1) -> Checked:
    """J((1 - a) pi + a pi') - J(pi) = a D sum_a' pi' A + O(a^2): the derivative at a = 0, two states, symbolic."""
    model, old, new = TwoByTwo(), two_state_policy("x"), two_state_policy("y")
    a = sympy.Symbol("alpha", positive=True)
    value = model.value(old)
    advantage = model.q(value) - value * sympy.ones(1, 2)
    gain = new.multiply_elementwise(advantage) * sympy.ones(2, 1)
    mixture = model.value((1 - a) * old + a * new)
    slope = mixture.applyfunc(lambda entry: sympy.diff(entry, a).subs(a, 0))
    return Checked(
        "IDENTITY",
        "d/d alpha V^{(1 - alpha) pi + alpha pi'} at 0 = D sum_a pi' A, S = A = 2",
        _SOURCE + " and the surrogate of conservative policy iteration",
        "derivative of the exact value of the mixture",
        first_nonzero(slope - second * model.resolvent(old) * gain),
    )


def lemma_improvement_of_a_mixture(share: Fraction = Fraction(1, 4)) -> Checked:
    """A step alpha = A / (2 c) makes alpha A - c alpha^2 equal to A^2 / (4 c), and no step makes it larger."""
    A, c, alpha = sympy.symbols("A c alpha", positive=True)

    def bound(step: sympy.Expr) -> sympy.Expr:
        return step * A - c * step**2

    best = sympy.Rational(share) * A**2 / c
    entries = [best - bound(A / (2 * c)), best - bound(alpha) - c * (alpha - A / (2 * c)) ** 2]
    return Checked(
        "IDENTITY",
        "max over alpha of alpha A - c alpha^2 is A^2 / (4 c): the gain guaranteed by one conservative step",
        "Kakade and Langford 2002, Corollary 4.2",
        "value at the maximiser, and the square that is missing elsewhere",
        first_nonzero(entries),
    )


FALSIFIED = {
    "performance_difference": {"occupancy_of": "old"},
    "performance_difference_any_size": {"advantages": 2},
    "mixture_is_linear_first": {"second": 2},
    "improvement_of_a_mixture": {"share": Fraction(1, 3)},
}
