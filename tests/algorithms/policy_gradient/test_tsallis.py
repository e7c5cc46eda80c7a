"""Tsallis KL: logarithm and exponential, the greedy step against sorting and optimality, and its value iteration."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.md_vi import md_vi
from mdplab.algorithms.policy_gradient.tsallis import exp_q, log_q, tsallis_greedy, tsallis_kl, tsallis_vi
from mdplab.instances import garnet
from mdplab.kernels.softmax import kl_divergence, softmax


@pytest.mark.parametrize("q", [0.5, 1.0, 1.0 + 1e-9, 2.0, 3.0])
def test_exponential_inverts_logarithm(q):
    x = np.array([0.01, 0.5, 1.0, 4.0])
    # A power and its inverse: a few roundings of log x / (1 - q) before the last exponential.
    np.testing.assert_allclose(exp_q(log_q(x, q), q), x, rtol=1e-13)


def test_divergence_at_1_and_2():
    rng = np.random.default_rng([607])
    p, mu = rng.dirichlet(np.ones(4), 2)
    # Roundings of numbers of order one.
    assert tsallis_kl(p, mu, 1.0) == pytest.approx(kl_divergence(np.log(p), np.log(mu)), abs=1e-14)
    assert tsallis_kl(p, mu, 2.0) == pytest.approx(np.sum((p - mu) ** 2 / mu), abs=1e-13)  # chi squared
    assert tsallis_kl(mu, mu, 3.0) == 0
    assert tsallis_kl(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 2.0) == 1


@pytest.mark.parametrize("q", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("spread", [0.3, 20.0])
def test_no_random_policy_does_better(q, spread):
    rng = np.random.default_rng([607, 1])
    Q, mu = spread * rng.standard_normal((3, 4)), rng.dirichlet(np.ones(4), 3)
    pi, _ = tsallis_greedy(Q, mu, tau=0.7, q=q)
    best = np.sum(pi * Q, axis=1) - 0.7 * tsallis_kl(pi, mu, q)
    for other in np.concatenate(
        [rng.dirichlet(np.ones(4), (1500, 3)), pi + 0.01 * (rng.dirichlet(np.ones(4), (500, 3)) - pi)]
    ):
        # Rounding of values up to the spread.
        assert (np.sum(other * Q, axis=1) - 0.7 * tsallis_kl(other, mu, q) <= best + 1e-13 * (1 + spread)).all()


def test_the_limit_of_the_specification():
    """The step at q = 1.0001 misses the exponential by about 2e-5."""
    rng = np.random.default_rng([607, 2])
    Q, mu = rng.standard_normal((5, 4)), rng.dirichlet(5 * np.ones(4), 5)
    near = tsallis_greedy(Q, mu, tau=1.0, q=1.0001)[0]
    gap = np.abs(near - softmax(np.log(mu) + Q)).max()
    assert 1e-6 < gap < 1e-4
    np.testing.assert_allclose(
        tsallis_greedy(Q, mu, tau=1.0, q=1.0)[0], softmax(np.log(mu) + Q), atol=1e-15
    )  # rounding


@pytest.mark.parametrize("q", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_the_normaliser_is_that_of_the_formula(q):
    rng = np.random.default_rng([607, 3])
    Q, mu = 2 * rng.standard_normal((4, 5)), rng.dirichlet(np.ones(5), 4)
    mu[0, 2] = 0.0
    mu[0] /= mu[0].sum()
    pi, psi = tsallis_greedy(Q, mu, tau=0.8, q=q)
    assert pi[0, 2] == 0
    x = (Q - psi[:, None]) / 0.8
    formula = mu * np.exp(x - 1) if q == 1 else mu * np.maximum((1 + (q - 1) * x) / q, 0.0) ** (1 / (q - 1))
    # A power of order 1 / (q - 1) of numbers known to a few roundings of Q / tau.
    np.testing.assert_allclose(pi, formula, atol=1e-13)


@pytest.mark.parametrize("q", [0.5, 1.5, 2.0, 3.0])
def test_a_rare_best_action_and_a_wide_spread(q):
    """The best action starts at 1e-30, the others trail far behind: it takes all the mass, or its exact share."""
    mu = np.array([[1e-30, 0.5, 0.5]])
    pi, _ = tsallis_greedy(np.array([[1e6, 0.0, -1e6]]), mu, tau=1.0, q=q)
    assert pi.sum() == pytest.approx(1, abs=1e-15) and (pi >= 0).all()  # divided by its sum
    if q == 2.0:
        # Weight 1e-30 / 2 (1 + lead) is nothing, so that the second action wins: it leads the third by 1e6.
        assert pi[0, 1] == 1


def test_below_1_a_reference_without_the_best_action():
    """q = 1/2 puts nearly all mass on an action of weight 1e-40 that is far ahead."""
    mu, tau = np.array([[1e-40, 1.0 - 1e-40]]), 0.5
    pi, _ = tsallis_greedy(np.array([[100.0, 0.0]]), mu, tau=tau, q=0.5)
    # From the best, y = (0, -200): g = (G, G + 200), mu_1 / G^2 + mu_2 / (G + 200)^2 = 1, and G is about 1e-20.
    np.testing.assert_allclose(pi[0, 1], 1 / 200**2, rtol=1e-12)


def test_at_index_1_it_is_md_vi():
    mdp = garnet(5, 3, 2, gamma=0.8, rng=np.random.default_rng([607, 4]))
    ours = tsallis_vi(mdp, tau=0.5, q=1.0, num_iters=60)
    theirs = md_vi(mdp, lam=0.5, tau=0.0, num_iters=60)
    # Rounding of 60 q's up to 5, over tau.
    np.testing.assert_allclose(ours["policy"], np.exp(theirs["log_policy"]), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 0.0}, r"tau is 0\.0"),
        ({"q": -1.0}, r"q is -1\.0"),
        ({"Q": np.array([[np.nan, 0.0]])}, r"Q\[0, 0\] is nan"),
        ({"mu": np.array([[-0.5, 1.5]])}, r"mu\[0, 0\] is -0\.5"),
        ({"mu": np.zeros((1, 2))}, r"mu\[0\] has no positive entry"),
        ({"mu": np.ones((2, 2))}, "have shapes"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"Q": np.zeros((1, 2)), "mu": np.full((1, 2), 0.5), "tau": 1.0, "q": 2.0} | change
    with pytest.raises(ValueError, match=message):
        tsallis_greedy(given["Q"], given["mu"], tau=given["tau"], q=given["q"])
