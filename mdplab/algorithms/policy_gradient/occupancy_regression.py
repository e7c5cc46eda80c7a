r"""Policy gradient for a general utility with the occupancy learned by regression, for spaces too large for a table.

Each outer iteration fits lambda^{pi_theta} by linear features,

    min_w E_{s ~ q, a uniform} (lambda(s, a) - <phi(s, a), w>)^2,

with averaged stochastic gradient descent: one draw of (s, a), one fresh trajectory, the discounted count of (s, a) on
it as an unbiased target. Then r = grad F(Phi w) and theta moves along the mean of g(tau_i, theta, r) over a batch.

Source: Barakat, Fatkhullin, He (ICML 2023, arXiv 2306.01854), section 5. That the regression uses a state law with
full support is in the paper; the action law, and the step 1 / (8 B^2) with B = max |phi|, are recalled. That step is
the one for which Bach and Moulines (2013) bound the averaged iterate: 2 beta = 1 / (4 B^2).
"""

import numpy as np

from mdplab.algorithms.policy_gradient import general_utility as parts
from mdplab.algorithms.policy_gradient.arguments import check_array, check_checkpoints, check_count, check_number
from mdplab.kernels import general_utility as kernels
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Trace, check_distribution
from mdplab.models.utility import Utility


def regress_occupancy(
    mdp: MDP,
    theta: np.ndarray,
    features: np.ndarray,
    *,
    horizon: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    states: np.ndarray | None = None,
    beta: float | None = None,
) -> Trace:
    """Regress lambda_H of the softmax policy theta on features by averaged stochastic gradient descent.

    Parameters
    ----------
    mdp
        Discounted, with a start distribution and every action available.
    theta
        Logits `(S, A)`.
    features
        phi, `(S, A, m)`, not all zero.
    horizon
        Steps of a trajectory.
    checkpoints
        `(K,)` numbers of steps, at least 1, increasing; each step costs one trajectory.
    rng
        Source of every draw.
    states
        Law q of the regressed state `(S,)`; uniform by default.
    beta
        Step above 0; by default 1 / (8 B^2).

    Returns
    -------
    Trace
        `mean` (K, m), the averages after that many steps, and `last` (K, m), the iterates.

    Raises
    ------
    ValueError
        An argument out of range.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = regress_occupancy(mdp, np.zeros((1, 2)), np.eye(2).reshape(1, 2, 2), horizon=20,
    ...                         checkpoints=np.array([4000]), rng=np.random.default_rng(0))
    >>> bool(np.abs(run["mean"][0] - 1).max() < 0.05)
    True
    """
    model, flat, pair_cdf, beta = _regression(mdp, features, horizon, states, beta)
    t = check_checkpoints(checkpoints, np.iinfo(np.int64).max, 1)
    pi = softmax(parts.check_logits("theta", theta, mdp).reshape(mdp.r.shape)).reshape(-1)
    last, mean = np.empty((2, t.size, flat.shape[1]))
    kernels.regress(*model, pi, pair_cdf, flat, beta, t, rng, last, mean)
    return Trace(t, {"mean": mean, "last": last})


def occupancy_regression_pg(
    mdp: MDP,
    utility: Utility,
    features: np.ndarray,
    *,
    horizon: int,
    step: np.ndarray,
    regression_steps: int,
    batch: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    theta0: np.ndarray | None = None,
    states: np.ndarray | None = None,
    beta: float | None = None,
) -> Trace:
    """Run the method: T = len(step) outer iterations, each with `regression_steps` + `batch` trajectories.

    Parameters
    ----------
    mdp, utility, horizon, rng, seeds, theta0
        As in `n_vr_pg`.
    features, states, beta
        As in `regress_occupancy`.
    step
        Steps `(T,)` above 0; directions are not normalised.
    regression_steps, batch
        At least 1; the theorem takes both, and T, of order eps^-2.
    checkpoints
        `(K,)` outer iterations in [0, T), increasing.

    Returns
    -------
    Trace
        `theta` and `occupancy`, the regressed table Phi w, both (seeds, K, S, A).

    Raises
    ------
    ValueError
        An argument out of range, or a utility whose gradient is not finite at a regressed occupancy.

    Examples
    --------
    >>> from mdplab.models.utility import linear_utility
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = occupancy_regression_pg(mdp, linear_utility(mdp.r), np.ones((1, 2, 1)), horizon=8, step=np.ones(50),
    ...                               regression_steps=1, batch=4, checkpoints=np.array([49]),
    ...                               rng=np.random.default_rng(0))
    >>> bool(run["theta"][0, 0, 0, 0] > 1)
    True
    """
    (step,) = parts.check_schedule(step)
    checkpoints, seeds = check_checkpoints(checkpoints, step.size - 1), check_count("seeds", seeds)
    regression_steps, batch = check_count("regression_steps", regression_steps), check_count("batch", batch)
    model, flat, pair_cdf, beta = _regression(mdp, features, horizon, states, beta)
    objective, theta0 = parts.utility_arguments(utility, mdp), parts.check_logits("theta0", theta0, mdp)
    theta, lam = np.empty((2, seeds, checkpoints.size, theta0.size))
    for i, stream in enumerate(rng.spawn(seeds)):
        fault = np.zeros(3)
        iteration = kernels.regression_ascent(
            *model, *objective, theta0, pair_cdf, flat, beta, np.array([regression_steps]), batch, step, checkpoints,
            stream, theta[i], lam[i], fault,
        )  # fmt: skip
        if iteration >= 0:
            parts.raise_fault(utility, iteration, fault)
    shape = (seeds, checkpoints.size, mdp.S, mdp.A)
    return Trace(checkpoints, {"theta": theta.reshape(shape), "occupancy": lam.reshape(shape)})


def _regression(mdp, features, horizon, states, beta) -> tuple:
    model, features = parts.sampling_arguments(mdp, horizon), np.asarray(features, dtype=np.float64)
    if features.ndim != 3 or features.shape[:2] != mdp.r.shape:
        raise ValueError(f"features has shape {features.shape}; expected (S, A, m) with (S, A) = {mdp.r.shape}")
    check_array("features", features, features.shape)
    flat = np.ascontiguousarray(features.reshape(mdp.S * mdp.A, -1))
    largest = float((flat**2).sum(axis=1).max())
    if not 0 < largest < np.inf:
        raise ValueError(f"features have largest squared norm {largest}; expected a finite number above 0")
    beta = check_number("beta", 1 / (8 * largest) if beta is None else beta, above=True)
    law = np.full(mdp.S, 1 / mdp.S) if states is None else check_distribution("states", states, mdp.S)
    return model, flat, np.cumsum(np.repeat(law, mdp.A) / mdp.A), beta
