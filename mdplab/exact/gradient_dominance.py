"""The terms of the relaxed weak gradient dominance, each known to rounding, for location policies."""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.policy_gradient import location_gradient
from mdplab.instances.policy_gradient import LocationChain


@dataclass(frozen=True, eq=False, slots=True)
class DominanceTerms:
    r"""Terms at parameters theta (n, S) against a comparator of deterministic actions; all of shape (n,).

    `gap` is J of the comparator minus J(theta); `bias` the root mean square, under the comparator's occupancy d*, of
    A - (1 - gamma) w*^T score; `score` the root mean square of the score there; `w` the norm of w* = F^+ grad J;
    `gradient` the norm of grad J; `eigenvalue` the smallest of F. Then

        gap <= score * w + bias / (1 - gamma) <= M_g / eigenvalue * gradient + bias / (1 - gamma).

    `radius` bounds the rounding error of `gap`.
    """

    gap: np.ndarray
    bias: np.ndarray
    score: np.ndarray
    w: np.ndarray
    gradient: np.ndarray
    eigenvalue: np.ndarray
    radius: np.ndarray


def dominance_terms(chain: LocationChain, theta: np.ndarray, actions: np.ndarray) -> DominanceTerms:
    """Terms of the inequality at theta (n, S), the comparator playing actions (S,).

    Notes
    -----
    F = E score^2 * diag(d) with the normalised occupancy d of theta. The first inequality holds for any vector w in
    both of its terms: it cannot show a wrong w*, only a wrong factor of one term. Near the optimum it is nearly tight.

    Source
    ------
    Fatkhullin, Barakat, Kireeva, He (2023), lemma on relaxed weak gradient dominance, and its proof.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import fnd_logit
    >>> terms = dominance_terms(fnd_logit(), np.array([[0.5, -1.1]]), np.array([0.51, -1.125]))
    >>> bool(terms.gap[0] <= terms.score[0] * terms.w[0] + terms.bias[0] / 0.3)
    True
    """
    gamma = chain.gamma
    r, P = chain.at(actions)
    value_best, d_best, _ = _evaluate(chain, r, P)
    m = chain.smoothed(theta)
    value, d, V = _evaluate(chain, m.r, m.P)
    gradient = location_gradient(chain, theta)
    w = gradient / (chain.fisher * d)
    score = chain.score(actions, theta)
    residual = r + gamma * V @ P.T - V - (1 - gamma) * w * score
    # Values solve S equations of condition (1 + gamma) / (1 - gamma), to 2^-53 a step.
    rounding = 16 * chain.S * 2.0**-53 * (1 + gamma) / (1 - gamma)
    return DominanceTerms(
        gap=value_best - value,
        bias=np.sqrt(residual**2 @ d_best),
        score=np.sqrt(score**2 @ d_best),
        w=np.linalg.norm(w, axis=-1),
        gradient=np.linalg.norm(gradient, axis=-1),
        eigenvalue=chain.fisher * d.min(axis=-1),
        radius=rounding * (abs(value) + abs(value_best)) / (1 - gamma),
    )


def _evaluate(chain: LocationChain, r: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J, the normalised occupancy and V of rewards (..., S) and moves (..., S, S)."""
    A = np.eye(chain.S) - chain.gamma * P
    V = np.linalg.solve(A, r[..., None])[..., 0]
    start = np.broadcast_to(chain.rho, r.shape)[..., None]
    d = (1 - chain.gamma) * np.linalg.solve(np.swapaxes(A, -1, -2), start)[..., 0]
    return V @ chain.rho, d, V
