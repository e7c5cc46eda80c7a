import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.trpo_step import mixing_step, policy_quantities, surrogate
from mdplab.certify.improvement import exact_improvement
from mdplab.exact import policy_evaluation
from mdplab.instances import garnet
from mdplab.instances.trpo import greedy_tight, greedy_tight_shortfall, rare_state, trpo_tight, trpo_tight_shortfall


def random_pair(key):
    rng = np.random.default_rng([71, key])
    mdp = garnet(5, 3, 2, gamma=0.8, rng=rng).replace(mu=rng.dirichlet(np.ones(5)))
    return mdp, *(rng.dirichlet(np.ones(3), size=5) for _ in range(2))


@pytest.mark.parametrize("alpha", [0.5, 0.1, 1e-4])
@pytest.mark.parametrize("gamma", [0.1, 0.9])
def test_tight_instances_meet_their_closed_forms(alpha, gamma):
    mdp, pi, new = trpo_tight(alpha, gamma, 2.0)
    known = policy_quantities(mdp, pi)
    assert np.abs(known.advantage).max() == pytest.approx(2.0, abs=1e-14)  # rewards are exact, V = 0
    loss = surrogate(known, new) - policy_quantities(mdp, new).objective
    # Two solves of condition 1 / (1 - gamma).
    assert loss == pytest.approx(trpo_tight_shortfall(alpha, gamma, 2.0), rel=1e-9, abs=1e-13)
    mdp, pi = greedy_tight(gamma, 2.0)
    new = pi + alpha * np.array([[-1.0, 1.0], [0.0, 0.0]])
    loss = surrogate(policy_quantities(mdp, pi), new) - policy_quantities(mdp, new).objective
    # Likewise.
    assert loss == pytest.approx(greedy_tight_shortfall(alpha, gamma, 2.0), rel=1e-9, abs=1e-13)


def test_the_ratio_to_the_bound_tends_to_one():
    ratio = trpo_tight_shortfall(1e-4, 0.9) / (4 * 0.9 * 1e-8 / 0.1**2)
    assert 0.999 < ratio < 1


def test_rare_state_has_no_value_and_unit_advantages():
    mdp, pi, new = rare_state(0.1, 0.3)
    known = policy_quantities(mdp, pi)
    assert known.objective == pytest.approx(0, abs=1e-15)  # rewards of order 1
    assert np.abs(known.advantage).max() == pytest.approx(1, abs=1e-15)  # likewise
    np.testing.assert_allclose(new.sum(axis=1), 1, atol=1e-15)  # sums of three


def test_policy_quantities_are_those_of_the_certified_solver():
    mdp, pi, new = random_pair(1)
    known = policy_quantities(mdp, pi)
    judged = policy_evaluation(mdp, pi, tol=1e-9)
    # The certificate's gap.
    assert known.objective == pytest.approx(float(mdp.mu @ judged.value), abs=1e-9)
    assert known.occupancy.sum() == pytest.approx(1 / (1 - mdp.gamma), rel=1e-13)  # a 5 x 5 solve
    np.testing.assert_allclose((pi * known.advantage).sum(axis=1), 0, atol=1e-13)  # rounding at values of order 5
    # Performance difference: J(new) - J = sum_s D_new(s) sum_a new(a|s) Adv(s, a).
    changed = policy_quantities(mdp, new)
    difference = changed.occupancy @ (new * known.advantage).sum(axis=1)
    assert changed.objective - known.objective == pytest.approx(difference, abs=1e-13)  # likewise


def test_surrogate_is_first_order_exact():
    mdp, pi, new = random_pair(2)
    known, losses = policy_quantities(mdp, pi), []
    for step in (1e-2, 1e-3):
        mixed = pi + step * (new - pi)
        losses.append(surrogate(known, mixed) - policy_quantities(mdp, mixed).objective)
    # Quadratic in the step, up to the next order.
    assert losses[0] / losses[1] == pytest.approx(100, rel=0.1)


def test_mixing_step_maximises_its_guarantee_and_keeps_it():
    for key in range(20):
        mdp, pi, _ = random_pair(key)
        known = policy_quantities(mdp, pi)
        for constant in (4.0, 1.0):
            step = mixing_step(mdp, pi, constant=constant)
            gain = float(known.occupancy @ known.advantage.max(axis=1))
            penalty = constant * np.abs(known.advantage).max() * mdp.gamma / (1 - mdp.gamma) ** 2
            grid = np.linspace(0, 1, 2001)
            # A parabola on a grid of 5e-4 misses its top by at most penalty (2.5e-4)^2.
            assert step.guarantee == pytest.approx((grid * gain - penalty * grid**2).max(), abs=penalty * 1e-7)
            assert policy_quantities(mdp, step.policy).objective - known.objective >= step.guarantee > 0


def test_an_optimal_policy_is_left_alone():
    mdp, _ = greedy_tight(0.9)
    step = mixing_step(mdp, np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert (step.alpha, step.guarantee) == (0.0, 0.0)


def test_exact_improvement_agrees_with_floats():
    mdp, pi, new = random_pair(3)
    known, exact = policy_quantities(mdp, pi), exact_improvement(mdp, pi, new)
    loss = surrogate(known, new) - policy_quantities(mdp, new).objective
    # Rounding at values of order 5.
    assert float(exact.loss) == pytest.approx(loss, abs=1e-12)
    assert float(exact.eps) == pytest.approx(np.abs(known.advantage).max(), rel=1e-12)  # likewise
    # The stored rows and mu sum to one within a few roundings, magnified by 1 / (1 - gamma).
    assert abs(float(sum(exact.occupancy)) - 1) < 1e-14
    tv = 0.5 * np.abs(pi - new).sum(axis=1)
    np.testing.assert_allclose([float(x) for x in exact.total_variation], tv, rtol=1e-13)  # sums of three
    kl = (pi * np.log(pi / new)).sum(axis=1)
    assert all(x >= y for x, y in zip(exact.chi2, kl))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trpo_tight(0.6, 0.9), r"alpha is 0\.6"),
        (lambda: rare_state(0.5, 0.9), r"leave is 0\.5"),
        (
            lambda: policy_quantities(garnet(2, 2, 1, gamma=0.9, rng=np.random.default_rng(0)), np.ones((2, 2)) / 2),
            "mdp.mu is None",
        ),
        (lambda: policy_quantities(greedy_tight(0.9)[0], np.ones((2, 3)) / 3), r"pi has shape \(2, 3\)"),
        (lambda: mixing_step(*greedy_tight(0.9), constant=0.0), "constant is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
