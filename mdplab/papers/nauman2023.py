r"""Nauman and Cygan (ICML 2023): does it pay to draw several actions in a state?

An agent walks through T states and averages what it learns about the gradient, Upsilon(s, a), over all of them. It may
do so with N actions in every state, of which it executes one, or with one action in each of N T states: as many samples
either way. The paper asks when the first has the lower variance and answers with a condition. Of the paper only the
abstract was read. Condition and variance are derived here (`mdplab.exact.gradient_variance` has the notation), for
chains that start from their stationary law and for the exact Upsilon. The paper's experiments with learnt models in
MuJoCo are not reproduced: what is claimed here holds for known Q, and leaves out the bias of a model.

Derived here, beyond the condition:

- The gain is limited: V(T, N) >= 2 / (1 + sqrt N) V(N T, 1) for every chain, N and T. Cut the long trajectory into N
  pieces with averages X_i; with M_i the average of m over a piece, Cov(X_i, X_j) = Cov(X_i, M_j) for i < j, which
  Cauchy and Schwarz bound by sqrt(V(T, 1) V_s(T)), while V(T, N) is V(T, 1) / N + (1 - 1/N) V_s(T). For N = 2 two
  states attain it: 17 per cent is the most that a second action can save over a second state.
- Many actions win only if executed actions move later averages m up with themselves (positive B), because
  V_s(N T) <= V_s(T) always; where actions do not influence the states, they never win.
- N T (V(T, N) - V(N T, 1)) tends to (N - 1) times the long-run variance of m: in the long run they lose, unless that
  variance is 0. Then the next order decides, and they may win for every T >= 2, as the tests show on four states.
- Not even a free action is always welcome: with negative B further actions in the same states raise the variance.
- If a state costs c and every action in it e, the best number of actions is near the square root of
  c (A + 2 sum B) / (e (D + 2 sum C)).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from mdplab.algorithms.policy_gradient.arguments import check_number
from mdplab.algorithms.policy_gradient.many_actions import many_actions_gradient, score_table
from mdplab.claims import Bound, CertificateSound, Evidence, Identity, claim, variant
from mdplab.claims.search import search_worst
from mdplab.exact.gradient_variance import (
    Correlations,
    correlations,
    differential_q,
    enumerate_estimates,
    estimate_variance,
    influence,
    long_run,
    many_actions_win,
    state_variance,
    stationary_law,
)
from mdplab.kernels.softmax import softmax

Chain = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Params:
    """Sizes: `states` at most and `chains` a replicate, `samples` of an estimate, `evaluations` of a search.

    `drawn` is the number of chains from which a frequency is estimated, `budget` the cost of a trajectory.
    """

    states: int
    chains: int
    samples: int
    evaluations: int
    drawn: int
    budget: float


def _random(n: int, S: int, A: int, d: int, rng: np.random.Generator) -> Chain:
    """P (n, S, A, S), pi (n, S, A), Upsilon (n, S, A, d): uniform rows, normal entries."""
    P = rng.dirichlet(np.ones(S), size=(n, S, A))
    return P, rng.dirichlet(np.ones(A), size=(n, S)), rng.standard_normal((n, S, A, d))


def _mixing(n: int, S: int, A: int, d: int, rng: np.random.Generator) -> Chain:
    """As `_random`; every other step forgets the state, so that correlations fall at least like 2^-k."""
    P, pi, table = _random(n, S, A, d, rng)
    return 0.5 * P + 0.5 * rng.dirichlet(np.ones(S), size=(n, 1, 1)), pi, table


def steered(influence: float, persistence: float, lean: float) -> Chain:
    """Two states +1 and -1, two actions +1 and -1; Upsilon is the action.

    The action is the next state with probability `influence` in [0, 1]; otherwise the state stays with probability
    (1 + `persistence`) / 2. The policy takes the state's own action with probability (1 + `lean`) / 2.

    Examples
    --------
    >>> P, pi, table = steered(1.0, 0.0, 0.5)
    >>> P[0].tolist(), pi.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[0.75, 0.25], [0.25, 0.75]])
    """
    own = np.array([[1 + lean, 1 - lean], [1 - lean, 1 + lean]]) / 2
    stay = np.array([[1 + persistence, 1 - persistence], [1 - persistence, 1 + persistence]]) / 2
    P = influence * np.eye(2)[None] + (1 - influence) * stay[:, None]
    return P, own, np.broadcast_to([[1.0], [-1.0]], (2, 2, 1))


def overshooting(factor: float) -> Chain:
    """The fair action +1 or -1 is the next state, and Upsilon = action - factor state: the future pays back.

    Examples
    --------
    >>> overshooting(2.0)[2][..., 0].tolist()
    [[-1.0, -3.0], [3.0, 1.0]]
    """
    sign = np.array([1.0, -1.0])
    return np.broadcast_to(np.eye(2), (2, 2, 2)), np.full((2, 2), 0.5), (sign - factor * sign[:, None])[..., None]


def _together(*chains: Chain) -> Chain:
    """One batch of single chains and batches, all of the same sizes."""

    def stack(arrays, axes):
        return np.concatenate([x.reshape(-1, *x.shape[-axes:]) for x in arrays])

    P, pi, table = zip(*chains)
    return stack(P, 3), stack(pi, 2), stack(table, 3)


def _size(parts: Correlations) -> np.ndarray:
    """D + A, the variance of one sample, in which rounding is counted."""
    return parts.D + parts.A


# Sizes (T, N) whose N T is small enough for exact sums over thousands of chains.
_SIZES = ((1, 2), (1, 4), (2, 2), (2, 3), (3, 2), (4, 3), (6, 2))


def _formula(parts, T, N, flaw=""):
    """V(T, N), or a near-miss of it."""
    k = np.arange(1, T)
    A, B, weight = parts.A / N, parts.B[..., : T - 1] / N, T - k
    if flaw == "undivided_spread":
        A = parts.A
    if flaw == "undivided_influence":
        B = B * N
    if flaw == "no_influence":
        B = 0 * B
    if flaw == "flat_lags":
        weight = np.full(T - 1, T)
    if flaw:
        return (parts.D + A) / T + 2 / T**2 * ((parts.C[..., : T - 1] + B) @ weight)
    return estimate_variance(parts, T, N)


def _first(N):
    return 0


def _last(N):
    return N - 1


def _apart(N):
    return None


def _enumerated(p, rng, flaw="", executed=_first):
    left, right, tolerance = [], [], []
    for T in (1, 2, 3):
        for N in (1, 2):
            P, pi, table = (x[0] for x in _random(1, 2, 2, int(rng.integers(1, 3)), rng))
            values, probability = enumerate_estimates(P, pi, table, T, N, executed=executed(N))
            left.append(probability @ ((values - probability @ values) ** 2).sum(axis=1))
            right.append(_formula(correlations(P, pi, table, lags=T), T, N, flaw))
            # Some hundred roundings of the largest square.
            tolerance.append(1e-13 * (table**2).sum(axis=-1).max())
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "Variance with many actions (derived)",
    r"V(T, N) = \frac{D + A/N}{T} + \frac{2}{T^2} \sum_{k<T} (T - k)(C_k + B_k / N)",
    relation=Identity(),
    assumptions=("one recurrent class, first state from the stationary law", "one of the N samples is executed"),
    falsifiers={
        "undivided_influence": variant(_enumerated, "B_k not divided by N.", "undivided_influence"),
        "undivided_spread": variant(_enumerated, "A not divided by N.", "undivided_spread"),
        "flat_lags": variant(_enumerated, "T in place of T - k.", "flat_lags"),
        "no_influence": variant(_enumerated, "No B_k, as if executed actions had no future.", "no_influence"),
    },
    controls={"last_executed": variant(_enumerated, "The last sample is executed.", executed=_last)},
    lemmas=("nauman2023:variance", "nauman2023:stationary_sum", "nauman2023:total_variance"),
    words="The variance of the estimate has four parts: between states, between actions, and their echoes in time.",
    title="The variance, path by path",
)
def variance(p: Params, rng: np.random.Generator) -> Evidence:
    """Formula against all paths of random chains with two states and two actions, T <= 3, N <= 2."""
    return _enumerated(p, rng)


def _condition(parts, T, N, flaw=""):
    """V_s(T) - V_s(N T) - influence, or a near-miss of it."""
    if not flaw:
        return state_variance(parts, T) - state_variance(parts, N * T) - influence(parts, T, N)
    k = np.arange(1, N * T)
    near, far = (N - 1.0) * k, (N * T - k).astype(float)
    if flaw == "flat_near":
        near = np.full(k.size, (N - 1.0) * T)
    if flaw == "flat_far":
        far = np.full(k.size, float(N * T))
    if flaw == "all_actions":
        near = N * k
    weight = 0.0 * k if flaw == "no_influence" else np.where(k < T, near, far)
    if flaw == "near_only":
        weight = np.where(k < T, near, 0.0)
    out = state_variance(parts, T) - state_variance(parts, N * T) - 2 / (N * T) ** 2 * (parts.B[..., : k.size] @ weight)
    return out + parts.A / (N * T) if flaw == "spread_kept" else out


def _differences(p, rng, flaw=""):
    left, right, tolerance = [], [], []
    for T, N in _SIZES:
        parts = correlations(*_random(p.chains, int(rng.integers(2, p.states + 1)), 2, 1, rng), lags=N * T - 1)
        left.append(estimate_variance(parts, T, N) - estimate_variance(parts, N * T, 1))
        right.append(_condition(parts, T, N, flaw))
        # Some hundred roundings.
        tolerance.append(1e-13 * _size(parts))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Optimality condition, as an identity (derived)",
    r"V(T,N) - V(NT,1) = V_s(T) - V_s(NT) - "
    r"\frac{2}{(NT)^2}\Big[(N-1)\sum_{k<T} k B_k + \sum_{k=T}^{NT-1} (NT-k) B_k\Big]",
    relation=Identity(),
    assumptions=(r"$V_s(T) = D/T + (2/T^2)\sum_{k<T}(T-k)C_k$",),
    falsifiers={
        "spread_kept": variant(_differences, "A / (N T) on one side only.", "spread_kept"),
        "no_influence": variant(_differences, "Without B.", "no_influence"),
        "flat_near": variant(_differences, "T in place of k below lag T.", "flat_near"),
        "flat_far": variant(_differences, "N T in place of N T - k from lag T on.", "flat_far"),
        "all_actions": variant(_differences, "N in place of N - 1.", "all_actions"),
    },
    lemmas=("nauman2023:cancellation",),
    words="How much states differ, less what actions do to the future; how much actions differ cancels.",
    title="What decides between actions and states",
)
def difference(p: Params, rng: np.random.Generator) -> Evidence:
    """Two variances subtracted, against the condition's difference, on random chains."""
    return _differences(p, rng)


