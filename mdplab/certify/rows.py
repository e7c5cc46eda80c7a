"""Inequalities between rows of a model and vectors, decided in floating point with a proved error bound.

Every certificate reduces to statements about one row `(s, a)`, with entries `p(j)` and sum `sigma`,

    e(s, a) = c(s, a) + gamma sum_j p(j) x(j) - y(s)              rows as stored, or
    e(s, a) = c(s, a) + sum_j (p(j) / sigma) (x(j) - x(s))        rows read as probabilities,

namely `e >= 0` or `e <= 0` on some rows, or on averages over a policy's actions.

Proof of soundness. With `u = 2^-53` and no underflow, each operation on floats returns `(exact)(1 + d)`, `|d| <= u`.
A sum of n products in which each term passes through at most k roundings is off by at most `gamma_k sum |terms|`,
`gamma_k = k u / (1 - k u)` (Higham 2002, section 3.1). Dense rows are summed by halving, so k is one more than the
binary logarithm of S; sparse rows in an order that NumPy chooses, so k is the number of entries. Every later
operation adds `u` times the magnitude of its own result. Radii are sums of these non-negative terms, themselves
computed with at most `2 k + 32` roundings, hence enlarged by the factor `1 + (4 k + 64) u`. Underflow adds at most
`2^-1074` an operation: in rows of magnitude at least `2^-900` that is less than the added `2^-80` of the magnitude;
rows of smaller magnitude are undecided unless all their terms are exactly zero. Overflow gives an infinite radius,
which decides nothing. So `e - radius >= 0` proves `e >= 0`; nothing here can accept a false inequality.

Work goes in blocks of rows: no copy of the model is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import fsum

import numpy as np

from mdplab.certify.report import Refused
from mdplab.models import MDP

UNIT = 2.0**-53
# Entries handled at once: a few temporaries of 2 MiB, which caches hold.
BLOCK = 1 << 18
_SAFE, _TINY = 2.0**-900, 2.0**-80

Terms = list[tuple[float, np.ndarray]]


def rounding(k: np.ndarray | float) -> np.ndarray | float:
    """gamma_k, the relative error of k roundings."""
    return k * UNIT / (1 - k * UNIT)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows: `data` is `(k, S)` with `columns` None, or the concatenated entries of sparse rows."""

    data: np.ndarray
    columns: np.ndarray | None
    counts: np.ndarray | None

    @property
    def roundings(self) -> np.ndarray | float:
        """Roundings that a product passes through on its way into its row's sum."""
        if self.columns is None:
            return 1.0 + (self.data.shape[1] - 1).bit_length()
        return self.counts.astype(np.float64)

    def sum(self, entries: np.ndarray) -> np.ndarray:
        """Row sums of `entries`, which are overwritten."""
        if self.columns is not None:
            out = np.zeros(len(self.counts))
            filled = self.counts > 0
            starts = np.cumsum(self.counts) - self.counts
            if filled.any():
                # Rows without entries have no length, so the next filled row starts where the last one ends.
                out[filled] = np.add.reduceat(entries, starts[filled])
            return out
        n = entries.shape[1]
        while n > 1:
            half = (n + 1) // 2
            entries[:, : n - half] += entries[:, half:n]
            n = half
        return entries[:, 0].copy()

    def times(self, x: np.ndarray, minus: np.ndarray | None = None) -> np.ndarray:
        """`p(j) x(j)`, or `p(j) (x(j) - minus)` with a number a row, entry by entry."""
        if self.columns is None:
            return self.data * (x if minus is None else x[None, :] - minus[:, None])
        at = x[self.columns]
        return self.data * (at if minus is None else at - np.repeat(minus, self.counts))

    def moves(self, x: np.ndarray, here: np.ndarray) -> np.ndarray:
        """1 at the entries with `p(j) > 0` and `x(j)` other than the row's own `here`, else 0."""
        at, here = (
            (x[None, :], here[:, None]) if self.columns is None else (x[self.columns], np.repeat(here, self.counts))
        )
        return ((self.data > 0) & (at != here)).astype(np.float64)


