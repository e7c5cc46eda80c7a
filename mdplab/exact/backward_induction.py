"""Finite horizon: one backup a stage, with an enclosure of what rounding did."""

import time

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.operator import UNIT, Bellman
from mdplab.models import MDP, Certificate, Solution, SolverFailure


def backward_induction(mdp: MDP, *, tol: float = 1e-6, horizon: int | None = None) -> Solution:
    """Optimal value and policy of every stage over a finite horizon.

    Parameters
    ----------
    mdp
        Any `gamma` in [0, 1]; its `horizon` is used unless one is given.
    tol
        Certified error, `> 0`; only rounding contributes to it.
    horizon
        Number of decisions H, at least 1.

    Returns
    -------
    Solution
        Value `(H + 1, S)` with last row 0, policy `(H, S)`; certificate of kind `"finite-horizon"` with data `lo`, `hi`
        `(H + 1, S)`: `lo[H] <= 0 <= hi[H]`, `lo[t] <= T_pi lo[t + 1]` and `T hi[t + 1] <= hi[t]` hold exactly.

    Raises
    ------
    ValueError
        No horizon.
    SolverFailure
        Rounding over the horizon exceeds `tol`.

    Notes
    -----
    With e_t a bound on the rounding of the backup of stage t, and three more for a referee in floating point, widths
    obey width_t = gamma R width_{t+1} + 4 e_t, R the largest row sum that validation admits.

    Source
    ------
    Puterman (1994), section 4.5.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> answer = backward_induction(MDP([[[1.0]]], [[1.0]], 1.0, horizon=3))
    >>> answer.value[:, 0].tolist()
    [3.0, 2.0, 1.0, 0.0]
    """
    require_type(mdp, MDP, "backward_induction")
    tol = checked_tol(tol)
    H = mdp.horizon if horizon is None else checked_count("horizon", horizon)
    if H is None:
        raise ValueError("horizon is None; backward_induction needs the model's horizon or horizon=")
    start, op = time.perf_counter(), Bellman.of(mdp)
    value, policy = np.zeros((H + 1, op.S)), np.empty((H, op.S), dtype=np.int64)
    width = np.zeros(H + 1)
    n = op.row_entries + 8
    growth = op.gamma * (1 + op.defect_bound) * (1 + 4 * UNIT)
    for t in range(H - 1, -1, -1):
        op.backup(value[t + 1], value[t], policy[t])
        size = op.r_size + growth * (float(np.abs(value[t + 1]).max()) + width[t + 1])
        # One radius for our rounding, one for storing lo and hi, two for the referee's own arithmetic.
        width[t] = (growth * width[t + 1] + 4.1 * n * UNIT / (1 - n * UNIT) * size) * (1 + 4 * UNIT)
    lo, hi = value - width[:, None], value + width[:, None]
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    if gap > tol:
        raise SolverFailure(
            f"backward_induction: a gap of {gap:.2g} is the least that can be certified at horizon={H}, S={op.S} "
            f"in double precision; tol={tol:g}"
        )
    certificate = Certificate("finite-horizon", gap, {"rounding": width[0]}, {"lo": lo, "hi": hi})
    return Solution(value, policy, certificate, "backward_induction", H, time.perf_counter() - start)
