"""Lemmas of Yu and Ying 2023 (ECRM): the first cost, levels between costs, memory, and two convergence bounds."""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.rational import dot, linear_solve

# Arguments that make each statement false: an excess on the first cost, a bent excess, a cheaper way out, a wrong
# share of the barrier, half the drift of inexact steps.
FALSIFIED = {
    "first_cost": {"charged": True},
    "between_levels": {"power": 2},
    "memory_helps": {"dear": Fraction(1)},
    "barrier_stationary": {"share": 2},
    "inexact_floor": {"drift": 1},
    "quadratic_floor": {"power": 0},
}

_HALF = Fraction(1, 2)


def lemma_first_cost(charged: bool = False) -> Checked:
    """A cost that is always c has ECRM c / (1 - gamma), whatever the weight: the first step has no level of its own."""
    g, w, c = sympy.symbols("gamma lambda c", positive=True)
    later = (1 - w) * c + g * w * c
    first = later if charged else c + g * w * c
    return Checked(
        "IDENTITY",
        "c + gamma lambda c + sum_{t>=2} gamma^{t-1} ((1 - lambda) c + gamma lambda c) = c / (1 - gamma)",
        "derived; Yu and Ying 2023, augmented MDP at the best level, eta = c",
        "geometric sum as a rational function; with the later cost at the first step lambda c is missing",
        sympy.cancel(first + g / (1 - g) * later - c / (1 - g)),
    )


def lemma_between_levels(power: int = 1) -> Checked:
    """Between neighbouring costs the objective of a fixed continuation is affine in the level, any law on three costs.

    The minimum over continuations is then concave there, so that a level at one of the costs is best.
    """
    a, d1, d2, w, tail = sympy.symbols("a d1 d2 w alpha", positive=True)
    p = sympy.symbols("p0:3", positive=True)
    costs = [a, a + d1, a + d1 + d2]

    def objective(level: sympy.Expr, above: list[int]) -> sympy.Expr:
        return level + sum(p[i] * (costs[i] - level) ** power for i in above) / tail

    # A level in [costs[1], costs[2]]: the third cost alone exceeds it; at the lower end its excess is d2.
    between = objective(costs[1] + w * d2, [2])
    ends = (1 - w) * objective(costs[1], [2]) + w * objective(costs[2], [])
    return Checked(
        "IDENTITY",
        "f((1 - w) x_2 + w x_3) = (1 - w) f(x_2) + w f(x_3), f(eta) = eta + E (X - eta)_+ / alpha, 3 atoms x_i",
        "derived; Rockafellar and Uryasev 2000",
        "expansion, all masses and gaps",
        sympy.expand(between - ends),
    )


def _tail_mean(law: dict[Fraction, Fraction], tail: Fraction) -> Fraction:
    room, total = tail, Fraction(0)
    for x, p in sorted(law.items(), reverse=True):
        total, room = total + x * min(p, room), room - min(p, room)
    return total / tail


def lemma_memory_helps(dear: Fraction = Fraction(3)) -> Checked:
    """Two states: all four policies of the state have ECRM 6, one that also sees its level has 27/5.

    State 0 costs 3 and is left for state 1 with probability 1/2. In state 1 action 0 costs 3 and stays, action 1 costs
    nothing and leads to either state. CVaR at 1/2, weight 1, gamma 1/2, from state 0. A level of 3 pays for cost 3:
    then action 0, which makes the next cost certain, is free; after a level of 0 action 1 is.
    """
    gamma, tail = _HALF, _HALF
    P = [[[_HALF, _HALF], [_HALF, _HALF]], [[Fraction(0), Fraction(1)], [_HALF, _HALF]]]
    cost = [[Fraction(3), Fraction(3)], [dear, Fraction(0)]]
    values = []
    for choice in product(range(2), repeat=2):
        risk = []
        for s in range(2):
            law: dict[Fraction, Fraction] = {}
            for t in range(2):
                x = cost[t][choice[t]]
                law[x] = law.get(x, Fraction(0)) + P[s][choice[s]][t]
            risk.append(_tail_mean(law, tail))
        rows = [[int(s == t) - gamma * P[s][choice[s]][t] for t in range(2)] for s in range(2)]
        values.append(cost[0][choice[0]] + gamma * linear_solve(rows, risk)[0])
    # With the level: (0, any) takes level 3; (1, level 0) action 1 and level 3; (1, level 3) action 0 and level 0.
    levels = [Fraction(0), Fraction(3)]
    states = list(product(range(2), range(2)))
    plan = {(0, 0): (1, 1), (0, 1): (1, 1), (1, 0): (1, 1), (1, 1): (0, 0)}
    rows, now = [], []
    for s, e in states:
        a, f = plan[s, e]
        now.append(max(cost[s][a] - levels[e], Fraction(0)) / tail + gamma * levels[f])
        rows.append([int((s, e) == (t, k)) - gamma * P[s][a][t] * int(k == f) for t, k in states])
    ahead = dict(zip(states, linear_solve(rows, now)))
    seen = cost[0][1] + gamma * levels[1] + gamma * dot(P[0][1], [ahead[0, 1], ahead[1, 1]])
    sound = all(value == 6 for value in values) and seen == Fraction(27, 5)
    return Checked(
        "COUNTEREXAMPLE",
        "no deterministic policy of the state is optimal for the ECRM: 6 against 27/5 with memory of the level",
        "Yu and Ying 2023, augmented MDP; instance derived",
        "four policies by sorting next costs, one policy on states with level by its linear system",
        witness(min(values) - seen, "3/5") if sound else -1,
    )


