"""Lemmas of soft-robust problems (Zhang, Hu, Li 2024): risk-sensitive ones, where nature's answer may be frozen."""

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: an undiscounted penalty, the nominal kernel in the gradient.
FALSIFIED = {"frozen_kernel": {"discounted": False}, "gradient_kernel": {"tilted": False}}

_SOURCE = "Zhang, Hu, Li 2024, soft robust Markov decision problems"


def lemma_frozen_kernel(discounted: bool = True, n: int = 3) -> Checked:
    """-(gamma / beta) log E_P e^(-beta V) = gamma E_Q V + (gamma / beta) KL(Q || P) at the worst row Q.

    Q is proportional to P e^(-beta V). So the soft-robust value of a policy solves the linear system with kernel Q and
    reward r + (gamma / beta) KL(Q || P): the penalty is discounted with the value. By `iyengar2005:kl_duality` no other
    row gives less.
    """
    gamma, beta, normaliser = sympy.symbols("gamma beta log_Z", positive=True)
    free = sympy.symbols(f"q0:{n - 1}", positive=True)
    Q = [*free, 1 - sum(free)]
    V, log_P = sympy.symbols(f"v0:{n}", real=True), sympy.symbols(f"p0:{n}", real=True)
    log_Q = [p - beta * v - normaliser for p, v in zip(log_P, V)]
    divergence = sum(q * (x - y) for q, x, y in zip(Q, log_Q, log_P))
    penalty = (gamma if discounted else 1) / beta * divergence
    return Checked(
        "IDENTITY",
        f"-(gamma / beta) log E_P e^(-beta V) = gamma E_Q V + (gamma / beta) KL(Q || P) at the worst row Q, n = {n}",
        _SOURCE + ", duality with risk-sensitive problems",
        "expansion in logarithms, log_Z standing for log E_P exp(-beta V)",
        sympy.expand(gamma * sum(q * v for q, v in zip(Q, V)) + penalty + gamma / beta * normaliser),
    )


def lemma_gradient_kernel(tilted: bool = True, n: int = 3) -> Checked:
    """The derivative of -(gamma / beta) log E_P e^(-beta V) in V_t is gamma Q_t: the worst row, not the nominal one.

    Differentiating V = sum_a pi_a (r_a - (gamma / beta) log E e^(-beta V)) gives dV = (I - gamma Q_pi)^-1 sum_a dpi_a
    q_a, so the policy gradient weighs states by their occupancy under the worst kernel.
    """
    gamma, beta = sympy.symbols("gamma beta", positive=True)
    V = sympy.symbols(f"v0:{n}", real=True)
    P = sympy.symbols(f"p0:{n}", positive=True)
    weights = [p * sympy.exp(-beta * v) for p, v in zip(P, V)] if tilted else P
    target = -gamma / beta * sympy.log(sum(p * sympy.exp(-beta * v) for p, v in zip(P, V)))
    defects = [sympy.diff(target, v) - gamma * w / sum(weights) for v, w in zip(V, weights)]
    return Checked(
        "IDENTITY",
        f"d/dV_t [-(gamma / beta) log E_P e^(-beta V)] = gamma Q_t, Q proportional to P e^(-beta V), n = {n}",
        _SOURCE + ", policy gradient; derived",
        "derivative by sympy; sum of squared defects",
        sum(sympy.simplify(defect) ** 2 for defect in defects),
    )
