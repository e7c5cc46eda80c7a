"""The referee of performative problems: accepts what holds at both levels, refuses each single lie."""

import dataclasses

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.instances.performative import large_lambda_witness, linear_reward_witness
from mdplab.kernels.occupancy import project_flow
from mdplab.models import MDP, Certificate, Solution

RNG_KEY = 2931


def model(seed, S=4, A=3, gamma=0.9):
    rng = np.random.default_rng([RNG_KEY, seed])
    P = rng.dirichlet(np.full(S, 0.4), size=(S, A))
    return MDP(P, rng.uniform(-1, 1, (S, A)), gamma, mu=rng.dirichlet(np.ones(S))), rng


def claim(mdp, lam, d, h, gap, value_gap, **data):
    data = {"d": d, "h": h, "lam": lam, "value_gap": value_gap, **data}
    flow = d.sum(axis=1, keepdims=True)
    policy = np.where(flow > 0, d / np.where(flow > 0, flow, 1.0), 1 / mdp.A)
    return Solution(h, policy, Certificate("regularized-occupancy", gap, {}, data), "by hand", 0, 0.0)


def solved(mdp, lam, gap=1e-9):
    found = project_flow(mdp.P, mdp.mu, mdp.gamma, mdp.r / lam, tol=1e-16)
    return claim(mdp, lam, found.d, lam * found.h, gap, 1e-6)


def changed(solution, *, gap=None, value=None, policy=None, kind=None, **data):
    old = solution.certificate
    certificate = Certificate(kind or old.kind, old.gap if gap is None else gap, {}, {**old.data, **data})
    value = data.get("h", solution.value) if value is None else value
    policy = solution.policy if policy is None else policy
    return dataclasses.replace(solution, certificate=certificate, value=value, policy=policy)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_true_claims_are_accepted(level):
    for seed in range(6):
        mdp, rng = model(seed)
        report = check(mdp, solved(mdp, 10.0 ** rng.uniform(-1, 1)), level=level)
        assert report and report.gap <= 1e-9, report.reason


@pytest.mark.parametrize("level", ["float", "exact"])
def test_the_derived_distance_is_never_too_small(level):
    for seed in range(30):
        mdp, rng = model(seed, gamma=0.5)
        lam, noise = 10.0 ** rng.uniform(-1, 1), 10.0 ** rng.uniform(-8, -1)
        truth = solved(mdp, lam).certificate.data
        # In every other case supports differ too: flow that vanishes, flow that should not be there.
        where = (truth["d"] > 2 * noise) if seed % 2 else rng.random(mdp.r.shape) < 0.7
        d = np.maximum(0.0, truth["d"] + noise * rng.uniform(-1, 1, mdp.r.shape) * where)
        h = truth["h"] + noise * rng.standard_normal(mdp.S)
        report = check(mdp, claim(mdp, lam, d, h, 1e6, 1e6), level=level)
        apart = np.linalg.norm(d - truth["d"])
        # The truth itself is known to 1e-9.
        assert report and apart - 1e-9 <= report.gap
        if seed % 2 and noise < 1e-3:
            # Linear in the error while the support is right: by the horizon, 1 / lam and the number of entries.
            assert report.gap <= 1e3 * noise


@pytest.mark.parametrize("level", ["float", "exact"])
def test_a_flow_that_is_not_the_best_is_seen(level):
    # It meets the flow constraints, and h is so large that no multiplier is negative: what is wrong is on the support.
    for seed in range(6):
        mdp, rng = model(seed)
        other = project_flow(mdp.P, mdp.mu, mdp.gamma, 9 * rng.standard_normal(mdp.r.shape), tol=1e-16).d
        report = check(mdp, claim(mdp, 1.0, other, np.full(mdp.S, 1e3), 1e9, 1e9), level=level)
        assert report and np.linalg.norm(other - solved(mdp, 1.0).certificate.data["d"]) <= report.gap


def test_every_single_lie_is_refused():
    mdp, _ = model(0)
    good = solved(mdp, 1.0)
    d, h = (np.array(good.certificate.data[name]) for name in ("d", "h"))
    lies = {
        "claimed gap": changed(good, gap=1e-16),
        "claimed gap 1": changed(good, h=h + 1e-4, value_gap=1.0),
        "d >= 0": changed(good, d=d - 1.0),
        "lam is": changed(good, lam=-1.0),
        "has no 'h'": Solution(h, good.policy, Certificate("regularized-occupancy", 1.0, {}, {"d": d}), "", 0, 0.0),
        "value is not": changed(good, value=h + 1e-12),
        "value_gap": changed(good, value_gap=1e-15),
        "not the flow's own": changed(good, policy=np.full((4, 3), 1 / 3)),
        "is not terminal": changed(good, exits=np.array([True, False, False, False])),
        "exits has shape": changed(good, exits=np.zeros(4)),
        "is nan": changed(good, d=np.full((4, 3), np.nan)),
    }
    for text, lie in lies.items():
        report = check(mdp, lie)
        assert not report and report.gap == np.inf and text.split(" 1")[0] in report.reason, (text, report.reason)
    assert not check(mdp.replace(r=np.array(mdp.r) + np.eye(4)[:, :3]), good)
    assert not check(mdp.replace(mu=None), good)


