"""Robust dynamic programming: five solvers and an evaluation, each with a certificate."""

import math
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_policy, checked_positive, checked_tol, require_type
from mdplab.exact.operator import UNIT
from mdplab.exact.progress import Progress
from mdplab.exact.robust.bracket import Bracket, bracket, bracket_policy
from mdplab.exact.robust.iterates import (
    below_everything,
    modified_iterates,
    partial_iterates,
    policy_iterates,
    residual_conditioned_iterates,
    value_iterates,
)
from mdplab.exact.robust.operator import RobustBellman, Step
from mdplab.models import RobustMDP, Solution, SolverFailure

# Sweeps after which the rate of a chain shows, and how many more are cheaper than Newton steps.
_SHOWN_SWEEPS, _CHEAP_SWEEPS = 6, 15


def robust_value_iteration(
    problem: RobustMDP, *, tol: float = 1e-6, max_iters: int = 1_000_000, progress: bool = False
) -> Solution:
    """Robust value by iteration of the robust Bellman operator.

    Parameters
    ----------
    problem : RobustMDP
        With any of the sets of `mdplab.models`.
    tol : float > 0
        Largest certified error of the value and of the policy's worst-case value.
    max_iters : int
        Limit on sweeps.
    progress : bool
        Show a line while a long solve runs.

    Returns
    -------
    Solution
        Value `(S,)`; policy `(S,)` for an `(s, a)` set, `(S, A)` probabilities for an `s` set, which may need a
        mixture; certificate of kind `"robust"`; extras `kernel` `(S, A, S)` (CSR `(S * A, S)` for many states on a
        sparse support), the worst case, and `residuals` `(num_iters,)`, the largest |T v - v| at each iterate.

    Raises
    ------
    ValueError
        `problem` is not a `RobustMDP`, or `tol` or `max_iters` is out of range.
    SolverFailure
        The certificate misses `tol`; the message says what was reached.

    Notes
    -----
    T is a monotone gamma-contraction that shifts constants by gamma, hence MacQueen's bounds: the stop is by the range
    of T v - v, not by its size.

    Source
    ------
    Iyengar (2005), Nilim and El Ghaoui (2005); for shared budgets Wiesemann, Kuhn and Rustem (2013).

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> answer = robust_value_iteration(RobustMDP(mdp, L1Ball(0.2)))  # stays with 0.4: 1 / (1 - 0.36)
    >>> answer.value.round(6).tolist(), answer.extras["kernel"][0, 0].round(6).tolist()
    ([1.5625, 0.0], [0.4, 0.6])
    """
    op, start = _begin(problem, "robust_value_iteration")
    return _drive(op, value_iterates(op, np.zeros(op.S)), "robust_value_iteration", tol, max_iters, progress, start)


def robust_modified_policy_iteration(
    problem: RobustMDP, *, tol: float = 1e-6, max_iters: int = 100_000, sweeps: int = 20, progress: bool = False
) -> Solution:
    """Robust value by sweeps under greedy policies: `v <- T_pi^sweeps T v`, where T_pi still minimises over the set.

    Parameters, result and errors are those of `robust_value_iteration`; `sweeps` is at least 1, `num_iters` counts
    improvements. From the constant vector of the least reward the iterates rise, and lie between those of value
    iteration and the value.

    Source
    ------
    Kaufman and Schaefer (2013).

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> robust_modified_policy_iteration(RobustMDP(mdp, L1Ball(0.2))).value.round(6).tolist()
    [1.5625, 0.0]
    """
    name = "robust_modified_policy_iteration"
    op, start = _begin(problem, name)
    iterates = modified_iterates(op, below_everything(op), checked_count("sweeps", sweeps))
    return _drive(op, iterates, name, tol, max_iters, progress, start)


def robust_policy_iteration(
    problem: RobustMDP, *, tol: float = 1e-6, max_iters: int = 10_000, progress: bool = False
) -> Solution:
    """Robust value by policy iteration: each policy's robust value exactly, then a greedy policy (Hoffman and Karp).

    Parameters, result and errors are those of `robust_value_iteration`; `num_iters` counts improvements. The
    evaluation is policy iteration of nature's. Fixing both players at once instead may cycle, and is not offered.

    Source
    ------
    Hoffman and Karp (1966); Iyengar (2005), section 4.

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> robust_policy_iteration(RobustMDP(mdp, L1Ball(0.2))).value.round(6).tolist()
    [1.5625, 0.0]
    """
    op, start = _begin(problem, "robust_policy_iteration")
    return _drive(op, policy_iterates(op, np.zeros(op.S)), "robust_policy_iteration", tol, max_iters, progress, start)


