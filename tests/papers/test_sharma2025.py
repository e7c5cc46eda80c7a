"""What the claims about small-gain certificates rest on: witnesses that floats agree with, figures that show them."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.games import small_gain as sg
from mdplab.certify.small_gain import check_small_gain
from mdplab.instances.smooth_games import rk4_game
from mdplab.papers import sharma2025

PARAMS = sharma2025.Params(games=4, draws=8, steps=200, cells=2)


def test_rk4_witness_agrees_with_floats():
    eps, x = Fraction(1, 1000), np.array([5.0, -13.0, 10.0])
    growth = sharma2025.rational_rk4_growth(eps, Fraction(5, 2))
    h = 2.5 / (3.73206 + 1e-3)
    moved = sg.rk4_polynomial(rk4_game().H, h) @ x
    assert float(growth) == pytest.approx(moved @ moved / (x @ x) - 1, abs=1e-12)  # rounding
    assert growth > 0.01 and sharma2025.rational_rk4_growth(eps, Fraction(3, 2)) < 0
    # The bound of beta is one: it is refused where it would not be.
    assert sg.metric_norm(rk4_game().H, np.ones(3), (1, 1, 1)) < 3.73206 + 1e-3


def test_games_called_certified_are():
    for kind in ("linear", "tanh"):
        game, certificate = sharma2025.certified(PARAMS, np.random.default_rng([7, 60]), kind)
        assert check_small_gain(game, certificate) and certificate.alpha > 0


def test_stages_of_certified_rk4_steps_stay_in_the_box():
    """Starts within 1.2 of the centre, boxes of half-width 3: |F| <= 1.5 * 1.2 + 1, and three half or whole steps."""
    for k in range(20):
        game, c = sharma2025.certified(PARAMS, np.random.default_rng([7, 61, k]), "tanh")
        h = sg.largest_step(sg.rk4_smooth_factor, c.alpha, c.beta)
        x = np.random.default_rng([7, 62, k]).uniform(-1.2, 1.2, (50, game.d))
        stage, F = x, game.pseudo_gradient
        for part in (0.5, 0.5, 1.0):
            stage = x - part * h * F(stage)
            assert np.abs(stage).max() <= 3
        assert np.abs(sg.rk4_step(game, x, h=h)).max() <= 3


def test_figures_show_what_they_say():
    rng = np.random.default_rng([7, 63])
    phase = sharma2025.figure_phase(PARAMS, rng)
    assert max(phase["euclidean"]) > 3 and np.all(np.diff(phase["metric"]) < 0)
    assert np.all(phase["metric"] <= phase["bound"])
    for figure, ends in ((sharma2025.figure_band, (34.3146, 1165.685)), (sharma2025.figure_markov, (0.13265, 7.53871))):
        table = figure(PARAMS, rng)
        inside = table["ratio"][np.array(table["margin"]) > 0]
        np.testing.assert_allclose([inside[0], inside[-1]], ends, rtol=0.04)  # the grid of 200 ratios


@pytest.mark.full
def test_five_thousand_certified_games_never_expand():
    """1700 linear, 1700 tanh and 1700 polymatrix games: all pairs approach by the promised factor, some just so."""
    largest = []
    for k in range(850):
        rng = np.random.default_rng([7, 64, k])
        for evidence in (sharma2025.never_false_accept.function(PARAMS, rng), _entropic(k)):
            ratio = np.asarray(evidence["measured"]) / np.asarray(evidence["bound"])
            assert np.all(ratio <= 1)
            largest.append(float(ratio.max()))
    assert max(largest) > 0.999


def _entropic(k):
    params = sharma2025.Params(games=2, draws=8, steps=200, cells=2)
    return sharma2025.entropic.function(params, np.random.default_rng([7, 65, k]))
