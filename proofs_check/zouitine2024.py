"""Lemmas of IWOCS (Zouitine, Geist, Rachelson 2024): its bracket holds always, and may still be open at the end."""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a discount at which the method closes, a bracket with its ends exchanged.
FALSIFIED = {"stall": {"gamma": Fraction(1, 2)}, "bracket": {"exchanged": True}}

_SOURCE = "Zouitine, Geist, Rachelson 2024"
# Three states, two actions; deterministic successors among which nature chooses for each state and action.
_REWARDS = ((6, 7), (8, 2), (0, 9))
_SUCCESSORS = (((0, 2), (0, 1)), ((0,), (2,)), ((1,), (2, 1)))
_STATES, _ACTIONS = range(3), range(2)


def _evaluate(model: tuple, policy: tuple, gamma: Fraction) -> list[Fraction]:
    """Value of a policy in a model that names the successor of each state and action."""
    chain = sympy.Matrix(3, 3, lambda s, t: int(model[s][policy[s]] == t))
    rewards = sympy.Matrix([_REWARDS[s][policy[s]] for s in _STATES])
    solution = (sympy.eye(3) - sympy.Rational(gamma) * chain).LUsolve(rewards)
    return [Fraction(int(x.p), int(x.q)) for x in solution]


def _models() -> list[tuple]:
    rows = [product(*actions) for actions in _SUCCESSORS]
    return list(product(*rows))


def _optimal_q(model: tuple, gamma: Fraction) -> list[list[Fraction]]:
    """Action values of the best policy, found among all eight: it is best in every state at once."""
    values = [_evaluate(model, policy, gamma) for policy in product(_ACTIONS, repeat=3)]
    v = [max(column) for column in zip(*values)]
    return [[_REWARDS[s][a] + gamma * v[model[s][a]] for a in _ACTIONS] for s in _STATES]


def _iwocs(gamma: Fraction) -> tuple[list[tuple[Fraction, Fraction]], int]:
    """Brackets of the robust value of state 0, an iteration each, and how many models were used.

    Starts from the first model. Among the worst models for the policy it takes one that is new, and stops when there is
    none or when the bracket closes.
    """
    models = _models()
    used, brackets = [models[0]], []
    q = _optimal_q(models[0], gamma)
    while True:
        policy = tuple(row.index(max(row)) for row in q)
        found = {model: _evaluate(model, policy, gamma)[0] for model in models}
        low = min(found.values())
        brackets.append((low, max(q[0])))
        new = [model for model in models if found[model] == low and model not in used]
        if not new or brackets[-1][0] == brackets[-1][1]:
            return brackets, len(used)
        used.append(new[0])
        q = [[min(pair) for pair in zip(*rows)] for rows in zip(q, _optimal_q(new[0], gamma))]


def _robust_value(gamma: Fraction) -> Fraction:
    """max-min over policies and models, by enumeration: stationary deterministic choices suffice."""
    models = _models()
    return max(min(_evaluate(model, policy, gamma)[0] for model in models) for policy in product(_ACTIONS, repeat=3))


def lemma_bracket(exchanged: bool = False) -> Checked:
    """At every iteration min over models of V^policy(s0) <= robust value <= Q_i(s0), for four discounts.

    The values are 28/3, 14, 70 and 700; the iterations 1, 1, 3 and 3."""
    outcomes = []
    values = {Fraction(1, 4): Fraction(28, 3), Fraction(1, 2): 14, Fraction(9, 10): 70, Fraction(99, 100): 700}
    lengths = []
    for gamma, truth in values.items():
        outcomes.append(_robust_value(gamma) == truth)
        brackets, used = _iwocs(gamma)
        lengths.append((len(brackets), used))
        for low, high in brackets:
            ends = (high, low) if exchanged else (low, high)
            outcomes.append(sorted((low, truth, high)) == [ends[0], truth, ends[1]])
    outcomes.append(lengths == [(1, 1), (1, 1), (3, 3), (3, 3)])
    return Checked(
        "EXACT_CASES",
        "IWOCS brackets the robust value of the start state at every iteration: eight models, four discounts",
        _SOURCE + "; the certificate is derived",
        f"{len(outcomes)} comparisons on a game of eight models, four discounts; the value by enumeration",
        outcomes.count(False),
    )


def lemma_stall(gamma: Fraction = Fraction(9, 10)) -> Checked:
    """With gamma = 9/10 IWOCS stops after three models: every worst model for its policy has been used already.

    The bracket then is [1042/19, 70]. The value is 70, so the policy that it returns is not the robust one; the
    residual is what it loses.
    """
    brackets, used = _iwocs(gamma)
    *_, (low, high) = brackets
    loss = high - low
    stalled = (used, low, _robust_value(gamma)) == (3, Fraction(1042, 19), 70)
    return Checked(
        "COUNTEREXAMPLE",
        "IWOCS stops on a three-state game of eight models, bracket [1042/19, 70], its policy 288/19 from optimal",
        _SOURCE + ", stall when the worst model is already in the set; instance derived",
        f"brackets {[(str(x), str(y)) for x, y in brackets]}, {used} models",
        loss if stalled and loss == Fraction(288, 19) else Fraction(0),
    )
