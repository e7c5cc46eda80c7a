"""Evaluation of policies, occupancies and the finite horizon, against exact rationals and identities."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import optimal_value, policy_value, q_value
from strategies import models

import mdplab.exact as exact
import mdplab.exact.evaluation as evaluation
from mdplab.models import MDP, SolverFailure


@st.composite
def models_and_policies(draw):
    """A model and a policy on its available actions, deterministic or with integer weights."""
    mdp = draw(models(gammas=(0.0, 0.5, 0.99)))
    if draw(st.booleans()):
        return mdp, np.array([draw(st.sampled_from(np.flatnonzero(row).tolist())) for row in mdp.actions])
    W = np.array(draw(st.lists(st.integers(0, 3), min_size=mdp.S * mdp.A, max_size=mdp.S * mdp.A)))
    W = W.reshape(mdp.S, mdp.A) * mdp.actions
    W = np.where(W.sum(axis=1, keepdims=True) == 0, mdp.actions, W)
    return mdp, W / W.sum(axis=1, keepdims=True)


def _fractions(x):
    return [Fraction(float(y)) for y in x]


@settings(max_examples=80)
@given(models_and_policies())
def test_policy_evaluation_encloses_the_exact_value(given_):
    mdp, pi = given_
    answer = exact.policy_evaluation(mdp, pi)
    cert = answer.certificate
    lo, hi = _fractions(cert.data["lo"]), _fractions(cert.data["hi"])
    weights = pi if pi.ndim == 2 else np.eye(mdp.A)[pi]
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    for s in range(mdp.S):
        row = _fractions(weights[s])
        # For the policy divided by its row sums, and as stored.
        for total in (1, sum(row)):
            assert sum(w * (x - lo[s] / total) for w, x in zip(row, q_lo[s], strict=True)) >= 0
            assert sum(w * (x - hi[s] / total) for w, x in zip(row, q_hi[s], strict=True)) <= 0
    truth = policy_value(mdp, pi)
    assert cert.kind == "evaluation"
    assert max(abs(x - y) for x, y in zip(_fractions(answer.value), truth, strict=True)) <= Fraction(cert.gap)
    assert cert.gap <= 1e-6


@pytest.mark.parametrize("scale", [1 - 5e-9, 1 + 5e-9])
@pytest.mark.parametrize("sparse", [False, True])
def test_policies_whose_rows_do_not_sum_to_one(scale, sparse):
    """As in a file with nine digits: the policy divided by its row sums is enclosed, and the policy as stored."""
    rng = np.random.default_rng([35])
    mdp = MDP(rng.dirichlet(np.ones(5), (5, 2)), rng.random((5, 2)), 0.9)
    pi = rng.dirichlet(np.ones(2), 5) * scale
    answer = exact.policy_evaluation(mdp.sparse() if sparse else mdp, pi)
    lo, hi = _fractions(answer.certificate.data["lo"]), _fractions(answer.certificate.data["hi"])
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    for s in range(5):
        row = _fractions(pi[s])
        for total in (1, sum(row)):
            assert sum(w * (x - lo[s] / total) for w, x in zip(row, q_lo[s], strict=True)) >= 0
            assert sum(w * (x - hi[s] / total) for w, x in zip(row, q_hi[s], strict=True)) <= 0


def test_large_models_are_evaluated_without_a_factorisation(monkeypatch):
    rng = np.random.default_rng([31])
    mdp = MDP(rng.dirichlet(np.ones(20), (20, 3)), rng.random((20, 3)), 0.95, mu=np.full(20, 0.05))
    pi = rng.dirichlet(np.ones(3), 20)
    for model in (mdp, mdp.sparse()):
        direct, flow = exact.policy_evaluation(model, pi), exact.occupancy_measure(model, pi)
        with monkeypatch.context() as patch:
            patch.setattr(evaluation, "_LU_STATES", 5)
            swept, krylov = exact.policy_evaluation(model, pi), exact.occupancy_measure(model, pi)
        assert np.abs(direct.value - swept.value).max() <= direct.certificate.gap + swept.certificate.gap
        # Both satisfy the flow equations to 1e-9 in the l1 norm.
        np.testing.assert_allclose(flow, krylov, atol=2e-9)


@settings(max_examples=60)
@given(models_and_policies())
def test_occupancy_gives_the_value(given_):
    mdp, pi = given_
    mu = np.arange(1.0, mdp.S + 1)
    mu /= mu.sum()
    visits = exact.occupancy_measure(mdp, pi, mu=mu, normalised=False)
    share = exact.occupancy_measure(mdp, pi, mu=mu)
    value = sum(Fraction(float(m)) * v for m, v in zip(mu, policy_value(mdp, pi), strict=True))
    # The flow equations hold within 1e-9 of a total of at most 100, with rewards up to 2.
    np.testing.assert_allclose((visits * mdp.r).sum(), float(value), atol=2e-7)
    np.testing.assert_allclose(share, (1 - mdp.gamma) * visits, atol=1e-12)  # one rounding of numbers up to 100
    np.testing.assert_allclose(share.sum(), 1.0, atol=1e-9)  # the tolerance asked for
    assert share.min() >= 0
    assert not share[~mdp.actions].any()


@settings(max_examples=40)
@given(models(), st.integers(1, 6))
def test_backward_induction_is_exact_at_every_stage(mdp, H):
    mdp = mdp.replace(horizon=H)
    answer = exact.backward_induction(mdp)
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    truth = [Fraction(0)] * mdp.S
    assert (lo[H] <= 0).all()
    assert (hi[H] >= 0).all()
    for t in range(H - 1, -1, -1):
        q = q_value(mdp, truth)
        truth = [max(q[s][a] for a in np.flatnonzero(mdp.actions[s])) for s in range(mdp.S)]
        q_lo, q_hi = q_value(mdp, _fractions(lo[t + 1])), q_value(mdp, _fractions(hi[t + 1]))
        for s in range(mdp.S):
            assert mdp.actions[s, answer.policy[t, s]]
            assert Fraction(float(lo[t, s])) <= q_lo[s][answer.policy[t, s]]
            assert Fraction(float(hi[t, s])) >= max(q_hi[s][a] for a in np.flatnonzero(mdp.actions[s]))
            assert abs(Fraction(float(answer.value[t, s])) - truth[s]) <= Fraction(answer.certificate.gap)
    # Only rounding contributes: a few units of the largest value, 2 H.
    assert answer.certificate.gap <= 1e-12


def test_occupancy_over_a_horizon():
    rng = np.random.default_rng([32])
    mdp = MDP(rng.dirichlet(np.ones(4), (4, 2)), rng.random((4, 2)), 0.9, mu=np.full(4, 0.25), horizon=7)
    answer = exact.backward_induction(mdp)
    stages = exact.occupancy_measure(mdp, answer.policy)
    np.testing.assert_allclose(stages.sum(axis=(1, 2)), 1.0, atol=1e-14)  # seven rounded averages
    earned = (stages * mdp.r * mdp.gamma ** np.arange(7)[:, None, None]).sum()
    # Seven stages of rewards up to 1, rounded.
    np.testing.assert_allclose(earned, mdp.mu @ answer.value[0], atol=1e-13)


def test_rounding_over_a_long_horizon_is_refused():
    mdp = MDP([[[1.0]]], [[1e9]], 1.0, horizon=1000)
    with pytest.raises(SolverFailure, match="least that can be certified at horizon=1000"):
        exact.backward_induction(mdp, tol=1e-6)
    with pytest.raises(ValueError, match="horizon is None"):
        exact.backward_induction(MDP([[[1.0]]], [[1.0]], 0.5))


def test_linear_programs_are_dual():
    """Strong duality and complementary slackness of the two programs."""
    rng = np.random.default_rng([33])
    mdp = MDP(rng.dirichlet(np.ones(12), (12, 3)), rng.random((12, 3)), 0.95)
    primal = exact.linear_programming(mdp, formulation="primal")
    dual = exact.linear_programming(mdp, formulation="dual")
    for answer in (primal, dual):
        x = answer.extras["occupancy"]
        # HiGHS is feasible to 1e-10, and values are at most 20.
        np.testing.assert_allclose((x * mdp.r).sum(), answer.value.mean(), rtol=1e-7)
        loss = answer.value[:, None] - exact.q_values(mdp, answer.value)
        assert (x * loss).max() <= 1e-7


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ([0, 2], r"policy\[1\] is 2; actions are 0 to 1"),
        ([0, 1], r"policy\[1\] is 1, which is not available"),
        ([[0.5, 0.5], [1.0, 0.1]], r"policy\[1, 1\] is 0.1, not available"),
        ([[0.5, 0.4], [1.0, 0.0]], r"policy\[0\] sums to 0.9, not 1"),
        ([[1.5, -0.5], [1.0, 0.0]], r"policy\[0, 1\] is -0.5, not a probability"),
        ([0.0, 1.0], r"policy has shape \(2,\) and dtype float64"),
    ],
)
def test_policies_that_do_not_fit(policy, message):
    mdp = MDP(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.5, actions=np.array([[True, True], [True, False]]))
    with pytest.raises(ValueError, match=message):
        exact.policy_evaluation(mdp, policy)


def test_other_arguments_that_do_not_fit():
    mdp = MDP([[[1.0]]], [[1.0]], 0.5)
    with pytest.raises(ValueError, match="mu is None"):
        exact.occupancy_measure(mdp, [0])
    with pytest.raises(ValueError, match=r"value has shape \(2,\)"):
        exact.q_values(mdp, [0.0, 1.0])


def test_q_values_of_the_optimum():
    rng = np.random.default_rng([34])
    mdp = MDP(rng.dirichlet(np.ones(4), (4, 2)), rng.random((4, 2)), 0.9)
    truth = np.array([float(x) for x in optimal_value(mdp)])
    # Values up to 10 are rounded once, and backed up once.
    np.testing.assert_allclose(exact.q_values(mdp, truth).max(axis=1), truth, rtol=1e-14)
