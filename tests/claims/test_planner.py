"""Power of a rate's t-test; the sample-size table is in test_calibration_suite."""

import numpy as np
import pytest

from mdplab.claims.planner import power, runs_needed, sum_of_squares, t_power


def test_power_of_a_noise_free_design_is_what_the_guard_leaves():
    assert power(0.0, 12, 1) == power(1e-9, 12, 1) == 0.95
    assert sum_of_squares(4) == pytest.approx(10 * np.log(2) ** 2)
    assert runs_needed(0.5) == pytest.approx(runs_needed(1.0) / 4)


def test_power_of_a_t_test_is_its_level_at_the_null_and_that_of_a_normal_test_with_many_degrees():
    # No shift: the level itself. One million degrees: the quantiles of the normal law.
    assert t_power(0.0, 7, 0.01) == pytest.approx(0.01)
    assert t_power(2.326348, 10**6, 0.01) == pytest.approx(0.5, abs=1e-4)
    # A critical value of 3183 with one degree of freedom: far tails give a number, not NaN.
    assert 0 <= t_power(3000.0, 1, 1e-4) <= 1
    assert t_power(1e4, 3, 0.01) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power(-1.0, 12, 8), "sigma is -1"),
        (lambda: power(1.0, 1, 8), "instances is 1"),
        (lambda: power(1.0, 12, 8, level=0.0), "level is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
