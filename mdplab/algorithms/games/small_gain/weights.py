r"""Weights of the small-gain metric: margin, optimum in closed form, geometric program, bisection on an LMI, band.

    S(w)_ii = mu_i,  S(w)_ij = -(sqrt(w_i / w_j) L_ij + sqrt(w_j / w_i) L_ji) / 2,    margin(w) = lambda_min S(w)
    G = diag(mu) - L off the diagonal,    max_w margin(w) = least real eigenvalue of G,  at w_i = v_i / u_i,
    G u = a u, v G = a v, u, v > 0.

Source: Sharma 2025, arXiv:2512.06791 (condition, two-player band, scan over ratios from the author's code). The closed
form, the geometric program and the LMI are derived: for B = s I - G >= 0, lambda_max of the symmetric part of
D^(1/2) B D^(-1/2) is at least the Perron root of B, with equality when its two Perron vectors agree.
Only the diagonal of L differs between functions: the margin ignores it, the Lipschitz constant needs it.
"""

from typing import Any

import numpy as np
from scipy.linalg import eig
from scipy.sparse.csgraph import connected_components

from mdplab.models.smooth_games import checked_weights


def checked_constants(mu: Any, L: Any) -> tuple[np.ndarray, np.ndarray]:
    """mu (N,) finite; L (N, N) finite and not negative."""
    mu, L = np.asarray(mu, dtype=np.float64), np.asarray(L, dtype=np.float64)
    if mu.ndim != 1 or mu.size == 0 or L.shape != (mu.size, mu.size):
        raise ValueError(f"mu has shape {mu.shape} and L {L.shape}; expected (N,) and (N, N)")
    for name, array, bad in (("mu", mu, ~np.isfinite(mu)), ("L", L, ~(np.isfinite(L) & (L >= 0)))):
        where = np.argwhere(bad)
        if where.size:
            index = ", ".join(str(int(i)) for i in where[0])
            raise ValueError(f"{name}[{index}] is {array[tuple(where[0])]:g}; expected finite, norms at least 0")
    return mu, L


def _couplings(L: np.ndarray) -> np.ndarray:
    return L - np.diag(np.diag(L))


def margin(mu: np.ndarray, L: np.ndarray, w: np.ndarray) -> float:
    """The largest alpha with C(w) - 2 alpha D_w positive semidefinite: lambda_min S(w).

    Parameters
    ----------
    mu : array (N,)
        Curvatures.
    L : array (N, N)
        Norms of blocks; the diagonal is not used.
    w : array (N,)
        Weights, positive.

    Examples
    --------
    >>> round(margin([1, 1], [[1, 10], [0.05, 1]], [1, 200]), 6)
    0.292893
    """
    mu, L = checked_constants(mu, L)
    w = checked_weights(w, mu.size)
    root = np.sqrt(w)
    coupled = root[:, None] * _couplings(L) / root
    return float(np.linalg.eigvalsh(np.diag(mu) - 0.5 * (coupled + coupled.T))[0])


def lipschitz(L: np.ndarray, w: np.ndarray) -> float:
    """The least beta with beta^2 D_w - L^T D_w L positive semidefinite; L with its diagonal.

    Examples
    --------
    >>> round(lipschitz([[1, 10], [0.05, 1]], [1, 200]), 6)
    1.707107
    """
    _, L = checked_constants(np.zeros(len(L)), L)
    root = np.sqrt(checked_weights(w, len(L)))
    return float(np.linalg.norm(root[:, None] * L / root, 2))


def optimal_margin(mu: np.ndarray, L: np.ndarray) -> float:
    """The supremum of the margin over weights: the least real eigenvalue of diag(mu) - L off the diagonal.

    Examples
    --------
    >>> round(optimal_margin([1, 1], [[1, 10], [0.05, 1]]), 6)
    0.292893
    """
    mu, L = checked_constants(mu, L)
    values = np.linalg.eigvals(np.diag(mu) - _couplings(L))
    # The Perron root is real and has the least real part; rounding may split it from its conjugates.
    return float(values.real.min())


def is_feasible(mu: np.ndarray, L: np.ndarray) -> bool:
    """Whether some weights have a positive margin: all leading minors of diag(mu) - L are positive (an M-matrix).

    Examples
    --------
    >>> is_feasible([1, 1], [[1, 10], [0.05, 1]]), is_feasible([1, 1], [[1, 10], [0.11, 1]])
    (True, False)
    """
    mu, L = checked_constants(mu, L)
    A = np.diag(mu) - _couplings(L)
    while len(A):
        if not A[0, 0] > 0:
            return False
        A = A[1:, 1:] - np.outer(A[1:, 0], A[0, 1:]) / A[0, 0]
    return True


