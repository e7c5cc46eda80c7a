import numpy as np
import pytest
from kernels.robust import programs, saddles

from mdplab.kernels.robust import l1, weighted_l1


def weights(n, rng):
    """Random weights, often tied or equal."""
    return (rng.uniform(0.2, 3, size=n), rng.integers(1, 4, size=n).astype(float), np.ones(n))[rng.integers(3)]


def dual(z, p, w, radius, side=1.0):
    """max over the multipliers at which the cheapest receiver or the set of givers may change."""
    i, j = np.nonzero(z[:, None] > z[None, :])
    turns = w[j] > w[i]
    slopes = np.r_[0.0, (z[i] - z[j]) / (w[i] + w[j]), ((z[i] - z[j])[turns] / (w[j] - w[i])[turns])]
    cheapest = (z + side * slopes[:, None] * w).min(axis=1)
    return (np.minimum(z, slopes[:, None] * w + cheapest[:, None]) @ p - slopes * radius).max()


def test_rows_solve_the_program_and_its_dual():
    for z, p, fraction, rng in programs.random_rows(311):
        w, radius, q = weights(len(z), rng), 4 * fraction, np.empty_like(p)
        value = weighted_l1.weighted_l1_row(z, p, w, radius, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        assert abs(value - programs.row(programs.weighted_l1(z, p, w), radius)) <= scale
        assert abs(value - dual(z, p, w, radius)) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        # Feasible up to rounding.
        assert q.min() >= 0 and abs(q.sum() - 1) <= 1e-13 and w @ np.abs(q - p) <= radius + 1e-12


def test_the_wrong_side_of_the_dual_would_be_seen():
    misses = 0
    for z, p, fraction, rng in programs.random_rows(311):
        w, radius = weights(len(z), rng), 4 * fraction
        value = weighted_l1.weighted_l1_row(z, p, w, radius, np.empty_like(p))
        misses += abs(value - dual(z, p, w, radius, side=-1.0)) > 1e-6
    assert misses > 50


def test_equal_weights_are_the_l1_ball():
    for z, p, fraction, rng in programs.random_rows(312, count=60):
        w, q = rng.uniform(0.5, 2), np.empty_like(p)
        value = weighted_l1.weighted_l1_row(z, p, np.full(len(z), w), 2 * w * fraction, q)
        # Ties within 1e-14 are left alone by the one and not by the other.
        assert abs(value - l1.l1_row(z, p, 2 * fraction, q)) <= 1e-13 * (1 + np.abs(z).max())


def test_ragged_rows_are_the_rows():
    rng = np.random.default_rng([313])
    rows = [programs.random_row(kind, n, rng) for n in (2, 7, 30) for kind in programs.KINDS]
    z, p, indptr = programs.ragged(rows)
    w, radius = rng.uniform(0.2, 3, size=len(z)), np.linspace(0, 4, len(rows))
    value, q = np.full(len(rows), np.nan), np.full(len(z), np.nan)
    weighted_l1.weighted_l1_rows(z, p, indptr, w, radius, 1, len(rows), value, q)
    assert np.isnan(value[0]) and np.isnan(q[:2]).all()
    for k in range(1, len(rows)):
        cut, alone = slice(indptr[k], indptr[k + 1]), np.empty(len(rows[k][0]))
        assert value[k] == weighted_l1.weighted_l1_row(z[cut], p[cut], w[cut], radius[k], alone)
        assert np.array_equal(q[cut], alone)


def test_states_are_saddle_points():
    mixed = 0
    for rows, fraction, rng in programs.random_states(314, count=200):
        w, radius = [weights(len(z), rng) for z, _ in rows], 3 * fraction
        parts = [programs.weighted_l1(z, p, v) for (z, p), v in zip(rows, w)]
        extra = (np.concatenate(w),)
        pi = saddles.check_saddle(
            weighted_l1.weighted_l1_states, weighted_l1.weighted_l1_responses, rows, extra, radius, parts,
            lambda a, p, q, w=w: w[a] @ np.abs(q - p),
        )  # fmt: skip
        mixed += pi.max() < 0.99
        share = rng.dirichlet(np.ones(len(rows))) * (rng.random(len(rows)) < 0.8)
        saddles.check_response(weighted_l1.weighted_l1_responses, share, rows, extra, radius, parts)
    # The test would be idle if few policies were mixed.
    assert mixed > 30
