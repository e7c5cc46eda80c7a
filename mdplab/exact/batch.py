"""Thousands of small models in one call."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_tol
from mdplab.exact.operator import ROW_SUM_TOLERANCE, UNIT, over_ranges
from mdplab.kernels.batch import first_bad_model, solve_small
from mdplab.models import SolverFailure


@dataclass(frozen=True, eq=False, slots=True)
class BatchSolution:
    """Answers for N models.

    Parameters
    ----------
    value, policy
        `(N, S)` optimal values, and actions.
    gap
        `(N,)` certified: `|value - V*| <= gap` and `V* - V^policy <= gap` at every state.
    num_iters
        `(N,)` sweeps.
    seconds
        Wall-clock time of the whole call.
    """

    value: np.ndarray
    policy: np.ndarray
    gap: np.ndarray
    num_iters: np.ndarray
    seconds: float


def solve_batch(P: Any, r: Any, gamma: Any, *, tol: float = 1e-6) -> BatchSolution:
    """Optimal values and policies of N discounted models of one shape, by span-corrected value iteration.

    Parameters
    ----------
    P : array (N, S, A, S)
        Transition probabilities; rows sum to 1 within 1e-8. A C-ordered float64 array is not copied.
    r : array (N, S, A)
        Rewards, maximised.
    gamma : float in [0, 1), or array (N,)
        Discount factors.
    tol : float > 0
        Certified error of every value, and loss of every policy.

    Returns
    -------
    BatchSolution

    Raises
    ------
    ValueError
        Names the argument, the index and the value.
    SolverFailure
        Some gap misses `tol`: rounding at this discount does not allow it.

    Notes
    -----
    With x = T v - v as computed for the returned v, its rounding is at most e = 1.1 (S + 6) u (max|r| + gamma R |v|),
    and v + min(min x - e, 0) / (1 - gamma R) and v + max(max x + e, 0) / (1 - gamma R) enclose V* and V^pi; R bounds
    the sums of rows. `gap` is the width of that enclosure.

    Examples
    --------
    >>> solve_batch([[[[1.0], [1.0]]]] * 2, [[[0.0, 1.0]], [[2.0, 0.0]]], [0.9, 0.5]).value.round(6).tolist()
    [[10.0], [4.0]]
    """
    tol = checked_tol(tol)
    start = time.perf_counter()
    P, r = np.ascontiguousarray(P, dtype=np.float64), np.ascontiguousarray(r, dtype=np.float64)
    if P.ndim != 4 or P.shape[1] != P.shape[3] or 0 in P.shape:
        raise ValueError(f"P has shape {P.shape}; expected (N, S, A, S)")
    if r.shape != P.shape[:3]:
        raise ValueError(f"r has shape {r.shape}; with P of shape {P.shape} it must be {P.shape[:3]}")
    N, S, _ = r.shape
    g = np.asarray(gamma, dtype=np.float64)
    if g.shape not in {(), (N,)}:
        raise ValueError(f"gamma has shape {g.shape}; expected a number or ({N},)")
    g = np.ascontiguousarray(np.broadcast_to(g, (N,)))
    wrong = np.flatnonzero(~((g >= 0) & (g < 1)))
    if wrong.size:
        raise ValueError(f"gamma[{wrong[0]}] is {g[wrong[0]]:g}; expected a number in [0, 1)")
    work = P.size
    bad = [i for i in over_ranges(lambda a, b: first_bad_model(P, r, ROW_SUM_TOLERANCE, a, b), N, work) if i >= 0]
    if bad:
        _raise_bad_model(P, r, min(bad))
    value, policy = np.empty((N, S)), np.empty((N, S), dtype=np.int64)
    ends, sweeps = np.empty((N, 2)), np.empty(N, dtype=np.int64)
    goal = np.full(N, 0.5 * tol)
    over_ranges(lambda a, b: solve_small(P, r, g, goal, a, b, value, policy, ends, sweeps), N, work)
    gap = _gaps(r, g, value, ends)
    worst = int(gap.argmax())
    if gap[worst] > tol:
        raise SolverFailure(
            f"solve_batch: model {worst} reached a certified gap of {gap[worst]:.2g} at gamma={g[worst]!r}, S={S}; "
            f"tol={tol:g} is beyond what double precision allows there"
        )
    return BatchSolution(value, policy, gap, sweeps, time.perf_counter() - start)


def _gaps(r: np.ndarray, g: np.ndarray, value: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Widths (N,) of the enclosures."""
    S = r.shape[1]
    R = 1 + ROW_SUM_TOLERANCE + 2.2 * S * UNIT
    size = np.maximum(r.max(axis=(1, 2)), -r.min(axis=(1, 2))) + g * R * np.abs(value).max(axis=1)
    error = 1.1 * (S + 6) * UNIT * size
    margin = (1 - g) * (1 - 4 * UNIT) - g * (R - 1)
    width = (np.maximum(ends[:, 1], 0) + np.maximum(-ends[:, 0], 0) + 2 * error) / margin * (1 + 8 * UNIT)
    return np.where(margin > 0, width, np.inf)


def _raise_bad_model(P: np.ndarray, r: np.ndarray, i: int) -> None:
    """Name what is wrong with model i."""
    for s, a in np.ndindex(r.shape[1:]):
        if not np.isfinite(r[i, s, a]):
            raise ValueError(f"r[{i}, {s}, {a}] is {r[i, s, a]:g}; rewards are finite")
        for t in np.flatnonzero(~(P[i, s, a] >= 0) | ~np.isfinite(P[i, s, a])):
            raise ValueError(f"P[{i}, {s}, {a}, {t}] is {P[i, s, a, t]:g}; probabilities are finite and at least 0")
        if not abs(P[i, s, a].sum() - 1) <= 0.9 * ROW_SUM_TOLERANCE:
            raise ValueError(f"P[{i}, {s}, {a}] sums to {P[i, s, a].sum():.12g}, not 1")
