r"""Zero-sum discounted Markov games: Shapley's value iteration, strategy iteration, and exploitability of strategies.

Shapley's operator replaces a value v in each state by the value of the matrix game `R + gamma T v` there. It is a
gamma-contraction in the largest norm, so that `|V_k+1 - V*| <= gamma / (1 - gamma) |V_k+1 - V_k|`.

Certificate, kind `"markov-game"`: `lo`, `hi` (S,) and the second player's strategy `column` (S, B), with
`lo <= sum_a x(a) (R(a, b) + gamma T(a, b) . lo)` for every b and `hi >= sum_b y(b) (R(a, b) + gamma T(a, b) . hi)` for
every a. Both operators are monotone contractions, hence `lo <= V^(x, best reply) <= V* <= V^(best reply, y) <= hi`.

Source: Shapley (1953), "Stochastic games"; Pollatschek and Avi-Itzhak (1969) for strategy iteration, which may cycle
(van der Wal 1978) and is safeguarded here.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.matrix_games import solve_matrix_games
from mdplab.exact.operator import UNIT, Bellman, freeze
from mdplab.exact.policy_iteration import improve, solve_policy
from mdplab.models import Certificate, MarkovGame, Solution, SolverFailure

_STRATEGY_SUM = 1e-8
# Backups without a better enclosure after which rounding has been reached.
_PATIENCE = 10
_MAX_POLICIES = 10_000


class Enclosure(NamedTuple):
    """lo <= V^(x, best reply) <= V* <= V^(best reply, y) <= hi, v between them."""

    v: np.ndarray
    x: np.ndarray
    y: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    gap: float


def shapley_operator(game: MarkovGame, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (S,) of the matrix games R + gamma T v, and optimal strategies (S, A) and (S, B) in them.

    Parameters
    ----------
    game
        Zero-sum.
    v
        (S,), the value from the next step on.

    Examples
    --------
    >>> game = MarkovGame([[[2.0, -1.0], [-1.0, 1.0]]], np.ones((1, 2, 2, 1)), 0.5)
    >>> shapley_operator(game, np.array([0.4]))[0].round(9).tolist()
    [0.4]
    """
    return solve_matrix_games(game.R + game.gamma * (game.T @ v))


def shapley_value_iteration(
    game: MarkovGame, *, tol: float = 1e-6, max_iters: int = 100_000, v0: np.ndarray | None = None
) -> Solution:
    """The value of a zero-sum Markov game by Shapley's value iteration.

    Parameters
    ----------
    game
        Zero-sum, discounted.
    tol
        Certified duality gap in every state, above 0.
    max_iters
        Most backups.
    v0
        (S,), where to start; 0 by default.

    Returns
    -------
    Solution
        `policy` (S, A), the first player's strategy; `extras["column"]` (S, B), the second's; certificate of kind
        `"markov-game"`; `num_iters` counts backups.

    Raises
    ------
    ValueError
        An argument is out of range.
    SolverFailure
        The certified gap misses `tol`.

    Source
    ------
    Shapley (1953). The enclosure is taken around the backup's value, shifted by the middle of its last change as by
    MacQueen (1966), and stops much earlier than Shapley's bound if the game mixes.

    Examples
    --------
    >>> game = MarkovGame([[[2.0, -1.0], [-1.0, 1.0]]], np.ones((1, 2, 2, 1)), 0.5)
    >>> shapley_value_iteration(game, tol=1e-9).value.round(8).tolist()
    [0.4]
    """
    return _iterate("shapley_value_iteration", _backups, game, tol, max_iters, v0)


def strategy_iteration(
    game: MarkovGame, *, tol: float = 1e-6, max_iters: int = 10_000, v0: np.ndarray | None = None
) -> Solution:
    """The value of a zero-sum Markov game by Pollatschek and Avi-Itzhak's strategy iteration, safeguarded.

    Parameters
    ----------
    game, tol, v0
        As for `shapley_value_iteration`.
    max_iters
        Most backups; a step takes one, or two if the safeguard refuses it.

    Returns
    -------
    Solution
        As for `shapley_value_iteration`.

    Raises
    ------
    ValueError, SolverFailure
        As for `shapley_value_iteration`.

    Notes
    -----
    A step is Newton's: the value of the pair of strategies that the backup found. It is taken if it shrinks the
    residual |T v - v| by gamma at least; otherwise the backup itself is, which does. So the residual falls
    geometrically, at worst at twice the cost of value iteration, and in practice a few steps suffice.

    Source
    ------
    Pollatschek and Avi-Itzhak (1969), "Algorithms for stochastic games with geometrical interpretation". The safeguard
    is that of residual-conditioned policy iteration for robust problems.

    Examples
    --------
    >>> game = MarkovGame([[[2.0, -1.0], [-1.0, 1.0]]], np.ones((1, 2, 2, 1)), 0.5)
    >>> answer = strategy_iteration(game, tol=1e-9)
    >>> answer.value.round(9).tolist(), answer.extras["column"].round(9).tolist()
    ([0.4], [[0.4, 0.6]])
    """
    return _iterate("strategy_iteration", _newton_steps, game, tol, max_iters, v0)


