"""Lemmas of distributional programming with a stock (Pires et al. 2025), and two exact errata of its risk section.

The stock c turns into c' = (c + r) / gamma with every reward, so that c + G, the stock and the return to come, obeys a
one-step identity whatever the law of G.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a stock without the reward, a scaling that belongs to another utility,
# a level at which the printed constant is enough, an option so good that it is optimal by itself.
FALSIFIED = {
    "stock_identity": {"shrink": lambda c, r, gamma: c / gamma},
    "bellman": {"power": 2},
    "reward_design": {"constant": 0},
    "cvar_loss": {"level": Fraction(1, 2)},
    "optimistic_greedy": {"luck": Fraction(1, 2)},
}

_SOURCE = "Pires et al. 2025, JMLR 26"
Law = dict[Fraction, Fraction]


def lemma_stock_identity(
    shrink: Callable[[sympy.Expr, sympy.Expr, sympy.Expr], sympy.Expr] = lambda c, r, gamma: (c + r) / gamma,
) -> Checked:
    """gamma^t (C_t + G_t) = C_0 + G_0 along every path: the rewards are absorbed by the stock, here up to t = 3."""
    gamma, c, tail = sympy.symbols("gamma c G_3", positive=True)
    rewards = sympy.symbols("r1:4", real=True)
    total = c + sum(gamma**t * r for t, r in enumerate(rewards)) + gamma**3 * tail
    stock, defects = c, []
    for t, r in enumerate(rewards):
        to_come = sum(gamma**k * x for k, x in enumerate(rewards[t:])) + gamma ** len(rewards[t:]) * tail
        defects.append(sympy.expand(gamma**t * (stock + to_come) - total))
        stock = shrink(stock, r, gamma)
    defects.append(sympy.expand(gamma**3 * (stock + tail) - total))
    return Checked(
        "IDENTITY",
        "gamma^t (C_t + G_t) = C_0 + G_0 for t <= 3, any rewards and tail",
        _SOURCE + ", reward absorption",
        "expansion; sum of the squared defects of the four times",
        sum(defect**2 for defect in defects),
    )


def lemma_bellman(power: int = 1) -> Checked:
    """E f(c + G) of one step more is alpha E f(c' + G') + (1 - alpha) f(0), path by path, for f that scale.

    f(c + r + gamma G') = alpha f((c + r) / gamma + G') with alpha = gamma for x, -|x|, the negative part and the
    positive part, and alpha = gamma^2 for -x^2; f(0) = 0 for all. So v(s, c) = max_a alpha E v(s', (c + r) / gamma).
    """
    gamma = sympy.Symbol("gamma", positive=True)
    c, r, later = sympy.symbols("c r G", real=True)
    utilities = (lambda x: x, lambda x: -abs(x), lambda x: (x - abs(x)) / 2, lambda x: (x + abs(x)) / 2)
    scaled = [(f, gamma**power) for f in utilities] + [(lambda x: -(x**2), gamma**2)]
    defects = []
    for f, alpha in scaled:
        # gamma (c' + G') is written over a common factor, so that sympy takes gamma out of the absolute value.
        ahead = (c + r) / gamma + later
        kept = sympy.expand(gamma * ahead) == c + r + gamma * later
        defects.append(sympy.expand(f(gamma * ahead) - alpha * f(ahead)) if kept else 1)
    # Without this a utility might be anything: |x| and the parts of x at 3 and -3.
    pinned = [f(sympy.Integer(x)) for f, _ in scaled for x in (3, -3)] == [3, -3, -3, -3, 0, -3, 3, 0, -9, -9]
    return Checked(
        "IDENTITY",
        "f(c + r + gamma G) = alpha f((c + r) / gamma + G) for x, -|x|, (x)_-, (x)_+ (alpha = gamma), -x^2 (gamma^2)",
        _SOURCE + ", Lemma 12 and Theorem 20",
        "gamma > 0, all else real; sum of squared defects",
        sum(defect**2 for defect in defects) if pinned else 1,
    )


def lemma_reward_design(constant: int = 1, T: int = 4) -> Checked:
    """Rewards alpha f(C') - f(C) + (1 - alpha) f(0), discounted by alpha, add up to f(gamma^T C_T) - f(C_0).

    f(gamma x) = alpha f(x) + (1 - alpha) f(0), applied T times, is the last step: an expected utility that scales is an
    ordinary discounted problem on the states with stock. (f(0) need not be 0.)
    """
    alpha, zero = sympy.symbols("alpha f_0", real=True)
    f = sympy.symbols(f"f1:{T + 2}", real=True)  # f(C_0), ..., f(C_T)
    total = sum(alpha**t * (alpha * b - a + constant * (1 - alpha) * zero) for t, (a, b) in enumerate(pairwise(f)))
    final = f[T]
    for _ in range(T):
        final = alpha * final + (1 - alpha) * zero
    return Checked(
        "IDENTITY",
        f"sum_t alpha^t (alpha f(C_(t+1)) - f(C_t) + (1 - alpha) f(0)) = f(gamma^T C_T) - f(C_0), T = {T}",
        _SOURCE + ", Theorem 20; the telescoping is derived",
        "values of f along the path symbolic; expansion",
        sympy.expand(total - (final - f[0])),
    )


def _lowest(law: Law, level: Fraction) -> Fraction:
    """Mean of the lowest share `level` of a law."""
    room, total = level, Fraction(0)
    for x, p in sorted(law.items()):
        total, room = total + x * min(p, room), room - min(p, room)
    return total / level


def lemma_cvar_loss(level: Fraction = Fraction(1, 5)) -> Checked:
    """A policy within eps for every stock may lose eps / tau in CVaR: the printed 4 eps is too small for tau < 1/4.

    One step; A pays 1, B pays 0 with probability p = 1/10, else 1. For f(x) = min(x, 0) B is worse than A by at most p,
    at any stock: the difference is linear between -1 and 0 and constant outside. CVaR_tau(B) = 1 - p / tau.
    """
    p = Fraction(1, 10)
    safe, risky = {Fraction(1): Fraction(1)}, {Fraction(0): p, Fraction(1): 1 - p}

    def utility(law: Law, stock: Fraction) -> Fraction:
        return sum(q * min(stock + x, 0) for x, q in law.items())

    worse = [utility(safe, c) - utility(risky, c) for c in (Fraction(-2), Fraction(-1), Fraction(0))]
    eps = max(worse)
    loss = _lowest(safe, level) - _lowest(risky, level)
    excess = loss - 4 * eps
    sound = worse == [p, p, 0] and (loss, excess) == (p / level, p)
    return Checked(
        "COUNTEREXAMPLE",
        "CVaR loss 1/2 of a policy with eps = 1/10 at tau = 1/5: above 4 eps; the bound that holds is eps / tau",
        _SOURCE + ", Proposition 37 and Theorem 17 as printed",
        f"A = 1, B = 0 with probability 1/10, else 1; eps = {eps}, loss = {loss}",
        excess if sound else Fraction(0),
    )


def lemma_optimistic_greedy(luck: Fraction = Fraction(3, 10)) -> Checked:
    """For the optimistic CVaR no deterministic policy is optimal: choosing the best stock and acting greedily loses.

    One step, tau = 1/2; A pays 2, B pays 3 with probability 3/10, else 1. Their optimistic CVaR is 2 and 11/5; playing
    B with probability 5/7 has 17/7, the value of min_c -c + (1/tau) max_a E (c + G)_+, at c = -11/7.
    """
    tau = Fraction(1, 2)
    sure, gamble = {Fraction(2): Fraction(1)}, {Fraction(3): luck, Fraction(1): 1 - luck}

    def highest(law: Law) -> Fraction:
        return -_lowest({-x: p for x, p in law.items()}, tau)

    def dual(stock: Fraction) -> Fraction:
        return max(sum(p * max(stock + x, 0) for x, p in law.items()) for law in (sure, gamble)) / tau - stock

    # Convex, and linear from -2 to -11/7, where the two actions tie, and from there to -1: the least is in the middle.
    left, value, right = (dual(stock) for stock in (Fraction(-2), Fraction(-11, 7), Fraction(-1)))
    least = (left, value, right) == (Fraction(13, 5), Fraction(17, 7), 3)
    share = Fraction(5, 7)
    mixture = {Fraction(3): share * luck, Fraction(2): 1 - share, Fraction(1): share * (1 - luck)}
    laws = all(sum(law.values()) == 1 for law in (gamble, mixture))
    best = max(highest(sure), highest(gamble))
    gap = value - best
    sound = laws and least and highest(mixture) == value and (best, gap) == (Fraction(11, 5), Fraction(8, 35))
    return Checked(
        "COUNTEREXAMPLE",
        "the optimistic CVaR is 17/7 for a mixture and 11/5 for the best deterministic policy, tau = 1/2",
        _SOURCE + ", Theorem 19 read with a deterministic greedy policy",
        f"A = 2, B = 3 with probability 3/10, else 1; value {value}, deterministic {best}",
        gap if sound else Fraction(0),
    )
