"""Gain and bias: closed forms, brute force over deterministic policies, multichain models, exact bounds."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from exact.rational_check import average_faults, best_gain

from mdplab.exact import SolverFailure, average_reward
from mdplab.exact.chains import gain_and_bias
from mdplab.models import MDP


def solve(mdp, **options):
    """The solution, whose certificate holds exactly."""
    out = average_reward(mdp, **options)
    assert average_faults(mdp, out) == []
    return out


METHODS = ["policy_iteration", "relative_value_iteration"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(5))
def test_random_unichain_models_agree_with_brute_force(method, seed):
    rng = np.random.default_rng([2201, seed])
    mdp = MDP(rng.dirichlet(np.full(4, 0.5), size=(4, 3)), rng.standard_normal((4, 3)), 0.0)
    for model in (mdp, mdp.sparse()):
        out = solve(model, method=method)
        assert out.certificate.data["form"] == "constant"
        # Brute force by powers of floats is good to about 1e-12.
        assert np.abs(out.value - best_gain(mdp)).max() <= out.certificate.gap + 1e-11


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_cycle_is_periodic_and_gains_its_mean(method, n):
    # Value iteration itself never settles here: Th - h keeps its span.
    P = np.roll(np.eye(n), 1, axis=1)[:, None, :]
    r = np.arange(n, dtype=float)[:, None]
    out = solve(MDP(P, r, 0.9), method=method)
    np.testing.assert_allclose(out.value, np.mean(r), atol=out.certificate.gap)


def test_bias_of_two_states_in_closed_form():
    # P = [[1-p, p], [q, 1-q]], rewards (1, 0): gain q/(p+q), bias (p, -q)/(p+q)^2 (Puterman 1994, section 8.2.1).
    p, q = 0.3, 0.2
    out = solve(MDP([[[1 - p, p]], [[q, 1 - q]]], [[1.0], [0.0]], 0.5))
    np.testing.assert_allclose(out.value, q / (p + q), atol=out.certificate.gap)
    # Rounding of a well-conditioned 2 x 2 system.
    np.testing.assert_allclose(out.extras["bias"], np.array([p, -q]) / (p + q) ** 2, atol=1e-13)
    assert out.extras["classes"].tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_gain_and_bias_satisfy_their_definitions(seed):
    # Two closed classes and transient states between: g = P* r, g + h = r + P h, P* h = 0.
    rng = np.random.default_rng([2202, seed])
    n = 9
    P = rng.dirichlet(np.full(n, 0.5), size=n)
    for block in (slice(0, 3), slice(3, 5)):
        P[block] = 0
        P[block, block] = rng.dirichlet(np.ones(block.stop - block.start), size=block.stop - block.start)
    r = rng.standard_normal(n)
    gain, bias, label = gain_and_bias(sp.csr_array(P), r)
    limit = (np.eye(n) + P) / 2
    for _ in range(60):
        limit = limit @ limit
        limit /= limit.sum(axis=1, keepdims=True)
    # Rounding of a 9 x 9 solve and of 60 squarings.
    assert np.abs(gain - limit @ r).max() < 1e-12
    assert np.abs(gain + bias - r - P @ bias).max() < 1e-12
    assert np.abs(limit @ bias).max() < 1e-12
    assert label.tolist() == [0, 0, 0, 1, 1, -1, -1, -1, -1]


def example_with_two_gains():
    """State 0 keeps 3 or moves to 1, which keeps 1; state 2 chooses between a sure 2 and a fair bet on 0 and 1."""
    P = np.zeros((4, 2, 4))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = P[2, 0, 3] = P[3, :, 3] = 1
    P[2, 1, :2] = 0.5
    r = np.array([[3.0, 100.0], [1.0, 1.0], [-9.0, 0.0], [2.5, 2.5]])
    return MDP(P, r, 0.5)


def test_gains_that_differ_between_states():
    # The bet is worth 2 on average, the sure thing 2.5; one payment of 100 buys no gain.
    out = solve(example_with_two_gains())
    assert out.certificate.data["form"] == "multichain"
    np.testing.assert_allclose(out.value, [3, 1, 2.5, 2.5], atol=out.certificate.gap)
    assert out.policy[[0, 2]].tolist() == [0, 0]
    assert len(set(out.extras["classes"][[0, 1, 3]].tolist())) == 3


def test_two_state_example_of_puterman():
    # Puterman 1994, figure 3.1.1: state 0 pays 5 and stays half the time, or 10 and leaves; state 1 costs 1 for ever.
    mdp = MDP([[[0.5, 0.5], [0, 1]], [[0, 1], [0, 1]]], [[5.0, 10.0], [-1.0, -1.0]], 0.9)
    out = solve(mdp)
    np.testing.assert_allclose(out.value, -1, atol=out.certificate.gap)
    # h(0) = 5 + 1 + h(0)/2 = 12 beats 10 + 1, though both gain -1.
    assert out.policy[0] == 0
    # Rounding of a well-conditioned 2 x 2 system.
    np.testing.assert_allclose(out.extras["bias"], [12, 0], atol=1e-12)


def test_a_better_class_that_takes_several_tries_to_reach():
    P = np.zeros((3, 2, 3))
    P[0, 0, 0], P[0, 1, 1] = 1, 1
    P[1, 0, 1] = 1
    P[1, 1, [0, 2]] = 0.4, 0.6
    P[2, :, 2] = 1
    mdp = MDP(P, [[1.0, 0.0], [0.5, 10.0], [2.0, 2.0]], 0.5)
    out = solve(mdp)
    # From 0 or 1 one reaches 2 surely by trying again, as 0 leads back to 1.
    np.testing.assert_allclose(out.value, [2, 2, 2], atol=out.certificate.gap)


@pytest.mark.parametrize("seed", range(10))
def test_random_multichain_models_agree_with_brute_force(seed):
    rng = np.random.default_rng([2203, seed])
    S, A = 5, 2
    P = np.zeros((S, A, S))
    for s in range(S):
        for a in range(A):
            support = rng.choice(S, size=rng.integers(1, 3), replace=False)
            P[s, a, support] = rng.dirichlet(np.ones(len(support)))
    P[0], P[1] = np.eye(S)[0], np.eye(S)[1]
    r = rng.standard_normal((S, A))
    out = solve(MDP(P, r, 0.5))
    # Brute force by powers of floats is good to about 1e-11 on chains of this size.
    assert np.abs(out.value - best_gain(MDP(P, r, 0.5))).max() <= out.certificate.gap + 1e-10
    assert np.ptp(out.value) < 1e-9 or out.certificate.data["form"] == "multichain"


def test_communicating_model_whose_first_policies_have_several_classes():
    # Every state keeps its own reward or walks round the ring: only state 4 is worth keeping.
    n = 5
    P = np.stack([np.eye(n), np.roll(np.eye(n), 1, axis=1)], axis=1)
    r = np.stack([np.arange(n, dtype=float), np.full(n, -50.0)], axis=1)
    out = solve(MDP(P, r, 0.9))
    np.testing.assert_allclose(out.value, 4, atol=out.certificate.gap)
    assert out.policy.tolist() == [1, 1, 1, 1, 0]


def test_discount_does_not_matter():
    rng = np.random.default_rng(2204)
    P, r = rng.dirichlet(np.ones(6), size=(6, 2)), rng.random((6, 2))
    assert np.array_equal(average_reward(MDP(P, r, 0.1)).value, average_reward(MDP(P, r, 0.99)).value)


def test_relative_value_iteration_refuses_two_gains():
    with pytest.raises(SolverFailure, match="apart after 500 sweeps"):
        average_reward(example_with_two_gains(), method="relative_value_iteration", max_iters=500)


def test_large_model_is_solved_by_sweeps_and_a_large_multichain_model_by_policies():
    rng = np.random.default_rng(2205)
    S, A, b = 1500, 3, 4
    columns = rng.integers(S, size=S * A * b)
    P = sp.csr_array((np.full(S * A * b, 1 / b), (np.repeat(np.arange(S * A), b), columns)), shape=(S * A, S))
    r = rng.random((S, A))
    one = average_reward(MDP(P, r, 0.9), tol=1e-8)
    assert one.extras["algorithm"] == "relative_value_iteration"
    other = average_reward(MDP(P, r, 0.9), method="policy_iteration")
    assert abs(one.value[0] - other.value[0]) <= one.certificate.gap + other.certificate.gap
    keep = sp.csr_array(sp.kron(sp.eye_array(20), np.ones((A, 1)), format="csr"))
    both = sp.block_diag([P, keep], format="csr")
    two = average_reward(MDP(both, np.vstack([r, np.full((20, A), 7.0)]), 0.9))
    assert two.extras["algorithm"] == "policy_iteration"
    assert abs(two.value[0] - one.value[0]) <= one.certificate.gap + two.certificate.gap
    np.testing.assert_allclose(two.value[-20:], 7, atol=two.certificate.gap)


def test_bad_arguments_are_named():
    mdp = example_with_two_gains()
    with pytest.raises(ValueError, match="method is 'howard'"):
        average_reward(mdp, method="howard")
    with pytest.raises(ValueError, match="tol is -1"):
        average_reward(mdp, tol=-1)


@pytest.mark.parametrize(
    ("name", "change"), [("gain_hi", -1e-6), ("gain_lo", 1e-6), ("bias_hi", -1e5), ("bias_lo", 1.0)]
)
def test_the_rational_check_sees_a_broken_bound(name, change):
    mdp = example_with_two_gains()
    out = average_reward(mdp)
    data = dict(out.certificate.data)
    data[name] = np.array(data[name])
    data[name][2] += change
    broken = dataclasses.replace(out, certificate=dataclasses.replace(out.certificate, data=data))
    assert any(fault[0] in {"U1", "U2", "L1", "L2"} for fault in average_faults(mdp, broken))
