r"""HARPG and N-HARPG: momentum corrected by a Hessian-vector product along the last step.

    segment_t = q theta_t + (1 - q) theta_{t-1},  q uniform on [0, 1]
    v_t = B(tau'_t, segment_t) (theta_t - theta_{t-1})
    d_t = (1 - eta_t) (d_{t-1} + v_t) + eta_t g(tau_t, theta_t)                  d_0 = g(tau_0, theta_0)
    HARPG: theta_{t+1} = theta_t + gamma_t d_t      N-HARPG: theta_{t+1} = theta_t + gamma_t d_t / ||d_t||

The mean of v_t over q and over tau'_t is grad J_H(theta_t) - grad J_H(theta_{t-1}) exactly, whatever the Hessian: old
directions are carried along without bias. Two independent trajectories an iteration from the second on.

Source: Fatkhullin, Barakat, Kireeva, He (ICML 2023, arXiv 2302.01734), algorithms HARPG and N-HARPG.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_count, check_number
from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule
from mdplab.models import Trace


def harpg_schedule(num_iters: int, gamma0: float) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step) of HARPG, each (num_iters,): eta_t = 2 / (t + 2), gamma_t = gamma0 eta_t^(1/2).

    Notes
    -----
    The theorem's gamma0 is at most 1 / (8 sqrt(6) (L_g + sigma_h + D_h gamma^H)); the notes on the paper have sigma_g
    in the place of sigma_h, which has another dimension. On FND-Logit runs need gamma0 near .03: they blow up at .3.

    Examples
    --------
    >>> eta, step = harpg_schedule(7, 0.1)
    >>> float(eta[6]), float(step[6])
    (0.25, 0.05)
    """
    check_number("gamma0", gamma0, above=True)
    eta = 2.0 / (np.arange(check_count("num_iters", num_iters)) + 2)
    return eta, gamma0 * np.sqrt(eta)


def n_harpg_schedule(num_iters: int, gamma0: float) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step) of N-HARPG, each (num_iters,): eta_t = 2 / (t + 2), gamma_t = 2 gamma0 / (t + 2).

    Examples
    --------
    >>> eta, step = n_harpg_schedule(7, 0.5)
    >>> float(eta[6]), float(step[6])
    (0.25, 0.125)
    """
    return momentum_schedule(num_iters, gamma0, exponent=1.0)


def harpg(oracle: Oracle, *, eta: np.ndarray, step: np.ndarray, normalized: bool = False, **how: Any) -> Trace:
    """Run HARPG; parameters, result and errors are those of `mdplab.algorithms.policy_gradient.ascend`.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import SingleTrajectory
    >>> from mdplab.instances.policy_gradient import fnd_logit
    >>> eta, step = harpg_schedule(50, 0.03)
    >>> run = harpg(SingleTrajectory(fnd_logit(), 20), eta=eta, step=step, checkpoints=np.array([49]),
    ...             rng=np.random.default_rng(0))
    >>> run.status, run["theta"].shape
    ('ok', (1, 1, 2))
    """
    return ascend(oracle, eta=eta, step=step, carry=1 - np.asarray(eta), normalized=normalized, **how)


def n_harpg(oracle: Oracle, *, eta: np.ndarray, step: np.ndarray, **how: Any) -> Trace:
    """Run N-HARPG; parameters, result and errors are those of `mdplab.algorithms.policy_gradient.ascend`.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> chain = qchain()
    >>> eta, step = n_harpg_schedule(100, 1.0)
    >>> run = n_harpg(NoisyGradient(chain, 0.0), eta=eta, step=step, checkpoints=np.arange(100),
    ...               rng=np.random.default_rng(0))
    >>> error = run["d"] + chain.occupancy * (run["theta"] - chain.centre)
    >>> bool(np.abs(error).max() < 1e-13)
    True
    """
    return harpg(oracle, eta=eta, step=step, normalized=True, **how)
