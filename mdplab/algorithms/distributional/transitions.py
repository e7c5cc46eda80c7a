"""What the temporal difference methods on laws share: transitions to draw from, steps, checkpoints, replicates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models import MDP, Outcomes


@dataclass(frozen=True, eq=False, slots=True)
class Transitions:
    """Transitions of a policy: those of state s are `ptr[s]:ptr[s + 1]`, with cumulative probabilities in each state.

    Parameters
    ----------
    ptr : int array (S + 1,)
    next_state, reward, cdf : array (n,)
    terminal : bool array (S,)
    restart : array (S,) or (0,)
        Cumulative law of first states; empty where no path is followed.
    gamma : float
    """

    ptr: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    cdf: np.ndarray
    terminal: np.ndarray
    restart: np.ndarray
    gamma: float

    @classmethod
    def of(cls, mdp: MDP, policy: Any, outcomes: Outcomes | None, trajectory: bool) -> "Transitions":
        """The transitions of a policy `(S,)` of actions or `(S, A)` of probabilities.

        Raises
        ------
        ValueError
            gamma is 1, a horizon, a policy that is none, outcomes of other sizes, or a path without `mdp.mu`.
        """
        if mdp.horizon is not None or mdp.gamma >= 1:
            raise ValueError(f"mdp has gamma {mdp.gamma:g}, horizon {mdp.horizon}; it must be discounted, without one")
        out, pi = Outcomes.of(mdp) if outcomes is None else outcomes, _probabilities(mdp, policy)
        if (out.S, out.A) != (mdp.S, mdp.A):
            raise ValueError(f"outcomes have S={out.S}, A={out.A}; the model has S={mdp.S}, A={mdp.A}")
        if trajectory and mdp.mu is None:
            raise ValueError("trajectory=True follows paths, and mdp has no mu to start them from")
        weight = np.repeat(pi.ravel(), np.diff(out.indptr)) * out.prob
        state = out.row_of() // mdp.A
        kept = weight > 0
        weight, state = weight[kept], state[kept]
        ptr = np.append(0, np.cumsum(np.bincount(state, minlength=mdp.S)))
        total = np.cumsum(weight)
        before = np.append(0.0, total)[ptr[:-1]]
        restart = np.cumsum(mdp.mu) if trajectory else np.empty(0)
        cdf = total - before[state]
        return cls(ptr, out.next_state[kept], out.reward[kept], cdf, np.array(mdp.terminal), restart, mdp.gamma)

    @property
    def S(self) -> int:
        """Number of states."""
        return len(self.ptr) - 1


def robbins_monro(num: int, *, scale: float, power: float, delay: float = 0.0) -> np.ndarray:
    """Steps `scale / (1 + k + delay)^power`, k = 0, ..., num - 1; of infinite sum and finite sum of squares for power
    in (1/2, 1].

    Examples
    --------
    >>> robbins_monro(3, scale=2.0, power=1.0, delay=1.0).tolist()
    [1.0, 0.6666666666666666, 0.5]
    """
    if num < 1:
        raise ValueError(f"num is {num}; expected at least 1")
    for name, value, least in (("scale", scale, 0.0), ("power", power, -np.inf), ("delay", delay, -1.0)):
        if not least < value < np.inf:
            raise ValueError(f"{name} is {value!r}; expected a finite number above {least:g}")
    return scale / (1 + np.arange(num) + delay) ** power


def checked_steps(steps: Any, most: float = np.inf) -> np.ndarray:
    """Steps (N,), N >= 1, in (0, most]; ValueError names the first that is not."""
    steps = np.array(steps, dtype=np.float64)
    if steps.ndim != 1 or steps.size == 0:
        raise ValueError(f"steps has shape {steps.shape}; expected (N,), one step an update")
    bad = np.flatnonzero(~(np.isfinite(steps) & (steps > 0) & (steps <= most)))
    if bad.size:
        raise ValueError(f"steps[{bad[0]}] is {steps[bad[0]]:g}; expected a finite number in (0, {most:g}]")
    return steps


def checked_checkpoints(checkpoints: Sequence[int] | None, num: int) -> np.ndarray:
    """Increasing numbers of iterations in [0, num]; by default the last one."""
    given = np.array([num] if checkpoints is None else checkpoints)
    if given.ndim != 1 or given.size == 0 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"checkpoints is {given.tolist()}; expected a list of integers")
    if given[0] < 0 or given[-1] > num or np.any(np.diff(given) <= 0):
        raise ValueError(f"checkpoints is {given.tolist()}; expected strictly increasing in [0, {num}]")
    return given.astype(np.int64)


def replicates(rng: np.random.Generator, seeds: int) -> Iterator[np.random.Generator]:
    """Generators of `seeds` independent replicates, each keyed by draws of `rng`."""
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; expected at least 1")
    for key in rng.integers(2**63, size=(seeds, 4)):
        yield np.random.default_rng(key)


def _probabilities(mdp: MDP, policy: Any) -> np.ndarray:
    """The policy as probabilities (S, A); ValueError names the entry that is none."""
    pi, S, A = np.asarray(policy), mdp.S, mdp.A
    if pi.shape == (S,) and np.issubdtype(pi.dtype, np.integer):
        bad = np.flatnonzero((pi < 0) | (pi >= A))
        if bad.size:
            raise ValueError(f"policy[{bad[0]}] is {pi[bad[0]]}; actions are 0 to {A - 1}")
        pi = np.eye(A)[pi]
    if pi.shape != (S, A):
        raise ValueError(f"policy has shape {pi.shape} and dtype {pi.dtype}; expected ({S},) integers or ({S}, {A})")
    pi = pi.astype(np.float64)
    wrong = np.argwhere(~(np.isfinite(pi) & (pi >= 0)) | ((pi > 0) & ~mdp.actions))
    if wrong.size:
        s, a = wrong[0]
        raise ValueError(f"policy[{s}, {a}] is {pi[s, a]:g}; not a probability of an available action")
    bad = np.flatnonzero(np.abs(pi.sum(axis=1) - 1) > 1e-8)
    if bad.size:
        raise ValueError(f"policy[{bad[0]}] sums to {pi[bad[0]].sum():.12g}, not 1")
    return pi
