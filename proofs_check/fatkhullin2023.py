"""Lemmas behind N-PG-IGT (Fatkhullin et al. 2023): transport cancels on quadratics, GPOMDP is unbiased."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

_SOURCE = "Fatkhullin, Barakat, Kireeva, He 2023"


def lemma_transport_cancels(coefficient: Callable[[sympy.Expr], sympy.Expr] = lambda eta: (1 - eta) / eta) -> Checked:
    """For any quadratic in two dimensions the direction of N-PG-IGT with exact gradients stays the gradient.

    If d_{t-1} = grad J(theta_{t-1}), then (1 - eta) d_{t-1} + eta grad J(theta_t + c (theta_t - theta_{t-1})) - grad
    J(theta_t) is zero; by induction it is so for every t, from d_0 = grad J(theta_0).
    """
    eta = sympy.Symbol("eta", positive=True)
    a, b, c, p, q = sympy.symbols("a b c p q", real=True)
    old = sympy.Matrix(sympy.symbols("x0 y0", real=True))
    new = sympy.Matrix(sympy.symbols("x1 y1", real=True))
    hessian, slope = sympy.Matrix([[a, b], [b, c]]), sympy.Matrix([p, q])

    def gradient(theta: sympy.Matrix) -> sympy.Matrix:
        return hessian * theta + slope

    ahead = new + coefficient(eta) * (new - old)
    error = (1 - eta) * gradient(old) + eta * gradient(ahead) - gradient(new)
    residual = sum((sympy.fraction(sympy.together(entry))[0].expand() ** 2 for entry in error), sympy.Integer(0))
    return Checked(
        "IDENTITY",
        "for a constant Hessian and exact gradients, d_{t-1} = grad J(theta_{t-1}) implies d_t = grad J(theta_t)",
        f"{_SOURCE}, implicit gradient transport",
        "symmetric 2 x 2 Hessian, slope, both iterates and eta symbolic; sum of squared numerators expands to 0",
        sympy.expand(residual),
    )


def lemma_gpomdp_unbiased(power: Callable[[int, int], int] = lambda h, t: h) -> Checked:
    """The mean of GPOMDP over trajectories of two steps is the gradient of J_2, for every two-state two-action model.

    Softmax weights are w_{s,a} = exp(theta_{s,a}), so that d/d theta = w d/dw and everything is rational.
    """
    w = sympy.Matrix(2, 2, sympy.symbols("w00 w01 w10 w11", positive=True))
    r = sympy.Matrix(2, 2, sympy.symbols("r00 r01 r10 r11", real=True))
    stay = sympy.Matrix(2, 2, sympy.symbols("p00 p01 p10 p11", real=True))
    start, gamma = sympy.symbols("rho gamma", real=True)
    pi = sympy.Matrix(2, 2, lambda s, a: w[s, a] / (w[s, 0] + w[s, 1]))
    value, mean = sympy.Integer(0), sympy.zeros(2, 2)
    for s0, a0, s1, a1 in product(range(2), repeat=4):
        move = stay[s0, a0] if s1 == s0 else 1 - stay[s0, a0]
        probability = (start if s0 == 0 else 1 - start) * pi[s0, a0] * move * pi[s1, a1]
        value += probability * (r[s0, a0] + gamma * r[s1, a1])
        rewards = (r[s0, a0], r[s1, a1])
        for t, (s, a) in enumerate(((s0, a0), (s1, a1))):
            to_go = sum(gamma ** power(h, t) * rewards[h] for h in range(t, 2))
            for b in range(2):
                mean[s, b] += probability * to_go * (sympy.Integer(a == b) - pi[s, b])
    # Row sums of the gradient of a softmax policy vanish, so one entry a row decides; both are checked all the same.
    residual = sympy.Integer(0)
    for s, b in product(range(2), repeat=2):
        difference = w[s, b] * sympy.diff(value, w[s, b]) - mean[s, b]
        residual += sympy.fraction(sympy.together(difference))[0].expand() ** 2
    return Checked(
        "IDENTITY",
        "E sum_t (sum_{h>=t} gamma^h r_h) grad log pi = grad J_H for H = 2, S = A = 2, softmax policies",
        f"{_SOURCE}, gradient estimator; policy gradient theorem",
        "moves, rewards, start, discount and softmax weights symbolic; all 16 trajectories; numerators expand to 0",
        sympy.expand(residual),
    )


def lemma_normalised_step(weight: Fraction = Fraction(8, 3)) -> Checked:
    """<g, d> / |d| >= |g| / 3 - 8/3 |d - g| on a grid of rational right angles: the step of the ascent lemma.

    With |g| = 1 and d at an angle whose cosine and sine are rational (Pythagorean), |d - g|^2 is rational, and the
    inequality, squared where both sides are positive, is decided exactly.
    """
    failures, cases = 0, 0
    for m, n, k in product(range(-12, 13), range(1, 13), range(1, 40)):
        cosine = Fraction(n * n - m * m, n * n + m * m)
        length = Fraction(k, 10)
        square = 1 - 2 * length * cosine + length**2
        short = Fraction(1, 3) - cosine
        # short <= weight |d - g|, the right side being at least 0.
        failures += short > 0 and short**2 > weight**2 * square
        cases += 1
    return Checked(
        "EXACT_CASES",
        "<g, d> / |d| >= |g| / 3 - (8/3) |d - g| for directions at rational angles and lengths k/10 <= 3.9",
        f"{_SOURCE}, lemma on the normalised step",
        f"{cases} rational cases, squared",
        int(failures),
    )


FALSIFIED = {
    "transport_cancels": {"coefficient": lambda eta: 1 / eta},
    "gpomdp_unbiased": {"power": lambda h, t: h - t},
    "normalised_step": {"weight": Fraction(6, 5)},
}
