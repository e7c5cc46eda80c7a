r"""The variance of a policy-gradient estimate that draws several actions in every state of one trajectory, exactly.

A chain runs under a policy pi from its stationary law mu. In each of T states N actions are drawn from pi, the first is
executed, and the estimate is the average of Upsilon(s_t, a_t^n) over all T N of them. Upsilon is what one sample says
about the gradient, such as Q(s, a) times the score. With m(s) the average of Upsilon over the actions of a state, sums
over the coordinates of Upsilon, and k >= 1,

    D = Var m(s),   A = E Var(Upsilon | s),   C_k = Cov(m(s_0), m(s_k)),   B_k = E (Upsilon(s_0, a_0) - m(s_0)) m(s_k)

where a_0 is the executed action: C is what states share with later states, B what an action does to them. Then the
trace of the covariance is

    V(T, N) = (D + A / N) / T + (2 / T^2) sum_{k<T} (T - k) (C_k + B_k / N).

Source: Nauman and Cygan (2023), "On Many-Actions Policy Gradient", arXiv:2210.13011, of which the abstract was read;
the formulas are derived here and in `proofs_check.nauman2023`. Every function broadcasts over leading axes of its
arrays, so that thousands of chains are one call. Cost of K lags: O(K S^2 d) a chain.
"""

import math
from dataclasses import dataclass

import numpy as np

from mdplab.exact.arguments import checked_count
from mdplab.models import SolverFailure
from mdplab.models.validation import check_distribution

# Rows beyond this are a sign that sampling is what is wanted.
MAX_PATHS = 1 << 20
# Arrays have no more axes, of which a path needs one a draw.
_MAX_DRAWS = 64


@dataclass(frozen=True, eq=False, slots=True)
class Correlations:
    """What the variance is made of; leading axes are those of the chains.

    Parameters
    ----------
    mean : array (..., d)
        The stationary mean of Upsilon, which every estimate has.
    D, A : array (...)
        Variance of m(s), and mean variance of Upsilon within a state.
    C, B : array (..., K)
        Entry k - 1 belongs to lag k.
    """

    mean: np.ndarray
    D: np.ndarray
    A: np.ndarray
    C: np.ndarray
    B: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class LongRun:
    """Limits of long trajectories; arrays (...).

    Parameters
    ----------
    states : array
        D + 2 sum_k C_k, at least 0: T Var of the average of m over T states, for large T.
    actions : array
        A + 2 sum_k B_k; T V(T, N) tends to `states + actions / N`. It can be negative.
    states_lag, actions_lag : array
        sum_k k C_k and sum_k k B_k, which is what the next order consists of.
    """

    states: np.ndarray
    actions: np.ndarray
    states_lag: np.ndarray
    actions_lag: np.ndarray


def stationary_law(chain: np.ndarray) -> np.ndarray:
    """The stationary law (..., S) of chains (..., S, S) with one recurrent class.

    Raises
    ------
    ValueError
        A chain that is not square, or a row that is not a distribution.
    SolverFailure
        More than one recurrent class, to within rounding.

    Examples
    --------
    >>> stationary_law(np.array([[0.5, 0.5], [0.25, 0.75]])).round(12).tolist()
    [0.333333333333, 0.666666666667]
    """
    chain = np.asarray(chain, dtype=np.float64)
    if chain.ndim < 2 or chain.shape[-1] != chain.shape[-2] or not chain.size:
        raise ValueError(f"chain has shape {chain.shape}; expected (..., S, S)")
    _check_rows("chain", chain)
    return _stationary(chain)


def _stationary(chain: np.ndarray) -> np.ndarray:
    S = chain.shape[-1]
    # mu (I - P + 1 1^T) = 1^T, and the matrix is regular exactly if there is one recurrent class.
    system = np.swapaxes(np.eye(S) - chain + 1.0, -1, -2)
    try:
        mu = np.linalg.solve(system, np.ones((*chain.shape[:-1], 1)))[..., 0]
    except np.linalg.LinAlgError:
        raise SolverFailure("the chain has more than one recurrent class") from None
    defect = np.abs(np.einsum("...s,...st->...t", mu, chain) - mu).sum(axis=-1) + np.abs(mu.sum(axis=-1) - 1)
    # Thousands of times the rounding of one solve: what is left of a system that is singular up to rounding.
    if not (defect.max(initial=0.0) < 1e-10 and mu.min(initial=0.0) > -1e-10):
        raise SolverFailure(f"the stationary law is met to {defect.max():.3g} only")
    return mu


