"""Robust instances against a robust value iteration of this file's own, which shares nothing with the solvers.

Inner minima: the dual of an L1 ball in one variable, evaluated at all of its breakpoints; a minimum over listed models;
a linear program for the game of a state with a convex hull.
"""

import inspect

import numpy as np
import pytest
from scipy.optimize import linprog

from mdplab import instances
from mdplab.instances.robust import drpg_policy, models_of
from mdplab.instances.robust_suite import drpg_inventory


def targets(mdp, v):
    """z[s, a, t] = r + gamma v."""
    r = mdp.r[:, :, None] if mdp.r_next is None else mdp.r_next
    return r + mdp.gamma * v


def l1_minimum(z, p, radius, support):
    """max over alpha in {z_i} of E min(z, alpha) - (radius / 2)(alpha - least z), row by row."""
    least = np.where(p > 0, z, np.inf).min(axis=2) if support == "nominal" else z.min(axis=2)
    alpha = z[:, :, :, None]
    dual = (p[:, :, None] * np.minimum(z[:, :, None], alpha)).sum(axis=3) - radius / 2 * (z - least[:, :, None])
    return dual.max(axis=2)


def robust_values(problem, tol):
    """V* and Q* to `tol` by value iteration; gamma^n closes the rest."""
    mdp, u = problem.nominal, problem.uncertainty
    v = np.zeros(mdp.S)
    while True:
        z = targets(mdp, v)
        q = (u.kernels * z).sum(axis=3).min(axis=0) if u.name == "models" else l1_minimum(z, mdp.P, u.radius, u.support)
        new = q.max(axis=1)
        if np.abs(new - v).max() <= tol * (1 - mdp.gamma) / mdp.gamma:
            return new, q
        v = new


def game_value(payoff):
    """Value of a matrix game, rows maximise, by HiGHS."""
    n, m = payoff.shape
    found = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.hstack([-payoff.T, np.ones((m, 1))]),
        b_ub=np.zeros(m),
        A_eq=[np.append(np.ones(n), 0.0)],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
    )
    return -found.fun


def bellman_of_hull(problem, v):
    """One application of the s-rectangular operator: in every state the agent mixes rows, nature mixes models."""
    z = targets(problem.nominal, v)
    payoff = (problem.uncertainty.kernels * z).sum(axis=3)
    return np.array([game_value(payoff[:, s].T) for s in range(problem.S)])


def policy_value(mdp, P, pi):
    r = (P * targets(mdp, np.zeros(mdp.S))).sum(axis=2)
    rows = np.arange(mdp.S)
    return np.linalg.solve(np.eye(mdp.S) - mdp.gamma * P[rows, pi], r[rows, pi])


@pytest.mark.parametrize("name", sorted(instances.ROBUST_NAMES))
def test_every_robust_instance_builds_alike_and_names_its_source(name):
    first, second = (instances.build(name, rng=np.random.default_rng([41])) for _ in range(2))
    assert first.nominal.digest() == second.nominal.digest()
    parts = ("kernels", "radius")
    assert any(np.array_equal(getattr(first.uncertainty, x, 0), getattr(second.uncertainty, x, 1)) for x in parts)
    assert "Source" in inspect.getdoc(instances.ROBUST_NAMES[name])
    assert getattr(instances, name) is instances.ROBUST_NAMES[name]


MACHINE = [
    (0.8, 0.0, (-1.7666, -12.8807, -1.8222)),
    (0.8, 0.2, (-3.0662, -17.9149, -3.0488)),
    (0.8, 0.6, (-6.6779, -32.1486, -6.1186)),
    (0.95, 0.0, (-12.4553, -23.7809, -12.1803)),
    (0.95, 0.2, (-21.4059, -36.6523, -20.7481)),
    (0.95, 0.6, (-44.2058, -70.6699, -40.0)),
]


