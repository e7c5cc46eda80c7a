r"""Performatively optimal policies: `max_pi F(pi) = <d, r> - lam |d|_2^2 / 2` in the environment that pi itself meets.

F is not concave. For two actions and a response whose curvature is bounded the search is conclusive: policies are a
box, `x(s) = pi(0 | s)` in `[0, 1]^S`; on a cell of half-widths w with `F'' >= -M` along directions of `max_s |.|_1 <=
1` the function `F + 2 M |x - centre|_2^2` is convex (a unit step of one x has l1 norm 2), hence

    max F <= max over corners of F + 2 M |w|_2^2,

and cells whose bound is below the best value found are closed, others are halved. Certificate, kind
`"performative-optimum"`: `lam`, `lower`, `upper`; the referee closes all cells below `upper` by itself.

Elsewhere the best of many local searches is returned with status "heuristic" and an infinite gap.
"""

import itertools
import time

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.models import Certificate, PerformativeMDP, Solution, objective_curvature, objective_values

# Corners that are evaluated at once.
_BLOCK = 200_000


def performatively_optimal(
    problem: PerformativeMDP,
    lam: float,
    *,
    tol: float = 1e-3,
    stable: Solution | None = None,
    max_cells: int = 2_000_000,
) -> Solution:
    """The policy that is best in the environment which it brings about itself, by global search.

    Parameters
    ----------
    problem : PerformativeMDP
        Small: the cells grow exponentially with the number of states.
    lam : float >= 0
        Regularisation; 0 asks for the largest plain reward.
    tol : float > 0
        Gap between the policy's objective and the upper bound at which to stop.
    stable : Solution, optional
        A stable point, from `performatively_stable`: a further start, and extras then hold what stability loses.
    max_cells : int
        Limit on cells.

    Returns
    -------
    Solution
        Value `(1,)`, the objective of the policy `(S, 2)`; certificate of kind `"performative-optimum"`. Status
        "certified"; "max_cells" if the bracket is wider than `tol`; "heuristic", with an infinite gap, where the
        curvature is not bounded or there are more than two actions. Extras `occupancy`, `lower`, `upper` and, with
        `stable`, `stable_loss`: bounds (2,) of what the stable point loses against the optimum.

    Raises
    ------
    ValueError
        `lam` negative, `tol` not positive, terminal states.

    Examples
    --------
    >>> from mdplab.instances.performative import linear_reward_witness
    >>> out = performatively_optimal(linear_reward_witness(0.2, -1), 2.0, tol=0.1)
    >>> out.status, bool(out.extras["upper"] - out.extras["lower"] <= 0.1)
    ('certified', True)
    """
    started = time.perf_counter()
    require_type(problem, PerformativeMDP, "performatively_optimal")
    tol, max_cells = checked_tol(tol), checked_count("max_cells", max_cells)
    if not isinstance(lam, int | float | np.number) or not 0 <= lam < np.inf:
        raise ValueError(f"lam is {lam!r}; expected a number of at least 0")
    lam = float(lam)
    if problem.exits.any():
        raise ValueError(f"state {int(np.argmax(problem.exits))} is terminal; the search is for problems without any")
    policy = _local(problem, lam, stable)
    values, errors = objective_values(problem, lam, policy[None])
    lower = float(np.nextafter(values[0] - errors[0], -np.inf))
    curvature = objective_curvature(problem, lam) if problem.A == 2 else None
    upper, cells, status = np.inf, 0, "heuristic"
    if curvature is not None:
        policy, lower, upper, cells = _branch_and_bound(problem, lam, curvature, policy, lower, tol, max_cells)
        status = "certified" if upper - lower <= tol else "max_cells"
    value = objective_values(problem, lam, policy[None])[0]
    gap = float(np.nextafter(max(upper - lower, upper - value[0]), np.inf))
    certificate = Certificate("performative-optimum", gap, {}, {"lam": lam, "lower": lower, "upper": upper})
    extras = {"occupancy": problem.occupancy(policy), "lower": lower, "upper": upper}
    if stable is not None:
        at_stable, error = objective_values(problem, lam, stable.policy[None])
        extras["stable_loss"] = np.array([lower - at_stable[0] - error[0], upper - at_stable[0] + error[0]])
    seconds = time.perf_counter() - started
    return Solution(value, policy, certificate, "performatively_optimal", cells, seconds, status=status, extras=extras)


