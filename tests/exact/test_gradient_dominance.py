import numpy as np

from mdplab.algorithms.policy_gradient import softmax_score
from mdplab.exact import policy_gradient as exact
from mdplab.exact.gradient_dominance import compatible_fit, dominance_terms, softmax_fisher
from mdplab.instances.policy_gradient import fnd_logit
from mdplab.models import MDP

NODES = np.linspace(-40, 40, 4001)
WEIGHTS = np.exp(-np.abs(NODES)) / (1 + np.exp(-np.abs(NODES))) ** 2 * 0.02


def _setup(n):
    chain = fnd_logit()
    theta = np.random.default_rng([65, n]).uniform(-5, 5, (n, 2))
    best = exact.best_actions(chain, grid=np.linspace(-4, 4, 801))
    return chain, theta, dominance_terms(chain, theta, best)


def test_the_pointwise_form_is_nearly_tight_on_fnd_logit():
    chain, _, x = _setup(4000)
    ratio = x.gap / (x.score * x.w + x.bias / (1 - chain.gamma))
    # Largest ratio .94 over 4000 parameters.
    assert 0.92 < ratio.max() < 0.96
    lemma = x.gap / (x.gradient / chain.scale / x.eigenvalue + x.bias / (1 - chain.gamma))
    assert (lemma <= ratio + 1e-12).all()


def test_w_is_the_least_squares_fit_of_the_advantage():
    chain, theta, x = _setup(5)
    for i in range(5):
        m = chain.smoothed(theta[i])
        V = np.linalg.solve(np.eye(2) - chain.gamma * m.P, m.r)
        a = theta[i] + chain.scale * NODES[:, None]
        r, P = chain.at(a)
        advantage = r + chain.gamma * P @ V - V
        score = chain.score(a, theta[i])
        # Each state has its own coordinate, so the fit is one quotient a state.
        fit = WEIGHTS @ (advantage * score) / (WEIGHTS @ score**2)
        # Rounding of sums of 4001 products.
        assert abs(np.linalg.norm(fit) / (1 - chain.gamma) - x.w[i]) < 1e-10


def test_eigenvalue_is_that_of_the_fisher_matrix():
    chain, theta, x = _setup(3)
    for i in range(3):
        P = chain.smoothed(theta[i]).P
        d, p = np.zeros(2), np.asarray(chain.rho)
        for t in range(200):
            d, p = d + (1 - chain.gamma) * chain.gamma**t * p, p @ P
        square = WEIGHTS @ chain.score(theta[i] + chain.scale * NODES[:, None], theta[i]) ** 2
        # .7^200 is below any rounding; sums of 4001 numbers.
        assert abs((d * square).min() - x.eigenvalue[i]) < 1e-12
        # The constant of the paper is a lower bound of it.
        assert x.eigenvalue[i] >= (1 - chain.gamma) * chain.rho.min() * chain.fisher


def test_both_identities_hold_and_agree_with_the_terms():
    chain, theta, x = _setup(20)
    best = exact.best_actions(chain, grid=np.linspace(-4, 4, 801))
    fit = compatible_fit(chain, theta, best)
    assert (np.abs(fit.gap - fit.advantage_comparator / (1 - chain.gamma)) <= fit.gap_radius).all()
    assert (np.abs((1 - chain.gamma) * fit.w - fit.coefficient) <= fit.fit_radius).all()
    # Wide radii would hide a wrong factor: they are below a billionth of what they guard.
    assert fit.gap_radius.max() < 1e-9 and fit.fit_radius.max() < 1e-9
    np.testing.assert_allclose(np.linalg.norm(fit.w, axis=1), x.w, rtol=1e-12)  # a square root and a quotient
    # The mean over the policy's own actions and states; sums of 641 terms below 10.
    assert np.abs(fit.advantage_own).max() < 1e-12


def test_the_fisher_matrix_of_softmax_is_the_mean_outer_product_of_scores_and_singular():
    rng = np.random.default_rng([65, 9])
    mdp = MDP(rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2)), 0.6, mu=[0.2, 0.3, 0.5])
    theta = rng.standard_normal((3, 2))
    pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    d, p = np.zeros(3), mdp.mu
    for t in range(90):
        d, p = d + 0.4 * 0.6**t * p, p @ np.einsum("sa,sat->st", pi, mdp.P)
    states, actions = np.divmod(np.arange(6), 2)
    scores = softmax_score(theta, states, actions).reshape(6, 6)
    mean = np.einsum("i,ij,ik->jk", (d[:, None] * pi).ravel(), scores, scores)
    F = softmax_fisher(mdp, theta)
    # .6^90 = 1e-20; sums of 90 numbers below 1.
    np.testing.assert_allclose(F, mean, rtol=0, atol=1e-14)
    eigenvalues = np.linalg.eigvalsh(F)
    # Three null directions, one a state; the next eigenvalue is well away.
    assert np.abs(eigenvalues[:3]).max() < 1e-15 and eigenvalues[3] > 1e-3
