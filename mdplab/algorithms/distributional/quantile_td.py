r"""Quantile temporal difference learning: m atoms of mass 1/m, each moved along the gradient of its quantile loss.

    theta_i(x) <- theta_i(x) + a (tau_i - mean_j 1{r + gamma theta_j(x') < theta_i(x)}),       tau_i = (2 i - 1) / (2 m)

for a transition (x, r, x') of the policy; the loss is E (X - theta) (tau - 1{X < theta}), whose minimisers are the tau
quantiles, and its sampled gradients are unbiased, which those of the Wasserstein distance are not. With steps of
infinite sum and finite sum of squares the atoms converge to fixed points of Pi_m T, quantile dynamic programming
(Rowland et al. 2023, arXiv:2301.04462; recalled). Where a target has atoms, the field jumps at them: atoms that the
limit rests on are approached as closely as the steps are small, and what lies off them is reached only if the steps
add up to the distance. A level that a target's cumulative mass meets exactly leaves an interval of fixed points.

Source: Dabney, Rowland, Bellemare, Munos 2018, "Distributional reinforcement learning with quantile regression",
algorithm 1 without the Huber loss and with the policy's own action; from memory. An update costs O(m^2), or O(m) with
one atom drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdplab.algorithms.distributional.transitions import Transitions, checked_checkpoints, checked_steps, replicates
from mdplab.kernels.distributional_td import quantile_td_run
from mdplab.models import MDP, Outcomes, Trace


def quantile_td(
    mdp: MDP,
    policy: Any,
    m: int,
    *,
    steps: Any,
    rng: np.random.Generator,
    seeds: int = 1,
    trajectory: bool = False,
    one_atom: bool = False,
    levels: Any = None,
    start: np.ndarray | None = None,
    outcomes: Outcomes | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Quantile TD for the law of a policy's return.

    Parameters
    ----------
    mdp
        `gamma < 1`, no horizon.
    policy
        `(S,)` actions or `(S, A)` probabilities.
    m
        Number of atoms, at least 1.
    steps
        `(N,)` above 0; `steps[k]` is the step of a state's update number k, in the units of the returns.
    rng, seeds, trajectory, outcomes, checkpoints
        As for `categorical_td`.
    one_atom
        The target is one atom of the next state, drawn evenly, in place of all of them.
    levels
        `(m,)` in (0, 1), strictly increasing; by default the midpoints (2 i - 1) / (2 m).
    start
        `(S, m)` atoms; by default 0, where terminal states stay.

    Returns
    -------
    Trace
        `theta` (seeds, C, S, m); atoms of a state need not be sorted on the way.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> coin = MDP([[[0.4, 0.6]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    >>> steps = np.arange(1.0, 4000.0) ** -0.7
    >>> run = quantile_td(coin, [0, 0], 2, steps=steps, rng=np.random.default_rng(0))
    >>> bool(abs(run["theta"][0, -1, 0] - [1.0, 1.5]).max() < 0.05)
    True
    """
    moves = Transitions.of(mdp, policy, outcomes, trajectory)
    steps = checked_steps(steps)
    kept = checked_checkpoints(checkpoints, steps.size)
    if isinstance(m, bool) or int(m) != m or m < 1:
        raise ValueError(f"m is {m!r}; expected an integer of at least 1")
    levels, first = _levels(levels, int(m)), _start(moves, start, int(m))
    theta = np.empty((seeds, kept.size, *first.shape))
    for i, own in enumerate(replicates(rng, seeds)):
        quantile_td_run(
            moves.ptr,
            moves.next_state,
            moves.reward,
            moves.cdf,
            moves.gamma,
            levels,
            bool(one_atom),
            steps,
            moves.restart,
            moves.terminal,
            own,
            kept,
            first.copy(),
            theta[i],
        )
    return Trace(kept, {"theta": theta})


def _levels(levels: Any, m: int) -> np.ndarray:
    if levels is None:
        return (2 * np.arange(m) + 1) / (2 * m)
    given = np.array(levels, dtype=np.float64)
    if given.shape != (m,) or not ((given > 0) & (given < 1)).all() or np.any(np.diff(given) <= 0):
        raise ValueError(f"levels is {given.tolist()}; expected {m} numbers in (0, 1), strictly increasing")
    return given


def _start(moves: Transitions, start: np.ndarray | None, m: int) -> np.ndarray:
    """First atoms (S, m); terminal states at 0."""
    if start is None:
        return np.zeros((moves.S, m))
    first = np.array(start, dtype=np.float64)
    if first.shape != (moves.S, m) or not np.isfinite(first).all():
        raise ValueError(f"start has shape {first.shape}; expected {(moves.S, m)}, of finite numbers")
    first[moves.terminal] = 0.0
    return first
