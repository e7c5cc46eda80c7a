r"""The methods and their near-misses with one signature, `method(oracle, num_iters, gamma0, **how) -> Trace`.

`how` is what `ascend` takes beyond oracle and sequences. The near-misses show what each part is for, and are what a
check must tell apart. All keep eta_0 = 1; steps have the length 2 gamma0 / (t + 2) where nothing else is said.

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

| method | weight of the Hessian correction | eta_t for t >= 1 |
|---|---|---|
| `hessian_aided` (N-HARPG), `hessian_aided_free` (HARPG: steps gamma0 eta_t^(1/2) d_t) | 1 - eta_t | 2 / (t + 2) |
| `no_correction` | 0 | as HARPG |
| `correction_backwards` | -(1 - eta_t) | as HARPG |
| `correction_undamped` | 1 | as HARPG |
| `hessian_aided_slow` | 1 - eta_t | (2 / (t + 2))^(4/5) |

`longer` is N-PG-IGT with three times the step: still the same method, whose estimates must not mind. `vanilla` is
policy gradient with steps gamma0 (2 / (t + 2))^(2/3), `normalised` with N-PG-IGT's steps.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_count, check_number
from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.algorithms.policy_gradient.harpg import harpg, harpg_schedule, n_harpg, n_harpg_schedule
from mdplab.algorithms.policy_gradient.n_pg_igt import igt_schedule, look_ahead, n_pg_igt
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule, normalized_momentum
from mdplab.algorithms.policy_gradient.vanilla import policy_gradient, vanilla_schedule
from mdplab.models import Trace

Method = Callable[..., Trace]


def transport(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """N-PG-IGT with the theorem's schedules.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> rng = np.random.default_rng(0)
    >>> run = transport(NoisyGradient(qchain(), 0.1), 50, 1.0, checkpoints=np.array([49]), rng=rng)
    >>> run["d"].shape
    (1, 1, 2)
    """
    eta, step = igt_schedule(num_iters, gamma0)
    return n_pg_igt(oracle, eta=eta, step=step, **how)


def momentum(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """Normalised momentum with the schedule that is best for it."""
    eta, step = momentum_schedule(num_iters, gamma0)
    return normalized_momentum(oracle, eta=eta, step=step, **how)


def longer(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """N-PG-IGT with three times the step."""
    return transport(oracle, num_iters, 3 * check_number("gamma0", gamma0, above=True), **how)


def hessian_aided(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """N-HARPG with the theorem's schedules."""
    eta, step = n_harpg_schedule(num_iters, gamma0)
    return n_harpg(oracle, eta=eta, step=step, **how)


def hessian_aided_free(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """HARPG with the theorem's schedules."""
    eta, step = harpg_schedule(num_iters, gamma0)
    return harpg(oracle, eta=eta, step=step, **how)


def vanilla(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """Policy gradient along single estimates."""
    return policy_gradient(oracle, step=vanilla_schedule(num_iters, gamma0), **how)


def normalised(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
    """Steps of N-PG-IGT's length along single estimates."""
    return policy_gradient(oracle, step=igt_schedule(num_iters, gamma0)[1], normalized=True, **how)


def _ablated(
    *,
    look: Callable[[np.ndarray], np.ndarray] = look_ahead,
    eta: Callable[[np.ndarray], np.ndarray] = lambda t: (2 / (t + 2)) ** 0.8,
    carry: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
) -> Method:
    def method(oracle: Oracle, num_iters: int, gamma0: float, **how: Any) -> Trace:
        weight = eta(np.arange(check_count("num_iters", num_iters)))
        weight[0] = 1.0
        step = igt_schedule(num_iters, gamma0)[1]
        return ascend(oracle, eta=weight, step=step, look_ahead=look(weight), carry=carry(weight), **how)

    return method


def _corrected(carry: Callable[[np.ndarray], np.ndarray], power: float = 1.0) -> Method:
    return _ablated(look=np.zeros_like, eta=lambda t: (2 / (t + 2)) ** power, carry=carry)


def _shifted(eta: np.ndarray) -> np.ndarray:
    return look_ahead(np.append(eta[1:], eta[-1]))


no_look_ahead = _ablated(look=np.zeros_like)
one_over_eta = _ablated(look=lambda eta: 1 / eta)
next_eta = _ablated(look=_shifted)
backwards = _ablated(look=lambda eta: -look_ahead(eta))
two_fifths = _ablated(eta=lambda t: (2 / (t + 2)) ** 0.4)
constant = _ablated(eta=lambda t: np.full(t.shape, 0.05))
no_correction = _corrected(np.zeros_like)
correction_backwards = _corrected(lambda eta: eta - 1)
correction_undamped = _corrected(np.ones_like)
hessian_aided_slow = _corrected(lambda eta: 1 - eta, power=0.8)
