"""Kernels of linear learners against plain NumPy: signed estimates, whose duals are not concave, among them."""

import numpy as np
import pytest

from mdplab.kernels.linear import (
    L1,
    L2,
    MAHALANOBIS,
    NOMINAL,
    SOFT_CHI2,
    SOFT_KL,
    SOFT_TV,
    TV,
    add_feature,
    factor_values,
    mirror_step,
    regularised,
    width,
)


def estimates(kind, M, v, size, least=None):
    out = np.empty(len(M))
    least = v.min() if least is None else least
    factor_values(kind, M, v, np.argsort(v), np.full(len(M), float(size)), least, 10.0, out)
    return out


def cases():
    rng = np.random.default_rng([31])
    for _ in range(60):
        S = int(rng.integers(1, 9))
        v = rng.choice([0.0, 1.0, 1.0, 2.5, 4.0], S) if rng.random() < 0.3 else 5 * rng.random(S)
        # Signed rows near a distribution, as ridge regression leaves them.
        yield rng.dirichlet(np.ones(S), 3) + 0.3 * rng.standard_normal((3, S)), v, float(rng.uniform(0.05, 0.9))


def test_plain_and_capped_means():
    for M, v, size in cases():
        # Sums of at most eight products of size five.
        np.testing.assert_allclose(estimates(NOMINAL, M, v, 0), M @ v, rtol=0, atol=1e-14)
        np.testing.assert_allclose(
            estimates(SOFT_TV, M, v, size), M @ np.minimum(v, v.min() + size), rtol=0, atol=1e-14
        )


def test_the_kl_estimate_and_its_floor():
    for M, v, size in cases():
        inner = np.maximum(M @ np.exp(-v / size), np.exp(-10.0 / size))
        np.testing.assert_allclose(estimates(SOFT_KL, M, v, size), -size * np.log(inner), rtol=1e-12)  # one logarithm


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_dual_of_total_variation_is_searched_to_its_highest_knot(shift):
    for M, v, size in cases():
        least = v.min() - shift
        grid = np.concatenate([[0.0, max(least, 0.0)], v, np.linspace(0, v.max(), 2001)])
        dense = np.array([M @ np.minimum(v, a) - size * max(a - least, 0) for a in grid]).T
        found = estimates(TV, M, v, size, least)
        assert np.all(found >= dense.max(axis=1) - 1e-12)  # the knots are on the grid: rounding only
        assert np.all(found <= dense.max(axis=1) + 1e-12)


def test_the_dual_of_chi_square_is_searched_on_every_piece():
    for M, v, size in cases():
        grid = np.concatenate([v, np.linspace(v.min(), v.max(), 4001)])
        a = np.array([M @ np.minimum(v, x) for x in grid]).T
        b = np.array([M @ np.minimum(v, x) ** 2 for x in grid]).T
        dense = (a - (b - a**2) / (4 * size)).max(axis=1)
        found = estimates(SOFT_CHI2, M, v, size)
        assert np.all(found >= dense - 1e-11)  # never below a point of the grid; cancellation of squares of size 1e2
        # Above it by what a grid of 4001 points misses of a quadratic of curvature at most sum |m|^2 / (2 size) < 100.
        assert np.all(found <= dense + 100 * (np.ptp(v) / 4000) ** 2 + 1e-11)


def test_widths():
    rng = np.random.default_rng([32])
    A = rng.standard_normal((4, 4))
    inverse, phi = A @ A.T + np.eye(4), rng.dirichlet(np.ones(4))
    root = phi * np.sqrt(np.diagonal(inverse))
    assert width(phi, inverse, L1) == pytest.approx(root.sum(), rel=1e-14)  # four terms
    assert width(phi, inverse, L2) == pytest.approx(np.sqrt((root**2).sum()), rel=1e-14)  # four terms
    assert width(phi, inverse, MAHALANOBIS) == pytest.approx(np.sqrt(phi @ inverse @ phi), rel=1e-14)  # sixteen terms
    assert width(phi, inverse, L2) <= width(phi, inverse, L1)


def test_updated_inverses_are_inverses():
    rng = np.random.default_rng([33])
    inverse, A, scratch = np.eye(5) / 0.7, 0.7 * np.eye(5), np.empty(5)
    for _ in range(300):
        phi = rng.dirichlet(np.ones(5))
        add_feature(inverse, phi, scratch)
        A += np.outer(phi, phi)
    np.testing.assert_allclose(inverse, np.linalg.inv(A), rtol=0, atol=1e-12)  # 300 updates of a matrix of condition 30


def test_the_regularised_step_is_the_maximiser():
    rng = np.random.default_rng([34])
    for tau in (0.05, 1.0):
        q, ref, pi = rng.standard_normal(6), rng.dirichlet(np.ones(6)), np.empty(6)
        value = regularised(q, ref, tau, pi)
        other = rng.dirichlet(np.ones(6), 50)
        worth = other @ q - tau * (other * np.log(other / ref)).sum(axis=1)
        loss = tau * (other * np.log(other / pi)).sum(axis=1)
        # The identity value - worth = tau KL(other || pi): exact.
        np.testing.assert_allclose(value - worth, loss, rtol=0, atol=1e-13)
    assert regularised(np.array([1.0, 2.0, 2.0]), np.ones(3) / 3, 0.0, pi[:3]) == 2.0
    assert pi[:3].tolist() == [0, 1, 0]


def test_mirror_steps_shrink_the_log_ratio_to_the_closed_form():
    """By 1 / (1 + eta tau) a step, exactly (our specification, B.4.6)."""
    rng = np.random.default_rng([35])
    q, ref, tau, eta = rng.standard_normal(5), rng.dirichlet(np.ones(5)), 0.3, 0.8
    best, pi, log_pi = np.empty(5), np.empty(5), np.log(rng.dirichlet(np.ones(5)))
    regularised(q, ref, tau, best)

    def off():
        ratio = log_pi - np.log(best)
        return ratio - ratio.mean()

    before = off()
    for _ in range(10):
        value = mirror_step(q, ref, tau, eta, log_pi, pi)
        np.testing.assert_allclose(off(), before / (1 + eta * tau), rtol=0, atol=1e-14)  # numbers of size one
        assert value == pytest.approx(pi @ q - tau * (pi * np.log(pi / ref)).sum(), rel=1e-13)  # five terms
        before = off()
