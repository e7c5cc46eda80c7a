"""Policy gradients for ECRM: quantities by another route, special steps in closed form, bad input."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.ecrm import (
    barrier_gradient,
    barrier_gradients,
    cost_range,
    ecrm_quantities,
    natural_gradient,
    projected_gradient,
    projected_step,
    softmax_gradients,
    uniform_policies,
)
from mdplab.exact import occupancy_measure, policy_evaluation, solve
from mdplab.exact.soft import soft_policy_iteration
from mdplab.instances.ecrm import EcrmProblem, random_ecrm
from mdplab.kernels.softmax import softmax


def random(key, gamma=0.7):
    rng = np.random.default_rng([612, key])
    problem = random_ecrm(3, 2, gamma=gamma, weight=0.6, tail=0.3, rng=rng)
    return problem, rng.standard_normal((12, 6)), rng


def both(problem, theta):
    return problem.split(softmax(theta))


def test_quantities_are_those_of_the_augmented_mdp():
    problem, theta, rng = random(0)
    start = rng.dirichlet(np.ones(12))
    mdp = problem.augmented(start)
    first, later = both(problem, theta)
    known = ecrm_quantities(problem, first, later, mu=(start[:3], start[3:].reshape(3, 3)))
    judged = policy_evaluation(mdp, problem.join(first, later), tol=1e-10)
    # The certificate.
    np.testing.assert_allclose(-np.concatenate([known.v1, known.v2.ravel()]), judged.value, atol=1e-10)
    assert known.objective == pytest.approx(-float(start @ judged.value), abs=1e-10)
    visits = occupancy_measure(mdp, problem.join(first, later)).sum(axis=1)
    mass = np.concatenate([known.d1, known.d2.ravel()])
    assert mass.sum() == pytest.approx(1 / 0.3, abs=1e-13)  # a 9 x 9 solve
    # Normalised or not, and to the accuracy of the other solver.
    np.testing.assert_allclose(mass / mass.sum(), visits / visits.sum(), atol=1e-8)


def test_gradients_agree_with_differences():
    problem, theta, _ = random(1)
    share = 0.2 / (12 * 6)

    def penalised(theta):
        first, later = both(problem, theta)
        return ecrm_quantities(problem, first, later).objective - share * np.log(problem.join(first, later)).sum()

    first, later = both(problem, theta)
    known = ecrm_quantities(problem, first, later)
    exact = problem.join(*barrier_gradients(problem, known, first, later, 0.2))
    plain = problem.join(*softmax_gradients(known, first, later))
    np.testing.assert_allclose(exact - plain, -share * (1 - 6 * softmax(theta)), atol=1e-16)  # one product
    for s, a in [(0, 1), (2, 5), (3, 0), (11, 4)]:
        step = np.zeros_like(theta)
        step[s, a] = 1e-5
        slope = (penalised(theta + step) - penalised(theta - step)) / 2e-5
        # Rounding 1e-15 over the step; its square times third derivatives of order 10.
        assert exact[s, a] == pytest.approx(slope, abs=2e-9)


def test_projected_gradient_reaches_the_optimum_from_everywhere():
    problem, _, _ = random(2, gamma=0.5)
    mu = (np.full(3, 1 / 12), np.full((3, 3), 1 / 12))
    run = projected_gradient(problem, num_iters=400, checkpoints=np.array([0, 1, 400]), step=5.0, mu=mu)
    mdp = problem.augmented(np.concatenate([mu[0], mu[1].ravel()]))
    best = -float(mdp.mu @ solve(mdp, tol=1e-9).value)
    assert run["objective"][0] > run["objective"][1] > best
    assert run["objective"][2] == pytest.approx(best, abs=1e-8)  # the certificate, and finite convergence
    assert run["policy"].min() >= 0
    np.testing.assert_allclose(run["policy"].sum(axis=2), 1, atol=1e-14)  # sums of six


def test_the_stated_step_is_one_over_the_smoothness():
    problem, _, _ = random(3)
    assert projected_step(problem) == pytest.approx(0.3**3 / (2 * 0.7 * 6 * cost_range(problem)), rel=1e-14)  # rounding
    with pytest.raises(ValueError, match="gamma is 0"):
        projected_step(problem.replace(gamma=0.0))


def test_a_barrier_keeps_policies_inside_and_settles():
    problem, _, _ = random(4, gamma=0.3)
    run = barrier_gradient(problem, barrier=0.5, num_iters=600, checkpoints=np.array([0, 300, 600]), step=2.0)
    assert run["slope"][2] < run["slope"][1] < run["slope"][0] and run["slope"][2] < 1e-4
    assert run["policy"][2].min() > 1e-4


def test_a_full_natural_step_is_soft_policy_iteration():
    problem, _, _ = random(5)
    tau = 0.2
    run = natural_gradient(problem, tau=tau, step=0.3 / tau, num_iters=2, checkpoints=np.array([1, 2]))
    # pi' is the softmax of -Q / tau of the policy before: the old policy enters with power 0.
    np.testing.assert_allclose(run["policy"][1], softmax(-run["q"][0] / tau), atol=1e-13)  # logits of order 10
    long = natural_gradient(problem, tau=tau, step=0.3 / tau, num_iters=30, checkpoints=np.array([30]))
    judge = soft_policy_iteration(problem.augmented(), tau=tau, tol=1e-9)
    np.testing.assert_allclose(-long["q"][0], judge.extras["Q"], atol=2e-9)  # the certificate
    np.testing.assert_allclose(long["policy"][0], judge.policy, atol=1e-8)  # the same over tau


def test_without_entropy_a_natural_step_is_exponentiated():
    problem, _, _ = random(6)
    run = natural_gradient(problem, tau=0.0, step=0.6, num_iters=1, checkpoints=np.array([0, 1]))
    np.testing.assert_allclose(run["policy"][1], softmax(-2 * run["q"][0]), atol=1e-14)  # logits of order 10


def test_errors_are_of_the_stated_size_and_keyed():
    problem, _, _ = random(7)
    how = {"tau": 0.1, "step": 1.0, "num_iters": 1, "checkpoints": np.array([1]), "error": 0.01}
    runs = [natural_gradient(problem, rng=np.random.default_rng([612, 8]), **how) for _ in range(2)]
    assert np.array_equal(runs[0]["policy"], runs[1]["policy"])
    clean = natural_gradient(problem, **how | {"error": 0.0})
    moved = np.log(runs[0]["policy"][0]) - np.log(clean["policy"][0])
    # Logits move by step / (1 - gamma) error up or down, and by a constant a row.
    spread = np.ptp(moved, axis=1) / (0.01 / 0.3)
    np.testing.assert_allclose(spread[spread > 1], 2, atol=1e-10)  # rounding over the error
    assert (spread > 1).sum() >= 10


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        (projected_gradient, {"step": 0.0}, "step is 0.0"),
        (projected_gradient, {"num_iters": 0}, "num_iters is 0"),
        (projected_gradient, {"checkpoints": np.array([0, 5])}, r"checkpoints\[1\] is 5"),
        (projected_gradient, {"checkpoints": np.array([], dtype=int)}, "checkpoints is empty"),
        (barrier_gradient, {"barrier": -1.0}, "barrier is -1.0"),
        (natural_gradient, {"tau": -0.1, "step": 1.0}, "tau is -0.1"),
        (natural_gradient, {"tau": 0.1, "step": 1.0, "error": 0.1}, "with rng"),
    ],
)
def test_bad_input_is_named(method, arguments, message):
    problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    with pytest.raises(ValueError, match=message):
        method(problem, **{"num_iters": 2, "checkpoints": np.array([0]), **arguments})


def test_policies_start_uniform():
    first, later = uniform_policies(random(9)[0])
    assert first.shape == (3, 2, 3) and np.all(first == 1 / 6) and np.all(later == 1 / 6)
