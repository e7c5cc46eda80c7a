import numpy as np
import pytest
from kernels.robust import programs, saddles

from mdplab.kernels.robust import interval, l1


def boxes(key):
    """(z, lo, hi) with sum lo <= 1 <= sum hi, now and then with equality, and the row inside."""
    for z, p, fraction, rng in programs.random_rows(key):
        n = len(z)
        lo, hi = p * rng.random(n) ** fraction, np.minimum(1.0, p + fraction * rng.random(n))
        yield z, lo, hi, p


def dual(z, lo, hi, side=1.0):
    """max over nu in z of nu + sum min(lo (z - nu), hi (z - nu))."""
    gap = z - z[:, None]
    return (z + side * np.minimum(lo * gap, hi * gap).sum(axis=1)).max()


def feasible(q, lo, hi):
    return (q >= lo - 1e-15).all() and (q <= hi + 1e-15).all() and abs(q.sum() - 1) <= 1e-12


def test_intervals_solve_the_program_and_its_dual():
    for z, lo, hi, _ in boxes(321):
        q = np.empty_like(z)
        value = interval.interval_row(z, lo, hi, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        # The widest box within rounding of the given one: where its sum is one up to rounding, the given may be empty.
        assert abs(value - programs.box(z, lo * (1 - 1e-14), hi * (1 + 1e-14))) <= scale
        assert abs(value - dual(z, lo, hi)) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        assert feasible(q, lo, hi)


def test_the_wrong_side_of_the_dual_would_be_seen():
    misses = 0
    for z, lo, hi, _ in boxes(321):
        misses += abs(interval.interval_row(z, lo, hi, np.empty_like(z)) - dual(z, lo, hi, side=-1.0)) > 1e-6
    assert misses > 100


def test_linf_balls_solve_the_program():
    for z, p, fraction, _ in programs.random_rows(322):
        q = np.empty_like(p)
        value = interval.linf_row(z, p, fraction, q)
        lo, hi = np.maximum(0, p - fraction), np.minimum(1, p + fraction)
        assert abs(value - programs.box(z, lo, hi)) <= saddles.NEAR * (1 + np.abs(z).max())
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        assert feasible(q, lo, hi)


def test_cvar_solves_the_program_and_its_dual():
    for z, p, fraction, _ in programs.random_rows(323):
        level, q = (1.0, 1.0 - 1e-7, 0.6, 0.1, 1e-3)[programs.FRACTIONS.index(fraction)], np.empty_like(p)
        value = interval.cvar_row(z, p, level, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        assert abs(value - programs.box(z, 0 * p, np.minimum(1, p / level + 1e-15))) <= scale
        assert abs(value - max(t - p @ np.maximum(t - z, 0) / level for t in z)) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        assert feasible(q, 0 * p, p / level)


def test_limits():
    z, p = programs.random_row("zeros", 20, np.random.default_rng([324]))
    q = np.empty(20)
    assert interval.linf_row(z, p, 0.0, q) == pytest.approx(z @ p, rel=1e-14)  # one dot product
    assert interval.linf_row(z, p, 1.0, q) == pytest.approx(z.min(), rel=1e-14)  # one dot product
    assert interval.cvar_row(z, p, 1.0, q) == pytest.approx(z @ p, rel=1e-14)  # one dot product
    # CVaR stays on the nominal support.
    z[np.flatnonzero(p == 0)[0]] = z.min() - 1
    assert interval.cvar_row(z, p, 1e-6, q) == pytest.approx(z[p > 0].min(), rel=1e-14)  # one dot product


def test_an_l1_ball_lies_in_the_linf_ball_of_half_its_radius():
    for z, p, fraction, _ in programs.random_rows(326, count=60):
        q, slack = np.empty_like(p), 1e-14 * (1 + np.abs(z).max())
        assert interval.linf_row(z, p, fraction, q) <= l1.l1_row(z, p, 2 * fraction, q) + slack
    z, p, q = np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 0.25), np.empty(4)
    # Worked by hand: two entries give, two receive, against one and one.
    assert interval.linf_row(z, p, 0.125, q) == 1.5 - 0.125 * (3 + 2 - 1) and l1.l1_row(z, p, 0.25, q) == 1.5 - 0.375


def test_ragged_rows_are_the_rows():
    rng = np.random.default_rng([325])
    rows = [programs.random_row(kind, n, rng) for n in (2, 7, 30) for kind in programs.KINDS]
    z, p, indptr = programs.ragged(rows)
    radius, N = rng.uniform(0.01, 0.5, size=len(rows)), len(rows)
    lo, hi = p * rng.random(len(p)), p * 3
    families = {
        "interval": (lambda *a: interval.interval_rows(z, indptr, lo, hi, *a),
                     lambda k, c, q: interval.interval_row(z[c], lo[c], hi[c], q)),
        "linf": (lambda *a: interval.linf_rows(z, p, indptr, radius, *a),
                 lambda k, c, q: interval.linf_row(z[c], p[c], radius[k], q)),
        "cvar": (lambda *a: interval.cvar_rows(z, p, indptr, radius, *a),
                 lambda k, c, q: interval.cvar_row(z[c], p[c], radius[k], q)),
    }  # fmt: skip
    for many, one in families.values():
        value, q = np.full(N, np.nan), np.full(len(z), np.nan)
        many(1, N, value, q)
        assert np.isnan(value[0]) and np.isnan(q[:2]).all()
        for k in range(1, N):
            cut, alone = slice(indptr[k], indptr[k + 1]), np.empty(len(rows[k][0]))
            assert value[k] == one(k, cut, alone)
            assert np.array_equal(q[cut], alone)
