"""Bounds of a total reward and of expected visits; `mdplab.exact.stochastic_shortest_path` says what they prove."""

import numpy as np
import scipy.sparse as sp

from mdplab.exact.probabilities import Rows
from mdplab.exact.quotient import Quotient, total_reward, transient_solve
from mdplab.models import SolverFailure


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
    for fine in (False, True):
        eps, lo = 0.0, v
        while eps * steps.max() <= tol / 2:
            lack = -_slack(rows, lo, -1, fine)[chosen].min()
            if lack <= 0:
                return lo, steps
            eps = 2 * eps + lack
            lo = v - eps * steps
    grid = _grid(tol)
    lo = np.where(steps > 0, (np.ceil(v / grid) - 1) * grid, 0.0)
    if _slack(rows, lo, -1, True)[chosen].min() >= 0:
        return lo, steps
    raise SolverFailure(f"rounding over {steps.max() / 2:.3g} steps moves the lower bound by more than tol = {tol:.3g}")


def upper_bound(rows: Rows, q: Quotient, v: np.ndarray, choice: np.ndarray, tol: float) -> np.ndarray:
    """`hi` (S,) from the value `v` (n,) of the quotient: rewards are raised until every row holds with its margin."""
    for fine in (False, True):
        eps, raised, start = 0.0, v, choice
        while np.all(raised - v <= tol / 2):
            hi = spread(q, raised)
            lack = -_slack(rows, hi, 1, fine)[q.origin].min(initial=0.0)
            if lack <= 0:
                return hi
            eps = 2 * eps + lack
            raised, start, _ = total_reward(q, rows.r[q.origin] + eps, start=start)
    grid = _grid(tol)
    hi = spread(q, np.where(v == q.stop, v, (np.floor(v / grid) + 1) * grid))
    if _slack(rows, hi, 1, True)[q.origin].min(initial=0.0) >= 0:
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


def _slack(rows: Rows, x: np.ndarray, sign: int, fine: bool) -> np.ndarray:
    """`sign (x(s) - r - P_a x)` less a margin (S * A,): in proportion to `|x|`, or if `fine` to differences of `x`."""
    if not fine:
        return sign * rows.excess(x, rows.r) - rows.allowance(x, rows.r)
    length = np.diff(rows.P.indptr)
    parts = rows.P.data * (np.repeat(x[rows.owner], length) - x[rows.P.indices])
    ones = np.ones(len(x))
    down, size = (
        sp.csr_array((d, rows.P.indices, rows.P.indptr), shape=rows.P.shape) @ ones for d in (parts, np.abs(parts))
    )
    return sign * (down - rows.r) - rows.rounding * (np.abs(rows.r) + size)
