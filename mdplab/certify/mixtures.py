"""The OCVaR of a mixture of policies that carry a stock, from below: the policies' laws, propagated by the referee."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify.case import Case, finite
from mdplab.certify.propagation import KnownLaw, Moves, Player, propagate
from mdplab.certify.ragged import OutcomeRows
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT
from mdplab.certify.statistics import bounds_of
from mdplab.certify.stock_grid import checked_grid, nearest_policy
from mdplab.certify.stock_stages import is_staged, stages_of
from mdplab.models import StockMDP


def mixture_ocvar(case: Case, problem: StockMDP, tau: float) -> Fraction:
    """A lower bound of the OCVaR of the certificate's mixture of stock policies."""
    c0 = np.atleast_1d(finite("c0", case.data.get("c0"), np.shape(case.data.get("c0"))))
    weights = np.atleast_1d(finite("weights", case.data.get("weights", 1.0), np.shape(case.data.get("weights", 1.0))))
    if c0.ndim != 1 or weights.shape != c0.shape or (weights < 0).any() or abs(weights.sum() - 1) > 1e-8:
        raise Refused("c0 and weights are not as long as one another, or weights are no probabilities")
    rows, start = OutcomeRows.of(problem), problem.start_law
    policy = np.asarray(case.solution.policy)
    single = policy.ndim == (1 if is_staged(case) else 2)
    if not single and len(policy) != len(c0):
        raise Refused(f"policy has {len(policy)} tables, c0 has {len(c0)} stocks")
    laws, cut = [], 1e-9 * (1 + float(np.abs(problem.outcomes.reward).max()))
    edges, merge_from = _cells(case, len(c0))
    if edges is not None:
        # A smaller cut takes longer, for nothing beside the gap.
        cut = max(cut, 0.01 * min(case.solution.certificate.gap, 1.0))
    for i in range(len(c0)):
        player, horizon = _stock_player(case, problem, rows, policy if single else policy[i], float(c0[i]))
        if edges is not None:
            player = _in_cells(player, edges, int(merge_from[i]), float(c0[i]), case.mdp.gamma)
        if weights[i] > 0:
            laws.append(propagate(rows, start, player, horizon=horizon, mode="near", cap=1 << 17, cut=cut))
    share = weights[weights > 0] / weights.sum()
    law = KnownLaw(
        np.concatenate([one.x for one in laws]),
        np.concatenate([w * one.p for w, one in zip(share, laws)]),
        max(one.shift for one in laws),
        max(one.slip for one in laws) + (len(weights) + 4) * UNIT,
    )
    order = np.argsort(law.x, kind="stable")
    law = KnownLaw(law.x[order], law.p[order], law.shift, law.slip)
    known = "as floats" if edges is None else "as floats, then as means of their cells"
    case.about.append(f"the mixture's policies carry their stocks {known}, within {law.shift:.3g}")
    return Fraction(bounds_of(law, "ocvar", tau)[0])


def _cells(case: Case, number: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Ends of the cells of stocks, None if stocks are carried exactly, and from which decision on they are used."""
    if case.data.get("edges") is None:
        return None, np.zeros(number)
    edges, merge_from = case.array("edges", np.shape(case.data["edges"])), case.array("merge_from", (number,))
    if edges.ndim != 1 or (np.diff(edges) <= 0).any() or is_staged(case):
        raise Refused("edges do not increase, or belong to a certificate with stages")
    if (merge_from < 0).any() or (merge_from != np.round(merge_from)).any():
        raise Refused("merge_from holds what is no number of a decision")
    return edges, np.minimum(merge_from, 2.0**40)


def _in_cells(player: Player, edges: np.ndarray, first: int, c0: float, gamma: float) -> Player:
    """The same policy, with its stock known by cells from decision `first` on."""

    def cells(t: int, y: np.ndarray) -> np.ndarray:
        return np.searchsorted(edges, _stock_at(c0 + y, gamma, t))

    return replace(player, cells=cells, cells_from=first)


def _stock_at(money: np.ndarray, gamma: float, t: int) -> np.ndarray:
    # Far away in time all stocks are beyond the grid.
    with np.errstate(over="ignore"):
        return money * gamma ** -float(t) if gamma ** float(t) > 0 else np.sign(money) * np.inf


def _stock_player(
    case: Case, problem: StockMDP, rows: OutcomeRows, policy: Any, c0: float
) -> tuple[Player, int | None]:
    moves = Moves.of_rows(rows)
    A, gamma = case.mdp.A, case.mdp.gamma
    if not is_staged(case):
        grid = checked_grid(case)
        table = nearest_policy(case, (case.mdp.S, len(grid)), policy)
        middles = (grid[1:] + grid[:-1]) / 2

        def act(t: int, s: np.ndarray, k: np.ndarray, y: np.ndarray) -> np.ndarray:
            return s * A + table[s, np.searchsorted(middles, _stock_at(c0 + y, gamma, t))]

        return Player(lambda t: moves, act, lambda t, k, r, y: k), case.mdp.horizon
    stocks, tables = stages_of(case, policy)
    at = np.flatnonzero(stocks[0] == c0)
    if len(at) == 0:
        raise Refused(f"c0 is {c0:.17g}, not one of the stocks of stage 0")
    H = len(stocks) - 1

    def play(t: int, s: np.ndarray, k: np.ndarray, y: np.ndarray) -> np.ndarray:
        if t >= H:
            raise Refused(f"the policy ends at stage {H}, the problem does not")
        a = tables[t][s, k]
        bad = (a < 0) | (a >= A)
        bad |= ~case.mdp.actions[s, np.where(bad, 0, a)]
        if bad.any():
            i = int(np.argmax(bad))
            raise Refused(f"policy of stage {t}, state {s[i]}, stock {k[i]} is {a[i]}, no available action")
        return s * A + a

    def remember(t: int, k: np.ndarray, r: np.ndarray, y: np.ndarray) -> np.ndarray:
        after = stocks[t + 1]
        return np.searchsorted((after[1:] + after[:-1]) / 2, stocks[t][k] + gamma**t * r)

    return Player(lambda t: moves, play, remember, int(at[0])), case.mdp.horizon
