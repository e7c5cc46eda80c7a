"""Lemmas on the soft Bellman operator (Haarnoja et al. 2017, 2018): Gibbs' principle, contraction, improvement."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import lower_bound, pinned
from proofs_check.sos import defect
from proofs_check.symbolic import TwoByTwo, first_nonzero, two_state_policy

_SOURCE = "Haarnoja, Tang, Abbeel, Levine 2017"


def lemma_gibbs(sign: int = 1, n: int = 4) -> Checked:
    """<p, q> + tau H(p) = tau log sum_a exp(q_a / tau) - tau KL(p || softmax(q / tau)) for every distribution p."""
    q, log_p = sympy.symbols(f"q0:{n}", real=True), sympy.symbols(f"l0:{n}", real=True)
    p = [*sympy.symbols(f"p0:{n - 1}", positive=True)]
    p.append(1 - sum(p))
    tau, log_sum = sympy.symbols("tau L", real=True)
    log_soft = [x / tau - log_sum for x in q]
    divergence = sum(w * (a - b) for w, a, b in zip(p, log_p, log_soft))
    regularised = sum(w * (x - tau * a) for w, x, a in zip(p, q, log_p))
    return Checked(
        "IDENTITY",
        f"<p, q> + tau H(p) + tau KL(p || softmax(q/tau)) = tau log sum exp(q/tau), n = {n}",
        _SOURCE + ", Theorem 1; Gibbs' variational principle",
        "expansion in p and its logarithms; log softmax = q / tau - L",
        sympy.expand(regularised + sign * tau * divergence - tau * log_sum),
    )


def lemma_soft_contraction(scale: int = 1, n: int = 4) -> Checked:
    """If x_a - y_a <= D for every a, then log sum exp x <= log sum exp y + D: the soft maximum is 1-Lipschitz.

    With X_a = exp x_a, Y_a = exp y_a and E = exp D the hypothesis is E Y_a - X_a >= 0 and the conclusion
    E sum Y - sum X >= 0. Through x = q(v) / tau and the average over next states T is a gamma-contraction, as the
    maximum is (puterman1994:contraction).
    """
    X, Y = sympy.symbols(f"X0:{n}", positive=True), sympy.symbols(f"Y0:{n}", positive=True)
    E = sympy.Symbol("E", positive=True)
    nearer = [E * y - x for x, y in zip(X, Y)]
    return Checked(
        "SOS",
        f"exp(D) sum exp(y) - sum exp(x) >= 0 if x <= y + D, n = {n}: the soft Bellman operator is a gamma-contraction",
        _SOURCE + ", Theorem 2",
        "the sum of the hypotheses, with exp(x), exp(y), exp(D) as variables",
        defect(E * sum(Y) - scale * sum(X), [(1, 1, near) for near in nearer], nearer),
    )


def lemma_soft_is_near_hard(bits: Fraction = Fraction(1)) -> Checked:
    """max(x, y) <= log(e^x + e^y) <= max(x, y) + log 2: with d = |x - y| in [0, 8], log 2 - log(1 + e^-d) >= 0.

    The difference is 0 at d = 0 and grows: its derivative is e^-d / (1 + e^-d).
    """
    d = sympy.Symbol("d", real=True)
    f = sympy.Rational(bits) * sympy.log(2) - sympy.log(1 + sympy.exp(-d))
    return Checked(
        "INTERVAL",
        "log 2 - log(1 + exp(-d)) >= 0, 0 <= d <= 8: soft maximum - maximum <= log 2 for two numbers",
        _SOURCE + "; the bias tau log 2 of soft values",
        "branch and bound; first-order Taylor form at d = 0",
        lower_bound(f, {d: (0, 8)}, touching=(d, 0), order=1),
    )


def lemma_soft_improvement(sign: int = 1) -> Checked:
    """V'_soft - V_soft = (I - gamma P')^-1 tau KL(pi || pi') for pi' = softmax(Q_soft / tau): soft policy improvement.

    Logarithms of pi are symbols of their own; those of pi' are Q / tau up to a normaliser. Both policies have
    rows that sum to one.
    """
    model, old, new = TwoByTwo(), two_state_policy("x"), two_state_policy("y")
    tau = sympy.Symbol("tau", positive=True)
    log_old = sympy.Matrix(2, 2, sympy.symbols("l00 l01 l10 l11", real=True))
    value = model.value(old, model.r - tau * log_old)
    q = model.q(value)
    # log pi' = Q / tau up to a normaliser of each state: the first action's is free.
    free = sympy.symbols("m0 m1", real=True)
    log_new = sympy.Matrix([[free[s], free[s] + (q[s, 1] - q[s, 0]) / tau] for s in range(2)])
    divergence = old.multiply_elementwise(log_old - log_new) * sympy.ones(2, 1)
    # T' V - V, whose image under the resolvent of pi' is V' - V (kakade2002:performance_difference_any_size).
    gain = new.multiply_elementwise(q - sign * tau * log_new) * sympy.ones(2, 1) - value
    return Checked(
        "IDENTITY",
        "T'V - V = tau KL(pi || pi') for pi' = softmax(Q/tau), S = A = 2: hence V' >= V",
        "Haarnoja, Zhou, Abbeel, Levine 2018, Lemma 2; in this form derived",
        "model, policies, log pi and normalisers symbolic; numerators expand to 0",
        first_nonzero(gain - tau * divergence),
    )


def lemma_hard_loss_of_soft(tau: Fraction = Fraction(1)) -> Checked:
    """The soft-optimal policy is not optimal: with rewards 1 and 0 in one state it loses 1 / (1 + e^(1/tau))."""
    x = sympy.Symbol("x")
    loss = 1 / (1 + sympy.exp(1 / x))
    return Checked(
        "COUNTEREXAMPLE",
        "the soft-optimal policy at tau = 1 has a loss of more than 0.268941 with one state and rewards 1, 0",
        "derived; against reading soft optimality as optimality",
        "enclosure of 1 / (1 + e) = 0.268941...",
        pinned(loss, {x: tau}, "0.268941"),
    )


FALSIFIED = {
    "gibbs": {"sign": -1},
    "soft_contraction": {"scale": 2},
    "soft_is_near_hard": {"bits": Fraction(99, 100)},
    "soft_improvement": {"sign": -1},
    "hard_loss_of_soft": {"tau": Fraction(1, 10)},
}
