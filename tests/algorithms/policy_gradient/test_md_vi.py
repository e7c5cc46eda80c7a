"""MD-VI: closed form against the objective it maximises, special cases, and what bad input is told."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.md_vi import md_vi, md_vi_step, regularized_value
from mdplab.exact import policy_evaluation, soft_value_iteration, value_iteration
from mdplab.instances import garnet
from mdplab.kernels.softmax import logsumexp


@pytest.fixture
def mdp():
    return garnet(5, 3, 2, gamma=0.8, rng=np.random.default_rng([601]))


@pytest.mark.parametrize(("lam", "tau"), [(0.7, 0.0), (0.0, 0.4), (0.7, 0.4)])
def test_the_step_maximises(lam, tau):
    """The value at the step is the soft maximum, and no random policy has more."""
    rng = np.random.default_rng([601, 1])
    q, old = rng.standard_normal((4, 5)), np.log(rng.dirichlet(np.ones(5), 4))
    new = md_vi_step(old, q, lam=lam, tau=tau)
    best = regularized_value(new, q, old, lam=lam, tau=tau)
    # A handful of roundings of numbers of order one.
    np.testing.assert_allclose(best, (lam + tau) * logsumexp((lam * old + q) / (lam + tau)), atol=1e-14)
    for other in np.log(rng.dirichlet(np.ones(5), (500, 4))):
        assert (regularized_value(other, q, old, lam=lam, tau=tau) <= best + 1e-14).all()


def test_without_regularisers_it_is_value_iteration(mdp):
    run = md_vi(mdp, lam=0.0, tau=0.0, num_iters=200)
    # 0.8^200 / 0.2 is below the tolerance of the certified solver.
    np.testing.assert_allclose(run["q"][-1].max(axis=1), value_iteration(mdp, tol=1e-9).value, atol=2e-9)
    q = np.zeros((mdp.S, mdp.A))
    for k in range(3):
        np.testing.assert_array_equal(run["q"][k], q)
        q = mdp.r + mdp.gamma * (mdp.P.reshape(-1, mdp.S) @ q.max(axis=1)).reshape(q.shape)


def test_entropy_alone_is_soft_value_iteration(mdp):
    run = md_vi(mdp, lam=0.0, tau=0.5, num_iters=200)
    soft = soft_value_iteration(mdp, tau=0.5, tol=1e-9)
    # As above.
    np.testing.assert_allclose(run["q"][-1], soft.extras["Q"], atol=4e-9)


def test_kl_alone_finds_the_optimum(mdp):
    run = md_vi(mdp, lam=1.0, tau=0.0, num_iters=2000, checkpoints=[2000])
    found = policy_evaluation(mdp, np.exp(run["log_policy"][0]), tol=1e-9).value
    # Theorem 1: 4 v_max / ((1 - gamma) k) with v_max = (1 + log 3) / 0.2.
    np.testing.assert_allclose(found, value_iteration(mdp, tol=1e-9).value, rtol=0, atol=20 * 10.5 / 2000)


def test_errors_enter_where_they_should(mdp):
    errors = np.random.default_rng([601, 2]).standard_normal((3, mdp.S, mdp.A))
    with_errors = md_vi(mdp, lam=1.0, tau=0.1, num_iters=3, errors=errors)
    without = md_vi(mdp, lam=1.0, tau=0.1, num_iters=3)
    np.testing.assert_array_equal(with_errors["q"][1], without["q"][1] + errors[0])
    np.testing.assert_array_equal(with_errors["log_policy"][1], without["log_policy"][1])
    assert not np.allclose(with_errors["log_policy"][2], without["log_policy"][2])


def test_checkpoints_are_a_selection(mdp):
    every = md_vi(mdp, lam=1.0, tau=0.0, num_iters=9)
    some = md_vi(mdp, lam=1.0, tau=0.0, num_iters=9, checkpoints=[2, 9])
    for name in ("log_policy", "q", "q_sum"):
        np.testing.assert_array_equal(some[name], every[name][[2, 9]])
    # A sum of nine numbers in another order.
    np.testing.assert_allclose(every["q_sum"][9], every["q"][:9].sum(axis=0), atol=1e-13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lam": -1.0}, "lam is -1.0"),
        ({"tau": np.nan}, "tau is nan"),
        ({"num_iters": -1}, "num_iters is -1"),
        ({"errors": np.zeros((2, 5, 3))}, "errors has shape"),
        ({"q0": np.zeros(3)}, "q0 has shape"),
        ({"checkpoints": [4]}, r"checkpoints\[0\] is 4"),
    ],
)
def test_bad_input_is_named(mdp, options, message):
    with pytest.raises(ValueError, match=message):
        md_vi(mdp, **{"lam": 1.0, "tau": 0.0, "num_iters": 3} | options)


def test_every_action_must_be_available(mdp):
    mask = np.ones((mdp.S, mdp.A), dtype=bool)
    mask[1, 2] = False
    with pytest.raises(ValueError, match=r"actions\[1, 2\]"):
        md_vi(mdp.replace(actions=mask), lam=1.0, tau=0.0, num_iters=1)
