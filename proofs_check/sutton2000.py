"""Lemmas of Sutton et al. 2000: the policy gradient theorem, and what it does not need."""

from collections.abc import Callable
from fractions import Fraction

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.symbolic import TwoByTwo, first_nonzero, softmax_policy

_SOURCE = "Sutton, McAllester, Singh, Mansour 2000, Theorem 1"


def lemma_policy_gradient(weight: Callable = lambda occupancy, gamma: occupancy) -> Checked:
    """dJ / dtheta[s, a] = D[s] pi[s, a] (Q[s, a] - V[s]), D the unnormalised occupancy, for tabular softmax policies.

    Two steps: dJ / dpi[s, b] = D[s] Q[s, b] with the entries of pi independent, and the derivative of the softmax, row
    by row, with V = sum_b pi_b Q_b.
    """
    model, rho = TwoByTwo(), sympy.Symbol("rho", real=True)
    pi = sympy.Matrix(2, 2, sympy.symbols("pi00 pi01 pi10 pi11", real=True))
    start = sympy.Matrix([[rho, 1 - rho]])
    value = model.value(pi)
    q, occupancy, objective = model.q(value), start * model.resolvent(pi), (start * value)[0]
    direct = [
        sympy.diff(objective, pi[s, b]) - weight(occupancy[s], model.gamma) * q[s, b]
        for s in range(2)
        for b in range(2)
    ]
    w, Q = sympy.symbols("w0:2", positive=True), sympy.symbols("Q0:2", real=True)
    row = softmax_policy(sympy.Matrix([w]))
    mean = row[0] * Q[0] + row[1] * Q[1]
    # d/dtheta = w d/dw where w = exp(theta).
    chain = [w[a] * sum(sympy.diff(row[b], w[a]) * Q[b] for b in range(2)) - row[a] * (Q[a] - mean) for a in range(2)]
    return Checked(
        "IDENTITY",
        "d J / d theta[s, a] = D[s] pi[s, a] (Q[s, a] - V[s]) for all models and softmax policies with S = A = 2",
        _SOURCE,
        "moves, rewards, start, discount and policy symbolic; numerators of all entries expand to 0",
        first_nonzero([sum(start) - 1, *direct, *chain]),
    )


def lemma_baseline(share: Fraction = Fraction(1)) -> Checked:
    """sum_a d pi[a] / d theta[b] = 0: a baseline that does not depend on the action leaves the gradient unbiased."""
    w = sympy.Matrix(1, 4, sympy.symbols("w0:4", positive=True))
    pi = softmax_policy(w)
    entries = [sum(pi[a] * (sympy.Integer(a == b) - sympy.Rational(share) * pi[b]) for a in range(4)) for b in range(4)]
    return Checked(
        "IDENTITY",
        "sum_a pi[a] (1{a = b} - pi[b]) = 0 for softmax policies, n = 4",
        _SOURCE + ", with the remark on baselines",
        "exp(theta) symbolic",
        first_nonzero(entries),
    )


def lemma_drop_of_discount(gamma: Fraction = Fraction(9, 10)) -> Checked:
    """The gradient without the factor gamma^t is none of J: at an optimum of J it does not vanish.

    Two states, from 0 to 1 to an end. The same parameter x is the probability of action 1 in both: it pays -1 in
    state 0 and 1 / gamma in state 1, so that J = -x + gamma x / gamma = 0 for every x, with gradient 0. Without the
    discount of the visit the estimator has the mean -1 + 1 / gamma.
    """
    rewards = [Fraction("-1"), 1 / gamma]
    objective = rewards[0] + gamma * rewards[1]
    undiscounted = rewards[0] + rewards[1]
    return Checked(
        "COUNTEREXAMPLE",
        "the mean of sum_t Q(s_t, a_t) grad log pi, without gamma^t, is 1/9 where J is constant",
        "derived; the undiscounted occupancy in common implementations",
        f"two decisions that share one parameter, gamma = {gamma}",
        witness(undiscounted if objective == 0 else 0, "1/9"),
    )


FALSIFIED = {
    "policy_gradient": {"weight": lambda occupancy, gamma: 1 / (1 - gamma)},
    "baseline": {"share": Fraction(1, 2)},
    "drop_of_discount": {"gamma": Fraction(1)},
}
