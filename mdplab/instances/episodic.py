"""Episodic problems of the actor-critic papers: DeepSea, a combination lock with a trap, a class of few kernels."""

from dataclasses import dataclass

import numpy as np

from mdplab.models import LinearMDP


def stages(P: np.ndarray, r: np.ndarray, start: int = 0) -> LinearMDP:
    """A tabular problem whose kernels P (H, S, A, S) and rewards r (H, S, A) differ by stage, with one-hot features.

    Parameters
    ----------
    P : array (H, S, A, S)
        Rows sum to 1.
    r : array (H, S, A)
    start : int
        First state.

    Source
    ------
    Jin, Yang, Wang, Jordan (2020), example 2.1.

    Examples
    --------
    >>> stages(np.ones((3, 1, 2, 1)), np.zeros((3, 1, 2)))
    LinearMDP(S=1, A=2, d=2, horizon=3)
    """
    H, S, A = r.shape
    phi = np.eye(S * A).reshape(S, A, S * A)
    return LinearMDP(phi, P.reshape(H, S * A, S), r.reshape(H, S * A), H, start=start)


def deep_sea_episodic(N: int = 10, *, slip: float = 0.0) -> LinearMDP:
    """DeepSea as published: the treasure is paid at the last decision only.

    Action 1 goes right and is free, action 0 goes left and pays 0.01 / N; action 1 in the last column at the last
    decision pays 1. With probability `slip` the other action's move happens (not its reward).

    Parameters
    ----------
    N : int >= 1
        Number of decisions and of columns.
    slip : float in [0, 1]

    Raises
    ------
    ValueError
        N below 1, or a slip that is no probability.

    See Also
    --------
    deep_sea : the stationary one; from column 0 the two have the same values.

    Source
    ------
    Osband, Van Roy, Russo, Wen (2019), "Deep exploration via randomized value functions", section 4; there going right
    costs 0.01 / N, here going left pays it.

    Examples
    --------
    >>> deep_sea_episodic(4).rewards()[:, 3, 1].tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    if N < 1:
        raise ValueError(f"N is {N}; expected at least 1")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip}; expected a probability")
    columns = np.arange(N)
    P, r = np.zeros((N, N, 2, N)), np.zeros((N, N, 2))
    for a, right in ((0, slip), (1, 1 - slip)):
        P[:, columns, a, np.minimum(columns + 1, N - 1)] += right
        P[:, columns, a, np.maximum(columns - 1, 0)] += 1 - right
    r[:, :, 0] = 0.01 / N
    r[N - 1, N - 1, 1] = 1.0
    return stages(P, r)


# States of the lock: two good ones and the dead end.
GOOD, DEAD = (0, 1), 2


def combination_lock_episodic(H: int = 10, A: int = 10) -> LinearMDP:
    """The lock of the hybrid actor-critic paper: one action of A leads on, the others to a dead end with a small prize.

    In good state i at stage h the right action is (3 h + 7 i + 1) mod A; it leads to either good state evenly, every
    other action to the dead end. At the last stage the right action pays 1 and everything else .05.

    Parameters
    ----------
    H : int >= 1
        Length of the combination.
    A : int >= 2

    Raises
    ------
    ValueError
        H below 1 or A below 2.

    Notes
    -----
    Exact: V* = 1, and a policy that finds the right action with probability p everywhere is worth .05 + .95 p^H. In the
    paper the small prize is .1 with probability 1/2, which has the same mean; observations here are the latent states.

    Source
    ------
    Zhou, Sekhari, Song, Sun (2023), section 5 and public code (intermediate rewards are 0 there).

    Examples
    --------
    >>> combination_lock_episodic(3).rewards()[2, 0, 6:9].tolist()
    [0.05, 1.0, 0.05]
    """
    if H < 1 or A < 2:
        raise ValueError(f"H, A are {H}, {A}; expected at least 1 and 2")
    P, r = np.zeros((H, 3, A, 3)), np.zeros((H, 3, A))
    P[..., DEAD] = 1.0
    r[H - 1] = 0.05
    right = right_actions(H, A)
    for h in range(H):
        for i in GOOD:
            P[h, i, right[h, i]] = 0.5, 0.5, 0.0
            r[H - 1, i, right[H - 1, i]] = 1.0
    return stages(P, r)


def right_actions(H: int, A: int = 10) -> np.ndarray:
    """The combination (H, 2): the right action of each stage and good state of `combination_lock_episodic`.

    Examples
    --------
    >>> right_actions(2).tolist()
    [[1, 8], [4, 1]]
    """
    return (3 * np.arange(H)[:, None] + 7 * np.arange(2) + 1) % A


@dataclass(frozen=True, eq=False, slots=True)
class FiniteClass:
    """A problem with a finite class of critics that contains its optimal one and is closed under the needed backups.

    Parameters
    ----------
    linear : LinearMDP
        The true problem; a learner sees episodes of it and its rewards.
    critics : array (N, H, S, A)
        Optimal action values of N candidate kernels with the true rewards.
    backups : array (N, N, H, S, A)
        `backups[i, j, h]` is `r_h + E max critics[j, h + 1]` under candidate i.
    true : int
        Which candidate is the truth; learners do not look.
    """

    linear: LinearMDP
    critics: np.ndarray
    backups: np.ndarray
    true: int

    def __post_init__(self) -> None:
        for name in ("critics", "backups"):
            getattr(self, name).flags.writeable = False

    def __repr__(self) -> str:
        return f"FiniteClass(N={len(self.critics)}, {self.linear!r})"


def finite_class(N: int = 24, S: int = 4, A: int = 3, horizon: int = 4, *, rng: np.random.Generator) -> FiniteClass:
    """N random kernels, one of which is true, known rewards in [0, 1], and the optimal critics of all of them.

    Parameters
    ----------
    N, S, A, horizon : int >= 1
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        A size below 1.

    Notes
    -----
    Backups of every critic under every candidate are in the auxiliary class, so completeness holds by construction.

    Source
    ------
    Our specification of Tan, Fan, Wei (2025), 2.5; not from the paper.

    Examples
    --------
    >>> finite_class(5, rng=np.random.default_rng(0))
    FiniteClass(N=5, LinearMDP(S=4, A=3, d=12, horizon=4))
    """
    for name, value in (("N", N), ("S", S), ("A", A), ("horizon", horizon)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    kernels = rng.dirichlet(np.full(S, 0.5), (N, horizon, S, A))
    rewards = rng.random((horizon, S, A))
    # At a random place, so that no tie-breaking favours it.
    true = int(rng.integers(N))
    critics = np.zeros((N, horizon, S, A))
    ahead = np.zeros((N, S))
    backups = np.empty((N, N, horizon, S, A))
    for h in range(horizon - 1, -1, -1):
        backups[:, :, h] = rewards[h] + np.einsum("isat,jt->ijsa", kernels[:, h], ahead)
        critics[:, h] = backups[np.arange(N), np.arange(N), h]
        ahead = critics[:, h].max(axis=2)
    return FiniteClass(stages(kernels[true], rewards), critics, backups, true)
