"""Worst cases over additive noise without positivity: q = p + u with sum u = 0 and ||u|| <= radius in a p-norm.

The caller answers for q >= 0. Orders are 1, 2 and, written 0, infinity; with kappa(z) = (max - min) / 2, ||z - mean||_2
and sum |z - median| the value of a row is p.z - radius kappa(z).

In a state all actions share the joint norm of their noises. Nature gives action a the radius beta_a, at the price
beta_a kappa(z_a); hence the value x solves ||((p_a.z_a - x)_+ / kappa_a)_a|| = radius, for rows that need not share an
objective, nor a support. The agent's policy is proportional to (p_a.z_a - x)_+^(order - 1) / kappa_a^order.

Source: Kumar et al.'s formula is the case of one kappa for all actions; our specification of the inner problems, A.1.12
and A.2. Arrays: z, p, out_p (nnz,); indptr (rows + 1,); state_ptr (S + 1,).
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.tilt import TIE


@kernel
def _direction(z, order, out_u):
    """Worst noise out_u (n,) of unit norm: kappa(z) = -out_u.z."""
    n = z.size
    out_u[:] = 0.0
    if np.max(z) - np.min(z) <= TIE * (1.0 + abs(np.min(z))):
        return 0.0
    if order == 1:
        out_u[np.argmin(z)], out_u[np.argmax(z)] = 0.5, -0.5
    elif order == 2:
        # Centring on an entry first keeps the digits of a nearly constant row.
        mean, norm = 0.0, 0.0
        for i in range(n):
            mean += (z[i] - z[0]) / n
        for i in range(n):
            out_u[i] = mean - (z[i] - z[0])
            norm = max(norm, abs(out_u[i]))
        square = 0.0
        for i in range(n):
            square += (out_u[i] / norm) ** 2
        out_u /= norm * np.sqrt(square)
    else:
        rank = np.argsort(z)
        for k in range(n // 2):
            out_u[rank[k]], out_u[rank[n - 1 - k]] = 1.0, -1.0
    kappa = 0.0
    for i in range(n):
        kappa -= out_u[i] * (z[i] - z[0])
    return max(kappa, 0.0)


@kernel
def _mean(z, p):
    """p.z of one row."""
    value = 0.0
    for i in range(z.size):
        value += p[i] * z[i]
    return value


@kernel
def noise_row(z, p, radius, order, out_p):
    """min q.z with q = p + u, sum u = 0, ||u|| <= radius of one row z, p, out_p (n,)."""
    kappa = _direction(z, order, out_p)
    for i in range(z.size):
        out_p[i] = p[i] + radius * out_p[i]
    return _mean(z, p) - radius * kappa


@kernel
def noise_rows(z, p, indptr, radius, order, start, stop, out_value, out_p):
    """`noise_row` of rows start..stop; radius, out_value (rows,)."""
    for k in range(start, stop):
        i, j = indptr[k], indptr[k + 1]
        out_value[k] = noise_row(z[i:j], p[i:j], radius[k], order, out_p[i:j])


@kernel
def _price(mean, kappa, order, radius):
    """Root x of ||(mean - x)_+ / kappa|| = radius over the rows of kappa (A,) > 0, -inf if there is none."""
    if order == 0:
        x = -np.inf
        for a in range(mean.size):
            if kappa[a] > 0.0:
                x = max(x, mean[a] - radius * kappa[a])
        return x
    # Rows enter by decreasing mean until the next one lies below the root reached without it.
    rank = np.argsort(-mean)
    top = mean[rank[0]]
    x, weight, centre, second = -np.inf, 0.0, 0.0, 0.0
    for a in rank:
        if kappa[a] > 0.0:
            if mean[a] <= x:
                break
            share = 1.0 / kappa[a] ** order
            gap = mean[a] - top - centre
            second += weight / (weight + share) * share * gap * gap
            weight += share
            centre += share / weight * gap
            drop = radius / weight if order == 1 else np.sqrt(max(radius * radius - second, 0.0) / weight)
            x = top + (centre - drop)
    return x


@kernel
def noise_states(z, p, indptr, state_ptr, order, radius, start, stop, out_value, out_policy, out_p):
    """Best mixture against one joint norm of the actions' noises: out_value (S,), out_policy (rows,) of start..stop."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        mean, kappa, beta = np.empty(b - a), np.empty(b - a), np.zeros(b - a)
        best = 0
        for k in range(b - a):
            i, j = indptr[a + k], indptr[a + k + 1]
            kappa[k] = _direction(z[i:j], order, out_p[i:j])
            mean[k] = _mean(z[i:j], p[i:j])
            if mean[k] - radius[s] * kappa[k] > mean[best] - radius[s] * kappa[best]:
                best = k
        x = _price(mean, kappa, order, radius[s])
        # A constant row, or order infinity, or no radius: the best action alone.
        alone = mean[best] - radius[s] * kappa[best]
        x = max(x, alone)
        total, norm = 0.0, 0.0
        for k in range(b - a):
            above = max(mean[k] - x, 0.0)
            out_policy[a + k] = (
                above ** (order - 1) / kappa[k] ** order if above > 0.0 and kappa[k] > 0.0 and order > 0 else 0.0
            )
            total += out_policy[a + k]
            if above > 0.0 and kappa[k] > 0.0:
                beta[k] = above / kappa[k]
            norm = norm + beta[k] ** order if order > 0 else max(norm, beta[k])
        norm = norm ** (1.0 / order) if order > 0 else norm
        for k in range(b - a):
            # Rounding of the value over a small kappa is no longer small.
            size = beta[k] * min(1.0, radius[s] / norm) if norm > 0.0 else 0.0
            for i in range(indptr[a + k], indptr[a + k + 1]):
                out_p[i] = p[i] + size * out_p[i]
            out_policy[a + k] = (1.0 if k == best else 0.0) if x <= alone else out_policy[a + k] / total
        out_value[s] = x


@kernel
def noise_responses(pi, z, p, indptr, state_ptr, order, radius, start, stop, out_value, out_p):
    """Nature's answer to pi (rows,) with one joint norm of the actions' noises: out_value (S,) of start..stop."""
    for s in range(start, stop):
        a, b = state_ptr[s], state_ptr[s + 1]
        gain = np.empty(b - a)
        out_value[s] = 0.0
        for k in range(b - a):
            i, j = indptr[a + k], indptr[a + k + 1]
            gain[k] = pi[a + k] * _direction(z[i:j], order, out_p[i:j])
            out_value[s] += pi[a + k] * _mean(z[i:j], p[i:j])
        best = np.argmax(gain)
        size = np.sqrt(np.sum((gain / gain[best]) ** 2)) if gain[best] > 0.0 else 1.0
        for k in range(b - a):
            beta = radius[s] if pi[a + k] > 0.0 else 0.0
            if order == 1 and k != best:
                beta = 0.0
            elif order == 2:
                beta *= gain[k] / gain[best] / size if gain[best] > 0.0 else 0.0
            out_value[s] -= beta * gain[k]
            for i in range(indptr[a + k], indptr[a + k + 1]):
                out_p[i] = p[i] + beta * out_p[i]
