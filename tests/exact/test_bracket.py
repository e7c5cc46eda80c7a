"""Certificates hold exactly for the stored floats, whatever vector they are built around."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import assert_certified, optimal_value, policy_value, q_value
from strategies import models

from mdplab.certify import check
from mdplab.exact import gauss_seidel, linear_programming, policy_evaluation, policy_iteration
from mdplab.exact.bracket import bracket, contraction_margin
from mdplab.exact.discounted import value_iteration
from mdplab.exact.operator import Bellman
from mdplab.models import MDP, SolverFailure


def _random(S, A, gamma, key, *, digits=None, scale=1.0):
    rng = np.random.default_rng([11, key])
    P = rng.dirichlet(np.ones(S), (S, A))
    if digits is not None:
        # Rounded towards zero except for the last entry: what a file with nine digits holds.
        P = np.round(P, digits)
        P[:, :, -1] = np.round(1 - P[:, :, :-1].sum(axis=2), digits)
        P = np.maximum(P, 0) * (1 + rng.uniform(-9e-9, 9e-9, (S, A, 1)))
    return MDP(P, scale * rng.random((S, A)), gamma)


@settings(max_examples=60)
@given(models(gammas=(0.0, 0.5, 0.99)), st.lists(st.floats(-300, 300), min_size=4, max_size=4))
def test_any_vector_is_enclosed_exactly(mdp, values):
    found = bracket(Bellman.of(mdp), np.array(values[: mdp.S]), 1e-6)
    lo, hi = ([Fraction(float(x)) for x in array] for array in (found.lo, found.hi))
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    for s in range(mdp.S):
        assert q_lo[s][found.pi[s]] >= lo[s]
        assert all(q_hi[s][a] <= hi[s] for a in np.flatnonzero(mdp.actions[s]))
    assert all(a <= x <= b for a, x, b in zip(lo, policy_value(mdp, found.pi), hi, strict=True))
    assert all(a <= x <= b for a, x, b in zip(lo, optimal_value(mdp), hi, strict=True))


@pytest.mark.parametrize("gamma", [0.9, 0.9999])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("digits", [None, 9])
def test_rows_that_do_not_sum_to_one(gamma, sparse, digits):
    mdp = _random(6, 2, gamma, 1, digits=digits)
    mdp = mdp.sparse() if sparse else mdp
    # The span of the residual cannot fall below what uneven row sums leave; sweeps on the stored rows still get there.
    tol = 1e-6
    assert_certified(mdp, value_iteration(mdp, tol=tol), tol)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
def test_the_slack_is_there_exactly(size):
    """T hi <= hi - slack and T_pi lo >= lo + slack in exact arithmetic."""
    mdp = _random(7, 3, 0.99, 2, scale=size)
    found = bracket(Bellman.of(mdp), value_iteration(mdp, tol=1e-6 * size).value, 1e-6 * size)
    slack = Fraction(found.slack)
    assert slack > 0
    lo, hi = ([Fraction(float(x)) for x in array] for array in (found.lo, found.hi))
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    assert min(q_lo[s][found.pi[s]] - lo[s] for s in range(mdp.S)) >= slack
    assert min(hi[s] - max(q_hi[s]) for s in range(mdp.S)) >= slack


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_the_margin_formula(step):
    """Both ends leave room for the residual, its rounding, the rounding of both vectors, and the slack, at once."""
    mdp = _random(9, 2, 0.5, 5)
    # Rewards and values on both sides of zero: centring gains nothing, and the rounding of a backup is what counts.
    mdp = mdp.replace(r=mdp.r - 0.6)
    op = Bellman.of(mdp)
    v = np.array([float(x) for x in optimal_value(mdp)]) + step * np.linspace(-1.0, 1.0, 9)
    found, residual, margin = bracket(op, v, 1e-6), op.measure(v), Fraction(contraction_margin(op))
    H = max(abs(found.lo).max(), abs(found.hi).max())
    shift = Fraction(residual.error) + 2 * Fraction(H) / 2**53 + Fraction(found.slack)
    # Storing lo and hi may lose one rounding again, which the formula's own 2 u H pays for.
    loss = Fraction(H) / 2**53
    for s in range(9):
        up, down = Fraction(found.hi[s]) - Fraction(v[s]), Fraction(v[s]) - Fraction(found.lo[s])
        assert (up + loss) * margin >= max(Fraction(residual.high), 0) + shift
        assert (down + loss) * margin >= max(-Fraction(residual.low), 0) + shift


def test_row_sums_decide_between_near_ties():
    """The second action pays less and leads to more than it should: it is the better one, by its row sum alone."""
    mdp = MDP([[[1.0], [1 + 9e-9]]], [[1.0, 1 - 4e-8]], 0.9)
    found = bracket(Bellman.of(mdp), np.array([10.0]), 1e-6)
    assert found.pi.tolist() == [1]
    q = q_value(mdp, [Fraction(float(found.hi[0]))])[0]
    assert max(q) <= Fraction(float(found.hi[0]))


def test_the_enclosure_is_tight():
    """At the solution the width is within a small factor of what one rounding of the value costs."""
    mdp = _random(8, 2, 0.999, 3)
    exact = np.array([float(x) for x in optimal_value(mdp)])
    found = bracket(Bellman.of(mdp), exact, 1e-6)
    ulp = np.abs(exact).max() * 2.0**-53
    assert found.gap <= 200 * ulp / (1 - mdp.gamma)


def test_a_discount_that_the_row_sums_undo_is_refused():
    rows = np.full((1, 1, 1), 1 + 5e-9)
    with pytest.raises(SolverFailure, match="not below 1"):
        contraction_margin(Bellman.of(MDP(rows, [[1.0]], 1 - 1e-9)))
    below = Bellman.of(MDP([[[1.0]]], [[1.0]], 1 - 1e-9))
    # Row sums of exactly one leave the whole of 1 - gamma, up to the doubt in a compensated sum.
    np.testing.assert_allclose(contraction_margin(below), 1e-9, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.99999, 1 - 1e-10])
def test_what_rounding_forbids_is_said(gamma):
    with pytest.raises(SolverFailure, match=r"a gap of .* is the least that can be certified at gamma=.*, S=30"):
        value_iteration(_random(30, 2, gamma, 4), tol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.99, 0.9999])
def test_terminal_states_are_worth_exactly_nothing(gamma, sparse):
    rng = np.random.default_rng([14])
    P, r = rng.dirichlet(np.ones(5), (5, 2)), 1 + rng.random((5, 2))
    P[3:], r[3:] = np.eye(5)[3:, None], 0
    mdp = MDP(P, r, gamma, mu=np.full(5, 0.2))
    mdp, ends = (mdp.sparse() if sparse else mdp), [3, 4]
    policy = np.full((5, 2), 0.5)
    answers = [solve(mdp) for solve in (value_iteration, policy_iteration, linear_programming, gauss_seidel)]
    answers += [policy_evaluation(mdp, policy), policy_evaluation(mdp, np.zeros(5, dtype=int))]
    for answer in answers:
        data = answer.certificate.data
        for x in (answer.value, data["lo"], data["hi"]):
            assert not x[ends].any() and x[:3].all()
        for level in ("float", "exact"):
            assert check(mdp, answer, level=level)
    found = bracket(Bellman.of(mdp), np.full(5, 7.0), 1e-6)
    lo, hi = ([Fraction(float(x)) for x in array] for array in (found.lo, found.hi))
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    assert all(q_lo[s][found.pi[s]] >= lo[s] and max(q_hi[s]) <= hi[s] for s in range(5))
