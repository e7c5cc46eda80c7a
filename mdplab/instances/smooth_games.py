r"""Smooth games for certificates of contraction: Sharma's toy and LQ families, tanh networks, a hidden bump, RK4's foe.

Source: Sharma 2025 (Small-Gain Nash), arXiv:2512.06791, author's code: toy, LQ family, noise and random suites.
The random suite's couplings were not seen in full: they are independent Gaussian matrices of unit norm here. The tanh
games, the bump and the RK4 game are derived.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.models import Ball, Box, PolymatrixGame, QuadraticGame, SmoothGame
from mdplab.models.smooth_games import checked_sizes

_UNIT = 2.0**-53


def toy() -> QuadraticGame:
    """f_1 = x_1^2 / 2 + 10 x_1 x_2, f_2 = x_2^2 / 2 + 0.05 x_1 x_2: stable, and far from monotone in equal weights.

    Examples
    --------
    >>> toy().H.tolist()
    [[1.0, 10.0], [0.05, 1.0]]
    """
    return QuadraticGame([[1.0, 10.0], [0.05, 1.0]], (1, 1))


def rk4_game(eps: float = 1e-3) -> QuadraticGame:
    """Three scalar players with H = [[1, 2, 2], [0, 1, 2], [0, 0, 1]] + eps I: an RK4 step of 2.5 / beta expands.

    Examples
    --------
    >>> rk4_game(0.5).H[0].tolist()
    [1.5, 2.0, 2.0]
    """
    H = np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    return QuadraticGame(H + eps * np.eye(3), (1, 1, 1))


def orthogonal(n: int, *, rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix (n, n), Haar: QR of a Gaussian one with the signs fixed."""
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))


