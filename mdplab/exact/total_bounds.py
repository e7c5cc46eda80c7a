"""Bounds of a total reward and of expected visits; `mdplab.exact.stochastic_shortest_path` says what they prove."""

import numpy as np
import scipy.sparse as sp

from mdplab.exact.probabilities import Rows
from mdplab.exact.quotient import Quotient, total_reward, transient_solve
from mdplab.models import SolverFailure

_ROUNDS = 60


def lower_bound(
    rows: Rows, terminal: np.ndarray, policy: np.ndarray, waits: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray]:
    """`lo` and `steps` (S,) for a policy (S,) that ends, or reaches the mask `waits`, where it stays for nothing."""
    moving = np.flatnonzero(~terminal & ~waits)
    chosen = rows.of_policy(policy)[moving]
    v, steps = np.zeros(len(terminal)), np.zeros(len(terminal))
    if len(moving) == 0:
        return v, steps
    Q = rows.P[chosen][:, moving]
    v[moving] = transient_solve(Q, rows.r[chosen])
    # Twice the expected steps leave a slack of 1 for rounding.
    steps[moving] = transient_solve(Q, np.full(len(moving), 2.0))
    slack = (rows.excess(steps, 1.0) - rows.allowance(steps, 1.0))[chosen].min()
    if not (slack >= 0 and steps.min() >= 0):
        raise SolverFailure(f"the policy needs up to {steps.max():.3g} steps, too many to bound in floats")
    eps, lo = 0.0, v
    for _ in range(_ROUNDS):
        lack = (rows.excess(lo, rows.r) + rows.allowance(lo, rows.r))[chosen].max()
        if lack <= 0:
            return lo, steps
        eps = 2 * eps + lack
        lo = v - eps * steps
        if eps * steps.max() > tol / 2:
            break
    grid = _grid(tol)
    lo = np.where(steps > 0, (np.ceil(v / grid) - 1) * grid, 0.0)
    difference, size = _differences(rows, lo)
    if np.all((rows.r - difference - rows.rounding * (np.abs(rows.r) + size))[chosen] >= 0):
        return lo, steps
    raise SolverFailure(f"rounding over {steps.max() / 2:.3g} steps moves the lower bound by more than tol = {tol:.3g}")


def upper_bound(rows: Rows, q: Quotient, v: np.ndarray, choice: np.ndarray, tol: float) -> np.ndarray:
    """`hi` (S,) from the value `v` (n,) of the quotient: rewards are raised until every row holds with its margin."""
    eps, raised = 0.0, v
    for _ in range(_ROUNDS):
        hi = spread(q, raised)
        lack = (rows.allowance(hi, rows.r) - rows.excess(hi, rows.r))[q.origin].max(initial=0.0)
        if lack <= 0:
            return hi
        eps = 2 * eps + lack
        raised, choice, _ = total_reward(q, rows.r[q.origin] + eps, start=choice)
        if (raised - v).max() > tol / 2:
            break
    grid = _grid(tol)
    hi = spread(q, np.where(v == q.stop, v, (np.floor(v / grid) + 1) * grid))
    difference, size = _differences(rows, hi)
    if np.all((difference - rows.r - rows.rounding * (np.abs(rows.r) + size))[q.origin] >= 0):
        return hi
    raise SolverFailure(f"rounding moves the upper bound by {(raised - v).max():.3g}; tol is {tol:.3g}")


def visits_bound(rows: Rows, q: Quotient, need: np.ndarray) -> np.ndarray:
    """A vector `x` (S,) with `x >= need + P_a x` on every row that is not free; 0 where the process has ended."""
    # One more a step is the slack for rounding.
    x = spread(q, total_reward(q, need[q.origin] + 1.0)[0])
    slack = (rows.excess(x, need) - rows.allowance(x, need))[q.origin].min(initial=0.0)
    if not slack >= 0:
        raise SolverFailure(f"up to {np.abs(x).max():.3g} expected visits are too many to bound in floats")
    return x


def spread(q: Quotient, v: np.ndarray) -> np.ndarray:
    """A vector (S,) of the model from one (n,) of the quotient, 0 where states were dropped."""
    return np.append(v, 0.0)[q.state]


def _grid(tol: float) -> float:
    """A power of two such that two bounds on neighbouring points of the grid are within `tol`.

    On long chains of equal values it takes rounding out of the bounds: equal neighbours have no difference to round.
    """
    return 2.0 ** np.floor(np.log2(tol / 4))


def _differences(rows: Rows, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`sum_j p(j) (x(s) - x(j))` and the same of absolute values, (S * A,)."""
    length = np.diff(rows.P.indptr)
    parts = rows.P.data * (np.repeat(x[rows.owner], length) - x[rows.P.indices])
    ones = np.ones(len(x))
    signed, size = (
        sp.csr_array((d, rows.P.indices, rows.P.indptr), shape=rows.P.shape) for d in (parts, np.abs(parts))
    )
    return signed @ ones, size @ ones