def lemma_barrier_stationary(share: int = 1) -> Checked:
    """The gradient g of a logit determines the gain of its action: D (V - Q) = b / N - (b / (N M) + g) / p.

    Where |g| <= b / (N M) the gain is at most b / (N D), and the gap at most b / N sum d* / D.
    """
    D, p, gain, b, N, M = sympy.symbols("D p gain b N M", positive=True)
    g = -D * p * gain - share * b / (N * M) * (1 - M * p)
    return Checked(
        "IDENTITY",
        "g = D p (Q - V) - b / (N M) (1 - M p) implies D (V - Q) = b / N - (b / (N M) + g) / p",
        "derived; Agarwal, Kakade, Lee, Mahajan 2021, theorem on the log barrier",
        "both sides as rational functions",
        sympy.cancel(D * gain - (b / N - (b / (N * M) + g) / p)),
    )


def lemma_inexact_floor(drift: int = 2) -> Checked:
    """Where the recursions of the inexact natural gradient stand still, and at which rate they come to.

    With k = 1 - step tau / (1 - gamma), x = |Q* - Q|, y = |Q* - tau log xi| and z the largest shortfall of Q under
    tau log xi: y' = k y + (1 - k)(x + delta), z' = k z + (1 - k) delta + 2 gamma delta / (1 - gamma),
    x' = gamma (y' + z').
    """
    g, s, delta = sympy.symbols("gamma s delta", positive=True)
    # s = step tau.
    k = 1 - s / (1 - g)
    x, y, z = sympy.symbols("x y z")
    still = sympy.solve(
        [
            y - k * y - (1 - k) * (x + delta),
            z - k * z - (1 - k) * delta - drift * g * delta / (1 - g),
            x - g * (y + z),
        ],
        [x, y, z],
        dict=True,
    )[0]
    floor = sympy.cancel(still[x] - g * 2 * delta / (1 - g) * (1 + g / s))
    # With x = gamma (y + z) put in, y and z have a triangular recursion; its larger factor is 1 - step tau.
    rate = sympy.cancel(k + (1 - k) * g - (1 - s))
    return Checked(
        "IDENTITY",
        "the floor of |Q* - Q| is gamma 2 delta / (1 - gamma) (1 + gamma / (step tau)), the rate 1 - step tau",
        "Cen, Cheng, Chen, Wei, Chi 2022, inexact entropy-regularised natural gradient; recursions derived",
        "fixed point of three linear recursions, and the diagonal of their matrix",
        sympy.cancel(floor**2 + rate**2),
    )


def lemma_quadratic_floor(power: int = 1) -> Checked:
    """d/ds KL(P_s || P_0) = s Var_s(e) for P_s ~ w exp(s e), three atoms.

    A variance is at most sp(e)^2 / 4, so that a greedy step on Q + e, s = 1 / tau, loses at most tau KL <= sp(e)^2 /
    (8 tau) at each state, and the value after it eps + gamma eps + gamma^2 eps + ... = eps / (1 - gamma).
    """
    s = sympy.symbols("s", positive=True)
    w, e, y = (
        sympy.symbols("w0:3", positive=True),
        sympy.symbols("e0:3", real=True),
        sympy.symbols("y0:3", positive=True),
    )
    weights = [w[i] * sympy.exp(s * e[i]) for i in range(3)]
    total = sum(weights)
    mean = sum(weights[i] * e[i] for i in range(3)) / total
    variance = sum(weights[i] * (e[i] - mean) ** 2 for i in range(3)) / total
    # KL(P_s || P_0) = s E_s e - log Z_s + log Z_0.
    slope = sympy.diff(s * mean - sympy.log(total), s)
    difference = (slope - s**power * variance).subs({sympy.exp(s * e[i]): y[i] for i in range(3)})
    return Checked(
        "IDENTITY",
        "d/ds KL(P_s || P_0) = s Var_s(e), P_s(i) = w_i exp(s e_i) / Z_s, three atoms",
        "derived; Gibbs policies",
        "differentiation, exponentials as free symbols, one numerator",
        sympy.expand(sympy.numer(sympy.together(difference))),
    )
