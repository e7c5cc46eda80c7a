"""Logit equilibria: fixed points, the gain of each player against a search, and honest failure."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest

import mdplab
from mdplab.algorithms.games.small_gain import entropic_play
from mdplab.certify.polymatrix import check_logit, gain_bounds
from mdplab.exact.games import regularized_nash
from mdplab.exact.logit_equilibrium import logit_equilibrium
from mdplab.instances.games import p3
from mdplab.instances.smooth_games import random_polymatrix
from mdplab.models import Certificate, PolymatrixGame, SolverFailure

A = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("sizes", [(2, 2), (5, 3), (2, 3, 4)])
def test_the_referee_agrees_and_entropic_play_ends_there(sizes):
    for k in range(3):
        game = random_polymatrix(sizes, rng=np.random.default_rng([7, 20, k]), gain=0.7)
        solution = logit_equilibrium(game)
        # Newton ends at rounding level: residuals of 1e-14 squared, temperatures up to about ten.
        assert check_logit(game, solution) and solution.certificate.gap < 1e-24
        played = entropic_play(game, h=3.0, num_iters=1000)["log_x"][-1]
        np.testing.assert_allclose(np.exp(played), solution.policy, atol=1e-9)  # what is left after 1000 steps


def test_a_symmetric_zero_sum_game_has_the_preference_games_equilibrium():
    game = p3()
    twin = PolymatrixGame([[None, game.K], [game.K, None]], [0.5, 0.5], [game.mu, game.mu])
    here, there = logit_equilibrium(twin), regularized_nash(game, tau=0.5)
    np.testing.assert_allclose(here.policy, np.tile(there.policy, 2), atol=1e-14)  # both at rounding level
    # x . K x vanishes and leaves -tau D(x || mu), which is known of P3 to fifteen digits.
    np.testing.assert_allclose(here.value, -0.5 * 0.003896120967038, atol=1e-14)


def test_the_gain_bounds_what_any_deviation_gains():
    game = random_polymatrix((3, 2), rng=np.random.default_rng([7, 21]), gain=1.5)
    rng = np.random.default_rng([7, 22])
    for _ in range(20):
        logits = 0.3 * rng.standard_normal(5)
        bounds = gain_bounds(game, logits)
        parts = [np.exp(part) / np.exp(part).sum() for part in game.split(logits)]
        for i, (own, mu, tau) in enumerate(zip(parts, game.references, game.taus)):
            gain = game.payoffs[i][1 - i] @ parts[1 - i]

            def payoff(p, gain=gain, mu=mu, tau=tau):
                return p @ gain - tau * (p @ np.log(p / mu))

            best = tau * np.log(mu @ np.exp(gain / tau))
            assert best - payoff(own) <= bounds[i]
            assert max(payoff(p) for p in rng.dirichlet(np.ones(mu.size), 50)) <= best + 1e-12  # rounding


def test_probabilities_that_underflow_count_with_their_payoffs():
    """x_2(2) = e^z is subnormal, its payoff 1e306 large: the float residual is 0, the true one is not; exact by mpmath.

    With two actions the gain is tau (log E e^r - E r) of the difference of r, which is 1e306 e^z / tau - 2 l.
    """
    worst = 0.0
    for z in np.linspace(-744, -735, 20):
        payoffs = [[None, [[0.0, 1e306], [0.0, 0.0]]], [np.zeros((2, 2)), None]]
        game = PolymatrixGame(payoffs, [1e-9, 1.0])
        half = 0.5 * (1e306 * np.exp(z) / 1e-9)
        with mpmath.workprec(400):
            tail = mpmath.exp(mpmath.mpf(float(z)))
            r = mpmath.mpf(1e306) * tail / (1 + tail) / mpmath.mpf(1e-9) - 2 * mpmath.mpf(float(half))
            p = 1 / (1 + mpmath.exp(-2 * mpmath.mpf(float(half))))
            gain = mpmath.mpf(1e-9) * (mpmath.log(p * mpmath.exp(r) + 1 - p) - p * r)
            bound = gain_bounds(game, np.array([half, -half, 0.0, z]))[0]
            assert gain <= mpmath.mpf(float(bound))
            worst = max(worst, float(abs(r)))
    # Far more than the rounding of a residual of logits below 1000.
    assert worst > 1e-9


def test_cheats_are_refused():
    game = random_polymatrix((3, 2), rng=np.random.default_rng([7, 23]))
    good = logit_equilibrium(game)
    moved = good.extras["log_policy"] + np.array([1e-3, 0, 0, 0, 0])
    cases = {
        "smaller gap": replace(good, certificate=Certificate("logit-equilibrium", 1e-40, data=good.certificate.data)),
        "other logits": replace(good, certificate=Certificate("logit-equilibrium", 1e-20, data={"log_policy": moved})),
        "other policy": replace(good, policy=np.full(5, 0.2)),
        "other value": replace(good, value=good.value + 1e-6),
        "kind": replace(good, certificate=Certificate("exploitability", 1.0, data=good.certificate.data)),
        "no logits": replace(good, certificate=Certificate("logit-equilibrium", 1.0)),
        "shape": replace(good, certificate=Certificate("logit-equilibrium", 1.0, data={"log_policy": moved[:4]})),
    }
    assert check_logit(game, good)
    assert {name: bool(check_logit(game, case)) for name, case in cases.items()} == dict.fromkeys(cases, False)


def test_failure_is_reported():
    """In this game 2 A(x) has eigenvalue 1 at uniform x, which makes the Jacobian singular there, in dyadic numbers."""
    payoffs = [[None, np.multiply(2, A)], [np.multiply(2, A), None]]
    game = PolymatrixGame(payoffs, [1.0, 1.0])
    np.testing.assert_allclose(logit_equilibrium(game).policy, 0.5, atol=1e-14)  # the start is the equilibrium
    uneven = PolymatrixGame(payoffs, [1.0, 1.0], [[0.75, 0.25], [0.25, 0.75]])
    with pytest.raises(SolverFailure, match="singular at step 0"):
        logit_equilibrium(uneven, log_x0=np.zeros(4))
    with pytest.raises(SolverFailure, match="after 1 steps"):
        logit_equilibrium(random_polymatrix((3, 3), rng=np.random.default_rng([7, 24])), max_iters=1)
    with pytest.raises(SolverFailure, match="gain of inf"):
        logit_equilibrium(PolymatrixGame([[None, A], [np.negative(A), None]], [1e-300, 1e-310]))
    with pytest.raises(ValueError, match="log_x0 has shape"):
        logit_equilibrium(game, log_x0=np.zeros(3))
    with pytest.raises(ValueError, match="takes PolymatrixGame"):
        logit_equilibrium(p3())


def test_solve_and_check_know_polymatrix_games():
    game = PolymatrixGame([[None, [[2.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]], None]], [1.0, 2.0])
    answer = mdplab.solve(game)
    assert answer.method == "logit_equilibrium" and mdplab.check(game, answer)
    assert "float level only" in mdplab.check(game, answer, level="exact").reason
    lied = replace(answer.certificate, data={"log_policy": ["a", "b", "c", "d"]})
    assert "no array of numbers" in mdplab.check(game, replace(answer, certificate=lied)).reason
