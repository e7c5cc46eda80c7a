r"""Two atoms for each return law: its lower and its upper tail mean, and the robust chain on substates behind them.

Every state is split in a worst and a best substate, of mass alpha and 1 - alpha, with values low and high. One step of
distributional evaluation forms the law of r + gamma (low or high of the next state), with alpha and 1 - alpha in place
of the two, and gives low the mean of its lowest alpha of mass, high the mean of the rest; an atom that straddles alpha
is split. Read robustly: the row of the worst substate minimises over {q : 0 <= q <= w / alpha, sum q = 1}, w the row of
the augmented chain, and the best substate gets what remains. Control does so among the actions that are optimal in the
mean: the safe one has the larger low, the risky one the larger high.

Source: Achab, Neu 2021, "Robustness and risk management via distributional dynamic programming" (arXiv:2112.15430),
from the abstract; the operator and its properties are derived. Cost: a sort of 2 S numbers for each row.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.models import MDP


@dataclass(frozen=True, eq=False, slots=True)
class Substates:
    """Values of substates, and the augmented chain of the step that made them.

    Parameters
    ----------
    low, high : array (S,)
        Values of worst and best substates.
    kernel : array (2 S, 2 S)
        Rows sum to 1; substate i S + s is the worst (i = 0) or the best (i = 1) of state s.
    reward : array (2 S,)
        Mean reward of the step from each substate.
    """

    low: np.ndarray
    high: np.ndarray
    kernel: np.ndarray
    reward: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class SubstateRun:
    """Every iterate, and the last step's chain.

    Parameters
    ----------
    low, high : array (num_iters + 1, S)
        Iterates, the start first.
    last : Substates
        The last step.
    policy : array (S, A)
        The policy that was evaluated, or the last choice of control.
    """

    low: np.ndarray
    high: np.ndarray
    last: Substates
    policy: np.ndarray


def substate_step(mdp: MDP, pi: np.ndarray, alpha: float, low: np.ndarray, high: np.ndarray) -> Substates:
    """One evaluation step of a policy.

    Parameters
    ----------
    mdp
        Discounted.
    pi : array (S, A)
        Probabilities. Randomness of the action counts as randomness of the return.
    alpha : float in (0, 1)
        Mass of worst substates.
    low, high : array (S,)
        Values of the substates before.

    Raises
    ------
    ValueError
        alpha outside (0, 1), or a policy of another shape.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> step = substate_step(mdp, np.ones((2, 1)), 0.25, np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    >>> step.low.tolist(), step.high.round(12).tolist()
    ([0.0, 2.0], [0.666666666667, 2.0])
    """
    pi = np.asarray(pi, dtype=np.float64)
    if pi.shape != (mdp.S, mdp.A):
        raise ValueError(f"pi has shape {pi.shape}, expected {(mdp.S, mdp.A)}")
    z, w = _atoms(mdp, alpha, low, high)
    flat_w = pi[:, :, None, None] * w
    q = _lowest(z.reshape(mdp.S, -1), flat_w.reshape(mdp.S, -1), alpha).reshape(z.shape)
    rows = np.stack([q / alpha, (flat_w - q) / (1 - alpha)])
    values = np.einsum("ksajt,sajt->ks", rows, z)
    reward = np.einsum("ksajt,sat->ks", rows, _rewards(mdp))
    kernel = rows.sum(axis=2).reshape(2 * mdp.S, 2 * mdp.S)
    return Substates(values[0], values[1], kernel, reward.ravel())


def substate_evaluation(
    mdp: MDP,
    pi: np.ndarray,
    alpha: float,
    *,
    num_iters: int,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> SubstateRun:
    """Iterate `substate_step`; starts at 0 unless `low` and `high` (S,) are given.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> run = substate_evaluation(mdp, np.ones((2, 1)), 0.5, num_iters=60)
    >>> run.low[-1].round(6).tolist(), run.high[-1].round(6).tolist()
    ([0.333333, 2.0], [1.0, 2.0])
    """
    lows, highs = [_start(mdp, low)], [_start(mdp, high)]
    step = None
    for _ in range(_at_least_one(num_iters)):
        step = substate_step(mdp, pi, alpha, lows[-1], highs[-1])
        lows.append(step.low)
        highs.append(step.high)
    return SubstateRun(np.array(lows), np.array(highs), step, np.asarray(pi, dtype=np.float64))


def substate_control(
    mdp: MDP, alpha: float, *, attitude: str, num_iters: int, tie: float = 1e-9, everywhere: bool = False
) -> SubstateRun:
    """Control that is optimal in the mean, and safe or risky among optimal actions.

    Parameters
    ----------
    mdp
        Discounted.
    alpha : float in (0, 1)
        Mass of worst substates.
    attitude : {"safe", "risky"}
        Which of the actions optimal in the mean: the largest low, or the largest high.
    num_iters : int >= 1
        Steps from 0.
    tie : float >= 0
        Actions whose mean, alpha low + (1 - alpha) high, is this close to the best count as optimal. Once the means
        are closer to Q* than half of this and the gaps are larger, they are exactly the optimal ones.
    everywhere : bool
        Ablation: choose among all actions, whatever their mean.

    Examples
    --------
    >>> P = np.zeros((4, 2, 4))
    >>> P[0, 0, 1], P[0, 1, 2:], P[1:, :, 1:] = 1.0, 0.5, np.eye(3)[:, None]
    >>> mdp = MDP(P, [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]], 0.5)
    >>> [substate_control(mdp, 0.5, attitude=one, num_iters=50).policy[0].tolist() for one in ("safe", "risky")]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if attitude not in ("safe", "risky"):
        raise ValueError(f"attitude is {attitude!r}; expected 'safe' or 'risky'")
    states = np.arange(mdp.S)
    lows, highs = [np.zeros(mdp.S)], [np.zeros(mdp.S)]
    policy = np.zeros((mdp.S, mdp.A))
    for _ in range(_at_least_one(num_iters)):
        z, w = _atoms(mdp, alpha, lows[-1], highs[-1])
        z, w = z.reshape(mdp.S, mdp.A, -1), w.reshape(mdp.S, mdp.A, -1)
        q = _lowest(z, w, alpha)
        low, high = (q * z).sum(axis=2) / alpha, ((w - q) * z).sum(axis=2) / (1 - alpha)
        mean = np.where(mdp.actions, alpha * low + (1 - alpha) * high, -np.inf)
        allowed = mdp.actions if everywhere else mean >= mean.max(axis=1, keepdims=True) - tie
        choice = np.where(allowed, low if attitude == "safe" else high, -np.inf).argmax(axis=1)
        lows.append(low[states, choice])
        highs.append(high[states, choice])
    policy[states, choice] = 1.0
    return SubstateRun(np.array(lows), np.array(highs), substate_step(mdp, policy, alpha, lows[-2], highs[-2]), policy)


