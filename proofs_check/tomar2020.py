"""Lemmas on the mirror step of policies (Kakade 2001; Tomar et al. 2020, MDPO): what pi exp(eta A) / Z maximises."""

import sympy

from proofs_check.checked import Checked
from proofs_check.symbolic import first_nonzero, softmax_policy

_SOURCE = "Tomar, Shani, Efroni, Ghavamzadeh 2020"


def _distribution(name: str, n: int) -> list[sympy.Expr]:
    """Positive weights that sum to one identically."""
    free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
    return [*free, 1 - sum(free)]


def lemma_mirror_step(sign: int = 1, n: int = 4) -> Checked:
    """eta <p, A> - KL(p || pi) = log Z - KL(p || pi+) for every p, where log pi+ = log pi + eta A - log Z."""
    p = _distribution("p", n)
    A, log_p, log_pi = (sympy.symbols(f"{name}0:{n}", real=True) for name in ("A", "l", "k"))
    eta, log_z = sympy.symbols("eta z", real=True)
    log_next = [k + eta * a - log_z for k, a in zip(log_pi, A)]

    def divergence(other: list) -> sympy.Expr:
        return sum(w * (a - b) for w, a, b in zip(p, log_p, other))

    objective = eta * sum(w * a for w, a in zip(p, A)) - divergence(log_pi)
    return Checked(
        "IDENTITY",
        f"eta <p, A> - KL(p || pi) = log Z - KL(p || pi exp(eta A) / Z): the step is the maximiser over p, n = {n}",
        _SOURCE + ", equation (6) in the tabular case",
        "expansion in p, log p, log pi, A, eta and log Z",
        sympy.expand(objective - log_z + sign * divergence(log_next)),
    )


def lemma_natural_gradient(power: int = 1, n: int = 4) -> Checked:
    """F r = grad J and F 1 = 0, so F A = grad J: the natural gradient of a softmax policy is the advantage (n arms)."""
    w, r = sympy.Matrix([sympy.symbols(f"w0:{n}", positive=True)]), sympy.symbols(f"r0:{n}", real=True)
    pi = softmax_policy(w)
    value = sum(pi[a] * r[a] for a in range(n))
    entries = []
    for a in range(n):
        # Row a of diag(pi) - pi pi^T, times the rewards and times ones.
        entries.append(pi[a] ** power * r[a] - pi[a] * value - w[a] * sympy.diff(value, w[a]))
        entries.append(pi[a] ** power - pi[a] * sum(pi))
    return Checked(
        "IDENTITY",
        f"(diag pi - pi pi^T) A = dJ / dtheta for softmax policies with {n} actions: theta + eta A is the natural step",
        "Kakade 2001, A natural policy gradient, section 3 in the tabular case",
        "exp(theta) and rewards symbolic; numerators expand to 0",
        first_nonzero(entries),
    )


def lemma_step_gain(sign: int = 1, n: int = 4) -> Checked:
    """eta (<pi+, A> - <pi, A>) = KL(pi+ || pi) + KL(pi || pi+): a natural step never loses in the surrogate."""
    pi, new = _distribution("p", n), _distribution("q", n)
    A, log_pi = sympy.symbols(f"A0:{n}", real=True), sympy.symbols(f"k0:{n}", real=True)
    eta, log_z = sympy.symbols("eta z", real=True)
    # The normaliser shifts every logarithm alike, and cancels.
    ratio = [sum((eta * a, log_z)) for a in A]
    log_new = [k + x for k, x in zip(log_pi, ratio)]
    forward = sum(w * (a - b) for w, a, b in zip(new, log_new, log_pi))
    backward = sum(w * (b - a) for w, a, b in zip(pi, log_new, log_pi))
    gain = eta * sum((x - y) * a for x, y, a in zip(new, pi, A))
    return Checked(
        "IDENTITY",
        f"eta <pi+ - pi, A> = KL(pi+ || pi) + KL(pi || pi+) >= 0 for pi+ = pi exp(eta A) / Z, n = {n}",
        "derived; Agarwal, Kakade, Lee, Mahajan 2021, Lemma 16 in this form",
        "expansion in both policies, log pi, A, eta and log Z",
        sympy.expand(gain - forward - sign * backward),
    )


def lemma_first_inner_step(copies: int = 1, n: int = 3) -> Checked:
    """KL(pi_theta || pi_k) has gradient 0 and Hessian diag(pi) - pi pi^T at theta_k: MDPO starts with a plain step."""
    w = sympy.Matrix([sympy.symbols(f"w0:{n}", positive=True)])
    u = sympy.symbols(f"u0:{n}", positive=True)
    pi, old = softmax_policy(w), softmax_policy(sympy.Matrix([u]))
    divergence = sum(pi[a] * sympy.log(pi[a] / old[a]) for a in range(n))
    here = dict(zip(w, u))
    entries = []
    for a in range(n):
        gradient = w[a] * sympy.diff(divergence, w[a])
        entries.append(sympy.simplify(gradient.subs(here)))
        for b in range(n):
            bend = sympy.simplify((w[b] * sympy.diff(gradient, w[b])).subs(here))
            entries.append(bend - copies * old[a] * (sympy.Integer(a == b) - old[b]))
    return Checked(
        "IDENTITY",
        f"KL(pi_theta || pi_k) = (theta - theta_k) F (theta - theta_k) / 2 + third order, F the Fisher matrix, n = {n}",
        _SOURCE + "; derived",
        "first and second derivatives in theta at theta_k, where log(pi / pi_k) = 0",
        first_nonzero(entries),
    )


FALSIFIED = {
    "mirror_step": {"sign": -1},
    "natural_gradient": {"power": 2},
    "step_gain": {"sign": -1},
    "first_inner_step": {"copies": 2},
}
