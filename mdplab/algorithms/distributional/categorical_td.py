r"""Categorical temporal difference learning: laws on a grid z of atoms, mixed with projected samples of their targets.

    eta(x) <- (1 - a) eta(x) + a Pi (law of r + gamma G, G ~ eta(x')),        (x, r, x') a transition of the policy

Pi is the projection of Cramer distance: an atom's mass is split linearly between its two neighbours on the grid. The
mean of the update is Pi T eta, an affine map that contracts by sqrt(gamma) in the largest Cramer distance; with steps
a_k of infinite sum and finite sum of squares the laws converge to its fixed point.

Source: Rowland, Bellemare, Dabney, Munos, Teh 2018, "An analysis of categorical distributional reinforcement learning",
algorithm 1 with the mixture update, and Theorem 1; from memory. An update costs O(K).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdplab.algorithms.distributional.transitions import Transitions, checked_checkpoints, checked_steps, replicates
from mdplab.kernels.distributional_td import categorical_td_run
from mdplab.models import MDP, Outcomes, Trace, project_categorical


def categorical_td(
    mdp: MDP,
    policy: Any,
    z: Any,
    *,
    steps: Any,
    rng: np.random.Generator,
    seeds: int = 1,
    trajectory: bool = False,
    start: np.ndarray | None = None,
    outcomes: Outcomes | None = None,
    clip: bool = False,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Categorical TD for the law of a policy's return.

    Parameters
    ----------
    mdp
        `gamma < 1`, no horizon. With terminal states `z` needs an atom at 0, their return.
    policy
        `(S,)` actions or `(S, A)` probabilities.
    z
        `(K,)` atoms, K >= 2, strictly increasing.
    steps
        `(N,)` in (0, 1]; `steps[k]` is the step of a state's update number k. N is the number of iterations.
    rng
        Source of every draw; each of the `seeds` replicates has a generator of its own, keyed by draws of `rng`.
    trajectory
        Follow one path from `mdp.mu`, which starts anew after a terminal state, and update the state that it leaves;
        by default every iteration updates each state with a transition of its own.
    start
        `(S, K)` masses; by default all of it at 0, or at the end of the grid next to 0.
    outcomes
        Joint law of reward and next state; that of `mdp` by default.
    clip
        Move what falls off the grid to its ends, as the paper does, instead of refusing it. Means are then biased.
    checkpoints
        Numbers of iterations (C,), increasing, after which laws are kept; the last by default.

    Returns
    -------
    Trace
        `eta` (seeds, C, S, K); `clipped` (seeds, C), the most mass that an update of the run clipped.

    Raises
    ------
    ValueError
        Names the argument and the value; without `clip` also when an update puts mass outside the grid.

    Examples
    --------
    >>> coin = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    >>> steps = 1 / np.arange(1.0, 2000.0)
    >>> run = categorical_td(coin, [0, 0], [0.0, 1.0, 2.0], steps=steps, rng=np.random.default_rng(0))
    >>> bool(abs(run["eta"][0, -1, 0] - [0, 2 / 3, 1 / 3]).max() < 0.05)
    True
    """
    moves = Transitions.of(mdp, policy, outcomes, trajectory)
    steps = checked_steps(steps, most=1.0)
    kept, first = checked_checkpoints(checkpoints, steps.size), _start(moves, z, start)
    z = np.array(z, dtype=np.float64)
    eta, clipped = np.empty((seeds, kept.size, *first.shape)), np.empty((seeds, kept.size))
    for i, own in enumerate(replicates(rng, seeds)):
        clipped[i] = categorical_td_run(
            moves.ptr,
            moves.next_state,
            moves.reward,
            moves.cdf,
            moves.gamma,
            z,
            steps,
            moves.restart,
            moves.terminal,
            own,
            kept,
            first.copy(),
            eta[i],
        )
    lost = float(clipped.max())
    if lost > 0 and not clip:
        reach = 1 / (1 - moves.gamma)
        low, high = min(moves.reward.min(), 0.0) * reach, max(moves.reward.max(), 0.0) * reach
        raise ValueError(
            f"z from {z[0]:g} to {z[-1]:g} cannot hold the returns: an update put mass {lost:.6g} outside; a grid from "
            f"{low:g} to {high:g} holds them from any start, or clip=True"
        )
    return Trace(kept, {"eta": eta, "clipped": clipped})


def _start(moves: Transitions, z: Any, start: np.ndarray | None) -> np.ndarray:
    """First masses (S, K); terminal states at 0."""
    nothing = project_categorical([0.0], [1.0], z, clip=True)
    if nothing.size < 2:
        raise ValueError(f"z has {nothing.size} atoms; a grid needs at least 2")
    if moves.terminal.any() and not np.any(np.asarray(z) == 0):
        raise ValueError("z has no atom at 0, which is the return of terminal states")
    first = np.tile(nothing, (moves.S, 1))
    if start is None:
        return first
    given = np.array(start, dtype=np.float64)
    if given.shape != first.shape:
        raise ValueError(f"start has shape {given.shape}; expected {first.shape}")
    bad = np.flatnonzero(~((given >= 0).all(axis=1) & (np.abs(given.sum(axis=1) - 1) <= 1e-8)))
    if bad.size:
        raise ValueError(f"start[{bad[0]}] is not a law: masses are at least 0 and sum to 1")
    given[moves.terminal] = first[moves.terminal]
    return given
