"""Episodic instances: exact values, the trap of the lock, and a class of critics that is closed as it says."""

import numpy as np
import pytest

from mdplab.exact import backward_induction, linear_backward_induction
from mdplab.exact.episodic import stage_values
from mdplab.instances import deep_sea
from mdplab.instances.episodic import (
    DEAD,
    GOOD,
    combination_lock_episodic,
    deep_sea_episodic,
    finite_class,
    right_actions,
)


@pytest.mark.parametrize("slip", [0.0, 0.02])
def test_deep_sea_is_worth_what_the_stationary_one_is(slip):
    episodic = linear_backward_induction(deep_sea_episodic(6, slip=slip)).value[0, 0]
    stationary = backward_induction(deep_sea(6, slip=slip)).value[0, 0]
    # Certificates of both are far below.
    assert episodic == pytest.approx(stationary, abs=1e-12)
    if slip == 0:
        assert episodic == pytest.approx(1.0, abs=1e-12)  # as above


def test_uniform_play_succeeds_once_in_two_to_the_columns():
    sea = deep_sea_episodic(7)
    value = stage_values(sea, np.full((1, 7, 7, 2), 0.5))[0]
    # Left is taken half of the time, for .01 / 7 each; sums of seven terms.
    assert value == pytest.approx(2.0**-7 + 0.005, abs=1e-15)


@pytest.mark.parametrize("H", [1, 5, 10])
def test_the_lock_pays_by_the_power_of_the_right_action(H):
    lock = combination_lock_episodic(H)
    assert linear_backward_induction(lock).value[0, 0] == pytest.approx(1.0, abs=1e-12)  # certificate
    for p in (0.1, 0.7):
        policy = np.full((H, 3, 10), (1 - p) / 9)
        policy[:, DEAD] = 0.1
        for h, actions in enumerate(right_actions(H)):
            policy[h, list(GOOD), actions] = p
        # Ten stages of sums of ten products.
        assert stage_values(lock, policy[None])[0] == pytest.approx(0.05 + 0.95 * p**H, abs=1e-14)
    assert np.all(lock.kernels()[:, DEAD, :, DEAD] == 1)


def test_the_class_holds_the_truth_and_its_backups():
    problem = finite_class(7, rng=np.random.default_rng([471]))
    solution = linear_backward_induction(problem.linear)
    # Rounding of four stages.
    np.testing.assert_allclose(problem.critics[problem.true], solution.extras["q"], rtol=0, atol=1e-14)
    P, r = problem.linear.kernels(), problem.linear.rewards()
    for f, backup in zip(problem.critics, problem.backups[problem.true], strict=True):
        ahead = np.append(f.max(axis=2)[1:], np.zeros((1, 4)), axis=0)
        # As above.
        np.testing.assert_allclose(backup, r + np.einsum("hsat,ht->hsa", P, ahead), rtol=0, atol=1e-14)
    places = {finite_class(5, rng=np.random.default_rng([472, k])).true for k in range(40)}
    assert places == set(range(5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: deep_sea_episodic(0), "N is 0"),
        (lambda: deep_sea_episodic(3, slip=1.5), "slip is 1.5"),
        (lambda: combination_lock_episodic(0), "H, A are 0, 10"),
        (lambda: combination_lock_episodic(3, 1), "H, A are 3, 1"),
        (lambda: finite_class(0, rng=np.random.default_rng(0)), "N is 0"),
    ],
)
def test_sizes_that_make_no_problem(make, message):
    with pytest.raises(ValueError, match=message):
        make()
