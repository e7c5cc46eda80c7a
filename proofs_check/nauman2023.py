"""Lemmas of Nauman and Cygan 2023: the variance of estimates with several actions a state, and what decides for them.

Notation as in `variance`: m(s) the mean of U over actions, D and C_k variance and autocovariances of m, A the mean
variance of U within a state, B_k the covariance of U - m at an executed action with m(s_k).
"""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked, witness
from proofs_check.symbolic import first_nonzero

# Arguments that make each statement false.
FALSIFIED = {
    "variance": {"power": 0},
    "stationary_sum": {"step": 2},
    "total_variance": {"power": 2},
    "cancellation": {"others": 0},
    "block_average": {"next_block": 2},
    "best_gain": {"shift": 2},
    "attained": {"power": 3},
    "border": {"power": 2},
    "free_actions": {"factor": Fraction(1, 2)},
    "long_run": {"power": 2},
    "split": {"factor": 1},
}

_SOURCE = "derived; condition of Nauman and Cygan 2023, arXiv:2210.13011"


def _enumerate(mu, pi, P, U, T: int, N: int):
    """Variance of the average of U over T states and N actions in each, the first executed, over all paths."""
    weights, values = [], []
    for path in product(product(range(len(pi)), *[range(len(pi[0]))] * N), repeat=T):
        weight = mu[path[0][0]]
        for (s, *actions), (then, *_) in zip(path, [*path[1:], (None,)]):
            for a in actions:
                weight = weight * pi[s][a]
            if then is not None:
                weight = weight * P[s][actions[0]][then]
        weights.append(weight)
        values.append(sum(U[s][a] for s, *actions in path for a in actions) * Fraction(1, T * N))
    mean = sum(w * x for w, x in zip(weights, values))
    # Expanded, because it is often much shorter than its terms.
    mean = sympy.expand(mean) if isinstance(mean, sympy.Expr) else mean
    return sum(w * (x - mean) ** 2 for w, x in zip(weights, values))


def _within(mu, pi, U):
    """m, U - m, D and A."""
    m = [sum(w * x for w, x in zip(*rows)) for rows in zip(pi, U)]
    mean = sum(w * x for w, x in zip(mu, m))
    apart = [[x - centre for x in row] for row, centre in zip(U, m)]
    spread = [sum(w * x**2 for w, x in zip(*rows)) for rows in zip(pi, apart)]
    return m, apart, sum(w * (x - mean) ** 2 for w, x in zip(mu, m)), sum(w * x for w, x in zip(mu, spread))


def _parts(mu, pi, P, U, lags: int):
    """D, A, [C_1, ...], [B_1, ...]."""
    states, actions = range(len(pi)), range(len(pi[0]))
    m, apart, D, A = _within(mu, pi, U)
    C, B, ahead = [], [], m
    for _ in range(lags):
        then = [[sum(P[s][a][t] * ahead[t] for t in states) for a in actions] for s in states]
        B.append(sum(mu[s] * pi[s][a] * apart[s][a] * then[s][a] for s in states for a in actions))
        ahead = [sum(pi[s][a] * then[s][a] for a in actions) for s in states]
        mean = sum(mu[s] * m[s] for s in states)
        C.append(sum(mu[s] * m[s] * (ahead[s] - mean) for s in states))
    return D, A, C, B


def _average(c0, c, T: int):
    """Variance of an average of T stationary terms with autocovariances c_0, then c."""
    return c0 * Fraction(1, T) + Fraction(2, T**2) * sum((T - k) * c[k - 1] for k in range(1, T))


def _formula(D, A, C, B, T: int, N: int, power: int = 1):
    """V(T, N), with B divided by N^power."""
    both = [x + y * Fraction(1, N**power) for x, y in zip(C, B)]
    return _average(D + A * Fraction(1, N), both, T)


