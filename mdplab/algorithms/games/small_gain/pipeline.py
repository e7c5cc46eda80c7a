r"""From a game to a small-gain certificate and what it promises: constants, weights, alpha and beta, steps, radius.

The certificate is a claim until the referee has checked it (`mdplab.certify.small_gain.check_small_gain`): only then
is the verdict CERTIFIED. Estimates from a grid give a certificate that the referee refuses.

Source: Sharma 2025 (Small-Gain Nash), arXiv:2512.06791; rounding and the rigorous steps are derived.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.small_gain import discretisation as steps
from mdplab.algorithms.games.small_gain.constants import (
    Constants,
    block_constants,
    enclosed_constants,
    grid_constants,
    outward,
)
from mdplab.algorithms.games.small_gain.weights import lipschitz, margin, perron_weights, timescale_band
from mdplab.models import QuadraticGame, SmallGainCertificate, SmoothGame


def small_gain(
    game: QuadraticGame | SmoothGame, *, w: np.ndarray | None = None, max_cells: int = 64, grid: int | None = None
) -> SmallGainCertificate:
    """The small-gain certificate of a game, with the best weights or given ones.

    Parameters
    ----------
    game
        Quadratic (constants from its blocks) or smooth (constants from its enclosure over the region).
    w
        Weights of the metric (N,), positive; those of the largest margin by default.
    max_cells
        Cells into which the region of a smooth game may be divided.
    grid
        Points per axis of a grid on which the constants of a smooth game are estimated instead; such a certificate is
        never accepted.

    Returns
    -------
    SmallGainCertificate
        With alpha rounded down and beta rounded up by more than the referee needs. Where alpha is not positive, or the
        source is "estimate", the verdict will be NOT-CERTIFIED.

    Examples
    --------
    >>> certificate = small_gain(QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1)))
    >>> round(certificate.alpha, 6), round(certificate.beta, 6), certificate.w.round(6).tolist()
    (0.292893, 1.707107, [1.0, 200.0])
    """
    if isinstance(game, QuadraticGame):
        if grid is not None:
            raise ValueError(f"grid is {grid}; the constants of a quadratic game are those of its blocks")
        constants = block_constants(game)
    elif isinstance(game, SmoothGame):
        constants = enclosed_constants(game, max_cells=max_cells) if grid is None else grid_constants(game, grid)
    else:
        raise ValueError(f"game is a {type(game).__name__}; expected a QuadraticGame or a SmoothGame")
    return certificate_of(constants, w)


def certificate_of(constants: Constants, w: np.ndarray | None = None) -> SmallGainCertificate:
    """The certificate that constants give, with the best weights or given ones; alpha down, beta up."""
    mu, L = constants.mu, constants.L
    w = perron_weights(mu, L) if w is None else np.asarray(w, dtype=np.float64)
    beta = lipschitz(L, w) * (1 + outward(mu.size))
    root = np.sqrt(w)
    size = max(float(np.abs(mu).max()), float((root[:, None] * L / root).max()))
    alpha = margin(mu, L, w) - outward(mu.size) * size
    return SmallGainCertificate(mu, L, w, alpha, beta, constants.source, constants.cuts)


@dataclass(frozen=True, slots=True)
class SmallGainPromises:
    """What follows from a certificate once it is accepted.

    Parameters
    ----------
    rate
        The flow contracts like e^(-rate t) in the metric.
    euler_limit, euler_best, euler_factor
        Steps of (projected) Euler that contract, the best of them and its factor.
    rk4_linear, rk4_smooth
        RK4 steps certified for linear games, and for smooth ones while all stages stay in the region.
    rk4_printed
        2.5 / beta, the paper's step; no certificate.
    band
        For two players, the ratios w_2 / w_1 with a positive margin, else (nan, nan).
    radius
        Radius in the metric of the largest ball around the equilibrium inside the region, forward invariant without
        projection; infinite for quadratic games, nan without an equilibrium.
    """

    rate: float
    euler_limit: float
    euler_best: float
    euler_factor: float
    rk4_linear: float
    rk4_smooth: float
    rk4_printed: float
    band: tuple[float, float]
    radius: float


def promises(
    certificate: SmallGainCertificate, game: QuadraticGame | SmoothGame, equilibrium: np.ndarray | None = None
) -> SmallGainPromises:
    """The steps, the band and the invariance radius that a certificate implies.

    Parameters
    ----------
    certificate
        With positive alpha for the numbers to mean anything; steps are 0 otherwise.
    game
        The game it is about.
    equilibrium : array (d,), optional
        For the radius of a smooth game.

    Examples
    --------
    >>> game = QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1))
    >>> said = promises(small_gain(game), game)
    >>> round(said.euler_limit, 6), round(said.euler_best, 6), round(said.rk4_printed, 6)
    (0.20101, 0.100505, 1.464466)
    """
    alpha, beta = certificate.alpha, certificate.beta
    limit = steps.euler_limit(alpha, beta)
    two = certificate.players == 2
    return SmallGainPromises(
        rate=alpha,
        euler_limit=limit,
        euler_best=limit / 2,
        euler_factor=steps.euler_factor(limit / 2, alpha, beta),
        rk4_linear=steps.largest_step(steps.rk4_linear_factor, alpha, beta),
        rk4_smooth=steps.largest_step(steps.rk4_smooth_factor, alpha, beta),
        rk4_printed=steps.printed_rk4_step(beta),
        band=timescale_band(certificate.mu, certificate.L) if two else (float("nan"), float("nan")),
        radius=invariance_radius(game, certificate.w, equilibrium),
    )


def invariance_radius(game: QuadraticGame | SmoothGame, w: np.ndarray, equilibrium: np.ndarray | None) -> float:
    """Radius, in the metric of the weights, of the largest ball around the equilibrium inside the region.

    Examples
    --------
    >>> from mdplab.models import Box
    >>> game = SmoothGame(lambda x: x, lambda x: None, (1, 1), region=Box([-1.0, -3.0], [1.0, 3.0]))
    >>> invariance_radius(game, np.array([4.0, 1.0]), np.zeros(2))
    2.0
    """
    if isinstance(game, QuadraticGame):
        return float("inf")
    if equilibrium is None:
        return float("nan")
    return float(max((np.sqrt(w) * game.region.room(np.asarray(equilibrium), game.sizes)).min(), 0.0))
