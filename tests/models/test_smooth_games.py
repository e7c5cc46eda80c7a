"""Smooth and quadratic games and their regions: projections, room, and refusals that name what is wrong."""

import numpy as np
import pytest

from mdplab.models import Ball, Box, QuadraticGame, SmallGainCertificate, SmoothGame
from mdplab.models.smooth_games import checked_sizes, checked_weights


def _smooth(**changes):
    given = {"sizes": (1, 2), "region": Box(-np.ones(3), np.ones(3)), **changes}
    return SmoothGame(lambda x: x, lambda x: np.eye(3), **given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: checked_weights([1.0, 0.0], 2), r"w\[1\] is 0; weights are positive"),
        (lambda: checked_weights([1.0, np.nan], 2), r"w\[1\] is nan"),
        (lambda: checked_weights([1.0], 2), r"w has shape \(1,\); expected \(2,\)"),
        (lambda: checked_sizes([2, 0]), r"sizes\[1\] is 0"),
        (lambda: checked_sizes([1, np.nan]), r"sizes\[1\] is nan; expected an integer"),
        (lambda: checked_sizes(["two"]), r"sizes\[0\] is 'two'; expected an integer"),
        (lambda: _smooth(jacobian_enclosure=3), "jacobian_enclosure is 3; expected a function or None"),
        (lambda: checked_sizes([]), "expected one size per player"),
        (lambda: Box([0.0, 1.0], [1.0, 1.0]), r"hi\[1\] is 1; not above lo there: the region is no box"),
        (lambda: Box([0.0], [1.0, 2.0]), r"hi has shape \(2,\), lo has \(1,\)"),
        (lambda: Box([-np.inf], [1.0]), r"lo\[0\] is -inf; entries are finite"),
        (lambda: Ball([0.0], 0.0), r"radius\[0\] is 0; not a positive number: no ball"),
        (lambda: Ball([0.0], [1.0, -2.0]), r"radius\[1\] is -2"),
        (lambda: Ball([np.nan], 1.0), r"center\[0\] is nan"),
        (lambda: QuadraticGame(np.eye(3), (1, 1)), r"H has shape \(3, 3\); sizes \(1, 1\) need \(2, 2\)"),
        (lambda: QuadraticGame([[1.0, np.inf], [0, 1]], (1, 1)), r"H\[0, 1\] is inf"),
        (lambda: QuadraticGame(np.eye(2), (1, 1), [1.0]), r"b has shape \(1,\); expected \(2,\)"),
        (lambda: _smooth(region=[-1, 1]), r"region is \[-1, 1\]; expected a Box or a Ball"),
        (lambda: _smooth(region=Box([0.0], [1.0])), r"region has 1 coordinates; sizes \(1, 2\) need 3"),
        (lambda: _smooth(region=Ball(np.zeros(3), [1.0, 1.0, 1.0])), "radius has 3 entries; the game has 2 players"),
        (lambda: SmoothGame(None, None, (1,), region=Box([0.0], [1.0])), "pseudo_gradient is None"),
        (lambda: SmallGainCertificate([1.0], [[-1.0]], [1.0], 1, 1, "blocks"), r"L\[0, 0\] is -1"),
        (lambda: SmallGainCertificate([1.0], [[1.0]], [1.0], 1, 1, "guess"), "source is 'guess'"),
        (lambda: SmallGainCertificate([1.0], [[1.0]], [0.0], 1, 1, "blocks"), r"w\[0\] is 0"),
        (lambda: SmallGainCertificate([1.0], [[1.0]], [1.0], np.nan, 1, "blocks"), "alpha is nan"),
        (lambda: SmallGainCertificate([1.0], [[1.0], [2.0]], [1.0], 1, 1, "blocks"), r"L \(2, 1\); expected"),
        (lambda: SmallGainCertificate([1.0], [[1.0]], [1.0], 1, 1, "blocks", [1, 2]), r"cuts has shape \(2,\)"),
    ],
)
def test_refusals_name_argument_index_and_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("region", [Box([-1, -2, 0], [1, 3, 1]), Ball([0.5, 0, 1], [2.0, 0.5])])
def test_projection_is_nearest_in_every_weighted_metric(region):
    """The variational inequality of projections, <x - Px, z - Px>_M <= 0 for z in the region, for random weights."""
    sizes, rng = (1, 2), np.random.default_rng([7, 1])
    for _ in range(200):
        x, z = 4 * rng.standard_normal((2, 3))
        inside, near = region.project(z, sizes), region.project(x, sizes)
        w = np.repeat(np.exp(rng.standard_normal(2)), sizes)
        assert (w * (x - near)) @ (inside - near) <= 1e-12  # rounding of products of size at most 100
        assert region.room(near, sizes).min() >= -1e-14  # the last bit of a rescaled vector
        lo, hi = region.bounds(sizes)
        assert np.all(lo <= near) and np.all(near <= hi)


def test_room_is_the_distance_to_the_boundary():
    assert Box([-1, -2, 0], [1, 3, 1]).room(np.array([0.5, 0.0, 0.9]), (1, 2)).round(12).tolist() == [0.5, 0.1]
    assert Ball([0, 0, 0], [2.0, 6.0]).room(np.array([0.5, 3.0, 4.0]), (1, 2)).tolist() == [1.5, 1.0]


def test_a_quadratic_game_is_its_own_taylor_series():
    rng = np.random.default_rng([7, 2])
    game = QuadraticGame(rng.standard_normal((3, 3)), (1, 2), rng.standard_normal(3))
    x, y = rng.standard_normal((2, 5, 3))
    np.testing.assert_allclose(
        game.pseudo_gradient(x) - game.pseudo_gradient(y), np.einsum("kij,kj->ki", game.jacobian(x), x - y), atol=1e-14
    )  # a few roundings of numbers near 1
    assert game.block(1, 0).tolist() == game.H[1:, :1].tolist()
    assert game.digest() != QuadraticGame(game.H, (2, 1), game.b).digest()
    assert not game.H.flags.writeable
