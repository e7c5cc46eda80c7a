import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify.games import check_game, exploitability, gap_enclosure, regularized_gap_bound
from mdplab.exact.games import nash_equilibrium, regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, p3, random_preferences
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import Certificate, MatrixGame, Solution


def stated(game, log_pi, tau, gap):
    certificate = Certificate("regularized-gap", gap, data={"log_policy": log_pi, "tau": tau})
    return Solution(np.full(game.m, 0.5), softmax(log_pi), certificate, "by hand", 0, 0.0)


def games(key, count):
    for i in range(count):
        rng = np.random.default_rng([51, key, i])
        game = random_preferences(int(rng.integers(2, 9)), rng=rng, family=FAMILIES[i % 4])
        yield game, float(10 ** rng.uniform(-2, 0)), rng


def test_no_false_gap_is_accepted_at_any_scale():
    """The true gap is enclosed by 300-bit balls; claims below it by a factor 1 - 10^-k must be refused, k = 1..18."""
    for game, tau, rng in games(1, 40):
        log_pi = log_softmax(game.log_mu + 10 ** rng.uniform(-9, 0) * rng.standard_normal(game.n))
        low, high = gap_enclosure(game.P, game.mu, log_pi, tau)
        assert 0 < low <= high <= low * (1 + Fraction(1, 10**40))
        for k in range(1, 19):
            claim = float(low * (1 - Fraction(1, 10**k)))
            if Fraction(claim) < low:
                for level in ("float", "exact"):
                    assert not check_game(game, stated(game, log_pi, tau, claim), level=level)
        above = float(high) * (1 + 2.0**-52)
        assert check_game(game, stated(game, log_pi, tau, above), level="exact")


def test_rounding_is_allowed_for_where_the_bound_is_tight():
    """Two equally likely actions that tie: Hoeffding's bound is the gap up to sp(x)^2, so rounding decides."""
    from mdplab.models import PreferenceGame

    game = PreferenceGame(np.full((2, 2), 0.5))
    for i in range(60):
        log_pi = game.log_mu + np.array([1.0, -1.0]) * 10 ** np.random.default_rng([51, 9, i]).uniform(-14, -6)
        low, _ = gap_enclosure(game.P, game.mu, log_pi, 0.3)
        bound = regularized_gap_bound(game, log_pi, 0.3)
        assert low <= bound
        # The allowance is some forty roundings of numbers of order 1 / tau, in the square root of the gap.
        assert np.sqrt(bound) <= np.sqrt(float(low)) + 3e-14


def test_bound_is_above_the_gap_and_tight_near_the_equilibrium():
    """Hoeffding's bound is at most sp(x)^2 / (4 Var) above the gap: 4 sp^2 / (8 Var) for small x."""
    for game, tau, rng in games(2, 40):
        log_pi = log_softmax(rng.standard_normal(game.n))
        low, high = gap_enclosure(game.P, game.mu, log_pi, tau)
        measured = float(regularized_gap(game, log_pi, tau=tau))
        assert measured == pytest.approx(float(high), rel=1e-9)  # conditioning of log E e^x at x of up to 100
        assert regularized_gap_bound(game, log_pi, tau) >= low
        star = regularized_nash(game, tau=tau)
        assert regularized_gap_bound(game, star.extras["log_policy"], tau) <= star.certificate.gap < 1e-18


def test_exploitability_against_rationals():
    for game, _, rng in games(3, 30):
        pi = rng.dirichlet(np.ones(game.n))
        perturbed = dataclasses.replace(nash_equilibrium(game), policy=pi)
        K = [
            [(Fraction(p) - Fraction(q)) / 2 for p, q in zip(*rows)] for rows in zip(game.P.tolist(), game.P.T.tolist())
        ]
        weights = [Fraction(w) for w in pi.tolist()]
        true = 2 * max(sum(k * w for k, w in zip(row, weights)) for row in K) / sum(weights)
        assert true <= Fraction(exploitability(game, pi)) <= true + Fraction(1, 10**12)
        # Games whose actions all tie have every policy as an equilibrium.
        assert check_game(game, perturbed, level="exact").ok == (true <= perturbed.certificate.gap)
        assert not check_game(game, perturbed) or not game.K.any()


def test_refusals_say_why():
    game, tau = p3(), 0.5
    star = regularized_nash(game, tau=tau)
    infinite = {"log_policy": np.array([0.0, np.inf, 0.0]), "tau": tau}
    cases = [
        (stated(game, np.zeros(2), tau, 1.0), "log_policy has shape"),
        (dataclasses.replace(star, certificate=Certificate("regularized-gap", 1.0, data=infinite)), "not finite"),
        (stated(game, np.zeros(3), -1.0, 1.0), "tau is -1"),
        (dataclasses.replace(star, policy=np.array([0.2, 0.3, 0.5])), "policy is not softmax"),
        (dataclasses.replace(star, certificate=Certificate("regularized-gap", 1.0)), "has no 'log_policy'"),
        (dataclasses.replace(star, certificate=Certificate("discounted", 1.0)), "kind is 'discounted'"),
        (stated(game, np.zeros(3), tau, np.nan), "gap is nan"),
    ]
    for solution, reason in cases:
        report = check_game(game, solution)
        assert not report and reason in report.reason and report.gap == np.inf
    assert check_game(game, star, tau=tau)
    assert "tau is 0.5 in the certificate, expected 0.4" in check_game(game, star, tau=0.4).reason
    general = MatrixGame([[1.0]], [[1.0]])
    by_hand = Solution(
        np.ones(1), np.ones(1), Certificate("exploitability", 1.0, data={"column": np.ones(1)}), "", 0, 0.0
    )
    assert "general-sum" in check_game(general, by_hand, level="exact").reason
    with pytest.raises(ValueError, match="level is 'loose'"):
        check_game(game, star, level="loose")
    with pytest.raises(ValueError, match="game is a str"):
        check_game("game", star)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_answers_that_are_no_numbers_or_overflow_are_refused(level):
    game = p3()
    fair = Solution([0.5], [0.3, 0.3, 0.4], Certificate("exploitability", 10**400), "by hand", 0, 0.0)
    assert check_game(game, fair, level=level)
    assert not check_game(game, dataclasses.replace(fair, certificate=Certificate(["exploitability"], 1.0)))
    for tau in (5e-324, 1e-300, "hot", None, np.array([0.5, 0.5])):
        assert not check_game(game, stated(game, game.log_mu, tau, 1.0), level=level)
    wide = np.array([1e308, -1e308, 0.0])
    data = {"log_policy": wide, "tau": 0.5}
    answer = Solution([0.5], [1.0, 0.0, 0.0], Certificate("regularized-gap", 1.0, data=data), "by hand", 0, 0.0)
    assert not check_game(game, answer, level=level)
