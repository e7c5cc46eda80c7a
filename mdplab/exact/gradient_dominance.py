"""The terms of the relaxed weak gradient dominance, each known to rounding, for location policies."""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.policy_gradient import location_gradient
from mdplab.exact.trajectories import check_softmax_arguments
from mdplab.instances.policy_gradient import LocationChain
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP


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


@dataclass(frozen=True, eq=False, slots=True)
class CompatibleFit:
    """Both sides of two identities at theta (n, S), by routes of their own; `_radius` bounds their rounding.

    `gap` (n,) is J of the comparator minus J(theta); `advantage_comparator`, `advantage_own` (n,) are mean advantages
    of theta under the occupancies, normalised, and actions of the comparator and of theta itself. `w` (n, S) is
    F^-1 grad J, `coefficient` (n, S) the least-squares fit of the advantage on the scores under theta.
    """

    gap: np.ndarray
    advantage_comparator: np.ndarray
    advantage_own: np.ndarray
    gap_radius: np.ndarray
    w: np.ndarray
    coefficient: np.ndarray
    fit_radius: np.ndarray


def compatible_fit(chain: LocationChain, theta: np.ndarray, actions: np.ndarray) -> CompatibleFit:
    """The identities behind gradient dominance for a "logistic" chain, the comparator playing actions (S,).

    Notes
    -----
    Means over actions are trapezoid sums over the logistic noise, with nodes other than those of `chain.smoothed`. The
    score of a state has one coordinate, so the fit is E[A score] / E[score^2] in each state.

    Source
    ------
    Fatkhullin, Barakat, Kireeva, He (2023), proof of the lemma on relaxed weak gradient dominance.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import fnd_logit
    >>> fit = compatible_fit(fnd_logit(), np.array([[0.5, -1.1]]), np.array([0.51, -1.125]))
    >>> bool(abs(fit.gap - fit.advantage_comparator / 0.3).max() < 1e-12)
    True
    """
    gamma = chain.gamma
    r, P = chain.at(actions)
    value_best, d_best, _ = _evaluate(chain, r, P)
    m = chain.smoothed(theta)
    value, _, V = _evaluate(chain, m.r, m.P)
    advantage = (r + gamma * V @ P.T - V) @ d_best
    z = np.linspace(-40, 40, 641)
    # The trapezoid rule with step 1/8 is exact to exp(-150) for these integrands, as in the instances.
    weight = np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2 / 8
    a = theta[..., None, :] + chain.scale * z[:, None]
    r_a, P_a = chain.at(a)
    A = r_a + gamma * np.einsum("nzst,nt->nzs", P_a, V) - V[:, None]
    score = chain.score(a, theta[..., None, :])
    coefficient = np.einsum("z,nzs->ns", weight, A * score) / np.einsum("z,nzs->ns", weight, score**2)
    d = np.linalg.solve(
        np.swapaxes(np.eye(chain.S) - gamma * m.P, -1, -2), np.broadcast_to(chain.rho, theta.shape)[..., None]
    )
    own = (1 - gamma) * (d[..., 0] * np.einsum("z,nzs->ns", weight, A)).sum(axis=-1)
    rounding = 16 * chain.S * 2.0**-53 * (1 + gamma) / (1 - gamma)
    size = abs(value) + abs(value_best)
    # Sums of 641 terms round 641 times at most; the gradient divides by an occupancy.
    fit = (641 + 16 * chain.S * (1 + gamma) / (1 - gamma)) * 2.0**-53
    return CompatibleFit(
        gap=value_best - value,
        advantage_comparator=advantage,
        advantage_own=own,
        gap_radius=rounding * size / (1 - gamma),
        w=location_gradient(chain, theta) / (chain.fisher * (1 - gamma) * d[..., 0]),
        coefficient=coefficient,
        fit_radius=fit * (1 + size[:, None]) / (chain.scale * chain.fisher * (1 - gamma) * d[..., 0]),
    )


def softmax_fisher(mdp: MDP, theta: np.ndarray) -> np.ndarray:
    """Fisher matrix (S A, S A) of the tabular softmax policy theta (S, A) under its normalised occupancy from `mdp.mu`.

    Block diagonal, d(s) (diag pi_s - pi_s pi_s^T): singular always, with the vector of ones of each state.

    Examples
    --------
    >>> one = MDP(np.ones((1, 2, 1)), np.zeros((1, 2)), 0.5, mu=[1.0])
    >>> softmax_fisher(one, np.zeros((1, 2))).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    check_softmax_arguments(mdp, theta=theta)
    pi = softmax(theta)
    P_pi = np.einsum("sa,sat->st", pi, mdp.dense().P)
    d = (1 - mdp.gamma) * np.linalg.solve((np.eye(mdp.S) - mdp.gamma * P_pi).T, mdp.mu)
    out = np.zeros((mdp.S, pi.shape[1], mdp.S, pi.shape[1]))
    for s in range(mdp.S):
        out[s, :, s] = d[s] * (np.diag(pi[s]) - np.outer(pi[s], pi[s]))
    return out.reshape(pi.size, pi.size)
