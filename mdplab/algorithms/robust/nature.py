"""Nature's answers to a policy: worst kernels, and the robust value of a policy by Howard's iteration for nature.

Plain NumPy over all rows at once, for L1 balls (total variation) and finite sets of models, (s, a)- and s-rectangular:
what the policy methods of this folder need, written apart from the kernels that the exact solvers use.

Source: L1 ball: Strehl, Littman 2008; shared budget: Ho, Petrik, Wiesemann 2018; nature's own decision process: Iyengar
2005, Wiesemann, Kuhn, Rustem 2013.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.models import L1Ball, ModelSet, RobustMDP, TVBall


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """A policy against nature.

    Parameters
    ----------
    value : array (S,)
        The linear value of the policy under `kernel`.
    q : array (S, A)
        Expected reward and continuation under `kernel`.
    kernel : array (S, A, S)
        Nature's answer.
    gap : float
        The robust value lies between `value - gap` and `value`, up to rounding.
    solves : int
        Linear systems solved.
    """

    value: np.ndarray
    q: np.ndarray
    kernel: np.ndarray
    gap: float
    solves: int


def nominal_kernel(problem: RobustMDP) -> np.ndarray:
    """The nominal rows, dense, (S, A, S), summing to 1; rows of unavailable actions are 0."""
    mdp = problem.nominal.dense()
    P = np.where(mdp.actions[:, :, None], mdp.P, 0.0)
    total = P.sum(axis=2, keepdims=True)
    return P / np.where(total > 0, total, 1.0)


def first_kernel(problem: RobustMDP) -> np.ndarray:
    """A kernel of the set: the nominal rows, or the first of finitely many models, among which they need not be."""
    one = problem.uncertainty
    return np.array(one.kernels[0]) if isinstance(one, ModelSet) else nominal_kernel(problem)


def first_policy(problem: RobustMDP, pi0: np.ndarray | None) -> np.ndarray:
    """A copy of `pi0` (S, A), or the uniform policy.

    Raises
    ------
    ValueError
        `pi0` has another shape, or a row that is no distribution over available actions.
    """
    actions = problem.nominal.actions
    if pi0 is None:
        return actions / actions.sum(axis=1, keepdims=True)
    pi = np.array(pi0, dtype=np.float64)
    if pi.shape != actions.shape:
        raise ValueError(f"pi0 has shape {pi.shape}; expected {actions.shape}")
    # Rounding of a row sum, with room for policies that were stored in single precision.
    good = np.isfinite(pi).all(axis=1) & (pi >= 0).all(axis=1) & (np.abs(pi.sum(axis=1) - 1) <= 1e-6)
    good &= ~((pi != 0) & ~actions).any(axis=1)
    if not good.all():
        s = int(np.argmin(good))
        raise ValueError(f"pi0[{s}] is {pi[s].tolist()}; expected a distribution over available actions")
    return pi


def objective(problem: RobustMDP, v: np.ndarray) -> np.ndarray:
    """What nature minimises, z (S, A, S): reward by next state plus gamma v."""
    mdp = problem.nominal.dense()
    r = mdp.r[:, :, None] if mdp.r_next is None else mdp.r_next
    return r + mdp.gamma * v


def linear_value(problem: RobustMDP, kernel: np.ndarray, pi: np.ndarray) -> np.ndarray:
    """Value (S,) of a policy (S, A) under a kernel (S, A, S).

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> problem = RobustMDP(MDP([[[1.0]]], [[1.0]], 0.5), L1Ball(0.1))
    >>> linear_value(problem, np.ones((1, 1, 1)), np.ones((1, 1))).tolist()
    [2.0]
    """
    reward = (kernel * objective(problem, np.zeros(problem.S))).sum(axis=2)
    step = np.einsum("sa,sat->st", pi, kernel)
    return np.linalg.solve(np.eye(problem.S) - problem.gamma * step, (pi * reward).sum(axis=1))


def worst_kernel(problem: RobustMDP, v: np.ndarray, pi: np.ndarray) -> np.ndarray:
    """Rows (S, A, S) that minimise sum_a pi (row . z) in every state, z of `objective`.

    With (s, a)-rectangular sets all rows are worst, whatever the policy. Ties go to the first model, and to the first
    smallest entry.

    Raises
    ------
    ValueError
        A set other than `L1Ball`, `TVBall` and `ModelSet`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.9)
    >>> worst_kernel(RobustMDP(mdp, L1Ball(0.2)), np.array([0.0, 10.0]), np.ones((2, 1)))[0].tolist()
    [[0.6, 0.4]]
    """
    one, z = problem.uncertainty, objective(problem, v)
    if isinstance(one, ModelSet):
        payoff = np.einsum("ksat,sat->ksa", one.kernels, z)
        if one.rectangularity == "s":
            chosen = np.broadcast_to((payoff * pi).sum(axis=2).argmin(axis=0)[:, None], pi.shape)
        else:
            chosen = payoff.argmin(axis=0)
        return np.take_along_axis(one.kernels, chosen[None, :, :, None], axis=0)[0]
    if not isinstance(one, L1Ball | TVBall):
        raise ValueError(f"uncertainty is {one.name!r}; expected 'l1', 'tv' or 'models'")
    mass = one.radii(problem.S, problem.A) * (1.0 if isinstance(one, TVBall) else 0.5)
    P = nominal_kernel(problem)
    receiver = np.where(P > 0, z, np.inf) if one.support == "nominal" else z
    best = receiver.argmin(axis=2)
    least = np.take_along_axis(z, best[:, :, None], axis=2)
    # Gain per unit of mass moved; where nothing is gained nothing is moved.
    gain = np.where(P > 0, z - least, 0.0)
    if one.rectangularity == "s":
        gain, mass = gain * pi[:, :, None], mass[:, None]
        flat = (problem.S, -1)
    else:
        flat, mass = (problem.S * problem.A, -1), mass.reshape(-1, 1)
    gain, supply = gain.reshape(flat), P.reshape(flat)
    order = np.argsort(-gain, axis=1, kind="stable")
    supply = np.take_along_axis(np.where(gain > 0, supply, 0.0), order, axis=1)
    taken = np.clip(mass - (np.cumsum(supply, axis=1) - supply), 0.0, supply)
    removed = np.zeros(supply.shape)
    np.put_along_axis(removed, order, taken, axis=1)
    removed = removed.reshape(P.shape)
    out = P - removed
    given = np.take_along_axis(out, best[:, :, None], axis=2) + removed.sum(axis=2, keepdims=True)
    np.put_along_axis(out, best[:, :, None], given, axis=2)
    return out


def robust_evaluation(
    problem: RobustMDP,
    pi: np.ndarray,
    *,
    tol: float = 1e-12,
    kernel: np.ndarray | None = None,
    max_solves: int = 10_000,
) -> Evaluation:
    """The robust value of a policy from above: linear value under a kernel, nature's answer to it, and again.

    Parameters
    ----------
    problem
        With an L1 ball or a finite set of models.
    pi : array (S, A)
        Probabilities.
    tol
        Nature may be left with this much to gain, at most, in each state; at least 0. Rounding ends the iteration too.
    kernel : array (S, A, S), optional
        Nature's first choice, in the set; that of `first_kernel` by default.
    max_solves
        Linear systems at most.

    Returns
    -------
    Evaluation
        Of the last kernel solved for.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
    >>> robust_evaluation(RobustMDP(mdp, L1Ball(0.2, support="nominal")), np.ones((2, 1))).value.round(9).tolist()
    [0.571428571, 2.0]
    """
    kernel = first_kernel(problem) if kernel is None else kernel
    best = np.inf
    for solves in range(1, max_solves + 1):
        v = linear_value(problem, kernel, pi)
        answer = worst_kernel(problem, v, pi)
        z = objective(problem, v)
        improved = (pi * (answer * z).sum(axis=2)).sum(axis=1)
        gap = max(float((v - improved).max()), 0.0) / (1 - problem.gamma)
        # Values fall from solve to solve; where they no longer do, only rounding is left.
        if gap <= tol or not float(v.sum()) < best:
            break
        best = float(v.sum())
        if solves < max_solves:
            kernel = answer
    return Evaluation(v, (kernel * z).sum(axis=2), kernel, gap, solves)
