"""Small-Gain Nash: the paper's numbers as golden values, optimal weights by three routes, sharpness both ways."""

import numpy as np
import pytest

from mdplab.algorithms.games import small_gain as sg
from mdplab.certify.small_gain import check_small_gain
from mdplab.instances.smooth_games import (
    lq_game,
    orthogonal,
    random_quadratic,
    random_tanh,
    toy,
    unit_gaussian,
)
from mdplab.instances.softmax_markov import BASES, fisher_matrices, softmax_markov
from mdplab.models import Box, QuadraticGame, SmoothGame


def test_golden_toy():
    """The toy in closed form: alpha = 1 - sqrt(1/2), beta = 1 + sqrt(1/2), band (20 (1 -+ sqrt(1/2)))^2."""
    game, root = toy(), np.sqrt(0.5)
    certificate = sg.small_gain(game)
    said = sg.promises(certificate, game)
    assert check_small_gain(game, certificate).verdict == "CERTIFIED"
    # Rounded outward by about 1e-12; weights come from an eigenvector.
    np.testing.assert_allclose([certificate.alpha, certificate.beta], [1 - root, 1 + root], rtol=1e-11)
    np.testing.assert_allclose(certificate.w, [1, 200], rtol=1e-12)  # an eigenvector's rounding
    np.testing.assert_allclose(said.band, [(20 * (1 - root)) ** 2, (20 * (1 + root)) ** 2], rtol=1e-13)  # one formula
    # Six digits as printed in the notes: steps of Euler, the best one, 2.5 / beta.
    np.testing.assert_allclose(
        [said.euler_limit, said.euler_best, said.rk4_printed], [0.201010, 0.100505, 1.464466], atol=1e-6
    )
    assert said.radius == np.inf
    eigenvalues = np.linalg.eigvals(game.H)
    assert np.linalg.eigvalsh(0.5 * (game.H + game.H.T))[0] == pytest.approx(-4.025, abs=1e-12)  # 1 - 10.05 / 2
    np.testing.assert_allclose(np.sort(eigenvalues), [1 - root, 1 + root], atol=1e-12)  # rounding
    assert sg.spectral_step(game, "euler", highest=3.0) == pytest.approx(2 / (1 + root), abs=1e-9)  # bisection


def test_golden_phase_path():
    game = toy()
    x = sg.gradient_play(game, h=5e-4, num_iters=3000, x0=np.array([0.15, -0.15]))["x"]
    euclidean = np.linalg.norm(x, axis=1) / np.linalg.norm(x[0])
    metric = sg.metric_length(x, np.array([1.0, 200.0]), game.sizes)
    # The notes give 3.186 at t = 1.136: four digits, and a flat maximum.
    assert euclidean.max() == pytest.approx(3.186, abs=1e-3)
    assert 5e-4 * euclidean.argmax() == pytest.approx(1.136, abs=2e-3)
    assert np.all(np.diff(metric) < 0)
    assert np.all(metric <= metric[0] * np.exp(-0.2929 * 5e-4 * np.arange(3001)))


@pytest.mark.parametrize("lam", [0.0, 0.199005, 1.0, 1.5])
def test_golden_lq(lam):
    game, w = lq_game(lam, orthogonal(32, rng=np.random.default_rng(12345))), np.array([0.005, 1.0])
    constants = sg.block_constants(game)
    # Norms of blocks of size 32 are rounded outward by 8e-12 of themselves, which are at most 15.
    assert sg.margin(constants.mu, constants.L, w) == pytest.approx(1 - lam * np.sqrt(0.5), abs=2e-10)
    assert sg.metric_norm(game.H, w, game.sizes) == pytest.approx(1 + lam * np.sqrt(0.5), abs=2e-10)
    euclidean = np.linalg.eigvalsh(0.5 * (game.H + game.H.T))[0]
    # Eigenvalues of size 15.
    assert euclidean == pytest.approx(1 - 5.025 * lam, abs=2e-10)
    assert sg.is_feasible(constants.mu, constants.L) == (lam < np.sqrt(2))


