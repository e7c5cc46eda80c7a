"""Lemmas on the policy cliff (Xu 2025): how far optimal policies move when the rewards move.

Temperature 1 throughout: rewards and values are divided by the temperature. A change of the rewards by e moves the soft
Q function by e / (1 - gamma) (haarnoja2017:soft_contraction), hence its span by 2 e / (1 - gamma); a quarter of that
bounds the total variation of the policies.
"""

from fractions import Fraction
from itertools import combinations

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.intervals import lower_bound, pinned
from proofs_check.rational import exact
from proofs_check.sos import defect
from proofs_check.symbolic import first_nonzero, softmax_policy

_SOURCE = "Xu 2025, The policy cliff, arXiv:2507.20150"


def lemma_mass_of_a_set(sign: int = 1, n: int = 4) -> Checked:
    """d softmax(x)[A] = pi(A)(1 - pi(A)) (mean of d over A - mean of d outside), for every set A of actions.

    The means differ by the span of d at most: the total variation moves at a rate of at most span / 4, as in
    lemma quarter.
    """
    w, d = sympy.Matrix([sympy.symbols(f"w0:{n}", positive=True)]), sympy.symbols(f"d0:{n}", real=True)
    pi = softmax_policy(w)
    entries = []
    for size in range(1, n):
        for A in combinations(range(n), size):
            mass, others = sum(pi[a] for a in A), [b for b in range(n) if b not in A]
            inside = sum(pi[a] * d[a] for a in A) / mass
            outside = sum(pi[b] * d[b] for b in others) / (1 - mass)
            # x moves along d, and w = exp(x).
            moved = sum(sympy.diff(mass, w[b]) * w[b] * d[b] for b in range(n))
            entries.append(moved - mass * (1 - mass) * (inside - sign * outside))
    return Checked(
        "IDENTITY",
        f"the derivative of softmax(x)[A] along d is pi(A)(1 - pi(A)) (E[d | A] - E[d | not A]), every A, n = {n}",
        _SOURCE + "; derived",
        "exp(x) and d symbolic; every set of actions",
        first_nonzero(entries),
    )


def lemma_quarter(constant: Fraction = Fraction(1, 4)) -> Checked:
    """m (1 - m) (x - y) <= span / 4 where |x - y| <= span: the rate of the total variation."""
    m, gap, span = sympy.symbols("m g s", real=True)
    slack = sympy.Rational(constant) * span - m * (1 - m) * gap
    terms = [(1, m - sympy.Rational(1, 2), span), (1, 1, m, 1 - m, span - gap)]
    return Checked(
        "SOS",
        "span / 4 - m (1 - m) g >= 0 if 0 <= m <= 1, g <= span: integrated, TV <= span(Q - Q') / (4 alpha)",
        _SOURCE + "; derived",
        "(m - 1/2)^2 span + m (1 - m)(span - g), expanded",
        defect(slack, terms, [m, 1 - m, span, span - gap]),
    )


def lemma_two_actions(constant: Fraction = Fraction(1, 4)) -> Checked:
    """s(y + x) - s(y) <= x / 4, s the logistic function, for y in [1/4, 4] and x in [0, 4], by branch and bound."""
    x, y = sympy.symbols("x y", real=True)

    def logistic(z: sympy.Expr) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-z))

    f = sympy.Rational(constant) * x - logistic(y + x) + logistic(y)
    return Checked(
        "INTERVAL",
        "x / 4 - (s(y + x) - s(y)) >= 0 for 1/4 <= y <= 4, 0 <= x <= 4: two actions, spans up to 4",
        _SOURCE + "; derived",
        "branch and bound; first-order Taylor form at x = 0",
        lower_bound(f, {x: (0, 4), y: ("1/4", 4)}, touching=(x, 0), order=1, pin=({x: 1, y: 1}, "0.100261")),
    )


def lemma_half_is_sharp(constant: Fraction = Fraction(49, 100)) -> Checked:
    """TV <= c |R - R'| / (alpha (1 - gamma)) fails for c = 0.49: bandits with rewards (e, -e) and (0, 0), e = 1/10.

    The policies are softmax(1/10, -1/10) and uniform: TV = tanh(1/10) / 2 = 0.04983..., the bound 0.049.
    """
    e = sympy.Symbol("e", positive=True)
    moved = 1 / (1 + sympy.exp(-2 * e)) - Fraction(1, 2)
    violation = moved - sympy.Rational(constant) * e
    return Checked(
        "COUNTEREXAMPLE",
        "TV of soft-optimal policies exceeds 0.49 |R - R'| by more than 8.33e-4 on a bandit, gamma = 0, alpha = 1",
        _SOURCE + "; the instance is derived",
        "enclosure at e = 1/10",
        pinned(violation, {e: "1/10"}, "0.000833"),
    )


def lemma_tight_bandit(rate: Fraction = Fraction(1, 2)) -> Checked:
    """TV / |R - R'| tends to 1/2 on the bandits (e, -e) and (0, 0): the constant 1 / (2 alpha (1 - gamma)) is the best.

    The policies are softmax(e, -e) and uniform, alpha = 1, gamma = 0; for every c < 1/2 some e has TV > c e.
    """
    e = sympy.Symbol("e", real=True)
    moved = softmax_policy(sympy.Matrix([[sympy.exp(e), sympy.exp(-e)]]))[0] - sympy.Rational(1, 2)
    return Checked(
        "IDENTITY",
        "the total variation of softmax(e, -e) and the uniform policy is 0 at e = 0, with slope 1/2",
        _SOURCE + "; the instance is derived",
        "value and derivative at 0",
        first_nonzero([moved.subs(e, 0), sympy.diff(moved, e).subs(e, 0) - sympy.Rational(rate)]),
    )


def lemma_cliff(gap: Fraction = Fraction(1, 10**6)) -> Checked:
    """Without regularisation no modulus of continuity holds: rewards e apart, uniform greedy policies at distance 1/2.

    Rewards (0, 0, -1, -1) have two optimal actions, rewards (e, 0, -1, -1) one.
    """
    low = Fraction("-1")
    rewards = [Fraction(0), Fraction(0), low, low], [exact(gap), Fraction(0), low, low]
    best = [[Fraction(x == max(row)) for x in row] for row in rewards]
    policies = [[x / sum(row) for x in row] for row in best]
    variation = 1 - sum(min(x, y) for x, y in zip(*policies))
    distance = max(abs(x - y) for x, y in zip(*rewards))
    return Checked(
        "COUNTEREXAMPLE",
        "greedy policies, uniform over ties, for rewards 10^-6 apart: TV = 1/2, far above 10^5 |R - R'|",
        _SOURCE + ", discontinuity where the optimal action is not unique",
        "rewards (0, 0, -1, -1) and (e, 0, -1, -1), e = 10^-6; TV - 10^5 e",
        witness(variation - 10**5 * distance, Fraction(2, 5)),
    )


FALSIFIED = {
    "mass_of_a_set": {"sign": -1},
    "quarter": {"constant": Fraction(1, 5)},
    "two_actions": {"constant": Fraction(1, 5)},
    "half_is_sharp": {"constant": Fraction(1, 2)},
    "tight_bandit": {"rate": Fraction(49, 100)},
    "cliff": {"gap": Fraction(1, 10)},
}
