"""Worst cases over balls of KL(q||p), of Burg's KL(p||q) and of chi-square: rows, states, answers to a policy.

KL and chi-square live on the nominal support, Burg's divergence may put mass on every entry of the ragged row. All are
roots on the path of `mdplab.kernels.robust.tilt`. Arrays: z, p, out_p (nnz,); indptr (rows + 1,); state_ptr (S + 1,).
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.multipliers import balance, respond
from mdplab.kernels.robust.tilt import BURG, CHI2, KL


@kernel
def kl_row(z, p, radius, out_p):
    """min q.z with KL(q||p) <= radius of one row z, p, out_p (n,)."""
    return respond(KL, np.ones(1), z, p, np.array([0, z.size]), radius, out_p)


@kernel
def kl_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`kl_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = kl_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def kl_states(z, p, indptr, state_ptr, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture against sum_a D_a <= radius (S,) of states start..stop: out_value (S,), out_policy (rows,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = balance(KL, z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_policy[a:b], out_p[i:j])


@kernel
def kl_responses(pi, z, p, indptr, state_ptr, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,) with sum_a D_a <= radius (S,) in states start..stop; out_value (S,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = respond(KL, pi[a:b], z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_p[i:j])


@kernel
def burg_row(z, p, radius, out_p):
    """min q.z with KL(p||q) <= radius of one row z, p, out_p (n,)."""
    return respond(BURG, np.ones(1), z, p, np.array([0, z.size]), radius, out_p)


@kernel
def burg_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`burg_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = burg_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def burg_states(z, p, indptr, state_ptr, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture against sum_a D_a <= radius (S,) of states start..stop: out_value (S,), out_policy (rows,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = balance(BURG, z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_policy[a:b], out_p[i:j])


@kernel
def burg_responses(pi, z, p, indptr, state_ptr, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,) with sum_a D_a <= radius (S,) in states start..stop; out_value (S,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = respond(BURG, pi[a:b], z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_p[i:j])


@kernel
def chi2_row(z, p, radius, out_p):
    """min q.z with sum (q - p)^2 / p <= radius of one row z, p, out_p (n,)."""
    return respond(CHI2, np.ones(1), z, p, np.array([0, z.size]), radius, out_p)


@kernel
def chi2_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`chi2_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = chi2_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def chi2_states(z, p, indptr, state_ptr, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture against sum_a D_a <= radius (S,) of states start..stop: out_value (S,), out_policy (rows,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = balance(CHI2, z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_policy[a:b], out_p[i:j])


@kernel
def chi2_responses(pi, z, p, indptr, state_ptr, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,) with sum_a D_a <= radius (S,) in states start..stop; out_value (S,)."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        i, j = indptr[a], indptr[b]
        out_value[s] = respond(CHI2, pi[a:b], z[i:j], p[i:j], indptr[a : b + 1], radius[s], out_p[i:j])
