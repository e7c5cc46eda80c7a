"""An independent optimum for tests: policy iteration by dense linear solves."""

import numpy as np


def policy_value(mdp, pi):
    """Value (S,) of a deterministic policy; terminal states have value 0, which also serves gamma = 1."""
    dense = mdp.dense()
    s = np.arange(mdp.S)
    live = ~mdp.terminal
    matrix = np.eye(mdp.S) - mdp.gamma * dense.P[s, pi]
    value = np.zeros(mdp.S)
    value[live] = np.linalg.solve(matrix[np.ix_(live, live)], dense.r[s, pi][live])
    return value


def optimum(mdp):
    """(V*, pi*) of a discounted model."""
    dense = mdp.dense()
    pi = np.argmax(mdp.actions, axis=1)
    while True:
        value = policy_value(mdp, pi)
        q = np.where(mdp.actions, dense.r + mdp.gamma * dense.P @ value, -np.inf)
        # Ties of rounding size must not make it cycle.
        slack = 1e-12 * (1 + np.abs(value).max())
        better = q.max(axis=1) > q[np.arange(mdp.S), pi] + slack
        if not better.any():
            return value, pi
        pi = np.where(better, q.argmax(axis=1), pi)


def finite_horizon(mdp):
    """Optimal value (S,) at the first decision."""
    dense, value = mdp.dense(), np.zeros(mdp.S)
    for _ in range(mdp.horizon):
        value = np.where(mdp.actions, dense.r + mdp.gamma * dense.P @ value, -np.inf).max(axis=1)
    return value
