"""Lemma of Ng, Harada and Russell 1999: potential-based shaping moves values by the potential, and nothing else."""

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import TwoByTwo, first_nonzero, two_state_policy


def lemma_shaping(discounts: int = 1) -> Checked:
    """With rewards r + gamma E Phi(s') - Phi(s), V^pi becomes V^pi - Phi for every policy; advantages stay."""
    model, pi = TwoByTwo(), two_state_policy("x")
    potential = sympy.Matrix(sympy.symbols("f0 f1", real=True))
    shaped = sympy.Matrix(
        2,
        2,
        lambda s, a: model.r[s, a] + model.gamma**discounts * (model.row(s, a) * potential)[0] - potential[s],
    )
    value, new = model.value(pi), model.value(pi, shaped)
    moved_q = model.q(new, shaped) - model.q(value)
    # model.q has gamma V in it: equal to Q - Phi once V' = V - Phi is known, and checked on its own.
    entries = [*(new - value + potential), *(moved_q + potential * sympy.ones(1, 2))]
    return Checked(
        "IDENTITY",
        "V' = V - Phi and Q' = Q - Phi for rewards r + gamma P Phi - Phi, every policy, S = A = 2",
        "Ng, Harada, Russell 1999, Theorem 1",
        "moves, rewards, discount, policy and potential symbolic; numerators expand to 0",
        first_nonzero(entries),
    )


FALSIFIED = {"shaping": {"discounts": 2}}
