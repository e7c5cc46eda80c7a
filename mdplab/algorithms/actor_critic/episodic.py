r"""The hybrid actor-critic on samples of an episodic problem, with tables for each stage; its two ablations.

Each iteration plays episodes with the present policy, fits the critic backwards by the closed form of HPE at its fixed
point, on empirical weights,

    f_h = (nu_h (r + E^ f_{h+1}(s', pi)) + lam d_h G) / (nu_h + lam d_h),

nu_h and d_h the shares of offline and of fresh data at a pair and G the mean return from it, and steps pi_h ~ pi_h
exp(step f_h). Without offline data the critic is the mean return, with lam = 0 it is fitted Q evaluation. Pairs without
data are worth 0.

Source: Zhou, Sekhari, Song, Sun (2023; arXiv:2311.08384), algorithms 1 and 2, and the combination lock of section 5.
Cost of an iteration: O(episodes H + H S^2 A).
"""

from typing import Any

import numpy as np

from mdplab.algorithms.actor_critic.nora import first_state
from mdplab.kernels.hybrid import hybrid_run
from mdplab.models import LinearMDP, OfflineData, Trace


def episodic_hac(
    problem: LinearMDP,
    *,
    offline: OfflineData | None,
    num_iters: int,
    episodes: int,
    lam: float,
    step: float,
    rng: np.random.Generator,
    seeds: int = 1,
) -> Trace:
    """Run HAC on samples for some seeds on the one generator.

    Parameters
    ----------
    problem
        With `start`; rewards and draws of episodes are used, features are not.
    offline : OfflineData or None
        Data of the off-policy term; None is the on-policy ablation.
    num_iters, episodes : int >= 1
        Iterations, and fresh episodes in each.
    lam : float >= 0
        Weight of the on-policy term; 0 is the off-policy ablation (fitted Q evaluation).
    step : float > 0
    rng
        Source of every draw.
    seeds : int >= 1

    Returns
    -------
    Trace
        `policy` (seeds, num_iters + 1, H, S, A), the uniform one first.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.algorithms.actor_critic import collect
    >>> from mdplab.instances.episodic import combination_lock_episodic
    >>> lock, rng = combination_lock_episodic(2, 3), np.random.default_rng(0)
    >>> data = collect(lock, np.full((2, 3, 3), 1 / 3), 300, rng=rng)
    >>> run = episodic_hac(lock, offline=data, num_iters=5, episodes=50, lam=1.0, step=10.0, rng=rng)
    >>> bool(run["policy"][0, -1, 0, 0, 1] > 0.9)
    True
    """
    H, S, A = problem.horizon, problem.S, problem.A
    for name, value in (("num_iters", num_iters), ("episodes", episodes), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if not (np.isfinite(lam) and lam >= 0):
        raise ValueError(f"lam is {lam:g}; expected a finite number of at least 0")
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step is {step:g}; expected a finite number above 0")
    if offline is None and lam == 0:
        raise ValueError("offline is None and lam is 0: nothing is left to fit")
    counts: Any = np.zeros((H, S, A, S))
    if offline is not None:
        if (offline.horizon, offline.S, offline.A) != (H, S, A):
            raise ValueError(f"offline is {offline!r}; expected H, S, A = {H}, {S}, {A}")
        for h in range(H):
            np.add.at(counts[h], (offline.states[:, h], offline.actions[:, h], offline.states[:, h + 1]), 1.0)
        counts /= max(len(offline), 1)
    policy = np.empty((seeds, num_iters + 1, H, S, A))
    cdf, rewards, start = np.cumsum(problem.kernels(), axis=3), problem.rewards(), first_state(problem)
    for i in range(seeds):
        hybrid_run(rewards, cdf, start, counts, float(lam), float(step), int(episodes), rng, policy[i])
    return Trace(np.arange(num_iters + 1), {"policy": policy})
