"""The robust Bellman operator of a problem, whatever its set: one face for all robust solvers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from mdplab.exact.operator import UNIT, over_ranges
from mdplab.exact.robust.nature import Nature
from mdplab.exact.robust.rows import Rows
from mdplab.models import RobustMDP

# Chains with more states than this are solved by a Krylov method if they are sparse.
_LU_STATES = 3000


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """The operator at v: `Tv` (S,), the policy's weights (rows,) that attain it, and nature's rows `q` (nnz,).

    `q` is None where only values were asked for.
    """

    v: np.ndarray
    Tv: np.ndarray
    weights: np.ndarray
    q: np.ndarray | None

    @property
    def low(self) -> float:
        """Least of Tv - v."""
        return float((self.Tv - self.v).min())

    @property
    def high(self) -> float:
        """Largest of Tv - v."""
        return float((self.Tv - self.v).max())

    @property
    def residual(self) -> float:
        """Largest |Tv - v|."""
        return max(self.high, -self.low)


@dataclass(frozen=True, eq=False)
class RobustBellman:
    """`(T v)(s) = max over pi_s, min over the set, of sum_a pi_a q_a . (r_a + gamma v)`, plus a soft set's price.

    Parameters
    ----------
    rows
        The nominal rows of available actions.
    nature
        The set over them.
    gamma
        Discount.
    A
        Number of actions.
    terminal
        `(S,)` mask of states that are left with no kernel of the set and pay nothing; None if there are none.

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> op = RobustBellman.of(RobustMDP(mdp, L1Ball(0.2)))
    >>> op.backup(np.array([1.0, 0.0])).Tv.round(6).tolist()  # nature moves 0.1 to state 1
    [1.36, 0.0]
    """

    rows: Rows
    nature: Nature
    gamma: float
    A: int
    terminal: np.ndarray | None = None

    @classmethod
    def of(cls, problem: RobustMDP) -> "RobustBellman":
        """The operator of a problem."""
        rows, terminal = Rows.of(problem), problem.nominal.terminal
        # Where mass may go anywhere, no state is terminal to nature.
        stays = rows.indices is not None and terminal.any()
        return cls(rows, Nature.of(problem, rows), problem.gamma, problem.A, terminal if stays else None)

    @property
    def S(self) -> int:
        """Number of states."""
        return self.rows.S

    @property
    def deterministic(self) -> bool:
        """True for `(s, a)` sets: some optimal policy needs no mixture."""
        return not self.nature.shared

    @cached_property
    def shares_one_objective(self) -> bool:
        """True if one sorted vector serves every row: dense (s, a) L1 balls with rewards of state and action."""
        fits = self.rows.indices is None and self.rows.reward_next is None
        return fits and self.deterministic and self.nature.kind in ("l1", "tv")

    def worst_rows(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value of each row `(rows,)` at v, a soft set's price included, and nature's rows `(nnz,)`; `(s, a)` sets."""
        return self.nature.worst(self.rows.objective(v, self.gamma))

    def row_values(self, v: np.ndarray) -> np.ndarray:
        """Value of each row `(rows,)` at v without nature's rows: the fast path, where there is one."""
        if not self.shares_one_objective:
            return self.worst_rows(v)[0]
        from mdplab.kernels.robust.l1 import l1_rows_shared

        rows, value, z = self.rows, np.empty(self.rows.size), self.gamma * v
        p, radius = rows.p.reshape(-1, rows.S), self.nature.size
        over_ranges(lambda a, b: l1_rows_shared(z, p, radius, a, b, value), rows.size, rows.nnz)
        value += rows.reward
        return value

    def backup(self, v: np.ndarray, *, with_rows: bool = True) -> Step:
        """The operator at v; `with_rows=False` leaves nature's rows out where that is faster."""
        if not self.deterministic:
            value, weights, q = self.nature.saddle(self.rows.objective(v, self.gamma))
            return Step(v, value, weights, q)
        if with_rows or not self.shares_one_objective:
            value, q = self.worst_rows(v)
        else:
            value, q = self.row_values(v), None
        best = np.maximum.reduceat(value, self.rows.state_ptr[:-1])
        return Step(v, best, self._first_best(value, best), q)

    def _first_best(self, value: np.ndarray, best: np.ndarray) -> np.ndarray:
        """Weights `(rows,)` of the first best row of each state."""
        attains = np.flatnonzero(value == best[self.rows.state])
        _, first = np.unique(self.rows.state[attains], return_index=True)
        weights = np.zeros(self.rows.size)
        weights[attains[first]] = 1.0
        return weights

    def under(self, weights: np.ndarray) -> "PolicyBellman":
        """The operator of a policy, given by the weight of each row `(rows,)`."""
        used = np.flatnonzero(weights)
        one = RobustBellman(self.rows.take(used), self.nature.take(used), self.gamma, self.A, self.terminal)
        own = weights[used]
        own.flags.writeable = False
        return PolicyBellman(one, own, used)

    def respond(self, v: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`T_pi v` `(S,)` of a policy's weights `(rows,)`, and nature's rows `(nnz,)` against it."""
        weights = np.array(weights)
        weights.flags.writeable = False
        return self.nature.response(self.rows.objective(v, self.gamma), weights)

    def fixed_rows(self, q: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Value of each row `(rows,)` at v under nature's rows q `(nnz,)`."""
        return self.rows.rewards(q) + self.nature.penalty(q) + self.gamma * self.rows.times(q, v)

    def solve_linear(self, q: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Value `(S,)` of both players' choices; `start` is where a Krylov method begins."""
        chain = self.rows.mixed(q, weights)
        reward = weights * (self.rows.rewards(q) + self.nature.penalty(q))
        reward = np.add.reduceat(reward, self.rows.state_ptr[:-1])
        if not sp.issparse(chain):
            # SciPy would warn of a condition that the certificate judges.
            return np.linalg.solve(np.eye(self.S) - self.gamma * chain, reward)
        system = sp.eye_array(self.S, format="csc") - self.gamma * chain.tocsc()
        if self.S <= _LU_STATES:
            return spla.splu(system).solve(reward)
        defect = reward - system @ start
        found, _ = spla.bicgstab(system.tocsr(), defect, rtol=1e-12, atol=8 * UNIT * np.abs(reward).max(), maxiter=2000)
        return start + found

    def both_fixed(self, step: Step) -> np.ndarray:
        """Value `(S,)` of both players' choices at a step: Newton's step for T v = v, which may cycle by itself."""
        one = self.under(step.weights)
        if step.q is None:
            q = one.respond(step.v)[1]
        elif self.rows.indices is None:
            q = step.q.reshape(-1, self.S)[one.used].ravel()
        else:
            q = step.q[self.rows.entries(one.used)]
        return one.solve(q, step.v)

    def policy(self, weights: np.ndarray) -> np.ndarray:
        """The policy of weights `(rows,)`: `(S,)` actions where the set has no shared budget, else `(S, A)`."""
        if self.deterministic:
            chosen = np.flatnonzero(weights)
            return self.rows.action[chosen]
        out = np.zeros((self.S, self.A))
        out[self.rows.state, self.rows.action] = weights
        return out

    def weights(self, policy: np.ndarray) -> np.ndarray:
        """The weight of each row `(rows,)` in a checked policy `(S,)` or `(S, A)`, which is divided by its sums."""
        if policy.ndim == 1:
            return (policy[self.rows.state] == self.rows.action).astype(np.float64)
        return (policy / policy.sum(axis=1, keepdims=True))[self.rows.state, self.rows.action]

    def kernel(self, q: np.ndarray) -> np.ndarray | sp.csr_array:
        """Nature's rows as `(S, A, S)`, or CSR `(S * A, S)` where mass stays on a sparse support of many states."""
        rows, S = self.rows, self.S
        if rows.indices is None:
            # Owned and read-only, so that the certificate and the solution share it.
            out = np.zeros((S, self.A, S))
            out[rows.state, rows.action] = q.reshape(-1, S)
            out.flags.writeable = False
            return out
        at = np.repeat(rows.state * self.A + rows.action, np.diff(rows.indptr))
        out = sp.coo_array((q, (at, rows.indices)), shape=(S * self.A, S)).tocsr()
        return out.toarray().reshape(S, self.A, S) if S * S * self.A <= _DENSE_ENTRIES else out


# Larger kernels than this many dense entries are returned in CSR, if they are sparse.
_DENSE_ENTRIES = 4_000_000


@dataclass(frozen=True, eq=False, slots=True)
class PolicyBellman:
    """`T_pi`: the rows that a policy uses, their weights `(k,)`, and their places `used` `(k,)` among all rows."""

    op: RobustBellman
    weights: np.ndarray
    used: np.ndarray

    def respond(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`T_pi v` `(S,)` and nature's rows against it."""
        return self.op.nature.response(self.op.rows.objective(v, self.op.gamma), self.weights)

    def solve(self, q: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Value `(S,)` of the policy under nature's rows q."""
        return self.op.solve_linear(q, self.weights, start)

    def evaluate(self, v: np.ndarray, enough: float) -> tuple[np.ndarray, int]:
        """A vector with `|T_pi v - v| <= enough`, by policy iteration of nature's, and its number of responses.

        From the first solve on the values fall, for nature improves; what does not fall any more is rounding.
        """
        for count in range(1, _RESPONSES + 1):
            Tv, q = self.respond(v)
            residual = float(np.abs(Tv - v).max())
            if residual <= enough:
                return v, count
            new = self.solve(q, v)
            if count > 1 and not np.any(new < v - 4 * UNIT * np.abs(v)):
                return v, count
            v = new
        return v, _RESPONSES


# Nature's policy iteration is quadratic near its end and finite for polyhedra: more responses than this are a cycle
# of rounding.
_RESPONSES = 200
