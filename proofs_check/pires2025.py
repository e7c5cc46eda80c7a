"""Lemmas of distributional programming with a stock (Pires et al. 2025), and its errata as exact instances.

The stock c turns into c' = (c + r) / gamma with every reward, so that c + G, the stock and the return to come, obeys a
one-step identity whatever the law of G.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a stock without the reward, a scaling that belongs to another utility,
# a level at which the printed constant is enough, an option so good that it is optimal by itself, a second step that
# cannot answer the first, a lottery that is worse alone as well, a power that is too small, the level at which both
# quantiles are one, another alpha, equal arguments, the corrected sign.
FALSIFIED = {
    "stock_identity": {"shrink": lambda c, r, gamma: c / gamma},
    "bellman": {"power": 2},
    "reward_design": {"constant": 0},
    "cvar_loss": {"level": Fraction(1, 2)},
    "optimistic_greedy": {"luck": Fraction(1, 2)},
    "stock_needed": {"more": Fraction(1)},
    "mixtures_needed": {"win": Fraction(1)},
    "tanh_does_not_scale": {"other": Fraction(1, 2)},
    "step_scales": {"alpha": Fraction(1, 2)},
    "objective_slope": {"level": Fraction(1, 2)},
    "optimistic_minimiser": {"level": Fraction(1, 2)},
    "stock_editing": {"late": 0},
    "constraint_sign": {"sign": 1},
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


def lemma_stock_needed(more: Fraction = Fraction(3)) -> Checked:
    """For f = -|x| policies of state and time are not enough: one state, two rounds, target 4.

    Round one pays 1 or 3 evenly; round two pays 1 or 3 as one likes. With the stock the sum is always 4; without it,
    it misses by 2 half of the time.
    """
    half, c = Fraction(1, 2), Fraction(-4)
    second = (Fraction(1), more)
    firsts = (Fraction(1), Fraction(3))
    blind = max(-sum(half * abs(c + x + y) for x in firsts) for y in second)
    aware = -sum(half * min(abs(c + x + y) for y in second) for x in firsts)
    gap = aware - blind
    return Checked(
        "COUNTEREXAMPLE",
        "no policy of state and time is optimal for -|x|: -1 against 0 with the stock, one state, two rounds",
        _SOURCE + ", why the state is augmented; instance derived",
        f"rewards 1 or 3, then a choice of them, target 4; values {aware} and {blind}",
        gap if (aware, gap) == (0, 1) else Fraction(0),
    )


def lemma_mixtures_needed(win: Fraction = Fraction(3)) -> Checked:
    """Value iteration with K = CVaR at 3/4 is not optimal: what is best in a branch is not best in the mixture.

    The first step leads evenly to a sure -10 or to a choice of 0, or -1 and 3 evenly. Alone the lottery has CVaR 1/3,
    more than 0; in the mixture only its worse half is in the tail.
    """
    level, half = Fraction(3, 4), Fraction(1, 2)
    safe, lottery = {Fraction(0): Fraction(1)}, {Fraction(-1): half, win: half}
    alone = {name: _lowest(law, level) for name, law in (("safe", safe), ("lottery", lottery))}
    mixed = {}
    for name, law in (("safe", safe), ("lottery", lottery)):
        joint = {Fraction(-10): half} | {x: half * p for x, p in law.items()}
        mixed[name] = _lowest(joint, level) if sum(joint.values()) == 1 else None
    greedy = max(alone, key=alone.get)
    gap = max(mixed.values()) - mixed[greedy]
    sound = alone["lottery"] == Fraction(1, 3) and mixed["safe"] == Fraction(-20, 3)
    return Checked(
        "COUNTEREXAMPLE",
        "greedy choice for CVaR at 3/4 itself loses 1/3: the functional is not indifferent to mixtures",
        _SOURCE + ", Proposition 13; instance derived",
        f"alone {alone['safe']} and {alone['lottery']}; mixed {mixed['safe']} and {mixed['lottery']}",
        gap if sound and gap == Fraction(1, 3) else Fraction(0),
    )


def lemma_tanh_does_not_scale(other: Fraction = Fraction(1, 3)) -> Checked:
    """No alpha has tanh(c / 2) = alpha tanh(c) for all c: with t = tanh(c / 2) it would be (1 + t^2) / 2.

    tanh(c) = 2 t / (1 + t^2), so that t = 1/2 and t = 1/3 ask for 5/8 and 5/9.
    """
    wanted = [t / (2 * t / (1 + t**2)) for t in (Fraction(1, 2), other)]
    apart = wanted[0] - wanted[1]
    return Checked(
        "COUNTEREXAMPLE",
        "f(c / 2) = alpha f(c) + (1 - alpha) f(0) for tanh needs alpha = 5/8 at one c and 5/9 at another",
        _SOURCE + ", Lemma 12 and the converse of Theorem 20; instance derived",
        f"alpha {wanted[0]} and {wanted[1]}",
        apart if (*wanted, apart) == (Fraction(5, 8), Fraction(5, 9), Fraction(5, 72)) else Fraction(0),
    )


def lemma_step_scales(alpha: Fraction = Fraction(1)) -> Checked:
    """f = 1{x > 0} has f(gamma c) = alpha f(c) + (1 - alpha) f(0) with alpha = 1, which the printed lemma excludes.

    Its only values are those left and right of 0, and gamma > 0 moves nothing across.
    """
    defects = []
    for gamma in (Fraction(1, 100), Fraction(1, 2), Fraction(99, 100), Fraction(1)):
        for c in (Fraction(k, 7) for k in range(-21, 22)):
            # f(0) = 0.
            left, right = int(gamma * c > 0), alpha * int(c > 0)
            defects.append(abs(left - right))
    return Checked(
        "EXACT_CASES",
        "1{gamma c > 0} = 1{c > 0} for c on both sides of 0 and at 0, gamma in (0, 1]: alpha = 1",
        _SOURCE + ", Lemma 12, item 2, whose side condition alpha < 1 is dropped",
        "43 numbers c, four discounts",
        sum(defect != 0 for defect in defects),
    )


def lemma_objective_slope(level: Fraction = Fraction(1, 5)) -> Checked:
    """-c + E min(c + G, 0) / tau has slope 1/tau - 1 left of every return: it is not 1-Lipschitz for tau < 1/2."""

    def outer(c: Fraction) -> Fraction:
        return -c + min(c + 1, Fraction(0)) / level

    slope = (outer(Fraction(-1)) - outer(Fraction(-2))) / 1
    beyond = outer(Fraction(1)) - outer(Fraction(0))
    sound = slope == 1 / level - 1 and beyond == -1
    return Checked(
        "COUNTEREXAMPLE",
        "the objective in the initial stock has slope 4 at tau = 1/5, return 1: above the printed Lipschitz constant 1",
        _SOURCE + ", Proposition 37 as printed",
        f"slopes {slope} left of the kink and {beyond} right of it",
        slope - 1 if sound else Fraction(0),
    )


def lemma_optimistic_minimiser(level: Fraction = Fraction(1, 4)) -> Checked:
    """x + E (X - x)_+ / tau is least at the quantile of 1 - tau, not of tau: X even on 0, 1, 2, 3, tau = 1/4."""
    law = {Fraction(k): Fraction(1, 4) for k in range(4)}

    def quantile(share: Fraction) -> Fraction:
        return next(x for x in law if sum(p for y, p in law.items() if y <= x) >= share)

    def objective(x: Fraction) -> Fraction:
        return x + sum(p * max(y - x, 0) for y, p in law.items()) / level

    highest = -_lowest({-x: p for x, p in law.items()}, level)
    printed, corrected = objective(quantile(level)), objective(quantile(1 - level))
    gap = printed - highest
    return Checked(
        "COUNTEREXAMPLE",
        "at the quantile of tau the objective is 6, at that of 1 - tau it is 3, the optimistic CVaR; tau = 1/4",
        _SOURCE + ", Lemma 38 as printed",
        f"{printed} and {corrected}, OCVaR {highest}",
        gap if (printed, corrected, highest, gap) == (6, 3, 3, 3) else Fraction(0),
    )


def lemma_stock_editing(late: int = 1) -> Checked:
    """C_(k+1) = gamma^-(k+1) (C_0 + sum_{i <= k} gamma^i R_(i+1)) by the recursion, k up to 3; not gamma^-k."""
    gamma, c = sympy.symbols("gamma c", positive=True)
    rewards = sympy.symbols("r1:5", real=True)
    stock, total, defects = c, c, []
    for k, r in enumerate(rewards):
        stock, total = (stock + r) / gamma, total + gamma**k * r
        defects.append(sympy.expand(stock - gamma ** -(k + late) * total))
    return Checked(
        "IDENTITY",
        "C_(k+1) = gamma^-(k+1) (C_0 + sum_(i <= k) gamma^i R_(i+1)) for k <= 3",
        _SOURCE + ", section 8, with the exponent corrected",
        "expansion; sum of the squared defects",
        sympy.expand(sum(defect**2 for defect in defects)),
    )


def lemma_constraint_sign(sign: int = -1) -> Checked:
    """f(x) = -x_1 + alpha (x_2)_- with first reward -1 prefers the longer of two paths that satisfy the constraint."""

    def utility(steps: int, shortfall: int, alpha: int = 50) -> int:
        return sign * -steps + alpha * min(shortfall, 0)

    gap = utility(16, 0) - utility(3, 0)
    return Checked(
        "COUNTEREXAMPLE",
        "undiscounted, a path of 16 steps is better by 13 than one of 3, neither falling short",
        _SOURCE + ", sections 5.5 and 7.4 as printed",
        f"utilities {utility(16, 0)} and {utility(3, 0)}",
        Fraction(gap if gap == 13 else 0),
    )
