r"""What the tabular methods of this folder share: the payoff oracle, the mirror step, the loop and the checks.

Mirror step with step eta and weight w of the reference (w = eta tau regularises, w = 0 does not):

    log pi+ = (1 - w) log pi + w log mu + eta g + const

Payoffs g = K nu against an opponent nu; adding a constant to them changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import PreferenceGame, Trace


class PreferenceOracle:
    """Payoff vectors of a game, counted: `queries` is how many a run has asked for.

    Parameters
    ----------
    game
        Preferences and reference.

    Examples
    --------
    >>> oracle = PreferenceOracle(PreferenceGame([[0.5, 0.9], [0.1, 0.5]]))
    >>> oracle.payoff(np.zeros(2)).tolist(), oracle.queries
    ([0.2, -0.2], 1)
    """

    def __init__(self, game: PreferenceGame) -> None:
        if not isinstance(game, PreferenceGame):
            raise ValueError(f"game is a {type(game).__name__}; expected a PreferenceGame")
        self.game = game
        self.log_mu = game.log_mu
        self.queries = 0

    def payoff(self, log_nu: np.ndarray) -> np.ndarray:
        """K nu for an opponent's logits (..., n), or (..., m, n) with contexts."""
        self.queries += 1
        K, nu = self.game.K, softmax(log_nu)
        if nu.ndim == 1:
            return K @ nu
        # Without contexts one product of matrices serves all leading axes.
        return nu @ K.T if K.ndim == 2 else np.matmul(K, nu[..., None])[..., 0]


def mirror_step(log_pi: np.ndarray, log_mu: np.ndarray, gain: np.ndarray, *, eta: float, weight: float) -> np.ndarray:
    """log of pi^(1 - weight) mu^weight exp(eta gain) / Z: arrays (..., n) -> (..., n), normalised.

    Examples
    --------
    >>> step = mirror_step(np.zeros(2), np.zeros(2), np.array([1.0, 0.0]), eta=np.log(3.0), weight=0.5)
    >>> np.exp(step).round(12).tolist()
    [0.75, 0.25]
    """
    logits = eta * gain
    logits += (1 - weight) * log_pi
    if weight != 0:
        logits += weight * log_mu
    return log_softmax(logits)


def iterate(
    oracle: PreferenceOracle,
    step: Callable[..., tuple[np.ndarray, ...]],
    states: Mapping[str, np.ndarray],
    *,
    num_iters: int,
    checkpoints: np.ndarray,
) -> Trace:
    """Run step(t, *states) -> states for t = 0 .. num_iters - 1 and keep the states at the checkpoints.

    Columns are the states, (K, ..., n) each, and `queries` (K,), the payoff vectors asked for so far.
    """
    values = tuple(states.values())
    out = [np.empty((checkpoints.size, *value.shape)) for value in values]
    queries = np.empty(checkpoints.size, dtype=np.int64)
    kept = 0
    for t in range(num_iters + 1):
        if kept < checkpoints.size and checkpoints[kept] == t:
            for column, value in zip(out, values):
                column[kept] = value
            queries[kept] = oracle.queries
            kept += 1
        if kept == checkpoints.size:
            break
        values = step(t, *values)
    return Trace(checkpoints, dict(zip(states, out)) | {"queries": queries})


def check_temperature(tau: float) -> None:
    """Raise unless tau is finite and above 0."""
    if not (np.isfinite(tau) and tau > 0):
        raise ValueError(f"tau is {tau}; expected a finite number above 0")


def check_positive(name: str, value: float) -> None:
    """Raise unless the value is finite and above 0."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; expected a finite number above 0")


def check_step(eta: float, tau: float) -> None:
    """Raise unless 0 < eta tau <= 1: beyond, the mixture has a negative exponent."""
    check_temperature(tau)
    if not 0 < eta * tau <= 1:
        # Twelve digits: six would show the least excess as 1.
        raise ValueError(f"eta tau is {eta * tau:.12g} with eta={eta:.12g}, tau={tau:.12g}; expected in (0, 1]")


def check_weight(name: str, weight: float) -> None:
    """Raise unless the weight of a mixture is in [0, 1]."""
    if not 0 <= weight <= 1:
        raise ValueError(f"{name} is {weight}; expected in [0, 1]")


def check_checkpoints(num_iters: int, checkpoints: Sequence[int] | None) -> np.ndarray:
    """The checkpoints as an array, every number of updates by default."""
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    if num_iters % 1:
        raise ValueError(f"num_iters is {num_iters}; expected an integer")
    given = np.arange(num_iters + 1) if checkpoints is None else np.asarray(checkpoints)
    kept = given.astype(np.int64)
    if np.any(kept != given):
        raise ValueError(f"checkpoints is {given.tolist()}; expected integers")
    if kept.size == 0 or kept[0] < 0 or kept[-1] > num_iters or np.any(np.diff(kept) <= 0):
        raise ValueError(f"checkpoints is {kept.tolist()}; expected strictly increasing in [0, {num_iters}]")
    return kept


def start(game: PreferenceGame, log_pi0: np.ndarray | None) -> np.ndarray:
    """The first policy's logarithm, normalised: mu, or logits (..., n) whose last axes are the game's."""
    if log_pi0 is None:
        return game.log_mu
    log_pi = np.asarray(log_pi0, dtype=np.float64)
    if log_pi.shape[log_pi.ndim - game.mu.ndim :] != game.mu.shape:
        raise ValueError(f"log_pi0 has shape {log_pi.shape}; its last axes must be {game.mu.shape}")
    if not np.isfinite(log_pi).all():
        raise ValueError("log_pi0 has an entry that is not finite; the first policy needs full support")
    return log_softmax(log_pi)
