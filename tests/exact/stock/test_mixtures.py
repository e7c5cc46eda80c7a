"""The best mixture of laws: against closed forms, a scan over initial stocks, and its own dual."""

import numpy as np
import pytest

from mdplab.exact.stock.mixtures import best_mixture
from mdplab.models import FiniteLaw, ocvar
from tests.exact.stock import tiny


@pytest.mark.parametrize("tau", [0.1, 0.4, 0.7, 1.0])
def test_value_is_the_mixtures_ocvar_and_the_duals_bound(tau):
    for seed in range(10):
        laws = tiny.laws(0.7)[seed]
        best = best_mixture(laws.support, laws.masses, tau)
        weights = np.maximum(best.weights, 0)
        mixed = (weights / weights.sum()) @ laws.masses
        held = mixed > 0
        # HiGHS solves a vertex of at most a few rows: rounding of its basis.
        assert ocvar(FiniteLaw.of(laws.support[held], mixed[held]), tau) == pytest.approx(best.value, rel=0, abs=1e-9)

        def bound(c0, laws=laws):
            return -c0 + (laws.masses @ np.maximum(c0 + laws.support, 0)).max() / tau

        assert bound(best.c0) == pytest.approx(best.value, rel=0, abs=1e-9)  # strong duality, as above
        grid = np.linspace(-laws.support[-1] - 1, -laws.support[0] + 1, 101)
        assert min(bound(c0) for c0 in grid) >= best.value - 1e-9
        assert (best.tail <= mixed + 1e-9).all()


def test_one_law_is_its_own_best_mixture():
    best = best_mixture([0.0, 1.0, 5.0], [[0.5, 0.25, 0.25]], 0.5)
    assert best.weights.tolist() == [1.0]
    assert best.value == pytest.approx(3.0, rel=0, abs=1e-12)  # (5 + 1) / 2
