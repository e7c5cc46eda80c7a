"""Lemmas behind N-PG-IGT (Fatkhullin et al. 2023): transport cancels on quadratics, GPOMDP is unbiased."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked, failed_cases
from proofs_check.symbolic import TwoByTwo, first_nonzero, softmax_policy, two_state_policy

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
        return hessian.row_join(slope) * theta.col_join(sympy.ones(1, 1))

    ahead = new + coefficient(eta) * (new - old)
    error = (1 - eta) * gradient(old) + eta * gradient(ahead) - gradient(new)
    return Checked(
        "IDENTITY",
        "for a constant Hessian and exact gradients, d_{t-1} = grad J(theta_{t-1}) implies d_t = grad J(theta_t)",
        f"{_SOURCE}, implicit gradient transport",
        "symmetric 2 x 2 Hessian, slope, both iterates and eta symbolic; numerators expand to 0",
        first_nonzero(error),
    )


def _slope(f: sympy.Expr, pi: sympy.Matrix, s: int, a: int) -> sympy.Expr:
    """df / d theta[s, a] of a polynomial in the softmax policy with rows (x, 1 - x): dx / d theta[s, 0] = x (1 - x)."""
    x = pi[s, 0]
    return sympy.diff(f, x) * x * ((1 - x) if a == 0 else (x - 1))


def _two_steps(pi: sympy.Matrix, power: Callable[[int, int], int]) -> list[tuple]:
    """(probability, return, visits) of the 16 trajectories of two steps; a visit is (s, a, its reward to go)."""
    model, rho = TwoByTwo(), sympy.Symbol("rho", real=True)
    r, gamma, start = model.r, model.gamma, (rho, 1 - rho)
    out = []
    for s0, a0, s1, a1 in product(range(2), repeat=4):
        probability = start[s0] * pi[s0, a0] * model.row(s0, a0)[s1] * pi[s1, a1]
        rewards = (r[s0, a0], r[s1, a1])
        to_go = [sum(gamma ** power(h, t) * rewards[h] for h in range(t, 2)) for t in range(2)]
        out.append((probability, rewards[0] + gamma * rewards[1], [(s0, a0, to_go[0]), (s1, a1, to_go[1])]))
    return out


def lemma_gpomdp_unbiased(power: Callable[[int, int], int] = lambda h, t: h) -> Checked:
    """The mean of GPOMDP over trajectories of two steps is the gradient of J_2, for every model with S = A = 2."""
    pi = two_state_policy("x")
    value, total, mean = sympy.Integer(0), sympy.Integer(0), sympy.zeros(2, 2)
    for probability, outcome, visits in _two_steps(pi, power):
        value += probability * outcome
        total += probability
        for s, a, to_go in visits:
            for b in range(2):
                mean[s, b] += probability * to_go * (sympy.Integer(a == b) - pi[s, b])
    differences = [_slope(value, pi, s, b) - mean[s, b] for s, b in product(range(2), repeat=2)]
    return Checked(
        "IDENTITY",
        "E sum_t (sum_{h>=t} gamma^h r_h) grad log pi = grad J_H for H = 2, S = A = 2, softmax policies",
        f"{_SOURCE}, gradient estimator; policy gradient theorem",
        "moves, rewards, start, discount and policy symbolic; all 16 trajectories; polynomials expand to 0",
        first_nonzero([total - 1, *differences]),
    )


def lemma_hessian_unbiased(outer: int = 1) -> Checked:
    """The mean of B u = g <sum_t score_t, u> + sum_t (to go) hess log pi u is the Hessian of J_2 times u.

    For softmax policies hess log pi(a | s) u, in row s, is -(pi u - pi <pi, u>), whatever a. u is symbolic too.
    """
    pi = two_state_policy("x")
    u = sympy.Matrix(2, 2, sympy.symbols("u00 u01 u10 u11", real=True))
    value, total, mean, first = sympy.Integer(0), sympy.Integer(0), sympy.zeros(2, 2), sympy.zeros(2, 2)
    for probability, outcome, visits in _two_steps(pi, lambda h, t: h):
        value += probability * outcome
        total += probability
        score, gradient = sympy.zeros(2, 2), sympy.zeros(2, 2)
        for s, a, to_go in visits:
            average = sum(pi[s, b] * u[s, b] for b in range(2))
            for b in range(2):
                entry = sympy.Integer(a == b) - pi[s, b]
                score[s, b] += entry
                gradient[s, b] += to_go * entry
                mean[s, b] += probability * to_go * pi[s, b] * (average - u[s, b])
        along = sum(x * y for x, y in zip(score, u))
        mean += outer * probability * along * gradient
        first += probability * gradient
    entries = [total - 1]
    for s, b in product(range(2), repeat=2):
        slope = sympy.expand(_slope(value, pi, s, b))
        entries.append(slope - first[s, b])
        bent = sum(u[t, c] * _slope(slope, pi, t, c) for t, c in product(range(2), repeat=2))
        entries.append(bent - mean[s, b])
    return Checked(
        "IDENTITY",
        "E [g <sum score, u> + sum_t (sum_{h>=t} gamma^h r_h) hess log pi u] = hess J_H u, H = 2, S = A = 2, softmax",
        f"{_SOURCE}, Hessian estimator",
        "all 16 trajectories; moves, rewards, start, discount, policy and u symbolic; polynomials expand to 0",
        first_nonzero(entries),
    )


def lemma_hessian_vector(discounts: int = 1) -> Checked:
    """dV = R (dr + gamma dP V), dD = gamma D dP R along a direction of policies, and softmax's dpi = pi (u - <pi, u>).

    R = (I - gamma P)^-1. As sum_a dpi Q = dr + gamma dP V these give hess J u = dD pi Adv + D dpi Adv + D pi dAdv, with
    dQ = gamma P dV, for tabular softmax policies: the product rule for grad J = D pi Adv.
    """
    gamma, t, rho = sympy.Symbol("gamma", positive=True), sympy.Symbol("t", real=True), sympy.Symbol("rho", real=True)
    p, dp, r, dr = (sympy.symbols(f"{name}0:2", real=True) for name in ("p", "d", "r", "e"))
    P, moved = (sympy.Matrix([[x[0], shift - x[0]], [x[1], shift - x[1]]]) for x, shift in ((p, 1), (dp, 0)))
    start, rewards, change = sympy.Matrix([[rho, 1 - rho]]), sympy.Matrix(r), sympy.Matrix(dr)

    def resolvent(chain: sympy.Matrix) -> sympy.Matrix:
        system = sympy.eye(2) - gamma * chain
        return system.adjugate() / system.det()

    R, along = resolvent(P), resolvent(P + t * moved)
    value = R * rewards

    def slope(entry: sympy.Expr) -> sympy.Expr:
        return sympy.diff(entry, t).subs(t, 0)

    ones = sympy.ones(2, 1)
    defects = [
        *(P * ones - ones),
        *(moved * ones),
        sum(start) - 1,
        *((along * (rewards + t * change)).applyfunc(slope) - R * (change + gamma**discounts * moved * value)),
        *((start * along).applyfunc(slope) - gamma**discounts * start * R * moved * R),
    ]
    w, u = sympy.symbols("w0 w1", positive=True), sympy.symbols("u0 u1", real=True)
    row = softmax_policy(sympy.Matrix([w]))
    for a in range(2):
        turned = sum(u[b] * w[b] * sympy.diff(row[a], w[b]) for b in range(2))
        defects.append(turned - row[a] * (u[a] - row[0] * u[0] - row[1] * u[1]))
    return Checked(
        "IDENTITY",
        "dV = R (dr + gamma dP V), dD = gamma D dP R, dpi = pi (u - <pi, u>): hess J u by the product rule, S = A = 2",
        f"{_SOURCE}, Hessian-vector products; the closed form is derived",
        "derivatives of exact values and occupancies along a line of chains; numerators expand to 0",
        first_nonzero(defects),
    )


def lemma_normalised_step(weight: Fraction = Fraction(8, 3)) -> Checked:
    """<g, d> / |d| >= |g| / 3 - 8/3 |d - g| on a grid of rational right angles: the step of the ascent lemma.

    With |g| = 1 and d at an angle whose cosine and sine are rational (Pythagorean), |d - g|^2 is rational, and the
    inequality, squared where both sides are positive, is decided exactly.
    """
    slacks = []
    for m, n, k in product(range(13), range(1, 13), range(1, 40)):
        cosine = Fraction(n * n - m * m, n * n + m * m)
        length = Fraction(k, 10)
        square = 1 - 2 * length * cosine + length**2
        short = Fraction(1, 3) - cosine
        # short <= weight |d - g|, the right side being at least 0.
        if short > 0:
            slacks.append(weight**2 * square - short**2)
    return Checked(
        "EXACT_CASES",
        "<g, d> / |d| >= |g| / 3 - (8/3) |d - g| for directions at rational angles and lengths k/10 <= 3.9",
        f"{_SOURCE}, lemma on the normalised step",
        f"{len(slacks)} rational cases, squared",
        failed_cases(slacks, least="217919/34225"),
    )


FALSIFIED = {
    "transport_cancels": {"coefficient": lambda eta: 1 / eta},
    "gpomdp_unbiased": {"power": lambda h, t: h - t},
    "hessian_unbiased": {"outer": 0},
    "hessian_vector": {"discounts": 2},
    "normalised_step": {"weight": Fraction(6, 5)},
}
