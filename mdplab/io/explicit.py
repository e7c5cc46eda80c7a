"""What PRISM's and Storm's explicit files have in common: transitions, labels, and named state and choice rewards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from mdplab.io.files import build, fail
from mdplab.models import MDP

# Larger models than this many dense entries are kept sparse.
_DENSE_ENTRIES = 1 << 20
_ROW_SUM_TOLERANCE = 1e-8


@dataclass(slots=True)
class Rewards:
    """One reward structure: earned in a state, for a choice, and along transitions ((k, 3) of s, a, t, and values)."""

    state: np.ndarray
    choice: dict[tuple[int, int], float] = field(default_factory=dict)
    transition: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(slots=True)
class Explicit:
    """A file's model: integer arrays of equal length, one entry a transition, and the line of each for errors."""

    path: Path
    S: int
    source: np.ndarray
    choice: np.ndarray
    target: np.ndarray
    prob: np.ndarray
    line_of: Callable[[int], int]
    labels: dict[str, list[int]]
    rewards: dict[str, Rewards]
    names: list[str] | None = None

    def keys(self, triples: np.ndarray) -> np.ndarray:
        """One integer for each row (s, a, t), in the order of rows and columns of the transition matrix."""
        A = int(self.choice.max(initial=0)) + 1
        return (triples[:, 0] * A + triples[:, 1]) * self.S + triples[:, 2]

    def num_choices(self) -> int:
        """How many pairs of a state and a choice have a transition."""
        return np.unique(self.source * (int(self.choice.max(initial=0)) + 1) + self.choice).size


def number(path: Path, line: int, text: str, what: str) -> float:
    """A finite decimal or a fraction such as 1/3."""
    try:
        value = float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        hint = "; interval and parametric models are not read" if text[:1] in "[$" or text[:1].isalpha() else ""
        fail(path, line, f"{what} is {text[:40]!r}, expected a number{hint}")
    if not np.isfinite(value):
        fail(path, line, f"{what} is {text[:40]!r}, expected a finite number")
    return value


def index(path: Path, line: int, text: str, what: str, size: int | None = None) -> int:
    """A non-negative integer, below `size` if that is given."""
    if not text.isascii() or not text.isdigit():
        fail(path, line, f"{what} is {text[:40]!r}, expected an integer of at least 0")
    value = int(text)
    if size is not None and value >= size:
        fail(path, line, f"{what} is {value}; the file has {size}, numbered 0..{size - 1}")
    return value