def test_noise_makes_the_certificate_conservative_and_never_wrong():
    rng, w = np.random.default_rng([7, 30]), np.array([0.005, 1.0])
    for eps in (0.1, 0.5, 1.0):
        R, noise = orthogonal(8, rng=rng), (unit_gaussian(8, rng=rng), unit_gaussian(8, rng=rng))
        game = lq_game(1.0, R, eps=eps, noise=noise)
        constants, root = sg.block_constants(game), np.sqrt(np.repeat(w, 8))
        scaled = root[:, None] * game.H / root
        assert np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0] >= sg.margin(constants.mu, constants.L, w)


def test_golden_markov():
    """Centre mu = 1, L = .55; vertices as in the notes, which used finite differences and a grid of ratios: 1e-4."""
    game = softmax_markov()
    corners = np.array(np.meshgrid(*[[-0.1, 0.1]] * 8)).reshape(8, -1).T

    def constants(points):
        scaled = np.array([sg.fisher_normalised(game.jacobian(x), fisher_matrices(x), BASES) for x in points])
        return sg.sampled_constants(scaled, (2, 2)), scaled

    centre, _ = constants(np.zeros((1, 8)))
    np.testing.assert_allclose(centre.mu, 1, atol=1e-12)  # closed form; outward rounding
    np.testing.assert_allclose([centre.L[0, 1], centre.L[1, 0]], 0.55, atol=1e-12)  # gamma = .9: 1 - .9 / 2
    vertices, scaled = constants(corners)
    local = sg.fisher_certificate(vertices, scaled, (2, 2))
    assert local.scope == "LOCAL"
    # The notes' digits, known to about 1e-4 (see above).
    np.testing.assert_allclose(vertices.mu, 0.93439, atol=1e-5)
    np.testing.assert_allclose(vertices.L[0, 1], 0.60092, atol=1e-5)
    np.testing.assert_allclose(
        [local.alpha, local.beta, local.step], [0.33343, 1.57183, 0.26992], atol=1e-4
    )  # likewise
    np.testing.assert_allclose(sg.timescale_band(vertices.mu, vertices.L), [0.13265, 7.53871], rtol=2e-5)  # five digits


@pytest.mark.parametrize("players", [2, 4])
def test_three_routes_to_the_best_weights(players):
    rng = np.random.default_rng([7, 31, players])
    mu, L = rng.uniform(0.5, 2, players), rng.random((players, players))
    best = sg.optimal_margin(mu, L)
    assert sg.margin(mu, L, sg.perron_weights(mu, L)) == pytest.approx(best, abs=1e-12)  # eigenvalues of size 1
    for weights, margin in (sg.geometric_program_weights(mu, L), sg.lmi_weights(mu, L)):
        # What the interior-point solver and the bisection promise.
        assert margin == pytest.approx(best, abs=1e-8)
        assert sg.margin(mu, L, weights) == pytest.approx(best, abs=1e-8)


def test_three_thousand_other_weights():
    rng = np.random.default_rng([7, 32])
    mu, L = rng.uniform(0.5, 2, 3), rng.random((3, 3))
    best = sg.optimal_margin(mu, L)
    assert max(sg.margin(mu, L, np.exp(3 * rng.standard_normal(3))) for _ in range(3000)) <= best


def test_steps_by_lmi_are_at_least_those_of_the_perron_weights():
    rng = np.random.default_rng([7, 33])
    mu, L = rng.uniform(0.5, 2, 2), 0.4 * rng.random((2, 2))
    L += np.diag(mu)
    w, step = sg.step_weights(mu, L, alphas=5, tol=1e-3)
    assert step == pytest.approx(2 * sg.margin(mu, L, w) / sg.lipschitz(L, w) ** 2, rel=1e-12)  # the same formula
    perron = sg.perron_weights(mu, L)
    assert step >= 2 * sg.margin(mu, L, perron) / sg.lipschitz(L, perron) ** 2
    # The scan of the author's code maximises half of it on a grid.
    assert 2 * sg.scan_ratios(mu, L)[1] <= 1.001 * step
    with pytest.raises(ValueError, match="no weights have a positive margin"):
        sg.step_weights([1.0, 1.0], [[1.0, 2.0], [2.0, 1.0]])


