"""Lemmas behind hybrid policy evaluation and HAC (Zhou, Sekhari, Song, Sun 2023): closed form, burn-in, constants."""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked, failed_cases, witness

# Arguments that make each statement false.
FALSIFIED = {
    "closed_form": {"share": 2},
    "fixed_point": {"power": 2},
    "contraction": {"factor": Fraction(1, 2)},
    "printed_burn_in": {"gamma": Fraction(1, 10)},
    "boltzmann_integral": {"steps": 2},
    "success": {"lucky": 0},
    "diverging": {"second": 1},
}
_SOURCE = "Zhou, Sekhari, Song, Sun 2023"


def lemma_closed_form(share: int = 1) -> Checked:
    """nu (f - t)^2 + lam d (f - q)^2 has its one minimum at (nu t + lam d q) / (nu + lam d)."""
    nu, lam, d = sympy.symbols("nu lam d", positive=True)
    f, t, q = sympy.symbols("f t q", real=True)
    loss = nu * (f - t) ** 2 + lam * d * (f - q) ** 2
    best = (nu * t + share * lam * d * q) / (nu + lam * d)
    # A quadratic in f is what it is at the minimum plus the curvature times the squared distance.
    slope = sympy.cancel(sympy.diff(loss, f).subs(f, best))
    curve = sympy.expand(sympy.diff(loss, f, 2) - 2 * (nu + lam * d))
    return Checked(
        "IDENTITY",
        "argmin_f nu (f - t)^2 + lam d (f - q)^2 = (nu t + lam d q) / (nu + lam d)",
        _SOURCE + ", algorithm 1 with tables; derived",
        "derivative at the minimum, and curvature; absolute defects",
        sympy.Matrix([slope, curve]).norm(1),
    )


def lemma_fixed_point(power: int = 1) -> Checked:
    """One state, one action: f - q shrinks by gamma nu / (nu + lam d) in a step, q = r / (1 - gamma)."""
    gamma, nu, weight = sympy.symbols("gamma nu w", positive=True)
    f, r = sympy.symbols("f r", real=True)
    q = r / (1 - gamma)
    after = (nu * (r + gamma * f) + weight * q) / (nu + weight)
    return Checked(
        "IDENTITY",
        "f' - q = gamma nu / (nu + lam d) (f - q)",
        _SOURCE + ", algorithm 1 with tables; derived",
        "all numbers symbols",
        sympy.cancel(after - q - gamma**power * nu / (nu + weight) * (f - q)),
    )


def lemma_contraction(factor: Fraction = Fraction(1)) -> Checked:
    """gamma nu / (nu + lam d) <= gamma, and the mean of gamma^1..gamma^T is at most gamma / ((1 - gamma) T).

    The first with equality where the policy never goes (d = 0); the second for T up to 40, short by gamma^T of it.
    """
    slacks, defects = [], []
    for k in range(1, 10):
        gamma, total, power = Fraction(k, 10), Fraction(0), Fraction(1)
        slacks += [factor * gamma - gamma * Fraction(1, 1 + w) for w in range(4)]
        for _ in range(40):
            power *= gamma
            total += power
            defects.append(total + gamma * power / (1 - gamma) - gamma / (1 - gamma))
    return Checked(
        "EXACT_CASES",
        "gamma / (1 + w) <= gamma for w = 0..3, and sum_{k <= T} gamma^k = gamma (1 - gamma^T) / (1 - gamma)",
        _SOURCE + ", burn-in; derived",
        "gamma = 1/10..9/10, T = 1..40; the least slack is 0",
        max(failed_cases(slacks, 0), sum(defect != 0 for defect in defects)),
    )