def stable(problem, lam, distance=np.inf, gap=1e-9):
    d = np.full(problem.base.r.shape, 2.5)
    for _ in range(400):
        P, r = problem.respond(problem.policy_of(d))
        found = project_flow(P, problem.mu, problem.gamma, r / lam, tol=1e-16)
        last, d = d, found.d
    h = lam * found.h
    data = {"d": last, "next": d, "h": h, "lam": lam, "value_gap": 1e-6, "distance": distance}
    return Solution(h, problem.policy_of(last), Certificate("performative-stability", gap, {}, data), "", 0, 0.0)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_stable_points_are_accepted_with_the_distance_that_is_proved(level):
    problem = linear_reward_witness(1.8)
    report = check(problem, stable(problem, 2.0, distance=1e-7), level=level)
    assert report and "within 1e-07 of any stable point, contraction factor 0.9" in report.speaks_about


def test_lies_about_stability_are_refused():
    problem = linear_reward_witness(1.8)
    good = stable(problem, 2.0, distance=1e-7)
    d = np.array(good.certificate.data["d"])
    moved = d + np.array([[1e-4, -1e-4], [0.0, 0.0]])
    lies = {
        "claimed gap": changed(good, gap=1e-16),
        "distance": changed(good, distance=2e-9),
        "policy_of": changed(good, d=moved, value_gap=1.0),
        "claimed gap ": changed(good, d=moved, policy=problem.policy_of(moved), value_gap=1.0),
        "d >= 0": changed(good, d=-d),
        "says nothing": changed(good, kind="discounted"),
        "next": changed(good, next=np.zeros(3)),
        "exits": changed(good, exits=np.array([True, False])),
    }
    for text, lie in lies.items():
        report = check(problem, lie)
        assert not report and text in report.reason, (text, report.reason)
    assert "in the problem" in check(dataclasses.replace(problem, lam=3.0), good).reason
    assert not check(linear_reward_witness(1.7), good)


def test_a_distance_without_a_proved_contraction_is_refused():
    problem = large_lambda_witness(1.0)
    found = stable(problem, 1e4, distance=1e3)
    assert "no contraction is proved" in check(problem, found).reason
    assert check(problem, changed(found, distance=np.inf))


def test_an_upper_bound_below_the_optimum_is_refused():
    problem, lam = linear_reward_witness(0.5), 2.0
    policy = np.array([[0.6, 0.4], [0.5, 0.5]])
    d, (_, r) = problem.occupancy(policy), problem.respond(policy)
    value = float(np.sum(d * r) - lam / 2 * np.sum(d * d))

    def bracket(lower, upper, gap):
        data = {"lam": lam, "lower": lower, "upper": upper}
        return Solution([value], policy, Certificate("performative-optimum", gap, {}, data), "by hand", 0, 0.0)

    assert check(problem, bracket(value - 1e-6, value + 5.0, 6.0))
    assert "smaller than" in check(problem, bracket(value - 1e-6, value + 5.0, 1.0)).reason
    assert "the policy's objective" in check(problem, bracket(value + 1e-6, value + 5.0, 6.0)).reason
    assert "not between" in check(problem, bracket(value - 2.0, value - 1.0, 6.0)).reason
    assert "float level only" in check(problem, bracket(value - 1e-6, value + 5.0, 6.0), level="exact").reason


def test_what_no_cell_can_show_is_refused(monkeypatch):
    from mdplab.certify import performative_optimum

    monkeypatch.setattr(performative_optimum, "MOST_CELLS", 2000)
    problem, policy = linear_reward_witness(0.5), np.full((2, 2), 0.5)
    d, (_, r) = problem.occupancy(policy), problem.respond(policy)
    value = float(np.sum(d * r) - np.sum(d * d))
    data = {"lam": 2.0, "lower": value - 1e-6, "upper": value + 1e-6}
    lie = Solution([value], policy, Certificate("performative-optimum", 1.0, {}, data), "by hand", 0, 0.0)
    assert "was not established" in check(problem, lie).reason
