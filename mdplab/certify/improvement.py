"""Policy improvement in rational arithmetic: what a changed policy loses against the surrogate, without rounding.

Stored floats are read as exact rationals; the last positive entry of each policy row is replaced by one minus the
others, so that rows sum to one exactly. Numbers are `flint.fmpq`.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.models import MDP


@dataclass(frozen=True, slots=True)
class Improvement:
    """Exact quantities of a pair of policies.

    Parameters
    ----------
    loss : Fraction
        L(new) - J(new), with L the surrogate at pi of unnormalised occupancy.
    eps : Fraction
        Largest |advantage| of pi.
    occupancy : tuple of S Fractions
        Normalised occupancy of pi.
    total_variation, chi2 : tuples of S Fractions
        TV(pi(s), new(s)) and chi^2(pi(s) || new(s)) = sum (pi - new)^2 / new, an upper bound of KL(pi(s) || new(s)).
    """

    loss: Fraction
    eps: Fraction
    occupancy: tuple[Fraction, ...]
    total_variation: tuple[Fraction, ...]
    chi2: tuple[Fraction, ...]


def exact_improvement(mdp: MDP, pi: np.ndarray, new: np.ndarray) -> Improvement:
    """Loss against the surrogate and distances of two policies, exactly.

    Parameters
    ----------
    mdp
        Dense, discounted, with `mu`; small, since numerators grow with S^2.
    pi, new : arrays (S, A)
        Policies; `new` is positive wherever `pi` is.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0])
    >>> out = exact_improvement(mdp, np.array([[0.75, 0.25]]), np.array([[0.5, 0.5]]))
    >>> str(out.loss), str(out.eps), str(out.chi2[0])
    ('0', '3/4', '1/4')
    """
    from flint import fmpq, fmpq_mat

    def number(x: float) -> fmpq:
        return fmpq(*float(x).as_integer_ratio())

    def dot(left: list, right: list) -> fmpq:
        return sum((x * y for x, y in zip(left, right)), fmpq(0))

    def solve(policy: list, right: list, *, transposed: bool) -> list:
        entries = [
            int(s == t) - gamma * dot(policy[s], [P[s][a][t] for a in range(A)]) for s in range(S) for t in range(S)
        ]
        matrix = fmpq_mat(S, S, entries)
        out = (matrix.transpose() if transposed else matrix).solve(fmpq_mat(S, 1, right))
        return [out[s, 0] for s in range(S)]

    S, A, gamma = mdp.S, mdp.A, number(mdp.gamma)
    P = [[[number(x) for x in row] for row in rows] for rows in mdp.P]
    r, mu = [[number(x) for x in row] for row in mdp.r], [number(x) for x in mdp.mu]
    old, other = ([_closed([number(x) for x in row]) for row in policy] for policy in (pi, new))
    V, W = (solve(policy, [dot(*pair) for pair in zip(policy, r)], transposed=False) for policy in (old, other))
    D = solve(old, mu, transposed=True)
    advantage = [[r[s][a] + gamma * dot(P[s][a], V) - V[s] for a in range(A)] for s in range(S)]
    gain = dot(D, [dot(*pair) for pair in zip(other, advantage)])
    chi2 = [sum(((x - y) ** 2 / y for x, y in zip(*pair) if y != 0), fmpq(0)) for pair in zip(old, other)]
    tv = [sum((abs(x - y) for x, y in zip(*pair)), fmpq(0)) / 2 for pair in zip(old, other)]
    plain = lambda values: tuple(Fraction(int(x.p), int(x.q)) for x in values)  # noqa: E731
    loss, eps = plain([gain - dot(mu, W) + dot(mu, V), max(abs(x) for row in advantage for x in row)])
    return Improvement(loss, eps, plain([(1 - gamma) * d for d in D]), plain(tv), plain(chi2))


def _closed(row: list) -> list:
    """The row with its last positive entry replaced by one minus the others."""
    last = max(i for i, x in enumerate(row) if x > 0)
    return [x if i != last else 1 - (sum(row) - row[last]) for i, x in enumerate(row)]
