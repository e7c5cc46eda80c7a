"""A state's finitely many models under one roof: the matrix game between its actions and their convex hull."""

import numpy as np
from scipy.optimize import linprog

from mdplab.exact.robust.rows import Rows
from mdplab.models import SolverFailure


def _payoffs(rows: Rows, kernels: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Value of each row under each model, (K, rows), with full rows."""
    return np.einsum("krs,rs->kr", kernels.reshape(len(kernels), rows.size, rows.S), z.reshape(rows.size, rows.S))


def _mixed(rows: Rows, kernels: np.ndarray, s: int, shares: np.ndarray, out_q: np.ndarray) -> None:
    """The rows of state s as the mixture of the models with these shares (K,)."""
    first, last = rows.indptr[rows.state_ptr[s]], rows.indptr[rows.state_ptr[s + 1]]
    out_q[first:last] = shares @ kernels[:, first:last]


def hull_states(
    rows: Rows, kernels: np.ndarray, z: np.ndarray, out_value: np.ndarray, out_policy: np.ndarray, out_q: np.ndarray
) -> np.ndarray:
    """Saddle points of all states, where nature mixes the models; returns its shares (S, K).

    Pure saddle points are seen at once; else a linear program (HiGHS) gives both players' mixtures.
    """
    payoffs, out_shares = _payoffs(rows, kernels, z), np.zeros((rows.S, len(kernels)))
    for s in range(rows.S):
        first, last = rows.state_ptr[s], rows.state_ptr[s + 1]
        M = payoffs[:, first:last]
        least, most = M.min(axis=0), M.max(axis=1)
        policy, shares = np.zeros(last - first), np.zeros(len(kernels))
        if least.max() >= most.min():
            policy[least.argmax()], shares[most.argmin()] = 1.0, 1.0
        else:
            policy, shares = _mixtures(M, s)
        out_value[s] = (M @ policy).min()
        out_policy[first:last], out_shares[s] = policy, shares
        _mixed(rows, kernels, s, shares, out_q)
    return out_shares


def _mixtures(M: np.ndarray, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Optimal mixtures of the columns, which maximise, and of the rows of M (K, A), from one linear program."""
    K, A = M.shape
    low, high = M.min(), M.max()
    scaled = (M - low) / (high - low)
    found = linprog(
        np.append(np.zeros(A), -1.0),
        A_ub=np.column_stack([-scaled, np.ones(K)]),
        b_ub=np.zeros(K),
        A_eq=np.append(np.ones(A), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * A + [(None, None)],
        method="highs-ds",
    )
    if found.x is None:
        raise SolverFailure(f"HiGHS stopped in the matrix game of state {s}: {found.message}")
    policy, shares = np.maximum(found.x[:A], 0.0), np.maximum(-found.ineqlin.marginals, 0.0)
    return policy / policy.sum(), shares / shares.sum()


def hull_responses(
    rows: Rows, kernels: np.ndarray, weights: np.ndarray, z: np.ndarray, out_value: np.ndarray, out_q: np.ndarray
) -> np.ndarray:
    """The worst model of each state against a policy's `weights` (rows,); returns nature's shares (S, K)."""
    K = len(kernels)
    weighted = weights * _payoffs(rows, kernels, z)
    totals = np.add.reduceat(weighted, rows.state_ptr[:-1], axis=1)
    worst = totals.argmin(axis=0)
    out_value[:] = totals[worst, np.arange(rows.S)]
    shares = np.equal.outer(worst, np.arange(K)).astype(np.float64)
    for s in range(rows.S):
        _mixed(rows, kernels, s, shares[s], out_q)
    return shares
