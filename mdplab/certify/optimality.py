"""Is this deterministic policy optimal? Its exact value, and the sign of every advantage.

Proof. Let V be the value of the policy pi, exactly, and `adv(s, a) = r + gamma P_a V - V(s)`. If some `adv(s, a) >
0`, taking a once in s and pi from then on is better. If all are at most 0, `T V <= V`, and V is an upper bound of
every policy's value: with `gamma sigma < 1` because T is a monotone contraction; over a horizon by induction;
undiscounted if in addition `V >= 0`, or every policy terminates, or all rewards off terminal states are negative (see
`kinds`, total). That is the basis certificate of the linear program: V is its dual solution, the occupancy of pi its
primal one.

Undiscounted, V exists if from every state pi reaches the set Z of states (terminal ones among them) that pi never
leaves and in which it earns 0. A finite chain that can reach Z from everywhere does so with probability 1; V is 0 on
Z, and off Z the unique solution of `V = r_pi + P_pi V`.

Two arithmetics. "rational": V by an exact linear solve. "enclosure", for models that are too large for that: any
vectors v and `w > 0`, 0 on Z, with `w - gamma P_pi w >= 1` off Z, exactly, prove `|V - v| <= w max |r_pi + gamma P_pi
v - v|` (apply the non-negative inverse of `1 - gamma P_pi`); v and w come from LAPACK, are refined against exact
residuals, and every inequality is evaluated in rational arithmetic. Only ties can stay undecided: then the rational
solve is tried, up to a size.
"""

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify import rational as backend
from mdplab.certify.rational import fraction, number
from mdplab.certify.reading import ExactModel, exact_model
from mdplab.models import MDP

# Unknowns up to which a rational solve takes about a second: with python-flint, and with fractions alone.
_DIRECT = {True: 128, False: 24}
# Unknowns up to which ties are worth a rational solve (tens of seconds with flint), and LAPACK fits in memory.
_TIES = {True: 500, False: 48}
_LARGEST = 5000
_REFINEMENTS = 4


@dataclass(frozen=True, slots=True)
class OptimalityProof:
    """What exact arithmetic says about a deterministic policy.

    Parameters
    ----------
    optimal
        True or False if proved; None if it could not be decided, with the `reason`. Truthy only if True.
    action_gap
        If optimal: by how much the best action that the policy does not choose is worse, least over non-terminal
        states; 0 if there is a tie, None if there is no other action. Exact, or a lower bound if `arithmetic` is
        `"enclosure"`.
    improving
        If not optimal: a state and an action of positive advantage, the largest if `arithmetic` is `"rational"`.
    value
        The policy's value: a tuple of S fractions; or of pairs (lower, upper) if `arithmetic` is `"enclosure"`; or,
        over a horizon, one tuple a stage. Empty if it does not exist.
    unique
        True if no other deterministic policy is optimal, terminal states aside; None if unknown, as undiscounted where
        an action ties that would make the policy wait for ever.
    speaks_about
        Which numbers the proof is about.
    arithmetic
        `"rational"` or `"enclosure"`.
    reason
        Why the question is undecided.
    stage
        Over a horizon, the stage of `improving`.
    seconds
        Wall-clock time.
    """

    optimal: bool | None
    action_gap: Fraction | None
    improving: tuple[int, int] | None
    value: tuple
    unique: bool | None
    speaks_about: str
    arithmetic: str
    reason: str = ""
    stage: int | None = None
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return self.optimal is True


