"""How much an environment moves with the deployed policy: the constants eps_r and eps_p of performative problems.

With `d^pi` the occupancy of pi in its own environment,

    |r_pi - r_pi'|_2 <= eps_r |d^pi - d^pi'|_2,        |P_pi - P_pi'|_F <= eps_p |d^pi - d^pi'|_2.

They are proved from closed forms, with all rounding upward, or estimated from pairs of policies: an estimate is a lower
bound of the constant, and proves nothing.

Source: Mandal, Triantafyllou, Radanovic (2023), definition of sensitivity.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mdplab.models.performative import PerformativeMDP

_U = 2.0**-53


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Constants of a response.

    Parameters
    ----------
    reward, transition : float
        `eps_r`, `eps_p`; infinite if nothing is known.
    kind : {"proved", "estimated", "unbounded"}
        Only what is proved supports a claim; "unbounded" means that no finite constant could be derived.
    reason : str
        Why it is not proved.
    """

    reward: float
    transition: float
    kind: str
    reason: str = ""

    @property
    def proved(self) -> bool:
        """True if both constants are upper bounds that were derived."""
        return self.kind == "proved"


def unbounded_sensitivity(reason: str) -> Sensitivity:
    """No finite constant, and why."""
    return Sensitivity(np.inf, np.inf, "unbounded", reason)


def sensitivity_bounds(problem: "PerformativeMDP") -> Sensitivity:
    """Rigorous constants, derived from the response's closed form, else those that the problem's author vouches for.

    Returns
    -------
    Sensitivity
        Kind "proved" for closed forms; whatever `problem.sensitivity_kind` says for stated constants; "unbounded" with
        infinite constants otherwise: a claim that needs them is then not applicable.

    Examples
    --------
    >>> from mdplab.models import MDP, LinearRewardResponse, PerformativeMDP
    >>> base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> out = sensitivity_bounds(PerformativeMDP(base, LinearRewardResponse(base, np.eye(2), 0.5)))
    >>> round(out.reward, 9), out.transition, out.kind
    (0.5, 0.0, 'proved')
    """
    derive = getattr(problem.response, "sensitivity", None)
    if derive is not None:
        out = derive(problem)
        if out.kind != "unbounded" or problem.sensitivity_kind is None:
            return out
    if problem.sensitivity_kind is not None:
        why = "" if problem.sensitivity_kind == "proved" else "constants stated as estimates"
        constants = float(problem.reward_sensitivity), float(problem.transition_sensitivity)
        return Sensitivity(*constants, problem.sensitivity_kind, why)
    return unbounded_sensitivity(f"the response {type(problem.response).__name__} has no closed form to bound")


def estimate_sensitivity(problem: "PerformativeMDP", *, num_pairs: int, rng: np.random.Generator) -> Sensitivity:
    """The largest ratios over random pairs of policies: lower bounds of the constants, labelled as an estimate.

    Parameters
    ----------
    num_pairs : int >= 1
        Pairs; half of them are near each other, where a Lipschitz constant is attained if the response is smooth.
    rng : numpy.random.Generator
        Source of the policies, drawn uniformly.
    """
    if num_pairs < 1:
        raise ValueError(f"num_pairs is {num_pairs!r}; expected at least 1")
    actions = problem.base.actions
    reward = transition = 0.0
    for pair in range(num_pairs):
        first, second = (_random_policy(actions, rng) for _ in range(2))
        if pair % 2:
            second = 0.999 * first + 0.001 * second
        (P1, r1), (P2, r2) = problem.respond(first), problem.respond(second)
        apart = float(np.linalg.norm(problem.occupancy(first) - problem.occupancy(second)))
        if apart > 0:
            reward = max(reward, float(np.linalg.norm((r1 - r2)[actions])) / apart)
            transition = max(transition, float(np.linalg.norm((P1 - P2)[actions])) / apart)
    return Sensitivity(reward, transition, "estimated", f"the largest of {num_pairs} sampled pairs: a lower bound")


@dataclass(frozen=True, slots=True)
class Contraction:
    """A Lipschitz constant of repeated optimisation.

    Parameters
    ----------
    factor : float
        `|F(d) - F(d')|_2 <= factor |d^pi - d^pi'|_2`; infinite if none is known.
    proved : bool
        False if the sensitivity is an estimate or unknown: the factor then proves nothing.
    derived : bool
        True if the sensitivity comes from the response's closed form, not from the problem's author.
    reason : str
        Why nothing is proved.
    """

    factor: float
    proved: bool
    derived: bool
    reason: str = ""


