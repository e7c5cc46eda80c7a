r"""NORA with a finite class of critics: confidence sets from excess losses, the most optimistic member, rare switches.

With L_h(g, f') = sum over the data of stage h of (g(s, a) - r - max_a' f'(s', a'))^2, a critic f is kept while

    L_h(f_h, f_{h+1}) - min_{g in G_h} L_h(g, f_{h+1}) < 5 beta     for all h,

and the next one maximises max_a f_1(s_1, a) among those whose excess is at most beta. The actor is that of `nora`.

Source: Tan, Fan, Wei (2025; arXiv:2505.03710), abstract only; this form and the factor 5 are from memory and our
specification, 2.3 and 2.5. Cost of an episode: O(H M), M auxiliary functions; of a switch: O(N M H S A).
"""

from typing import Any

import numpy as np

from mdplab.algorithms.actor_critic.nora import first_state, recorded
from mdplab.instances.episodic import FiniteClass
from mdplab.kernels.actor_critic import FITTED, OPTIMISTIC, PESSIMISTIC, finite_class_run
from mdplab.models import Trace

CHOICES = {"optimistic": OPTIMISTIC, "pessimistic": PESSIMISTIC, "fitted": FITTED}


def nora_finite_class(
    problem: FiniteClass,
    *,
    episodes: int,
    eta: float,
    beta: float,
    rng: np.random.Generator,
    choice: str = "optimistic",
    reset: bool = True,
    every_episode: bool = False,
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """Run NORA with a finite class, or one of its ablations, for some seeds on the one generator.

    Parameters
    ----------
    problem
        Which candidate is true plays no part but in the episodes drawn.
    episodes, eta, rng, reset, every_episode, checkpoints, seeds
        As for `nora`.
    beta : float > 0
        Excess loss up to which a critic is plausible.
    choice : {"optimistic", "pessimistic", "fitted"}
        Member of the confidence set: largest or smallest value at the start, or smallest excess loss.

    Returns
    -------
    Trace
        At the checkpoints: `policy` (seeds, K, H, S, A), `critic` (seeds, K) its index, `excess` (seeds, K, N) largest
        excess loss of each critic over the stages, when the present one was chosen, `age` and `switches` (seeds, K).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.instances.episodic import finite_class
    >>> problem = finite_class(6, rng=np.random.default_rng(1))
    >>> run = nora_finite_class(problem, episodes=400, eta=0.5, beta=0.5, rng=np.random.default_rng(0))
    >>> run["excess"].shape
    (1, 400, 6)
    """
    linear = problem.linear
    H, S, A, N = linear.horizon, linear.S, linear.A, len(problem.critics)
    if choice not in CHOICES:
        raise ValueError(f"choice is {choice!r}; expected one of {sorted(CHOICES)}")
    for name, value in (("eta", eta), ("beta", beta)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value:g}; expected a finite number above 0")
    if np.count_nonzero(np.diff(first_state(linear), prepend=0.0)) != 1:
        raise ValueError("problem.linear.start is not one state")
    t = recorded(episodes, checkpoints, seeds)
    out = {"policy": np.empty((seeds, t.size, H, S, A)), "critic": np.empty((seeds, t.size), dtype=np.int64)}
    out |= {"excess": np.empty((seeds, t.size, N))}
    out |= {name: np.empty((seeds, t.size), dtype=np.int64) for name in ("age", "switches")}
    backups = np.ascontiguousarray(np.moveaxis(problem.backups.reshape(N * N, H, S, A), 0, 3))
    cdf, rewards = np.cumsum(linear.kernels(), axis=3), linear.rewards()
    for i in range(seeds):
        finite_class_run(
            problem.critics,
            backups,
            rewards,
            cdf,
            int(np.argmax(linear.start)),
            float(eta),
            float(beta),
            CHOICES[choice],
            bool(reset),
            bool(every_episode),
            t,
            rng,
            *(out[name][i] for name in ("policy", "critic", "excess", "age", "switches")),
        )
    return Trace(t, out)
