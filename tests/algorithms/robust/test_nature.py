"""Nature's answers against linear programs, and robust values against all kernels of small sets."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from mdplab.algorithms.robust.nature import linear_value, objective, robust_evaluation, worst_kernel
from mdplab.instances.robust import drpg_garnet
from mdplab.models import L1Ball, L2Ball, ModelSet, RobustMDP, TVBall


def _program(z, p, radius, weights, mask):
    """min sum_a w_a q_a.z_a over sum_a |q_a - p_a| <= radius on the mask, by HiGHS; z, p (A, n)."""
    A, n = z.shape
    size = A * n
    blocks = np.kron(np.eye(A), np.ones(n))
    eye = np.eye(size)
    answer = linprog(
        np.concatenate([(weights[:, None] * z).ravel(), np.zeros(size)]),
        A_ub=np.block([[eye, -eye], [-eye, -eye], [np.zeros((1, size)), np.ones((1, size))]]),
        b_ub=np.concatenate([p.ravel(), -p.ravel(), [radius]]),
        A_eq=np.hstack([blocks, np.zeros((A, size))]),
        b_eq=np.ones(A),
        bounds=[(0, None if m else 0) for m in mask.ravel()] + [(0, None)] * size,
    )
    return answer.fun


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
@pytest.mark.parametrize("support", ["nominal", "all"])
def test_worst_rows_are_those_of_the_linear_program(rectangularity, support):
    for i in range(6):
        rng = np.random.default_rng([92, i])
        problem = drpg_garnet(4, 3, 2, rng=rng, rectangularity=rectangularity, support=support)
        v, pi = rng.integers(-3, 3, 4).astype(float), rng.dirichlet(np.ones(3), 4)
        z, P = objective(problem, v), problem.nominal.P
        q = worst_kernel(problem, v, pi)
        mask = P > 0 if support == "nominal" else np.ones(P.shape, dtype=bool)
        assert q.min() >= 0 and (q[~mask] == 0).all()
        np.testing.assert_allclose(q.sum(axis=2), 1, atol=1e-14)  # a few roundings of 1
        radius = problem.uncertainty.radii(4, 3)
        for s in range(4):
            groups = [[0, 1, 2]] if rectangularity == "s" else [[0], [1], [2]]
            for g in groups:
                budget = radius[s] if rectangularity == "s" else radius[s, g[0]]
                best = _program(z[s, g], P[s, g], budget, pi[s, g], mask[s, g])
                assert np.abs(q[s, g] - P[s, g]).sum() <= budget + 1e-14
                # HiGHS's own tolerance, at objectives of size 10.
                assert (pi[s, g] * (q[s, g] * z[s, g]).sum(axis=1)).sum() == pytest.approx(best, abs=1e-8)


def test_total_variation_is_half_of_l1():
    rng = np.random.default_rng([92, 10])
    problem = drpg_garnet(5, 2, 3, rng=rng)
    half = RobustMDP(problem.nominal, TVBall(problem.uncertainty.radius / 2, support="nominal"))
    v, pi = rng.normal(0, 1, 5), np.full((5, 2), 0.5)
    assert np.array_equal(worst_kernel(problem, v, pi), worst_kernel(half, v, pi))


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
def test_robust_values_are_the_least_over_all_kernels(rectangularity):
    """Vertices suffice: every product of rows, or of matrices of states."""
    for i in range(8):
        rng = np.random.default_rng([92, 20, i])
        base = drpg_garnet(3, 2, 2, rng=rng)
        kernels = rng.dirichlet(np.ones(3), (2, 3, 2))
        problem = RobustMDP(base.nominal, ModelSet(kernels, rectangularity=rectangularity))
        pi = rng.dirichlet(np.ones(2), 3)
        shape = (3, 2) if rectangularity == "sa" else (3, 1)
        least = np.full(3, np.inf)
        for choice in itertools.product(range(2), repeat=int(np.prod(shape))):
            pick = np.broadcast_to(np.reshape(choice, shape), (3, 2))
            rows = np.take_along_axis(kernels, pick[None, :, :, None], axis=0)[0]
            least = np.minimum(least, linear_value(problem, rows, pi))
        known = robust_evaluation(problem, pi)
        # Linear systems of condition 39 and values up to 100.
        np.testing.assert_allclose(known.value, least, rtol=1e-12)
        np.testing.assert_allclose((pi * known.q).sum(axis=1), known.value, rtol=1e-12)


def test_the_gap_is_an_upper_bound_on_what_nature_still_gains():
    for i in range(10):
        rng = np.random.default_rng([92, 30, i])
        problem = drpg_garnet(rng=rng)
        pi = rng.dirichlet(np.ones(6), 5)
        true = robust_evaluation(problem, pi)
        rough = robust_evaluation(problem, pi, max_solves=1 + i % 2)
        assert np.all(rough.value - true.value <= rough.gap + 1e-9)
        assert np.all(rough.value >= true.value - 1e-9)


def test_other_sets_are_refused():
    base = drpg_garnet(rng=np.random.default_rng([92, 40]))
    with pytest.raises(ValueError, match="uncertainty is 'l2'; expected 'l1', 'tv' or 'models'"):
        worst_kernel(RobustMDP(base.nominal, L2Ball(0.1)), np.zeros(5), np.ones((5, 6)))
    assert isinstance(base.uncertainty, L1Ball)


def test_numbers_that_are_none_end_an_evaluation():
    problem = drpg_garnet(3, 2, 2, rng=np.random.default_rng([93, 1]))
    assert robust_evaluation(problem, np.full((3, 2), np.nan)).solves == 1
