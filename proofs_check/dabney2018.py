"""Lemmas of quantile distributional reinforcement learning (Dabney et al. 2018): projection, metrics, losses."""

from fractions import Fraction
from itertools import combinations_with_replacement, pairwise, product

import sympy

from proofs_check.checked import Checked, failed_cases, witness
from proofs_check.sos import defect

_HALF, _THIRD = Fraction(1, 2), Fraction(1, 3)

# Arguments that make each statement false: levels at the ends, half the bound, a discount of a half or none at all,
# half the error of a backup, an even law, a gamble whose two losses agree, levels at the ends again.
FALSIFIED = {
    "midpoints_are_nearest": {"back": 0},
    "projection_error": {"halves": 4},
    "no_w1_contraction": {"gamma": Fraction(1, 2)},
    "w_inf_contraction": {"factor": Fraction(2, 5)},
    "fixed_point": {"share": Fraction(1, 2)},
    "mean_is_not_kept": {"win": _HALF},
    "sampled_loss_is_biased": {"win": Fraction(1, 2)},
    "quantile_loss": {"back": 0},
}

_SOURCE = "Dabney, Rowland, Bellemare, Munos 2018, arXiv:1710.10044"
Law = dict[Fraction, Fraction]

_LAWS: list[Law] = [
    {Fraction(0): Fraction(2, 7), Fraction(1): Fraction(1, 7), Fraction(4): Fraction(4, 7)},
    {Fraction(-1): Fraction(1, 5), Fraction(1): Fraction(3, 5), Fraction(5): Fraction(1, 5)},
    {Fraction(0): Fraction(3, 8), Fraction(2): Fraction(3, 8), Fraction(3): Fraction(1, 4)},
]


def _quantile(law: Law, level: Fraction) -> Fraction:
    """inf {x : F(x) >= level}."""
    reached = Fraction(0)
    for x, p in sorted(law.items()):
        reached = reached + p
        if reached >= level:
            return x
    raise ValueError(f"no quantile at level {level}")


def _even(atoms: tuple[Fraction, ...]) -> Law:
    """Masses 1 / m on m atoms."""
    return {x: Fraction(atoms.count(x), len(atoms)) for x in atoms}


def _wasserstein(one: Law, other: Law) -> Fraction:
    """Integral of the distance of the distribution functions."""
    total, below = Fraction(0), Fraction(0)
    for x, after in pairwise(sorted({*one, *other})):
        below = below + one.get(x, 0) - other.get(x, 0)
        total = total + abs(below) * (after - x)
    return total


def _projected(law: Law, m: int, back: int = 1) -> tuple[Fraction, ...]:
    """The quantiles at (2 i - back) / (2 m): at the midpoints by default, at the ends with 0."""
    return tuple(_quantile(law, Fraction(2 * i - back, 2 * m)) for i in range(1, m + 1))


def lemma_midpoints_are_nearest(back: int = 1) -> Checked:
    """Of all laws of m = 2 or 3 equal atoms the quantiles at the midpoints are nearest in w_1, on three laws.

    A nearest one has its atoms among those of the law: finitely many are all. Halves between them are tried too.
    """
    slacks, pinned = [], []
    for law, m in product(_LAWS, (2, 3)):
        best = _wasserstein(law, _even(_projected(law, m, back)))
        pinned.append(best)
        candidates = sorted({*law, *((x + y) / 2 for x, y in pairwise(sorted(law)))})
        slacks += [_wasserstein(law, _even(one)) - best for one in combinations_with_replacement(candidates, m)]
    expected = [Fraction(3, 7), _THIRD, Fraction(6, 5), Fraction(4, 5), _HALF, Fraction(1, 6)]
    return Checked(
        "EXACT_CASES",
        "quantiles at (2 i - 1) / (2 m) are the m equal atoms nearest in w_1: three laws, m = 2 and 3",
        _SOURCE + ", Lemma 2",
        f"{len(slacks)} tuples of atoms and midpoints",
        failed_cases(slacks) if pinned == expected and sum(slacks) == Fraction(25297, 210) else len(slacks),
    )