def _rewards(mdp: MDP) -> np.ndarray:
    """Rewards (S, A, S) by next state."""
    one = mdp.dense()
    return np.broadcast_to(one.r[:, :, None], one.P.shape) if one.r_next is None else one.r_next


def _atoms(mdp: MDP, alpha: float, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms r + gamma theta and their masses for each action, (S, A, 2, S)."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; expected strictly between 0 and 1")
    z = _rewards(mdp)[:, :, None, :] + mdp.gamma * np.stack([low, high])
    w = mdp.dense().P[:, :, None, :] * np.array([alpha, 1 - alpha])[:, None]
    return z, w


def _lowest(z: np.ndarray, w: np.ndarray, alpha: float) -> np.ndarray:
    """The part of w (..., n) that makes up the lowest alpha of mass, by increasing z; the last atom is split."""
    order = np.argsort(z, axis=-1, kind="stable")
    mass = np.take_along_axis(w, order, axis=-1)
    before = np.cumsum(mass, axis=-1) - mass
    q = np.empty_like(w)
    np.put_along_axis(q, order, np.clip(alpha - before, 0.0, mass), axis=-1)
    return q


def _start(mdp: MDP, values: np.ndarray | None) -> np.ndarray:
    return np.zeros(mdp.S) if values is None else np.asarray(values, dtype=np.float64)


def _at_least_one(num_iters: int) -> int:
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; expected at least 1")
    return num_iters
