"""Linear decision processes by backward induction: nominal or d-rectangular, with or without a regularised policy."""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_tol
from mdplab.exact.operator import UNIT
from mdplab.exact.robust.nature import Nature
from mdplab.exact.robust.rows import Rows
from mdplab.models import Certificate, LinearMDP, RobustLinearMDP, Solution, SolverFailure

# Relative to the range of the values: what a root finder and a factor's membership in its set may be off by.
_INNER = 4e-12
# Least weight of an action in a softmax, before division.
_LEAST = 1e-290


def linear_backward_induction(
    problem: LinearMDP | RobustLinearMDP, *, tau: float = 0.0, reference: Any = None, tol: float = 1e-6
) -> Solution:
    """Optimal value and policy of every stage.

    Parameters
    ----------
    problem
        Nominal, or with nature choosing the factors.
    tau : float >= 0
        Price of a unit of `KL(pi(. | s) || reference(. | s))` at each decision; 0 is the unregularised problem.
    reference : array (A,), (S, A) or (H, S, A), optional
        Reference policy; uniform by default. Actions on which it is 0 are not taken if `tau > 0`.
    tol : float > 0
        Certified error.

    Returns
    -------
    Solution
        Value `(H + 1, S)`; policy `(H, S)` actions if `tau` is 0, else `(H, S, A)`, proportional to `reference exp(Q /
        tau)`; certificate of kind `"linear"`. Extras: `q` `(H, S, A)`, and for a robust problem `factors` `(H, d, S)`,
        nature's answer to the value.

    Raises
    ------
    ValueError
        A negative `tau`, or a reference of another shape or that is no policy.
    SolverFailure
        Rounding, or the error of the inner problems, exceeds `tol`.

    Notes
    -----
    One inner problem for each factor and stage, whatever the number of states and actions: O(H d S log S + H S A d).

    Source
    ------
    Liu, Xu (2024), equation (3.3); soft sets: Tang, Liu, Xu (2025); regularised policy: our specification, B.1.

    Examples
    --------
    >>> from mdplab.models import TVBall
    >>> linear = LinearMDP([[[1.0, 0.0]], [[0.5, 0.5]]], [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], 2)
    >>> linear_backward_induction(linear).value[0].tolist()
    [0.5, 0.75]
    >>> linear_backward_induction(RobustLinearMDP(linear, TVBall(0.1))).value[0].round(3).tolist()
    [0.45, 0.725]
    """
    return _solve(problem, None, tau, reference, tol, "linear_backward_induction")


def linear_policy_evaluation(
    problem: LinearMDP | RobustLinearMDP,
    policy: Any,
    *,
    tau: float = 0.0,
    reference: Any = None,
    tol: float = 1e-6,
) -> Solution:
    """Value of a policy under the factors that nature answers with.

    Parameters
    ----------
    problem, tau, reference, tol
        As for `linear_backward_induction`; the value counts `-tau KL(pi || reference)`.
    policy : array (H, S) of actions, or (H, S, A) or (S, A) of probabilities

    Returns
    -------
    Solution
        As `linear_backward_induction` returns it; certificate of kind `"linear-evaluation"`.

    Raises
    ------
    ValueError, SolverFailure
        As `linear_backward_induction`; and a policy of another shape, that is none, or off the reference's support.

    Examples
    --------
    >>> linear = LinearMDP([[[1.0, 0.0], [0.0, 1.0]]], [[1.0], [1.0]], [0.0, 1.0], 2)
    >>> linear_policy_evaluation(linear, [[0.5, 0.5]]).value[:, 0].tolist()
    [1.0, 0.5, 0.0]
    """
    linear = problem.linear if isinstance(problem, RobustLinearMDP) else problem
    H, S, A = linear.horizon, linear.S, linear.A
    pi = np.asarray(policy)
    if pi.shape == (H, S) and np.issubdtype(pi.dtype, np.integer):
        bad = np.argwhere((pi < 0) | (pi >= A))
        if len(bad):
            raise ValueError(f"policy[{bad[0][0]}, {bad[0][1]}] is {pi[tuple(bad[0])]}; expected 0..{A - 1}")
        pi = (pi[:, :, None] == np.arange(A)).astype(np.float64)
    return _solve(problem, _policy("policy", pi, H, S, A), tau, reference, tol, "linear_policy_evaluation")


