"""Steps: closed forms, the largest certified RK4 steps, and RK4's counterexample; entropic play against its theorem."""

import numpy as np
import pytest

from mdplab.algorithms.games import small_gain as sg
from mdplab.exact.logit_equilibrium import logit_equilibrium
from mdplab.instances.smooth_games import random_polymatrix, random_quadratic, rk4_game, toy
from mdplab.kernels.softmax import kl_divergence
from mdplab.models import Box, PolymatrixGame, SmoothGame


def test_euler_factor_is_least_at_half_the_limit():
    alpha, beta = 0.3, 1.7
    limit = sg.euler_limit(alpha, beta)
    assert sg.euler_factor(limit, alpha, beta) == pytest.approx(1, abs=1e-15)  # one rounding
    best = sg.euler_factor(limit / 2, alpha, beta)
    assert best == pytest.approx(np.sqrt(1 - (alpha / beta) ** 2), abs=1e-15)  # one rounding
    assert all(sg.euler_factor(part * limit, alpha, beta) > best for part in (0.4, 0.6))


@pytest.mark.parametrize(("ratio", "reach"), [(1.0, 2.32), (0.5, 2.21), (0.1, 1.67), (0.01, 1.0)])
def test_largest_linear_rk4_step(ratio, reach):
    """What the notes print, 2.32, 2.21, 1.67 and 1.00, is a scan from below; both ends are checked here."""
    h = sg.largest_step(sg.rk4_linear_factor, ratio, 1.0)
    assert sg.rk4_linear_factor(h, ratio, 1.0) < 1 < sg.rk4_linear_factor(h + 1e-9, ratio, 1.0)
    assert h == pytest.approx(reach, abs=0.02)  # the step of that scan
    assert sg.largest_step(sg.rk4_linear_factor, -0.1, 1.0) == 0


def test_largest_smooth_rk4_step_is_shorter_than_eulers():
    for ratio in (1.0, 0.5, 0.1, 0.01):
        h = sg.largest_step(sg.rk4_smooth_factor, ratio, 1.0)
        assert sg.rk4_smooth_factor(h, ratio, 1.0) < 1
        assert 0.3 * sg.euler_limit(ratio, 1.0) < h < sg.euler_limit(ratio, 1.0)


def test_rk4_counterexample():
    """Exact norm 1.0063 at 2.5 / beta; spectrum inside the disc; both certified steps are far shorter."""
    game, w = rk4_game(), np.ones(3)
    alpha, beta = np.linalg.eigvalsh(0.5 * (game.H + game.H.T))[0], sg.metric_norm(game.H, w, game.sizes)
    assert (alpha, beta) == (pytest.approx(1e-3, abs=1e-12), pytest.approx(3.733, abs=1e-3))  # as printed
    h = sg.printed_rk4_step(beta)
    P = sg.rk4_polynomial(game.H, h)
    assert np.linalg.norm(P, 2) == pytest.approx(1.0063, abs=1e-4)  # as printed
    assert np.abs(np.linalg.eigvals(P)).max() < 1
    certified = sg.largest_step(sg.rk4_linear_factor, alpha, beta)
    exact = sg.exact_rk4_step(game, w)
    assert 0 < certified < exact < h < sg.spectral_step(game, highest=3.0)
    assert sg.rk4_linear_factor(h, alpha, beta) > 1


def test_rk4_matrix_is_the_step():
    game = random_quadratic((1, 2), rng=np.random.default_rng([7, 40]))
    x, y = np.random.default_rng([7, 41]).standard_normal((2, 3))
    moved = sg.rk4_step(game, x, h=0.3) - sg.rk4_step(game, y, h=0.3)
    np.testing.assert_allclose(moved, sg.rk4_polynomial(game.H, 0.3) @ (x - y), atol=1e-12)  # rounding


def test_projected_play_stays_in_the_region_and_finds_the_constrained_equilibrium():
    game = toy()
    box = Box([0.5, -1.0], [2.0, 1.0])
    bounded = SmoothGame(game.pseudo_gradient, game.jacobian, game.sizes, region=box)
    x = sg.gradient_play(bounded, h=0.1, num_iters=500, x0=np.array([2.0, 1.0]), project=True)["x"]
    assert np.all((box.lo <= x) & (x <= box.hi))
    # x_1 ends on its bound 1/2, and x_2 = -.05 x_1 is player 2's answer.
    np.testing.assert_allclose(x[-1], [0.5, -0.025], atol=1e-12)  # linear convergence has ended


