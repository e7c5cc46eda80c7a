"""Variance of estimates with several actions a state: closed forms, all paths, limits, and what is refused."""

import numpy as np
import pytest

from mdplab.exact.gradient_variance import (
    correlations,
    differential_q,
    enumerate_estimates,
    estimate_variance,
    influence,
    long_run,
    many_actions_win,
    state_variance,
    stationary_law,
)
from mdplab.models import SolverFailure


def chains(n, S, A, d, key):
    rng = np.random.default_rng([601, key])
    P = 0.5 * rng.dirichlet(np.ones(S), size=(n, S, A)) + 0.5 / S
    return P, rng.dirichlet(np.ones(A), size=(n, S)), rng.standard_normal((n, S, A, d))


def chosen(lean):
    """The action is the next state, +1 or -1, and Upsilon; the policy keeps its state with chance (1 + lean) / 2."""
    own = np.array([[1 + lean, 1 - lean], [1 - lean, 1 + lean]]) / 2
    return np.broadcast_to(np.eye(2), (2, 2, 2)), own, np.broadcast_to([[1.0], [-1.0]], (2, 2, 1))


def test_correlations_in_closed_form():
    """m = lean s, and s is autoregressive with weight lean: C_k = lean^(k+2), B_k = (1 - lean^2) lean^k."""
    parts = correlations(*chosen(0.6), lags=4)
    k = np.arange(1, 5)
    # A few roundings of numbers below 1.
    np.testing.assert_allclose([parts.D, parts.A, parts.mean[0]], [0.36, 0.64, 0.0], atol=1e-15)
    np.testing.assert_allclose(parts.C, 0.6 ** (k + 2), atol=1e-15)  # likewise
    np.testing.assert_allclose(parts.B, 0.64 * 0.6**k, atol=1e-15)  # likewise


@pytest.mark.parametrize(
    ("S", "A", "d", "T", "N"), [(2, 2, 1, 4, 2), (3, 2, 2, 3, 2), (2, 3, 3, 2, 3), (3, 3, 1, 1, 4)]
)
def test_formula_and_mean_agree_with_all_paths(S, A, d, T, N):
    for i in range(3):
        chain = [x[0] for x in chains(1, S, A, d, i)]
        values, probability = enumerate_estimates(*chain, T, N, executed=N - 1)
        parts = correlations(*chain, lags=T)
        mean = probability @ values
        # Hundreds of roundings of numbers of size one.
        assert probability.sum() == pytest.approx(1, abs=1e-13)
        np.testing.assert_allclose(mean, parts.mean, atol=1e-13)  # likewise
        spread = probability @ ((values - mean) ** 2).sum(axis=1)
        assert spread == pytest.approx(float(estimate_variance(parts, T, N)), abs=1e-13)  # likewise


def test_an_action_drawn_apart_has_no_influence_on_the_estimate():
    chain = [x[0] for x in chains(1, 2, 2, 1, 7)]
    values, probability = enumerate_estimates(*chain, 3, 2, executed=None)
    parts = correlations(*chain, lags=2)
    spread = probability @ ((values - probability @ values) ** 2).sum(axis=1)
    # A few hundred roundings; the influence itself is nine orders larger.
    assert spread == pytest.approx(float(state_variance(parts, 3) + parts.A / 6), abs=1e-13)
    assert abs(spread - float(estimate_variance(parts, 3, 2))) > 3e-4


def test_infinitely_many_actions_leave_the_variance_of_the_states():
    parts = correlations(*chains(20, 3, 2, 2, 1), lags=5)
    # What is left of A and B is a part in 1e9 of numbers of size ten.
    np.testing.assert_allclose(estimate_variance(parts, 6, 10**9), state_variance(parts, 6), atol=1e-7)


@pytest.mark.parametrize(("T", "N"), [(1, 2), (2, 3), (5, 2), (4, 4)])
def test_difference_and_decision(T, N):
    parts = correlations(*chains(500, 2, 2, 1, 2), lags=N * T - 1)
    gap = estimate_variance(parts, T, N) - estimate_variance(parts, N * T, 1)
    decided = state_variance(parts, T) - state_variance(parts, N * T) - influence(parts, T, N)
    np.testing.assert_allclose(gap, decided, atol=1e-13)  # hundreds of roundings of numbers of size one
    np.testing.assert_array_equal(many_actions_win(parts, T, N), decided < 0)