def prove_optimal(mdp: MDP, policy: Any, *, gamma: Any = None, rational: bool = False) -> OptimalityProof:
    """Prove or refute that a deterministic policy is optimal, in exact arithmetic.

    Parameters
    ----------
    mdp
        Discounted, over a finite horizon, or undiscounted with termination (rows are then divided by their sums).
    policy
        `(S,)` actions, or `(H, S)` over a horizon.
    gamma
        The discount in [0, 1] as a `Fraction`, in place of the model's float.
    rational
        Read every stored float as the simplest fraction within four units in its last place: 1/3 is one third, 0.99 is
        99/100. (Not only those that round to the float: tables hold sums such as 1/3 + 1/3.)

    Returns
    -------
    OptimalityProof

    Raises
    ------
    ValueError
        The policy is stochastic or chooses an unavailable action; `gamma` is out of range, or `gamma * rowsum >= 1`;
        `rational` and a number is not near a fraction with a denominator up to 10**6, or a row does not sum to one.

    Source
    ------
    Puterman (1994), sections 6.2 and 6.9 (optimality equations, linear programs), 4.4 (finite horizon), 7.1-7.3
    (total reward).

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.99)
    >>> proof = prove_optimal(mdp, [1], rational=True)
    >>> proof.optimal, proof.value, proof.action_gap, proof.unique
    (True, (Fraction(100, 1),), Fraction(1, 1), True)
    >>> prove_optimal(mdp, [0]).improving
    (0, 1)
    """
    start = time.perf_counter()
    if not isinstance(mdp, MDP):
        raise ValueError(f"mdp is a {type(mdp).__name__}; prove_optimal takes an MDP")
    if gamma is not None:
        try:
            gamma = Fraction(gamma)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"gamma is {gamma!r}; expected a number in [0, 1]") from None
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma is {gamma}; expected a number in [0, 1]")
    pi = _checked_policy(mdp, policy)
    undiscounted = mdp.horizon is None and (gamma if gamma is not None else mdp.gamma) == 1
    model = exact_model(mdp, gamma, rational=rational, normalise=undiscounted)
    if mdp.horizon is not None:
        found = _over_horizon(mdp, model, pi)
    else:
        found = _stationary(mdp, model, pi, undiscounted)
    return OptimalityProof(**{"speaks_about": model.speaks_about, **found}, seconds=time.perf_counter() - start)


def _checked_policy(mdp: MDP, policy: Any) -> np.ndarray:
    pi = np.asarray(policy)
    shapes = [(mdp.S,)] if mdp.horizon is None else [(mdp.horizon, mdp.S), (mdp.S,)]
    if not np.issubdtype(pi.dtype, np.integer) or pi.shape not in shapes:
        raise ValueError(
            f"policy has shape {pi.shape} and dtype {pi.dtype}; expected integers of shape {shapes[0]}: "
            "optimality is proved for deterministic policies only"
        )
    for index in np.ndindex(pi.shape):
        if not (0 <= pi[index] < mdp.A and mdp.actions[index[-1], pi[index]]):
            raise ValueError(f"policy{list(index)} is {pi[index]}, which is not available in state {index[-1]}")
    return pi


class _Verdict:
    """Collects advantages: the best one, ties, and the least loss of an action not chosen."""

    def __init__(self, mdp: MDP) -> None:
        self.terminal = mdp.terminal
        self.best, self.improving, self.stage = number(0), None, None
        self.gap: Any = None
        self.ties: list[tuple[int, int]] = []
        self.undecided: tuple[int, int, Any] | None = None

    def see(self, s: int, a: int, advantage: Any, radius: Any, stage: int | None = None) -> None:
        """An advantage within `radius`, of an action that the policy does not choose."""
        if advantage - radius > self.best:
            self.best, self.improving, self.stage = advantage - radius, (s, a), stage
        elif radius > 0 and not advantage + radius <= 0 and self.undecided is None:
            self.undecided = (s, a, radius)
        elif not self.terminal[s]:
            if advantage == 0 and radius == 0:
                self.ties.append((s, a))
            loss = -advantage - radius
            self.gap = loss if self.gap is None or loss < self.gap else self.gap

    def result(self, value: tuple, arithmetic: str, reason: str = "") -> dict[str, Any]:
        """The fields of the proof; `reason` is why non-positive advantages are not enough."""
        out = {"action_gap": None, "improving": self.improving, "value": value, "unique": None}
        out |= {"arithmetic": arithmetic, "stage": self.stage}
        if self.improving is not None:
            return out | {"optimal": False}
        if self.undecided is not None:
            s, a, radius = self.undecided
            reason = f"cannot decide, tie within radius {float(fraction(radius)):.2g} at state {s}, action {a}"
        if reason:
            return out | {"optimal": None, "reason": reason}
        gap = None if self.gap is None else fraction(self.gap)
        # An enclosure that only shows "not better" leaves uniqueness open.
        unique = False if self.ties else True if gap is None or gap > 0 else None
        return out | {"optimal": True, "action_gap": gap, "unique": unique}


