r"""N-PG-IGT: normalised policy gradient with implicit gradient transport.

    ahead_t = theta_t + ((1 - eta_t) / eta_t) (theta_t - theta_{t-1})            theta_{-1} = theta_0
    d_t = (1 - eta_t) d_{t-1} + eta_t g(tau_t, ahead_t),  tau_t drawn with the policy at ahead_t
    theta_{t+1} = theta_t + gamma_t d_t / ||d_t||

Where the Hessian is constant, the old directions in d_t and the estimate taken ahead miss the gradient at theta_t by
opposite amounts: (1 - eta)(grad J(theta_{t-1}) - grad J(theta_t)) + eta (grad J(ahead_t) - grad J(theta_t)) = 0. What
is left is noise of size eta^(1/2) and a term of second order, L_h gamma^2 / eta^2; eta ~ t^(-4/5) balances the two at
t^(-2/5).

Source: Fatkhullin, Barakat, Kireeva, He (ICML 2023, arXiv 2302.01734), algorithm N-PG-IGT and its
theorem. One trajectory per iteration.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.algorithms.policy_gradient.normalized_momentum import momentum_schedule
from mdplab.models import Trace


def igt_schedule(num_iters: int, gamma0: float) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step) of the theorem, each (num_iters,): eta_t = (2 / (t + 2))^(4/5), gamma_t = 2 gamma0 / (t + 2).

    Notes
    -----
    The theorem has gamma0 = 3 M_g / mu_F, which is 30 on FND-Logit: its step constant is far too long for practical
    numbers of iterations, so gamma0 is an argument. The estimator's rate does not depend on it.

    Examples
    --------
    >>> float(igt_schedule(31, 1.0)[0][30]) == 2.0 ** (-4 * 4 / 5)
    True
    """
    return momentum_schedule(num_iters, gamma0, exponent=4 / 5)


def n_pg_igt(oracle: Oracle, *, eta: np.ndarray, step: np.ndarray, **how: Any) -> Trace:
    """Run N-PG-IGT; parameters, result and errors are those of `mdplab.algorithms.policy_gradient.ascend`.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> chain = qchain()
    >>> eta, step = igt_schedule(100, 1.0)
    >>> run = n_pg_igt(NoisyGradient(chain, 0.0), eta=eta, step=step, checkpoints=np.arange(100),
    ...                rng=np.random.default_rng(0))
    >>> error = run["d"] + chain.occupancy * (run["theta"] - chain.centre)
    >>> bool(np.abs(error).max() < 1e-13)
    True
    """
    return ascend(oracle, eta=eta, step=step, look_ahead=look_ahead(eta), **how)


def look_ahead(eta: np.ndarray) -> np.ndarray:
    """(1 - eta) / eta, (T,): how far ahead of the iterate, in last steps, the estimate is drawn.

    Zero for an eta that is not in (0, 1], which `ascend` refuses by name.

    Examples
    --------
    >>> look_ahead(np.array([1.0, 0.5, 0.25])).tolist()
    [0.0, 1.0, 3.0]
    """
    eta = np.asarray(eta, dtype=np.float64)
    proper = np.where((eta > 0) & (eta <= 1), eta, 1.0)
    return (1 - proper) / proper
