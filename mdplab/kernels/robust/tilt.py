"""The regularised minimisers of a divergence: the path on which the worst cases of its balls lie.

For D one of KL(q||p), Burg's KL(p||q), chi-square and ||q - p||^2, the row q(beta) = argmin beta q.z + D(q, p) has mean
M = q.z falling and divergence D rising in beta, with dD = -beta dM. Objectives are shifted by their minimum and divided
by their spread. Divergences are computed without cancellation, so that a radius of 1e-20 still moves the value by the
right 1e-10.

Source: our specification of the inner problems, A.1.4-A.1.7; the path form is derived here.
"""

import numpy as np

from mdplab.kernels._jit import kernel

# Of NumPy's type, so that Numba compiles each kernel once and not anew for each literal.
KL, BURG, CHI2, L2 = np.int64(0), np.int64(1), np.int64(2), np.int64(3)

# A row whose spread is below this, relative to 1 + |min|, is constant: what is left is rounding of the solve before.
# Values are 1-Lipschitz in z, so that the answer is off by no more than this.
TIE = 1e-13
# Newton's steps end here: a few roundings of a double.
EPS = 4e-16
MAX_STEPS = 200


@kernel
def prepare(kind, z, p, out_y):
    """Shifted and scaled objective out_y (n,) in [0, 1] over the entries that may carry mass: (min, spread, p.y)."""
    low, high = np.inf, -np.inf
    for i in range(z.size):
        if p[i] > 0.0 or kind == BURG or kind == L2:
            low = min(low, z[i])
            high = max(high, z[i])
    spread = high - low
    if spread <= TIE * (1.0 + abs(low)):
        out_y[:] = 0.0
        return low, 0.0, 0.0
    mean = 0.0
    for i in range(z.size):
        out_y[i] = (z[i] - low) / spread if p[i] > 0.0 or kind == BURG or kind == L2 else 0.0
        mean += p[i] * out_y[i]
    return low, spread, mean


@kernel
def _moments(weight, y):
    """Mass, mean and centred second moment (not divided by the mass) of y (n,) under the entries of weight (n,) > 0."""
    mass, mean, second = 0.0, 0.0, 0.0
    for i in range(y.size):
        if weight[i] > 0.0:
            mass += weight[i]
            mean += weight[i] * y[i]
    mean /= mass
    for i in range(y.size):
        if weight[i] > 0.0:
            second += weight[i] * (y[i] - mean) ** 2
    return mass, mean, second


@kernel
def _tilt_kl(y, p, beta, out_q):
    """q proportional to p exp(-beta y): (M, D, -dM/dbeta)."""
    _, centre, _ = _moments(p, y)
    near = beta * centre <= 1.0
    if not near:
        centre = 0.0
    # With x = -beta (y - centre), E_p x = 0: log E e^x = log1p(E(e^x - 1 - x)) keeps the digits of a small divergence.
    mass, growth, first = 0.0, 0.0, 0.0
    for i in range(y.size):
        out_q[i] = 0.0
        if p[i] > 0.0:
            x = -beta * (y[i] - centre)
            out_q[i] = p[i] * np.exp(x)
            mass += out_q[i]
            if near:
                e = np.expm1(x)
                growth += p[i] * (e - x)
                first += p[i] * x * e
            else:
                first += out_q[i] * x
    divergence = first / mass - (np.log1p(growth) if near else np.log(mass))
    out_q /= mass
    _, mean, second = _moments(out_q, y)
    return mean, max(divergence, 0.0), second


@kernel
def _tilt_burg(y, p, beta, out_q):
    """q = p / (w + beta y), w >= 0 for a mass of 1; where w = 0 the rest goes to a minimiser: (M, D, -dM/dbeta)."""
    lowest, tied, mean, inverse = np.inf, 0.0, 0.0, 0.0
    for i in range(y.size):
        if p[i] > 0.0:
            lowest = min(lowest, y[i])
            mean += p[i] * y[i]
            if y[i] == 0.0:
                tied += p[i]
            else:
                inverse += p[i] / (beta * y[i])
    w = 0.0
    if lowest == 0.0 or inverse > 1.0:
        # 1 / sum p / (w + beta y) is concave and rising in w: Newton from the left cannot overshoot.
        w = max(1.0 - beta * mean, tied)
        for _ in range(MAX_STEPS):
            defect, slope, total = 0.0, 0.0, 0.0
            for i in range(y.size):
                if p[i] > 0.0:
                    x = (w - 1.0) + beta * y[i]
                    q = p[i] / (w + beta * y[i])
                    defect -= q * x
                    total += q
                    slope += q * q / p[i]
            step = total * defect / slope
            if not step > EPS * w:
                break
            w += step
    divergence, mass = 0.0, 0.0
    weight, centre = 0.0, 0.0
    for i in range(y.size):
        out_q[i] = 0.0
        if p[i] > 0.0:
            s = w + beta * y[i]
            x = (w - 1.0) + beta * y[i]
            out_q[i] = p[i] / s
            mass += out_q[i]
            # sum p x / (1 + x) = 0 unless mass has left the support, and leaves no cancellation.
            divergence += p[i] * ((np.log1p(x) if x > -0.5 else np.log(s)) - (x / s if w > 0.0 else 0.0))
            weight += out_q[i] / s
            centre += out_q[i] / s * y[i]
    # Where w = 0 the minimiser absorbs the mass, and w does not answer to beta.
    centre = centre / weight if w > 0.0 else 0.0
    value, second = 0.0, 0.0
    for i in range(y.size):
        if p[i] > 0.0:
            value += out_q[i] * y[i]
            second += out_q[i] / (w + beta * y[i]) * (y[i] - centre) ** 2
    if w == 0.0:
        out_q[np.argmin(y)] += max(1.0 - mass, 0.0)
    return value, max(divergence, 0.0), second