def correlations(P: np.ndarray, pi: np.ndarray, table: np.ndarray, *, lags: int) -> Correlations:
    """D, A, C_1..C_K and B_1..B_K of the table Upsilon under a policy.

    Parameters
    ----------
    P : array (..., S, A, S)
        Transitions; rows sum to 1.
    pi : array (..., S, A)
        Probabilities of actions.
    table : array (..., S, A, d)
        Upsilon.
    lags
        K, at least 0.

    Raises
    ------
    ValueError
        Shapes that do not belong together, a row that is not a distribution, an entry of the table that is not
        finite, or a negative number of lags.
    SolverFailure
        More than one recurrent class.

    Examples
    --------
    Independent states, so that there are no correlations in time.

    >>> P, pi = np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5)
    >>> parts = correlations(P, pi, np.array([[[1.0], [3.0]], [[5.0], [7.0]]]), lags=1)
    >>> [float(x.round(12)) for x in (parts.D, parts.A, parts.C[0], parts.B[0])]
    [4.0, 1.0, 0.0, 0.0]
    """
    P, pi, table = _checked(P, pi, table)
    lags = checked_count("lags", lags, 0)
    chain, mu, mean, m, weights = _moments(P, pi, table)
    reached = np.einsum("...sad,...sat->...td", weights, P)
    D = np.einsum("...s,...sd,...sd->...", mu, m, m)
    A = np.einsum("...sad,...sad->...", weights, table)
    C, B = (np.zeros((*D.shape, lags)) for _ in range(2))
    ahead, here = m, mu[..., None] * m
    for k in range(lags):
        B[..., k] = (reached * ahead).sum(axis=(-2, -1))
        ahead = chain @ ahead
        C[..., k] = (here * ahead).sum(axis=(-2, -1))
    return Correlations(mean, D, A, C, B)


def long_run(P: np.ndarray, pi: np.ndarray, table: np.ndarray) -> LongRun:
    """Limits of T V(T, N), by the fundamental matrix; arguments and errors as `correlations`.

    Notes
    -----
    With Z = (I - P_pi + 1 mu^T)^-1 and m centred, sum_{k>=0} P_pi^k m = Z m and sum_{k>=1} k P_pi^(k-1) m = Z^2 m.
    On periodic chains these are Abel sums: T V(T, N) has the limit that is given, and may alternate as it gets there.

    Examples
    --------
    >>> P, pi = np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5)
    >>> limits = long_run(P, pi, np.array([[[1.0], [3.0]], [[5.0], [7.0]]]))
    >>> float(limits.states.round(12)), float(limits.actions.round(12))
    (4.0, 1.0)
    """
    P, pi, table = _checked(P, pi, table)
    chain, mu, _, m, weights = _moments(P, pi, table)
    reached = np.einsum("...sad,...sat->...td", weights, P)
    system = np.eye(chain.shape[-1]) - chain + mu[..., None, :]
    once = np.linalg.solve(system, m)
    twice = np.linalg.solve(system, once)

    def product(left, right):
        return (left * right).sum(axis=(-2, -1))

    here = mu[..., None] * m
    return LongRun(
        product(here, 2 * once - m),
        (weights * table).sum(axis=(-3, -2, -1)) + 2 * product(reached, once),
        product(here, chain @ twice),
        product(reached, twice),
    )


def estimate_variance(parts: Correlations, T: int, N: int) -> np.ndarray:
    """V(T, N), the total variance (...) of the estimate from T states with N actions each.

    Raises
    ------
    ValueError
        T or N below 1, or fewer than T - 1 lags.

    Examples
    --------
    >>> P, pi = np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5)
    >>> parts = correlations(P, pi, np.array([[[1.0], [3.0]], [[5.0], [7.0]]]), lags=1)
    >>> float(estimate_variance(parts, 2, 4).round(12))
    2.125
    """
    k = _lags(parts, T, N)
    return (parts.D + parts.A / N) / T + 2 / T**2 * ((parts.C[..., : T - 1] + parts.B[..., : T - 1] / N) @ (T - k))


