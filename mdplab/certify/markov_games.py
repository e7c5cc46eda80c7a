"""Certificates of zero-sum Markov games, from the game and the answer alone; no linear program is solved.

Kind `"markov-game"`: `policy` = x (S, A) and `column` = y (S, B) are strategies, whose rows sum to one within 1e-8 and
are read as divided by their sums; `lo`, `hi` (S,); `lo <= value <= hi`; the claimed gap is at least `max(hi - lo)`, to
the last bit. In every state

    sum_a x(a) (R(a, b) + gamma T(a, b) . lo - lo) >= 0 for every b,
    sum_b y(b) (R(a, b) + gamma T(a, b) . hi - hi) <= 0 for every a,

and `gamma sigma < 1` for the sum sigma of every row of T, rows as stored.

Proof of soundness. For fixed x the second player faces a Markov decision process whose actions are the columns b. Its
operator `T_x v = min_b sum_a x(a) (R + gamma T v)` is monotone and a contraction; the first line says `lo <= T_x lo`,
hence `lo <= T_x^n lo -> V^(x, best reply)`, which x guarantees against every strategy, history-dependent ones
included. Likewise `hi >= V^(best reply, y)`. As `V^(x, best reply) <= V* <= V^(best reply, y)`, the value is enclosed
and the duality gap of (x, y) at most `max(hi - lo)`. Each line is, for a fixed b (or a), an inequality between the rows
of an MDP averaged over a policy, and is decided by `rows` or `rational`.
"""

import time
from fractions import Fraction

import numpy as np

from mdplab.certify.case import POLICY_SUM, finite, first, spread
from mdplab.certify.rational import ExactRows
from mdplab.certify.report import CheckReport, Refused
from mdplab.certify.rows import FloatRows
from mdplab.models import MDP, MarkovGame, Solution

_KIND = "markov-game"


def check_markov_game(game: MarkovGame, solution: Solution, *, level: str = "float") -> CheckReport:
    """Whether `lo` and `hi` of an answer enclose what its strategies guarantee and concede.

    Parameters
    ----------
    game, solution
        Problem and answer; of the certificate only `kind`, `gap` and `data` are read.
    level
        "float", with a proved bound of its own rounding, or "exact", in rational arithmetic.

    Returns
    -------
    CheckReport
        `gap` is `max(hi - lo)`, rounded up; infinite if the certificate is refused.

    Raises
    ------
    ValueError
        Unknown `level`.

    Examples
    --------
    >>> from mdplab.models import Certificate
    >>> game = MarkovGame([[[1.0, -1.0], [-1.0, 1.0]]], np.ones((1, 2, 2, 1)), 0.5)
    >>> evidence = {"lo": np.array([-1e-9]), "hi": np.array([1e-9]), "column": np.array([[0.5, 0.5]])}
    >>> answer = Solution([0.0], [[0.5, 0.5]], Certificate("markov-game", 1e-8, {}, evidence), "by hand", 0, 0.0)
    >>> bool(check_markov_game(game, answer, level="exact"))
    True
    """
    if level not in ("float", "exact"):
        raise ValueError(f"level is {level!r}; expected 'float' or 'exact'")
    start = time.perf_counter()
    kind, gap, reason = str(solution.certificate.kind), float("inf"), ""
    try:
        if kind != _KIND:
            raise Refused(f"kind is {kind!r}; expected {_KIND!r}")
        # An overflow in floats leaves an infinite radius or raises; a warning would say nothing more.
        with np.errstate(over="ignore", invalid="ignore"):
            gap = _gap(game, solution, level)
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ValueError) as overflow:
        reason = f"a sum is beyond the range of floats: {overflow}"
    about = f"{game!r}, the stored floats, rows as stored"
    return CheckReport(not reason, kind, level, gap, reason, about, time.perf_counter() - start)


def _gap(game: MarkovGame, solution: Solution, level: str) -> float:
    """max(hi - lo), if every condition holds."""
    S, data = game.S, solution.certificate.data
    for name in ("lo", "hi", "column"):
        if data.get(name) is None:
            raise Refused(f"the certificate has no {name!r}")
    x, y = _strategy("policy", solution.policy, (S, game.A)), _strategy("column", data["column"], (S, game.B))
    lo, hi = finite("lo", data["lo"], (S,)), finite("hi", data["hi"], (S,))
    value = finite("value", solution.value, (S,))
    for name, bad in (("value < lo", value < lo), ("value > hi", value > hi)):
        if bad.any():
            at = first(bad)
            raise Refused(f"{name} at {at}: value {value[at]:.17g}, lo {lo[at]:.17g}, hi {hi[at]:.17g}")
    rows = FloatRows if level == "float" else ExactRows
    for b in range(game.B):
        replies = rows(MDP(game.T[:, :, b], game.R[:, :, b], game.gamma))
        # These slices cover every row of T.
        replies.require_contraction(game.gamma)
        terms = [(1.0, game.R[:, :, b])]
        replies.require(f"lo <= T_x lo against column {b}", 1, lo, terms, x, gamma=game.gamma)
    for a in range(game.A):
        replies = rows(MDP(game.T[:, a], game.R[:, a], game.gamma))
        terms = [(1.0, game.R[:, a])]
        replies.require(f"T_y hi <= hi against row {a}", -1, hi, terms, y, gamma=game.gamma)
    claimed = solution.certificate.gap
    if isinstance(claimed, bool) or not isinstance(claimed, int | float | np.floating | Fraction):
        raise Refused(f"claimed gap is {claimed!r}, no number")
    derived = spread(hi, lo)
    if not derived <= claimed:
        raise Refused(f"claimed gap {float(claimed):.17g} is smaller than the derived {derived:.17g}")
    return derived


def _strategy(name: str, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    array = finite(name, values, shape)
    for why, bad in (("is negative", array < 0), ("is above 1", array > 1 + POLICY_SUM)):
        if bad.any():
            raise Refused(f"{name}{list(first(bad))} {why}: {array[first(bad)]:.17g}")
    bad = ~(np.abs(array.sum(axis=1) - 1) <= POLICY_SUM)
    if bad.any():
        raise Refused(f"{name}{list(first(bad))} sums to {array[first(bad)].sum():.17g}, not 1")
    return array
