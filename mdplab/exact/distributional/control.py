"""Distributional dynamic programming that chooses actions by the mean of the law."""

import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol
from mdplab.exact.distributional.chain import Chain, model_and_outcomes
from mdplab.exact.distributional.evaluation import LOOK, Representation, staged_solution, stationary_solution
from mdplab.exact.distributional.representations import Categorical, Quantile
from mdplab.exact.operator import UNIT
from mdplab.exact.policy_iteration import policy_iteration
from mdplab.models import MDP, Outcomes, Solution, SolverFailure, StockMDP

# An action replaces the present one if its mean is larger by more than this, times 1 + the largest mean.
_TIE = 1e-10


def categorical_control(
    mdp: MDP | StockMDP,
    z: Any,
    *,
    outcomes: Outcomes | None = None,
    tol: float = 1e-9,
    clip: bool = False,
    max_iters: int = 100_000,
) -> Solution:
    """Laws on a grid under the policy that is greedy in their means.

    Parameters
    ----------
    mdp
        With `gamma < 1` or with a horizon.
    z, outcomes, tol, clip
        As in `categorical_evaluation`.
    max_iters
        Most sweeps.

    Returns
    -------
    Solution
        As `categorical_evaluation` of the policy found, `(S,)` or `(H, S)` actions;
        `extras["error_bounds"]["suboptimality"]` bounds by how much the policy's value falls short of the optimum
        anywhere. It is as small as `tol` and rounding allow unless the grid clips: the projection keeps means, which
        hence follow value iteration.

    Raises
    ------
    ValueError
        As `categorical_evaluation`; `gamma` is 1 without a horizon.
    SolverFailure
        The policy or the laws still change after `max_iters` sweeps.

    Notes
    -----
    The operator that is greedy in the mean contracts in no metric on laws: with ties its iterates may alternate. Here
    an action is kept until another's mean is larger by more than rounding; the sweeps start at the optimal value.

    Source
    ------
    Bellemare, Dabney, Munos (2017), section 3.4 and algorithm 1.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> answer = categorical_control(mdp, [0.0, 1.0, 2.0])
    >>> answer.policy.tolist(), answer.value.round(9).tolist()
    ([1], [2.0])
    """
    return _control(mdp, outcomes, Categorical(z, clip), tol, max_iters)


def quantile_control(
    mdp: MDP | StockMDP,
    m: int,
    *,
    outcomes: Outcomes | None = None,
    tol: float = 1e-9,
    max_iters: int = 100_000,
) -> Solution:
    """Laws of m quantiles a state under the policy that is greedy in their means.

    Parameters
    ----------
    mdp
        With `gamma < 1` or with a horizon.
    m, outcomes, tol, max_iters
        As in `quantile_evaluation` and `categorical_control`.

    Returns
    -------
    Solution
        As `categorical_control`. The projection does not keep means: the policy need not be optimal, and
        `extras["error_bounds"]["suboptimality"]` says by how much at most.

    Raises
    ------
    ValueError
        `gamma` is 1 without a horizon; `m` is not a positive integer.
    SolverFailure
        The policy or the laws still change after `max_iters` sweeps.

    Source
    ------
    Dabney, Rowland, Bellemare, Munos (2018), algorithm 1.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> quantile_control(mdp, 3).policy.tolist()
    [1]
    """
    return _control(mdp, outcomes, Quantile(m), tol, max_iters)


class _Means:
    """The Bellman operator for means, from the same outcomes as the laws."""

    def __init__(self, mdp: MDP, outcomes: Outcomes) -> None:
        self.mdp, self.outcomes = mdp, outcomes
        sums = np.bincount(outcomes.row_of(), outcomes.prob, minlength=mdp.S * mdp.A)
        self._sums = np.where(sums > 0, sums, 1.0)
        self._kernel, self._reward = outcomes.kernel(), outcomes.mean_reward()
        # Terms of a row, each rounded a few times; the bounds below are sums of a few rows.
        self._units = 8 * (int(np.diff(outcomes.indptr).max()) + 16) * UNIT

    def q(self, v: np.ndarray) -> np.ndarray:
        """Means of actions, (S, A); 0 in terminal states, -inf where not available."""
        q = (self._reward.ravel() + self.mdp.gamma * (self._kernel @ v)) / self._sums
        q = np.where(self.mdp.terminal[:, None], 0.0, q.reshape(self.mdp.S, self.mdp.A))
        return np.where(self.mdp.actions, q, -np.inf)

    def slack(self, v: np.ndarray) -> float:
        """What rounding may do to q(v) - v."""
        return self._units * float(np.abs(self.outcomes.reward).max() + np.abs(v).max())

    def chain(self, policy: np.ndarray) -> Chain:
        """The chain of actions (S,)."""
        return Chain.of(self.mdp, self.outcomes, policy)


