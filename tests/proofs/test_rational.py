"""Elimination, values and vertices against closed forms; false statements of the same shape are refused."""

from fractions import Fraction
from itertools import pairwise

import pytest

from proofs_check.checked import failed_cases, witness
from proofs_check.rational import (
    deterministic_policies,
    distributions,
    dot,
    exact,
    linear_minimum,
    linear_solve,
    policy_value,
    q_value,
    vertices,
)

SQUARE = [[1, 0], [0, 1], [-1, 0], [0, -1]], [1, 1, 0, 0]


def test_hilbert_matrix_is_inverted():
    n = 6
    hilbert = [[Fraction(1, i + j + 1) for j in range(n)] for i in range(n)]
    ones = [Fraction(1)] * n
    assert linear_solve(hilbert, [dot(row, ones) for row in hilbert]) == ones


def test_a_system_without_one_solution_has_none():
    assert linear_solve([[1, 1], [1, 1]], [1, 2]) is None
    assert linear_solve([[1, 1], [1, 1]], [1, 1]) is None
    assert linear_solve([[1, 0], [0, 1], [1, 1]], [1, 1, 3]) is None
    assert linear_solve([[1, 0], [0, 1], [1, 1]], [1, 1, 2]) == [1, 1]


def test_value_solves_its_equation():
    third = Fraction(1, 3)
    P = [[[third, 1 - third], [0, 1]], [[1, 0], [Fraction(1, 2), Fraction(1, 2)]]]
    r, gamma = [[1, 0], [2, -1]], Fraction(9, 10)
    for pi in deterministic_policies(2, 2):
        v = policy_value(P, r, gamma, pi)
        assert v == [dot(pi[s], q) for s, q in enumerate(q_value(P, r, gamma, v))]
        assert v != [x + 1 for x in v]


def test_a_value_without_a_discount_is_refused():
    with pytest.raises(ValueError, match="singular"):
        policy_value([[[1]]], [[1]], 1, [[1]])


def test_distributions_are_all_of_them():
    grid = list(distributions(3, 5))
    assert len(grid) == 21
    assert len({tuple(p) for p in grid}) == 21
    assert all(sum(p) == 1 and min(p) >= 0 for p in grid)


def test_vertices_of_a_square_and_of_a_cut():
    assert sorted(vertices(*SQUARE)) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    cut = vertices(*SQUARE, [[1, 1]], [Fraction(3, 2)])
    assert sorted(cut) == [[Fraction(1, 2), 1], [1, Fraction(1, 2)]]


def test_the_least_value_is_at_a_vertex():
    assert linear_minimum([-2, 1], *SQUARE) == -2
    assert linear_minimum([1, 1], *SQUARE) != Fraction(-1, 10**9)
    with pytest.raises(ValueError, match="empty"):
        linear_minimum([1, 1], *SQUARE, [[1, 1]], [3])


@pytest.mark.parametrize("number", [0.5, True, None, 1j])
def test_what_is_not_exact_is_refused(number):
    with pytest.raises(TypeError, match="not an exact number"):
        exact(number)
    with pytest.raises(TypeError, match="not an exact number"):
        dot([1], [number])


@pytest.mark.parametrize(
    ("slack", "least"),
    [
        (lambda x, y: abs(x - y) - abs(max(x, 0) - max(y, 0)) * Fraction(11, 10), 0),  # a wrong constant
        (lambda x, y: abs(max(x, 0) - max(y, 0)) - abs(x - y), 0),  # the wrong direction
        (lambda x, y: abs(x - y) + abs(max(x, 0) - max(y, 0)) + 1, 0),  # true, and says nothing: never attained
    ],
)
def test_false_statements_over_cases_fail(slack, least):
    grid = [Fraction(k, 3) for k in range(-4, 5)]
    assert failed_cases(abs(x - y) - abs(max(x, 0) - max(y, 0)) for x in grid for y in grid) == 0
    assert failed_cases((slack(x, y) for x in grid for y in grid), least) > 0


def test_a_witness_is_the_stated_one():
    squares = [Fraction(k * k, 16) for k in range(5)]
    assert all(low <= high for low, high in pairwise(squares))
    assert witness(squares[2], "1/4") == Fraction(1, 4)
    assert witness(-squares[2], "1/4") == -1
