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
def average(d, g, v, eta, carry, out_d):
    """(1 - eta) d + carry v + eta g into out_d (n,), which may be d; its squared norm comes back."""
    square = 0.0
    for i in range(d.shape[0]):
        out_d[i] = (1.0 - eta) * d[i] + eta * g[i]
        if carry != 0.0:
            out_d[i] += carry * v[i]
        square += out_d[i] * out_d[i]
    return square


@kernel
def move(theta, previous, d, square, step, normalised):
    """Step along d (n,), of length `step` if normalised, else of length step |d|; none where d = 0. In place."""
    length = step
    if normalised:
        length = step / math.sqrt(square) if square > 0.0 else 0.0
    for i in range(theta.shape[0]):
        previous[i] = theta[i]
        theta[i] += length * d[i]
