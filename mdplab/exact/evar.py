"""Entropic value at risk (EVaR) of the whole return, by a bracket over the risk aversion.

    EVaR_al(X) = sup_{b > 0} h(b),    h(b) = ERM_b(X) - L / b,    L = log(1 / al),

so that the best policy has `sup_b h*(b)`, `h*(b) = ERM*_b - L / b` with the entropic optimum of `mdplab.exact.risk`.
The sup need not be attained (it is the essential infimum if the worst atom has mass al or more, and the mean at al = 1)
and h* has local maxima where the policy changes; hence bounds over cells that cover all b > 0:

    (0, b_1]        mean* - L / b_1,                                                  as ERM_b <= mean;
    [b_1, b_2]      ERM*_{b_1} - L / b_2,                                             as ERM_b falls in b;
                    max(h*(b_1), h*(b_2)) + R^2 (b_2 - b_1)^2 / (32 b_1);
    [b_K, oo)       ERM*_{b_K};
    [b_f, oo)       w + max(0, far* - w - L / b_f),                                   see below.

The last is for levels near the mass of the worst return, where h* is flat over all large b. Let w_t(s) be at least the
best worst case from (t, s), and keep the transitions with `r + gamma w_{t+1}(s') <= w_t(s)`: along them alone the
return stays below w. So for `b >= b_f` every policy has `E exp(-b (X - w)) >= E [exp(-b_f (X - w)); kept]`, the right
side has a dynamic programme, the entropic one without the other transitions, and gives `b_f (w - far*)` at least in its
logarithm. It is w as soon as no policy keeps the return above w with a mass of more than 1 - al.

The second bound of a cell: `K(b) = b ERM_b` has `K'' >= -R^2 / 4` for returns of spread R (minus a variance), so it is
at most its chord plus `R^2 (b_2 - b_1)^2 / 32`, and (chord - L) / b is monotone. Its error is of second order, so that
cells need not be narrow near the best b, and their number grows like the logarithm of 1 / tol.

Certificate of kind `"evar"`, with the conventions of kind `"entropic"`:

    level; start (S,), a distribution, read divided by its sum; betas (K,), increasing, above 0; stage_ptr (K + 1,),
    from 0: rows stage_ptr[k] to stage_ptr[k + 1] of `hi` (n, S) are the upper stage values of betas[k]; best in
    [0, K), lo (T + 1, S): lower stage values of betas[best] for the solution's policy; infinite horizon: mean_lo,
    mean_hi (S,); over a horizon H: mean_hi (H + 1, S), mean_hi[H] >= 0, mean_hi[t] >= T mean_hi[t + 1], and
    `mean_hi` below stands for its first row. Optional: far_at in [0, K), floor, and worst, far (N + 1, S) (N the
    horizon, or any number): f = far_at is the b_f above, floor its w from the start.

Each block satisfies the conditions of kind `"entropic"`. With `ERM_b(start, x) = -(1/b) log sum start exp(-b x)`, the
policy has at least `ERM_b(start, lo[0]) - L / b` at b = betas[best], and no policy more than the largest bound of a
cell, by `ERM*_k <= ERM_b(start, hi_k[0])` and `mean* <= start . mean_hi`. The gap is the difference. See
`mdplab.certify.risk` for the conditions on worst and far.
"""

import heapq
import math
import time
from itertools import pairwise
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_tol
from mdplab.exact.operator import TINY, UNIT
from mdplab.exact.risk import StagedRisk, Stages, checked_level
from mdplab.exact.risk_far import Far, Worst
from mdplab.exact.risk_rows import entropic
from mdplab.models import MDP, Certificate, Solution, SolverFailure, StockMDP


