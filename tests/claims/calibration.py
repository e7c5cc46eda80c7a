"""What the calibration tests share: how a rate is compared with a count, and the error curves of the simulations.

The seeds are fixed, so a test that passes always passes. What is bounded here is how likely a correct rule was to fail
when the seeds were drawn: every comparison below is a binomial test at level `OWN_LEVEL`, and the suite has fewer than
200 of them, so the whole calibration raises a false alarm with probability below 2e-3.
"""

import numpy as np
from scipy import stats

OWN_LEVEL = 1e-5
# The accepted inflation of a level, and the accepted distance of a power from the published one.
INFLATION, POINTS = 1.5, 0.05

N = 64 * 2.0 ** np.arange(9)


def rate_at_most(count, reps, level):
    """Whether `count` of `reps` is compatible with a false-alarm rate of at most 1.5 levels."""
    return stats.binom.sf(count - 1, reps, INFLATION * level) > OWN_LEVEL


def power_near(count, reps, reference):
    """Whether `count` of `reps` is compatible with a power within five points of the reference."""
    low, high = max(reference - POINTS, 0.0), min(reference + POINTS, 1.0)
    below, above = stats.binom.cdf(count, reps, low), stats.binom.sf(count - 1, reps, high)
    return bool((low == 0 or below > OWN_LEVEL) and (high == 1 or above > OWN_LEVEL))


def tally(decisions, refute_level=0.01, accept_level=0.01):
    """(refuted, accepted) among decisions."""
    outcomes = [decision.outcome(refute_level, accept_level) for decision in decisions]
    return outcomes.count("refuted"), outcomes.count("accepted")


def log_curves(kind, a, reps, I, rng, n=N):
    """Log of noise-free errors `(reps, I, 1, K)` and the scale of each instance `(reps, I)`."""
    x = np.log(n)
    scale = rng.normal(0, 0.7, (reps, I, 1))
    if kind == "two bad":
        exponents = np.full((1, I, 1), 0.6)
        exponents[:, :2] = a
        curve = -exponents * x
    elif kind == "spread":
        curve = -(a + rng.exponential(0.05, (reps, I, 1))) * x
    else:
        curve = {
            "pure": -a * x,
            "slow start": -a * np.log(n + 1000.0),
            "fast start": np.log(n**-a * (1 + 10 * n**-0.5)),
            "floor": np.log(n**-a + 0.003),
            "log": -a * x + np.log(x),
            "hidden": np.log(n**-a + 3 * n**-0.7),
        }[kind]
    return (scale + curve)[:, :, None, :], np.exp(scale[:, :, 0])


def noise(kind, sigma, shape, rng):
    """Noise of log errors, `shape` ending in the grid."""
    if kind == "independent":
        return sigma * rng.standard_normal(shape)
    if kind == "heavy":
        return sigma * rng.standard_t(3, shape) / np.sqrt(3)
    if kind == "shrinking":
        return sigma * 3 * 2.0 ** (-np.arange(shape[-1]) / 4) * rng.standard_normal(shape)
    assert kind == "one run", kind
    z = rng.standard_normal(shape)
    for k in range(1, shape[-1]):
        z[..., k] = 0.8 * z[..., k - 1] + 0.6 * z[..., k]
    return sigma * z


def rate_data(kind, a, noise_kind, sigma, reps, rng, I=12, S=8):
    """Errors `(reps, I, S, K)` and scales `(reps, I)`."""
    curves, scale = log_curves(kind, a, reps, I, rng)
    return np.exp(curves + noise(noise_kind, sigma, (reps, I, S, N.size), rng)), scale
