r"""Gradient play x' = -F(x) discretised: Euler, projected on the region if asked, and RK4.

The weights of a certificate enter neither: they belong to the analysis. Regions are products over players, so that the
blockwise projection is the projection in every weighted metric.

Source: Sharma 2025, arXiv:2512.06791. One evaluation of F a step for Euler, four for RK4.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.models import QuadraticGame, SmoothGame, Trace
from mdplab.models.smooth_games import checked_weights


def euler_step(game: QuadraticGame | SmoothGame, x: np.ndarray, *, h: float, project: bool = False) -> np.ndarray:
    """x - h F(x), (..., d), projected on the region if asked."""
    x = x - h * game.pseudo_gradient(x)
    return game.region.project(x, game.sizes) if project else x


def rk4_step(game: QuadraticGame | SmoothGame, x: np.ndarray, *, h: float) -> np.ndarray:
    """One classical Runge-Kutta step of x' = -F(x), (..., d)."""
    F = game.pseudo_gradient
    k1 = F(x)
    k2 = F(x - 0.5 * h * k1)
    k3 = F(x - 0.5 * h * k2)
    k4 = F(x - h * k3)
    return x - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def gradient_play(
    game: QuadraticGame | SmoothGame,
    *,
    h: float,
    num_iters: int,
    x0: np.ndarray,
    method: str = "euler",
    project: bool = False,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """Simultaneous gradient play from given points.

    Parameters
    ----------
    game
        With d coordinates.
    h
        Step, above 0.
    num_iters
        Steps, at least 0.
    x0 : array (..., d)
        Start, with any leading axes.
    method : {"euler", "rk4"}
        Which discretisation.
    project
        Project each Euler step on the region of a smooth game.
    checkpoints
        Strictly increasing numbers of steps in [0, num_iters]; all by default.

    Returns
    -------
    Trace
        `x` (K, ..., d).

    Raises
    ------
    ValueError
        Arguments out of range.

    Examples
    --------
    >>> game = QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1))
    >>> gradient_play(game, h=0.1, num_iters=1, x0=np.array([1.0, 0.0]))["x"].tolist()
    [[1.0, 0.0], [0.9, -0.005000000000000001]]
    """
    if not (np.isfinite(h) and h > 0):
        raise ValueError(f"h is {h}; expected a step above 0")
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    if method not in ("euler", "rk4"):
        raise ValueError(f"method is {method!r}; expected 'euler' or 'rk4'")
    if project and (method != "euler" or not isinstance(game, SmoothGame)):
        raise ValueError("project is for Euler steps of a game with a region")
    x = np.array(x0, dtype=np.float64)
    if x.shape[-1:] != (game.d,):
        raise ValueError(f"x0 has shape {x.shape}; expected (..., {game.d})")
    at = np.arange(num_iters + 1) if checkpoints is None else np.asarray(checkpoints, dtype=np.int64)
    if at.size == 0 or at[0] < 0 or at[-1] > num_iters or np.any(np.diff(at) <= 0):
        raise ValueError(f"checkpoints must increase strictly within [0, {num_iters}]")
    out = np.empty((at.size, *x.shape))
    kept = 0
    for t in range(num_iters + 1):
        if kept < at.size and at[kept] == t:
            out[kept] = x
            kept += 1
        if t < num_iters:
            x = euler_step(game, x, h=h, project=project) if method == "euler" else rk4_step(game, x, h=h)
    return Trace(at, {"x": out})


def metric_length(x: np.ndarray, w: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The norm sqrt(sum_i w_i |x_i|^2) of points (..., d) -> (...).

    Examples
    --------
    >>> metric_length(np.array([3.0, 2.0]), np.array([1.0, 4.0]), (1, 1)).item()
    5.0
    """
    root = np.sqrt(np.repeat(checked_weights(w, len(sizes)), sizes))
    return np.linalg.norm(root * np.asarray(x), axis=-1)
