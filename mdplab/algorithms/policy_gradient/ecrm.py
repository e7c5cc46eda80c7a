r"""Policy gradients for expected conditional risk measures: projected, with a log barrier, natural with entropy.

All are the ordinary methods on the augmented MDP of `mdplab.instances.ecrm`, whose first-step policy `first` (S, A, E)
and later policy `later` (S, E, A, E) are updated side by side. With M = A E actions, costs of range c_max and start
distributions (mu1 (S,), mu2 (S, E)) of the two kinds of states:

| method | update of a row | step |
|---|---|---|
| `projected_gradient` | projection of p - step D Q on the simplex | (1 - gamma)^3 / (2 gamma M c_max) |
| `barrier_gradient` | logits - step (D p (Q - V) - b / (N M) (1 - M p)) | 1 / (8 gamma c_max/(1 - gamma)^3 + 2 b/N) |
| `natural_gradient` | p^(1 - step tau / (1 - gamma)) exp(-step Q / (1 - gamma)), normalised | up to (1 - gamma) / tau |

N = S + S E states, D unnormalised occupancies, b the barrier. In the last, Q holds the entropy cost of later steps,
+ tau log p, and may carry an error.

Source: Yu and Ying 2023, "On the global convergence of risk-averse policy gradient methods with expected conditional
risk measures", arXiv:2301.10932 (abstracts read); steps of Agarwal, Kakade, Lee, Mahajan 2021 and Cen, Cheng, Chen,
Wei, Chi 2022, carried over.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_checkpoints, check_count, check_number
from mdplab.algorithms.robust.projection import project_rows
from mdplab.instances.ecrm import EcrmProblem
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import Trace


@dataclass(frozen=True, eq=False, slots=True)
class EcrmQuantities:
    """What the gradients are made of, for one pair of policies.

    Parameters
    ----------
    objective : float
        Expected cost from (mu1, mu2), with entropy cost if tau > 0.
    q1, q2 : array (S, A, E), (S, E, A, E)
        Costs to go by action and next level.
    v1, v2 : array (S,), (S, E)
        Costs to go.
    d1, d2 : array (S,), (S, E)
        Unnormalised occupancies; they sum to 1 / (1 - gamma) times the mass of the start.
    """

    objective: float
    q1: np.ndarray
    q2: np.ndarray
    v1: np.ndarray
    v2: np.ndarray
    d1: np.ndarray
    d2: np.ndarray


def uniform_policies(problem: EcrmProblem) -> tuple[np.ndarray, np.ndarray]:
    """Both policies with all actions and next levels alike."""
    M = problem.A * problem.E
    first = np.full((problem.S, problem.A, problem.E), 1 / M)
    return first, np.full((problem.S, problem.E, problem.A, problem.E), 1 / M)


def ecrm_quantities(
    problem: EcrmProblem,
    first: np.ndarray,
    later: np.ndarray,
    *,
    tau: float = 0.0,
    mu: tuple[np.ndarray, np.ndarray] | None = None,
) -> EcrmQuantities:
    """Costs to go and occupancies of two policies; one dense factorisation of S E unknowns.

    Parameters
    ----------
    problem
        Costs, transitions and risk.
    first, later : array (S, A, E), (S, E, A, E)
        Probabilities, all above 0 if tau is.
    tau : float >= 0
        Weight of tau log p, added to the cost of each step.
    mu : pair of arrays (S,), (S, E), optional
        Masses of the start in first-step and in later states; by default rho and none.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[1.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> round(ecrm_quantities(problem, *uniform_policies(problem)).objective, 12)
    2.0
    """
    S, A, E, gamma = problem.S, problem.A, problem.E, problem.gamma
    q1, q2 = problem.first_cost(), problem.later_cost()
    check_number("tau", tau)
    first, later = check_array("first", first, (S, A, E)), check_array("later", later, (S, E, A, E))
    chain = np.einsum("seaf,sat->setf", later, problem.P).reshape(S * E, S * E)
    now = (later * (q2 + tau * _log(later, tau))).sum(axis=(2, 3))
    resolvent = np.eye(S * E) - gamma * chain
    v2 = np.linalg.solve(resolvent, now.ravel()).reshape(S, E)
    ahead = gamma * problem.P @ v2
    q1 = q1 + ahead
    q2 = q2 + ahead[:, None]
    v1 = (first * (q1 + tau * _log(first, tau))).sum(axis=(1, 2))
    d1, start = (problem.rho, np.zeros((S, E))) if mu is None else mu
    d1, start = check_array("mu[0]", d1, (S,)), check_array("mu[1]", start, (S, E))
    entered = gamma * np.einsum("s,saf,sat->tf", d1, first, problem.P)
    d2 = np.linalg.solve(resolvent.T, (start + entered).ravel()).reshape(S, E)
    objective = float(d1 @ v1 + (start * v2).sum())
    return EcrmQuantities(objective, q1, q2, v1, v2, d1, d2)


def _log(p: np.ndarray, tau: float) -> np.ndarray | float:
    return np.log(p) if tau > 0 else 0.0


def softmax_gradients(known: EcrmQuantities, first: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the objective (a cost) in the logits of both policies, without entropy.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.0, 0.1)
    >>> first, later = uniform_policies(problem)
    >>> softmax_gradients(ecrm_quantities(problem, first, later), first, later)[0].tolist()
    [[[-0.125, -0.125], [0.125, 0.125]]]
    """
    one = known.d1[:, None, None] * first * (known.q1 - known.v1[:, None, None])
    return one, known.d2[:, :, None, None] * later * (known.q2 - known.v2[:, :, None, None])


def cost_range(problem: EcrmProblem) -> float:
    """Largest minus smallest cost of a step of the augmented MDP."""
    one, two = problem.first_cost(), problem.later_cost()
    return float(max(one.max(), two.max()) - min(one.min(), two.min()))


def projected_step(problem: EcrmProblem) -> float:
    """1 / smoothness of the objective in the probabilities, for a start of mass 1: (1-g)^3 / (2 g M c_max).

    Raises
    ------
    ValueError
        gamma is 0 or all costs are equal: every step is short enough.
    """
    gamma, width = problem.gamma, cost_range(problem)
    if gamma == 0 or width == 0:
        raise ValueError(f"gamma is {gamma}, the range of costs {width}; with one of them 0 no step is too long")
    return (1 - gamma) ** 3 / (2 * gamma * problem.A * problem.E * width)


def barrier_step(problem: EcrmProblem, barrier: float) -> float:
    """1 / smoothness of the objective with barrier in the logits: 1 / (8 c_max gamma/(1-gamma)^3 + 2 barrier / N)."""
    check_number("barrier", barrier)
    N = problem.S * (1 + problem.E)
    return 1 / (8 * cost_range(problem) * problem.gamma / (1 - problem.gamma) ** 3 + 2 * barrier / N)


def projected_gradient(
    problem: EcrmProblem,
    *,
    num_iters: int,
    checkpoints: np.ndarray,
    step: float | None = None,
    mu: tuple[np.ndarray, np.ndarray] | None = None,
) -> Trace:
    """Gradient descent in the probabilities, each row projected on its simplex, from uniform policies.

    Parameters
    ----------
    problem
        Costs, transitions and risk.
    num_iters : int
        Updates.
    checkpoints : int array (K,)
        Numbers of updates in [0, num_iters], increasing.
    step : float > 0, optional
        By default `projected_step(problem)`.
    mu : pair of arrays, optional
        Start of the descent, as in `ecrm_quantities`. The guarantee of the method needs mass on every state; from
        first-step states alone, later states that are not reached are not improved.

    Returns
    -------
    Trace with columns `policy` (K, S + S E, A E) and `objective` (K,), the latter from mu.

    Raises
    ------
    ValueError
        A step that is not above 0, or checkpoints out of range.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = projected_gradient(problem, num_iters=20, checkpoints=np.array([0, 20]), step=1.0)
    >>> run["objective"].round(9).tolist()
    [2.25, 0.0]
    """
    step = projected_step(problem) if step is None else step
    (marks, num_iters), policies, objectives = _checked(num_iters, checkpoints, step), [], []
    first, later = uniform_policies(problem)
    for t in range(num_iters + 1):
        known = ecrm_quantities(problem, first, later, mu=mu)
        if t in marks:
            policies.append(problem.join(first, later))
            objectives.append(known.objective)
        one = first - step * known.d1[:, None, None] * known.q1
        two = later - step * known.d2[:, :, None, None] * known.q2
        first, later = _projected(one, 1), _projected(two, 2)
    return Trace(np.array(sorted(marks)), {"policy": np.array(policies), "objective": np.array(objectives)})


def _projected(y: np.ndarray, axes: int) -> np.ndarray:
    """Projection of each row: the trailing axes after the first `axes` are one row."""
    return project_rows(y.reshape(*y.shape[:axes], -1)).reshape(y.shape)


def barrier_gradients(
    problem: EcrmProblem, known: EcrmQuantities, first: np.ndarray, later: np.ndarray, barrier: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients in the logits of objective - barrier / (N M) sum log p, with N = S + S E and M = A E."""
    M = problem.A * problem.E
    share = barrier / (problem.S * (1 + problem.E) * M)
    one, two = softmax_gradients(known, first, later)
    return one - share * (1 - M * first), two - share * (1 - M * later)


def barrier_gradient(
    problem: EcrmProblem,
    *,
    barrier: float,
    num_iters: int,
    checkpoints: np.ndarray,
    step: float | None = None,
    mu: tuple[np.ndarray, np.ndarray] | None = None,
) -> Trace:
    """Gradient descent in the logits of objective - barrier / (N M) sum log p, from uniform policies.

    Parameters and errors are those of `projected_gradient`; `barrier` is at least 0 and `step` is
    `barrier_step(problem, barrier)` by default.

    Returns
    -------
    Trace with columns `policy` (K, S + S E, A E), `objective` (K,) from mu without barrier, and `slope` (K,), the
    Euclidean norm of the whole gradient.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = barrier_gradient(problem, barrier=0.01, num_iters=10, checkpoints=np.array([0, 10]), step=1.0)
    >>> bool(run["objective"][1] < run["objective"][0])
    True
    """
    check_number("barrier", barrier)
    step = barrier_step(problem, barrier) if step is None else step
    (marks, num_iters), policies, objectives, slopes = _checked(num_iters, checkpoints, step), [], [], []
    first, later = uniform_policies(problem)
    logits1, logits2 = np.zeros((problem.S, problem.A * problem.E)), np.zeros((problem.S * problem.E, first[0].size))
    for t in range(num_iters + 1):
        known = ecrm_quantities(problem, first, later, mu=mu)
        one, two = barrier_gradients(problem, known, first, later, barrier)
        if t in marks:
            policies.append(problem.join(first, later))
            objectives.append(known.objective)
            slopes.append(np.sqrt((one**2).sum() + (two**2).sum()))
        logits1, logits2 = logits1 - step * one.reshape(logits1.shape), logits2 - step * two.reshape(logits2.shape)
        first, later = softmax(logits1).reshape(first.shape), softmax(logits2).reshape(later.shape)
    columns = {"policy": np.array(policies), "objective": np.array(objectives), "slope": np.array(slopes)}
    return Trace(np.array(sorted(marks)), columns)


def natural_gradient(
    problem: EcrmProblem,
    *,
    tau: float,
    step: float,
    num_iters: int,
    checkpoints: np.ndarray,
    error: float = 0.0,
    rng: np.random.Generator | None = None,
    shrink: float | None = None,
) -> Trace:
    """Natural policy gradient with entropy: p <- p^shrink exp(-step Q_tau / (1 - gamma)), from uniform policies.

    Parameters
    ----------
    problem
        Costs, transitions and risk.
    tau : float >= 0
        Weight of the entropy; 0 is the plain natural gradient.
    step : float > 0
        The theory allows at most (1 - gamma) / tau, at which this is soft policy iteration.
    num_iters, checkpoints
        As in `projected_gradient`.
    error : float >= 0
        Inexact evaluation: every entry of Q_tau is off by `error` up or down, by a fair coin of `rng`.
    rng
        Needed if error is above 0.
    shrink : float, optional
        Exponent of p; by default 1 - step tau / (1 - gamma), as the method has it.

    Returns
    -------
    Trace with columns `policy` (K, S + S E, A E) and `q` (K, S + S E, A E), exact regularised costs to go.

    Raises
    ------
    ValueError
        tau, step, error or checkpoints out of range, or an error without a generator.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 0.5, 0.1)
    >>> run = natural_gradient(problem, tau=0.0, step=2.0, num_iters=20, checkpoints=np.array([20]))
    >>> bool(run["policy"][0, 0].reshape(2, 2)[0].sum() > 0.999)  # the action without cost
    True
    """
    check_number("tau", tau)
    if check_number("error", error) > 0 and rng is None:
        raise ValueError(f"error is {error} and rng is None; errors above 0 are drawn with rng")
    (marks, num_iters), policies, costs = _checked(num_iters, checkpoints, step), [], []
    pull = step / (1 - problem.gamma)
    shrink = 1 - pull * tau if shrink is None else check_number("shrink", shrink, -np.inf)
    shape = (problem.S * (1 + problem.E), problem.A * problem.E)
    logits = np.full(shape, -np.log(shape[1]))
    for t in range(num_iters + 1):
        first, later = problem.split(np.exp(logits))
        known = _regularised(problem, first, later, tau)
        if t in marks:
            policies.append(np.exp(logits))
            costs.append(known)
        if error > 0:
            known = known + error * rng.choice([-1.0, 1.0], size=shape)
        logits = log_softmax(shrink * logits - pull * known)
    return Trace(np.array(sorted(marks)), {"policy": np.array(policies), "q": np.array(costs)})


def _regularised(problem: EcrmProblem, first: np.ndarray, later: np.ndarray, tau: float) -> np.ndarray:
    # A probability that underflows has no entropy: 0 log 0 = 0.
    tiny = np.finfo(np.float64).tiny
    known = ecrm_quantities(problem, np.maximum(first, tiny), np.maximum(later, tiny), tau=tau)
    return problem.join(known.q1, known.q2)


def _checked(num_iters: int, checkpoints: np.ndarray, step: float) -> tuple[set[int], int]:
    check_number("step", step, above=True)
    num_iters = check_count("num_iters", num_iters)
    return set(check_checkpoints(checkpoints, num_iters).tolist()), num_iters
