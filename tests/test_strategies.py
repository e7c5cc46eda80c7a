"""The strategies reach what they are for: each property is found, and every model is what it says."""

import numpy as np
import pytest
from hypothesis import find, given, settings
from strategies import GAMMAS, models
from strategies import weights as model_weights

FOUND = {
    "a tie between actions": lambda m: m.A > 1 and m.actions.all() and bool((np.ptp(m.r, axis=1) == 0).any()),
    "two actions alike": lambda m: m.A > 1 and np.array_equal(m.dense().P[:, 0], m.dense().P[:, 1]) and m.S > 2,
    "an absorbing state": lambda m: m.S > 1 and bool((m.dense().P[-1, :, -1] == 1).all()),
    "a terminal state": lambda m: m.S > 1 and bool(m.terminal.any() and not m.terminal.all()),
    "a cycle of length 3": lambda m: m.S == 3 and np.array_equal(m.dense().P[:, 0], np.roll(np.eye(3), 1, axis=1)),
    "an entry of probability 0 beside others": lambda m: bool(
        ((m.dense().P == 0).any(2) & ((m.dense().P > 0).sum(2) > 1)).any()
    ),
    "gamma = 0": lambda m: m.gamma == 0,
    "the largest gamma": lambda m: m.gamma == max(GAMMAS),
    "a state that no other reaches": lambda m: (
        m.S > 1 and bool((np.delete(m.dense().P[:, :, 0], 0, axis=0) == 0).all())
    ),
    "a missing action": lambda m: not m.actions.all(),
    "a sparse model": lambda m: m.is_sparse and m.S > 2,
    "a dense model": lambda m: not m.is_sparse and m.S > 2,
    "rewards that are all equal": lambda m: m.S > 1 and m.actions.all() and np.ptp(m.r) == 0,
}


@pytest.mark.parametrize("name", FOUND)
def test_support(name):
    assert find(models(), FOUND[name], settings=settings(max_examples=2000, database=None)) is not None


@settings(max_examples=50)
@given(model_weights())
def test_rows_are_integers_over_their_sum(W):
    assert W.dtype == np.int64
    assert W.min() >= 0
    assert W.sum(axis=2).min() >= 1


@settings(max_examples=50)
@given(models(masked=False, sparse=True, gammas=(0.5,)))
def test_arguments_are_respected(mdp):
    assert mdp.is_sparse
    assert mdp.actions.all()
    assert mdp.gamma == 0.5