def explicit_mdp(
    model: Explicit,
    *,
    gamma: float | None = None,
    horizon: int | None = None,
    goal: str | None = None,
    rewards: str | None = None,
    minimise: bool = False,
) -> MDP:
    """The decision process of an explicit file.

    A state's reward is earned by every decision taken in it. `gamma` is 1 by default, as in PRISM and Storm.

    Parameters
    ----------
    goal : str, optional
        A label: its states become terminal (they stay, with reward 0), so that values are the expected reward until
        the label is reached. Where PRISM and Storm call that infinite, because a policy may miss the label, ours is
        the plain sum of rewards.
    rewards : str, optional
        Which reward structure; the file's only one by default. "reach", or a file without rewards, asks for the
        probability to reach `goal`: reward 1 on entering it. Values are probabilities outside the goal and 0 in it;
        states from which it cannot be reached are made terminal, which leaves their value of 0 as it is.
    minimise : bool
        Negate the rewards: they are costs, and the least expected cost is minus the value.

    Raises
    ------
    ValueError
        With file and line: rows that do not sum to 1, choices numbered with gaps, a state without a choice, an
        unknown label or reward structure (with those there are).
    """
    source, choice, target, prob = model.source, model.choice, model.target, model.prob
    S, A = model.S, int(choice.max(initial=0)) + 1
    _check_rows(model, source, choice, prob, A)
    actions = np.zeros((S, A), dtype=bool)
    actions[source, choice] = True
    rows = source * A + choice
    order = np.lexsort((target, rows))
    rows, target, prob = rows[order], target[order], prob[order]
    twice = np.flatnonzero((rows[1:] == rows[:-1]) & (target[1:] == target[:-1]))
    if twice.size:
        second = int(order[twice[0] + 1])
        message = f"a second transition from state {model.source[second]}, choice {model.choice[second]} to "
        fail(model.path, model.line_of(second), f"{message}state {model.target[second]}")
    entry, by_next = np.zeros(prob.size), False
    r = np.zeros((S, A))
    reach = (rewards == "reach" and "reach" not in model.rewards) or (rewards is None and not model.rewards)
    end = _goal(model, goal, reach)
    if reach:
        r = np.bincount(rows, prob * end[target], S * A).reshape(S, A)
        end = end | ~_can_reach(S, rows // A, target, end)
    else:
        r, entry, by_next = _reward_of(model, rewards, rows, target, prob, A)
    if minimise:
        r, entry = -r, -entry
    # Final states keep one transition, to themselves, for each of their choices.
    stays = end[rows // A]
    first = np.flatnonzero(stays & np.r_[True, rows[1:] != rows[:-1]])
    keep = ~stays
    keep[first] = True
    target, prob, entry = target.copy(), prob.copy(), entry.copy()
    target[first], prob[first], entry[first] = rows[first] // A, 1.0, 0.0
    r[end] = 0.0
    # Stored zeros would make a transition that cannot happen.
    keep &= prob > 0
    rows, target, prob, entry = rows[keep], target[keep], prob[keep], entry[keep]
    P = sp.csr_array((prob, (rows, target)), shape=(S * A, S))
    R = sp.csr_array((entry, (rows, target)), shape=(S * A, S)) if by_next else r
    if S * A * S <= _DENSE_ENTRIES:
        P = P.toarray().reshape(S, A, S)
        R = R.toarray().reshape(S, A, S) if by_next else R
    initial = model.labels.get("init", [])
    mu = None
    if initial:
        mu = np.zeros(S)
        mu[initial] = 1 / len(initial)
    try:
        return build(
            model.path,
            lambda message: None,
            P=P,
            r=R,
            gamma=1.0 if gamma is None else gamma,
            horizon=horizon,
            mu=mu,
            actions=actions,
            states=model.names,
        )
    except ValueError as error:
        if "gamma is 1 without" not in str(error):
            raise
        message = "no state of the file is terminal; give gamma below 1, a horizon, or goal=LABEL, with a label of "
        fail(model.path, None, message + (", ".join(model.labels) or "(the file has none)"))


def _check_rows(model: Explicit, source: np.ndarray, choice: np.ndarray, prob: np.ndarray, A: int) -> None:
    """Every state has choices 0..k-1, and the probabilities of each sum to 1."""
    S = model.S
    sums = np.bincount(source * A + choice, prob, S * A).reshape(S, A)
    seen = np.zeros((S, A), dtype=bool)
    seen[source, choice] = True
    for s in np.flatnonzero(~seen[:, 0]):
        which = "no transition" if not seen[s].any() else f"no choice 0, but choice {int(np.argmax(seen[s]))}"
        line = model.line_of(int(np.argmax(source == s))) if seen[s].any() else None
        fail(model.path, line, f"state {s} has {which}; every state needs choices 0, 1, ..., if only to stay")
    gap = seen[:, 1:] & ~seen[:, :-1]
    if gap.any():
        s, a = (int(i) for i in np.argwhere(gap)[0])
        line = model.line_of(int(np.argmax((source == s) & (choice == a + 1))))
        fail(model.path, line, f"state {s} has choice {a + 1} but no choice {a}; choices are numbered without gaps")
    negative = np.flatnonzero(prob < 0)
    if negative.size:
        i = int(negative[0])
        fail(model.path, model.line_of(i), f"probability is {prob[i]:g}, expected at least 0")
    bad = np.argwhere(seen & (np.abs(sums - 1) > _ROW_SUM_TOLERANCE))
    if bad.size:
        s, a = (int(i) for i in bad[0])
        line = model.line_of(int(np.flatnonzero((source == s) & (choice == a))[-1]))
        fail(model.path, line, f"the probabilities of state {s}, choice {a} sum to {sums[s, a]:.12g}, not 1")


def _goal(model: Explicit, goal: str | None, reach: bool) -> np.ndarray:
    """Mask (S,) of the goal states."""
    end = np.zeros(model.S, dtype=bool)
    if goal is None:
        if reach:
            there = ", ".join(model.labels) or "none"
            fail(
                model.path,
                None,
                f"no reward structure, so goal=LABEL is needed to ask for a probability; labels: {there}",
            )
        return end
    if goal not in model.labels:
        fail(model.path, None, f"unknown label {goal!r}; the file has {', '.join(model.labels) or 'none'}")
    end[model.labels[goal]] = True
    return end


def _can_reach(S: int, source: np.ndarray, target: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mask (S,) of the states from which some policy reaches the goal."""
    backward = sp.csr_array((np.ones(source.size), (target, source)), shape=(S, S))
    reached, front = end.copy(), end
    while front.any():
        front = ((front.astype(np.float64) @ backward) > 0) & ~reached
        reached |= front
    return reached


def _reward_of(
    model: Explicit, name: str | None, rows: np.ndarray, target: np.ndarray, prob: np.ndarray, A: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Mean rewards (S, A), rewards by transition in the order of `rows`, and whether these vary within a choice."""
    there = ", ".join(map(repr, model.rewards)) or "none"
    if name is None:
        if len(model.rewards) > 1:
            fail(model.path, None, f"several reward structures; choose one by rewards=NAME of {there}")
        name = next(iter(model.rewards))
    if name not in model.rewards:
        fail(model.path, None, f"unknown reward structure {name!r}; the file has {there}")
    chosen = model.rewards[name]
    r = np.repeat(chosen.state[:, None], A, axis=1)
    for (s, a), value in chosen.choice.items():
        r[s, a] += value
    entry = np.zeros(prob.size)
    if chosen.transition is not None:
        triples, values = chosen.transition
        # Transitions are sorted by row and column here, so their keys are too.
        entry[np.searchsorted(rows * model.S + target, model.keys(triples))] = values
    same = entry[1:] == entry[:-1]
    by_next = not bool(same[rows[1:] == rows[:-1]].all())
    # A reward that is the same along all transitions of a choice is that number, not a rounded mean of it.
    first = np.r_[True, rows[1:] != rows[:-1]]
    r.reshape(-1)[rows[first]] += entry[first] if not by_next else 0.0
    if by_next:
        entry = entry + r.reshape(-1)[rows]
        r = np.bincount(rows, prob * entry, r.size).reshape(r.shape)
    return r, entry, by_next
