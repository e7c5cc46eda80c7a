r"""NORA with tabular and linear critics, its hybrid forms, and optimistic natural policy gradients.

The critic is fitted backwards with a bonus and a maximum over actions, whatever the actor does,

    Q_h = min(r_h + E^ max_a Q_{h+1} + b_h, V_max),     b = bonus / sqrt(n)  or  bonus ||phi||_{Lambda^{-1}},

and kept until a count n_h(s, a), or a determinant det Lambda_h, has doubled. The actor then starts again from the
uniform policy and takes one mirror step pi_h ~ pi_h exp(eta Q_h) after each episode: n episodes after a reset it is
proportional to exp(eta n Q_h). Data are never thrown away.

Optimistic natural policy gradient is the instance of DOUHUA for these critics: in every episode the critic evaluates
the actor, with its bonus, and the actor takes a step; there are no resets.

Source: Tan, Fan, Wei (2025; arXiv:2505.03710), of which only the abstract was visible: rare switching, resets, the
target Q*, optimism and offline data are in it; the algorithms here are from memory and our specification, 2.3, and no
constant is the paper's. Cost of an episode: O(H S A), and of a refit O(H S^2 A) or O(H d (d + S A d)).
"""

from typing import Any

import numpy as np

from mdplab.kernels.actor_critic import LINEAR, TABULAR, actor_critic_run, sample_episodes
from mdplab.models import LinearMDP, OfflineData, Trace

CRITICS = {"tabular": TABULAR, "linear": LINEAR}


