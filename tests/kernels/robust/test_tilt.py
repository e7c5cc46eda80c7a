import numpy as np
import pytest
from kernels.robust import duals

from mdplab.kernels.robust import tilt

KINDS = {"kl": tilt.KL, "burg": tilt.BURG, "chi2": tilt.CHI2, "l2": tilt.L2}


def paths(kind):
    """(y, p, beta, M, D, slope, q) of random rows at multipliers over ten orders of magnitude."""
    for t in range(120):
        rng = np.random.default_rng([340, t])
        z, p = duals.random_row(t, rng)
        y, q = np.empty_like(p), np.empty_like(p)
        tilt.prepare(KINDS[kind], z, p, y)
        beta = 10.0 ** rng.uniform(-6, 4)
        yield y, p, beta, *tilt.tilt(KINDS[kind], y, p, beta, q), q


@pytest.mark.parametrize("kind", KINDS)
def test_tilted_rows_are_what_they_report(kind):
    for y, p, _, mean, divergence, _, q in paths(kind):
        assert abs(q.sum() - 1) <= 1e-13 and q.min() >= 0
        assert abs(q @ y - mean) <= 1e-13
        # The reference cancels: its rounding is absolute, and relative to the largest ratio q / p.
        assert abs(duals.divergence(kind, q, p) - divergence) <= 1e-13 * max(1.0, divergence)


@pytest.mark.parametrize("kind", KINDS)
def test_tilted_rows_minimise(kind):
    """No step towards another row of the set lowers beta q.y + D."""
    for t, (y, p, beta, mean, divergence, _, q) in enumerate(paths(kind)):
        rng = np.random.default_rng([341, t])
        least = beta * mean + divergence
        for step in (1e-3, 0.1, 1.0):
            other = rng.dirichlet(np.ones(p.size)) * (1 if kind in ("burg", "l2") else p > 0)
            mixed = (1 - step) * q + step * other / other.sum()
            assert beta * (mixed @ y) + duals.divergence(kind, mixed, p) >= least - 1e-13 * max(1.0, abs(least))


@pytest.mark.parametrize("kind", KINDS)
def test_the_slope_is_that_of_the_path(kind):
    """M falls by -slope, and D rises by beta times as much, between two neighbours of the path."""
    for y, p, beta, _, _, slope, q in paths(kind):
        width = 1e-4
        (low, d_low, s_low), (high, d_high, s_high) = (
            tilt.tilt(KINDS[kind], y, p, beta * (1 + sign * width), q.copy()) for sign in (-1, 1)
        )
        # Central differences: the error is of order width^2 away from the kinks of chi-square and L2, which the slopes
        # of both neighbours enclose; 1e-12 is the rounding of the means over the width.
        least, most = min(s_low, slope, s_high), max(s_low, slope, s_high)
        drop, spread = (low - high) / (2 * beta * width), 1e-6 * most + 1e-12 / (beta * width)
        assert least - spread <= drop <= most + spread
        rise = (d_high - d_low) / (2 * beta * beta * width)
        spread = 1e-3 * most + 1e-12 / (beta * beta * width) * max(1.0, d_high)
        assert least - spread <= rise <= most + spread


def test_a_tiny_divergence_keeps_its_digits():
    """KL and Burg of a fair coin tilted by beta are beta^2 / 8 to relative beta^2; chi-square and L2 are multiples."""
    y, p, q = np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.empty(2)
    for beta in (1e-3, 1e-6, 1e-9):
        for kind, factor in (("kl", 8), ("burg", 8), ("chi2", 16), ("l2", 8)):
            divergence = tilt.tilt(KINDS[kind], y, p, beta, q)[1]
            # Rounding of x relative to beta: 1e-16 / beta for Burg, whose multiplier is found next to 1.
            assert abs(divergence * factor / beta**2 - 1) <= beta**2 + 1e-15 / beta
