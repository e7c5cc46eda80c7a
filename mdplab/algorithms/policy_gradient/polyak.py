r"""Policy gradient with Polyak's step size, from a known, a wrong or a guessed optimal value.

    theta_{k+1} = theta_k + gamma_k grad V(theta_k),   gamma_k = min{(V* - V(theta_k)) / (c ||grad V(theta_k)||^2), cap}

The length of a step needs no tuning: it is what a linear model of the objective would need, divided by c, to reach V*.
For a softmax policy near a deterministic one the gap is about as large as its gradient, so that gamma_k grows like one
over the gap, and logits move by about 1 / c a step: the gap falls geometrically, where a constant step has 1 / k. A
finite cap ends this: from the step on at which it binds, the method is a constant step.

Source: Li et al. 2024, "Enhancing policy gradient with the Polyak step-size adaption", arXiv:2404.07525 (abstract and a
restatement read). There V and its gradient are GPOMDP estimates and V* is guessed by a twin model; the rule of the
twins here is from memory.
"""

from collections.abc import Callable

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_checkpoints, check_count, check_number
from mdplab.models import Trace

# (value, gradient) of the objective at parameters of any shape; estimates where they come from samples.
Oracle = Callable[[np.ndarray], tuple[float, np.ndarray]]


def polyak_step(shortfall: float, gradient: np.ndarray, *, c: float = 1.0, cap: float = np.inf) -> float:
    """min{shortfall / (c ||gradient||^2), cap}, and 0 where shortfall is not above 0 or the square underflows.

    Raises
    ------
    ValueError
        c or cap not above 0.

    Examples
    --------
    >>> polyak_step(1.0, np.array([1.0, 1.0]), c=2.0)
    0.25
    """
    check_number("c", c, above=True)
    if not cap > 0:
        raise ValueError(f"cap is {cap}; expected above 0")
    # Gradients below 1e-154 square to 0: they vanish as far as the rule can tell.
    divisor = c * float(np.sum(np.square(gradient)))
    if not shortfall > 0 or divisor == 0:
        return 0.0
    step = min(shortfall / divisor, cap)
    return step if np.isfinite(step) else 0.0


def polyak_gradient(
    oracle: Oracle,
    theta0: np.ndarray,
    *,
    best: float,
    num_iters: int,
    checkpoints: np.ndarray,
    c: float = 1.0,
    cap: float = np.inf,
) -> Trace:
    """Ascent with Polyak's step size towards the value `best`.

    Parameters
    ----------
    oracle
        Value and gradient of the objective at theta.
    theta0 : array
        Start, of any shape.
    best : float
        V*, or what is believed of it. On a linear model no step leads beyond it if c is at least 1; at a value of
        `best` or more none is taken.
    num_iters : int
        Steps.
    checkpoints : int array (K,)
        Numbers of steps in [0, num_iters], increasing.
    c, cap : float > 0
        Divisor of the step, and the largest step.

    Returns
    -------
    Trace with columns `theta` (K, ...), `value` (K,), `step` (K,), the latter the step taken from there. Its status
    says where an objective or gradient stopped being finite; what follows is not recorded.

    Raises
    ------
    ValueError
        c, cap, best, num_iters or checkpoints out of range.

    Examples
    --------
    >>> run = polyak_gradient(lambda x: (-float(x @ x), -2 * x), np.array([1.0]), best=0.0, num_iters=3,
    ...                       checkpoints=np.arange(4))
    >>> run["theta"].ravel().tolist()  # halved: -x^2 is no linear model
    [1.0, 0.5, 0.25, 0.125]
    """
    if not np.isfinite(best):
        raise ValueError(f"best is {best}; expected finite")
    polyak_step(0.0, np.zeros(1), c=c, cap=cap)

    def rule(value: float, gradient: np.ndarray) -> float:
        return polyak_step(best - value, gradient, c=c, cap=cap)

    return _ascend(oracle, theta0, rule, num_iters, checkpoints)


def constant_gradient(
    oracle: Oracle, theta0: np.ndarray, *, step: float, num_iters: int, checkpoints: np.ndarray
) -> Trace:
    """Ascent with a constant step; the rest is as in `polyak_gradient`.

    Examples
    --------
    >>> run = constant_gradient(lambda x: (-float(x @ x), -2 * x), np.array([1.0]), step=0.25, num_iters=2,
    ...                         checkpoints=np.array([2]))
    >>> run["theta"].tolist()
    [[0.25]]
    """
    check_number("step", step, above=True)
    return _ascend(oracle, theta0, lambda value, gradient: step, num_iters, checkpoints)


def _ascend(
    oracle: Oracle,
    theta0: np.ndarray,
    rule: Callable[[float, np.ndarray], float],
    num_iters: int,
    checkpoints: np.ndarray,
) -> Trace:
    num_iters = check_count("num_iters", num_iters)
    marks, theta = check_checkpoints(checkpoints, num_iters), check_array("theta0", theta0, np.shape(theta0))
    status, rows = "ok", {"theta": [], "value": [], "step": []}
    for k in range(num_iters + 1):
        value, gradient = oracle(theta)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            status = f"diverged at t={k}"
            break
        step = rule(value, gradient)
        if k in marks:
            for name, entry in (("theta", theta), ("value", value), ("step", step)):
                rows[name].append(entry)
        theta = theta + step * gradient
    reached = marks[: len(rows["value"])]
    return Trace(reached, {name: np.array(column) for name, column in rows.items()}, status)


def twin_gradient(
    oracle: Oracle,
    starts: tuple[np.ndarray, np.ndarray],
    *,
    num_iters: int,
    checkpoints: np.ndarray,
    c: float = 1.0,
    cap: float = np.inf,
) -> Trace:
    """Two models, of which the worse ascends towards the value of the better by Polyak's step size.

    Parameters
    ----------
    oracle
        Value and gradient at theta, or estimates of them.
    starts : pair of arrays
        Of one shape.
    num_iters, checkpoints, c, cap
        As in `polyak_gradient`.

    Returns
    -------
    Trace with columns `theta` (K, 2, ...) and `value` (K, 2).

    Notes
    -----
    With exact values no target lies above the better model: there the worse one ends, at most as far above it as the
    objective lies above its own linear model. Where it is concave along the way, nothing is gained on the better start.

    Examples
    --------
    >>> pair = (np.array([2.0]), np.array([1.0]))
    >>> run = twin_gradient(lambda x: (-float(x @ x), -2 * x), pair, num_iters=40, checkpoints=np.array([40]))
    >>> bool(abs(run["value"].max() + 1.0) < 1e-9)  # no better than the better start
    True
    """
    polyak_step(0.0, np.zeros(1), c=c, cap=cap)
    if len(starts) != 2:
        raise ValueError(f"starts has {len(starts)} entries; expected 2")
    theta = np.array([check_array(f"starts[{i}]", start, np.shape(starts[0])) for i, start in enumerate(starts)])
    num_iters = check_count("num_iters", num_iters)
    marks, rows = check_checkpoints(checkpoints, num_iters), {"theta": [], "value": []}
    for k in range(num_iters + 1):
        pair = [oracle(x) for x in theta]
        values = np.array([value for value, _ in pair])
        if k in marks:
            rows["theta"].append(theta.copy())
            rows["value"].append(values)
        worse = int(np.argmin(values))
        gradient = pair[worse][1]
        theta[worse] += polyak_step(values[1 - worse] - values[worse], gradient, c=c, cap=cap) * gradient
    return Trace(marks, {name: np.array(column) for name, column in rows.items()})
