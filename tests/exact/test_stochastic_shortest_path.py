"""Total reward: closed forms, brute force in rationals, and every inequality of every certificate checked exactly."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from exact.rational_check import best_proper_total, total_faults

from mdplab.exact import SolverFailure, stochastic_shortest_path
from mdplab.models import MDP


def solve(mdp, tol=1e-6):
    """The solution, whose certificate holds exactly."""
    out = stochastic_shortest_path(mdp, tol=tol)
    assert total_faults(mdp, out) == []
    return out


def model(S, moves, gamma=1.0):
    """An MDP from {(s, a): (reward, {successor: probability})}; states without moves are terminal."""
    A = 1 + max(a for _, a in moves)
    P, r, actions = np.zeros((S, A, S)), np.zeros((S, A)), np.zeros((S, A), dtype=bool)
    for (s, a), (reward, successors) in moves.items():
        actions[s, a], r[s, a] = True, reward
        for j, p in successors.items():
            P[s, a, j] = p
    for s in np.flatnonzero(~actions.any(axis=1)):
        actions[s, 0], P[s, 0, s] = True, 1.0
    return MDP(P, r, gamma, actions=actions)


def restart_chain(n):
    """From each of n states half back to the first; the last then wins or loses evenly, so the value is 1/2."""
    moves = {(i, 0): (0.0, {0: 0.5, i + 1: 0.5} if i else {0: 0.5, 1: 0.5}) for i in range(n - 1)}
    moves[n - 1, 0] = (0.25, {0: 0.5, n: 0.25, n + 1: 0.25})
    return model(n + 2, moves)


@pytest.mark.parametrize("n", [2, 10, 20, 30, 40])
def test_restart_chain_is_worth_one_half(n):
    # Value iteration stopped on a residual of 1e-6 reports 0 for n = 20.
    out = solve(restart_chain(n))
    assert out.certificate.gap <= 1e-6
    assert np.abs(out.value[:n] - 0.5).max() <= out.certificate.gap


@pytest.mark.parametrize("n", [10, 150])
def test_reflected_walk_takes_quadratic_time(n):
    # T(k) = 1 + (T(k-1) + T(k+1)) / 2, T(0) = 0, T(n) = 1 + T(n-1): T(k) = k (2n - k). At n = 150 a margin in
    # proportion to the value, 22500, would exceed 1e-6 over 45000 steps; one in proportion to its differences does not.
    moves = {(k, 0): (-1.0, {k - 1: 0.5, k + 1: 0.5}) for k in range(1, n)} | {(n, 0): (-1.0, {n - 1: 1.0})}
    out = solve(model(n + 1, moves))
    k = np.arange(n + 1)
    assert np.abs(out.value + k * (2 * n - k)).max() <= out.certificate.gap


def test_a_chain_too_long_for_floats_is_refused():
    with pytest.raises(SolverFailure, match="too many to bound"):
        stochastic_shortest_path(restart_chain(60))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sign", ["costs", "gains", "both"])
def test_random_proper_models_agree_with_brute_force(seed, sign):
    rng = np.random.default_rng([2101, seed])
    S, A = 5, 2
    P = rng.dirichlet(np.full(S, 0.4), size=(S, A))
    P = 0.8 * P + 0.2 * np.eye(S)[-1]
    r = rng.random((S, A)) * (-1 if sign == "costs" else 1) - (0.5 if sign == "both" else 0)
    P[-1], r[-1] = np.eye(S)[-1], 0
    for mdp in (MDP(P, r, 1.0), MDP(P, r, 1.0).sparse()):
        out = solve(mdp)
        assert np.abs(out.value - best_proper_total(mdp)).max() <= out.certificate.gap
        expected = {"costs": "negative-rewards", "gains": "nonnegative", "both": "all-proper"}[sign]
        assert out.certificate.data["upper"] == expected or sign == "both"


@pytest.mark.parametrize("seed", range(8))
def test_costs_with_improper_policies(seed):
    # Action 0 may loop for ever, at a cost; brute force over the policies that terminate is the optimum.
    rng = np.random.default_rng([2102, seed])
    S = 5
    P = np.zeros((S, 2, S))
    P[:, 0] = np.eye(S)[rng.permutation(S)]
    P[:, 1] = rng.dirichlet(np.full(S, 0.5), size=S)
    r = -rng.random((S, 2))
    P[-1], r[-1] = np.eye(S)[-1], 0
    mdp = MDP(P, r, 1.0)
    out = solve(mdp)
    assert out.certificate.data["upper"] == "negative-rewards"
    assert np.abs(out.value - best_proper_total(mdp)).max() <= out.certificate.gap


def test_a_loss_can_be_worth_its_cost_and_bounds_mix_signs():
    # State 1 loops for ever at -1 or pays 5; state 0 earns 2 on the way; nothing is nonnegative, proper or negative.
    mdp = model(3, {(0, 0): (2.0, {1: 1.0}), (1, 0): (-1.0, {1: 1.0}), (1, 1): (-5.0, {2: 1.0})})
    out = solve(mdp)
    assert out.certificate.data["upper"] == "transient"
    np.testing.assert_allclose(out.value, [-3, -5, 0], atol=out.certificate.gap)


def test_staying_for_nothing_beats_a_costly_exit():
    # One may rest in {1, 2} at no cost, so only the way there is paid: 0 pays 1, and never the exit's 7.
    mdp = model(
        4,
        {
            (0, 0): (-1.0, {1: 1.0}),
            (0, 1): (-1.0, {0: 1.0}),
            (1, 0): (0.0, {2: 1.0}),
            (2, 0): (0.0, {1: 1.0}),
            (2, 1): (-7.0, {3: 1.0}),
        },
    )
    out = solve(mdp)
    np.testing.assert_allclose(out.value, [-1, 0, 0, 0], atol=out.certificate.gap)
    assert out.certificate.data["lower"] == "transient"


def test_reachability_with_end_components_and_rows_that_sum_to_one_only_nearly():
    # {0, 1, 2} is an end component with thirds and tenths; from 2 one bet wins with .3, from 0 a better one with .6.
    third = 1 / 3
    mdp = model(
        6,
        {
            (0, 0): (0.0, {0: third, 1: third, 2: third}),
            (1, 0): (0.0, {0: 0.1, 1: 0.2, 2: 0.7}),
            (2, 0): (0.0, {0: 0.7, 1: 0.1, 2: 0.2}),
            (2, 1): (0.3, {3: 0.3, 4: 0.7}),
            (0, 1): (0.6, {3: 0.6, 5: 0.4}),
            # 4 is a trap of one state, 5 one of two choices: neither is terminal, both are worth nothing.
            (4, 0): (0.0, {4: 0.5, 5: 0.5}),
            (5, 0): (0.0, {4: 0.9, 5: 0.1}),
        },
    )
    assert mdp.terminal.tolist() == [False, False, False, True, False, False]
    out = solve(mdp)
    np.testing.assert_allclose(out.value, [0.6, 0.6, 0.6, 0, 0, 0], atol=out.certificate.gap)
    assert out.certificate.data["lower"] == "transient"
    assert out.certificate.data["upper"] == "nonnegative"
    # The greatest fixed point of the same equations is 1 everywhere: nothing there stops one from dreaming.
    assert out.certificate.gap <= 1e-6


def test_an_unreachable_goal_is_worth_exactly_nothing():
    mdp = model(3, {(0, 0): (0.0, {1: 1.0}), (1, 0): (0.0, {0: 0.3, 1: 0.7})})
    out = solve(mdp)
    assert out.value.tolist() == [0, 0, 0]
    assert out.certificate.gap == 0


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ({(0, 0): (1.0, {0: 1.0}), (0, 1): (0.0, {2: 1.0}), (1, 0): (0.0, {2: 1.0})}, "state 0 is plus infinity"),
        (
            {(0, 0): (3.0, {1: 1.0}), (1, 0): (-2.0, {0: 1.0}), (1, 1): (0.0, {2: 1.0})},
            "plus infinity: reward 3 of action 0",
        ),
        ({(0, 0): (-1.0, {1: 1.0}), (1, 0): (-1.0, {0: 1.0})}, "from state 0 .* minus infinity"),
        ({(0, 0): (1.0, {1: 1.0}), (1, 0): (-1.0, {0: 1.0}), (1, 1): (0.0, {2: 1.0})}, "cannot be decided"),
    ],
)
def test_values_that_are_not_finite_are_named(moves, message):
    with pytest.raises(SolverFailure, match=message):
        stochastic_shortest_path(model(3, moves))


def test_loops_of_both_signs_that_lose_on_balance():
    mdp = model(
        4,
        {
            (0, 0): (2.0, {1: 1.0}),
            (1, 0): (-3.0, {0: 1.0}),
            (1, 1): (-4.0, {3: 0.5, 2: 0.5}),
            (2, 0): (1.0, {3: 1.0}),
        },
    )
    out = solve(mdp)
    np.testing.assert_allclose(out.value, [-1.5, -3.5, 1, 0], atol=out.certificate.gap)


def test_bad_arguments_are_named():
    mdp = restart_chain(3)
    with pytest.raises(ValueError, match=r"gamma is 0\.9"):
        stochastic_shortest_path(mdp.replace(gamma=0.9))
    with pytest.raises(ValueError, match="horizon is 4"):
        stochastic_shortest_path(mdp.replace(horizon=4))
    with pytest.raises(ValueError, match="tol is 0"):
        stochastic_shortest_path(mdp, tol=0)


@pytest.mark.parametrize("name", ["lo", "hi", "steps"])
def test_the_rational_check_sees_a_broken_bound(name):
    mdp = restart_chain(5)
    out = stochastic_shortest_path(mdp)
    data = dict(out.certificate.data)
    data[name] = np.array(data[name])
    # More than the margin of 1e-12, in the direction that no longer proves anything.
    data[name][2] += {"lo": 1e-9, "hi": -1e-9, "steps": -2.1}[name]
    assert (
        total_faults(mdp, dataclasses.replace(out, certificate=dataclasses.replace(out.certificate, data=data))) != []
    )


def test_a_grid_of_ten_thousand_states():
    n = 100
    x, y = np.divmod(np.arange(n * n), n)
    rng = np.random.default_rng(2103)
    to = np.stack([np.maximum(x - 1, 0) * n + y, x * n + np.maximum(y - 1, 0)], axis=1).ravel()
    slip = np.repeat(np.minimum(x + 1, n - 1) * n + np.minimum(y + 1, n - 1), 2)
    rows = np.arange(2 * n * n)
    P = sp.csr_array((np.full(len(rows), 0.75), (rows, to)), shape=(2 * n * n, n * n))
    P = P + sp.csr_array((np.full(len(rows), 0.25), (rows, slip)), shape=P.shape)
    home = sp.csr_array((np.ones(2), ([0, 1], [0, 0])), shape=P.shape)
    keep = sp.diags_array(np.where(rows < 2, 0.0, 1.0))
    r = -0.5 - rng.random((n * n, 2))
    r[0] = 0
    out = stochastic_shortest_path(MDP(sp.csr_array(keep @ P + home), r, 1.0))
    assert out.certificate.gap <= 1e-6
    assert out.value.max() == 0
