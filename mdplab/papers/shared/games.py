"""Preference games: drawn games and policies, the certified equilibrium, how well divergences from it are known."""

import numpy as np

from mdplab.certify.games import log_policy_error
from mdplab.exact.games import best_response, regularized_nash
from mdplab.instances.games import FAMILIES, random_preferences
from mdplab.kernels.softmax import log_softmax, softmax

U = 2.0**-53


def any_family(rng):
    """The name of a family of preferences."""
    return FAMILIES[int(rng.integers(len(FAMILIES)))]


def random_game(most, rng, low, high, n=None):
    """A game of any family with 3 to `most` actions, or `n`, and a temperature, log-uniform from `low` to `high`."""
    family = any_family(rng)
    game = random_preferences(int(rng.integers(3, most + 1)) if n is None else n, rng=rng, family=family)
    return game, float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_policies(count, n, rng, scales=(1.0, 10.0), centre=0.0):
    """log-policies (count, n) around the logits `centre`, from flat to peaked by the scales in turn."""
    scale = np.array(scales)[np.arange(count) % len(scales)][:, None]
    return log_softmax(scale * rng.standard_normal((count, n)) + centre)


def payoff(game, log_pi):
    """K pi of policies (..., n)."""
    return np.matmul(game.K, softmax(log_pi)[..., None])[..., 0]


def running_mean(log_pi):
    """Logarithm of the mean of the policies so far; log_pi (T, n)."""
    return np.log(np.cumsum(softmax(log_pi), axis=0) / np.arange(1, len(log_pi) + 1)[:, None])


def equilibrium(game, tau):
    """log pi*, and a certified bound on the span of its error."""
    log_star = regularized_nash(game, tau=tau).extras["log_policy"]
    return log_star, log_policy_error(game, log_star, tau)


def kl_radius(log_star, span, *policies):
    """Certified error of divergences between pi* and the policies (..., n): of pi*, and of rounding."""
    ranges = sum(np.ptp(log_star - log_pi, axis=-1) for log_pi in policies)
    return (4 * span + 64 * log_star.size * U) * (1 + ranges)


def gap_radius(game, log_pi, tau):
    """Error of gap_tau: it is 2 tau (log E e^x - E x), x the residual of the fixed point, known up to rounding."""
    rounding = 64 * game.n * U * (1 + 1 / tau)
    return 2 * tau * rounding * (np.ptp(best_response(game, log_pi, tau=tau) - log_pi, axis=-1) + rounding)


def above_rounding(measured, bound, radius):
    """The three as evidence; where the bound has fallen to rounding nothing is said: 0 <= 1."""
    kept = bound > 4 * radius
    return {"measured": np.where(kept, measured, 0), "bound": np.where(kept, bound, 1), "radius": radius * kept}
