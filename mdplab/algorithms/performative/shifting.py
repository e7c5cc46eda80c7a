r"""Retraining in an environment that shifts gradually: delayed, and delayed with mixed samples.

After each deployment of pi the environment moves a part of the way to what answers pi:

    (P_{t+1}, r_{t+1}) = (1 - w) (P_t, r_t) + w response(pi).

Where the response is a follower's policy that moves so, kernel and rewards do, because both are linear in it. Repeated
retraining (RR) takes the regularised optimum after every deployment; delayed repeated retraining (DRR) deploys a policy
k times and then takes the optimum of the last environment; mixed delayed repeated retraining (MDRR) takes that of a
mixture of the last k, deployment j = 1, ..., k with weight v^(j-1) (v - 1) / (v^k - 1), v > 1. All three rest exactly
where repeated optimisation rests: there (P, r) = response(pi), whatever w.

Source: Rank, Triantafyllou, Mandal, Radanovic 2024 (UAI), "Performative reinforcement learning in gradually shifting
environments", from its abstract and released code, in which MDRR draws on samples of all k deployments, as many as the
weights allow, and DRR on those of the last. Learners in the code play the Lagrangian game of `finite_samples`; here
they take the optimum of the exact or of the estimated model.
"""

import numpy as np

from mdplab.algorithms.performative.repeated import count, first_occupancy, positive
from mdplab.algorithms.performative.sampling import Counts, trajectory_counts
from mdplab.kernels.occupancy import project_flow
from mdplab.models import Trace
from mdplab.models.performative import PerformativeMDP


def mixing_weights(k: int, v: float) -> np.ndarray:
    """Weights (k,) of deployments 1, ..., k, oldest first, proportional to v^(j-1); v = 1 for equal ones.

    Examples
    --------
    >>> mixing_weights(3, 2.0).round(6).tolist()
    [0.142857, 0.285714, 0.571429]
    """
    # Divided by the largest, so that a large v overflows nothing.
    weights = positive("v", v) ** np.arange(1 - count("k", k), 1.0)
    return weights / weights.sum()


def delayed_retraining(
    problem: PerformativeMDP,
    lam: float,
    *,
    w: float,
    k: int,
    num_retrainings: int,
    start: np.ndarray | None = None,
    num_trajectories: int | None = None,
    length: int = 50,
    rng: np.random.Generator | None = None,
) -> Trace:
    """Retrain on the last of every k deployments; k = 1 is repeated retraining.

    Parameters
    ----------
    problem, lam, start
        As in `repeated_optimization`. The first environment is the one that answers the start for ever.
    w
        Part of the way that the environment moves with each deployment, in (0, 1].
    k
        Deployments between retrainings, at least 1.
    num_retrainings
        At least 0.
    num_trajectories, length
        Trajectories of the deployment that is learned from, each at most `length` long. None: the environment is known.
    rng
        Required with `num_trajectories`.

    Returns
    -------
    Trace
        `t` counts retrainings; `d` (T + 1, S, A), the start first; `deployments` (T + 1,) made so far.

    Raises
    ------
    ValueError
        As `repeated_optimization`; w or k out of range; samples without a generator.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> crowded = PerformativeMDP(base, lambda pi: (base.P, base.r - pi))
    >>> run = delayed_retraining(crowded, 2.0, w=0.2, k=3, num_retrainings=60)
    >>> run["d"][-1].round(9).tolist(), int(run["deployments"][-1])
    ([[1.2, 0.8]], 180)
    """
    last = np.zeros(count("k", k))
    last[-1] = 1.0
    return _retrain(problem, lam, w, last, num_retrainings, start, num_trajectories, length, rng)


def mixed_delayed_retraining(
    problem: PerformativeMDP,
    lam: float,
    *,
    w: float,
    k: int,
    v: float,
    num_retrainings: int,
    start: np.ndarray | None = None,
    num_trajectories: int | None = None,
    length: int = 50,
    rng: np.random.Generator | None = None,
) -> Trace:
    """Retrain after every k deployments on all of them, the newest weighing most.

    Parameters
    ----------
    problem, lam, w, k, num_retrainings, start, length, rng
        As in `delayed_retraining`.
    v
        Ratio of the weights of successive deployments, above 0; above 1 the newest weighs most.
    num_trajectories
        Trajectories of each deployment. The heaviest gives all, the others in proportion to their weight. None: the
        mixture of the k environments is known.

    Returns
    -------
    Trace
        As `delayed_retraining`.

    Raises
    ------
    ValueError
        As there.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> crowded = PerformativeMDP(base, lambda pi: (base.P, base.r - pi))
    >>> mixed_delayed_retraining(crowded, 2.0, w=0.2, k=3, v=1.5, num_retrainings=60)["d"][-1].round(9).tolist()
    [[1.2, 0.8]]
    """
    return _retrain(problem, lam, w, mixing_weights(k, v), num_retrainings, start, num_trajectories, length, rng)


def _retrain(problem, lam, w, weights, num_retrainings, start, number, length, rng) -> Trace:
    weight, rounds = positive("lam", lam), count("num_retrainings", num_retrainings, 0)
    if not 0 < w <= 1:
        raise ValueError(f"w is {w}; expected in (0, 1]")
    if number is not None and rng is None:
        raise ValueError("rng is None; trajectories need a generator")
    d, h = first_occupancy(problem, start), None
    P, r = problem.respond(problem.policy_of(d), round=0)
    visited = [d]
    for t in range(rounds):
        policy = problem.policy_of(d)
        answer = problem.respond(policy, round=t)
        models, samples = [], []
        for share in weights:
            P, r = (1 - w) * P + w * answer[0], (1 - w) * r + w * answer[1]
            if share > 0 and number is None:
                models.append((share * P, share * r))
            elif share > 0:
                drawn = int(np.ceil(count("num_trajectories", number) * share / weights.max()))
                now = problem.base.replace(P=P, r=r)
                samples.append(trajectory_counts(now, policy, drawn, length=count("length", length), rng=rng))
        known = _learned(models, samples, P.shape)
        found = project_flow(
            known[0], problem.mu, problem.gamma, known[1] / weight, available=problem.available, start=h
        )
        d, h = found.d, found.h
        visited.append(d)
    steps = np.arange(rounds + 1)
    return Trace(steps, {"d": np.array(visited), "deployments": weights.size * steps})


def _learned(models: list, samples: list[Counts], shape: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The mixture of known environments, or the model of pooled samples; an unseen pair leads anywhere and earns 0."""
    if models:
        return sum(P for P, _ in models), sum(r for _, r in models)
    seen = sum(samples[1:], samples[0])
    return seen.model(np.full(shape, 1 / shape[0]), np.zeros(shape[:2]))
