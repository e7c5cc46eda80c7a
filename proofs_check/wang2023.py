"""Lemmas of policy gradient for robust problems (Wang, Ho, Petrik 2023): nature's problem has no bad stationary point.

Costs c, to be maximised by nature; J = rho v, v = (I - gamma P)^-1 (sum_t P c) for the chain P under a fixed policy.
"""

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: the occupancy of the old kernel, a gradient without the discounted value.
FALSIFIED = {"kernel_difference": {"occupancy": "old"}, "kernel_gradient": {"discounted": False}}

_SOURCE = "Wang, Ho, Petrik 2023, DRPG; derived"


def lemma_kernel_difference(occupancy: str = "new") -> Checked:
    """J(P') - J(P) = sum_s n'(s) sum_t (P' - P)(s, t) (c(s, t) + gamma v(t)), n' the occupancy under P', v under P.

    For rectangular sets the sum over s is largest state by state, where it is non-negative, and n' <= n max n'/n with
    n >= rho: J(P') - J(P) <= max n' / rho times the best linear improvement <P'' - P, grad J(P)>. A stationary kernel
    is a worst one.
    """
    P, new = (sympy.Matrix(2, 2, sympy.symbols(f"{name}0:4", positive=True)) for name in "pq")
    gamma = sympy.Symbol("gamma", positive=True)
    c = sympy.Matrix(2, 2, sympy.symbols("c00 c01 c10 c11", real=True))
    rho = sympy.Matrix(1, 2, sympy.symbols("rho0 rho1", positive=True))
    ones = sympy.ones(2, 1)

    def resolvent(chain: sympy.Matrix) -> sympy.Matrix:
        return (sympy.eye(2) - gamma * chain).inv(method="ADJ")

    v, new_v = (resolvent(chain) * chain.multiply_elementwise(c) * ones for chain in (P, new))
    visits = rho * resolvent(new if occupancy == "new" else P)
    gain = (new - P).multiply_elementwise(c + gamma * ones * v.T) * ones
    difference = (rho * (new_v - v))[0] - (visits * gain)[0]
    return Checked(
        "IDENTITY",
        "J(P') - J(P) = sum n'(s) (P' - P)(s, .) (c(s, .) + gamma v), two states, all kernels, costs, rho and gamma",
        _SOURCE,
        "rational functions of all parameters; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(difference))[0]),
    )


def lemma_kernel_gradient(discounted: bool = True) -> Checked:
    """dJ / dP(s, t) = n(s) (c(s, t) + gamma v(t)) with the entries of the kernel taken as free numbers."""
    P = sympy.Matrix(2, 2, sympy.symbols("p00 p01 p10 p11", positive=True))
    gamma = sympy.Symbol("gamma", positive=True)
    c = sympy.Matrix(2, 2, sympy.symbols("c00 c01 c10 c11", real=True))
    rho = sympy.Matrix(1, 2, sympy.symbols("rho0 rho1", positive=True))
    resolvent = (sympy.eye(2) - gamma * P).inv(method="ADJ")
    v = resolvent * P.multiply_elementwise(c) * sympy.ones(2, 1)
    visits = rho * resolvent
    objective = (rho * v)[0]
    defects = []
    for s in range(2):
        for t in range(2):
            claimed = visits[s] * (c[s, t] + (gamma if discounted else 1) * v[t])
            defects.append(sympy.fraction(sympy.together(sympy.diff(objective, P[s, t]) - claimed))[0])
    return Checked(
        "IDENTITY",
        "dJ / dP(s, t) = n(s) (c(s, t) + gamma v(t)), two states, all kernels, costs, rho and gamma",
        _SOURCE,
        "derivatives of the rational function J; numerators expand to 0, squared",
        sum(sympy.expand(defect) ** 2 for defect in defects),
    )
