import numpy as np
import pytest
from kernels.robust import programs, saddles

from mdplab.kernels.robust import l1, mixtures


def test_contamination_solves_the_program_and_its_closed_form():
    for z, p, fraction, _ in programs.random_rows(331):
        radius, q = min(fraction, 1.0), np.empty_like(p)
        value = mixtures.contamination_row(z, p, radius, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        assert abs(value - programs.box(z, (1 - radius) * p, np.ones(len(p)))) <= scale
        assert abs(value - ((1 - radius) * (z @ p) + radius * z.min())) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13, abs=1e-15)  # the same sum in another order
        assert (q >= (1 - radius) * p).all() and abs(q.sum() - 1) <= 1e-13


def test_contamination_lies_inside_the_tv_ball_and_is_not_it():
    z, p, q = np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.empty(2)
    assert mixtures.contamination_row(z, p, 0.2, q) == pytest.approx(0.4, rel=1e-15)  # worked by hand
    assert l1.l1_row(z, p, 0.4, q) == pytest.approx(0.3, rel=1e-15)  # worked by hand
    for z, p, fraction, _ in programs.random_rows(332, count=60):
        q, radius = np.empty_like(p), min(fraction, 1.0)
        slack = 1e-14 * (1 + np.abs(z).max())
        assert l1.l1_row(z, p, 2 * radius, q) <= mixtures.contamination_row(z, p, radius, q) + slack


def test_ragged_rows_are_the_rows():
    rng = np.random.default_rng([333])
    rows = [programs.random_row(kind, n, rng) for n in (2, 7, 30) for kind in programs.KINDS]
    z, p, indptr = programs.ragged(rows)
    radius, value, q = rng.random(len(rows)), np.full(len(rows), np.nan), np.full(len(z), np.nan)
    mixtures.contamination_rows(z, p, indptr, radius, 1, len(rows), value, q)
    assert np.isnan(value[0]) and np.isnan(q[:2]).all()
    for k in range(1, len(rows)):
        cut, alone = slice(indptr[k], indptr[k + 1]), np.empty(len(rows[k][0]))
        assert value[k] == mixtures.contamination_row(z[cut], p[cut], radius[k], alone)
        assert np.array_equal(q[cut], alone)


def test_models_are_the_least_of_products():
    rng = np.random.default_rng([334])
    indptr = np.array([0, 3, 5, 12, 13])
    z, p = rng.normal(size=13), rng.random((6, 13))
    value, q = np.full(4, np.nan), np.full(13, np.nan)
    mixtures.models_rows(z, p, indptr, 0, 3, value, q)
    for k in range(3):
        cut = slice(indptr[k], indptr[k + 1])
        products = p[:, cut] @ z[cut]
        assert value[k] == pytest.approx(products.min(), rel=1e-14, abs=1e-15)  # the same sum in another order
        assert np.array_equal(q[cut], p[products.argmin(), cut])
    assert np.isnan(value[3]) and np.isnan(q[12])
