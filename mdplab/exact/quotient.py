"""Total reward after collapsing sets of states between which one moves freely.

A quotient has one state for each collapsed set and one for each remaining state, the rows that leave or cost, and
for some states the option to stop with a given value. Every policy that never stops is worth minus infinity, or
cannot exist; then policy iteration from a policy that stops converges to the value (Bertsekas and Tsitsiklis 1991,
proposition 4).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import bicgstab, splu

from mdplab.exact.components import distances, route
from mdplab.models import SolverFailure

STOP = -1
_NOISE = 16 * 2.0**-53
_SWEEPS = 50
# States above which an iterative solve is tried before a factorisation.
_KRYLOV = 20_000


@dataclass(frozen=True, eq=False, slots=True)
class Quotient:
    """Rows grouped by state; a row's missing mass ends with value 0.

    Attributes
    ----------
    M : CSR (R, n)
        Rows sorted by `owner`.
    owner : int array (R,)
        State of each row.
    stop : array (n,)
        Value of stopping; minus infinity where it is not allowed.
    ends : bool array (R,)
        Rows with missing mass.
    origin : int array (R,)
        Row of the model that each row comes from.
    state : int array (S,)
        Quotient state of each state of the model, -1 if it was dropped (value 0).
    """

    M: sp.csr_array
    owner: np.ndarray
    stop: np.ndarray
    ends: np.ndarray
    origin: np.ndarray
    state: np.ndarray


def quotient(
    P: sp.csr_array, owner: np.ndarray, rows: np.ndarray, label: np.ndarray, dropped: np.ndarray, stop: np.ndarray
) -> Quotient:
    """Collapse the states of each `label >= 0`, drop the mask `dropped`, keep `rows`; `stop` is by label.

    Collapsed states come first, in the order of their labels.
    """
    S = P.shape[1]
    k = len(stop)
    single = (label < 0) & ~dropped
    state = np.where(dropped, -1, label)
    state[single] = k + np.arange(single.sum())
    n = k + int(single.sum())
    kept = np.flatnonzero(~dropped)
    gather = sp.csr_array((np.ones(len(kept)), (kept, state[kept])), shape=(S, n))
    origin = np.flatnonzero(rows & ~dropped[owner])
    origin = origin[np.argsort(state[owner[origin]], kind="stable")]
    M = sp.csr_array(P[origin] @ gather)
    ends = (P[origin] @ dropped.astype(np.float64)) > 0
    full_stop = np.full(n, -np.inf)
    full_stop[:k] = stop
    return Quotient(M, state[owner[origin]], full_stop, ends, origin, state)


def total_reward(
    q: Quotient, reward: np.ndarray, *, start: np.ndarray | None = None, max_iters: int = 10_000
) -> tuple[np.ndarray, np.ndarray, int]:
    """Policy iteration with sparse LU from `start`, by default a policy that stops wherever it may, as early as it may.

    `start` must stop with probability 1; values only rise, so that a state which has left stopping never returns.

    Returns the value (n,), the choice (n,) of a row or `STOP`, and the number of improvements.

    Raises
    ------
    SolverFailure
        No policy stops with probability 1 from some state, or `max_iters` is reached.
    """
    choice = _stopping_choice(q) if start is None else start
    groups = _groups(q.owner)
    for iteration in range(max_iters):
        v = policy_total(q, reward, choice)
        better = _repaired(q, _improved(q, reward, groups, v, choice), choice)
        if np.array_equal(better, choice):
            return v, choice, iteration + 1
        # From a policy's value sweeps only rise, and a policy that is greedy after them is worth at least as much: they
        # save factorisations.
        for _ in range(_SWEEPS):
            v = np.maximum(q.stop, _best_rows(q, reward + q.M @ v, groups)[0])
        choice = _repaired(q, _improved(q, reward, groups, v, better), better)
    raise SolverFailure(f"policy iteration did not settle within {max_iters} improvements")


def _improved(
    q: Quotient, reward: np.ndarray, groups: tuple[np.ndarray, np.ndarray], v: np.ndarray, choice: np.ndarray
) -> np.ndarray:
    """The choice (n,) that is greedy for `v`, and the old one where it is as good up to the rounding of a backup.

    Below that an improvement is noise, which could lead to a policy that never stops.
    """
    gains = reward + q.M @ v
    noise = _NOISE * (np.diff(q.M.indptr) + 3) * (np.abs(reward) + q.M @ np.abs(v))
    best, row = _best_rows(q, gains, groups)
    going = choice != STOP
    old = q.stop.copy()
    old[going] = gains[choice[going]]
    tolerance = _NOISE * np.abs(v)
    tolerance[row != STOP] += noise[row[row != STOP]]
    return np.where(best > old + tolerance, row, choice)


def _best_rows(q: Quotient, gains: np.ndarray, groups: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The largest gain and its row of each state (n,); minus infinity and `STOP` where there is none."""
    first, of_state = groups
    best, row = np.full(len(q.stop), -np.inf), np.full(len(q.stop), STOP)
    best[of_state], row[of_state] = _group_argmax(gains, first)
    return best, row


