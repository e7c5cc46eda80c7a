"""Sampled Polyak steps: where sampling has no say they are the exact ones; keyed streams, entropy, twins."""

import numpy as np
import pytest
from plain_sampling import estimate

from mdplab.algorithms.policy_gradient.polyak import polyak_gradient
from mdplab.algorithms.policy_gradient.sampled_polyak import sampled_polyak, sampled_twins
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import MDP

CHAIN = MDP([[[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]], [[0.0, 0.5], [1.0, 0.0]], 0.5, mu=[1.0, 0.0])
HOW = {"horizon": 12, "num_iters": 40, "checkpoints": np.array([0, 1, 40])}


def run(key=0, **changes):
    arguments = {"best": 1.0, "batch": 8, "rng": np.random.default_rng([631, key]), **HOW, **changes}
    return sampled_polyak(CHAIN, **arguments)


def test_first_steps_are_those_of_the_estimates():
    """Large batches: five standard errors, returns and scores of at most 2 and 4."""
    found = run(batch=40_000, cap=0.5, best=np.inf, num_iters=1, checkpoints=np.array([0, 1]))
    gradient = softmax_gradient(CHAIN, np.zeros((2, 2)), horizon=12)
    # Standard errors of at most 4 / 200.
    np.testing.assert_allclose(found["theta"][0, 1] / 0.5, gradient, atol=5 * 4 / 200)
    assert found["step"][0].tolist() == [0.5, 0.5]


def test_the_recorded_step_leads_to_the_next_iterate_by_polyaks_rule():
    found = run(checkpoints=np.arange(41), c=2.0, best=1.2)
    theta, value, step = (found[name][0] for name in ("theta", "value", "step"))
    moved, taken = np.diff(theta, axis=0), step[:-1] > 0
    # step^2 |g|^2 = step * shortfall / c.
    lengths = (moved[taken] ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(lengths, (step[:-1] * (1.2 - value[:-1]) / 2)[taken], rtol=1e-10)  # cancelled digits
    assert np.all(moved[~taken] == 0) and 3 < taken.sum() < 40


def test_where_the_guess_is_passed_nothing_moves():
    found = run(best=-5.0)
    assert np.all(found["theta"] == 0) and np.all(found["step"] == 0)


def test_the_cap_holds_and_runs_are_keyed():
    found = run(cap=0.05, checkpoints=np.arange(41))
    assert found["step"].max() == 0.05
    again = run(seeds=3)
    assert np.array_equal(again["theta"][0], run()["theta"][0])
    assert not np.array_equal(again["theta"][0], again["theta"][1])


def test_entropy_keeps_policies_inside():
    """One state: the regularised optimum is softmax(r / tau); false alarms as rare as 5 standard deviations."""
    bandit = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0, mu=[1.0])
    how = {"horizon": 1, "batch": 200, "num_iters": 400, "checkpoints": np.array([400]), "cap": 1.0}
    best = 0.5 * np.log(np.exp(2) + 1)
    found = sampled_polyak(bandit, best=best, tau=0.5, rng=np.random.default_rng([631, 5]), **how)
    # With a known optimum steps shrink as it is neared; what is left is a part in fifty.
    np.testing.assert_allclose(softmax(found["theta"][0, 0]), softmax(np.array([[2.0, 0.0]])), atol=0.02)
    plain = sampled_polyak(bandit, best=1.0, rng=np.random.default_rng([631, 5]), **how)
    assert softmax(plain["theta"][0, 0])[0, 0] > 0.99


def test_without_noise_the_runs_are_the_exact_method():
    """Transitions and rewards that do not depend on the action taken: every estimate is the same but for its score."""

    def oracle(theta):
        return 0.0, np.zeros_like(theta)

    still = MDP([[[1.0], [1.0]]], [[0.3, 0.3]], 0.0, mu=[1.0])
    found = sampled_polyak(still, best=0.3, horizon=1, batch=5, num_iters=5, checkpoints=np.array([5]),
                           rng=np.random.default_rng([631, 6]))  # fmt: skip
    judged = polyak_gradient(oracle, np.zeros((1, 2)), best=0.0, num_iters=5, checkpoints=np.array([5]))
    # Five equal returns, whose mean may round to just below the guess, make steps of rounding at most.
    np.testing.assert_allclose(found["theta"][0, 0], judged["theta"][0], atol=1e-12)


def test_the_worse_twin_moves():
    starts = (np.zeros((2, 2)), np.array([[1.0, -1.0], [2.0, 0.0]]))
    rng = np.random.default_rng([631, 7])
    found = sampled_twins(CHAIN, starts, batch=64, rng=rng, cap=1.0, **HOW | {"checkpoints": np.arange(41)})
    theta, value = found["theta"][0], found["value"][0]
    for t in range(40):
        worse = int(np.argmin(value[t]))
        assert np.array_equal(theta[t + 1, 1 - worse], theta[t, 1 - worse])
        assert not np.array_equal(theta[t + 1, worse], theta[t, worse])


@pytest.mark.parametrize(
    ("best", "c", "cap", "tau"), [(2.0, 1.5, np.inf, 0.0), (1.0, 1.0, 0.4, 0.3), (np.inf, 1, 0.2, 0)]
)
def test_a_run_is_what_plain_python_makes_of_the_same_draws(best, c, cap, tau):
    how = {"batch": 3, "num_iters": 12, "checkpoints": np.arange(13), "horizon": 4}
    found = sampled_polyak(CHAIN, best=best, c=c, cap=cap, tau=tau, rng=np.random.default_rng([631, 8]), **how)
    stream, theta = np.random.default_rng([631, 8]).spawn(1)[0], np.zeros((2, 2))
    for k in range(13):
        log_pi = log_softmax(theta)
        value, g = estimate(CHAIN, log_pi, CHAIN.r - tau * log_pi, 4, 3, stream)
        step = min(max(best - value, 0) / (c * (g**2).sum()), cap) if g.any() else 0.0
        # Sums of a dozen terms a step, and a dozen steps whose lengths they enter.
        np.testing.assert_allclose(found["theta"][0, k], theta, rtol=1e-9, atol=1e-11)
        assert found["value"][0, k] == pytest.approx(value, rel=1e-9)  # as above
        assert found["step"][0, k] == pytest.approx(step, rel=1e-9)  # as above
        theta = theta + step * g
    assert np.abs(theta).max() > 0.1


def test_twins_are_what_plain_python_makes_of_the_same_draws():
    starts, tau = (np.zeros((2, 2)), np.array([[0.2, -0.3], [0.0, 0.6]])), 0.2
    how = {"batch": 3, "num_iters": 12, "checkpoints": np.arange(13), "horizon": 4, "c": 2.0, "cap": 0.7, "tau": tau}
    found = sampled_twins(CHAIN, starts, rng=np.random.default_rng([631, 9]), **how)
    stream, theta, moved = np.random.default_rng([631, 9]).spawn(1)[0], np.array(starts), set()
    for k in range(13):
        # Sums of a dozen terms a step, and a dozen steps whose lengths they enter.
        np.testing.assert_allclose(found["theta"][0, k], theta, rtol=1e-9, atol=1e-11)
        both = []
        for x in theta:
            log_pi = log_softmax(x)
            both.append(estimate(CHAIN, log_pi, CHAIN.r - tau * log_pi, 4, 3, stream))
        values = [value for value, _ in both]
        np.testing.assert_allclose(found["value"][0, k], values, rtol=1e-9)  # as above
        worse = int(np.argmin(values))
        g = both[worse][1]
        theta[worse] += min(abs(values[1] - values[0]) / (2 * (g**2).sum()), 0.7) * g
        moved.add(worse)
    assert moved == {0, 1}
