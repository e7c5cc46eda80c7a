"""L1 balls sum |q - p| <= radius (twice that of total variation): mass goes from the largest objectives to the least.

Source: robust specification A.1.1, A.2 and K.1, K.6, K.7; the s-rectangular case after Ho, Petrik and Wiesemann.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.budget import TIE, split_response, split_state
from mdplab.kernels.robust.ordering import sort_ascending


@kernel
def l1_transport(z, p, radius, order, out_p):
    """Worst row out_p (n,) of the L1 ball around p (n,) for z (n,); order (>= n,) scratch. Returns its value.

    The entries that give are found as quicksort would, but only the part where the budget runs out is split further:
    O(n) at any radius.
    """
    n = z.shape[0]
    least, size = 0, 0
    for i in range(n):
        out_p[i] = p[i]
        if z[i] < z[least]:
            least = i
    for i in range(n):
        if p[i] > 0.0 and z[i] > z[least]:
            order[size] = i
            size += 1
    left, moved, lo, hi = 0.5 * radius, 0.0, 0, size - 1
    while lo <= hi and left > 0.0:
        quarter = (hi - lo) // 4
        x, y, w = z[order[lo + quarter]], z[order[lo + 2 * quarter]], z[order[hi - quarter]]
        pivot = max(min(x, y), min(max(x, y), w))
        i, j = lo, hi
        while i <= j:
            while z[order[i]] > pivot:
                i += 1
            while z[order[j]] < pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        above = 0.0
        for k in range(lo, j + 1):
            above += p[order[k]]
        if above > left:
            hi = j
            continue
        for k in range(lo, j + 1):
            out_p[order[k]] = 0.0
        left -= above
        moved += above
        # At most one entry, equal to the pivot, lies between the two parts.
        for k in range(j + 1, i):
            give = min(left, p[order[k]])
            out_p[order[k]] = p[order[k]] - give
            left -= give
            moved += give
        lo = i
    out_p[least] += moved
    value = 0.0
    for i in range(n):
        value += out_p[i] * z[i]
    return value


@kernel
def l1_row(z, p, radius, out_p):
    """Value min q.z over sum |q - p| <= radius, and its row out_p; z, p, out_p (n,)."""
    return l1_transport(z, p, radius, np.empty(z.shape[0], dtype=np.int64), out_p)


@kernel
def l1_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`l1_row` for rows start <= k < stop; z, p, out_p (nnz,), indptr (rows + 1,), radius and out_value (rows,)."""
    width = 0
    for k in range(start, stop):
        width = max(width, indptr[k + 1] - indptr[k])
    order = np.empty(width, dtype=np.int64)
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = l1_transport(z[i:j], p[i:j], radius[k], order, out_p[i:j])


@kernel
def l1_rows_shared(z, p, radius, start, stop, out_value):
    """Values of `l1_row` for rows start <= k < stop of dense p (N, S) with one objective z (S,), sorted once.

    radius and out_value (N,). The nominal expectation, less what moving radius / 2 from the largest z downwards saves;
    or, where less mass stays than moves, what stays, from the least z upwards.
    """
    S = z.shape[0]
    order = np.arange(S)
    sort_ascending(z, order)
    least = z[order[0]]
    saving = np.empty(S)
    for i in range(S):
        saving[i] = z[order[i]] - least
    # The product in blocks that stay in cache for the second look.
    block = max(1, 32768 // S)
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        np.dot(p[begin:end], z, out_value[begin:end])
        for k in range(begin, end):
            left = 0.5 * radius[k]
            gain = 0.0
            if left > 0.5:
                stays = 1.0 - left
                i = 0
                while stays > 0.0 and i < S:
                    keep = min(p[k, order[i]], stays)
                    gain += keep * saving[i]
                    stays -= keep
                    i += 1
                out_value[k] = least + gain
                continue
            i = S - 1
            give = p[k, order[i]]
            while give < left and saving[i] > 0.0:
                gain += give * saving[i]
                left -= give
                i -= 1
                give = p[k, order[i]]
            out_value[k] -= gain + left * saving[i]


@kernel
def l1_steps(z, p, rate, length, base):
    """What nature can buy in one row: rate[base + i] saved per unit of L1 budget, up to length[base + i]; z, p (n,).

    Near-ties of the least objective are ties (rate 0): a row that is constant up to rounding has nothing for sale.
    """
    n = z.shape[0]
    least = z[0]
    for i in range(1, n):
        least = min(least, z[i])
    slack = TIE * (1.0 + abs(least))
    for i in range(n):
        above = z[i] - least
        rate[base + i] = 0.5 * above if above > slack else 0.0
        length[base + i] = 2.0 * p[i]
    return least


@kernel
def l1_states(z, p, indptr, state_ptr, radius, start, stop, out_value, out_policy, out_p):
    """Saddle points max_pi min_q sum_a pi_a q_a.z_a over sum_a sum |q_a - p_a| <= radius, states start <= s < stop.

    z, p, out_p (nnz,), indptr (rows + 1,), state_ptr (S + 1,), radius and out_value (S,), out_policy (rows,).
    """
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, offset = last - first, indptr[first]
        nnz = indptr[last] - offset
        rate, length = np.empty(nnz), np.empty(nnz)
        heap = np.empty(nnz, dtype=np.int64)
        step_ptr = indptr[first : last + 1] - offset
        least, nominal, spent = np.empty(A), np.empty(A), np.empty(A)
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            least[a] = l1_steps(z[i:j], p[i:j], rate, length, i - offset)
            nominal[a] = 0.0
            for k in range(i, j):
                nominal[a] += p[k] * (z[k] - least[a])
            nominal[a] += least[a]
        out_value[s] = split_state(
            nominal, least, rate, length, step_ptr, heap, radius[s], out_policy[first:last], spent
        )
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            l1_transport(z[i:j], p[i:j], spent[a], heap, out_p[i:j])


@kernel
def l1_responses(pi, z, p, indptr, state_ptr, radius, start, stop, out_value, out_p):
    """Nature's answers min_q sum_a pi_a q_a.z_a to a fixed policy pi (rows,); the other arrays as in `l1_states`."""
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, offset = last - first, indptr[first]
        nnz = indptr[last] - offset
        rate, length = np.empty(nnz), np.empty(nnz)
        heap = np.empty(nnz, dtype=np.int64)
        step_ptr = indptr[first : last + 1] - offset
        spent = np.empty(A)
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            l1_steps(z[i:j], p[i:j], rate, length, i - offset)
        split_response(pi[first:last], rate, length, step_ptr, heap, radius[s], spent)
        value = 0.0
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            value += pi[first + a] * l1_transport(z[i:j], p[i:j], spent[a], heap, out_p[i:j])
        out_value[s] = value
