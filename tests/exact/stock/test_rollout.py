"""Laws of policies on stocks: exact where few atoms live, within the stated distance where they are merged."""

import numpy as np
import pytest

from mdplab.exact.stock.operator import Rows
from mdplab.exact.stock.rollout import cell_edges, contracted_law, nearest_action, realised_law
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


def played_in_cells(problem, c0, edges, merge_from, steps):
    """All histories of the policy that knows its stock by cells: money known, money earned, probability; by hand."""
    paths = [(s, 0.0, 0.0, p) for s, p in enumerate(problem.start)]
    for t in range(steps):
        after = []
        for s, known, earned, p in paths:
            k = np.abs(GRID - (c0 + known) / problem.gamma**t).argmin()
            for n, r, q in zip(*problem.outcomes.row(s, int(PI[s, k])), strict=True):
                after.append((int(n), known + problem.gamma**t * r, earned + problem.gamma**t * r, p * q))
        if t + 1 >= merge_from:
            cells = [(s, np.searchsorted(edges, (c0 + known) / problem.gamma ** (t + 1))) for s, known, _, _ in after]
            mean = {}
            for cell in set(cells):
                inside = [(y, p) for c, (_, _, y, p) in zip(cells, after, strict=True) if c == cell]
                mean[cell] = sum(y * p for y, p in inside) / sum(p for _, p in inside)
            after = [(s, mean[cell], y, p) for cell, (s, _, y, p) in zip(cells, after, strict=True)]
        paths = after
    return paths


@pytest.mark.parametrize("c0", [0.3, -1.1])
def test_known_by_cells_the_law_is_a_contraction_of_that_of_its_policy(c0):
    problem, steps, most = walk(0.5), 9, 12
    rows, edges = Rows.of(problem), np.array([-3.0, -1.2, -0.7, -0.2, 0.4, 1.1, 2.5])
    best, _, worst = rows.extremes()
    tol = 0.5**steps * 0.5 * float((best - worst).max()) * (1 + 1e-9)
    found = contracted_law(rows, GRID, PI, problem.start_law, c0, edges, tol=tol, max_atoms=most)
    assert found.num_steps == steps
    assert 1 < found.merge_from < steps
    state, known, earned, p = np.array(played_in_cells(problem, c0, edges, found.merge_from, steps)).T
    rest = 0.5**steps * 0.5 * (best + worst)[state.astype(int)]
    # What is followed is where the policy believes to be.
    believed = np.sort(known + rest)
    assert np.abs(np.interp(found.law.x, believed, believed) - found.law.x).max() <= 1e-9  # Merged within 1e-10.
    points = np.linspace(-3, 3, 121)
    true = (p * np.maximum((earned + rest) - points[:, None], 0)).sum(axis=1)
    less = (found.law.p * np.maximum(found.law.x - points[:, None], 0)).sum(axis=1)
    # Atoms merged within 1e-10 on both sides.
    assert np.all(less <= true + 1e-9)
    assert (true - less).max() > 1e-4
    assert found.law.mean == pytest.approx(float(p @ (earned + rest)), abs=1e-9)  # As above.


def test_cells_of_a_fine_grid_lose_by_the_square():
    problem, c0 = walk(), -0.5
    rows, got = Rows.of(problem), []
    for size in (15, 57, 897):
        grid, one = np.linspace(-3, 4, size), np.zeros((2, size), dtype=np.int64)
        edges = cell_edges(grid, problem.gamma)
        assert np.all(np.diff(edges) > 0)
        law = contracted_law(rows, grid, one, problem.start_law, c0, edges, tol=1e-8, max_atoms=50).law
        got.append(float(law.p @ np.maximum(c0 + law.x, 0)))
    rough, fine = got[2] - got[0], got[2] - got[1]
    # Four times as fine: a sixteenth, but for where atoms happen to lie.
    assert 0 < fine < rough / 6
    assert rough < 0.01
