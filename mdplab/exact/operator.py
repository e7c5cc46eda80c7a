"""The Bellman operator of a model, dense or CSR, on one thread or several: one face for all discounted solvers."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from mdplab.kernels.bellman import (
    backup_csr,
    backup_products,
    defects_csr,
    defects_dense,
    gather_policy_csr,
    measure_csr,
    measure_products,
)
from mdplab.models import MDP

UNIT = 2.0**-53
# Above all that a referee allows for underflow: what bounds of nothing but zeros are short of.
TINY = 2.0**-900

# A model validates if each row, summed in floating point, is within this of one.
ROW_SUM_TOLERANCE = 1e-8

# Below this many entries a sweep takes less than handing it to another thread.
_THREAD_ENTRIES = 1_000_000


class Residual(NamedTuple):
    """Enclosure of T v - v over all states: exact values lie in [low - error, high + error]; pi attains `low`."""

    low: float
    high: float
    error: float
    pi: np.ndarray


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="mdplab-sweep")


@cache
def _num_threads() -> int:
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return max(1, min(available, int(limit) if limit.isdigit() else available))


def over_ranges(work: Callable[[int, int], Any], size: int, entries: int) -> list:
    """Results of `work(start, stop)` over 0..size, cut up for threads if there are many `entries` to read.

    The kernels release the interpreter lock, so that plain threads do what `prange` would, without a second
    compilation, without a thread pool per process that does not survive a fork, and in any number of callers.
    """
    threads = _num_threads()
    if threads == 1 or entries < _THREAD_ENTRIES:
        return [work(0, size)]
    # More pieces than threads: another process may hold a core.
    cuts = np.linspace(0, size, 4 * threads + 1).astype(np.int64).tolist()
    return list(_pool().map(work, cuts[:-1], cuts[1:]))


def freeze(*arrays: np.ndarray) -> None:
    """Make arrays read-only, as a model's are: else each kernel is compiled twice."""
    for array in arrays:
        array.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Bellman:
    """T v = max over available a of r + gamma P v, with P a (S * A, S) matrix, dense or CSR.

    Parameters
    ----------
    P
        `(S * A, S)`, a C-ordered array or a CSR matrix; row `s * A + a`.
    r, actions
        `(S, A)` rewards and mask.
    gamma
        Discount in [0, 1].
    row_tolerance
        Bound on |row sum - 1|, as summed in floating point.
    relative_error
        Bound on the relative rounding of each entry of `P` and `r`, where these were computed and not given.
    terminal
        `(S,)` mask of states that every available action keeps with reward 0 in the model itself; None if unknown.
    """

    P: np.ndarray | sp.csr_array
    r: np.ndarray
    actions: np.ndarray
    gamma: float
    row_tolerance: float = ROW_SUM_TOLERANCE
    relative_error: float = 0.0
    terminal: np.ndarray | None = None

    @classmethod
    def of(cls, mdp: MDP) -> "Bellman":
        """The operator of a model, sharing its arrays."""
        P = mdp.P if mdp.is_sparse else mdp.P.reshape(-1, mdp.S)
        return cls(P, mdp.r, mdp.actions, mdp.gamma, terminal=mdp.terminal if mdp.terminal.any() else None)

    @property
    def S(self) -> int:
        """Number of states."""
        return self.r.shape[0]

    @property
    def is_sparse(self) -> bool:
        """True if `P` is CSR."""
        return sp.issparse(self.P)

    @cached_property
    def row_entries(self) -> int:
        """Most entries of a row of `P`: what rounding bounds grow with."""
        return int(np.diff(self.P.indptr).max()) if self.is_sparse else self.S

    @property
    def defect_bound(self) -> float:
        """Bound on |row sum of P - 1| that validation of the model implies."""
        return self.row_tolerance + 2.2 * self.row_entries * UNIT + 1.1 * self.relative_error

    def backup(self, v: np.ndarray, out_v: np.ndarray, out_pi: np.ndarray) -> tuple[float, float]:
        """out_v = T v and a greedy out_pi; returns the least and the largest of T v - v."""
        if not self.is_sparse:
            return backup_products(
                (self.P @ v).reshape(self.r.shape), self.r, self.actions, self.gamma, v, out_v, out_pi
            )
        P = self.P
        return self._over_states(
            lambda a, b: backup_csr(
                P.data, P.indices, P.indptr, self.r, self.actions, self.gamma, v, a, b, out_v, out_pi
            )
        )

    def measure(self, v: np.ndarray) -> Residual:
        """T v - v enclosed, rounding included; costs about one backup.

        Notes
        -----
        With w = fl(v - centre), W = max|w|, n entries a row and R the largest row sum, the kernel's expression is off
        by at most u ((n + 2) R W + 8 (max|r| + 2 W + (1 - gamma)|centre|)) from rounding of the product, the sums and
        w, plus gamma |centre| times the error of a row sum, which is u |defect| + (n u)^2 * 2. The factors 1.01 and 10
        below cover second-order terms.
        """
        centre = 0.5 * (float(v.min()) + float(v.max()))
        w = v - centre
        W, n, D = float(np.abs(w).max()), self.row_entries, self.defect_bound
        doubt = 2.5 * self.gamma * abs(centre) * D
        pi = np.empty(self.S, dtype=np.int64)
        if self.is_sparse:
            P = self.P
            low, high = self._over_states(
                lambda a, b: measure_csr(
                    P.data, P.indices, P.indptr, self.r, self.actions, self.gamma, w, centre, doubt, a, b, pi
                )
            )
        else:
            pw = (self.P @ w).reshape(self.r.shape)
            low, high = measure_products(self.P, pw, self.r, self.actions, self.gamma, w, centre, doubt, pi)
        size = self.r_size + 2 * W + (1 - self.gamma) * abs(centre)
        error = 1.01 * UNIT * ((n + 2) * (1 + D) * W + 10 * size)
        error += self.gamma * abs(centre) * (10 * UNIT * D + 2.2 * (n * UNIT) ** 2)
        error += 1.1 * self.relative_error * (self.r_size + self.gamma * float(np.abs(v).max()))
        return Residual(low, high, error, pi)

    @cached_property
    def r_size(self) -> float:
        """Largest |r|."""
        return max(float(self.r.max()), -float(self.r.min()))

    def largest_row_sum_defect(self) -> float:
        """Upper bound on row sum - 1 over all rows, from compensated sums."""
        out = np.empty(self.actions.shape)
        if self.is_sparse:
            defects_csr(self.P.data, self.P.indptr, self.actions, out)
        else:
            defects_dense(self.P, self.actions, out)
        n = self.row_entries
        return float(out.max()) + 10 * UNIT * self.defect_bound + 2.2 * (n * UNIT) ** 2 + 1.1 * self.relative_error

    def on_policy(self, pi: np.ndarray) -> "Bellman":
        """The operator T_pi of a deterministic policy, as a model with one action."""
        S, A = self.r.shape
        ones = np.ones((S, 1), dtype=bool)
        rows = np.arange(S) * A + pi
        if not self.is_sparse:
            P, r = self.P[rows], self.r.ravel()[rows][:, None]
            freeze(P, r, ones)
            return Bellman(P, r, ones, self.gamma, terminal=self.terminal)
        P = self.P
        indptr = np.zeros(S + 1, dtype=P.indptr.dtype)
        np.cumsum(P.indptr[rows + 1] - P.indptr[rows], out=indptr[1:])
        data, indices, r = np.empty(indptr[-1]), np.empty(indptr[-1], dtype=P.indices.dtype), np.empty((S, 1))
        gather_policy_csr(P.data, P.indices, P.indptr, self.r, pi, data, indices, indptr, r)
        freeze(data, indices, indptr, r, ones)
        P = sp.csr_array((data, indices, indptr), shape=(S, S))
        return Bellman(P, r, ones, self.gamma, terminal=self.terminal)

    def _over_states(self, sweep: Callable[[int, int], tuple[float, float]]) -> tuple[float, float]:
        """Run `sweep(start, stop)` over all states and combine its ranges."""
        ranges = over_ranges(sweep, self.S, self.P.nnz)
        return min(low for low, _ in ranges), max(high for _, high in ranges)