def unit_gaussian(n: int, *, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian matrix (n, n) divided by its spectral norm."""
    G = rng.standard_normal((n, n))
    return G / np.linalg.norm(G, 2)


def lq_game(
    lam: float,
    R: np.ndarray,
    *,
    a: float = 10.0,
    b: float = 0.05,
    eps: float = 0.0,
    noise: tuple[np.ndarray, np.ndarray] | None = None,
) -> QuadraticGame:
    """Two players with identity curvature, A_12 = lam a R, A_21 = lam b R^T, and couplings mixed with noise.

    Parameters
    ----------
    lam
        Strength of the coupling; the game is stable for lam < 1 / sqrt(a b).
    R : array (n, n)
        Orthogonal.
    a, b
        Sizes of the two couplings.
    eps, noise
        A_12 becomes lam a ((1 - eps) R + eps noise[0]), A_21 lam b ((1 - eps) R^T + eps noise[1]).

    Examples
    --------
    >>> lq_game(1.0, np.eye(1)).H.tolist()
    [[1.0, 10.0], [0.05, 1.0]]
    """
    n = len(R)
    up, down = (R, R.T) if noise is None else ((1 - eps) * R + eps * noise[0], (1 - eps) * R.T + eps * noise[1])
    return QuadraticGame(np.block([[np.eye(n), lam * a * up], [lam * b * down, np.eye(n)]]), (n, n))


def random_lq(lam: float, n: int, *, rng: np.random.Generator, a: float = 10.0, b: float = 0.05) -> QuadraticGame:
    """Q_i = R_i^T R_i + I with R_i Gaussian of unit norm, and couplings lam a, lam b times Gaussians of unit norm.

    Parameters
    ----------
    lam, a, b
        Strength and sizes of the couplings.
    n
        Coordinates of each player.
    rng
        Source of every draw; the same draws for every `lam`.
    """
    R1, R2, up, down = (unit_gaussian(n, rng=rng) for _ in range(4))
    eye = np.eye(n)
    return QuadraticGame(np.block([[R1.T @ R1 + eye, lam * a * up], [lam * b * down, R2.T @ R2 + eye]]), (n, n))


def random_quadratic(
    sizes: Sequence[int], *, rng: np.random.Generator, gain: float = 0.8, spread: float = 1.0
) -> QuadraticGame:
    """A random quadratic game whose couplings are scaled so that the small-gain number is `gain`.

    Parameters
    ----------
    sizes
        Coordinates of each player.
    rng
        Source of every draw.
    gain
        rho(diag(mu)^-1 L) of the result; below 1 some weights have a positive margin.
    spread
        Standard deviation of the logarithm of each player's scale, which makes equal weights bad.

    Examples
    --------
    >>> random_quadratic((1, 2), rng=np.random.default_rng(0))
    QuadraticGame(sizes=(1, 2))
    """
    sizes = checked_sizes(sizes)
    N = len(sizes)
    scale = np.exp(spread * rng.standard_normal(N))
    blocks = [
        [rng.standard_normal((m, n)) * scale[i] / scale[j] for j, n in enumerate(sizes)] for i, m in enumerate(sizes)
    ]
    mu, L = np.empty(N), np.zeros((N, N))
    for i, n in enumerate(sizes):
        own = 0.5 * rng.standard_normal((n, n))
        blocks[i][i] = own @ own.T + rng.uniform(0.5, 2.0) * np.eye(n) + 0.3 * (own - own.T)
        mu[i] = np.linalg.eigvalsh(0.5 * (blocks[i][i] + blocks[i][i].T))[0]
        for j in range(N):
            if i != j:
                L[i, j] = np.linalg.norm(blocks[i][j], 2)
    if N > 1:
        factor = gain / np.abs(np.linalg.eigvals(L / mu[:, None])).max()
        blocks = [[A if i == j else factor * A for j, A in enumerate(row)] for i, row in enumerate(blocks)]
    return QuadraticGame(np.block(blocks), sizes, rng.standard_normal(sum(sizes)))


def tanh_game(
    m: np.ndarray,
    s: np.ndarray,
    A: np.ndarray,
    sizes: Sequence[int],
    *,
    region: Box | Ball,
    b: np.ndarray | None = None,
) -> SmoothGame:
    """F(x) = m x + s tanh(A x + b), entry by entry in the products with m and s, with an enclosure of its Jacobian.

    Parameters
    ----------
    m, s, b : arrays (d,)
        Linear part, amplitude, offset (zero by default).
    A : array (d, d)
        Couplings.
    sizes, region
        Players and the region of study.

    Notes
    -----
    Over a box, z = A x + b lies in an interval, and sech^2 is even and falls with |z|. The interval of z and all
    products are enlarged by more than their rounding; cosh is taken to be accurate to 8 units in the last place.

    Examples
    --------
    >>> game = tanh_game([1.0], [0.5], [[1.0]], (1,), region=Box([-1.0], [1.0]))
    >>> [end.round(3).item() for end in game.jacobian_enclosure(np.array([0.0]), np.array([1.0]))]
    [1.21, 1.5]
    """
    m, s, A = (np.array(part, dtype=np.float64) for part in (m, s, A))
    d = m.size
    b = np.zeros(d) if b is None else np.array(b, dtype=np.float64)
    for name, part, shape in (("m", m, (d,)), ("s", s, (d,)), ("b", b, (d,)), ("A", A, (d, d))):
        if part.shape != shape:
            raise ValueError(f"{name} has shape {part.shape}; expected {shape}")

    def pseudo_gradient(x: np.ndarray) -> np.ndarray:
        return m * x + s * np.tanh(x @ A.T + b)

    def jacobian(x: np.ndarray) -> np.ndarray:
        slope = s * _sech2(x @ A.T + b)
        return np.diag(m) + slope[..., :, None] * A

    def enclosure(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle, reach = 0.5 * (lo + hi), 0.5 * (hi - lo)
        z, far = middle @ A.T + b, np.maximum(np.abs(lo), np.abs(hi)) @ np.abs(A).T + np.abs(b)
        r = (reach @ np.abs(A).T) * (1 + 4 * (d + 4) * _UNIT) + 8 * (d + 4) * _UNIT * far
        top = np.maximum(_sech2(np.maximum(np.abs(z) - r, 0.0)) * (1 + 64 * _UNIT), 1e-300)
        bottom = _sech2(np.abs(z) + r) * (1 - 64 * _UNIT)
        coupling = s[:, None] * A
        ends = np.stack([bottom[..., :, None] * coupling, top[..., :, None] * coupling])
        low, high = ends.min(axis=0), ends.max(axis=0)
        slack = 8 * _UNIT * (np.abs(ends).max(axis=0) + np.diag(np.abs(m)))
        return np.diag(m) + low - slack, np.diag(m) + high + slack

    return SmoothGame(pseudo_gradient, jacobian, sizes, region=region, jacobian_enclosure=enclosure)


def _sech2(z: np.ndarray) -> np.ndarray:
    # Beyond 350 the square is below 1e-302, and near the end of the range of floats.
    return np.where(np.abs(z) < 350, 1 / np.cosh(np.clip(z, -350, 350)) ** 2, 0.0)


def random_tanh(
    sizes: Sequence[int], *, rng: np.random.Generator, gain: float = 0.8, spread: float = 1.0, reach: float = 3.0
) -> SmoothGame:
    """A random tanh game on the box of half-width `reach` whose bounds m_i - s_i |A_ii|, s_i |A_ij| have that gain.

    Parameters
    ----------
    sizes, rng, gain, spread
        As in `random_quadratic`; the gain is that of the worst-case constants over the whole space.
    reach
        Half-width of the box around 0.

    Examples
    --------
    >>> random_tanh((1, 2), rng=np.random.default_rng(0))
    SmoothGame(sizes=(1, 2), Box)
    """
    sizes = checked_sizes(sizes)
    N, d = len(sizes), sum(sizes)
    player = np.repeat(np.arange(N), sizes)
    scale = np.exp(spread * rng.standard_normal(N))
    A = rng.standard_normal((d, d)) * (scale[player][:, None] / scale[player])
    m, s = rng.uniform(0.5, 1.5, N), rng.uniform(0.2, 1.0, N)
    norms = np.array([[np.linalg.norm(A[np.ix_(player == i, player == j)], 2) for j in range(N)] for i in range(N)])
    # Own blocks take at most half of the curvature away.
    own = rng.uniform(0.0, 0.5, N) * m / (s * np.diag(norms))
    for i in range(N):
        A[np.ix_(player == i, player == i)] *= own[i]
    mu = m - s * np.diag(norms) * own
    L = s[:, None] * norms
    np.fill_diagonal(L, 0)
    factor = gain / np.abs(np.linalg.eigvals(L / mu[:, None])).max() if N > 1 else 1.0
    A = np.where(player[:, None] == player, A, factor * A)
    signs = rng.choice([-1.0, 1.0], N)
    box = Box(np.full(d, -reach), np.full(d, reach))
    offset = rng.uniform(-1.0, 1.0, d)
    return tanh_game(m[player], (signs * s)[player], A, sizes, region=box, b=offset)


def narrow_bump(
    depth: float = 3.0, width: float = 1e-3, at: float = 0.3337, coupling: tuple[float, float] = (0.5, 0.5)
) -> SmoothGame:
    """Two scalar players; the first's curvature is 1 but for a narrow dip to 1 - depth, which grids step over.

    Parameters
    ----------
    depth
        Above 1 the game expands at the dip.
    width, at
        F_1 = x_1 - depth width tanh((x_1 - at) / width) + coupling[0] x_2, on the box [-1, 1]^2.
    coupling
        F_1's slope in x_2 and F_2's in x_1.

    Examples
    --------
    >>> game = narrow_bump()
    >>> [game.jacobian(np.array([x, 0.0]))[0, 0].round(6).item() for x in (0.0, 0.3337)]
    [1.0, -2.0]
    """
    up, down = coupling
    linear = np.array([[1.0, up], [down, 1.0]])
    one = tanh_game(
        [0.0, 0.0],
        [-depth * width, 0.0],
        [[1 / width, 0.0], [0.0, 0.0]],
        (1, 1),
        region=Box([-1.0, -1.0], [1.0, 1.0]),
        b=[-at / width, 0.0],
    )

    def enclosure(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bottom, top = one.jacobian_enclosure(lo, hi)
        slack = 4 * _UNIT * (np.abs(linear) + np.maximum(np.abs(bottom), np.abs(top)) * (linear == 1))
        return bottom + linear - slack, top + linear + slack

    return SmoothGame(
        lambda x: x @ linear.T + one.pseudo_gradient(x),
        lambda x: linear + one.jacobian(x),
        (1, 1),
        region=one.region,
        jacobian_enclosure=enclosure,
    )


def random_polymatrix(
    sizes: Sequence[int], *, rng: np.random.Generator, gain: float = 0.8, spread: float = 1.0
) -> PolymatrixGame:
    """A random polymatrix game in which every pair meets, with temperatures that differ and gain rho(T^-1 L) as given.

    Parameters
    ----------
    sizes
        Numbers of actions, each at least 2.
    rng
        Source of every draw.
    gain
        Below 1 the entropic small-gain theorem applies.
    spread
        Standard deviation of the logarithms of temperatures and of the players' payoff scales.

    Examples
    --------
    >>> random_polymatrix((2, 3), rng=np.random.default_rng(0))
    PolymatrixGame(sizes=(2, 3))
    """
    N = len(sizes)
    taus = np.exp(spread * rng.standard_normal(N))
    scale = np.exp(spread * rng.standard_normal((N, N)))
    payoffs = [
        [None if i == j else scale[i, j] * rng.standard_normal((m, n)) for j, n in enumerate(sizes)]
        for i, m in enumerate(sizes)
    ]
    references = [rng.dirichlet(2 * np.ones(n)) for n in sizes]
    rough = PolymatrixGame(payoffs, taus, references)
    factor = gain / np.abs(np.linalg.eigvals(rough.couplings() / taus[:, None])).max()
    scaled = [[None if A is None else factor * A for A in row] for row in payoffs]
    return PolymatrixGame(scaled, taus, references)
