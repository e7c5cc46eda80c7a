"""The robust operator: its fast path, its saddle points, its answers to policies, and finite sets of models."""

import numpy as np
import pytest
from scipy.optimize import linprog

from mdplab.exact.robust.model_set import hull_responses, hull_states
from mdplab.exact.robust.operator import RobustBellman
from mdplab.exact.robust.rows import Rows
from mdplab.models import MDP, L1Ball, ModelSet, RobustMDP, TVBall
from tests.exact.robust.sets import every_set, small_model


def test_the_fast_path_gives_the_values_of_the_rows():
    mdp = small_model(21)
    for one in (L1Ball(0.3), TVBall(np.linspace(0, 1, 7)), L1Ball(2.0)):
        op = RobustBellman.of(RobustMDP(mdp, one))
        assert op.shares_one_objective
        v = np.random.default_rng([22]).standard_normal(7)
        assert op.row_values(v) == pytest.approx(op.worst_rows(v)[0], abs=1e-14)  # rounding of sums of seven terms
    slow = RobustBellman.of(RobustMDP(small_model(21, by_next=True), L1Ball(0.3)))
    assert not slow.shares_one_objective


def test_backup_is_a_saddle_point_of_every_set():
    rng = np.random.default_rng([23])
    for by_next in (False, True):
        mdp = small_model(24, by_next=by_next)
        for label, problem in every_set(mdp, rng=rng):
            op, v = RobustBellman.of(problem), rng.standard_normal(7)
            step = op.backup(v)
            sums = np.add.reduceat(step.weights, op.rows.state_ptr[:-1])
            assert sums == pytest.approx(np.ones(7), abs=1e-12), label  # a quotient by the sum
            against, _ = op.respond(v, step.weights)
            held = np.maximum.reduceat(op.fixed_rows(step.q, v), op.rows.state_ptr[:-1])
            # Values of size 1; roots are found to the last digits but for their condition.
            assert against == pytest.approx(step.Tv, abs=1e-11), label
            assert held == pytest.approx(step.Tv, abs=1e-11), label
            other = rng.dirichlet(np.ones(3), 7) * mdp.actions
            weights = op.weights(other)
            assert np.all(op.respond(v, weights)[0] <= step.Tv + 1e-11), label  # no policy does better


def test_a_policy_s_own_rows_suffice_for_its_answers():
    rng = np.random.default_rng([25])
    mdp = small_model(26)
    for label, problem in every_set(mdp, rng=rng):
        op, v = RobustBellman.of(problem), rng.standard_normal(7)
        weights = op.backup(v).weights
        assert op.under(weights).respond(v)[0] == pytest.approx(op.respond(v, weights)[0], abs=1e-12), label  # rounding


def test_the_shared_l1_budget_against_a_linear_program():
    rng = np.random.default_rng([27])
    mdp = small_model(28)
    op = RobustBellman.of(RobustMDP(mdp, L1Ball(0.6, rectangularity="s")))
    for _ in range(5):
        v = rng.standard_normal(7)
        step, z = op.backup(v), op.rows.objective(v, op.gamma).reshape(-1, 7)
        p = op.rows.p.reshape(-1, 7)
        for s in range(7):
            rows = slice(op.rows.state_ptr[s], op.rows.state_ptr[s + 1])
            assert step.Tv[s] == pytest.approx(_least_ceiling(z[rows], p[rows], 0.6), abs=1e-9)  # HiGHS's tolerance


def _least_ceiling(z, p, radius):
    """min u with q_a . z_a <= u and sum |q - p| <= radius: nature's side of the game as a program (A, n)."""
    A, n = z.shape
    size = A * n
    cost = np.zeros(2 * size + 1)
    cost[-1] = 1
    ceilings = np.zeros((A, 2 * size + 1))
    for a in range(A):
        ceilings[a, a * n : (a + 1) * n] = z[a]
    ceilings[:, -1] = -1
    eye, column = np.eye(size), np.zeros((size, 1))
    above, below = np.hstack([eye, -eye, column]), np.hstack([-eye, -eye, column])
    budget = np.concatenate([np.zeros(size), np.ones(size), [0]])[None]
    sums = np.hstack([np.kron(np.eye(A), np.ones(n)), np.zeros((A, size + 1))])
    found = linprog(
        cost,
        A_ub=np.vstack([ceilings, above, below, budget]),
        b_ub=np.concatenate([np.zeros(A), p.ravel(), -p.ravel(), [radius]]),
        A_eq=sums,
        b_eq=np.ones(A),
        bounds=[(0, None)] * (2 * size) + [(None, None)],
    )
    return found.fun


def test_a_sparse_model_s_missing_rewards_are_nothing():
    mdp = small_model(29, by_next=True)
    rows = Rows.of(RobustMDP(mdp.sparse(), L1Ball(0.1)))
    dense = Rows.of(RobustMDP(MDP(mdp.P, np.where(mdp.P > 0, mdp.r_next, 0.0), 0.9, actions=mdp.actions), L1Ball(0.1)))
    assert np.array_equal(rows.reward_next, dense.reward_next)
    assert np.array_equal(rows.p, dense.p)


def test_games_between_actions_and_models():
    rng = np.random.default_rng([30])
    for K, A in ((1, 3), (2, 2), (3, 4), (5, 2)):
        kernels = rng.dirichlet(np.ones(6), (K, 6, A))
        problem = RobustMDP(MDP(kernels[0], rng.random((6, A)), 0.9), ModelSet(kernels, rectangularity="s"))
        op = RobustBellman.of(problem)
        z = op.rows.objective(rng.standard_normal(6) * 5, 0.9)
        value, policy, q = np.empty(6), np.empty(6 * A), np.empty(op.rows.nnz)
        shares = hull_states(op.rows, op.nature.parts["kernels"], z, value, policy, q)
        assert shares.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-12)  # a quotient by the sum
        held = np.maximum.reduceat(op.rows.sums(q * z), op.rows.state_ptr[:-1])
        assert held == pytest.approx(value, abs=1e-11)  # a basic solution of HiGHS, values of size 10
        against = np.empty(6)
        hull_responses(op.rows, op.nature.parts["kernels"], policy, z, against, q)
        assert against == pytest.approx(value, abs=1e-12)  # rounding of the same sums
