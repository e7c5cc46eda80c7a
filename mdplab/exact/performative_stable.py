"""Performatively stable points: occupancies that are optimal in the environment which their own policy brings about.

One round of repeated optimisation is `F(d)`: deploy the policy of d, solve the regularised problem in what it meets.
A stable point is `d = F(d)`. Iteration of F is tried first; where it does not contract fast, Anderson's acceleration
with damping, which also finds repelling points. Whatever found it, the certificate is the self-consistency of the
answer: `|d - F(d)| <= gap`; and where a contraction factor q < 1 is proved from the response's sensitivity, the
distance from any stable point follows from both.
"""

import time
from itertools import pairwise
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_positive, checked_tol, require_type
from mdplab.exact.performative import FINEST, certified_occupancy, flow_defect
from mdplab.kernels.occupancy import project_flow
from mdplab.models import (
    Certificate,
    Contraction,
    PerformativeMDP,
    Solution,
    SolverFailure,
    contraction_factor,
    occupancy,
)

# Depth of Anderson's acceleration, and the dampings tried in turn.
_DEPTH = 5
_DAMPINGS = (1.0, 0.3, 0.1, 0.03)
_U = 2.0**-53


def performatively_stable(
    problem: PerformativeMDP,
    lam: float | None = None,
    *,
    tol: float = 1e-10,
    start: Any = None,
    max_rounds: int = 2000,
) -> Solution:
    """A performatively stable occupancy of the regularised problem.

    Parameters
    ----------
    problem : PerformativeMDP
        Its response is called once a round.
    lam : float > 0
        Regularisation; the problem's own by default.
    tol : float > 0
        Largest self-consistency residual `|d - F(d)|_2`, as certified. Where a contraction is proved, rounds go on
        until the distance should be below it too.
    start : array (S, A), optional
        Occupancy whose policy is deployed first; that of the uniform policy by default. Which stable point is found
        may depend on it where no contraction is proved.
    max_rounds : int
        Limit on deployments.

    Returns
    -------
    Solution
        Certificate of kind `"performative-stability"`, whose gap bounds the self-consistency residual; data `distance`
        bounds the distance from any stable point and is infinite where no contraction is proved. Extras: `occupancy`
        `(S, A)`, `P`, `r` (the environment), `factor`, `factor_proved`, `reason` (why a distance is not applicable),
        `objective`, `iteration` ("contracted" or "accelerated").

    Raises
    ------
    ValueError
        `lam` or `tol` not positive, a start of another shape, or an invalid response (with its round).
    SolverFailure
        No stable point was found to `tol`: one need not exist if the response jumps.

    Source
    ------
    Mandal, Triantafyllou, Radanovic (2023), definition 1 and theorem 1.

    Examples
    --------
    >>> from mdplab.instances.performative import linear_reward_witness
    >>> out = performatively_stable(linear_reward_witness(1.8), 2.0)
    >>> out.extras["occupancy"].round(5).tolist(), round(out.extras["factor"], 6)
    ([[4.64737, 0.20199], [2.04801, 3.10263]], 0.9)
    """
    started = time.perf_counter()
    require_type(problem, PerformativeMDP, "performatively_stable")
    if lam is None and problem.lam is None:
        raise ValueError("lam is missing: neither the call nor the problem gives a regularisation")
    lam = problem.lam if lam is None else lam
    lam, tol, max_rounds = checked_positive("lam", lam), checked_tol(tol), checked_count("max_rounds", max_rounds)
    if start is None:
        uniform = problem.base.actions / problem.base.actions.sum(axis=1, keepdims=True)
        d = occupancy(problem.base.P, problem.mu, problem.gamma, uniform, exits=problem.exits)
    else:
        d = np.array(start, dtype=np.float64)
        if d.shape != problem.base.r.shape or not (np.isfinite(d) & (d >= 0)).all():
            raise ValueError(
                f"start has shape {d.shape} or a negative entry; expected an occupancy {problem.base.r.shape}"
            )
    search = _Rounds(problem, lam)
    how = "contracted"
    contraction = contraction_factor(problem, lam)
    room = 1 - contraction.factor if contraction.proved and contraction.factor < 1 else 1.0
    found, best = search.iterate(d, tol * room / 2, max_rounds // 4 if room == 1.0 else max_rounds)
    if not found:
        how = "accelerated"
        for damping in _DAMPINGS:
            found, best = search.accelerate(best, tol, damping, max(1, max_rounds // 6))
            if found:
                break
    rounds = search.rounds
    if not found:
        raise SolverFailure(
            f"no stable point found in {rounds} rounds: the least self-consistency residual was {search.least:.3g}"
        )
    return _certified(problem, lam, best, search.h, tol, rounds, how, started, contraction)


class _Rounds:
    """Rounds of repeated optimisation, with the last dual vector as the next start."""

    def __init__(self, problem: PerformativeMDP, lam: float) -> None:
        self.problem, self.lam = problem, lam
        self.h: np.ndarray | None = None
        self.rounds, self.least = 0, np.inf

    def step(self, d: np.ndarray) -> np.ndarray:
        """F(d) (S, A)."""
        problem = self.problem
        P, r = problem.respond(problem.policy_of(d), round=self.rounds)
        self.rounds += 1
        out = project_flow(P, problem.mu, problem.gamma, r / self.lam, available=problem.available, start=self.h)
        self.h = out.h
        return out.d

    def iterate(self, d: np.ndarray, tol: float, limit: int) -> tuple[bool, np.ndarray]:
        """Plain rounds until the residual is small (True), or has not halved in fifty rounds."""
        mark, since = np.inf, 0
        for _ in range(limit):
            new = self.step(d)
            residual = float(np.linalg.norm(new - d))
            self.least = min(self.least, residual)
            d = new
            if residual <= tol / 8:
                return True, d
            since += 1
            if residual <= mark / 2:
                mark, since = residual, 0
            elif since >= 50:
                break
        return False, d

    def accelerate(self, d: np.ndarray, tol: float, damping: float, limit: int) -> tuple[bool, np.ndarray]:
        """Anderson's acceleration: the combination of the last points whose residuals nearly cancel, and a step."""
        points: list[np.ndarray] = []
        residuals: list[np.ndarray] = []
        for _ in range(limit):
            new = self.step(d)
            move = new - d
            residual = float(np.linalg.norm(move))
            self.least = min(self.least, residual)
            if residual <= tol / 8:
                return True, new if damping == 1.0 and not points else d
            points, residuals = [*points, d][-_DEPTH - 1 :], [*residuals, move][-_DEPTH - 1 :]
            if len(points) == 1:
                d = d + damping * move
            else:
                dF = np.stack([(b - a).ravel() for a, b in pairwise(residuals)], axis=1)
                dX = np.stack([(b - a).ravel() for a, b in pairwise(points)], axis=1)
                weights = np.linalg.lstsq(dF, move.ravel(), rcond=1e-12)[0]
                step = damping * move.ravel() - (dX + damping * dF) @ weights
                d = d + step.reshape(d.shape)
            # Only proportions matter to the policy; an extrapolated flow may not be negative.
            d = np.maximum(d, 0.0)
        return False, d


def _certified(
    problem: PerformativeMDP,
    lam: float,
    d: np.ndarray,
    h: np.ndarray,
    tol: float,
    rounds: int,
    how: str,
    started: float,
    contraction: Contraction,
) -> Solution:
    """d with its certificate: the certified solution of what its policy meets, and the distance to that."""
    environment = problem.at(problem.policy_of(d), round=rounds)
    target = environment.r / lam
    out = project_flow(
        environment.P, problem.mu, problem.gamma, target, available=problem.available, start=h, tol=FINEST
    )
    inner = certified_occupancy(
        environment,
        lam,
        problem.exits,
        out.d,
        lam * out.h,
        method="performatively_stable",
        num_iters=rounds,
        tol=tol,
        started=started,
    )
    apart = float(np.linalg.norm(d - out.d)) * (1 + 2 * d.size * _U)
    gap = (inner.certificate.gap + apart) * (1 + 8 * _U)
    if not gap <= tol:
        raise SolverFailure(f"the occupancy is only known to reproduce itself within {gap:.3g}, tol is {tol:.3g}")
    policy = problem.policy_of(d)
    flow = d.sum(axis=1, keepdims=True)
    deployed = np.where(problem.available, flow * policy, 0.0)
    # The last term: the policy's own rounding, as the referee allows for it.
    shift = float(np.abs(d - deployed).sum()) * (1 + 64 * _U) + flow_defect(environment, problem.exits, deployed)
    shift += 32 * (problem.A + 8) * _U * float(flow.sum()) / (1 - problem.gamma)
    applies = contraction.proved and contraction.factor < 1
    q = contraction.factor
    distance = (gap + q * shift) / (1 - q) * (1 + 64 * _U) if applies else np.inf
    reason = "" if applies else contraction.reason or f"the factor {q:.6g} is not below 1"
    data = {**inner.certificate.data, "d": d, "next": out.d, "factor": q, "distance": distance}
    residuals = {**inner.certificate.residuals, "self_consistency": apart}
    certificate = Certificate("performative-stability", gap, residuals, data)
    extras = {
        **inner.extras,
        "occupancy": d,
        "P": environment.P,
        "r": environment.r,
        "factor": q,
        "factor_proved": contraction.proved,
        "reason": reason,
        "iteration": how,
    }
    seconds = time.perf_counter() - started
    return Solution(inner.value, policy, certificate, "performatively_stable", rounds, seconds, extras=extras)