def lemma_projection_error(halves: int = 2, n: int = 3) -> Checked:
    """Sum of the errors e_i of n slices is at most (b - a) / (2 n).

    Over slice i of the levels, of length 1 / n, the quantile function runs from l_i to u_i and is on one side of its
    middle value on each half: e_i <= (u_i - l_i) / (2 n). It increases: a <= l_1, u_i <= l_{i+1}, u_n <= b.
    """
    a, b = sympy.symbols("a b", real=True)
    e, low, up = (sympy.symbols(f"{name}1:{n + 1}", real=True) for name in ("e", "l", "u"))
    width = Fraction(1, 2 * n)
    errors = [sympy.Rational(width) * (up[i] - low[i]) - e[i] for i in range(n)]
    steps = [low[0] - a, *(low[i + 1] - up[i] for i in range(n - 1)), b - up[n - 1]]
    claimed = sympy.Rational(1, halves * n) * (b - a) - sum(e)
    return Checked(
        "SOS",
        f"w_1(Pi_n nu, nu) <= (b - a) / (2 n) for nu on [a, b], n = {n}",
        "derived; of the order of " + _SOURCE,
        "sum of the slacks of the slices and of monotonicity",
        defect(claimed, [(1, 1, x) for x in errors] + [(width, 1, x) for x in steps], [*errors, *steps]),
    )


def _mixed(pair: list[Law], gamma: Fraction) -> Law:
    """Law of gamma G(S'), S' even over the states."""
    out: Law = {}
    for law in pair:
        for x, p in law.items():
            out[gamma * x] = out.get(gamma * x, Fraction(0)) + p / len(pair)
    return out


def lemma_no_w1_contraction(gamma: Fraction = Fraction(3, 4)) -> Checked:
    """Two successors, two atoms each, one of which moves by 1: w_1 is 1/2 before, gamma after Pi_2 T.

    The mixture's quantiles at 1/4 and 3/4 are its first and third atom: just those that moved. For gamma above 1/2
    Pi_2 T does not even keep the distance.
    """
    eta = [_even((Fraction(0), Fraction(10))), _even((Fraction(5), Fraction(9)))]
    nu = [_even((Fraction(-1), Fraction(10))), _even((Fraction(5), Fraction(8)))]
    before = max(_wasserstein(x, y) for x, y in zip(eta, nu))
    images = [_even(_projected(_mixed(pair, gamma), 2)) for pair in (eta, nu)]
    pinned = images[0] == _even((Fraction(0), gamma * 9)) and images[1] == _even((-gamma, gamma * 8))
    expands = _wasserstein(*images) - before if pinned else Fraction(0)
    return Checked(
        "COUNTEREXAMPLE",
        "Pi_m T does not contract in w_1: two laws at 1/2 get to 3/4, gamma = 3/4, m = 2",
        _SOURCE + ", on p < infinity; witness derived",
        "two successors of two atoms",
        witness(expands, "1/4"),
    )


def lemma_w_inf_contraction(factor: Fraction = Fraction(1, 2)) -> Checked:
    """max_i |theta_i - theta'_i| after Pi_3 T is at most gamma times before, and shifts attain it; gamma = 1/2."""
    tables = [(0, 0, 3), (1, 2, 5), (2, 2, 5), (-1, 4, 4), (1, 1, 4)]
    pairs = [[_even(tuple(map(Fraction, t))) for t in pair] for pair in product(tables, repeat=2)]
    rows = [[tuple(map(Fraction, t)) for t in pair] for pair in product(tables, repeat=2)]
    images = [_projected(_mixed(pair, _HALF), 3) for pair in pairs]
    ratios = []
    for (row, image), (other, second) in product(zip(rows, images), repeat=2):
        apart = max(abs(x - y) for one, two in zip(row, other) for x, y in zip(one, two))
        if apart:
            ratios.append(max(abs(x - y) for x, y in zip(image, second)) / apart)
    pinned = images[1] == (0, _HALF, Fraction(3, 2)) and images[3] == (-_HALF, 0, 2) and len(ratios) == 600
    return Checked(
        "EXACT_CASES",
        "the largest w_inf contracts by gamma under Pi_m T, attained: 600 pairs of tables, m = 3",
        _SOURCE + ", Proposition 2",
        f"{len(ratios)} pairs of tables of laws on two states, gamma = 1/2",
        sum(ratio > factor for ratio in ratios) if pinned and max(ratios) == factor else len(ratios),
    )


