r"""Normalised policy gradient with momentum.

    d_t = (1 - eta_t) d_{t-1} + eta_t g(tau_t, theta_t),      theta_{t+1} = theta_t + gamma_t d_t / ||d_t||

with d_{-1} = 0 and eta_0 = 1, so that d_0 is the first estimate. No step is taken where d_t = 0.

Source: the baseline of Fatkhullin, Barakat, Kireeva, He (2023); Cutkosky, Mehta (2020), "Momentum improves normalized
SGD". One estimate (one trajectory) per iteration.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_count, check_number
from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.models import Trace


def momentum_schedule(num_iters: int, gamma0: float, *, exponent: float = 2 / 3) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step), each (num_iters,): eta_t = (2 / (t + 2))^exponent and gamma_t = 2 gamma0 / (t + 2).

    Examples
    --------
    >>> eta, step = momentum_schedule(3, 1.0)
    >>> float(eta[0]), step.round(3).tolist()
    (1.0, [1.0, 0.667, 0.5])
    """
    t = np.arange(check_count("num_iters", num_iters))
    check_number("gamma0", gamma0, above=True)
    return (2.0 / (t + 2)) ** exponent, 2.0 * gamma0 / (t + 2)


def normalized_momentum(
    oracle: Oracle, *, eta: np.ndarray, step: np.ndarray, look_ahead: np.ndarray | None = None, **how: Any
) -> Trace:
    """Run the method; parameters, result and errors are those of `mdplab.algorithms.policy_gradient.ascend`.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> eta, step = momentum_schedule(2000, 1.0)
    >>> run = normalized_momentum(NoisyGradient(qchain(), 0.0), eta=eta, step=step, checkpoints=np.array([0, 1999]),
    ...                           rng=np.random.default_rng(0))
    >>> bool(np.abs(run["theta"][0, -1] - qchain().centre).max() < 0.05)
    True
    """
    return ascend(oracle, eta=eta, step=step, look_ahead=look_ahead, **how)
