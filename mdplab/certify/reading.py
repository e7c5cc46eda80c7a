"""A model as exact rational numbers: the stored floats themselves, or the fractions that they stand for."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify.rational import number, row_of
from mdplab.models import MDP

LARGEST_DENOMINATOR = 10**6
# A table's 2/3 is often 1/3 + 1/3 added up, which is not the float nearest to 2/3.
ULPS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """Transition probabilities and mean reward of one state and action, exactly."""

    columns: tuple[int, ...]
    probabilities: tuple[Any, ...]
    reward: Any

    def ahead(self, v: Any) -> Any:
        """`sum_j p(j) v(j)`."""
        return sum((p * v[j] for p, j in zip(self.probabilities, self.columns)), number(0))


@dataclass(frozen=True, slots=True)
class ExactModel:
    """All available rows, `rows[s][a]`, the discount, and in words what they are."""

    rows: tuple[dict[int, Row], ...]
    gamma: Any
    speaks_about: str


def simplest_fraction(x: float) -> Fraction:
    """The fraction of least denominator within four units in the last place of the float `x`.

    Below 1000 in magnitude at most one fraction with a denominator up to 10**6 is that near.

    Examples
    --------
    >>> simplest_fraction(1 / 3 + 1 / 3), simplest_fraction(0.99), simplest_fraction(-2.0)
    (Fraction(2, 3), Fraction(99, 100), Fraction(-2, 1))
    """
    exact = Fraction(abs(float(x)))
    if exact == 0:
        return exact
    reach = ULPS * Fraction(float(np.spacing(abs(x))))
    found = _simplest_between(max(exact - reach, exact / 2), exact + reach)
    return found if x > 0 else -found


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator in [low, high], 0 < low, by continued fractions."""
    whole = low.numerator // low.denominator
    if whole == low:
        return low
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / _simplest_between(1 / (high - whole), 1 / (low - whole))


def exact_model(mdp: MDP, gamma: Any, *, rational: bool, normalise: bool) -> ExactModel:
    """The model in rational numbers.

    Parameters
    ----------
    mdp
        The model; rewards by next state are read instead of their rounded means if `rational`.
    gamma
        The discount as a Fraction, or None for the model's own.
    rational
        Read each float as the simplest fraction near it.
    normalise
        Divide rows by their sums.

    Raises
    ------
    ValueError
        If `rational` and a number is not near a fraction with a denominator up to 10**6, or a row does not sum to one
        exactly.
    """
    if gamma is None:
        gamma = _simple("gamma", mdp.gamma) if rational else Fraction(mdp.gamma)
    rows: list[dict[int, Row]] = [{} for _ in range(mdp.S)]
    for s, a in np.argwhere(mdp.actions).tolist():
        columns, values = row_of(mdp, s, a)
        if rational:
            p = [_simple(f"P[{s}, {a}, {j}]", x) for j, x in zip(columns.tolist(), values.tolist())]
            if sum(p) != 1:
                raise ValueError(f"P[{s}, {a}] sums to {sum(p)} when read as fractions, not 1")
            reward = _simple_reward(mdp, s, a, columns, p)
        else:
            p, reward = [Fraction(x) for x in values.tolist()], Fraction(float(mdp.r[s, a]))
            if normalise:
                total = sum(p)
                p = [x / total for x in p]
        rows[s][a] = Row(tuple(columns.tolist()), tuple(number(x) for x in p), number(reward))
    about = "the stored floats"
    if rational:
        about = "the rational model (each float read as the simplest fraction within 4 ulp, denominators up to 10**6)"
    elif normalise:
        about += ", rows divided by their sums"
    return ExactModel(tuple(rows), number(gamma), f"{about}, gamma = {gamma}")


def _simple(name: str, x: float) -> Fraction:
    found = simplest_fraction(float(x))
    if found.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"{name} is {float(x)!r}, not within 4 ulp of a fraction with a denominator up to 10**6")
    return found


def _simple_reward(mdp: MDP, s: int, a: int, columns: np.ndarray, p: list[Fraction]) -> Fraction:
    if mdp.r_next is None:
        return _simple(f"r[{s}, {a}]", mdp.r[s, a])
    if mdp.is_sparse:
        start = int(mdp.P.indptr[s * mdp.A + a])
        by_next = mdp.r_next[start : start + len(columns)]
    else:
        by_next = mdp.r_next[s, a, columns]
    return sum((w * _simple(f"r[{s}, {a}, {j}]", x) for w, j, x in zip(p, columns, by_next)), Fraction(0))
