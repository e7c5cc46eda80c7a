r"""Policy iteration for both players, as published: naive (PAI), with a line search (FT), and with a safeguard (RCPI).

One step of naive policy iteration at V takes the saddle point (pi, p) of the one-step game at V and solves the linear
system for this pair: Newton's method on the residual L V - V. It is fast where it converges, and it may cycle for ever.
A line search on ||L V - V||_2^2 (Filar, Tolwinski) does not mend it: at a tie the Newton direction need not be one of
descent. Neither is offered as a solver; the exact solvers have the safeguarded method. RCPI accepts a Newton step only
if it lowers the residual by the factor gamma that value iteration guarantees.

Source: Badger, Huang, Petrik (AAAI 2026), Algorithms of naive policy iteration, of Filar and Tolwinski (1991), and RCPI
with m = 0 and m = infinity (text read); Van der Wal (1978).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from mdplab.algorithms.robust.nature import linear_value, objective, worst_kernel
from mdplab.models import ModelSet, RobustMDP, SolverFailure, Trace

# Halvings of the step after which a line search is said to have found none; a few more, and what a step changes is
# lost in the rounding of the merit function.
_HALVINGS = 40


@dataclass(frozen=True, eq=False, slots=True)
class Saddle:
    """Both players' choices in every state: `value` (S,), L v; `pi` (S, A); `kernel` (S, A, S)."""

    value: np.ndarray
    pi: np.ndarray
    kernel: np.ndarray


def one_step_saddle(problem: RobustMDP, v: np.ndarray) -> Saddle:
    """L v and a saddle point that attains it; ties go to first actions and first models.

    Parameters
    ----------
    problem
        With an (s, a)-rectangular set that `nature.worst_kernel` knows, or an s-rectangular finite set, whose states
        are matrix games.
    v : array (S,)

    Examples
    --------
    >>> from mdplab.instances.robust import pai_cycle
    >>> one_step_saddle(pai_cycle(), np.zeros(3)).value.tolist()
    [0.7, 0.1, -0.2]
    """
    one, available = problem.uncertainty, problem.nominal.actions
    if one.rectangularity == "sa":
        kernel = worst_kernel(problem, v, np.ones(available.shape))
        q = np.where(available, (kernel * objective(problem, v)).sum(axis=2), -np.inf)
        best = q.argmax(axis=1)
        return Saddle(q.max(axis=1), np.eye(problem.A)[best], kernel)
    if not isinstance(one, ModelSet):
        raise ValueError(f"uncertainty is s-rectangular and {one.name!r}; expected 'models'")
    payoff = np.einsum("ksat,sat->sak", one.kernels, objective(problem, v))
    value, pi = np.empty(problem.S), np.zeros((problem.S, problem.A))
    kernel = np.empty((problem.S, problem.A, problem.S))
    for s in range(problem.S):
        rows = np.flatnonzero(available[s])
        value[s], pi[s, rows], weights = matrix_game(payoff[s, rows])
        kernel[s] = np.tensordot(weights, one.kernels[:, s], axes=1)
    return Saddle(value, pi, kernel)


