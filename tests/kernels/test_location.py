import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import NoisyGradient, SingleTrajectory, hessian_vector
from mdplab.exact.policy_gradient import location_gradient, location_hvp
from mdplab.instances.policy_gradient import LocationChain, fnd_logit, qchain
from mdplab.kernels import location


@pytest.mark.parametrize("chain", [qchain(), fnd_logit()], ids=["gaussian", "logistic"])
def test_trajectory_estimates_average_to_the_truncated_gradient(chain):
    theta, horizon = np.array([1.4, -2.0]), 8
    g = SingleTrajectory(chain, horizon).draw(theta, 200_000, rng=np.random.default_rng([61, 1]))
    z = (g.mean(axis=0) - location_gradient(chain, theta, horizon=horizon)) * np.sqrt(len(g)) / g.std(axis=0)
    # Four z-scores in two cases: beyond 5 with probability 2e-6.
    assert np.abs(z).max() < 5


def test_the_average_would_miss_a_longer_horizon():
    theta, chain = np.array([1.4, -2.0]), fnd_logit()
    g = SingleTrajectory(chain, 2).draw(theta, 200_000, rng=np.random.default_rng([61, 2]))
    z = (g.mean(axis=0) - location_gradient(chain, theta, horizon=3)) * np.sqrt(len(g)) / g.std(axis=0)
    assert np.abs(z).max() > 10


ORACLES = {
    "noisy": NoisyGradient(qchain(), 0.3),
    "gaussian": SingleTrajectory(qchain(), 4),
    "logistic": SingleTrajectory(fnd_logit(), 4),
}


@pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)
def test_compiled_and_plain_runs_agree(oracle):
    T = 20
    eta, step = (2 / (np.arange(T) + 2)) ** 0.8, 2 / (np.arange(T) + 2)
    runs = []
    for form in (location.ascend, getattr(location.ascend, "py_func", location.ascend)):
        theta, d = np.empty((2, 2, T, 2))
        start, rng = np.array(oracle.chain.theta0), np.random.default_rng([61, 3])
        form(*oracle.arguments(), start, (1 - eta) / eta, 1 - eta, eta, step, True, np.arange(T), rng, theta, d)
        runs.append(np.stack([theta, d]))
    # The compiler may contract a multiplication and an addition: some roundings a step, amplified by 1 / eta.
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-11)


def test_the_exact_oracle_draws_nothing():
    rng = np.random.default_rng([61, 4])
    before = rng.bit_generator.state["state"]["state"]
    g = np.empty(2)
    location.noisy_gradient(np.zeros(2), np.array([[0, 0], [1, 1], [0, 0], [1, 2.0]]), 0.0, rng, g)
    assert g.tolist() == [1.0, 2.0]
    assert rng.bit_generator.state["state"]["state"] == before


@pytest.mark.parametrize("chain", [qchain(), fnd_logit()], ids=["gaussian", "logistic"])
def test_trajectory_products_average_to_the_truncated_hessian(chain):
    theta, u, horizon = np.array([1.4, -2.0]), np.array([0.7, -1.2]), 8
    v = SingleTrajectory(chain, horizon).draw_products(theta, u, 400_000, rng=np.random.default_rng([61, 5]))
    z = (v.mean(axis=0) - location_hvp(chain, theta, u, horizon=horizon)[1]) * np.sqrt(len(v)) / v.std(axis=0)
    # Four z-scores in two cases: beyond 5 with probability 2e-6.
    assert np.abs(z).max() < 5
    assert np.abs(v.mean(axis=0) * np.sqrt(len(v)) / v.std(axis=0)).max() > 10


def test_one_trajectory_gives_what_the_formulas_give():
    for oracle in (SingleTrajectory(qchain(), 6), SingleTrajectory(fnd_logit(), 6)):
        kind, scale, _, *model, horizon = oracle.arguments()
        states, path = np.zeros(horizon, dtype=np.int64), np.zeros((3, horizon))
        theta, u, v, rng = np.array([1.4, -2.0]), np.array([0.7, -1.2]), np.zeros(2), np.random.default_rng([61, 6])
        location.trajectory(theta, kind == location.LOGISTIC, scale, *model, rng, states, path)
        location.hessian_vector(states, path, u, v)
        scores, bends, discounted = path
        one = np.eye(2)[states]
        found = hessian_vector(one * scores[:, None], one * (bends * u[states])[:, None], discounted, 1.0, u)
        # Sums of six products of numbers below 100.
        np.testing.assert_allclose(v, found, rtol=0, atol=1e-11)
        shift = 1e-6
        if kind == location.LOGISTIC:
            action = theta[states] + 2 * scale * np.arctanh(scores * scale)
            up, down = (oracle.chain.score(action, theta[states] + h) for h in (shift, -shift))
            # Central differences: rounding 1e-15 / 2e-6 and 1e-12 times a third derivative below 10.
            np.testing.assert_allclose(bends, (up - down) / (2 * shift), rtol=0, atol=1e-8)
        else:
            assert (bends == -1 / scale**2).all()


def test_moves_follow_the_chain():
    still, n = np.array([[0.5, 0.0, 0.5], [0.2, 0.8, 0.0], [0.1, 0.6, 0.3]]), 200_000
    one = np.ones(3)
    chain = LocationChain(policy="gaussian", still=still, rho=one / 3, gamma=0.9, amplitude=one, centre=one, theta0=one)
    kind, scale, _, *model, horizon = SingleTrajectory(chain, n).arguments()
    states, path = np.zeros(horizon, dtype=np.int64), np.zeros((3, horizon))
    location.trajectory(one, kind == location.LOGISTIC, scale, *model, np.random.default_rng([61, 7]), states, path)
    counts = np.bincount(3 * states[:-1] + states[1:], minlength=9).reshape(3, 3)
    total = counts.sum(axis=1, keepdims=True)
    # Nine shares of more than 10 000 moves each beyond 5 standard errors: probability 5e-6.
    assert (np.abs(counts / total - still) <= 5 * np.sqrt(still * (1 - still) / total)).all()
    # The last possible state takes what rounding leaves, impossible ones before it keep no share.
    assert (model[1][0, 0] == [0.5, 0.5, 1.0]).all() and (model[1][0, 1] == [0.2, 1.0, 1.0]).all()
