"""What the claims rest on: the factor against simulation, counts of retrainings, and a world that answers at once."""

import numpy as np
import pytest

from mdplab.algorithms.performative import delayed_retraining
from mdplab.claims import NotApplicable
from mdplab.claims.discovery import load_paper
from mdplab.models import Trace
from mdplab.papers import rank2024

QUICK = load_paper("rank2024").card.params["quick"]


@pytest.mark.parametrize(("w", "k"), [(0.15, 1), (0.15, 3), (0.5, 10), (1.0, 2)])
def test_the_factor_with_one_state(w, k):
    problem, stable = rank2024._one_state(0.8, 1.0, np.random.default_rng([56, k]))
    start = stable + 1e-2 * np.array([[1.0, -1.0, 0.0]])
    off = delayed_retraining(problem, 1.0, w=w, k=k, num_retrainings=6, start=start)["d"] - stable
    off = np.linalg.norm(off, axis=(1, 2))
    # Rounding 1e-15 over distances above 1e-4.
    assert off[2:] / off[1:-1] == pytest.approx(rank2024.factor(0.8, w, k), abs=1e-9)
    assert off[1] / off[0] == pytest.approx(0.8, abs=1e-9)  # likewise


def test_delay_saves_retrainings_and_costs_deployments():
    for w in (0.05, 0.15, 0.5):
        factors = np.array([rank2024.factor(0.5, w, k) for k in range(1, 12)])
        assert np.all(np.diff(factors) < 0)
        assert np.all(np.diff(factors ** (1 / np.arange(1, 12))) > 0)


def test_counting_retrainings():
    d = np.array([4.0, 2.0, 0.3, 0.5, 0.1, 0.05]).reshape(6, 1, 1)
    assert rank2024._needed(Trace(np.arange(6), {"d": d}), np.zeros((1, 1)), 0.1) == 4
    with pytest.raises(NotApplicable, match=r"5 retrainings do not bring the distance to 0\.01"):
        rank2024._needed(Trace(np.arange(6), {"d": d}), np.zeros((1, 1)), 0.01)


def test_figures_show_what_they_say():
    table = rank2024.figure_retrainings(QUICK, np.random.default_rng([56, 20]))
    assert table["w_0.15_k_3"][20] < 0.1 * table["w_0.15_k_1"][20]
    dear = rank2024.figure_deployments(QUICK, np.random.default_rng([56, 21]))
    assert np.all(np.diff(dear["retrainings_0.15"]) < 0) and np.all(np.diff(dear["deployments_0.15"]) > 0)
