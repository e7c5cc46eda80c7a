"""Lemmas of Fatkhullin et al. (2023): transport and Hessian correction cancel on quadratics; estimates are unbiased."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import product

import sympy
from sympy.polys.rings import PolyElement, ring

from proofs_check.checked import Checked
from proofs_check.sos import defect
from proofs_check.symbolic import TwoByTwo, first_nonzero, two_state_policy

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


def lemma_correction_cancels(damping: Callable[[sympy.Expr], sympy.Expr] = lambda eta: 1 - eta) -> Checked:
    """For any quadratic in two dimensions the direction of HARPG with exact oracles stays the gradient.

    If d_{t-1} = grad J(theta_{t-1}), then (1 - eta) (d_{t-1} + hess J (theta_t - theta_{t-1})) + eta grad J(theta_t) is
    grad J(theta_t). Damping the old direction but not the correction leaves eta hess J (theta_t - theta_{t-1}).
    """
    eta = sympy.Symbol("eta", positive=True)
    a, b, c, p, q = sympy.symbols("a b c p q", real=True)
    old = sympy.Matrix(sympy.symbols("x0 y0", real=True))
    new = sympy.Matrix(sympy.symbols("x1 y1", real=True))
    hessian, slope = sympy.Matrix([[a, b], [b, c]]), sympy.Matrix([p, q])
    gradients = [hessian * theta + slope for theta in (old, new)]
    error = (1 - eta) * gradients[0] + damping(eta) * hessian * (new - old) + eta * gradients[1] - gradients[1]
    return Checked(
        "IDENTITY",
        "HARPG: for constant Hessian, exact oracles, d_{t-1} = grad J(theta_{t-1}) implies d_t = grad J(theta_t)",
        f"{_SOURCE}, (N-)HARPG",
        "symmetric 2 x 2 Hessian, slope, both iterates and eta symbolic; polynomials expand to 0",
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
    """hess J u = dD pi Adv + D dpi Adv + D pi dAdv for tabular softmax policies: the whole product, S = A = 2.

    R = (I - gamma P)^-1, dpi = pi (u - <pi, u>), dV = R sum_a dpi Q, dQ = gamma P dV, dAdv = dQ - dV, and
    dD = gamma D dP R. The left side is J differentiated twice. With det = det(I - gamma P), every quantity times its
    power of det is a polynomial: V, Q, D and Adv times det, their changes times det^2, both sides times det^3.
    """
    names = "gamma rho x0 x1 p00 p01 p10 p11 r00 r01 r10 r11 u00 u01 u10 u11"
    _, gamma, rho, *rest = ring(names.split(), sympy.QQ)
    x, P = rest[:2], [[(y, 1 - y) for y in row] for row in (rest[2:4], rest[4:6])]
    r, u, start, two = (rest[6:8], rest[8:10]), (rest[10:12], rest[12:14]), (rho, 1 - rho), range(2)
    pi = [[y, 1 - y] for y in x]

    def chain(weights: list) -> list:
        return [[sum(weights[s][a] * P[s][a][t] for a in two) for t in two] for s in two]

    def dot(v: Iterable, w: Iterable) -> PolyElement:
        return sum(y * z for y, z in zip(v, w, strict=True))

    system = [[int(s == t) - gamma * y for t, y in enumerate(row)] for s, row in enumerate(chain(pi))]
    det = system[0][0] * system[1][1] - system[0][1] * system[1][0]
    R = [[system[1][1], -system[0][1]], [-system[1][0], system[0][0]]]
    columns = list(zip(*R))
    defects = [sum(law) - 1 for law in (start, *P[0], *P[1], *pi)]
    defects += [dot(system[s], columns[t]) - int(s == t) * det for s in two for t in two]

    V = [dot(row, [dot(pi[t], r[t]) for t in two]) for row in R]
    Q = [[det * r[s][a] + gamma * dot(P[s][a], V) for a in two] for s in two]
    D = [dot(start, column) for column in columns]
    dpi = [[pi[s][a] * (u[s][a] - dot(pi[s], u[s])) for a in two] for s in two]
    dV = [dot(row, [dot(dpi[t], Q[t]) for t in two]) for row in R]
    flow = [dot(D, column) for column in zip(*chain(dpi))]
    dD = [gamma**discounts * dot(flow, column) for column in columns]
    J = dot(start, V)

    for s, a in product(two, repeat=2):
        # dx_s / d theta[s, a] is x_s (1 - x_s), with a minus for the second action.
        first = (det * J.diff(x[s]) - J * det.diff(x[s])) * x[s] * (1 - x[s]) * (1, -1)[a]
        second = sum((det * first.diff(x[t]) - 2 * first * det.diff(x[t])) * dpi[t][0] for t in two)
        advantage, change = Q[s][a] - V[s], gamma * dot(P[s][a], dV) - dV[s]
        closed = dD[s] * pi[s][a] * advantage + det * D[s] * dpi[s][a] * advantage + D[s] * pi[s][a] * change
        defects.append(second - closed)
    return Checked(
        "IDENTITY",
        "hess J u = dD pi Adv + D dpi Adv + D pi dAdv for all models, softmax policies and u with S = A = 2",
        f"{_SOURCE}, Hessian-vector products; the closed form is derived",
        "moves, rewards, start, discount, policy and u symbolic; sides times det(I - gamma P)^3; terms left over",
        sum(len(left) for left in defects),
    )


def lemma_normalised_step(weight: Fraction = Fraction(4, 3)) -> Checked:
    """<g, d> / |d| >= |g| / 3 - 4/3 |d - g|: the step of the ascent lemma, with half of the printed 8/3.

    Let |g| = 1, l = |d| and c the cosine between them. For c >= 1/3 nothing is to show; below, the square of
    1/3 - c <= 4/3 |d - g| has the slack 16/9 (1 - 2 l c + l^2) - (1/3 - c)^2, a sum of non-negative terms for
    c = -u, 0 <= u <= 1, and for c = 1/3 - v, c and v >= 0. At u = 1, l -> 0 the slack vanishes: 4/3 is the best.
    """
    length, u, c = sympy.symbols("l u c", real=True)
    third, square = sympy.Rational(1, 3), sympy.Rational(weight) ** 2
    v = third - c

    def slack(cosine: sympy.Expr) -> sympy.Expr:
        return square * (1 - 2 * length * cosine + length**2) - (third - cosine) ** 2

    obtuse = [("16/9", length), ("32/9", 1, length, u), ("5/3", 1, 1 - u), (1, 1, u, 1 - u)]
    acute = [("16/9", length - c), ("128/81", 1), ("7/27", 1, v), ("25/9", 1, c, v)]
    defects = (defect(slack(-u), obtuse, [length, u, 1 - u]), defect(slack(c), acute, [c, v]))
    return Checked(
        "SOS",
        "<g, d> / |d| >= |g| / 3 - (4/3) |d - g| for all vectors g and d != 0, hence with 8/3",
        f"{_SOURCE}, lemma on the normalised step; the constant 4/3 is derived",
        "squared, as polynomials in the length and the cosine, obtuse and acute; sum of squared defects",
        sum(rest**2 for rest in defects),
    )


FALSIFIED = {
    "transport_cancels": {"coefficient": lambda eta: 1 / eta},
    "correction_cancels": {"damping": lambda eta: 1},
    "gpomdp_unbiased": {"power": lambda h, t: h - t},
    "hessian_unbiased": {"outer": 0},
    "hessian_vector": {"discounts": 2},
    "normalised_step": {"weight": Fraction(13, 10)},
}
