"""What the claims about error averaging rest on: losses against rational arithmetic, the noise that must be refuted."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.md_vi import md_vi
from mdplab.exact import value_iteration
from mdplab.instances.error_averaging import tight_averaging
from mdplab.papers import vieillard2020

PARAMS = vieillard2020.Params(states=5, iterations=20, long=400, seeds=2, last=9, points=8)


def test_losses_of_one_state():
    """v* - v_pi is the mass on the worse action times the gap over 1 - gamma, and the loss in q gamma times it."""
    mdp, _ = tight_averaging(1.0, 0.5, 0.8, 1)
    log_pi = np.log([[0.25, 0.75]])
    in_v, in_q, radius = vieillard2020._losses(mdp, value_iteration(mdp, tol=1e-10).value, log_pi)
    # The tolerances of the two solvers.
    assert in_v == pytest.approx(0.75 * 1.5 / 0.2, abs=2e-8) and in_q == pytest.approx(0.8 * in_v, abs=1e-12)
    assert 0 < radius < 1e-7


def test_the_notes_tight_number():
    """1.99 against 2.0 at e = 0.1, gamma = 0.9."""
    mdp, errors = tight_averaging(0.1, 1e-3, 0.9, 1000)
    run = md_vi(mdp, lam=0.1, tau=0.0, num_iters=1000, errors=errors, checkpoints=[1000])
    loss = vieillard2020._losses(mdp, value_iteration(mdp, tol=1e-10).value, run["log_policy"][0])[0]
    assert loss == pytest.approx(1.99, abs=1e-3)  # 0.199 / 0.1 and e^-9.99 less of it


def test_history_is_a_geometric_average():
    q = np.random.default_rng([603]).standard_normal((5, 2, 2))
    h = vieillard2020._history(q, 0.3)
    expected = sum(0.7 * 0.3 ** (4 - j) * q[j] for j in range(5))
    np.testing.assert_allclose(h[4], expected, atol=1e-15)  # five roundings of numbers below one
    np.testing.assert_array_equal(vieillard2020._history(q, 0.0), q)


def test_sharp_bound_is_met_by_every_case_and_nearly_attained_by_one():
    evidence = vieillard2020._sharp(PARAMS, np.random.default_rng([603, 1]))
    assert np.all(np.asarray(evidence["measured"]) - evidence["radius"] <= evidence["bound"])
    assert np.nanmax(np.asarray(evidence["measured"]) / evidence["bound"]) > 0.97


def test_figures_show_what_they_claim():
    tight = vieillard2020.figure_tight(PARAMS, np.random.default_rng(0))
    assert np.all(tight["loss"] <= tight["bound"] + 1e-7)  # solver tolerance
    maze = vieillard2020.figure_averaging(PARAMS, np.random.default_rng([603, 2]))
    assert maze["kl"][-1] < 1 < maze["kl_and_entropy"][-1] < maze["value_iteration"][-1]
