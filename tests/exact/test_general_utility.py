import numpy as np
import pytest

from mdplab.exact.general_utility import _clarabel, duality_gap, maximal_utility, softmax_occupancy, utility_gradient
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.instances.toytext import frozen_lake
from mdplab.models import MDP, SolverFailure, occupancy
from mdplab.models.utility import (
    UtilityMDP,
    entropy_utility,
    imitation_utility,
    linear_utility,
    log_utility,
    quadratic_utility,
)


def _model(rng, S=3, A=2):
    return MDP(rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A)), 0.7, mu=rng.dirichlet(np.ones(S)))


def test_occupancies_have_the_mass_and_the_flow_of_a_policy():
    rng = np.random.default_rng([92, 1])
    mdp, theta = _model(rng), rng.standard_normal((4, 3, 2))
    lam = softmax_occupancy(mdp, theta)
    flow = mdp.mu + 0.7 * np.einsum("nsa,sat->nt", lam, mdp.P)
    # Solves of condition (1 + gamma) / (1 - gamma) below 6.
    np.testing.assert_allclose(lam.sum(axis=2), flow, rtol=0, atol=1e-14)
    short = softmax_occupancy(mdp, theta, horizon=60)
    # What is left out weighs gamma^60 / (1 - gamma) = 2e-9 in total.
    np.testing.assert_allclose(short, lam, rtol=0, atol=2e-9)
    np.testing.assert_array_equal(softmax_occupancy(mdp, theta[2], horizon=60), short[2])


@pytest.mark.parametrize("horizon", [None, 5])
def test_gradient_is_the_softmax_gradient_of_frozen_rewards(horizon):
    rng = np.random.default_rng([92, 2])
    mdp, theta = _model(rng), rng.standard_normal((4, 3, 2))
    utility = log_utility(mdp.r, shift=0.1)
    batch = utility_gradient(mdp, utility, theta, horizon=horizon)
    for i in range(4):
        r = utility.gradient(softmax_occupancy(mdp, theta[i], horizon=horizon))
        # Two routes to numbers below 10.
        np.testing.assert_allclose(batch[i], softmax_gradient(mdp.replace(r=r), theta[i], horizon=horizon), atol=1e-14)


def test_linear_program_of_frozen_lake():
    mdp = frozen_lake("8x8")
    found = maximal_utility(UtilityMDP(mdp, linear_utility(mdp.r)))
    # Zhang et al. (2021) print 0.4146; the linear solve of the optimal policy gives 0.414640.
    assert abs(found.value[0] - 0.414640) < 5e-7
    assert found.extras["upper"] - found.value[0] == pytest.approx(found.certificate.gap)


def test_optima_that_are_known():
    rng = np.random.default_rng([92, 3])
    mdp = _model(rng)
    expert = softmax_occupancy(mdp, rng.standard_normal((3, 2)))
    imitation = maximal_utility(UtilityMDP(mdp, imitation_utility(np.zeros((3, 2)), expert, weight=2.0)))
    # KL is 0 at the expert alone, up to rounding of terms below 4; 1e-6 is the tolerance asked for.
    assert -1e-6 <= imitation.value[0] <= 1e-13 and imitation.extras["upper"] >= 0
    target = np.eye(6)[:2]
    quadratic = quadratic_utility(target, target @ expert.ravel(), (3, 2))
    assert -1e-6 <= maximal_utility(UtilityMDP(mdp, quadratic)).value[0] <= 0


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_no_policy_exceeds_the_certified_bound_and_one_comes_near(floor):
    rng = np.random.default_rng([92, 4])
    mdp = _model(rng)
    thetas = 3 * rng.standard_normal((20000, 3, 2))
    for utility in (log_utility(mdp.r, shift=0.1, floor=floor), entropy_utility(3, 2, 0.7, floor=floor)):
        found = maximal_utility(UtilityMDP(mdp, utility), tol=1e-5)
        values = utility.value(softmax_occupancy(mdp, thetas))
        assert values.max() <= found.extras["upper"]
        # The best of twenty thousand random policies in six dimensions.
        assert values.max() >= found.value[0] - 0.01


def test_the_program_knows_the_tangent_below_the_floor():
    rng = np.random.default_rng([92, 7])
    mdp = _model(rng)
    expert = softmax_occupancy(mdp, 2 * rng.standard_normal((3, 2)))
    gaps = []
    for floor in (0.0, 0.6):
        found, _ = _clarabel(mdp, imitation_utility(mdp.r, expert, weight=0.3, floor=floor))
        policy = found / found.sum(axis=1, keepdims=True)
        lam = occupancy(mdp.P, mdp.mu, 0.7, policy)
        problem = UtilityMDP(mdp, imitation_utility(mdp.r, expert, weight=0.3, floor=0.6))
        gaps.append(duality_gap(problem, lam).gap)
    # Interior points leave five digits; the optimum of the function without the tangent is another policy.
    assert gaps[1] < 1e-4 and gaps[0] > 1e-2


def test_gap_bounds_the_loss_of_any_policy():
    rng = np.random.default_rng([92, 5])
    mdp = _model(rng)
    utility = log_utility(mdp.r, shift=0.1)
    best = maximal_utility(UtilityMDP(mdp, utility))
    for theta in rng.standard_normal((20, 3, 2)):
        lam = softmax_occupancy(mdp, theta)
        bound = duality_gap(UtilityMDP(mdp, utility), lam)
        r = utility.gradient(lam)
        assert (bound.h[:, None] >= r + 0.7 * mdp.P @ bound.h - bound.rounding).all()
        assert utility.value(lam) + bound.gap >= best.value[0]
        assert bound.gap > 1e-3


def test_refusals():
    mdp = _model(np.random.default_rng([92, 6]))
    with pytest.raises(ValueError, match="problem is a MDP; expected a UtilityMDP"):
        maximal_utility(mdp)
    with pytest.raises(SolverFailure, match="duality gap is"):
        maximal_utility(UtilityMDP(mdp, log_utility(mdp.r, shift=0.1)), tol=1e-18)
    with pytest.raises(ValueError, match="tol is -1"):
        maximal_utility(UtilityMDP(mdp, linear_utility(mdp.r)), tol=-1.0)
    masked = mdp.replace(actions=[[True, True], [True, False], [True, True]])
    with pytest.raises(ValueError, match=r"mdp\.actions\[1, 1\] is False"):
        maximal_utility(UtilityMDP(masked, linear_utility(mdp.r)))
