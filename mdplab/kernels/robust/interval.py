"""Sets of the form lo <= q <= hi: intervals, L-infinity balls, and q <= p / level (conditional value at risk).

What lo leaves of the mass goes to the least objectives first, up to hi. O(n log n) a row.

Source: robust specification A.1.3.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.ordering import sort_ascending


@kernel
def fill(z, lo, hi, mass, order, out_p):
    """out_p (n,) of total `mass` and least out_p.z between lo and hi (n,); order (n,) scratch. Returns its value."""
    n = z.shape[0]
    left = mass
    for i in range(n):
        order[i] = i
        out_p[i] = lo[i]
        left -= lo[i]
    sort_ascending(z, order)
    for i in order:
        if left <= 0.0:
            break
        more = min(left, hi[i] - lo[i])
        out_p[i] = hi[i] if more < left else lo[i] + more
        left -= more
    value = 0.0
    for i in range(n):
        value += out_p[i] * z[i]
    return value


@kernel
def interval_row(z, lo, hi, out_p):
    """Value min q.z over lo <= q <= hi, sum q = 1, and its row out_p; all (n,), sum lo <= 1 <= sum hi."""
    return fill(z, lo, hi, 1.0, np.empty(z.shape[0], dtype=np.int64), out_p)


@kernel
def linf_row(z, p, radius, out_p):
    """Value min q.z over |q - p| <= radius everywhere, and its row out_p; z, p, out_p (n,)."""
    n = z.shape[0]
    lo, hi, mass = np.empty(n), np.empty(n), 0.0
    for i in range(n):
        lo[i] = max(0.0, p[i] - radius)
        hi[i] = min(1.0, p[i] + radius)
        mass += p[i]
    return fill(z, lo, hi, mass, np.empty(n, dtype=np.int64), out_p)


@kernel
def cvar_row(z, p, level, out_p):
    """Value min q.z over q <= p / level, the mean of the worst `level` in (0, 1] of z, and its row; arrays (n,)."""
    n = z.shape[0]
    hi, mass = np.empty(n), 0.0
    for i in range(n):
        hi[i] = p[i] / level
        mass += p[i]
    return fill(z, np.zeros(n), hi, mass, np.empty(n, dtype=np.int64), out_p)


@kernel
def interval_rows(z, indptr, lo, hi, start, stop, out_value, out_p):
    """`interval_row` for rows start <= k < stop; z, lo, hi, out_p (nnz,), indptr (rows + 1,), out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = interval_row(z[i:j], lo[i:j], hi[i:j], out_p[i:j])


@kernel
def linf_rows(z, p, indptr, radius, start, stop, out_value, out_p):
    """`linf_row` for rows start <= k < stop; z, p, out_p (nnz,), indptr (rows + 1,), radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = linf_row(z[i:j], p[i:j], radius[k], out_p[i:j])


@kernel
def cvar_rows(z, p, indptr, level, start, stop, out_value, out_p):
    """`cvar_row` for rows start <= k < stop; z, p, out_p (nnz,), indptr (rows + 1,), level, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = cvar_row(z[i:j], p[i:j], level[k], out_p[i:j])
