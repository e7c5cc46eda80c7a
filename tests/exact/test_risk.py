"""Nested CVaR, entropic risk and EVaR: limits, closed forms, brute force over policies, order of the measures."""

import dataclasses
import itertools

import numpy as np
import pytest

import mdplab
from mdplab.exact import backward_induction, entropic_risk_dp, evar_dp, nested_cvar, policy_iteration
from mdplab.models import (
    MDP,
    CVaR,
    CVaRSet,
    FiniteLaw,
    Outcomes,
    RobustMDP,
    SolverFailure,
    StockMDP,
    entropic_risk,
    evar,
)


def random_mdp(seed, gamma=0.8, horizon=None, S=3):
    rng = np.random.default_rng([441, seed])
    return MDP(rng.dirichlet(np.ones(S), (S, 2)), rng.choice([-1.0, 0, 1, 2], (S, 2, S)), gamma, horizon=horizon)


def law_of(mdp, policy, s, H):
    """Return law from s of a policy (H, S) by enumeration."""

    def paths(t, s):
        if t == H:
            return [(0.0, 1.0)]
        a = policy[t, s]
        out = []
        for k in np.flatnonzero(mdp.P[s, a]):
            rest = paths(t + 1, k)
            out += [(mdp.r_next[s, a, k] + mdp.gamma * x, mdp.P[s, a, k] * p) for x, p in rest]
        return out

    x, p = np.array(paths(0, s)).T
    return FiniteLaw.of(x, p)


def all_policies(S, A, H):
    for choice in itertools.product(range(A), repeat=S * H):
        yield np.array(choice).reshape(H, S)


def coin(horizon=2):
    return MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 1.0, horizon=horizon)


def test_nested_cvar_at_level_one_is_the_mean_and_at_zero_the_worst_case():
    mdp = random_mdp(0)
    mean = policy_iteration(mdp, tol=1e-9)
    one = nested_cvar(mdp, 1.0, tol=1e-9)
    assert np.abs(one.value - mean.value).max() <= one.certificate.gap + mean.certificate.gap
    least = nested_cvar(mdp, 1e-6, tol=1e-9).value
    for _ in range(300):
        worst = (mdp.r_next + mdp.gamma * least).min(axis=2).max(axis=1)
        # Every probability is above 1e-6 on these draws; the certified gap, twice.
        assert np.abs(worst - least).max() <= 2e-9
        least = worst
    assert mdplab.check(RobustMDP(mdp, CVaRSet(0.3)), nested_cvar(mdp, 0.3))


def test_entropic_risk_is_the_best_over_all_markov_policies():
    H = 2
    for seed in range(3):
        mdp = random_mdp(seed, horizon=H, S=2)
        for beta in (0.1, 1.0, 20.0):
            answer = entropic_risk_dp(mdp, beta, tol=1e-9)
            best = max(entropic_risk(law_of(mdp, pi, 0, H), beta) for pi in all_policies(2, 2, H))
            # Atoms merge within 1e-9 (1 + |x|) in the law.
            assert answer.value[0] == pytest.approx(best, abs=1e-8)
            own = entropic_risk(law_of(mdp, answer.policy, 0, H), beta)
            assert own == pytest.approx(best, abs=1e-8)  # as above


def test_long_horizons_approach_the_infinite_one():
    mdp = random_mdp(3)
    for beta in (0.01, 1.0, 50.0):
        answer = entropic_risk_dp(mdp, beta, tol=1e-7)
        # From H on 2 gamma^H / (1 - gamma) is left.
        long = entropic_risk_dp(mdp, beta, tol=1e-7, horizon=120)
        assert np.abs(answer.value - long.value).max() <= 2e-7 + 10 * 0.8**120


def test_entropic_limits_are_the_mean_and_the_worst_case():
    mdp = random_mdp(4)
    mean = policy_iteration(mdp, tol=1e-9).value
    # Hoeffding: beta R^2 / 8 with R = 3 / 0.2.
    near = entropic_risk_dp(mdp, 1e-7, tol=1e-7).value
    assert np.all(near <= mean + 2e-7)
    assert np.all(near >= mean - 1e-7 * 15**2 / 8 - 2e-7)
    least = np.zeros(3)
    for _ in range(200):
        least = (mdp.r_next + mdp.gamma * least).min(axis=2).max(axis=1)
    hard = entropic_risk_dp(mdp, 1e6, tol=1e-6).value
    assert np.all(hard >= least - 1e-6)
    # A step of least probability p is worth log(1 / p) / beta at any time; after 80 steps 0.8^80 15 < 1e-6 is left.
    assert np.all(hard <= least + 80 * np.log(1 / mdp.P.min()) / 1e6 + 2e-6)


def test_one_risk_aversion_at_all_times_is_another_objective():
    mdp, beta = random_mdp(5, gamma=0.5), 2.0
    answer = entropic_risk_dp(mdp, beta, tol=1e-9).value
    v = np.zeros(3)
    for _ in range(100):
        x = mdp.r_next + mdp.gamma * v
        v = (-np.log((mdp.P * np.exp(-beta * x)).sum(axis=2)) / beta).max(axis=1)
    assert np.abs(answer - v).max() > 1e-3


