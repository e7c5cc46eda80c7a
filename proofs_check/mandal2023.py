"""Lemmas of performative reinforcement learning (Mandal, Triantafyllou, Radanovic 2023).

Repeated optimisation: d_{t+1} maximises <d, r_t> - lam/2 |d|^2 over the flow polytope of the kernel P_t, where (P_t,
r_t) answer the policy of d_t. Occupancies have mass 1 / (1 - gamma).
"""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a factor smaller by half, a response too gentle to make the policies cycle.
FALSIFIED = {
    "one_state_factor": {"factor": Fraction(1, 2)},
    "large_weight_is_not_enough": {"steepness": Fraction(1, 4)},
}

_SOURCE = "Mandal, Triantafyllou, Radanovic 2023, arXiv:2207.00046"


def lemma_one_state_factor(factor: Fraction = Fraction(1), n: int = 3) -> Checked:
    """With one state and rewards r0 + eps W d, W = I, a step scales differences by exactly eps / lam.

    Where no occupancy is 0 the step is the projection of (r0 + eps d) / lam on the plane of mass M. So it contracts if
    eps < lam, and moves apart if eps > lam: the threshold lam > eps of reward-only environments is sharp.
    """
    eps, lam, mass = sympy.symbols("eps lam M", positive=True)
    r = sympy.Matrix(sympy.symbols(f"r0:{n}", real=True))
    start = []
    for name in "de":
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        start.append(sympy.Matrix([*free, mass - sum(free)]))

    def step(d: sympy.Matrix) -> sympy.Matrix:
        target = (r + eps * d) / lam
        return target + (mass - sum(target)) / n * sympy.ones(n, 1)

    one, other = (step(d) for d in start)
    defect = one - other - sympy.Rational(factor) * eps / lam * (start[0] - start[1])
    kept = [sympy.expand(sum(d) - mass) for d in (one, other)]
    return Checked(
        "IDENTITY",
        f"d' - e' = (eps / lam)(d - e) for one state, {n} actions, rewards r0 + eps d, occupancies positive",
        _SOURCE + ", repeated optimisation; instance derived",
        "projection on the plane of constant mass; squared defects of the difference and of the mass",
        sympy.expand(sum(x**2 for x in (*defect, *kept))),
    )


def lemma_large_weight_is_not_enough(steepness: Fraction = Fraction(1, 2)) -> Checked:
    """However large lam is, repeated optimisation may cycle: two policies that answer each other, whatever lam is.

    Two states, two actions, gamma = 9/10, no rewards: for every lam > 0 the step is the occupancy of least norm,
    A^T (A A^T)^-1 rho where that is positive. P(first state | s, a) = b + u c; u = (pi - 3/10) / 2 cut off at -1/10 and
    1/10, pi the probability of the first action in the first state. u = 1/10 leads to a policy that is answered by u =
    -1/10, and the other way round. As d(s) >= 1/2, pi is 2-Lipschitz in the occupancy and the kernel 2
    sqrt(2)-Lipschitz, rewards 0-Lipschitz: a threshold for lam in terms of these constants alone cannot be enough (the
    published one, as recalled, is of this form).
    """
    gamma, rho = Fraction(9, 10), sympy.Matrix([Fraction(1, 2), Fraction(1, 2)])
    b = ((Fraction(1, 10), Fraction(1, 5)),) * 2
    c = ((-1, 1), (-1, -1))
    tenth = sympy.Rational(1, 10)

    def answer(pi: sympy.Rational) -> sympy.Rational:
        free = sympy.Rational(steepness) * (pi - sympy.Rational(3, 10))
        return max(min(free, tenth), -tenth)

    def step(u: sympy.Rational) -> sympy.Matrix:
        """Occupancy of least norm under the kernel that u makes: (0, 0), (0, 1), (1, 0), (1, 1)."""
        pairs = [(s, a) for s in range(2) for a in range(2)]
        flow = sympy.zeros(2, 4)
        for k, (s, a) in enumerate(pairs):
            first = b[s][a] + u * c[s][a]
            for t, move in enumerate((first, 1 - first)):
                flow[t, k] = int(s == t) - sympy.Rational(gamma) * move
        return flow.T * (flow * flow.T).LUsolve(rho)

    found = {u: step(u) for u in (tenth, -tenth)}
    policy = {u: d[0] / (d[0] + d[1]) for u, d in found.items()}
    positive = all(min(d) > 0 and sum(d) == 10 for d in found.values())
    cycles = all(answer(pi) == -u for u, pi in policy.items())
    gap = policy[-tenth] - policy[tenth]
    return Checked(
        "COUNTEREXAMPLE",
        "repeated optimisation without rewards has a 2-cycle that does not depend on lam: no lam makes it converge",
        _SOURCE + ", Theorem 1 as recalled, not as read; witness derived",
        f"probabilities of the first action in the first state: {[str(pi) for pi in policy.values()]}",
        gap if positive and cycles and Fraction(49, 100) < gap < Fraction(1, 2) else 0,
    )
