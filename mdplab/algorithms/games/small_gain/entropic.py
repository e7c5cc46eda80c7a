r"""Small gain in entropic geometry: a global theorem for polymatrix games, and the paper's local Fisher certificate.

Proximal entropic natural policy gradient with step h:

    log x_i+ = (log x_i + h tau_i log mu_i + h sum_j A_ij x_j) / (1 + h tau_i) + const.

Global (derived). L_ij is the coupling of A_ij (largest double difference over four), T = diag(tau), rho the Perron root
of T^-1 L. If rho < 1, with L u = rho T u, v L = rho v T and w_i = v_i / u_i,

    V(x) = sum_i w_i (1 + h tau_i) D(x_i* || x_i),    V(x+) <= max_i (1 + h rho^2 tau_i) / (1 + h tau_i) V(x)

for every h > 0. The factors (1 + h tau_i) belong to V: without them the statement is false when temperatures differ.

Local. Constants normalised by the Fisher matrices at one point, as in the author's code, leave out the derivative of
the metric along the play: they say what happens near an equilibrium, and on a neighbourhood they are indicative only.

Source: Sharma 2025, arXiv:2512.06791 (Fisher constants, from the author's code); the global theorem is derived.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.small_gain.constants import Constants
from mdplab.algorithms.games.small_gain.weights import irreducible, lipschitz, margin, perron_weights
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import PolymatrixGame, Trace


@dataclass(frozen=True, eq=False, slots=True)
class EntropicCertificate:
    """rho and weights of the entropic small-gain theorem; it certifies if rho < 1, globally and for every step."""

    rho: float
    w: np.ndarray
    taus: np.ndarray
    scope: str = "global"

    def factor(self, h: float) -> float:
        """The factor of V in one step h."""
        return float(np.max((1 + h * self.rho**2 * self.taus) / (1 + h * self.taus)))

    def potential(self, log_star: list[np.ndarray], log_x: list[np.ndarray], h: float) -> float:
        """V(x) = sum_i w_i (1 + h tau_i) D(x_i* || x_i)."""
        distances = [float(kl_divergence(star, here)) for star, here in zip(log_star, log_x)]
        return float(np.sum(self.w * (1 + h * self.taus) * distances))


def entropic_certificate(game: PolymatrixGame) -> EntropicCertificate:
    """rho = Perron root of T^-1 L and the weights v_i / u_i.

    Reducible couplings have no positive Perron vectors. L is then an upper bound of itself with small numbers for
    zeros, and rho and the weights are those of the upper bound, for which the theorem holds as well.

    Examples
    --------
    >>> game = PolymatrixGame([[None, [[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]], None]], [1.0, 2.0])
    >>> round(entropic_certificate(game).rho, 6)
    0.353553
    """
    L = game.couplings()
    root = np.sqrt(game.taus)
    # L u = rho T u is the Perron problem of T^-1/2 L T^-1/2 =: B with vectors sqrt(tau) u and sqrt(tau) v: same ratio.
    B = L / np.outer(root, root)
    if B.any():
        B = irreducible(np.zeros(game.players), B)
    w = perron_weights(np.zeros(game.players), B)
    # The Perron root has the largest real part.
    rho = float(np.linalg.eigvals(B).real.max())
    return EntropicCertificate(rho, w, game.taus)


def entropic_step(game: PolymatrixGame, log_x: list[np.ndarray], *, h: float) -> list[np.ndarray]:
    """One proximal entropic step of all players at once; log-policies (n_i,), normalised."""
    x = np.concatenate([softmax(part) for part in log_x])
    gains = game.split(game.payoff_matrix() @ x)
    out = []
    for part, gain, mu, tau in zip(log_x, gains, game.references, game.taus):
        out.append(log_softmax((part + h * tau * np.log(mu) + h * gain) / (1 + h * tau)))
    return out


def entropic_play(game: PolymatrixGame, *, h: float, num_iters: int, log_x0: list[np.ndarray] | None = None) -> Trace:
    """Repeated `entropic_step`.

    Parameters
    ----------
    game
        Payoffs, temperatures, references.
    h
        Step, above 0.
    num_iters
        Steps, at least 0.
    log_x0
        Logits of each player, the references by default.

    Returns
    -------
    Trace
        `log_x` (num_iters + 1, sum n_i), the players' log-policies side by side.

    Examples
    --------
    >>> game = PolymatrixGame([[None, [[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]], None]], [1.0, 2.0])
    >>> entropic_play(game, h=1.0, num_iters=3)["log_x"].shape
    (4, 4)
    """
    if not (np.isfinite(h) and h > 0):
        raise ValueError(f"h is {h}; expected a step above 0")
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    log_x = [np.log(mu) for mu in game.references] if log_x0 is None else [log_softmax(np.asarray(x)) for x in log_x0]
    out = [np.concatenate(log_x)]
    for _ in range(num_iters):
        log_x = entropic_step(game, log_x, h=h)
        out.append(np.concatenate(log_x))
    return Trace(np.arange(num_iters + 1), {"log_x": np.array(out)})


@dataclass(frozen=True, eq=False, slots=True)
class FisherCertificate:
    """The paper's certificate with Fisher-normalised constants at one or more points: local, never more.

    Parameters
    ----------
    constants
        mu and L from the worst of the points; an estimate between them.
    w, alpha, beta, step
        Weights, margin, Lipschitz constant and 2 alpha / beta^2.
    """

    constants: Constants
    w: np.ndarray
    alpha: float
    beta: float
    scope: str = "LOCAL"

    @property
    def step(self) -> float:
        """2 alpha / beta^2; 0 without a margin."""
        return max(2 * self.alpha / self.beta**2, 0.0)


def fisher_normalised(J: np.ndarray, fisher: list[np.ndarray], bases: list[np.ndarray]) -> np.ndarray:
    """F^-1/2 J F^-1/2 in bases of the directions that matter: J (d, d) -> (r, r).

    Parameters
    ----------
    J : array (d, d)
        Jacobian of the pseudo-gradient in logits.
    fisher : N arrays (d_i, d_i)
        Fisher matrices of the players.
    bases : N arrays (d_i, r_i)
        Orthonormal bases of the logits modulo constants; explicit, since small eigenvalues say nothing about rank.
    """
    scale = []
    for F, basis in zip(fisher, bases):
        values, vectors = np.linalg.eigh(basis.T @ F @ basis)
        if not values[0] > 0:
            raise ValueError(f"fisher has eigenvalue {values[0]:g} in the basis given; expected above 0")
        scale.append(basis @ (vectors / np.sqrt(values)) @ vectors.T)
    rows = np.cumsum([0, *(F.shape[0] for F in fisher)])
    columns = np.cumsum([0, *(part.shape[1] for part in scale)])
    out = np.empty((columns[-1], columns[-1]))
    for i, left in enumerate(scale):
        for j, right in enumerate(scale):
            block = J[rows[i] : rows[i + 1], rows[j] : rows[j + 1]]
            out[columns[i] : columns[i + 1], columns[j] : columns[j + 1]] = left.T @ block @ right
    return out


def fisher_certificate(constants: Constants, jacobians: np.ndarray, sizes: tuple[int, ...]) -> FisherCertificate:
    """The local certificate from constants of normalised Jacobians (K, r, r), with beta from these themselves."""
    w = perron_weights(constants.mu, constants.L)
    root = np.sqrt(np.repeat(w, sizes))
    beta = float(np.linalg.norm(root[:, None] * jacobians / root, 2, axis=(-2, -1)).max())
    return FisherCertificate(constants, w, margin(constants.mu, constants.L, w), min(beta, lipschitz(constants.L, w)))