def nora(
    problem: LinearMDP,
    *,
    episodes: int,
    eta: float,
    bonus: float,
    rng: np.random.Generator,
    critic: str = "tabular",
    offline: OfflineData | None = None,
    optimistic: bool = True,
    v_max: float | None = None,
    ridge: float = 1.0,
    reset: bool = True,
    every_episode: bool = False,
    backup: str = "max",
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """Run NORA, or one of its ablations, for some seeds on the one generator.

    Parameters
    ----------
    problem
        With `start`; rewards and draws of episodes are used, and features by the linear critic.
    episodes : int >= 1
    eta : float > 0
        Step of the actor.
    bonus : float >= 0
        Weight of the bonus.
    rng
        Source of every draw.
    critic : {"tabular", "linear"}
    offline : OfflineData, optional
        Counted before the first episode (hybrid NORA).
    optimistic : bool
        Whether pairs never seen are worth `v_max` rather than 0 (tabular critic; the linear one has its bonus there).
    v_max : float > 0, optional
        Largest value; the horizon by default.
    ridge : float > 0
    reset : bool
        Whether the actor starts again at a refit.
    every_episode : bool
        Whether the critic is refitted after every episode.
    backup : {"max", "policy"}
        Next value of the critic: its maximum, or its mean under the actor as it is at the refit.
    checkpoints : array of ints, optional
        Episodes (K,), increasing, before which the run is recorded; all by default.
    seeds : int >= 1

    Returns
    -------
    Trace
        At the checkpoints: `policy` and `critic` (seeds, K, H, S, A), `age` (seeds, K) mirror steps since the last
        reset, `switches` (seeds, K) refits so far.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.instances.episodic import deep_sea_episodic
    >>> run = nora(deep_sea_episodic(4), episodes=300, eta=1.0, bonus=0.1, rng=np.random.default_rng(0))
    >>> bool(run["policy"][0, -1, 0, 0, 1] > 0.9)
    True
    """
    H, S, A = problem.horizon, problem.S, problem.A
    if critic not in CRITICS:
        raise ValueError(f"critic is {critic!r}; expected one of {sorted(CRITICS)}")
    if backup not in ("max", "policy"):
        raise ValueError(f"backup is {backup!r}; expected 'max' or 'policy'")
    v_max = float(H if v_max is None else v_max)
    for name, value, least in (("eta", eta, 0), ("v_max", v_max, 0), ("ridge", ridge, 0), ("bonus", bonus, None)):
        if not (np.isfinite(value) and (value >= 0 if least is None else value > 0)):
            raise ValueError(
                f"{name} is {value:g}; expected a finite number {'of at least' if least is None else 'above'} 0"
            )
    start = first_state(problem)
    states, actions = np.zeros((0, H + 1), dtype=np.int64), np.zeros((0, H), dtype=np.int64)
    if offline is not None:
        if (offline.horizon, offline.S, offline.A) != (H, S, A):
            raise ValueError(f"offline is {offline!r}; expected H, S, A = {H}, {S}, {A}")
        states, actions = offline.states, offline.actions
    t = recorded(episodes, checkpoints, seeds)
    out = {name: np.empty((seeds, t.size, H, S, A)) for name in ("policy", "critic")}
    out |= {name: np.empty((seeds, t.size), dtype=np.int64) for name in ("age", "switches")}
    cdf, rewards = np.cumsum(problem.kernels(), axis=3), problem.rewards()
    for i in range(seeds):
        actor_critic_run(
            CRITICS[critic],
            problem.phi,
            rewards,
            cdf,
            start,
            float(eta),
            float(bonus),
            v_max,
            float(ridge),
            bool(optimistic),
            bool(reset),
            bool(every_episode),
            backup == "policy",
            np.array(states),
            np.array(actions),
            t,
            rng,
            *(out[name][i] for name in ("policy", "critic", "age", "switches")),
        )
    return Trace(t, out)


def optimistic_npg(
    problem: LinearMDP, *, episodes: int, eta: float, bonus: float, rng: np.random.Generator, **options: Any
) -> Trace:
    """Optimistic natural policy gradient: evaluate the actor with a bonus after every episode, then one mirror step.

    Parameters
    ----------
    problem, episodes, eta, bonus, rng
        As for `nora`.
    **options
        Others of `nora` but `reset`, `every_episode` and `backup`.

    Returns
    -------
    Trace
        As `nora` returns it.

    Examples
    --------
    >>> from mdplab.instances.episodic import deep_sea_episodic
    >>> run = optimistic_npg(deep_sea_episodic(4), episodes=300, eta=0.5, bonus=0.1, rng=np.random.default_rng(0))
    >>> run["age"][0, -1].item()
    299
    """
    every = {"reset": False, "every_episode": True, "backup": "policy"}
    return nora(problem, episodes=episodes, eta=eta, bonus=bonus, rng=rng, **every, **options)


def collect(problem: LinearMDP, policy: np.ndarray, episodes: int, *, rng: np.random.Generator) -> OfflineData:
    """Episodes of a policy (H, S, A), as offline data.

    Raises
    ------
    ValueError
        A policy of another shape or that is none, or no episodes.

    Examples
    --------
    >>> from mdplab.instances.episodic import deep_sea_episodic
    >>> collect(deep_sea_episodic(3), np.full((3, 3, 2), 0.5), 10, rng=np.random.default_rng(0))
    OfflineData(N=10, H=3, S=3, A=2)
    """
    H, S, A = problem.horizon, problem.S, problem.A
    policy = np.asarray(policy, dtype=np.float64)
    # What a cumulative sum over few actions may be off by.
    if policy.shape != (H, S, A) or (policy < 0).any() or np.abs(policy.sum(axis=2) - 1).max() > 1e-8:
        raise ValueError(f"policy, of shape {policy.shape}, is no policy of shape {(H, S, A)}")
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; expected at least 1")
    states, actions = np.empty((episodes, H + 1), dtype=np.int64), np.empty((episodes, H), dtype=np.int64)
    cdf = np.cumsum(problem.kernels(), axis=3)
    sample_episodes(cdf, first_state(problem), np.cumsum(policy, axis=2), rng, states, actions)
    return OfflineData(states, actions, S, A)


def first_state(problem: LinearMDP) -> np.ndarray:
    """Cumulative distribution (S,) of the first state, or ValueError."""
    if problem.start is None:
        raise ValueError("problem has no start; episodes need a first state or its distribution")
    return np.cumsum(problem.start)


def recorded(episodes: int, checkpoints: Any, seeds: int) -> np.ndarray:
    """Episodes at which a run is recorded (K,), or ValueError."""
    for name, value in (("episodes", episodes), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    t = np.arange(episodes) if checkpoints is None else np.array(checkpoints, dtype=np.int64)
    if t.size == 0 or t[0] < 0 or t[-1] >= episodes or np.any(np.diff(t) <= 0):
        raise ValueError(f"checkpoints are {t.tolist()[:5]}...; expected increasing episodes in [0, {episodes})")
    return t
