r"""Steps at which discretised play contracts in the certified metric, from alpha and beta, and exact norms beside.

- Euler, projected or not: |x+ - y+| <= q(h) |x - y|, q^2 = 1 - 2 alpha h + beta^2 h^2, for 0 < h < 2 alpha / beta^2.
- RK4 on a linear game: factor e^(-alpha h) + R_5(beta h), R_5(x) = e^x - sum_{k <= 4} x^k / k!.
- RK4 on a smooth game, all stages in the region: sqrt(1 - 2 alpha h + beta^2 h^2) + (beta h)^2 / 2 + (beta h)^3 / 6
  + (beta h)^4 / 24.

`printed_rk4_step` is the step 2.5 / beta of the paper: a heuristic, not a certificate (claim `rk4_printed`).

Source: Sharma 2025, arXiv:2512.06791 (2 alpha / beta^2 and 2.5 / beta); factors and RK4 certificates are derived.
"""

from collections.abc import Callable
from math import exp, factorial

import numpy as np

from mdplab.models import QuadraticGame
from mdplab.models.smooth_games import checked_weights


def euler_factor(h: float, alpha: float, beta: float) -> float:
    """q(h), the factor of one Euler step.

    Examples
    --------
    >>> euler_factor(0.5, 1.0, 1.0)
    0.5
    """
    return float(np.sqrt(max(1 - 2 * alpha * h + (beta * h) ** 2, 0.0)))


def euler_limit(alpha: float, beta: float) -> float:
    """The step 2 alpha / beta^2 below which Euler's method contracts, 0 without a margin; the best is half of it.

    Examples
    --------
    >>> euler_limit(1.0, 2.0), euler_limit(0.0, 0.0)
    (0.5, 0.0)
    """
    # Twice by beta, whose square may underflow or overflow.
    return 2 * alpha / beta / beta if alpha > 0 else 0.0


def printed_rk4_step(beta: float) -> float:
    """The paper's 2.5 / beta: no certificate. Infinite where nothing moves."""
    return 2.5 / beta if beta > 0 else float("inf")


def rk4_linear_factor(h: float, alpha: float, beta: float) -> float:
    """e^(-alpha h) + R_5(beta h), the factor of one RK4 step on a linear game.

    Examples
    --------
    >>> round(rk4_linear_factor(1.0, 1.0, 1.0) - exp(-1.0), 9)
    0.009948495
    """
    x = beta * h
    # The tail of the series itself: e^x minus its head cancels for small x.
    term, total, k = x**5 / factorial(5), 0.0, 5
    while term > 1e-18 * total:
        total += term
        k += 1
        term *= x / k
        if k > 500:
            return float("inf")
    return exp(-alpha * h) + total


def rk4_smooth_factor(h: float, alpha: float, beta: float) -> float:
    """The factor of one RK4 step on a smooth game all of whose stages stay in the region."""
    x = beta * h
    return euler_factor(h, alpha, beta) + x**2 / 2 + x**3 / 6 + x**4 / 24


def largest_step(factor: Callable[[float, float, float], float], alpha: float, beta: float) -> float:
    """The end of the first interval of steps with factor below 1, rounded down; 0 if alpha is not positive.

    Parameters
    ----------
    factor
        One of the factors above; convex in h, and 1 at h = 0.
    alpha, beta : float
        alpha <= beta.

    Examples
    --------
    >>> [round(largest_step(rk4_linear_factor, alpha, 1.0), 2) for alpha in (1.0, 0.5, 0.1)]
    [2.33, 2.21, 1.69]
    """
    if not alpha > 0:
        return 0.0
    # All factors are convex in h and 1 at h = 0, so that the steps form one interval; from 3 / beta on they exceed 1.
    low, high = 0.0, 3.0 / beta
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        # 1e-14 covers the rounding of the factor, a few units in the last place.
        if factor(middle, alpha, beta) < 1 - 1e-14:
            low = middle
        else:
            high = middle
    return low


def rk4_polynomial(H: np.ndarray, h: float) -> np.ndarray:
    """P_4(-h H) = sum_{k <= 4} (-h H)^k / k!, the matrix of one RK4 step of x' = -H x."""
    eye = np.eye(len(H))
    Z = -h * np.asarray(H)
    return eye + Z @ (eye + Z @ (eye + Z @ (eye + Z / 4) / 3) / 2)


def metric_norm(A: np.ndarray, w: np.ndarray, sizes: tuple[int, ...]) -> float:
    """The norm of a matrix (d, d) in the metric of the weights (N,)."""
    root = np.sqrt(np.repeat(checked_weights(w, len(sizes)), sizes))
    return float(np.linalg.norm(root[:, None] * A / root, 2))


def exact_rk4_step(game: QuadraticGame, w: np.ndarray, *, highest: float | None = None) -> float:
    """The end of the first interval of steps at which one RK4 step does not expand, by the norm itself.

    Parameters
    ----------
    game
        Quadratic.
    w
        Weights of the metric.
    highest
        Where the search ends; 3 / beta by default, beta the Lipschitz constant in the metric.

    Notes
    -----
    The first of 400 equidistant steps with a norm of at least 1 brackets the end, and bisection refines it: a number
    for comparison, not a certificate.
    """
    highest = 3.0 / metric_norm(game.H, w, game.sizes) if highest is None else highest

    def norm(h: float) -> float:
        return metric_norm(rk4_polynomial(game.H, h), w, game.sizes)

    return _first_crossing(norm, highest)


def spectral_step(game: QuadraticGame, method: str = "rk4", *, highest: float) -> float:
    """The end of the first interval of steps at which the iteration matrix has its spectrum in the open unit disc.

    Parameters
    ----------
    game
        Quadratic.
    method : {"euler", "rk4"}
        Which iteration.
    highest
        Where the search ends.
    """
    if method not in ("euler", "rk4"):
        raise ValueError(f"method is {method!r}; expected 'euler' or 'rk4'")
    eigenvalues = np.linalg.eigvals(game.H)

    def radius(h: float) -> float:
        z = -h * eigenvalues
        moved = 1 + z if method == "euler" else 1 + z * (1 + z * (1 + z * (1 + z / 4) / 3) / 2)
        return float(np.abs(moved).max())

    return _first_crossing(radius, highest)


def _first_crossing(size: Callable[[float], float], highest: float) -> float:
    grid = np.linspace(0, highest, 401)[1:]
    above = [h for h in grid if size(h) >= 1]
    if not above:
        return float(highest)
    low, high = above[0] - highest / 400, above[0]
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if size(middle) < 1 else (low, middle)
    return float(low)
