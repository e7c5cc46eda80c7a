"""What the claims about soft-robust MDPs rest on: golden values of the ring, and how its policies' order reverses."""

import numpy as np
import pytest

from mdplab.algorithms.robust.rfzi import z_iteration
from mdplab.exact.robust import robust_policy_evaluation
from mdplab.instances.robust_suite import toy_ring
from mdplab.models import KLBall, RobustMDP
from mdplab.papers import zhang2024

PARAMS = zhang2024.Params(states=4, actions=2, points=2, steps=5, first=6, last=8, seeds=2)

# Mean values over the 14 states of the policies that are optimal at slip .01, by linear solves at other slips; found
# when the notes were written (E.4.2), by a programme of their own.
SLIPS = (0.0, 0.01, 0.05, 0.1, 0.15, 0.3)
SWEEP = {
    "nominal": (76.5, 71.557, 51.820, 27.229, 2.728, -70.229),
    "beta_1": (36.615, 34.079, 27.950, 22.174, 16.834, 1.425),
    "beta_2": (30.373, 28.108, 23.343, 19.399, 15.911, 6.045),
    "beta_3": (28.823, 25.483, 19.193, 15.657, 13.396, 8.633),
}
# Worst-case mean values of the same policies at slip .01 over a KL ball of each row (E.4.3).
BALLS = {
    0.0: (71.557, 62.797, 48.712),
    1.0: (34.079, 30.965, 27.040),
    2.0: (28.108, 25.545, 22.554),
    3.0: (25.483, 21.514, 17.819),
}


def test_slip_sweep():
    table = zhang2024.figure_slip_sweep(PARAMS, np.random.default_rng([95, 0]))
    for name, values in SWEEP.items():
        found = np.interp(SLIPS, table["slip"], table[name])
        np.testing.assert_allclose(found, values, atol=6e-4)  # digits of the notes
    end = {name: table[name][-1] for name in SWEEP}
    assert list(SWEEP) == sorted(SWEEP, key=lambda name: -table[name][0]) == sorted(SWEEP, key=end.get)


@pytest.mark.parametrize("beta", BALLS)
def test_worst_cases_over_kl_balls(beta):
    policy = next(row[2] for row in zhang2024.POLICIES if row[:2] == (0.01, beta))
    actions = np.array([int(digit) for digit in policy])
    for radius, mean in zip((0.0, 0.02, 0.1), BALLS[beta]):
        known = robust_policy_evaluation(RobustMDP(toy_ring(0.01), KLBall(radius)), actions, tol=1e-6)
        assert known.value.mean() == pytest.approx(mean, abs=6e-4)  # digits of the notes


def test_the_smallest_action_gap_is_far_from_a_tie():
    """Where the two conventions differ, no tie decides."""
    for slip, beta in ((0.01, 2.0), (0.15, 0.1)):
        q = np.sort(z_iteration(toy_ring(slip), beta=beta, num_iters=600).q, axis=1)
        assert (q[:, 2] - q[:, 1]).min() > 0.05


def test_imaginary_steps_agree_with_differences():
    rng = np.random.default_rng([95, 1])
    mdp, beta = zhang2024._instance(PARAMS, rng)
    pi, direction = zhang2024._policy(mdp, rng), rng.standard_normal((mdp.S, mdp.A))
    direction -= direction.mean(axis=1, keepdims=True)
    h = 1e-6
    up, down = (
        zhang2024.soft_robust_evaluation(mdp, pi + s * h * direction, beta=beta).value @ mdp.mu for s in (1, -1)
    )
    # Differences at h = 1e-6 of values known to 1e-12.
    assert zhang2024._directional(mdp, pi, direction, beta) == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-5)


def test_figure_of_policies_fills_its_grid():
    table = zhang2024.figure_policies(PARAMS, np.random.default_rng([95, 2]))
    assert table["action"].size == 14 * np.unique(table["beta"]).size
    assert set(np.unique(table["action"])) == {0, 1, 2}
