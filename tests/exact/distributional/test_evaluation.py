"""Categorical and quantile evaluation: their fixed points against the exact laws, and the bounds known beforehand."""

import re
from itertools import product

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import SolverFailure, categorical_evaluation, policy_evaluation, quantile_evaluation, return_laws
from mdplab.models import (
    MDP,
    FiniteLaw,
    Outcomes,
    StockMDP,
    cramer,
    functional,
    project_categorical,
    project_quantile,
    wasserstein,
)
from tests.exact.distributional.law_models import dyadic_mdp, fraction_laws, random_mdp, same_law

SEEDS = range(6)
POLICY = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
TOL = 1e-3


@pytest.fixture(scope="module")
def truths():
    """Random models of gamma 0.8 with their laws, each within TOL in w_1."""
    return [(random_mdp(seed), return_laws(random_mdp(seed), POLICY, tol=TOL)) for seed in SEEDS]


def sup(distance, a, b):
    return max(map(distance, a, b))


@pytest.mark.parametrize("K", [11, 101])
def test_bounds_of_the_grid(truths, K):
    z = np.linspace(-5, 5, K)
    for mdp, truth in truths:
        answer, laws = categorical_evaluation(mdp, POLICY, z), truth.extras["laws"]
        bounds, found = answer.extras["error_bounds"], answer.extras["laws"]
        # dz / (2 (1 - gamma)), and half of it under the root.
        assert bounds["w1"] == pytest.approx(2.5 * 10 / (K - 1))
        assert bounds["cramer"] ** 2 == pytest.approx(1.25 * 10 / (K - 1))
        assert sup(wasserstein, found, laws) <= bounds["w1"] + bounds["iteration"] + TOL
        # A distance of TOL in w_1 is at most sqrt(TOL) in Cramer, as distribution functions differ by 1 at most.
        assert sup(cramer, found, laws) <= bounds["cramer"] + np.sqrt(TOL)
        projected = [FiniteLaw.of(z, project_categorical(law.x, law.p, z), merge=0.0) for law in laws]
        pythagoras = sup(cramer, projected, laws) ** 2 / (1 - mdp.gamma)
        assert sup(cramer, found, laws) <= np.sqrt(pythagoras) + 2 * np.sqrt(TOL / (1 - mdp.gamma))
        assert sup(wasserstein, found, laws) <= answer.certificate.gap + TOL
        # The distance to the projected truth is at least that of the best laws on the grid.
        assert sup(cramer, found, laws) >= sup(cramer, projected, laws) - 2 * np.sqrt(TOL)


@pytest.mark.parametrize("m", [5, 60])
def test_bounds_of_quantiles(truths, m):
    for mdp, truth in truths:
        answer, laws = quantile_evaluation(mdp, POLICY, m), truth.extras["laws"]
        bounds, found = answer.extras["error_bounds"], answer.extras["laws"]
        extent = max(law.x[-1] for law in laws) - min(law.x[0] for law in laws)
        # The range of returns is that of the laws, up to truncation after which 0.8^n of it is left.
        assert bounds["w1"] == pytest.approx(extent / (2 * m * (1 - mdp.gamma)), rel=0.1)
        assert sup(wasserstein, found, laws) <= bounds["w1"] + bounds["iteration"] + TOL
        assert sup(wasserstein, found, laws) <= answer.certificate.gap + TOL
        # The nearest m atoms are a lower bound.
        nearest = [FiniteLaw.of(project_quantile(law.x, law.p, m), np.full(m, 1 / m), merge=0.0) for law in laws]
        assert sup(wasserstein, found, laws) >= sup(wasserstein, nearest, laws) - 2 * TOL


def test_the_grid_keeps_means_and_quantiles_do_not(truths):
    for mdp, _ in truths:
        value = policy_evaluation(mdp, POLICY, tol=1e-10).value
        uneven = np.linspace(-5, 5, 23) ** 3 / 25
        for z in (np.linspace(-5, 5, 7), uneven):
            # The certified error of the value, and rounding of a fixed point of 1 / (1 - gamma) sweeps.
            np.testing.assert_allclose(categorical_evaluation(mdp, POLICY, z).value, value, atol=1e-9)
        off = np.abs(quantile_evaluation(mdp, POLICY, 5).value - value).max()
        assert 1e-4 < off <= quantile_evaluation(mdp, POLICY, 5).extras["error_bounds"]["w1"]


