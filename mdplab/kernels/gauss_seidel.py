"""Gauss-Seidel sweeps: each state's new value is used by the states after it."""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def gauss_seidel_csr(data, indices, indptr, r, actions, gamma, v):
    """v(s) = max_a (r + gamma P v)(s, a), state after state, in place; returns the largest change.

    data, indices (nnz,), indptr (S * A + 1,), r and actions (S, A), v (S,).
    """
    S, A = r.shape
    change = 0.0
    for s in range(S):
        best = -np.inf
        for a in range(A):
            if actions[s, a]:
                row = s * A + a
                total = 0.0
                for k in range(indptr[row], indptr[row + 1]):
                    total += data[k] * v[indices[k]]
                best = max(best, r[s, a] + gamma * total)
        change = max(change, abs(best - v[s]))
        v[s] = best
    return change


@kernel
def gauss_seidel_dense(P, r, actions, gamma, v):
    """As `gauss_seidel_csr`, from a dense P (S * A, S)."""
    S, A = r.shape
    change = 0.0
    for s in range(S):
        best = -np.inf
        for a in range(A):
            if actions[s, a]:
                row = P[s * A + a]
                total = 0.0
                for t in range(S):
                    total += row[t] * v[t]
                best = max(best, r[s, a] + gamma * total)
        change = max(change, abs(best - v[s]))
        v[s] = best
    return change
