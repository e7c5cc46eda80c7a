"""Chains: RiverSwim, the five-state chain, the combination lock, DeepSea, the restart chain."""

import numpy as np

from mdplab.models import MDP


def riverswim(S: int = 6, *, version: str = "osband", gamma: float = 0.99) -> MDP:
    """RiverSwim: a chain where swimming right, against the current, leads to the large reward.

    Action 0 swims left and succeeds; action 1 swims right. "osband" (also that of the regret literature after UCRL2):
    right succeeds with probability .6 from the left bank, .35 in the middle; stays .4, .6, .6 (bank, middle, last);
    drifts back .05 in the middle, .4 in the last state; rewards .005 for left on the left bank and 1 for right in the
    last state, whatever happens. "strehl-littman": right succeeds with .3, stays .7, .6, .3, drifts back .1 in the
    middle and .7 in the last state; rewards 5 for left on the left bank and 10000 on the transition that stays in the
    last state; starts in state 1 or 2.

    Parameters
    ----------
    S : int >= 3
        Length of the river.
    version : {"osband", "strehl-littman"}
        Which of the two published ones.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    V* of "strehl-littman" with S = 6, gamma = .99 is 56687.649 in state 0 and 70582.794 in state 5.

    Source
    ------
    Strehl, Littman (2008), "An analysis of model-based interval estimation for Markov decision processes", figure of
    RiverSwim; Osband, Russo, Van Roy (2013), "(More) efficient reinforcement learning via posterior sampling",
    figure 1 (numbers of the latter read from the authors' followers' code).

    Examples
    --------
    >>> riverswim().P[2, 1].tolist()
    [0.0, 0.05, 0.6, 0.35, 0.0, 0.0]
    """
    if S < 3:
        raise ValueError(f"S is {S}; a river has at least 3 states")
    if version not in ("osband", "strehl-littman"):
        raise ValueError(f"version is {version!r}; expected 'osband' or 'strehl-littman'")
    P = np.zeros((S, 2, S))
    P[np.arange(S), 0, np.maximum(np.arange(S) - 1, 0)] = 1.0
    bank, middle, last = ((0.4, 0.6), (0.05, 0.6, 0.35), (0.4, 0.6))
    if version == "strehl-littman":
        bank, middle, last = ((0.7, 0.3), (0.1, 0.6, 0.3), (0.7, 0.3))
    P[0, 1, :2] = bank
    for s in range(1, S - 1):
        P[s, 1, s - 1 : s + 2] = middle
    P[S - 1, 1, S - 2 :] = last
    mu = np.zeros(S)
    if version == "osband":
        r = np.zeros((S, 2))
        r[0, 0], r[S - 1, 1] = 0.005, 1.0
        mu[0] = 1.0
        return MDP(P, r, gamma, mu=mu)
    r_next = np.zeros((S, 2, S))
    r_next[0, 0, 0], r_next[S - 1, 1, S - 1] = 5.0, 10000.0
    mu[1:3] = 0.5
    return MDP(P, r_next, gamma, mu=mu)


def chain(n: int = 5, *, slip: float = 0.2, gamma: float = 0.99) -> MDP:
    """The chain of Dearden and Strens: action 0 goes on and pays 10 at the end, action 1 returns to 0 and pays 2.

    With probability `slip` the other action's effect and reward happen.

    Parameters
    ----------
    n : int >= 2
        Number of states.
    slip : float in [0, 1]
        Probability that the other action happens.
    gamma : float in [0, 1)
        Discount factor.

    See Also
    --------
    chain_value : the value of always going on, optimal at the published numbers.

    Source
    ------
    Dearden, Friedman, Russell (1998), "Bayesian Q-learning"; Strens (2000), "A Bayesian framework for reinforcement
    learning", figure "chain".

    Examples
    --------
    >>> chain().r.round(1)[[0, 4]].tolist()
    [[0.4, 1.6], [8.4, 3.6]]
    """
    if n < 2:
        raise ValueError(f"n is {n}; expected at least 2")
    states = np.arange(n)
    P = np.zeros((n, 2, n))
    for a, weight in ((0, 1 - slip), (1, slip)):
        P[states, a, np.minimum(states + 1, n - 1)] += weight
        P[states, a, 0] += 1 - weight
    on = np.where(states == n - 1, 10.0, 0.0)
    r = np.stack([(1 - slip) * on + slip * 2.0, slip * on + (1 - slip) * 2.0], axis=1)
    return MDP(P, r, gamma, mu=(states == 0).astype(np.float64))


def chain_value(n: int = 5, *, slip: float = 0.2, gamma: float = 0.99) -> np.ndarray:
    """Value (n,) of always going on in `chain`.

    With p = 1 - slip, x = p gamma and c = slip (2 + gamma V(0)): V(s) = c + x V(s + 1) and V(n - 1) = (10 p + c) /
    (1 - x), so V(s) = c / (1 - x) + x^(n - 1 - s) 10 p / (1 - x), and s = 0 solves for
    V(0) = (2 slip + 10 p x^(n - 1)) / (1 - gamma).

    Examples
    --------
    >>> (chain_value(gamma=0.999999)[:1] * 1e-6).round(4).tolist()
    [3.6768]
    """
    p = 1 - slip
    x = p * gamma
    start = (2 * slip + 10 * p * x ** (n - 1)) / (1 - gamma)
    c = slip * (2 + gamma * start)
    return (c + 10 * p * x ** (n - 1 - np.arange(n))) / (1 - x)


