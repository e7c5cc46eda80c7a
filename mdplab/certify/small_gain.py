r"""Small-gain certificates, judged from the game and the claimed arrays alone.

With D = diag(w), C(w)_ii = 2 w_i mu_i and C(w)_ij = -(w_i L_ij + w_j L_ji), the claim is

    C(w) - 2 alpha D  is positive definite        (<F(x) - F(y), x - y> >= alpha |x - y|^2 in the metric w)
    beta^2 D - L^T D L  is positive definite      (|F(x) - F(y)| <= beta |x - y|)

Both are decided in integers, without square roots. The constants are then held against the game: blocks of a quadratic
game in integers; for a smooth game the cells of its region, which the cuts of the certificate produce, so that they
cover it; in each cell the Jacobian lies between the two arrays of the game's own enclosure, its midpoint A and radius
R, and `lambda_min(sym A) - |R|_2 >= mu_i` and `|A_ij|_2 + |R_ij|_2 <= L_ij` are shown with a bound of all rounding.
Trusted are the enclosure itself and what `mdplab.certify.definite` says. Estimates from a grid are refused.

Why this suffices: by the mean value theorem along the segment, F(x) - F(y) = (average Jacobian)(x - y), and both
inequalities are convex in the Jacobian.

Source: Sharma 2025, arXiv:2512.06791 (condition); the exact verification is derived here.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mdplab.certify.definite import integers, positive_definite, surely_positive_definite
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT
from mdplab.models import QuadraticGame, SmallGainCertificate, SmoothGame

# Products of a few numbers in this range are far from underflow and overflow.
_DUST, _LARGEST = 2.0**-400, 2.0**400

CERTIFIED, NOT_CERTIFIED = "CERTIFIED", "NOT-CERTIFIED"


@dataclass(frozen=True, slots=True)
class SmallGainVerdict:
    """The referee's answer; truthy exactly if certified.

    Parameters
    ----------
    verdict
        "CERTIFIED" or "NOT-CERTIFIED"; the second says nothing about stability.
    reason
        The first condition that was not established, empty if certified.
    seconds
        Wall-clock time of the check.
    """

    verdict: str
    reason: str
    seconds: float

    def __bool__(self) -> bool:
        return self.verdict == CERTIFIED


def check_small_gain(game: QuadraticGame | SmoothGame, certificate: SmallGainCertificate) -> SmallGainVerdict:
    """Whether a certificate's claim about a game is established.

    Parameters
    ----------
    game
        Quadratic, or smooth with an enclosure of its Jacobian.
    certificate
        From any source.

    Raises
    ------
    ValueError
        Arguments of another type.

    Examples
    --------
    >>> game = QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1))
    >>> check_small_gain(game, SmallGainCertificate([1, 1], [[1, 10], [0.05, 1]], [1, 200], 0.2928, 1.708, "blocks"))
    SmallGainVerdict(verdict='CERTIFIED', reason='', seconds=...)
    """
    if not isinstance(certificate, SmallGainCertificate):
        raise ValueError(f"certificate is a {type(certificate).__name__}; expected a SmallGainCertificate")
    if not isinstance(game, QuadraticGame | SmoothGame):
        raise ValueError(f"game is a {type(game).__name__}; expected a QuadraticGame or a SmoothGame")
    start, reason = perf_counter(), ""
    try:
        if certificate.players != game.players:
            raise Refused(f"mu has {certificate.players} entries; the game has {game.players} players")
        if certificate.source == "estimate":
            raise Refused("mu and L are estimates from a grid, no bounds")
        reason = why_not(certificate.mu, certificate.L, certificate.w, certificate.alpha, certificate.beta)
        if not reason and isinstance(game, QuadraticGame):
            _require_blocks(game, certificate)
        elif not reason:
            _require_cells(game, certificate)
    except Refused as refusal:
        reason = str(refusal)
    return SmallGainVerdict(NOT_CERTIFIED if reason else CERTIFIED, reason, perf_counter() - start)


def why_not(mu: np.ndarray, L: np.ndarray, w: np.ndarray, alpha: float, beta: float) -> str:
    """Which of the two matrices is not positive definite, decided exactly for the stored floats; "" if both are.

    Parameters
    ----------
    mu, w : arrays (N,)
        Curvatures; weights, positive.
    L : array (N, N)
        Norms of blocks, not negative.
    alpha, beta : float
        The claim; alpha is above 0.

    Examples
    --------
    >>> why_not(np.ones(2), np.array([[1, 10], [0.05, 1]]), np.array([1.0, 200.0]), 0.2929, 1.708)
    'C(w) - 2 alpha D is not positive definite at alpha = 0.2929'
    """
    if not (alpha > 0 and beta > 0 and np.all(np.asarray(w) > 0) and np.all(np.asarray(L) >= 0)):
        return f"alpha is {alpha!r}, beta {beta!r}; both must be positive, as must the weights"
    (mu, L, w, a, b), _ = integers(mu, L, w, alpha, beta)
    a, b = int(a), int(b)
    D = np.zeros(L.shape, dtype=object)
    np.fill_diagonal(D, w)
    coupled = w[:, None] * L
    np.fill_diagonal(coupled, 0)
    C = -(coupled + coupled.T)
    np.fill_diagonal(C, 2 * w * mu)
    if not positive_definite(C - 2 * a * D):
        return f"C(w) - 2 alpha D is not positive definite at alpha = {alpha!r}"
    if not positive_definite(b * b * D - L.T @ (w[:, None] * L)):
        return f"beta^2 D - L^T D L is not positive definite at beta = {beta!r}"
    return ""


def matrix_why_not(game: QuadraticGame, w: np.ndarray, alpha: float, beta: float) -> str:
    """As `why_not`, for the Jacobian itself: M H + H^T M - 2 alpha M and beta^2 M - H^T M H; sharper than by norms.

    Examples
    --------
    >>> matrix_why_not(QuadraticGame([[1.0, 10.0], [-10.0, 1.0]], (1, 1)), [1.0, 1.0], 0.999, 10.1)
    ''
    """
    if not (alpha > 0 and beta > 0 and np.all(np.asarray(w) > 0)):
        return f"alpha is {alpha!r}, beta {beta!r}; both must be positive, as must the weights"
    (H, w, a, b), _ = integers(game.H, np.repeat(w, game.sizes), alpha, beta)
    M = np.zeros(H.shape, dtype=object)
    np.fill_diagonal(M, w)
    MH = w[:, None] * H
    if not positive_definite(MH + MH.T - 2 * int(a) * M):
        return f"M H + H^T M - 2 alpha M is not positive definite at alpha = {alpha!r}"
    if not positive_definite(int(b) ** 2 * M - H.T @ MH):
        return f"beta^2 M - H^T M H is not positive definite at beta = {beta!r}"
    return ""


def _require_blocks(game: QuadraticGame, certificate: SmallGainCertificate) -> None:
    """mu and L bound the blocks of H, exactly."""
    for i in range(game.players):
        for j in range(game.players):
            (A, bound), _ = integers(game.block(i, j), certificate.L[i, j])
            if not np.any(A):
                continue
            small = A if A.shape[0] >= A.shape[1] else A.T
            if not positive_definite(
                int(bound) ** 2 * np.eye(small.shape[1], dtype=int).astype(object) - small.T @ small
            ):
                raise Refused(
                    f"L[{i}, {j}] is {float(certificate.L[i, j])!r}, not shown to bound the norm of block ({i}, {j})"
                )
        (A, bound), _ = integers(game.block(i, i), certificate.mu[i])
        if not positive_definite(A + A.T - 2 * int(bound) * np.eye(len(A), dtype=int).astype(object)):
            raise Refused(f"mu[{i}] is {float(certificate.mu[i])!r}, not shown to be below block ({i}, {i})")


def cells(game: SmoothGame, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corners (K + 1, d) of the cells into which K cuts divide the box around the region.

    Examples
    --------
    >>> from mdplab.models import Box
    >>> game = SmoothGame(lambda x: x, lambda x: np.ones((*x.shape, 1)), (1,), region=Box([-1.0], [1.0]))
    >>> [corner.ravel().tolist() for corner in cells(game, np.array([[0, 0]]))]
    [[-1.0, 0.0], [0.0, 1.0]]
    """
    lo, hi = (np.array(corner) for corner in game.region.bounds(game.sizes))
    lo, hi = np.tile(lo, (len(cuts) + 1, 1)), np.tile(hi, (len(cuts) + 1, 1))
    for new, (cell, axis) in enumerate(np.asarray(cuts).tolist(), start=1):
        if not (0 <= cell < new and 0 <= axis < game.d):
            raise Refused(f"cuts[{new - 1}] is ({cell}, {axis}); there are {new} cells and {game.d} axes then")
        lo[new], hi[new] = lo[cell], hi[cell]
        hi[cell, axis] = lo[new, axis] = 0.5 * (lo[cell, axis] + hi[cell, axis])
    return lo, hi