def state_variance(parts: Correlations, T: int) -> np.ndarray:
    """V_s(T) = D / T + (2 / T^2) sum_{k<T} (T - k) C_k (...): all actions averaged, which infinitely many would do."""
    k = _lags(parts, T, 1)
    return parts.D / T + 2 / T**2 * (parts.C[..., : T - 1] @ (T - k))


def influence(parts: Correlations, T: int, N: int) -> np.ndarray:
    """What the influence of executed actions on later states costs a trajectory N times as long, (...).

    (2 / (N T)^2) [(N - 1) sum_{k<T} k B_k + sum_{k=T}^{NT-1} (N T - k) B_k]; needs N T - 1 lags.
    """
    T, N = checked_count("T", T), checked_count("N", N)
    k = _lags(parts, N * T, N)
    weight = np.where(k < T, (N - 1) * k, N * T - k)
    return 2 / (N * T) ** 2 * (parts.B[..., : N * T - 1] @ weight)


def many_actions_win(parts: Correlations, T: int, N: int) -> np.ndarray:
    """Whether V(T, N) < V(N T, 1), boolean (...): N actions in each of T states beat a trajectory N times as long.

    They do exactly if V_s(T) - V_s(N T) < `influence`; the left side is at least 0, and A plays no part.

    Examples
    --------
    Two states, an action for each as the next one; the policy stays in its state with probability 7/10.

    >>> P = np.broadcast_to(np.eye(2), (2, 2, 2))
    >>> pi, table = np.array([[0.7, 0.3], [0.3, 0.7]]), np.broadcast_to([[-1.0], [1.0]], (2, 2, 1))
    >>> parts = correlations(P, pi, table, lags=11)
    >>> bool(many_actions_win(parts, 1, 2)), bool(many_actions_win(parts, 6, 2))
    (True, False)
    """
    T, N = checked_count("T", T), checked_count("N", N)
    return state_variance(parts, T) - state_variance(parts, N * T) < influence(parts, T, N)


