"""MDP: what is accepted, what is kept, and what is refused with which words."""

import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from mdplab.models import MDP

P = np.array([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]] * 2])
R = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.0]])


def _big(S, A, b):
    rng = np.random.default_rng([20261121, S])
    columns = np.sort(rng.integers(0, S // b, (S * A, b)) + np.arange(b) * (S // b), axis=1).astype(np.int32)
    indptr = np.arange(0, S * A * b + 1, b, dtype=np.int32)
    matrix = sp.csr_array((np.full(S * A * b, 1.0 / b), columns.ravel(), indptr), shape=(S * A, S))
    matrix.has_canonical_format = True
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    return matrix, rng.random((S, A))


def test_dense_and_sparse_hold_the_same_model():
    dense = MDP(P, R, 0.9, mu=[0.2, 0.3, 0.5], states=["a", "b", "c"])
    sparse = dense.sparse()
    assert sparse.is_sparse and not dense.is_sparse
    assert_array_equal(sparse.P.toarray().reshape(3, 2, 3), dense.P)
    assert_array_equal(sparse.dense().P, dense.P)
    assert sparse.dense().digest() == dense.digest() != sparse.digest()
    assert sparse.num_transitions == dense.num_transitions == 9
    assert sparse.states == ("a", "b", "c") and sparse.terminal.tolist() == [False, False, True]
    assert dense.terminal.tolist() == [False, False, True]


def test_arrays_are_copied_and_read_only():
    mine = P.copy()
    mdp = MDP(mine, R, 0.9)
    mine[0, 0] = [1, 0, 0]
    assert_array_equal(mdp.P, P)
    for array in (mdp.P, mdp.r, mdp.actions, mdp.terminal):
        assert not array.flags.writeable and array.flags.c_contiguous


def test_read_only_arrays_are_adopted_without_a_copy():
    matrix, r = _big(1000, 2, 5)
    assert MDP(matrix, r, 0.9).P.data is matrix.data
    frozen = P.copy()
    frozen.flags.writeable = False
    assert MDP(frozen, R, 0.9).P is frozen
    view = P[:]
    view.flags.writeable = False  # its base can still be written: not safe to adopt
    assert MDP(view, R, 0.9).P is not view


def test_ten_million_transitions_validate_in_seconds_and_are_held_once():
    matrix, r = _big(500_000, 4, 5)
    own = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    tracemalloc.start()
    start = time.perf_counter()
    mdp = MDP(matrix, r, 0.9)
    seconds = time.perf_counter() - start
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mdp.num_transitions == 10_000_000
    assert seconds < 30, "one pass over the arrays; the bound forgives a loaded machine"
    assert kept < 0.4 * own, "a second copy of the transitions would keep at least as much again"
    assert peak < 1.5 * own


def test_rewards_by_next_state_keep_the_original():
    rewards = np.arange(18.0).reshape(3, 2, 3)
    for model in (MDP(P, rewards, 0.9), MDP(P, rewards, 0.9).sparse()):
        # a mean of three products of numbers below 18
        assert_allclose(model.r, np.einsum("sat,sat->sa", P, rewards), rtol=0, atol=18 * 8 * 2.0**-53)
    sparse = MDP(sp.csr_array(P.reshape(6, 3)), sp.csr_array(rewards.reshape(6, 3)), 0.9)
    assert_array_equal(sparse.r_next, rewards.reshape(6, 3)[P.reshape(6, 3) > 0])
    assert_array_equal(sparse.replace(gamma=0.5).r_next, sparse.r_next)
    assert_array_equal(MDP(P, rewards, 0.9).r_next, rewards)


def test_unavailable_actions_are_ignored():
    mask = np.array([[True, False], [True, True], [True, True]])
    wrong, rewards = P.copy(), R.copy()
    wrong[0, 1], rewards[0, 1] = [9.0, 9.0, 9.0], -np.inf
    for model in (
        MDP(wrong, rewards, 0.9, actions=mask),
        MDP(sp.csr_array(wrong.reshape(6, 3)), rewards, 0.9, actions=mask),
    ):
        assert_array_equal(model.dense().P[0, 1], np.zeros(3))
        assert model.r[0, 1] == 0 and model.num_transitions == 8


def test_termination_or_a_horizon_makes_gamma_one_a_model():
    assert MDP(P, R, 1.0).terminal.tolist() == [False, False, True]
    assert MDP(P, R + 1, 1.0, horizon=3).terminal.tolist() == [False, False, False]


def test_html_names_what_matters():
    page = MDP(P, R, 0.9, horizon=7)._repr_html_()
    for word in ("3 (1 terminal)", "transitions", "0.9", "horizon", "-1 to 2"):
        assert word in page


def _row(s, a, values):
    out = P.copy()
    out[s, a] = values
    return out


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((_row(1, 0, [0.25, 0.25, 0.48]), R, 0.9), {}, r"^P\[1, 0\] sums to 0\.98, not 1$"),
        ((_row(1, 0, [1.25, -0.25, 0.0]), R, 0.9), {}, r"^P\[1, 0, 1\] is -0\.25; probabilities"),
        ((_row(0, 1, [np.nan, 0, 1]), R, 0.9), {}, r"^P\[0, 1, 0\] is nan; probabilities"),
        ((_row(0, 1, [np.inf, 0, 1]), R, 0.9), {}, r"^P\[0, 1, 0\] is inf; probabilities"),
        ((P, np.where(R == 2, np.nan, R), 0.9), {}, r"^r\[0, 1\] is nan; rewards"),
        ((P, R[:2], 0.9), {}, r"^r has shape \(2, 2\); with P for S=3 and A=2 it must be \(3, 2\) or \(3, 2, 3\)$"),
        ((P[:2], R, 0.9), {}, r"^P has shape \(2, 2, 3\); a dense P is \(S, A, S\)$"),
        ((sp.csr_array(np.ones((5, 3))), R, 0.9), {}, r"^P has shape \(5, 3\); a sparse P is"),
        ((P, R, 1.5), {}, r"^gamma is 1\.5; expected a number in \[0, 1\]$"),
        ((P, R, -0.1), {}, r"^gamma is -0\.1; expected"),
        ((P, R, np.nan), {}, r"^gamma is nan; expected"),
        ((P, R, "high"), {}, r"^gamma is 'high'; expected"),
        ((P, np.where(R == 0, 1.0, R), 1.0), {}, r"^gamma is 1 without a horizon and without a terminal state"),
        ((P, R, 0.9), {"horizon": 0}, r"^horizon is 0; expected an integer of at least 1$"),
        ((P, R, 0.9), {"horizon": 2.5}, r"^horizon is 2\.5; expected"),
        ((P, R, 0.9), {"mu": [0.5, 0.5, 0.5]}, r"^mu sums to 1\.5, not 1$"),
        ((P, R, 0.9), {"mu": [0.5, -0.5, 1.0]}, r"^mu\[1\] is -0\.5; probabilities"),
        ((P, R, 0.9), {"mu": [1.0]}, r"^mu has shape \(1,\), expected \(3,\)$"),
        ((P, R, 0.9), {"states": ["a"]}, r"^states has 1 names, expected 3$"),
        ((P, R, 0.9), {"actions": np.ones((3, 2))}, r"^actions has dtype float64, expected bool"),
        ((P, R, 0.9), {"actions": np.ones((2, 2), bool)}, r"^actions has shape \(2, 2\), expected \(3, 2\)$"),
        ((P, R, 0.9), {"actions": np.arange(6).reshape(3, 2) < 4}, r"actions\[2\] is False everywhere: state 2 has no"),
    ],
)
def test_bad_input_names_argument_index_and_value(arguments, keywords, message):
    with pytest.raises(ValueError, match=message):
        MDP(*arguments, **keywords)


def test_a_sparse_row_is_named_by_state_and_action():
    matrix = P.copy().reshape(6, 3)
    matrix[3] = [0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match=r"^P\[1, 1\] sums to 0\.75, not 1$"):
        MDP(sp.csr_array(matrix), R, 0.9)
    matrix[3] = [1.5, -0.5, 0.0]
    with pytest.raises(ValueError, match=r"^P\[1, 1, 1\] is -0\.5"):
        MDP(sp.csr_array(matrix), R, 0.9)


def test_unknown_change_is_refused():
    with pytest.raises(ValueError, match="unknown argument 'discount'"):
        MDP(P, R, 0.9).replace(discount=0.5)


@pytest.mark.parametrize("p", [1.0, 1 - 5e-9, 1 + 5e-9])
def test_dense_and_sparse_models_agree_on_what_is_terminal(p):
    mdp = MDP([[[0.5, 0.5]], [[0.0, p]]], [[1.0], [0.0]], 1.0)
    assert mdp.terminal.tolist() == mdp.sparse().terminal.tolist() == [False, True]
    # A leak within the tolerance of the sum is a way out.
    assert not MDP([[[1.0, 5e-9]], [[0.0, 1.0]]], [[0.0], [0.0]], 1.0).terminal[0]
