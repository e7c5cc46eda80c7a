"""Projections against quadratic programs, and their optimality conditions."""

import numpy as np

from mdplab.algorithms.robust.projection import project_l1_ball, project_row_balls, project_rows


def _obtuse(y, x, points):
    """Largest <y - x, p - x> over feasible p: at most 0 exactly where x is the projection onto a convex set."""
    return max(float(((y - x) * (p - x)).sum()) for p in points)


def test_rows_go_to_the_simplex():
    rng = np.random.default_rng([91, 0])
    for n in (1, 2, 5, 30):
        y = rng.normal(0, 3, (20, n))
        x = project_rows(y)
        np.testing.assert_allclose(x.sum(axis=1), 1, atol=1e-13)  # n roundings of numbers of size 3
        for i in range(20):
            # Vertices are enough: the product is linear in the point.
            assert _obtuse(y[i], x[i], np.eye(n)) <= 1e-12  # rounding of the same size
    masked = project_rows(np.array([[5.0, 1.0, 1.0]]), np.array([[False, True, True]]))
    assert masked.tolist() == [[0.0, 0.5, 0.5]]


def test_l1_ball_with_a_lower_bound():
    rng = np.random.default_rng([91, 1])
    for _ in range(50):
        centre, y, lower = rng.uniform(0.2, 1, 3), rng.normal(0, 3, 3), 0.1
        radius = rng.uniform(0.05, 2)
        x = project_l1_ball(y, centre, radius, lower=lower)
        assert np.abs(x - centre).sum() <= radius + 1e-15 and x.min() >= lower
        points = rng.normal(0, 1, (3000, 3))
        points = centre + points * (radius * rng.random((3000, 1)) / np.abs(points).sum(axis=1, keepdims=True))
        # The last bit of the multiplier moves the product by its size times |y - x|.
        assert _obtuse(y, x, points[points.min(axis=1) >= lower]) <= 1e-13


def test_kernels_go_to_balls_within_the_simplex():
    """Feasible; and no feasible kernel, found by moving mass between pairs of entries, makes an acute angle."""
    rng = np.random.default_rng([91, 2])
    for trial in range(40):
        joint = bool(trial % 2)
        S, A, n = 2, 3, 5
        mask = rng.random((S, A, n)) < 0.7
        mask[..., 0] = True
        centre = np.where(mask, rng.random((S, A, n)), 0.0)
        centre /= centre.sum(axis=2, keepdims=True)
        radius = rng.uniform(0, 1, (S, 1) if joint else (S, A))
        y = centre + rng.normal(0, 0.5, (S, A, n))
        x = project_row_balls(y, centre, radius, mask, joint=joint)
        spent = np.abs(x - centre).sum(axis=2)
        spent = spent.sum(axis=1, keepdims=True) if joint else spent
        assert x.min() >= 0 and (x[~mask] == 0).all()
        np.testing.assert_allclose(x.sum(axis=2), 1, atol=1e-13)  # roundings of n numbers of size 1
        assert (spent <= radius + 1e-13).all()
        for _ in range(300):
            other = np.where(mask, rng.random((S, A, n)) ** 4, 0.0)
            other /= other.sum(axis=2, keepdims=True)
            away = np.abs(other - centre).sum(axis=2)
            away = away.sum(axis=1, keepdims=True) if joint else away
            feasible = centre + np.minimum(1.0, radius / np.maximum(away, 1e-300))[:, :, None] * (other - centre)
            assert ((y - x) * (feasible - x)).sum() <= 1e-12  # as the multiplier's last bit allows
