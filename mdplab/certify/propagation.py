"""The law of the return of a given policy from a given start, forwards, with everything that is lost accounted for.

Atoms are triples of state, memory of the policy and money `y_t = sum_{i<t} gamma^i r_i`, with a mass each. A step
plays the policy, adds `gamma^t r` and joins atoms of one state and memory that lie in one bin of some width:

near
    The mean of a bin stands for its atoms. `shift` grows by the largest distance moved.
contract
    The same, for a policy that does not look at the money: a mean-preserving contraction in law. What follows, adding
    an independent return and mixing, preserves the convex order, so `E u(law) >= E u(true law)` for concave u.
cells
    If the player has them, whatever the mode: cells instead of bins, from some step on. The policy is one that knows
    of its money no more than the cell it lies in, and acts as at the mean of the cell. State and cell are then all it
    has of the past, the mean is the conditional expectation of the money given them, and what follows does not depend
    on the money otherwise: a contraction again, and `shift` grows by rounding alone.
spread
    The atoms of a bin are moved to its two ends, keeping each atom's mean: the other way round.

Bins hold what differs by `2^-44` of the money until there are more atoms than `cap`; then they get some width. An
infinite horizon is cut as soon as what remains, `gamma^t` times half the spread of all returns, is below `cut`: it goes
to `shift`.

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

_FINE = 2.0**-44
_LEAST_MASS = 2.0**-900
# Steps of a discounted problem, and of one without a discount, whose policy may never terminate.
_MAX_STEPS, _MAX_UNDISCOUNTED = 1_000_000, 2_000
Acts = Callable[[int, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False, slots=True)
class KnownLaw:
    """Atoms (n,), increasing, masses (n,), and how well they are known: see the module."""

    x: np.ndarray
    p: np.ndarray
    shift: float
    slip: float
    lost: float = 0.0
    reach: float = 0.0


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

    `row(t, state, memory, money) -> (n,)`, `remember(t, memory, reward, money) -> (n,)` for the moves made;
    `cells(t, money) -> (n,)`, used before decisions `t >= cells_from`.
    """

    moves: Callable[[int], Moves]
    row: Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    remember: Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    first_memory: int = 0
    cells: Callable[[int, np.ndarray], np.ndarray] | None = None
    cells_from: int = 0


