import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import NoisyGradient, momentum_schedule, normalized_momentum
from mdplab.instances.policy_gradient import qchain


def _run(**changes):
    eta, step = momentum_schedule(50, 1.0)
    how = {"eta": eta, "step": step, "checkpoints": np.arange(50), "rng": np.random.default_rng([67, 1])} | changes
    return normalized_momentum(NoisyGradient(qchain(), 0.3), **how)


def test_the_recursion_is_as_printed():
    chain = qchain()
    eta, step = momentum_schedule(30, 1.0)
    run = normalized_momentum(
        NoisyGradient(chain, 0.0), eta=eta, step=step, checkpoints=np.arange(30), rng=np.random.default_rng([67, 2])
    )
    theta, d = np.array(chain.theta0), np.zeros(2)
    for t in range(30):
        d = (1 - eta[t]) * d - eta[t] * chain.occupancy * (theta - chain.centre)
        # Thirty steps of a few roundings each.
        np.testing.assert_allclose(run["theta"][0, t], theta, rtol=0, atol=1e-13)
        np.testing.assert_allclose(run["d"][0, t], d, rtol=0, atol=1e-13)  # as above
        theta = theta + step[t] * d / np.linalg.norm(d)


def test_steps_have_the_length_of_the_schedule():
    run, step = _run(), momentum_schedule(50, 1.0)[1]
    lengths = np.linalg.norm(np.diff(run["theta"][0], axis=0), axis=-1)
    # Two roundings of numbers below 3.
    np.testing.assert_allclose(lengths, step[:-1], rtol=0, atol=1e-14)


def test_no_step_is_taken_where_the_direction_vanishes():
    chain = qchain()
    eta, step = momentum_schedule(5, 1.0)
    run = normalized_momentum(
        NoisyGradient(chain, 0.0), eta=eta, step=step, checkpoints=np.arange(5), theta0=chain.centre,
        rng=np.random.default_rng([67, 3]),
    )  # fmt: skip
    assert run.status == "ok"
    assert (run["theta"] == chain.centre).all()


def test_runs_repeat_and_a_longer_list_of_checkpoints_changes_nothing():
    few = _run(checkpoints=np.array([7, 49]), seeds=2)
    many = _run(seeds=2)
    assert (few["d"] == many["d"][:, [7, 49]]).all()
    assert not np.array_equal(many["d"][0], many["d"][1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eta": np.full(50, 1.5)}, r"eta\[0\] is 1.5"),
        ({"eta": np.zeros(50)}, r"eta\[0\] is 0.0"),
        ({"step": np.r_[np.ones(49), -1.0]}, r"step\[49\] is -1.0"),
        ({"step": np.ones(49)}, "step"),
        ({"checkpoints": np.array([3, 50])}, r"checkpoints\[1\] is 50"),
        ({"checkpoints": np.array([5, 5])}, r"checkpoints\[1\] is 5; expected increasing"),
        ({"seeds": 0}, "seeds is 0"),
        ({"theta0": np.zeros(3)}, r"theta0 has shape \(3,\)"),
        ({"look_ahead": np.zeros(3)}, r"look_ahead has shape \(3,\)"),
    ],
)
def test_faults_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        _run(**change)


def test_divergence_is_reported_not_raised():
    run = _run(theta0=np.full(2, 1.7e308))
    assert run.status.startswith("diverged by t=")
