import numpy as np
from kernels.robust import cones, duals

from mdplab.kernels.robust import euclidean, l1

# Fifty terms of a sum and a root to a few roundings; the dual's grids leave as much.
SHARP = 3e-13


def value(z, p, radius):
    return euclidean.l2_row(z, p, radius, np.empty_like(p))


def test_worst_rows_are_feasible_and_attain_the_dual():
    gaps, infeasible, missed = duals.row_faults("l2", euclidean.l2_row)
    assert gaps.max() <= SHARP
    assert infeasible <= SHARP
    assert missed <= SHARP


def test_a_radius_wrong_by_a_millionth_is_seen():
    gaps, _, _ = duals.row_faults("l2", euclidean.l2_row, slip=1 + 1e-6)
    assert np.sum(gaps > SHARP) > 50


def test_rows_solve_the_cone_program():
    for t in range(220):
        z, p = duals.random_row(t, np.random.default_rng([331, t]))
        radius = (1e-4, 1e-2, 0.1, 0.5, 2.0)[(t // 5) % 5]
        program = cones.program("l2", z, p, np.array([0, z.size]), radius)
        # A row that varies by 1e-13 (1 + |z|) counts as constant.
        near = cones.NEAR * np.ptp(z) + SHARP * (1 + np.abs(z).max())
        assert abs(value(z, p, radius) - program) <= near


def test_limits_and_nesting():
    """A.6.4: the Euclidean ball lies in the L1 ball of sqrt(n) times its radius, and strictly so on three entries."""
    for t in range(200):
        rng = np.random.default_rng([332, t])
        z, p = duals.random_row(t, rng)
        slack, radius = SHARP * (1 + np.abs(z).max()), rng.exponential()
        assert abs(value(z, p, 0.0) - p @ z) <= slack
        assert abs(value(z, p, np.sqrt(2.0)) - z.min()) <= slack
        assert value(z, p, radius) >= value_l1(z, p, radius * np.sqrt(z.size)) - slack
    z, p = np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3)
    assert value(z, p, 0.1) > value_l1(z, p, 0.1 * np.sqrt(3)) + 1e-3
    # Inside the simplex the ball is round: the mean less radius times the norm of the centred objective.
    assert abs(value(z, p, 0.1) - (1 - 0.1 * np.sqrt(2))) <= SHARP


def value_l1(z, p, radius):
    return l1.l1_row(z, p, radius, np.empty_like(p))
