"""Euclidean projections: rows onto the simplex, points onto L1 balls, rows onto L1 balls within the simplex."""

import numpy as np

# Halvings of the multiplier: from any bracket to the last bit.
_HALVINGS = 80


def project_rows(y: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """The nearest distributions to the rows of `y` (..., n), with no mass where `allowed` (..., n) is False.

    Source
    ------
    Held, Wolfe, Crowder (1974); sort-based, O(n log n) a row.

    Examples
    --------
    >>> project_rows(np.array([[0.5, 0.9], [3.0, 0.0]])).round(12).tolist()
    [[0.3, 0.7], [1.0, 0.0]]
    """
    y = np.asarray(y, dtype=np.float64)
    if allowed is not None:
        y = np.where(allowed, y, -np.inf)
    down = -np.sort(-y, axis=-1)
    count = np.arange(1, y.shape[-1] + 1)
    excess = (np.cumsum(down, axis=-1) - 1) / count
    # The condition holds for a prefix; its last index gives the threshold.
    size = (down > excess).sum(axis=-1, keepdims=True)
    return np.maximum(y - np.take_along_axis(excess, size - 1, axis=-1), 0.0)


def project_l1_ball(y: np.ndarray, centre: np.ndarray, radius: float, *, lower: float = -np.inf) -> np.ndarray:
    """The nearest x (n,) to `y` with ||x - centre||_1 <= radius and x >= lower; the centre is feasible.

    With the multiplier of the ball fixed each entry shrinks towards the centre and is cut at `lower`; the multiplier is
    found by bisection.

    Examples
    --------
    >>> project_l1_ball(np.array([2.0, 0.0]), np.zeros(2), 1.0).round(12).tolist()
    [1.0, 0.0]
    """
    away = np.asarray(y, dtype=np.float64) - centre

    def point(multiplier):
        return np.maximum(centre + np.sign(away) * np.maximum(np.abs(away) - multiplier, 0.0), lower)

    lo, hi = 0.0, float(np.abs(away).max())
    if np.abs(point(lo) - centre).sum() <= radius:
        return point(lo)
    for _ in range(_HALVINGS):
        middle = 0.5 * (lo + hi)
        if np.abs(point(middle) - centre).sum() > radius:
            lo = middle
        else:
            hi = middle
    return point(hi)


def project_row_balls(
    y: np.ndarray, centre: np.ndarray, radius: np.ndarray, mask: np.ndarray, *, joint: bool
) -> np.ndarray:
    """The nearest kernels to `y` (S, A, n): distributions on `mask`, L1 distance to `centre` at most the radius.

    Parameters
    ----------
    radius : array (S, A), or (S, 1) with `joint`
        For each row, or for the sum over the rows of a state.
    mask : bool array (S, A, n)
        Where mass may be; it has all of the mass of the centre.

    Examples
    --------
    >>> y, centre = np.array([[[2.0, 0.0]]]), np.array([[[0.5, 0.5]]])
    >>> project_row_balls(y, centre, np.array([[0.2]]), np.ones((1, 1, 2), dtype=bool), joint=False).round(12).tolist()
    [[[0.6, 0.4]]]
    """
    away = np.where(mask, y - centre, 0.0)

    def rows(multiplier):
        """Entries max(0, p + shrink(y - p - shift)), with the shift of each row that makes it sum to 1."""
        m = multiplier[:, :, None]
        # The sum is piecewise linear and decreasing in the shift, with these corners.
        corners = np.concatenate([away - m, away + m, away + m + centre], axis=2)
        corners = np.sort(np.where(np.tile(mask, 3), corners, corners[..., -1:]), axis=2)
        corners = np.concatenate([corners[..., :1] - 1.0, corners], axis=2)
        totals = entries(m[..., None], corners[..., None]).sum(axis=3)
        # The last corner at which the total is still 1 or more, and the next.
        k = np.clip((totals >= 1.0).sum(axis=2, keepdims=True) - 1, 0, corners.shape[2] - 2)
        left, right = (np.take_along_axis(corners, i, axis=2) for i in (k, k + 1))
        above, below = (np.take_along_axis(totals, i, axis=2) for i in (k, k + 1))
        drop = above - below
        shift = left + (right - left) * np.where(drop > 0, (above - 1.0) / np.where(drop > 0, drop, 1.0), 0.0)
        return entries(m[..., None], shift[..., None])[:, :, 0]

    def entries(m, shift):
        moved = away[:, :, None, :] - shift
        shrunk = np.sign(moved) * np.maximum(np.abs(moved) - m, 0.0)
        return np.where(mask[:, :, None, :], np.maximum(centre[:, :, None, :] + shrunk, 0.0), 0.0)

    def spent(q):
        distance = np.abs(q - centre).sum(axis=2)
        return distance.sum(axis=1, keepdims=True) if joint else distance

    lo = np.zeros(centre.shape[:2])
    hi = np.full(centre.shape[:2], 2.0 * float(np.abs(away).max()) + 1.0)
    inside = np.broadcast_to(spent(rows(lo)) <= radius, lo.shape)
    hi = np.where(inside, 0.0, hi)
    for _ in range(_HALVINGS):
        middle = 0.5 * (lo + hi)
        over = np.broadcast_to(spent(rows(middle)) > radius, lo.shape)
        lo, hi = np.where(over, middle, lo), np.where(over, hi, middle)
    return rows(hi)
