"""The law of the return of a given policy from a given start, forwards, with everything that is lost accounted for.

Atoms are triples of state, memory of the policy and money `y_t = sum_{i<t} gamma^i r_i`, with a mass each. A step
plays the policy, adds `gamma^t r` and joins atoms of one state and memory that lie in one bin of some width:

near
    The mean of a bin stands for its atoms. `shift` grows by the largest distance moved.
contract
    The same, for a policy that does not look at the money: a mean-preserving contraction in law. What follows, adding
    an independent return and mixing, preserves the convex order, so `E u(law) >= E u(true law)` for concave u.
spread
    The atoms of a bin are moved to its two outermost ones, keeping each atom's mean: the other way round.

Bins are as narrow as `2^-40` of the money until there are more atoms than `cap`; then they widen. An infinite horizon
is cut as soon as what remains, `gamma^t` times half the spread of all returns, is below `cut`: it goes to `shift`.

Result: a law whose atoms are within `shift` of those of a law L, with masses within a factor `1 +- slip` of L's,
where L is the law of the return (near), or one that is smaller or larger in the convex order.

Rounding. A step computes money within `(t + 4) u |gamma^t r| + 2 u |y|` and, in bins, within `8 u |y|` of what is
meant: in `shift`. Masses are products and sums of positive numbers; a step passes each through at most `A + 16`
roundings and as many as a bin has atoms: in `slip`, relative to each mass. Means of bins are taken with masses that
are known within the factor `1 +- slip`, which moves them by at most `2 slip` times the bin's width: in `shift`. A
product that underflows is dropped; masses below `2^-900` are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.certify.ragged import OutcomeRows, segments
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT

_FINE = 2.0**-40
_MAX_STEPS = 1_000_000
Acts = Callable[[int, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False, slots=True)
class KnownLaw:
    """Atoms (n,), increasing, masses (n,), and how well they are known: see the module."""

    x: np.ndarray
    p: np.ndarray
    shift: float
    slip: float


@dataclass(frozen=True, eq=False, slots=True)
class Moves:
    """What may be played: ragged rows of (next state, reward, probability), summing to one nearly."""

    indptr: np.ndarray
    to: np.ndarray
    reward: np.ndarray
    prob: np.ndarray

    @classmethod
    def of_rows(cls, rows: OutcomeRows) -> "Moves":
        """A row for each state and action."""
        out = rows.outcomes
        sums = np.where(rows.sums > 0, rows.sums, 1.0)
        return cls(out.indptr, out.next_state, out.reward, out.prob / np.repeat(sums, np.diff(out.indptr)))

    @classmethod
    def of_policy(cls, rows: OutcomeRows, weights: np.ndarray) -> "Moves":
        """A row for each state, actions mixed by `weights` (S, A)."""
        share = weights / weights.sum(axis=1, keepdims=True)
        used = np.flatnonzero(share.ravel() > 0)
        at, counts = rows.entries(used)
        base = cls.of_rows(rows)
        sizes = np.bincount(used // weights.shape[1], counts, minlength=len(weights)).astype(np.int64)
        indptr = np.append(0, np.cumsum(sizes))
        prob = base.prob[at] * np.repeat(share.ravel()[used], counts)
        return cls(indptr, base.to[at], base.reward[at], prob)


@dataclass(frozen=True, eq=False, slots=True)
class Player:
    """A policy: the row of `moves(t)` that an atom plays, and the memory that it has afterwards.

    `row(t, state, memory, money) -> (n,)`, `remember(t, memory, reward, money) -> (n,)` for the moves made.
    """

    moves: Callable[[int], Moves]
    row: Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    remember: Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    first_memory: int = 0


def propagate(
    rows: OutcomeRows, start: np.ndarray, player: Player, *, horizon: int | None, mode: str, cap: int, cut: float
) -> KnownLaw:
    """The law of the return from `start` (S,) under a player; see the module for `mode`, `cap` and `cut`."""
    mdp = rows.mdp
    gamma, least, most = mdp.gamma, *_returns(rows)
    state = np.flatnonzero(start > 0)
    mass = start[state] / start.sum()
    money, memory = np.zeros(len(state)), np.full(len(state), player.first_memory, dtype=np.int64)
    shift, slip, power, width = 0.0, (len(start) + 4) * UNIT, 1.0, 0.0
    done_x, done_p = [], []
    for t in range(_MAX_STEPS):
        over = mdp.terminal[state]
        done_x.append(money[over])
        done_p.append(mass[over])
        state, memory, money, mass = state[~over], memory[~over], money[~over], mass[~over]
        if t == horizon or not len(state):
            break
        if horizon is None and gamma < 1 and power * (most - least) / 2 <= cut:
            money = money + power * (least + most) / 2
            shift += power * (most - least) / 2 * (1 + (t + 16) * UNIT)
            break
        row, moves = player.row(t, state, memory, money), player.moves(t)
        counts = np.diff(moves.indptr)[row]
        at = segments(moves.indptr[row], counts)
        reward, mass = moves.reward[at], np.repeat(mass, counts) * moves.prob[at]
        money = np.repeat(money, counts) + power * reward
        memory = player.remember(t, np.repeat(memory, counts), reward, money)
        state = moves.to[at]
        far = float(np.abs(money).max())
        shift += UNIT * ((t + 4) * power * float(np.abs(reward).max()) + 10 * far) + 2.0**-1000
        slip += (mdp.A + 16) * UNIT
        state, memory, money, mass, moved, most_joined, width = _joined(
            state, memory, money, mass, mode, cap, max(width, _FINE * (1 + far)), slip
        )
        shift, slip, power = shift + moved, slip + most_joined * UNIT, power * gamma
        if not mass.min(initial=1.0) > 2.0**-900:
            raise Refused("masses of a return law are beyond the range of floats")
    else:
        raise Refused(f"the policy has not terminated after {_MAX_STEPS} steps")
    x, p = np.concatenate([*done_x, money]), np.concatenate([*done_p, mass])
    order = np.argsort(x, kind="stable")
    return KnownLaw(x[order], p[order], shift * (1 + 1e-9), np.expm1(slip * (1 + 1e-9)) if slip < 1 else np.inf)


def _returns(rows: OutcomeRows) -> tuple[float, float]:
    """Bounds of all discounted returns; anything if gamma is 1."""
    mdp, out = rows.mdp, rows.outcomes
    used = out.reward[mdp.actions.ravel()[out.row_of()]]
    low, high = min(float(used.min()), 0.0), max(float(used.max()), 0.0)
    scale = (1 + 16 * UNIT) / (1 - mdp.gamma) if mdp.gamma < 1 else 1.0
    return low * scale, high * scale


def _joined(
    state: np.ndarray,
    memory: np.ndarray,
    money: np.ndarray,
    mass: np.ndarray,
    mode: str,
    cap: int,
    width: float,
    slip: float,
) -> tuple:
    """Atoms joined, how far means moved, how many atoms a bin had at most, and the width of bins."""
    order = np.lexsort((money, memory, state))
    state, memory, money, mass = state[order], memory[order], money[order], mass[order]
    apart = np.append(True, (np.diff(state) != 0) | (np.diff(memory) != 0))
    while True:
        bins = np.floor(money / width)
        first = np.flatnonzero(apart | np.append(True, np.diff(bins) != 0))
        if len(first) * (2 if mode == "spread" else 1) <= cap or len(first) <= 2 * apart.sum():
            break
        width *= 2
    counts = np.diff(np.append(first, len(money)))
    if counts.max() == 1:
        return state, memory, money, mass, 0.0, 1, width
    low, high = money[first], money[np.append(first[1:], len(money)) - 1]
    total = np.add.reduceat(mass, first)
    joined = float(counts.max())
    wide = float((high - low).max())
    if mode != "spread":
        offset = np.add.reduceat(mass * (money - np.repeat(low, counts)), first) / total
        mean = np.minimum(low + offset, high)
        moved = float(np.maximum(mean - low, high - mean).max()) if mode == "near" else 0.0
        moved += wide * (2 * slip + 4 * (joined + 4) * UNIT)
        return state[first], memory[first], mean, total, moved, joined, width
    span = np.repeat(np.where(high > low, high - low, 1.0), counts)
    right = np.add.reduceat(mass * ((money - np.repeat(low, counts)) / span), first)
    left = np.add.reduceat(mass * ((np.repeat(high, counts) - money) / span), first)
    left = np.where(high > low, left, total)
    two = high > low
    kept = np.repeat(first, 1 + two)
    money = np.repeat(low, 1 + two)
    mass = np.repeat(left, 1 + two)
    last = np.cumsum(1 + two) - 1
    money[last[two]], mass[last[two]] = high[two], right[two]
    return state[kept], memory[kept], money, mass, 0.0, joined + 4, width