def propagate(
    rows: OutcomeRows, start: np.ndarray, player: Player, *, horizon: int | None, mode: str, cap: int, cut: float
) -> KnownLaw:
    """The law of the return from `start` (S,) under a player; see the module for `mode`, `cap` and `cut`."""
    mdp = rows.mdp
    gamma, least, most = mdp.gamma, *_returns(rows)
    state = np.flatnonzero(start > 0)
    mass = start[state] / start.sum()
    money, memory = np.zeros(len(state)), np.full(len(state), player.first_memory, dtype=np.int64)
    shift, slip, power, width, lost = 0.0, (len(start) + 4) * UNIT, 1.0, 0.0, 0.0
    done_x, done_p = [], []
    limit = _MAX_STEPS if gamma < 1 or horizon is not None else _MAX_UNDISCOUNTED
    for t in range(limit):
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
        # What underflows later is lost here.
        kept = mass > _LEAST_MASS
        if not kept.all():
            lost += len(mass) * 2 * _LEAST_MASS
            state, memory, money, mass = state[kept], memory[kept], money[kept], mass[kept]
        if player.cells is not None and t + 1 >= player.cells_from:
            cell = player.cells(t + 1, money)
            state, memory, money, mass, moved, joined = _in_cells(state, memory, cell, money, mass, slip)
        else:
            found = _joined(state, memory, money, mass, mode, cap, width, slip)
            state, memory, money, mass, moved, joined, width = found
        shift, slip, power = shift + moved, slip + joined * UNIT, power * gamma
    else:
        raise Refused(f"the policy has not terminated after {limit} steps")
    x, p = np.concatenate([*done_x, money]), np.concatenate([*done_p, mass])
    order = np.argsort(x, kind="stable")
    # No return is further out than all the rewards that were possible.
    reach = max(abs(least), abs(most)) if gamma < 1 else (t + 1) * float(np.abs(rows.outcomes.reward).max())
    slip = float(np.expm1(slip * (1 + 1e-9))) if slip < 1 else np.inf
    return KnownLaw(x[order], p[order], shift * (1 + 1e-9), slip, lost, reach * (1 + 1e-9) + shift)


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
    """Atoms joined, how far means moved, how many atoms a bin had at most, and the width of bins (0: equal ones)."""
    # Pairs of state and memory by number, without sorting.
    radix = int(memory.max()) + 1
    key = state * radix + memory
    seen = np.bincount(key) > 0
    group, pairs = (np.cumsum(seen) - 1)[key], np.stack(np.divmod(np.flatnonzero(seen), radix))
    if width == 0:
        order = np.lexsort((money, group))
        fine = _FINE * (1 + float(np.abs(money).max()))
        ends = (np.diff(group[order]) != 0) | (np.diff(money[order]) > fine)
        first = np.flatnonzero(np.append(True, ends))
        if len(first) <= cap:
            return *_equal_joined(pairs, group[order], money[order], mass[order], first, slip), 0.0
    low, high = float(money.min()), float(money.max())
    # A power of two, so that ends of bins are exact.
    width = max(width, 2.0 ** np.ceil(np.log2((high - low) * pairs.shape[1] / cap)))
    bins = np.floor(money / width).astype(np.int64)
    base, count = int(bins.min()), int(bins.max()) - int(bins.min()) + 2
    place, size = group * count + (bins - base), pairs.shape[1] * count
    left = bins * width
    most = int(np.bincount(place).max())
    if mode == "spread":
        right = (money - left) / width
        total = np.bincount(place, mass * (((left + width) - money) / width), size)
        total += np.bincount(place + 1, mass * right, size)
        held = np.flatnonzero(total > 0)
        at = ((held % count) + base) * width
        moved, most = 0.0, 2 * most + 6
    else:
        total = np.bincount(place, mass, size)
        held = np.flatnonzero(total > 0)
        offset = np.bincount(place, mass * (money - left), size)[held] / total[held]
        at = ((held % count) + base) * width + np.minimum(offset, width)
        moved = width * ((mode == "near") + 2 * slip + 4 * (most + 4) * UNIT)
    return *pairs[:, held // count], at, total[held], moved, most, width


def _in_cells(
    state: np.ndarray, memory: np.ndarray, cell: np.ndarray, money: np.ndarray, mass: np.ndarray, slip: float
) -> tuple:
    """Atoms of one state, memory and cell at their means, how far rounding moved those, and the most of a cell."""
    order = np.lexsort((cell, memory, state))
    state, memory, cell, money, mass = state[order], memory[order], cell[order], money[order], mass[order]
    new = (np.diff(state) != 0) | (np.diff(memory) != 0) | (np.diff(cell) != 0)
    first = np.flatnonzero(np.append(True, new))
    counts = np.diff(np.append(first, len(money)))
    low, high = np.minimum.reduceat(money, first), np.maximum.reduceat(money, first)
    total = np.add.reduceat(mass, first)
    offset = np.add.reduceat(mass * (money - np.repeat(low, counts)), first) / total
    most = int(counts.max())
    moved = float((high - low).max()) * (2 * slip + 4 * (most + 4) * UNIT)
    return state[first], memory[first], np.minimum(low + offset, high), total, moved, most


def _equal_joined(
    pairs: np.ndarray, group: np.ndarray, money: np.ndarray, mass: np.ndarray, first: np.ndarray, slip: float
) -> tuple:
    """Runs of sorted atoms that differ by rounding only, at their means."""
    counts = np.diff(np.append(first, len(money)))
    low, high = money[first], money[np.append(first[1:], len(money)) - 1]
    total = np.add.reduceat(mass, first)
    offset = np.add.reduceat(mass * (money - np.repeat(low, counts)), first) / total
    # Every atom moves by less than its run is long: so does the law, in either direction.
    moved = float((high - low).max()) * (1 + 2 * slip)
    return *pairs[:, group[first]], np.minimum(low + offset, high), total, moved, int(counts.max())
