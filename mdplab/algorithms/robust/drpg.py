r"""Double-loop robust policy gradient (DRPG): projected gradient steps against a nearly worst kernel.

    find p_t with J(pi_t, p_t) <= min_p J(pi_t, p) + tol_t,    tol_{t+1} = decay tol_t,
    pi_{t+1} = Proj(pi_t + step_t grad_pi J(pi_t, p_t)),       dJ/dpi(s, a) = D(s) q(s, a)

with D = (I - gamma p_pi^T)^-1 mu, the unnormalised occupancy. The inner problem is solved by Howard's iteration for
nature ("exact"), by projected gradient on the rows ("gradient"), or over a family of kernels with shared parameters,
for which only stationarity is promised.

Source: Wang, Ho, Petrik 2023, "Policy gradient in robust MDPs with global convergence guarantee" (ICML 2023), from
memory and the authors' public code. The paper minimises costs; here rewards are maximised and nature minimises. The
published C++ code solves for the occupancy with p_pi where its transpose belongs; this follows the paper.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.nature import (
    first_kernel,
    first_policy,
    linear_value,
    nominal_kernel,
    objective,
    robust_evaluation,
)
from mdplab.algorithms.robust.projection import project_l1_ball, project_row_balls, project_rows
from mdplab.instances.robust_suite import TiltedFamily
from mdplab.models import L1Ball, RobustMDP, Trace, TVBall


def policy_gradient(problem: RobustMDP, kernel: np.ndarray, pi: np.ndarray) -> np.ndarray:
    """dJ/dpi (S, A) of J = mu . v under a fixed kernel (S, A, S).

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> problem = RobustMDP(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0]), L1Ball(0.1))
    >>> policy_gradient(problem, np.ones((1, 2, 1)), np.array([[1.0, 0.0]])).tolist()
    [[0.0, 2.0]]
    """
    v = linear_value(problem, kernel, pi)
    return _occupancy(problem, kernel, pi)[:, None] * (kernel * objective(problem, v)).sum(axis=2)


def kernel_gradient(problem: RobustMDP, kernel: np.ndarray, pi: np.ndarray) -> np.ndarray:
    """dJ/dp (S, A, S) of J = mu . v at a kernel, all entries free: D(s) pi(a | s) (r + gamma v(s')).

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> problem = RobustMDP(MDP([[[1.0]]], [[1.0]], 0.5, mu=[1.0]), L1Ball(0.1))
    >>> kernel_gradient(problem, np.ones((1, 1, 1)), np.ones((1, 1))).tolist()
    [[[4.0]]]
    """
    z = objective(problem, linear_value(problem, kernel, pi))
    return (_occupancy(problem, kernel, pi)[:, None] * pi)[:, :, None] * z


def _occupancy(problem, kernel, pi):
    mu = problem.nominal.mu
    if mu is None:
        raise ValueError("nominal has no initial distribution mu")
    step = np.einsum("sa,sat->st", pi, kernel)
    return np.linalg.solve(np.eye(problem.S) - problem.gamma * step.T, mu)


def drpg(
    problem: RobustMDP,
    *,
    num_iters: int,
    step: float | Callable[[int], float],
    tol: float = 1e-3,
    decay: float | None = None,
    inner: str = "exact",
    inner_step: float = 0.1,
    pi0: np.ndarray | None = None,
    checkpoints: np.ndarray | None = None,
) -> Trace:
    """DRPG against an L1 ball or a finite set of models.

    Parameters
    ----------
    problem
        With `mu` in the nominal model.
    num_iters
        Outer steps, at least 0.
    step
        Step size, or a function of t.
    tol, decay
        First inner tolerance, and the factor between tolerances; gamma by default, as the theory asks at most.
    inner : {"exact", "gradient"}
        Who plays nature. "gradient" is for L1 balls; it stops by the same measured gap.
    inner_step
        Step size of the inner gradient; 0.1 in the authors' code.
    pi0 : array (S, A), optional
        First policy; uniform by default.
    checkpoints
        Strictly increasing outer step numbers in [0, num_iters] to keep; all by default.

    Returns
    -------
    Trace
        `pi` (K, S, A); `objective` (K,), J(pi_t, p_t); `gap` (K,), what nature could still gain, measured; `solves`
        (K,) linear systems of the inner loop. The paper's output is the policy with the best `objective`.

    Raises
    ------
    ValueError
        No `mu`, a set that `inner` does not serve, a `pi0` that is no policy, a negative number of steps, a step size
        that is no number, or a checkpoint that is no step.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0]] * 2], [[0.0, 0.0], [1.0, 1.0]], 0.5, mu=[0.5, 0.5])
    >>> drpg(RobustMDP(mdp, L1Ball(0.2)), num_iters=40, step=0.5)["pi"][-1][0].tolist()
    [1.0, 0.0]
    """
    if inner not in ("exact", "gradient"):
        raise ValueError(f"inner is {inner!r}; expected 'exact' or 'gradient'")
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    if not callable(step) and not np.isfinite(step):
        raise ValueError(f"step is {step}; expected a finite number or a function of t")
    if problem.nominal.mu is None:
        raise ValueError("nominal has no initial distribution mu")
    kept = np.arange(num_iters + 1) if checkpoints is None else np.asarray(checkpoints, dtype=np.int64)
    outside = (kept < 0) | (kept > num_iters)
    if outside.any():
        k = int(np.argmax(outside))
        raise ValueError(f"checkpoints[{k}] is {kept[k]}; expected 0 to {num_iters}")
    actions, pi = problem.nominal.actions, first_policy(problem, pi0)
    decay = problem.gamma if decay is None else decay
    kernel = first_kernel(problem)
    rows = {"pi": [], "objective": [], "gap": [], "solves": []}
    for t in range(num_iters + 1):
        if inner == "exact":
            known = robust_evaluation(problem, pi, tol=tol * decay**t, kernel=kernel)
            kernel, value, gap, solves = known.kernel, known.value, known.gap, known.solves
        else:
            kernel, value, gap, solves = _descend(problem, pi, kernel, tol * decay**t, inner_step)
        if np.isin(t, kept):
            now = (pi, float(problem.nominal.mu @ value), gap, solves)
            for name, entry in zip(rows, now):
                rows[name].append(entry)
        if t < num_iters:
            size = step(t) if callable(step) else step
            pi = project_rows(pi + size * policy_gradient(problem, kernel, pi), actions)
    return Trace(kept, {name: np.array(column) for name, column in rows.items()})


def _descend(problem, pi, kernel, tol, inner_step, max_iters=1000):
    """Projected gradient descent on the rows until nature's gain, by one Bellman step, is at most the tolerance."""
    one = problem.uncertainty
    if not isinstance(one, L1Ball | TVBall):
        raise ValueError(f"inner is 'gradient' and uncertainty {one.name!r}; expected 'l1' or 'tv'")
    radius = one.radii(problem.S, problem.A) * (2.0 if isinstance(one, TVBall) else 1.0)
    radius = radius[:, None] if one.rectangularity == "s" else radius
    centre = nominal_kernel(problem)
    mask = (
        centre > 0 if one.support == "nominal" else np.broadcast_to(problem.nominal.actions[:, :, None], centre.shape)
    )
    for k in range(1, max_iters + 1):
        known = robust_evaluation(problem, pi, kernel=kernel, max_solves=1)
        if known.gap <= tol or k == max_iters:
            break
        moved = kernel - inner_step * kernel_gradient(problem, kernel, pi)
        kernel = project_row_balls(moved, centre, radius, mask, joint=one.rectangularity == "s")
    return kernel, known.value, known.gap, k