def matrix_game(payoff: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Value and optimal mixtures of the row player, who maximises, and the column player; payoff (m, n).

    A saddle point in pure actions is taken if there is one, the first; else two linear programs.

    Raises
    ------
    SolverFailure
        The linear program failed.

    Examples
    --------
    >>> value, rows, columns = matrix_game(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    >>> round(value, 9), rows.round(9).tolist()
    (0.0, [0.5, 0.5])
    """
    m, n = payoff.shape
    floor, ceiling = payoff.min(axis=1), payoff.max(axis=0)
    i, j = int(floor.argmax()), int(ceiling.argmin())
    if floor[i] == ceiling[j]:
        return float(floor[i]), np.eye(m)[i], np.eye(n)[j]
    mixtures = []
    for matrix in (payoff, -payoff.T):
        size, others = matrix.shape
        # Variables: mixture and its guaranteed value; maximise the value.
        answer = linprog(
            np.append(np.zeros(size), -1.0),
            A_ub=np.hstack([-matrix.T, np.ones((others, 1))]),
            b_ub=np.zeros(others),
            A_eq=np.append(np.ones(size), 0.0)[None],
            b_eq=[1.0],
            bounds=[(0, None)] * size + [(None, None)],
        )
        if not answer.success:
            raise SolverFailure(f"linear program of a {m} by {n} matrix game: {answer.message}")
        mixtures.append(answer.x[:size])
    return float((mixtures[0] @ payoff).min()), *mixtures


def _residual(problem: RobustMDP, v: np.ndarray) -> float:
    return float(np.abs(one_step_saddle(problem, v).value - v).max())


def naive_policy_iteration(problem: RobustMDP, *, num_iters: int, v0: np.ndarray | None = None) -> Trace:
    """PAI, unsafeguarded: it may cycle, and is here to be seen doing so.

    Parameters
    ----------
    problem
        As `one_step_saddle`.
    num_iters
        Newton steps, at least 0.
    v0 : array (S,), optional
        Zero by default.

    Returns
    -------
    Trace
        `v` (T + 1, S) and `residual` (T + 1,), max |L v - v|.

    Examples
    --------
    >>> from mdplab.instances.robust import pai_cycle
    >>> naive_policy_iteration(pai_cycle(), num_iters=4)["v"][1:].round(9).tolist()
    [[7.0, 1.0, -2.0], [-6.0, 1.0, -2.0], [7.0, 1.0, -2.0], [-6.0, 1.0, -2.0]]
    """
    v = np.zeros(problem.S) if v0 is None else np.array(v0, dtype=np.float64)
    values, residuals = [], []
    for t in range(num_iters + 1):
        saddle = one_step_saddle(problem, v)
        values.append(v)
        residuals.append(float(np.abs(saddle.value - v).max()))
        if t < num_iters:
            v = linear_value(problem, saddle.kernel, saddle.pi)
    return Trace(np.arange(num_iters + 1), {"v": np.array(values), "residual": np.array(residuals)})


def line_search_policy_iteration(
    problem: RobustMDP, *, num_iters: int, v0: np.ndarray | None = None, slope: float = 1e-4
) -> Trace:
    """FT: PAI with Armijo's rule on ||L v - v||_2^2, steps 1, 1/2, 1/4, ...

    Parameters
    ----------
    problem, num_iters, v0
        As `naive_policy_iteration`.
    slope
        Part of the promised decrease that a step must deliver, in (0, 1/2).

    Returns
    -------
    Trace
        `v` (K, S) and `residual` (K,). `status` is "no step at t=..." if no step down to 2^-40 is accepted.

    Examples
    --------
    >>> from mdplab.instances.robust import filar_tolwinski
    >>> line_search_policy_iteration(filar_tolwinski(), num_iters=5).status
    'no step at t=0'
    """
    v = np.zeros(problem.S) if v0 is None else np.array(v0, dtype=np.float64)
    values, residuals, status = [], [], "ok"
    for t in range(num_iters + 1):
        saddle = one_step_saddle(problem, v)
        values.append(v)
        residuals.append(float(np.abs(saddle.value - v).max()))
        if t == num_iters or residuals[-1] == 0.0:
            break
        away = linear_value(problem, saddle.kernel, saddle.pi) - v
        merit = float(((saddle.value - v) ** 2).sum())
        # Along Newton's direction the linear model of L v - v vanishes at a full step: derivative -2 merit.
        for halving in range(_HALVINGS + 1):
            ahead = v + 0.5**halving * away
            if ((one_step_saddle(problem, ahead).value - ahead) ** 2).sum() <= (1 - 2 * slope * 0.5**halving) * merit:
                break
        else:
            status = f"no step at t={t}"
            break
        v = ahead
    return Trace(np.arange(len(values)), {"v": np.array(values), "residual": np.array(residuals)}, status)


def residual_conditioned_steps(
    problem: RobustMDP, *, num_iters: int, v0: np.ndarray | None = None, repair: bool = False
) -> Trace:
    """RCPI, step by step: a Newton step where it lowers the residual by gamma, else value iteration.

    Parameters
    ----------
    problem, num_iters, v0
        As `naive_policy_iteration`.
    repair : bool
        False (m = 0): a refused step is replaced by L v. True (m = infinity): L is applied to the refused point until
        the residual is low enough.

    Returns
    -------
    Trace
        `v` (T + 1, S), `residual` (T + 1,) and `newton` (T + 1,): whether the step that led here was Newton's.

    Examples
    --------
    >>> from mdplab.instances.robust import pai_cycle
    >>> residual_conditioned_steps(pai_cycle(), num_iters=2)["v"][-1].round(9).tolist()
    [-1.1, 1.0, -2.0]
    """
    v = np.zeros(problem.S) if v0 is None else np.array(v0, dtype=np.float64)
    saddle = one_step_saddle(problem, v)
    values, newton = [v], [False]
    residuals = [float(np.abs(saddle.value - v).max())]
    for _ in range(num_iters):
        bound = problem.gamma * residuals[-1]
        u = linear_value(problem, saddle.kernel, saddle.pi)
        accepted = _residual(problem, u) <= bound
        if not accepted and repair:
            while _residual(problem, u) > bound:
                after = one_step_saddle(problem, u).value
                # Below rounding of the values the residual cannot fall further.
                if np.abs(after - u).max() <= 1e-14 * (1 + np.abs(u).max()):
                    break
                u = after
        v = u if accepted or repair else saddle.value
        saddle = one_step_saddle(problem, v)
        values.append(v)
        newton.append(accepted)
        residuals.append(float(np.abs(saddle.value - v).max()))
    columns = {"v": np.array(values), "residual": np.array(residuals), "newton": np.array(newton)}
    return Trace(np.arange(num_iters + 1), columns)