# Per state: chances of moving to state 0 by action, in tenths; that of the first action; U.
_CHAINS = (
    (((3, 8), (6, 1)), (4, 7), ((1, -2), (3, 5))),
    (((9, 1), (2, 8)), (5, 2), ((2, 0), (-1, 3))),
    (((10, 0), (10, 0)), (7, 3), ((-1, 1), (-1, 1))),
    (((5, 5), (2, 9)), (1, 6), ((0, 4), (1, -3))),
)


def _rational_chain(to, own, U):
    """mu, pi, P, U of two states and two actions."""
    P = [[[Fraction(x, 10), 1 - Fraction(x, 10)] for x in row] for row in to]
    pi = [[Fraction(x, 10), 1 - Fraction(x, 10)] for x in own]
    leave = sum(w * row[1] for w, row in zip(pi[0], P[0]))
    back = sum(w * row[0] for w, row in zip(pi[1], P[1]))
    return [back / (leave + back), leave / (leave + back)], pi, P, U


def lemma_variance(power: int = 1) -> Checked:
    """The formula is the variance over all paths, T <= 3, N <= 2 and for T = 2, N = 3, on four rational chains."""
    sizes = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (2, 3))
    chains = [_rational_chain(*numbers) for numbers in _CHAINS]
    failures = sum(
        _enumerate(*chain, T, N) != _formula(*_parts(*chain, lags=2), T, N, power) for chain in chains for T, N in sizes
    )
    return Checked(
        "EXACT_CASES",
        "Var g = (D + A/N)/T + (2/T^2) sum_{k<T} (T - k)(C_k + B_k/N), T <= 3, N <= 2, four chains",
        _SOURCE,
        "all paths of four chains with two states and two actions, in fractions",
        failures,
    )


def lemma_stationary_sum(step: int = 1) -> Checked:
    """The variance of a sum of T stationary terms is T c_0 + 2 sum_{k<T} (T - k) c_k."""
    c = sympy.symbols("c0:7", real=True)
    gaps = []
    for T in range(2, 8):
        double = sum(c[abs(i - j)] for i in range(T) for j in range(T))
        gaps.append(double - T * c[0] - 2 * sum((T - step * k) * c[k] for k in range(1, T)))
    return Checked(
        "IDENTITY",
        "sum_{i,j<T} c_|i-j| = T c_0 + 2 sum_{k<T} (T - k) c_k, T <= 7",
        "school",
        "expansion in the autocovariances as symbols",
        first_nonzero(gaps),
    )


def lemma_total_variance(power: int = 1) -> Checked:
    """N draws within a state: Var of their average is D + A / N, for all laws of two states and two actions."""
    q, x0, x1 = sympy.symbols("q x0 x1", real=True)
    u = sympy.symbols("u0:4", real=True)
    mu, pi, U = [q, 1 - q], [[x0, 1 - x0], [x1, 1 - x1]], [u[:2], u[2:]]
    _, _, D, A = _within(mu, pi, U)
    gaps = [sum(row) - 1 for row in (mu, *pi)]
    gaps += [_enumerate(mu, pi, None, U, 1, N) - D - A * Fraction(1, N**power) for N in (2, 3)]
    return Checked(
        "IDENTITY",
        "Var (1/N) sum_n U(s, a_n) = Var m(s) + E Var(U | s) / N, N <= 3, two states, two actions, all laws",
        "law of total variance",
        "enumeration with symbolic probabilities and entries",
        first_nonzero(gaps),
    )


def lemma_cancellation(others: int = 1) -> Checked:
    """V(T, N) - V(N T, 1) is the condition's difference; A cancels."""
    D, A = sympy.symbols("D A", real=True)
    C, B = sympy.symbols("C1:12", real=True), sympy.symbols("B1:12", real=True)
    # One sample varies by D + A.
    gaps = [_formula(D, A, C, B, 1, 1) - D - A]
    for T, N in product(range(1, 5), range(2, 4)):
        near = sum(k * B[k - 1] for k in range(1, T))
        far = sum((N * T - k) * B[k - 1] for k in range(T, N * T))
        states = _average(D, C, T) - _average(D, C, N * T)
        direct = _formula(D, A, C, B, T, N) - _formula(D, A, C, B, N * T, 1)
        gaps.append(direct - states + ((N - others) * near + far) * Fraction(2, (N * T) ** 2))
    return Checked(
        "IDENTITY",
        "V(T,N) - V(NT,1) = V_s(T) - V_s(NT) - (2/(NT)^2)[(N-1) sum_{k<T} k B_k + sum_{k>=T} (NT-k) B_k], T<=4, N<=3",
        _SOURCE,
        "expansion in D, A, C_k, B_k as symbols",
        first_nonzero(gaps),
    )