def test_invariance_radius():
    game = toy()
    bounded = SmoothGame(game.pseudo_gradient, game.jacobian, (1, 1), region=Box([-1.0, -1.0], [1.0, 1.0]))
    assert sg.invariance_radius(bounded, np.array([1.0, 200.0]), np.zeros(2)) == 1
    assert sg.invariance_radius(bounded, np.array([1.0, 200.0]), np.array([0.0, 2.0])) == 0
    assert np.isnan(sg.invariance_radius(bounded, np.ones(2), None))


def test_entropic_weights_of_two_players():
    """rho^2 = L_12 L_21 / (tau_1 tau_2), w_1 : w_2 = L_21 : L_12."""
    game = random_polymatrix((3, 4), rng=np.random.default_rng([7, 42]))
    L, certificate = game.couplings(), sg.entropic_certificate(game)
    assert certificate.rho**2 == pytest.approx(L[0, 1] * L[1, 0] / game.taus.prod(), rel=1e-12)  # an eigenvalue
    assert certificate.w[0] / certificate.w[1] == pytest.approx(L[1, 0] / L[0, 1], rel=1e-12)  # an eigenvector
    assert certificate.scope == "global" and certificate.factor(0.0) == 1


def test_entropic_contraction_needs_the_tempers():
    """With temperatures that differ, V without (1 + h tau) grows beyond the factor; V with them never does."""
    broken = 0.0
    for k in range(60):
        game = random_polymatrix((2, 3), rng=np.random.default_rng([7, 43, k]), gain=0.95, spread=1.5)
        certificate = sg.entropic_certificate(game)
        star = game.split(logit_equilibrium(game).extras["log_policy"])
        rng = np.random.default_rng([7, 44, k])
        x = [part + rng.standard_normal(part.size) for part in star]
        x = [part - np.log(np.exp(part).sum()) for part in x]
        for h in (0.1, 3.0):
            after = sg.entropic_step(game, x, h=h)
            here, there = certificate.potential(star, x, h), certificate.potential(star, after, h)
            assert there <= certificate.factor(h) * here * (1 + 1e-9)  # the equilibrium's own error
            plain = [
                sum(w * kl_divergence(s, y) for w, s, y in zip(certificate.w, star, z)) for z in (x, after)
            ]  # fmt: skip
            broken = max(broken, plain[1] / plain[0] / certificate.factor(h))
    assert broken > 1.1


def test_entropic_step_rests_at_the_equilibrium():
    game = random_polymatrix((2, 3, 2), rng=np.random.default_rng([7, 45]))
    star = game.split(logit_equilibrium(game).extras["log_policy"])
    for part, after in zip(star, sg.entropic_step(game, star, h=2.0)):
        np.testing.assert_allclose(after, part, atol=1e-13)  # rounding of logits of size ten
    with pytest.raises(ValueError, match="h is 0"):
        sg.entropic_play(game, h=0, num_iters=1)
    with pytest.raises(ValueError, match="num_iters is -1"):
        sg.entropic_play(game, h=1, num_iters=-1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_one_sided_coupling_is_bounded_from_above(scale):
    """For two players w and rho are those of L'_12 = rho sqrt(tau_1 tau_2 w_2 / w_1), and L' must not be below L."""
    A = scale * np.array([[1.0, -1.0], [-1.0, 1.0]])
    game = PolymatrixGame([[None, A], [None, None]], [1.0, 2.0], [[0.5, 0.5], [0.25, 0.75]])
    certificate, L = sg.entropic_certificate(game), game.couplings()
    reach = certificate.rho * np.sqrt(game.taus.prod())
    odds = np.sqrt(certificate.w[1] / certificate.w[0])
    assert reach * odds >= L[0, 1] * (1 - 1e-9) and reach / odds >= L[1, 0]  # an eigenvector
    assert 0 < certificate.rho < 1e-2


def test_uncoupled_players_have_no_gain():
    game = PolymatrixGame([[None, None], [None, None]], [1.0, 2.0], [[0.5, 0.5], [0.25, 0.75]])
    assert sg.entropic_certificate(game).rho == 0
