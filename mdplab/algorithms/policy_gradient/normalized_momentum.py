r"""Normalised policy gradient with momentum, and the loop that it shares with N-PG-IGT.

    d_t = (1 - eta_t) d_{t-1} + eta_t g(tau_t, theta_t),      theta_{t+1} = theta_t + gamma_t d_t / ||d_t||

with d_{-1} = 0 and eta_0 = 1, so that d_0 is the first estimate. No step is taken where d_t = 0.

Source: the baseline of Fatkhullin, Barakat, Kireeva, He (2023); Cutkosky, Mehta (2020), "Momentum improves normalized
SGD". One estimate (one trajectory) per iteration.
"""

import numpy as np

from mdplab.algorithms.policy_gradient.estimators import NoisyGradient, SingleTrajectory
from mdplab.kernels.location import momentum_ascent
from mdplab.models import Trace


def momentum_schedule(num_iters: int, gamma0: float, *, exponent: float = 2 / 3) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step), each (num_iters,): eta_t = (2 / (t + 2))^exponent and gamma_t = 2 gamma0 / (t + 2).

    Examples
    --------
    >>> eta, step = momentum_schedule(3, 1.0)
    >>> float(eta[0]), step.round(3).tolist()
    (1.0, [1.0, 0.667, 0.5])
    """
    t = np.arange(num_iters)
    return (2.0 / (t + 2)) ** exponent, 2.0 * gamma0 / (t + 2)


def normalized_momentum(
    oracle: NoisyGradient | SingleTrajectory,
    *,
    eta: np.ndarray,
    step: np.ndarray,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    theta0: np.ndarray | None = None,
    look_ahead: np.ndarray | None = None,
) -> Trace:
    """Run `seeds` independent runs, one after another on the one generator.

    Parameters
    ----------
    oracle
        What an estimate is and where it is drawn.
    eta, step
        Momentum in (0, 1] and step lengths above 0, `(T,)` each.
    checkpoints
        Iterations in [0, T), `(K,)`, increasing; iteration t has used t + 1 estimates.
    rng
        Source of every draw.
    seeds
        Number of runs.
    theta0
        Start `(S,)`; by default the chain's.
    look_ahead
        `(T,)`: the estimate is drawn at theta_t + look_ahead_t (theta_t - theta_{t-1}); by default 0, no look-ahead.

    Returns
    -------
    Trace with columns `theta` and `d`, `(seeds, K, S)`: the iterate and the direction of each checkpoint.

    Raises
    ------
    ValueError
        A momentum, step or checkpoint out of range, by index and value.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import qchain
    >>> eta, step = momentum_schedule(2000, 1.0)
    >>> run = normalized_momentum(NoisyGradient(qchain(), 0.0), eta=eta, step=step, checkpoints=np.array([0, 1999]),
    ...                           rng=np.random.default_rng(0))
    >>> bool(np.abs(run["theta"][0, -1] - qchain().centre).max() < 0.05)
    True
    """
    eta, step = (np.ascontiguousarray(a, dtype=np.float64) for a in (eta, step))
    if eta.ndim != 1 or eta.size == 0 or step.shape != eta.shape:
        raise ValueError(f"eta has shape {eta.shape}, step {step.shape}; expected one (T,) for both")
    _each("eta", eta, (eta > 0) & (eta <= 1), "a number in (0, 1]")
    _each("step", step, (step > 0) & np.isfinite(step), "a number above 0")
    checkpoints = np.ascontiguousarray(checkpoints, dtype=np.int64)
    _each("checkpoints", checkpoints, (checkpoints >= 0) & (checkpoints < eta.size), f"an iteration in [0, {eta.size})")
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; expected at least 1")
    look = np.zeros_like(eta) if look_ahead is None else np.ascontiguousarray(look_ahead, dtype=np.float64)
    if look.shape != eta.shape:
        raise ValueError(f"look_ahead has shape {look.shape}; expected {eta.shape}")
    start = np.array(oracle.chain.theta0 if theta0 is None else theta0, dtype=np.float64)
    if start.shape != (oracle.chain.S,):
        raise ValueError(f"theta0 has shape {start.shape}; expected {(oracle.chain.S,)}")
    theta, d = np.empty((2, seeds, checkpoints.size, start.size))
    trace_t = Trace(checkpoints, {}).t
    momentum_ascent(*oracle.arguments(), start, look, eta, step, checkpoints, rng, theta, d)
    finite = np.isfinite(theta).all(axis=(0, 2)) & np.isfinite(d).all(axis=(0, 2))
    status = "ok" if finite.all() else f"diverged by t={checkpoints[np.argmin(finite)]}"
    return Trace(trace_t, {"theta": theta, "d": d}, status)


def _each(name: str, values: np.ndarray, good: np.ndarray, what: str) -> None:
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(f"{name}[{i}] is {values[i]}; expected {what}")
