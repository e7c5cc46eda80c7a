"""Static CVaR and optimistic CVaR without a horizon: a stock-augmented problem, and a choice of initial stock."""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.stock.bracket import StockBracket
from mdplab.exact.stock.grid_solver import (
    INNER_SWEEPS,
    ROUGHLY,
    GridChoice,
    Outlook,
    bracket_on,
    grid_data,
    grids,
    missed,
    require_stationary,
    solve_on,
    upward,
)
from mdplab.exact.stock.operator import Rows, StockOperator
from mdplab.exact.stock.placing import graded, occupancy
from mdplab.exact.stock.rollout import Contracted, Realised, cell_edges, contracted_law, realised_law
from mdplab.models import Certificate, CVaR, FiniteLaw, OCVaR, Solution, StockMDP, cvar, functional, ocvar

# Of the visits for which a grid is placed, the share of those that start from every stock that may still be best.
_DOUBT = 0.5


def static_cvar(
    problem: StockMDP,
    *,
    stock_step: float | None = None,
    num_stocks: int | None = None,
    stock_grid: Any = None,
    tol: float | None = None,
    max_iters: int = 100_000,
    roll_out: bool = True,
) -> Solution:
    """The policy of largest static CVaR of the return, without a horizon: the best initial stock and the reply to it.

    Parameters
    ----------
    problem
        Objective `CVaR(tau)`, with a start; gamma below 1, or 1 without cycles off the terminal states.
    stock_step, num_stocks, stock_grid, max_iters
        As for `stock_value_iteration`; with `num_stocks`, or none, stocks are close where this start needs them.
    tol : float, optional
        Certified error of the CVaR; as for `stock_value_iteration`.
    roll_out
        Follow the policy to the law of its return; False saves the time.

    Returns
    -------
    Solution
        Value `(1,)`: a CVaR that the policy has at least, and no policy exceeds by more than the gap; policy `(S, K)`:
        start with stock `c0`, carry it exactly as `(c + r) / gamma`, take the action of the nearest grid stock.
        Certificate of kind `"static-cvar"`, with residuals `"eps_grid"` and `"eps_policy"`. `extras`: `"grid"`, `"c0"`,
        `"objective"` `(2, K)` bounds of `-c0 + sup E min(c0 + G, 0) / tau` at the grid's stocks; and of the roll-out
        `"law"` of the return, its `"cvar"`, `"cvar_error"`, and `"diagnostics"`.

    Raises
    ------
    ValueError
        Another objective, a finite horizon, a grid that is no grid.
    SolverFailure
        The gap misses `tol`; the message says what was reached, and which step should do.

    Notes
    -----
    The loss is at most `eps_grid + eps_policy / tau`: eps_policy the bracket of the expected utility at c0, eps_grid
    what the choice of c0 adds. The objective is linear between grid stocks on the side of both bounds, so that the
    grid's stocks are all that need be compared, and it is not concave: none may be left out.

    Source
    ------
    Pires et al. (2025), theorem 16; differs from the paper: its theorem 17 and proposition 37 lack the factor 1 / tau
    of the policy's error. Bauerle and Ott (2011); Rockafellar and Uryasev (2000).

    Examples
    --------
    A sure 1, or 0 or 4 with probability 1/2.

    >>> from mdplab.models import MDP, Outcomes
    >>> mdp = MDP([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[1.0, 2.0], [0.0, 0.0]], 0.9)
    >>> outcomes = Outcomes([0, 1, 3, 4, 5], [1, 1, 1, 1, 1], [1.0, 0.0, 4.0, 0.0, 0.0], [1, 0.5, 0.5, 1, 1], 2, 2)
    >>> answer = static_cvar(StockMDP(mdp, CVaR(0.5), outcomes=outcomes, start=0), stock_step=0.5)
    >>> answer.value.round(6).tolist(), answer.extras["c0"], answer.extras["law"].x.tolist()
    ([1.0], -1.0, [1.0])
    """
    start_time = time.perf_counter()
    name, utility, tau = "static_cvar", functional("negative_part"), _level(problem, CVaR, "static_cvar")
    rows = Rows.of(problem)
    require_stationary(problem, utility, rows, name)
    search = _Search(problem, rows, utility, tau, GridChoice.of(stock_step, num_stocks, stock_grid), tol, max_iters)
    for op, found in search:
        lower, upper = (-op.grid + search.start @ table / tau for table in (found.lo, found.hi))
        k = int(lower.argmax())
        gap = float(upper.max() - lower[k])
        search.report(lower, upper, gap)
    grid, data = op.grid, grid_data(op, found)
    value, gap = float(lower[k]), upward(gap + 2.0**-50 * (1 + abs(lower[k]) + abs(grid[k]) / tau))
    search.require(name, gap, grid)
    policy_part = float(search.start @ (found.hi - found.lo)[:, k])
    residuals = {"eps_policy": policy_part, "eps_grid": max(0.0, gap - policy_part / tau)}
    certificate = Certificate("static-cvar", gap, residuals, data | {"tau": tau, "c0": float(grid[k])})
    extras = {"grid": grid, "c0": float(grid[k]), "objective": np.stack([lower, upper])}
    if roll_out:
        real = realised_law(rows, grid, found.pi, search.start, float(grid[k]), tol=0.1 * tau * max(gap, 1e-9))
        extras |= {"law": real.law, "cvar": cvar(real.law, tau), "cvar_error": real.error / tau}
        extras["diagnostics"] = _diagnostics(real)
    seconds = time.perf_counter() - start_time
    return Solution(np.array([value]), found.pi, certificate, name, search.sweeps, seconds, extras=extras)


