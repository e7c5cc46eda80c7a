"""The soft kind: entropy- or KL-regularised discounted problems.

    (T v)(s)    = tau log sum_a mu_ref(a | s) exp(q(s, a) / tau),    q = r + gamma P v,
    (T_pi v)(s) = sum_a pi(a | s) (q(s, a) - tau log(pi(a | s) / mu_ref(a | s))).

Proof. Both operators are monotone and shift constants by at most `gamma sigma < 1`, and `T v = max_pi T_pi v`
(Gibbs), so `lo <= T_pi lo` and `T hi <= hi` give `lo <= V_tau^pi <= V_tau* <= hi` as in the discounted case. With `d
= q - v(s)`:

    T hi <= hi       is  sum_a mu_ref exp(d / tau) <= 1,
    lo <= T_pi lo    is  sum_a pi (d - tau log(pi / mu_ref)) + tau Z log Z >= 0

for the policy `pi / Z`, `Z = sum_a pi`. In floats `Z log Z >= Z - 1` replaces the last term. The float level assumes
that NumPy's `exp` and `log` are accurate to 8 units in the last place (its libraries claim 4 or fewer); the exact
level encloses them by ball arithmetic, with more digits until the sign is known.
"""

from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case, finite, first, spread
from mdplab.certify.kinds import require_discounted
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT, FloatRows, rounding

_DIGITS = (128, 512, 2048)


def soft(case: Case, tau: float | None, reference: Any) -> float:
    """`lo <= V_tau^pi <= V_tau* <= hi`; returns the gap."""
    require_discounted(case)
    mdp = case.mdp
    if case.level == "exact" and rational.flint is None:
        raise Refused("the exact level of kind 'soft' needs python-flint, which is not installed")
    t, ref = case.number("tau"), case.array("mu_ref", (mdp.S, mdp.A))
    _agree(case, "tau", t, tau, ())
    _agree(case, "mu_ref", ref, reference, ref.shape)
    if not t > 0:
        raise Refused(f"tau is {t:g}; it must be positive")
    for reason, bad in (("is negative", ref < 0), ("is positive for an unavailable action", (ref > 0) & ~mdp.actions)):
        if bad.any():
            raise Refused(f"mu_ref{list(first(bad))} {reason}: {ref[first(bad)]:g}")
    pi = case.policy()
    if pi.ndim == 1:
        pi = (pi[:, None] == np.arange(mdp.A)).astype(np.float64)
    bad = (pi > 0) & (ref == 0)
    if bad.any():
        raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]:g} where mu_ref is 0")
    lo, hi = case.array("lo", (mdp.S,)), case.array("hi", (mdp.S,))
    case.value_within(lo, hi)
    case.rows.require_contraction(mdp.gamma)
    (_float_level if case.level == "float" else _exact_level)(case, lo, hi, pi, ref, t)
    return case.claims_gap(spread(hi, lo))


def _agree(case: Case, name: str, found: Any, wanted: Any, shape: tuple[int, ...]) -> None:
    if wanted is None:
        case.about.append(f"{name} as the certificate has it")
    elif not np.array_equal(found, finite(name, wanted, shape)):
        raise Refused(f"the certificate is about another {name}")


def _float_level(case: Case, lo: np.ndarray, hi: np.ndarray, pi: np.ndarray, ref: np.ndarray, tau: float) -> None:
    rows: FloatRows = case.rows
    A, terms = case.mdp.A, [(1.0, case.mdp.r)]
    grow = 1 + (8 * A + 64) * UNIT
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for states, d, radius in rows.excesses(hi, terms, case.mdp.gamma):
            used = ref[states] > 0
            z = np.where(used, (d + radius) / tau, -np.inf)
            z = z + np.where(used, 4 * UNIT * np.abs(z), 0.0)
            # 2^-1000 covers an exp that underflows.
            top = ((ref[states] * (np.exp(z) + 2.0**-1000)) * used).sum(axis=1) * (1 + (A + 24) * UNIT)
            _refuse_first("T hi <= hi (sum of mu_ref exp(d / tau) at most 1)", ~(top <= 1), states, top - 1)
        for states, d, radius in rows.excesses(lo, terms, case.mdp.gamma):
            used = pi[states] > 0
            p, logs = np.where(used, pi[states], 0.0), [np.log(np.where(used, x[states], 1.0)) for x in (pi, ref)]
            ratio = logs[0] - logs[1]
            off = 8 * UNIT * (np.abs(logs[0]) + np.abs(logs[1])) + UNIT * np.abs(ratio)
            d, radius = np.where(used, d, 0.0), np.where(used, radius, 0.0)
            term = d - tau * ratio
            error = radius + tau * off + UNIT * np.abs(tau * ratio) + UNIT * np.abs(term)
            z = p.sum(axis=1)
            short = tau * (z - 1)
            total = (p * term).sum(axis=1) + short
            error = (p * error).sum(axis=1) + rounding(A + 1) * (p * np.abs(term)).sum(axis=1)
            error = error + tau * rounding(A) * z + 4 * UNIT * np.abs(short) + UNIT * np.abs(total)
            error = error * grow + 2.0**-1000
            _refuse_first("lo <= T_pi lo", ~((total >= error) & (error < np.inf)), states, total)


def _refuse_first(claim: str, bad: np.ndarray, states: slice, amount: np.ndarray) -> None:
    if bad.any():
        k = int(np.argmax(bad))
        raise Refused(f"{claim} fails at state {states.start + k}: {amount[k]:.6g}, or is within rounding")


def _exact_level(case: Case, lo: np.ndarray, hi: np.ndarray, pi: np.ndarray, ref: np.ndarray, tau: float) -> None:
    mdp, t = case.mdp, rational.number(tau)
    for name, x, weights in (("T hi <= hi", hi, ref), ("lo <= T_pi lo", lo, pi)):
        exact_x = rational.numbers(x)
        for s in range(mdp.S):
            used = np.flatnonzero(weights[s])
            d = [
                case.rows.excess(exact_x, exact_x[s], [(rational.number(1), mdp.r)], s, int(a), mdp.gamma) for a in used
            ]
            w, m = rational.numbers(weights[s, used]), rational.numbers(ref[s, used])
            _require_ball(name, s, _upper if name == "T hi <= hi" else _lower, d, w, m, t)


def _upper(d: list, w: list, m: list, tau: Any) -> Any:
    """1 - sum mu_ref exp(d / tau), as a ball."""
    arb = rational.flint.arb
    return 1 - sum((arb(y) * arb(x / tau).exp() for x, y in zip(d, w)), arb(0))


def _lower(d: list, w: list, m: list, tau: Any) -> Any:
    """sum pi (d - tau log(pi / mu_ref)) + tau Z log Z, as a ball."""
    arb, z = rational.flint.arb, sum(w, rational.number(0))
    total = sum((arb(p) * (arb(x) - arb(tau) * arb(p / q).log()) for x, p, q in zip(d, w, m)), arb(0))
    return total + arb(tau * z) * arb(z).log()


def _require_ball(claim: str, s: int, amount: Any, *arguments: Any) -> None:
    """The ball `amount(*arguments)` is at least 0, with as many digits as that takes."""
    context = rational.flint.ctx
    before = context.prec
    try:
        for context.prec in _DIGITS:
            ball = amount(*arguments)
            if ball >= 0:
                return
            if ball < 0:
                raise Refused(f"{claim} fails at state {s}: slack {float(ball.mid()):.6g}, enclosed")
        raise Refused(f"{claim} at state {s} is not decided by {_DIGITS[-1]} bits: slack {ball}")
    finally:
        context.prec = before
