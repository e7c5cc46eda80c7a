"""How curved the objective of a performative problem is at most, as a function of the deployed policy.

The objective is `F(pi) = <d, r> - lam |d|_2^2 / 2` with `d = d^pi`, r and the transitions those that pi itself meets.
Its maximiser is the performatively optimal policy. A bound of its second derivative makes a global search conclusive:
on a small cell `F + M |.|^2 / 2` is convex, and so is largest at a corner.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdplab.models.sensitivity import rounded_up

if TYPE_CHECKING:
    from mdplab.models.performative import PerformativeMDP


@dataclass(frozen=True, slots=True)
class Smoothness:
    """Bounds of derivatives of a response along directions eta (S, A), `max_s |eta(s, .)|_1 <= 1`, of policies.

    Parameters
    ----------
    reward, reward2 : float
        Of the largest entry of the first and second derivative of r.
    transition, transition2 : float
        Of the largest l1 norm of a row of those of P.
    reward_low, reward_high : float
        Range of all rewards.
    moves_with_flow : float
        A further part of r that is linear in the occupancy: its operator norm.
    """

    reward: float
    reward2: float
    transition: float
    transition2: float
    reward_low: float
    reward_high: float
    moves_with_flow: float = 0.0


def objective_curvature(problem: "PerformativeMDP", lam: float) -> float | None:
    """M with `F'' >= -M` along such directions; None where the response has no bounds or there are terminal states.

    Notes
    -----
    Let `H = 1 / (1 - gamma)`, K the state chain under pi, `k1 = 1 + transition`, `k2 = 2 transition + transition2`
    bounds of its first two derivatives. The state occupancy D solves `D = mu + gamma K^T D`, so `|D'|_1 <= gamma k1
    H^2`, `|D''|_1 <= 2 gamma^2 k1^2 H^3 + gamma k2 H^2`; then `|d'|_1 <= d1 = |D'| + H` and `|d''|_1 <= d2 = |D''| + 2
    |D'|`. In

        F'' = <d'', r - lam d> + 2 <d', r'> + <d, r''> - lam |d'|_2^2

    d'' sums to 0, so that half the span of `r - lam d` counts.

    Examples
    --------
    >>> from mdplab.instances.performative import large_lambda_witness
    >>> objective_curvature(large_lambda_witness(0.0), 1.0) > 0
    True
    """
    bounds = getattr(problem.response, "smoothness", None)
    smooth = None if bounds is None or problem.exits.any() or not problem.base.actions.all() else bounds(problem)
    if smooth is None:
        return None
    gamma = problem.gamma
    H = 1 / (1 - gamma)
    k1, k2 = 1 + smooth.transition, 2 * smooth.transition + smooth.transition2
    D1 = gamma * k1 * H**2
    D2 = 2 * gamma**2 * k1**2 * H**3 + gamma * k2 * H**2
    d1, d2 = D1 + H, D2 + 2 * D1
    r1 = smooth.reward + smooth.moves_with_flow * d1
    r2 = smooth.reward2 + smooth.moves_with_flow * d2
    span = smooth.reward_high - smooth.reward_low + (2 * smooth.moves_with_flow + lam) * H
    return rounded_up(d2 * span / 2 + 2 * d1 * r1 + H * r2 + lam * d1**2)


def objective_values(problem: "PerformativeMDP", lam: float, policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F (n,) at policies (n, S, A), and a bound (n,) of the rounding error of each, the response taken as computed.

    Terminal states must not be there. A response with `batched = True` is called once.
    """
    S, A = problem.base.r.shape
    if getattr(problem.response, "batched", False):
        P, r = problem.response(policies)
        P, r = np.broadcast_to(P, (len(policies), S, A, S)), np.broadcast_to(r, policies.shape)
    else:
        environments = [problem.respond(policy) for policy in policies]
        P, r = (np.stack(part) for part in zip(*environments))
    chain = problem.gamma * np.einsum("nsa,nsat->nts", policies, P)
    visits = np.linalg.solve(np.eye(S) - chain, np.broadcast_to(problem.mu, (len(policies), S))[..., None])[..., 0]
    d = visits[..., None] * policies
    value = np.sum(d * r, axis=(1, 2)) - lam / 2 * np.sum(d * d, axis=(1, 2))
    unit = 2.0**-53
    flow = np.einsum("nts,ns->nt", np.abs(chain), np.abs(visits)) + np.abs(visits) + problem.mu
    defect = np.abs(problem.mu + np.einsum("nts,ns->nt", chain, visits) - visits) + 4 * (S * A + 8) * unit * flow
    # Rows of policies and kernels sum to 1 within rounding of what was validated.
    distance = defect.sum(axis=1) / (1 - problem.gamma * (1 + 1e-7))
    slope = np.abs(r).max(axis=(1, 2)) + 2 * lam / (1 - problem.gamma)
    terms = np.sum(np.abs(d * r), axis=(1, 2)) + lam * np.sum(d * d, axis=(1, 2))
    return value, 2 * distance * slope + 4 * (S * A + 8) * unit * terms
