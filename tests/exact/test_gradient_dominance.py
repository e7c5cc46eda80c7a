import numpy as np

from mdplab.exact import policy_gradient as exact
from mdplab.exact.gradient_dominance import dominance_terms
from mdplab.instances.policy_gradient import fnd_logit

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
