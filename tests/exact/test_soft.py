"""Regularised problems: closed forms, the limit of no regularisation, a cone program, and bounds in ball arithmetic."""

import dataclasses

import cvxpy as cp
import flint
import numpy as np
import pytest

from mdplab.exact import SolverFailure, policy_iteration, soft_policy_iteration, soft_value_iteration
from mdplab.models import MDP

SOLVERS = [soft_value_iteration, soft_policy_iteration]


def garnet(seed, S=6, A=3, gamma=0.9):
    rng = np.random.default_rng([2301, seed])
    P, r = rng.dirichlet(np.full(S, 0.5), size=(S, A)), rng.standard_normal((S, A))
    return MDP(P, r, gamma, mu=rng.dirichlet(np.ones(S))), rng.dirichlet(np.ones(A), size=S)


def soft_faults(mdp, solution):
    """Inequalities of a certificate of kind "soft" that balls of 200 bits do not prove."""
    d, pi = solution.certificate.data, solution.policy
    before, flint.ctx.prec = flint.ctx.prec, 200
    ball = flint.arb
    tau, gamma, faults = ball(d["tau"]), ball(mdp.gamma), []
    P = mdp.dense().P

    def q(x, s, a):
        return ball(mdp.r[s, a]) + gamma * sum((ball(P[s, a, j]) * ball(x[j]) for j in range(mdp.S)), ball(0))

    for s in range(mdp.S):
        faults += [("order", s)] * (not d["lo"][s] <= solution.value[s] <= d["hi"][s])
        seen = [a for a in range(mdp.A) if d["mu_ref"][s, a] > 0]
        total = sum((ball(d["mu_ref"][s, a]) * (q(d["hi"], s, a) / tau).exp() for a in seen), ball(0))
        faults += [("hi", s)] * (not tau * total.log() <= ball(d["hi"][s]))
        mass = sum((ball(pi[s, a]) for a in seen), ball(0))
        mean = ball(0)
        for a in seen:
            if pi[s, a] > 0:
                p = ball(pi[s, a]) / mass
                mean += p * (q(d["lo"], s, a) - tau * (p / ball(d["mu_ref"][s, a])).log())
        faults += [("lo", s)] * (not mean >= ball(d["lo"][s]))
    flint.ctx.prec = before
    return faults


def solve(solver, mdp, **options):
    out = solver(mdp, **options)
    assert soft_faults(mdp, out) == []
    assert (out.certificate.data["hi"] - out.certificate.data["lo"]).max() <= out.certificate.gap
    return out


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_state_in_closed_form(solver):
    # v = tau log sum exp(r/tau) / (1 - gamma); with a reference the sum is weighted by it.
    r, tau, gamma = np.array([0.3, -1.0, 2.0]), 0.7, 0.8
    mdp = MDP(np.ones((1, 3, 1)), r[None], gamma)
    out = solve(solver, mdp, tau=tau)
    assert abs(out.value[0] - tau * np.log(np.exp(r / tau).sum()) / (1 - gamma)) <= out.certificate.gap
    # The policy is exp(r / tau) normalised, whatever the future.
    np.testing.assert_allclose(out.policy[0], np.exp(r / tau) / np.exp(r / tau).sum(), rtol=1e-12)
    ref = np.array([[0.2, 0.8, 0.0]])
    out = solve(solver, mdp, tau=tau, reference=ref)
    assert abs(out.value[0] - tau * np.log(ref[0] @ np.exp(r / tau)) / (1 - gamma)) <= out.certificate.gap
    assert out.policy[0, 2] == 0


@pytest.mark.parametrize("tau", [2.0, 0.1, 1e-4])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.999])
def test_both_solvers_agree_on_dense_and_sparse_models(tau, gamma):
    mdp, ref = garnet(1, gamma=gamma)
    for reference in (None, ref):
        options = {"tau": tau, "reference": reference}
        values = [solve(solver, m, **options) for solver in SOLVERS for m in (mdp, mdp.sparse())]
        for other in values[1:]:
            gap = values[0].certificate.gap + other.certificate.gap
            assert np.abs(values[0].value - other.value).max() <= gap


