r"""Policy gradients for expected conditional risk measures from samples: with log barrier, projected, inexact natural.

The exact methods of `mdplab.algorithms.policy_gradient.ecrm` with estimates on the augmented MDP, in which the level
that was chosen is part of the state; costs of a step are known once state, action and level are.

| method | what is estimated | from |
|---|---|---|
| `sampled_barrier` | gradient in the logits, GPOMDP; the barrier's is known | a batch of trajectories |
| `sampled_projected` | gradient in the probabilities, sum_t G_t e_(s,a)_t / pi(a_t, s_t) | a batch of trajectories |
| `sampled_natural` | costs to go Q_tau of every pair | a batch of rollouts from each pair (generative model) |

G_t = sum_{h >= t} gamma^h cost_h, in absolute time. A projected policy loses actions, whose gradients could then not be
estimated: what is played is pi = (1 - mixing) p + mixing / M, and the objective is that of pi. Rollouts of H steps miss
at most gamma^H times the largest cost to go.

Source: Yu and Ying 2023, arXiv:2301.10932 (abstracts read: REINFORCE and actor-critic variants, inexact natural policy
gradient); estimators and their instantiation are ours.
"""

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_number
from mdplab.algorithms.policy_gradient.batches import check_batches, run_seeds
from mdplab.algorithms.policy_gradient.general_utility import sampling_arguments
from mdplab.instances.ecrm import EcrmProblem
from mdplab.kernels import sampled_ascent
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Trace


def sampled_barrier(
    problem: EcrmProblem,
    *,
    barrier: float,
    step: float,
    horizon: int,
    batch: int,
    num_iters: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    mu: np.ndarray | None = None,
) -> Trace:
    """Stochastic gradient descent in the logits of objective - barrier / (N M) sum log p, from uniform policies.

    Parameters
    ----------
    problem
        Costs, transitions and risk.
    barrier : float >= 0
    step : float > 0
    horizon, batch : int >= 1
        Steps of a trajectory of the augmented MDP, and trajectories an iteration.
    num_iters : int >= 1
        Updates.
    checkpoints : int array (K,)
        Numbers of updates in [0, num_iters], increasing.
    rng
        One generator is spawned from it for each run.
    seeds : int >= 1
        Independent runs.
    mu : array (S + S E,), optional
        Distribution of the first augmented state; by default first-step states by rho.

    Returns
    -------
    Trace
        `policy` (seeds, K, S + S E, A E), and `objective` (seeds, K), the mean cost of the batch drawn there; nan after
        an update with numbers that are not finite, of which the status tells.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = sampled_barrier(problem, barrier=0.0, step=1.0, horizon=8, batch=8, num_iters=60,
    ...                       checkpoints=np.array([0, 60]), rng=np.random.default_rng(0))
    >>> bool(run["objective"][0, 1] < 0.5 * run["objective"][0, 0])
    True
    """
    barrier, step = check_number("barrier", barrier), check_number("step", step, above=True)
    batch, num_iters, kept = check_batches(batch, num_iters, checkpoints)
    mdp, model = _augmented(problem, mu, horizon)
    # A shortfall without limit makes every step the cap.
    rule = (np.inf, 1.0, step, 0.0, barrier / mdp.r.size)
    how = (*model, np.zeros(mdp.r.size), *rule, batch, num_iters)
    run = run_seeds(sampled_ascent.ascend, how, kept, rng, seeds, theta=mdp.r.shape, value=(), step=())
    return Trace(kept, {"policy": softmax(run["theta"]), "objective": -run["value"]}, run.status)


def sampled_projected(
    problem: EcrmProblem,
    *,
    step: float,
    mixing: float,
    horizon: int,
    batch: int,
    num_iters: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    mu: np.ndarray | None = None,
) -> Trace:
    """Stochastic projected gradients, from uniform policies; other parameters, result and errors: `sampled_barrier`.

    Parameters
    ----------
    mixing : float in (0, 1)
        Share of uniform actions in what is played; the trace's `policy` is p, without them.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = sampled_projected(problem, step=0.05, mixing=0.1, horizon=8, batch=8, num_iters=60,
    ...                         checkpoints=np.array([0, 60]), rng=np.random.default_rng(0))
    >>> bool(run["objective"][0, 1] < 0.5 * run["objective"][0, 0])
    True
    """
    step, mixing = check_number("step", step, above=True), check_number("mixing", mixing, -np.inf)
    if not 0 < mixing < 1:
        raise ValueError(f"mixing is {mixing}; expected in (0, 1)")
    batch, num_iters, kept = check_batches(batch, num_iters, checkpoints)
    mdp, model = _augmented(problem, mu, horizon)
    how = (*model, np.full(mdp.r.size, 1 / mdp.A), step, mixing, batch, num_iters)
    run = run_seeds(sampled_ascent.ascend_projected, how, kept, rng, seeds, policy=mdp.r.shape, value=())
    return Trace(kept, {"policy": run["policy"], "objective": -run["value"]}, run.status)


def sampled_natural(
    problem: EcrmProblem,
    *,
    tau: float,
    step: float,
    horizon: int,
    batch: int,
    num_iters: int,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    shrink: float | None = None,
    critic_tau: float | None = None,
) -> Trace:
    """Inexact natural gradient: p <- p^shrink exp(-step Q_hat / (1 - gamma)) with Q_hat from rollouts, from uniform.

    Parameters
    ----------
    tau : float >= 0
        Weight of the entropy.
    step : float > 0
        The theory allows at most (1 - gamma) / tau.
    horizon, batch : int >= 1
        Steps of a rollout, the first included, and rollouts of each pair of augmented state and action.
    problem, num_iters, checkpoints, rng, seeds
        As in `sampled_barrier`.
    shrink, critic_tau : float, optional
        The method has the defaults 1 - step tau / (1 - gamma) and tau. For ablations: the exponent of p, and the weight
        of the entropy in the rollouts.

    Returns
    -------
    Trace
        `policy` and `q` (seeds, K, S + S E, A E): p and the critic's costs to go of p.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = sampled_natural(problem, tau=0.0, step=2.0, horizon=10, batch=4, num_iters=20, checkpoints=np.array([20]),
    ...                       rng=np.random.default_rng(0))
    >>> bool(run["policy"][0, 0, 0].reshape(2, 2)[0].sum() > 0.999)  # the action without cost
    True
    """
    tau, step = check_number("tau", tau), check_number("step", step, above=True)
    critic_tau = tau if critic_tau is None else check_number("critic_tau", critic_tau)
    batch, num_iters, kept = check_batches(batch, num_iters, checkpoints)
    mdp, model = _augmented(problem, None, horizon)
    pull = step / (1 - problem.gamma)
    shrink = 1 - pull * tau if shrink is None else check_number("shrink", shrink, -np.inf)
    how = (*model[1:], np.zeros(mdp.r.size), shrink, pull, critic_tau, batch, num_iters)
    run = run_seeds(sampled_ascent.natural, how, kept, rng, seeds, log_policy=mdp.r.shape, q=mdp.r.shape)
    return Trace(kept, {"policy": np.exp(run["log_policy"]), "q": -run["q"]}, run.status)


def _augmented(problem: EcrmProblem, mu: np.ndarray | None, horizon: int) -> tuple[MDP, tuple]:
    """The augmented MDP, and it with its rewards (n,) as kernels read them."""
    mdp = problem.augmented(mu)
    return mdp, (*sampling_arguments(mdp, horizon), mdp.r.reshape(-1))
