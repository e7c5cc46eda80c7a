r"""N-PG-IGT and its near-misses as methods of one signature, `method(oracle, num_iters, gamma0, **how) -> Trace`.

`how` is what `normalized_momentum` takes beyond oracle, momentum, step and look-ahead. The near-misses show what each
part of N-PG-IGT is for, and are what a check of it must tell apart: all keep eta_0 = 1 and the step 2 gamma0 / (t + 2).

| method | look-ahead coefficient | eta_t for t >= 1 |
|---|---|---|
| `transport` (N-PG-IGT) | (1 - eta_t) / eta_t | (2 / (t + 2))^(4/5) |
| `momentum` (its own schedule) | 0 | (2 / (t + 2))^(2/3) |
| `no_look_ahead` | 0 | as N-PG-IGT |
| `one_over_eta` | 1 / eta_t | as N-PG-IGT |
| `next_eta` | (1 - eta_{t+1}) / eta_{t+1} | as N-PG-IGT |
| `backwards` | -(1 - eta_t) / eta_t | as N-PG-IGT |
| `two_fifths` | as N-PG-IGT | (2 / (t + 2))^(2/5) |
| `constant` | as N-PG-IGT | 1/20 |

`longer` is N-PG-IGT with three times the step: still the same method, whose estimates must not mind.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.estimators import NoisyGradient, SingleTrajectory
from mdplab.algorithms.policy_gradient.n_pg_igt import igt_schedule, n_pg_igt
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule, normalized_momentum
from mdplab.models import Trace

Method = Callable[..., Trace]


def transport(oracle: NoisyGradient | SingleTrajectory, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """N-PG-IGT with the theorem's schedules.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import qchain
    >>> rng = np.random.default_rng(0)
    >>> run = transport(NoisyGradient(qchain(), 0.1), 50, 1.0, checkpoints=np.array([49]), rng=rng)
    >>> run["d"].shape
    (1, 1, 2)
    """
    eta, step = igt_schedule(num_iters, gamma0)
    return n_pg_igt(oracle, eta=eta, step=step, **how)


def momentum(oracle: NoisyGradient | SingleTrajectory, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """Normalised momentum with the schedule that is best for it."""
    eta, step = momentum_schedule(num_iters, gamma0)
    return normalized_momentum(oracle, eta=eta, step=step, **how)


def longer(oracle: NoisyGradient | SingleTrajectory, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """N-PG-IGT with three times the step."""
    return transport(oracle, num_iters, 3 * gamma0, **how)


def _ablated(
    *,
    look: Callable[[np.ndarray], np.ndarray] = lambda eta: (1 - eta) / eta,
    eta: Callable[[np.ndarray], np.ndarray] = lambda t: (2 / (t + 2)) ** 0.8,
) -> Method:
    def method(oracle: NoisyGradient | SingleTrajectory, num_iters: int, gamma0: float, **how: Any) -> Trace:
        weight = eta(np.arange(num_iters))
        weight[0] = 1.0
        step = igt_schedule(num_iters, gamma0)[1]
        return normalized_momentum(oracle, eta=weight, step=step, look_ahead=look(weight), **how)

    return method


def _shifted(eta: np.ndarray) -> np.ndarray:
    later = np.append(eta[1:], eta[-1])
    return (1 - later) / later


no_look_ahead = _ablated(look=np.zeros_like)
one_over_eta = _ablated(look=lambda eta: 1 / eta)
next_eta = _ablated(look=_shifted)
backwards = _ablated(look=lambda eta: -(1 - eta) / eta)
two_fifths = _ablated(eta=lambda t: (2 / (t + 2)) ** 0.4)
constant = _ablated(eta=lambda t: np.full(t.shape, 0.05))
