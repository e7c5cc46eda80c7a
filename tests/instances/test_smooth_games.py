"""Smooth games: Jacobians against differences, enclosures against ball arithmetic, gains as asked for."""

import flint
import numpy as np
import pytest

from mdplab.algorithms.games import small_gain as sg
from mdplab.instances.smooth_games import narrow_bump, random_polymatrix, random_quadratic, random_tanh, tanh_game
from mdplab.instances.softmax_markov import natural_gradient, softmax_markov
from mdplab.models import Box


def _difference(game, x, h=1e-6):
    eye = np.eye(game.d)
    return np.array([(game.pseudo_gradient(x + h * e) - game.pseudo_gradient(x - h * e)) / (2 * h) for e in eye]).T


@pytest.mark.parametrize(
    "game",
    [random_tanh((1, 2), rng=np.random.default_rng([7, 50])), narrow_bump(0.5, width=0.1), softmax_markov()],
    ids=["tanh", "bump", "markov"],
)
def test_jacobian_is_the_derivative(game):
    rng = np.random.default_rng([7, 51])
    for _ in range(20):
        x = rng.uniform(-1, 1, game.d)
        # h^2 times third derivatives, up to 1e3, and rounding over h.
        np.testing.assert_allclose(game.jacobian(x), _difference(game, x), atol=1e-7)


def _exactly(m, s, A, b, x):
    """The Jacobian of a tanh game in balls of 200 bits."""
    flint.ctx.prec = 200
    ball = np.frompyfunc(lambda v: flint.arb(flint.fmpq(*float(v).as_integer_ratio())), 1, 1)
    m, s, A, b, x = (ball(np.asarray(part)) for part in (m, s, A, b, x))
    z = A.dot(x) + b
    out = np.array([[s[i] / z[i].cosh() ** 2 * A[i, j] for j in range(len(z))] for i in range(len(z))], dtype=object)
    for i in range(len(z)):
        out[i, i] = out[i, i] + m[i]
    flint.ctx.prec = 53
    return out


def test_enclosure_contains_the_exact_jacobian():
    """Boxes from a point to the whole region; points among the corners, where the ends are attained."""
    rng = np.random.default_rng([7, 52])
    for _ in range(60):
        d = int(rng.integers(1, 4))
        m, s, b = rng.standard_normal((3, d))
        A = 10 ** rng.uniform(-2, 2) * rng.standard_normal((d, d))
        game = tanh_game(m, s, A, (d,), region=Box(-np.ones(d), np.ones(d)), b=b)
        centre, reach = rng.standard_normal(d), 10 ** rng.uniform(-18, 0)
        lo, hi = centre - reach, centre + reach
        bottom, top = game.jacobian_enclosure(lo, hi)
        for x in (lo, hi, centre, lo + rng.random(d) * (hi - lo), np.clip(np.linalg.pinv(A) @ -b, lo, hi)):
            exact = _exactly(m, s, A, b, np.clip(x, lo, hi))
            for i in range(d):
                for j in range(d):
                    assert exact[i, j] >= float(bottom[i, j]) and exact[i, j] <= float(top[i, j])


def test_bump_enclosure_contains_samples():
    game, rng = narrow_bump(2.0, width=0.05), np.random.default_rng([7, 53])
    for _ in range(100):
        lo = rng.uniform(-1, 1, 2)
        hi = lo + 10 ** rng.uniform(-8, 0, 2)
        bottom, top = game.jacobian_enclosure(lo, hi)
        J = game.jacobian(lo + rng.random((50, 2)) * (hi - lo))
        assert np.all((bottom <= J) & (J <= top))


def test_random_games_have_the_gain_asked_for():
    for k in range(10):
        rng = np.random.default_rng([7, 54, k])
        constants = sg.block_constants(random_quadratic((1, 2, 1), rng=rng, gain=0.6))
        L = constants.L - np.diag(np.diag(constants.L))
        # Eigenvalues of a matrix of size one.
        assert np.abs(np.linalg.eigvals(L / constants.mu[:, None])).max() == pytest.approx(0.6, rel=1e-9)
        game = random_polymatrix((2, 3, 2), rng=rng, gain=0.6)
        assert sg.entropic_certificate(game).rho == pytest.approx(0.6, rel=1e-9)  # likewise


def test_natural_gradient_of_the_markov_game():
    """At the equilibrium its linearisation in logit differences is [[1, C], [C, 1]] with C of norm .55."""
    game = softmax_markov()
    J = np.array([natural_gradient(1e-6 * e, game) / 1e-6 for e in np.eye(8)]).T
    eigenvalues = np.sort(np.linalg.eigvals(J).real)
    # Four directions of constants do not matter; the differences' are 1 -+ .55 and 1 -+ .45, up to 1e-6.
    np.testing.assert_allclose(eigenvalues[4:], [0.45, 0.55, 1.45, 1.55], atol=1e-5)
    with pytest.raises(ValueError, match="gamma is 1"):
        softmax_markov(gamma=1.0)
    with pytest.raises(ValueError, match="A has shape"):
        tanh_game([1.0], [1.0], [[1.0, 2.0]], (1,), region=Box([0.0], [1.0]))
