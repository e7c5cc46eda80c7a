"""`solve` sends each problem to the right solver, says which and why, and falls back."""

import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

import mdplab.exact as exact
from mdplab.exact import solve
from mdplab.exact.operator import Bellman
from mdplab.instances import garnet
from mdplab.models import MDP, ConstrainedMDP, PreferenceGame, SolverFailure

# The package exports the function under the same name.
module = sys.modules["mdplab.exact.solve"]


def _mixing(S=50, gamma=0.99):
    rng = np.random.default_rng([13, S])
    return MDP(rng.dirichlet(np.ones(S), (S, 3)), rng.random((S, 3)), gamma)


def _ring(S, gamma):
    """A walk on a ring: nearly periodic, and slow to mix."""
    right = np.roll(np.eye(S), 1, axis=1)
    P = np.stack([0.9 * right + 0.1 * right.T, 0.1 * right + 0.9 * right.T], axis=1)
    r = np.zeros((S, 2))
    r[0] = 1.0
    return MDP(P, r, gamma).sparse()


def test_fast_chains_are_swept_and_slow_ones_factorised():
    fast, slow = exact.solve(_mixing()), exact.solve(_ring(400, 0.999))
    assert fast.method == "modified_policy_iteration"
    assert "mixes fast" in fast.reason
    assert slow.method == "policy_iteration"
    assert "small enough to factorise" in slow.reason


def test_large_slow_chains_take_a_krylov_method(monkeypatch):
    monkeypatch.setattr(module, "_LU_ENTRIES", 100)
    answer = exact.solve(_ring(400, 0.999))
    assert answer.method == "inexact_policy_iteration"
    assert "large to factorise" in answer.reason


def test_grids_are_swept_in_order():
    """Moves right or down pay at the last cell: one sweep against the flow knows everything."""
    n = 60
    cell = np.arange(n * n).reshape(n, n)
    to = np.stack([np.c_[cell[:, 1:], cell[:, -1:]].ravel(), np.r_[cell[1:], cell[-1:]].ravel()], axis=1)
    r = np.zeros((n * n, 2))
    r[[n * n - 2, n * n - 1 - n], [0, 1]] = 1.0
    answer = exact.solve(MDP(np.eye(n * n)[to], r, 0.999).sparse())
    assert answer.method == "gauss_seidel"
    steps = 2 * (n - 1) - np.add.outer(np.arange(n), np.arange(n)).ravel()
    expected = np.where(steps > 0, 0.999 ** (steps - 1.0), 0.0)
    # Powers are rounded once a step.
    assert np.abs(answer.value - expected).max() <= answer.certificate.gap + 1e-14


def test_random_chains_are_not_factorised():
    """LU of a random sparse matrix fills up; a ring's does not, at the same size."""
    rng = np.random.default_rng([15])
    S, b = 6000, 4
    to = (np.sort(rng.integers(0, S, (S, b)), axis=1) + np.arange(b)) % S
    P = sp.csr_array((np.full(S * b, 1 / b), to.ravel(), np.arange(0, S * b + 1, b)), shape=(S, S))
    assert not module._factorisable(Bellman.of(MDP(P, np.zeros((S, 1)), 0.9)))
    steps = (np.arange(S)[:, None] + np.array([-1, 1])) % S
    ring = sp.csr_array((np.full(2 * S, 0.5), steps.ravel(), np.arange(0, 2 * S + 1, 2)), shape=(S, S))
    assert module._factorisable(Bellman.of(MDP(ring, np.zeros((S, 1)), 0.9)))


def test_a_tolerance_just_below_rounding_is_given_up():
    """The floor allows it and iterates do not come near enough: no endless sweeps."""
    mdp = _mixing(gamma=0.999)
    floor = exact.solve(mdp).certificate.residuals["rounding_floor"]
    with pytest.raises(SolverFailure, match="least that can be certified"):
        exact.solve(mdp, tol=0.5 * floor)
    with pytest.raises(SolverFailure, match="least that can be certified"):
        exact.value_iteration(mdp, tol=1.05 * floor)


def test_a_solver_that_fails_is_replaced(monkeypatch):
    def fails(op, tol, max_iters, **_):
        raise SolverFailure("out of memory")

    monkeypatch.setattr(module, "factorised_policies", fails)
    answer = exact.solve(_ring(400, 0.999))
    assert answer.method != "policy_iteration"
    assert "out of memory" in answer.reason
    assert answer.certificate.gap <= 1e-6


def test_no_solver_is_tried_against_rounding():
    with pytest.raises(SolverFailure, match="least that can be certified") as error:
        exact.solve(_mixing(gamma=0.99999))
    assert str(error.value).count("least that") == 1


@pytest.mark.parametrize("method", ["value_iteration", "gauss_seidel", "policy_iteration", "linear_programming"])
def test_a_method_by_name(method):
    answer = exact.solve(_mixing(), method=method)
    assert answer.method == method
    assert answer.reason == ""


def test_horizon_termination_and_average_go_to_their_solvers():
    horizon = exact.solve(_mixing().replace(horizon=5))
    assert horizon.method == "backward_induction"
    assert horizon.reason
    ends = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[-1.0], [0.0]], 1.0)
    total = exact.solve(ends)
    assert total.certificate.kind == "total"
    assert abs(total.value[0] + 2) <= total.certificate.gap
    gain = exact.solve(_mixing(), criterion="average")
    assert gain.certificate.kind == "average"


def test_unknown_names():
    with pytest.raises(ValueError, match="method is 'magic'"):
        exact.solve(_mixing(), method="magic")
    with pytest.raises(ValueError, match="criterion is 'median'"):
        exact.solve(_mixing(), criterion="median")
    with pytest.raises(ValueError, match="problem is a str"):
        exact.solve("model.npz")


@pytest.mark.parametrize("gamma", [0.0, 0.99])
def test_memory_stays_within_half_of_the_model(gamma):
    """What a solve allocates, as NumPy tells tracemalloc, on a sparse model with few actions and short rows."""
    rng = np.random.default_rng([14])
    S, A, b = 20_000, 4, 5
    indices = np.sort(rng.integers(0, S, (S * A, b)), axis=1) + np.arange(b)
    P = sp.csr_array((np.full(S * A * b, 1 / b), indices.ravel() % S, np.arange(0, S * A * b + 1, b)), shape=(S * A, S))
    mdp = MDP(P, rng.random((S, A)), gamma)
    exact.solve(mdp)
    tracemalloc.start()
    try:
        exact.solve(mdp)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 0.5 * mdp.nbytes


def test_constrained_problems_and_games_have_their_solver():
    mdp = garnet(6, 2, 3, gamma=0.9, rng=np.random.default_rng([31])).replace(mu=np.ones(6) / 6)
    costs = np.random.default_rng([32]).random((1, 6, 2))
    constrained = solve(ConstrainedMDP(mdp, costs, [5.0]))
    assert constrained.method == "constrained_mdp" and "ConstrainedMDP" in constrained.reason
    game = solve(PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]))
    assert game.method == "nash_equilibrium" and game.certificate.gap <= 1e-6  # the default tolerance
    for method, problem in (("policy_iteration", ConstrainedMDP(mdp, costs, [5.0])), ("constrained_mdp", mdp)):
        with pytest.raises(ValueError, match="constrained_mdp"):
            solve(problem, method=method)
    with pytest.raises(ValueError, match="problem is a list; expected an MDP"):
        solve([mdp])
