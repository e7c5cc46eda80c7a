"""The same inequalities as in `rows`, decided in rational arithmetic: no rounding, no tolerance.

Proof of soundness. Every float is a dyadic rational; sums, products and comparisons of rationals are exact. Nothing
is shared with `rows` but the definition of `e(s, a)`. Numbers are `flint.fmpq` where python-flint is installed,
otherwise `fractions.Fraction`, chosen at each call.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify.report import Refused
from mdplab.models import MDP

try:
    import flint
except ImportError:
    flint = None


def number(x: Any) -> Any:
    """A float, int or Fraction as an exact rational of the backend."""
    if flint is None:
        return Fraction(x)
    top, bottom = x.as_integer_ratio() if not isinstance(x, np.generic) else x.item().as_integer_ratio()
    return flint.fmpq(top, bottom)


def numbers(xs: Iterable[Any]) -> list[Any]:
    """Exact rationals of a sequence."""
    values = xs.tolist() if isinstance(xs, np.ndarray) else xs
    return [number(x) for x in values]


def fraction(x: Any) -> Fraction:
    """A backend rational as a `Fraction`."""
    return x if isinstance(x, Fraction) else Fraction(int(x.p), int(x.q))


def row_of(mdp: MDP, s: int, a: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of the non-zero entries of row `(s, a)`."""
    if mdp.is_sparse:
        k = s * mdp.A + a
        part = slice(int(mdp.P.indptr[k]), int(mdp.P.indptr[k + 1]))
        return mdp.P.indices[part], mdp.P.data[part]
    row = mdp.P[s, a]
    columns = np.flatnonzero(row)
    return columns, row[columns]


class ExactRows:
    """The rows of a model in rational arithmetic; the methods mean what they mean in `FloatRows`."""

    level = "exact"

    def __init__(self, mdp: MDP) -> None:
        self.mdp, self.S, self.A = mdp, mdp.S, mdp.A

    def require_contraction(self, gamma: float) -> Fraction:
        """Every available row has `p >= 0` and `gamma sigma < 1`; returns the largest `gamma sigma`."""
        g, worst = number(gamma), number(0)
        for s, a in zip(*np.nonzero(self.mdp.actions)):
            _, values = row_of(self.mdp, s, a)
            if np.any(values < 0):
                raise Refused(f"P has a negative entry at state {s}, action {a}")
            top = g * sum(numbers(values), number(0))
            if not top < 1:
                raise Refused(f"gamma * rowsum < 1 fails at state {s}, action {a}: it is {float(fraction(top)):.17g}")
            worst = max(worst, top)
        return fraction(worst)

    def pairing(self, x: np.ndarray, f: np.ndarray) -> tuple[Fraction, Fraction]:
        """`sum x f`, twice."""
        total = fraction(sum((p * q for p, q in zip(numbers(x.ravel()), numbers(f.ravel()))), number(0)))
        return total, total

    def flow_defect(self, x: np.ndarray, mu: np.ndarray, gamma: float) -> Fraction:
        """`sum_s |sum_a x(s, a) - gamma sum_{s', a'} x(s', a') P(s | s', a') - mu(s)|`."""
        xi, g = [-m for m in numbers(mu)], number(gamma)
        for s, a in zip(*np.nonzero(x)):
            flow = number(x[s, a])
            xi[s] += flow
            columns, values = row_of(self.mdp, s, a)
            for j, p in zip(columns.tolist(), numbers(values)):
                xi[j] -= g * flow * p
        return fraction(sum((abs(y) for y in xi), number(0)))

    def require(
        self,
        claim: str,
        sign: int,
        x: np.ndarray,
        terms: list[tuple[float, np.ndarray]],
        at: np.ndarray,
        *,
        gamma: float | None = None,
        target: np.ndarray | None = None,
    ) -> None:
        """`sign * e >= 0` at the rows `at`; Refused names the first that fails. See `FloatRows.require`."""
        exact_x = numbers(x)
        exact_y = exact_x if target is None else numbers(target)
        constants = [(number(factor), np.broadcast_to(array, (self.S, self.A))) for factor, array in terms]
        for s in range(self.S):
            total = None
            for a, weight in _actions(at, s):
                e = weight * self.excess(exact_x, exact_y[s], constants, s, a, gamma)
                if at.ndim == 2 and at.dtype != bool:
                    total = e if total is None else total + e
                    continue
                if sign * e < 0:
                    raise Refused(_refusal(claim, s, a, sign * e))
            if total is not None and sign * total < 0:
                raise Refused(_refusal(claim, s, None, sign * total))

    def excess(self, x: list, here: Any, constants: list, s: int, a: int, gamma: float | None) -> Any:
        """`e(s, a)` with `y(s) = here`."""
        columns, values = row_of(self.mdp, s, a)
        p = numbers(values)
        e = sum((factor * number(array[s, a]) for factor, array in constants), number(0))
        if gamma is not None:
            return e + number(gamma) * sum((w * x[j] for w, j in zip(p, columns.tolist())), number(0)) - here
        mean = sum((w * (x[j] - x[s]) for w, j in zip(p, columns.tolist())), number(0))
        return e + mean / sum(p, number(0))


def _actions(at: np.ndarray, s: int) -> list[tuple[int, Any]]:
    """(action, weight) of the rows that `at` selects in state s."""
    if at.ndim == 1:
        return [(int(at[s]), number(1))] if at[s] >= 0 else []
    return [(int(a), number(1) if at.dtype == bool else number(at[s, a])) for a in np.flatnonzero(at[s])]


def _refusal(claim: str, s: int, a: int | None, slack: Any) -> str:
    where = f"state {s}" + ("" if a is None else f", action {a}")
    return f"{claim} fails at {where}: slack {float(fraction(slack)):.6g}, exactly"
