"""Values of thousands of policies of one episodic problem at once: what exact regret is computed from."""

import numpy as np

from mdplab.models import LinearMDP


def stage_values(linear: LinearMDP, policies: np.ndarray) -> np.ndarray:
    """Value (K,) of each policy from the problem's start.

    Parameters
    ----------
    linear
        With `start`; its features play no part.
    policies : array (K, H, S, A)
        Rows sum to 1.

    Raises
    ------
    ValueError
        Another shape, or no start.

    Source
    ------
    Backward recursion; Puterman (1994), section 4.2.

    Examples
    --------
    >>> linear = LinearMDP([[[1.0, 0.0], [0.0, 1.0]]], [[1.0], [1.0]], [0.0, 1.0], 2, start=0)
    >>> stage_values(linear, np.array([[[[0.0, 1.0]]] * 2, [[[0.5, 0.5]]] * 2])).tolist()
    [2.0, 1.0]
    """
    H, S, A = linear.horizon, linear.S, linear.A
    policies = np.asarray(policies, dtype=np.float64)
    if policies.ndim != 4 or policies.shape[1:] != (H, S, A):
        raise ValueError(f"policies has shape {policies.shape}; expected (K, {H}, {S}, {A})")
    if linear.start is None:
        raise ValueError("linear has no start")
    kernels, rewards = linear.kernels().reshape(H, S * A, S), linear.rewards().reshape(H, S * A)
    value = np.zeros((len(policies), S))
    for h in range(H - 1, -1, -1):
        q = (rewards[h] + value @ kernels[h].T).reshape(-1, S, A)
        value = (policies[:, h] * q).sum(axis=2)
    return value @ linear.start
