r"""The policy step whose improvement the TRPO bound guarantees, and the quantities of that bound.

With D the unnormalised discounted occupancy of pi from mu and Adv its advantages, the surrogate is

    L(pi') = J(pi) + sum_s D(s) sum_a pi'(a | s) Adv(s, a),    J(pi') >= L(pi') - 4 eps gamma alpha^2 / (1 - gamma)^2

with eps = max |Adv| and alpha = max_s TV(pi(s), pi'(s)). Mixing pi with its greedy policy at weight alpha changes it by
at most alpha in total variation; with A = sum_s D(s) max_a Adv(s, a), the right side exceeds J(pi) by
alpha A - 4 eps gamma alpha^2 / (1 - gamma)^2, which alpha = min(1, A (1 - gamma)^2 / (8 eps gamma)) maximises.

Source: Schulman et al. 2015, "Trust region policy optimization", arXiv:1502.05477v5, Theorem 1 and section 2; the
mixture: Kakade and Langford 2002. Cost: two dense linear systems of S unknowns.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_number, check_rows, check_start
from mdplab.models import MDP


@dataclass(frozen=True, eq=False, slots=True)
class PolicyQuantities:
    """What the bound is made of.

    Parameters
    ----------
    objective : float
        J = mu . V.
    occupancy : array (S,)
        Unnormalised; sums to 1 / (1 - gamma).
    advantage : array (S, A)
        Q - V; 0 where an action is unavailable.
    """

    objective: float
    occupancy: np.ndarray
    advantage: np.ndarray


def policy_quantities(mdp: MDP, pi: np.ndarray) -> PolicyQuantities:
    """Objective, occupancy and advantages of a policy by dense linear algebra.

    Parameters
    ----------
    mdp
        Discounted, with `mu`.
    pi : array (S, A)
        Probabilities.

    Raises
    ------
    ValueError
        No initial distribution, no discounting, or a policy of another shape.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0])
    >>> policy_quantities(mdp, np.array([[1.0, 0.0]])).advantage.tolist()
    [[0.0, 1.0]]
    """
    check_start(mdp)
    if not mdp.gamma < 1 or mdp.horizon is not None:
        raise ValueError(f"mdp has gamma {mdp.gamma:g} and horizon {mdp.horizon}; expected discounting and no horizon")
    pi = check_rows("pi", pi, (mdp.S, mdp.A))
    wrong = np.argwhere((pi > 0) & ~mdp.actions)
    if wrong.size:
        s, a = wrong[0]
        raise ValueError(f"pi[{s}, {a}] is {pi[s, a]}; the action is not available")
    P = mdp.dense().P
    resolvent = np.eye(mdp.S) - mdp.gamma * np.einsum("sa,sat->st", pi, P)
    value = np.linalg.solve(resolvent, np.sum(pi * mdp.r, axis=1))
    occupancy = np.linalg.solve(resolvent.T, mdp.mu)
    advantage = np.where(mdp.actions, mdp.r + mdp.gamma * P @ value - value[:, None], 0.0)
    return PolicyQuantities(float(mdp.mu @ value), occupancy, advantage)


def surrogate(quantities: PolicyQuantities, pi_new: np.ndarray) -> float:
    """L(pi_new) = J(pi) + sum_s D(s) sum_a pi_new(a | s) Adv(s, a); pi_new (S, A)."""
    return quantities.objective + float(quantities.occupancy @ np.sum(pi_new * quantities.advantage, axis=1))


@dataclass(frozen=True, eq=False, slots=True)
class MixingStep:
    """A step with its guarantee: `policy` (S, A), weight `alpha`, `guarantee` a lower bound of J(policy) - J(pi)."""

    policy: np.ndarray
    alpha: float
    guarantee: float


def mixing_step(mdp: MDP, pi: np.ndarray, *, constant: float = 4.0) -> MixingStep:
    """Mix a policy with its greedy policy as far as the bound gains most.

    Parameters
    ----------
    mdp
        Discounted, with `mu`.
    pi : array (S, A)
        Probabilities.
    constant
        C of the penalty C eps gamma alpha^2 / (1 - gamma)^2: 4 as printed. For the greedy mixture 1 is enough and best
        possible (`proofs_check.schulman2015`), and the step four times as long.

    Returns
    -------
    MixingStep
        `guarantee` is 0 and `policy` is pi if pi is optimal from mu.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0])
    >>> step = mixing_step(mdp, np.array([[1.0, 0.0]]))
    >>> step.alpha, step.guarantee
    (0.125, 0.125)
    """
    check_number("constant", constant, above=True)
    known = policy_quantities(mdp, pi)
    best = np.where(mdp.actions, known.advantage, -np.inf).argmax(axis=1)
    greedy = np.eye(mdp.A)[best]
    gain = float(known.occupancy @ np.take_along_axis(known.advantage, best[:, None], axis=1)[:, 0])
    eps = float(np.abs(known.advantage).max())
    if gain <= 0 or eps == 0:
        return MixingStep(np.array(pi, dtype=np.float64), 0.0, 0.0)
    penalty = constant * eps * mdp.gamma / (1 - mdp.gamma) ** 2
    alpha = 1.0 if penalty == 0 else min(1.0, gain / (2 * penalty))
    return MixingStep((1 - alpha) * np.asarray(pi) + alpha * greedy, alpha, alpha * gain - penalty * alpha**2)
