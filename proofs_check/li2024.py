"""Lemmas of Li et al. 2024 (Polyak step sizes): leads of logits, limits of gaps and of steps."""

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: the square dropped, a logit forgotten, no overshoot, a wrong
# divisor, one logit's norm.
FALSIFIED = {
    "two_actions": {"power": 1},
    "equal_leads": {"chosen": 0},
    "overshoot": {"factor": 0},
    "stall_rate": {"divisor": 2},
    "entropy_step": {"logits": 1},
}

_SOURCE = "Li et al. 2024, arXiv:2404.07525, step size; derived"


def lemma_two_actions(power: int = 2) -> Checked:
    """Polyak's step adds (1 + exp(-u)) / c to the lead u of the better of two actions.

    As exp(-x) >= 1 - x, the gap then shrinks by exp(-1/c) at least: 1 + e^u <= exp(-1/c) (1 + e^{u'}), for
    exp(-1/c) e^{u'} = e^u exp(e^{-u} / c) >= e^u + 1/c and exp(-1/c) >= 1 - 1/c.
    """
    delta, c, e = sympy.symbols("Delta c e", positive=True)
    # e = exp(-u).
    p, q = 1 / (1 + e), e / (1 + e)
    gap, slope = delta * q, delta * p * q
    # The gradient in the logits is (slope, -slope); the lead moves by twice the slope.
    step = gap / (c * (2 * slope**2) ** sympy.Rational(power, 2))
    return Checked(
        "IDENTITY",
        "gap / (c |grad|^2) times the change of the lead is (1 + exp(-u)) / c, for every reward gap",
        _SOURCE,
        "rational functions of exp(-u)",
        sympy.simplify(step * 2 * slope - (1 + e) / c),
    )


def lemma_equal_leads(chosen: int = 1) -> Checked:
    """Where all leads move alike Polyak's step adds 1 / c to each, and y sums to (A - 1) / A a state and unit of z.

    y (n,), n = A - 1, are the gap's parts at one state, K = I + 1 1^T: the gradient is -y and, at the chosen action,
    1.y, so that its square is y.K y and leads move by K y times the step. With K y = z 1: y = z / (n + 1) 1, the gap
    1.y is z n / (n + 1), the square z 1.y, and the step gap / (c z gap) = 1 / (c z) moves leads by 1 / c. Under a
    constant step eta, z falls like 1 / (eta k), for y' = -eta z y, and S states leave S n / (n + 1) / (eta k).
    """
    n, z, c = sympy.symbols("n z c", positive=True)
    each = z / (n + 1)
    gap = n * each
    square = n * each**2 + chosen * gap**2
    moved = gap / (c * square) * (each + chosen * gap)
    share = gap / (each + gap) - n / (n + 1)
    lead = sympy.cancel(each + chosen * gap - z)
    return Checked(
        "IDENTITY",
        "K^{-1} z 1 = z / A 1; Polyak's step moves every lead by 1 / c; 1.y = z (A - 1) / A",
        _SOURCE,
        "rational functions of the number n = A - 1 of other actions",
        sum(sympy.cancel(x) != 0 for x in (moved - 1 / c, share, lead)),
    )


def lemma_overshoot(factor: int = 1) -> Checked:
    """With a guess e above V* the lead of two actions grows by (1 + exp(-u)) / c times 1 + e / gap.

    Never by less than with V* known; the more so the smaller the gap.
    """
    delta, c, e, x = sympy.symbols("Delta c e x", positive=True)
    # x = exp(-u).
    gap, slope = delta * x / (1 + x), delta * x / (1 + x) ** 2
    step = (gap + e) / (c * 2 * slope**2)
    return Checked(
        "IDENTITY",
        "u' - u = (1 + exp(-u)) / c (1 + e / gap) for a guess V* + e",
        _SOURCE,
        "rational functions of exp(-u)",
        sympy.cancel(step * 2 * slope - (1 + x) / c * (1 + factor * e / gap)),
    )


def lemma_stall_rate(divisor: int = 1) -> Checked:
    """At a guess e below V* the map of two actions' leads has a fixed point with derivative 1 - 1 / c.

    In general: V(theta + gamma grad V) = V + gamma |grad V|^2 + O(gamma^2 |grad V|^2), and gamma |grad V|^2 is the
    shortfall over c.
    """
    delta, c, u, e = sympy.symbols("Delta c u e", positive=True)
    p = 1 / (1 + sympy.exp(-u))
    gap, slope = delta * (1 - p), delta * p * (1 - p)
    following = u + (gap - e) / (c * 2 * slope**2) * 2 * slope
    rate = sympy.diff(following, u).subs(e, gap)
    return Checked(
        "IDENTITY",
        "d u' / d u = 1 - 1 / c where the gap equals the under-estimate",
        _SOURCE,
        "symbolic derivative, fixed point put in",
        sympy.simplify(rate - (1 - 1 / (divisor * c))),
    )


def lemma_entropy_step(logits: int = 2) -> Checked:
    """Near the optimum of Delta p + tau H(p) Polyak's step tends to 1 / (4 c tau p (1 - p)).

    The gap is h x^2 / 2 and the derivative in the lead h x, with h = tau p (1 - p) the curvature; both logits count in
    the norm.
    """
    delta, tau, c, u, x = sympy.symbols("Delta tau c u x", positive=True)
    p = 1 / (1 + sympy.exp(-u))
    value = delta * p - tau * (p * sympy.log(p) + (1 - p) * sympy.log(1 - p))
    slope = sympy.diff(value, u)
    best = delta / tau
    h = -sympy.diff(slope, u).subs(u, best)
    stationary = sympy.simplify(sympy.expand_log(sympy.simplify(slope.subs(u, best)), force=True))
    step = (h * x**2 / 2) / (c * logits * (h * x) ** 2)
    at = p.subs(u, best)
    difference = sympy.simplify(sympy.expand_log(sympy.simplify(step - 1 / (4 * c * tau * at * (1 - at))), force=True))
    return Checked(
        "IDENTITY",
        "gap / (c |grad|^2) -> 1 / (4 c tau p (1 - p)) at the lead Delta / tau, which is stationary",
        _SOURCE,
        "symbolic derivatives at the optimum",
        sympy.simplify(stationary**2 + difference**2),
    )
