import numpy as np
import pytest

from mdplab.instances.ecrm import EcrmProblem, cliff_walk, random_ecrm


def random(key, **sizes):
    return random_ecrm(3, 2, weight=0.6, tail=0.3, rng=np.random.default_rng([610, key]), **sizes)


def test_random_costs_include_every_level():
    problem = random(0, num_costs=4)
    assert problem.levels.size == 4 and set(problem.levels) == set(problem.cost.ravel())
    assert problem.levels[0] == 0 and problem.levels[-1] == 1


def test_the_augmented_mdp_carries_the_level_and_charges_it():
    problem = random(1)
    mdp, S, E = problem.augmented(), 3, 3
    for s, e, a, f in [(0, 0, 1, 2), (2, 1, 0, 0), (1, 2, 1, 1)]:
        row, action = S + s * E + e, a * E + f
        arrives = np.zeros(mdp.S)
        arrives[[S + t * E + f for t in range(S)]] = problem.P[s, a]
        assert np.array_equal(mdp.P[row, action], arrives)
        assert np.array_equal(mdp.P[s, action], arrives)
        ahead = problem.gamma * 0.6 * problem.levels[f]
        # Four operations on numbers of order 1.
        assert mdp.r[s, action] == pytest.approx(-problem.cost[s, a] - ahead, abs=1e-15)
        excess = max(problem.cost[s, a] - problem.levels[e], 0.0)
        charged = 2 * excess + 0.4 * problem.cost[s, a] + ahead
        assert mdp.r[row, action] == pytest.approx(-charged, abs=1e-15)  # likewise
    assert np.array_equal(mdp.mu[:S], problem.rho) and mdp.mu[S:].sum() == 0


def test_policies_split_and_join():
    problem = random(2)
    policy = np.random.default_rng([610, 3]).dirichlet(np.ones(6), size=12)
    first, later = problem.split(policy)
    assert first.shape == (3, 2, 3) and later.shape == (3, 3, 2, 3)
    assert later[1, 2, 1, 0] == policy[3 + 1 * 3 + 2, 1 * 3 + 0]
    assert np.array_equal(problem.join(first, later), policy)


def test_the_cliff_returns_to_the_start_and_the_goal_is_free():
    problem = cliff_walk(0.5, slip=0.2, cliff_cost=10.0)
    assert problem.levels.tolist() == [0.0, 1.0, 10.0]
    assert np.all(problem.P[[13, 14], :, 12] == 1) and np.all(problem.P[15, :, 15] == 1)
    assert np.all(problem.cost[15] == 0) and np.all(problem.cost[13] == 10)
    # Right from the start: the slip may go anywhere, two of its directions stay.
    np.testing.assert_allclose(problem.P[12, 2, [8, 12, 13]], [0.05, 0.1, 0.85], atol=1e-15)  # sums of two


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 1.5}, "weight is 1.5"),
        ({"tail": 0.0}, "tail is 0.0"),
        ({"gamma": 1.0}, "gamma is 1"),
        ({"levels": [0.0, 0.0]}, r"levels\[1\] is 0.0"),
        ({"levels": []}, "levels has shape"),
        ({"levels": [0.0, np.inf]}, r"levels\[1\] is inf"),
        ({"rho": [0.5, 0.5, 0.5]}, "mu"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        random(4).replace(**changes)


def test_generators_refuse_bad_sizes():
    with pytest.raises(ValueError, match="num_costs is 1"):
        random(0, num_costs=1)
    with pytest.raises(ValueError, match="slip is 2"):
        cliff_walk(0.5, slip=2)
    with pytest.raises(ValueError, match="cliff_cost is 1"):
        cliff_walk(0.5, cliff_cost=1.0)


def test_a_problem_needs_no_costs_beyond_its_own_grid():
    problem = EcrmProblem([[[1.0]]], [[2.0]], 0.5, [1.0], 1.0, 0.5)
    assert problem.E == 1 and problem.later_cost().ravel().tolist() == [1.0]
