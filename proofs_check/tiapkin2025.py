"""Lemmas of Nash mirror prox (Tiapkin et al. 2025): at matched steps it is the extragradient method EGPO."""

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: the step read as if eta_MP, not beta / eta_MP, weighed the proximal term.
FALSIFIED = {"is_extragradient": {"inverted": True}, "rate": {"factor": 4}}

_SOURCE = "Tiapkin et al. 2025, arXiv:2505.19731v1; the identity is derived"


def lemma_is_extragradient(inverted: bool = False, n: int = 3) -> Checked:
    """The proximal step of Nash mirror prox is a step of EGPO with eta = 1 / (beta + lam), lam = beta / eta_MP.

    For every policy p, payoff vector g = P nu, centre pi and reference mu, with log v = (1 - eta beta) log pi
    + eta beta log mu + eta g - x, the objective <p, g> - beta D(p || mu) - lam D(p || pi) equals
    (beta + lam) (x - D(p || v)): v is its only maximiser. Half step and full step differ in nu only, so the iterates
    of the two methods agree.
    """
    beta, step, x = sympy.symbols("beta eta_MP x", positive=True)
    lam = step / beta if inverted else beta / step
    eta = 1 / (beta + beta / step)
    free = sympy.symbols(f"p0:{n - 1}", positive=True)
    p = sympy.Matrix([*free, 1 - sum(free)])
    log_p, log_pi, log_mu, g = (sympy.Matrix(sympy.symbols(f"{name}0:{n}", real=True)) for name in "abmg")
    log_v = (1 - eta * beta) * log_pi + eta * beta * log_mu + eta * g - x * sympy.ones(n, 1)
    objective = p.dot(g) - beta * p.dot(log_p - log_mu) - lam * p.dot(log_p - log_pi)
    claimed = (beta + lam) * (x - p.dot(log_p - log_v))
    return Checked(
        "IDENTITY",
        f"the proximal step of Nash mirror prox is EGPO's with eta = eta_MP / (beta (1 + eta_MP)), n = {n}",
        _SOURCE,
        "objective at a generic policy; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(objective - claimed))[0]),
    )


def lemma_rate(factor: int = 2) -> Checked:
    """With eta_MP = 2 beta the step of EGPO is 1 / (beta + 1/2), the longest that contracts whatever the preferences.

    Its factor 1 - eta beta is 1 / (1 + 2 beta): one iteration, two queries. L <= 1/2 for entries of P in [0, 1].
    """
    beta = sympy.Symbol("beta", positive=True)
    step = factor * beta
    eta = 1 / (beta + beta / step)
    defects = (eta - 1 / (beta + sympy.Rational(1, 2)), 1 - eta * beta - 1 / (1 + 2 * beta))
    return Checked(
        "IDENTITY",
        "eta_MP = 2 beta gives eta = 1 / (beta + 1/2) and the factor 1 - eta beta = 1 / (1 + 2 beta)",
        _SOURCE,
        "two rational functions of beta; sum of squared defects",
        sympy.cancel(sum(defect**2 for defect in defects)),
    )