def contraction_factor(problem: "PerformativeMDP", lam: float) -> Contraction:
    """By how much one round of repeated optimisation shrinks distances, at most.

    Parameters
    ----------
    problem : PerformativeMDP
        Its sensitivity is that of `sensitivity_bounds`.
    lam : float > 0
        Regularisation.

    Notes
    -----
    Where only rewards respond it is `eps_r / lam`, as projections do not expand. In general, with y the distance of two
    occupancies before and x after the round, dP and dr the changes of the environment, and h' an optimal value function
    of `r' - lam d'`, the optimality conditions of both problems give

        lam x^2 <= |dr| x + gamma |dP h'| x + gamma / (1 - gamma) max |dP|_1 |h - h'|_inf,
        |h - h'|_inf <= (|dr|_inf + lam x + gamma |dP h'|_inf) / (1 - gamma).

    Here `|dr| <= eps_r y`, `|dP|_F <= eps_p y`, and h' may be centred, as rows of dP sum to 0: `|dP h'| <= eps_p y
    sqrt(S) span(h') / 2`, where `span(h') <= (span(r) + lam / (1 - gamma)) / (1 - gamma)`. The factor is the positive
    root q of the quadratic that x = q y makes of this. As lam grows it does not vanish: the second and the third term
    have parts proportional to lam.

    The constants of closed forms hold for occupancies in any two environments of the response's range, so that for
    them q is a Lipschitz constant of `d -> F(d)` along iterates.

    Source
    ------
    Perturbation lemma and factor: ours, after Mandal, Triantafyllou, Radanovic (2023), theorem 1.

    Examples
    --------
    >>> from mdplab.models import MDP, LinearRewardResponse, PerformativeMDP
    >>> base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> round(contraction_factor(PerformativeMDP(base, LinearRewardResponse(base, np.eye(2), 0.5)), 2.0).factor, 9)
    0.25
    """
    if not 0 < lam < np.inf:
        raise ValueError(f"lam is {lam!r}; expected a positive number")
    found = sensitivity_bounds(problem)
    derived = found.proved and getattr(problem.response, "sensitivity", None) is not None
    if derived:
        derived = problem.response.sensitivity(problem).proved
    if not (found.reward < np.inf and found.transition < np.inf):
        return Contraction(np.inf, False, False, found.reason)
    if found.transition == 0:
        return Contraction(rounded_up(found.reward / lam), found.proved, derived, found.reason)
    bounds = getattr(problem.response, "reward_range", None)
    rewards = bounds(problem) if bounds else None
    if rewards is None:
        return Contraction(np.inf, False, derived, f"no bound on the rewards of {type(problem.response).__name__}")
    low, high = rewards
    if problem.exits.any():
        low, high = min(low, 0.0), max(high, 0.0)
    gamma, root = problem.gamma, float(np.sqrt(problem.S))
    horizon = 1 / (1 - gamma)
    span = (high - low + lam * horizon) * horizon
    moved = found.reward + gamma * found.transition * root * span / 2
    tilt = gamma * horizon**2 * root * found.transition
    b = (moved + tilt * lam) / lam
    factor = (b + np.sqrt(b * b + 4 * tilt * moved / lam)) / 2
    return Contraction(rounded_up(factor), found.proved, derived, found.reason)


def _random_policy(actions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = np.where(actions, rng.standard_exponential(actions.shape), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def rounded_up(x: float) -> float:
    """x times 1 + 2^-40: covers the few hundred roundings of a constant's closed form."""
    return float(x) * (1 + 2.0**-40)


def flow_lipschitz(visits: float, A: int) -> float:
    """Lipschitz constant of `d(s, .) -> d(s, .) / sum_a d(s, a)` where the sum is at least `visits`.

    The derivative is `(I - pi 1^T) / sum`, an oblique projection: its norm is `|pi|_2 sqrt(A) / sum`.
    """
    if A == 1:
        return 0.0
    return float(np.sqrt(A) / visits) if visits > 0 else float("inf")


def spectral_norm_bound(W: np.ndarray) -> float:
    """A proved upper bound of the operator norm of a matrix (m, n), tight up to rounding.

    Notes
    -----
    With V nearly orthogonal (from LAPACK, not trusted) and D = V^T G V, G = W^T W: the largest eigenvalue of G is at
    most that of D, by Gershgorin, divided by the least eigenvalue of V^T V, which is at least 1 - |V^T V - I|_inf.
    Rounding of the products is bounded entrywise by gamma_k |.| |.|.
    """
    W = np.atleast_2d(np.asarray(W, dtype=np.float64))
    if W.shape[0] < W.shape[1]:
        W = W.T
    scale = float(np.abs(W).max(initial=0.0))
    if scale == 0:
        return 0.0
    W = W / scale
    m, n = W.shape
    V = np.linalg.svd(W, full_matrices=False)[2].T
    image, images = W @ V, np.abs(W) @ np.abs(V)
    slip = 2 * (n + 2) * _U * images
    D = image.T @ image
    error = 2 * (m + 2) * _U * (np.abs(image).T @ np.abs(image)) + 2 * (np.abs(image).T @ slip) + slip.T @ slip
    top = float((np.abs(D) + error + error.T).sum(axis=1).max())
    gram = np.abs(V.T @ V - np.eye(n)) + 2 * (n + 2) * _U * (np.abs(V).T @ np.abs(V))
    least = 1 - float(gram.sum(axis=1).max())
    return float(np.sqrt(top / least)) * scale * (1 + 8 * (n + 4) * _U)