def test_reducible_couplings_come_close_to_the_supremum():
    mu, L = np.ones(2), np.array([[1.0, 10.0], [0.0, 1.0]])
    w = sg.perron_weights(mu, L)
    assert sg.optimal_margin(mu, L) == 1
    # sqrt(fill) times the size of the couplings, as the docstring says.
    assert 1 - sg.margin(mu, L, w) <= 20 * np.sqrt(1e-9)
    assert sg.timescale_band(mu, L) == (25.0, np.inf)
    assert np.array_equal(sg.perron_weights([1.0], [[3.0]]), [1.0])


def test_sharp_for_one_sign_and_not_for_opposite_signs():
    """a b = .999 certified; 1.001 not, and unstable; a = 10, b = -.5 not certified, and stable."""

    def scalar(a, b):
        return QuadraticGame([[1.0, a], [b, 1.0]], (1, 1))

    inside, outside, opposite = scalar(2.0, 0.4995), scalar(2.0, 0.5005), scalar(10.0, -0.5)
    certificate = sg.small_gain(inside)
    assert check_small_gain(inside, certificate)
    assert certificate.alpha == pytest.approx(5.0e-4, rel=1e-3)  # 1 - sqrt(.999), two terms of its series
    assert not check_small_gain(outside, sg.small_gain(outside))
    assert np.linalg.eigvals(outside.H).real.min() == pytest.approx(-5e-4, rel=1e-3)  # 1 - sqrt(1.001)
    refused = sg.small_gain(opposite)
    assert not check_small_gain(opposite, refused)
    assert refused.alpha == pytest.approx(1 - np.sqrt(5), abs=1e-9)  # -1.236
    assert np.linalg.eigvals(opposite.H).real.min() == pytest.approx(1, abs=1e-12)  # 1 +- i sqrt(5)


def test_every_arrow_of_the_implication_chain_is_strict():
    """Small gain, block-scalar LMI, spectrum: for each arrow a game that satisfies the right and not the left."""
    rotation = QuadraticGame([[1.0, 5.0], [-5.0, 1.0]], (1, 1))
    assert not check_small_gain(rotation, sg.small_gain(rotation))
    assert np.linalg.eigvalsh(0.5 * (rotation.H + rotation.H.T))[0] == 1
    # One player with two coordinates: no weights to choose, stable, and not monotone.
    shear = QuadraticGame([[1.0, 9.0], [0.0, 1.0]], (2,))
    assert np.linalg.eigvals(shear.H).real.min() == 1
    assert np.linalg.eigvalsh(0.5 * (shear.H + shear.H.T))[0] == pytest.approx(-3.5, abs=1e-12)  # 1 - 9 / 2
    # Full Lyapunov matrices do certify it: diag(1, 100) weights its coordinates apart.
    P = np.diag([1.0, 100.0])
    assert np.linalg.eigvalsh(P @ shear.H + shear.H.T @ P)[0] > 0


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e150])
def test_steps_scale_with_the_game(scale):
    """Squares of constants may underflow or overflow, quotients do not."""
    game = QuadraticGame(scale * toy().H, (1, 1))
    assert scale * sg.promises(sg.small_gain(game), game).euler_limit == pytest.approx(0.201010, abs=1e-6)  # six digits


def test_a_game_in_which_nothing_moves_promises_nothing():
    still = QuadraticGame([[0.0]], (1,))
    said = sg.promises(sg.small_gain(still), still)
    assert (said.rate, said.euler_limit, said.rk4_linear, said.rk4_smooth) == (0.0, 0.0, 0.0, 0.0)