def _over_horizon(mdp: MDP, model: ExactModel, pi: np.ndarray) -> dict[str, Any]:
    """Backward evaluation, exactly."""
    H = mdp.horizon
    stages = [[number(0)] * mdp.S]
    verdict = _Verdict(mdp)
    for t in range(H - 1, -1, -1):
        chosen = pi if pi.ndim == 1 else pi[t]
        q = [{a: row.reward + model.gamma * row.ahead(stages[0]) for a, row in rows.items()} for rows in model.rows]
        stages.insert(0, [q[s][int(chosen[s])] for s in range(mdp.S)])
        for s, a, _ in _others(model, chosen):
            verdict.see(s, a, q[s][a] - stages[0][s], number(0), t)
    return verdict.result(tuple(tuple(fraction(x) for x in stage) for stage in stages), "rational")


def _stationary(mdp: MDP, model: ExactModel, pi: np.ndarray, undiscounted: bool) -> dict[str, Any]:
    own = [model.rows[s][int(pi[s])] for s in range(mdp.S)]
    still: set[int] = set()
    if undiscounted:
        still = _still(own)
        stuck = _cannot_reach(own, still)
        if stuck:
            reason = (
                f"the policy has no finite value: from state {min(stuck)} it never terminates, at rewards other than 0"
            )
            return _Verdict(mdp).result((), "rational", reason)
    else:
        _require_discount(model)
    free = [s for s in range(mdp.S) if s not in still]
    flint_here = backend.flint is not None
    if len(free) > _DIRECT[flint_here]:
        found = _by_enclosure(mdp, model, pi, own, free, undiscounted)
        if found["optimal"] is not None or len(free) > _TIES[flint_here] or "tie" not in found["reason"]:
            return found
    matrix = [{s: number(1)} for s in free]
    for k, s in enumerate(free):
        for j, p in zip(own[s].columns, own[s].probabilities):
            if j not in still:
                matrix[k][j] = matrix[k].get(j, number(0)) - model.gamma * p
    place = {s: k for k, s in enumerate(free)}
    solved = _solve([{place[j]: x for j, x in row.items()} for row in matrix], [own[s].reward for s in free])
    V = [solved[place[s]] if s in place else number(0) for s in range(mdp.S)]
    verdict, none = _Verdict(mdp), number(0)
    for s, a, row in _others(model, pi):
        verdict.see(s, a, row.reward + model.gamma * row.ahead(V) - V[s], none)
    reason = _lacking(mdp, model, min(V)) if undiscounted else ""
    if undiscounted:
        verdict.ties = _worth_the_same(model, own, V, verdict.ties)
    return verdict.result(tuple(fraction(x) for x in V), "rational", reason)


def _others(model: ExactModel, pi: np.ndarray) -> list[tuple[int, int, Any]]:
    """(state, action, row) of the actions that the policy does not choose."""
    return [(s, a, row) for s, rows in enumerate(model.rows) for a, row in rows.items() if a != pi[s]]


def _require_discount(model: ExactModel) -> None:
    for s, rows in enumerate(model.rows):
        for a, row in rows.items():
            if not model.gamma * sum(row.probabilities, number(0)) < 1:
                raise ValueError(f"gamma times the sum of P[{s}, {a}] is not below 1: no discounted value exists")


def _still(own: list) -> set[int]:
    """The largest set of states which the policy never leaves and in which it earns 0."""
    still = {s for s, row in enumerate(own) if row.reward == 0}
    while True:
        leaving = {s for s in still if any(j not in still for j in own[s].columns)}
        if not leaving:
            return still
        still -= leaving


def _cannot_reach(own: list, goal: set[int]) -> set[int]:
    """States from which the policy's chain has no way into `goal`."""
    before: list[list[int]] = [[] for _ in own]
    for s, row in enumerate(own):
        for j in row.columns:
            before[j].append(s)
    reached, front = set(goal), list(goal)
    while front:
        for s in before[front.pop()]:
            if s not in reached:
                reached.add(s)
                front.append(s)
    return set(range(len(own))) - reached


