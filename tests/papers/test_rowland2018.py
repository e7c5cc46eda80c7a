"""What the claims about laws on a grid rest on: operators by definition, witnesses in closed form."""

import numpy as np
import pytest

from mdplab.exact import policy_evaluation
from mdplab.exact.distributional.chain import Chain
from mdplab.exact.distributional.representations import Categorical
from mdplab.models import Outcomes
from mdplab.papers import rowland2018

PARAMS = rowland2018.Params(states=3, atoms=11, problems=2, pairs=6, first=6, last=10, seeds=2)


def test_the_definition_is_the_librarys_sweep():
    rng = np.random.default_rng([911])
    mdp, z = rowland2018._model(PARAMS, rng, 0.8, actions=2), rowland2018._grid(0.8, 11)
    eta, choice = rng.dirichlet(np.ones(11), 3), np.array([1, 0, 1])
    out = np.empty_like(eta)
    Categorical(z, False).sweep(Chain.of(mdp, Outcomes.of(mdp), choice), eta, out)
    # Sums of 33 masses.
    np.testing.assert_allclose(rowland2018._backup(mdp, eta, z, choice=choice), out, atol=1e-14)


def test_the_first_pair_attains_the_modulus():
    mdp, z, eta, nu = rowland2018._pairs(PARAMS, np.random.default_rng(0))[0]
    assert rowland2018._distance(eta, nu, z) == 2.0
    images = [rowland2018._backup(mdp, x, z) for x in (eta, nu)]
    # The squared distance halves, exactly.
    assert rowland2018._distance(*images, z) == pytest.approx(2**0.5, rel=1e-15)


def test_other_projections_keep_mass_and_move_it_as_they_say():
    x, p, z = np.array([0.4, 1.6, 2.5]), np.array([0.2, 0.3, 0.5]), np.arange(4.0)
    assert rowland2018._nearest(x, p, z).tolist() == [0.2, 0, 0.8, 0]
    assert rowland2018._lower(x, p, z).tolist() == [0.2, 0.3, 0.5, 0]


def test_a_cycle_has_the_returns_asked_for():
    values = np.array([0.3, -1.0, 2.0])
    mdp, truth = rowland2018._cycle(values, 0.9)
    # The tolerance asked for.
    np.testing.assert_allclose(policy_evaluation(mdp, [0, 0, 0], tol=1e-10).value, values, atol=1e-10)
    assert [law.mean for law in truth] == values.tolist()


def test_the_horizon_is_needed_and_a_quarter_is():
    """The two witnesses of the bound on the fixed point, in units of dz / 4: one by itself, one with a long horizon."""
    lone = rowland2018._error(*rowland2018._cycle(np.array([0.5]), 0.02), np.arange(-20.0, 21.0))
    assert 4 * lone**2 == pytest.approx(1.0, abs=1e-8)  # twice the tolerance of the sweeps, in w_1
    pair = rowland2018._error(*rowland2018._cycle(np.array([0.0, 0.5]), 0.95), np.arange(-40.0, 41.0))
    assert 1.5 < 4 * pair**2 < 1 / 0.05


def test_a_small_change_turns_the_greedy_choice():
    evidence = rowland2018._control(PARAMS, np.random.default_rng(1))
    # The gamble at +-1 against nothing: two cells in which half the mass differs, 2 / 4.
    np.testing.assert_allclose(evidence["measured"], 0.5**0.5, atol=0.02)  # twice the largest change of a mass
    assert evidence["bound"].max() < 0.03


def test_sure_transitions_keep_total_variation():
    evidence = rowland2018._information(PARAMS, np.random.default_rng(2), lambda gamma: 1.0)
    ratio = (evidence["measured"] / evidence["bound"]).reshape(-1, 2)
    np.testing.assert_allclose(ratio[::2], 1.0, atol=1e-10)  # the bound's own allowance
    assert (ratio[1::2] < 1).all()


def test_the_law_of_the_coins_is_uniform_at_one_half():
    table = rowland2018.figure_laws(PARAMS, np.random.default_rng(0))
    half = table["case"] == 1
    # The fixed point is the projected uniform law; laws are certified to 1e-4 and cells are 0.1 wide.
    np.testing.assert_allclose(table["mass"][half][1:-1], 0.05, atol=1e-9)
    np.testing.assert_allclose(table["exact"][half][1:-1], 0.05, atol=2e-3)
    for case in range(3):
        at = table["case"] == case
        means = [table["z"][at] @ table[name][at] for name in ("mass", "exact")]
        assert means[0] == pytest.approx(means[1], abs=2e-4)  # both tolerances
