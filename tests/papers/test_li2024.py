"""What the claims about Polyak steps rest on: gaps and gradients of full relative accuracy, and the limits of words."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.polyak import polyak_gradient
from mdplab.claims.discovery import load_paper
from mdplab.exact.evaluation import policy_evaluation
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.exact.solve import solve
from mdplab.instances.random import garnet
from mdplab.kernels.softmax import softmax
from mdplab.papers import li2024

PARAMS = li2024.Params(states=4, actions=3, problems=2, steps=60, long_steps=200, sampled_steps=30, batch=16, seeds=1)


def test_the_oracle_is_gap_and_gradient():
    for key in range(5):
        rng = np.random.default_rng([615, key])
        mdp = li2024._problem(PARAMS, rng)
        theta = rng.standard_normal((4, 3))
        value, gradient = li2024.gap_oracle(mdp)(theta)
        best = float(mdp.mu @ solve(mdp, tol=1e-10).value)
        reached = float(mdp.mu @ policy_evaluation(mdp, softmax(theta), tol=1e-10).value)
        assert value == pytest.approx(reached - best, abs=2.1e-10)  # both certificates
        # Cancellation in values of order 10.
        np.testing.assert_allclose(gradient, softmax_gradient(mdp, theta), atol=1e-13)
        np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)  # sums of three


def test_the_oracle_keeps_its_digits_near_the_optimum():
    """A gap scales with the probabilities of the other actions, however small they are."""
    mdp = li2024._problem(PARAMS, np.random.default_rng([616]))
    oracle = li2024.gap_oracle(mdp)
    choice = np.eye(3)[solve(mdp, tol=1e-9).policy]
    gaps = [-oracle(scale * choice)[0] for scale in (300.0, 301.0)]
    assert gaps[0] < 1e-128
    assert gaps[0] / gaps[1] == pytest.approx(np.e, rel=1e-12)  # three roundings of exponents of 300


def test_the_regularised_bandit_is_a_divergence():
    oracle, delta, tau = li2024._bandit(1.3, 0.4), 1.3, 0.4
    for u in (-1.0, 0.5, 3.0):
        theta = np.array([u, 0.0])
        p = 1 / (1 + np.exp(-u))
        value = delta * p - tau * (p * np.log(p) + (1 - p) * np.log(1 - p))
        best = tau * np.log(1 + np.exp(delta / tau))
        assert oracle(theta)[0] == pytest.approx(value - best, abs=1e-14)  # sums of a few numbers of order 1
        shift = np.array([1e-6, 0.0])
        slope = (oracle(theta + shift)[0] - oracle(theta - shift)[0]) / 2e-6
        assert oracle(theta)[1][0] == pytest.approx(slope, abs=1e-9)  # rounding over the shift


def test_a_wrong_policy_may_be_frozen_in_with_the_optimum_known():
    """Sixteen starts at three times a normal draw: one stays at a gap of 0.083, the others converge."""
    params = li2024.Params(
        states=4, actions=3, problems=2, steps=60, long_steps=200, sampled_steps=30, batch=16, seeds=1
    )
    ends = []
    for key in range(8):
        rng = np.random.default_rng(key)
        for oracle in li2024._oracles(params, rng):
            start = 3 * rng.standard_normal((4, 3))
            run = polyak_gradient(oracle, start, best=0.0, num_iters=60, checkpoints=np.array([20, 60]))
            ends.append(-run["value"])
    stuck = [pair for pair in ends if pair[1] > 1e-20]
    assert len(stuck) == 1
    # Both as recorded; between them nothing moves.
    np.testing.assert_allclose(stuck[0], 0.083099, atol=1e-6)


def test_separated_problems_are():
    for key in range(5):
        mdp = li2024._problem(PARAMS, np.random.default_rng([617, key]))
        q = np.sort(mdp.r + mdp.gamma * mdp.P @ solve(mdp, tol=1e-9).value, axis=1)
        assert (q[:, -1] - q[:, -2]).min() > 0.05


def test_the_constant_holds_for_other_sizes():
    mdp = garnet(2, 5, 2, gamma=0.5, rng=np.random.default_rng([618])).replace(mu=[0.5, 0.5])
    params = li2024.Params(
        states=2, actions=5, problems=1, steps=60, long_steps=200, sampled_steps=30, batch=16, seeds=1
    )
    run = polyak_gradient(
        li2024.gap_oracle(mdp), li2024._start(params), best=0.0, cap=1e4, num_iters=2000, checkpoints=np.array([2000])
    )
    # Ten steps of two thousand before the cap, and log(k) / k.
    assert -1e4 * 2000 * run["value"][0] == pytest.approx(2 * 4 / 5, rel=0.01)


def test_the_figures_show_what_their_captions_say():
    table = li2024.figure_gaps(PARAMS, np.random.default_rng(0))
    assert np.all(table["polyak"] <= table["bound"] * (1 + 1e-12))
    assert table["capped"][-1] > 1e15 * table["polyak"][-1]
    table = li2024.figure_guesses(PARAMS, np.random.default_rng(0))
    assert table["low"][-1] == pytest.approx(0.1, abs=1e-14)  # rounding
    assert table["high_rounded"][-1] > 0.1 > 1e-3 > table["high_capped"][-1]
    assert table["high"][-1] == 1e-20 and np.ptp(table["twin"]) < 1e-12
    table = li2024.figure_steps(PARAMS, np.random.default_rng(0))
    assert table["none"][20] > 1e6 * table["little"][15]


def test_the_picture_of_sampled_steps_shows_what_its_caption_says():
    quick = load_paper("li2024").card.params["quick"]
    table = li2024.figure_floor(quick, np.random.default_rng([2130]))
    end = {name: table[name][-1] for name in ("few", "many", "capped", "constant")}
    assert end["few"] > end["many"] > 2 * end["capped"] > end["constant"] > 0.5 * end["capped"]
    # Frozen in: nothing moves in the last hundred steps.
    assert np.ptp(table["few"][-20:]) < 1e-3 * end["few"] and table["many"][:5].min() < table["capped"][4]
