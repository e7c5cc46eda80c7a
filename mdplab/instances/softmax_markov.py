r"""Sharma's two-player Markov game in softmax logits, with its pseudo-gradient and Jacobian in closed form.

Two states, two actions each, both players receive +1 if their actions match and -1 otherwise. From either state actions
(0, 0) lead to state 0 with probability 0.9, (1, 1) to state 1 with probability 0.9, a mismatch to either with 1/2. Play
starts in state 0. Player i maximises (1 - gamma) times the discounted return plus tau times the sum over states
(unweighted) of the entropy of its policy. The equilibrium is the uniform one.

With a_s, b_s = tanh(u / 2) for the two players' logit differences u, expected rewards are r_s = a_s b_s and state 0
follows with probability g_s = 1/2 + (a_s + b_s) / 5, so that the normalised return is

    J = r_0 - gamma (1 - g_0) (r_0 - r_1) / (1 - gamma (g_0 - g_1)).

Source: Sharma 2025, arXiv:2512.06791, from the author's code; the closed form is derived.
"""

import numpy as np

from mdplab.models import Box, SmoothGame

# Logits are ordered (player, state, action); differences (player, state).
DIFFERENCES = np.kron(np.eye(4), np.array([[1.0, -1.0]]))
# Orthonormal bases of each player's logits modulo constants in every state.
BASES = [np.kron(np.eye(2), np.array([[1.0], [-1.0]])) / np.sqrt(2)] * 2


def softmax_markov(gamma: float = 0.9, tau: float = 1.0, reach: float = 0.1) -> SmoothGame:
    """The game in 8 logits on the cube of half-width `reach` around the equilibrium.

    Parameters
    ----------
    gamma : float in [0, 1)
        Discount.
    tau
        Weight of the entropies.
    reach
        Half-width of the cube.

    Notes
    -----
    There is no enclosure of the Jacobian: certificates of this game are local or estimates.

    Examples
    --------
    >>> softmax_markov().pseudo_gradient(np.zeros(8)).round(12).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if not 0 <= gamma < 1:
        raise ValueError(f"gamma is {gamma}; expected in [0, 1)")

    def pseudo_gradient(theta: np.ndarray) -> np.ndarray:
        return _derivatives(theta, gamma, tau)[0] @ DIFFERENCES

    def jacobian(theta: np.ndarray) -> np.ndarray:
        return DIFFERENCES.T @ _derivatives(theta, gamma, tau)[1] @ DIFFERENCES

    box = Box(np.full(8, -reach), np.full(8, reach))
    return SmoothGame(pseudo_gradient, jacobian, (4, 4), region=box)


def fisher_matrices(theta: np.ndarray) -> list[np.ndarray]:
    """Fisher matrices (4, 4) of the two players' policies at logits (8,), unweighted over states."""
    p = 1 / (1 + np.exp(-DIFFERENCES @ theta))
    blocks = [np.array([[v, -v], [-v, v]]) for v in p * (1 - p)]
    out = []
    for first in (0, 2):
        F = np.zeros((4, 4))
        F[:2, :2], F[2:, 2:] = blocks[first], blocks[first + 1]
        out.append(F)
    return out


def natural_gradient(theta: np.ndarray, game: SmoothGame) -> np.ndarray:
    """The pseudo-gradient divided by the Fisher matrices on the directions that matter: (8,)."""
    F = game.pseudo_gradient(theta)
    p = 1 / (1 + np.exp(-DIFFERENCES @ theta))
    # On (1, -1) / sqrt(2) the Fisher matrix is 2 p (1 - p), and F lies in the span of these directions.
    return F / np.repeat(2 * p * (1 - p), 2)


def _derivatives(theta: np.ndarray, gamma: float, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-gradient (..., 4) and Jacobian (..., 4, 4) of the costs in the differences (player, state)."""
    u = np.asarray(theta) @ DIFFERENCES.T
    a = np.tanh(u / 2)
    _, gradient, hessian = _normalised_return(a, gamma)
    slope = 0.5 * (1 - a**2)
    # Costs are minus the return and minus tau times entropy, whose derivative in u is -u (1 - a^2) / 4.
    F = -gradient * slope + tau * u * slope / 2
    J = -hessian * slope[..., :, None] * slope[..., None, :]
    own = gradient * a * slope + tau * (0.5 * slope - 0.5 * u * a * slope)
    J[..., np.arange(4), np.arange(4)] += own
    return F, J


def _normalised_return(a: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, gradient and Hessian of J in (a_0, a_1, b_0, b_1), (..., 4)."""
    eye = np.eye(4)
    x = [(a[..., k], np.broadcast_to(eye[k], a.shape), np.zeros((*a.shape, 4))) for k in range(4)]
    r = [_times(x[0], x[2]), _times(x[1], x[3])]
    ahead = [_plus(x[k], x[k + 2], 0.2, 0.2, 0.5) for k in range(2)]
    ratio = _times(_plus(r[0], r[1], 1.0, -1.0), _inverse(_plus(ahead[0], ahead[1], -gamma, gamma, 1.0)))
    stay = _plus(ahead[0], ahead[0], 0.5 * gamma, 0.5 * gamma, -gamma)
    return _plus(r[0], _times(stay, ratio), 1.0, 1.0)


def _plus(f: tuple, g: tuple, p: float, q: float, constant: float = 0.0) -> tuple:
    """p f + q g + constant, with gradient and Hessian."""
    return p * f[0] + q * g[0] + constant, p * f[1] + q * g[1], p * f[2] + q * g[2]


def _times(f: tuple, g: tuple) -> tuple:
    cross = f[1][..., :, None] * g[1][..., None, :]
    hessian = f[0][..., None, None] * g[2] + g[0][..., None, None] * f[2] + cross + cross.swapaxes(-1, -2)
    return f[0] * g[0], f[0][..., None] * g[1] + g[0][..., None] * f[1], hessian


def _inverse(f: tuple) -> tuple:
    v = f[0]
    outer = f[1][..., :, None] * f[1][..., None, :]
    hessian = 2 * outer / v[..., None, None] ** 3 - f[2] / v[..., None, None] ** 2
    return 1 / v, -f[1] / v[..., None] ** 2, hessian
