"""Laws of policies on stocks: exact where few atoms live, within the stated distance where they are merged."""

import numpy as np
import pytest

from mdplab.exact.stock.operator import Rows
from mdplab.exact.stock.rollout import nearest_action, realised_law
from mdplab.models import MDP, StockMDP, functional, wasserstein


def walk(gamma: float = 0.7) -> StockMDP:
    """Two states that never end; rewards by next state, and two actions."""
    P = [[[0.5, 0.5], [0.9, 0.1]], [[0.3, 0.7], [0.2, 0.8]]]
    r = [[[0.0, 1.0], [-0.3, 0.4]], [[1.0, -1.0], [0.2, 0.1]]]
    return StockMDP(MDP(P, r, gamma), functional("target"), start=[0.4, 0.6])


GRID = np.array([-2.0, -0.5, 0.0, 1.5])
PI = np.array([[0, 1, 0, 1], [1, 0, 1, 1]])


def test_the_nearest_stock_decides():
    stock = np.array([-9.0, -1.3, -1.2, -0.2, 0.7, 0.8, 9.0])
    np.testing.assert_array_equal(nearest_action(GRID, PI, np.zeros(7, dtype=np.int64), stock), [0, 0, 1, 0, 0, 1, 1])


def test_a_few_steps_by_hand():
    problem = walk()
    real = realised_law(Rows.of(problem), GRID, PI, problem.start_law, 0.3, tol=1e-9, max_steps=5)
    paths = [(s, 0.0, p) for s, p in enumerate([0.4, 0.6])]
    for t in range(5):
        nodes = [np.abs(GRID - (0.3 + y) / 0.7**t).argmin() for _, y, _ in paths]
        paths = [
            (int(n), y + 0.7**t * r, p * q)
            for (s, y, p), k in zip(paths, nodes, strict=True)
            for n, r, q in zip(*problem.outcomes.row(s, int(PI[s, k])), strict=True)
        ]
    mean = sum(p * y for _, y, p in paths)
    best, _, worst = Rows.of(problem).extremes()
    rest = sum(p * 0.7**5 * 0.5 * (best + worst)[s] for s, _, p in paths)
    assert real.num_steps == 5
    # Sums of 64 paths, whose atoms were merged within 1e-10.
    assert real.law.mean == pytest.approx(mean + rest, abs=1e-9)
    assert real.law.p.sum() == pytest.approx(1.0, abs=1e-12)  # Rounding of a sum of probabilities.


def test_merging_stays_within_the_stated_distance():
    problem = walk()
    rows = Rows.of(problem)
    # One action: then the policy's memory does not matter, and both laws are of the same return.
    one = np.zeros_like(PI)
    fine = realised_law(rows, GRID, one, problem.start_law, 0.3, tol=1e-6)
    rough = realised_law(rows, GRID, one, problem.start_law, 0.3, tol=1e-6, max_atoms=60)
    assert rough.merge_error > 10 * fine.merge_error
    assert wasserstein(fine.law, rough.law) <= fine.error + rough.error
    # Merging keeps the mean, cutting off keeps it within the tail.
    assert abs(fine.law.mean - rough.law.mean) <= fine.tail_error + rough.tail_error + 1e-9


def test_the_tail_that_is_cut_off_is_bounded():
    problem = walk()
    rows = Rows.of(problem)
    short = realised_law(rows, GRID, PI, problem.start_law, 0.3, tol=0.2)
    long = realised_law(rows, GRID, PI, problem.start_law, 0.3, tol=1e-4)
    assert short.num_steps < long.num_steps
    assert short.tail_error <= 0.1
    assert wasserstein(short.law, long.law) <= short.error + long.error
