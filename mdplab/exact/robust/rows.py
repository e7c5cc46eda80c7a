"""The rows of a robust model, one after the other in flat arrays: what nature's kernels read."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from mdplab.exact.operator import freeze
from mdplab.models import RobustMDP, SolverFailure

# What differs by less, relative to 1 + |least|, is tied in every kernel.
_TIE = 1e-11
# Beyond this many entries, 4 GiB, an array of all rows over all states is not made.
_MOST_ENTRIES = 1 << 29


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of available actions, state by state; row k has the entries `indptr[k]:indptr[k + 1]`.

    Parameters
    ----------
    S
        Number of states.
    state, action
        `(rows,)`, of each row; the states ascend.
    indptr
        `(rows + 1,)`.
    indices
        `(nnz,)` successor of each entry; None if every row has the entries 0..S - 1 in this order.
    p
        `(nnz,)` nominal probabilities, divided by the sum of their row.
    reward
        `(rows,)`; 0 where the reward is paid by the next state.
    reward_next
        `(nnz,)`, or None.
    """

    S: int
    state: np.ndarray
    action: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray | None
    p: np.ndarray
    reward: np.ndarray
    reward_next: np.ndarray | None

    def __post_init__(self) -> None:
        freeze(*(part for part in vars(self).values() if isinstance(part, np.ndarray)))

    @classmethod
    def of(cls, problem: RobustMDP) -> "Rows":
        """The rows of a problem: all S entries where mass may go anywhere, else those of the nominal support.

        A sparse model's reward of a transition that it does not store is 0, as in its dense form.
        """
        mdp, S, A = problem.nominal, problem.S, problem.A
        state, action = (part.astype(np.int64) for part in np.nonzero(mdp.actions))
        every = state * A + action
        reward = mdp.r[state, action] if mdp.r_next is None else np.zeros(len(state))
        P, by_next = mdp.P, mdp.r_next
        if problem.uncertainty.support == "all":
            if len(every) * S > _MOST_ENTRIES:
                raise SolverFailure(
                    f"support is 'all', and {len(every)} rows of {S} entries each do not fit; with support='nominal' "
                    "they have those of the nominal rows only"
                )
            P = P[every].toarray() if mdp.is_sparse else P.reshape(-1, S)[every]
            if by_next is not None:
                by_next = mdp._rewards_by_next()
                by_next = (by_next[every].toarray() if mdp.is_sparse else by_next.reshape(-1, S)[every]).ravel()
            p = (P / P.sum(axis=1, keepdims=True)).ravel()
            indptr = np.arange(len(every) + 1, dtype=np.int64) * S
            return cls(S, state, action, indptr, None, p, reward, by_next)
        if mdp.is_sparse:
            # Rows of unavailable actions are empty, so that entries are in the order of the rows.
            counts, indices, data = np.diff(P.indptr)[every], P.indices.astype(np.int64), P.data
        else:
            flat = P.reshape(-1, S)[every]
            row, indices = np.nonzero(flat)
            counts, data = np.bincount(row, minlength=len(every)), flat[row, indices]
            if by_next is not None:
                by_next = by_next.reshape(-1, S)[every][row, indices]
        indptr = np.zeros(len(every) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        sums = np.repeat(np.add.reduceat(data, indptr[:-1]), counts)
        return cls(S, state, action, indptr, indices, data / sums, reward, None if by_next is None else by_next.copy())

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.state)

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.p)

    @cached_property
    def state_ptr(self) -> np.ndarray:
        """`(S + 1,)`: state s has the rows `state_ptr[s]:state_ptr[s + 1]`."""
        return np.searchsorted(self.state, np.arange(self.S + 1))

    @cached_property
    def successors(self) -> np.ndarray:
        """`(nnz,)` successor of each entry."""
        return np.tile(np.arange(self.S), self.size) if self.indices is None else self.indices

    @cached_property
    def width(self) -> int:
        """Most entries of a row."""
        return int(np.diff(self.indptr).max())

    def objective(self, v: np.ndarray, gamma: float) -> np.ndarray:
        """What nature minimises: reward plus `gamma v` of the next state, entry by entry `(nnz,)`."""
        if self.indices is None and self.reward_next is None:
            return (self.reward[:, None] + gamma * v).ravel()
        if self.indices is None:
            z = (self.reward_next.reshape(-1, self.S) + gamma * v).ravel()
        else:
            z = gamma * v[self.indices]
            z += self.reward_next if self.reward_next is not None else np.repeat(self.reward, np.diff(self.indptr))
        return z

    def sums(self, entries: np.ndarray) -> np.ndarray:
        """Sum of each row `(rows,)` of entries `(nnz,)`."""
        if self.indices is None:
            return entries.reshape(-1, self.S).sum(axis=1)
        return np.add.reduceat(entries, self.indptr[:-1])

    def times(self, q: np.ndarray, v: np.ndarray) -> np.ndarray:
        """`q . v` of each row `(rows,)`."""
        if self.indices is None:
            return q.reshape(-1, self.S) @ v
        return np.add.reduceat(q * v[self.indices], self.indptr[:-1])

    def near_ties(self, v: np.ndarray, gamma: float) -> float:
        """Most that an objective exceeds the least of its row by, among those that kernels take to be tied with it."""
        if self.indices is None and self.reward_next is None:
            # All rows have the same objective but for a constant.
            z = gamma * v
            least, room = z.min(), _TIE * (1 + np.abs(self.reward + z.min()).max())
        else:
            z, counts = self.objective(v, gamma), np.diff(self.indptr)
            least = np.minimum.reduceat(z, self.indptr[:-1])
            room = np.repeat(_TIE * (1 + np.abs(least)), counts)
            least = np.repeat(least, counts)
        above = z - least
        return float(above[above <= room].max())

    def rewards(self, q: np.ndarray) -> np.ndarray:
        """Mean reward of each row `(rows,)` under q."""
        return self.reward if self.reward_next is None else self.sums(q * self.reward_next)

    def mixed(self, q: np.ndarray, weights: np.ndarray) -> np.ndarray | sp.csr_array:
        """The chain `(S, S)` of a policy with these `weights` `(rows,)` of each row under q."""
        if self.indices is None:
            rows = q.reshape(-1, self.S)
            if self.size == self.S:
                return rows if np.all(weights == 1) else weights[:, None] * rows
            return np.add.reduceat(weights[:, None] * rows, self.state_ptr[:-1], axis=0)
        entries = q * np.repeat(weights, np.diff(self.indptr))
        at = np.repeat(self.state, np.diff(self.indptr))
        chain = sp.coo_array((entries, (at, self.indices)), shape=(self.S, self.S)).tocsr()
        return chain if self.S > 200 else chain.toarray()

    def entries(self, rows: np.ndarray) -> np.ndarray:
        """Places `(k,)` of the entries of some `rows`."""
        counts = np.diff(self.indptr)[rows]
        begins = np.repeat(self.indptr[rows] - np.cumsum(counts) + counts, counts)
        return begins + np.arange(len(begins))

    def take(self, rows: np.ndarray) -> "Rows":
        """Some rows only, in this order; every state must keep one."""
        counts = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])

        def pick(entries: np.ndarray) -> np.ndarray:
            if self.indices is None:
                return entries.reshape(-1, self.S)[rows].ravel()
            return entries[self.entries(rows)]

        indices = None if self.indices is None else pick(self.indices)
        by_next = None if self.reward_next is None else pick(self.reward_next)
        state, action = self.state[rows], self.action[rows]
        return Rows(self.S, state, action, indptr, indices, pick(self.p), self.reward[rows], by_next)
