"""Certificates: numbers of the specification, extremes, coverage of the bound from samples, refusals."""

import numpy as np
import pytest

from mdplab.algorithms.robust.policy_smoothing import certified_mean, certified_probability


def test_certified_probabilities():
    """Specification, section G; no budget takes nothing, certain events stay certain."""
    values = [certified_probability(0.5, budget, 1.0) for budget in (0.25, 0.5, 1.0, 2.0)]
    assert values == pytest.approx([0.4013, 0.3085, 0.1587, 0.0228], abs=5.1e-5)  # half a unit of the last digit
    assert certified_probability(0.6827, 0.5, 1.0) == pytest.approx(0.4901, abs=1e-4)  # a rounded argument
    p = np.array([0.0, 0.3, 1.0])
    np.testing.assert_allclose(certified_probability(p, 0.0, 2.0), p, atol=1e-15)  # inverse and back
    assert certified_probability(1.0, 5.0, 1.0) == 1 and certified_probability(0.0, 0.1, 1.0) == 0


def test_confidence_bounds_cover_and_are_not_idle():
    """Clopper and Pearson at 10 % on 30 trials: the exact chance of a bound above p, which is discrete."""
    rng = np.random.default_rng([50])
    for p in (0.3, 0.7):
        returns = (rng.random((2000, 30)) < p).astype(float)
        above = [certified_mean(one, [0, 1], 0.0, 1.0, delta=0.1, joint=False) > p for one in returns]
        # At most 0.1, and at least 0.02 by discreteness; four standard errors of 0.0067: false alarm 6e-5 each.
        assert 0.02 < np.mean(above) < 0.1 + 0.027


def test_joint_band_by_hand():
    returns = np.repeat([0.0, 1.0, 3.0], [10, 30, 60])
    width = np.sqrt(np.log(20) / 200)
    expected = (0.9 - width) * 1 + (0.6 - width) * 2
    assert certified_mean(returns, [0, 1, 3], 0.0, 1.0, delta=0.05) == pytest.approx(expected, rel=1e-12)  # and back
    attacked = certified_mean(returns, [0, 1, 3], 0.5, 1.0, delta=0.05)
    assert 0 < attacked < expected - 0.2
    assert certified_mean(np.zeros(5), [0, 1], 0.5, 1.0, delta=0.05, joint=False) == 0


def test_refusals():
    with pytest.raises(ValueError, match="budget is -1; expected at least 0"):
        certified_probability(0.5, -1, 1.0)
    with pytest.raises(ValueError, match="sigma is 0; expected above 0"):
        certified_probability(0.5, 1, 0)
    with pytest.raises(ValueError, match=r"thresholds are \[1.0, 0.0\]; expected at least two, increasing"):
        certified_mean(np.ones(3), [1, 0], 0.5, 1.0, delta=0.1)
    with pytest.raises(ValueError, match="a return is -1, below the first threshold 0"):
        certified_mean(np.array([-1.0]), [0, 1], 0.5, 1.0, delta=0.1)
    with pytest.raises(ValueError, match="delta is 1; expected strictly between 0 and 1"):
        certified_mean(np.ones(3), [0, 1], 0.5, 1.0, delta=1)
