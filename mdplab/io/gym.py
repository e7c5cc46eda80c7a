"""The tables of gymnasium's toy-text environments."""

import ast
import difflib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.io.files import build, fail
from mdplab.models import MDP

# Larger tables than this many dense entries are kept sparse.
_DENSE_ENTRIES = 1 << 20


def load_gym(name: str, options: Mapping[str, Any], *, gamma: float | None, horizon: int | None = None) -> MDP:
    """The model of a gymnasium environment that publishes `env.unwrapped.P[s][a] = [(p, s', r, done), ...]`.

    Parameters
    ----------
    name : str
        Environment id such as "FrozenLake-v1".
    options : mapping of str
        Arguments of the environment, as text: true, false, numbers, and anything else as a string.
    gamma : float in [0, 1]
        Discount factor, required: environments have none.
    horizon : int, optional
        Number of decisions.

    Returns
    -------
    MDP
        States are numbered as in the table, `mu` is the environment's initial distribution. A transition that ends
        the episode leads to its next state if that is absorbing with reward 0 in the table, else to one terminal
        state S that is added. Transitions to the same state are summed; rewards by next state are kept.

    Raises
    ------
    ValueError
        For an unknown id (with the nearest ones), an environment without a table, or a missing gamma.
    """
    source = f"gym:{name}"
    if gamma is None:
        raise ValueError(f"{source}: gamma is needed; environments do not define a discount")
    env = _make(source, name, {key: _value(text) if isinstance(text, str) else text for key, text in options.items()})
    table = getattr(env, "P", None)
    if not isinstance(table, Mapping) or not table:
        env.close()
        fail(source, None, "the environment publishes no table env.unwrapped.P of its transitions")
    mu = getattr(env, "initial_state_distrib", None)
    env.close()
    return table_mdp(table, gamma=gamma, horizon=horizon, mu=mu, source=source)


def table_mdp(
    table: Mapping[int, Mapping[int, list[tuple[float, int, float, bool]]]],
    *,
    gamma: float,
    horizon: int | None = None,
    mu: np.ndarray | None = None,
    source: str = "table",
) -> MDP:
    """The model of a table `table[s][a] = [(p, s', r, done), ...]`; see `load_gym`.

    Examples
    --------
    >>> table_mdp({0: {0: [(0.5, 0, 1.0, False), (0.5, 0, 1.0, True)]}}, gamma=0.5)
    MDP(S=2, A=1, transitions=3, gamma=0.5)
    """
    S, A = len(table), max(len(row) for row in table.values())
    if sorted(table) != list(range(S)):
        fail(source, None, f"the table's states are not numbered 0..{S - 1}")
    for s, row in table.items():
        if any(a not in range(A) for a in row) or any(not outcomes for outcomes in row.values()):
            fail(source, None, f"the table's actions in state {s} are not lists of transitions numbered 0..{A - 1}")
    absorbing = np.array(
        [all(p == 0 or (t == s and r == 0) for o in table[s].values() for p, t, r, _ in o) for s in range(S)]
    )
    rows, cols, probs, rewards = [], [], [], []
    actions = np.zeros((S, A), dtype=bool)
    extra = False
    for s in range(S):
        for a, outcomes in table[s].items():
            actions[s, a] = True
            for p, t, reward, done in outcomes:
                if not 0 <= t < S:
                    fail(source, None, f"P[{s}][{a}] leads to state {t}; states are 0..{S - 1}")
                ends = bool(done) and not absorbing[t]
                extra |= ends
                rows.append(s * A + a)
                cols.append(S if ends else int(t))
                probs.append(float(p))
                rewards.append(float(reward))
    size = S + extra
    if extra:
        actions = np.vstack([actions, np.ones((1, A), dtype=bool)])
        rows += [S * A + a for a in range(A)]
        cols += [S] * A
        probs += [1.0] * A
        rewards += [0.0] * A
        mu = None if mu is None else np.append(mu, 0.0)
    shape = (size * A, size)
    P = sp.coo_array((probs, (rows, cols)), shape=shape).tocsr()
    weighted = sp.coo_array((np.multiply(probs, rewards), (rows, cols)), shape=shape).tocsr()
    P.eliminate_zeros()
    r = np.asarray(weighted @ np.ones(size)).reshape(size, A)
    rest: dict[str, Any] = {"gamma": gamma, "horizon": horizon, "mu": mu, "actions": actions}
    by_next = _by_next(rows, cols, probs, rewards, shape)
    sparse = size * A * size > _DENSE_ENTRIES
    if by_next is None:
        reward = r
    else:
        reward = by_next if sparse else by_next.toarray().reshape(size, A, size)
    return build(source, lambda _: None, P=P if sparse else P.toarray().reshape(size, A, size), r=reward, **rest)


def _by_next(rows, cols, probs, rewards, shape) -> sp.csr_array | None:
    """Rewards by next state, averaged over duplicates; None if no pair's reward depends on the next state."""
    order = np.lexsort((cols, rows))
    row, col = np.asarray(rows)[order], np.asarray(cols)[order]
    p, reward = np.asarray(probs)[order], np.asarray(rewards)[order]
    used = p > 0
    row, col, p, reward = row[used], col[used], p[used], reward[used]
    if np.array_equal(reward[1:][row[1:] == row[:-1]], reward[:-1][row[1:] == row[:-1]]):
        return None
    first = np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (col[1:] != col[:-1])])
    mean = np.add.reduceat(p * reward, first) / np.add.reduceat(p, first)
    # Where duplicates agree, their common reward is exact; a weighted mean of it would be rounded.
    agree = np.maximum.reduceat(reward, first) == np.minimum.reduceat(reward, first)
    mean[agree] = reward[first][agree]
    return sp.csr_array((mean, (row[first], col[first])), shape=shape)


def _make(source: str, name: str, arguments: dict[str, Any]) -> Any:
    try:
        import gymnasium
    except ImportError:
        fail(source, None, "gymnasium is not installed; pip install 'mdplab[gymnasium]'")
    try:
        # Gymnasium warns on every version that is not the newest; the user asked for this one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gymnasium.make(name, **arguments).unwrapped
    except gymnasium.error.UnregisteredEnv:
        nearest = difflib.get_close_matches(name, list(gymnasium.registry), n=3, cutoff=0.4)
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        fail(source, None, f"unknown environment {name!r}{hint}")
    except (gymnasium.error.Error, TypeError, KeyError, ValueError, ImportError) as error:
        fail(source, None, f"cannot be made with {arguments}: {' '.join(str(error).split())[:200]}")


def _value(text: str) -> Any:
    """A number, true, false or none; anything else is the text itself."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
