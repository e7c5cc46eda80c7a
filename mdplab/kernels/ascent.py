"""What one iteration of a policy-gradient method does with its estimates, whatever the policy: flat arrays (n,)."""

import math

from mdplab.kernels._jit import kernel


@kernel
def point_ahead(theta, previous, look, out_point):
    """theta + look (theta - previous) into out_point (n,)."""
    for i in range(theta.shape[0]):
        out_point[i] = theta[i] + look * (theta[i] - previous[i])


@kernel
def segment(theta, previous, q, out_point, out_u):
    """The point q theta + (1 - q) previous and the displacement theta - previous, both (n,)."""
    for i in range(theta.shape[0]):
        out_u[i] = theta[i] - previous[i]
        out_point[i] = previous[i] + q * out_u[i]


@kernel
def average(d, g, v, eta, carry):
    """d (n,) becomes (1 - eta) d + carry v + eta g, v finite even where carry is 0; its squared norm comes back."""
    n = d.shape[0]
    # One array less, and no branch on carry: an array that is not used on every path is counted by Numba, atomically.
    for i in range(n):
        d[i] = (1.0 - eta) * d[i] + eta * g[i] + carry * v[i]
    # Four sums side by side, as each addition waits for the one before.
    whole = n - n % 4
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 4):
        s0 += d[i] * d[i]
        s1 += d[i + 1] * d[i + 1]
        s2 += d[i + 2] * d[i + 2]
        s3 += d[i + 3] * d[i + 3]
    for i in range(whole, n):
        s0 += d[i] * d[i]
    return (s0 + s1) + (s2 + s3)


@kernel
def move(theta, previous, d, square, step, normalised):
    """Step along d (n,), of length `step` if normalised, else of length step |d|; none where d = 0. In place."""
    length = step
    if normalised:
        length = step / math.sqrt(square) if square > 0.0 else 0.0
    for i in range(theta.shape[0]):
        previous[i] = theta[i]
        theta[i] += length * d[i]
