from fractions import Fraction

import numpy as np
import pytest

from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax


def test_softmax_and_its_logarithm_agree_and_shift():
    x = np.random.default_rng([32, 1]).standard_normal((4, 3, 7)) * 5
    # One exp, one sum of 7 terms, one division: 16 units of rounding.
    np.testing.assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-13)
    np.testing.assert_allclose(x - logsumexp(x)[..., None], log_softmax(x), atol=1e-13)  # sizes up to 20
    np.testing.assert_allclose(softmax(x + 1000.0), softmax(x), rtol=2e-12)  # x + 1000 is rounded to 1e-13


@pytest.mark.parametrize("size", [1e-14, 1e-9, 1e-4, 0.05, 1.0, 30.0])
def test_kl_keeps_relative_accuracy(size):
    """Against 60-digit arithmetic on the same floats."""
    import mpmath

    rng = np.random.default_rng([32, 2])
    a = rng.standard_normal(6)
    b = a + size * rng.standard_normal(6)
    with mpmath.workdps(60):
        p, q = ([mpmath.e ** mpmath.mpf(float(v)) for v in x] for x in (a, b))
        exact = sum(x / sum(p) * mpmath.log(x / sum(p) / (y / sum(q))) for x, y in zip(p, q))
    # b - a is known to 2^-53 relative to a; the divergence is quadratic in it.
    assert float(kl_divergence(a, b)) == pytest.approx(float(exact), rel=1e-12 + 4e-16 / size)


def test_kl_of_rational_distributions():
    p, q = [Fraction(1, 4), Fraction(3, 4)], [Fraction(1, 2), Fraction(1, 2)]
    expected = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    # Two logarithms and two products.
    assert float(kl_divergence(np.log([float(x) for x in p]), np.log([float(x) for x in q]))) == pytest.approx(
        expected, rel=1e-14
    )


def test_kl_is_never_negative_and_survives_extreme_logits():
    a = np.array([0.0, -1e-9, 2e-9])
    assert kl_divergence(a, a) == 0
    assert kl_divergence(np.zeros(2), np.array([0.0, -5000.0])) == pytest.approx(
        2500 - np.log(2), rel=1e-14
    )  # rounding
    assert np.all(kl_divergence(np.random.default_rng([32, 3]).standard_normal((100, 3)), np.zeros(3)) > 0)


def test_kl_of_a_probability_that_underflows():
    # p e^d is 1 there: log E_p e^d = log 2.
    for logit in (-700.0, -720.0, -800.0):
        assert kl_divergence(np.array([0.0, logit]), np.zeros(2)) == pytest.approx(np.log(2), rel=1e-15)  # one rounding
