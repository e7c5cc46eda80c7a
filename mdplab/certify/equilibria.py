"""The exact equilibrium that an approximate one stands for: supports read off, systems solved in rational arithmetic.

A vertex x of the optimal strategies of the first player of a zero-sum game with payoffs A is determined by its support
and by the columns at which x . A attains its least value v: `(x . A)_j = v` there, `sum x = 1`. Rows of this system are
taken in the order of the slack that the floats show, if independent of those before. The solution proves itself,
whatever the floats were: if x >= 0, y >= 0 sum to one and `min(x . A) = max(A y)`, exactly, then (x, y) is an
equilibrium and that number the value. So a wrong guess of the support can only leave the question undecided.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify.rational import fraction, number
from mdplab.certify.reading import LARGEST_DENOMINATOR, simplest_fraction
from mdplab.models import MatrixGame, PreferenceGame, Solution

# Probabilities below this are taken for zeros of the vertex.
_SUPPORT = 1e-9


@dataclass(frozen=True, slots=True)
class EquilibriumProof:
    """An equilibrium in exact arithmetic.

    Parameters
    ----------
    policy
        The first player's strategy, fractions that sum to one; a tuple of such tuples, one a context, for a
        `PreferenceGame` with contexts. Empty if none was found.
    column
        The second player's; for a preference game the same as `policy`.
    value
        The game's value: a fraction a context.
    speaks_about
        Which numbers the proof is about.
    reason
        Why the support of the answer gives no equilibrium; empty if it does. The proof is truthy exactly then.
    """

    policy: tuple
    column: tuple
    value: tuple
    speaks_about: str
    reason: str = ""

    def __bool__(self) -> bool:
        return not self.reason


def prove_equilibrium(
    game: PreferenceGame | MatrixGame, solution: Solution, *, rational: bool = False
) -> EquilibriumProof:
    """The exact equilibrium with the supports of an approximate one, proved in rational arithmetic.

    Parameters
    ----------
    game
        A preference game, or a zero-sum `MatrixGame`.
    solution
        `policy`, and for a `MatrixGame` `extras["column"]`: a vertex of the optimal strategies up to rounding, such as
        `nash_equilibrium` returns.
    rational
        Read every stored float as the simplest fraction within four units in its last place, 0.9 as 9/10, and not as
        the number that it is.

    Returns
    -------
    EquilibriumProof

    Raises
    ------
    ValueError
        Another kind of game, a general-sum one, or strategies of wrong shape or not finite; `rational` and a number is
        not near a fraction with a denominator up to 10**6.

    Examples
    --------
    >>> from mdplab.models import Certificate
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
    >>> near = Solution([0.5], [0.3, 0.3, 0.4], Certificate("exploitability", 1e-9), "by hand", 0, 0.0)
    >>> [str(p) for p in prove_equilibrium(game, near, rational=True).policy]
    ['3/10', '3/10', '2/5']
    """
    if not isinstance(game, PreferenceGame | MatrixGame):
        raise ValueError(f"game is a {type(game).__name__}; expected a PreferenceGame or a MatrixGame")
    about = "every float as the simplest fraction near it" if rational else "the stored floats"
    if isinstance(game, MatrixGame):
        if not game.is_zero_sum:
            raise ValueError("game is general-sum (B is not -A); a zero-sum game has a value")
        x = _floats("policy", solution.policy, game.A.shape[:1])
        y = _floats("column", solution.extras.get("column"), game.A.shape[1:])
        A = _exact("A", game.A, rational)
        second = _minus_transposed(A)
        exact_x, exact_y = _vertex(A, game.A, x), _vertex(second, -game.A.T, y)
        if exact_x is None or exact_y is None:
            reason = f"the support of the {'policy' if exact_x is None else 'column'} is no vertex's"
            return EquilibriumProof((), (), (), about, reason)
        low, high = _least(A, exact_x), -_least(second, exact_y)
        if low != high:
            reason = f"these supports guarantee {float(fraction(low))!r} and concede {float(fraction(high))!r}"
            return EquilibriumProof((), (), (), about, reason)
        return EquilibriumProof(_fractions(exact_x), _fractions(exact_y), (fraction(low),), about)
    policies, games = _floats("policy", solution.policy, game.mu.shape), game.P.reshape(-1, game.n, game.n)
    found = []
    for context, (P, p) in enumerate(zip(games, policies.reshape(-1, game.n))):
        exact = _exact("P", P, rational)
        K = [[(exact[y][z] - exact[z][y]) / 2 for z in range(game.n)] for y in range(game.n)]
        strategy = _vertex(K, 0.5 * (P - P.T), p)
        # The value of a skew game is 0, and whoever guarantees it plays an equilibrium strategy.
        if strategy is None or _least(K, strategy) < 0:
            where = f" in context {context}" if game.P.ndim == 3 else ""
            return EquilibriumProof((), (), (), about, f"the support of the policy{where} is no equilibrium's")
        found.append(_fractions(strategy))
    policy = tuple(found) if game.P.ndim == 3 else found[0]
    return EquilibriumProof(policy, policy, (Fraction(1, 2),) * game.m, about)


def _exact(name: str, matrix: np.ndarray, rational: bool) -> list[list[Any]]:
    """A matrix of floats as rationals of the backend."""
    if not rational:
        return [[number(a) for a in row] for row in matrix.tolist()]
    out = [[simplest_fraction(a) for a in row] for row in matrix.tolist()]
    for i, row in enumerate(out):
        for j, a in enumerate(row):
            if a.denominator > LARGEST_DENOMINATOR:
                raise ValueError(f"{name}[{i}, {j}] is {matrix[i, j]!r}, near no fraction of denominator up to 10**6")
    return [[number(a) for a in row] for row in out]


def _vertex(A: list[list[Any]], floats: np.ndarray, x: np.ndarray) -> list[Any] | None:
    """The rational strategy, at least 0, with the support of x that equalises the columns where x . A is least."""
    support = np.flatnonzero(x > _SUPPORT).tolist()
    tight = np.argsort(x @ floats, kind="stable")
    one, zero = number(1), number(0)
    # Unknowns: x on its support, and v. The sum first, then the columns by their slack.
    rows = [[one] * len(support) + [zero, one]]
    rows += [[A[i][j] for i in support] + [-one, zero] for j in tight.tolist()]
    solved = _first_independent(rows, len(support) + 1)
    if solved is None or min(solved[:-1], default=-one) < 0:
        return None
    out = [zero] * len(A)
    for i, weight in zip(support, solved):
        out[i] = weight
    return out


def _first_independent(rows: list[list[Any]], unknowns: int) -> list[Any] | None:
    """Solution of the first `unknowns` independent equations among rows (coefficients, right-hand side), or None."""
    reduced: dict[int, list[Any]] = {}
    for row in rows:
        row = list(row)
        for pivot, done in reduced.items():
            if row[pivot] != 0:
                factor = row[pivot]
                row = [a - factor * b for a, b in zip(row, done)]
        pivot = next((j for j in range(unknowns) if row[j] != 0), None)
        if pivot is None:
            continue
        head = row[pivot]
        row = [a / head for a in row]
        for other, done in reduced.items():
            if done[pivot] != 0:
                factor = done[pivot]
                reduced[other] = [a - factor * b for a, b in zip(done, row)]
        reduced[pivot] = row
        if len(reduced) == unknowns:
            return [reduced[j][-1] for j in range(unknowns)]
    return None


def _least(A: list[list[Any]], x: list[Any]) -> Any:
    """min_j (x . A)_j, exactly."""
    used = [(w, row) for w, row in zip(x, A) if w != 0]
    return min(sum((w * row[j] for w, row in used), number(0)) for j in range(len(A[0])))


def _minus_transposed(A: list[list[Any]]) -> list[list[Any]]:
    return [[-row[j] for row in A] for j in range(len(A[0]))]


def _fractions(x: list[Any]) -> tuple[Fraction, ...]:
    return tuple(fraction(w) for w in x)


def _floats(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    if values is None or np.shape(values) != shape:
        raise ValueError(f"{name} has shape {None if values is None else np.shape(values)}, expected {shape}")
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has an entry that is not finite")
    return array
