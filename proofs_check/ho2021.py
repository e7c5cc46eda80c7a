"""Partial policy iteration (Ho, Petrik, Wiesemann 2021): what tolerances that shrink faster than gamma^k give."""

import sympy

from proofs_check.checked import Checked

# Arguments that make the statement false: without the errors that a step inherits.
FALSIFIED = {"recursion": {"inherited": 0}}

_SOURCE = "Ho, Petrik, Wiesemann 2021, partial policy iteration; constants derived"


def lemma_recursion(inherited: int = 1) -> Checked:
    """d_{k+1} = gamma d_k + gamma e_k + e_{k+1} with e_k = e_1 (gamma g)^(k-1) is solved by

    d_k = gamma^(k-1) (d_1 + e_1 (1 + g)(1 - g^(k-1)) / (1 - g)), at most gamma^(k-1) (d_1 + 2 e_1 / (1 - g)).

    Here gamma^c = gamma g, g = gamma^(c-1) < 1. The limit of the bracket is (1 + g) / (1 - g): a little less than the 2
    of the notes. With constant tolerances (gamma g = 1) nothing decays.
    """
    gamma, g, d, e = sympy.symbols("gamma g d_1 e_1", positive=True)
    power, ratio = sympy.symbols("G W", positive=True)  # gamma^(k-1) and g^(k-1)

    def solution(decay: sympy.Expr, shrink: sympy.Expr) -> sympy.Expr:
        return decay * (d + e * (1 + inherited * g) * (1 - shrink) / (1 - g))

    now, after = solution(power, ratio), solution(gamma * power, g * ratio)
    errors = gamma * e * power * ratio + e * gamma * g * power * ratio
    defects = (sympy.cancel(after - gamma * now - errors), solution(1, 1) - d)
    return Checked(
        "IDENTITY",
        "d_{k+1} = gamma d_k + gamma e_k + e_{k+1} has the solution gamma^(k-1) (d_1 + e_1 (1+g)(1-g^(k-1)) / (1-g))",
        _SOURCE,
        "start and induction step, gamma^(k-1) and g^(k-1) as symbols; sum of squared defects",
        sum(sympy.expand(defect) ** 2 for defect in defects),
    )
