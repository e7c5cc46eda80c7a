"""What the claims about DR-RPO rest on: the batched evaluation, the river, the two ends of the loss."""

import numpy as np
import pytest

from mdplab.exact import linear_backward_induction, linear_policy_evaluation
from mdplab.models import RobustLinearMDP, TVBall
from mdplab.papers import gu2025


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_the_batched_evaluation_is_the_certified_one(tau):
    rng = np.random.default_rng([81])
    problem = RobustLinearMDP(gu2025.random_linear_mdp(5, 3, 4, 3, rng=rng), TVBall(rng.uniform(0, 0.4, (3, 4))))
    policies = rng.dirichlet(np.ones(3), (6, 3, 5))
    policies[0] = np.eye(3)[rng.integers(0, 3, (3, 5))]
    batch = gu2025._evaluate(problem, policies, tau)
    for policy, value in zip(policies, batch, strict=True):
        certified = linear_policy_evaluation(problem, policy, tau=tau)
        # Some tens of roundings of numbers below 4, beside the certified gap.
        assert np.abs(value - certified.value[0]).max() <= certified.certificate.gap + 1e-13


def test_the_river_has_a_fail_state_and_its_rows():
    linear = gu2025._river(4, 8)
    P, rewards = linear.kernels(), linear.rewards()
    np.testing.assert_allclose(P[0, :4, :, 4], 0.001, rtol=1e-12)  # one product
    assert np.all(P[:, 4, :, 4] == 1) and np.all(rewards[:, 4] == 0)
    value = linear_backward_induction(RobustLinearMDP(linear, TVBall(0.02))).value
    assert value[0, 4] == 0 == value.min()


def test_without_nature_the_loss_is_the_divergence_that_is_met():
    """Both ends of the loss meet when the ball has radius 0."""
    rng = np.random.default_rng([82])
    problem = RobustLinearMDP(gu2025.random_linear_mdp(4, 3, 3, 3, rng=rng), TVBall(0.0))
    best = linear_backward_induction(problem, tau=0.2)
    policy = rng.dirichlet(np.ones(3), (3, 4))
    paid = linear_policy_evaluation(problem, policy, tau=0.2)
    met = gu2025._divergences(problem.linear, problem.linear.mu, policy, 0.2 * gu2025._kl(policy, best.policy))
    # Certified gaps of about 1e-12.
    np.testing.assert_allclose(best.value[0] - paid.value[0], met, rtol=0, atol=1e-11)


def test_the_restated_recursion_knows_its_fail_state():
    """Left out of the minimum, the fail state no longer draws: the ball costs less."""
    linear, radius = gu2025.simulated_linear_mdp(), gu2025.on_the_last(0.5)
    whole, blind = (gu2025._recursion(linear, radius, 0.1, flaw) for flaw in ("", "second_least"))
    assert blind > whole + 0.05


def test_losses_of_the_optimal_policy_vanish():
    problem = gu2025._drawn(np.random.default_rng([83]))
    best = linear_backward_induction(problem, tau=0.1)
    loss = gu2025._losses(problem, np.array(best.policy)[None, None], 0.1)
    assert np.abs(loss).max() <= best.certificate.gap