@kernel
def _tilt_chi2(y, p, beta, out_q):
    """q = p (c - y)_+ beta / 2; entries above c leave until none is left to leave: (M, D, -dM/dbeta)."""
    out_q[:] = p
    gone = 0.0
    while True:
        mass, mean, second = _moments(out_q, y)
        c = mean + 2.0 / (beta * mass)
        left = False
        for i in range(y.size):
            if out_q[i] > 0.0 and y[i] >= c:
                gone += p[i]
                out_q[i] = 0.0
                left = True
        if not left:
            break
    total = 0.0
    for i in range(y.size):
        if out_q[i] > 0.0:
            out_q[i] = p[i] * (1.0 + (gone / mass + 0.5 * beta * (mean - y[i])))
            total += out_q[i]
    # A large beta between near ties leaves the sum few digits: what is returned is a distribution, with its own M, D.
    excess, value, divergence = total - 1.0, 0.0, gone
    for i in range(y.size):
        if out_q[i] > 0.0:
            ratio = (gone / mass + 0.5 * beta * (mean - y[i]) - excess) / total
            divergence += p[i] * ratio * ratio
            out_q[i] /= total
            value += out_q[i] * y[i]
    return value, divergence, 0.5 * second


@kernel
def _tilt_l2(y, p, beta, out_q):
    """Projection of p - beta y / 2 on the simplex; negative entries leave until none does: (M, D, -dM/dbeta)."""
    out_q[:] = 1.0
    gone, squares = 0.0, 0.0
    while True:
        count, mean, second = _moments(out_q, y)
        left = False
        for i in range(y.size):
            if out_q[i] > 0.0 and p[i] + gone / count < 0.5 * beta * (y[i] - mean):
                out_q[i] = 0.0
                left = True
        if not left:
            break
        gone, squares = 0.0, 0.0
        for i in range(y.size):
            if out_q[i] == 0.0:
                gone += p[i]
                squares += p[i] * p[i]
    value = 0.0
    for i in range(y.size):
        if out_q[i] > 0.0:
            out_q[i] = p[i] + gone / count - 0.5 * beta * (y[i] - mean)
            value += out_q[i] * y[i]
    return value, gone * gone / count + squares + 0.25 * beta * beta * second, 0.5 * second


@kernel
def tilt(kind, y, p, beta, out_q):
    """out_q (n,) = argmin beta q.y + D(q, p) for y (n,) in [0, 1]: (q.y, D(q, p), -d(q.y)/dbeta)."""
    if beta <= 0.0:
        if kind == L2:
            out_q[:] = 1.0
            _, _, second = _moments(out_q, y)
        else:
            _, _, second = _moments(p, y)
        out_q[:] = p
        mean = 0.0
        for i in range(y.size):
            mean += p[i] * y[i]
        return mean, 0.0, second if kind == KL or kind == BURG else 0.5 * second
    if kind == KL:
        return _tilt_kl(y, p, beta, out_q)
    if kind == BURG:
        return _tilt_burg(y, p, beta, out_q)
    if kind == CHI2:
        return _tilt_chi2(y, p, beta, out_q)
    return _tilt_l2(y, p, beta, out_q)


@kernel
def floor(kind, y, p, mean, out_q):
    """Least divergence with q.y = 0, and the closest such row out_q (n,); infinite where 0 is never reached."""
    out_q[:] = p
    if mean <= 0.0:
        return 0.0
    tied, gone, squares, count = 0.0, 0.0, 0.0, 0
    for i in range(y.size):
        if y[i] == 0.0:
            tied += p[i]
            count += 1
        else:
            gone += p[i]
            squares += p[i] * p[i]
    if kind == BURG:
        return np.inf
    for i in range(y.size):
        if y[i] > 0.0:
            out_q[i] = 0.0
        elif kind == L2:
            out_q[i] = p[i] + gone / count
        else:
            out_q[i] = p[i] / tied
    if kind == L2:
        return gone * gone / count + squares
    return gone / tied if kind == CHI2 else -np.log(tied)