def test_evar_is_the_best_over_all_markov_policies():
    H = 2
    for seed in range(2):
        mdp = random_mdp(seed, horizon=H, S=2)
        for level in (0.03, 0.3, 0.8):
            answer = evar_dp(mdp, level, 0, tol=1e-6)
            best = max(evar(law_of(mdp, pi, 0, H), level) for pi in all_policies(2, 2, H))
            assert answer.value[0] == pytest.approx(best, abs=2e-6)  # tol, and that of the model's search
            assert evar(law_of(mdp, answer.policy, 0, H), level) >= best - 2e-6


def test_evar_order_and_limits():
    mdp = random_mdp(6)
    mean = policy_iteration(mdp, tol=1e-9).value
    values = [float(evar_dp(mdp, level, 1, tol=1e-5).value[0]) for level in (1e-9, 0.01, 0.2, 0.7, 1.0)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(mean[1], abs=1e-5)  # tol


def test_evar_of_a_start_distribution_counts_its_risk():
    mdp = MDP([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [-1.0]], 0.5, mu=[0.5, 0.5])
    answer = evar_dp(mdp, 0.75)
    assert answer.value[0] == pytest.approx(evar(FiniteLaw([-2.0, 2.0], [0.5, 0.5]), 0.75), abs=1e-6)  # tol
    assert answer.value[0] < -1e-3
    assert evar_dp(mdp, 0.75, 0).value[0] == pytest.approx(2.0, abs=1e-6)  # tol


def test_no_risk_aversion_beats_the_bracket():
    mdp = random_mdp(7)
    level = 0.1
    answer = evar_dp(mdp, level, 0, tol=1e-5)
    for beta in np.geomspace(1e-3, 1e4, 25):
        h = entropic_risk_dp(mdp, float(beta), tol=1e-6).value[0] + np.log(level) / beta
        assert h <= answer.value[0] + answer.certificate.gap + 1e-6


@pytest.mark.parametrize("horizon", [None, 4])
@pytest.mark.parametrize("beta", [1e-9, 0.7, 1e9])
def test_the_referee_agrees_on_entropic_risk(horizon, beta):
    mdp = random_mdp(8, horizon=horizon)
    answer = entropic_risk_dp(mdp, beta)
    report = mdplab.check(mdp, answer)
    assert report, report.reason
    worse = answer.policy.copy()
    worse[0] = 1 - worse[0]
    changed = dataclasses.replace(answer, policy=worse)
    assert not mdplab.check(mdp, changed)
    shifted = answer.certificate.data["hi"] - 1e-6
    data = {**answer.certificate.data, "hi": shifted, "lo": np.minimum(answer.certificate.data["lo"], shifted)}
    certificate = dataclasses.replace(answer.certificate, data=data)
    assert not mdplab.check(mdp, dataclasses.replace(answer, value=shifted[0], certificate=certificate))


@pytest.mark.parametrize("horizon", [None, 4])
@pytest.mark.parametrize("level", [1e-9, 0.2, 1.0])
def test_the_referee_agrees_on_evar(horizon, level):
    mdp = random_mdp(8, horizon=horizon)
    answer = evar_dp(mdp, level, 0, tol=1e-4)
    report = mdplab.check(mdp, answer)
    assert report, report.reason
    assert report.gap <= answer.certificate.gap <= 1e-4
    better = dataclasses.replace(answer, value=answer.value + 2e-4)
    assert not mdplab.check(mdp, better)


def test_the_exact_level_agrees():
    pytest.importorskip("flint")
    mdp = random_mdp(8, horizon=2, S=2)
    assert mdplab.check(mdp, entropic_risk_dp(mdp, 0.7), level="exact")


def test_long_discounts_are_certified():
    mdp = random_mdp(8, gamma=0.998)
    answer = entropic_risk_dp(mdp, 1.0)
    assert answer.certificate.gap <= 1e-6
    assert mdplab.check(mdp, answer)


def test_risk_neutral_policies_of_a_horizon_are_the_limit():
    mdp = random_mdp(9, horizon=5)
    mean = backward_induction(mdp, tol=1e-9)
    assert np.abs(entropic_risk_dp(mdp, 1e-8).value - mean.value[0]).max() <= 1e-6


def test_a_coin_in_closed_form():
    # -(1/beta) log cosh beta.
    for beta in (1e-4, 1.0, 30.0):
        assert entropic_risk_dp(coin(), beta).value[0] == pytest.approx(-np.log(np.cosh(beta)) / beta, abs=1e-9)


def test_noise_of_a_stock_problem_counts():
    """One decision worth 1 or -1 evenly, to one next state: the MDP has a mean of 0, the outcomes a risk."""
    out = Outcomes([0, 2, 3], [1, 1, 1], [1.0, -1.0, 0.0], [0.5, 0.5, 1.0], 2, 1)
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.5)
    noisy = StockMDP(mdp, CVaR(0.5), outcomes=out, start=0)
    assert entropic_risk_dp(mdp, 2.0).value[0] == pytest.approx(0.0, abs=1e-6)  # tol
    assert entropic_risk_dp(noisy, 2.0).value[0] == pytest.approx(-np.log(np.cosh(2.0)) / 2, abs=1e-6)  # tol
    law = FiniteLaw([-1.0, 1.0], [0.5, 0.5])
    assert evar_dp(noisy, 0.7, tol=1e-5).value[0] == pytest.approx(evar(law, 0.7), abs=1e-5)  # tol


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, float("nan")])
def test_bad_levels_are_refused(bad):
    mdp = random_mdp(0)
    with pytest.raises(ValueError, match="tau is"):
        nested_cvar(mdp, bad)
    with pytest.raises(ValueError, match="level is"):
        evar_dp(mdp, bad, 0)
    if not bad > 0:
        with pytest.raises(ValueError, match="beta is"):
            entropic_risk_dp(mdp, bad)


