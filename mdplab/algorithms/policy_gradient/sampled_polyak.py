r"""Polyak's step size where values and gradients are estimated from batches of trajectories, as the paper has it.

    V_k = mean return,  g_k = mean GPOMDP gradient of the same batch,  drawn at theta_k
    theta_{k+1} = theta_k + min{(V* - V_k)_+ / (c ||g_k||^2), cap} g_k

Where a policy is nearly deterministic its scores, and with them g_k, nearly vanish, while V* - V_k keeps the noise of
the transitions: steps then have no scale but the cap gamma_b. An entropy bonus keeps policies inside; each reward is
r - tau log pi(a | s) with pi as drawn, whose GPOMDP gradient is unbiased for the regularised return because
E score = 0, and V* is then that of the regularised problem.

Twins: two models, of which the one with the worse estimate steps towards the better one's. This rule is from memory,
an option of ours and not the paper's algorithm as read; with known V* use `sampled_polyak`.

Source: Li et al. 2024, arXiv:2404.07525 (abstract and a restatement read).
"""

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_indices, check_number
from mdplab.algorithms.policy_gradient.batches import check_batches, run_seeds
from mdplab.algorithms.policy_gradient.general_utility import check_logits, sampling_arguments
from mdplab.kernels import sampled_ascent
from mdplab.models import MDP, Trace


def sampled_polyak(
    mdp: MDP,
    *,
    best: float,
    horizon: int,
    batch: int,
    num_iters: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    c: float = 1.0,
    cap: float = np.inf,
    tau: float = 0.0,
    theta0: np.ndarray | None = None,
) -> Trace:
    """Run the method with tabular softmax policies.

    Parameters
    ----------
    mdp
        With a start distribution and every action available; a reward is its mean over successors.
    best : float
        V*, or what is believed of it; with `tau` the regularised optimum. With inf every step is `cap`, which is then
        to be finite: policy gradient with a constant step.
    horizon, batch : int >= 1
        Steps of a trajectory, and trajectories an iteration.
    num_iters : int >= 1
        Steps of the method.
    checkpoints : int array (K,)
        Numbers of steps in [0, num_iters], increasing.
    rng
        One generator is spawned from it for each run.
    seeds : int >= 1
        Independent runs.
    c, cap : float > 0
        Divisor of the step, and the largest step gamma_b.
    tau : float >= 0
        Weight of the entropy.
    theta0 : array (S, A), optional
        First logits; 0 by default.

    Returns
    -------
    Trace
        `theta` (seeds, K, S, A), and `value`, `step` (seeds, K): the estimate at theta and the step taken there. Its
        status says if logits stopped being finite; that run's checkpoints after that are nan.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = sampled_polyak(mdp, best=2.0, horizon=20, batch=4, num_iters=30, checkpoints=np.array([30]), cap=10.0,
    ...                      rng=np.random.default_rng(0))
    >>> bool(run["value"][0, 0] > 1.9)
    True
    """
    c, cap = _check_rule(c, cap)
    if best != np.inf:
        best = check_number("best", best, -np.inf)
    elif cap == np.inf:
        raise ValueError(f"best is {best}; expected finite, or inf with a finite cap")
    tau, (batch, num_iters, kept) = check_number("tau", tau), check_batches(batch, num_iters, checkpoints)
    model, start = sampling_arguments(mdp, horizon), check_logits("theta0", theta0, mdp)
    how = (*model, mdp.r.reshape(-1), start, float(best), c, cap, tau, 0.0, batch, num_iters)
    return run_seeds(sampled_ascent.ascend, how, kept, rng, seeds, theta=mdp.r.shape, value=(), step=())


def sampled_twins(
    mdp: MDP,
    starts: tuple[np.ndarray, np.ndarray],
    *,
    horizon: int,
    batch: int,
    num_iters: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    c: float = 1.0,
    cap: float = np.inf,
    tau: float = 0.0,
) -> Trace:
    """The twins (from memory, an option): estimates of both each iteration, a step of the one that looks worse.

    Parameters
    ----------
    starts : pair of arrays (S, A)
        First logits of both.
    mdp, horizon, batch, num_iters, checkpoints, rng, seeds, c, cap, tau
        As in `sampled_polyak`; an iteration draws `batch` trajectories of each model.

    Returns
    -------
    Trace
        `theta` (seeds, K, 2, S, A) and `value` (seeds, K, 2), estimates.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> starts = (np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    >>> run = sampled_twins(mdp, starts, horizon=20, batch=1, num_iters=200, checkpoints=np.array([200]), cap=10.0,
    ...                     rng=np.random.default_rng(0))
    >>> run["theta"].shape
    (1, 1, 2, 1, 2)
    """
    c, cap = _check_rule(c, cap)
    tau, (batch, num_iters, kept) = check_number("tau", tau), check_batches(batch, num_iters, checkpoints)
    if len(starts) != 2:
        raise ValueError(f"starts has {len(starts)} entries; expected 2")
    pair = np.array([check_array(f"starts[{i}]", x, mdp.r.shape).ravel() for i, x in enumerate(starts)])
    how = (*sampling_arguments(mdp, horizon), mdp.r.reshape(-1), pair, c, cap, tau, batch, num_iters)
    return run_seeds(sampled_ascent.twins, how, kept, rng, seeds, theta=(2, *mdp.r.shape), value=(2,))


def path_estimates(
    mdp: MDP, log_pi: np.ndarray, paths: np.ndarray, *, tau: float = 0.0, direct: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """What the compiled runs make of given trajectories: returns (N,) and gradient estimates (N, S, A).

    Parameters
    ----------
    log_pi : array (S, A)
        Logits of the policy.
    paths : int array (N, H)
        Pairs s * A + a of every step.
    tau : float >= 0
        Weight of the entropy.
    direct : bool
        Gradient in the probabilities in place of the logits.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> value, gradient = path_estimates(mdp, np.zeros((1, 2)), np.array([[0, 0], [1, 0]]))
    >>> value.tolist(), gradient[0].tolist()
    ([1.5, 0.5], [[1.0, -1.0]])
    """
    if np.ndim(paths) != 2:
        raise ValueError(f"paths has shape {np.shape(paths)}; expected (N, H)")
    paths = np.ascontiguousarray(check_indices("paths", paths, mdp.r.size))
    check_number("tau", tau)
    model, theta = sampling_arguments(mdp, paths.shape[1]), check_array("log_pi", log_pi, mdp.r.shape).ravel()
    log, pi, gain = np.empty((3, theta.size))
    sampled_ascent.soften(theta, mdp.A, mdp.r.reshape(-1), float(tau), log, pi, gain)
    value, gradient = np.empty(len(paths)), np.zeros((len(paths), theta.size))
    sampled_ascent.estimates(paths, model[-1], mdp.A, pi, gain, bool(direct), value, gradient)
    return value, gradient.reshape(-1, *mdp.r.shape)


def _check_rule(c: float, cap: float) -> tuple[float, float]:
    if cap != np.inf:
        cap = check_number("cap", cap, above=True)
    return check_number("c", c, above=True), float(cap)
