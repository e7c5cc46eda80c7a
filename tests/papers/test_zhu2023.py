"""What the claims about Tsallis KL rest on: the sorted and the rational step, the lost optimum by certified solvers."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.tsallis import tsallis_greedy, tsallis_vi
from mdplab.exact import policy_evaluation, value_iteration
from mdplab.papers import zhu2023

PARAMS = zhu2023.Params(rows=3, actions=3, others=3, states=4, iterations=15, last=7, points=8)


def test_rational_sorted_and_bisected_steps_agree():
    rng = np.random.default_rng([608])
    for _ in range(20):
        Q, mu = rng.integers(-8, 9, 4), rng.integers(1, 9, 4)
        exact = zhu2023._exact_step(
            [Fraction(int(x), 4) for x in Q], [Fraction(int(m), int(mu.sum())) for m in mu], Fraction(1, 2)
        )
        assert sum(exact) == 1
        share = mu / mu.sum()
        # A few roundings of Q / tau.
        np.testing.assert_allclose(zhu2023._sorted_step(Q / 4, share, 0.5), [float(x) for x in exact], atol=1e-13)
        bisected = tsallis_greedy(Q[None] / 4, share[None], tau=0.5, q=2.0)[0][0]
        np.testing.assert_allclose(bisected, [float(x) for x in exact], atol=1e-13)  # a few roundings, again


def test_the_lost_optimum_costs_8():
    mdp = zhu2023.late_reward()
    solved = value_iteration(mdp, tol=1e-10)
    for q, loss in ((1.0, 0.0), (1.5, 0.0), (2.0, 8.0)):
        policy = tsallis_vi(mdp, tau=0.25, q=q, num_iters=400, checkpoints=[400])["policy"][0]
        gap = np.max(solved.value - policy_evaluation(mdp, policy, tol=1e-10).value)
        # The solvers' tolerances; KL is within e^-1000 of greedy by then.
        assert gap == pytest.approx(loss, abs=1e-8)


def test_rational_run_agrees_with_floats():
    qs, policies = zhu2023._exact_run(Fraction(1, 4), Fraction(1), Fraction(2), 12)
    run = tsallis_vi(zhu2023.late_reward(), tau=0.25, q=2.0, num_iters=12)
    # Rounding of numbers up to 20.
    np.testing.assert_allclose(run["q"][:, 0], np.array(qs, dtype=float), atol=1e-12)
    np.testing.assert_allclose(run["policy"][:, 0], np.array(policies, dtype=float), atol=1e-12)


def test_the_floor_is_attained_only_where_it_should():
    evidence = zhu2023._floor(PARAMS, np.random.default_rng([608, 1]))
    measured, bound = np.array(evidence["measured"]), np.array(evidence["bound"])
    assert (measured <= bound).all() and (measured / bound).max() > 0.99
    wider = zhu2023._floor(PARAMS, np.random.default_rng([608, 1]), 1.02)
    assert (np.array(wider["measured"]) > np.array(wider["bound"])).any()


def test_the_figures_show_what_they_claim():
    policies = zhu2023.figure_policies(PARAMS, np.random.default_rng(0))
    at_4 = np.argmin(np.abs(policies["lead"] - 4))
    assert policies["q_2"][at_4] == 1 > policies["q_2"][at_4 - 1]
    assert (policies["q_1"] < 1).all()
    lost = zhu2023.figure_lost(PARAMS, np.random.default_rng(0))
    assert lost["q_2"][2:].max() == 0 and lost["q_1"][-1] > 0.999