@pytest.mark.parametrize(("gamma", "radius", "expected"), MACHINE)
def test_machine_replacement(gamma, radius, expected):
    v, _ = robust_values(instances.machine_l1(radius, gamma=gamma), 1e-7)
    # Half a unit of the last of four printed digits.
    np.testing.assert_allclose(v[[0, 7, 9]], expected, rtol=0, atol=5.1e-5)


RIVER = [
    ("nominal", 0.0, (56687.649, 70582.794)),
    ("nominal", 0.1, (25843.442, 36216.805)),
    ("nominal", 0.3, (1205.752, 4627.427)),
    ("nominal", 0.5, (500.0, 1064.105)),
    ("all", 0.1, (16009.541, 23904.464)),
    ("all", 0.3, (561.011, 3156.407)),
    ("all", 0.5, (213.274, 778.199)),
]


@pytest.mark.parametrize(("support", "radius", "expected"), RIVER)
def test_riverswim(support, radius, expected):
    v, q = robust_values(instances.riverswim_l1(radius, support=support), 1e-5)
    # Half a unit of the last of three printed digits.
    np.testing.assert_allclose(v[[0, 5]], expected, rtol=0, atol=5.2e-4)
    if (support, radius) == ("nominal", 0.5):
        assert q.argmax(axis=1).tolist() == [0, 0, 0, 0, 1, 1]


def test_pai_cycle():
    """V* by value iteration, and the two values between which both players' greedy choices lead."""
    problem = instances.pai_cycle()
    # Half the tolerance of the value iteration is left to spare.
    np.testing.assert_allclose(robust_values(problem, 1e-10)[0], [-1.1, 1, -2], rtol=0, atol=2e-10)
    v, seen = np.zeros(3), []
    for _ in range(5):
        values = (problem.uncertainty.kernels * targets(problem.nominal, v)).sum(axis=3)
        P = np.take_along_axis(problem.uncertainty.kernels, values.argmin(axis=0)[None, :, :, None], axis=0)[0]
        v = policy_value(problem.nominal, P, values.min(axis=0).argmax(axis=1))
        seen.append(v.round(12).tolist())
    assert (
        seen[1:] == [[7.0, 1.0, -2.0], [-6.0, 1.0, -2.0]] * 2 or seen[1:] == [[-6.0, 1.0, -2.0], [7.0, 1.0, -2.0]] * 2
    )


def test_van_der_wal():
    """(8, 8, 0) is the fixed point of either operator; the games at 0, 12, 4 are those of the docstring."""
    v = np.array([8.0, 8.0, 0.0])
    game, after = instances.van_der_wal(), instances.van_der_wal(rectangularity="sa")
    np.testing.assert_allclose(bellman_of_hull(game, v), v, rtol=0, atol=1e-12)  # HiGHS on 2 by 2 games
    np.testing.assert_allclose(robust_values(after, 1e-11)[0], v, rtol=0, atol=2e-11)  # value iteration's tolerance
    for value, table in ((0, [[3, 6], [2, 1]]), (12, [[12, 9], [11, 10]]), (4, [[6, 7], [5, 4]])):
        z = targets(game.nominal, np.array([value, value, 0.0]))
        payoff = (game.uncertainty.kernels * z).sum(axis=3)
        # A rounding of 1/3 and 2/3.
        np.testing.assert_allclose(payoff[:, 0].T, table, rtol=0, atol=1e-14)
    worth = [policy_value(game.nominal, game.uncertainty.kernels[k], np.full(3, k))[0] for k in (0, 1)]
    np.testing.assert_allclose(worth, [12, 4], rtol=1e-14)  # one division


