"""A walk steered by noisy observations, and what adversaries of three kinds can do to it, by dynamic programming.

An agent at the integer x sees o = x + e + sigma n, n standard normal, and steps to x - 1 if o > 0, else to x + 1. It
succeeds if it is negative after the last step. The adversary chooses e; what it knows and may spend is what differs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri


@dataclass(frozen=True)
class NoisyWalk:
    """Steps, noise and start of the walk.

    Parameters
    ----------
    T : int >= 1
        Number of steps.
    sigma : float > 0
        Standard deviation of the noise.
    start : int
        First position.

    Raises
    ------
    ValueError
        Names the argument and its value.

    Source
    ------
    Derived here, to test Kumar, Levine, Feizi (2022): small enough that the best attack is a dynamic programme.

    Examples
    --------
    >>> NoisyWalk(3).success().tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    T: int = 3
    sigma: float = 1.0
    start: int = 0

    def __post_init__(self) -> None:
        if self.T < 1:
            raise ValueError(f"T is {self.T}; expected at least 1")
        if not self.sigma > 0:
            raise ValueError(f"sigma is {self.sigma}; expected above 0")

    @property
    def positions(self) -> np.ndarray:
        """Positions (2 T + 1,) that can be reached."""
        return self.start + np.arange(-self.T, self.T + 1)

    def success(self) -> np.ndarray:
        """The return of each last position (2 T + 1,): 1 where it is negative."""
        return (self.positions < 0).astype(np.float64)


def expected_return(walk: NoisyWalk, final: np.ndarray | None = None, *, per_step: float = 0.0) -> float:
    """Mean return against an adversary that may move every observation by `per_step`; exactly, as it is all or nothing.

    Parameters
    ----------
    walk
        The walk.
    final : array (2 T + 1,), optional
        Return of each last position; `walk.success()` by default.
    per_step : float >= 0
        Largest |e| of each step; 0 is the clean walk.

    Examples
    --------
    >>> expected_return(NoisyWalk(3))
    0.5
    """
    W = walk.success() if final is None else np.asarray(final, dtype=np.float64)
    x = walk.positions
    for _ in range(walk.T):
        down, up = np.append(W[0], W[:-1]), np.append(W[1:], W[-1])
        W = np.minimum(*(_mix(ndtr((x + e) / walk.sigma), down, up) for e in (-per_step, per_step)))
    return float(W[walk.T])


def attacked_return(walk: NoisyWalk, budget: float, final: np.ndarray | None = None, *, points: int = 161) -> float:
    """Least mean return that an adaptive adversary reaches with sum e^2 <= budget^2, spending in parts of a grid.

    It knows the position and its own past, not the noise to come. The grid restricts it, so that the number is at
    least what the best adversary reaches; on every refinement (a multiple of points - 1) it falls.

    Parameters
    ----------
    walk, final
        See `expected_return`.
    budget : float >= 0
        Square root of what may be spent on the whole.
    points : int >= 2
        Levels of budget that are kept apart.

    Examples
    --------
    >>> round(attacked_return(NoisyWalk(3), 0.5), 4)
    0.325
    """
    K = points - 1
    final = walk.success() if final is None else np.asarray(final, dtype=np.float64)
    W = np.repeat(final[:, None], points, axis=1)
    spent = budget * np.sqrt(np.arange(points) / K)
    moves = np.concatenate([-spent, spent])
    left = np.arange(points)[:, None] - np.tile(np.arange(points), 2)
    affordable = left >= 0
    for _ in range(walk.T):
        new = W.copy()
        for i in range(1, 2 * walk.T):
            chance = ndtr((walk.positions[i] + moves) / walk.sigma)
            value = _mix(chance, W[i - 1][left], W[i + 1][left])
            new[i] = np.where(affordable, value, np.inf).min(axis=1)
        W = new
    return float(W[walk.T, K])


def peeking_return(walk: NoisyWalk, budget: float, *, points: int = 161, draws: int = 801) -> float:
    """As `attacked_return` for success, but the adversary sees each noise before it spends: what it may not.

    The noise takes `draws` equally likely values; the costs of turning a step round are rounded up to the grid.

    Examples
    --------
    >>> peeking_return(NoisyWalk(3), 0.5) < attacked_return(NoisyWalk(3), 0.5) - 0.05
    True
    """
    K = points - 1
    noise = walk.sigma * _normal_values(draws)
    W = np.repeat(walk.success()[:, None], points, axis=1)
    for _ in range(walk.T):
        new = W.copy()
        for i in range(1, 2 * walk.T):
            seen = walk.positions[i] + noise
            steps = np.ceil(seen**2 / budget**2 * K).clip(max=points) if budget else np.full(draws, points)
            left = np.arange(points)[:, None] - steps.astype(np.int64)
            natural, other = (np.where(seen > 0, *pair) for pair in ((i - 1, i + 1), (i + 1, i - 1)))
            stay = W[natural].T
            turned = np.where(left >= 0, W[other[None, :], np.maximum(left, 0)], np.inf)
            new[i] = np.minimum(stay, turned).mean(axis=1)
        W = new
    return float(W[walk.T, K])


def interval_probability(width: float, budget: float, sigma: float, *, known: bool = False) -> float:
    """Least probability of |e + sigma n| < width over |e| <= budget; with `known`, e may depend on n.

    The noise is known to whoever sees it, and, from the second observation on, to everybody if one draw is reused.

    Examples
    --------
    >>> [round(interval_probability(1.0, 0.5, 1.0, known=known), 4) for known in (False, True)]
    [0.6247, 0.3829]
    """
    if known:
        return float(2 * ndtr(max(width - budget, 0) / sigma) - 1)
    # Symmetric and unimodal in e: the farthest e is best.
    return float(ndtr((width - budget) / sigma) - ndtr((-width - budget) / sigma))


def play(walk: NoisyWalk, episodes: int, *, rng: np.random.Generator) -> np.ndarray:
    """Last positions (episodes,) of clean walks.

    Examples
    --------
    >>> play(NoisyWalk(3), 2, rng=np.random.default_rng(0)).shape
    (2,)
    """
    x = np.full(episodes, walk.start)
    for _ in range(walk.T):
        x = x + np.where(x + walk.sigma * rng.standard_normal(episodes) > 0, -1, 1)
    return x


def _mix(chance: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray:
    return chance * down + (1 - chance) * up


def _normal_values(draws: int) -> np.ndarray:
    """Equally likely values (draws,) at the middles of the normal law's quantiles."""
    return ndtri((np.arange(draws) + 0.5) / draws)