def perron_weights(mu: np.ndarray, L: np.ndarray, *, fill: float = 1e-9) -> np.ndarray:
    """Weights of the largest margin, the smallest of them 1.

    Parameters
    ----------
    mu, L
        Constants of N players.
    fill
        Where couplings are reducible the supremum is not attained; zero couplings are then replaced by `fill` times
        the largest constant, which loses margin of the order of sqrt(fill) at most. The margin of the result is to be
        computed with the true L.

    Returns
    -------
    array (N,)

    Notes
    -----
    The two Perron vectors come from LAPACK and are polished by products with non-negative matrices, which keep the
    relative accuracy of small entries.

    Examples
    --------
    >>> perron_weights([1, 1], [[1, 10], [0.05, 1]]).round(9).tolist()
    [1.0, 200.0]
    """
    mu, L = checked_constants(mu, L)
    if mu.size == 1:
        return np.ones(1)
    coupled = irreducible(mu, L, fill=fill)
    shift = float(mu.max() + coupled.max())
    B = shift * np.eye(mu.size) - np.diag(mu) + coupled
    values, left, right = eig(B, left=True)
    top = int(values.real.argmax())
    u, v = np.abs(right[:, top].real) + 1e-300, np.abs(left[:, top].real) + 1e-300
    for _ in range(50):
        u, v = B @ u, B.T @ v
        u, v = u / u.max(), v / v.max()
    w = v / u
    return w / w.min()


def irreducible(mu: np.ndarray, L: np.ndarray, *, fill: float = 1e-9) -> np.ndarray:
    """The couplings off the diagonal, (N, N), with `fill` of the largest constant for zeros where they are reducible.

    Examples
    --------
    >>> irreducible(np.ones(2), np.array([[1.0, 2.0], [0.0, 1.0]])).tolist()
    [[0.0, 2.0], [2e-09, 0.0]]
    """
    coupled = _couplings(L)
    absent = (coupled == 0) & ~np.eye(mu.size, dtype=bool)
    if absent.any() and connected_components(coupled > 0, directed=True, connection="strong")[0] > 1:
        size = max(float(coupled.max()), float(np.abs(mu).max()), 1e-300)
        coupled = np.where(absent, fill * size, coupled)
    return coupled


def timescale_band(mu: np.ndarray, L: np.ndarray, target: float = 0.0) -> tuple[float, float]:
    """For two players, the ratios w_2 / w_1 between which the margin is at least `target`; (nan, nan) if none.

    Examples
    --------
    >>> [round(r, 4) for r in timescale_band([1, 1], [[1, 10], [0.05, 1]])]
    [34.3146, 1165.6854]
    """
    mu, L = checked_constants(mu, L)
    if mu.size != 2:
        raise ValueError(f"mu has {mu.size} entries; a band of ratios is for two players")
    room = (mu[0] - target) * (mu[1] - target)
    up, down = L[0, 1], L[1, 0]
    if not (target < mu.min() and room >= up * down):
        return float("nan"), float("nan")
    if down == 0:
        return float(up**2 / (4 * room)), float("inf")
    # The smaller root by the product of both, (up / down)^2: no cancellation.
    top = (np.sqrt(room) + np.sqrt(room - up * down)) ** 2 / down**2
    return float((up / down) ** 2 / top), float(top)


def scan_ratios(mu: np.ndarray, L: np.ndarray, objective: str = "euler_step") -> tuple[float, float]:
    """Two players: the best of 161 ratios w_2 / w_1 between 0.1 and 1e4, as the author's code scans them.

    Parameters
    ----------
    mu, L
        Constants of two players.
    objective : {"euler_step", "rate"}
        margin / beta^2 or margin / beta.

    Returns
    -------
    (float, float)
        The ratio and its objective.

    Examples
    --------
    >>> ratio, value = scan_ratios([1, 1], [[1, 10], [0.05, 1]])
    >>> 190 < ratio < 210, round(value, 3)
    (True, 0.1)
    """
    if objective not in ("euler_step", "rate"):
        raise ValueError(f"objective is {objective!r}; expected 'euler_step' or 'rate'")
    power = 2 if objective == "euler_step" else 1
    ratios = np.geomspace(0.1, 1e4, 161)
    values = [margin(mu, L, [1.0, r]) / lipschitz(L, [1.0, r]) ** power for r in ratios]
    best = int(np.argmax(values))
    return float(ratios[best]), float(values[best])
