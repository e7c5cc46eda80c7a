"""Lemmas behind N-VR-PG (Barakat et al. 2023): unbiased corrections, bounded scores, the dual bound of the program."""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.sos import defect
from proofs_check.symbolic import TwoByTwo, first_nonzero, two_state_policy

_SOURCE = "Barakat, Fatkhullin, He 2023"
_START = sympy.Symbol("rho", real=True)


def _trajectories(pi: sympy.Matrix, old: sympy.Matrix, turn: int) -> list[tuple]:
    """(probability under pi, weight of old against pi, the two visited pairs) of the 16 trajectories of two steps."""
    model, start, out = TwoByTwo(), (_START, 1 - _START), []
    for s0, a0, s1, a1 in product(range(2), repeat=4):
        chance = start[s0] * pi[s0, a0] * model.row(s0, a0)[s1] * pi[s1, a1]
        weight = (old[s0, a0] / pi[s0, a0] * old[s1, a1] / pi[s1, a1]) ** turn
        out.append((chance, weight, ((s0, a0), (s1, a1))))
    return out


def _occupancy(pi: sympy.Matrix) -> sympy.Matrix:
    """sum_{t < 2} gamma^t P(s_t = s, a_t = a), (2, 2), forward in time."""
    model, p = TwoByTwo(), sympy.Matrix([[_START, 1 - _START]])
    visits = p + model.gamma * p * model.chain(pi)
    return sympy.Matrix(2, 2, lambda s, a: visits[s] * pi[s, a])


def lemma_occupancy_correction(turn: int = 1) -> Checked:
    """E w = 1 and E lambda(tau) (1 - w) = lambda_H(theta) - lambda_H(theta'), for two steps and S = A = 2."""
    pi, old, gamma = two_state_policy("x"), two_state_policy("y"), TwoByTwo().gamma
    total, mean = sympy.Integer(0), sympy.zeros(2, 2)
    for chance, weight, pairs in _trajectories(pi, old, turn):
        total += chance * weight
        for t, (s, a) in enumerate(pairs):
            mean[s, a] += gamma**t * chance * (1 - weight)
    return Checked(
        "IDENTITY",
        "E w = 1 and E lambda(tau)(1 - w) = lambda_H(theta) - lambda_H(theta') for H = 2, S = A = 2",
        f"{_SOURCE}, N-VR-PG",
        "moves, start, discount and both policies symbolic; all 16 trajectories; numerators expand to 0",
        first_nonzero([total - 1, *(mean - _occupancy(pi) + _occupancy(old))]),
    )


def lemma_gradient_correction(turn: int = 1) -> Checked:
    """E g(tau, theta, r) - w g(tau, theta', r') is the difference of the gradients of <lambda_H, r> and <lambda_H, r'>.

    Softmax policies, so that dx / d theta[s, 0] = x (1 - x) for the first probability x of a row.
    """
    pi, old, gamma = two_state_policy("x"), two_state_policy("y"), TwoByTwo().gamma
    r, r_old = (sympy.Matrix(2, 2, sympy.symbols(f"{k}00 {k}01 {k}10 {k}11", real=True)) for k in "uv")
    mean = sympy.zeros(2, 2)
    for chance, weight, pairs in _trajectories(pi, old, turn):
        for policy, rewards, factor in ((pi, r, chance), (old, r_old, -chance * weight)):
            second = gamma * rewards[pairs[1]]
            for (s, a), to_go in zip(pairs, (rewards[pairs[0]] + second, second)):
                for b in range(2):
                    mean[s, b] += factor * to_go * (sympy.Integer(a == b) - policy[s, b])
    differences = []
    for s in range(2):
        slope = sympy.Integer(0)
        for policy, rewards, sign in ((pi, r, 1), (old, r_old, -1)):
            x = policy[s, 0]
            value = sum(_occupancy(policy).multiply_elementwise(rewards))
            slope += sign * sympy.diff(value, x) * x * policy[s, 1]
        differences += [mean[s, 0] - slope, mean[s, 1] + slope]
    return Checked(
        "IDENTITY",
        "E[g(tau, theta, r) - w g(tau, theta', r')] = grad <lambda_H, r>(theta) - grad <lambda_H, r'>(theta'), H = 2",
        f"{_SOURCE}, N-VR-PG; policy gradient theorem",
        "S = A = 2; moves, start, discount, both policies and both pseudo-rewards symbolic; numerators expand to 0",
        first_nonzero(differences),
    )