def markov_exploitability(game: MarkovGame, x: Any, y: Any) -> Solution:
    """How much each player could gain against the other's strategy, by exact solution of both best-reply MDPs.

    Parameters
    ----------
    game
        Zero-sum, discounted.
    x
        Strategy of the first player, (S, A); rows are distributions.
    y
        Strategy of the second, (S, B).

    Returns
    -------
    Solution
        `extras["lower"]` (S,) is what x guarantees, V^(x, best reply), and `extras["upper"]` (S,) what y concedes,
        V^(best reply, y); `value` is their middle, and `certificate.gap`, of kind `"markov-game"`, a certain upper
        bound of the duality gap max(upper - lower). `num_iters` counts policies evaluated.

    Raises
    ------
    ValueError
        A strategy of wrong shape, or not a distribution in some state.

    Examples
    --------
    >>> game = MarkovGame([[[1.0, -1.0], [-1.0, 1.0]]], np.ones((1, 2, 2, 1)), 0.5)
    >>> answer = markov_exploitability(game, [[1.0, 0.0]], [[0.5, 0.5]])
    >>> answer.extras["lower"].tolist(), answer.extras["upper"].tolist()
    ([-2.0], [0.0])
    """
    start = perf_counter()
    require_type(game, MarkovGame, "markov_exploitability")
    x, y = checked_strategy("x", x, (game.S, game.A)), checked_strategy("y", y, (game.S, game.B))
    upper, first = _best_reply(np.einsum("sb,sab->sa", y, game.R), np.einsum("sb,sabt->sat", y, game.T), game.gamma)
    lower, second = _best_reply(-np.einsum("sa,sab->sb", x, game.R), np.einsum("sa,sabt->sbt", x, game.T), game.gamma)
    found = _enclose(game, x, y, -lower, upper)
    return _solution("markov_exploitability", found, first + second, start, {"lower": -lower, "upper": upper})


def checked_strategy(name: str, values: Any, shape: tuple[int, int]) -> np.ndarray:
    """`values` divided by its row sums, which are 1 within 1e-8; ValueError names the entry or the sum."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    bad = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        s, a = bad[0]
        raise ValueError(f"{name}[{s}, {a}] is {array[s, a]:g}; probabilities are finite and at least 0")
    sums = array.sum(axis=1, keepdims=True)
    off = np.flatnonzero(np.abs(sums[:, 0] - 1) > _STRATEGY_SUM)
    if off.size:
        raise ValueError(f"{name}[{off[0]}] sums to {sums[off[0], 0]:.12g}, not 1")
    return array / sums


def _best_reply(r: np.ndarray, P: np.ndarray, gamma: float) -> tuple[np.ndarray, int]:
    """Value of the MDP r (S, A), P (S, A, S) by policy iteration until no action gains, and the policies evaluated."""
    S, A = r.shape
    actions = np.ones((S, A), dtype=bool)
    P = np.ascontiguousarray(P.reshape(S * A, S))
    freeze(P, r, actions)
    # Rows are means of rows within 1e-8 of one; every entry is rounded a few times more.
    op = Bellman(P, r, actions, gamma, row_tolerance=2.1e-8)
    pi = r.argmax(axis=1)
    for count in range(1, _MAX_POLICIES + 1):
        v = solve_policy(op.on_policy(pi))
        # `improve` keeps an action unless another gains more than rounding: policies do not repeat.
        if not improve(op, v, pi)[3]:
            return v, count
    raise SolverFailure(f"policy iteration still changed a best reply after {_MAX_POLICIES} policies at gamma={gamma}")


def _iterate(name: str, steps: Any, game: MarkovGame, tol: float, max_iters: int, v0: np.ndarray | None) -> Solution:
    """The first enclosure within `tol` among those that `steps` yields, one a backup."""
    start = perf_counter()
    require_type(game, MarkovGame, name)
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    v = np.zeros(game.S) if v0 is None else np.array(v0, dtype=np.float64)
    if v.shape != (game.S,) or not np.isfinite(v).all():
        raise ValueError(f"v0 has shape {v.shape} or is not finite; expected ({game.S},) numbers")
    best, idle = None, 0
    for count, found in enumerate(steps(game, v), 1):
        idle = idle + 1 if best is not None and found.gap >= best.gap else 0
        if best is None or found.gap < best.gap:
            best = found
        if best.gap <= tol:
            return _solution(name, best, count, start, {})
        if count == max_iters or idle == _PATIENCE:
            break
    raise SolverFailure(f"{name} reached a certified gap of {best.gap:.3g} after {count} backups; tol is {tol:g}")


def _backups(game: MarkovGame, v: np.ndarray) -> Iterator[Enclosure]:
    """Shapley's value iteration: an enclosure a backup."""
    while True:
        after, x, y = shapley_operator(game, v)
        yield _around(game, v, after, x, y)
        v = after