def _local(problem: PerformativeMDP, lam: float, stable: Solution | None) -> np.ndarray:
    """The best policy of local searches from the uniform, the stable and up to 32 deterministic policies."""
    from scipy.optimize import minimize

    S, A = problem.base.r.shape
    actions = problem.base.actions

    def policy_of(logits: np.ndarray) -> np.ndarray:
        weights = np.where(actions, np.exp(logits.reshape(S, A) - logits.reshape(S, A).max(axis=1, keepdims=True)), 0.0)
        return weights / weights.sum(axis=1, keepdims=True)

    def loss(logits: np.ndarray) -> float:
        return -float(objective_values(problem, lam, policy_of(logits)[None])[0][0])

    corners = [
        np.eye(A)[list(choice)]
        for choice in itertools.islice(itertools.product(range(A), repeat=S), 32)
        if actions[np.arange(S), list(choice)].all()
    ]
    starts = [actions / actions.sum(axis=1, keepdims=True), *corners]
    candidates = list(starts)
    if stable is not None:
        starts.append(np.asarray(stable.policy))
        candidates.append(np.asarray(stable.policy))
    for start in starts:
        # Away from the corners, where a softmax has no slope.
        logits = np.log(0.9 * start + 0.1 * starts[0] + 1e-12)
        found = minimize(loss, logits.ravel(), method="L-BFGS-B", bounds=[(-40.0, 5.0)] * (S * A))
        candidates.append(policy_of(found.x))
    values = objective_values(problem, lam, np.stack(candidates))[0]
    return candidates[int(np.argmax(values))]


def _branch_and_bound(
    problem: PerformativeMDP,
    lam: float,
    curvature: float,
    policy: np.ndarray,
    lower: float,
    tol: float,
    max_cells: int,
) -> tuple[np.ndarray, float, float, int]:
    """Policy, lower and upper bound, and the number of cells."""
    S = problem.S
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=S)))
    centres, widths = np.full((1, S), 0.5), np.full(S, 0.5)
    cells, axis, closed = 0, 0, lower
    while len(centres):
        cells += len(centres)
        slack = 2 * curvature * float(np.sum(widths**2))
        tops = np.empty(len(centres))
        step = max(1, _BLOCK // len(corners))
        for start in range(0, len(centres), step):
            x = centres[start : start + step, None, :] + corners * widths
            policies = np.stack([x, 1 - x], axis=-1).reshape(-1, S, 2)
            values, errors = objective_values(problem, lam, policies)
            best = int(np.argmax(values - errors))
            if values[best] - errors[best] > lower:
                policy, lower = policies[best], float(values[best] - errors[best])
            tops[start : start + step] = (values + errors).reshape(-1, len(corners)).max(axis=1)
        bounds = (tops + slack) * (1 + 2.0**-50) + 2.0**-50 * np.abs(tops)
        # Room for the referee, whose rounding is its own.
        done = bounds <= lower + 0.98 * tol
        closed = max(closed, float(bounds[done].max(initial=-np.inf)))
        centres = centres[~done]
        if cells + 2 * len(centres) > max_cells:
            return policy, lower, max(closed, float(bounds[~done].max(initial=-np.inf))) + 0.01 * tol, cells
        widths = widths.copy()
        widths[axis] /= 2
        offset = np.eye(S)[axis] * widths
        centres = np.concatenate([centres - offset, centres + offset])
        axis = (axis + 1) % S
    return policy, lower, max(lower, closed) + 0.01 * tol, cells
