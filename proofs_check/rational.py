"""Small decision problems and small polytopes in rational arithmetic: what the EXACT_CASES lemmas enumerate.

Everything is a list of Fractions, and everything is found by enumeration or elimination: slow, short, and exact. Floats
are refused where they would enter.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise, product

Vector = list[Fraction]


def exact(x: object) -> Fraction:
    """A Fraction from an int, a Fraction or a string such as "1/3"; TypeError for a float.

    Examples
    --------
    >>> exact("1/3") + exact(1)
    Fraction(4, 3)
    """
    if isinstance(x, bool) or not isinstance(x, int | Fraction | str):
        raise TypeError(f"{x!r} of type {type(x).__name__} is not an exact number")
    return Fraction(x)


def dot(x: Sequence, y: Sequence) -> Fraction:
    """Inner product of two sequences of equal length.

    Examples
    --------
    >>> dot([1, 2], [Fraction(1, 2), 3])
    Fraction(13, 2)
    """
    return sum((exact(a) * exact(b) for a, b in zip(x, y, strict=True)), Fraction(0))


def linear_solve(A: Sequence[Sequence], b: Sequence) -> Vector | None:
    """The solution of A x = b, (m, n) with m >= n; None unless there is exactly one.

    Examples
    --------
    >>> linear_solve([[2, 1], [1, 1]], [3, 2])
    [Fraction(1, 1), Fraction(1, 1)]
    >>> linear_solve([[1, 1], [2, 2]], [1, 2]) is None
    True
    """
    n = len(A[0])
    rows = [[exact(x) for x in row] + [exact(y)] for row, y in zip(A, b, strict=True)]
    for k in range(n):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [x - row[k] * y for x, y in zip(row, rows[k], strict=True)]
    return None if any(row[n] for row in rows[n:]) else [row[n] for row in rows[:n]]


def policy_value(P: Sequence, r: Sequence, gamma: object, pi: Sequence) -> Vector:
    """V^pi of a discounted model; P[s][a][t] moves, r[s][a] rewards, pi[s][a] probabilities.

    Examples
    --------
    >>> policy_value([[[1]]], [[3]], Fraction(2, 3), [[1]])
    [Fraction(9, 1)]
    """
    g, states = exact(gamma), range(len(P))
    if any(sum(map(exact, row)) != 1 for rows in (pi, *P) for row in rows):
        raise ValueError("a row of P or pi does not sum to one")
    chain = [
        [sum((exact(w) * exact(row[t]) for w, row in zip(pi[s], P[s])), Fraction(0)) for t in states] for s in states
    ]
    system = [[Fraction(s == t) - g * chain[s][t] for t in states] for s in states]
    value = linear_solve(system, [dot(pi[s], r[s]) for s in states])
    if value is None:
        raise ValueError(f"gamma is {g}: I - gamma P is singular")
    return value


def q_value(P: Sequence, r: Sequence, gamma: object, v: Sequence) -> list[Vector]:
    """Q[s][a] = r + gamma P v.

    Examples
    --------
    >>> q_value([[[1], [1]]], [[3, 4]], Fraction(1, 2), [2])
    [[Fraction(4, 1), Fraction(5, 1)]]
    """
    g = exact(gamma)
    return [[exact(x) + g * dot(row, v) for x, row in zip(r[s], P[s], strict=True)] for s in range(len(P))]


def deterministic_policies(S: int, A: int) -> Iterator[list[Vector]]:
    """All A^S policies, as rows of zeros and a one.

    Examples
    --------
    >>> len(list(deterministic_policies(3, 2)))
    8
    """
    for choice in product(range(A), repeat=S):
        yield [[Fraction(a == chosen) for a in range(A)] for chosen in choice]


def distributions(n: int, denominator: int) -> Iterator[Vector]:
    """All distributions on n outcomes whose probabilities are multiples of 1 / denominator.

    Examples
    --------
    >>> len(list(distributions(3, 4)))
    15
    """
    for cuts in combinations(range(denominator + n - 1), n - 1):
        ends = [-1, *cuts, denominator + n - 1]
        yield [Fraction(high - low - 1, denominator) for low, high in pairwise(ends)]


def vertices(A: Sequence[Sequence], b: Sequence, E: Sequence[Sequence] = (), f: Sequence = ()) -> list[Vector]:
    """Vertices of {x : A x <= b, E x = f}: n of the constraints met with equality, the others satisfied.

    Examples
    --------
    >>> vertices([[-1, 0], [0, -1]], [0, 0], [[1, 2]], [2])
    [[Fraction(0, 1), Fraction(1, 1)], [Fraction(2, 1), Fraction(0, 1)]]
    """
    n, out = len((A or E)[0]), []
    for size in range(n + 1):
        for active in combinations(range(len(A)), size):
            system = [*E, *(A[i] for i in active)]
            x = linear_solve(system, [*f, *(b[i] for i in active)]) if len(system) >= n else None
            if x is not None and x not in out and all(dot(row, x) <= exact(y) for row, y in zip(A, b, strict=True)):
                out.append(x)
    return out


def linear_minimum(c: Sequence, A: Sequence[Sequence], b: Sequence, E: Sequence = (), f: Sequence = ()) -> Fraction:
    """min c.x over {x : A x <= b, E x = f}, which must be bounded: the least value at a vertex; ValueError if empty.

    Boundedness is the caller's to argue: a polytope that is not bounded may have a lower value than any vertex.

    Examples
    --------
    >>> linear_minimum([3, 1], [[-1, 0], [0, -1]], [0, 0], [[1, 1]], [1])
    Fraction(1, 1)
    """
    points = vertices(A, b, E, f)
    if not points:
        raise ValueError("no vertex: the polytope is empty")
    return min(dot(c, x) for x in points)
