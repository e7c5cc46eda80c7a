"""What the claims about FixPO rest on: the coin walk, its sums, the numbers of the module's text, and the figures."""

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities
from mdplab.certify.improvement import exact_improvement
from mdplab.papers import zentner2023

PARAMS = zentner2023.Params(states=10, actions=4, iterations=40, problems=2, pairs=3)


def test_the_walk_has_no_value_and_advantages_of_one_size():
    mdp, pi, new = zentner2023.coin_walk(0.1, 0.9, 5, eps=2.0)
    known = policy_quantities(mdp, pi)
    assert known.objective == 0
    np.testing.assert_allclose(np.abs(known.advantage), 2.0, rtol=1e-14)  # one rounding
    np.testing.assert_allclose(new.sum(axis=1), 1.0, rtol=1e-15)  # one rounding


@pytest.mark.parametrize(("alpha", "reach", "message"), [(0.6, 5, "alpha is 0.6"), (0.1, 0, "reach is 0")])
def test_impossible_walks_are_refused(alpha, reach, message):
    with pytest.raises(ValueError, match=message):
        zentner2023.coin_walk(alpha, 0.9, reach)


def test_the_walk_loses_what_its_first_flip_says_as_the_discount_vanishes():
    """4 eps alpha^2 (gamma E|S_1| + gamma^2 E|S_2| + ...) to leading order in alpha, with E|S_t| = 1, 1, 3/2."""
    gamma, alpha = 2.0**-10, 2.0**-10
    exact = exact_improvement(*zentner2023.coin_walk(alpha, gamma, 3))
    share = exact.loss / (4 * Fraction(alpha) ** 2 * Fraction(gamma))
    # The next terms are gamma E|S_2| = 2^-10, 3/2 gamma^2 and of the order of gamma alpha.
    assert abs(share - 1 - Fraction(gamma)) < Fraction(1, 2**17)
    assert set(exact.total_variation) == {Fraction(alpha)} and exact.eps == 1


def test_the_loss_is_known_up_to_its_radius():
    for mdp, pi, new, _ in zentner2023._pairs(PARAMS, np.random.default_rng([92, 1])):
        if mdp.S < 20:
            loss, radius, eps = zentner2023._loss(mdp, pi, new)
            exact = exact_improvement(mdp, pi, new)
            # Rows closed to one move the exact loss by a few roundings of 1 / (1 - gamma)^2.
            assert abs(float(exact.loss) - loss) <= radius + 1e-15 / (1 - mdp.gamma) ** 2
            assert eps == pytest.approx(float(exact.eps), rel=1e-12)  # a linear solve


def test_pairs_are_within_the_radius_that_they_come_with():
    for reverse in (False, True):
        for mdp, pi, new, radius in zentner2023._pairs(PARAMS, np.random.default_rng([92, 2]), reverse=reverse):
            kl = zentner2023._kl_rows(new, pi) if reverse and mdp.S != 10 else zentner2023._kl_rows(pi, new)
            # The walk is on the sphere, up to rounding of its bias: alpha^2 is 1e-3.
            assert kl.max() <= radius * (1 + 1e-11)


def test_sums_of_roots():
    for gamma in (0.005, 0.5, 0.9, 0.99):
        assert zentner2023._square_root(gamma) == pytest.approx(float(mpmath.polylog(-0.5, gamma)), rel=1e-12)  # sums
        assert zentner2023._one_horizon(gamma) <= zentner2023._square_root(gamma) <= zentner2023._printed(gamma)


def test_shares_are_those_of_the_text():
    """Means over four problems; 0.016, 0.118 and, with moments reset, 0.007 and 0.045 over many."""
    rngs = [np.random.default_rng([92, 3, i]) for i in range(2)]
    means = {}
    for name, how in (("three", {}), ("one", {"c_beta": 1.0}), ("reset", zentner2023._RESET)):
        found = [zentner2023._share(PARAMS, np.random.default_rng(rng.bit_generator.seed_seq), **how) for rng in rngs]
        means[name] = np.mean([evidence["measured"] for evidence in found])
    assert 0.008 < means["three"] < 0.03 < 0.07 < means["one"] < 0.18
    assert 0.003 < means["reset"] < means["three"]


def test_a_run_that_gave_up_counts_as_a_violation():
    one = replace(PARAMS, problems=1)
    evidence = zentner2023._trust(one, np.random.default_rng([92, 4]), max_sweeps=1)
    assert evidence["measured"].shape == evidence["bound"].shape == (40,)
    # It ends at once; what is missing is none.
    assert evidence["measured"][0] > evidence["bound"][0] and not evidence["measured"][1:].any()


def test_the_figures_show_what_their_captions_say():
    table = zentner2023.figure_budget(PARAMS, np.random.default_rng([92, 5]))
    for name in ("one", "three"):
        assert np.all(table[f"{name}_exit"] <= 0.05) and np.all(table[f"{name}_exit"] <= table[f"{name}_primary"])
    acted = {name: np.sum(table[f"{name}_primary"] > 0.05) for name in ("one", "three")}
    assert 0 < acted["three"] < acted["one"] and table["unprotected"].max() > 0.2
    table = zentner2023.figure_share(PARAMS, np.random.default_rng([92, 6]))
    assert table["three"][0] > 0.1 and table["three"][-1] < 0.03 < 0.05 < table["one"][-1]
    table = zentner2023.figure_horizon(PARAMS, np.random.default_rng([92, 7]))
    ratio = table["walk"] / table["bound_root"]
    assert np.all(np.diff(ratio) < 0) and ratio[0] > 0.99
    # sqrt(2 / pi), the limit for long walks, but for the bias.
    assert ratio[-1] == pytest.approx(np.sqrt(2 / np.pi), rel=1e-3)
    assert np.all(table["walk"] <= table["bound_root"]) and np.all(table["bound_root"] <= table["bound_printed"])
