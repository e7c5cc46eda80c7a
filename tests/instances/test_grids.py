"""The generic grid: geometry against a plain loop, exact values, size."""

import time

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab.instances import gridworld


def by_hand(rows, cols, goals, walls, slip, step_reward):
    """P (S, 4, S) and r (S, 4), cell by cell."""
    S = rows * cols
    P, r = np.zeros((S, 4, S)), np.zeros((S, 4))
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    for row in range(rows):
        for col in range(cols):
            s = row * cols + col
            for a in range(4):
                if (row, col) in goals or (row, col) in walls:
                    P[s, a, s] = 1.0
                    continue
                r[s, a] = step_reward
                for side, weight in ((0, 1 - slip), (1, slip / 2), (3, slip / 2)):
                    down, right = moves[(a + side) % 4]
                    to = (row + down, col + right)
                    if not (0 <= to[0] < rows and 0 <= to[1] < cols) or to in walls:
                        to = (row, col)
                    P[s, a, to[0] * cols + to[1]] += weight
                    r[s, a] += weight * goals.get(to, 0.0)
    return P, r


@pytest.mark.parametrize("slip", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(
    ("rows", "cols", "goals", "walls"),
    [(1, 1, {(0, 0): 1.0}, ()), (1, 4, {(0, 3): 2.0}, ()), (4, 5, {(0, 4): 1.0, (3, 0): -2.0}, ((1, 1), (2, 3)))],
)
def test_grid_equals_a_plain_loop(rows, cols, goals, walls, slip):
    mdp = gridworld(rows, cols, gamma=0.9, goals=goals, walls=walls, slip=slip, step_reward=-0.125)
    P, r = by_hand(rows, cols, goals, walls, slip, -0.125)
    # Sums of at most three dyadic numbers: exact.
    assert np.array_equal(mdp.dense().P, P)
    assert np.array_equal(mdp.r, r)
    assert mdp.terminal.sum() == len(goals) + len(walls)


def test_without_slip_the_value_is_the_distance():
    mdp = gridworld(5, 7, gamma=0.5, walls=[(2, c) for c in range(6)])
    value = optimum(mdp)[0].reshape(5, 7)
    # From (0, 0): six moves right, four down, the last of which is paid. A power of two: exact but for the solve.
    assert value[0, 0] == pytest.approx(0.5**9, rel=1e-12)  # dense solve with a triangular matrix
    assert value[4, 5] == 1.0


def test_rewards_in_terms_of_steps_at_gamma_one():
    mdp = gridworld(3, 3, gamma=1.0, goals={(2, 2): 0.0}, step_reward=-1.0, start=(0, 0))
    value = np.zeros(9)
    for _ in range(10):
        value = (mdp.r + (mdp.P @ value).reshape(9, 4)).max(axis=1)
    assert value.reshape(3, 3).tolist() == [[-4, -3, -2], [-3, -2, -1], [-2, -1, 0]]
    assert mdp.mu.tolist() == [1.0] + [0.0] * 8


def test_a_quarter_of_a_million_cells_are_built_in_a_second():
    start = time.perf_counter()
    walls = np.random.default_rng([21]).random((500, 500)) < 0.2
    walls[-1, -1] = False
    mdp = gridworld(500, 500, gamma=0.99, slip=0.2, walls=walls)
    # Measured 0.4 s; a loop over cells takes half a minute.
    assert time.perf_counter() - start < 8
    assert mdp.is_sparse and mdp.P.indices.dtype == np.int32
    assert_allclose(mdp.P @ np.ones(mdp.S), 1, rtol=1e-15)  # three terms, each rounded once


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 0}, "rows, cols are 0, 3"),
        ({"slip": 1.5}, "slip is 1.5"),
        ({"walls": [(5, 0)]}, r"walls has the cell \(5, 0\)"),
        ({"goals": {(0, 9): 1.0}}, r"goals has the cell \(0, 9\)"),
        ({"walls": [(1, 2)]}, r"cell \(1, 2\) is both a goal and a wall"),
        ({"start": (9, 9)}, r"start has the cell \(9, 9\)"),
        ({"walls": np.zeros((3, 3), bool)}, r"walls has shape \(3, 3\)"),
        ({"goals": {}, "gamma": 1.0}, "gamma is 1 without a horizon"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gridworld(**{"rows": 2, "cols": 3, "gamma": 0.9, **arguments})