def static_ocvar(
    problem: StockMDP,
    *,
    stock_step: float | None = None,
    num_stocks: int | None = None,
    stock_grid: Any = None,
    tol: float | None = None,
    max_iters: int = 100_000,
) -> Solution:
    """The policy of largest optimistic (upper) CVaR of the return, without a horizon; it may draw its initial stock.

    Parameters
    ----------
    problem
        Objective `OCVaR(tau)`, with a start; gamma below 1, or 1 without cycles off the terminal states.
    stock_step, num_stocks, stock_grid, max_iters
        As for `static_cvar`.
    tol : float, optional
        Certified error of the OCVaR; as for `stock_value_iteration`.

    Returns
    -------
    Solution
        Value `(1,)`, an OCVaR that the policy has at least up to the gap; policy `(S, K)`: with probability
        `weights[i]` start with stock `c0[i]`, carry it exactly, from decision `merge_from[i]` on as the mean over all
        histories with that state and that cell of stocks. Certificate of kind `"static-ocvar"`. `extras`: `"grid"`,
        `"c0"`, `"weights"`, `"merge_from"` `(m,)`, `"edges"` `(n,)` of cells, `"law"`, a contraction of that of the
        mixture's return, `"objective"` `(2, K)`, `"diagnostics"`.

    Raises
    ------
    ValueError
        Another objective, a finite horizon, a grid that is no grid.
    SolverFailure
        The gap misses `tol`.

    Notes
    -----
    The objective `-c0 + sup E max(c0 + G, 0) / tau` bounds from above and must never be reported as achieved: between
    it and the best deterministic choice there may be a constant (differs from the paper, theorem 19). The value here
    is that of the law of the policy itself, followed by cells: see `mdplab.exact.stock.rollout`. Replies to stocks on
    both sides of the minimum are rolled out; their best mixture closes what either leaves.

    Source
    ------
    Pires et al. (2025), theorem 18, read for randomised policies.

    Examples
    --------
    A sure 1, or 2 with probability 0.3: mixing beats both.

    >>> from mdplab.models import MDP, Outcomes
    >>> mdp = MDP([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[1.0, 0.6], [0.0, 0.0]], 0.9)
    >>> outcomes = Outcomes([0, 1, 3, 4, 5], [1, 1, 1, 1, 1], [1.0, 0.0, 2.0, 0.0, 0.0], [1, 0.7, 0.3, 1, 1], 2, 2)
    >>> answer = static_ocvar(StockMDP(mdp, OCVaR(0.5), outcomes=outcomes, start=0))
    >>> answer.value.round(3).tolist(), sorted(answer.extras["weights"].round(3).tolist())
    ([1.429], [0.286, 0.714])
    """
    start_time = time.perf_counter()
    name, utility, tau = "static_ocvar", functional("positive_part"), _level(problem, OCVaR, "static_ocvar")
    rows = Rows.of(problem)
    require_stationary(problem, utility, rows, name)
    search = _Search(problem, rows, utility, tau, GridChoice.of(stock_step, num_stocks, stock_grid), tol, max_iters)
    best: tuple[float, _Mixture] | None = None
    for op, found in search:
        upper = -op.grid + search.start @ found.hi / tau
        lower = -op.grid + search.start @ found.lo / tau
        near = search.rollout_tol(float(upper.min() - lower.min()))
        mixture = _mixture(op, found, rows, search.start, int(upper.argmin()), tau, near)
        gap = float(upper.min()) - mixture.value + mixture.error
        search.report(-upper, -lower, gap)
        best = (gap, mixture)
    gap, mixture = best
    grid = op.grid
    # A referee cuts the law short by a share of 1e-9, and rounds it.
    gap = upward(gap + 4e-9 * (1 + float(np.abs(rows.rewards).max(initial=0.0))) / tau)
    search.require(name, gap, grid)
    data = grid_data(op, found) | {"tau": tau} | mixture.data
    extras = {"grid": grid, "law": mixture.law} | mixture.data
    extras |= {"objective": np.stack([lower, upper]), "diagnostics": mixture.diagnostics}
    seconds = time.perf_counter() - start_time
    value = np.array([mixture.value])
    certificate = Certificate("static-ocvar", gap, {"tail": mixture.error}, data)
    return Solution(value, found.pi, certificate, name, search.sweeps, seconds, extras=extras)


