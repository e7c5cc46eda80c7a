r"""Exact judges of expected conditional risk measures: nested risks of a policy, the optimum by dynamic programming.

The nested value of a policy of the state sorts the costs that may follow each state and action; no level and no
augmented state occurs in it. The optimum solves the augmented MDP of `mdplab.instances.ecrm` with a certificate.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.solve import solve
from mdplab.instances.ecrm import EcrmProblem
from mdplab.models import Solution


def upper_tail_mean(x: np.ndarray, p: np.ndarray, tail: float) -> np.ndarray:
    """Mean of the largest share `tail` of the law with atoms x (n,) and masses p (..., n); shape (...).

    Examples
    --------
    >>> float(upper_tail_mean(np.array([0.0, 10.0]), np.array([0.75, 0.25]), 0.5))
    5.0
    """
    order = np.argsort(x, kind="stable")[::-1]
    p = np.asarray(p, dtype=np.float64)[..., order]
    before = np.cumsum(p, axis=-1) - p
    # The smallest atom takes what rounding of the sum leaves of the tail.
    taken = np.clip(tail - before, 0.0, p)
    taken[..., -1] += tail - taken.sum(axis=-1)
    return (taken * np.asarray(x)[order]).sum(axis=-1) / tail


def next_costs(problem: EcrmProblem, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms (S A,) and masses (S, A, S A) of the cost that follows each state and action, under a policy (S, A)."""
    masses = problem.P[..., None] * policy
    return problem.cost.ravel(), masses.reshape(problem.S, problem.A, -1)


def nested_values(problem: EcrmProblem, policy: np.ndarray) -> np.ndarray:
    """Risk (S, A) of what follows a state and action under a policy (S, A) of the state, discounted once.

    `gamma (R(s, a) + E W(s'))` with R the one-step risk of the next cost and W the same for the steps after it: the
    ECRM from s is `sum_a first(a | s) (c(s, a) + nested(s, a))` for any first-step policy.
    """
    atoms, masses = next_costs(problem, policy)
    risk = (1 - problem.weight) * masses @ atoms + problem.weight * upper_tail_mean(atoms, masses, problem.tail)
    chain = np.einsum("sa,sat->st", policy, problem.P)
    ahead = np.linalg.solve(np.eye(problem.S) - problem.gamma * chain, (policy * risk).sum(axis=1))
    return problem.gamma * (risk + problem.gamma * problem.P @ ahead)


def nested_ecrm(problem: EcrmProblem, policy: np.ndarray, first: np.ndarray | None = None) -> float:
    """ECRM of a policy (S, A) of the state, with `first` (S, A) at the first step if it is given.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, [1.0], 1.0, 0.25)
    >>> nested_ecrm(problem, np.array([[0.75, 0.25]]))  # 1/4, then 1 at all later steps
    1.25
    """
    first = policy if first is None else first
    return float(problem.rho @ (first * (problem.cost + nested_values(problem, policy))).sum(axis=1))


def quantile_levels(problem: EcrmProblem, policy: np.ndarray) -> np.ndarray:
    """Index (S, A) of the level that attains CVaR of the next cost under a policy (S, A), by direct search."""
    atoms, masses = next_costs(problem, policy)
    excess = np.maximum(atoms[:, None] - problem.levels, 0.0)
    return np.argmin(problem.levels + masses @ excess / problem.tail, axis=-1)


def with_levels(problem: EcrmProblem, policy: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The policy (S + S E, A E) of the augmented MDP that plays (S, A) and picks next levels (S, A) by index."""
    chosen = policy[:, :, None] * np.eye(problem.E)[levels]
    later = np.broadcast_to(chosen[:, None], (problem.S, problem.E, problem.A, problem.E))
    return problem.join(chosen, later)


@dataclass(frozen=True, eq=False, slots=True)
class EcrmOptimum:
    """The least ECRM, known up to `gap`; costs to go of both steps, (S,) and (S, E); a policy that attains it.

    `policy` (S + S E,) holds actions `a E + f` of the augmented MDP.
    """

    objective: float
    gap: float
    first: np.ndarray
    later: np.ndarray
    policy: np.ndarray
    solution: Solution

    def probabilities(self, problem: EcrmProblem) -> np.ndarray:
        """The policy as (S + S E, A E) probabilities."""
        return np.eye(problem.A * problem.E)[self.policy]


def ecrm_optimum(problem: EcrmProblem, *, tol: float = 1e-9) -> EcrmOptimum:
    """Solve the augmented MDP to `tol`, with a certificate.

    Examples
    --------
    >>> problem = EcrmProblem([[[1.0], [1.0]]], [[1.0, 2.0]], 0.5, [1.0], 0.5, 0.1)
    >>> round(ecrm_optimum(problem).objective, 9)
    2.0
    """
    found = solve(problem.augmented(), tol=tol)
    S, E = problem.S, problem.E
    first, later = -found.value[:S], -found.value[S:].reshape(S, E)
    return EcrmOptimum(float(problem.rho @ first), found.certificate.gap, first, later, np.array(found.policy), found)


def chain_of(problem: EcrmProblem, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Transitions (N, N) and expected plain costs (N,) of the augmented chain under a policy (N, A E), N = S + S E."""
    chain = np.einsum("na,nam->nm", policy, problem.augmented().P)
    actions = policy.reshape(len(policy), problem.A, problem.E).sum(axis=2)
    cost = np.concatenate([problem.cost, np.repeat(problem.cost, problem.E, axis=0)])
    return chain, (actions * cost).sum(axis=1)


def expected_cost(problem: EcrmProblem, policy: np.ndarray) -> float:
    """Expected discounted cost, without risk, of a policy (S + S E, A E) of the augmented MDP."""
    chain, cost = chain_of(problem, policy)
    value = np.linalg.solve(np.eye(len(chain)) - problem.gamma * chain, cost)
    return float(problem.rho @ value[: problem.S])


def visit_probability(problem: EcrmProblem, policy: np.ndarray, states: list[int], end: list[int]) -> float:
    """Probability of ever being in `states` before `end`, which is reached surely, under a policy (S + S E, A E)."""
    chain, _ = chain_of(problem, policy)
    place = np.concatenate([np.arange(problem.S), np.repeat(np.arange(problem.S), problem.E)])
    target, done = np.isin(place, states), np.isin(place, end)
    open_ = ~(target | done)
    out = target.astype(np.float64)
    rest = np.eye(open_.sum()) - chain[np.ix_(open_, open_)]
    out[open_] = np.linalg.solve(rest, chain[np.ix_(open_, target)].sum(axis=1))
    return float(problem.rho @ out[: problem.S])
