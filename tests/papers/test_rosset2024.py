"""What the claims about DNO rest on: the spiral out of an equilibrium, the constant 24 against search, Newton."""

import numpy as np

from mdplab.algorithms.games.dno import dno, dno_loss, dno_step, hedge_step
from mdplab.exact.games import nash_equilibrium
from mdplab.instances.games import FAMILIES, nash_md_tight, random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.papers import rosset2024

PARAMS = rosset2024.Params(actions=5, starts=4, horizon=50)


def test_last_iterate_leaves_and_the_mean_arrives():
    """0/1 rock, paper, scissors, 2000 updates: the divergence from the equilibrium doubles, the mean's gap shrinks."""
    game, start = three_cycle(0.5, 0.5, 0.5), np.log([0.5, 0.3, 0.2])
    run = dno(game, eta=10.0, num_iters=2000, log_pi0=start)
    away = kl_divergence(np.zeros(3), run["log_pi"])
    assert np.all(np.diff(away) > 0)
    assert away[-1] > 2 * away[0]
    assert rosset2024._gap(game, run["mean_policy"][-1]) < 0.02 < rosset2024._gap(game, softmax(run["log_pi"][-1]))


def test_search_does_not_break_the_constant_24():
    """Hill climbing over games and policies, 3000 steps: log E exp(K pi / eta) stays below 1 / (24 eta^2)."""
    rng = np.random.default_rng([92, 1])
    n, eta, best = 5, 2.0, -np.inf
    P, x = rng.standard_normal((n, n)), rng.standard_normal(n)
    for _ in range(3000):
        P_, x_ = (v + 0.3 * rng.standard_normal(v.shape) * (rng.random(v.shape) < 0.3) for v in (P, x))
        K = 1 / (1 + np.exp(-4 * (P_ - P_.T))) - 0.5
        share = float(logsumexp(log_softmax(x_) + K @ softmax(x_) / eta)) * 24 * eta**2
        if share > best:
            best, P, x = share, P_, x_
    # 1 - 1 / n^2 for n equally likely actions in total order, with small steps.
    assert 0.8 < best <= 1


def test_extremal_game_comes_close():
    tie, before = nash_md_tight(40, 1e-12)
    drift = float(before[0] - dno_step(tie, before, eta=2.0)[0])
    assert 0.99 < drift * 24 * 2.0**2 < 1


def test_newton_maximises_the_objective():
    """Nearby policies lose, under the library's own loss."""
    rng = np.random.default_rng([92, 2])
    game, eta = random_preferences(5, rng=rng), 1.5
    log_pi, law = log_softmax(rng.standard_normal(5)), rng.uniform(0.2, 1.0, size=(5, 5))
    gain = game.P @ softmax(log_pi)
    found, error = rosset2024._newton(game, log_pi, eta, law, 1 / (1 + np.exp(gain[None, :] - gain[:, None])))
    assert error < 1e-10
    least = dno_loss(game, found, log_pi, eta=eta, pairs=law)
    for _ in range(20):
        assert dno_loss(game, found + 0.01 * rng.standard_normal(5), log_pi, eta=eta, pairs=law) > least


def test_mean_obeys_the_tuned_bound():
    """eta = sqrt(T / (8 log n)) gives 2 sqrt(log(n) / (2 T)), against equilibria of every family."""
    for i in range(8):
        game = random_preferences(5, rng=np.random.default_rng([92, 3, i]), family=FAMILIES[i % 4])
        run = dno(game, eta=hedge_step(5, 100), num_iters=100, checkpoints=[100])
        gap = float(rosset2024._gap(game, run["mean_policy"][-1]))
        # The certified equilibrium's own gap is rounding.
        assert -1e-9 <= rosset2024._gap(game, nash_equilibrium(game).policy) <= 1e-9
        assert gap <= 2 * np.sqrt(np.log(5) / 200)


def test_closed_form_equilibrium_of_the_spiral():
    margins = np.array([0.4, 0.3, 0.2])
    np.testing.assert_allclose(
        nash_equilibrium(three_cycle(*margins)).policy, np.roll(margins, -1) / margins.sum(), atol=1e-9
    )  # the linear program's accuracy


def test_figure_shows_the_difference():
    table = rosset2024.figure_cycle(PARAMS, np.random.default_rng([92]))
    assert np.all(table["mean"] <= table["bound"])
    assert table["mean"][-1] < 0.02
    # Near the rim of the triangle the gap swings between an edge's and a corner's.
    assert table["last"][-20:].max() > 0.9
