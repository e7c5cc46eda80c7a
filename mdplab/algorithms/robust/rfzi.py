r"""Robust fitted Z-iteration (RFZI), tabular, in logarithms; and Z-iteration with the true model.

With Z(s, a) = E exp(-beta V(s')) the soft-robust optimality equation is

    Z(s, a) = E_{s'} exp(-beta max_a' [r(s', a') - (gamma / beta) log Z(s', a')]),   Q = r - (gamma / beta) log Z

and in the tabular class least squares is averaging over the observed successors. beta V reaches 500 where rewards are
of size 10, hence log Z throughout. The operator on log Z is a gamma-contraction in the largest norm.

Source: Zhang, Hu, Li 2024 (ICLR 2024), section on offline learning; from memory. The authors' code has the penalty
undiscounted here and discounted in its dynamic programme; this is the latter, as the paper's equivalence has it.
Differs from the paper: a pair that the data never show has no estimate and is reported, not left at Z = 1, which would
say Q = r.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.soft_robust import check_entropic
from mdplab.models import MDP


@dataclass(frozen=True, eq=False, slots=True)
class Transitions:
    """Counts of observed transitions, (S, A, S) int64; rewards are known functions of state and action."""

    counts: np.ndarray

    @property
    def unvisited(self) -> np.ndarray:
        """Pairs that the data never show, (S, A) bool."""
        return self.counts.sum(axis=2) == 0

    @property
    def rows(self) -> np.ndarray:
        """Empirical rows (S, A, S); 0 for unvisited pairs."""
        return self.counts / np.maximum(self.counts.sum(axis=2, keepdims=True), 1)


def sample_transitions(mdp: MDP, n: int, *, rng: np.random.Generator) -> Transitions:
    """`n` independent transitions from pairs that are uniform over the available ones.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> int(sample_transitions(mdp, 10, rng=np.random.default_rng(0)).counts.sum())
    10
    """
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1")
    P = mdp.dense().P
    pairs = rng.multinomial(n, (mdp.actions / mdp.actions.sum()).ravel()).reshape(mdp.S, mdp.A)
    counts = np.zeros(P.shape, dtype=np.int64)
    for s, a in zip(*np.nonzero(pairs)):
        counts[s, a] = rng.multinomial(pairs[s, a], P[s, a] / P[s, a].sum())
    return Transitions(counts)


@dataclass(frozen=True, eq=False, slots=True)
class ZIteration:
    """What Z-iteration left.

    Parameters
    ----------
    q : array (S, A)
        r - (gamma / beta) log Z; -inf for unavailable and for unvisited pairs.
    policy : array (S,)
        Greedy actions, int64; -1 where no pair of the state was visited.
    unvisited : bool array (S, A)
        Available pairs without data.
    change : array (num_iters,)
        Largest change of log Z in each iteration.
    """

    q: np.ndarray
    policy: np.ndarray
    unvisited: np.ndarray
    change: np.ndarray


def log_z_operator(P: np.ndarray, r: np.ndarray, log_z: np.ndarray, *, gamma: float, beta: float) -> np.ndarray:
    """One application of the operator on log Z: rows P (S, A, S), r and log_z (S, A), result (S, A).

    Rewards of -inf mark pairs that may not be chosen. A state where none may has the value -inf; rows that lead there
    have log Z = inf.

    Examples
    --------
    >>> log_z_operator(np.ones((1, 1, 1)), np.ones((1, 1)), np.zeros((1, 1)), gamma=0.5, beta=2.0).tolist()
    [[-2.0]]
    """
    v = np.max(r - (gamma / beta) * log_z, axis=1)
    x = np.where(P > 0, -beta * v, -np.inf)
    top = x.max(axis=2)
    safe = np.where(np.isfinite(top), top, 0.0)
    total = np.where(P > 0, P * np.exp(np.minimum(x - safe[..., None], 0.0)), 0.0).sum(axis=2)
    with np.errstate(divide="ignore"):
        return np.where(np.isposinf(top), np.inf, safe + np.log(total))


def rfzi(mdp: MDP, data: Transitions, *, beta: float, num_iters: int) -> ZIteration:
    """Z-iteration with averages over data in place of expectations; of `mdp` it reads rewards, discount and actions.

    Parameters
    ----------
    mdp
        Discounted, rewards r(s, a).
    data
        Observed transitions.
    beta
        Risk aversion, above 0.
    num_iters
        Iterations, at least 1.

    Returns
    -------
    ZIteration
        Unvisited pairs are never chosen.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> data = Transitions(np.array([[[3, 1]], [[0, 4]]]))
    >>> rfzi(mdp, data, beta=1.0, num_iters=300).unvisited.any()
    np.False_
    """
    check_entropic(mdp, beta)
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; expected at least 1")
    if data.counts.shape != (mdp.S, mdp.A, mdp.S):
        raise ValueError(f"counts has shape {data.counts.shape}, expected {(mdp.S, mdp.A, mdp.S)}")
    unvisited = data.unvisited & mdp.actions
    usable = mdp.actions & ~unvisited
    return _iterate(mdp, data.rows, usable, unvisited, beta, num_iters)


def z_iteration(mdp: MDP, *, beta: float, num_iters: int) -> ZIteration:
    """Z-iteration with the model's own rows; arguments as in `rfzi`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> z_iteration(mdp, beta=1.0, num_iters=60).q.round(9).tolist()
    [[1.0, 2.0]]
    """
    check_entropic(mdp, beta)
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; expected at least 1")
    return _iterate(mdp, mdp.dense().P, mdp.actions, np.zeros((mdp.S, mdp.A), dtype=bool), beta, num_iters)


def _iterate(mdp, rows, usable, unvisited, beta, num_iters):
    r, log_z = np.where(usable, mdp.r, -np.inf), np.zeros((mdp.S, mdp.A))
    rows = np.where(usable[:, :, None], rows, np.eye(mdp.S)[:, None, :])
    change = np.empty(num_iters)
    for k in range(num_iters):
        new = np.where(usable, log_z_operator(rows, r, log_z, gamma=mdp.gamma, beta=beta), 0.0)
        change[k] = np.abs(np.subtract(new, log_z, where=new != log_z, out=np.zeros_like(new))).max()
        log_z = new
    q = r - (mdp.gamma / beta) * log_z
    policy = np.where(np.isneginf(q).all(axis=1), -1, q.argmax(axis=1))
    return ZIteration(q, policy, unvisited, change)
