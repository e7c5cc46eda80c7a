"""Weighted L1 balls sum w |q - p| <= radius, w > 0, along the multiplier of the budget.

At multiplier lambda the cheapest receiver is the entry j on the lower envelope m(lambda) = min_j z_j + lambda w_j, and
entry i gives all of its mass if z_i - lambda w_i > m(lambda). As lambda falls from infinity to 0, entries become givers
one by one, at unique crossings, and the receiver changes where the envelope turns; each such event is a step of
`mdplab.kernels.robust.budget`, and q(lambda) is exact between them. O(n log n) a row.

Source: robust specification A.1.2 (dual) and K.2; the events replace the pairs of Ho, Petrik and Wiesemann's homotopy.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.budget import TIE, split_response, split_state
from mdplab.kernels.robust.ordering import sort_ascending


@kernel
def lower_envelope(z, x, order, hull, slope):
    """Vertices of the lower left convex hull of the points (x_i, z_i), from the least z to the least x.

    order: indices by increasing z (m,). hull, slope (m,) receive them and, from the second on, the rate (fall of z over
    rise of x) at which one leads to the vertex before it, strictly increasing. Returns their number.
    """
    size = 0
    for i in order:
        if size > 0 and x[i] >= x[hull[size - 1]]:
            continue
        rate = 0.0
        while size > 0:
            top = hull[size - 1]
            rate = (z[i] - z[top]) / (x[top] - x[i])
            # One above the chord is no vertex, nor is one of the same height that costs more.
            if rate > slope[size - 1]:
                break
            size -= 1
        hull[size] = i
        slope[size] = rate if size > 0 else 0.0
        size += 1
    return size


@kernel
def weighted_l1_steps(z, p, w, rate, length, giver, receiver):
    """The steps of one row by falling rate; z, p, w (n,), the others (2 n,). Returns how many, and the least z.

    Step k moves the mass of entry giver[k] >= 0, or if giver[k] is -1 all mass given so far, to receiver[k]. Entries
    within rounding of the least objective do not give.
    """
    n = z.shape[0]
    least = z[0]
    for i in range(1, n):
        least = min(least, z[i])
    slack = TIE * (1.0 + abs(least))
    height, order = np.empty(n), np.arange(n)
    for i in range(n):
        height[i] = z[i] - least
    sort_ascending(height, order)
    hull, slope = np.empty(n, dtype=np.int64), np.empty(n)
    vertices = lower_envelope(height, w, order, hull, slope)
    # Events by their multiplier: entry i crosses the envelope, or (n + k) the envelope turns from vertex k to k - 1.
    event, key, size = np.empty(2 * n, dtype=np.int64), np.empty(2 * n), 0
    for i in range(n):
        if height[i] > slack and p[i] > 0.0:
            # Vertex k is the cheapest receiver for slope[k] <= lambda < slope[k + 1].
            lo, hi = 0, vertices - 1
            while lo < hi:
                k = (lo + hi + 1) // 2
                if height[i] - slope[k] * w[i] > height[hull[k]] + slope[k] * w[hull[k]]:
                    lo = k
                else:
                    hi = k - 1
            key[i] = (height[i] - height[hull[lo]]) / (w[i] + w[hull[lo]])
            event[size] = i
            size += 1
    for k in range(1, vertices):
        if height[hull[k]] > slack:
            key[n + k] = slope[k]
            event[size] = n + k
            size += 1
    sort_ascending(key, event[:size])
    given, steps, j = 0.0, 0, hull[vertices - 1]
    for e in range(size - 1, -1, -1):
        i = event[e]
        if i < n:
            price = p[i] * (w[i] + w[j])
            saved = p[i] * (height[i] - height[j])
            given += p[i]
        else:
            turn = hull[i - n - 1]
            price = given * (w[turn] - w[j])
            saved = given * (height[j] - height[turn])
            i, j = -1, turn
        if price > 0.0:
            giver[steps], receiver[steps] = i, j
            length[steps], rate[steps] = price, saved / price
            steps += 1
    return steps, least


@kernel
def weighted_l1_place(z, p, length, giver, receiver, steps, radius, out_p):
    """out_p (n,) = p (n,) after buying steps for `radius`; returns out_p.z."""
    n = z.shape[0]
    for i in range(n):
        out_p[i] = p[i]
    left, given, split, j, turn = radius, 0.0, 0.0, 0, 0
    for k in range(steps):
        if left <= 0.0:
            break
        part = min(1.0, left / length[k])
        left -= length[k]
        if giver[k] >= 0:
            out_p[giver[k]] -= part * p[giver[k]]
            given += part * p[giver[k]]
            j = receiver[k]
        elif part == 1.0:
            j = receiver[k]
        else:
            split, turn = part * given, receiver[k]
    out_p[j] += given - split
    out_p[turn] += split
    value = 0.0
    for i in range(n):
        value += out_p[i] * z[i]
    return value


@kernel
def weighted_l1_row(z, p, w, radius, out_p):
    """Value min q.z over sum w |q - p| <= radius, and its row out_p; z, p, w > 0, out_p (n,)."""
    n = z.shape[0]
    rate, length = np.empty(2 * n), np.empty(2 * n)
    giver, receiver = np.empty(2 * n, dtype=np.int64), np.empty(2 * n, dtype=np.int64)
    steps, _ = weighted_l1_steps(z, p, w, rate, length, giver, receiver)
    return weighted_l1_place(z, p, length, giver, receiver, steps, radius, out_p)


@kernel
def weighted_l1_rows(z, p, indptr, w, radius, start, stop, out_value, out_p):
    """`weighted_l1_row` for rows start <= k < stop; z, p, w, out_p (nnz,), radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = weighted_l1_row(z[i:j], p[i:j], w[i:j], radius[k], out_p[i:j])


