r"""Incremental worst-case search (IWOCS): static models, one at a time, until the incumbent's worst case is known.

    solve model T_i;   Q_i = min over j <= i of Q*_{T_j};   pi_i greedy in Q_i;
    T_{i+1} = argmin over the set of V^{pi_i}_T(s0);   stop if V^{pi_i}_{T_{i+1}}(s0) = Q_i(s0, pi_i(s0))

At every iteration the robust value at s0 lies between V^{pi_i}_{T_{i+1}}(s0) and max_a Q_i(s0, a) (derived here: pi_i
is one policy, and each Q*_{T_j} is above the robust Q). If the bracket closes the policy is optimal. It need not close:
when T_{i+1} is among the models already solved nothing changes any more, and the method has stalled.

Source: Zouitine, Geist, Rachelson 2024, "Solving robust MDPs as a sequence of static RL problems". Differs from the
paper: models are solved and policies evaluated exactly, not by value iteration to 1e-3 and by rollouts; the bracket and
the three outcomes are reported.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.nature import (
    first_kernel,
    linear_value,
    nominal_kernel,
    objective,
    robust_evaluation,
)
from mdplab.models import L1Ball, ModelSet, RobustMDP, TVBall


@dataclass(frozen=True, eq=False, slots=True)
class Search:
    """What the search left.

    Parameters
    ----------
    lower, upper : array (I,)
        After each iteration: V^{pi_i}_{T_{i+1}}(s0) and max_a Q_i(s0, a).
    policy : array (S,)
        The last incumbent, int64.
    q : array (S, A)
        The last Q_i.
    kernels : array (I, S, A, S)
        The models solved, in order.
    status : str
        "certified": the bracket is closed to `tol`. "stalled": the next model would be one already solved.
        "budget": `max_models` were solved.
    """

    lower: np.ndarray
    upper: np.ndarray
    policy: np.ndarray
    q: np.ndarray
    kernels: np.ndarray
    status: str


def iwocs(
    problem: RobustMDP,
    *,
    start: int = 0,
    first: np.ndarray | None = None,
    tol: float = 1e-9,
    max_models: int = 100,
    free_rows: str = "worst",
    static: bool = False,
) -> Search:
    """IWOCS on a finite set of models, or on an L1 ball.

    Parameters
    ----------
    problem
        (s, a)-rectangular.
    start : int
        The state s0 at which worst cases are judged.
    first : array (S, A, S), optional
        T_0, in the set; the first model, or the nominal kernel of a ball, by default.
    tol
        Width at which the bracket counts as closed, at least 0, relative to 1 + the largest value.
    max_models
        Models to solve at most, at least 1.
    free_rows : {"worst", "keep"}
        Rows of actions that the incumbent does not take leave its value alone, and the paper does not say what they
        become: the worst for its value, or those of the first model.
    static : bool
        True: one of the K models holds for ever, and nature chooses among those, not among their rows. Then the bracket
        is one of the static value, of which the upper end holds for stationary policies.

    Raises
    ------
    ValueError
        A set that is not (s, a)-rectangular, a start that is no state, a first model outside the set, or `static`
        without a finite set.

    Examples
    --------
    >>> from mdplab.instances.robust import windy_walk
    >>> search = iwocs(windy_walk())
    >>> search.status, len(search.kernels), round(float(search.lower[-1]), 8)
    ('certified', 2, -7.95214749)
    """
    one = problem.uncertainty
    if one.rectangularity != "sa":
        raise ValueError(f"rectangularity is {one.rectangularity!r}; expected 'sa'")
    if not 0 <= start < problem.S:
        raise ValueError(f"start is {start}; expected a state below {problem.S}")
    if static and not isinstance(one, ModelSet):
        raise ValueError(f"static is True and uncertainty {one.name!r}; expected 'models'")
    if free_rows not in ("worst", "keep"):
        raise ValueError(f"free_rows is {free_rows!r}; expected 'worst' or 'keep'")
    if max_models < 1:
        raise ValueError(f"max_models is {max_models}; expected at least 1")
    kernel = first_kernel(problem) if first is None else _checked_first(problem, first, static)
    q, solved, lower, upper = np.full((problem.S, problem.A), np.inf), [], [], []
    available = problem.nominal.actions
    while True:
        solved.append(kernel)
        q = np.minimum(q, _optimal_q(problem, kernel))
        policy = np.where(available, q, -np.inf).argmax(axis=1)
        pi = np.eye(problem.A)[policy]
        value, kernel = _worst_model(problem, pi, start, solved, free_rows, static)
        lower.append(value)
        upper.append(float(q[start, policy[start]]))
        if upper[-1] - lower[-1] <= tol * (1 + np.abs(q[available]).max()):
            status = "certified"
        elif kernel is None:
            status = "stalled"
        elif len(solved) == max_models:
            status = "budget"
        else:
            continue
        return Search(np.array(lower), np.array(upper), policy, q, np.array(solved), status)


def _checked_first(problem: RobustMDP, first: np.ndarray, static: bool) -> np.ndarray:
    """`first` as a kernel of the set: models outside it bound nothing, and the bracket would be false."""
    kernel, one, actions = np.asarray(first, dtype=np.float64), problem.uncertainty, problem.nominal.actions
    nominal = nominal_kernel(problem)
    if kernel.shape != nominal.shape:
        raise ValueError(f"first has shape {kernel.shape}; expected {nominal.shape}")
    # Rounding of rows at the edge of the set.
    slack = 1e-9
    good = (kernel >= 0).all(axis=2) & (np.abs(kernel.sum(axis=2) - 1) <= slack)
    if isinstance(one, ModelSet):
        near = np.abs(one.kernels - kernel).max(axis=3) <= slack
        good &= (near | ~actions).all(axis=(1, 2)).any() if static else near.any(axis=0)
    elif isinstance(one, L1Ball | TVBall):
        radius = one.radii(problem.S, problem.A) * (2.0 if isinstance(one, TVBall) else 1.0)
        good &= np.abs(kernel - nominal).sum(axis=2) <= radius + slack
        good &= (one.support == "all") | ~((kernel > 0) & (nominal == 0)).any(axis=2)
    if not (good | ~actions).all():
        s, a = np.argwhere(~good & actions)[0]
        raise ValueError(f"first[{s}, {a}] is {kernel[s, a].tolist()}: no row of the set")
    return kernel


def _optimal_q(problem: RobustMDP, kernel: np.ndarray) -> np.ndarray:
    """Q* of one model by policy iteration; stops when no action gains more than rounding."""
    available = problem.nominal.actions
    states = np.arange(problem.S)
    policy = available.argmax(axis=1)
    while True:
        v = linear_value(problem, kernel, np.eye(problem.A)[policy])
        q = np.where(available, (kernel * objective(problem, v)).sum(axis=2), -np.inf)
        better = q.max(axis=1) > q[states, policy] + 1e-12 * (1 + np.abs(v).max())
        if not better.any():
            return np.where(available, q, 0.0)
        policy = np.where(better, q.argmax(axis=1), policy)


def _worst_model(problem, pi, start, solved, free_rows, static):
    """The incumbent's worst value at the start, and a model that attains it: None if that is one already solved."""
    if static:
        values = np.array([linear_value(problem, k, pi)[start] for k in problem.uncertainty.kernels])
        least = values.min()
        # Ties go to models that are new.
        tied = np.flatnonzero(values <= least + 1e-12 * (1 + abs(least)))
        choices = [problem.uncertainty.kernels[k] for k in tied]
    else:
        known = robust_evaluation(problem, pi, tol=0.0)
        least = known.value[start]
        choices = [known.kernel if free_rows == "worst" else np.where(pi[:, :, None] > 0, known.kernel, solved[0])]
    fresh = [k for k in choices if not any(np.array_equal(k, old) for old in solved)]
    return float(least), fresh[0] if fresh else None
