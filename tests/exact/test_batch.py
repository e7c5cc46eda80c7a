"""Batches of small models against exact rationals, one by one."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import optimal_value, policy_value
from strategies import GAMMAS, weights

from mdplab.exact import solve_batch
from mdplab.models import MDP, SolverFailure


@settings(max_examples=60)
@given(weights(), st.lists(st.sampled_from(GAMMAS), min_size=2, max_size=2), st.integers(-2, 2))
def test_gaps_are_true(W, gammas, reward):
    S, A, _ = W.shape
    P = W / W.sum(axis=2, keepdims=True)
    r = (np.arange(S * A).reshape(S, A) * 7 % 5 + reward).astype(float)
    answer = solve_batch(np.stack([P, P]), np.stack([r, -r]), gammas)
    for i, sign in enumerate((1, -1)):
        mdp = MDP(P, sign * r, gammas[i])
        truth, followed = optimal_value(mdp), policy_value(mdp, answer.policy[i])
        gap = Fraction(float(answer.gap[i]))
        assert max(abs(Fraction(float(x)) - y) for x, y in zip(answer.value[i], truth, strict=True)) <= gap
        assert max(x - y for x, y in zip(truth, followed, strict=True)) <= gap
        assert gap <= Fraction(1e-6)


def test_a_large_batch_agrees_with_single_solves():
    """Enough entries for threads; gamma per model; sizes that are not multiples of four."""
    from mdplab.exact import policy_iteration

    rng = np.random.default_rng([41])
    N, S, A = 3000, 11, 3
    P, r, gamma = rng.dirichlet(np.ones(S), (N, S, A)), rng.random((N, S, A)), rng.uniform(0, 0.999, N)
    answer = solve_batch(P, r, gamma)
    assert answer.gap.max() <= 1e-6
    for i in rng.integers(N, size=30):
        single = policy_iteration(MDP(P[i], r[i], gamma[i]))
        assert np.abs(single.value - answer.value[i]).max() <= single.certificate.gap + answer.gap[i]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda P, r, g: (P[0], r, g), r"P has shape \(2, 1, 2\); expected \(N, S, A, S\)"),
        (lambda P, r, g: (P, r[0], g), r"r has shape \(2, 1\)"),
        (lambda P, r, g: (P, r, [0.5, 1.0, 0.5]), r"gamma\[1\] is 1; expected a number in \[0, 1\)"),
        (lambda P, r, g: (P, r, [0.5, 0.5]), r"gamma has shape \(2,\)"),
        (lambda P, r, g: (np.where(np.arange(3)[:, None, None, None] == 1, 0.4, P), r, g), r"P\[1, 0, 0\] sums to 0.8"),
        (lambda P, r, g: (P * [[[[-1, 3]]]], r, g), r"P\[0, 0, 0, 0\] is -0.5"),
        (lambda P, r, g: (P, r * np.nan, g), r"r\[0, 0, 0\] is nan"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    P, r = np.full((3, 2, 1, 2), 0.5), np.zeros((3, 2, 1))
    with pytest.raises(ValueError, match=message):
        solve_batch(*change(P, r, 0.5))


def test_a_discount_beyond_rounding_is_refused():
    with pytest.raises(SolverFailure, match="model 0 reached a certified gap"):
        solve_batch(np.full((1, 2, 1, 2), 0.5), np.ones((1, 2, 1)), 1 - 1e-7)
