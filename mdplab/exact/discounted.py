"""Solvers by sweeps: value iteration, Gauss-Seidel, and modified policy iteration, all with span-corrected values.

A residual |T v - v| < tol is no error bound (the error may be gamma / (1 - gamma) times larger), and far too strict for
a mixing chain, where T v - v becomes constant long before it becomes small. The stop is the certified bracket of
`mdplab.exact.bracket`, which is both.
"""

import math
import time

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_discounted
from mdplab.exact.bracket import Bracket, bracket, failure
from mdplab.exact.operator import UNIT, Bellman
from mdplab.exact.progress import Progress
from mdplab.kernels.gauss_seidel import gauss_seidel_csr, gauss_seidel_dense
from mdplab.models import MDP, Solution, SolverFailure


class Watch:
    """Decides when a careful sweep is worth its cost, keeps the best bracket found, and sees when rounding has won."""

    def __init__(self, op: Bellman, tol: float) -> None:
        self.op, self.tol = op, tol
        self.best: Bracket | None = None
        # T contracts the span by gamma: only rounding can keep it from a new minimum for as long as halving it takes.
        self._patience = int(np.log(2) / (1 - op.gamma)) + 50
        self._waited = 0
        self._least = np.inf
        self._last_span: float | None = None
        self._ceiling = np.inf
        # Spans of this size may be nothing but rounding of values of size max|r| / (1 - gamma).
        self.noise = 8 * UNIT * op.r_size / (1 - op.gamma)

    def bound(self, low: float, high: float) -> float:
        """Width of the bracket around the corrected T v, from the range of T v - v."""
        return self.op.gamma * (high - low) / (1 - self.op.gamma)

    def ready(self, low: float, high: float, ratio: float | None = None) -> bool:
        """True if the bracket around the next iterate should be within tol; `ratio` is the contraction to expect."""
        span = high - low
        if ratio is None:
            ratio = 1.0 if not self._last_span else min(1.0, span / self._last_span)
        self._last_span = span
        self._waited = 0 if span < self._least else self._waited + 1
        self._least = min(self._least, span)
        # Half of the tolerance is left to rounding and to the referee's slack.
        near = self.bound(low, high) * ratio <= 0.5 * self.tol or span <= self.noise
        return (near and span < self._ceiling) or self._waited > self._patience

    def certify(self, v: np.ndarray, low: float, high: float) -> bool:
        """Bracket v = T u, shifted by the range of T u - u, in place; True if within tol."""
        v += self.op.gamma * 0.5 * (low + high) / (1 - self.op.gamma)
        found = bracket(self.op, v, self.tol)
        if found.gap > self.tol and abs(found.drift) > 0.25 * found.gap:
            # Row sums that are not one, or rounding, left the interval off centre.
            v += found.drift
            found = bracket(self.op, v, self.tol)
        if self.best is None or found.gap < self.best.gap:
            self.best = found
        self._ceiling = 0.5 * (high - low)
        return found.gap <= self.tol

    @property
    def hopeless(self) -> bool:
        """True once rounding, not the number of sweeps, is what keeps the gap above tol."""
        if self.best is None:
            return False
        return self._waited > self._patience or (self.best.floor > self.tol and self.best.gap < 3 * self.best.floor)


class SlowChain(SolverFailure):
    """Sweeps would take longer than their budget; `value` is what they reached."""

    def __init__(self, message: str, value: np.ndarray) -> None:
        super().__init__(message)
        self.value = value


# By then the transient of a chain has passed, and its rate of mixing shows.
_PATIENT_SWEEPS = 30


def finish(name: str, best: Bracket, iterations: int, start: float, **more) -> Solution:
    """The Solution of a bracket."""
    seconds = time.perf_counter() - start
    return Solution(best.v, best.pi, best.certificate(), name, iterations, seconds, **more)


def first_value(op: Bellman) -> tuple[np.ndarray, np.ndarray]:
    """T 0 and its greedy policy, which needs no transition."""
    reward = op.r if op.actions.all() else np.where(op.actions, op.r, -np.inf)
    pi = reward.argmax(axis=1)
    return np.take_along_axis(reward, pi[:, None], axis=1)[:, 0].copy(), pi