def partial_policy_iteration(
    problem: RobustMDP,
    *,
    tol: float = 1e-6,
    max_iters: int = 10_000,
    eps: float = 1.0,
    c: float = 2.0,
    progress: bool = False,
) -> Solution:
    """Robust value by policy iteration with inexact evaluations, ever more exact.

    Parameters, result and errors are those of `robust_value_iteration`, and:

    Parameters
    ----------
    eps : float > 0
        Accuracy of the first evaluation: `|T_pi v - v| <= (1 - gamma) eps`.
    c : float > 1
        Each next accuracy is `gamma ** c` times the last, and at most what halves the residual.

    Notes
    -----
    `|v* - v_(k+1)| <= gamma^k (|v* - v_1| + 2 eps / (1 - gamma^(c - 1)))`, derived from
    `d_(k+1) <= gamma d_k + gamma eps_k + eps_(k+1)`; with a constant accuracy the iteration may stall.

    Source
    ------
    Ho, Petrik and Wiesemann (2021), "Partial policy iteration for L1-robust Markov decision processes".

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> partial_policy_iteration(RobustMDP(mdp, L1Ball(0.2))).value.round(6).tolist()
    [1.5625, 0.0]
    """
    op, start = _begin(problem, "partial_policy_iteration")
    eps, c = checked_positive("eps", eps), checked_positive("c", c)
    if c <= 1:
        raise ValueError(f"c is {c:g}; expected above 1, or the evaluations do not become exact fast enough")
    iterates = partial_iterates(op, np.zeros(op.S), eps, op.gamma**c)
    return _drive(op, iterates, "partial_policy_iteration", tol, max_iters, progress, start)


def residual_conditioned_policy_iteration(
    problem: RobustMDP, *, tol: float = 1e-6, max_iters: int = 100_000, m: float = math.inf, progress: bool = False
) -> Solution:
    """Robust value by Newton steps, the value of both players' choices, each accepted only if the residual contracts.

    Parameters, result and errors are those of `robust_value_iteration`; `num_iters` counts outer steps, and:

    Parameters
    ----------
    m : 0 or inf
        What to do where the residual of the step u exceeds gamma times the last: with 0 take T v instead, with
        infinity apply T to u until it has contracted.

    Notes
    -----
    The residual falls by gamma at least at each outer step, whatever the set; without the condition the iteration may
    cycle.

    Source
    ------
    Badger, Huang and Petrik (2026), "Fast policy iteration for Markov games and robust MDPs", RCPI.

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> residual_conditioned_policy_iteration(RobustMDP(mdp, L1Ball(0.2)), m=0).value.round(6).tolist()
    [1.5625, 0.0]
    """
    name = "residual_conditioned_policy_iteration"
    op, start = _begin(problem, name)
    if m not in (0, math.inf):
        raise ValueError(f"m is {m!r}; expected 0 or inf")
    return _drive(op, residual_conditioned_iterates(op, np.zeros(op.S), m > 0), name, tol, max_iters, progress, start)


def robust_policy_evaluation(
    problem: RobustMDP, policy: Any, *, tol: float = 1e-6, max_iters: int = 10_000
) -> Solution:
    """Worst-case value of a policy, by policy iteration of nature's.

    Parameters
    ----------
    problem : RobustMDP
        With any set.
    policy : array (S,) or (S, A)
        Actions, or probabilities, which are divided by their sums.
    tol : float > 0
        Largest certified error.
    max_iters : int
        Limit on rounds of nature's policy iteration, each followed by sweeps if it did not suffice.

    Returns
    -------
    Solution
        Value `(S,)`, the policy as given; certificate of kind `"robust-evaluation"`; extras `kernel`, the worst case.

    Raises
    ------
    ValueError
        `policy` is not one of the model.
    SolverFailure
        The certificate misses `tol`.

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> robust_policy_evaluation(RobustMDP(mdp, L1Ball(0.2)), [0, 0]).value.round(6).tolist()
    [1.5625, 0.0]
    """
    op, start = _begin(problem, "robust_policy_evaluation")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    policy = checked_policy(problem.nominal, policy)
    weights = op.weights(policy)
    one, v, best, count = op.under(weights), np.zeros(op.S), None, 0
    while count < max_iters:
        v, rounds = one.evaluate(v, 0.0)
        count += rounds
        found = bracket_policy(op, v, weights, tol)
        if best is not None and found.gap >= best.gap:
            break
        best = found
        if best.gap <= tol:
            return best.solution(op, policy, "robust_policy_evaluation", count, time.perf_counter() - start)
        v = one.respond(best.v)[0]
    raise _failure(op, best, tol, "robust_policy_evaluation", f"{count} responses")