def _block(c, i: int, j: int, T: int):
    """Cov(X_i, X_j) of averages over the blocks i and j of T terms with autocovariances c_0, c_1, ..."""
    return sum(c[abs((j - i) * T + v - u)] for u in range(T) for v in range(T)) * Fraction(1, T**2)


def lemma_block_average(next_block: int = 1) -> Checked:
    """V_s(T) - V_s(N T) is a sum of squares: sum_{i<j} E (X_i - X_j)^2 / N^2 over averages of N blocks."""
    c = sympy.symbols("c0:12", real=True)
    gaps = []
    for T, N in product(range(1, 5), range(2, 4)):
        own, both = _average(c[0], c[1:], T), _average(c[0], c[1:], N * T)
        spread = sum(2 * own - 2 * _block(c, i, j, T) for i in range(N) for j in range(i + next_block, N))
        gaps.append(own - both - spread * Fraction(1, N**2))
    return Checked(
        "IDENTITY",
        "V_s(T) - V_s(NT) = N^-2 sum_{i<j} E (X_i - X_j)^2 >= 0, T <= 4, N <= 3",
        "derived",
        "expansion in the autocovariances as symbols",
        first_nonzero(gaps),
    )


def lemma_best_gain(shift: int = 1) -> Checked:
    """(1 + n x^2)(1 + r) - 2 (1 + n x) = n (1 + r)(x - 1/(1 + r))^2 with N = r^2 and n = N - 1.

    With x^2 = V_s(T) / V(T, 1), N V(T, N) = (1 + n x^2) V(T, 1), and N V(N T, 1) <= (1 + n x) V(T, 1), because by
    Cauchy and Schwarz the covariance of two blocks is at most x V(T, 1): V(T, N) >= 2 / (1 + sqrt N) V(N T, 1).
    """
    x, r = sympy.symbols("x r", positive=True)
    n = r**2 - 1
    return Checked(
        "IDENTITY",
        "(1 + n x^2)(1 + r) - 2 (1 + n x) = n (1 + r)(x - 1/(1 + r))^2, n = r^2 - 1",
        "derived",
        "expansion",
        first_nonzero([(1 + n * x**2) * (1 + r) - 2 * (1 + n * x) - n * (1 + r) * (x - 1 / (shift + r)) ** 2]),
    )


def _leaning(y):
    """mu, pi, U of two states that the policy keeps with probability (1 + y) / 2; U is 1 plus the action, +1 or -1."""
    half = Fraction(1, 2)
    return [half, half], [[(1 + y) * half, (1 - y) * half], [(1 - y) * half, (1 + y) * half]], [[2, 0], [2, 0]]


# The action is the next state.
_CHOSEN = [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]


def _steered(kappa, rho, y):
    """The action is the next state with probability kappa, else states persist as rho."""
    half = Fraction(1, 2)
    mu, pi, U = _leaning(y)
    stay, leave = (1 - kappa) * (1 + rho) * half, (1 - kappa) * (1 - rho) * half
    P = [[[stay + kappa, leave], [stay, leave + kappa]], [[leave + kappa, stay], [leave, stay + kappa]]]
    return mu, pi, P, U


