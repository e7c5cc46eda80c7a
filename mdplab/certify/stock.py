"""The kinds `stock`, `static-cvar` and `static-ocvar`: optimal utilities of stock plus return, and static tail risk.

stock
    `lo <= V^pi <= V* <= hi` from tables on all stocks (`mdplab.certify.stock_grid`) or on those of each stage
    (`mdplab.certify.stock_stages`).
static-cvar
    For every law and every c, `CVaR_tau(G) >= -c + E min(c + G, 0) / tau`, with equality at minus a tau-quantile of G
    (Rockafellar and Uryasev). So the policy that starts with stock c0 has at least `-c0 + start . lo(c0) / tau`, and
    no policy more than `sup_c -c + start . V(c) / tau`. On a grid V is replaced by `hi`, linear between stocks, of
    slope 1 below and 0 above them: the supremum is attained at a stock of the grid. In stages: the supremum over c of
    a policy's own bound is attained at minus one of its returns, and the bound has slopes between -1 and `1 / tau -
    1` in c; so it is at most its value at a stock of stage 0 within d of that, plus `max(1, 1 / tau - 1) d`.
static-ocvar
    `OCVaR_tau(G) = min_c -c + E max(c + G, 0) / tau`. So for any c no policy, randomised ones included, has more than
    `-c + start . hi(c) / tau`. The lower bound is the referee's own enclosure of the OCVaR of the mixture's law; on a
    grid, with `edges` `(n,)` and `merge_from` `(m,)`, that of policies which from decision `merge_from[i]` on know
    their stock only as the mean over all histories with that state and that cell between edges, a contraction.
"""

from fractions import Fraction

import numpy as np

from mdplab.certify.case import Case, spread
from mdplab.certify.mixtures import mixture_ocvar
from mdplab.certify.ragged import OutcomeRows, upward
from mdplab.certify.rational import fraction, number, numbers
from mdplab.certify.report import Refused
from mdplab.certify.return_laws import case_value
from mdplab.certify.rows import UNIT
from mdplab.certify.stock_grid import grid_bounds
from mdplab.certify.stock_stages import SAME_STOCK, is_staged, staged_bounds
from mdplab.models import CVaR, OCVaR, StockMDP

_MAX_RETURNS = 5_000_000


def stock(case: Case, problem: StockMDP) -> float:
    """`lo <= V^pi <= V* <= hi` at every state and stock; returns the gap."""
    if is_staged(case):
        bounds = staged_bounds(case, problem)
        lo, hi = bounds.lo[0], bounds.hi[0]
        case.about.append("values of stage 0, stocks in money of the first stage")
    else:
        bounds = grid_bounds(case, problem)
        lo, hi = bounds.lo, bounds.hi
    if isinstance(problem.objective, CVaR | OCVaR):
        case.about.append("the utility under the supremum over stocks, not the risk measure itself")
    value = case_value(case, lo.shape)
    known = np.isfinite(hi)
    if not known.any():
        raise Refused("nothing is claimed at stage 0")
    bad = known & ((value < lo) | (value > hi))
    if bad.any():
        s, k = np.argwhere(bad)[0]
        raise Refused(f"value[{s}, {k}] is {value[s, k]:.17g}, bounds {lo[s, k]:.17g} and {hi[s, k]:.17g}")
    return case.claims_gap(spread(hi[known], lo[known]))


def static_cvar(case: Case, problem: StockMDP) -> float:
    """lower `<= CVaR` of the policy `<=` largest CVaR `<=` upper; returns the gap."""
    tau = _level(case, problem, CVaR)
    staged = is_staged(case)
    bounds = (staged_bounds if staged else grid_bounds)(case, problem)
    stocks, lo, hi = (bounds.grid[0], bounds.lo[0], bounds.hi[0]) if staged else (bounds.grid, bounds.lo, bounds.hi)
    c0 = case.number("c0")
    at = np.flatnonzero(stocks == c0)
    if len(at) == 0:
        raise Refused(f"c0 is {c0:.17g}, not one of the stocks")
    lower = -Fraction(c0) + _started(problem, lo[:, at], -1)[0] / tau
    upper = max(-Fraction(c) + w / tau for c, w in zip(stocks.tolist(), _started(problem, hi, 1)))
    if staged:
        upper += max(Fraction(1), 1 / tau - 1) * _distance_to_returns(problem, stocks, len(bounds.grid) - 1)
    return _bracket(case, lower, upper)


def static_ocvar(case: Case, problem: StockMDP) -> float:
    """lower `<= OCVaR` of the mixture `<=` largest OCVaR over randomised policies `<=` upper; returns the gap."""
    tau = _level(case, problem, OCVaR)
    staged = is_staged(case)
    bounds = (staged_bounds if staged else grid_bounds)(case, problem, lower=False)
    stocks, hi = (bounds.grid[0], bounds.hi[0]) if staged else (bounds.grid, bounds.hi)
    start = problem.start_law > 0
    known = np.isfinite(hi[start]).all(axis=0)
    if not known.any():
        raise Refused("nothing is claimed at stage 0")
    stocks, hi = stocks[known], hi[:, known]
    upper = min(-Fraction(c) + w / tau for c, w in zip(stocks.tolist(), _started(problem, hi, 1)))
    lower = mixture_ocvar(case, problem, float(tau))
    return _bracket(case, lower, upper)


