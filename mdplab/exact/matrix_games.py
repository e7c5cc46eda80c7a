"""Many zero-sum matrix games of one shape at once: saddle points by inspection, the rest in one linear program (HiGHS).

For each payoff matrix Q, shifted and scaled to [0, 1]: maximise v subject to v <= (x . Q)_b for every column b, x a
distribution. The multipliers of these rows are the column player's strategy. The programs of all games are the blocks
of one, which saves the overhead of a call a game.
"""

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mdplab.models import SolverFailure

# HiGHS's own least tolerances; payoffs are scaled to [0, 1] first.
_TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def solve_matrix_games(Q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (k,) and optimal strategies (k, A), (k, B) of games Q (k, A, B) whose rows maximise.

    Raises
    ------
    SolverFailure
        HiGHS found no solution.

    Notes
    -----
    A value is the middle of what the two strategies guarantee; `x . Q` and `Q y` tell how far apart these are.

    Examples
    --------
    >>> value, x, y = solve_matrix_games(np.array([[[2.0, -1.0], [-1.0, 1.0]]]))
    >>> value.round(9).tolist(), x.round(9).tolist(), y.round(9).tolist()
    ([0.2], [[0.4, 0.6]], [[0.4, 0.6]])
    """
    k, A, B = Q.shape
    least, most = Q.min(axis=2), Q.max(axis=1)
    a, b = least.argmax(axis=1), most.argmin(axis=1)
    x, y = np.zeros((k, A)), np.zeros((k, B))
    x[np.arange(k), a] = 1.0
    y[np.arange(k), b] = 1.0
    mixed = np.flatnonzero(least.max(axis=1) < most.min(axis=1))
    if mixed.size:
        x[mixed], y[mixed] = _program(Q[mixed])
    guaranteed = np.einsum("ka,kab->kb", x, Q).min(axis=1)
    conceded = np.einsum("kab,kb->ka", Q, y).max(axis=1)
    return 0.5 * (guaranteed + conceded), x, y


def _program(Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strategies (k, A) and (k, B) of games without a saddle point, whose payoffs are therefore not all equal."""
    k, A, B = Q.shape
    low = Q.min(axis=(1, 2), keepdims=True)
    scaled = (Q - low) / (Q.max(axis=(1, 2), keepdims=True) - low)
    # Unknowns of a game: its value, then x.
    block = np.concatenate([np.ones((k, B, 1)), -scaled.transpose(0, 2, 1)], axis=2)
    columns = np.arange(k * (A + 1)).reshape(k, 1, A + 1)
    indices = np.broadcast_to(columns, block.shape).ravel()
    rows = sp.csr_array((block.ravel(), indices, np.arange(0, block.size + 1, A + 1)), shape=(k * B, k * (A + 1)))
    sums = sp.csr_array((np.ones(k * A), columns[:, 0, 1:].ravel(), np.arange(0, k * A + 1, A)), shape=(k, k * (A + 1)))
    cost = np.tile(np.append(-1.0, np.zeros(A)), k)
    out = linprog(
        cost, A_ub=rows, b_ub=np.zeros(k * B), A_eq=sums, b_eq=np.ones(k), method="highs", options=_TOLERANCES
    )
    if out.x is None or out.ineqlin is None:
        raise SolverFailure(f"HiGHS stopped at {k} games of {A} x {B}: {out.message}")
    x = np.maximum(out.x.reshape(k, A + 1)[:, 1:], 0.0)
    y = np.maximum(-out.ineqlin.marginals.reshape(k, B), 0.0)
    return x / x.sum(axis=1, keepdims=True), y / y.sum(axis=1, keepdims=True)
