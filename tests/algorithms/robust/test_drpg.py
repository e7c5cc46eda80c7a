"""DRPG: both inner loops, the published Garnet, the cycle of a constant step, parametric kernels."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.robust.drpg import drpg, drpg_parametric, tilt_gradient
from mdplab.algorithms.robust.nature import robust_evaluation
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import drpg_garnet, drpg_policy, opposite_models
from mdplab.instances.robust_suite import drpg_inventory
from mdplab.models import RobustMDP
from mdplab.papers.wang2023 import _opposite_run


def test_published_garnet_reaches_the_robust_value():
    """G(5, 6, 3), step .05: mean gap .0046 after 200 steps over six seeds in the notes (D.4.2), from 23.4 after one."""
    first, last = [], []
    for i in range(6):
        rng = np.random.default_rng([89, i])
        problem = drpg_garnet(rng=rng)
        optimum = problem.nominal.mu @ robust_policy_iteration(problem, tol=1e-7).value
        run = drpg(problem, num_iters=200, step=0.05, pi0=drpg_policy(5, 6, rng=rng), checkpoints=[1, 200])
        first.append(optimum - run["objective"][0])
        last.append(optimum - run["objective"][1])
        true = problem.nominal.mu @ robust_evaluation(problem, run["pi"][-1]).value
        assert run["objective"][1] == pytest.approx(true, abs=1e-3)  # the inner tolerance, which falls by gamma a step
    assert np.mean(first) > 5 and np.mean(last) < 0.05


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
def test_gradient_inner_loop_finds_the_same_kernel_value(rectangularity):
    problem = drpg_garnet(3, 2, 2, rng=np.random.default_rng([89, 10]), rectangularity=rectangularity)
    options = {"num_iters": 3, "step": 0.05, "tol": 1e-3, "decay": 1.0}
    exact, inner = (drpg(problem, inner=inner, **options) for inner in ("exact", "gradient"))
    assert np.all(inner["gap"] <= 1e-3) and inner["solves"].max() > 1
    # Each is within the tolerance of the worst case; the policies moved by kernels that differ as much.
    np.testing.assert_allclose(exact["objective"], inner["objective"], atol=1e-2)


def test_a_constant_tolerance_leaves_a_floor():
    problem = drpg_garnet(rng=np.random.default_rng([89, 11]))
    optimum = problem.nominal.mu @ robust_policy_iteration(problem, tol=1e-7).value
    gaps = []
    for decay in (1.0, problem.gamma):
        run = drpg(problem, num_iters=200, step=0.05, tol=1000.0, decay=decay, checkpoints=[200])
        gaps.append(optimum - problem.nominal.mu @ robust_evaluation(problem, run["pi"][0]).value)
    # A tolerance of 1000 never asks nature to answer: the nominal policy. Shrunk by .95^200 it asks for .04.
    assert gaps[0] > 0.2 and gaps[1] < 0.04


def test_constant_step_cycles_on_opposite_models_as_in_fractions():
    """Notes, D.4.5: step .1 ends in a cycle through (.9, .1), value .9; .01 at (.54, .46), value 4.14."""
    start = np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    for step, x, value in ((0.1, 0.9, 0.9), (0.01, 0.54, 4.14)):
        run = drpg(opposite_models(), num_iters=60, step=step, tol=0.0, pi0=start)
        size = Fraction(step).limit_denominator(100)
        exact = _opposite_run(Fraction(9, 10), 60, lambda t, size=size: size)
        np.testing.assert_allclose(run["pi"][:60, 0, 0], np.array(exact, dtype=float), atol=1e-12)  # 60 roundings
        assert max(run["pi"][-2:, 0, 0]) == pytest.approx(x, abs=1e-12)  # the same
        assert min(run["objective"][-2:]) == pytest.approx(value, abs=1e-10)  # the same, times 9


def test_shrinking_steps_approach_the_mixture():
    start = np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    run = drpg(opposite_models(), num_iters=400, step=lambda t: 0.1 / np.sqrt(t + 1), tol=0.0, pi0=start)
    # Within 81/4 of the last step, .005.
    assert 4.5 - run["objective"].max() < 0.11


def test_parametric_kernels_get_worse_and_policies_better():
    family = drpg_inventory(rng=np.random.default_rng([89, 12]))
    run = drpg_parametric(family, num_iters=40, step=0.1)
    pi = run["pi"][0]
    assert run["objective"][0] < tilt_gradient(family, family.theta, family.lam, pi).objective
    assert run["objective"][-1] > run["objective"][0]
    assert np.all(np.abs(run["theta"] - family.theta).sum(axis=1) <= family.radius + 1e-12)
    assert run["lam"].min() >= family.lam_min


def test_bad_input():
    problem = opposite_models()
    with pytest.raises(ValueError, match="inner is 'newton'"):
        drpg(problem, num_iters=1, step=0.1, inner="newton")
    with pytest.raises(ValueError, match="inner is 'gradient' and uncertainty 'models'"):
        drpg(problem, num_iters=1, step=0.1, inner="gradient")
    for wrong, said in (
        ({"num_iters": -1}, "num_iters is -1"),
        ({"step": np.nan}, "step is nan"),
        ({"checkpoints": [0, 5]}, r"checkpoints\[1\] is 5"),
        ({"pi0": np.ones((3, 2))}, r"pi0\[0\] is \[1.0, 1.0\]"),
        ({"pi0": np.ones(3)}, r"pi0 has shape \(3,\)"),
    ):
        with pytest.raises(ValueError, match=said):
            drpg(problem, **{"num_iters": 2, "step": 0.1, **wrong})
    with pytest.raises(ValueError, match="no initial distribution mu"):
        drpg(RobustMDP(problem.nominal.replace(mu=None), problem.uncertainty), num_iters=1, step=0.1)