def lemma_same_trajectory_is_biased(first: Fraction = Fraction(3, 4)) -> Checked:
    """With r from the trajectory that g is taken on, E g is not the gradient: F(lambda) = -lambda_0^2 / 2.

    One state, one step: lambda(tau) is the unit vector of the action, lambda the policy, grad F = (-lambda_0, 0). Only
    action 0 has a reward on its own trajectory, -1, and its score's first coordinate is 1 - pi_0.
    """
    mean = first * -1 * (1 - first)
    reward = -first
    slope = first * (reward - first * reward)
    return Checked(
        "COUNTEREXAMPLE",
        "E g(tau, theta, grad F(lambda(tau))) != grad F(lambda(theta)) for some concave F",
        "derived",
        "one state, one step, policy (3/4, 1/4), F = -lambda_0^2 / 2: first coordinates -3/16 against -9/64",
        witness(slope - mean, "3/64"),
    )


def lemma_score_below_sqrt_two(square: int | Fraction = 2) -> Checked:
    """|e_a - pi|^2 <= 2 for distributions over three actions: 2 - |e_a - pi|^2 = 2 (1 - q)(1 + q) + 2 b c, q = b + c.

    b, c are the probabilities of the other actions. Hence |log pi_theta'(a|s) - log pi_theta(a|s)| <= sqrt 2 |theta' -
    theta| for tabular softmax, and weights of H actions are at most exp(sqrt 2 H |theta' - theta|).
    """
    b, c = sympy.symbols("b c", real=True)
    rest = 1 - b - c
    size = (b + c) ** 2 + b**2 + c**2
    terms = [(2, 1, rest), (2, 1, rest, b), (2, 1, rest, c), (2, 1, b, c)]
    return Checked(
        "SOS",
        "|e_a - pi|^2 <= 2 for every distribution pi over three actions",
        "derived",
        "products of probabilities with weight 2; defect of the expansion",
        defect(sympy.Rational(square) - size, terms, [b, c, rest]),
    )


def lemma_flow_duality(discounts: int = 1) -> Checked:
    """mu . h - <r, lambda> = sum lambda (h - r - gamma P h) for every lambda that satisfies the flow equations.

    So <r, lambda> <= mu . h where h >= r + gamma P h; with r = grad F(lambda_0) and F concave, F is at most
    F(lambda_0) + mu . h - <r, lambda_0> on the whole polytope.
    """
    model = TwoByTwo()
    gamma = model.gamma**discounts
    lam = sympy.Matrix(2, 2, sympy.symbols("l00 l01 l10 l11", real=True))
    h = sympy.Matrix(sympy.symbols("h0 h1", real=True))
    inflow = sum((lam[s, a] * model.row(s, a) for s, a in product(range(2), repeat=2)), sympy.zeros(1, 2))
    mu = sympy.Matrix(1, 2, lambda _, s: lam[s, 0] + lam[s, 1] - gamma * inflow[s])
    q = model.q(h)
    slack = sum(lam[s, a] * (h[s] - q[s, a]) for s, a in product(range(2), repeat=2))
    return Checked(
        "IDENTITY",
        "mu . h - <r, lambda> = sum_sa lambda(s, a) (h(s) - r(s, a) - gamma P h(s, a)) under the flow equations",
        "linear-programming duality of discounted problems",
        "S = A = 2; moves, rewards, discount, lambda and h symbolic; the difference expands to 0",
        first_nonzero([(mu * h)[0] - sum(lam.multiply_elementwise(model.r)) - slack]),
    )


FALSIFIED = {
    "occupancy_correction": {"turn": -1},
    "gradient_correction": {"turn": -1},
    "same_trajectory_is_biased": {"first": Fraction(1)},
    "score_below_sqrt_two": {"square": Fraction(19, 10)},
    "flow_duality": {"discounts": 2},
}