def value_iteration(mdp: MDP, *, tol: float = 1e-6, max_iters: int = 1_000_000, progress: bool = False) -> Solution:
    """Optimal value by successive approximation, corrected by the span (MacQueen's extrapolation).

    Parameters
    ----------
    mdp
        Discounted model.
    tol
        Certified error of the value at every state, and loss of the policy, `> 0`.
    max_iters
        Most sweeps.
    progress
        Show a line while a long solve runs.

    Returns
    -------
    Solution
        `num_iters` counts sweeps; certificate of kind `"discounted"`.

    Raises
    ------
    ValueError
        `mdp` is not discounted, or an argument is out of range.
    SolverFailure
        The certified gap misses `tol`; the message says what was reached.

    Source
    ------
    MacQueen (1966), "A modified dynamic programming method for Markovian decision problems"; Puterman (1994),
    Markov Decision Processes, theorem 6.6.6.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> P = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]]
    >>> answer = value_iteration(MDP(P, [[0.0, 1.0], [0.0, 0.5]], 0.5))
    >>> answer.value.round(6).tolist(), answer.policy.tolist()
    ([2.0, 1.5], [1, 1])
    """
    require_discounted(mdp, "value_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    start, op = time.perf_counter(), Bellman.of(mdp)
    watch = Watch(op, tol)
    v, pi = first_value(op)
    out = np.empty_like(v)
    with Progress("value_iteration", tol, progress) as line:
        for i in range(1, max_iters + 1):
            low, high = op.backup(v, out, pi)
            v, out = out, v
            line.update(watch.bound(low, high))
            if watch.ready(low, high) or i == max_iters:
                if watch.certify(v, low, high):
                    return finish("value_iteration", watch.best, i + 1, start)
            if watch.hopeless:
                break
    raise failure(op, watch.best, tol, "value_iteration", f"{i} sweeps")


def gauss_seidel(mdp: MDP, *, tol: float = 1e-6, max_iters: int = 1_000_000, progress: bool = False) -> Solution:
    """Optimal value by sweeps that use each new value at once, backward and forward through the states in turn.

    Parameters and errors are those of `value_iteration`. One of the two directions carries rewards along the flow of
    the model, so that a path through many states, as in a grid, costs one sweep for each time that it turns back.

    Source
    ------
    Puterman (1994), section 6.3.3; the certificate as in `value_iteration`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> gauss_seidel(MDP([[[1.0]]], [[1.0]], 0.9)).value.round(6).tolist()
    [10.0]
    """
    require_discounted(mdp, "gauss_seidel")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    start, op = time.perf_counter(), Bellman.of(mdp)
    best, count = swept_in_order(op, tol, max_iters, progress=progress)
    return finish("gauss_seidel", best, count, start)


def swept_in_order(
    op: Bellman, tol: float, max_iters: int, *, budget: float = np.inf, progress: bool = False
) -> tuple[Bracket, int]:
    """The bracket that Gauss-Seidel sweeps reach, within `tol`, and their number; else SolverFailure.

    SlowChain, with the value reached, as soon as more than `budget` sweeps are needed.
    """
    watch = Watch(op, tol)
    v, pi = first_value(op)
    out = np.empty_like(v)
    final, changes, check = 0.5 * tol * (1 - op.gamma), [], 1
    with Progress("gauss_seidel", tol, progress) as line:
        for i in range(1, max_iters + 1):
            changes.append(_sweep_in_order(op, v, i % 2 == 1))
            if i < max_iters and i != check:
                continue
            low, high = op.backup(v, out, pi)
            line.update(watch.bound(low, high))
            if (watch.ready(low, high, 1.0) or i == max_iters) and watch.certify(out.copy(), low, high):
                return watch.best, i
            if watch.hopeless:
                break
            if low * high > 0 and high - low < 0.5 * max(abs(low), abs(high)):
                # What is left is nearly constant, which sweeps only discount: take it off at once.
                v = out + op.gamma * 0.5 * (low + high) / (1 - op.gamma)
                out = np.empty_like(v)
                changes.clear()
            # Two directions make one step of the method.
            ratio = (changes[-1] / changes[-5]) ** 0.25 if len(changes) >= 5 and changes[-5] > 0 else 0.0
            left = math.log(final / changes[-1]) / math.log(ratio) if 0 < ratio < 1 and changes[-1] > final else 0.0
            if budget < np.inf and i >= _PATIENT_SWEEPS and (i + left > budget or ratio >= 1):
                raise SlowChain(f"after {i} sweeps in order the change shrinks by a factor {ratio:.4g} a sweep", v)
            check = i + int(min(max(2.0, 0.9 * left), 16 + i // 2))
    raise failure(op, watch.best, tol, "gauss_seidel", f"{i} sweeps")


def _sweep_in_order(op: Bellman, v: np.ndarray, backward: bool) -> float:
    """One Gauss-Seidel sweep of v in place; the largest change."""
    if op.is_sparse:
        P = op.P
        low, high = gauss_seidel_csr(P.data, P.indices, P.indptr, op.r, op.actions, op.gamma, backward, v)
    else:
        low, high = gauss_seidel_dense(op.P, op.r, op.actions, op.gamma, backward, v)
    return max(abs(low), abs(high))


def modified_policy_iteration(
    mdp: MDP, *, tol: float = 1e-6, max_iters: int = 100_000, sweeps: int | None = None, progress: bool = False
) -> Solution:
    """Optimal value by backups, each followed by cheap sweeps under its greedy policy, with span correction.

    Parameters
    ----------
    mdp, tol, progress
        As for `value_iteration`.
    max_iters
        Most improvements.
    sweeps
        Sweeps under the policy between two improvements, at least 1; by default as many as bring their residual's span
        to 3 % of that of the improvement.

    Returns
    -------
    Solution
        `num_iters` counts improvements; certificate of kind `"discounted"`.

    Raises
    ------
    ValueError, SolverFailure
        As for `value_iteration`.

    Source
    ------
    Puterman and Shin (1978), "Modified policy iteration algorithms for discounted Markov decision problems".

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> modified_policy_iteration(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.9)).value.round(6).tolist()
    [10.0]
    """
    require_discounted(mdp, "modified_policy_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    limit = checked_count("sweeps", sweeps) if sweeps is not None else None
    start, op = time.perf_counter(), Bellman.of(mdp)
    best, count = swept_policies(op, tol, max_iters, limit, progress=progress)
    return finish("modified_policy_iteration", best, count, start)


def swept_policies(
    op: Bellman, tol: float, max_iters: int, limit: int | None, *, budget: float = np.inf, progress: bool = False
) -> tuple[Bracket, int]:
    """The bracket that modified policy iteration reaches, within `tol`, and its improvements; else SolverFailure.

    `limit` sweeps under each policy, or as many as pay if None. SlowChain as soon as more than `budget`
    sweeps are needed.
    """
    watch = Watch(op, tol)
    v, pi = first_value(op)
    out, scratch = np.empty_like(v), np.empty(op.S, dtype=np.int64)
    low, high = float(v.min()), float(v.max())
    final, spent = 0.5 * tol * (1 - op.gamma), 0
    with Progress("modified_policy_iteration", tol, progress) as line:
        for i in range(1, max_iters + 1):
            target = 0.0 if limit is not None else max(0.03 * (high - low), 0.1 * final, watch.noise)
            most = limit or (1000 if budget == np.inf else _PATIENT_SWEEPS)
            v, out, count, span, ratio = _sweep_policy(op.on_policy(pi), v, out, scratch, target, most)
            spent += count
            if span > final and spent - math.log(span / final) / math.log(min(ratio, 1 - 1e-15)) > budget:
                raise SlowChain(
                    f"after {spent} sweeps the span of the residual shrinks by a factor {ratio:.4g} a sweep", v
                )
            low, high = op.backup(v, out, pi)
            v, out = out, v
            line.update(watch.bound(low, high))
            if (watch.ready(low, high, ratio) or i == max_iters) and watch.certify(v, low, high):
                return watch.best, i
            if budget < np.inf and i >= _PATIENT_SWEEPS:
                raise SlowChain(f"the policy still changed after {i} improvements", v)
            if watch.hopeless:
                break
    raise failure(op, watch.best, tol, "modified_policy_iteration", f"{i} improvements and {spent} sweeps")


def _sweep_policy(op, v, out, scratch, target, most) -> tuple[np.ndarray, np.ndarray, int, float, float]:
    """Up to `most` backups under one policy, until the span of the residual is at most `target`; then the correction.

    Returns the value, a spare array, the number of backups, the span, and its mean shrinkage over the last five.
    """
    spans, least, waited = [], np.inf, 0
    while len(spans) < most and waited < _PATIENT_SWEEPS:
        low, high = op.backup(v, out, scratch)
        v, out = out, v
        spans.append(high - low)
        if high - low <= target:
            break
        # The span under one policy falls with every sweep, until rounding holds it up.
        waited = 0 if high - low < least else waited + 1
        least = min(least, high - low)
    v += op.gamma * 0.5 * (low + high) / (1 - op.gamma)
    back = min(5, len(spans) - 1)
    ratio = (spans[-1] / spans[-1 - back]) ** (1 / back) if back and spans[-1] > 0 else 0.5
    return v, out, len(spans), spans[-1], ratio