def test_filar_tolwinski():
    """What a line search sees: no step down from the wrong tie, one full step to the solution from the right one."""
    problem = instances.filar_tolwinski()
    kernels, r = problem.uncertainty.kernels[:, :, 0], problem.nominal.r[:, 0]

    def merit(v):
        return float(np.sum(((r + 0.6 * (kernels @ v)).min(axis=0) - v) ** 2))

    wrong, right = (np.linalg.solve(np.eye(3) - 0.6 * kernel, r) for kernel in kernels)
    assert merit(np.zeros(3)) == pytest.approx(1, rel=1e-15)  # r.r = 1/2 + 1/4 + 1/4
    for step, excess in ((1.0, 1.25), (0.5, 0.34283), (2.0**-5, 0.0048935), (2.0**-20, 1.157e-7)):
        # Half a unit of the last printed digit at most, relative to four or five digits.
        assert merit(step * wrong) - 1 == pytest.approx(excess, rel=5e-4)
    np.testing.assert_allclose(right, [-np.sqrt(0.5) - 0.75, -1.25, 1.25], rtol=1e-15)  # closed form
    assert merit(right) < 1e-30
    order = instances.filar_tolwinski(worse_first=False).uncertainty.kernels
    assert np.array_equal(order, problem.uncertainty.kernels[::-1])


def test_opposite_models():
    hull, closure = instances.opposite_models(), instances.opposite_models(rectangularity="sa")
    v = np.array([4.5, 10.0, 0.0])
    np.testing.assert_allclose(bellman_of_hull(hull, v), v, rtol=0, atol=1e-12)  # HiGHS on 2 by 2 games
    np.testing.assert_allclose(robust_values(closure, 1e-11)[0], [0, 10, 0], rtol=0, atol=2e-11)  # its tolerance
    models = models_of(hull)
    mixed = [0.5 * sum(policy_value(m, m.P, np.array([a, 0, 0]))[0] for a in (0, 1)) for m in models]
    best = [max(policy_value(m, m.P, np.array([a, 0, 0]))[0] for a in (0, 1)) for m in models]
    np.testing.assert_allclose([*mixed, *best], [4.5, 4.5, 9, 9], rtol=1e-15)  # two divisions
    with pytest.raises(ValueError, match="expected a finite set of models"):
        models_of(instances.machine_l1())


@pytest.mark.parametrize("theta", [0.0, 0.3, 0.5, 0.75])
def test_coupled_chain(theta):
    problem = instances.coupled_chain(theta)
    static = [policy_value(m, m.P, np.zeros(5, dtype=int))[0] for m in models_of(problem)]
    np.testing.assert_allclose(static, 0.81 * theta * (1 - theta), rtol=0, atol=1e-15)  # products of three numbers
    rectangular = robust_values(problem, 1e-12)[0][0]
    assert rectangular == pytest.approx(0.81 * min(theta, 1 - theta) ** 2, abs=1e-12)  # value iteration's tolerance
    assert (rectangular < min(static) - 1e-3) == (theta not in (0.0, 0.5))


def test_windy_walk():
    problem = instances.windy_walk()
    v, _ = robust_values(problem, 1e-9)
    assert v[0] == pytest.approx(-7.95214749, abs=6e-9)  # half a unit of the last digit
    strong = problem.uncertainty.kernels[-1]
    # From column 2, action East, in rows 0, 2, 4, 5: one cell West with probability 1/2 to the powers 1, 3, 6, 6.
    assert [float(strong[6 * row + 2, 1, 6 * row + 1]) for row in (0, 2, 4, 5)] == [0.5, 2.0**-3, 2.0**-6, 2.0**-6]
    # North ends at a wall in row 2 and moves in row 5; West always succeeds; no wind in column 0.
    assert strong[14, 0, 14] == 1 - 2.0**-3 and strong[32, 0, 26] == 1 - 2.0**-6
    assert strong[14, 3, 13] == strong[12, 1, 13] == 1 and strong[1, 2, 1] == 0.5
    static = []
    for model in models_of(problem)[::6]:
        w = np.zeros(36)
        for _ in range(600):
            w = (model.r + 0.95 * model.P @ w).max(axis=1)
        static.append(w[0])
    assert static[0] == pytest.approx(-(1 - 0.95**5) / 0.05, abs=1e-12)  # five steps, each paying 1
    assert static[-1] == pytest.approx(v[0], abs=1e-8) and all(np.diff(static) < 0)  # 0.95^600 * 20 < 1e-11


