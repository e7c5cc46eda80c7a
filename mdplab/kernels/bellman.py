"""Bellman sweeps over a range of states, and the careful sweep from which certificates are made.

Every kernel works on the states `start <= s < stop`, so that a caller may give ranges to threads (all are `nogil`) and
return to Python between ranges. Unsigned indices spare the test for negative ones, which costs a third of a sweep.
"""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def backup_csr(data, indices, indptr, r, actions, gamma, v, start, stop, out_v, out_pi):
    """out_v = max_a (r + gamma P v), out_pi its first maximiser; returns the least and largest out_v - v.

    data, indices (nnz,), indptr (S * A + 1,), r and actions (S, A), v, out_v and out_pi (S,).
    """
    A = r.shape[1]
    low, high = np.inf, -np.inf
    for s in range(start, stop):
        best, arg = -np.inf, 0
        for a in range(A):
            row = np.uint64(s * A + a)
            total = 0.0
            for k in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                total += data[k] * v[np.uint64(indices[k])]
            q = r[s, a] + gamma * total
            # A select compiles to conditional moves; a branch on random values is mispredicted every other time.
            better = (q > best) & actions[s, a]
            best = q if better else best
            arg = a if better else arg
        out_v[s] = best
        out_pi[s] = arg
        low = min(low, best - v[s])
        high = max(high, best - v[s])
    return low, high


@kernel
def backup_products(pv, r, actions, gamma, v, out_v, out_pi):
    """As `backup_csr`, from the products pv = P v (S, A)."""
    S, A = r.shape
    low, high = np.inf, -np.inf
    for s in range(S):
        best, arg = -np.inf, 0
        for a in range(A):
            q = r[s, a] + gamma * pv[s, a]
            better = (q > best) & actions[s, a]
            best = q if better else best
            arg = a if better else arg
        out_v[s] = best
        out_pi[s] = arg
        low = min(low, best - v[s])
        high = max(high, best - v[s])
    return low, high


@kernel
def row_defect(values):
    """Sum of values - 1, as if in twice the precision (Ogita, Rump, Oishi 2005, algorithm Sum2)."""
    total, rest = -1.0, 0.0
    for x in values:
        new = total + x
        part = new - total
        rest += (total - (new - part)) + (x - part)
        total = new
    return total + rest


@kernel
def defects_csr(data, indptr, actions, out_defect):
    """Row sums of P minus 1 into out_defect (S, A), zero where the action is not available."""
    S, A = actions.shape
    for s in range(S):
        for a in range(A):
            row = s * A + a
            out_defect[s, a] = row_defect(data[indptr[row] : indptr[row + 1]]) if actions[s, a] else 0.0


@kernel
def defects_dense(P, actions, out_defect):
    """Row sums of P (S * A, S) minus 1 into out_defect (S, A), zero where the action is not available."""
    S, A = actions.shape
    for s in range(S):
        for a in range(A):
            out_defect[s, a] = row_defect(P[s * A + a]) if actions[s, a] else 0.0


@kernel
def measure_csr(data, indices, indptr, r, actions, gamma, w, centre, doubt, start, stop, out_pi):
    """Least and largest (T v - v)(s) for v = w + centre, without the rounding of numbers of the size of v.

    With row sums 1 + d, (r + gamma P v)(s, a) - v(s) = (r - w(s)) + gamma (P w)(s, a) - (1 - gamma) centre
    + gamma centre d. The last term is needed only for actions within `doubt` >= 2 gamma |centre| max|d| of the best.
    """
    A = r.shape[1]
    low, high = np.inf, -np.inf
    drift = (1.0 - gamma) * centre
    d = np.empty(A)
    for s in range(start, stop):
        best = -np.inf
        for a in range(A):
            row = np.uint64(s * A + a)
            total = 0.0
            for k in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                total += data[k] * w[np.uint64(indices[k])]
            d[a] = (r[s, a] - w[s]) + (gamma * total - drift) if actions[s, a] else -np.inf
            best = max(best, d[a])
        top, arg = -np.inf, 0
        for a in range(A):
            if actions[s, a] and d[a] >= best - doubt:
                row = s * A + a
                x = d[a] + gamma * centre * row_defect(data[indptr[row] : indptr[row + 1]])
                if x > top:
                    top, arg = x, a
        out_pi[s] = arg
        low = min(low, top)
        high = max(high, top)
    return low, high


@kernel
def measure_products(P, pw, r, actions, gamma, w, centre, doubt, out_pi):
    """As `measure_csr`, from the products pw = P w (S, A) of a dense P (S * A, S)."""
    S, A = r.shape
    low, high = np.inf, -np.inf
    drift = (1.0 - gamma) * centre
    d = np.empty(A)
    for s in range(S):
        best = -np.inf
        for a in range(A):
            d[a] = (r[s, a] - w[s]) + (gamma * pw[s, a] - drift) if actions[s, a] else -np.inf
            best = max(best, d[a])
        top, arg = -np.inf, 0
        for a in range(A):
            if actions[s, a] and d[a] >= best - doubt:
                x = d[a] + gamma * centre * row_defect(P[s * A + a])
                if x > top:
                    top, arg = x, a
        out_pi[s] = arg
        low = min(low, top)
        high = max(high, top)
    return low, high


@kernel
def gather_policy_csr(data, indices, indptr, r, pi, out_data, out_indices, out_indptr, out_r):
    """The rows s * A + pi[s] of P and the entries (s, pi[s]) of r; out_indptr (S + 1,) is given, out_r (S, 1)."""
    S, A = r.shape
    for s in range(S):
        out_r[s, 0] = r[s, pi[s]]
        k = np.uint64(indptr[s * A + pi[s]])
        for j in range(np.uint64(out_indptr[s]), np.uint64(out_indptr[s + 1])):
            out_data[j] = data[k]
            out_indices[j] = indices[k]
            k += np.uint64(1)