def lemma_attained(power: int = 2) -> Checked:
    """If the action is the next state, V(1, 2) (1 + y) = V(2, 1) (1 + y^2); y = sqrt 2 - 1 gives 2 / (1 + sqrt 2)."""
    y = sympy.Symbol("y", positive=True)
    mu, pi, U = _leaning(y)
    actions, states = _enumerate(mu, pi, _CHOSEN, U, 1, 2), _enumerate(mu, pi, _CHOSEN, U, 2, 1)
    best = sympy.sqrt(2) - 1
    return Checked(
        "IDENTITY",
        "V(1,2) / V(2,1) = (1 + y^2) / (1 + y) on steered chains with kappa = 1; 2 / (1 + sqrt 2) at y = sqrt 2 - 1",
        "derived",
        "all paths, symbolically",
        first_nonzero(
            [
                actions * (1 + y) - states * (1 + y**power),
                (1 + best**power) * (1 + sympy.sqrt(2)) - 2 * (1 + best),
            ]
        ),
    )


def lemma_border(power: int = 1) -> Checked:
    """V(1, 2) - V(2, 1) = (y / 2)(y (1 - (1 - kappa) rho) - kappa) on steered chains."""
    kappa, rho, y = sympy.symbols("kappa rho y", real=True)
    chain = _steered(kappa, rho, y)
    actions, states = _enumerate(*chain, 1, 2), _enumerate(*chain, 2, 1)
    claimed = y / 2 * (y * (1 - (1 - kappa) * rho**power) - kappa)
    return Checked(
        "IDENTITY",
        "V(1,2) = (1 + y^2)/2, V(1,2) - V(2,1) = (y/2)(y (1 - (1 - kappa) rho) - kappa) on steered chains",
        "derived",
        "all paths, symbolically",
        first_nonzero([2 * actions - 1 - y**2, actions - states - claimed]),
    )


def lemma_free_actions(factor: Fraction = Fraction(2)) -> Checked:
    """A fair action that is the next state, U = 5 + action - 2 state: V(2, 2) exceeds V(2, 1) by a sixth."""
    half = Fraction(1, 2)
    U = [[6 - factor, 4 - factor], [6 + factor, 4 + factor]]
    chain = [half, half], [[half, half]] * 2, _CHOSEN, U
    return Checked(
        "COUNTEREXAMPLE",
        "V(2, 2) <= V(2, 1) fails: further actions in the same states raise the variance from 3/2 to 7/4",
        "derived",
        "all paths, in fractions",
        witness(_enumerate(*chain, 2, 2) / _enumerate(*chain, 2, 1) - 1, Fraction(1, 6)),
    )


def lemma_long_run(power: int = 1) -> Checked:
    """sum_{k<T} (T - k) x^k = T x/(1 - x) - x/(1 - x)^2 + x^(T+1)/(1 - x)^2: the long run and its next order."""
    x = sympy.Symbol("x")
    gaps = []
    for T in range(2, 9):
        tail = x ** (T + power) / (1 - x) ** 2
        gaps.append(sum((T - k) * x**k for k in range(1, T)) - T * x / (1 - x) + x / (1 - x) ** 2 - tail)
    return Checked(
        "IDENTITY",
        "sum_{k<T} (T - k) x^k = T x/(1-x) - x/(1-x)^2 + x^(T+1)/(1-x)^2, 2 <= T <= 8",
        "derived",
        "rational functions of x",
        first_nonzero(gaps),
    )


def lemma_split(factor: int = 2) -> Checked:
    """(v + w/N)(c + N e) = v c + w e + 2 sqrt(v w c e) + (sqrt(v e N) - sqrt(w c / N))^2: least at N^2 = wc / (ve)."""
    v, w, c, e, n = sympy.symbols("v w c e n", positive=True)
    # Squares of symbols, so that every root is one of them.
    cost = (v**2 + w**2 / n**2) * (c**2 + n**2 * e**2)
    square = (v * e * n - w * c / n) ** 2
    return Checked(
        "IDENTITY",
        "(v + w/N)(c + N e) = v c + w e + 2 sqrt(v w c e) + (sqrt(v e N) - sqrt(w c / N))^2",
        "derived",
        "v, w, c, e, N replaced by squares; expansion",
        first_nonzero([cost - v**2 * c**2 - w**2 * e**2 - factor * v * w * c * e - square]),
    )