@pytest.mark.parametrize("tau", [1.0, 0.1, 0.001])
def test_limit_of_no_regularisation(tau):
    mdp, ref = garnet(2)
    hard = policy_iteration(mdp)
    soft = soft_policy_iteration(mdp, tau=tau)
    bonus = soft.value - hard.value
    slack = soft.certificate.gap + hard.certificate.gap
    assert bonus.min() >= -slack
    assert bonus.max() <= tau * np.log(mdp.A) / (1 - mdp.gamma) + slack
    penalised = soft_policy_iteration(mdp, tau=tau, reference=ref)
    loss = hard.value - penalised.value
    assert loss.min() >= -slack
    assert loss.max() <= tau * np.log(1 / ref.min()) / (1 - mdp.gamma) + slack


def test_newton_steps_square_the_error():
    mdp, _ = garnet(3, S=20, gamma=0.95)
    exact = soft_policy_iteration(mdp, tau=0.5)
    assert exact.num_iters <= 5
    assert soft_value_iteration(mdp, tau=0.5).num_iters > exact.num_iters


@pytest.mark.parametrize("seed", range(3))
def test_entropy_agrees_with_a_cone_program(seed):
    # max <x, r> + tau sum_s x_s H(x_s. / x_s) over occupancies, which equals mu . V.
    mdp, _ = garnet(seed, S=4)
    tau = 0.3
    x = cp.Variable((mdp.S, mdp.A), nonneg=True)
    inflow = sum(mdp.gamma * mdp.P[:, a].T @ x[:, a] for a in range(mdp.A))
    entropy = -sum(cp.sum(cp.rel_entr(x[:, a], cp.sum(x, axis=1))) for a in range(mdp.A))
    program = cp.Problem(
        cp.Maximize(cp.sum(cp.multiply(mdp.r, x)) + tau * entropy), [cp.sum(x, axis=1) == mdp.mu + inflow]
    )
    program.solve(solver="CLARABEL")
    # Clarabel's own relative accuracy is 1e-8, on a value of a few units.
    assert abs(program.value - mdp.mu @ soft_policy_iteration(mdp, tau=tau).value) < 1e-6


def test_unavailable_actions_get_no_probability():
    mdp, _ = garnet(4)
    mask = np.ones((6, 3), dtype=bool)
    mask[2, 1] = mask[4, :2] = False
    mdp = mdp.replace(actions=mask)
    for solver in SOLVERS:
        out = solve(solver, mdp, tau=0.4)
        assert np.all(out.policy[~mask] == 0)
        assert np.all(out.extras["Q"][~mask] == -np.inf)
        # Rounding of a handful of operations on numbers of order one.
        np.testing.assert_allclose(np.exp(out.extras["log_policy"]), out.policy, atol=1e-14)


def test_bad_arguments_are_named():
    mdp, ref = garnet(5)
    for solver in SOLVERS:
        with pytest.raises(ValueError, match="tau is 0"):
            solver(mdp, tau=0)
        with pytest.raises(ValueError, match=r"reference has shape \(6,\)"):
            solver(mdp, tau=1, reference=ref[:, 0])
        with pytest.raises(ValueError, match=r"reference\[0\] sums to 2"):
            solver(mdp, tau=1, reference=2 * ref)
        with pytest.raises(ValueError, match=r"reference\[1, 2\] is -1"):
            solver(mdp, tau=1, reference=ref - (np.arange(18).reshape(6, 3) == 5) * (1 + ref))
        with pytest.raises(ValueError, match="gamma is 1"):
            solver(MDP([[[1.0]]], [[0.0]], 1.0), tau=1)
        with pytest.raises(SolverFailure, match="apart"):
            solver(mdp, tau=1, tol=1e-14)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_discount_that_row_sums_undo_is_refused(solver):
    # Rows may sum to 1 + 1e-8: times this gamma the operator expands.
    mdp = MDP([[[0.5, 0.500000009]], [[0.5, 0.5]]], [[1.0], [0.0]], 1 - 1e-9)
    with pytest.raises(SolverFailure, match="not below 1"):
        solver(mdp, tau=1.0)


@pytest.mark.parametrize(("name", "change"), [("lo", 1e-7), ("hi", -1e-7)])
def test_the_ball_check_sees_a_broken_bound(name, change):
    mdp, _ = garnet(6)
    out = soft_policy_iteration(mdp, tau=0.5)
    data = dict(out.certificate.data)
    data[name] = data[name] + change
    broken = dataclasses.replace(out, certificate=dataclasses.replace(out.certificate, data=data))
    assert {fault[0] for fault in soft_faults(mdp, broken)} >= {name}
