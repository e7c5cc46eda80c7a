import numpy as np
import pytest
from kernels.robust import cones, duals

from mdplab.kernels.robust import l1

ROWS = {kind: duals.ball_row(kind) for kind in duals.KINDS}
# Fifty terms of a sum and a root to a few roundings; the dual's grids leave as much.
SHARP = 3e-13


def value(row, z, p, radius):
    return row(z, p, radius, np.empty_like(p))


@pytest.mark.parametrize("kind", ROWS)
def test_worst_rows_are_feasible_and_attain_the_dual(kind):
    gaps, infeasible, missed = duals.row_faults(kind, ROWS[kind])
    assert gaps.max() <= SHARP
    assert infeasible <= SHARP
    assert missed <= SHARP


@pytest.mark.parametrize("kind", ROWS)
def test_a_radius_wrong_by_a_millionth_is_seen(kind):
    gaps, _, _ = duals.row_faults(kind, ROWS[kind], slip=1 + 1e-6)
    assert np.sum(gaps > SHARP) > 50


@pytest.mark.parametrize("kind", ROWS)
def test_rows_solve_the_cone_program(kind):
    for t in range(220):
        z, p = duals.random_row(t, np.random.default_rng([311, t]))
        radius = (1e-4, 1e-2, 0.1, 0.5, 2.0)[(t // 5) % 5]
        program = cones.program(kind, z, p, np.array([0, z.size]), radius)
        # A row that varies by 1e-13 (1 + |z|) counts as constant.
        near = cones.NEAR * np.ptp(z) + SHARP * (1 + np.abs(z).max())
        assert abs(value(ROWS[kind], z, p, radius) - program) <= near


def test_closed_forms_on_two_states():
    z, p = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    # The radius of the KL ball is a difference of two terms of size eps^2: the value inherits its rounding, over eps.
    for eps in (1e-9, 1e-3, 0.2, 0.45):
        q = 0.5 + eps
        kl = eps * np.log1p(2 * eps) - eps * np.log1p(-2 * eps) + 0.5 * np.log1p(-4 * eps * eps)
        radii = {"kl": kl, "burg": -0.5 * np.log1p(-4 * eps * eps), "chi2": 4 * eps * eps}
        for kind, radius in radii.items():
            assert abs(value(ROWS[kind], z, p, radius) - (1 - q)) <= (1e-15 / eps if kind == "kl" else 1e-15)


def test_limits():
    for t in range(100):
        z, p = duals.random_row(t, np.random.default_rng([312, t]))
        support, scale = z[p > 0], 1 + np.abs(z).max()
        for row in ROWS.values():
            assert abs(value(row, z, p, 0.0) - p @ z) <= SHARP * scale
        least = p[p > 0][support <= support.min() + 1e-13 * scale].sum()
        assert abs(value(ROWS["kl"], z, p, -np.log(least)) - support.min()) <= SHARP * scale
        assert abs(value(ROWS["chi2"], z, p, (1 - least) / least) - support.min()) <= SHARP * scale
        # Burg's ball may leave the support, and comes as near to the least of all entries as its radius is large.
        bottom = z.min() if least < 1 or z.min() < support.min() else support.min()
        assert abs(value(ROWS["burg"], z, p, 80.0) - bottom) <= SHARP * scale + np.exp(-40.0) * np.ptp(z)


def test_support():
    z, p, q = np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.5, 0.5]), np.empty(3)
    for row in (ROWS["kl"], ROWS["chi2"]):
        assert row(z, p, 50.0, q) == 1.0 and q.tolist() == [0.0, 1.0, 0.0]
    ROWS["burg"](z, p, 2.0, q)
    assert q[0] > 0.5
    # Without the unsupported entry, less can be done.
    assert value(ROWS["burg"], z, p, 2.0) < value(ROWS["burg"], z[1:].copy(), p[1:].copy(), 2.0) - 0.3


def test_nested_sets():
    """A.6.4, each between sets of one nominal row; the reverse inclusions fail on a fair coin."""
    for t in range(200):
        rng = np.random.default_rng([313, t])
        z, p = duals.random_row(t, rng)
        rho, slack = rng.exponential() * 0.5, SHARP * (1 + np.abs(z).max())
        kl = value(ROWS["kl"], z, p, rho)
        assert value(l1.l1_row, z, p, 2 * np.sqrt(rho / 2)) <= kl + slack  # Pinsker
        assert value(l1.l1_row, z, p, 2 * np.sqrt(rho / 2)) <= value(ROWS["burg"], z, p, rho) + slack
        assert value(ROWS["kl"], z, p, np.log1p(rho)) <= value(ROWS["chi2"], z, p, rho) + slack  # KL <= log(1 + chi2)
    z, p = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    assert value(l1.l1_row, z, p, 2 * np.sqrt(0.05)) < value(ROWS["kl"], z, p, 0.1) - 1e-3
    assert value(ROWS["kl"], z, p, np.log1p(0.1)) < value(ROWS["chi2"], z, p, 0.1) - 1e-5


def test_limits_and_nesting_of_the_euclidean_ball():
    """A.6.4: the Euclidean ball lies in the L1 ball of sqrt(n) times its radius, and strictly so on three entries."""
    l2 = ROWS["l2"]
    for t in range(200):
        rng = np.random.default_rng([332, t])
        z, p = duals.random_row(t, rng)
        slack, radius = SHARP * (1 + np.abs(z).max()), rng.exponential()
        assert abs(value(l2, z, p, np.sqrt(2.0)) - z.min()) <= slack
        assert value(l2, z, p, radius) >= value(l1.l1_row, z, p, radius * np.sqrt(z.size)) - slack
    z, p = np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3)
    assert value(l2, z, p, 0.1) > value(l1.l1_row, z, p, 0.1 * np.sqrt(3)) + 1e-3
    # Inside the simplex the ball is round: the mean less radius times the norm of the centred objective.
    assert abs(value(l2, z, p, 0.1) - (1 - 0.1 * np.sqrt(2))) <= SHARP


def test_one_call_for_ties_and_splits():
    """An entry split in two with one objective changes nothing: ties are not an order."""
    for kind in ("kl", "burg", "chi2"):
        row = ROWS[kind]
        for t in range(60):
            z, p = duals.random_row(t, np.random.default_rng([314, t]))
            radius = duals.RADII[t % 10]
            split = value(row, np.append(z, z[0]), np.append(p, 0.0) * 1.0, radius)
            halves = np.append(p, 0.5 * p[0])
            halves[0] *= 0.5
            twice = value(row, np.append(z, z[0]), halves, radius)
            near = SHARP * (1 + np.abs(z).max())
            assert abs(value(row, z, p, radius) - twice) <= near, (kind, t)
            assert abs(value(row, z, p, radius) - split) <= near, (kind, t)
