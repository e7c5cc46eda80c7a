"""What trajectories of a deployed policy show: counts of transitions, their rewards, and a model of them.

`trajectory_counts` follows whole trajectories of bounded length, as the published experiments do. `occupancy_counts`
stops each with probability 1 - gamma at every step and keeps the last transition only: its pairs are independent draws
from the normalised occupancy, which is what the theorems on finite samples assume.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.sampling import draw
from mdplab.models import MDP


@dataclass(frozen=True, eq=False, slots=True)
class Counts:
    """Transitions that were seen.

    Parameters
    ----------
    seen : array (S, A, S)
        How often each transition was seen, whole numbers or weights.
    reward : array (S, A)
        Sum of the rewards seen at each pair.
    total : float
        Number of draws, with those that ended in a terminal state and show no transition.
    """

    seen: np.ndarray
    reward: np.ndarray
    total: float

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.seen + other.seen, self.reward + other.reward, self.total + other.total)

    def model(self, unseen_P: np.ndarray, unseen_r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies (S, A, S) and mean rewards (S, A); the arguments' rows where a pair was never seen.

        Examples
        --------
        >>> seen = np.zeros((1, 2, 1))
        >>> seen[0, 0] = 4
        >>> P, r = Counts(seen, np.array([[2.0, 0.0]]), 4).model(np.ones((1, 2, 1)), np.full((1, 2), -1.0))
        >>> r.tolist()
        [[0.5, -1.0]]
        """
        visits = self.seen.sum(axis=2)
        known = visits > 0
        share = np.where(known, visits, 1.0)
        P = np.where(known[:, :, None], self.seen / share[:, :, None], unseen_P)
        return P, np.where(known, self.reward / share, unseen_r)


def trajectory_counts(
    mdp: MDP, policy: np.ndarray, num_trajectories: int, *, length: int, rng: np.random.Generator
) -> Counts:
    """Transitions of `num_trajectories` trajectories, each until a terminal state and at most `length` long.

    Examples
    --------
    >>> mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9, mu=[1.0, 0.0])
    >>> trajectory_counts(mdp, np.ones((2, 1)), 5, length=3, rng=np.random.default_rng(0)).seen[0].tolist()
    [[0.0, 5.0]]
    """
    return _counts(mdp, policy, num_trajectories, length, False, rng)


def occupancy_counts(mdp: MDP, policy: np.ndarray, num_samples: int, *, rng: np.random.Generator) -> Counts:
    """`num_samples` independent transitions whose pairs follow (1 - gamma) times the occupancy.

    Draws that end in a terminal state show no transition, but count in `total`.

    Examples
    --------
    >>> mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5, mu=[1.0, 0.0])
    >>> counts = occupancy_counts(mdp, np.ones((2, 1)), 1000, rng=np.random.default_rng(0))
    >>> bool(abs(counts.seen.sum() / counts.total - 0.5) < 0.1)
    True
    """
    return _counts(mdp, policy, num_samples, np.iinfo(np.int64).max, True, rng)


def _counts(mdp, policy, number, length, last_only, rng) -> Counts:
    dense = mdp.dense()
    seen = np.zeros((mdp.S, mdp.A, mdp.S))
    cdf = np.cumsum(dense.P, axis=2)
    terminal = np.array(mdp.terminal)
    _follow(
        cdf, np.cumsum(policy, axis=1), np.cumsum(mdp.mu), terminal, mdp.gamma, number, length, last_only, rng, seen
    )
    by_next = dense.r_next if dense.r_next is not None else mdp.r[:, :, None]
    total = float(number) if last_only else float(seen.sum())
    return Counts(seen, (seen * by_next).sum(axis=2), total)


@kernel
def _follow(P_cdf, pi_cdf, mu_cdf, terminal, gamma, number, length, last_only, rng, out_seen):
    """Cumulative P (S, A, S), policy (S, A) and start (S,); adds to out_seen (S, A, S) each transition, or the last."""
    for _ in range(number):
        s = draw(mu_cdf, rng.random())
        for _ in range(length):
            if terminal[s]:
                break
            a = draw(pi_cdf[s], rng.random())
            j = draw(P_cdf[s, a], rng.random())
            stop = last_only and rng.random() >= gamma
            if stop or not last_only:
                out_seen[s, a, j] += 1.0
            if stop:
                break
            s = j
