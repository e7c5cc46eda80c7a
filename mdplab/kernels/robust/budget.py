"""How nature spends one budget over the actions of a state, where every set is a list of steps for sale.

A row's inner problem phi(xi) = min {q.z : D(q, p) <= xi} with D polyhedral is convex and piecewise linear: step i saves
`rate[i]` per unit of budget, up to `length[i]` units, largest rates first. The L1, weighted L1 and Wasserstein balls
differ only in their steps.

Source: robust specification A.2, K.6, K.7.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.ordering import heapify, pop, sift

# Objectives this close, relative to 1 + |least|, are ties: after a linear solve equal entries differ by rounding, and
# no policy should be mixed because of it. The sweep below is exact for near-ties too, hence far below the 1e-11 of A.7,
# which would itself cost 1e-11 |value| / (1 - gamma).
TIE = 1e-14


@kernel
def open_shop(rate, length, begin, end, heap):
    """Heap of the steps begin <= i < end that save something, at heap[begin:]; returns how many."""
    size = 0
    for i in range(begin, end):
        if rate[i] > 0.0 and length[i] > 0.0:
            heap[begin + size] = i
            size += 1
    heapify(rate, heap, begin, size)
    return size


@kernel
def split_state(nominal, least, rate, length, step_ptr, heap, radius, out_policy, out_spent):
    """Value of max_pi min_xi sum_a pi_a phi_a(xi_a) over sum_a xi_a <= radius, its policy and the budgets out_spent.

    nominal, least, out_policy, out_spent (A,): phi_a at 0 and its infimum; step_ptr (A + 1,) delimits the steps of an
    action in rate and length (nnz,); heap (nnz,) scratch. The value is the least u with sum_a phi_a^-1(u) <= radius,
    found from above; pi_a is proportional to the slope of phi_a^-1 there.
    """
    A = nominal.shape[0]
    best = 0
    for a in range(A):
        out_policy[a] = 0.0
        out_spent[a] = 0.0
        if least[a] > least[best]:
            best = a
    floor = least[best]
    # Heights above the floor; `knot` is where an action meets its next step, `slope` its budget per unit of height.
    knot, slope = np.empty(A), np.zeros(A)
    size, current, actions = np.empty(A, dtype=np.int64), np.full(A, -1), np.arange(A)
    for a in range(A):
        knot[a] = nominal[a] - floor
        size[a] = open_shop(rate, length, step_ptr[a], step_ptr[a + 1], heap)
    heapify(knot, actions, 0, A)
    u, used, total, grounded = max(knot[actions[0]], 0.0), 0.0, 0.0, False
    while True:
        a = actions[0]
        target = min(max(knot[a], 0.0), u)
        if used + total * (u - target) > radius or (total > 0.0 and used >= radius):
            u = max(u - (radius - used) / total, target)
            break
        used += total * (u - target)
        u = target
        if current[a] >= 0:
            out_spent[a] += length[current[a]]
            total -= slope[a]
        if knot[a] <= 0.0 or size[a] == 0:
            # An action on its floor can be pushed no further: it is worth the floor whatever nature does.
            grounded = True
            slope[a] = 0.0
            current[a] = -1
            break
        i = pop(rate, heap, step_ptr[a], size[a])
        size[a] -= 1
        current[a] = i
        slope[a] = 1.0 / rate[i]
        total += slope[a]
        knot[a] -= rate[i] * length[i]
        sift(knot, actions, 0, A, 0)
    if grounded:
        u = 0.0
        out_policy[best] = 1.0
    over = -radius
    for a in range(A):
        i = current[a]
        if i >= 0:
            # The part of the current step between its upper end and u.
            part = (knot[a] + rate[i] * length[i] - u) * slope[a]
            out_spent[a] += min(max(part, 0.0), length[i])
            if not grounded:
                out_policy[a] = slope[a] / total
        over += out_spent[a]
    # A steep slope magnifies the rounding of u: what is overspent goes back where it matters least.
    while over > 0.0:
        a = 0
        for b in range(1, A):
            if slope[b] > slope[a]:
                a = b
        back = min(over, out_spent[a])
        if slope[a] == 0.0 or back <= 0.0:
            break
        out_spent[a] -= back
        over -= back
        slope[a] = 0.0
    return floor + u


@kernel
def split_response(pi, rate, length, step_ptr, heap, radius, out_spent):
    """Budgets out_spent (A,) of min_xi sum_a pi_a phi_a(xi_a) over sum_a xi_a <= radius; pi (A,), rest as above."""
    A = pi.shape[0]
    owner = np.empty(rate.shape[0], dtype=np.int64)
    gain = np.empty(rate.shape[0])
    size = 0
    for a in range(A):
        out_spent[a] = 0.0
        for i in range(step_ptr[a], step_ptr[a + 1]):
            owner[i] = a
            gain[i] = pi[a] * rate[i]
            if gain[i] > 0.0 and length[i] > 0.0:
                heap[size] = i
                size += 1
    heapify(gain, heap, 0, size)
    left = radius
    while size > 0 and left > 0.0:
        i = pop(gain, heap, 0, size)
        size -= 1
        bought = min(left, length[i])
        out_spent[owner[i]] += bought
        left -= bought
