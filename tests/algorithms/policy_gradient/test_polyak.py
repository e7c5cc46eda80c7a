"""Polyak steps: closed forms on quadratics, on two actions, and what bad input says."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.polyak import constant_gradient, polyak_gradient, polyak_step, twin_gradient


def parabola(x):
    return -float(x @ x), -2 * x


def two_actions(theta):
    """Minus the gap of two actions with rewards 1 and 0, and its gradient."""
    u = theta[0] - theta[1]
    p, q = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u))
    return -q, p * q * np.array([1.0, -1.0])


def test_the_step_is_the_smaller_of_both():
    gradient = np.array([[3.0], [4.0]])
    assert polyak_step(50.0, gradient) == 2.0
    assert polyak_step(50.0, gradient, c=4.0) == 0.5
    assert polyak_step(50.0, gradient, cap=0.1) == 0.1
    assert polyak_step(0.0, gradient) == polyak_step(-1.0, gradient) == 0.0
    # Squares that underflow, alone or with the divisor, are no gradient.
    assert polyak_step(1.0, np.array([1e-170])) == polyak_step(1.0, np.array([1e-162]), c=1e-3) == 0.0


def test_a_parabola_is_halved_and_c_damps():
    for c in (1.0, 2.0):
        run = polyak_gradient(parabola, np.ones(3), best=0.0, c=c, num_iters=10, checkpoints=np.arange(11))
        # x' = x (1 - 1 / (2 c)), ten roundings.
        np.testing.assert_allclose(run["theta"], np.ones(3) * (1 - 0.5 / c) ** np.arange(11)[:, None], rtol=1e-14)
        assert run.status == "ok" and run["step"][0] == 0.25 / c


def test_a_linear_objective_is_reached_in_one_step():
    run = polyak_gradient(lambda x: (float(x.sum()), np.ones(2)), np.zeros(2), best=3.0, num_iters=2,
                          checkpoints=np.array([1, 2]))  # fmt: skip
    assert run["value"].tolist() == [3.0, 3.0] and run["step"].tolist() == [0.0, 0.0]


def test_two_actions_follow_their_recursion():
    u = 0.3
    run = polyak_gradient(two_actions, np.array([u, 0.0]), best=0.0, c=2.0, num_iters=8, checkpoints=np.arange(9))
    for theta in run["theta"]:
        assert theta[0] - theta[1] == pytest.approx(u, rel=1e-13)  # a few roundings a step
        u += (1 + np.exp(-u)) / 2


def test_constant_steps_and_caps_agree_where_the_cap_binds():
    how = {"num_iters": 30, "checkpoints": np.array([5, 30])}
    capped = polyak_gradient(two_actions, np.zeros(2), best=1.0, cap=0.1, **how)
    constant = constant_gradient(two_actions, np.zeros(2), step=0.1, **how)
    assert np.array_equal(capped["theta"], constant["theta"]) and np.all(capped["step"] == 0.1)


def test_divergence_is_reported():
    def ends_at_ten(x):
        return float(x[0]) if x[0] < 10 else np.nan, np.ones(1)

    marks = np.arange(0, 20, 2)
    run = constant_gradient(ends_at_ten, np.zeros(1), step=1.0, num_iters=20, checkpoints=marks)
    assert run.status == "diverged at t=10" and run.t.tolist() == [0, 2, 4, 6, 8]


def test_twins_stop_at_the_better_start():
    starts = (np.array([0.0, 0.0]), np.array([1.0, 0.0]))
    run = twin_gradient(two_actions, starts, num_iters=60, checkpoints=np.array([0, 60]), c=2.0)
    best = two_actions(starts[1])[0]
    # Halvings from below; the worse twin never passes.
    np.testing.assert_allclose(run["value"][1], best, atol=1e-15)
    assert run["theta"].shape == (2, 2, 2) and np.array_equal(run["theta"][1, 1], starts[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"c": 0.0}, "c is 0.0"),
        ({"cap": -1.0}, "cap is -1.0"),
        ({"best": np.inf}, "best is inf"),
        ({"num_iters": 0}, "num_iters is 0"),
        ({"checkpoints": np.array([1, 1])}, r"checkpoints\[1\] is 1"),
        ({"checkpoints": np.array([3])}, r"checkpoints\[0\] is 3"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"best": 0.0, "num_iters": 2, "checkpoints": np.array([0]), **changes}
    with pytest.raises(ValueError, match=message):
        polyak_gradient(parabola, np.ones(1), **arguments)


def test_other_methods_name_theirs():
    how = {"num_iters": 2, "checkpoints": np.array([0])}
    with pytest.raises(ValueError, match=r"step is 0.0"):
        constant_gradient(parabola, np.ones(1), step=0.0, **how)
    with pytest.raises(ValueError, match="starts has 1"):
        twin_gradient(parabola, (np.ones(1),), **how)
