"""The walk's programmes against closed forms, a direct search, refinement, and samples."""

import numpy as np
import pytest
from scipy.special import ndtr

from mdplab.instances.noisy_walk import (
    NoisyWalk,
    attacked_return,
    expected_return,
    interval_probability,
    peeking_return,
    play,
)


@pytest.mark.parametrize(("budget", "value"), [(0.25, 0.4102), (0.5, 0.3250), (1.0, 0.1826), (2.0, 0.0362)])
def test_best_attacks_on_three_steps(budget, value):
    """Numbers of the specification, section G, at 161 levels of budget."""
    assert attacked_return(NoisyWalk(3), budget) == pytest.approx(value, abs=5.1e-5)  # half a unit of the last digit


def test_two_steps_by_direct_search():
    """Both steps must go down; what is left after the first is all spent on the second, towards failure."""
    budget, sigma = 0.9, 0.7
    e = np.linspace(-budget, budget, 200_001)
    left = np.sqrt(budget**2 - e**2)
    best = (ndtr(e / sigma) * ndtr((-1 - left) / sigma)).min()
    walk = NoisyWalk(2, sigma)
    values = [attacked_return(walk, budget, points=points) for points in (11, 41, 161, 641)]
    assert np.all(np.diff(values) <= 0) and values[-1] >= best - 1e-9
    assert values[-1] == pytest.approx(best, abs=2e-5)  # the grid's loss at 641 levels, a quarter of that at 161


def test_one_step_is_a_half_space():
    for start in (-1, 0, 1):
        walk = NoisyWalk(1, 0.6, start)
        final = (walk.positions < start).astype(float)
        expected = ndtr((start - 0.3) / 0.6)
        assert attacked_return(walk, 0.3, final) == pytest.approx(expected, abs=1e-15)  # one value of ndtr
        assert expected_return(walk, final, per_step=0.3) == pytest.approx(expected, abs=1e-15)  # as above


def test_more_knowledge_and_more_money_do_more_harm():
    walk = NoisyWalk(4, 0.8, -1)
    for budget in (0.2, 0.6, 1.2):
        clean, fair = expected_return(walk), attacked_return(walk, budget)
        assert expected_return(walk, per_step=budget) < fair < clean
        assert peeking_return(walk, budget) < fair
        assert expected_return(walk, per_step=budget / 2) < attacked_return(walk, budget / 2)
    assert peeking_return(walk, 0.0) == pytest.approx(expected_return(walk), abs=2e-3)  # 801 values for the noise


def test_intervals():
    """Numbers of the specification, section G."""
    values = [interval_probability(1, b, 1, known=known) for b, known in ((0, False), (0.5, False), (0.5, True))]
    assert values == pytest.approx([0.6827, 0.6247, 0.3829], abs=5.1e-5)  # half a unit of the last digit
    assert interval_probability(1, 2, 1, known=True) == 0
    grid = np.linspace(-0.5, 0.5, 1001)
    assert interval_probability(1, 0.5, 1) <= (ndtr(1 - grid) - ndtr(-1 - grid)).min() + 1e-15


def test_samples_have_the_mean_of_the_programme():
    walk = NoisyWalk(5, 0.8, 1)
    x = play(walk, 40_000, rng=np.random.default_rng([49]))
    assert set(np.unique(x)) <= set(walk.positions.tolist())
    # Four standard errors of at most 1/400: false alarm 6e-5.
    assert abs((x < 0).mean() - expected_return(walk)) < 0.01


def test_refusals():
    with pytest.raises(ValueError, match="T is 0; expected at least 1"):
        NoisyWalk(0)
    with pytest.raises(ValueError, match="sigma is 0; expected above 0"):
        NoisyWalk(3, 0)
