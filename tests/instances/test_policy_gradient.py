import dataclasses

import numpy as np
import pytest

from mdplab.instances import policy_gradient as pg


def test_qchain_has_the_objective_in_closed_form():
    chain, theta = pg.qchain(), np.array([1.5, -0.2])
    V = np.linalg.solve(np.eye(2) - 0.7 * chain.still, chain.smoothed(theta).r)
    J = -0.5 * chain.occupancy @ ((theta - chain.centre) ** 2 + 0.25)
    # Two solves of two equations of condition below 6.
    assert abs(chain.rho @ V - J) < 1e-13
    # Occupancies sum to 1 / (1 - gamma).
    assert abs(chain.occupancy.sum() - 1 / 0.3) < 1e-14


def test_averages_over_logistic_noise_agree_with_a_finer_rule():
    chain, theta = pg.fnd_logit(), np.array([1.3, -2.2])
    z = np.linspace(-45, 45, 20001)
    weight = np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2 * (z[1] - z[0])
    r, P = chain.at(theta + 0.5 * z[:, None])
    m = chain.smoothed(theta)
    # 2e4 additions of numbers below 1, error growing like their square root.
    np.testing.assert_allclose(m.r, weight @ r, rtol=0, atol=1e-13)
    np.testing.assert_allclose(m.P, np.einsum("z,zst->st", weight, P), rtol=0, atol=1e-13)  # as above


@pytest.mark.parametrize("chain", [pg.qchain(), pg.fnd_logit()], ids=["gaussian", "logistic"])
def test_derivatives_are_those_of_the_averages(chain):
    theta, h = np.array([0.4, -1.7]), 1e-4
    lo, mid, hi = (chain.smoothed(theta + shift) for shift in (-h, 0, h))
    for value, slope, curvature in (("r", "dr", "ddr"), ("P", "dP", "ddP")):
        first = (getattr(hi, value) - getattr(lo, value)) / (2 * h)
        second = (getattr(hi, slope) - getattr(lo, slope)) / (2 * h)
        # Central differences: h^2 = 1e-8 times a third derivative below 1, and rounding 1e-16 / h.
        np.testing.assert_allclose(getattr(mid, slope), first, rtol=0, atol=1e-8)
        np.testing.assert_allclose(getattr(mid, curvature), second, rtol=0, atol=1e-8)  # as above


@pytest.mark.parametrize("chain", [pg.qchain(), pg.fnd_logit()], ids=["gaussian", "logistic"])
def test_fisher_information_is_the_mean_square_of_the_score(chain):
    rng = np.random.default_rng([62, 1])
    n = 400_000
    noise = rng.standard_normal((n, 2)) if chain.policy == "gaussian" else rng.logistic(size=(n, 2))
    square = chain.score(chain.theta0 + chain.scale * noise, chain.theta0) ** 2
    z = (square.mean(axis=0) - chain.fisher) * np.sqrt(n) / square.std(axis=0)
    # Two z-scores in two cases beyond 5: probability 2e-6.
    assert np.abs(z).max() < 5


@pytest.mark.parametrize("make", [pg.random_quadratic_chain, pg.random_bump_chain])
def test_random_chains_differ_and_repeat(make):
    a, b, c = (make(3, rng=np.random.default_rng([62, key])) for key in (2, 2, 3))
    assert a.digest() == b.digest() != c.digest()
    assert a.rho.min() >= 0.5 / 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": "uniform"}, "policy is 'uniform'"),
        ({"gamma": 1.0}, "gamma is 1.0"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"rho": np.array([1.0, 0.0])}, "rho is"),
        ({"still": np.array([[0.5, 0.4], [0.6, 0.4]])}, r"still\[0\] is"),
        ({"amplitude": np.array([1.0, -1.0])}, r"amplitude\[1\] is -1.0"),
        ({"theta0": np.zeros(3)}, r"theta0 has shape \(3,\)"),
        ({"centre": np.array([np.nan, 0.0])}, "centre has an entry"),
    ],
)
def test_faults_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(pg.qchain(), **change)


def test_occupancy_is_refused_where_it_depends_on_the_policy():
    with pytest.raises(ValueError, match="depends on theta"):
        _ = pg.fnd_logit().occupancy