def test_bad_problems_are_refused():
    endless = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="gamma is 1 without a horizon"):
        entropic_risk_dp(endless, 1.0)
    with pytest.raises(ValueError, match="horizon is 3"):
        nested_cvar(random_mdp(0, horizon=3), 0.5)
    with pytest.raises(ValueError, match="start is None"):
        evar_dp(random_mdp(0), 0.5)
    with pytest.raises(ValueError, match="start is 7"):
        evar_dp(random_mdp(0), 0.5, 7)
    with pytest.raises(SolverFailure, match="bounds"):
        evar_dp(random_mdp(0), 0.5, 0, max_cells=3)


def test_the_referee_agrees_where_nothing_is_earned():
    """Bounds of zeros need room for underflow, which a referee allows for."""
    for horizon in (None, 3):
        mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], np.zeros((2, 1)), 0.9, mu=[1.0, 0.0], horizon=horizon)
        for answer in (entropic_risk_dp(mdp, 1.0), evar_dp(mdp, 0.5), evar_dp(mdp, 1.0)):
            report = mdplab.check(mdp, answer)
            assert report, report.reason


def test_the_gap_of_evar_leaves_room_for_the_referee():
    """Few decisions and two starts: what is left is the rounding of the start's masses, 1 / b-fold."""
    for seed in range(30):
        rng = np.random.default_rng([441, seed])
        P, R = rng.dirichlet(np.ones(2), (2, 1)), rng.choice([-1.0, 0, 1, 2], (2, 1, 2))
        mdp = MDP(P, R, 0.3, horizon=1)
        for level in (0.3, 0.7):
            report = mdplab.check(mdp, evar_dp(mdp, level, [0.75, 0.25]))
            assert report, report.reason


@pytest.mark.parametrize("horizon", [2, None])
@pytest.mark.parametrize("off", [0.0, -1e-15, 1e-12, -1e-6, 1e-6, -1e-3])
def test_evar_at_the_mass_of_the_worst_outcome_is_that_outcome(horizon, off):
    """There no finite risk aversion is best; h* is flat over six orders of magnitude."""
    mdp = MDP(coin().P, [[0.0], [1.0], [-1.0]], 1.0 if horizon else 0.5, horizon=horizon)
    answer = evar_dp(mdp, 0.5 * (1 + off), 0)
    # A level above by a share of 1e-6 is worth less than that share over the best beta.
    assert answer.value[0] == pytest.approx(-1.0, abs=2e-6)
    assert "far" in answer.certificate.data
    assert answer.certificate.gap <= 1e-6
    for level in ("float", "exact"):
        report = mdplab.check(mdp, answer, level=level)
        assert report, report.reason


def test_evar_at_masses_of_worst_outcomes_is_the_best_over_all_markov_policies():
    H, used, two = 2, 0, list(all_policies(2, 2, 2))
    for seed in range(12):
        rng = np.random.default_rng([443, seed])
        P = rng.choice([0.25, 0.5, 0.75], (2, 2, 1)) * np.array([1.0, -1.0]) + np.array([0.0, 1.0])
        mdp = MDP(P, rng.choice([-1.0, 0, 1, 2], (2, 2, 2)), 0.5, horizon=H)
        laws = [law_of(mdp, pi, 0, H) for pi in two]
        best_worst = max(law.x.min() for law in laws)
        # Of the policies with the best worst case the one with the least mass there.
        mass = min(law.p[law.x.argmin()] for law in laws if law.x.min() == best_worst)
        if mass == 1:
            continue
        for level in (mass, 0.9 * mass, 1.1 * mass):
            answer = evar_dp(mdp, level, 0)
            best = max(evar(law, level) for law in laws)
            assert answer.value[0] == pytest.approx(best, abs=3e-6)  # tol, and that of the model's search
            assert answer.value[0] + answer.certificate.gap >= best_worst - 1e-12
            assert mdplab.check(mdp, answer)
            used += "far" in answer.certificate.data
    assert used >= 10
