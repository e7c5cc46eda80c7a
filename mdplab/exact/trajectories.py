"""All trajectories of a few steps with their probabilities: the exact law of what a trajectory-based estimate sees."""

import numpy as np

from mdplab.exact.arguments import checked_count
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP

# Rows beyond this are a sign that sampling is what is wanted.
MAX_TRAJECTORIES = 1 << 20


def enumerate_trajectories(mdp: MDP, theta: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (N, H), actions (N, H) and probabilities (N,) of all N = (S A)^H trajectories of a softmax policy.

    Parameters
    ----------
    mdp
        Dense or CSR, with a start distribution `mu` and every action available.
    theta
        Logits `(S, A)`.
    horizon
        Steps H of at least 1; N may be at most 2^20. Impossible trajectories are listed, with probability 0.

    Raises
    ------
    ValueError
        No start distribution, an action that is not available, a shape that differs, or too many trajectories.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> states, actions, probability = enumerate_trajectories(mdp, np.zeros((1, 2)), 2)
    >>> actions.tolist(), probability.tolist()
    ([[0, 0], [0, 1], [1, 0], [1, 1]], [0.25, 0.25, 0.25, 0.25])
    """
    S, A = mdp.r.shape
    check_softmax_arguments(mdp, horizon=checked_count("horizon", horizon), theta=theta)
    if (S * A) ** horizon > MAX_TRAJECTORIES:
        raise ValueError(
            f"horizon is {horizon}; {S} states and {A} actions have (S A)^H trajectories, at most {MAX_TRAJECTORIES}"
        )
    pairs = np.indices((S, A) * horizon).reshape(2 * horizon, -1)
    states, actions = pairs[0::2].T, pairs[1::2].T
    P = mdp.dense().P
    probability = mdp.mu[states[:, 0]] * np.prod(softmax(theta)[states, actions], axis=1)
    for t in range(horizon - 1):
        probability = probability * P[states[:, t], actions[:, t], states[:, t + 1]]
    return states, actions, probability


def check_softmax_arguments(mdp: MDP, *, horizon: int | None = 1, **arrays: np.ndarray) -> None:
    """ValueError unless `mdp` has a start distribution and every action, and the arrays are finite, of shape (S, A).

    A horizon is at least 1, or None for an infinite one, which needs gamma below 1.
    """
    if mdp.mu is None:
        raise ValueError("mdp.mu is None; J needs a start distribution")
    if not mdp.actions.all():
        s, a = (int(i) for i in np.argwhere(~mdp.actions)[0])
        raise ValueError(f"mdp.actions[{s}, {a}] is False; a softmax policy plays every action")
    if horizon is not None:
        checked_count("horizon", horizon)
    elif not mdp.gamma < 1:
        raise ValueError(f"horizon is None and gamma {mdp.gamma:g}; without a horizon gamma must be below 1")
    for name, array in arrays.items():
        if np.shape(array) != mdp.r.shape:
            raise ValueError(f"{name} has shape {np.shape(array)}; expected {mdp.r.shape}")
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            raise ValueError(f"{name}{bad[0].tolist()} is {np.asarray(array)[tuple(bad[0])]}; expected finite numbers")