class FloatRows:
    """The rows of a model, with arithmetic that knows its own error."""

    level = "float"

    def __init__(self, mdp: MDP) -> None:
        self.mdp, self.S, self.A = mdp, mdp.S, mdp.A
        self._P = mdp.P if mdp.is_sparse else mdp.P.reshape(-1, mdp.S)

    def require_contraction(self, gamma: float) -> Fraction:
        """Every available row has `p >= 0` and `gamma sigma < 1`; returns an upper bound below 1 of `gamma sigma`."""
        worst = 0.0
        for states, _, rows in self._blocks(self.mdp.actions):
            block = self._pick(rows)
            if block.data.size and not block.data.min() >= 0:
                raise Refused(f"P has a negative entry in states {states.start} to {states.stop - 1}")
            sums = block.sum(block.data.copy())
            top = gamma * sums * (1 + rounding(block.roundings) * 2) * (1 + 8 * UNIT)
            if not top.max(initial=0.0) < 1:
                s, a = divmod(int(np.argmax(top)), self.A)
                raise Refused(
                    f"gamma * rowsum < 1 not shown at state {states.start + s}, action {a}: "
                    f"at most {top.max():.17g}, rounding included"
                )
            worst = max(worst, float(top.max(initial=0.0)))
        return Fraction(worst)

    def require(
        self,
        claim: str,
        sign: int,
        x: np.ndarray,
        terms: Terms,
        at: np.ndarray,
        *,
        gamma: float | None = None,
        target: np.ndarray | None = None,
    ) -> None:
        """`sign * e >= 0` at the rows `at`; Refused names the first that fails.

        Parameters
        ----------
        claim
            The inequality in words.
        x
            `(S,)`.
        terms
            `c` as a sum of number times array, broadcastable to `(S, A)`.
        at
            bool `(S, A)` rows; or int `(S,)` a row a state, -1 for none; or float `(S, A)`: averages of `e` with these
            weights.
        gamma
            None reads rows as probabilities.
        target
            `y`, `x` by default.
        """
        y = x if target is None else target
        for states, pairs, rows in self._blocks(at):
            with np.errstate(over="ignore", invalid="ignore"):
                e, radius = self._excess(x, y, terms, pairs, rows, gamma)
                if at.dtype == bool:
                    bad = ~_shown(sign * e, radius) & at[states].ravel()
                elif at.ndim == 1:
                    bad = ~_shown(sign * e, radius)
                else:
                    weights = at[states]
                    e = np.where(weights > 0, weights * e.reshape(weights.shape), 0.0)
                    radius = np.where(weights > 0, radius.reshape(weights.shape), 0.0)
                    # A product that underflows loses far less than this.
                    dust = np.where(radius.any(axis=1), _SAFE, 0.0)
                    radius = (weights * radius).sum(axis=1) + dust
                    # A product, at most A - 1 sums, and the radius's own roundings.
                    radius = (radius + rounding(self.A + 1) * np.abs(e).sum(axis=1)) * (1 + (4 * self.A + 64) * UNIT)
                    e = e.sum(axis=1)
                    bad = ~_shown(sign * e, radius) & (weights > 0).any(axis=1)
            if bad.any():
                k = int(np.argmax(bad))
                raise Refused(_refusal(claim, *self._name(at, states, rows, k), sign * e[k], radius[k]))

    def excesses(self, x: np.ndarray, terms: Terms, gamma: float) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """(states, `e`, bound of its error), both `(k, A)`, of successive blocks of states; rows as stored, `y = x`."""
        for states, pairs, rows in self._blocks(self.mdp.actions):
            e, radius = self._excess(x, x, terms, pairs, rows, gamma)
            yield states, e.reshape(-1, self.A), radius.reshape(-1, self.A)

    def pairing(self, x: np.ndarray, f: np.ndarray) -> tuple[Fraction, Fraction]:
        """Bounds of `sum x f`. Products are rounded once, or underflow; `fsum` rounds once."""
        products = np.ravel(x * f)
        total = fsum(products)
        slip = 2 * UNIT * (fsum(np.abs(products)) + abs(total)) + len(products) * 2.0**-1070
        return Fraction(total) - Fraction(slip), Fraction(total) + Fraction(slip)

    def flow_defect(self, x: np.ndarray, mu: np.ndarray, gamma: float) -> Fraction:
        """An upper bound of `sum_s |sum_a x(s, a) - gamma sum_{s', a'} x(s', a') P(s | s', a') - mu(s)|`, `x >= 0`."""
        inflow, count, blocks = np.zeros(self.S), np.zeros(self.S), 0
        for _, _, rows in self._blocks(self.mdp.actions):
            block, weight = self._pick(rows), x.ravel()[rows]
            if block.columns is None:
                inflow += weight @ block.data
                count += np.count_nonzero(block.data, axis=0)
            else:
                inflow += np.bincount(block.columns, block.data * np.repeat(weight, block.counts), self.S)
                count += np.bincount(block.columns, minlength=self.S)
            blocks += 1
        out, back = x.sum(axis=1), gamma * inflow
        rest = out - back
        xi = rest - mu
        # Adding zeros is exact, so that a term of a column is rounded as often as the column has entries.
        error = rounding(self.A) * out + rounding(count + blocks + 1) * back
        error = (error + UNIT * (back + np.abs(rest) + np.abs(xi))) * (1 + (4 * count.max() + 4 * blocks + 64) * UNIT)
        underflow = (count.sum() + 8 * self.S) * 2.0**-1070
        return Fraction((fsum(np.abs(xi) + error) + underflow) * (1 + 8 * UNIT))

    def _excess(
        self, x: np.ndarray, y: np.ndarray, terms: Terms, pairs: tuple, rows: slice | np.ndarray, gamma: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`e` of some rows and a bound of its error, both `(k,)`."""
        block = self._pick(rows)
        here = np.broadcast_to(y[:, None], (self.S, self.A))[pairs].ravel()
        c, error, size = self._constant(terms, pairs)
        k = block.roundings
        if gamma is not None:
            entries = block.times(x)
            magnitude = None if _one_sign(x) else block.sum(np.abs(entries))
            total = block.sum(entries)
            magnitude = np.abs(total) if magnitude is None else magnitude
            back = gamma * total
            before = c + back
            e = before - here
            error = error + gamma * magnitude * rounding(k) + UNIT * (np.abs(back) + np.abs(before) + np.abs(e))
            size = size + gamma * magnitude + np.abs(here)
            touched = block.sum(block.times((x != 0).astype(np.float64))) if (size == 0).any() else None
        else:
            entries = block.times(x, minus=here)
            magnitude = block.sum(np.abs(entries))
            total = block.sum(entries)
            sigma = block.sum(block.data.copy())
            mean = np.divide(total, sigma, out=np.zeros_like(total), where=sigma > 0)
            spread = np.divide(magnitude, sigma, out=np.zeros_like(total), where=sigma > 0)
            e = c + mean
            # Differences add one rounding to `total`; sigma has one less, and the division another two at most.
            error = error + spread * rounding(k + 1) + np.abs(mean) * rounding(k + 2) + UNIT * np.abs(e)
            size = size + spread
            touched = block.sum(block.moves(x, here)) if (size == 0).any() else None
        radius = error * (1 + (4 * k + 64) * UNIT) + size * _TINY
        radius = np.where((size < _SAFE) & (size > 0), np.inf, radius)
        if touched is not None:
            radius = np.where((size == 0) & (touched > 0), np.inf, radius)
        return e, np.where(np.isfinite(size), radius, np.inf)

    def _constant(self, terms: Terms, pairs: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`c`, a bound of its error and its magnitude, by running error analysis."""
        total = error = size = None
        for factor, array in terms:
            term = np.broadcast_to(array, (self.S, self.A))[pairs].ravel()
            product = factor * term
            slip, magnitude = np.zeros(len(term)), np.abs(product)
            if factor not in (0.0, 1.0, -1.0):
                # A product that underflows to 0 must still be seen to be there.
                slip, magnitude = UNIT * magnitude, magnitude + 2.0**-1074 * (term != 0)
            if total is None:
                total, error, size = product, slip, magnitude
            else:
                total = total + product
                error, size = error + slip + UNIT * np.abs(total), size + magnitude
        return total, error, size

    def _blocks(self, at: np.ndarray) -> Iterator[tuple[slice, tuple, slice | np.ndarray]]:
        """(states, index into (S, A) arrays, rows) of successive blocks."""
        A = self.A
        per_state = 1 if at.ndim == 1 else A
        mean = self._P.nnz / (self.S * A) if self.mdp.is_sparse else self.S
        step = max(1, int(BLOCK / max(1.0, per_state * mean)))
        for start in range(0, self.S, step):
            states = slice(start, min(start + step, self.S))
            if at.ndim == 1:
                chosen = at[states]
                s = np.arange(states.start, states.stop)[chosen >= 0]
                a = chosen[chosen >= 0]
                if len(s):
                    yield states, (s, a), s * A + a
            else:
                yield states, (states,), slice(states.start * A, states.stop * A)

    def _pick(self, rows: slice | np.ndarray) -> _Block:
        P = self._P
        if not self.mdp.is_sparse:
            return _Block(P[rows], None, None)
        if isinstance(rows, slice):
            ptr = P.indptr[rows.start : rows.stop + 1].astype(np.int64)
            entries: slice | np.ndarray = slice(int(ptr[0]), int(ptr[-1]))
            counts = np.diff(ptr)
        else:
            first = P.indptr[rows].astype(np.int64)
            counts = P.indptr[rows + 1].astype(np.int64) - first
            skip = np.cumsum(counts) - counts
            entries = np.repeat(first - skip, counts) + np.arange(int(counts.sum()))
        return _Block(P.data[entries], P.indices[entries], counts)

    def _name(self, at: np.ndarray, states: slice, rows: slice | np.ndarray, k: int) -> tuple[int, int | None]:
        if at.dtype == bool:
            return states.start + k // self.A, k % self.A
        if at.ndim == 1:
            return int(rows[k]) // self.A, int(rows[k]) % self.A
        return states.start + k, None


def _shown(e: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Where `e >= 0` is proved; an overflow may leave both infinite."""
    return (e >= radius) & (radius < np.inf)


def _one_sign(x: np.ndarray) -> bool:
    return bool(x.min() >= 0 or x.max() <= 0)


def _refusal(claim: str, s: int, a: int | None, slack: float, radius: float) -> str:
    where = f"state {s}" + ("" if a is None else f", action {a}")
    text = f"{claim} fails at {where}: slack {slack:.6g}, rounding radius {radius:.3g}"
    if abs(slack) <= radius:
        text += " (undecided in floats; level='exact' decides)"
    return text