def _level(problem: StockMDP, kind: type, name: str) -> float:
    require_type(problem, StockMDP, name)
    if not isinstance(problem.objective, kind):
        raise ValueError(f"objective is {problem.objective.name}; {name} takes {kind.__name__}(tau)")
    return problem.objective.tau


class _Search:
    """Iterates over operators on finer and finer grids with their brackets, until the gap that is reported will do."""

    def __init__(self, problem, rows, utility, tau, choice, tol, max_iters) -> None:
        self.rows, self.utility, self.tau, self.choice = rows, utility, tau, choice
        self.tol = None if tol is None else checked_tol(tol)
        self.max_iters = checked_count("max_iters", max_iters)
        self.start = np.array(problem.start_law) / problem.start_law.sum()
        self.sweeps, self.gap = 0, np.inf
        self._outlook, self._enough = Outlook(problem.S), False
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self.num_states = problem.S

    def rollout_tol(self, gap: float) -> float:
        """How far the atoms of a law may be cut short, beside a bracket of that width."""
        return 0.05 * max(gap if self.tol is None else min(gap, self.tol), 1e-7)

    def __iter__(self):
        for grid in grids(self.choice, self.rows, self.utility, self.num_states, self._refine):
            op = StockOperator.of(self.rows, self.utility, grid)
            self._grid = grid
            found, sweeps = bracket_on(
                op, INNER_SWEEPS, self.max_iters, None if self.tol is None else self.tol * self.tau
            )
            self.sweeps += sweeps
            yield op, found
            if self._enough:
                return

    def report(self, lower: np.ndarray, upper: np.ndarray, gap: float) -> None:
        """Bounds of the objective at the grid's stocks, larger is better, and the gap that they leave."""
        # Stocks whose upper bound exceeds the best lower one may still be the best.
        open_stocks = upper >= lower.max()
        self._last = (self._grid[open_stocks], upper[open_stocks] - lower.max())
        self._enough = self.tol is None or gap <= self.tol or self._outlook.add(self._grid, gap, self.tol)

    def require(self, name: str, gap: float, grid: np.ndarray) -> None:
        """SolverFailure unless the gap will do."""
        if self.tol is not None and gap > self.tol:
            raise missed(name, gap, self.tol, grid)

    def _refine(self, even: StockOperator, size: int) -> np.ndarray:
        v, pi, sweeps = solve_on(even, INNER_SWEEPS, self.max_iters, accuracy=ROUGHLY)
        self.sweeps += sweeps
        sign = 1 if even.left else -1
        objective = sign * (-even.grid + self.start @ v / self.tau)
        weights = np.zeros(len(even.grid))
        weights[objective.argmax()] = 1 - _DOUBT
        if self._last is None:
            # Interpolation errs by less than a cell's change of the utility: stocks this close may be the best.
            near = objective >= objective.max() - np.diff(even.grid).max() / self.tau
        else:
            near = np.zeros(len(even.grid), dtype=bool)
            near[np.clip(np.searchsorted(even.grid, self._last[0]), 0, len(even.grid) - 1)] = True
        weights[near] += _DOUBT / near.sum()
        return graded(even, v, occupancy(even, pi, self.start, weights), size)


