r"""Values of all policies of a class at once, from a generative model: coupled trees, and importance sampling.

One tree fixes one next state for every step, state and action; every policy of the class then has its own path in it.
Only pairs that some policy reaches cost a call, at most C(h) at step h, where C is the class's spanning capacity,
however many policies there are. Importance sampling instead weights episodes of uniform actions, by A^H or 0.

Source: Kearns, Mansour, Ng 1999, "Approximate planning in large POMDPs via reusable trajectories"; its role for classes
of bounded capacity: Jia, Li, Rakhlin, Sekhari, Srebro (NeurIPS 2023), arXiv:2310.06113. Cost: n (S A + m) a step.
"""

import numpy as np

from mdplab.models import MDP


def trajectory_trees(
    mdp: MDP, policies: np.ndarray, n: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of every policy on the same n trees, and the calls of the model that they cost.

    Parameters
    ----------
    mdp
        With `horizon` and `mu`; returns are not discounted.
    policies : int array (m, H, S)
        Actions of deterministic policies.
    n : int >= 1
        Trees.
    rng
        Source of every draw.

    Returns
    -------
    (array (m, n), int array (n, H))
        Returns, and distinct pairs reached at each step of each tree, with the step's draws counted at its end.

    Raises
    ------
    ValueError
        No horizon or initial law, or policies of another shape or with an action out of range.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0, mu=[1.0, 0.0], horizon=2)
    >>> returns, calls = trajectory_trees(mdp, np.zeros((1, 2, 2), int), 4, rng=np.random.default_rng(0))
    >>> returns.shape, calls.tolist()
    ((1, 4), [[1, 1], [1, 1], [1, 1], [1, 1]])
    """
    policies, cdf = _checked(mdp, policies)
    m, H, S = policies.shape
    returns, calls = np.zeros((m, n)), np.zeros((n, H), dtype=np.int64)
    state = np.tile(_draw(np.cumsum(mdp.mu), rng.random(n)), (m, 1))
    for h in range(H):
        pair = state * mdp.A + policies[np.arange(m)[:, None], h, state]
        returns += mdp.r.ravel()[pair]
        ordered = np.sort(pair, axis=0)
        calls[:, h] = 1 + (np.diff(ordered, axis=0) > 0).sum(axis=0)
        # Pairs that nobody reaches are drawn too, and touch nothing.
        after = _draw(cdf[None], rng.random((n, S * mdp.A)))
        state = after[np.arange(n), pair]
    return returns, calls


def importance_returns(mdp: MDP, policies: np.ndarray, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Weighted returns (m, n) of every policy on the same n episodes of uniform actions; each has the policy's mean.

    Parameters and errors are those of `trajectory_trees`; the weight is A^H where the episode agrees with the policy at
    every step, else 0.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 1.0, mu=[1.0], horizon=2)
    >>> out = importance_returns(mdp, np.zeros((1, 2, 1), int), 8, rng=np.random.default_rng(0))
    >>> sorted(set(out[0].tolist()))
    [0.0, 8.0]
    """
    policies, cdf = _checked(mdp, policies)
    m, H, _ = policies.shape
    total, weight = np.zeros(n), np.ones((m, n))
    state = _draw(np.cumsum(mdp.mu), rng.random(n))
    for h in range(H):
        action = rng.integers(mdp.A, size=n)
        total += mdp.r[state, action]
        weight *= np.where(policies[:, h, state] == action, float(mdp.A), 0.0)
        state = _draw(cdf[state * mdp.A + action], rng.random(n))
    return weight * total


def _checked(mdp: MDP, policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Policies as integers, and cumulative rows (S A, S)."""
    if mdp.horizon is None or mdp.mu is None:
        raise ValueError("mdp has no horizon or no initial distribution mu")
    policies = np.asarray(policies)
    if policies.ndim != 3 or policies.shape[1:] != (mdp.horizon, mdp.S):
        raise ValueError(f"policies has shape {policies.shape}; expected (m, {mdp.horizon}, {mdp.S})")
    if policies.min() < 0 or policies.max() >= mdp.A:
        raise ValueError(f"policies has an action outside 0..{mdp.A - 1}")
    return policies, np.cumsum(mdp.dense().P.reshape(-1, mdp.S), axis=1)


def _draw(cdf: np.ndarray, u: np.ndarray) -> np.ndarray:
    """First index whose cumulative probability exceeds u; a last one below 1 by rounding counts as 1."""
    return (u[..., None] >= cdf[..., :-1]).sum(axis=-1)
