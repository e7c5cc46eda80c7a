"""Lemmas of DR-RPO, reconstructed (Gu, He, Liu, Xu 2025): the loss of a policy, the mirror step, the sum of bonuses."""

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import first_nonzero

# Arguments that make each statement false: half the divergence, the step without its temperature, another constant.
FALSIFIED = {
    "gibbs_gap": {"factor": sympy.Rational(1, 2)},
    "mirror_step": {"temperature": 2},
    "bonus_sum": {"constant": 3},
}

_SOURCE = "our specification of DR-RPO, B; derived"


def lemma_gibbs_gap(factor: sympy.Rational = sympy.S.One) -> Checked:
    """V* - (pi Q - t KL(pi || ref)) = t KL(pi || pi*), pi* = ref exp(Q / t) / Z, V* = t log Z; three actions.

    With q = Q / t and logarithms l of pi, m of ref, Z' = log Z: log pi* = m + q - Z', and pi sums to one.
    """
    n = 3
    pi = [*sympy.symbols("a0:2", positive=True)]
    pi.append(1 - sum(pi))
    q, log_pi, log_ref = (sympy.symbols(f"{name}0:{n}", real=True) for name in "qlm")
    log_z, t = sympy.Symbol("z", real=True), sympy.Symbol("t", positive=True)
    paid = sum(w * (t * x - t * (y - m)) for w, x, y, m in zip(pi, q, log_pi, log_ref))
    divergence = sum(w * (y - (m + x - log_z)) for w, x, y, m in zip(pi, q, log_pi, log_ref))
    return Checked(
        "IDENTITY",
        "t log Z - (pi Q - t KL(pi || ref)) = t KL(pi || ref exp(Q / t) / Z), three actions, all policies",
        _SOURCE,
        "logarithms as free symbols, pi_3 = 1 - pi_1 - pi_2; expansion",
        sympy.expand(t * log_z - paid - factor * t * divergence),
    )


def lemma_mirror_step(temperature: int = 1) -> Checked:
    """The maximiser of pi Q - t KL(pi || ref) - KL(pi || old) / e; its log-ratios to pi* shrink by 1 / (1 + e t).

    Stationarity, action by action: Q - t (l - m) - (l - o) / e is constant, 0 before l is normalised. With
    l* = m + Q / t the difference of two actions of l - l* is that of o - l*, divided by 1 + e t.
    """
    e, t = sympy.symbols("e t", positive=True)
    q, m, o = (sympy.symbols(f"{name}0:2", real=True) for name in "qmo")
    new = [(b + e * t * a + e * x) / (1 + temperature * e * t) for x, a, b in zip(q, m, o)]
    limit = [a + x / t for x, a in zip(q, m)]
    slopes = [x - t * (y - a) - (y - b) / e for x, y, a, b in zip(q, new, m, o)]
    ratio = (new[0] - limit[0]) - (new[1] - limit[1])
    before = (o[0] - limit[0]) - (o[1] - limit[1])
    return Checked(
        "IDENTITY",
        "log-ratios of the proximal step to the softmax are those of the old policy, divided by 1 + e t",
        _SOURCE,
        "stationarity of two actions, and the ratio; numerators expand to 0",
        first_nonzero([*slopes, ratio - before / (1 + e * t)]),
    )


def lemma_bonus_sum(constant: int = 2) -> Checked:
    """1 / sqrt(n + 1) <= 2 (sqrt(n + 1) - sqrt n), so that N bonuses of one pair sum to at most 2 sqrt N.

    With a = sqrt n, b = sqrt(n + 1): b (2 (b - a)) - 1 = (b - a)^2, since b^2 - a^2 = 1.
    """
    a, b = sympy.symbols("a b", positive=True)
    defect = b * constant * (b - a) - (b**2 - a**2) - (b - a) ** 2
    return Checked(
        "IDENTITY",
        "2 b (b - a) - (b^2 - a^2) = (b - a)^2, hence sum_{n < N} 1 / sqrt(n + 1) <= 2 sqrt N by telescoping",
        _SOURCE,
        "expansion",
        sympy.expand(defect),
    )