def _greedy(q: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Best actions; the present one where none is better by more than a tie."""
    best = q.max(axis=1)
    worse = q[np.arange(len(q)), policy] < best - _TIE * (1 + np.abs(best).max())
    return np.where(worse, q.argmax(axis=1), policy)


def _control(problem: Any, outcomes: Outcomes | None, kind: Representation, tol: float, max_iters: int) -> Solution:
    method, begin, tol = f"{kind.name}_control", time.perf_counter(), checked_tol(tol)
    mdp, outcomes = model_and_outcomes(problem, outcomes, method)
    most, means, gamma = checked_count("max_iters", max_iters), _Means(mdp, outcomes), mdp.gamma
    if mdp.horizon is not None:
        return _stages(kind, means, method, begin)
    if gamma == 1:
        raise ValueError(f"gamma is 1 without a horizon; {method} needs an MDP with a horizon, or gamma below 1")
    v = policy_iteration(mdp).value
    policy = means.q(v).argmax(axis=1)
    chain, eta, still = means.chain(policy), kind.start(v), False
    other = np.empty_like(eta)
    for count in range(1, most + 1):
        lost = kind.sweep(chain, eta, other)
        eta, other = other, eta
        new = _greedy(means.q(kind.means(eta)), policy)
        still = bool((new == policy).all())
        look = still and (count % LOOK == 0 or count == most)
        left = kind.left(chain, eta, other) if look else np.inf
        if left <= tol:
            v = kind.laws(eta).means()
            short = _shortfall(means, v, policy)
            return stationary_solution(
                kind, chain, policy, eta, lost, left, method, count, begin, {"suboptimality": short}
            )
        if not still:
            policy, chain = new, means.chain(new)
    what = "laws" if still else "policy"
    raise SolverFailure(f"{method}: the {what} still changed after max_iters={most} sweeps; tol={tol:g}")


def _shortfall(means: _Means, v: np.ndarray, policy: np.ndarray) -> float:
    """A bound of V* - V^pi: from V* <= v + max(T v - v)_+ / (1 - gamma), and V^pi likewise from below."""
    q = means.q(v)
    above = max(0.0, float((q.max(axis=1) - v).max()))
    below = max(0.0, float((v - q[np.arange(len(v)), policy]).max()))
    return (above + below + 2 * means.slack(v)) / (1 - means.mdp.gamma)


def _stages(kind: Representation, means: _Means, method: str, begin: float) -> Solution:
    """Backward over the horizon; the shortfall adds up as the stages do."""
    H, S, gamma = means.mdp.horizon, means.mdp.S, means.mdp.gamma
    etas, chains, lost = [kind.start(np.zeros(S))], [], 0.0
    policy, short = np.zeros((H, S), dtype=np.int64), 2 * float(np.abs(kind.means(etas[0])).max())
    worst = short
    for t in range(H - 1, -1, -1):
        q = means.q(kind.means(etas[0]))
        policy[t] = q.argmax(axis=1)
        chains.insert(0, means.chain(policy[t]))
        out = np.empty_like(etas[0])
        lost = max(lost, kind.sweep(chains[0], etas[0], out))
        v, best = kind.means(out), q.max(axis=1)
        # T v and T_pi v are the same number here: v may be off it to either side.
        short = max(0.0, float((best - v).max())) + max(0.0, float((v - best).max())) + gamma * short
        short += 2 * means.slack(v)
        worst = max(worst, short)
        etas.insert(0, out)
    return staged_solution(kind, chains, policy, etas, lost, method, begin, {"suboptimality": worst})