@dataclass(frozen=True, eq=False, slots=True)
class TiltGradient:
    """Derivatives of J in the parameters of a tilted kernel, (m,) and (n,), and J."""

    theta: np.ndarray
    lam: np.ndarray
    objective: float


def tilt_gradient(family: TiltedFamily, theta: np.ndarray, lam: np.ndarray, pi: np.ndarray) -> TiltGradient:
    """Gradient of J in theta and lam.

    With w = lam . zeta: d log p / d theta = (phi(t) - E phi) / w, d log p / d lam = zeta (E[theta . phi] -
    theta . phi(t)) / w^2.

    Examples
    --------
    >>> from mdplab.instances.robust_suite import drpg_inventory
    >>> family = drpg_inventory(rng=np.random.default_rng(0))
    >>> tilt_gradient(family, family.theta, family.lam, np.full((8, 3), 1 / 3)).theta.shape
    (2,)
    """
    mdp, p = family.mdp, family.kernel(theta, lam)
    step = np.einsum("sa,sat->st", pi, p)
    r = mdp.r[:, :, None] if mdp.r_next is None else mdp.r_next
    resolvent = np.eye(mdp.S) - mdp.gamma * step
    v = np.linalg.solve(resolvent, (pi * (p * r).sum(axis=2)).sum(axis=1))
    weight = np.linalg.solve(resolvent.T, mdp.mu)[:, None, None] * pi[:, :, None] * p * (r + mdp.gamma * v)
    w = family.zeta @ lam
    score = (family.phi - (p @ family.phi)[:, :, None, :]) / w[:, :, None, None]
    tilt = ((p @ (family.phi @ theta))[:, :, None] - family.phi @ theta) / w[:, :, None] ** 2
    return TiltGradient(
        np.einsum("sat,satm->m", weight, score),
        np.einsum("sat,sat,san->n", weight, tilt, family.zeta),
        float(mdp.mu @ v),
    )


