"""The named chains of the paper's module, the rule for a budget, and what figures rest on."""

import numpy as np
import pytest

from mdplab.exact.gradient_variance import correlations, estimate_variance, long_run, many_actions_win
from mdplab.papers import nauman2023

PARAMS = nauman2023.Params(states=3, chains=40, samples=500, evaluations=60, drawn=200, budget=100.0)


def test_two_states_attain_the_largest_gain():
    parts = correlations(*nauman2023.steered(1.0, 0.0, nauman2023.BEST_LEAN), lags=1)
    ratio = estimate_variance(parts, 1, 2) / estimate_variance(parts, 2, 1)
    assert ratio == pytest.approx(2 / (1 + np.sqrt(2)), abs=1e-15)  # a few roundings


def test_single_actions_that_telescope_beat_any_number_of_them():
    """With Upsilon = action - state the sum of single actions is the last less the first: V(T, 1) = 2 / T^2."""
    parts = correlations(*nauman2023.overshooting(1.0), lags=99)
    for T in (1, 10, 100):
        assert estimate_variance(parts, T, 1) == pytest.approx(2 / T**2, abs=1e-14)  # a few roundings
        # (1 + 1/N) / T - (2 / N)(T - 1) / T^2 at N = 2.
        assert estimate_variance(parts, T, 2) == pytest.approx(1.5 / T - (T - 1) / T**2, abs=1e-14)  # likewise
    assert float(long_run(*nauman2023.overshooting(1.0)).actions) < 0


def balanced(bonus):
    """A fair coin leads from state 0 through state 1 or through 2 and 3 back to it, and the averages m telescope.

    Upsilon is m; state 0 adds the bonus where the coin takes the long way and subtracts it where it takes the short.
    """
    P = np.zeros((4, 2, 4))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 0] = P[2, :, 3] = P[3, :, 0] = 1.0
    table = np.array([-1.0, 1.0, -4.0, 5.0])[:, None] * np.ones(2)
    table[0] += (-bonus, bonus)
    return P, np.full((4, 2), 0.5), table[..., None]


def test_many_actions_may_win_however_long_the_trajectory():
    """The long-run variance of m is 0, and the next order is 2 (N - 1)(36 - 3.44 (N + 1)) below it."""
    chain = balanced(50.0)
    limits, parts = long_run(*chain), correlations(*chain, lags=1999)
    # Roundings of a system of four equations with numbers of size fifty.
    assert float(limits.states) == pytest.approx(0, abs=1e-11)
    assert [float(limits.states_lag), float(limits.actions_lag)] == pytest.approx([-3.44, 36], abs=1e-10)
    for N in (2, 4):
        for T in (2, 3, 10, 100, 500):
            assert many_actions_win(parts, T, N)
        gap = estimate_variance(parts, 500, N) - estimate_variance(parts, 500 * N, 1)
        # Variances of size five known to some roundings, times the square of 2000.
        assert (500 * N) ** 2 * float(gap) == pytest.approx(-2 * (N - 1) * (36 - 3.44 * (N + 1)), abs=1e-6)
    weak = correlations(*balanced(1.0), lags=19)
    assert not any(many_actions_win(weak, T, 2) for T in (1, 2, 10))


def test_ratios_that_the_caption_states():
    limits = long_run(*nauman2023.steered(0.0, 0.95, 0.3))
    found = [(N * limits.states + limits.actions) / (limits.states + limits.actions) for N in (2, 4, 8)]
    assert found == pytest.approx([1.8, 3.4, 6.6], abs=0.05)  # to the digit given


def test_chains_are_chains():
    rng = np.random.default_rng([603, 1])
    named = [nauman2023.steered(*rng.uniform([0, -1, -1], 1)) for _ in range(20)]
    named += [nauman2023._searched_chain(rng.random(10)) for _ in range(20)]
    P, pi, table = nauman2023._together(*named, nauman2023._mixing(5, 2, 2, 1, rng), nauman2023.overshooting(0.5))
    assert P.shape == (46, 2, 2, 2) and pi.shape == (46, 2, 2) and table.shape == (46, 2, 2, 1)
    for rows in (P, pi):
        assert rows.min() >= 0
        np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-15)  # a rounding


def test_actions_without_influence_have_none():
    chain = nauman2023._uninfluenced(8, 3, 1, np.random.default_rng([603, 2]))
    parts = correlations(*chain, lags=4)
    # Roundings of products of size one.
    np.testing.assert_allclose(parts.B, 0, atol=1e-15)
    np.testing.assert_allclose(parts.C[4:], 0, atol=1e-15)  # the second half has independent states
    np.testing.assert_allclose(parts.D[::4], 0, atol=1e-15)  # every fourth has equal means
    assert np.all(parts.D[1:4] > 1e-3)


def test_best_number_of_actions_is_the_best_of_all():
    rng = np.random.default_rng([603, 3])
    for _ in range(50):
        states, actions, cost = 10 ** rng.uniform(-1, 1, size=3)
        N = np.arange(1, 200)
        limit = (states + actions / N) * (1 + N * cost)
        assert nauman2023.best_actions(states, actions, cost) == N[np.argmin(limit)]
    for bad, message in (
        ((1.0, -0.5, 0.1), "actions is -0.5; "),
        ((np.nan, 1, 1), "states is nan; "),
        ((1, 1, 0), "cost"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            nauman2023.best_actions(*bad)


def test_both_answers_are_put_to_the_condition():
    evidence = nauman2023.decision(PARAMS, np.random.default_rng([603, 4]))
    assert 0 < evidence["true"].mean() < 1
    np.testing.assert_array_equal(evidence["accepted"], evidence["true"])


def test_closed_border_in_the_figure_separates_the_colours():
    table = nauman2023.figure_region(PARAMS, np.random.default_rng([603, 5]))
    y, rho = nauman2023.BEST_LEAN, table["rho"]
    np.testing.assert_array_equal(table["ratio"] < 1, table["kappa"] > y * (1 - rho) / (1 - y * rho))
    assert table["ratio"].min() == pytest.approx(2 / (1 + np.sqrt(2)), abs=1e-15)  # a few roundings


def test_lines_of_the_figures_start_below_and_end_above_one():
    rng = np.random.default_rng([603, 6])
    winning, losing = nauman2023.figure_winning(PARAMS, rng), nauman2023.figure_losing(PARAMS, rng)
    for N in (2, 4, 8):
        assert winning[f"n{N}"][0] < 0.97 and winning[f"n{N}"][-1] > 1.05
        assert min(losing[f"n{N}"]) > 1
        # Two thousand estimates: five standard errors of a share of variance are below a third.
        points = losing[f"points{N}"]
        assert np.nanmax(np.abs(points / losing[f"n{N}"] - 1)) < 1 / 3
    assert not many_actions_win(correlations(*nauman2023.steered(0.5, 0.99, 0.15), lags=399), 200, 2)
