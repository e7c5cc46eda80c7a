import numpy as np
import pytest
from kernels.robust import programs, saddles

from mdplab.kernels.robust import l1, wasserstein


def ground_cost(n, rng):
    """A line, tied small integers with free moves among them, or a cost that is no metric."""
    kind = rng.integers(3)
    x = np.sort(rng.random(n))
    if kind == 0:
        return np.abs(x[:, None] - x)
    cost = rng.integers(0, 4, size=(n, n)).astype(float) if kind == 1 else rng.random((n, n))
    np.fill_diagonal(cost, 0)
    return cost


def dual(z, p, cost, radius, side=1.0):
    """max over the multipliers at which the goal of some entry may change."""
    i, j, k = np.meshgrid(*[np.arange(len(z))] * 3)
    kinks = cost[i, j] < cost[i, k]
    slopes = ((z[j] - z[k])[kinks] / (cost[i, k] - cost[i, j])[kinks]).ravel()
    slopes = np.unique(np.r_[0.0, slopes[slopes > 0]])
    moved = (z + side * slopes[:, None, None] * cost).min(axis=2)
    return (moved @ p - slopes * radius).max()


def test_rows_solve_the_program():
    for z, p, fraction, rng in programs.random_rows(341):
        cost, q = ground_cost(len(z), rng), np.empty_like(p)
        radius = fraction * (cost @ p).max() * 0.7
        value = wasserstein.wasserstein_row(z, p, cost, radius, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        assert abs(value - programs.row(programs.wasserstein(z, p, cost), radius)) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        assert q.min() >= 0 and abs(q.sum() - 1) <= 1e-13
        if len(z) <= 9:
            assert abs(value - dual(z, p, cost, radius)) <= scale
            assert programs.distance(p, q, cost) <= radius + 1e-10


def test_the_wrong_side_of_the_dual_would_be_seen():
    misses = 0
    for z, p, fraction, rng in programs.random_rows(342, count=60):
        if len(z) > 9:
            continue
        cost = ground_cost(len(z), rng)
        value = wasserstein.wasserstein_row(z, p, cost, 0.1 * fraction, np.empty_like(p))
        misses += abs(value - dual(z, p, cost, 0.1 * fraction, side=-1.0)) > 1e-6
    assert misses > 15


def test_the_discrete_metric_gives_total_variation():
    for z, p, fraction, _ in programs.random_rows(343, count=60):
        q, cost = np.empty_like(p), 1.0 - np.eye(len(z))
        value = wasserstein.wasserstein_row(z, p, cost, fraction, q)
        # Ties within 1e-14 are left alone by the one and not by the other.
        assert abs(value - l1.l1_row(z, p, 2 * fraction, q)) <= 1e-13 * (1 + np.abs(z).max())


def test_free_moves_happen_at_radius_zero():
    cost = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 3.0], [1.0, 1.0, 0.0]])
    z, p, q = np.array([2.0, 1.0, 0.0]), np.array([0.5, 0.25, 0.25]), np.empty(3)
    assert wasserstein.wasserstein_row(z, p, cost, 0.0, q) == 0.75
    assert q.tolist() == [0.0, 0.75, 0.25]


def test_rows_of_states_use_their_own_costs():
    rng = np.random.default_rng([344])
    S, indptr = 12, np.array([0, 4, 6, 13, 14])
    cost = ground_cost(S, rng)
    indices = np.concatenate([np.sort(rng.choice(S, size=n, replace=False)) for n in np.diff(indptr)])
    z, p, radius = rng.normal(size=14), rng.random(14), np.array([0.02, 0.1, 0.05, 0.1])
    p /= np.repeat(np.add.reduceat(p, indptr[:-1]), np.diff(indptr))
    value, q = np.full(4, np.nan), np.full(14, np.nan)
    wasserstein.wasserstein_rows(z, p, indptr, indices, cost, radius, 1, 4, value, q)
    assert np.isnan(value[0]) and np.isnan(q[:4]).all()
    for k in range(1, 4):
        cut = slice(indptr[k], indptr[k + 1])
        alone, between = np.empty(len(z[cut])), np.ascontiguousarray(cost[np.ix_(indices[cut], indices[cut])])
        assert value[k] == wasserstein.wasserstein_row(z[cut], p[cut], between, radius[k], alone)
        assert np.array_equal(q[cut], alone)


def test_states_are_saddle_points():
    mixed = 0
    for rows, fraction, rng in programs.random_states(345, count=200, width=6):
        S = max(len(z) for z, _ in rows)
        cost, radius = ground_cost(S, rng), 0.5 * fraction
        indices = [np.sort(rng.choice(S, size=len(z), replace=False)) for z, _ in rows]
        own = [cost[np.ix_(i, i)] for i in indices]
        parts = [programs.wasserstein(z, p, c) for (z, p), c in zip(rows, own)]
        extra = (np.concatenate(indices), cost)
        pi = saddles.check_saddle(
            wasserstein.wasserstein_states, wasserstein.wasserstein_responses, rows, extra, radius, parts,
            lambda a, p, q, own=own: programs.distance(p, q, own[a]),
        )  # fmt: skip
        mixed += pi.max() < 0.99
        share = rng.dirichlet(np.ones(len(rows))) * (rng.random(len(rows)) < 0.8)
        saddles.check_response(wasserstein.wasserstein_responses, share, rows, extra, radius, parts)
    # The test would be idle if few policies were mixed.
    assert mixed > 20
