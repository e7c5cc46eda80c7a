"""What the claims of Li 2023 rest on: the search over pairs, streams, the calibration, what figures show."""

import dataclasses

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.lpo import sensitivity_sampling
from mdplab.claims.discovery import load_paper
from mdplab.papers import li2023

QUICK = load_paper("li2023").card.params["quick"]


def test_the_search_finds_what_a_grid_finds():
    """One dimension: the two ends of the interval."""
    phi, kept, weights = np.array([0.7]), np.array([[0.4], [1.0]]), np.array([3.0, 2.0])
    w = np.linspace(-1.5, 1.5, 301)
    apart = w[:, None] - w
    grid = ((apart * 0.7) ** 2 / (apart**2 * (3 * 0.16 + 2) + 0.8)).max()
    # The grid has the ends; the search stops at 1e-15 of a logarithm.
    assert li2023.brute_force(phi, kept, weights, 0.8, 1.5) == pytest.approx(grid, rel=1e-9)


def test_streams_are_what_they_are_called():
    rng = np.random.default_rng([2111])
    stretched, even, rare = (draw(20_000, 4, rng) for draw in (li2023.stretched, li2023.directions, li2023.rare))
    assert np.linalg.norm(stretched, axis=1).max() <= 1 + 1e-15
    spread = stretched.std(axis=0)
    assert np.all(spread[1:] < 0.75 * spread[:-1])
    # Rounding of a norm.
    np.testing.assert_allclose(np.linalg.norm(even, axis=1), 1, rtol=1e-14)
    share = rare.mean(axis=0)
    assert share.sum() == pytest.approx(1, rel=1e-12) and share[0] > 0.85  # every row has one entry
    # A thousandth of 0.9 in 20,000 draws is 18 expected; more than 50 or none has a chance below 1e-7.
    assert 0 < rare[:, 3].sum() < 50


@pytest.mark.parametrize(("C", "kept"), [(1.0, (124, 264, 459)), (3.0, (289, 669, 1210))])
def test_the_calibration(C, kept):
    """Means over ten streams as recorded; a stream scatters by some four in a hundred, this mean by 1.5."""
    for T, expected in zip((1000, 10_000, 100_000), kept):
        sizes = []
        for key in range(10):
            rng = np.random.default_rng([2112, key])
            sizes.append(li2023._sample(li2023.stretched(T, 5, rng), C, rng)["kept"][0])
        # Six standard errors at the shortest stream.
        assert np.mean(sizes) == pytest.approx(expected, rel=0.09)


def test_no_point_is_kept_for_sure_with_the_large_ridge():
    rng, T = np.random.default_rng([2113]), 2000
    c, marks = float(np.log(T)), np.arange(1, T + 1)
    run = sensitivity_sampling(li2023.directions(T, 5, rng), rng.random(T), scale=c, ridge=2 * c, checkpoints=marks)
    assert run["probability"].max() < 1
    # Then the toll is an equality; a few hundred logarithms.
    np.testing.assert_allclose(run["kept"] * np.log1p(1 / c), run["log_det"], rtol=1e-11)


def test_the_bound_on_the_mean_grows_like_the_square_of_the_logarithm():
    for d, C in ((5, 1.0), (8, 3.0)):
        # T so large that log(1 + T / d) / log T is 1 to a few parts in a thousand.
        T = 10**300
        log = 300 * np.log(10)
        # log(1 + 1 / c) is 1 / c less half its square.
        assert li2023.predicted(T, d, C * log, 1.0) == pytest.approx(C * d * log**2, rel=5e-3)


def test_spectral_ratios_see_both_sides():
    full = np.diag([1.0, 4.0])
    for sampled, ratio in ((np.diag([3.0, 4.0]), 3.0), (np.diag([1.0, 0.5]), 8.0)):
        assert li2023.spectral_ratio(sampled, full) == pytest.approx(ratio, rel=1e-14)  # a diagonal problem


def test_every_path_has_its_probability():
    evidence = li2023._expectation(QUICK, np.random.default_rng([2114]))
    # The last entry of each of three dimensions is the mass of all paths; 512 products.
    assert evidence["left"][-1] == pytest.approx(1.0, abs=1e-13)
    assert len(evidence["left"]) == 9 * (1 + 4 + 9) + 3


def test_the_figures_show_what_their_captions_say():
    small = dataclasses.replace(QUICK, last=20_000)
    table = li2023.figure_samples(small, np.random.default_rng([2115]))
    assert np.all(table["kept"] < table["bound"]) and np.all(table["switches"] < table["kept"])
    last = {name: table[name][-1] for name in ("kept", "square_root", "uniform")}
    assert last["uniform"] > 2 * last["square_root"] > 2 * last["kept"]
    table = li2023.figure_coverage(small, np.random.default_rng([2116]))
    assert table["sensitivity"].max() < 2 < table["unweighted"][-1] and table["uniform"][-1] > 2
    assert np.mean(table["three"]) < np.mean(table["sensitivity"])
    table = li2023.figure_sea(small, np.random.default_rng([2117]))
    assert table["lpo"][-1] > 0.9 < table["every_change"][-1]
    assert max(table["no_bonus"][-1], table["unweighted"][-1]) < 0.5
