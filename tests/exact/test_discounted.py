"""Discounted solvers against exact rational values, closed forms, each other, and metamorphic relations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import assert_certified
from strategies import models

import mdplab.exact as exact
from mdplab.models import MDP, SolverFailure

SOLVERS = {
    "value_iteration": exact.value_iteration,
    "gauss_seidel": exact.gauss_seidel,
    "modified_policy_iteration": exact.modified_policy_iteration,
    "five sweeps": lambda mdp, **k: exact.modified_policy_iteration(mdp, sweeps=5, **k),
    "policy_iteration": exact.policy_iteration,
    "bicgstab": exact.inexact_policy_iteration,
    "gmres": lambda mdp, **k: exact.inexact_policy_iteration(mdp, inner="gmres", **k),
    "primal": lambda mdp, **k: exact.linear_programming(mdp, formulation="primal", **k),
    "dual": lambda mdp, **k: exact.linear_programming(mdp, formulation="dual", **k),
    "solve": exact.solve,
}


def _garnet(S, A, b, gamma, key):
    rng = np.random.default_rng([12, key])
    P = np.zeros((S, A, S))
    for s, a in np.ndindex(S, A):
        P[s, a, rng.choice(S, b, replace=False)] = rng.dirichlet(np.ones(b))
    return MDP(P, rng.random((S, A)), gamma)


def _walk(S, gamma):
    """A slow chain: step left or right with slip .1, reward at the right end."""
    P = np.zeros((S, 2, S))
    for s in range(S):
        left, right = max(s - 1, 0), min(s + 1, S - 1)
        for a, (to, back) in enumerate([(left, right), (right, left)]):
            P[s, a, to] += 0.9
            P[s, a, back] += 0.1
    r = np.zeros((S, 2))
    r[-1] = 1.0
    return MDP(P, r, gamma)


def _cycle(S, gamma):
    """Deterministic cycle with reward on the last step: periodic, its span never shrinks by mixing."""
    r = np.zeros((S, 1))
    r[-1] = 1.0
    return MDP(np.roll(np.eye(S), 1, axis=1)[:, None, :], r, gamma)


@pytest.mark.parametrize("name", SOLVERS)
@settings(max_examples=15)
@given(mdp=models())
def test_certified_and_true_on_any_small_model(name, mdp):
    assert_certified(mdp, SOLVERS[name](mdp, tol=1e-7), 1e-7)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "mdp",
    [_garnet(40, 3, 4, 0.99, 0), _walk(30, 0.99), _cycle(7, 0.99), _garnet(20, 2, 3, 0.0, 1), _walk(25, 0.0)],
    ids=["garnet", "walk", "cycle", "garnet, gamma 0", "walk, gamma 0"],
)
def test_solvers_agree(name, sparse, mdp):
    mdp = mdp.sparse() if sparse else mdp
    answer, second = SOLVERS[name](mdp), exact.policy_iteration(mdp, tol=1e-8)
    assert answer.certificate.gap <= 1e-6
    assert np.abs(answer.value - second.value).max() <= answer.certificate.gap + second.certificate.gap
    # Presolve of HiGHS may leave no iteration.
    assert answer.num_iters >= (0 if name in {"primal", "dual"} else 1)
    assert answer.seconds > 0


@pytest.mark.parametrize("gamma", [0.999, 0.9999])
@pytest.mark.parametrize(
    "mdp", [_garnet(60, 3, 4, 0.5, 2), _walk(60, 0.5), _cycle(9, 0.5)], ids=["garnet", "walk", "cycle"]
)
def test_solve_certifies_near_one(mdp, gamma):
    answer = exact.solve(mdp.replace(gamma=gamma))
    second = exact.policy_iteration(mdp.replace(gamma=gamma))
    assert answer.certificate.gap <= 1e-6
    assert np.abs(answer.value - second.value).max() <= answer.certificate.gap + second.certificate.gap


@pytest.mark.parametrize("name", SOLVERS)
def test_closed_form_of_a_cycle(name):
    S, gamma = 6, 0.9
    expected = gamma ** np.arange(S - 1, -1, -1) / (1 - gamma**S)
    answer = SOLVERS[name](_cycle(S, gamma))
    # The formula itself is rounded a dozen times.
    assert np.abs(answer.value - expected).max() <= answer.certificate.gap + 1e-14


@pytest.mark.parametrize("name", SOLVERS)
def test_closed_form_of_two_states(name):
    leave, back, gamma = 0.3, 0.6, 0.95
    mdp = MDP([[[1 - leave, leave]], [[back, 1 - back]]], [[1.0], [0.0]], gamma)
    below = (1 - gamma) * (1 - gamma * (1 - leave - back))
    expected = np.array([1 - gamma * (1 - back), gamma * back]) / below
    answer = SOLVERS[name](mdp)
    # The formula itself is rounded a dozen times.
    assert np.abs(answer.value - expected).max() <= answer.certificate.gap + 1e-13


def test_a_residual_stop_would_have_been_wrong():
    """On a slow chain |T v - v| < tol is reached with an error far above tol; the certified gap is not fooled."""
    mdp = _walk(30, 0.999)
    v, truth = np.zeros(30), exact.policy_iteration(mdp, tol=1e-8).value
    while True:
        new = exact.q_values(mdp, v).max(axis=1)
        if np.abs(new - v).max() < 1e-6:
            break
        v = new
    assert np.abs(v - truth).max() > 100 * 1e-6
    assert np.abs(exact.value_iteration(mdp).value - truth).max() <= 2e-6


def test_span_correction_saves_sweeps():
    mdp = _garnet(100, 4, 8, 0.999, 3)
    # A sup-norm stop needs log(1e-6 * 1e-3) / log(.999) = 20 000 sweeps.
    assert exact.value_iteration(mdp).num_iters < 100


# Metamorphic relations: oracles that need no second solver.


@settings(max_examples=40)
@given(models(), st.integers(-3, 3))
def test_adding_to_the_reward(mdp, c):
    old, new = exact.solve(mdp), exact.solve(mdp.replace(r=mdp.r + c))
    shift = c / (1 - mdp.gamma)
    assert np.abs(new.value - old.value - shift).max() <= old.certificate.gap + new.certificate.gap + 1e-12 * abs(shift)


@settings(max_examples=40)
@given(models(), st.sampled_from([0.25, 3.0, 100.0]))
def test_scaling_the_reward(mdp, c):
    old, new = exact.solve(mdp), exact.solve(mdp.replace(r=c * mdp.r))
    assert np.abs(new.value - c * old.value).max() <= c * old.certificate.gap + new.certificate.gap + 1e-12 * c


@settings(max_examples=40)
@given(models(), st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_potential_shaping_moves_the_value_by_the_potential(mdp, potential):
    phi = np.array(potential[: mdp.S], dtype=float)
    shaped = mdp.r + exact.q_values(mdp.replace(r=np.zeros(mdp.r.shape)), phi) - phi[:, None]
    old, new = exact.solve(mdp), exact.solve(mdp.replace(r=np.where(mdp.actions, shaped, 0.0)))
    # Shaped rewards are rounded, which 1 / (1 - gamma) = 100 multiplies.
    assert np.abs(new.value - old.value + phi).max() <= old.certificate.gap + new.certificate.gap + 1e-11


@settings(max_examples=40)
@given(models(sparse=False), st.permutations(range(4)))
def test_relabelling_the_states(mdp, order):
    order = np.array([s for s in order if s < mdp.S])
    moved = MDP(mdp.P[order][:, :, order], mdp.r[order], mdp.gamma, actions=mdp.actions[order])
    old, new = exact.solve(mdp), exact.solve(moved)
    assert np.abs(new.value - old.value[order]).max() <= old.certificate.gap + new.certificate.gap


@settings(max_examples=40)
@given(models(sparse=False))
def test_duplicating_an_action(mdp):
    pick = np.r_[np.arange(mdp.A), 0]
    twice = MDP(mdp.P[:, pick], mdp.r[:, pick], mdp.gamma, actions=mdp.actions[:, pick])
    old, new = exact.solve(mdp), exact.solve(twice)
    assert np.abs(new.value - old.value).max() <= old.certificate.gap + new.certificate.gap


@settings(max_examples=40)
@given(models(sparse=False))
def test_splitting_a_state(mdp):
    """State 0 and its twin, each entered with half of the probability."""
    P = np.concatenate([mdp.P, mdp.P[:1]])
    P = np.concatenate([P, 0.5 * P[:, :, :1]], axis=2)
    P[:, :, 0] *= 0.5
    rows = np.r_[np.arange(mdp.S), 0]
    old, new = exact.solve(mdp), exact.solve(MDP(P, mdp.r[rows], mdp.gamma, actions=mdp.actions[rows]))
    assert np.abs(new.value - old.value[rows]).max() <= old.certificate.gap + new.certificate.gap


@settings(max_examples=40)
@given(models(max_actions=3))
def test_removing_an_action_never_helps(mdp):
    actions = mdp.actions.copy()
    last = np.array([np.flatnonzero(row)[-1] for row in actions])
    actions[np.arange(mdp.S), last] &= actions.sum(axis=1) == 1
    old, new = exact.solve(mdp), exact.solve(mdp.replace(actions=actions))
    assert (new.value - old.value).max() <= old.certificate.gap + new.certificate.gap


@settings(max_examples=40)
@given(models(sparse=False), st.sampled_from([0.25, 0.5]))
def test_a_self_loop_is_a_discount(mdp, stay):
    """With (1 - stay) P + stay I: the value of P at gamma (1 - stay) / (1 - gamma stay), reward / (1 - gamma stay)."""
    lazy = (1 - stay) * mdp.P + stay * np.eye(mdp.S)[:, None, :] * mdp.actions[:, :, None]
    scale = 1 / (1 - mdp.gamma * stay)
    old = exact.solve(mdp.replace(r=mdp.r * scale, gamma=mdp.gamma * (1 - stay) * scale))
    new = exact.solve(mdp.replace(P=lazy))
    # The new discount and rewards are rounded; values are at most 200.
    assert np.abs(new.value - old.value).max() <= old.certificate.gap + new.certificate.gap + 1e-9


@settings(max_examples=40)
@given(models(gammas=(0.0,)))
def test_without_a_future_the_reward_is_the_value(mdp):
    best = np.where(mdp.actions, mdp.r, -np.inf).max(axis=1)
    answer = exact.solve(mdp)
    assert np.abs(answer.value - best).max() <= answer.certificate.gap


def test_a_lumpable_model_agrees_with_its_quotient():
    """Four states in two classes with equal class-to-class probabilities."""
    Q = np.array([[0.25, 0.75], [0.5, 0.5]])
    split = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]])
    small = MDP(Q[:, None, :], [[1.0], [0.0]], 0.9)
    large = MDP((Q @ split)[[0, 0, 1, 1]][:, None, :], [[1.0], [1.0], [0.0], [0.0]], 0.9)
    a, b = exact.solve(small), exact.solve(large)
    assert np.abs(b.value - a.value[[0, 0, 1, 1]]).max() <= a.certificate.gap + b.certificate.gap


# What callers get wrong.


@pytest.mark.parametrize("solver", [exact.value_iteration, exact.policy_iteration, exact.linear_programming])
def test_other_criteria_are_sent_elsewhere(solver):
    with pytest.raises(ValueError, match="horizon is 3"):
        solver(_cycle(3, 0.9).replace(horizon=3))
    with pytest.raises(ValueError, match=r"gamma is 1; .* needs gamma < 1"):
        solver(MDP([[[1.0]]], [[0.0]], 1.0))
    with pytest.raises(ValueError, match=r"tol is -1\.0"):
        solver(_cycle(3, 0.9), tol=-1.0)


def test_limits_are_reported():
    with pytest.raises(SolverFailure, match=r"value_iteration reached a certified gap of .* after 3 sweeps"):
        exact.value_iteration(_walk(30, 0.999), max_iters=3)
    with pytest.raises(ValueError, match="max_iters is 0"):
        exact.value_iteration(_walk(3, 0.9), max_iters=0)
    with pytest.raises(ValueError, match="inner is 'cg'"):
        exact.inexact_policy_iteration(_walk(3, 0.9), inner="cg")
    with pytest.raises(ValueError, match="formulation is 'both'"):
        exact.linear_programming(_walk(3, 0.9), formulation="both")