def lemma_fixed_point(share: Fraction = Fraction(1)) -> Checked:
    """e <= p + d, p <= a, d <= gamma e give (1 - gamma) e <= a: w_1 of the fixed point of Pi_m T to the truth.

    p = w_1(Pi_m T eta^, T eta^) is at most a = (Vmax - Vmin) / (2 m), and d = w_1(T eta^, T eta): no contraction of
    Pi_m T is needed.
    """
    e, p, d, a, g = sympy.symbols("e p d a gamma", real=True)
    slacks = [p + d - e, a - p, g * e - d]
    return Checked(
        "SOS",
        "e <= p + d, p <= a and d <= gamma e imply (1 - gamma) e <= a",
        "derived",
        "sum of the three slacks",
        defect(sympy.Rational(share) * a - (1 - g) * e, [(1, 1, slack) for slack in slacks], slacks),
    )


def lemma_mean_is_not_kept(win: Fraction = Fraction(2, 5)) -> Checked:
    """A win of 1 with probability 2/5: the quantiles at 1/4 and 3/4 are 0 and 1, their mean is 1/2."""
    law = {Fraction(0): 1 - win, Fraction(1): win}
    mean = sum(x * p for x, p in law.items())
    return Checked(
        "COUNTEREXAMPLE",
        "Pi_m does not keep the mean: 1/2 for 2/5, m = 2",
        "derived",
        "masses 3/5 and 2/5 at 0 and 1",
        witness(sum(_projected(law, 2)) / 2 - mean, "1/10"),
    )


def lemma_sampled_loss_is_biased(win: Fraction = Fraction(1, 3)) -> Checked:
    """Outcome 2 with probability 1/3, else 1: atoms (1, 2) are nearer in w_1 than (1, 1), by 1/6 against 1/3.

    The mean of w_1 to the empirical law of one sample, which is what its sampled gradients descend, is 1/2 at (1, 2)
    and 1/3 at (1, 1): it prefers the median twice.
    """
    law = {Fraction(1): 1 - win, Fraction(2): win}
    right, wrong = _even((Fraction(1), Fraction(2))), _even((Fraction(1), Fraction(1)))
    true = [_wasserstein(law, one) for one in (right, wrong)]
    sampled = [sum(p * _wasserstein({x: Fraction(1)}, one) for x, p in law.items()) for one in (right, wrong)]
    sound = true == [Fraction(1, 6), _THIRD] and _projected(law, 2) == (1, 2)
    return Checked(
        "COUNTEREXAMPLE",
        "sampled w_1 has another minimiser than w_1: 1/3 at the wrong atoms against 1/2 at the right ones",
        _SOURCE + ", motivation, and Bellemare, Dabney, Munos 2017, both recalled; witness derived",
        "two atoms, one sample",
        witness(sampled[0] - sampled[1], "1/6") if sound else Fraction(0),
    )


def lemma_quantile_loss(back: int = 1) -> Checked:
    """E (X - t) (tau - 1{X < t}) is least at t = QF(tau), for tau = 1/6, 1/2, 5/6 and three laws.

    The loss is a mean over X: its sampled gradients are unbiased.
    """
    slacks, pinned = [], []
    for law in _LAWS:

        def loss(t: Fraction, tau: Fraction, law: Law = law) -> Fraction:
            return sum(p * ((x - t) * tau if x >= t else (t - x) * (1 - tau)) for x, p in law.items())

        for i, found in enumerate(_projected(law, 3, back)):
            tau = Fraction(2 * i + 1, 6)
            slacks += [loss(Fraction(k, 2), tau) - loss(found, tau) for k in range(-4, 12)]
            pinned.append(loss(found, tau))
    return Checked(
        "EXACT_CASES",
        "midpoint quantiles minimise the mean quantile loss: three laws, three levels, 16 points each",
        _SOURCE + ", quantile regression; Koenker 2005",
        f"{len(slacks)} comparisons",
        failed_cases(slacks) if sum(pinned) == Fraction(851, 210) and len(slacks) == 144 else len(slacks),
    )
