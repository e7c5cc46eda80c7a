"""The referee of small-gain certificates: exact decisions, and every way of cheating that we could think of."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.games import small_gain as sg
from mdplab.certify import definite
from mdplab.certify.definite import integers, positive_definite, surely_positive_definite
from mdplab.certify.small_gain import cells, check_small_gain, matrix_why_not, norm_bound, why_not
from mdplab.instances.smooth_games import narrow_bump, random_quadratic, random_tanh, tanh_game, toy
from mdplab.models import Ball, Box, QuadraticGame, SmallGainCertificate, SmoothGame


def _by_pivots(S) -> bool:
    """LDL^T over fractions."""
    A = [[Fraction(int(x)) for x in row] for row in S]
    n = len(A)
    for k in range(n):
        if A[k][k] <= 0:
            return False
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                A[i][j] -= A[i][k] * A[k][j] / A[k][k]
    return True


@pytest.mark.parametrize("n", [2, 3, 7, 14])
def test_definiteness_agrees_with_pivots_over_fractions(n):
    """Singular and nearly singular matrices among them; from 13 rows on the proof by squares comes first."""
    rng, seen = np.random.default_rng([7, 10, n]), set()
    for k in range(30):
        G = rng.integers(-9, 10, (n, n if k % 3 else n - 1)).astype(object)
        S = G @ G.T + int(rng.integers(-1, 2)) * np.eye(n, dtype=int).astype(object)
        assert positive_definite(S) == _by_pivots(S)
        assert positive_definite(S << 90) == _by_pivots(S)
        seen.add(_by_pivots(S))
    assert seen == {True, False}


def test_proof_by_squares_never_accepts_what_pivots_refuse():
    rng, accepted = np.random.default_rng([7, 11]), 0
    for _ in range(60):
        G = rng.integers(-99, 100, (6, 6)).astype(object)
        S = (G @ G.T) * 10**6
        # Down to the last singular value and beyond, in steps around it.
        least = int(np.linalg.eigvalsh((G @ G.T).astype(float))[0] * 10**6)
        S = S - (least + int(rng.integers(-50, 50))) * np.eye(6, dtype=int).astype(object)
        found = definite._squares_and_rest(S)
        assert not found or _by_pivots(S)
        accepted += found
    assert accepted > 0


def test_nothing_about_the_square_root_is_trusted(monkeypatch):
    """Any R is a proof only if the rest is dominant: with R = 0 the rest is S, here with least eigenvalue -800."""
    S = np.array([[1000, -900, -900], [-900, 1000, -900], [-900, -900, 1000]], dtype=object)
    monkeypatch.setattr(np.linalg, "cholesky", lambda A: np.zeros_like(A))
    assert not definite._squares_and_rest(S)
    assert definite._squares_and_rest(S + 900 * np.eye(3, dtype=int).astype(object))


def test_floats_never_accept_what_fractions_refuse():
    rng, accepted, close = np.random.default_rng([7, 12]), 0, 0
    for _ in range(200):
        G = rng.standard_normal((4, 4))
        A = G @ G.T
        A = 0.5 * (A + A.T) - (np.linalg.eigvalsh(0.5 * (A + A.T))[0] + rng.uniform(-1, 1) * 1e-12) * np.eye(4)
        (S,), _ = integers(A)
        truth = _by_pivots(S)
        assert truth or not surely_positive_definite(A)
        accepted += surely_positive_definite(A)
        close += truth
    assert 0 < accepted < close


def test_exact_at_the_optimum():
    """mu = 1, L_12 = 9/4, L_21 = 1/1024: the optimum is 1 - 3/64 at weights (1/1024, 9/4), all floats."""
    mu, L = np.ones(2), np.array([[1.0, 2.25], [2.0**-10, 1.0]])
    w, alpha, beta = np.array([2.0**-10, 2.25]), 1 - 3 / 64, 2.0
    assert why_not(mu, L, w, alpha * (1 - 1e-9), beta) == ""
    assert why_not(mu, L, w, np.nextafter(alpha, 0), beta) == ""
    # On the boundary the matrix is singular: not positive definite.
    assert "alpha" in why_not(mu, L, w, alpha, beta)
    assert "alpha" in why_not(mu, L, w, alpha * (1 + 1e-6), beta)
    assert "alpha" in why_not(mu, L, w[::-1], alpha * (1 - 1e-9), 1e6)
    least = sg.lipschitz(L, w)
    assert why_not(mu, L, w, 0.5, least * (1 + 1e-9)) == ""
    assert "beta" in why_not(mu, L, w, 0.5, least * (1 - 1e-9))
    for bad in ((-0.1, 2.0), (0.0, 2.0), (0.5, -2.0)):
        assert "must be positive" in why_not(mu, L, w, *bad)


def test_matrix_certificates_are_sharper_and_exact():
    game = QuadraticGame([[1.0, 10.0], [-10.0, 1.0]], (1, 1))
    assert not check_small_gain(game, sg.small_gain(game))
    assert matrix_why_not(game, np.ones(2), 1 - 1e-12, 10.05) == ""
    assert "alpha" in matrix_why_not(game, np.ones(2), 1 + 1e-12, 10.05)
    assert "beta" in matrix_why_not(game, np.ones(2), 0.5, 10.04)


def test_matrix_certificates_need_a_metric():
    """With weights below 0 both matrices would be positive definite for an unstable game."""
    assert "must be positive" in matrix_why_not(QuadraticGame([[-1.0]], (1,)), [-1.0], 0.5, 0.5)
    assert "must be positive" in matrix_why_not(QuadraticGame([[1.0]], (1,)), [1.0], 0.5, -2.0)


def _cheats(certificate):
    """Certificates that claim more than is true, by more than their own outward rounding."""
    up, L = 1 + 1e-9, certificate.L
    worst = np.unravel_index(np.argmax(L * ~np.eye(len(L), dtype=bool)), L.shape)
    smaller = L.copy()
    smaller[worst] *= 1 - 1e-3
    return {
        "alpha": replace(certificate, alpha=certificate.alpha + 1e-6),
        "beta": replace(certificate, beta=certificate.beta * (1 - 1e-6)),
        "mu": replace(certificate, mu=certificate.mu + 1e-3 * np.abs(certificate.mu)),
        "L": replace(certificate, L=smaller),
        "estimate": replace(certificate, source="estimate"),
        "weights": replace(certificate, w=1 / certificate.w * up, alpha=certificate.alpha),
    }


def test_a_quadratic_game_refuses_every_cheat():
    for k, sizes in enumerate([(1, 1), (2, 1), (2, 3, 1)]):
        game = random_quadratic(sizes, rng=np.random.default_rng([7, 13, k]))
        certificate = sg.small_gain(game)
        verdict = check_small_gain(game, certificate)
        assert verdict.verdict == "CERTIFIED" and verdict.reason == ""
        for name, cheat in _cheats(certificate).items():
            assert check_small_gain(game, cheat).verdict == "NOT-CERTIFIED", name


def test_a_smooth_game_refuses_every_cheat():
    """Scalar amplitudes: the bounds over the box are attained, so that smaller constants are false."""
    box = Box([-1.0, -1.0], [1.0, 1.0])
    game = tanh_game([1.0, 1.0], [-0.3, -0.5], [[1.0, 2.0], [0.1, 1.0]], (1, 1), region=box)
    certificate = sg.small_gain(game, max_cells=16)
    assert check_small_gain(game, certificate)
    for name, cheat in _cheats(certificate).items():
        assert not check_small_gain(game, cheat), name
    assert not check_small_gain(game, replace(certificate, source="blocks"))
    # Without the cuts the constants of the cells are not shown for the whole box: it is refused or still true.
    assert not check_small_gain(game, replace(certificate, cuts=np.array([[5, 0]])))
    assert not check_small_gain(game, replace(certificate, cuts=np.array([[0, 2]])))
    bare = SmoothGame(game.pseudo_gradient, game.jacobian, (1, 1), region=box)
    assert "enclosure" in check_small_gain(bare, certificate).reason


def test_a_coarser_division_does_not_prove_finer_constants():
    game = random_tanh((1, 2), rng=np.random.default_rng([7, 14]), gain=0.9)
    fine = sg.small_gain(game, max_cells=64)
    assert len(fine.cuts) == 63 and check_small_gain(game, fine)
    assert not check_small_gain(game, replace(fine, cuts=fine.cuts[:10]))


def test_cells_cover_the_region():
    rng = np.random.default_rng([7, 15])
    game = narrow_bump(0.5)
    cuts = np.array([[int(rng.integers(k + 1)), int(rng.integers(2))] for k in range(40)])
    lo, hi = cells(game, cuts)
    x = rng.uniform(-1, 1, (500, 2))
    inside = np.all((lo <= x[:, None]) & (x[:, None] <= hi), axis=2)
    assert inside.any(axis=1).all() and (hi > lo).all()
    # The areas add up to that of the square: nothing is counted twice.
    assert (hi - lo).prod(axis=1).sum() == pytest.approx(4, rel=1e-12)  # forty additions


def test_a_grid_is_refused_where_it_is_blind():
    """Grid points miss the dip; an enclosure sees it, and refuses the deep one, certifies the shallow one."""
    deep, shallow = narrow_bump(3.0), narrow_bump(0.5)
    assert sg.small_gain(deep, grid=21).alpha == pytest.approx(0.5, abs=1e-9)  # curvature 1, couplings 1/2
    assert not check_small_gain(deep, sg.small_gain(deep, grid=21))
    assert not check_small_gain(deep, sg.small_gain(deep, max_cells=64))
    assert check_small_gain(shallow, sg.small_gain(shallow, max_cells=4))
    # The same numbers relabelled as an enclosure: the referee evaluates the enclosure itself.
    lie = replace(sg.small_gain(deep, grid=21), source="enclosure")
    assert "block (0, 0)" in check_small_gain(deep, lie).reason


def test_a_ball_is_certified_on_the_box_around_it():
    game = random_tanh((2, 1), rng=np.random.default_rng([7, 16]), gain=0.8)
    ball = SmoothGame(
        game.pseudo_gradient, game.jacobian, (2, 1), region=Ball(np.zeros(3), [0.5, 1.0]),
        jacobian_enclosure=game.jacobian_enclosure,
    )  # fmt: skip
    certificate = sg.small_gain(ball, max_cells=8)
    assert check_small_gain(ball, certificate) and certificate.alpha > sg.small_gain(game, max_cells=8).alpha


def test_norm_bound_is_one():
    R = np.abs(np.random.default_rng([7, 17]).standard_normal((50, 3, 2)))
    assert np.all(norm_bound(R) >= np.linalg.norm(R, 2, axis=(1, 2)))


def _constant_ends(bottom, top, shape=None):
    """One coordinate, and an enclosure that returns these ends whatever it is asked."""
    return SmoothGame(
        lambda x: x, lambda x: np.ones((*x.shape, 1)), (1,), region=Box([-1.0], [1.0]),
        jacobian_enclosure=lambda lo, hi: tuple(np.full(shape or (*lo.shape, 1), end) for end in (bottom, top)),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 1e-100, 1e-170, 1e-200, 1e-310, 1e100])
def test_a_wide_enclosure_is_refused_at_every_scale(scale):
    """The Jacobian may be -1 in these units: squares of radii that underflow must not hide it."""
    claim = SmallGainCertificate([0.9 * scale], [[4 * scale]], [1.0], 0.1 * scale, 5 * scale, "enclosure")
    assert "mu[0]" in check_small_gain(_constant_ends(-scale, 3 * scale), claim).reason or scale < 1e-120
    assert not check_small_gain(_constant_ends(-scale, 3 * scale), claim)
    assert norm_bound(np.full((1, 2, 2), scale)) >= 2 * scale


def test_an_enclosure_answers_for_every_cell():
    claim = SmallGainCertificate([0.9], [[4.0]], [1.0], 0.1, 5.0, "enclosure", np.array([[0, 0], [0, 0]]))
    assert check_small_gain(_constant_ends(1.0, 1.0), claim)
    for shape in ((0, 1, 1), (1, 1, 1), (1, 1), (3, 1, 2)):
        assert "shapes" in check_small_gain(_constant_ends(1.0, 1.0, shape), claim).reason
    for ends in ((-1.7e308, 1.7e308), (1.2e308, 1.7e308), (1.0, np.inf), (np.nan, 1.0), (2.0, 1.0)):
        assert "enclosure" in check_small_gain(_constant_ends(*ends), claim).reason


def test_wrong_types_and_sizes():
    certificate = sg.small_gain(toy())
    with pytest.raises(ValueError, match="certificate is a dict"):
        check_small_gain(toy(), {})
    with pytest.raises(ValueError, match="game is a str"):
        check_small_gain("toy", certificate)
    three = QuadraticGame(np.eye(3), (1, 1, 1))
    assert "the game has 3 players" in check_small_gain(three, certificate).reason


def test_sixty_four_players_in_a_second():
    """Constants, weights and the exact referee; the bound is generous for a shared machine, the benchmark measures."""
    game = random_quadratic((1,) * 64, rng=np.random.default_rng([7, 18]), gain=0.7)
    verdict = check_small_gain(game, sg.small_gain(game))
    assert verdict and verdict.seconds < 10


def test_certificates_are_plain_arrays():
    made = SmallGainCertificate([1, 1], [[1, 10], [0.05, 1]], [1, 200], 0.2928, 1.7072, "blocks")
    assert check_small_gain(toy(), made)
