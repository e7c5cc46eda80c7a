"""What the claims about TRPO rest on: the certified error of the loss, and witnesses that floats agree with."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify.improvement import exact_improvement
from mdplab.instances.trpo import rare_state, trpo_tight, trpo_tight_shortfall
from mdplab.papers import schulman2015

PARAMS = schulman2015.Params(states=4, actions=3, pairs=3, evaluations=100)


def test_the_loss_is_known_up_to_its_radius():
    for i in range(5):
        rng = np.random.default_rng([82, i])
        for mdp, pi, new in schulman2015._pairs(PARAMS, rng):
            loss, radius, _ = schulman2015._loss(mdp, pi, new)
            # The exact loss is that of the rows closed to one, which moves it by a few roundings of 1 / (1 - gamma)^2.
            assert abs(float(exact_improvement(mdp, pi, new).loss) - loss) <= radius + 1e-15 / (1 - mdp.gamma) ** 2


def test_average_kl_is_refuted_by_less_than_its_rational_bound():
    """KL <= chi^2 state by state, so that the rational violation is one of KL."""
    mdp, pi, new = rare_state(2.0**-3, 2.0**-10)
    exact = exact_improvement(mdp, pi, new)
    kl = schulman2015._kl_rows(pi, new)
    assert all(float(x) >= y for x, y in zip(exact.chi2, kl))
    mean = sum(d * x for d, x in zip(exact.occupancy, exact.chi2))
    gamma = Fraction(mdp.gamma)
    assert exact.loss > 3 * 4 * exact.eps * gamma / (1 - gamma) ** 2 * mean
    assert exact.loss <= 4 * exact.eps * gamma / (1 - gamma) ** 2 * max(exact.total_variation) ** 2


def test_closed_form_in_rationals():
    mdp, pi, new = trpo_tight(0.25, 0.5)
    exact = exact_improvement(mdp, pi, new)
    assert exact.loss == trpo_tight_shortfall(Fraction(1, 4), Fraction(1, 2), Fraction(1))
    assert exact.eps == 1 and exact.total_variation == (Fraction(1, 4), Fraction(1, 4))


def test_searched_instances_are_valid():
    for i in range(50):
        z = np.random.default_rng([82, 1, i]).random(20)
        _, pi, new = schulman2015._searched_instance(z, 0.9, 0.05)
        for policy in (pi, new):
            assert policy.min() >= 0
            np.testing.assert_allclose(policy.sum(axis=1), 1, atol=1e-15)  # differences of sorted cuts
        assert 0.5 * np.abs(new - pi).sum(axis=1).max() <= 0.05 + 1e-15


def test_figure_shows_the_instance_on_the_bound():
    table = schulman2015.figure_tightness(PARAMS, np.random.default_rng([82, 2]))
    ratio = np.array(table["tight"]) / table["bound"]
    assert ratio[0] == pytest.approx(0.9991, abs=1e-4) and np.all(np.diff(ratio) < 0)  # (1-g)/(1-g+g a), four digits
    assert np.all(table["random"] <= table["bound"])