def _require_cells(game: SmoothGame, certificate: SmallGainCertificate) -> None:
    """mu and L bound the Jacobian's blocks in every cell."""
    if certificate.source != "enclosure" or game.jacobian_enclosure is None:
        raise Refused("a smooth game needs constants from an enclosure of its Jacobian")
    lo, hi = cells(game, certificate.cuts)
    bottom, top = (np.asarray(end, dtype=np.float64) for end in game.jacobian_enclosure(lo, hi))
    # Ends for fewer boxes than asked would leave the others unexamined.
    if not bottom.shape == top.shape == (len(lo), game.d, game.d):
        raise Refused(f"the enclosure has shapes {bottom.shape} and {top.shape} for {len(lo)} boxes of {game.d} axes")
    if not (np.isfinite(bottom).all() and np.isfinite(top).all() and np.all(bottom <= top)):
        raise Refused("the enclosure of the Jacobian is not finite, or its ends are exchanged")
    if max(np.abs(bottom).max(), np.abs(top).max()) > _LARGEST:
        raise Refused(f"the enclosure of the Jacobian has an end above {_LARGEST:g} in size")
    # Bounds of rounding leave underflow out: ends between 0 and dust are moved outward to one of the two.
    bottom = np.where(np.abs(bottom) < _DUST, np.where(bottom < 0, -_DUST, 0.0), bottom)
    top = np.where(np.abs(top) < _DUST, np.where(top > 0, _DUST, 0.0), top)
    middle = 0.5 * (bottom + top)
    # The midpoint is rounded twice, the radius once more.
    reach = (0.5 * (top - bottom) + 2 * UNIT * (np.abs(bottom) + np.abs(top))) * (1 + 8 * UNIT)
    at = np.concatenate([[0], np.cumsum(game.sizes)])
    for i in range(game.players):
        rows = slice(at[i], at[i + 1])
        for j in range(game.players):
            columns = slice(at[j], at[j + 1])
            A, r = middle[:, rows, columns], norm_bound(reach[:, rows, columns])
            # What is left of L after r, rounded down though the two may nearly cancel.
            if not _norm_below(A, certificate.L[i, j] * (1 - 4 * UNIT) - r * (1 + 4 * UNIT)):
                raise Refused(
                    f"L[{i}, {j}] is {float(certificate.L[i, j])!r}, not shown to bound the norm of block ({i}, {j})"
                )
            if i == j:
                shifted = 0.5 * (A + A.swapaxes(1, 2)) - (certificate.mu[i] + r)[:, None, None] * np.eye(A.shape[1])
                if not surely_positive_definite(shifted + _spare(A, certificate.mu[i], r)):
                    raise Refused(f"mu[{i}] is {float(certificate.mu[i])!r}, not shown to be below block ({i}, {i})")