def evar_dp(
    mdp: MDP | StockMDP,
    level: float,
    start: Any = None,
    *,
    tol: float = 1e-6,
    horizon: int | None = None,
    max_cells: int = 2000,
) -> Solution:
    """Policy of the largest entropic value at risk of the discounted return, over all policies.

    Parameters
    ----------
    mdp : MDP or StockMDP
        As for `entropic_risk_dp`.
    level : float in (0, 1]
        Tail mass; 1 is risk-neutral, and the limit 0 the worst case.
    start : int or array (S,), optional
        Initial state or distribution; the problem's start or `mu` by default. The best risk aversion depends on it.
    tol : float > 0
        Largest certified error.
    horizon : int, optional
        Number of decisions; the model's by default.
    max_cells : int
        Limit on entropic problems solved.

    Returns
    -------
    Solution
        Value `(1,)`, the EVaR from the start; policy by stages as in `entropic_risk_dp`; certificate of kind `"evar"`;
        extras `beta`, the risk aversion of the policy, and `frontier` (K, 2): betas, and `ERM*_b - L / b` there.
        `num_iters` counts entropic problems.

    Raises
    ------
    ValueError
        `level` outside (0, 1], no start, or gamma 1 without a horizon.
    SolverFailure
        The certificate misses `tol`.

    Notes
    -----
    `ess inf <= EVaR <= CVaR <= mean` at the same level, with equality on the left at levels up to the mass of the worst
    outcome, where the best beta is infinite and that of the policy only large. Where the worst case is met along
    transitions of which some take back what others spare, the bound there may fall short, and take many cells.

    Source
    ------
    Ahmadi-Javid (2012) for the measure; Hau, Petrik, Ghavamzadeh (2023) for the dynamic programme, from memory. The
    second-order bound is derived here.

    Examples
    --------
    >>> coin = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 1.0, horizon=2)
    >>> [round(float(evar_dp(coin, level, 0).value[0]), 5) + 0.0 for level in (1.0, 0.4)]
    [0.0, -1.0]
    """
    started = time.perf_counter()
    level, tol = checked_level("level", level), checked_tol(tol)
    problem = StagedRisk(mdp, horizon, tol, "evar_dp")
    data = dict(problem.tail_data)
    if problem.H is not None:
        data["mean_hi"] = problem.solve(0.0, tol).hi
    bracket = _Bracket(problem, level, _weights(mdp, start), np.atleast_2d(data["mean_hi"])[0], tol)
    upper = bracket.refine(max_cells)
    best = max(bracket.points, key=lambda b: bracket.points[b].lower)
    point = bracket.points[best]
    # A referee adds the rounding of a logarithm and of a sum or two to each side, and that of masses: q / b, or q R.
    masses = (2 * bracket.start.size + 64) * min(1 / best, 4 * bracket.R)
    room = (
        64 * UNIT * (abs(upper) + abs(point.lower) + abs(bracket.L / best) + bracket.R) + 4 * UNIT * masses + 8 * TINY
    )
    gap = float(np.nextafter(upper - point.lower + 2 * room, np.inf))
    if not gap <= tol:
        raise SolverFailure(
            f"evar_dp: bounds {gap:.3g} apart after {len(bracket.points)} entropic problems, tol is {tol:.3g}"
        )
    betas = sorted(bracket.points)
    if bracket.far is not None:
        # No cell beyond is needed.
        betas = [b for b in betas if b <= bracket.far[0] or b == best]
    blocks = [bracket.points[b].stages.hi for b in betas]
    data |= {
        "level": level,
        "start": bracket.start,
        "betas": np.array(betas),
        "stage_ptr": np.cumsum([0, *map(len, blocks)]),
        "hi": np.concatenate(blocks),
        "best": betas.index(best),
        "lo": point.stages.lo,
    }
    if bracket.far is not None:
        b, far = bracket.far
        data |= {"far_at": betas.index(b), "floor": far.worst.floor, "worst": far.worst.table, "far": far.hi}
    residuals = {"rounding": point.stages.rounding, "tail": point.stages.tail}
    extras = {"beta": best, "frontier": np.array([[b, bracket.points[b].lower] for b in betas])}
    certificate = Certificate("evar", gap, residuals, data)
    value = np.array([(upper + point.lower) / 2])
    seconds = time.perf_counter() - started
    return Solution(value, point.stages.policy, certificate, "evar_dp", len(bracket.points), seconds, extras=extras)


class _Point:
    """One risk aversion: bounds of the entropic optimum from the start, `lower` of h at it for its policy."""

    __slots__ = ("high", "lower", "objective", "stages")

    def __init__(self, stages: Stages, start: np.ndarray, b: float, L: float) -> None:
        self.stages = stages
        self.high = entropic(stages.hi[0], start, b)
        self.objective = self.high - L / b
        self.lower = entropic(stages.lo[0], start, b) - L / b