def _worth_the_same(model: ExactModel, own: list, V: list, ties: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first action without advantage that keeps the policy's value V: undiscounted, others may wait for ever."""
    for s, a in ties:
        switched = [*own[:s], model.rows[s][a], *own[s + 1 :]]
        still = _still(switched)
        if all(V[j] == 0 for j in still) and not _cannot_reach(switched, still):
            return [(s, a)]
    return []


def _lacking(mdp: MDP, model: ExactModel, least: Any) -> str:
    """Why non-positive advantages do not prove optimality without a discount; empty if they do."""
    if least >= 0:
        return ""
    live = [s for s in range(mdp.S) if not mdp.terminal[s]]
    if all(row.reward < 0 for s in live for row in model.rows[s].values()):
        return ""
    # Every policy terminates unless some set of live states has, in each, an action that stays inside.
    staying = set(live)
    while True:
        leaving = {
            s for s in staying if all(any(j not in staying for j in row.columns) for row in model.rows[s].values())
        }
        if not leaving:
            break
        staying -= leaving
    if not staying:
        return ""
    return (
        f"no action improves on the policy, but its value is negative somewhere and a policy that never terminates "
        f"(staying around state {min(staying)}) may be worth more"
    )


def _by_enclosure(
    mdp: MDP, model: ExactModel, pi: np.ndarray, own: list, free: list[int], undiscounted: bool
) -> dict[str, Any]:
    """Floats from LAPACK, judged and refined in rational arithmetic."""
    if len(free) > _LARGEST:
        reason = f"{len(free)} unknowns are more than the {_LARGEST} for which optimality is proved; use check"
        return _Verdict(mdp).result((), "enclosure", reason)
    place = {s: k for k, s in enumerate(free)}
    g = float(fraction(model.gamma))
    matrix = np.eye(len(free))
    for k, s in enumerate(free):
        for j, p in zip(own[s].columns, own[s].probabilities):
            if j in place:
                matrix[k, place[j]] -= g * float(fraction(p))

    def spread(x: np.ndarray, start: list | None = None) -> list:
        out = [number(0)] * mdp.S if start is None else list(start)
        for s, y in zip(free, x.tolist()):
            out[s] = out[s] + number(y)
        return out

    try:
        w = spread(np.linalg.solve(matrix, np.full(len(free), 1.001)))
    except np.linalg.LinAlgError:
        w = [number(0)] * mdp.S
    if not all(w[s] > 0 and w[s] - model.gamma * own[s].ahead(w) >= 1 for s in free):
        reason = "cannot bound the inverse of 1 - gamma P_pi in floats: the policy stays too long"
        return _Verdict(mdp).result((), "enclosure", reason)
    v: list = [number(0)] * mdp.S
    residual = [own[s].reward for s in free]
    for _ in range(_REFINEMENTS):
        correction = np.linalg.solve(matrix, np.array([float(fraction(x)) for x in residual]))
        v = spread(correction, v)
        residual = [own[s].reward + model.gamma * own[s].ahead(v) - v[s] for s in free]
        worst = max((abs(x) for x in residual), default=number(0))
        verdict = _Verdict(mdp)
        for s, a, row in _others(model, pi):
            if row == own[s]:
                verdict.see(s, a, number(0), number(0))
                continue
            radius = worst * (model.gamma * row.ahead(w) + w[s])
            verdict.see(s, a, row.reward + model.gamma * row.ahead(v) - v[s], radius)
        if verdict.improving is not None or verdict.undecided is None:
            break
    bounds = tuple((fraction(x - y * worst), fraction(x + y * worst)) for x, y in zip(v, w))
    reason = _lacking(mdp, model, min(x - y * worst for x, y in zip(v, w))) if undiscounted else ""
    if undiscounted:
        verdict.ties = _worth_the_same(model, own, v, verdict.ties)
    return verdict.result(bounds, "enclosure", reason)


def _solve(rows: list[dict[int, Any]], right: list[Any]) -> list[Any]:
    """The solution of a non-singular sparse system, exactly."""
    n = len(rows)
    if n == 0:
        return []
    if backend.flint is not None:
        entries = [row.get(j, 0) for row in rows for j in range(n)]
        answer = backend.flint.fmpq_mat(n, n, entries).solve(backend.flint.fmpq_mat(n, 1, right))
        return [answer[k, 0] for k in range(n)]
    rows, right = [dict(row) for row in rows], list(right)
    for k in range(n):
        pivot = min((i for i in range(k, n) if rows[i].get(k)), key=lambda i: len(rows[i]))
        rows[k], rows[pivot], right[k], right[pivot] = rows[pivot], rows[k], right[pivot], right[k]
        for i in range(n):
            if i != k and rows[i].get(k):
                factor = rows[i].pop(k) / rows[k][k]
                for j, x in rows[k].items():
                    if j > k:
                        rows[i][j] = rows[i].get(j, 0) - factor * x
                right[i] -= factor * right[k]
    return [right[k] / rows[k][k] for k in range(n)]
