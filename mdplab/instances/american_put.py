"""The American put option of the robust linear papers: a binomial price, hat features, the published random stream."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from mdplab.models import MDP, OfflineData

STRIKE, UP, DOWN = 100.0, 1.02, 0.98
HOLD, EXERCISE = 0, 1


@dataclass(frozen=True, eq=False, slots=True)
class AmericanPut:
    """An option on a price that moves by +2 % or -2 % a stage.

    Parameters
    ----------
    mdp : MDP
        Undiscounted, `horizon` decisions; states are the nodes of the price tree, stage after stage (node h (h + 1) / 2
        + k after k rises in h stages), and the exit, last. Actions hold and exercise.
    prices : array (S,)
        Price at each node; of the exit, 99999 as in the public code.
    phi : array (S, A, d)
        Hat functions of the price for hold, zeros for exercise and the exit: their value is known.
    rewards : array (H, S, A)
        What exercise pays, max(0, 100 - price); holding pays nothing.
    """

    mdp: MDP
    prices: np.ndarray
    phi: np.ndarray
    rewards: np.ndarray


def hat_features(prices: np.ndarray, d: int = 30) -> np.ndarray:
    """`max(0, 1 - |price - anchor| / width)` for d anchors 80 + i width, width = 100 / d; (..., d).

    Prices below 80 - width have no feature at all, although the published range starts at 60.

    Examples
    --------
    >>> hat_features(np.array([80.0, 85.0]), 30)[:, :3].round(2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    """
    gap = 100 / d
    return np.maximum(0.0, 1 - np.abs(np.asarray(prices)[..., None] - (80 + gap * np.arange(d))) / gap)


def american_put(s0: float = 100.0, p: float = 0.5, *, horizon: int = 20, d: int = 30) -> AmericanPut:
    """The option from price `s0`, with probability `p` of a rise.

    Parameters
    ----------
    s0 : float > 0
    p : float in [0, 1]
    horizon : int >= 1
        Decisions H; at the last one holding ends with nothing.
    d : int >= 2
        Number of features.

    Raises
    ------
    ValueError
        Numbers out of range.

    Notes
    -----
    Exact optimum from s0 = 99.17022005: 21.1598 (p = .2), 8.8327 (.4), 3.9054 (.5), 1.9257 (.6), .8298 (.8 and 1).

    Source
    ------
    Tamar, Mannor, Xu (2014) and the public code of Tang, Liu, Xu (2025); our specification, C.6.

    Examples
    --------
    >>> put = american_put(99.17022005, 0.2)
    >>> put.mdp
    MDP(S=232, A=2, transitions=674, gamma=1, horizon=20)
    """
    for name, value, good in (("s0", s0, s0 > 0), ("p", p, 0 <= p <= 1), ("d", d, d >= 2)):
        if not good:
            raise ValueError(f"{name} is {value:g}; it is out of range")
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; expected at least 1")
    nodes = [(h, k) for h in range(horizon + 1) for k in range(h + 1)]
    prices = np.array([s0 * UP**k * DOWN ** (h - k) for h, k in nodes] + [99999.0])
    S, leave = len(prices), len(nodes)
    payoff = np.maximum(0.0, STRIKE - prices)
    P, r = np.zeros((S, 2, S)), np.zeros((S, 2))
    for s, (h, k) in enumerate(nodes):
        if h < horizon:
            rise = (h + 1) * (h + 2) // 2 + k
            P[s, HOLD, rise + 1] += p
            P[s, HOLD, rise] += 1 - p
        else:
            P[s, HOLD, leave] = 1.0
        P[s, EXERCISE, leave] = 1.0
        r[s, EXERCISE] = payoff[s]
    P[leave, :, leave] = 1.0
    phi = np.zeros((S, 2, d))
    phi[:leave, HOLD] = hat_features(prices[:leave], d)
    mu = (np.arange(S) == 0).astype(np.float64)
    mdp = MDP(sp.csr_array(P.reshape(-1, S)), r, 1.0, mu=mu, horizon=horizon)
    return AmericanPut(mdp, prices, phi, np.broadcast_to(r, (horizon, S, 2)).copy())


def _legacy(seed: int) -> np.random.Generator:
    """The stream of NumPy's generator of before 2019 at that seed, which the published numbers come from."""
    bits = np.random.MT19937()
    bits._legacy_seeding(seed)
    return np.random.Generator(bits)


def _first_price(stream: np.random.Generator) -> float:
    return 95 + 10 * stream.random()


def put_start(seed: int) -> float:
    """The first price of the published experiment for a seed: uniform on [95, 105], of the legacy generator.

    Examples
    --------
    >>> round(put_start(0), 8)
    100.48813504
    """
    return _first_price(_legacy(seed))


def put_data(seed: int, *, n: int = 100, horizon: int = 20) -> tuple[AmericanPut, OfflineData]:
    """The training option of a replication, and its `n` trajectories that always hold, at p = 1/2.

    The first price comes from `seed`, the moves of every replication from the legacy generator at seed 1, as published.

    Examples
    --------
    >>> put_data(0)[1]
    OfflineData(N=100, H=20, S=232, A=2)
    """
    put = american_put(put_start(seed), horizon=horizon)
    rises = np.cumsum(_legacy(1).random((n, horizon)) < 0.5, axis=1)
    stages = np.arange(1, horizon + 1)
    states = np.concatenate([np.zeros((n, 1), dtype=np.int64), stages * (stages + 1) // 2 + rises], axis=1)
    return put, OfflineData(states, np.zeros((n, horizon), dtype=np.int64), len(put.prices), 2)


def put_test(policy: np.ndarray, p: float, *, episodes: int = 100) -> float:
    """Mean payoff of a policy (H, S) on the test option of the published experiment, on its shared random stream.

    The first price is that of seed 1. A step that holds draws a number, also after the exercise; a step that exercises
    draws none.

    Raises
    ------
    ValueError
        A policy of another shape than the test option's.
    """
    put = american_put(put_start(1), p)
    H, S = len(put.rewards), len(put.prices)
    if np.shape(policy) != (H, S):
        raise ValueError(f"policy has shape {np.shape(policy)}; expected {(H, S)}")
    stream, total, leave = _legacy(1), 0.0, S - 1
    _first_price(stream)
    for _ in range(episodes):
        h, k, out = 0, 0, False
        for t in range(H):
            s = leave if out else h * (h + 1) // 2 + k
            if not out and policy[t, s] == EXERCISE:
                total += put.rewards[t, s, EXERCISE]
                out = True
                continue
            rise = stream.random() < p
            if not out:
                h, k = h + 1, k + rise
    return total / episodes