def _policy(name: str, values: Any, H: int, S: int, A: int) -> np.ndarray:
    """A policy (H, S, A), or ValueError."""
    pi = np.asarray(values, dtype=np.float64)
    if pi.shape not in ((A,), (S, A), (H, S, A)):
        raise ValueError(f"{name} has shape {pi.shape}; expected {(A,)}, {(S, A)} or {(H, S, A)}")
    pi = np.ascontiguousarray(np.broadcast_to(pi, (H, S, A)))
    for bad, why in ((~np.isfinite(pi) | (pi < 0), "probabilities are at least 0"),):
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{name}{list(at)} is {pi[at]:g}; {why}")
    bad = np.abs(pi.sum(axis=2) - 1) > 1e-8
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name}{list(at)} sums to {pi[at].sum():.12g}, not 1")
    return pi


class _Stages:
    """The backup of one stage, with nature's factors."""

    def __init__(self, problem: LinearMDP | RobustLinearMDP) -> None:
        self.hostile = isinstance(problem, RobustLinearMDP)
        self.linear = linear = problem.linear if self.hostile else problem
        self.rewards, H, d, S = linear.rewards(), linear.horizon, linear.d, linear.S
        if not self.hostile:
            self.kernels = linear.kernels()
            return
        self.shares = linear.phi / linear.phi.sum(axis=2, keepdims=True)
        one, flat = problem.factor_set(), linear.mu.reshape(-1, S)
        self.natures = []
        for h in range(H):
            state, p = h * d + np.arange(d), linear.mu[h]
            kept = np.ones(p.shape, dtype=bool) if one.support == "all" else p > 0
            indptr = np.append(0, np.cumsum(kept.sum(axis=1)))
            indices = None if one.support == "all" else np.nonzero(kept)[1]
            p = (p / p.sum(axis=1, keepdims=True))[kept]
            rows = Rows(S, np.arange(d), np.zeros(d, dtype=np.int64), indptr, indices, p, np.zeros(d), None)
            size = np.array(one.radii(len(flat), 1))[state, 0]
            self.natures.append(Nature(one.name, rows, 2 * size if one.name == "tv" else size, {}, False))
        self.set = one

    def q(self, h: int, v: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Values of actions (S, A) at v (S,), and nature's factors (d, S)."""
        if not self.hostile:
            return self.rewards[h] + self.kernels[h] @ v, None
        nature = self.natures[h]
        rows = nature.rows
        z = np.tile(v, rows.size) if rows.indices is None else v[rows.indices]
        least, q = nature.worst(np.ascontiguousarray(z))
        factors = np.zeros((rows.size, self.linear.S))
        factors[np.repeat(np.arange(rows.size), np.diff(rows.indptr)), rows.successors] = q
        return self.rewards[h] + self.shares @ least, factors

    def error(self, v: np.ndarray) -> float:
        """What a backup of v may be off by, the referee's own arithmetic included."""
        size = float(np.abs(self.rewards).max() + np.abs(v).max())
        n = 2 * min(self.linear.S + self.linear.d, 128) + self.linear.A + 64
        if not self.hostile:
            return n * UNIT * size
        temperature = float(self.set.temperature.max()) if self.set.name.startswith("soft_") else 0.0
        doubt = 0.0
        if self.set.name in ("kl", "burg"):
            # A relative entropy known up to rounding is brought below its radius by that share of the way back.
            radius = self.set.radius[self.set.radius > 0]
            doubt = float(np.minimum(8 * n * UNIT * np.sqrt(2 / radius), np.sqrt(2 * radius)).max(initial=0.0))
        # In balls that share multiplies values, not their range: nearly equal values are the case that tells.
        spread = float(np.ptp(v))
        return 2 * n * UNIT * (size + 4 * temperature) + _INNER * spread + doubt * max(spread, float(np.abs(v).max()))


def _solve(
    problem: LinearMDP | RobustLinearMDP,
    policy: np.ndarray | None,
    tau: float,
    reference: Any,
    tol: float,
    name: str,
) -> Solution:
    if not isinstance(problem, LinearMDP | RobustLinearMDP):
        raise ValueError(f"problem is a {type(problem).__name__}; {name} takes a LinearMDP or a RobustLinearMDP")
    tol, start, stages = checked_tol(tol), time.perf_counter(), _Stages(problem)
    linear = stages.linear
    H, S, A = linear.horizon, linear.S, linear.A
    if not (np.isfinite(tau) and tau >= 0):
        raise ValueError(f"tau is {tau:g}; expected a finite number of at least 0")
    ref = None
    if tau > 0:
        ref = _policy("reference", np.full(A, 1 / A) if reference is None else reference, H, S, A)
        off = None if policy is None else np.argwhere((policy > 0) & (ref == 0))
        if off is not None and len(off):
            raise ValueError(f"policy{off[0].tolist()} is {policy[tuple(off[0])]:g} where the reference is 0")
    value, width, every = np.zeros((H + 1, S)), np.zeros(H + 1), np.empty((H, S, A))
    factors = np.zeros(linear.mu.shape) if stages.hostile else None
    chosen = np.empty((H, S), dtype=np.int64) if tau == 0 and policy is None else np.empty((H, S, A))
    for h in range(H - 1, -1, -1):
        q, worst = stages.q(h, value[h + 1])
        every[h] = q
        if worst is not None:
            factors[h] = worst
        if policy is not None:
            chosen[h] = policy[h]
            value[h] = _regularised(policy[h], q, tau, None if ref is None else ref[h])
        elif tau == 0:
            chosen[h] = q.argmax(axis=1)
            value[h] = q.max(axis=1)
        else:
            allowed = np.where(ref[h] > 0, q, -np.inf)
            best = allowed.max(axis=1, keepdims=True)
            weights = ref[h] * np.exp((allowed - best) / tau)
            # Subnormal weights have few digits, and the referee takes logarithms; they add nothing to the total.
            weights[weights < _LEAST] = 0.0
            total = weights.sum(axis=1, keepdims=True)
            chosen[h], value[h] = weights / total, (best + tau * np.log(total))[:, 0]
        # Logarithms of the regularised backup are of ratios of probabilities, at least that of the smallest float.
        extra = 0.0 if tau == 0 else (A + 32) * UNIT * (tau * 40 + float(np.abs(q).max()))
        width[h] = width[h + 1] * (1 + 8 * UNIT) + 4 * (stages.error(value[h + 1]) + extra)
    lo, hi = value - width[:, None], value + width[:, None]
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    if not gap <= tol:
        raise SolverFailure(f"{name}: a gap of {gap:.2g} is the least that can be certified here; tol={tol:g}")
    data: dict[str, Any] = {"lo": lo, "hi": hi}
    extras: dict[str, Any] = {"q": every}
    if factors is not None:
        data["factors"] = extras["factors"] = factors
    if tau > 0:
        data |= {"tau": tau, "reference": ref}
    kind = "linear" if policy is None else "linear-evaluation"
    certificate = Certificate(kind, gap, {"rounding": float(width[0])}, data)
    return Solution(value, chosen, certificate, name, H, time.perf_counter() - start, extras=extras)


def _regularised(pi: np.ndarray, q: np.ndarray, tau: float, ref: np.ndarray | None) -> np.ndarray:
    pi = pi / pi.sum(axis=1, keepdims=True)
    if ref is None:
        return (pi * q).sum(axis=1)
    ratio = np.where(pi > 0, pi, 1.0) / np.where(pi > 0, ref, 1.0)
    return (pi * (q - tau * np.log(ratio))).sum(axis=1)