def _spare(A: np.ndarray, mu: float, r: np.ndarray) -> np.ndarray:
    """A negative multiple of the identity: the rounding of `shifted` relative to its terms rather than to itself."""
    size = np.abs(A).max(axis=(1, 2)) + abs(mu) + r
    return -8 * UNIT * size[:, None, None] * np.eye(A.shape[1])


def _norm_below(A: np.ndarray, bound: np.ndarray) -> bool:
    """Whether |A_k|_2 < bound_k for all k, or A_k = 0 and bound_k >= 0: [[bound I, A], [A^T, bound I]] is positive."""
    zero = ~A.any(axis=(1, 2))
    if np.any(bound[zero] < 0):
        return False
    A, bound = A[~zero], bound[~zero]
    if not len(A):
        return True
    m, n = A.shape[1:]
    dilation = np.zeros((len(A), m + n, m + n))
    dilation[:, :m, m:] = A
    dilation[:, m:, :m] = A.swapaxes(1, 2)
    return surely_positive_definite(dilation + bound[:, None, None] * np.eye(m + n))


def norm_bound(R: np.ndarray) -> np.ndarray:
    """An upper bound of the spectral norms of all matrices of absolute values at most R (..., m, n): (...)."""
    size = sum(R.shape[-2:])
    rows, columns = R.sum(axis=-1).max(axis=-1), R.sum(axis=-2).max(axis=-1)
    # The root of each, because their product may underflow.
    return np.sqrt(rows) * np.sqrt(columns) * (1 + (2 * size + 8) * UNIT)
