"""Random problems with a concave utility, their certificates from textbook formulas, and the optimum by a program.

Occupancies by NumPy, slopes and conjugates written once more, h by policy iteration; nothing is shared with the referee
or with the solver.
"""

import cvxpy as cp
import numpy as np
from certify import by_hand

from mdplab.models import MDP, occupancy
from mdplab.models.utility import (
    entropy_utility,
    imitation_utility,
    linear_utility,
    log_utility,
    quadratic_utility,
)

S, A = 3, 2


def model(seed, gamma=0.7):
    rng = np.random.default_rng([317, seed])
    P = rng.dirichlet(np.ones(S), (S, A))
    return MDP(P, rng.random((S, A)), gamma, mu=rng.dirichlet(np.full(S, 5.0))), rng


def random_occupancy(mdp, rng, width=1.0):
    pi = np.exp(width * rng.standard_normal(mdp.r.shape))
    return occupancy(mdp.dense().P, mdp.mu, mdp.gamma, pi / pi.sum(axis=1, keepdims=True))


KINDS = {
    "linear": lambda mdp, rng: linear_utility(mdp.r - 0.5),
    "log": lambda mdp, rng: log_utility(mdp.r, shift=0.1),
    "log, tangent": lambda mdp, rng: log_utility(mdp.r, shift=0.1, floor=3.0),
    "entropy": lambda mdp, rng: entropy_utility(S, A, mdp.gamma),
    "entropy, tangent": lambda mdp, rng: entropy_utility(S, A, mdp.gamma, floor=0.3),
    "quadratic": lambda mdp, rng: quadratic_utility(rng.standard_normal((3, 6)), rng.standard_normal(3), (S, A)),
    "imitation": lambda mdp, rng: imitation_utility(mdp.r, random_occupancy(mdp, rng), weight=0.5),
    "imitation, tangent": lambda mdp, rng: imitation_utility(
        mdp.r, random_occupancy(mdp, rng), weight=0.3, floor=0.4
    ),
}  # fmt: skip


def textbook(utility):
    """f, f' and the conjugate sup f(y) - s y, written once more, for numbers."""
    floor = utility.floor

    def log(y):
        return np.log(y) if y >= floor else np.log(floor) + (y - floor) / floor

    def entropy(y):
        if y >= floor:
            return -y * np.log(y) if y > 0 else 0.0
        return -floor * np.log(floor) - (np.log(floor) + 1) * (y - floor)

    return {
        "log": (log, lambda y: 1 / max(y, floor), lambda s: -np.log(s) - 1),
        "entropy": (entropy, lambda y: -np.log(max(y, floor)) - 1, lambda s: np.exp(-1 - s)),
        "quadratic": (lambda y: -y * y / 2, lambda y: -y, lambda s: s * s / 2),
    }.get(utility.kind)


def worth(utility, lam):
    """F(lam) from the textbook."""
    total = float((utility.reward * lam).sum())
    if utility.kind != "linear":
        x = utility.matrix.toarray() @ lam.ravel() + utility.shift
        total += utility.weight * sum(textbook(utility)[0](y) for y in x)
    return total


def by_hand_certificate(problem, pi, *, gap=1e6, value=None, slopes=None, h_off=0.0, x=None):
    """The certificate of any policy, its bound U as tight as its own slopes allow."""
    mdp, utility = problem.mdp, problem.utility
    lam = occupancy(mdp.dense().P, mdp.mu, mdp.gamma, pi)
    K = utility.shift.size
    if slopes is None:
        at = utility.matrix.toarray() @ lam.ravel() + utility.shift
        slopes = np.zeros(K) if utility.kind == "linear" else np.array([textbook(utility)[1](y) for y in at])
        if utility.kind in ("log", "entropy") and utility.floor:
            # Rounded, a slope at the floor may be above it, where conjugates are infinite.
            slopes = slopes - 1e-12 * (1 + np.abs(slopes))
    r = utility.reward + utility.weight * (utility.matrix.toarray().T @ slopes).reshape(mdp.r.shape)
    tilted = mdp.replace(r=np.where(mdp.actions, r, 0.0))
    _, h = by_hand.best(tilted)
    # Rounding of r and of backups, over the room that gamma leaves.
    h = h + 100 * by_hand.slack_of(tilted, h) / (1 - mdp.gamma) + h_off
    value = worth(utility, lam) if value is None else value
    return by_hand.answer(
        "general-utility", np.array([value]), pi, gap, occupancy=lam if x is None else x, slopes=slopes, h=h
    )


def program(problem):
    """F* by a convex program of its own: flows of states and actions apart."""
    mdp, utility = problem.mdp, problem.utility
    x = cp.Variable((S, A), nonneg=True)
    inflow = [sum(mdp.P[s, a, t] * x[s, a] for s in range(S) for a in range(A)) for t in range(S)]
    constraints = [cp.sum(x[t]) == mdp.mu[t] + mdp.gamma * inflow[t] for t in range(S)]
    total = cp.sum(cp.multiply(utility.reward, x))
    if utility.kind != "linear":
        y = utility.matrix.toarray() @ cp.reshape(x, (S * A,), order="C") + utility.shift
        if utility.kind == "quadratic":
            f = -cp.sum_squares(y) / 2
        elif not utility.floor:
            f = cp.sum(cp.log(y) if utility.kind == "log" else cp.entr(y))
        else:
            top, rest = cp.Variable(utility.shift.size), cp.Variable(utility.shift.size, nonneg=True)
            constraints += [top - rest == y, top >= utility.floor]
            f = cp.sum(cp.log(top) if utility.kind == "log" else cp.entr(top))
            f = f - textbook(utility)[1](utility.floor) * cp.sum(rest)
        total = total + utility.weight * f
    task = cp.Problem(cp.Maximize(total), constraints)
    task.solve(solver=cp.CLARABEL)
    return task.value