class _Bracket:
    """Cells that cover all risk aversions, split where their upper bound is largest."""

    def __init__(self, problem: StagedRisk, level: float, start: np.ndarray, mean: np.ndarray, tol: float) -> None:
        self.problem, self.start, self.tol = problem, start, tol
        self.R, self.L = problem.R, math.log(1 / level)
        self.mean = float(start @ mean) / float(start.sum())
        self.points: dict[float, _Point] = {}
        self.far: tuple[float, Far] | None = None
        self._tried: set[float] = set()
        self.worst: Worst | None = None
        if self.R == 0:
            # The return is sure: L / b is all that is lost.
            first = last = max(8 * self.L / tol, 1.0)
        elif self.L == 0:
            first = last = tol / self.R**2
        else:
            # Below the first, h is under the worst case; the last is moved out until it does not matter.
            first, last = self.L / self.R, 64 * self.L / self.R
        self._solve(first)
        self.cells = [(-self._upper(0.0, first), 0.0, first)]
        if last > first:
            # Within a fraction of tol of the worst case, if nothing better shows.
            sure = 4 * self.L / tol
            ends = [first, last, sure] if sure > last else [first, last]
            for b in ends[1:]:
                self._solve(b)
            for a, b in pairwise(ends):
                heapq.heappush(self.cells, (-self._upper(a, b), a, b))
            last = ends[-1]
            self.worst = Worst.of(problem, start, tol)
        heapq.heappush(self.cells, (-self._upper(last, math.inf), last, math.inf))

    def refine(self, max_cells: int) -> float:
        """Split until the largest upper bound is close to the largest lower one; returns the upper bound."""
        lower = max(point.lower for point in self.points.values())
        while -self.cells[0][0] - lower > 0.9 * self.tol and len(self.points) < max_cells:
            _, left, right = heapq.heappop(self.cells)
            if self._covered(left, lower):
                continue
            if left == 0:
                middle = right / 8
            elif right == math.inf:
                middle = left * 8
            else:
                middle = math.sqrt(left * right)
            if not left < middle < right:
                break
            self._solve(middle)
            lower = max(lower, self.points[middle].lower)
            for a, b in ((left, middle), (middle, right)):
                heapq.heappush(self.cells, (-self._upper(a, b), a, b))
        return max(-self.cells[0][0], lower)

    def _covered(self, left: float, lower: float) -> bool:
        """Try to bound all risk aversions from `left` on at once, close enough; if so, one cell takes their place."""
        if self.worst is None or left == 0 or left in self._tried or self.worst.floor - lower > 0.9 * self.tol:
            return False
        self._tried.add(left)
        far = Far.of(self.problem, self.worst, left)
        upper = far.upper(self.start, left, self.L)
        if upper - lower > 0.9 * self.tol:
            return False
        self.far = left, far
        self.cells = [cell for cell in self.cells if cell[1] < left] + [(-upper, left, math.inf)]
        heapq.heapify(self.cells)
        return True

    def _solve(self, b: float) -> None:
        self.points[b] = _Point(self.problem.solve(b, self.tol / 4), self.start, b, self.L)

    def _upper(self, left: float, right: float) -> float:
        if left == 0:
            return self.mean - self.L / right
        one = self.points[left]
        if right == math.inf:
            return one.high
        other = self.points[right]
        bend = self.R**2 * (right - left) ** 2 / (32 * left)
        return min(one.high - self.L / right, max(one.objective, other.objective) + bend)


def _weights(mdp: MDP | StockMDP, start: Any) -> np.ndarray:
    if isinstance(mdp, StockMDP):
        start, mdp = mdp.start if start is None else start, mdp.mdp
    if start is None:
        if mdp.mu is None:
            raise ValueError("start is None and the model has no mu; give a state or a distribution (S,)")
        return np.array(mdp.mu)
    array = np.asarray(start)
    if array.ndim == 0:
        if not np.issubdtype(array.dtype, np.integer) or not 0 <= array < mdp.S:
            raise ValueError(f"start is {start!r}; expected a state from 0 to {mdp.S - 1}")
        return (np.arange(mdp.S) == array).astype(np.float64)
    return np.array(mdp.replace(mu=array).mu)