def drpg_parametric(
    family: TiltedFamily,
    *,
    num_iters: int,
    step: float,
    inner_step: float = 0.01,
    inner_tol: float = 1e-4,
    max_inner: int = 500,
    pi0: np.ndarray | None = None,
) -> Trace:
    """DRPG over a family of tilted kernels; nature takes projected gradient steps on theta and lam.

    Parameters
    ----------
    family
        Kernels, and the balls around the centres of the parameters.
    num_iters, step
        Outer steps and their size.
    inner_step, inner_tol, max_inner
        Step size of nature, the change of the parameters below which she rests, and her steps at most for each policy.
    pi0 : array (S, A), optional
        First policy; uniform by default.

    Returns
    -------
    Trace
        `pi` (T + 1, S, A), `theta`, `lam` and `objective` (T + 1,): J at nature's stationary point.

    Examples
    --------
    >>> from mdplab.instances.robust_suite import drpg_inventory
    >>> family = drpg_inventory(rng=np.random.default_rng(0))
    >>> drpg_parametric(family, num_iters=2, step=0.1, max_inner=20)["theta"].shape
    (3, 2)
    """
    S, A = family.mdp.S, family.mdp.A
    pi = np.full((S, A), 1 / A) if pi0 is None else np.array(pi0, dtype=np.float64)
    theta, lam = family.theta, family.lam
    rows = {"pi": [], "theta": [], "lam": [], "objective": []}
    for t in range(num_iters + 1):
        for _ in range(max_inner):
            slope = tilt_gradient(family, theta, lam, pi)
            new_theta = project_l1_ball(theta - inner_step * slope.theta, family.theta, family.radius)
            new_lam = project_l1_ball(lam - inner_step * slope.lam, family.lam, family.radius, lower=family.lam_min)
            change = max(np.abs(new_theta - theta).max(), np.abs(new_lam - lam).max())
            theta, lam = new_theta, new_lam
            if change <= inner_tol:
                break
        for name, entry in zip(rows, (pi, theta, lam, tilt_gradient(family, theta, lam, pi).objective)):
            rows[name].append(entry)
        if t < num_iters:
            gradient = policy_gradient(RobustMDP(family.mdp, L1Ball(0.0)), family.kernel(theta, lam), pi)
            pi = project_rows(pi + step * gradient)
    return Trace(np.arange(num_iters + 1), {name: np.array(column) for name, column in rows.items()})
