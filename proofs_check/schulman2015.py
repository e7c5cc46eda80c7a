"""Lemmas of Schulman et al. 2015 (TRPO): the bound is attained, greedy mixtures need a quarter of it, averages fail."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.rational import dot, policy_value, q_value

# Arguments that make each statement false: constants, a power, and a discount at which the witness is none.
FALSIFIED = {
    "tight": {"constant": 3},
    "greedy_tight": {"constant": 2},
    "occupancy_shift": {"power": 2},
    "mean_kl": {"gamma": Fraction(9, 10)},
}

_SOURCE = "Schulman et al. 2015, arXiv:1502.05477, Theorem 1"


def lemma_tight(constant: int = 4) -> Checked:
    """On the two-state instance the shortfall is 4 eps gamma a^2 / ((1 - gamma)(1 - gamma + gamma a))."""
    g, a, eps = sympy.symbols("gamma alpha epsilon", positive=True)
    half = sympy.Rational(1, 2)
    P = [sympy.Matrix([[1, 0], [1, 0], [0, 1]]), sympy.Matrix([[0, 1]] * 3)]
    # A common shift c of the rewards keeps V from vanishing, and cancels. The last action of state 1 is never taken.
    c = sympy.Symbol("c", real=True)
    r = sympy.Matrix([[c - eps, c + eps, c + eps], [c + eps, c - eps, c]])
    pi = sympy.Matrix([[half, half, 0], [half, half, 0]])
    new = pi + sympy.Matrix([[-a, 0, a], [-a, a, 0]])
    shortfall = _shortfall(P, r, pi, new, g)
    claimed = constant * eps * g * a**2 / ((1 - g) * (1 - g + g * a))
    return Checked(
        "IDENTITY",
        "L(pi') - J(pi') = 4 eps gamma alpha^2 / ((1 - gamma)(1 - gamma + gamma alpha)) on trpo_tight, all parameters",
        _SOURCE + "; instance derived",
        "both sides as rational functions of gamma, alpha, eps; exact solution of the two linear systems",
        sympy.cancel(shortfall - claimed),
    )


def _shortfall(P: list, r: sympy.Matrix, pi: sympy.Matrix, new: sympy.Matrix, g: sympy.Symbol) -> sympy.Expr:
    """L(new) - J(new) from state 0, symbolically."""
    S = len(P)

    def under(policy: sympy.Matrix) -> tuple[sympy.Matrix, sympy.Matrix]:
        chain = sympy.Matrix([[(policy[s, :] * P[s])[t] for t in range(S)] for s in range(S)])
        rewards = sympy.Matrix([(policy[s, :] * r[s, :].T)[0] for s in range(S)])
        return sympy.eye(S) - g * chain, rewards

    resolvent, rewards = under(pi)
    value = resolvent.LUsolve(rewards)
    occupancy = resolvent.T.LUsolve(sympy.Matrix([1] + [0] * (S - 1)))
    q = [r[s, :].T + g * P[s] * value for s in range(S)]
    gain = sum(occupancy[s] * ((new[s, :] * q[s])[0] - value[s]) for s in range(S))
    resolvent_new, rewards_new = under(new)
    return sympy.together(value[0] + gain - resolvent_new.LUsolve(rewards_new)[0])


def lemma_greedy_tight(constant: int = 1) -> Checked:
    """On `greedy_tight` the greedy mixture loses exactly eps gamma a^2 / ((1 - gamma)(1 - gamma + gamma a))."""
    g, a, eps = sympy.symbols("gamma alpha epsilon", positive=True)
    P = [sympy.Matrix([[1, 0], [0, 1]]), sympy.Matrix([[0, 1], [0, 1]])]
    c = sympy.Symbol("c", real=True)
    r = sympy.Matrix([[c, c + eps], [c, c]])
    pi = sympy.Matrix([[1, 0], [1, 0]])
    new = sympy.Matrix([[1 - a, a], [1, 0]])
    claimed = constant * eps * g * a**2 / ((1 - g) * (1 - g + g * a))
    return Checked(
        "IDENTITY",
        "L - J = eps gamma alpha^2 / ((1 - gamma)(1 - gamma + gamma alpha)) for the greedy mixture on greedy_tight",
        "derived",
        "both sides as rational functions of gamma, alpha, eps",
        sympy.cancel(_shortfall(P, r, pi, new, g) - claimed),
    )


def lemma_occupancy_shift(power: int = 1) -> Checked:
    """sum_t gamma^t (1 - (1 - a)^t) = gamma a / ((1 - gamma)(1 - gamma (1 - a))): how much occupancy a mixture moves.

    A trajectory of the mixture with weight a follows pi up to t with probability (1 - a)^t at least, so that the
    occupancies differ by at most this much in total variation. For the greedy policy the expected advantage lies in
    [0, eps], hence L - J <= a eps times this: the constant 1.
    """
    g, a = sympy.symbols("gamma alpha", positive=True)
    # Geometric sums, valid for gamma < 1 and 0 < alpha <= 1.
    total = 1 / (1 - g) - 1 / (1 - g * (1 - a))
    return Checked(
        "IDENTITY",
        "1/(1 - gamma) - 1/(1 - gamma (1 - alpha)) = gamma alpha / ((1 - gamma)(1 - gamma (1 - alpha)))",
        "derived; Kakade and Langford 2002, section 4",
        "difference of two geometric sums",
        sympy.cancel(total - g * a**power / ((1 - g) * (1 - g * (1 - a)))),
    )


def lemma_mean_kl(gamma: Fraction = Fraction(1, 1000)) -> Checked:
    """With the average of KL over d_pi in place of the largest, the bound is false: an exact witness.

    KL(p || q) <= sum (p - q)^2 / q makes the right side rational.
    """
    leave, beta, a, eps = Fraction(1, 10), Fraction(1, 5), Fraction(1, 1000), Fraction(1)
    high, stay = (1 - 3 * leave) / (1 - leave), (1 - leave) / 2
    half = Fraction(1, 2)
    pi = [[stay, stay, leave], [half, half, Fraction(0)]]
    new = [[stay - a, stay, leave + a], [half - beta, half + beta, Fraction(0)]]
    # Shifted by 1, which keeps the values from vanishing and changes nothing else.
    rewards = [[1 - eps, 1 + high, 1 + eps], [1 + eps, 1 - eps, Fraction(1)]]
    P = [[[1, 0], [1, 0], [0, 1]], [[0, 1]] * 3]
    value, moved = policy_value(P, rewards, gamma, pi), policy_value(P, rewards, gamma, new)
    q = q_value(P, rewards, gamma, value)
    advantages = [[x - v for x in row] for row, v in zip(q, value)]
    # Visits of state 0 are a geometric series; the rest of the time is spent in state 1.
    visits = 1 / (1 - gamma * (1 - leave))
    occupancy = [visits, 1 / (1 - gamma) - visits]
    surrogate = value[0] + sum(w * dot(row, adv) for w, row, adv in zip(occupancy, new, advantages))
    chi2 = [sum((x - y) ** 2 / y for x, y in zip(old, other) if y) for old, other in zip(pi, new)]
    mean = (1 - gamma) * dot(occupancy, chi2)
    largest = max(abs(x) for row, law in zip(advantages, pi) for x, w in zip(row, law) if w)
    violation = surrogate - moved[0] - 4 * largest * gamma / (1 - gamma) ** 2 * mean
    return Checked(
        "COUNTEREXAMPLE",
        "J(pi') >= L(pi') - 4 eps gamma / (1 - gamma)^2 sum_s d(s) KL(pi(s) || pi'(s)) fails by 2.77e-7 or more",
        "the practical constraint of Schulman et al. 2015, section 6",
        f"rare_state(1/10, {gamma}), state 0 changed by 1/1000, state 1 by 1/5; KL <= chi^2",
        witness(violation, "2634654905880580/9487162482136077705939"),
    )
