"""Constrained discounted problems by the linear program of occupancy measures.

Maximise `mu . V^pi` subject to `mu . C_i^pi <= limits_i`, where `C_i^pi` is the discounted sum of the cost `costs[i]`.

Certificate, kind `"occupancy"`; inequalities hold exactly for the stored numbers, rows as stored (no
normalisation), with
`sigma = max` row sum over available pairs, `gamma sigma < 1`, and `norm(f) = max_{s,a available} |f| / (1 - gamma
sigma)`. Data: `x` `(S, A)` (zero where unavailable), `hi` `(S,)`, `lam` `(m,)`, `defect`, `primal_lo`, `primal_hi`,
`dual_hi`,
`costs_hi` `(m,)`, `violation`:

- `x >= 0`, `lam >= 0`;
- `defect >= sum_s |xi(s)|`, `xi(s) = sum_a x(s, a) - gamma sum_{s', a'} x(s', a') P(s | s', a') - mu(s)`;
- the policy is `x` conditioned on the state: `|policy(s, a) sum_b x(s, b) - x(s, a)| <= 8 u sum_b x(s, b)`, `u =
  2^-53`, and
  uniform on the available actions, up to rounding, where `x(s, .) = 0`. The exact policy meant is `x(s, .) / sum_b
  x(s, b)`;
- `primal_lo <= <x, r> - defect norm(r)` and `<x, r> + defect norm(r) <= primal_hi`: `x` is the exact occupancy of that
  policy started from the signed measure `mu + xi`, so `<x, r> = (mu + xi) . V^pi`, and `|V^pi| <= norm(r)`;
- `<x, costs_i> + defect norm(costs_i) <= costs_hi_i`, hence the policy's cost i is at most `costs_hi_i`;
- `costs_hi_i <= limits_i + violation`; `violation = 0` whenever limits tightened by rounding leave a feasible policy;
- `hi(s) >= r(s, a) - sum_i lam_i costs[i, s, a] + gamma sum_j P(j | s, a) hi(j)` for every available action;
- `dual_hi >= mu . hi + sum_i lam_i limits_i`: by weak duality no feasible policy is worth more;
- `gap >= dual_hi - primal_lo` and `gap >= primal_hi - primal_lo`.

Sums over available pairs; each inequality has a margin of at least `2 gamma_n` times the sum of the magnitudes of its n
terms. Source: Altman 1999, chapters 3-4.
"""

import time

import numpy as np

from mdplab.exact.arguments import checked_tol, require_type
from mdplab.exact.occupancy_program import OccupancyProgram, conditioned
from mdplab.models import Certificate, ConstrainedMDP, Solution, SolverFailure


def constrained_mdp(problem: ConstrainedMDP, *, tol: float = 1e-6) -> Solution:
    """An optimal policy under limits on discounted costs, and the multipliers that prove it.

    Parameters
    ----------
    problem : ConstrainedMDP
        Initial distribution, costs `(m, S, A)` and limits `(m,)`.
    tol : float > 0
        Largest certified loss of `mu . V^pi`, and largest amount by which a limit may be exceeded.

    Returns
    -------
    Solution
        Value `(S,)`, the policy's own; policy `(S, A)`, in general randomised; certificate of kind `"occupancy"`,
        whose gap bounds the loss of `mu . value`. Extras: `objective` (a number), `occupancy` `(S, A)`,
        `multipliers` `(m,)`,
        `costs` `(m,)` the policy's discounted costs, `violation` (a number, mostly 0).

    Raises
    ------
    SolverFailure
        No policy meets the limits: the message says by how much the best one misses them. Or the bounds miss `tol`.

    Notes
    -----
    The linear program is solved by HiGHS. Its policy is evaluated anew by sparse LU, so that the flow equations hold to
    rounding; limits that this shows to be exceeded are tightened by the excess and the program is solved again. Where
    that leaves nothing feasible (a limit equal to the least cost attainable), `violation` states the excess. The
    multipliers are kept, and the dual value vector is raised until its inequalities hold exactly.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> answer = constrained_mdp(ConstrainedMDP(mdp, [[[1.0, 0.0]]], [0.5]))
    >>> answer.policy.round(6).tolist(), round(answer.extras["objective"], 6)
    ([[0.25, 0.75]], 0.5)
    """
    started = time.perf_counter()
    require_type(problem, ConstrainedMDP, "constrained_mdp")
    tol = checked_tol(tol)
    op = OccupancyProgram(problem)
    limits = problem.limits.copy()
    answer = op.solve(limits)
    if answer is None:
        least = op.least_violation()
        # A limit at the least cost attainable is on either side of HiGHS's tolerance.
        answer = op.solve(limits + (least + tol / 4)) if least <= tol / 4 else None
    if answer is None:
        raise SolverFailure(
            f"no policy meets the limits {problem.limits.tolist()}: the best misses one of them by {least:.6g}"
        )
    x, v, lam, pivots = answer
    policy = conditioned(x, problem.mdp.actions)
    flow = op.evaluate(policy)
    for _ in range(5):
        excess = flow.costs_hi - problem.limits
        if not (excess > 0).any():
            break
        limits = limits - np.where(excess > 0, 1.25 * excess, 0.0)
        tightened = op.solve(limits)
        if tightened is None:
            break
        pivots += tightened[3]
        closer = op.evaluate(conditioned(tightened[0], problem.mdp.actions))
        if max(0.0, (closer.costs_hi - problem.limits).max()) >= max(0.0, excess.max()):
            break
        flow = closer
        v, lam = tightened[1], tightened[2]
    violation = float(np.nextafter(max(0.0, (flow.costs_hi - problem.limits).max(initial=0.0)), np.inf))
    if not (flow.costs_hi > problem.limits).any():
        violation = 0.0
    hi, dual_hi = op.dual_bound(v, lam)
    gap = float(np.nextafter(max(dual_hi, flow.primal_hi) - flow.primal_lo, np.inf))
    if not (gap <= tol and violation <= tol):
        raise SolverFailure(
            f"the bounds of the objective are {gap:.3g} apart, limits missed by {violation:.3g}; tol is {tol:.3g}"
        )
    data = {
        "x": flow.x,
        "hi": hi,
        "lam": lam,
        "defect": flow.defect,
        "primal_lo": flow.primal_lo,
        "primal_hi": flow.primal_hi,
        "dual_hi": dual_hi,
        "costs_hi": flow.costs_hi,
        "violation": violation,
    }
    residuals = {"flow": flow.defect, "violation": violation}
    extras = {
        "objective": float(problem.mdp.mu @ flow.value),
        "occupancy": flow.x,
        "multipliers": lam,
        "costs": flow.costs,
        "violation": violation,
    }
    certificate = Certificate("occupancy", gap, residuals, data)
    seconds = time.perf_counter() - started
    return Solution(flow.value, flow.policy, certificate, "constrained_mdp", pivots, seconds, extras=extras)
