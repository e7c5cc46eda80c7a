"""What the claims about DRPVI rest on: the linear program, the supremum over kernels, where the range is attained."""

import numpy as np
import pytest

from mdplab.exact import linear_backward_induction
from mdplab.models import RobustLinearMDP, TVBall
from mdplab.papers import liu2024


def test_the_program_by_hand():
    p, v = np.array([0.5, 0.5, 0.0]), np.array([1.0, 3.0, 0.0])
    # A fifth goes from the dearest state to the cheapest, which the factor does not have; else to the cheaper one.
    assert liu2024._ball_program(p, v, 0.2, "all") == pytest.approx(2 - 0.2 * 3, abs=1e-9)  # HiGHS's tolerance
    assert liu2024._ball_program(p, v, 0.2, "nominal") == pytest.approx(2 - 0.2 * 2, abs=1e-9)  # as above


def test_the_most_uncertain_kernel_beats_the_nominal_one():
    """With radius 0 the supremum is the expectation of the penalties; it grows with the radius."""
    rng = np.random.default_rng([84])
    linear = liu2024.drawn_process(rng)
    out = liu2024._learn(linear, liu2024.uniform_data(linear, 300, rng=rng), 0.2, 0.5)
    best = linear_backward_induction(RobustLinearMDP(linear, TVBall(0.2)))
    v, rows = np.zeros(5), np.arange(5)
    for h in (2, 1, 0):
        width = linear.phi @ np.sqrt(np.diagonal(out.inverse[h]))
        a = best.policy[h]
        v = width[rows, a] + linear.kernels()[h, rows, a] @ v
    at = [liu2024._most_uncertain(linear, out, best.policy, rho) for rho in (0.0, 0.2, 0.4)]
    assert at[0] == pytest.approx(v[0], abs=1e-12)  # three stages of numbers below 3
    assert at[0] < at[1] < at[2]


def test_two_absorbing_states_attain_the_range():
    answer = linear_backward_induction(RobustLinearMDP(liu2024._two_ends(6), TVBall(0.3)))
    shrunk = (1 - 0.7 ** np.arange(6, -1, -1)) / 0.3
    assert np.abs(np.ptp(answer.value, axis=1) - shrunk).max() <= 2 * answer.certificate.gap


def test_the_published_process_turns_at_the_stated_radius():
    assert liu2024._flip(liu2024.simulated_linear_mdp()) == pytest.approx(0.37575, abs=6e-6)  # five printed decimals
    assert liu2024._flip(liu2024.simulated_linear_mdp(), everywhere=True) == pytest.approx(1.0, abs=2e-9)  # bisection


def test_policies_of_the_figure_cross_where_said():
    table = liu2024.figure_curves(liu2024.Params(1, 1, 400, 4, 1), np.random.default_rng(0))
    np.testing.assert_allclose(table["rho_0"], 1.624875 - table["q"], rtol=0, atol=6e-7)  # six printed decimals
    np.testing.assert_allclose(table["rho_45"], 1.324775 - 0.2 * table["q"], rtol=0, atol=6e-7)  # likewise
    assert np.array_equal(table["rho_30"], table["rho_0"])