def test_a_tie_is_no_win():
    """One state, in which samples are samples: exactly equal, as all numbers are quarters."""
    parts = correlations(np.ones((1, 2, 1)), np.full((1, 2), 0.5), np.array([[[0.0], [1.0]]]), lags=3)
    assert estimate_variance(parts, 2, 2) == estimate_variance(parts, 4, 1) == 1 / 16
    assert not many_actions_win(parts, 2, 2)


def test_both_answers_occur():
    parts = correlations(*chosen(0.4), lags=19)
    assert many_actions_win(parts, 1, 2) and not many_actions_win(parts, 10, 2)
    # V(1, 2) / V(2, 1) = (1 + y^2) / (1 + y) at y = 2/5: 29/35, a few roundings.
    assert estimate_variance(parts, 1, 2) / estimate_variance(parts, 2, 1) == pytest.approx(29 / 35, abs=1e-15)


def test_batches_are_their_chains():
    batch = chains(4, 3, 2, 2, 3)
    together = correlations(*batch, lags=3)
    for i in range(4):
        alone = correlations(*(x[i] for x in batch), lags=3)
        for name in ("mean", "D", "A", "C", "B"):
            # Sums in another order.
            np.testing.assert_allclose(getattr(alone, name), getattr(together, name)[i], atol=1e-14)


def test_long_run_is_the_sum_of_the_lags():
    chain = chains(5, 4, 2, 2, 4)
    parts, limits = correlations(*chain, lags=60), long_run(*chain)
    k = np.arange(1, 61)
    # Correlations fall like 2^-k; hundreds of roundings.
    for found, sums in (
        (limits.states, parts.D + 2 * parts.C.sum(axis=1)),
        (limits.actions, parts.A + 2 * parts.B.sum(axis=1)),
        (limits.states_lag, parts.C @ k),
        (limits.actions_lag, parts.B @ k),
    ):
        np.testing.assert_allclose(found, sums, atol=1e-12)  # as above
    assert np.all(limits.states >= 0)


def test_long_run_of_a_period_of_two():
    """States alternate between +1 and -1 = m: T V_s(T) is 1 / T for odd T and 0 for even T."""
    P = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    pi, table = np.ones((2, 1)), np.array([[[1.0]], [[-1.0]]])
    parts, limits = correlations(P, pi, table, lags=1000), long_run(P, pi, table)
    assert float(limits.states) == pytest.approx(0, abs=1e-15)  # a few roundings
    for T in (1, 2, 7, 8, 1001):
        assert T * state_variance(parts, T) == pytest.approx(T % 2 / T, abs=1e-13)  # a thousand roundings


def test_differential_q_solves_its_equation():
    (P,), (pi,), (table,) = chains(1, 4, 3, 1, 5)
    r = table[..., 0]
    gain, q = differential_q(P, pi, r)
    h = (pi * q).sum(axis=1)
    mu = stationary_law(np.einsum("sa,sat->st", pi, P))
    # Roundings of a well-conditioned system.
    np.testing.assert_allclose(q, r - gain + P @ h, atol=1e-13)
    assert mu @ h == pytest.approx(0, abs=1e-14)
    assert gain == pytest.approx(mu @ (pi * r).sum(axis=1), abs=1e-15)  # likewise


def test_two_recurrent_classes_are_refused():
    with pytest.raises(SolverFailure):
        stationary_law(np.eye(2))
    with pytest.raises(SolverFailure):
        stationary_law(np.array([[1, 0, 0], [0.3, 0.4, 0.3], [0, 0, 1.0]]))
    # One recurrent class and a transient state, or a period, are fine.
    assert stationary_law(np.array([[1, 0], [0.5, 0.5]])).tolist() == [1.0, 0.0]
    assert stationary_law(np.array([[0, 1.0], [1, 0]])).tolist() == [0.5, 0.5]


