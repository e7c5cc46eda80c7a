"""The law of the return under a policy that carries a stock, followed forward from the start."""

import math

import numpy as np

from mdplab.exact.arguments import checked_count, checked_positive, require_type
from mdplab.models import FiniteLaw, SolverFailure, StockMDP
from mdplab.models.projections import checked_grid

# Equal stocks that rounding tells apart, as money of the first stage, relative to the largest.
_SAME = 1e-12
_MAX_STAGES = 1_000_000


def stock_policy_law(
    problem: StockMDP,
    grid: np.ndarray,
    policy: np.ndarray,
    c0: float,
    *,
    tol: float = 1e-3,
    max_nodes: int = 100_000,
) -> tuple[FiniteLaw, float]:
    """Law of the return G from the start with stock c0, when the action is that of the nearest grid stock.

    Every pair of state and exact stock is followed until what is left weighs little. Such a remainder is counted as if
    it earned nothing more, and what that can be wrong by is added up.

    Parameters
    ----------
    problem : StockMDP
        Infinite horizon, gamma < 1, with a start.
    grid : array (K,)
        Stocks, strictly increasing.
    policy : int array (S, K)
        Action by state and grid stock; stocks beyond the ends act as the ends, halfway the lower one decides.
    c0 : float
        Initial stock.
    tol : float > 0
        Error in w_1 to aim at, relative to the largest possible |G|.
    max_nodes : int
        Most pairs of state and stock at one stage; the lightest are given up beyond.

    Returns
    -------
    law : FiniteLaw
    error : float
        Upper bound of w_1 to the true law, rounding apart; above `tol` times the largest |G| where `max_nodes` bound.

    Raises
    ------
    ValueError
        No start, or a discount of 1; a policy of another shape.
    SolverFailure
        gamma so close to 1 that a million stages do not reach `tol`.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    >>> problem = StockMDP(mdp, functional("mean"), start=0)
    >>> law, error = stock_policy_law(problem, np.array([0.0]), np.zeros((2, 1), dtype=int), 0.0, tol=0.1)
    >>> law.x[:3].tolist(), law.p[:3].tolist(), error <= 0.2
    ([1.0, 1.5, 1.75], [0.5, 0.25, 0.125], True)
    """
    require_type(problem, StockMDP, "stock_policy_law")
    law, gamma, outcomes = problem.start_law, problem.gamma, problem.outcomes
    grid, policy = checked_grid("grid", grid), np.asarray(policy)
    if law is None or gamma == 1:
        raise ValueError("start is missing" if law is None else "gamma is 1; the law of a horizon is exact elsewhere")
    if policy.shape != (problem.S, grid.size):
        raise ValueError(f"policy has shape {policy.shape}, expected ({problem.S}, {grid.size})")
    tol, most = checked_positive("tol", tol), checked_count("max_nodes", max_nodes)
    largest = float(np.abs(outcomes.reward).max(initial=0.0)) / (1 - gamma)
    stages = max(1, math.ceil(math.log(tol / 2) / math.log(gamma)))
    if stages > _MAX_STAGES:
        raise SolverFailure(f"stock_policy_law: gamma is {gamma:.12g}, {stages} stages are needed for tol {tol:g}")
    cuts = (grid[:-1] + grid[1:]) / 2
    sizes, rows = np.diff(outcomes.indptr), outcomes.row_of()
    # Rows sum to one only up to rounding, which many stages would add up: they are read as probabilities.
    prob = outcomes.prob / np.bincount(rows, outcomes.prob, minlength=sizes.size)[rows]
    state = np.flatnonzero(law)
    mass, gain = law[state] / law.sum(), np.zeros(state.size)
    done_x, done_p, error = [], [], 0.0
    for t in range(stages):
        over = problem.mdp.terminal[state]
        # Each stage may give up its share of the error: first what is too light to matter, then what is too much.
        order = np.argsort(mass, kind="stable")
        light = np.cumsum(mass[order]) * gamma**t <= tol / (2 * stages)
        light[: max(0, state.size - most)] = True
        left = np.zeros(state.size, dtype=bool)
        left[order[light]] = True
        error += float(mass[left & ~over].sum()) * gamma**t * largest
        stop = left | over
        done_x.append(gain[stop])
        done_p.append(mass[stop])
        state, gain, mass = state[~stop], gain[~stop], mass[~stop]
        if not state.size:
            break
        action = policy[state, np.searchsorted(cuts, (c0 + gain) / gamma**t)]
        row = state * problem.A + action
        if not sizes[row].all():
            s = int(state[np.argmin(sizes[row])])
            raise ValueError(f"policy takes an action in state {s} that is not available there")
        node = np.repeat(np.arange(row.size), sizes[row])
        at = np.arange(node.size) - np.repeat(np.cumsum(sizes[row]) - sizes[row], sizes[row])
        at += outcomes.indptr[row][node]
        state, mass = outcomes.next_state[at], mass[node] * prob[at]
        gain = gain[node] + gamma**t * outcomes.reward[at]
        state, gain, mass = _merged(state, gain, mass)
    done_x.append(gain)
    done_p.append(mass)
    error += float(mass.sum()) * gamma**stages * largest
    return FiniteLaw.of(np.concatenate(done_x), np.concatenate(done_p)), error


def _merged(state: np.ndarray, gain: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of state and gain without repetitions, their masses added."""
    order = np.lexsort((gain, state))
    state, gain, mass = state[order], gain[order], mass[order]
    same = _SAME * (1 + np.abs(gain).max(initial=0.0))
    first = np.flatnonzero(np.append(True, (np.diff(state) > 0) | (np.diff(gain) > same)))
    return state[first], gain[first], np.add.reduceat(mass, first)
