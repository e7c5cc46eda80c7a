r"""Policy gradient without memory: steps gamma_t g(tau_t, theta_t), or steps of given length along the estimate.

Source: Williams (1992); with gamma_t = gamma0 (2 / (t + 2))^(2/3) a baseline of Fatkhullin, Barakat, Kireeva, He
(2023). One trajectory an iteration. Normalised steps along single estimates have no guarantee: their mean direction is
not the gradient's.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_count, check_each, check_number
from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import Oracle
from mdplab.models import Trace


def vanilla_schedule(num_iters: int, gamma0: float) -> np.ndarray:
    """Steps (num_iters,): gamma_t = gamma0 (2 / (t + 2))^(2/3).

    Examples
    --------
    >>> vanilla_schedule(15, 1.0)[[0, 14]].round(12).tolist()
    [1.0, 0.25]
    """
    check_number("gamma0", gamma0, above=True)
    return gamma0 * (2.0 / (np.arange(check_count("num_iters", num_iters)) + 2)) ** (2 / 3)


def policy_gradient(oracle: Oracle, *, step: np.ndarray, normalized: bool = False, **how: Any) -> Trace:
    """Run the method; other parameters, result and errors are those of `mdplab.algorithms.policy_gradient.ascend`.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import NoisyGradient
    >>> from mdplab.instances.policy_gradient import qchain
    >>> run = policy_gradient(NoisyGradient(qchain(), 0.0), step=vanilla_schedule(200, 0.3),
    ...                       checkpoints=np.array([199]), rng=np.random.default_rng(0))
    >>> bool(np.abs(run["theta"][0, 0] - qchain().centre).max() < 1e-4)
    True
    """
    step = check_each("step", step)
    return ascend(oracle, eta=np.ones(step.size), step=step, normalized=normalized, **how)


def normalized_policy_gradient(oracle: Oracle, *, step: np.ndarray, **how: Any) -> Trace:
    """As `policy_gradient`, each step of length `step[t]` along the estimate.

    Examples
    --------
    >>> from mdplab.algorithms.policy_gradient.estimators import SingleTrajectory
    >>> from mdplab.instances.policy_gradient import fnd_logit
    >>> run = normalized_policy_gradient(SingleTrajectory(fnd_logit(), 5), step=np.array([0.5, 0.25]),
    ...                                  checkpoints=np.arange(2), rng=np.random.default_rng(0))
    >>> float(np.linalg.norm(np.diff(run["theta"][0], axis=0)).round(12))
    0.5
    """
    return policy_gradient(oracle, step=step, normalized=True, **how)