def _newton_steps(game: MarkovGame, v: np.ndarray) -> Iterator[Enclosure]:
    """Strategy iteration: an enclosure a backup, of steps taken and steps refused."""
    after, x, y = shapley_operator(game, v)
    yield _around(game, v, after, x, y)
    while True:
        residual = np.abs(after - v).max()
        trial = _pair_value(game, x, y)
        after_trial, x_trial, y_trial = shapley_operator(game, trial)
        yield _around(game, trial, after_trial, x_trial, y_trial)
        if np.abs(after_trial - trial).max() <= game.gamma * residual:
            v, after, x, y = trial, after_trial, x_trial, y_trial
        else:
            v = after
            after, x, y = shapley_operator(game, v)
            yield _around(game, v, after, x, y)


def _pair_value(game: MarkovGame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Value (S,) of both strategies played against each other."""
    P = np.einsum("sat,sa->st", np.einsum("sabt,sb->sat", game.T, y), x)
    r = np.einsum("sab,sa,sb->s", game.R, x, y)
    return scipy.linalg.solve(np.eye(game.S) - game.gamma * P, r)


def _around(game: MarkovGame, v: np.ndarray, after: np.ndarray, x: np.ndarray, y: np.ndarray) -> Enclosure:
    """The enclosure that x and y prove around v, shifted by the middle of its change."""
    change = after - v
    middle = v + 0.5 * (change.min() + change.max()) / (1 - game.gamma)
    return _enclose(game, x, y, middle, middle)


def _enclose(game: MarkovGame, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> Enclosure:
    """lo = low - c and hi = high + d with the least constants that the certificate's inequalities allow.

    Notes
    -----
    Shifting `lo` by a constant c >= 0 raises each excess by c (1 - gamma sigma), sigma the row sum. `margin` covers the
    rounding of excesses here and in the referee: fewer than S + A + B + 16 roundings of terms of at most `size`.
    """
    size = float(np.abs(game.R).max()) + 3 * float(max(np.abs(low).max(), np.abs(high).max()))
    margin = 4 * (game.S + game.A + game.B + 16) * UNIT * size
    sums = game.T.sum(axis=3)
    left = (1 - game.gamma * float(sums.max()) * (1 + 2 * game.S * UNIT)) * (1 - 4 * UNIT)
    if left <= 0:
        raise SolverFailure(f"gamma={game.gamma!r} times the largest row sum of T is not below 1")
    below = np.einsum("sa,sab->sb", x, game.R + game.gamma * (game.T @ low) - low[:, None, None]).min()
    above = np.einsum("sb,sab->sa", y, game.R + game.gamma * (game.T @ high) - high[:, None, None]).max()
    # The shift itself enlarges the vectors, and with them the rounding of the excesses.
    down, up = (max(float(defect), 0.0) / left for defect in (-below, above))
    margin *= 1 + 3 * (down + up) / max(size, 2.0**-1000)
    lo, hi = low - (down + margin / left), high + (up + margin / left)
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    return Enclosure(0.5 * (low + high), x, y, lo, hi, gap)


def _solution(name: str, found: Enclosure, count: int, start: float, extras: dict[str, np.ndarray]) -> Solution:
    certificate = Certificate("markov-game", found.gap, data={"lo": found.lo, "hi": found.hi, "column": found.y})
    extras = {"column": found.y, **extras}
    return Solution(found.v, found.x, certificate, name, count, perf_counter() - start, extras=extras)