def _decisions(p, rng, flaw=""):
    accepted, true = [], []
    for T, N in _SIZES:
        near_border = [steered(*rng.uniform([0, -0.5, 0], [1, 1, 1])) for _ in range(p.chains // 10)]
        parts = correlations(*_together(_random(p.chains, 2, 2, 1, rng), *near_border), lags=N * T - 1)
        gap = estimate_variance(parts, T, N) - estimate_variance(parts, N * T, 1)
        # Ties within rounding are no decision.
        clear = np.abs(gap) > 1e-12 * _size(parts)
        win = _condition(parts, T, N, flaw) < 0 if flaw else many_actions_win(parts, T, N)
        accepted += [win[clear], ~win[clear]]
        true += [gap[clear] < 0, gap[clear] >= 0]
    # Ties differ in number from replicate to replicate: cut to what every replicate has.
    n = 2 * p.chains * len(_SIZES)
    order = rng.permutation(sum(x.size for x in accepted))[:n]
    return Evidence(accepted=np.concatenate(accepted)[order], true=np.concatenate(true)[order])


@claim(
    "Optimality condition",
    r"V(T,N) < V(NT,1) \iff V_s(T) - V_s(NT) < "
    r"\frac{2}{(NT)^2}\Big[(N-1)\sum_{k<T} k B_k + \sum_{k=T}^{NT-1} (NT-k) B_k\Big]",
    relation=CertificateSound(),
    falsifiers={
        "no_influence": variant(_decisions, "Without B.", "no_influence"),
        "near_only": variant(_decisions, "Without the lags from T on.", "near_only"),
        "flat_far": variant(_decisions, "N T in place of N T - k from lag T on.", "flat_far"),
        "flat_near": variant(_decisions, "T in place of k below lag T.", "flat_near"),
        "all_actions": variant(_decisions, "N in place of N - 1.", "all_actions"),
        "spread_kept": variant(_decisions, "A / (N T) on one side only.", "spread_kept"),
    },
    lemmas=("nauman2023:cancellation",),
    words="The condition tells many actions from a longer trajectory on every chain.",
    title="The decision",
)
def decision(p: Params, rng: np.random.Generator) -> Evidence:
    """Both answers on random chains and on steered ones, which lie close to the border, against the two variances."""
    return _decisions(p, rng)


def _uninfluenced(n, S, d, rng, moved=0.0):
    """Random chains, independent ones and ones with D = 0, in which actions do not matter but with weight `moved`."""
    P, pi, table = _random(n, S, 2, d, rng)
    free = np.broadcast_to(P[:, :, :1], P.shape)
    free = np.concatenate([free[: n // 2], np.broadcast_to(free[n // 2 :, :1], (n - n // 2, S, 2, S))])
    m = np.einsum("nsa,nsad->nsd", pi, table)
    table = np.where((np.arange(n) % 4 == 0)[:, None, None, None], table - m[:, :, None], table)
    return (1 - moved) * free + moved * P, pi, table


def _influence_needed(p, rng, moved=0.0, shrunk=1.0, half=False):
    measured, bound = [], []
    for T, N in _SIZES:
        batches = [_uninfluenced(p.chains, S, 1, rng, moved) for S in (2, p.states)]
        ours = [correlations(*batch, lags=N * T - 1) for batch in batches]
        if half:
            # Actions matter in one of the two states.
            P, pi, table = steered(0.0, 0.9, 0.1)
            P = np.stack([steered(1.0, 0.9, 0.1)[0][0], P[1]])
            ours.append(correlations(P[None], pi, table, lags=N * T - 1))
        for x in ours:
            measured.append(shrunk * estimate_variance(x, N * T, 1))
            bound.append(estimate_variance(x, T, N) + 1e-13 * _size(x))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "No influence, no gain (derived)",
    r"P(\cdot \mid s, a) = P(\cdot \mid s) \implies V(NT, 1) \le V(T, N)",
    relation=Bound(),
    assumptions=("actions do not influence the next state, hence all $B_k = 0$",),
    falsifiers={
        "moved": variant(_influence_needed, "The next state depends on the action.", moved=1.0),
        "one_state": variant(_influence_needed, "In one of two states it does.", half=True),
        "strengthened": variant(_influence_needed, "Lower by half a per cent.", shrunk=1.005),
    },
    lemmas=("nauman2023:block_average", "nauman2023:cancellation"),
    words="Where actions do not move the states, N actions are never better than N times as many states.",
    title="Actions without influence",
)
def no_influence(p: Params, rng: np.random.Generator) -> Evidence:
    """Random chains, independent states, and chains on which all states have the same mean: there it is a tie."""
    return _influence_needed(p, rng)


def _independent(p, rng, flaw=""):
    left, right, tolerance = [], [], []
    for T, N in _SIZES:
        P, pi, table = _random(p.chains // 4, p.states, 2, 2, rng)
        if flaw == "correlated":
            P = np.broadcast_to(P[:, :, :1], P.shape)
        elif flaw != "influenced":
            P = np.broadcast_to(P[:, :1, :1], P.shape)
        else:
            P = np.broadcast_to(P[:, :1], P.shape)
        parts = correlations(P, pi, table, lags=N * T - 1)
        left.append(estimate_variance(parts, T, N) - estimate_variance(parts, N * T, 1))
        right.append((_size(parts) if flaw == "one_sample" else parts.D) * (1 - 1 / N) / T)
        tolerance.append(1e-13 * _size(parts))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Independent states (derived)",
    r"C = B = 0 \implies V(T,N) - V(NT,1) = \frac{D}{T}\Big(1 - \frac{1}{N}\Big)",
    relation=Identity(),
    assumptions=("independent states that actions do not influence",),
    falsifiers={
        "one_sample": variant(_independent, "D + A in place of D.", "one_sample"),
        "correlated": variant(_independent, "States that follow one another, without influence.", "correlated"),
        "influenced": variant(_independent, "The next state depends on the action alone.", "influenced"),
    },
    lemmas=("nauman2023:cancellation",),
    words="With independent states many actions lose by exactly what states differ, and tie only if they do not.",
    title="Independent states",
)
def independent_states(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws of states, random tables of two coordinates."""
    return _independent(p, rng)


def _blocks(p, rng, later=None, shrunk=1.0, single=False):
    measured, bound = [], []
    how = [steered(0.0, 0.99999, 0.5), steered(0.0, -0.99, 0.5), steered(0.0, 0.0, 0.5)]
    for T, N in _SIZES:
        parts = correlations(*_together(_random(p.chains, 2, 2, 1, rng), *how), lags=N * T)
        long, short = N * T if later is None else later(T), T
        pair = [estimate_variance(parts, t, 1) if single else state_variance(parts, t) for t in (long, short)]
        measured.append(shrunk * pair[0])
        bound.append(pair[1] + 1e-14 * _size(parts))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


def _one_more(T):
    return T + 1


@claim(
    "Positive influence is needed (derived)",
    r"V_s(NT) \le V_s(T), \quad \text{so that } V(T,N) < V(NT,1) \text{ needs } "
    r"(N-1)\sum_{k<T} k B_k + \sum_{k=T}^{NT-1} (NT-k) B_k > 0",
    relation=Bound(),
    falsifiers={
        "one_more_state": variant(_blocks, "T + 1 states in place of N T: states may alternate.", later=_one_more),
        "strengthened": variant(_blocks, "Lower by a tenth of a per cent.", shrunk=1.001),
    },
    controls={"single_actions": variant(_blocks, "V(N T, 1) <= V(T, 1), for the same reason.", single=True)},
    lemmas=("nauman2023:block_average",),
    words="An average over N pieces of a trajectory varies no more than over one, so that only influence can help.",
    title="Whole pieces never hurt",
)
def whole_pieces(p: Params, rng: np.random.Generator) -> Evidence:
    """Random chains, one that hardly ever changes its state, and one that alternates."""
    return _blocks(p, rng)


# The policy stays in its state with probability 1 / sqrt(2).
BEST_LEAN = np.sqrt(2) - 1


def _gain(p, rng, constant=None):
    measured, bound = [], []
    for T, N in _SIZES:
        batches = [_random(p.chains, 2, 2, 1, rng), steered(1.0, 0.0, BEST_LEAN), steered(1.0, 0.0, 0.3)]
        wide = _random(p.chains // 4, p.states, 3, 2, rng)
        for batch in (_together(*batches), wide):
            parts = correlations(*batch, lags=N * T - 1)
            share = 2 / (1 + np.sqrt(N)) if constant is None else constant(N)
            measured.append(share * estimate_variance(parts, N * T, 1))
            bound.append(estimate_variance(parts, T, N) + 1e-14 * _size(parts))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


def _searched_chain(z: np.ndarray) -> Chain:
    """A chain with two states and two actions from a point (10,) of the unit cube."""
    to, own = z[:4].reshape(2, 2), z[4:6]
    P = np.stack([to, 1 - to], axis=2)
    return P, np.stack([own, 1 - own], axis=1), (2 * z[6:] - 1).reshape(2, 2, 1)


def searched(p: Params, rng: np.random.Generator) -> Evidence:
    """The largest share of the bound that hill climbs over chains find, for several T and N."""
    measured, bound = [], []
    for T, N in ((1, 2), (1, 4), (3, 2)):

        def parts(z, T=T, N=N):
            found = correlations(*_searched_chain(0.001 + 0.998 * z), lags=N * T - 1)
            return 2 / (1 + np.sqrt(N)) * estimate_variance(found, N * T, 1), estimate_variance(found, T, N)

        def ratio(z, parts=parts):
            promised, attained = parts(z)
            # Tables without variance have no ratio.
            return float(promised / attained) if attained > 1e-6 else 0.0

        promised, attained = parts(search_worst(ratio, 10, evaluations=p.evaluations, rng=rng).point)
        measured.append(promised)
        bound.append(attained + 1e-13)
    return Evidence(measured=measured, bound=bound)


def _never(N):
    return 1.0


def _two_percent(N):
    return 1.02 * 2 / (1 + np.sqrt(N))


def _ninth_root(N):
    return 2 / (1 + N**0.45)


def _half_root(N):
    return 1 / np.sqrt(N)


@claim(
    "The gain is limited (derived)",
    r"V(T, N) \ge \frac{2}{1 + \sqrt{N}}\, V(NT, 1)",
    relation=Bound(),
    falsifiers={
        "never": variant(_gain, "Many actions never win.", _never),
        "two_percent": variant(_gain, "A constant two per cent larger.", _two_percent),
        "exponent": variant(_gain, "N^0.45 in place of the root.", _ninth_root),
    },
    controls={"looser": variant(_gain, "1 / sqrt(N), which is smaller.", _half_root)},
    lemmas=("nauman2023:best_gain", "nauman2023:attained", "nauman2023:block_average"),
    words="N actions save at most a share 1 - 2 / (1 + sqrt N) of the variance; for N = 2, two states attain it.",
    title="How much many actions can win",
    search=searched,
)
def gain(p: Params, rng: np.random.Generator) -> Evidence:
    """Random chains, and one whose action is the next state, kept with probability 1 / sqrt 2: there, equality."""
    return _gain(p, rng)


def _border(p, rng, flaw=""):
    left, right = [], []
    for _ in range(p.chains // 10):
        kappa, rho, lean = (float(x) for x in rng.uniform([0, -1, 0], 1))
        parts = correlations(*steered(kappa, rho, lean), lags=1)
        left.append(estimate_variance(parts, 1, 2) - estimate_variance(parts, 2, 1))
        if flaw == "persistence":
            # The chain under the policy instead of what it does when the action is ignored.
            rho = kappa * lean + (1 - kappa) * rho
        rest = 1.0 if flaw == "always" else 1 - kappa
        right.append(lean / 2 * (lean * (1 - rest * rho) - kappa))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-14))


@claim(
    "Where many actions win: two states (derived)",
    r"V(1,2) - V(2,1) = \frac{y}{2}\big(y (1 - (1-\kappa)\rho) - \kappa\big)",
    relation=Identity(),
    assumptions=(r"the action is the next state with probability $\kappa$, else the state persists as $\rho$",
                 r"the policy leans to the own action by $y$, and $\Upsilon$ is the action"),
    falsifiers={
        "always": variant(_border, "Persistence as if the action were always ignored.", "always"),
        "persistence": variant(_border, "The persistence of the chain under the policy.", "persistence"),
    },
    lemmas=("nauman2023:border",),
    words="Persistence and influence both help many actions; without influence no persistence suffices.",
    title="The border on steered chains",
)  # fmt: skip
def border(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed form against the two variances, random influence, persistence and lean."""
    return _border(p, rng)


def _long_run(p, rng, flaw=""):
    left, right, tolerance = [], [], []
    # What is left of the geometric sums is of order 64 * 2^-64.
    T = 64
    for N in (2, 3, 4):
        chain = _mixing(p.chains // 10, p.states, 2, 2, rng)
        parts, limits = correlations(*chain, lags=N * T - 1), long_run(*chain)
        left.append(N * T * (estimate_variance(parts, T, N) - estimate_variance(parts, N * T, 1)))
        lag, own = 2 * (N - 1 / N) / T * limits.states_lag, 2 * (N - 1) / (N * T) * limits.actions_lag
        if flaw == "limit":
            lag = own = 0.0
        elif flaw == "no_influence":
            own = 0.0
        elif flaw == "lag":
            lag = lag * N / (N + 1)
        scale = _size(parts) if flaw == "one_sample" else limits.states
        right.append((N - 1) * scale - lag - own)
        # Sums of some hundred terms, times N T.
        tolerance.append(1e-12 * _size(parts))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Long trajectories (derived)",
    r"NT\big(V(T,N) - V(NT,1)\big) = (N-1)\Big(D + 2\sum_k C_k\Big) - \frac{2(N - 1/N)}{T} \sum_k k C_k"
    r" - \frac{2(N-1)}{NT} \sum_k k B_k + \text{geometrically small}",
    relation=Identity(),
    assumptions=("a chain that mixes geometrically",),
    falsifiers={
        "limit": variant(_long_run, "The limit alone.", "limit"),
        "no_influence": variant(_long_run, "Without the influence of actions.", "no_influence"),
        "lag": variant(_long_run, "N - 1 in place of N - 1/N.", "lag"),
        "one_sample": variant(_long_run, "D + A in place of the long-run variance.", "one_sample"),
    },
    lemmas=("nauman2023:cancellation", "nauman2023:long_run"),
    words="On long trajectories many actions lose by N - 1 long-run variances of the state averages; if that is 0, the"
    " next order decides.",
    title="What is left on long trajectories",
)
def long_trajectories(p: Params, rng: np.random.Generator) -> Evidence:
    """T = 64 against sums by the fundamental matrix."""
    return _long_run(p, rng)


def _folk(p, rng, all_actions=False, free=True, shrunk=1.0):
    measured, bound = [], []
    for T, N in ((2, 2), (4, 2), (10, 3)):
        ours = [overshooting(1.0), overshooting(2.0)] if free else []
        batch = _random(p.chains // 4, 2, 2, 1, rng)
        if not free:
            batch = (np.broadcast_to(batch[0][:, :, :1], batch[0].shape), *batch[1:])
        parts = correlations(*_together(batch, *ours), lags=T)
        measured.append(state_variance(parts, T) if all_actions else estimate_variance(parts, T, N))
        bound.append(shrunk * estimate_variance(parts, T, 1) + 1e-13 * _size(parts))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Folk statement: more actions in the same states never hurt",
    r"V(T, N) \le V(T, 1)",
    relation=Bound(),
    falsifiers={
        "all_actions": variant(_folk, "All actions averaged exactly.", all_actions=True),
        "strengthened": variant(_folk, "Lower by a tenth.", shrunk=0.9),
    },
    controls={"no_influence": variant(_folk, "Actions that do not influence the states.", free=False)},
    lemmas=("nauman2023:free_actions",),
    words="Further actions in the same states would reduce the variance, or leave it, were they free.",
    title="Even free actions can hurt",
)
def free_actions(p: Params, rng: np.random.Generator) -> Evidence:
    """Random chains and ones on which the next state takes back what the action gave."""
    return _folk(p, rng)


def _softmax_chain(rng, S=2, A=2):
    """A random problem with a softmax policy and the exact table of its policy gradient; also r and logits."""
    P, theta, r = rng.dirichlet(np.ones(S), size=(S, A)), rng.standard_normal((S, A)), rng.standard_normal((S, A))
    pi = softmax(theta)
    return (P, pi, score_table(pi, differential_q(P, pi, r)[1])), r, theta


def _sampled(p, rng, flaw="", executed=_first, single=False):
    left, tolerance = [], []
    random = _softmax_chain(rng, 3, 3)[0]
    for chain, T, N in ((steered(1.0, 0.0, 0.6), 4, 3), (overshooting(1.5), 3, 2), (random, 3, 4), (random, 1, 2)):
        parts = correlations(*chain, lags=T)
        drawn = 1 if single else N
        estimates = many_actions_gradient(
            *chain,
            T,
            drawn,
            start=stationary_law(np.einsum("sa,sat->st", chain[1], chain[0])),
            replicates=p.samples,
            rng=rng,
            executed=executed(drawn),
        )
        share = ((estimates - parts.mean) ** 2).sum(axis=1) / _formula(parts, T, N, flaw)
        left.append(share.mean())
        # Two-sided: one entry in half a million is off by chance.
        tolerance.append(special.stdtrit(p.samples - 1, 1 - 1e-6) * share.std(ddof=1) / np.sqrt(p.samples))
    return Evidence(left=left, right=np.ones(len(left)), tolerance=tolerance)


@claim(
    "Variance with many actions, sampled",
    r"\mathbb{E}\, \|g - \mathbb{E} g\|^2 = V(T, N)",
    relation=Identity(),
    assumptions=("independent estimates, each a trajectory from the stationary law",),
    falsifiers={
        "drawn_apart": variant(_sampled, "The executed action is not among the samples.", executed=_apart),
        "undivided_influence": variant(_sampled, "B_k not divided by N.", "undivided_influence"),
        "flat_lags": variant(_sampled, "T in place of T - k.", "flat_lags"),
        "no_influence": variant(_sampled, "No B_k.", "no_influence"),
        "one_action": variant(_sampled, "A sampler of one action a state.", single=True),
    },
    controls={"last_executed": variant(_sampled, "The last sample is executed.", executed=_last)},
    lemmas=("nauman2023:variance",),
    words="The estimator, sampled, varies as the formula says.",
    title="The variance, sampled",
)
def monte_carlo(p: Params, rng: np.random.Generator) -> Evidence:
    """Squared distances from the exact mean over V, by Student's law at 1e-6 on each side of four entries."""
    return _sampled(p, rng)


def _average_reward(P, r, theta):
    """Average reward of a softmax policy whose logits may be complex."""
    weights = np.exp(theta)
    pi = weights / weights.sum(axis=1, keepdims=True)
    S = len(P)
    system = np.eye(S) - np.einsum("sa,sat->st", pi, P) + 1.0
    return np.linalg.solve(system.T, np.ones(S)) @ (pi * r).sum(axis=1)


def _expected(p, rng, flaw="", baseline=False):
    left, right, tolerance = [], [], []
    (P, pi, _), r, theta = _softmax_chain(rng)
    chain = np.einsum("sa,sat->st", pi, P)
    q = differential_q(P, pi, r)[1]
    if flaw == "discounted":
        q = r + 0.9 * P @ np.linalg.solve(np.eye(2) - 0.9 * chain, (pi * r).sum(axis=1))
    elif flaw == "reward":
        q = r
    if baseline:
        q = q - rng.standard_normal((2, 1))
    start = np.array([1.0, 0.0]) if flaw == "start" else None
    # Complex steps have no cancellation, so that the step may be as small as one likes.
    steps = 1e-30j * np.eye(4).reshape(4, 2, 2)
    gradient = np.array([_average_reward(P, r, theta + step).imag for step in steps]) / 1e-30
    for T in (1, 2, 3):
        for N in (1, 2):
            values, probability = enumerate_estimates(P, pi, score_table(pi, q), T, N, start=start)
            left.append(probability @ values)
            right.append(gradient)
            # Hundreds of roundings of entries of that size, through a system whose inverse q shows.
            tolerance.append(np.full(4, 1e-13 * (1 + np.abs(q).max())))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Unbiased (derived)",
    r"\mathbb{E}\, g = \nabla_\theta \lim_t \mathbb{E} r_t \quad \text{for every } T \text{ and } N",
    relation=Identity(),
    assumptions=(r"$\Upsilon = Q \nabla \log \pi$ with the differential $Q$", "first state from the stationary law"),
    falsifiers={
        "start": variant(_expected, "The first state is always the first.", "start"),
        "discounted": variant(_expected, "Q of discount 0.9.", "discounted"),
        "reward": variant(_expected, "The reward in place of Q.", "reward"),
    },
    controls={"baseline": variant(_expected, "A random function of the state subtracted from Q.", baseline=True)},
    words="Whatever T and N, the estimate averages to the gradient of the average reward.",
    title="Unbiased for every split",
)
def unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All paths for T <= 3 and N <= 2, against complex steps through the stationary law."""
    return _expected(p, rng)


def best_actions(states: float, actions: float, cost: float) -> int:
    """The N >= 1 that minimises (states + actions / N) (1 + N cost), the limit of budget times V.

    Examples
    --------
    >>> best_actions(1.0, 9.0, 0.25)
    6
    """
    for name, value in (("states", states), ("actions", actions), ("cost", cost)):
        check_number(name, value, above=True)
    root = np.sqrt(actions / (states * cost))
    choices = [max(1, int(np.floor(root))), int(np.floor(root)) + 1]
    return min(choices, key=lambda N: (states + actions / N) * (1 + N * cost))


# Numbers of actions among which the best is looked for, and prices of an action in states.
_ACTIONS, _PRICES = np.arange(1, 61), (0.02, 0.3)


def _priced(parts: Correlations, cost: float, budget: float) -> np.ndarray:
    """V (60, ...) of N actions a state and of as many states as the budget buys then."""
    return np.array([estimate_variance(parts, int(budget / (1 + N * cost)), N) for N in _ACTIONS])


def _splits(p, rng, flaw=""):
    worst = 0.0
    chains = _together(_mixing(8, 2, 2, 1, rng), steered(0.9, 0.0, 0.3), steered(0.0, 0.9, 0.5), overshooting(-2.0))
    parts, limits = correlations(*chains, lags=int(p.budget)), long_run(*chains)
    states, actions = limits.states, limits.actions
    if flaw == "swapped":
        states, actions = actions, states
    elif flaw == "influence":
        actions = parts.A
    elif flaw == "time":
        states, actions = parts.D, parts.A
    for cost in _PRICES:
        priced = _priced(parts, cost, p.budget)
        for i in np.flatnonzero((limits.actions > 0.05 * limits.states) & (limits.states > 1e-3 * limits.actions)):
            N = best_actions(states[i], actions[i], cost)
            if flaw == "no_root":
                N = round(actions[i] / (states[i] * cost))
            elif flaw == "one":
                N = 1
            chosen = min(max(N, 1), _ACTIONS[-1])
            # Up to a state's price is left over, which is a part of one in T + 1.
            T = int(p.budget / (1 + chosen * cost))
            worst = max(worst, T / (T + 1) * priced[chosen - 1, i] / priced[:, i].min())
    return Evidence(measured=[worst], bound=[_NEAR])


# The limit is approached like 1 / T: a part in a hundred.
_NEAR = 1.01


@claim(
    "The best split of a budget (derived)",
    r"T (1 + N e) = b: \quad N^* \approx \sqrt{\frac{A + 2\sum_k B_k}{e\,(D + 2\sum_k C_k)}}, \quad "
    r"V(T^*, N^*) \le 1.01 (1 + 1 / T^*) \min_N V(T, N)",
    relation=Bound(),
    assumptions=("every action, the executed one too, costs $e$ of a state", "a long trajectory", r"$A + 2\sum B > 0$"),
    falsifiers={
        "swapped": variant(_splits, "States and actions swapped.", "swapped"),
        "no_root": variant(_splits, "Without the root.", "no_root"),
        "influence": variant(_splits, "Without the influence of actions.", "influence"),
        "time": variant(_splits, "D and A alone, as if nothing were correlated in time.", "time"),
        "one": variant(_splits, "One action, whatever it costs.", "one"),
    },
    lemmas=("nauman2023:split",),
    words="Where further actions are cheaper than states, as with a model, the best number is a root of two ratios.",
    title="How many actions a budget should buy",
)
def split(p: Params, rng: np.random.Generator) -> Evidence:
    """Variance at the rule's N over the best of N <= 60, both exact; the worst of some chains and two prices."""
    return _splits(p, rng)


# (S, T, N) and the share of random chains with two actions and one coordinate on which many actions win: calibrated
# once on ten million chains each.
FREQUENCY = ((2, 1, 2, 0.0908391), (3, 1, 2, 0.0178258), (2, 3, 2, 0.0339024), (2, 1, 4, 0.0476322))


def _frequency(p, rng, flaw=""):
    left, right, tolerance = [], [], []
    for S, T, N, share in FREQUENCY:
        d = 2 if flaw == "two_coordinates" else 1
        t = T + 1 if flaw == "one_more_state" else T
        parts = correlations(*_random(p.drawn, S, 2, d, rng), lags=N * t)
        wins = many_actions_win(parts, t, N)
        if flaw == "shorter":
            wins = estimate_variance(parts, t, N) < estimate_variance(parts, N * t - 1, 1)
        left.append(wins.mean())
        right.append(share)
        # One entry in half a million is off by chance, our own ten million draws included.
        tolerance.append(special.ndtri(1 - 1e-6) * np.sqrt(share * (1 - share) * (1 / p.drawn + 1e-7)))
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "How often many actions win (calibrated)",
    r"\Pr\big(V(T,N) < V(NT,1)\big) \text{ over random chains: as tabled}",
    relation=Identity(),
    assumptions=("rows of P and of the policy uniform, Upsilon normal, two actions, one coordinate",),
    falsifiers={
        "two_coordinates": variant(_frequency, "Two coordinates.", "two_coordinates"),
        "one_more_state": variant(_frequency, "T + 1 states.", "one_more_state"),
        "shorter": variant(_frequency, "Against N T - 1 states.", "shorter"),
    },
    words="On random chains many actions win rarely: 9 in 100 with two states, fewer with more states or steps.",
    title="Wins are rare",
)
def frequency(p: Params, rng: np.random.Generator) -> Evidence:
    """Fresh chains against the table, by the normal law at 1e-6 on each side."""
    return _frequency(p, rng)


def _sampled_variance(chain, T, N, replicates, rng):
    """V(T, N) from independent estimates."""
    start = stationary_law(np.einsum("sa,sat->st", chain[1], chain[0]))
    estimates = many_actions_gradient(*chain, T, N, start=start, replicates=replicates, rng=rng)
    return float(((estimates - correlations(*chain, lags=0).mean) ** 2).sum(axis=1).mean())


def _equal_samples(p, rng, chain):
    """V(M / N, N) / V(M, 1) over the number M of samples, exact and sampled."""
    M = 8 * np.arange(1, 26)
    parts = correlations(*chain, lags=int(M[-1]))
    table = {"samples": M}
    for N in (2, 4, 8):
        table[f"n{N}"] = [float(estimate_variance(parts, m // N, N) / estimate_variance(parts, m, 1)) for m in M]
        points = np.full(M.size, np.nan)
        for i in (0, 1, 3, 6, 12):
            exact = float(estimate_variance(parts, int(M[i]), 1))
            points[i] = _sampled_variance(chain, int(M[i]) // N, N, 4 * p.samples, rng) / exact
        table[f"points{N}"] = points
    return table


def figure_winning(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Persistent states that every other action moves."""
    return _equal_samples(p, rng, steered(0.5, 0.99, 0.15))


def figure_losing(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Persistent states that no action moves."""
    return _equal_samples(p, rng, steered(0.0, 0.95, 0.3))


def _draw_samples(ax, table, place):
    ax.axhline(1.0, color="black", linestyle="--", linewidth=1.2, label="one action a state")
    for N, colour in ((2, "#0072B2"), (4, "#009E73"), (8, "#D55E00")):
        ax.plot(table["samples"], table[f"n{N}"], color=colour, label=f"{N} actions a state")
        ax.plot(table["samples"], table[f"points{N}"], color=colour, marker="o", markersize=4.5, linestyle="")
    ax.legend(loc=place)


def draw_winning(ax, table) -> None:
    """Lines exact, points sampled."""
    _draw_samples(ax, table, "upper left")
    low, high = ax.get_ylim()
    ax.axhspan(low, 1.0, color="#56B4E9", alpha=0.15, linewidth=0)
    ax.set_ylim(low, high)


def draw_losing(ax, table) -> None:
    """Lines exact, points sampled."""
    _draw_samples(ax, table, "upper left")


def figure_region(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """V(1, 2) / V(2, 1) on steered chains of lean sqrt 2 - 1."""
    rho, kappa = (x.ravel() for x in np.meshgrid(np.linspace(-0.95, 0.95, 20), np.linspace(0, 1, 20)))
    chains = _together(*(steered(k, r, BEST_LEAN) for k, r in zip(kappa, rho)))
    parts = correlations(*chains, lags=1)
    return {"rho": rho, "kappa": kappa, "ratio": estimate_variance(parts, 1, 2) / estimate_variance(parts, 2, 1)}


def draw_region(ax, table) -> None:
    """Violet below 1, where two actions win, orange above; the border in closed form."""
    x, y = np.unique(table["rho"]), np.unique(table["kappa"])
    ratio = table["ratio"].reshape(y.size, x.size)
    mesh = ax.pcolormesh(x, y, ratio, cmap="PuOr_r", shading="nearest", vmin=0.7, vmax=1.3, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label="$V(1, 2) / V(2, 1)$")
    ax.plot(x, BEST_LEAN * (1 - x) / (1 - BEST_LEAN * x), color="black", linestyle="--")
    ax.text(0.25, 0.75, "two actions win", ha="center", fontsize=11)
    ax.text(-0.4, 0.15, "two states win", ha="center", fontsize=11)
    ax.grid(visible=False)


def figure_budget(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """V over the number of actions at four prices, over the least V; and the rule's choice."""
    chain = overshooting(-2.0)
    parts, limits, table = correlations(*chain, lags=int(p.budget)), long_run(*chain), {"actions": _ACTIONS[:24]}
    for name, cost in _FIGURE_PRICES.items():
        priced = _priced(parts, cost, p.budget)
        table[name] = priced[:24] / priced.min()
        table[f"rule_{name}"] = np.full(24, float(best_actions(limits.states, limits.actions, cost)))
    return table


_FIGURE_PRICES = {"hundredth": 0.01, "tenth": 0.1, "half": 0.5, "equal": 1.0}


def draw_budget(ax, table) -> None:
    """A line a price; a dot where the rule points."""
    for (name, cost), colour in zip(_FIGURE_PRICES.items(), ("#0072B2", "#009E73", "#E69F00", "#D55E00")):
        ax.plot(table["actions"], table[name], color=colour, label=f"{cost:g}")
        N = int(table[f"rule_{name}"][0])
        ax.plot([N], [table[name][N - 1]], color=colour, marker="o", markersize=8)
    ax.set(ylim=(0.97, 1.6))
    ax.legend(loc="center right", title="price of an action, in states")