def test_quantile_error_falls_as_one_over_m():
    """The slope of log w_1 in log m; a single fixed point may be lucky, so the sup over states and 4 models."""
    sizes = np.array([8, 16, 32, 64, 128])
    errors = np.zeros(len(sizes))
    for seed in range(4):
        mdp = random_mdp(seed, gamma=0.6)
        laws = return_laws(mdp, POLICY, tol=2e-4).extras["laws"]
        found = [sup(wasserstein, quantile_evaluation(mdp, POLICY, m).extras["laws"], laws) for m in sizes]
        errors = np.maximum(errors, found)
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # The upper bound falls with slope -1; the nearest m atoms of a law that is spread evenly do, too.
    assert -1.15 < slope < -0.85


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_on_tiny_chains_all_three_are_the_enumeration_of_paths(gamma):
    """Three steps of eighths and a half: every law is on the grid, and its masses are multiples of 1 / 1024."""
    for seed in range(3):
        mdp = dyadic_mdp(seed, S=2, gamma=gamma, horizon=3)
        exact = [_paths(mdp, s) for s in range(2)]
        low, high = -2 * (1 + gamma + gamma**2), 2 * (1 + gamma + gamma**2)
        z = np.arange(low, high + 0.125, 0.25)
        laws = [
            return_laws(mdp, [0, 1]).extras["laws"][0],
            categorical_evaluation(mdp, [0, 1], z).extras["laws"][0],
            quantile_evaluation(mdp, [0, 1], 512).extras["laws"][0],
        ]
        assert all(same_law(law, one) for found in laws for law, one in zip(found, exact, strict=True))
        recursion = fraction_laws(mdp, Outcomes.of(mdp), np.eye(2), 3)
        assert recursion == exact


def _paths(mdp, start):
    """The law of the return of actions (0, 1) over three steps, path by path."""
    from fractions import Fraction

    law = {}
    for path in product(range(2), repeat=3):
        p, g, s = Fraction(1), Fraction(0), start
        for t, to in enumerate(path):
            p *= Fraction(mdp.P[s, s, to])
            g += Fraction(mdp.gamma) ** t * Fraction(mdp.r_next[s, s, to])
            s = to
        if p:
            law[g] = law.get(g, 0) + p
    return law


@pytest.mark.parametrize(
    "evaluate",
    [lambda m, p: categorical_evaluation(m, p, np.linspace(-5, 5, 41)), lambda m, p: quantile_evaluation(m, p, 16)],
    ids=["categorical", "quantile"],
)
def test_over_a_horizon_the_bounds_hold_at_every_stage(evaluate):
    policies = np.random.default_rng([83]).dirichlet(np.ones(2), (4, 3))
    for seed in range(3):
        mdp = random_mdp(seed, gamma=0.9, horizon=4)
        truth, answer = return_laws(mdp, policies), evaluate(mdp, policies)
        for t in range(5):
            apart = sup(wasserstein, truth.extras["laws"][t], answer.extras["laws"][t])
            assert apart <= answer.certificate.gap + truth.certificate.gap
            assert apart <= answer.extras["error_bounds"]["w1"] + truth.certificate.gap
        report = check(mdp, answer)
        assert report.ok, report.reason


def test_the_referee_accepts_stationary_answers():
    mdp, noisy = random_mdp(7), dyadic_mdp(2, noise=True)
    stock = StockMDP(noisy[0], functional("mean"), outcomes=noisy[1])
    for problem in (mdp, stock):
        for answer in (
            categorical_evaluation(problem, POLICY, np.linspace(-7, 7, 40)),
            categorical_evaluation(problem, POLICY, np.linspace(-1, 1, 9), clip=True),
            quantile_evaluation(problem, POLICY, 12),
        ):
            for level in ("float", "exact"):
                report = check(problem, answer, level=level)
                assert report.ok, report.reason
                # The referee's own distance is the solver's but for rounding allowances.
                assert report.gap >= answer.certificate.gap * (1 - 1e-9)


