"""Lemmas of Singh and Yee 1994: what a greedy policy loses when the values are off by eps, and that it may."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect
from proofs_check.symbolic import first_nonzero

_SOURCE = "Singh and Yee 1994, An upper bound on the loss from approximate optimal-value functions"


def lemma_greedy_loss(errors: int = 2, n: int = 3) -> Checked:
    """V* - V^pi <= 2 gamma eps + gamma max(V* - V^pi) in every state, if |v - V*| <= eps and pi is greedy for v.

    With b optimal and a greedy, q_a(v) >= q_b(v). The loss of state 0 is q_b(V*) - q_a(V^pi), where rows p of b and
    p' of a differ. Hence max(V* - V^pi) <= 2 gamma eps / (1 - gamma).
    """
    p, q, star, v, value = (sympy.symbols(f"{name}0:{n}", real=True) for name in ("p", "q", "s", "v", "u"))
    gamma, eps, D, r, t = sympy.symbols("gamma eps D r t", real=True)

    def backup(reward: sympy.Symbol, row: tuple, values: tuple) -> sympy.Expr:
        return reward + gamma * sum(x * y for x, y in zip(row, values))

    loss = backup(r, p, star) - backup(t, q, value)
    greedy = backup(t, q, v) - backup(r, p, v)
    under = [eps - (x - y) for x, y in zip(star, v)]
    over = [eps - (y - x) for x, y in zip(star, v)]
    smaller = [D - (x - y) for x, y in zip(star, value)]
    terms = [(1, 1, greedy)]
    terms += [(1, 1, gamma, x, y) for x, y in zip(p, under)]
    terms += [(1, 1, gamma, x, y) for x, y in zip(q, over)]
    terms += [(1, 1, gamma, x, y) for x, y in zip(q, smaller)]
    equations = [(-gamma * eps, sum(p) - 1), (-gamma * (eps + D), sum(q) - 1)]
    return Checked(
        "SOS",
        f"V* - V^pi <= gamma (2 eps + max(V* - V^pi)) for pi greedy for v, |v - V*| <= eps, {n} next states",
        _SOURCE,
        "greediness plus products of gamma, probabilities and the three distances, expanded",
        defect(gamma * (errors * eps + D) - loss, terms, [greedy, gamma, *p, *q, *under, *over, *smaller], equations),
    )


def lemma_greedy_loss_is_attained(errors: Fraction = Fraction(2)) -> Checked:
    """State 1 absorbs with reward 0; in state 0 one may move there for 0, or stay for -2 gamma eps.

    V* = 0, and v = (eps, -eps) makes the two actions a tie. Staying, greedy for v, has the value V that solves its
    linear system; V(0) = -2 gamma eps / (1 - gamma).
    """
    gamma, eps = sympy.symbols("gamma eps", positive=True)
    v = (eps, -eps)
    stay = -2 * gamma * eps
    tie = (stay + gamma * v[0]) - gamma * v[1]
    # The policy that stays: both states keep to themselves.
    value = ((1 - gamma) * sympy.eye(2)).LUsolve(sympy.Matrix([stay, 0]))
    claimed = sympy.Rational(errors) * gamma * eps / (1 - gamma)
    return Checked(
        "IDENTITY",
        "a greedy policy may lose exactly 2 gamma eps / (1 - gamma)",
        _SOURCE + "; the instance is that of Bertsekas and Tsitsiklis 1996",
        "the tie, and the value of staying, as rational functions of gamma and eps; V* = 0 as no reward is above 0",
        first_nonzero([tie, value[0] + claimed]),
    )


FALSIFIED = {"greedy_loss": {"errors": 1}, "greedy_loss_is_attained": {"errors": Fraction(199, 100)}}
