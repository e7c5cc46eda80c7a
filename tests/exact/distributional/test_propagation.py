"""Exact propagation: against fractions, against a closed form, and whether its error bound is one."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import SolverFailure, policy_evaluation, return_laws
from mdplab.models import MDP, FiniteLaw, Outcomes, StockMDP, functional, wasserstein
from tests.exact.distributional.law_models import (
    distance_to_uniform,
    dyadic_mdp,
    fraction_laws,
    random_mdp,
    same_law,
)


def coin(gamma=0.5, **more):
    """One state, reward 0 or 1 by a coin; with gamma 1/2 the return is uniform on [0, 2]."""
    mdp = MDP([[[1.0]]], [[0.5]], gamma, **more)
    return StockMDP(mdp, functional("mean"), outcomes=Outcomes([0, 2], [0, 0], [0.0, 1.0], [0.5, 0.5], 1, 1))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_over_a_horizon_the_law_is_the_one_of_fractions(gamma):
    for seed in range(6):
        mdp, outcomes = dyadic_mdp(seed, gamma=gamma, noise=True, horizon=4)
        policy = np.random.default_rng([82, seed]).multinomial(4, [0.5, 0.5], (4, 3)) / 4
        answer = return_laws(mdp, policy, outcomes=outcomes)
        exact = fraction_laws(mdp, outcomes, policy, 4)
        assert all(same_law(law, one) for law, one in zip(answer.extras["laws"][0], exact, strict=True))
        means = [float(sum(x * p for x, p in one.items())) for one in exact]
        # Means of fewer than a hundred atoms of size below ten.
        np.testing.assert_allclose(answer.value[0], means, atol=1e-14)
        assert answer.extras["error_bounds"]["w1"] == 0 and answer.certificate.gap < 1e-10


def test_a_policy_of_actions_is_one_of_probabilities_and_the_horizon_may_be_given():
    mdp = dyadic_mdp(3)
    a = return_laws(mdp, [1, 0, 1], horizon=3)
    b = return_laws(mdp.replace(horizon=3), [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    exact = fraction_laws(mdp, Outcomes.of(mdp), b.policy[0], 3)
    for answer in (a, b):
        assert all(same_law(law, one) for law, one in zip(answer.extras["laws"][0], exact, strict=True))


@pytest.mark.parametrize("tol", [0.1, 0.01, 0.001])
def test_the_certified_error_is_an_error_bound_in_closed_form(tol):
    problem = coin()
    answer = return_laws(problem, [0], tol=tol)
    error = distance_to_uniform(answer.extras["laws"][0], 0.0, 2.0)
    # A law of n atoms is at least 2 / (4 n) away: the bound is not idle.
    assert 0 < error <= answer.certificate.gap <= tol
    assert error <= answer.extras["error_bounds"]["w1"]
    assert answer.value[0] == pytest.approx(1.0, abs=1e-12)  # means are exact from the first sweep on, up to rounding


def test_the_distance_to_a_uniform_law_by_hand():
    # |x - 1| averages 1/2 over [0, 2]; for two atoms each half is off by 1/4 on average.
    assert distance_to_uniform(FiniteLaw([1.0], [1.0]), 0.0, 2.0) == 0.5
    assert distance_to_uniform(FiniteLaw([0.5, 1.5], [0.5, 0.5]), 0.0, 2.0) == 0.25


def test_merging_is_in_the_bound():
    for seed in range(4):
        mdp = random_mdp(seed, horizon=5)
        fine, coarse = (return_laws(mdp, [0, 1, 0], merge=merge) for merge in (None, 0.05))
        for t in range(6):
            apart = max(map(wasserstein, fine.extras["laws"][t], coarse.extras["laws"][t]))
            assert apart <= coarse.certificate.gap + fine.certificate.gap
        assert sum(law.x.size for law in coarse.extras["laws"][0]) < sum(law.x.size for law in fine.extras["laws"][0])
        assert 0 < max(map(wasserstein, fine.extras["laws"][0], coarse.extras["laws"][0]))
        assert coarse.certificate.gap <= coarse.extras["error_bounds"]["w1"] * (1 + 1e-6)  # rounding allowances


def test_two_tolerances_agree_within_both():
    for seed in range(4):
        mdp = random_mdp(seed, gamma=0.7)
        policy = np.full((3, 2), 0.5)
        a, b = (return_laws(mdp, policy, tol=tol) for tol in (0.05, 0.002))
        assert max(map(wasserstein, a.extras["laws"], b.extras["laws"])) <= a.certificate.gap + b.certificate.gap
        value = policy_evaluation(mdp, policy, tol=1e-9)
        # Two certified errors, and the rounding of a linear solve.
        np.testing.assert_allclose(b.value, value.value, atol=2e-9)


def test_the_referee_accepts_every_form():
    staged, noisy = random_mdp(1, horizon=4), dyadic_mdp(2, noise=True)
    stock = StockMDP(noisy[0], functional("mean"), outcomes=noisy[1])
    for problem, answer in (
        (random_mdp(0), return_laws(random_mdp(0), [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], tol=0.05)),
        (staged, return_laws(staged, [1, 1, 0])),
        (stock, return_laws(stock, [1, 1, 0], tol=0.05)),
        (coin(), return_laws(coin(), [0], tol=0.01)),
    ):
        for level in ("float", "exact"):
            report = check(problem, answer, level=level)
            assert report.ok, report.reason
            assert report.gap <= answer.certificate.gap


def test_noise_of_rewards_is_part_of_the_law():
    mdp, outcomes = dyadic_mdp(4, noise=True, horizon=3)
    with_noise, without = return_laws(mdp, [0, 0, 0], outcomes=outcomes), return_laws(mdp, [0, 0, 0])
    # Three independent signs of variance 1, discounted: 1 + 1/4 + 1/16.
    extra = [a.variance - b.variance for a, b in zip(with_noise.extras["laws"][0], without.extras["laws"][0])]
    # Variances of numbers below ten.
    np.testing.assert_allclose(extra, 21 / 16, atol=1e-13)
    np.testing.assert_allclose(with_noise.value, without.value, atol=1e-14)  # the same means, summed otherwise


def test_without_discount_the_policy_must_end_surely():
    walk = MDP(
        [[[0, 1, 0], [0.5, 0.5, 0]], [[0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]]], [[1, 1], [2, 3], [0, 0]], 1.0
    )
    answer = return_laws(walk, [0, 1, 0])
    assert [law.x.tolist() for law in answer.extras["laws"][0]] == [[4.0], [3.0], [0.0]]
    assert check(walk, answer).ok
    with pytest.raises(ValueError, match="gamma is 1 without a horizon, and the policy may take more than S=3 steps"):
        return_laws(walk, [1, 0, 0])


def test_what_is_refused():
    mdp = random_mdp(0)
    with pytest.raises(
        SolverFailure, match=r"max_atoms=100; raise max_atoms, a larger merge .* categorical_evaluation"
    ):
        return_laws(mdp, [0, 0, 0], horizon=6, max_atoms=100)
    with pytest.raises(SolverFailure, match=r"an error of .* A smaller merge or a larger tol may do"):
        return_laws(mdp, [0, 0, 0], merge=0.2, tol=1e-3)
    with pytest.raises(SolverFailure, match="merging and rounding leave an error"):
        return_laws(mdp, [0, 0, 0], horizon=3, merge=0.2, tol=1e-9)
    with pytest.raises(ValueError, match="outcomes: mean reward"):
        return_laws(mdp.replace(r=np.zeros((3, 2))), [0, 0, 0], outcomes=Outcomes.of(mdp), horizon=2)
    with pytest.raises(ValueError, match="outcomes are given, but the StockMDP"):
        return_laws(coin(), [0], outcomes=Outcomes.of(coin().mdp))
    with pytest.raises(ValueError, match="merge is -1"):
        return_laws(mdp, [0, 0, 0], horizon=2, merge=-1.0)
