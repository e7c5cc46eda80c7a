"""Worst cases with a penalty in place of a ball: min over q of q.z + temperature D(q, p), the value with its penalty.

Total variation may move mass to any entry of the ragged row; KL and chi-square live on the nominal support.
Source: our specification of the inner problems, A.1.11. Arrays: z, p, out_p (n,) or (nnz,); temperature > 0.
"""

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.tilt import prepare, tilt


@kernel
def soft_tv_row(z, p, temperature, out_p):
    """min q.z + temperature ||q - p||_1 / 2: mass leaves where z exceeds its minimum by more than the temperature."""
    best = 0
    for i in range(z.size):
        if z[i] < z[best]:
            best = i
    value, moved = 0.0, 0.0
    for i in range(z.size):
        out_p[i] = p[i]
        if z[i] - z[best] > temperature:
            moved += p[i]
            out_p[i] = 0.0
        value += p[i] * min(z[i], z[best] + temperature)
    out_p[best] += moved
    return value


@kernel
def soft_row(z, p, kind, temperature, out_p):
    """min q.z + temperature D(q, p) of one row.

    KL: -temperature log E_p exp(-z / temperature). Chi-square: q is proportional to p (c - z)_+, with
    E_p (c - z)_+ = 2 temperature.
    """
    nominal = p.copy()
    y = z.copy()
    _, spread, _ = prepare(kind, z, nominal, y)
    _, divergence, _ = tilt(kind, y, nominal, spread / temperature, out_p)
    value = temperature * divergence
    for i in range(z.size):
        value += out_p[i] * z[i]
    return value


@kernel
def soft_tv_rows(z, p, indptr, temperature, start, stop, out_value, out_p):
    """`soft_tv_row` of rows start..stop; temperature, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = soft_tv_row(z[i:j], p[i:j], temperature[k], out_p[i:j])


@kernel
def soft_rows(z, p, indptr, kind, temperature, start, stop, out_value, out_p):
    """`soft_row` of rows start..stop; temperature, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = soft_row(z[i:j], p[i:j], kind, temperature[k], out_p[i:j])
