"""Draws from finite distributions by inverse CDF; the generator is the caller's, one for each replicate."""

from mdplab.kernels._jit import kernel


@kernel
def draw(cdf, u):
    """Index of a draw from cumulative weights cdf (n,), for u uniform in [0, 1).

    A cumulative row of floats may end below 1; what u leaves over goes to the last entry of positive probability, so
    that no impossible index is ever returned.
    """
    last = 0
    below = 0.0
    for j in range(cdf.shape[0]):
        if u < cdf[j]:
            return j
        if cdf[j] > below:
            last = j
            below = cdf[j]
    return last
