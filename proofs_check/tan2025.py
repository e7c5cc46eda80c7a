"""Lemmas behind the optimistic actor-critics (Tan, Fan, Wei 2025): the Boltzmann actor, counting switches, the target.

All derived: of the paper only the abstract was visible.
"""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked, failed_cases, witness

# Arguments that make each statement false.
FALSIFIED = {
    "boltzmann_gap": {"steps": 2},
    "gap_maximum": {"shift": 0},
    "doublings": {"first": 0},
    "on_policy_target": {"share": Fraction(1)},
}
_SOURCE = "Tan, Fan, Wei 2025"


def lemma_boltzmann_gap(steps: int = 1, A: int = 3) -> Checked:
    """x_max - sum pi x = H(pi) + log max pi for pi = softmax(x), x = eta n f; A = 3, x_1 the largest.

    With w_a = exp(x_a) as symbols: sum pi (log w_1 - log w_a) = -sum pi log pi + log pi_1.
    """
    w = sympy.symbols(f"w0:{A}", positive=True)
    total = sum(w)
    gap = sum(x / total * (sympy.log(w[0]) - sympy.log(x)) for x in w)
    log_pi = [steps * sympy.log(x) - sympy.log(total) for x in w]
    # That these are the logarithms of a distribution is part of the statement.
    mass = sympy.simplify(sum(sympy.exp(sympy.expand_log(x)) for x in log_pi) - 1)
    entropy = log_pi[0] - sum(x / total * y for x, y in zip(w, log_pi))
    off = sympy.simplify(sympy.expand(gap - entropy))
    return Checked(
        "IDENTITY",
        "eta n (max f - <pi, f>) = H(pi) + log max pi for pi ~ exp(eta n f)",
        _SOURCE + ", actor; derived",
        f"{A} actions, the exponentials as positive symbols; absolute defects, that of the sum of pi too",
        sympy.Matrix([off, mass]).norm(1),
    )


def lemma_gap_maximum(shift: int = 1) -> Checked:
    """g(x) = sum x_i e^(-x_i) / (1 + sum e^(-x_i)) is stationary only where every x_i = 1 + g, and then g = m e^(-1-g).

    That is g e^g = m / e, g = W(m / e), m = A - 1 the number of other actions. With y_i = e^(-x_i), the derivative in
    x_i is y_i (1 - x_i + g) / (1 + sum y), shown for two other actions; on the diagonal the value is fixed.
    """
    x = sympy.symbols("x0:2", real=True)
    y = [sympy.exp(-t) for t in x]
    total = 1 + sum(y)
    g = sum(s * t for s, t in zip(x, y)) / total
    slope = sympy.simplify(sympy.diff(g, x[0]) - y[0] * (shift - x[0] + g) / total)
    # On the diagonal, m (1 + g) e^(-1-g) / (1 + m e^(-1-g)) = g is g = m e^(-1-g).
    value, m, power = sympy.symbols("g m E", positive=True)
    diagonal = (m * (1 + value) * power - value * (1 + m * power)).subs(m, value / power)
    return Checked(
        "IDENTITY",
        "d/dx_i of sum x e^-x / (1 + sum e^-x) is e^-x_i (1 - x_i + g) / (1 + sum e^-x); its maximum has g e^g = m / e",
        _SOURCE + ", tracking error; derived",
        "two actions besides the best, by derivative; the diagonal with e^(-1-g) as a symbol; absolute defects",
        sympy.Matrix([slope, sympy.expand(diagonal)]).norm(1),
    )


def lemma_doublings(first: int = 1) -> Checked:
    """A count that grows by one is found new or doubled since the last time 1 + floor(log2 n) times until it is n.

    Other pairs' switches only raise the mark; hence S A H (1 + log2 T) switches at most in all.
    """
    slacks, last, found = [], 0, 0
    counts = tuple(range(1, 301))
    for n in counts:
        if n >= 2 * max(last, Fraction(1, 2)):
            found, last = found + 1, n
        # 2^(count - first) <= n is count <= first + log2 n.
        slacks.append(Fraction(n) - Fraction(2) ** (found - first))
    return Checked(
        "EXACT_CASES",
        "switches for one pair <= 1 + log2 n for n <= 300, with equality at powers of 2",
        _SOURCE + ", rare switching; derived",
        "the rule replayed on one count; least slack of n - 2^(switches - 1) is 0",
        failed_cases(slacks, 0),
    )


def lemma_on_policy_target(share: Fraction = Fraction(1, 2)) -> Checked:
    """Two decisions: backing up the mean under a uniform actor puts the critic below V*, the maximum does not.

    Left ends at 0, right leads to a second choice between 1 and 1/4, which the actor takes evenly. All pairs seen, no
    bonus: the critic says 5/8, V* = 1.
    """
    second = (Fraction(1), Fraction(1, 4))
    critic = max(Fraction(0), share * second[0] + (1 - share) * second[1])
    optimum = max(Fraction(0), max(second))
    # The maximum as a target is the mean under an actor that takes the better one.
    return Checked(
        "COUNTEREXAMPLE",
        "a critic that backs up E_pi is optimistic whenever the model is known: fails by 3/8 for a uniform actor",
        _SOURCE + ", off-policy target; derived",
        "two decisions, exact",
        witness(optimum - critic, "3/8"),
    )
