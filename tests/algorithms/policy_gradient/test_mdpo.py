"""MDPO: the mirror step, its inner loop in both directions of KL, and what bad input is told."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.mdpo import annealed_steps, inner_steps, mdpo, mdpo_step
from mdplab.exact import policy_evaluation, soft_policy_iteration
from mdplab.instances import garnet
from mdplab.kernels.softmax import softmax


@pytest.fixture
def mdp():
    return garnet(5, 3, 2, gamma=0.8, rng=np.random.default_rng([604]))


def test_steps_on_probabilities_and_on_logits_agree(mdp):
    run = mdpo(mdp, step=annealed_steps(6), num_iters=6, tau=0.2)
    for k in range(6):
        step = mdpo_step(np.exp(run["log_policy"][k]), run["q"][k], step=1 - k / 6, tau=0.2)
        # Rounding of exponentials of a few units.
        np.testing.assert_allclose(np.exp(run["log_policy"][k + 1]), step, atol=1e-14)


def test_values_are_those_of_the_policies(mdp):
    run = mdpo(mdp, step=0.7, num_iters=5)
    for log_pi, v in zip(run["log_policy"], run["value"]):
        # The certified solver's tolerance.
        np.testing.assert_allclose(v, policy_evaluation(mdp, np.exp(log_pi), tol=1e-10).value, rtol=0, atol=2e-10)
    assert (np.diff(run["value"], axis=0) >= -1e-14).all()


def test_entropy_leads_to_the_regularised_optimum(mdp):
    run = mdpo(mdp, step=5.0, tau=0.4, num_iters=100, checkpoints=[100])
    solved = soft_policy_iteration(mdp, tau=0.4, tol=1e-10)
    # (1 - 0.2 * 2 / 3)^100 is 3e-14.
    np.testing.assert_allclose(run["value"][0], solved.value, rtol=0, atol=1e-9)


def test_reversed_kl_tends_to_its_own_closed_form():
    """pi = pi_k / (t (psi - A)): the reciprocals over pi_k differ by t times differences of advantages."""
    rng = np.random.default_rng([604, 1])
    log_pi = np.log(rng.dirichlet(5 * np.ones(4), 2))
    advantage = 0.3 * rng.standard_normal((2, 4))
    found = softmax(inner_steps(log_pi, advantage, step=0.8, rate=0.8, num_steps=2000, reverse=True)[-1])
    slack = np.exp(log_pi) / (0.8 * found) + advantage
    # Contraction by 1 - (smallest probability, about 0.05) a step: below rounding after 2000.
    np.testing.assert_allclose(slack, slack[:, :1] * np.ones(4), atol=1e-11)
    assert np.abs(found - softmax(log_pi + 0.8 * advantage)).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, r"step is 0.0"),
        ({"step": [1.0, np.inf, 1.0]}, r"step\[1\] is inf"),
        ({"tau": -0.1}, "tau is -0.1"),
        ({"num_iters": -1}, "num_iters is -1"),
        ({"log_pi0": np.zeros((2, 2))}, "log_pi0 has shape"),
    ],
)
def test_bad_input_is_named(mdp, options, message):
    with pytest.raises(ValueError, match=message):
        mdpo(mdp, **{"step": 1.0, "num_iters": 3} | options)


def test_inner_steps_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"rate is 0\.0"):
        inner_steps(np.zeros((1, 2)), np.zeros((1, 2)), step=1.0, rate=0.0, num_steps=1)
