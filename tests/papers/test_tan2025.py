"""What the claims of Tan 2025 rest on: the constant of the tracking error, slopes, common random numbers."""

import numpy as np
import pytest

from mdplab.claims.discovery import load_paper
from mdplab.papers import tan2025

QUICK = load_paper("tan2025").card.params["quick"]


@pytest.mark.parametrize("A", [2, 3, 7])
def test_the_constant_is_the_largest_gap(A):
    x = np.linspace(0, 10, 100_001)
    gap = (A - 1) * x * np.exp(-x) / (1 + (A - 1) * np.exp(-x))
    # A maximum seen through a grid of 1e-4: curvature below 1.
    assert gap.max() == pytest.approx(tan2025.sharp_constant(A), abs=1e-8)
    rng = np.random.default_rng([494, A])
    many = rng.exponential(2.0, (20_000, A - 1))
    weights = np.exp(-many)
    assert ((many * weights).sum(axis=1) / (1 + weights.sum(axis=1))).max() <= tan2025.sharp_constant(A)
    assert tan2025.sharp_constant(A) < 0.5 * np.log(A)


def test_a_square_root_over_a_logarithm_has_the_corrected_slope_one_half():
    T = 250.0 * 2 ** np.arange(5)
    assert tan2025.corrected_slope(T, 3 * np.sqrt(T / np.log(T))) == pytest.approx(0.5, abs=1e-12)  # rounding of a fit


def test_the_actor_alone_does_not_depend_on_what_is_drawn():
    problem = tan2025.finite_class(1, rng=np.random.default_rng([495]))
    first, second = (tan2025._regrets(QUICK, problem, np.random.default_rng([496, k]))[1] for k in range(2))
    assert np.array_equal(first, second)


def test_both_sides_of_a_comparison_draw_alike():
    evidence = tan2025._compare(tan2025._total(), tan2025._total())(QUICK, np.random.default_rng([497]))
    assert np.array_equal(evidence["left"], evidence["right"])


def test_data_that_hide_the_last_cell_miss_it():
    sea = tan2025.deep_sea_episodic(6)
    for hide in (False, True):
        data = tan2025.collect(sea, tan2025.behaviour(6, hide=hide), 300, rng=np.random.default_rng([498]))
        seen = ((data.states[:, 5] == 5) & (data.actions[:, 5] == 1)).any()
        assert seen != hide
