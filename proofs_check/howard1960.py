"""Policy improvement, linear programming and shaping on all small models of a rational grid.

Howard 1960 (policy iteration), Manne 1960 (linear programming); the cases are enumerated, the arithmetic is rational.
"""

from fractions import Fraction
from itertools import product

from proofs_check.checked import Checked, failed_cases
from proofs_check.rational import deterministic_policies, dot, linear_minimum, policy_value, q_value

_HALF = Fraction(1, 2)


def _models(moves: tuple, rewards: tuple) -> list[tuple]:
    """All (P, r) with two states and two actions whose numbers are from the lists."""
    return [
        ([[[p, 1 - p] for p in row] for row in ((a, b), (c, d))], [[x, y], [z, w]])
        for a, b, c, d in product(moves, repeat=4)
        for x, y, z, w in product(rewards, repeat=4)
    ]


def lemma_improvement(greedy: bool = True) -> Checked:
    """The greedy policy of V^pi is nowhere worse than pi, and where it is no better pi is optimal."""
    slacks, wrong = [], 0
    policies = list(deterministic_policies(2, 2))
    for P, r in _models((Fraction(0), _HALF, Fraction(1)), (Fraction(0), Fraction(1)))[::3]:
        values = [policy_value(P, r, _HALF, pi) for pi in policies]
        for value in values:
            q = q_value(P, r, _HALF, value)
            pick = max if greedy else min
            new = [[Fraction(a == row.index(pick(row))) for a in range(2)] for row in q]
            better = policy_value(P, r, _HALF, new)
            slacks += [x - y for x, y in zip(better, value)]
            if better == value:
                wrong = sum([wrong, *(v != max(other[s] for other in values) for s, v in enumerate(value))])
    # Gains go up to 2, the value of reward 1 for ever, and are attained.
    return Checked(
        "EXACT_CASES",
        "V^greedy(pi) >= V^pi, equal in all states only at an optimum; largest gain 2: 432 models with S = A = 2",
        "Howard 1960; policy improvement theorem",
        "every third of the 1296 models with moves in {0, 1/2, 1}, rewards in {0, 1}, gamma = 1/2, from all 4 policies",
        sum([failed_cases(slacks), wrong, max(slacks) != 2]),
    )


def lemma_occupancies(scale: Fraction = Fraction(1)) -> Checked:
    """The largest <r, mu> over occupancies equals rho V*: strong duality, by the vertices of the flow polytope."""
    gamma, rho = _HALF, [Fraction(1, 3), Fraction(2, 3)]
    pairs = list(product(range(2), repeat=2))
    differ = []
    for P, r in _models((Fraction(0), Fraction(1, 3)), (Fraction(0), Fraction(2)))[::5]:
        # mu(s', .) - gamma sum mu(s, a) P(s' | s, a) = rho(s').
        flow = [[Fraction(s == t) - gamma * P[s][a][t] for s, a in pairs] for t in range(2)]
        positive = [[-Fraction(i == j) for j in range(4)] for i in range(4)]
        cost = [-r[s][a] for s, a in pairs]
        best = -linear_minimum(cost, positive, [Fraction(0)] * 4, flow, rho)
        values = [policy_value(P, r, gamma, pi) for pi in deterministic_policies(2, 2)]
        optimal = [max(value[s] for value in values) for s in range(2)]
        differ.append(scale * best != dot(rho, optimal))
    return Checked(
        "EXACT_CASES",
        f"max <r, mu> over the flow polytope = rho V*, {len(differ)} models with S = A = 2",
        "Manne 1960; d'Epenoux 1960",
        f"{len(differ)} models, moves in {{0, 1/3}}, rewards in {{0, 2}}, gamma = 1/2; vertices against policies",
        sum(differ),
    )


FALSIFIED = {"improvement": {"greedy": False}, "occupancies": {"scale": Fraction(99, 100)}}
