"""States of several actions that share one budget, for all four divergences: against cones, as saddles, as rows."""

import itertools

import numpy as np
import pytest
from kernels.robust import cones, duals

from mdplab.kernels.robust import divergence

KINDS = duals.KINDS
# A near-constant row counts as constant at 1e-13 (1 + |z|), and sums of fifty terms round.
SHARP = 1e-12


def saddle(kind, z, p, indptr, radius):
    num = indptr.size - 1
    value, policy, q = np.full(1, np.nan), np.full(num, np.nan), np.full_like(p, np.nan)
    state = (np.array([0, num]), KINDS[kind], np.array([radius]), 0, 1)
    divergence.divergence_states(z, p, indptr, *state, value, policy, q)
    return value[0], policy, q


def answer(kind, pi, z, p, indptr, radius):
    value, q = np.full(1, np.nan), np.full_like(p, np.nan)
    state = (np.array([0, pi.size]), KINDS[kind], np.array([radius]), 0, 1)
    divergence.divergence_responses(pi, z, p, indptr, *state, value, q)
    return value[0], q


def spent(kind, q, p, indptr):
    return sum(duals.divergence(kind, q[i:j], p[i:j]) for i, j in itertools.pairwise(indptr))


def row_values(q, z, indptr):
    return np.add.reduceat(q * z, indptr[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_saddles(kind):
    mixed = 0
    for t, (z, p, indptr, radius) in enumerate(duals.random_states(320)):
        value, policy, q = saddle(kind, z, p, indptr, radius)
        near, budget = SHARP * (1 + np.abs(z).max()), radius**2 if kind == "l2" else radius
        # Nature's side: feasible rows against which no action earns more.
        assert q.min() >= 0 and np.abs(np.add.reduceat(q, indptr[:-1]) - 1).max() <= SHARP
        assert spent(kind, q, p, indptr) <= budget + SHARP * max(1.0, budget)
        assert row_values(q, z, indptr).max() <= value + near
        # The agent's side: a distribution against which nature does no better, and others that are no better.
        assert policy.min() >= 0 and abs(policy.sum() - 1) <= SHARP
        assert abs(answer(kind, policy, z, p, indptr, radius)[0] - value) <= near
        other = np.random.default_rng([321, t]).dirichlet(np.ones(policy.size))
        for pi in [*np.eye(policy.size), other]:
            assert answer(kind, pi, z, p, indptr, radius)[0] <= value + near
        mixed += policy.max() < 0.99
    # Enough of the states need a mixture: the best single action would fail the check below.
    assert mixed > 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_a_hundredth_off_would_be_seen(kind):
    """The saddle check has power: the policy moved towards uniform by a hundredth is answered by a lower value."""
    seen = 0
    for z, p, indptr, radius in duals.random_states(320):
        value, policy, _ = saddle(kind, z, p, indptr, radius)
        uniform = np.full(policy.size, 1 / policy.size)
        wrong = answer(kind, 0.99 * policy + 0.01 * uniform, z, p, indptr, radius)[0]
        seen += wrong < value - SHARP * (1 + np.abs(z).max())
    assert seen > 60


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_feasible_and_attain_their_value(kind):
    for t, (z, p, indptr, radius) in enumerate(duals.random_states(322)):
        pi = np.random.default_rng([323, t]).dirichlet(np.full(indptr.size - 1, 0.4))
        value, q = answer(kind, pi, z, p, indptr, radius)
        budget = radius**2 if kind == "l2" else radius
        assert q.min() >= 0 and np.abs(np.add.reduceat(q, indptr[:-1]) - 1).max() <= SHARP
        assert spent(kind, q, p, indptr) <= budget + SHARP * max(1.0, budget)
        assert abs(pi @ row_values(q, z, indptr) - value) <= SHARP * (1 + np.abs(z).max())


@pytest.mark.parametrize("kind", KINDS)
def test_states_and_answers_solve_the_cone_program(kind):
    wrong = 0
    for t in range(200):
        rng = np.random.default_rng([324, t])
        z, p, indptr = duals.random_state(t, rng)
        # Below these radii the program has no interior that an interior-point method could see.
        radius = (1e-4, 1e-2, 0.1, 0.5, 2.0)[(t // 5) % 5]
        near = cones.NEAR * np.ptp(z) + SHARP * (1 + np.abs(z).max())
        value, policy, _ = saddle(kind, z, p, indptr, radius)
        assert abs(value - cones.program(kind, z, p, indptr, radius)) <= near
        pi = rng.dirichlet(np.ones(policy.size))
        value = answer(kind, pi, z, p, indptr, radius)[0]
        assert abs(value - cones.program(kind, z, p, indptr, radius, pi)) <= near
        wrong += abs(value - cones.program(kind, z, p, indptr, 1.01 * radius, pi)) > near
    # The check sees a budget that is wrong by a hundredth wherever the budget binds.
    assert wrong > 60


@pytest.mark.parametrize("kind", KINDS)
def test_one_action_is_a_row_and_rows_are_each_row(kind):
    for t, (z, p, radius) in enumerate(duals.random_rows(325, count=60)):
        indptr, q = np.array([0, z.size]), np.empty_like(p)
        value, policy, _ = saddle(kind, z, p, indptr, radius)
        alone = divergence.divergence_row(z, p, KINDS[kind], radius, q)
        assert policy[0] == 1.0
        assert abs(value - alone) <= SHARP * (1 + np.abs(z).max())
        if t % 10 == 0:
            out, three = np.full(3, np.nan), np.full(3 * p.size, np.nan)
            rows = (np.tile(z, 3), np.tile(p, 3), np.arange(4) * p.size)
            divergence.divergence_rows(*rows, KINDS[kind], np.full(3, radius), 1, 2, out, three)
            assert out[1] == alone and np.array_equal(three[p.size : 2 * p.size], q)
            assert np.isnan(out[[0, 2]]).all(), "rows outside start..stop are not touched"


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_models_are_welcome(kind):
    z, p, indptr = duals.random_state(8, np.random.default_rng(326))
    value, _, q = saddle(kind, z, p, indptr, 0.3)
    for array in (z, p, indptr):
        array.setflags(write=False)
    again, _, q_again = saddle(kind, z, p, indptr, 0.3)
    assert again == value and np.array_equal(q, q_again)