def enumerate_estimates(
    P: np.ndarray,
    pi: np.ndarray,
    table: np.ndarray,
    T: int,
    N: int,
    *,
    executed: int | None = 0,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Every value that the estimate of one chain can take (n, d), with its probability (n,), path by path.

    Parameters
    ----------
    P, pi, table
        As for `correlations`, without leading axes.
    T, N
        At least 1; with S states and A actions there are n = (S A^N)^T paths, at most 2^20.
    executed
        Which of the N samples is executed; None for an action that is drawn apart and not averaged.
    start : array (S,)
        Law of the first state; None for the stationary one.

    Raises
    ------
    ValueError
        As `correlations`, a batch of chains, an index beyond the samples, a start that is no distribution, or too
        many paths.

    Examples
    --------
    >>> P, pi = np.full((1, 2, 1), 1.0), np.array([[0.5, 0.5]])
    >>> values, probability = enumerate_estimates(P, pi, np.array([[[0.0], [1.0]]]), 1, 2)
    >>> values[:, 0].tolist(), probability.tolist()
    ([0.0, 0.5, 0.5, 1.0], [0.25, 0.25, 0.25, 0.25])
    """
    P, pi, table = _checked(P, pi, table)
    for name, array, axes in (("P", P, 3), ("pi", pi, 2), ("table", table, 3)):
        if array.ndim != axes:
            raise ValueError(f"{name} has shape {array.shape}; expected {axes} axes, one chain")
    S, A = pi.shape
    T, N = checked_count("T", T), checked_count("N", N)
    if executed is not None and checked_count("executed", executed, 0) >= N:
        raise ValueError(f"executed is {executed}; expected None or one of the {N} samples")
    drawn = N + (executed is None)
    # In logarithms, as the number itself may have millions of digits.
    if T * (math.log2(S) + drawn * math.log2(A)) > math.log2(MAX_PATHS) + 1e-9 or T * (1 + drawn) > _MAX_DRAWS:
        raise ValueError(f"{S} states and {A} actions have (S A^{drawn})^{T} paths; at most {MAX_PATHS} are listed")
    paths = np.indices((S, *(A,) * drawn) * T).reshape(T, drawn + 1, -1)
    states, actions = paths[:, 0], paths[:, 1:]
    mu = _stationary(np.einsum("sa,sat->st", pi, P)) if start is None else check_distribution("start", start, S)
    probability = mu[states[0]] * np.prod(pi[states[:, None], actions], axis=(0, 1))
    done = actions[:, -1 if executed is None else executed]
    for t in range(T - 1):
        probability = probability * P[states[t], done[t], states[t + 1]]
    return table[states[:, None], actions[:, :N]].mean(axis=(0, 1)), probability


def differential_q(P: np.ndarray, pi: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average reward (...) of a policy, and Q(s, a) = r(s, a) - average + E h(s') (..., S, A) with mu . h = 0.

    With this Q the average of Q(s, a) times the score under the stationary law is the gradient of the average reward.
    P is (..., S, A, S), pi and r are (..., S, A); errors as those of `correlations`.

    Examples
    --------
    >>> gain, q = differential_q(np.full((1, 2, 1), 1.0), np.array([[0.25, 0.75]]), np.array([[0.0, 4.0]]))
    >>> float(gain), q.tolist()
    (3.0, [[-3.0, 1.0]])
    """
    r = np.asarray(r, dtype=np.float64)
    P, pi, r = _checked(P, pi, r[..., None], "r", ())
    r = r[..., 0]
    chain = np.einsum("...sa,...sat->...st", pi, P)
    mu = _stationary(chain)
    gain = np.einsum("...s,...sa,...sa->...", mu, pi, r)
    centred = r - gain[..., None, None]
    system = np.eye(chain.shape[-1]) - chain + mu[..., None, :]
    h = np.linalg.solve(system, (pi * centred).sum(axis=-1)[..., None])[..., 0]
    return gain, centred + np.einsum("...sat,...t->...sa", P, h)


def _moments(P, pi, table):
    """Chain, mu, mean (..., d), centred m (..., S, d), and mu pi (Upsilon - m), (..., S, A, d)."""
    chain = np.einsum("...sa,...sat->...st", pi, P)
    mu = _stationary(chain)
    m = np.einsum("...sa,...sad->...sd", pi, table)
    mean = np.einsum("...s,...sd->...d", mu, m)
    weights = (mu[..., None] * pi)[..., None] * (table - m[..., None, :])
    return chain, mu, mean, m - mean[..., None, :], weights


def _lags(parts: Correlations, T: int, N: int) -> np.ndarray:
    """1..T-1 (T - 1,), which must be among the lags."""
    T, N = checked_count("T", T), checked_count("N", N)
    if parts.C.shape[-1] < T - 1:
        raise ValueError(f"the correlations have {parts.C.shape[-1]} lags; {T} states need {T - 1}")
    return np.arange(1, T)


def _checked(P, pi, table, name="table", last=("d",)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as floats; `table`, with axes (..., S, A, d), goes by `name` and shows the axes `last` of its three."""
    P, pi, table = (np.asarray(array, dtype=np.float64) for array in (P, pi, table))
    if P.ndim < 3 or P.shape[-3] != P.shape[-1] or not P.size:
        raise ValueError(f"P has shape {P.shape}; expected (..., S, A, S)")
    S, A = P.shape[-3:-1]
    if pi.shape[-2:] != (S, A):
        raise ValueError(f"pi has shape {pi.shape}; expected (..., {S}, {A})")
    shown = table.shape[: table.ndim - 1 + len(last)]
    if table.ndim < 3 or table.shape[-3:-1] != (S, A):
        raise ValueError(f"{name} has shape {shown}; expected (..., {', '.join(map(str, (S, A, *last)))})")
    try:
        np.broadcast_shapes(P.shape[:-3], pi.shape[:-2], table.shape[:-3])
    except ValueError:
        raise ValueError(f"P, pi, {name} have shapes {P.shape}, {pi.shape}, {shown}; leading axes differ") from None
    _check_rows("P", P)
    _check_rows("pi", pi)
    if not np.isfinite(table).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(table))[0])
        where = ", ".join(map(str, at[: len(shown)]))
        raise ValueError(f"{name}[{where}] is {table[at]}; expected a finite number")
    return P, pi, table


def _check_rows(name: str, rows: np.ndarray) -> None:
    # A row of a few dozen floats sums to 1 within this; NaN fails too.
    off = ~((np.abs(rows.sum(axis=-1) - 1) < 1e-9) & (rows.min(axis=-1) >= 0))
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        raise ValueError(f"{name}[{', '.join(map(str, at))}] is {rows[at].tolist()}; expected probabilities")
