"""Kernels of stock grids against the operator written down in plain NumPy."""

import numpy as np
import pytest

from mdplab.exact.stock.operator import Rows, StockOperator
from mdplab.kernels.stock import add_linear, extreme_returns
from mdplab.models import MDP, StockMDP, functional

GRID = np.array([-4.0, -2.5, -1.0, -0.4, 0.0, 0.7, 2.0, 3.0])
KINDS = ("negative_part", "positive_part", "target", "mean")


def problem(seed: int, kind: str, gamma: float = 0.8) -> StockMDP:
    """Four states, the last terminal, two actions, one of them missing in state 1."""
    rng = np.random.default_rng([70, seed])
    P, r = rng.dirichlet(np.ones(4), size=(4, 2)), rng.choice([-1.0, 0.0, 0.3, 1.0], size=(4, 2, 4))
    P[3], r[3] = np.eye(4)[3], 0.0
    actions = np.ones((4, 2), dtype=bool)
    actions[1, 0] = False
    P[1, 0], r[1, 0] = 0.0, 0.0
    return StockMDP(MDP(P, r, gamma, actions=actions), functional(kind), start=0)


def at(op: StockOperator, row: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The function with values `row` on the grid, at any stocks."""
    inside = np.interp(c, op.grid, row)
    return inside + op.left * np.minimum(c - op.grid[0], 0) + op.right * np.maximum(c - op.grid[-1], 0)


def q_value(op: StockOperator, p: StockMDP, v: np.ndarray, s: int, a: int, c: np.ndarray) -> np.ndarray:
    """running + gamma E v(s', (c + r) / gamma) by the outcomes of the problem."""
    total = np.full(np.shape(c), op.rows.running[s, a])
    for t, r, prob in zip(*p.outcomes.row(s, a), strict=True):
        total = total + p.gamma * prob * at(op, v[t], (c + r) / p.gamma)
    return total


def best(op: StockOperator, p: StockMDP, v: np.ndarray, s: int, c: np.ndarray) -> np.ndarray:
    """The largest of them over available actions."""
    return np.max([q_value(op, p, v, s, a, c) for a in np.flatnonzero(p.mdp.actions[s])], axis=0)


def table(op: StockOperator, seed: int) -> np.ndarray:
    """Random values, f on terminal states."""
    v = np.random.default_rng([71, seed]).normal(size=op.shape)
    v[op.rows.terminal] = op.terminal_values
    return v


def setup(seed: int, kind: str) -> tuple[StockMDP, StockOperator, np.ndarray]:
    """Problem, operator, values."""
    p = problem(seed, kind)
    op = StockOperator.of(Rows.of(p), p.objective, GRID)
    return p, op, table(op, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_is_the_operator_state_after_state(kind):
    p, op, v = setup(0, kind)
    lift = np.random.default_rng([72]).random(op.shape)
    expected, pi = v.copy(), op.any_policy()
    for s in op.rows.order:
        expected[s] = best(op, p, expected, s, GRID) + lift[s]
    swept = v.copy()
    change = op.greedy(swept, pi, lift)
    # Sums of a handful of terms of size ten, in another order.
    np.testing.assert_allclose(swept, expected, rtol=0, atol=1e-13)
    assert change == pytest.approx(np.abs(expected - v).max(), rel=1e-12)  # The same sums.
    followed = v.copy()
    op.follow(followed, pi, lift)
    np.testing.assert_allclose(followed, expected, rtol=0, atol=1e-13)  # As above: pi are the maximisers.
    assert p.mdp.actions[np.arange(4)[:, None], pi].all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_sweep_contracts_distances_by_gamma(kind):
    _, op, v = setup(1, kind)
    still = np.zeros(op.shape)
    for seed in range(5):
        w = v + np.random.default_rng([73, seed]).normal(size=op.shape)
        w[op.rows.terminal] = op.terminal_values
        before, one, two = np.abs(v - w).max(), v.copy(), w
        op.greedy(one, op.any_policy(), still)
        op.greedy(two, op.any_policy(), still)
        assert np.abs(one - two).max() <= 0.8 * before * (1 + 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_corners_decide_between_stocks_and_beyond(kind):
    p, op, v = setup(2, kind)
    corners = [GRID] + [p.gamma * GRID - r for r in op.rows.rewards]
    dense = np.unique(np.concatenate([*corners, np.linspace(-30, 30, 4001)]))
    over = max(np.max(best(op, p, v, s, dense) - at(op, v[s], dense)) for s in op.rows.order)
    assert op.above(v) == pytest.approx(over, rel=1e-12)  # The same corners, sums in another order.
    pi = np.random.default_rng([74]).integers(0, 2, size=op.shape)
    pi[1] = 1
    middles = 0.5 * (GRID[:-1] + GRID[1:])
    dense = np.unique(np.concatenate([dense, middles]))
    under = -np.inf
    for s in op.rows.order:
        for side in ("left", "right"):
            action = pi[s, np.searchsorted(middles, dense, side=side)]
            q = np.choose(action, [q_value(op, p, v, s, a, dense) for a in range(2)])
            under = max(under, np.max(at(op, v[s], dense) - q))
    assert op.below(v, pi) == pytest.approx(under, rel=1e-12)  # As above.


@pytest.mark.parametrize("kind", KINDS)
def test_a_cover_holds_everything_and_no_more_than_the_largest_need(kind):
    p, op, base = setup(3, kind)
    pi = np.zeros(op.shape, dtype=np.int64)
    pi[1] = 1
    dense = np.linspace(-30, 30, 4001)
    s = op.rows.order[0]
    # The first state of a sweep sees the old values of the others, so its new row must cover them.
    hi, lo = base.copy(), base.copy()
    op.above(hi, base)
    seen = hi.copy()
    seen[op.rows.order[1:]] = base[op.rows.order[1:]]
    seen[s] = base[s]
    need = best(op, p, seen, s, dense) - at(op, base[s], dense)
    covered = at(op, hi[s], dense) - at(op, base[s], dense)
    # Rounding of sums of size ten.
    assert np.all(covered >= need - 1e-12)
    assert (hi[s] - base[s]).max() <= op.above(base) + 1e-12
    before = hi.copy()
    op.above(hi, base, keep=True)
    assert np.all(hi[op.rows.order] >= before[op.rows.order])
    op.below(lo, pi, base)
    seen[s] = base[s]
    short = at(op, base[s], dense) - q_value(op, p, seen, s, int(pi[s, 0]), dense)
    assert np.all(at(op, base[s], dense) - at(op, lo[s], dense) >= short - 1e-12)
    before = lo.copy()
    op.below(lo, pi, base, keep=True)
    assert np.all(lo[op.rows.order] <= before[op.rows.order])


def test_interpolation_goes_on_with_the_outer_slopes():
    points = np.array([-9.0, -4.0, -3.0, 0.0, 1.0, 3.0, 10.0])
    out = np.ones(7)
    add_linear(GRID, np.minimum(GRID, 0), 1.0, 0.0, points, 2.0, out)
    np.testing.assert_array_equal(out, 1 + 2 * np.minimum(points, 0))


def test_extreme_returns_of_a_coin():
    # State 0: action 0 pays -1 or 2 and ends, action 1 pays 0 and stays.
    indptr, following = np.array([0, 2, 3, 4, 5]), np.array([1, 1, 0, 1, 1])
    reward, actions = np.array([-1.0, 2.0, 0.0, 0.0, 0.0]), np.ones((2, 2), dtype=bool)
    best, safe, worst = np.zeros(2), np.zeros(2), np.zeros(2)
    extreme_returns(indptr, following, reward, actions, np.array([False, True]), 0.9, 100, best, safe, worst)
    assert (best[0], safe[0], worst[0]) == (2.0, 0.0, -1.0)
