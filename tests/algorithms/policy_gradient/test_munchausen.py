"""Munchausen value iteration: the identity with MD-VI, soft value iteration at alpha 0, and the general form."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.md_vi import md_vi
from mdplab.algorithms.policy_gradient.munchausen import general_munchausen_vi, munchausen_vi
from mdplab.exact import soft_value_iteration
from mdplab.instances import garnet


@pytest.fixture
def mdp():
    return garnet(6, 4, 3, gamma=0.9, rng=np.random.default_rng([602]))


@pytest.mark.parametrize("alpha", [1.0, 0.9, 0.0])
def test_it_is_md_vi_to_4e_15(mdp, alpha):
    ours = munchausen_vi(mdp, alpha=alpha, tau=1.0, num_iters=50)
    theirs = md_vi(mdp, lam=alpha, tau=1 - alpha, num_iters=50)
    # The deviation that the specification measured over 50 sweeps.
    np.testing.assert_allclose(np.exp(ours["log_policy"]), np.exp(theirs["log_policy"]), rtol=0, atol=4e-15)


def test_without_bonus_it_is_soft_value_iteration(mdp):
    run = munchausen_vi(mdp, alpha=0.0, tau=0.3, num_iters=300, checkpoints=[300])
    soft = soft_value_iteration(mdp, tau=0.3, tol=1e-9)
    # 0.9^300 / 0.1 is 2e-13, the solver's tolerance 1e-9.
    np.testing.assert_allclose(run["m"][0], soft.extras["Q"], atol=4e-9)


def test_the_general_form_at_q_1(mdp):
    errors = 0.1 * np.random.default_rng([602, 1]).standard_normal((40, mdp.S, mdp.A))
    general = general_munchausen_vi(mdp, q=1.0, alpha=0.9, tau=0.3, num_iters=40, errors=errors)
    plain = munchausen_vi(mdp, alpha=0.9, tau=0.3, num_iters=40, errors=errors)
    # Rounding of 40 sweeps of numbers up to 10, divided by tau.
    np.testing.assert_allclose(general["policy"], np.exp(plain["log_policy"]), atol=1e-12)


def test_the_general_form_is_sparse_above_1(mdp):
    policy = general_munchausen_vi(mdp, q=2.0, alpha=0.9, tau=0.1, num_iters=60, checkpoints=[60])["policy"][0]
    assert (policy == 0).any()
    np.testing.assert_allclose(policy.sum(axis=1), 1, atol=1e-15)  # divided by its sum


@pytest.mark.parametrize(
    ("options", "message"),
    [({"alpha": 1.5}, "alpha is 1.5"), ({"tau": 0.0}, "tau is 0.0"), ({"m0": np.zeros(3)}, "m0 has shape")],
)
def test_bad_input_is_named(mdp, options, message):
    options = {"alpha": 0.5, "tau": 1.0, "num_iters": 2} | options
    with pytest.raises(ValueError, match=message):
        munchausen_vi(mdp, **options)
    with pytest.raises(ValueError, match=message):
        general_munchausen_vi(mdp, q=2.0, **options)