def test_bad_arguments_are_named():
    P, pi, table = (x[0] for x in chains(1, 2, 2, 1, 6))
    with pytest.raises(ValueError, match=r"P has shape \(2, 2\)"):
        correlations(P[0], pi, table, lags=1)
    with pytest.raises(ValueError, match="pi has shape"):
        correlations(P, pi[:, :1], table, lags=1)
    with pytest.raises(ValueError, match="table has shape"):
        correlations(P, pi, table[..., 0], lags=1)
    with pytest.raises(ValueError, match=r"P\[1, 0\] is .*; expected probabilities"):
        correlations(np.where(np.arange(2)[:, None, None] == 1, 0.4, P), pi, table, lags=1)
    with pytest.raises(ValueError, match=r"pi\[0\] is"):
        correlations(P, np.full((2, 2), np.nan), table, lags=1)
    with pytest.raises(ValueError, match="lags is -1"):
        correlations(P, pi, table, lags=-1)
    parts = correlations(P, pi, table, lags=2)
    with pytest.raises(ValueError, match="have 2 lags; 4 states need 3"):
        estimate_variance(parts, 4, 1)
    with pytest.raises(ValueError, match="have 2 lags; 4 states need 3"):
        many_actions_win(parts, 2, 2)
    for name, bad in (("T", {"T": 1.5}), ("T", {"T": 0}), ("N", {"N": np.nan}), ("N", {"N": 0})):
        for function in (estimate_variance, influence, many_actions_win):
            with pytest.raises(ValueError, match=f"^{name} is {bad[name]}; "):
                function(parts, **({"T": 1, "N": 2} | bad))
    with pytest.raises(ValueError, match=r"^T is 0; "):
        state_variance(parts, 0)
    with pytest.raises(ValueError, match=r"^table\[1, 0, 0\] is nan; "):
        correlations(P, pi, np.where(np.arange(2)[:, None, None] == 1, np.nan, table), lags=1)
    with pytest.raises(ValueError, match=r"^lags is 1.5; "):
        correlations(P, pi, table, lags=1.5)
    with pytest.raises(ValueError, match="leading axes differ"):
        long_run(P[None].repeat(2, axis=0), pi[None].repeat(3, axis=0), table)
    with pytest.raises(ValueError, match=r"^P has shape \(0, 2, 0\)"):
        correlations(np.ones((0, 2, 0)), np.ones((0, 2)), np.ones((0, 2, 1)), lags=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T": 0}, "^T is 0; "),
        ({"N": 2.5}, "^N is 2.5; "),
        ({"executed": 2}, "^executed is 2; "),
        ({"executed": -1}, "^executed is -1; "),
        ({"executed": 0.5}, "^executed is 0.5; "),
        ({"T": 10, "N": 3}, "paths"),
        ({"T": 10**9, "N": 10**9}, "paths"),
        ({"start": [0.5, 0.6]}, "^start sums to 1.1"),
        ({"start": [1.5, -0.5]}, r"^start\[1\] is -0.5; "),
        ({"start": [1.0]}, r"^start has shape \(1,\)"),
        ({"P": np.full((1, 2, 2, 2), 0.5)}, r"^P has shape \(1, 2, 2, 2\)"),
    ],
)
def test_bad_arguments_of_the_enumeration_are_named(changes, message):
    P, pi, table = (x[0] for x in chains(1, 2, 2, 1, 6))
    with pytest.raises(ValueError, match=message):
        enumerate_estimates(**({"P": P, "pi": pi, "table": table, "T": 1, "N": 2} | changes))


def test_bad_chains_and_rewards_are_named():
    with pytest.raises(ValueError, match=r"^chain has shape \(1, 2\)"):
        stationary_law(np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match=r"^chain\[1\] is \[0.6, 0.6\]; "):
        stationary_law(np.array([[0.5, 0.5], [0.6, 0.6]]))
    with pytest.raises(ValueError, match=r"^chain\[0\] is \[nan, "):
        stationary_law(np.full((2, 2), np.nan))
    P, pi, table = (x[0] for x in chains(1, 2, 2, 1, 6))
    with pytest.raises(ValueError, match=r"^r has shape \(1, 2\); expected \(..., 2, 2\)"):
        differential_q(P, pi, table[:1, :, 0])
    with pytest.raises(ValueError, match=r"^r\[0, 1\] is inf; "):
        differential_q(P, pi, np.array([[0.0, np.inf], [0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"^pi\[0\] is"):
        differential_q(P, 2 * pi, table[..., 0])
