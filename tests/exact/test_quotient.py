"""Policy iteration on a quotient: where it starts, and that it never adopts a policy that does not stop."""

import numpy as np
import pytest
import scipy.sparse as sp

from mdplab.exact.quotient import STOP, Quotient, _repaired, policy_total, quotient, total_reward, transient_solve
from mdplab.models import SolverFailure


def two_states():
    """Rows 0, 2 swap the two states for ever, row 1 ends from state 0; neither may stop by itself."""
    M = sp.csr_array(np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    owner, ends = np.array([0, 0, 1]), np.array([False, True, False])
    return Quotient(M, owner, np.full(2, -np.inf), ends, np.arange(3), np.arange(2))


def test_a_choice_that_never_stops_is_taken_back():
    q = two_states()
    assert _repaired(q, np.array([0, 2]), np.array([1, 2])).tolist() == [1, 2]
    assert _repaired(q, np.array([1, 2]), np.array([1, 2])).tolist() == [1, 2]


def test_value_and_choice_of_two_states():
    v, choice, _ = total_reward(two_states(), np.array([-1.0, -5.0, -2.0]))
    assert v.tolist() == [-5, -7]
    assert choice.tolist() == [1, 2]
    assert policy_total(two_states(), np.array([-1.0, -4.0, -2.0]), choice).tolist() == [-4, -6]


def test_stopping_is_taken_where_it_pays():
    q = two_states()
    stopping = Quotient(q.M, q.owner, np.array([-np.inf, -1.0]), q.ends, q.origin, q.state)
    v, choice, _ = total_reward(stopping, np.array([-1.0, -5.0, -2.0]))
    assert v.tolist() == [-2, -1]
    assert choice.tolist() == [0, STOP]


def test_a_state_without_end_is_named():
    q = two_states()
    closed = Quotient(q.M, q.owner, q.stop, np.zeros(3, dtype=bool), q.origin, np.array([1, 0]))
    with pytest.raises(SolverFailure, match=r"no policy terminates from state 1 \(2 such\)"):
        total_reward(closed, np.zeros(3))


def test_collapse_keeps_rows_and_counts_mass_that_ends():
    # States 0 and 1 collapse, 2 stays, 3 is dropped.
    P = sp.csr_array(np.array([[0, 1.0, 0, 0], [0.5, 0, 0.5, 0], [0.25, 0.25, 0, 0.5], [0, 0, 0, 1.0]]))
    label = np.array([0, 0, -1, -1])
    q = quotient(P, np.arange(4), np.array([False, True, True, True]), label, np.arange(4) == 3, np.array([0.0]))
    assert q.state.tolist() == [0, 0, 1, -1]
    assert q.M.toarray().tolist() == [[0.5, 0.5], [0.5, 0.0]]
    assert q.ends.tolist() == [False, True]
    assert q.origin.tolist() == [1, 2]
    assert q.stop.tolist() == [0, -np.inf]


def test_a_large_chain_without_geometry_is_solved_by_products():
    # Every state leaves with probability 1/20, so the expected stay is 20 wherever the rest goes; LU would fill up.
    n = 25_000
    rng = np.random.default_rng(2601)
    columns = rng.integers(n, size=4 * n)
    Q = sp.csr_array((np.full(4 * n, 0.95 / 4), (np.repeat(np.arange(n), 4), columns)), shape=(n, n))
    # Rounding of 40 products whose condition is 20.
    np.testing.assert_allclose(transient_solve(Q, np.ones(n)), 20, rtol=1e-12)
