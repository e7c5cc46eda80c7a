r"""Repeated optimisation and repeated gradient ascent: the learner answers the environment, which answers the learner.

    (P_t, r_t) = response(pi^{d_t}),        d_{t+1} = Proj_{C(P_t)}(r_t / lam)                        optimisation
                                            d_{t+1} = Proj_{C(P_t)}((1 - eta lam) d_t + eta r_t)      gradient ascent

with C(P) the flow polytope of P and pi^d(a | s) = d(s, a) / sum_b d(s, b), uniform where the sum is 0. The first is the
maximum of <d, r_t> - lam |d|^2 / 2 over C(P_t), because that differs from -lam |d - r_t / lam|^2 / 2 by a constant;
with eta = 1 / lam the second is the first. A fixed point is a performatively stable occupancy. Note that d_{t+1} obeys
the flow of P_t, not that of the environment which it calls forth.

Source: Mandal, Triantafyllou, Radanovic 2023 (arXiv:2207.00046), from the authors' released code and a follow-up's
text. Cost of a round: one response and a few Newton steps of O(S^3 + S^2 A).
"""

from collections.abc import Callable

import numpy as np

from mdplab.kernels.occupancy import project_flow
from mdplab.models import Trace
from mdplab.models.performative import PerformativeMDP

# Residual of the flow constraints, relative to the mass, beyond which a projection counts as failed.
LARGEST_RESIDUAL = 1e-8


def repeated_optimization(
    problem: PerformativeMDP, lam: float, *, num_rounds: int, start: np.ndarray | None = None, tol: float = 1e-12
) -> Trace:
    """Deploy, watch the environment that answers, take its regularised optimum, deploy that.

    Parameters
    ----------
    problem
        Base problem and response.
    lam
        Weight of the quadratic regulariser, above 0.
    num_rounds
        Deployments, at least 0.
    start : array (S, A), optional
        First occupancy, of which only the policy matters; by default that of the uniform policy in its environment.
    tol
        Residual at which a projection stops.

    Returns
    -------
    Trace
        `t` = 0, ..., num_rounds; `d` (T + 1, S, A); `residual` (T + 1,) of the flow constraints, 0 for the start.
        `status` names the first round whose projection failed.

    Raises
    ------
    ValueError
        lam or num_rounds out of range, a start of another shape or with a negative entry, or a response that returns
        no environment: it names the round.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> crowded = PerformativeMDP(base, lambda pi: (base.P, base.r - pi))
    >>> repeated_optimization(crowded, 2.0, num_rounds=40)["d"][-1].round(9).tolist()
    [[1.2, 0.8]]
    """
    weight = positive("lam", lam)
    return _repeat(problem, num_rounds, start, tol, lambda d, r: r / weight)


def repeated_gradient_ascent(
    problem: PerformativeMDP,
    lam: float,
    *,
    eta: float,
    num_rounds: int,
    start: np.ndarray | None = None,
    tol: float = 1e-12,
) -> Trace:
    """Deploy, watch the environment that answers, take one projected gradient step there, deploy that.

    Parameters
    ----------
    problem, lam, num_rounds, start, tol
        As in `repeated_optimization`; here the start itself enters the first step.
    eta
        Step size, above 0. Below 2 / lam a step contracts in an environment that does not move.

    Returns
    -------
    Trace
        As `repeated_optimization`.

    Raises
    ------
    ValueError
        As there.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> crowded = PerformativeMDP(base, lambda pi: (base.P, base.r - pi))
    >>> repeated_gradient_ascent(crowded, 2.0, eta=0.4, num_rounds=60)["d"][-1].round(9).tolist()
    [[1.2, 0.8]]
    """
    weight, step = positive("lam", lam), positive("eta", eta)
    return _repeat(problem, num_rounds, start, tol, lambda d, r: (1 - step * weight) * d + step * r)


def positive(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is above 0 and finite."""
    if not 0 < value < np.inf:
        raise ValueError(f"{name} is {value}; expected above 0 and finite")
    return float(value)


def count(name: str, value: int, least: int = 1) -> int:
    """The value as an int; ValueError below `least`."""
    if int(value) != value or value < least:
        raise ValueError(f"{name} is {value}; expected an integer, at least {least}")
    return int(value)


def first_occupancy(problem: PerformativeMDP, start: np.ndarray | None) -> np.ndarray:
    """The start (S, A), validated; without one the occupancy of the uniform policy in its own environment."""
    base = problem.base
    if start is None:
        return problem.occupancy(problem.policy_of(np.zeros((base.S, base.A))))
    d = np.array(start, dtype=np.float64)
    if d.shape != (base.S, base.A):
        raise ValueError(f"start has shape {d.shape}, expected {(base.S, base.A)}")
    bad = np.argwhere(~(np.isfinite(d) & (d >= 0)))
    if bad.size:
        s, a = (int(i) for i in bad[0])
        raise ValueError(f"start[{s}, {a}] is {d[s, a]}; expected finite and at least 0")
    return d


def _repeat(
    problem: PerformativeMDP,
    num_rounds: int,
    start: np.ndarray | None,
    tol: float,
    target: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Trace:
    rounds, tol = count("num_rounds", num_rounds, 0), positive("tol", tol)
    mu, gamma = problem.mu, problem.gamma
    d, h, status = first_occupancy(problem, start), None, "ok"
    visited, residuals = [d], [0.0]
    for t in range(rounds):
        P, r = problem.respond(problem.policy_of(d), round=t)
        found = project_flow(P, mu, gamma, target(d, r), available=problem.available, start=h, tol=tol)
        d, h = found.d, found.h
        visited.append(d)
        residuals.append(found.residual)
        if not found.residual <= LARGEST_RESIDUAL / (1 - gamma) and status == "ok":
            status = f"projection failed at t={t}, residual {found.residual:.2g}"
    return Trace(np.arange(rounds + 1), {"d": np.array(visited), "residual": np.array(residuals)}, status)
