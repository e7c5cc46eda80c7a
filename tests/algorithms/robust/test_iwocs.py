"""IWOCS: its three outcomes, its bracket, and WindyWalk's numbers."""

import numpy as np
import pytest

from mdplab.algorithms.robust.iwocs import iwocs
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import coupled_chain, drpg_garnet, iwocs_stall, models_of, opposite_models, windy_walk


def test_windy_walk_is_certified_after_one_added_model():
    """Golden values of the notes: -4.52438125 = -(1 - .95^5) / .05 without wind, -7.95214749 robust."""
    for first in (0, 12):
        search = iwocs(windy_walk(), first=windy_walk().uncertainty.kernels[first])
        assert search.status == "certified" and len(search.kernels) == 2
        np.testing.assert_allclose([search.lower[-1], search.upper[-1]], -7.95214749, atol=1e-8)  # digits of the notes
    calm = iwocs(windy_walk())
    np.testing.assert_allclose([calm.lower[0], calm.upper[0]], [-10.29441, -4.52438125], atol=5e-6)  # likewise


def test_stalls_with_an_open_bracket_and_says_so():
    search = iwocs(iwocs_stall())
    assert search.status == "stalled"
    np.testing.assert_allclose([search.lower[-1], search.upper[-1]], [11.8797, 22.9098], atol=5e-5)  # four digits
    value = robust_policy_iteration(iwocs_stall(), tol=1e-9).value[0]
    assert search.lower[-1] + 1 < value < search.upper[-1] - 0.1


def test_budget_ends_the_search():
    search = iwocs(windy_walk(), max_models=1)
    assert search.status == "budget" and len(search.kernels) == 1


def test_q_never_rises_and_the_bracket_holds_on_balls_too():
    for i in range(6):
        problem = drpg_garnet(4, 3, 3, rng=np.random.default_rng([96, i]))
        value = robust_policy_iteration(problem, tol=1e-7).value[0]
        search = iwocs(problem)
        assert np.all(np.diff(search.upper) <= 1e-9)
        # The solver's tolerance.
        assert np.all(search.lower <= value + 1e-6) and np.all(search.upper >= value - 1e-6)


def test_static_sets_keep_their_models_whole():
    problem = coupled_chain(0.75)
    search = iwocs(problem, static=True)
    # gamma^2 theta (1 - theta).
    assert search.status == "certified" and search.upper[-1] == pytest.approx(0.81 * 0.1875, rel=1e-12)
    assert len(models_of(problem)) == 2


def test_bad_input():
    with pytest.raises(ValueError, match="rectangularity is 's'"):
        iwocs(opposite_models())
    with pytest.raises(ValueError, match="start is 99"):
        iwocs(windy_walk(), start=99)
    with pytest.raises(ValueError, match="free_rows is 'first'"):
        iwocs(windy_walk(), free_rows="first")
    with pytest.raises(ValueError, match="static is True and uncertainty 'l1'"):
        iwocs(drpg_garnet(rng=np.random.default_rng(0)), static=True)


def test_a_first_model_outside_the_set_is_refused():
    problem = windy_walk()
    kernels = problem.uncertainty.kernels
    # A mixture of two models lies in neither; its bracket would be about another set.
    with pytest.raises(ValueError, match=r"first\[\d+, \d+\] is"):
        iwocs(problem, first=(kernels[0] + kernels[-1]) / 2)
    with pytest.raises(ValueError, match="first has shape"):
        iwocs(problem, first=kernels[0][0])
    ball = drpg_garnet(rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="no row of the set"):
        iwocs(ball, first=np.roll(ball.nominal.P, 1, axis=2))
    with pytest.raises(ValueError, match="no row of the set"):
        iwocs(ball, first=2 * ball.nominal.P)
    assert iwocs(ball, first=ball.nominal.P).status == iwocs(ball).status
