"""Sets made of whole rows: a nominal row contaminated by any other, and a finite choice of models.

Source: robust specification A.1.9, A.1.10.
"""

from mdplab.kernels._jit import kernel


@kernel
def contamination_row(z, p, radius, out_p):
    """Value min q.z over q = (1 - radius) p + radius q', and its row out_p; z, p, out_p (n,), radius in [0, 1]."""
    n = z.shape[0]
    least, mass = 0, 0.0
    for i in range(n):
        out_p[i] = (1.0 - radius) * p[i]
        mass += p[i]
        if z[i] < z[least]:
            least = i
    out_p[least] += radius * mass
    value = 0.0
    for i in range(n):
        value += out_p[i] * z[i]
    return value


@kernel
def contamination_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`contamination_row` for rows start <= k < stop; z, p, out_p (nnz,), radius and out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = contamination_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def models_rows(z, p, indptr, start, stop, out_value, out_p):
    """Least of p[m].z over the models m, and that row, for start <= k < stop; z, out_p (nnz,), p (K, nnz)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        best = 0
        for m in range(p.shape[0]):
            value = 0.0
            for e in range(i, j):
                value += p[m, e] * z[e]
            if m == 0 or value < out_value[k]:
                best = m
                out_value[k] = value
        for e in range(i, j):
            out_p[e] = p[best, e]