def test_terminal_states_return_nothing():
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    for answer in (categorical_evaluation(mdp, [0, 0], np.linspace(0, 2, 9)), quantile_evaluation(mdp, [0, 0], 4)):
        law = answer.extras["laws"][1]
        assert (law.x.tolist(), law.p.tolist()) == ([0.0], [1.0])
    # 1, 3/2, 7/4 with masses 1/2, 1/4, 1/4 of later ones: levels 1/8, 3/8, 5/8, 7/8.
    assert quantile_evaluation(mdp, [0, 0], 4).extras["laws"][0].x == pytest.approx([1.0, 1.5, 1.75], abs=1e-8)


@pytest.mark.parametrize("more", [{}, {"horizon": 6}], ids=["discounted", "horizon"])
def test_a_grid_that_cannot_hold_the_returns_names_one_that_does(more):
    for seed in SEEDS:
        mdp = random_mdp(seed, **more)
        for K in (12, 60):
            with pytest.raises(ValueError, match=r"a backup puts mass 0\.\d+ outside") as refusal:
                categorical_evaluation(mdp, POLICY, np.linspace(-0.8, 0.9, K))
            ends = re.search(r"numpy.linspace\((\S+), (\S+), (\d+)\) holds them", str(refusal.value))
            if ends is None:
                assert re.search(r"take more than \d+ atoms", str(refusal.value)) and more and K == 12
                continue
            z = np.linspace(float(ends[1]), float(ends[2]), int(ends[3]))
            assert categorical_evaluation(mdp, POLICY, z).extras["lost_mass"] == 0
        clipped = categorical_evaluation(mdp, POLICY, np.linspace(-0.8, 0.9, 20), clip=True)
        assert clipped.extras["lost_mass"] > 0 and "w1" not in clipped.extras["error_bounds"]
        truth = return_laws(mdp, POLICY, tol=None if more else 0.02)
        laws = (truth.extras["laws"], clipped.extras["laws"])
        apart = sup(wasserstein, *((laws[0][0], laws[1][0]) if more else laws))
        assert apart <= clipped.certificate.gap + truth.certificate.gap


def test_what_is_refused():
    mdp = random_mdp(0)
    with pytest.raises(ValueError, match=r"z\[2\] is 0 after z\[1\] = 1"):
        categorical_evaluation(mdp, POLICY, [0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="z has 1 atoms; a grid needs at least 2"):
        categorical_evaluation(mdp, POLICY, [0.0])
    with pytest.raises(ValueError, match="m is 0"):
        quantile_evaluation(mdp, POLICY, 0)
    with pytest.raises(ValueError, match="cannot hold the returns: a backup puts mass 1 outside"):
        categorical_evaluation(random_mdp(0, horizon=2), POLICY, [1.0, 9.0])
    loop = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="gamma is 1 without a horizon"):
        quantile_evaluation(loop, [0, 0], 4)
    for evaluate, atoms in ((quantile_evaluation, 4), (categorical_evaluation, np.linspace(-5, 5, 9))):
        with pytest.raises(SolverFailure, match="to the fixed point; tol=1e-18"):
            evaluate(mdp, POLICY, atoms, tol=1e-18)
        with pytest.raises(SolverFailure, match=r"1 sweeps left .* to the fixed point; tol=1e-18"):
            evaluate(mdp.replace(gamma=0.0), POLICY, atoms, tol=1e-18)


def test_rounding_past_an_atom_is_no_loss_of_mass():
    """1 - 0.9 + 1 is a little more than the atom that it stands for, whose next atom's image is off the grid."""
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9, horizon=3)
    answer = categorical_evaluation(mdp, [0, 0], np.linspace(-1, 3, 5))
    assert 0 < answer.extras["lost_mass"] < 1e-15  # a rounding of a position, times what leads there
    report = check(mdp, answer)
    assert report, report.reason


def test_the_referee_agrees_where_nothing_is_earned():
    for horizon in (None, 2):
        mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.9, horizon=horizon)
        for answer in (return_laws(mdp, [0, 0]), categorical_evaluation(mdp, [0, 0], [-1.0, 0.0, 1.0])):
            report = check(mdp, answer)
            assert report, report.reason