def combination_lock(n: int = 8, A: int = 3, *, gamma: float = 0.9) -> MDP:
    """The combination lock: in state s only action s mod A goes on, every other returns to 0; reward 1 at the end.

    The right action in state n - 1 stays there and pays 1. Uniform exploration needs about A**n steps.

    Parameters
    ----------
    n : int >= 1
        Length of the combination.
    A : int >= 1
        Number of actions.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    Exact: V*(s) = gamma**(n - 1 - s) / (1 - gamma).

    Source
    ------
    Koenig, Simmons (1996), "The effect of representation and knowledge on goal-directed exploration with
    reinforcement-learning algorithms" (reset state spaces); Kakade (2003), thesis, section 8.6.

    Examples
    --------
    >>> combination_lock(3, 2).P[1].tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if n < 1 or A < 1:
        raise ValueError(f"n, A are {n}, {A}; expected at least 1")
    states = np.arange(n)
    P = np.zeros((n, A, n))
    P[:, :, 0] = 1.0
    P[states, states % A] = 0.0
    P[states, states % A, np.minimum(states + 1, n - 1)] = 1.0
    r = np.zeros((n, A))
    r[n - 1, (n - 1) % A] = 1.0
    return MDP(P, r, gamma, mu=(states == 0).astype(np.float64))


def deep_sea(N: int = 10, *, slip: float = 0.0) -> MDP:
    """DeepSea: N decisions, N columns; only going right every time reaches the treasure.

    Action 1 goes right and is free, action 0 goes left and pays 0.01 / N; action 1 in the last column pays 1. With
    probability `slip` the other action's move happens (not its reward).

    Parameters
    ----------
    N : int >= 1
        Number of decisions and of columns.
    slip : float in [0, 1]
        Probability of the other move.

    Returns
    -------
    MDP
        With horizon N, gamma 1 and `mu` on column 0.

    Notes
    -----
    Exact: without slip V*(column 0) = 1. The published problem pays the treasure only at the last decision; here the
    reward does not depend on time. From column 0 the two agree for every policy, because the last column cannot be
    reached before the last decision; from other columns ours pays more.

    Source
    ------
    Osband, Van Roy, Russo, Wen (2019), "Deep exploration via randomized value functions", section 4; there going right
    costs 0.01 / N, here going left pays it.

    Examples
    --------
    >>> deep_sea(4)
    MDP(S=4, A=2, transitions=8, gamma=1, horizon=4)
    """
    if N < 1:
        raise ValueError(f"N is {N}; expected at least 1")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip}; expected a probability")
    columns = np.arange(N)
    P = np.zeros((N, 2, N))
    for a, right in ((0, slip), (1, 1 - slip)):
        P[columns, a, np.minimum(columns + 1, N - 1)] += right
        P[columns, a, np.maximum(columns - 1, 0)] += 1 - right
    r = np.zeros((N, 2))
    r[:, 0] = 0.01 / N
    r[N - 1, 1] = 1.0
    return MDP(P, r, 1.0, mu=(columns == 0).astype(np.float64), horizon=N)


def restart_chain(n: int = 10) -> MDP:
    """The chain on which a plain stopping rule lies: every step restarts with probability 1/2.

    States 0..n-1, then fail (n) and goal (n + 1), both terminal. One action: back to 0 with probability 1/2, else one
    further; from n - 1, goal or fail with probability 1/4 each. Undiscounted; the reward is the probability of entering
    the goal. All numbers are exact in floating point.

    Notes
    -----
    Exact: V = 1/2 in every state but the terminal ones, since goal and fail are equally likely from n - 1 and one of
    them is reached with certainty. That takes 2**(n + 1) - 2 steps from 0 on average (as many coin flips as until n
    heads in a row), so value iteration from 0 that stops on a residual of 1e-6 returns .4980 at n = 10 and .0000 at
    n = 20.

    Source
    ------
    After Haddad, Monmege (2014), "Reachability in MDPs: refining convergence of value iteration".

    Examples
    --------
    >>> restart_chain(2).P[:, 0].tolist()[1]
    [0.5, 0.0, 0.25, 0.25]
    """
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1")
    P = np.zeros((n + 2, 1, n + 2))
    P[:n, 0, 0] = 0.5
    P[np.arange(n - 1), 0, np.arange(1, n)] = 0.5
    P[n - 1, 0, n:] = 0.25
    P[n, 0, n] = P[n + 1, 0, n + 1] = 1.0
    r = np.zeros((n + 2, 1))
    r[n - 1] = 0.25
    return MDP(P, r, 1.0, mu=(np.arange(n + 2) == 0).astype(np.float64))