@pytest.mark.parametrize("fill", ["kept", "worst"])
def test_iwocs_stall(fill):
    """The bracket of the docstring, by the method itself: it repeats a model with a positive gap, truth inside."""
    problem = instances.iwocs_stall()
    kernels, mdp, rows = problem.uncertainty.kernels, problem.nominal, np.arange(3)
    chosen, seen, upper = np.zeros((3, 2), dtype=int), [], np.full((3, 2), np.inf)
    while chosen.tolist() not in seen:
        seen.append(chosen.tolist())
        P = np.take_along_axis(kernels, chosen[None, :, :, None], axis=0)[0]
        v = np.zeros(3)
        for _ in range(800):
            v = (mdp.r + 0.95 * P @ v).max(axis=1)
        upper = np.minimum(upper, mdp.r + 0.95 * P @ v)
        pi = upper.argmax(axis=1)
        w = np.zeros(3)
        for _ in range(800):
            w = mdp.r[rows, pi] + 0.95 * (kernels @ w).min(axis=0)[rows, pi]
        worst = (kernels @ w).argmin(axis=0)
        chosen = worst.copy() if fill == "worst" else chosen.copy()
        chosen[rows, pi] = worst[rows, pi]
    truth = robust_values(problem, 1e-9)[0][0]
    # Half a unit of the last of four printed digits.
    np.testing.assert_allclose([w[0], truth, upper[0].max()], [11.8797, 22.1628, 22.9098], rtol=0, atol=5.1e-5)
    assert pi.tolist() == [0, 1, 0]


def test_drpg_garnet_has_the_published_laws():
    problem = instances.drpg_garnet(10, 6, 3, rng=np.random.default_rng([42]))
    mdp, radius = problem.nominal, problem.uncertainty.radius
    assert np.all((mdp.P > 0).sum(axis=2) == 3) and problem.uncertainty.support == "nominal"
    cost = -mdp.r_next
    assert cost.min() >= 0 and cost.max() <= 5 and np.all(cost[mdp.P == 0] > 0)
    # 600 uniform costs: the mean is within five standard errors, 5 * 5 / sqrt(12 * 600), except with chance 6e-7.
    assert abs(cost.mean() - 2.5) < 0.3
    assert radius.shape == (10, 6) and radius.min() >= 0.1 and radius.max() <= 0.5
    by_state = instances.drpg_garnet(10, 5, 10, rng=np.random.default_rng([42]), rectangularity="s")
    assert by_state.uncertainty.radius.shape == (10,) and np.all(by_state.nominal.P > 0)
    pi = drpg_policy(4, 3, rng=np.random.default_rng([42]))
    assert pi.min() >= 0.1 / 1.1 and pi.max() <= 0.5 / 0.7
    with pytest.raises(ValueError, match="b is 6; a pair has at most S = 5"):
        instances.drpg_garnet(5, 6, 6, rng=np.random.default_rng([42]))


def test_tilted_family():
    """theta = 0 is the nominal kernel, and the published sign of the features gives the same kernel."""
    family = drpg_inventory(rng=np.random.default_rng([43]))
    np.testing.assert_allclose(family.kernel(np.zeros(2), family.lam), family.mdp.P, rtol=4e-16)  # one division
    P = family.kernel(family.theta, family.lam)
    exponent = ((-family.phi) @ family.theta) / ((-family.zeta) @ family.lam)[:, :, None]
    other = family.mdp.P * np.exp(exponent)
    # Eight roundings, and exponents up to about 10.
    np.testing.assert_allclose(P, other / other.sum(axis=2, keepdims=True), rtol=1e-13)
    assert np.all(family.zeta @ family.lam > 0) and np.abs(P - family.mdp.P).max() > 0.05