def lemma_printed_burn_in(gamma: Fraction = Fraction(9, 10), T: int = 10) -> Checked:
    """gamma = 9/10, offline data alone, one state: four steps leave .6561 of the start, not 1/10.

    log(10/9) is between 0 and 1, because 1 < 10/9 < 2 < e: K_1 = 4 ceil(log(1/gamma)) = 4.
    """
    between = 1 < 1 / gamma < 2
    left = gamma**4 if between else Fraction(0)
    return Checked(
        "COUNTEREXAMPLE",
        "|f_{K_1} - Q| <= |f_0 - Q| / T for K_1 = 4 ceil(log(1/gamma)): fails by .5561 at gamma = 9/10, T = 10",
        _SOURCE + ", Theorem 1 as printed",
        "one state and action, nu = 1, lam d = 0, exact",
        witness(left - Fraction(1, T), "5561/10000"),
    )


def lemma_boltzmann_integral(steps: int = 1, A: int = 3) -> Checked:
    """d/dx log sum_a exp(-x delta_a) = -sum pi delta, pi ~ exp(-x delta): regret integrates to log A - log sum.

    From x = 0 on the regret of exp(x q) sums up to log A in units of 1/eta, where the best action is one: the constant
    of the first term is 1.
    """
    x = sympy.Symbol("x", positive=True)
    delta = [sympy.Integer(0), *sympy.symbols(f"d1:{A}", positive=True)]
    weights = [sympy.exp(-x * t) for t in delta]
    regret = sum(w * t for w, t in zip(weights, delta)) / sum(weights)
    potential = sympy.log(sum(weights))
    slope = sympy.simplify(sympy.diff(potential, x) + steps * regret)
    ends = sympy.limit(potential.subs({t: 1 for t in delta[1:]}), x, sympy.oo) + potential.subs(x, 0) - sympy.log(A)
    return Checked(
        "IDENTITY",
        "int_0^oo sum_a pi_x(a) delta_a dx = log A for pi_x ~ exp(-x delta), one delta 0 and the others positive",
        _SOURCE + ", first term of Theorem 1; derived",
        f"derivative and ends of log sum exp, {A} actions; absolute defects",
        sympy.Matrix([slope, sympy.simplify(ends)]).norm(1),
    )


def lemma_success(lucky: int = 1, A: int = 10) -> Checked:
    """An action is right with probability 1 - eps + eps / A: (1 - 9 / (10 H))^H over H steps with eps = 1/H."""
    wrong: set[int] = set()
    for H in (5, 10, 15, 30, 50):
        eps, chance = Fraction(1, H), Fraction(1)
        for _ in range(H):
            chance *= 1 - eps + lucky * eps / A
        if chance != Fraction(10 * H - 9, 10 * H) ** H:
            wrong.add(H)
    return Checked(
        "EXACT_CASES",
        "success (1 - 9/(10 H))^H for H = 5, 10, 15, 30, 50; .37 to .41, where (1 - 1/H)^H is .33 to .36",
        _SOURCE + ", offline data of section 5; derived",
        "five lengths, exact; the number of lengths where they differ",
        len(wrong),
    )


def lemma_diverging(second: int = 2) -> Checked:
    """Values a at state 1 and 2 a at state 2, which stays, unpaid: fitted Q evaluation multiplies a by 3.9/2.05 gamma.

    Weights 39/50 and 1/100 on the two; a' = argmin 39 (a' - 2 gamma a)^2 + (2 a' - 2 gamma a)^2 / 2 is a times
    80 gamma / 41, above 1 for gamma >= 7/10; the true a is 0.
    """
    gamma, one, two = Fraction(7, 10), Fraction(39, 50), Fraction(1, 100)
    up = Fraction(second)
    factor = (one * gamma * up + two * up * gamma * up) / (one + two * up * up)
    return Checked(
        "COUNTEREXAMPLE",
        "fitted Q evaluation converges if every Q^pi is in the class: its error grows by 15/41 a step and more",
        _SOURCE + ", off-policy term alone; instance derived",
        "normal equation in one unknown, gamma = 7/10",
        witness(factor - 1, "15/41"),
    )
