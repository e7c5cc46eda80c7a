"""Worst cases over balls of KL(q||p), of Burg's KL(p||q), of chi-square and of the Euclidean norm.

Rows, states, answers to a policy; `kind` is one of those of `mdplab.kernels.robust.tilt`, whose path all are roots on.
KL and chi-square live on the nominal support, the others may put mass on every entry of the ragged row. The radius of
the Euclidean norm bounds a row's distance, or in a state the root of the actions' sum of squares. Arrays: z, p, out_p
(nnz,); indptr (rows + 1,); state_ptr (S + 1,).
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.multipliers import balance, respond
from mdplab.kernels.robust.tilt import L2


@kernel
def _budget(kind, radius):
    """What D, or the actions' sum of it, may amount to."""
    return radius * radius if kind == L2 else radius


@kernel
def divergence_row(z, p, kind, radius, out_p):
    """min q.z with q in the ball of one row z, p, out_p (n,)."""
    return respond(kind, np.ones(1), z, p, np.array([0, z.size]), _budget(kind, radius), out_p)


@kernel
def divergence_rows(z, p, indptr, kind, radius, start, stop, out_value, out_p):
    """`divergence_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = divergence_row(z[i:j], p[i:j], kind, radius[k], out_p[i:j])


@kernel
def divergence_states(z, p, indptr, state_ptr, kind, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture, the actions sharing radius (S,), in states start..stop: out_value (S,), out_policy (rows,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j, budget = indptr[a], indptr[b], _budget(kind, radius[s])
        out_value[s] = balance(kind, z[i:j], p[i:j], indptr[a : b + 1], budget, out_policy[a:b], out_p[i:j])


@kernel
def divergence_responses(pi, z, p, indptr, state_ptr, kind, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,), the actions sharing radius (S,), in states start..stop; out_value (S,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j, budget = indptr[a], indptr[b], _budget(kind, radius[s])
        out_value[s] = respond(kind, pi[a:b], z[i:j], p[i:j], indptr[a : b + 1], budget, out_p[i:j])