@kernel
def weighted_l1_menu(z, p, indptr, w, first, last, rate, length, giver, receiver, step_ptr, least):
    """The steps of rows first <= k < last one after the other, those of row first + a from step_ptr[a]; least (A,)."""
    step_ptr[0] = 0
    for a in range(last - first):
        i, j, base = indptr[first + a], indptr[first + a + 1], step_ptr[a]
        steps, least[a] = weighted_l1_steps(
            z[i:j], p[i:j], w[i:j], rate[base:], length[base:], giver[base:], receiver[base:]
        )
        step_ptr[a + 1] = base + steps


@kernel
def weighted_l1_states(z, p, indptr, state_ptr, w, radius, start, stop, out_value, out_policy, out_p):
    """Saddle points max_pi min_q sum_a pi_a q_a.z_a over sum_a sum w_a |q_a - p_a| <= radius, states start <= s < stop.

    z, p, w, out_p (nnz,), indptr (rows + 1,), state_ptr (S + 1,), radius and out_value (S,), out_policy (rows,).
    """
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, room = last - first, 2 * (indptr[last] - indptr[first])
        rate, length, heap = np.empty(room), np.empty(room), np.empty(room, dtype=np.int64)
        giver, receiver = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        step_ptr, least = np.empty(A + 1, dtype=np.int64), np.empty(A)
        nominal, spent = np.empty(A), np.empty(A)
        weighted_l1_menu(z, p, indptr, w, first, last, rate, length, giver, receiver, step_ptr, least)
        for a in range(A):
            height = 0.0
            for i in range(indptr[first + a], indptr[first + a + 1]):
                height += p[i] * (z[i] - least[a])
            nominal[a] = least[a] + height
        out_value[s] = split_state(
            nominal, least, rate, length, step_ptr, heap, radius[s], out_policy[first:last], spent
        )
        for a in range(A):
            i, j, b, e = indptr[first + a], indptr[first + a + 1], step_ptr[a], step_ptr[a + 1]
            weighted_l1_place(z[i:j], p[i:j], length[b:e], giver[b:e], receiver[b:e], e - b, spent[a], out_p[i:j])


@kernel
def weighted_l1_responses(pi, z, p, indptr, state_ptr, w, radius, start, stop, out_value, out_p):
    """Nature's answers min_q sum_a pi_a q_a.z_a to a fixed policy pi (rows,); arrays as in `weighted_l1_states`."""
    for s in range(start, stop):
        first, last = state_ptr[s], state_ptr[s + 1]
        A, room = last - first, 2 * (indptr[last] - indptr[first])
        rate, length, heap = np.empty(room), np.empty(room), np.empty(room, dtype=np.int64)
        giver, receiver = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        step_ptr, spent = np.empty(A + 1, dtype=np.int64), np.empty(A)
        weighted_l1_menu(z, p, indptr, w, first, last, rate, length, giver, receiver, step_ptr, np.empty(A))
        split_response(pi[first:last], rate, length, step_ptr, heap, radius[s], spent)
        value = 0.0
        for a in range(A):
            i, j, b, e = indptr[first + a], indptr[first + a + 1], step_ptr[a], step_ptr[a + 1]
            value += pi[first + a] * weighted_l1_place(
                z[i:j], p[i:j], length[b:e], giver[b:e], receiver[b:e], e - b, spent[a], out_p[i:j]
            )
        out_value[s] = value
