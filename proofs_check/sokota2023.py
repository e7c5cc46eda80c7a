"""Lemmas of magnetic mirror descent (Sokota et al. 2023): the energy balance of one step in a regularised game."""

from fractions import Fraction
from itertools import combinations

import sympy

from proofs_check.checked import Checked
from proofs_check.sos import defect

# Arguments that make each statement false: an anchored step without its anchor's weight, a step too long.
FALSIFIED = {"energy": {"anchor": 2}, "absorbed": {"stretch": 2}}

_SOURCE = "Sokota et al. 2023, arXiv:2206.05825; the identity is derived"


def _shifted(vector: sympy.Matrix, constant: sympy.Symbol) -> sympy.Matrix:
    """The vector with an unknown constant added to every entry: a normaliser, of either sign."""
    return vector.applyfunc(lambda entry: sympy.Add(entry, constant))


def lemma_energy(anchor: int = 1, n: int = 3) -> Checked:
    """One step of magnetic mirror descent, log u = (log pi + h log mu + eta K pi) / (1 + h) + c with h = eta tau:

    (1 + h) D(pi* || u) = D(pi* || pi) - D(u || pi) - h D(u || pi*) + eta <K (pi - u), u - pi*>.
    """
    eta, tau, c, x = sympy.symbols("eta tau c x", real=True)
    h = eta * tau
    K = sympy.zeros(n, n)
    for i, j in combinations(range(n), 2):
        K[i, j] = sympy.Symbol(f"k{i}{j}", real=True)
        K[j, i] = -K[i, j]
    weight = {}
    for name in ("pi", "u", "star"):
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        weight[name] = sympy.Matrix([*free, 1 - sum(free)])
    log_pi = sympy.Matrix(sympy.symbols(f"a0:{n}", real=True))
    log_mu = sympy.Matrix(sympy.symbols(f"b0:{n}", real=True))
    log = {
        "pi": log_pi,
        "u": _shifted((log_pi + anchor * h * log_mu + eta * K * weight["pi"]) / (1 + h), x),
        "star": _shifted(log_mu + K * weight["star"] / tau, c),
    }

    def divergence(p: str, q: str) -> sympy.Expr:
        return weight[p].dot(log[p] - log[q])

    left = (1 + h) * divergence("star", "u")
    right = divergence("star", "pi") - divergence("u", "pi") - h * divergence("u", "star")
    right = right + eta * (K * (weight["pi"] - weight["u"])).dot(weight["u"] - weight["star"])
    return Checked(
        "IDENTITY",
        f"energy identity of magnetic mirror descent, n = {n}, all skew K, mu, pi, eta, tau",
        _SOURCE,
        "rational function of the parameters; the numerator expands to 0",
        sympy.expand(sympy.fraction(sympy.together(left - right))[0]),
    )


def lemma_absorbed(stretch: int = 1) -> Checked:
    """(a^2 + h b^2) / 2 - eta L a b >= 0 if eta L^2 <= tau, h = eta tau: hence D(pi* || u) <= D(pi* || pi) / (1 + h).

    a and b are the l1 lengths of u - pi and u - pi*, by Pinsker's inequality. With tau = eta L^2 + s, s >= 0, the left
    side is (a - eta L b)^2 / 2 + eta s b^2 / 2. The step may be of order tau only: extragradient needs no such limit.
    """
    a, b = sympy.symbols("a b", real=True)
    eta, L, s = sympy.symbols("eta L s", nonnegative=True)
    tau = eta * L**2 + s
    half = Fraction(1, 2)
    return Checked(
        "SOS",
        "(a^2 + eta tau b^2) / 2 >= eta L a b for all real a, b and eta <= tau / L^2",
        _SOURCE,
        "(a - eta L b)^2 / 2 + eta (tau - eta L^2) b^2 / 2; exact expansion",
        defect(
            (a**2 + eta * tau * b**2) / 2 - stretch * eta * L * a * b,
            [(half, a - eta * L * b), (half, b, eta, s)],
            [eta, s],
        ),
    )
