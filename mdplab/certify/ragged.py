"""What the kinds about laws and stocks read: arrays of ragged blocks, policies as weights, outcomes of a model."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import fsum, inf, nextafter
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import finite
from mdplab.certify.report import Refused
from mdplab.models import MDP, Outcomes, StockMDP


def pointers(name: str, value: Any, count: int, size: int) -> np.ndarray:
    """`count + 1` integers from 0 to `size` that do not decrease."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (count + 1,):
        raise Refused(f"{name} has shape {array.shape} and dtype {array.dtype}, expected {(count + 1,)} integers")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != size or (np.diff(array) < 0).any():
        raise Refused(f"{name} does not rise from 0 to {size}")
    return array


def flat(name: str, data: Any) -> np.ndarray:
    """A finite array of one axis of the certificate."""
    if data.get(name) is None:
        raise Refused(f"the certificate has no {name!r}")
    return finite(name, data[name], (np.size(data[name]),))


def segments(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The indices `starts[i], ..., starts[i] + counts[i] - 1` of all i in a row."""
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)


def weights_of(policy: np.ndarray, num_actions: int) -> np.ndarray:
    """A policy `(..., S)` of actions or `(..., S, A)` of weights as weights."""
    if np.issubdtype(policy.dtype, np.integer):
        return (policy[..., None] == np.arange(num_actions)).astype(np.float64)
    return policy


def upward(x: Fraction) -> float:
    """The least float, or nearly, that is at least x."""
    out = float(x)
    return out if Fraction(out) >= x else nextafter(out, inf)


@dataclass(frozen=True, eq=False, slots=True)
class OutcomeRows:
    """Outcomes of the available actions, with the sums of their rows.

    Attributes
    ----------
    outcomes : Outcomes
    sums : array (S * A,)
        Sums of the rows, rounded once; 0 where there are none.
    most : int
        Largest number of outcomes of a row.
    """

    mdp: MDP
    outcomes: Outcomes
    sums: np.ndarray
    most: int

    @classmethod
    def of(cls, problem: MDP | StockMDP) -> "OutcomeRows":
        """Those of a problem; every available action has some."""
        mdp = problem.mdp if isinstance(problem, StockMDP) else problem
        outcomes = problem.outcomes if isinstance(problem, StockMDP) else Outcomes.of(mdp)
        counts = np.diff(outcomes.indptr)
        if (counts[mdp.actions.ravel()] == 0).any():
            raise Refused("an available action has no outcomes")
        prob, ptr = outcomes.prob.tolist(), outcomes.indptr.tolist()
        sums = np.array([fsum(prob[i:j]) for i, j in pairwise(ptr)])
        return cls(mdp, outcomes, sums, int(counts.max(initial=1)))

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the outcomes of some rows, and how many each has."""
        counts = np.diff(self.outcomes.indptr)[rows]
        return segments(self.outcomes.indptr[rows], counts), counts

    def exact_row(self, row: int) -> tuple[list[int], list[Any], list[Any]]:
        """Next states, rewards and probabilities of a row, divided by their sum, as exact rationals."""
        part = slice(*self.outcomes.indptr[row : row + 2].tolist())
        prob = rational.numbers(self.outcomes.prob[part])
        total = sum(prob, rational.number(0))
        to = self.outcomes.next_state[part].tolist()
        return to, rational.numbers(self.outcomes.reward[part]), [p / total for p in prob]
