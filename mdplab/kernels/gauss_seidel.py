"""Gauss-Seidel sweeps: each state's new value is used by the states after it."""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def gauss_seidel_csr(data, indices, indptr, r, actions, gamma, backward, v):
    """v(s) = max_a (r + gamma P v)(s, a), state after state, in place; returns the least and the largest change.

    data, indices (nnz,), indptr (S * A + 1,), r and actions (S, A), v (S,); from the last state on if backward.
    """
    S, A = r.shape
    low, high = np.inf, -np.inf
    for i in range(S):
        s = S - 1 - i if backward else i
        best = -np.inf
        for a in range(A):
            row = np.uint64(s * A + a)
            total = 0.0
            for k in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                total += data[k] * v[np.uint64(indices[k])]
            q = r[s, a] + gamma * total
            best = q if (q > best) & actions[s, a] else best
        low = min(low, best - v[s])
        high = max(high, best - v[s])
        v[s] = best
    return low, high


@kernel
def gauss_seidel_dense(P, r, actions, gamma, backward, v):
    """As `gauss_seidel_csr`, from a dense P (S * A, S)."""
    S, A = r.shape
    low, high = np.inf, -np.inf
    for i in range(S):
        s = S - 1 - i if backward else i
        best = -np.inf
        for a in range(A):
            if actions[s, a]:
                row = P[s * A + a]
                total = 0.0
                for t in range(S):
                    total += row[t] * v[t]
                best = max(best, r[s, a] + gamma * total)
        low = min(low, best - v[s])
        high = max(high, best - v[s])
        v[s] = best
    return low, high
