"""Worst cases over Euclidean balls: rows, s-rectangular states, answers to a policy.

Mass may go to any entry of the ragged row. In a state the radius bounds the root of the actions' sum of squares.
Roots on the path of `mdplab.kernels.robust.tilt`. Arrays: z, p, out_p (nnz,); indptr (rows + 1,); state_ptr (S + 1,).
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.multipliers import balance, respond
from mdplab.kernels.robust.tilt import L2


@kernel
def l2_row(z, p, radius, out_p):
    """min q.z with ||q - p||_2 <= radius of one row z, p, out_p (n,)."""
    return respond(L2, np.ones(1), z, p, np.array([0, z.size]), radius * radius, out_p)


@kernel
def l2_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`l2_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = l2_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def l2_states(z, p, indptr, state_ptr, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture against sum_a ||q_a - p_a||^2 <= radius^2 in start..stop: out_value (S,), out_policy (rows,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        budget = radius[s] * radius[s]
        out_value[s] = balance(L2, z[i:j], p[i:j], indptr[a : b + 1], budget, out_policy[a:b], out_p[i:j])


@kernel
def l2_responses(pi, z, p, indptr, state_ptr, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,) with sum_a ||q_a - p_a||^2 <= radius^2 in states start..stop: out_value (S,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        budget = radius[s] * radius[s]
        out_value[s] = respond(L2, pi[a:b], z[i:j], p[i:j], indptr[a : b + 1], budget, out_p[i:j])
