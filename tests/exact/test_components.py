"""End components, recurrent classes and routes of small graphs that one can draw."""

import numpy as np
import scipy.sparse as sp

from mdplab.exact.components import distances, end_components, recurrent_classes, route


def graph(n, rows):
    """CSR rows, their states, and a mask of all, from [(state, {successor: probability})]."""
    P = np.zeros((len(rows), n))
    for i, (_, successors) in enumerate(rows):
        for j, p in successors.items():
            P[i, j] = p
    return sp.csr_array(P), np.array([s for s, _ in rows]), np.ones(len(rows), dtype=bool)


def test_end_components_need_two_rounds_of_pruning():
    # {0, 1} is a component only without the row that leaks; {2, 3} falls apart once 3's only row leaks; 4 absorbs.
    P, owner, rows = graph(
        5,
        [(0, {1: 1.0}), (1, {0: 1.0}), (1, {0: 0.5, 4: 0.5}), (2, {3: 1.0}), (3, {2: 0.5, 4: 0.5}), (4, {4: 1.0})],
    )
    label, inside = end_components(P, owner, rows)
    assert inside.tolist() == [True, True, False, False, False, True]
    assert label.tolist() == [0, 0, -1, -1, 1] or label.tolist() == [1, 1, -1, -1, 0]


def test_recurrent_classes_of_a_chain():
    P = sp.csr_array(np.array([[0.5, 0.5, 0], [0, 0, 1], [0, 1, 0]]))
    assert recurrent_classes(P).tolist() == [-1, 0, 0]


def test_distances_and_routes_on_a_line():
    P, owner, rows = graph(4, [(i, {i + 1: 0.5, i: 0.5}) for i in range(3)] + [(3, {3: 1.0})])
    target = np.array([False, False, True, False])
    assert distances(P, owner, rows, target).tolist() == [2, 1, 0, np.inf]
    assert route(P, owner, rows, target).tolist() == [0, 1, -1, -1]
