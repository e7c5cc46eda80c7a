r"""Constants mu_i and L_ij of a game: from blocks, from enclosures over cells of the region, or estimated on a grid.

An interval block [A - R, A + R] has lambda_min(sym) >= lambda_min(sym A) - |R|_2 and norm at most |A|_2 + |R|_2, with
|R|_2 <= sqrt(|R|_1 |R|_inf). Cells are halved where they decide the margin, along the axis that shrinks the radius
most. All bounds are moved outward by more than their rounding, which the referee shows.

Source: derived; Sharma 2025 (arXiv:2512.06791) takes vertices of a cube, which are no bounds.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.small_gain.weights import optimal_margin, perron_weights
from mdplab.models import QuadraticGame, SmoothGame

_UNIT = 2.0**-53


@dataclass(frozen=True, eq=False, slots=True)
class Constants:
    """mu (N,), L (N, N) with its diagonal, where they come from, and the cuts of the region."""

    mu: np.ndarray
    L: np.ndarray
    source: str
    cuts: np.ndarray


def block_constants(game: QuadraticGame) -> Constants:
    """Constants of a quadratic game, rounded outward; of scalar blocks they are exact.

    Examples
    --------
    >>> constants = block_constants(QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1)))
    >>> constants.mu.tolist(), constants.L.tolist()
    ([1.0, 1.0], [[1.0, 10.0], [0.05, 1.0]])
    """
    N = game.players
    mu, L = np.empty(N), np.zeros((N, N))
    for i in range(N):
        own = game.block(i, i)
        slack = 0.0 if own.size == 1 else outward(own.shape[0]) * float(np.abs(own).max())
        mu[i] = np.linalg.eigvalsh(0.5 * (own + own.T))[0] - slack
        for j in range(N):
            A = game.block(i, j)
            L[i, j] = abs(A[0, 0]) if A.size == 1 else np.linalg.norm(A, 2) * (1 + outward(max(A.shape)))
    return Constants(mu, L, "blocks", np.zeros((0, 2), dtype=np.int64))


def outward(n: int) -> float:
    """Relative distance by which bounds of blocks of size n are moved outward, more than what the referee needs."""
    return 64 * (n + 2) ** 2 * _UNIT


def grid_constants(game: SmoothGame, points: int) -> Constants:
    """Constants estimated on a full grid of `points` per axis of the box around the region: no bounds.

    Parameters
    ----------
    game
        Its Jacobian is evaluated at points^d places, at most about 10^6.
    points : int >= 2
        Per axis, corners included.
    """
    if points < 2:
        raise ValueError(f"points is {points}; expected at least 2")
    lo, hi = game.region.bounds(game.sizes)
    axes = [np.linspace(a, b, points) for a, b in zip(lo, hi)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, game.d)
    return sampled_constants(game.jacobian(grid), game.sizes)


def sampled_constants(jacobians: np.ndarray, sizes: tuple[int, ...]) -> Constants:
    """Constants of Jacobians (K, d, d) at sample points: no bounds of what lies between them."""
    mu, L = _cell_constants(jacobians, np.zeros_like(jacobians), sizes)
    return Constants(mu.min(axis=0), L.max(axis=0), "estimate", np.zeros((0, 2), dtype=np.int64))


def enclosed_constants(game: SmoothGame, *, max_cells: int = 64) -> Constants:
    """Bounds that hold on the whole region, tightened by halving the cells that decide.

    Parameters
    ----------
    game
        With an enclosure of its Jacobian.
    max_cells
        Most cells into which the box around the region is divided; 1 takes it whole.

    Raises
    ------
    ValueError
        No enclosure, or `max_cells` below 1.
    """
    if game.jacobian_enclosure is None:
        raise ValueError(f"game is {game!r} without an enclosure of its Jacobian; only an estimate is possible")
    if max_cells < 1:
        raise ValueError(f"max_cells is {max_cells}; expected at least 1")
    lo, hi = (np.array(corner)[None] for corner in game.region.bounds(game.sizes))
    mu, L = _enclosed(game, lo, hi)
    cuts: list[tuple[int, int]] = []
    # Halving a cell can loosen |A| + |R| a little, so that the best of all divisions on the way is kept.
    best = (optimal_margin(mu[0], L[0]), mu[0], L[0], 0)
    while len(lo) < max_cells:
        worst = _deciding_cell(mu, L)
        axis = _best_axis(game, lo[worst], hi[worst])
        if axis is None:
            break
        cuts.append((worst, axis))
        middle = 0.5 * (lo[worst, axis] + hi[worst, axis])
        lo, hi = np.vstack([lo, lo[worst]]), np.vstack([hi, hi[worst]])
        hi[worst, axis] = lo[-1, axis] = middle
        both = [worst, len(lo) - 1]
        new_mu, new_L = _enclosed(game, lo[both], hi[both])
        mu, L = np.vstack([mu, new_mu[1:]]), np.concatenate([L, new_L[1:]])
        mu[worst], L[worst] = new_mu[0], new_L[0]
        low, high = mu.min(axis=0), L.max(axis=0)
        reached = optimal_margin(low, high)
        if reached > best[0]:
            best = (reached, low, high, len(cuts))
    _, low, high, used = best
    return Constants(low, high, "enclosure", np.array(cuts[:used], dtype=np.int64).reshape(-1, 2))


def _enclosed(game: SmoothGame, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bottom, top = game.jacobian_enclosure(lo, hi)
    spread = 0.5 * (top - bottom) + 4 * _UNIT * (np.abs(bottom) + np.abs(top))
    return _cell_constants(0.5 * (bottom + top), spread, game.sizes)


def _cell_constants(A: np.ndarray, R: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """mu (K, N) and L (K, N, N) of Jacobians within R of A, both (K, d, d)."""
    at = np.concatenate([[0], np.cumsum(sizes)])
    N, K = len(sizes), len(A)
    mu, L = np.empty((K, N)), np.empty((K, N, N))
    for i in range(N):
        rows = slice(at[i], at[i + 1])
        for j in range(N):
            block, r = A[:, rows, at[j] : at[j + 1]], R[:, rows, at[j] : at[j + 1]]
            reach = np.sqrt(r.sum(axis=2).max(axis=1) * r.sum(axis=1).max(axis=1))
            slack = outward(sum(block.shape[1:])) * (np.abs(block).max(axis=(1, 2)) + reach)
            norm = np.linalg.norm(block, 2, axis=(1, 2))
            # A block that is zero without any doubt has norm zero: couplings that do not exist stay absent.
            L[:, i, j] = norm * (1 + outward(sum(block.shape[1:]))) + reach + slack
            if i == j:
                mu[:, i] = np.linalg.eigvalsh(0.5 * (block + block.swapaxes(1, 2)))[:, 0] - reach - slack
    return mu, L


def _deciding_cell(mu: np.ndarray, L: np.ndarray) -> int:
    """The cell whose improvement would raise the optimal margin most, to first order."""
    low, high = mu.min(axis=0), L.max(axis=0)
    root = np.sqrt(perron_weights(low, high))
    coupled = root[:, None] * (high - np.diag(np.diag(high))) / root
    _, vectors = np.linalg.eigh(np.diag(low) - 0.5 * (coupled + coupled.T))
    y = np.abs(vectors[:, 0])
    # d margin / d mu_i = y_i^2, d margin / d L_ij = -y_i y_j sqrt(w_i / w_j).
    slope = np.outer(y, y) * root[:, None] / root
    second_mu = np.sort(mu, axis=0)[min(1, len(mu) - 1)]
    second_L = np.sort(L, axis=0)[max(len(L) - 2, 0)]
    gain = np.where(mu == low, y**2 * (second_mu - low + 1e-3 * (1 + np.abs(low))), 0.0).sum(axis=1)
    off = ~np.eye(len(low), dtype=bool)
    gain += np.where((high == L) & off, slope * (high - second_L + 1e-3 * (1 + high)), 0.0).sum(axis=(1, 2))
    return int(gain.argmax())


def _best_axis(game: SmoothGame, lo: np.ndarray, hi: np.ndarray) -> int | None:
    """The axis whose halving leaves the least total spread of the Jacobian; None if no half is a box any more."""
    middle = 0.5 * (lo + hi)
    open_ = np.flatnonzero((lo < middle) & (middle < hi))
    if not open_.size:
        return None
    low, high = np.tile(lo, (2 * open_.size, 1)), np.tile(hi, (2 * open_.size, 1))
    for k, axis in enumerate(open_):
        high[2 * k, axis] = low[2 * k + 1, axis] = middle[axis]
    bottom, top = game.jacobian_enclosure(low, high)
    spread = (top - bottom).sum(axis=(1, 2)).reshape(-1, 2).max(axis=1)
    # Among equals the widest axis.
    widths = (hi - lo)[open_]
    order = np.lexsort((-widths, spread.round(14)))
    return int(open_[order[0]])
