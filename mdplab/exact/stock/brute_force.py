"""Every return law that a deterministic history-dependent policy has, by enumeration: ground truth on tiny problems."""

import time
from dataclasses import dataclass

import numpy as np

from mdplab.exact.arguments import require_type
from mdplab.exact.stock.reachable import clusters
from mdplab.models import CVaR, FiniteLaw, Functional, OCVaR, Outcomes, StockMDP


@dataclass(frozen=True, eq=False, slots=True)
class HistoryLaws:
    """The return laws of all deterministic history-dependent policies, without duplicates.

    Parameters
    ----------
    support
        `(n,)`, increasing: all returns that some policy may have.
    masses
        `(L, n)`: row l is a law on the support, with zeros.
    running
        `(L,)`: expected discounted sum of the running reward that goes with it (of several policies with one law but
        different sums, each is kept).
    """

    support: np.ndarray
    masses: np.ndarray
    running: np.ndarray

    def law(self, i: int) -> FiniteLaw:
        """Law i without the atoms of mass 0."""
        held = self.masses[i] > 0
        return FiniteLaw.of(self.support[held], self.masses[i, held])


def history_laws(problem: StockMDP, *, merge: float = 1e-11, max_laws: int = 200_000) -> HistoryLaws:
    """All return laws of deterministic history-dependent policies from the problem's start.

    Parameters
    ----------
    problem
        A finite horizon, or a model without cycles; `start` is given. The objective plays no part.
    merge
        Returns closer than `merge * (1 + max|x|)` are one, and so are laws whose masses agree within `merge`.
    max_laws
        Most laws of one state and stage before duplicates are removed.

    Raises
    ------
    ValueError
        No start; more than `max_laws` laws.

    Notes
    -----
    A history's future does not depend on the past, so the laws of (stage, state) are built once: for each action, all
    combinations of one law for each outcome.

    Examples
    --------
    >>> from mdplab.models import MDP, StockMDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=2)
    >>> laws = history_laws(StockMDP(mdp, functional("mean"), start=0))
    >>> laws.support.tolist(), laws.masses.shape
    ([0.0, 1.0, 2.0], (3, 3))
    """
    require_type(problem, StockMDP, "history_laws")
    if problem.start is None:
        raise ValueError("start is None; history_laws needs the problem's start state or distribution")
    tree = _Tree(problem, merge, max_laws)
    mdp = problem.mdp
    depth = mdp.horizon if mdp.horizon is not None else mdp.S
    start = np.atleast_1d(problem.start)
    if start.size == 1 and np.issubdtype(start.dtype, np.integer):
        laws = tree.laws(depth, int(start[0]))
    else:
        states = np.flatnonzero(start)
        # The first state is drawn as if by a move that earns nothing and costs no time.
        laws = tree.combined([tree.laws(depth, int(s)) for s in states], start[states], np.zeros(states.size), 1.0)
    return HistoryLaws(laws.support, laws.masses, laws.running)


class _Tree:
    """Laws of (decisions left, state), remembered."""

    def __init__(self, problem: StockMDP, merge: float, max_laws: int) -> None:
        self.mdp, self.outcomes, self.running = problem.mdp, problem.outcomes, problem.running
        self.merge, self.max_laws = merge, max_laws
        self.known: dict[tuple[int, int], HistoryLaws] = {}
        self.nothing = HistoryLaws(np.zeros(1), np.ones((1, 1)), np.zeros(1))

    def laws(self, left: int, s: int) -> HistoryLaws:
        if self.mdp.terminal[s]:
            return self.nothing
        if left == 0:
            if self.mdp.horizon is None:
                raise ValueError("horizon is None and some policy may never terminate; give the model a horizon")
            return self.nothing
        if (left, s) not in self.known:
            self.known[left, s] = self._decided(left, s)
        return self.known[left, s]

    def _decided(self, left: int, s: int) -> HistoryLaws:
        out: Outcomes = self.outcomes
        parts = []
        for a in np.flatnonzero(self.mdp.actions[s]):
            row = slice(out.indptr[s * self.mdp.A + a], out.indptr[s * self.mdp.A + a + 1])
            futures = [self.laws(left - 1, int(t)) for t in out.next_state[row]]
            part = self.combined(futures, out.prob[row], out.reward[row], self.mdp.gamma)
            extra = 0.0 if self.running is None else self.running[s, a]
            parts.append(HistoryLaws(part.support, part.masses, part.running + extra))
        support, where = clusters(np.concatenate([part.support for part in parts]), self._width(parts))
        cuts = np.cumsum([part.support.size for part in parts])[:-1]
        masses = np.concatenate(
            [_spread(part.masses, at, support.size) for part, at in zip(parts, np.split(where, cuts), strict=True)]
        )
        return self._distinct(support, masses, np.concatenate([part.running for part in parts]))

    def combined(self, futures: list[HistoryLaws], prob: np.ndarray, reward: np.ndarray, gamma: float) -> HistoryLaws:
        """One law for each choice of a law from every future: the mixture of `reward[i] + gamma * law` by `prob`."""
        shifted = [r + gamma * future.support for r, future in zip(reward, futures, strict=True)]
        joined = np.concatenate(shifted)
        support, where = clusters(joined, self.merge * (1 + float(np.abs(joined).max())))
        masses, running = np.zeros((1, support.size)), np.zeros(1)
        cuts = np.cumsum([x.size for x in shifted])[:-1]
        for future, p, at in zip(futures, prob, np.split(where, cuts), strict=True):
            if masses.shape[0] * future.masses.shape[0] > self.max_laws:
                raise ValueError(f"a state has more than max_laws={self.max_laws} return laws")
            added = p * _spread(future.masses, at, support.size)
            masses = (masses[:, None, :] + added[None, :, :]).reshape(-1, support.size)
            running = (running[:, None] + gamma * p * future.running[None, :]).ravel()
        return self._distinct(support, masses, running)

    def _width(self, parts: list[HistoryLaws]) -> float:
        return self.merge * (1 + max(float(np.abs(part.support).max()) for part in parts))

    def _distinct(self, support: np.ndarray, masses: np.ndarray, running: np.ndarray) -> HistoryLaws:
        # Adding 0 turns the -0 of rounding into 0, which unique would tell apart.
        key = np.round(np.column_stack([masses, running]) / self.merge) + 0.0
        index = np.unique(key, axis=0, return_index=True)[1]
        index.sort()
        return HistoryLaws(support, masses[index], running[index])


