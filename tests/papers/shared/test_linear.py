"""What the papers on linear problems measure with: the published test, processes that are covered or said not to be."""

import numpy as np
import pytest

from mdplab.claims import NotApplicable
from mdplab.models import LinearMDP
from mdplab.papers.shared import linear as shared


def test_returns_of_the_test_process_are_the_printed_lines():
    for q in (0.0, 0.6):
        risky = np.full((3, 5), 15)
        assert shared.return_on_test(risky, q) == pytest.approx(1.624875 - q, abs=6e-7)  # six printed decimals
        risky[0] = 0
        assert shared.return_on_test(risky, q) == pytest.approx(1.324775 - 0.2 * q, abs=6e-7)  # likewise


def test_covered_processes_are_covered():
    """kappa by the second moments of all features that uniform actions meet, stage by stage."""
    for i in range(10):
        linear = shared.covered_process(np.random.default_rng([88, i]))
        here = linear.start
        for P in linear.kernels():
            met = [(here[s] / linear.A, linear.phi[s, a]) for s in range(linear.S) for a in range(linear.A)]
            assert np.linalg.eigvalsh(sum(w * np.outer(x, x) for w, x in met))[0] >= 0.01 - 1e-12  # rounding
            here = here @ P.mean(axis=1)


def test_a_process_without_a_feature_is_not_applicable(monkeypatch):
    one_feature = LinearMDP(np.tile([1.0, 0.0, 0.0], (6, 4, 1)), np.full((3, 6), 1 / 6), np.zeros((3, 3)), 3, start=0)
    monkeypatch.setattr(shared, "random_linear_mdp", lambda *sizes, rng: one_feature)
    with pytest.raises(NotApplicable, match="kappa > 0"):
        shared.covered_process(np.random.default_rng([88]))


def test_a_radius_on_the_last_factor_alone():
    assert shared.on_the_last(0.3).sum() == shared.on_the_last(0.3)[0, 3] == 0.3
    assert shared.drawn_process(np.random.default_rng([89])).d == 4
