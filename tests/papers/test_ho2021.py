"""What the claims about PPI rest on: the bound is met with room, constant tolerances stall, slopes are found right."""

import numpy as np
import pytest

from mdplab.claims.discovery import load_paper
from mdplab.exact.robust import partial_policy_iteration, robust_policy_iteration
from mdplab.instances import garnet
from mdplab.models import L1Ball, RobustMDP
from mdplab.papers import ho2021

QUICK = load_paper("ho2021").card.params["quick"]


def test_constant_tolerances_stall():
    """Garnet(6, 3, 4), s-rectangular, radius .8, gamma .9, tolerance 1: the gap freezes, at .017 in the notes."""
    frozen = []
    for i in range(5):
        mdp = garnet(6, 3, 4, gamma=0.9, rng=np.random.default_rng([86, i]))
        problem = RobustMDP(mdp, L1Ball(0.8, rectangularity="s", support="nominal"))
        gaps, _ = ho2021._gaps(problem, 40, np.zeros(6), 1.0, 1.0)
        shrinking, _ = ho2021._gaps(problem, 100, np.zeros(6), 1.0, 0.81)
        # .81^100 = 7e-10, over 1 - gamma.
        assert shrinking[-1] < 1e-7
        assert gaps[-1] == pytest.approx(gaps[-2], rel=1e-6)  # at rest: rounding of equal solves
        frozen.append(gaps[-1])
    assert max(frozen) > 1e-3


def test_slopes_of_a_known_function():
    corners = np.array([[0.0, -3.0], [1.0, -1.0], [1.5, -0.25]])

    def f(x):
        return max(-3.0 * x, -3.0 - 1.0 * (x - 1.0), -3.5 - 0.25 * (x - 1.5))

    # Differences over 1e-7 of the interval.
    np.testing.assert_allclose(ho2021._slopes(f, 0.0, 3.0), corners[:, 1], atol=1e-5)


def test_the_program_without_a_budget_is_the_best_action():
    rng = np.random.default_rng([86, 10])
    z, P = rng.normal(0, 1, (3, 4)), rng.dirichlet(np.ones(4), 3)
    assert ho2021._program(z, P, 0.0) == pytest.approx((z * P).sum(axis=1).max(), abs=1e-8)  # HiGHS's tolerance
    assert ho2021._program(z, P, 6.0) == pytest.approx(z.min(axis=1).max(), abs=1e-8)


def test_the_solver_and_its_bound_agree_on_the_value():
    problem = ho2021._problem(QUICK, np.random.default_rng([86, 11]))
    one, other = partial_policy_iteration(problem, tol=1e-8), robust_policy_iteration(problem, tol=1e-8)
    assert np.abs(one.value - other.value).max() <= one.certificate.gap + other.certificate.gap


def test_figure_shows_the_stall():
    table = ho2021.figure_tolerance(QUICK, np.random.default_rng([86, 12]))
    assert table["shrinking"][-1] < table["constant"][-1]
    assert np.all(table["shrinking"] <= table["bound"] * (1 + 1e-9) + 1e-8)