class _Mixture:
    """The best mixture of replies to stocks around the minimum of the upper bound."""

    def __init__(self, c0: np.ndarray, weights: np.ndarray, laws: list[Contracted], edges: np.ndarray, tau: float):
        used = weights > 0
        laws = [law for law, use in zip(laws, used, strict=True) if use]
        self.data = {"c0": c0[used], "weights": weights[used], "edges": edges}
        self.data["merge_from"] = np.array([one.merge_from for one in laws])
        self.law = FiniteLaw.mixture([one.law for one in laws], weights[used])
        self.value = ocvar(self.law, tau)
        self.error = max(one.error for one in laws)
        self.diagnostics = {"tail_error": self.error, "num_steps": float(max(one.num_steps for one in laws))}


def _mixture(
    op: StockOperator, found: StockBracket, rows: Rows, start: np.ndarray, k: int, tau: float, tol: float
) -> _Mixture:
    """Replies to the minimising stock and its neighbours, and the pair of them that mixes best."""
    nodes = np.unique(np.clip(k + np.arange(-1, 2), 0, len(op.grid) - 1))
    edges = cell_edges(op.grid, rows.gamma)
    laws = [contracted_law(rows, op.grid, found.pi, start, float(op.grid[n]), edges, tol=tol) for n in nodes]
    best, chosen = -np.inf, (0, 0, 1.0)
    for i in range(len(nodes)):
        for j in range(i, len(nodes)):
            weight, value = _best_weight(laws[i].law, laws[j].law, tau)
            if value > best + 1e-12 * (1 + abs(best) if np.isfinite(best) else 1.0):
                best, chosen = value, (i, j, weight)
    i, j, weight = chosen
    weights = np.zeros(len(nodes))
    weights[i] += weight
    weights[j] += 1 - weight
    return _Mixture(op.grid[nodes], weights, laws, edges, tau)


def _best_weight(a: FiniteLaw, b: FiniteLaw, tau: float) -> tuple[float, float]:
    """The share of `a` in the mixture with b of largest OCVaR, which is concave in it, and that OCVaR."""
    atoms = np.union1d(a.x, b.x)
    # max over w of min over atoms of a function linear in w: corners where two atoms' functions meet.
    fa, fb = (atoms + _excess(law, atoms) / tau for law in (a, b))
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        at = int((middle * fa + (1 - middle) * fb).argmin())
        low, high = (middle, high) if fa[at] > fb[at] else (low, middle)
    options = [0.0, 1.0, 0.5 * (low + high)]
    values = [float((w * fa + (1 - w) * fb).min()) for w in options]
    at = int(np.argmax(values))
    return options[at], values[at]


def _excess(law: FiniteLaw, points: np.ndarray) -> np.ndarray:
    """`E max(X - c, 0)` at each of points (n,), by sums from above: products of atoms and points are too many."""
    above = np.searchsorted(law.x, points, side="right")
    top = law.x[-1]
    mass = np.append(np.cumsum(law.p[::-1])[::-1], 0.0)
    lack = np.append(np.cumsum((law.p * (top - law.x))[::-1])[::-1], 0.0)
    return np.maximum((top - points) * mass[above] - lack[above], 0.0)


def _diagnostics(real: Realised) -> dict[str, float]:
    return {
        "merge_error": real.merge_error,
        "tail_error": real.tail_error,
        "num_steps": float(real.num_steps),
    }
