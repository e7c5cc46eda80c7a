"""Two functions of state and stock between which the optimum and the policy's value provably lie.

Let `T` be the optimality operator of stocks and `T_pi` that of the policy that takes the action of the nearest grid
stock and carries its own stock exactly. Both are monotone, and contractions by gamma on functions at a bounded distance
from the utility f, with fixed points `v*` and `v^pi`. So `T hi <= hi` at every stock, on the grid or not, gives
`v* <= hi`, and `lo <= T_pi lo` gives `lo <= v^pi`. With gamma = 1 and no cycles induction does the same.

Here lo and hi are linear between the stocks of the grid and have the slopes of f outside. Then `(T_a hi)(s, .)` is
piecewise linear too, with corners where a next stock `(c + r) / gamma` meets the grid: finitely many points decide, and
no boundary values are needed, for outside all corners both sides are parallel. Interpolation errs by the square of the
step where laws are spread out; bounding each stock by the slopes of f from its neighbours errs by the step, every time.

`hi` starts from the solution of the interpolated problem and is raised at the stocks next to where `T hi` exceeds it
(a cover), to begin with from scratch in each sweep, which leaves little excess, then upwards only, which converges. A
last constant closes what excess is left: `hi + x / (1 - gamma)` if `T hi <= hi + x`. Likewise `lo`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.exact.stock.operator import StockOperator

# The referee's rounding, some hundred ulps of the magnitudes in a row; left as room in every inequality.
_ROOM = 2.0**-44
# Sweeps from scratch, then upwards; more of the first leave less to the second, to no use beyond mixing.
_FRESH = 40
# An excess costs as much as a sweep: it is looked at once in so many.
_LOOK = 8
# Outcomes times stocks times sweeps that a cover may take: seconds.
_WORK = 1e9


@dataclass(frozen=True, eq=False, slots=True)
class StockBracket:
    """`lo <= v^pi <= v* <= hi`, (S, K) each, and the sweeps it took."""

    lo: np.ndarray
    hi: np.ndarray
    pi: np.ndarray
    num_iters: int

    @property
    def gap(self) -> float:
        """The largest distance, at all states and stocks (outside the grid both are parallel)."""
        return float((self.hi - self.lo).max())


def optimise(op: StockOperator, *, inner: int, accuracy: float, max_iters: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Fixed point of the interpolated operator up to changes of `accuracy`: values, actions, sweeps.

    `inner` sweeps for the actions found (until they change nothing if -1) follow each sweep over all actions.
    """
    v, pi, still = op.first(), op.any_policy(), np.zeros(op.shape)
    done = 0
    while done < max_iters:
        change = op.greedy(v, pi, still, backward=bool(done % 2) and op.rows.depth is None)
        done += 1
        if change <= accuracy or op.rows.depth is not None:
            break
        left = max_iters if inner < 0 else inner
        while left and done < max_iters and op.follow(v, pi, still, backward=bool(done % 2)) > accuracy:
            left -= 1
            done += 1
    return v, pi, done


def bracket(
    op: StockOperator,
    v: np.ndarray,
    pi: np.ndarray,
    *,
    accuracy: float,
    max_iters: int,
    v_pi: np.ndarray | None = None,
) -> StockBracket:
    """The bracket around the interpolated solution v with the actions pi, (S, K) each; `accuracy` of its closing.

    `v_pi` is the interpolated value of pi where that is another.
    """
    low = v if v_pi is None else v_pi
    hi, lo = v.copy(), low.copy()
    allowed = accuracy * (1 - op.rows.gamma)
    above = _cover(
        op, lambda keep, back: op.above(hi, v, keep=keep, backward=back), lambda: op.above(hi), allowed, max_iters
    )
    hi += _closing(op, op.above(hi), hi)[:, None]
    below = _cover(
        op,
        lambda keep, back: op.below(lo, pi, low, keep=keep, backward=back),
        lambda: op.below(lo, pi),
        allowed,
        max_iters,
    )
    lo -= _closing(op, op.below(lo, pi), lo)[:, None]
    return StockBracket(lo, hi, pi, above + below)


def _cover(
    op: StockOperator,
    sweep: Callable[[bool, bool], float],
    excess: Callable[[], float],
    allowed: float,
    max_iters: int,
) -> int:
    """Sweep until the excess is allowed; the number of sweeps."""
    if op.rows.depth is not None:
        # Every state's successors are final when its turn comes.
        sweep(False, False)
        return 1
    # A loop that keeps losing needs 1 / (1 - gamma) sweeps, which large problems cannot have: the constant pays there.
    work = len(op.rows.prob) * op.shape[1]
    limit = min(max_iters, max(200, int(min(20 / (1 - op.rows.gamma), _WORK / work))))
    for done in range(1, limit + 1):
        sweep(done > _FRESH, bool(done % 2))
        if done % _LOOK == 0 and excess() <= allowed:
            return done
    return limit


def _closing(op: StockOperator, excess: float, h: np.ndarray) -> np.ndarray:
    """How far each state's row must be moved for the excess to vanish, with room for the referee's rounding, (S,)."""
    rows = op.rows
    slope = max(abs(op.left), abs(op.right), float(np.abs(np.diff(h, axis=1) / np.diff(op.grid)).max()))
    # A small discount takes the stocks of the next state, and the referee's rounding, far beyond the grid.
    reach = (np.abs(op.grid).max() + np.abs(rows.rewards).max(initial=0.0)) / rows.gamma
    size = 1 + np.abs(h).max() + slope * reach
    outcomes = int(np.diff(rows.indptr).max(initial=1))
    excess = max(excess, 0.0) + (1 + outcomes / 64) * _ROOM * size
    if rows.depth is not None:
        return excess * rows.depth
    return np.where(rows.terminal, 0.0, excess / (1 - rows.gamma) * (1 + _ROOM))
