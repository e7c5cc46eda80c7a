"""Lemmas of performative reinforcement learning in gradually shifting environments (Rank and others 2024).

An environment E moves to (1 - w) E + w R with each deployment of a policy that R answers.
"""

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: an environment that forgets nothing, one deployment too few, a sign.
FALSIFIED = {
    "fixed_points": {"kept": 0},
    "k_deployments": {"late": 1},
    "retraining_factor": {"share": 0},
    "deployments_or_retrainings": {"sign": -1},
}

_SOURCE = "Rank, Triantafyllou, Mandal, Radanovic 2024; derived"


def lemma_fixed_points(kept: int = 1) -> Checked:
    """E = (1 - w) E + w R is w (R - E) = 0: for w > 0 the environment rests only where it answers the policy.

    A learner who takes the optimum of E, or of any mixture of equal environments, then rests where repeated
    optimisation rests.
    """
    w, E, R = sympy.symbols("w E R", real=True)
    after = (1 - kept * w) * E + w * R
    return Checked(
        "IDENTITY",
        "(1 - w) E + w R - E = w (R - E)",
        _SOURCE,
        "expanded, one entry of the environment",
        sympy.expand(after - E - w * (R - E)),
    )


def lemma_k_deployments(late: int = 0) -> Checked:
    """k deployments of one policy leave E_k = R + (1 - w)^k (E - R)."""
    w, E, R, power = sympy.symbols("w E R X", real=True)  # X = (1 - w)^k

    def after(x: sympy.Expr) -> sympy.Expr:
        return R + (1 - w) ** late * x * (E - R)

    start = after(sympy.Integer(1)) - E
    step = (1 - w) * after(power) + w * R - after((1 - w) * power)
    return Checked(
        "IDENTITY",
        "E_k = R + (1 - w)^k (E - R)",
        _SOURCE,
        "start and induction step; squared defects",
        sympy.expand(start) ** 2 + sympy.expand(step) ** 2,
    )


def lemma_retraining_factor(share: int = 1, n: int = 3) -> Checked:
    """One state, rewards r0 + eps d: each retraining scales the environment's distance from rest by exactly

    1 - (1 - q)(1 - (1 - w)^k), q = eps / lam. In general, with rewards that are eps-Lipschitz and a kernel that does
    not respond, the same number is an upper bound, because the projection is nonexpansive. With rewards r0 - eps d read
    q as -eps / lam: the factor is (1 - w)^k - |q| (1 - (1 - w)^k), 0 where (1 - w)^k = |q| / (1 + |q|).
    """
    X, lam, mass = sympy.symbols("X lam M", positive=True)  # X = (1 - w)^k
    q = sympy.Symbol("q", real=True)
    r0 = sympy.Matrix(sympy.symbols(f"r0:{n}", real=True))
    free = sympy.symbols(f"y0:{n - 1}", real=True)
    y = sympy.Matrix([*free, -sum(free)])
    # At rest d_S = Proj((r0 + q lam d_S) / lam) on the plane of mass M; the environment is off by lam y in the plane.
    rest = [sympy.Symbol(f"d{i}", positive=True) for i in range(n - 1)]
    d = sympy.Matrix([*rest, mass - sum(rest)])
    base = lam * (1 - q) * d  # rewards r0 for which d rests, up to a constant that the projection takes out
    answer = d + (y - sum(y) / n * sympy.ones(n, 1))
    env = lam * y + base + q * lam * d + sum(r0) * sympy.ones(n, 1) / n
    aim = base + q * lam * answer + sum(r0) * sympy.ones(n, 1) / n
    after = X * env + (1 - X) * aim
    off = (after - (base + q * lam * d + sum(r0) * sympy.ones(n, 1) / n)) / lam
    defect = off - (1 - share * (1 - q) * (1 - X)) * y
    return Checked(
        "IDENTITY",
        f"y' = (1 - (1 - q)(1 - (1 - w)^k)) y for one state, {n} actions, rewards r0 + eps d, occupancies positive",
        _SOURCE,
        "(1 - w)^k as a symbol; squared defects",
        sympy.expand(sum(sympy.expand(x) ** 2 for x in defect)),
    )


def lemma_deployments_or_retrainings(sign: int = 1) -> Checked:
    """q + (1 - q) x^k >= (q + (1 - q) x)^k for q, x in [0, 1]: one delayed retraining gains less than k prompt ones.

    With m = q + (1 - q) x and D_k the difference, D_1 = 0 and D_{k+1} = m D_k + q (1 - q)(1 - x)(1 - x^k), a sum of
    terms at least 0. So delay saves retrainings (x^k <= x) and costs deployments, where rewards attract
    (q > 0); where they repel it may save both.
    """
    q, x, power, past = sympy.symbols("q x X Y", positive=True)  # x^k and m^k
    m = q + (1 - q) * x
    now, after = q + (1 - q) * power - past, q + (1 - q) * x * power - m * past
    defect = after - m * now - sign * q * (1 - q) * (1 - x) * (1 - power)
    return Checked(
        "IDENTITY",
        "D_{k+1} = m D_k + q (1 - q)(1 - x)(1 - x^k) for D_k = q + (1 - q) x^k - (q + (1 - q) x)^k",
        _SOURCE,
        "induction step, x^k and m^k as symbols",
        sympy.expand(defect),
    )