def _level(case: Case, problem: StockMDP, wanted: type) -> Fraction:
    if not isinstance(problem.objective, wanted):
        raise Refused(f"the problem's objective is {problem.objective.name}, not {wanted.__name__}")
    if case.number("tau") != problem.objective.tau:
        raise Refused(f"tau is {case.number('tau'):.17g}, the problem's is {problem.objective.tau:.17g}")
    return Fraction(problem.objective.tau)


def _started(problem: StockMDP, table: np.ndarray, sign: int) -> list[Fraction]:
    """Bounds of `start . table` for each column, from above (`sign` 1) or below; start divided by its sum."""
    law = problem.start_law
    used = np.flatnonzero(law > 0)
    rows = table[used]
    if not np.isfinite(rows).all():
        raise Refused("nothing is claimed of some start state and stock")
    if len(used) == 1:
        return [Fraction(x) for x in rows[0].tolist()]
    weights = numbers(law[used])
    total = sum(weights, number(0))
    if rows.size <= 20_000:
        return [
            fraction(sum((w * x for w, x in zip(weights, numbers(column))), number(0)) / total) for column in rows.T
        ]
    mean = law[used] @ rows / law[used].sum()
    # A sum of len(used) products, a quotient of two such sums.
    slip = (2 * len(used) + 16) * UNIT * (law[used] @ np.abs(rows) / law[used].sum()) + 2.0**-900
    return [Fraction(m) + sign * Fraction(e) for m, e in zip(mean.tolist(), slip.tolist())]


def _bracket(case: Case, lower: Fraction, upper: Fraction) -> float:
    value = np.asarray(case.solution.value, dtype=np.float64)
    if value.size != 1 or value.ndim > 1 or not np.isfinite(value).all():
        raise Refused(f"value has shape {value.shape} or is not finite, expected (1,)")
    v = Fraction(float(value.ravel()[0]))
    case.about.append(f"from the problem's start; bounds {float(lower):.9g} and {float(upper):.9g}")
    # The value need not lie in the bracket, but its error counts.
    return case.claims_gap(upward(max(upper, v) - min(lower, v)))


def _distance_to_returns(problem: StockMDP, stocks: np.ndarray, stages: int) -> Fraction:
    """How far minus a possible return may be from the nearest stock."""
    returns, error = possible_returns(problem, stages)
    ends = np.concatenate(([-np.inf], stocks, [np.inf]))
    k = np.searchsorted(ends, -returns)
    near = np.minimum(-returns - ends[k - 1], ends[k] + returns)
    worst = float(near.max())
    if worst > SAME_STOCK * (1 + float(np.abs(stocks).max())):
        r = returns[int(np.argmax(near))]
        raise Refused(f"the return {r:.9g} is possible, and no stock of stage 0 within {worst:.3g} of minus it")
    return Fraction(worst) * (1 + Fraction(4, 10**15)) + Fraction(error)


def possible_returns(problem: StockMDP, stages: int) -> tuple[np.ndarray, float]:
    """Every return that is possible within some stages from the start, and a bound of the error of each."""
    mdp, rows = problem.mdp, OutcomeRows.of(problem)
    out, row = rows.outcomes, rows.outcomes.row_of()
    usable = mdp.actions.ravel()[row] & ~mdp.terminal[row // mdp.A]
    # Duplicates of (state, next state, reward) lead to the same returns.
    triples = np.unique(np.column_stack([row[usable] // mdp.A, out.next_state[usable], out.reward[usable]]), axis=0)
    sums = {int(s): np.zeros(1) for s in np.flatnonzero(problem.start_law > 0)}
    done, error, power = [], 0.0, 1.0
    for t in range(stages):
        done += [sums.pop(s) for s in list(sums) if mdp.terminal[s]]
        parts: dict[int, list[np.ndarray]] = {}
        for s, to, r in triples[np.isin(triples[:, 0], list(sums))].tolist():
            parts.setdefault(int(to), []).append(sums[int(s)] + power * r)
        if sum(map(len, done)) + sum(len(x) for part in parts.values() for x in part) > _MAX_RETURNS:
            raise Refused(f"more than {_MAX_RETURNS} returns are possible")
        sums, largest, joined = {}, 0.0, 0.0
        for s, part in parts.items():
            x = np.unique(np.concatenate(part))
            largest = max(largest, float(np.abs(x).max()))
            kept = np.append(True, np.diff(x) > 1e-13 * (1 + np.abs(x).max()))
            groups = np.append(np.flatnonzero(kept), len(x))
            # The first of a group stands for it.
            joined = max(joined, float((x[groups[1:] - 1] - x[groups[:-1]]).max()))
            sums[s] = x[kept]
        error += joined + 8 * (t + 4) * UNIT * (largest + power * float(np.abs(out.reward).max()))
        power *= mdp.gamma
    return np.unique(np.concatenate([*done, *sums.values()])), error * (1 + 1e-12)
