"""E-processes: evidence against a null hypothesis that may be read after every run, at any stopping time.

Everything is in logarithms; paths have the shape of the data, with runs on the last axis.
"""

import numpy as np

# Bets of the mixture, as fractions of the largest bet that cannot be ruined.
BETS = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8])
# The plug-in bet never stakes more than this fraction of the ruinous bet.
LARGEST_BET = 0.75


def bernoulli_log_path(hits: np.ndarray, p0: float, side: int) -> np.ndarray:
    """Log e-process against "hit probability at most p0" (side +1) or "at least p0" (side -1).

    Parameters
    ----------
    hits
        0 or 1, `(..., m)`; given the past, each run's hit probability obeys the null.
    p0
        In (0, 1).
    side
        +1 or -1.

    Returns
    -------
    Log of the mixture over six constant bets, `(..., m)`; its exponential is at most 1 in mean under the null.

    Examples
    --------
    >>> bool(bernoulli_log_path(np.ones(20), 0.5, +1)[-1] > np.log(1000))
    True
    """
    stakes = BETS / (p0 if side > 0 else 1 - p0)
    won, lost = np.log1p(side * stakes * (1 - p0)), np.log1p(-side * stakes * p0)
    count = np.cumsum(hits, axis=-1)
    runs = np.arange(1, hits.shape[-1] + 1)
    paths = [count * w + (runs - count) * z for w, z in zip(won, lost)]
    return np.logaddexp.reduce(np.stack(paths), axis=0) - np.log(BETS.size)


def mean_log_path(values: np.ndarray, bound: np.ndarray, side: int) -> np.ndarray:
    """Log e-process against "mean at most bound" (side +1) or "at least bound" (side -1), for values in [0, 1].

    Parameters
    ----------
    values
        `(..., m)` in [0, 1].
    bound
        Null means, broadcastable to `values`, strictly between 0 and 1.
    side
        +1 or -1.

    Returns
    -------
    Log wealth `(..., m)` of the bet that past runs suggest: predictable, hence a martingale bounded by the null.
    """
    runs = np.arange(1, values.shape[-1] + 1)
    mean = (0.5 + np.cumsum(values, axis=-1)) / (runs + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2, axis=-1)) / (runs + 1)
    # The bet on run t may look at runs 1 .. t-1 only.
    mean = np.concatenate([np.full_like(values[..., :1], 0.5), mean[..., :-1]], axis=-1)
    variance = np.concatenate([np.full_like(values[..., :1], 0.25), variance[..., :-1]], axis=-1)
    edge = mean - bound
    largest = LARGEST_BET / (bound if side > 0 else 1 - bound)
    stake = np.clip(side * edge / (variance + edge**2), 0, largest)
    return np.cumsum(np.log1p(side * stake * (values - bound)), axis=-1)


def anytime(log_path: np.ndarray) -> tuple[float, float]:
    """(p, e) of one path `(m,)`: the anytime-valid p-value 1 / max e (Ville), and e at the last run read.

    The maximum itself is no e-value: combining claims by averages must use the second number.
    """
    top = max(float(log_path.max()), 0.0)
    # Past exp(700) a double overflows; the e-value is then reported as that, which is smaller and so still valid.
    return float(np.exp(-top)), float(np.exp(min(float(log_path[-1]), 700.0)))