def _spread(masses: np.ndarray, at: np.ndarray, n: int) -> np.ndarray:
    """Masses (L, k) moved to the columns `at` (k,) of (L, n); columns that coincide are added."""
    out = np.zeros((masses.shape[0], n))
    np.add.at(out, (slice(None), at), masses)
    return out


@dataclass(frozen=True, eq=False, slots=True)
class BruteForce:
    """The best value over deterministic history-dependent policies, the law that has it, and how many were compared."""

    value: float
    law: FiniteLaw
    num_laws: int
    seconds: float


def brute_force(
    problem: StockMDP,
    c0: float = 0.0,
    *,
    laws: HistoryLaws | None = None,
    merge: float = 1e-11,
    max_laws: int = 200_000,
) -> BruteForce:
    """The best value over all deterministic history-dependent policies, by enumeration of their return laws.

    Parameters
    ----------
    problem
        Tiny, with a finite horizon; the objective is a `Functional` of `c0 + G`, or CVaR or OCVaR of G.
    c0
        Initial stock; plays no part for CVaR and OCVaR.
    laws
        What `history_laws` says of the problem, if it is known already: shared between objectives.
    merge, max_laws
        As for `history_laws`.

    Raises
    ------
    ValueError
        No start; more than `max_laws` laws.

    Notes
    -----
    Randomised policies have mixtures of these laws. They do no better for expected utilities and for CVaR, which is
    convex in the law, and may do better for OCVaR: see `best_mixture`.

    Examples
    --------
    >>> from mdplab.models import MDP, StockMDP, functional
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 1.0, horizon=3)
    >>> brute_force(StockMDP(mdp, functional("target"), start=0), -2.0).value
    0.0
    """
    require_type(problem, StockMDP, "brute_force")
    start = time.perf_counter()
    laws = history_laws(problem, merge=merge, max_laws=max_laws) if laws is None else laws
    objective = problem.objective
    if isinstance(objective, CVaR | OCVaR):
        values = tail_means(laws, objective.tau, upper=isinstance(objective, OCVaR))
    else:
        values = statistic_of(objective, c0 + laws.support, laws.masses)
    values = values + laws.running
    best = int(np.argmax(values))
    return BruteForce(float(values[best]), laws.law(best), laws.masses.shape[0], time.perf_counter() - start)


def statistic_of(objective: Functional, x: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The functional of each row of masses (L, n) on the atoms x (n,)."""
    if objective.utility is not None:
        return masses @ objective.utility(x)
    return np.array([objective.evaluate(x[row > 0], row[row > 0]) for row in masses])


def tail_means(laws: HistoryLaws, tau: float, *, upper: bool = False) -> np.ndarray:
    """CVaR (lower tail) or OCVaR (upper tail) of level tau of every law: masses are taken from the tail until tau."""
    x, masses = (laws.support[::-1], laws.masses[:, ::-1]) if upper else (laws.support, laws.masses)
    taken = np.diff(np.minimum(np.cumsum(masses, axis=1), tau), axis=1, prepend=0.0)
    # What rounding leaves of tau lies at the end of the tail.
    taken[:, -1] += tau - taken.sum(axis=1)
    return taken @ x / tau
