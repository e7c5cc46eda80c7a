"""Wasserstein balls: transport of the nominal row at sum cost[i, j] T[i, j] <= radius, cost >= 0 with a zero diagonal.

The mass of entry i is best kept on the lower left convex hull of the points (cost[i, j], z_j), which starts at cost 0
and descends at falling rates. The segments of all hulls together, the best rates first, are what nature buys: steps of
`mdplab.kernels.robust.budget`. O(n^2) a row and a heap. Moves that cost nothing happen at radius 0 already.

Source: robust specification A.1.8.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.budget import TIE, open_shop, split_response, split_state
from mdplab.kernels.robust.ordering import pop, sort_ascending
from mdplab.kernels.robust.weighted_l1 import lower_envelope


@kernel
def doubled(array):
    """A copy with room for twice as much."""
    out = np.empty(2 * array.shape[0], dtype=array.dtype)
    for i in range(array.shape[0]):
        out[i] = array[i]
    return out


@kernel
def wasserstein_steps(z, p, cost, indices, rate, length, move, size, out_free):
    """Append the steps of one row to rate, length and move, of which `size` are in use.

    z, p, indices, out_free (n,): entry i is state indices[i] of cost (S, S). A step with move i * n + j brings the mass
    of entry i to entry j; out_free[i] is where it is at radius 0. Returns the three arrays, which may have been
    replaced by longer ones, the new size, the value at radius 0 and the least z.
    """
    n = z.shape[0]
    least = z[0]
    for i in range(1, n):
        least = min(least, z[i])
    slack = TIE * (1.0 + abs(least))
    height, x, order = np.empty(n), np.empty(n), np.arange(n)
    hull, slope = np.empty(n, dtype=np.int64), np.empty(n)
    for i in range(n):
        height[i] = z[i] - least
    sort_ascending(height, order)
    nominal = 0.0
    for r in range(n):
        i = order[r]
        out_free[i] = i
        if p[i] <= 0.0:
            continue
        # Only what is no dearer in z can be a goal.
        for j in order[: r + 1]:
            x[j] = cost[indices[i], indices[j]]
        k = lower_envelope(height, x, order[: r + 1], hull, slope) - 1
        out_free[i] = hull[k]
        nominal += p[i] * height[hull[k]]
        while size + k > rate.shape[0]:
            rate, length, move = doubled(rate), doubled(length), doubled(move)
        while k > 0 and height[hull[k]] > slack:
            rate[size] = slope[k]
            length[size] = p[i] * (x[hull[k - 1]] - x[hull[k]])
            move[size] = i * n + hull[k - 1]
            size += 1
            k -= 1
    return rate, length, move, size, nominal + least, least


@kernel
def wasserstein_place(z, p, free, rate, length, move, begin, end, heap, radius, out_p):
    """out_p (n,) after buying from the steps begin <= k < end for `radius`; heap scratch. Returns out_p.z."""
    n = z.shape[0]
    place = free.copy()
    for i in range(n):
        out_p[i] = 0.0
    left = radius
    size = open_shop(rate, length, begin, end, heap)
    while size > 0 and left > 0.0:
        k = pop(rate, heap, begin, size)
        size -= 1
        i, j = move[k] // n, move[k] % n
        if length[k] <= left:
            place[i] = j
        else:
            moved = p[i] * (left / length[k])
            out_p[j] += moved
            out_p[place[i]] += p[i] - moved
            place[i] = -1
        left -= length[k]
    for i in range(n):
        if place[i] >= 0:
            out_p[place[i]] += p[i]
    value = 0.0
    for i in range(n):
        value += out_p[i] * z[i]
    return value


@kernel
def wasserstein_rows(z, p, indptr, indices, cost, radius, start, stop, out_value, out_p):
    """`wasserstein_row` for rows start <= k < stop with cost (S, S) between all states.

    z, p, out_p (nnz,) and indices (nnz,), the states of the entries; indptr (rows + 1,), radius, out_value (rows,).
    """
    rate, length, move = np.empty(64), np.empty(64), np.empty(64, dtype=np.int64)
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        free = np.empty(j - i, dtype=np.int64)
        rate, length, move, size, _, _ = wasserstein_steps(
            z[i:j], p[i:j], cost, indices[i:j], rate, length, move, 0, free
        )
        heap = np.empty(size, dtype=np.int64)
        out_value[k] = wasserstein_place(z[i:j], p[i:j], free, rate, length, move, 0, size, heap, radius[k], out_p[i:j])


@kernel
def wasserstein_row(z, p, cost, radius, out_p):
    """Value min q.z over rows q that a plan of cost <= radius reaches from p, and its row; cost (n, n), others (n,)."""
    n = z.shape[0]
    value = np.empty(1)
    wasserstein_rows(z, p, np.array([0, n]), np.arange(n), cost, np.full(1, radius), 0, 1, value, out_p)
    return value[0]


@kernel
def wasserstein_states(z, p, indptr, state_ptr, indices, cost, radius, start, stop, out_value, out_policy, out_p):
    """Saddle points max_pi min_q sum_a pi_a q_a.z_a over sum_a W(q_a, p_a) <= radius, states start <= s < stop.

    z, p, indices, out_p (nnz,), cost (S, S), indptr (rows + 1,), state_ptr (S + 1,), radius and out_value (S,),
    out_policy (rows,).
    """
    rate, length, move = np.empty(64), np.empty(64), np.empty(64, dtype=np.int64)
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, offset, size = last - first, indptr[first], 0
        free, step_ptr = np.empty(indptr[last] - offset, dtype=np.int64), np.zeros(A + 1, dtype=np.int64)
        nominal, least, spent = np.empty(A), np.empty(A), np.empty(A)
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            rate, length, move, size, nominal[a], least[a] = wasserstein_steps(
                z[i:j], p[i:j], cost, indices[i:j], rate, length, move, size, free[i - offset : j - offset]
            )
            step_ptr[a + 1] = size
        heap = np.empty(size, dtype=np.int64)
        out_value[s] = split_state(
            nominal, least, rate, length, step_ptr, heap, radius[s], out_policy[first:last], spent
        )
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            wasserstein_place(
                z[i:j], p[i:j], free[i - offset : j - offset], rate, length, move, step_ptr[a], step_ptr[a + 1], heap,
                spent[a], out_p[i:j],
            )  # fmt: skip


@kernel
def wasserstein_responses(pi, z, p, indptr, state_ptr, indices, cost, radius, start, stop, out_value, out_p):
    """Nature's answers min_q sum_a pi_a q_a.z_a to a fixed policy pi (rows,); arrays as in `wasserstein_states`."""
    rate, length, move = np.empty(64), np.empty(64), np.empty(64, dtype=np.int64)
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, offset, size = last - first, indptr[first], 0
        free, step_ptr = np.empty(indptr[last] - offset, dtype=np.int64), np.zeros(A + 1, dtype=np.int64)
        spent = np.empty(A)
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            rate, length, move, size, _, _ = wasserstein_steps(
                z[i:j], p[i:j], cost, indices[i:j], rate, length, move, size, free[i - offset : j - offset]
            )
            step_ptr[a + 1] = size
        heap = np.empty(size, dtype=np.int64)
        split_response(pi[first:last], rate, length, step_ptr, heap, radius[s], spent)
        value = 0.0
        for a in range(A):
            i, j = indptr[first + a], indptr[first + a + 1]
            value += pi[first + a] * wasserstein_place(
                z[i:j], p[i:j], free[i - offset : j - offset], rate, length, move, step_ptr[a], step_ptr[a + 1], heap,
                spent[a], out_p[i:j],
            )  # fmt: skip
        out_value[s] = value
