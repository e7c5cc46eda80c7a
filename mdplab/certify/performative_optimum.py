"""Performatively optimal policies: an upper bound over all policies, by the referee's own branch and bound.

performative-optimum
    A `PerformativeMDP` with two actions, all available, no terminal states, and a response whose derivatives are
    bounded: `lam >= 0`, `lower`, `upper`, `value (1,)`. The objective of the returned policy is at least `lower`, no
    policy has more than `upper`, the value lies between, and the gap is at least `upper - lower`. Float level only.

Proof. With M of `objective_curvature`, `F'' >= -M` along directions of `max_s |.|_1 <= 1`. In coordinates `x(s) = pi(0
| s)` a unit step has such a norm of at most 2: `F + 2 M |x - centre|^2` is convex on a cell, largest at a corner, and
F is at most its largest corner value plus `2 M |half-widths|^2`. Cells that this does not show to be below `upper` are
halved, one coordinate after the other; the proof is complete when none is left. The objective's rounding is part of
it.
"""

from itertools import product

import numpy as np

from mdplab.certify.case import finite
from mdplab.certify.report import Refused
from mdplab.models import PerformativeMDP, Solution, objective_curvature, objective_values

# Cells before the referee gives up, and how many are looked at in one go.
MOST_CELLS = 8_000_000
_TOGETHER = 20_000


def performative_optimum(problem: PerformativeMDP, solution: Solution, level: str) -> tuple[float, list[str]]:
    """The gap derived, and what the verdict speaks about; `Refused` if a claim was not established."""
    if level != "float":
        raise Refused("kind 'performative-optimum' is decided at the float level only")
    data = solution.certificate.data
    lam, lower, upper = (float(finite(name, data.get(name, np.nan), ())) for name in ("lam", "lower", "upper"))
    if lam < 0:
        raise Refused(f"lam is {lam!r}, negative")
    if problem.lam is not None and problem.lam != lam:
        raise Refused(f"lam is {lam:.17g} in the certificate, {problem.lam:.17g} in the problem")
    policy = finite("policy", solution.policy, problem.base.r.shape)
    try:
        problem.respond(policy)
    except ValueError as invalid:
        raise Refused(f"the policy or its environment is invalid: {invalid}") from None
    curvature = objective_curvature(problem, lam) if problem.A == 2 else None
    if curvature is None:
        raise Refused("the curvature is not bounded: more than two actions, terminal states, or no closed form")
    value, error = objective_values(problem, lam, policy[None])
    if not value[0] - error[0] >= lower:
        raise Refused(f"lower is {lower:.17g}, the policy's objective {value[0]:.17g} within {error[0]:.3g}")
    claimed = finite("value", solution.value, (1,))[0]
    if not lower <= claimed <= upper:
        raise Refused(f"value {claimed:.17g} is not between lower {lower:.17g} and upper {upper:.17g}")
    cells = _close(problem, lam, curvature, upper)
    gap = float(np.nextafter(upper - lower, np.inf))
    if not gap <= float(finite("claimed gap", solution.certificate.gap, ())):
        raise Refused(f"claimed gap {solution.certificate.gap:.17g} is smaller than the derived {gap:.17g}")
    return gap, [f"lam = {lam:.17g}, as the certificate states", f"{cells} cells", "the response as computed in floats"]


def _close(problem: PerformativeMDP, lam: float, curvature: float, upper: float) -> int:
    """Cells looked at until all are shown to be below `upper`, depth first."""
    S = problem.S
    signs = np.array(list(product((-1.0, 1.0), repeat=S)))
    stack = [(0, np.full((1, S), 0.5))]
    cells = 0
    while stack:
        depth, centres = stack.pop()
        if len(centres) > _TOGETHER:
            stack.append((depth, centres[_TOGETHER:]))
            centres = centres[:_TOGETHER]
        cells += len(centres)
        if cells > MOST_CELLS:
            raise Refused(f"upper {upper:.9g} was not established within {MOST_CELLS} cells")
        # Halves are exact in floats.
        half = np.array([0.5 ** (1 + depth // S + (s < depth % S)) for s in range(S)])
        x = centres[:, None, :] + signs * half
        values, errors = objective_values(problem, lam, np.stack([x, 1 - x], axis=-1).reshape(-1, S, 2))
        tops = (values + errors).reshape(len(centres), -1).max(axis=1)
        bounds = tops + 2 * curvature * float(np.sum(half**2)) + 2.0**-50 * (np.abs(tops) + curvature)
        left = centres[~(bounds <= upper)]
        if len(left):
            step = np.zeros(S)
            step[depth % S] = half[depth % S] / 2
            stack.append((depth + 1, np.concatenate([left - step, left + step])))
    return cells
