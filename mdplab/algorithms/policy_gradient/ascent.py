r"""The recursion that all methods of one estimate an iteration share; each method is a choice of its sequences.

    d_t = (1 - eta_t) d_{t-1} + carry_t B(tau'_t, segment_t) (theta_t - theta_{t-1}) + eta_t g(tau_t, ahead_t)
    ahead_t = theta_t + look_t (theta_t - theta_{t-1}),     segment_t uniform between theta_{t-1} and theta_t
    theta_{t+1} = theta_t + gamma_t d_t / ||d_t||   or   theta_t + gamma_t d_t,            theta_{-1} = theta_0

| method | look_t | carry_t | eta_t | step |
|---|---|---|---|---|
| vanilla, normalised policy gradient | 0 | 0 | 1 | free, of given length |
| normalised momentum | 0 | 0 | (2 / (t + 2))^(2/3) | of given length |
| N-PG-IGT | (1 - eta_t) / eta_t | 0 | (2 / (t + 2))^(4/5) | of given length |
| HARPG, N-HARPG | 0 | 1 - eta_t | 2 / (t + 2) | free, of given length |

The trajectories tau_t (policy at ahead_t) and tau'_t (policy at segment_t) are independent; where carry_t is 0, tau'_t
is not drawn. No step is taken where d_t = 0.

Source: Fatkhullin, Barakat, Kireeva, He (ICML 2023, arXiv 2302.01734).
"""

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_checkpoints, check_count, check_each
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.models import Trace


def ascend(
    oracle: Oracle,
    *,
    eta: np.ndarray,
    step: np.ndarray,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    theta0: np.ndarray | None = None,
    look_ahead: np.ndarray | None = None,
    carry: np.ndarray | None = None,
    normalized: bool = True,
) -> Trace:
    """Run `seeds` independent runs, one after another on the one generator.

    Parameters
    ----------
    oracle
        What an estimate is and where it is drawn.
    eta, step
        Momentum in (0, 1] and steps above 0, `(T,)` each.
    checkpoints
        Iterations in [0, T), `(K,)`, increasing; iteration t has used t + 1 estimates.
    rng
        Source of every draw.
    seeds
        Number of runs.
    theta0
        Start, of the oracle's shape; by default the oracle's.
    look_ahead, carry
        `(T,)`, finite; by default 0, no look-ahead and no Hessian correction.
    normalized
        Whether a step has the length `step`, or `step` times that of d.

    Returns
    -------
    Trace with columns `theta` and `d`, `(seeds, K, *shape)`: the iterate and the direction of each checkpoint.

    Raises
    ------
    ValueError
        A momentum, step, coefficient or checkpoint out of range, by index and value.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> run = ascend(NoisyGradient(qchain(), 0.0), eta=np.ones(200), step=np.full(200, 0.3), normalized=False,
    ...              checkpoints=np.array([0, 199]), rng=np.random.default_rng(0))
    >>> bool(np.abs(run["theta"][0, -1] - qchain().centre).max() < 1e-12)
    True
    """
    eta, step = check_each("eta", eta, most=1), check_each("step", step)
    if step.shape != eta.shape:
        raise ValueError(f"eta has shape {eta.shape}, step {step.shape}; expected one (T,) for both")
    checkpoints, seeds = check_checkpoints(checkpoints, eta.size - 1), check_count("seeds", seeds)
    look = _coefficients("look_ahead", look_ahead, eta)
    carry = _coefficients("carry", carry, eta)
    start = check_array("theta0", oracle.start if theta0 is None else theta0, oracle.start.shape)
    theta, d = np.empty((2, seeds, checkpoints.size, start.size))
    oracle.ascend(start.ravel(), look, carry, eta, step, bool(normalized), checkpoints, rng, theta, d)
    finite = np.isfinite(theta).all(axis=(0, 2)) & np.isfinite(d).all(axis=(0, 2))
    status = "ok" if finite.all() else f"diverged by t={checkpoints[np.argmin(finite)]}"
    shape = (seeds, checkpoints.size, *start.shape)
    return Trace(checkpoints, {"theta": theta.reshape(shape), "d": d.reshape(shape)}, status)


def _coefficients(name: str, values: np.ndarray | None, eta: np.ndarray) -> np.ndarray:
    if values is None:
        return np.zeros_like(eta)
    return check_array(name, values, eta.shape)