def test_growth_just_outside_the_band():
    game = toy()
    constants = sg.block_constants(game)
    for ratio in (34.3, 1166.0):
        w = np.array([1.0, ratio])
        assert sg.margin(constants.mu, constants.L, w) < 0
        root = np.sqrt(w)
        scaled = root[:, None] * game.H / root
        x = np.linalg.eigh(0.5 * (scaled + scaled.T))[1][:, 0] / root
        moved = sg.euler_step(game, x, h=1e-7)
        assert sg.metric_length(moved, w, (1, 1)) > sg.metric_length(x, w, (1, 1))


def test_invalid_arguments():
    game = random_tanh((1, 1), rng=np.random.default_rng([7, 34]))
    bare = SmoothGame(game.pseudo_gradient, game.jacobian, (1, 1), region=game.region)
    cases = [
        (lambda: sg.small_gain(toy(), w=[1.0, -1.0]), r"w\[1\] is -1; weights are positive"),
        (lambda: sg.small_gain(toy(), grid=5), "grid is 5"),
        (lambda: sg.small_gain("toy"), "game is a str"),
        (lambda: sg.small_gain(bare), "without an enclosure"),
        (lambda: sg.small_gain(game, max_cells=0), "max_cells is 0"),
        (lambda: sg.small_gain(game, grid=1), "points is 1"),
        (lambda: sg.margin([1.0, 1.0], [[0.0, -1.0], [0.0, 0.0]], [1, 1]), r"L\[0, 1\] is -1"),
        (lambda: sg.margin([1.0, np.nan], np.eye(2), [1, 1]), r"mu\[1\] is nan"),
        (lambda: sg.timescale_band(np.ones(3), np.ones((3, 3))), "mu has 3 entries"),
        (lambda: sg.scan_ratios(np.ones(2), np.ones((2, 2)), "speed"), "objective is 'speed'"),
        (lambda: sg.gradient_play(toy(), h=0.0, num_iters=1, x0=np.zeros(2)), "h is 0.0"),
        (lambda: sg.gradient_play(toy(), h=0.1, num_iters=-1, x0=np.zeros(2)), "num_iters is -1"),
        (lambda: sg.gradient_play(toy(), h=0.1, num_iters=1, x0=np.zeros(3)), r"x0 has shape \(3,\)"),
        (lambda: sg.gradient_play(toy(), h=0.1, num_iters=1, x0=np.zeros(2), project=True), "project is for Euler"),
        (lambda: sg.gradient_play(toy(), h=0.1, num_iters=1, x0=np.zeros(2), method="heun"), "method is 'heun'"),
        (lambda: sg.spectral_step(toy(), "heun", highest=1.0), "method is 'heun'"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


def test_constants_of_blocks_and_of_enclosures_agree_where_the_game_is_linear():
    linear = random_quadratic((2, 1), rng=np.random.default_rng([7, 35]))
    box = Box(-np.ones(3), np.ones(3))
    game = SmoothGame(
        linear.pseudo_gradient, linear.jacobian, (2, 1), region=box,
        jacobian_enclosure=lambda lo, hi: (linear.jacobian(lo), linear.jacobian(hi)),
    )  # fmt: skip
    blocks, enclosed, grid = sg.block_constants(linear), sg.enclosed_constants(game), sg.grid_constants(game, 2)
    for constants in (enclosed, grid):
        # Outward rounding, relative to the largest entry.
        np.testing.assert_allclose(constants.mu, blocks.mu, atol=1e-11)
        np.testing.assert_allclose(constants.L, blocks.L, atol=1e-11)
    assert (enclosed.source, grid.source) == ("enclosure", "estimate")


def test_dividing_the_region_tightens_the_constants():
    """Blocks of two coordinates, whose entries are not all extreme at one point."""
    game = random_tanh((2, 1), rng=np.random.default_rng([7, 36, 3]), gain=0.9)
    alphas = [sg.small_gain(game, max_cells=cells).alpha for cells in (1, 16, 128)]
    truth = sg.grid_constants(game, 25)
    assert alphas[0] + 1e-3 < alphas[1] < alphas[2] <= sg.optimal_margin(truth.mu, truth.L)