def fastest(problem: RobustMDP, *, tol: float = 1e-6, progress: bool = False) -> Solution:
    """The solver that measurements favour: sweeps where they are cheap and the chain mixes, else Newton steps.

    Dense `(s, a)` L1 balls sort one vector for all rows: a sweep then costs little more than a nominal one, while each
    Newton step also factorises a matrix. A few sweeps show how fast the range of T v - v falls. Everything else takes
    four to eight Newton steps, each a backup, whatever the discount.

    Returns
    -------
    Solution
        That of `robust_value_iteration` or of `residual_conditioned_policy_iteration`; `reason` says why.
    """
    op, start = _begin(problem, "solve")
    tol, v, first = checked_tol(tol), np.zeros(op.S), []
    if op.shares_one_objective:
        first = list(islice(value_iterates(op, v), _SHOWN_SWEEPS))
        v, spans = first[-1].Tv, [step.high - step.low for step in first]
        rate = (spans[-1] / spans[-3]) ** 0.5 if spans[-3] > 0 else 0.0
        if spans[-1] * min(rate, 1.0) ** _CHEAP_SWEEPS <= 0.5 * tol * (1 - op.gamma):
            name, reason = "robust_value_iteration", "the chain mixes, so that few cheap sweeps suffice"
            iterates = chain(first, value_iterates(op, v))
            return _drive(op, iterates, name, tol, 1_000_000, progress, start, reason)
    name, reason = "residual_conditioned_policy_iteration", "Newton steps need the fewest robust backups"
    try:
        iterates = chain(first, residual_conditioned_iterates(op, v, True))
        return _drive(op, iterates, name, tol, 10_000, progress, start, reason)
    except np.linalg.LinAlgError as error:
        # Rows that rounding leaves above one can make I - gamma P singular for gamma next to one.
        reason = f"sweeps need no linear system ({error})"
        name = "robust_modified_policy_iteration"
        return _drive(op, modified_iterates(op, v, 20), name, tol, 100_000, progress, start, reason)


def _begin(problem: RobustMDP, name: str) -> tuple[RobustBellman, float]:
    start = time.perf_counter()
    require_type(problem, RobustMDP, name)
    return RobustBellman.of(problem), start


def _drive(
    op: RobustBellman,
    iterates: Iterator[Step],
    name: str,
    tol: float,
    max_iters: int,
    progress: bool,
    start: float,
    reason: str = "",
) -> Solution:
    """Take steps until a bracket is within tol, or until rounding has won."""
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    # All methods contract the residual by gamma: only rounding keeps it from halving for so long.
    patience = int(math.log(2) / (1 - op.gamma)) + 50
    least, waited, ceiling, best, residuals = math.inf, 0, math.inf, None, []
    with Progress(name, tol, progress) as line:
        for step in iterates:
            span = step.high - step.low
            residuals.append(step.residual)
            line.update(span / (1 - op.gamma))
            waited = 0 if span < least else waited + 1
            least = min(least, span)
            spent = span <= 4 * UNIT * float(np.abs(step.v).max()) or waited > patience
            if (span <= 0.5 * tol * (1 - op.gamma) and span < ceiling) or spent:
                found = bracket(op, step, tol)
                if best is None or found.gap < best.gap:
                    best = found
                if best.gap <= tol:
                    seconds = time.perf_counter() - start
                    policy = op.policy(best.weights)
                    trace = {"residuals": np.array(residuals)}
                    return best.solution(op, policy, name, len(residuals), seconds, reason, trace)
                ceiling = 0.5 * span
                if spent:
                    break
            if len(residuals) >= max_iters:
                break
    raise _failure(op, best, tol, name, f"{len(residuals)} iterations", residuals)


def _failure(
    op: RobustBellman, best: Bracket | None, tol: float, name: str, spent: str, residuals: list[float] | None = None
) -> SolverFailure:
    """What a solver raises when `best` misses `tol`."""
    where = f"gamma={op.gamma!r}, S={op.S}"
    if best is None:
        last = f" with a residual of {residuals[-1]:.2g}" if residuals else ""
        return SolverFailure(f"{name} certified nothing after {spent}{last} at {where}; tol={tol:g}")
    if best.floor > 0.5 * tol or best.gap <= 5 * best.floor:
        return SolverFailure(
            f"{name}: a gap of {best.gap:.2g} is about the least that can be certified at {where} in double precision "
            f"(tol={tol:g}, after {spent})"
        )
    return SolverFailure(f"{name} reached a certified gap of {best.gap:.2g} after {spent} at {where}; tol={tol:g}")