def policy_total(q: Quotient, reward: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Value (n,) of a choice that stops with probability 1."""
    v = np.where(choice == STOP, q.stop, 0.0)
    going = np.flatnonzero(choice != STOP)
    M = q.M[choice[going]]
    v[going] = transient_solve(M[:, going], reward[choice[going]] + M @ v)
    return v


def transient_solve(Q: sp.csr_array, b: np.ndarray) -> np.ndarray:
    """The solution of `x = b + Q x` for a chain that leaves its states, by refined sparse LU or BiCGSTAB."""
    if len(b) == 0:
        return b.copy()
    if len(b) > _KRYLOV:
        # Factors of a large graph without geometry fill up; chains that leave soon need few products instead.
        A = sp.csr_array(sp.eye_array(len(b)) - Q)
        x, _ = bicgstab(A, b, rtol=1e-14, atol=0.0, maxiter=40)
        if np.abs(b - A @ x).max() <= 1e-14 * max(np.abs(b).max(), np.abs(x).max()):
            return x
    A = sp.csc_array(sp.eye_array(len(b)) - Q)
    try:
        lu = splu(A)
    except RuntimeError as error:
        raise SolverFailure(
            "a policy evaluation is singular: leaving its states has probability 0 in floats"
        ) from error
    x = lu.solve(b)
    return x + lu.solve(b - A @ x)


def _stopping_choice(q: Quotient) -> np.ndarray:
    """A choice that stops with probability 1 from every state."""
    n = len(q.stop)
    full, owner, rows, targets = _with_end(q)
    # If every state has a way to an end, following the ways ends with probability 1.
    choice = route(full, owner, rows, targets)[:n]
    stuck = np.flatnonzero((choice < 0) & ~np.isfinite(q.stop))
    if len(stuck):
        where = np.flatnonzero(q.state == stuck[0])
        raise SolverFailure(
            f"no policy terminates from state {where[0]} ({len(stuck)} such), nor stays there for nothing: "
            "its value is minus infinity"
        )
    return choice


def _with_end(q: Quotient) -> tuple[sp.csr_array, np.ndarray, np.ndarray, np.ndarray]:
    """Rows with an explicit end state n, the rows' states, a mask of all, and the mask of states where one may stop."""
    n = len(q.stop)
    full = sp.csr_array(sp.hstack([q.M, sp.csr_array(q.ends.astype(np.float64)[:, None])]))
    targets = np.append(np.isfinite(q.stop), True)
    return full, q.owner, np.ones(len(q.owner), dtype=bool), targets[: n + 1]


def _repaired(q: Quotient, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """`new`, with the old choice where the new one would never stop."""
    full, owner, _, _ = _with_end(q)
    new = new.copy()
    while True:
        used = np.zeros(len(owner), dtype=bool)
        used[new[new != STOP]] = True
        lost = ~np.isfinite(distances(full, owner, used, np.append(new == STOP, True)))[:-1]
        lost &= new != old
        if not lost.any():
            return new
        new[lost] = old[lost]


def _groups(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each state that has rows, and those states."""
    of_state, first = np.unique(owner, return_index=True)
    return first, of_state


def _group_argmax(values: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest value and its first row, of each group."""
    if len(values) == 0:
        return np.zeros(0), np.zeros(0, dtype=int)
    best = np.maximum.reduceat(values, first)
    group = np.zeros(len(values), dtype=int)
    group[first[1:]] = 1
    group = np.cumsum(group)
    hits = np.flatnonzero(values == best[group])
    row = np.zeros(len(first), dtype=int)
    row[group[hits][::-1]] = hits[::-1]
    return best, row
