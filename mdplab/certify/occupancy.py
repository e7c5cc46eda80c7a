"""The occupancy kind: constrained discounted problems, by a feasible flow and a dual bound.

Rows as stored, `gamma sigma < 1`, `norm(f) = max |f| / (1 - gamma sigma)` over available pairs. With the defect
`xi(s) = sum_a x(s, a) - gamma sum_{s', a'} x(s', a') P(s | s', a') - mu(s)`, the flow `x >= 0` is exactly the
occupancy of its own conditional policy started from the signed measure `mu + xi`.

Proof. Hence `<x, f> = (mu + xi) . V_f^pi` for any reward f, and `|V_f^pi| <= norm(f)`, so `mu . V_f^pi` lies within
`|xi|_1 norm(f)` of `<x, f>`. The policy returned has its own rounding: it is the conditional policy of another flow,
at a distance `D` in l1, whose defect is at most `|xi|_1 + gamma sigma D` and whose `<., f>` differs by at most `D max
|f|`; together that is `(|xi|_1 + D) norm(f)`. So the policy's objective is enclosed (f = r) and its costs are bounded
from above (f = costs_i). From `hi >= r - sum_i lam_i costs_i + gamma P hi` the Lagrangian of every policy is at most
`mu . hi + sum_i lam_i limits_i`, which with `lam >= 0` bounds the objective of every feasible policy.

Sums over pairs are enclosed in floats or computed exactly, as the level says; the few numbers that remain are
compared as rationals at both levels.
"""

from fractions import Fraction
from math import fsum

import numpy as np

from mdplab.certify.case import Case, finite, first, require_sign
from mdplab.certify.rational import fraction, number, numbers
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT
from mdplab.models import MDP, ConstrainedMDP


def occupancy(case: Case, problem: MDP | ConstrainedMDP) -> float:
    """The policy meets the limits up to `violation` and loses at most the returned gap of `mu . V`."""
    mdp = case.mdp
    if mdp.gamma >= 1 or mdp.horizon is not None or mdp.mu is None:
        raise Refused("kind 'occupancy' needs gamma below 1, no horizon, and an initial distribution mu")
    constrained = isinstance(problem, ConstrainedMDP)
    costs = problem.costs if constrained else np.zeros((0, mdp.S, mdp.A))
    limits = problem.limits if constrained else np.zeros(0)
    m = len(limits)
    x, hi, lam = case.array("x", (mdp.S, mdp.A)), case.array("hi", (mdp.S,)), case.array("lam", (m,))
    require_sign("x >= 0", x < 0, x)
    require_sign("x = 0 at unavailable actions", (x != 0) & ~mdp.actions, x)
    require_sign("lam >= 0", lam < 0, lam)
    apart = _policy_of_flow(case, x)
    weight = 1 / (1 - case.rows.require_contraction(mdp.gamma))
    terms = [(1.0, mdp.r), *((-float(w), c) for w, c in zip(lam, costs))]
    case.rows.require("hi >= r - lam costs + gamma P hi", -1, hi, terms, mdp.actions, gamma=mdp.gamma)

    claimed = {name: Fraction(case.number(name)) for name in ("primal_lo", "primal_hi", "dual_hi", "violation")}
    defect = case.rows.flow_defect(x, mdp.mu, mdp.gamma) + apart

    def enclosure(f: np.ndarray) -> tuple[Fraction, Fraction]:
        low, high = case.rows.pairing(x, f)
        slack = defect * weight * Fraction(float(np.abs(f[mdp.actions]).max()))
        return low - slack, high + slack

    low, high = enclosure(mdp.r)
    _require("primal_lo <= <x, r> - defect norm(r)", low - claimed["primal_lo"])
    _require("<x, r> + defect norm(r) <= primal_hi", claimed["primal_hi"] - high)
    _, top = case.rows.pairing(mdp.mu, hi)
    dual = top + sum((Fraction(float(w)) * Fraction(float(b)) for w, b in zip(lam, limits)), Fraction(0))
    _require("mu . hi + lam . limits <= dual_hi", claimed["dual_hi"] - dual)
    _require("violation >= 0", claimed["violation"])
    for i in range(m):
        _require(
            f"cost {i} of the policy <= limit + violation",
            Fraction(float(limits[i])) + claimed["violation"] - enclosure(costs[i])[1],
        )
    if claimed["violation"] > 0:
        case.about.append(f"limits are met up to {float(claimed['violation']):.3g}")
    loss = max(claimed["dual_hi"], claimed["primal_hi"]) - claimed["primal_lo"]
    _value_near(case, claimed["primal_lo"], claimed["primal_hi"])
    gap = float(loss)
    return case.claims_gap(gap if Fraction(gap) >= loss else float(np.nextafter(gap, np.inf)))


def _require(claim: str, slack: Fraction) -> None:
    if slack < 0:
        raise Refused(f"{claim} fails: slack {float(slack):.6g}")


def _value_near(case: Case, low: Fraction, high: Fraction) -> None:
    """`mu . value` is within the claimed gap of the policy's objective."""
    value = finite("value", case.solution.value, (case.mdp.S,))
    claimed = Fraction(float(finite("claimed gap", case.solution.certificate.gap, ())))
    least, most = case.rows.pairing(case.mdp.mu, value)
    _require("mu . value >= primal_hi - gap", least - high + claimed)
    _require("mu . value <= primal_lo + gap", low + claimed - most)


def _policy_of_flow(case: Case, x: np.ndarray) -> Fraction:
    """The policy is x conditioned on the state; uniform, up to rounding, where the flow is 0.

    Returns an upper bound of `sum_{s, a} |x(s, a) - pi(a | s) sum_b x(s, b)|`, pi divided by its row sums.
    """
    pi, actions = case.policy(), case.mdp.actions
    if pi.ndim == 1:
        pi = (pi[:, None] == np.arange(case.mdp.A)).astype(np.float64)
    flow = x.sum(axis=1, keepdims=True)
    wanted = np.where(flow > 0, x, actions / actions.sum(axis=1, keepdims=True))
    # The format's 8 units, and what this comparison's own sum and product add.
    allowed = (8 + 2 * (case.mdp.A + 4)) * UNIT * np.where(flow > 0, flow, 1.0)
    bad = ~(np.abs(pi * np.where(flow > 0, flow, 1.0) - wanted) <= allowed)
    if bad.any():
        raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]:.17g}, not the flow's own proportion")
    if case.level == "exact":
        return _apart(x, pi)
    # Two sums over actions, a product and a quotient; the factor and the last term cover the sum and underflow.
    mean = flow * pi / pi.sum(axis=1, keepdims=True)
    error = (2 * case.mdp.A + 8) * UNIT * mean
    return Fraction(fsum((np.abs(x - mean) + error).ravel()) * (1 + 64 * UNIT) + x.size * 2.0**-1070)


def _apart(x: np.ndarray, pi: np.ndarray) -> Fraction:
    total = number(0)
    for row, weights in zip(x, pi):
        flow, shares = numbers(row), numbers(weights)
        scale = sum(flow, number(0)) / sum(shares, number(0))
        total += sum((abs(y - scale * p) for y, p in zip(flow, shares)), number(0))
    return fraction(total)
